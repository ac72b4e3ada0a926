"""Onboarding by programs: every choice at once, then followed, retried, finished or cancelled."""

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from events.models import Event
from invitations.models import Invitation
from onboarding import services
from onboarding.models import Onboarding
from replication.models import Command, State
from tenants import scope
from tenants.abilities import Ability, Role
from tenants.models import Tenant
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.pages.helpers import commands, failed, verified

pytestmark = pytest.mark.django_db
SECRET = "Tz~8Q~a-very-long-client-secret-of-microsoft"
LETTER = {"email": "a@tailspin.example"}
OTHER = str(uuid.UUID(int=10))
APP = {"client_id": str(uuid.UUID(int=5)), "client_secret": SECRET}


@pytest.fixture
def api(cast: Cast) -> Api:
    return Api(make_token())


def body(**more: Any) -> dict[str, Any]:
    return {"name": "Tailspin Toys", "licensed_users": 40, "entra_tenant_id": str(uuid.UUID(int=9))} | more


def tenant_of(answer: Any) -> Tenant:
    with scope.every("a test"):
        found: Tenant = Tenant.objects.get(id=answer.json["tenant_id"])
        return found


def test_with_an_invitation(api: Api) -> None:
    answer = api.post("onboardings", body(invitation={"email": "a@tailspin.example"}, automatic_dns=True))
    assert answer.status == 201, answer.text
    found = answer.json
    assert (found["step"], found["way"], found["automatic_dns"]) == ("m365", "invite", True)
    assert found["access"]["state"] == "invited"
    assert found["access"]["invitation"]
    assert answer.headers["Location"] == found["url"]
    assert [row.kind for row in commands(tenant_of(answer))] == ["send_invitation"]
    assert api.get(found["url"]).json == found
    listed = api.get("onboardings?open=true&search=tailspin").json["results"]
    assert [row["customer"] for row in listed] == ["Tailspin Toys"]
    assert api.get("onboardings?open=false").json["results"] == []


def test_with_an_app_registration_to_the_end(api: Api) -> None:
    answer = api.post("onboardings", body(connection=APP))
    tenant = tenant_of(answer)
    assert answer.json["access"]["state"] == "validating"
    assert SECRET not in answer.text
    base = f"tenants/{tenant.id}/onboarding"
    assert api.post(f"{base}/finish").code == "conflict"
    verified(tenant)
    services.follow()
    found = api.post(f"{base}/finish").json
    assert found["finished_at"]
    assert (found["step"], found["access"]["state"]) == ("voice-route", "proven")
    with scope.one(tenant.id):
        assert [row.type for row in Event.objects.filter(tenant=tenant)] == ["tenant.onboarded"]
    assert api.post(f"{base}/finish").code == "conflict"
    assert api.post(base).status == 201
    assert api.post(base).code == "conflict"


def test_retry_and_cancel(api: Api) -> None:
    tenant = tenant_of(api.post("onboardings", body(invitation={"email": "a@tailspin.example"})))
    base = f"tenants/{tenant.id}/onboarding"
    assert api.post(f"{base}/retry").json == {"done": "Another mail is on its way to a@tailspin.example."}
    found = api.post(f"{base}/cancel").json
    assert found["cancelled_at"]
    assert api.post(f"{base}/retry").code == "conflict"
    assert api.get("onboardings?open=true").json["results"] == []


