"""With and without sync: what is offered, what is not and why, and that nothing is read without it."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from core.errors import InvalidInput, UmpError
from replication import sweeper
from tenants import deployment, health, offers, scope, services
from tenants.access import SYSTEM
from tenants.models import DeployState, Plan, Service, Tenant
from tests.cast import Cast
from tests.pages.helpers import add, change, commands, fresh, text_of, url, verified

SignIn = Callable[[User], Client]
DIRECT, CONNECT = Service.DIRECT_ROUTING, Service.OPERATOR_CONNECT


def offered(matrix: offers.Matrix, service: Service, *, with_sync: bool, users: int = 10) -> set[str]:
    found = offers.offers(matrix, service, with_sync=with_sync, licensed_users=users)
    return {offer.title for _, group in found for offer in group if not offer.why}


def titles(matrix: offers.Matrix, *groups: str) -> set[str]:
    return {
        feature.title for group, features in matrix for feature in features if group in groups or not groups
    }


def test_matrix_1_as_in_the_specification() -> None:
    assert offered(offers.RUN, DIRECT, with_sync=True) == titles(offers.RUN)
    assert offered(offers.RUN, CONNECT, with_sync=True) == titles(offers.RUN)
    assert offered(offers.RUN, CONNECT, with_sync=False) == titles(
        offers.RUN, "Service configuration", "Number management"
    )
    assert offered(offers.RUN, DIRECT, with_sync=False) == set()


def test_matrix_2_as_in_the_specification() -> None:
    setting_up = "Service configuration and activation"
    numbers = {"Assign a trunk", "Caller ID"}
    connect_only = {"Usage type", "Upload numbers to the Teams admin center"}
    accounts = titles(offers.SET_UP, "User management", "Resource account management")
    assert (
        offered(offers.SET_UP, DIRECT, with_sync=True)
        == titles(offers.SET_UP, setting_up) | numbers | accounts
    )
    assert offered(offers.SET_UP, CONNECT, with_sync=True) == numbers | connect_only | accounts
    assert offered(offers.SET_UP, CONNECT, with_sync=False) == numbers | connect_only
    assert offered(offers.SET_UP, DIRECT, with_sync=False) == numbers


def test_what_is_not_offered_says_why() -> None:
    def whys(service: Service, *, with_sync: bool, users: int = 0) -> dict[str, str]:
        found = offers.offers(offers.SET_UP, service, with_sync=with_sync, licensed_users=users)
        return {offer.title: offer.why for _, group in found for offer in group}

    assert whys(CONNECT, with_sync=True)["Create voice routes"] == "Part of Direct Routing only."
    assert whys(DIRECT, with_sync=True)["Usage type"] == "Part of Operator Connect only."
    assert whys(CONNECT, with_sync=False)["Read Teams users"].startswith("Needs sync")
    assert whys(CONNECT, with_sync=True)["Assign numbers to users"].startswith("Needs a Users licence")
    assert whys(CONNECT, with_sync=True, users=1)["Assign numbers to users"] == ""
    assert whys(CONNECT, with_sync=True)["Read Teams users"] == "", (
        "a Tenants licence lets users be looked at"
    )


@pytest.mark.django_db
def test_direct_routing_depends_on_sync(cast: Cast) -> None:
    with pytest.raises(InvalidInput) as refused:
        add("Tailspin", with_sync=False)
    assert refused.value.field == "with_sync"
    with scope.one(cast.contoso.id):
        with pytest.raises(InvalidInput):
            services.edit_tenant(SYSTEM, cast.contoso, {"with_sync": False})
        services.edit_tenant(SYSTEM, cast.contoso, {"with_sync": False, "service": CONNECT})
        with pytest.raises(InvalidInput):
            services.edit_tenant(SYSTEM, cast.contoso, {"service": DIRECT})


@pytest.fixture
def unsynced(cast: Cast) -> Tenant:
    return add("Tailspin", with_sync=False, service=CONNECT)


@pytest.mark.django_db
def test_without_sync_a_customer_needs_no_connection_to_be_well(
    cast: Cast, unsynced: Tenant, client_of: SignIn
) -> None:
    def status() -> deployment.Status:
        return deployment.status_of(fresh(unsynced), None)

    assert status() == deployment.Status.WARNING, "Unknown: the request was submitted"
    change(unsynced, deploy_state=DeployState.READY)
    assert status() == deployment.Status.WARNING
    change(unsynced, deploy_state=DeployState.DEPLOYED)
    assert status() == deployment.Status.OK
    with scope.every("a test"):
        assert health.with_health(Tenant.objects.filter(id=unsynced.id)).get().health == health.Health.HEALTHY
        assert unsynced.id not in {tenant.id for tenant in health.attention(10)}
    page = text_of(client_of(cast.olga), url(unsynced))
    assert "without sync: no cycle starts" in page
    assert "Needs sync: without it a Teams Administrator" in page
    assert "Not in this portal: the operator does it with Operator Connect" in page, "no page of ours uploads"
    assert "What this customer can do here, and why not: 8 of 30 offered" in page
    assert "The portal has no connection" not in page
    assert "What you can do here, and why not" in text_of(client_of(cast.adam), url(cast.contoso))


@pytest.mark.django_db
def test_licence_and_service_level_decide_too(cast: Cast) -> None:
    assert offers.offered(cast.contoso, "number_ranges") == (True, "")
    change(cast.contoso, licensed_users=0, plan=Plan.ESSENTIALS)
    tenant = fresh(cast.contoso)
    may, why = offers.offered(tenant, "number_ranges")
    assert (may, why.startswith("Needs a Users licence")) == (False, True)
    assert offers.offered(tenant, "own_app")[1] == (
        "Needs the service level Hosted Essentials Plus or Hosted Pro."
    )
    assert offers.offered(tenant, "user_view")[0]
    with pytest.raises(UmpError) as refused:
        offers.require(tenant, "user_changes")
    assert refused.value.code == "not_offered"
    assert "User MACD (Teams and voice policies) is not offered" in refused.value.message
    assert "Needs a Users licence" in refused.value.message


@pytest.mark.django_db
def test_nothing_is_read_without_sync(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    change(cast.contoso, service=CONNECT, with_sync=False, next_cycle_at=timezone.now())
    before = len(commands(cast.contoso))
    sweeper.schedule()
    assert len(commands(cast.contoso)) == before
    page = text_of(client_of(cast.olga), url(cast.contoso, "users/"))
    assert "this customer was taken without sync" in page
    change(cast.contoso, service=DIRECT, with_sync=True)
    sweeper.schedule()
    assert [command.kind for command in commands(cast.contoso)][before:] == ["quick_replication"]
