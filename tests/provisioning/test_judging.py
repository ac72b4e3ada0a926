"""Users whom Teams does not have: refused where the copy shows why, and left to the plan where it cannot tell."""

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from directory.models import SubscribedSku
from m365.activation import PHONE_PLANS, RESOURCE_PLANS, TEAMS_PLANS
from provisioning import judging
from provisioning.aspects import Thing
from provisioning.judging import NOT_LISTED, NOT_READ, Verdict, Wish
from telephony.models import Stream, TeamsStream
from tenants import scope
from tenants.models import Tenant
from tests.api.conftest import add_user
from tests.cast import Cast
from tests.telephony.making import add_person, add_policy, keep_stream

pytestmark = pytest.mark.django_db
SKUS = {"phone": PHONE_PLANS, "teams": TEAMS_PLANS, "resource": RESOURCE_PLANS, "mail": ["a-mailbox"]}
VALUES: dict[str, Any] = {
    "number": "+41589061000",
    "policy:TeamsCallingPolicy": {"name": "AllowCalling"},
    "user:department": "Sales",
}


@pytest.fixture
def contoso(cast: Cast) -> Tenant:
    """Teams was read just now, and the licences are known."""
    keep_stream(cast.contoso, Stream.USERS, synced_at=timezone.now())
    add_policy(cast.contoso, "TeamsCallingPolicy", "AllowCalling")
    with scope.one(cast.contoso.id):
        for name, plans in SKUS.items():
            SubscribedSku.objects.create(
                tenant=cast.contoso, sku_id=sku(name), part_number=name, plans=[{"id": next(iter(plans))}]
            )
    return cast.contoso


def sku(name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, name)


def judge(tenant: Tenant, user: uuid.UUID, aspect: str, *, seen: bool = False) -> Verdict:
    thing = Thing(user, aspect)
    with scope.one(tenant.id):
        (verdict,) = judging.judge(tenant, [Wish(thing, VALUES[aspect])], seen={thing} if seen else ())
    return verdict


def told(verdict: Verdict) -> str:
    return verdict.problem.code if verdict.problem else verdict.hint


@pytest.mark.parametrize(
    ("licences", "number", "policy"),
    [
        ([], "teams_phone_missing", "teams_missing"),
        (["mail"], "teams_phone_missing", "teams_missing"),
        (["teams", "mail"], "teams_phone_missing", NOT_LISTED),
        (["phone"], NOT_LISTED, NOT_LISTED),
        (["resource"], NOT_LISTED, NOT_LISTED),
        (["mail", "bought a minute ago"], NOT_LISTED, NOT_LISTED),
    ],
)
def test_whom_teams_does_not_list_is_refused_if_his_licences_say_why(
    contoso: Tenant, licences: list[str], number: str, policy: str
) -> None:
    user = add_user(contoso, "Ann", sku_ids=[sku(name) for name in licences]).object_id
    assert told(judge(contoso, user, "number")) == number
    assert told(judge(contoso, user, "policy:TeamsCallingPolicy")) == policy
    assert told(judge(contoso, user, "user:department")) == ""
    assert told(judge(contoso, user, "number", seen=True)) == "", "Microsoft has just shown him"


@pytest.mark.parametrize("age", [None, dt.timedelta(days=2)])
def test_an_old_copy_of_teams_refuses_nobody(contoso: Tenant, age: dt.timedelta | None) -> None:
    with scope.one(contoso.id):
        TeamsStream.objects.update(synced_at=timezone.now() - age if age else None)
    assert told(judge(contoso, add_user(contoso, "Ann").object_id, "number")) == NOT_READ


def test_whom_teams_has_is_not_doubted(contoso: Tenant) -> None:
    assert told(judge(contoso, add_person(contoso, "Bea"), "number")) == ""
