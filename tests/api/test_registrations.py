"""The app registration over the API: write-only secrets, 202 for every act, and the guide as data."""

import json
import uuid

import pytest
from django.utils import timezone

from authstatus import helper_app, registration_keys, registrations
from authstatus.models import RegistrationKey
from replication.models import Command
from tenants import provider_app, scope
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Connection, SecretKind
from tests.api.conftest import Api, make_token
from tests.cast import Cast

pytestmark = pytest.mark.django_db
SECRET = "abc8Q~" + "x" * 34


@pytest.fixture
def admin(cast: Cast) -> Api:
    return Api(make_token(Role.PROVIDER_ADMIN))


def test_a_migration_is_accepted_and_its_secret_never_told(cast: Cast, admin: Api) -> None:
    place = f"tenants/{cast.contoso.id}/registration"
    body = {"cloud": "global", "client_id": str(uuid.uuid4()), "client_secret": SECRET}
    answer = admin("POST", f"{place}/migrate", body)
    assert answer.status == 202
    assert answer.json["kind"] == registrations.MIGRATE
    assert answer.headers["Location"].endswith(f"/commands/{answer.json['number']}")
    found = admin("GET", place)
    (waiting,) = found.json["standbys"]
    assert (waiting["role"], waiting["client_id"]) == ("candidate", body["client_id"])
    assert SECRET not in json.dumps([answer.json, found.json])
    assert admin("DELETE", f"{place}/standbys").status == 204
    assert admin("GET", place).json["standbys"] == []
    assert admin("DELETE", f"{place}/standbys").code == "conflict"


def test_a_secret_id_is_refused_by_name(cast: Cast, admin: Api) -> None:
    body = {"client_id": str(uuid.uuid4()), "client_secret": str(uuid.uuid4())}
    answer = admin("POST", f"tenants/{cast.contoso.id}/registration/migrate", body)
    assert (answer.status, answer.code) == (422, "secret_is_guid")


def test_renewing_one_and_everybodys(cast: Cast, admin: Api) -> None:
    assert admin("POST", f"tenants/{cast.contoso.id}/registration/renew").status == 202
    assert admin("POST", "queue/renew-secrets").status == 202
    with scope.every("a test looks"):
        kinds = set(Command.objects.values_list("kind", flat=True))
    assert {registrations.RENEW, registrations.RENEW_ALL} <= kinds
    operator = Api(make_token(Role.OPERATOR))
    assert operator("POST", "queue/renew-secrets").status == 403


def test_which_service_uses_which_secret(cast: Cast, admin: Api) -> None:
    place = f"tenants/{cast.contoso.id}/registration"
    with scope.one(cast.contoso.id):
        row = RegistrationKey.objects.create(
            tenant=cast.contoso,
            client_id=Connection.objects.get(tenant=cast.contoso).client_id,
            key_id=uuid.uuid4(),
            kind="client_secret",
            name="Recorder",
            seen_at=timezone.now(),
        )
    (key,) = admin("GET", place).json["keys"]
    assert (key["key_id"], key["name"], key["ours"], key["service"]) == (str(row.key_id), "Recorder", "", "")
    named = admin("PUT", f"{place}/keys/{row.key_id}", {"service": "Voice"})
    assert (named.status, named.json["service"]) == (200, "Voice")
    assert admin("PUT", f"{place}/keys/{row.key_id}", {"service": "x" * 61}).fields == {"service"}
    assert admin("PUT", f"{place}/keys/{uuid.uuid4()}", {"service": "Voice"}).status == 404
    gone = admin("DELETE", f"{place}/keys/{row.key_id}")
    assert (gone.status, gone.json["kind"]) == (202, registration_keys.REMOVE)
    stranger = Api(make_token(Role.CUSTOMER_ADMIN, cast.fabrikam))
    assert stranger("PUT", f"{place}/keys/{row.key_id}", {"service": "Voice"}).status == 404


def test_the_providers_app_goes_once_the_own_one_is_proven(cast: Cast, admin: Api) -> None:
    place = f"tenants/{cast.contoso.id}/registration/provider-app"
    assert admin("DELETE", place).code == "conflict"
    provider_app.change(
        SYSTEM,
        client_id=uuid.uuid4(),
        redirect_uri="https://portal.example/authenticate/OAuth2Callback",
        home_tenant_id=uuid.uuid4(),
        given=Given(SecretKind.CLIENT_SECRET, SECRET),
    )
    with scope.one(cast.contoso.id):
        Connection.objects.update(verification="successful")
    answer = admin("DELETE", place)
    assert (answer.status, answer.json["kind"]) == (202, helper_app.REMOVE)
    assert admin("GET", "provider-app").json["why_not_renewable"] == ""
    renewal = admin("POST", "provider-app/renew")
    assert (renewal.status, renewal.json["kind"]) == (202, registrations.RENEW_APP)
    assert Api(make_token(Role.OPERATOR))("POST", "provider-app/renew").status == 403


def test_the_providers_app_cannot_be_renewed_before_it_is_entered(admin: Api) -> None:
    assert "no app is entered" in admin("GET", "provider-app").json["why_not_renewable"]
    assert admin("POST", "provider-app/renew").fields == {"client_secret"}


@pytest.mark.parametrize("kind", ["own", "sync", "pbx"])
def test_the_guide_is_data(cast: Cast, admin: Api, kind: str) -> None:
    place = f"tenants/{cast.contoso.id}/registration/guide"
    guide = admin("GET", f"{place}?kind={kind}&server=pbx.contoso.com").json
    assert guide["kind"] == kind
    asked = [one for step in guide["steps"] for one in step["permissions"]]
    assert asked
    assert all(uuid.UUID(one["id"]) for one in asked)
    assert admin("GET", f"{place}?kind=pbx&server=http://pbx").fields == {"server"}
    assert admin("GET", f"{place}?kind=other").fields == {"kind"}


def test_a_customers_token_does_not_see_the_providers_guide(
    cast: Cast,
) -> None:
    customer = Api(make_token(Role.CUSTOMER_ADMIN, cast.contoso))
    assert customer("GET", f"tenants/{cast.contoso.id}/registration/guide?kind=sync").fields == {"kind"}
