"""The same from end to end: one shared app at the pretend Microsoft, its secret runs out, and is renewed."""

import uuid
from typing import Any

import pytest

from breakers.models import Breaker
from m365 import identity
from replication import sweeper
from replication.models import State
from simulator.many import plant_many
from simulator.registrations import change_app
from simulator.server import Simulator
from tenants import provider_app, scope, services
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Connection, SecretKind, Tenant, Verification
from tests.breakers.hands import connection, failures, make_due, row, run_due, submit, told
from tests.directory.conftest import microsoft, microsoft_server

__all__ = ["microsoft", "microsoft_server"]
pytestmark = pytest.mark.django_db


def apply(told: dict[str, Any], secret: str) -> None:
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(told["client_id"]),
        redirect_uri="https://portal.example/authenticate/OAuth2Callback",
        home_tenant_id=uuid.UUID(told["tenant_id"]),
        given=Given(SecretKind.CLIENT_SECRET, secret),
    )


def customer(told: dict[str, Any]) -> Tenant:
    tenant = services.add_tenant(SYSTEM, name=told["name"], entra_tenant_id=uuid.UUID(told["tenant_id"]))
    with scope.one(tenant.id):
        services.use_provider_app(SYSTEM, tenant)
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    return tenant


def test_the_shared_apps_secret_runs_out_and_is_renewed(microsoft: Simulator) -> None:
    world = microsoft.state
    planted = plant_many(world, {"count": 3, "connection": "shared", "broken_percent": 0})
    home = planted["provider"]
    apply(home, home["secret"])
    tenants = [customer(each) for each in planted["tenants"]]
    assert {row(each).state for each in _replicated(tenants)} == {State.SUCCEEDED}

    registered = world.find(home["tenant_id"])
    assert registered is not None
    change_app(registered, registered.app(), {"secret_expires": "2020-01-01T00:00:00Z"}, world.now())
    identity.forget_everything()
    held = _replicated(tenants)
    assert {row(each).state for each in held} == {State.QUEUED}
    assert Breaker.objects.get().name == "provider_app"
    assert sweeper.probe() == 1
    run_due()
    assert Breaker.objects.exists()

    secret = "a-new~secret-of-the-provider~2026"
    change_app(registered, registered.app(), {"secret": secret}, world.now())
    apply(home, secret)
    identity.forget_everything()
    assert sweeper.probe() == 1, "a new credential is tried at once"
    run_due()
    make_due()
    run_due()
    assert not Breaker.objects.exists()
    assert {row(each).state for each in held} == {State.SUCCEEDED}
    for tenant in tenants:
        assert connection(tenant).verification == Verification.SUCCESSFUL
        assert (failures(tenant), told(tenant)) == ([], [])


def _replicated(tenants: list[Tenant]) -> list[Any]:
    commands = [submit(tenant, "quick_replication") for tenant in tenants]
    run_due()
    return commands


def test_a_customer_who_switches_the_shared_app_off_is_alone(microsoft: Simulator) -> None:
    world = microsoft.state
    planted = plant_many(world, {"count": 2, "connection": "shared", "broken_percent": 0})
    apply(planted["provider"], planted["provider"]["secret"])
    alder, birch = (customer(each) for each in planted["tenants"])
    theirs = world.find(str(alder.entra_tenant_id))
    assert theirs is not None
    change_app(theirs, theirs.app(), {"enabled": False}, world.now())
    identity.forget_everything()
    first, second = _replicated([alder, birch])
    assert row(first).state == State.SUSPENDED
    assert row(second).state == State.SUCCEEDED
    assert not Breaker.objects.exists()
    with scope.one(alder.id):
        assert Connection.objects.get().degraded_at is None
