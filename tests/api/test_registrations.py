"""The app registration over the API: write-only secrets, 202 for every act, and the guide as data."""

import json
import uuid

import pytest

from authstatus import registrations
from replication.models import Command
from tenants import scope
from tenants.abilities import Role
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