def test_a_retry_needs_the_ability_of_what_it_does(cast: Cast, api: Api) -> None:
    tenant = tenant_of(api.post("onboardings", body(invitation={"email": "a@tailspin.example"})))
    retry = f"tenants/{tenant.id}/onboarding/retry"
    may_edit = {Ability.VIEW_TENANT, Ability.EDIT_TENANT}
    inviting = Api(make_token(scopes=may_edit | {Ability.INVITE}))
    verifying = Api(make_token(scopes=may_edit | {Ability.VERIFY_CONNECTION}))
    assert Api(make_token(scopes=may_edit)).post(retry).code == "not_allowed"
    refused = verifying.post(retry)
    assert (refused.status, refused.code) == (403, "not_allowed")
    assert "manage (invitation)" in refused.json["detail"]
    assert inviting.post(retry).status == 200
    with scope.one(tenant.id):
        Invitation.objects.update(expires_at=timezone.now() - dt.timedelta(minutes=1))
    assert verifying.post(retry).code == "not_allowed"
    assert inviting.post(retry).json == {"done": "A new invitation is on its way to a@tailspin.example."}

    tenant = tenant_of(api.post("onboardings", body(name="Wingtip", connection=APP, entra_tenant_id=OTHER)))
    retry = f"tenants/{tenant.id}/onboarding/retry"
    with scope.one(tenant.id):
        Command.objects.filter(tenant=tenant).update(
            state=State.FAILED, finished_at=timezone.now(), dedupe_key=None
        )
    failed(tenant, "secret_wrong")
    assert inviting.post(retry).code == "not_allowed"
    assert len(commands(tenant)) == 1
    assert verifying.post(retry).json == {"done": "The credentials are being checked."}


def test_what_does_not_go_together_is_refused_and_nothing_is_kept(api: Api, settings: Any) -> None:
    both = body(connection=APP, invitation={"email": "a@tailspin.example"})
    assert api.post("onboardings", both).fields == {"invitation"}
    assert api.post("onboardings", body(with_sync=False)).fields == {"with_sync"}
    assert api.post("onboardings", body(plan="essentials", connection=APP)).code == "plan_without_app"
    assert api.post("onboardings", body(provider_app=True, cloud="dod")).code == "provider_app_elsewhere"
    dns = body(automatic_dns=True, service="operator_connect")
    assert api.post("onboardings", dns).fields == {"automatic_dns"}
    assert api.post("onboardings", body(automatic_dns=True, dns_name="no name")).fields == {"dns_name"}
    settings.LICENSE_CUSTOMERS = 2
    assert api.post("onboardings", body()).code == "licence_customers_used"
    with scope.every("a test"):
        assert Tenant.objects.count() == 2
        assert not Onboarding.objects.exists()


def test_the_same_key_onboards_once(api: Api) -> None:
    first = api.post("onboardings", body(), Idempotency_Key="k")
    assert api.post("onboardings", body(), Idempotency_Key="k").json == first.json
    with scope.every("a test"):
        assert Onboarding.objects.count() == 1


def test_a_way_in_needs_its_own_ability(cast: Cast) -> None:
    bare = Api(make_token(scopes=[Ability.ADD_TENANT, Ability.VIEW_TENANT]))
    assert bare.post("onboardings", body(invitation={"email": "a@tailspin.example"})).status == 403
    assert bare.post("onboardings", body(connection=APP)).status == 403
    assert bare.post("onboardings", body(provider_app=True)).status == 403
    assert bare.post("onboardings", body()).status == 201
    assert Api(make_token(Role.MONITOR)).post("onboardings", body()).status == 403
    assert Api(make_token(Role.CUSTOMER_ADMIN, cast.contoso)).get("onboardings").status == 404


def test_a_domain_is_looked_up(api: Api) -> None:
    answer = api.post("onboardings/discover", {"domain": "Contoso.com."})
    assert (answer.status, answer.json["kind"]) == (202, "discover_tenant")
    assert api.get(answer.headers["Location"]).json["state"] == State.QUEUED
    assert api.post("onboardings/discover", {"domain": "no domain"}).fields == {"domain"}


def test_the_licence(api: Api, cast: Cast, settings: Any) -> None:
    settings.LICENSE_CUSTOMERS = 2
    found = api.get("license").json
    assert found["tenants"] | {"unlocks": []} == {
        "scheme": "Tenants", "size": 2, "held": 2, "available": 0, "short": "All 2 Tenants licences are in use.",
        "unlocks": [],
    }  # fmt: skip
    assert "DID management" in found["users"]["unlocks"]
    assert found["multitenant_version"] == settings.VERSION
