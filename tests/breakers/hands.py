"""What the tests of Degraded and of breakers do again and again."""

import datetime as dt
import uuid
from typing import Any

from django.db.models import F

from breakers.models import AccessFailure
from events.models import Event
from replication import runner, services, states
from replication.models import Command, LaneName
from tenants import scope
from tenants import services as tenants
from tenants.access import SYSTEM
from tenants.models import AppOwner, Cloud, Connection, Tenant, Verification


def proven(name: str, **connection: Any) -> Tenant:
    """A customer whose check succeeded."""
    tenant = tenants.add_tenant(SYSTEM, name=name, entra_tenant_id=uuid.uuid4())
    with scope.one(tenant.id):
        tenants.set_connection(
            SYSTEM, tenant, cloud=Cloud.GLOBAL, client_id=uuid.uuid4(), client_secret="s~" * 20
        )
        tenants.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    set_connection(tenant, **connection)
    return tenant


def on_provider_app(name: str) -> Tenant:
    return proven(name, app_owner=AppOwner.PROVIDER)


def set_connection(tenant: Tenant, **fields: Any) -> None:
    with scope.one(tenant.id):
        Connection.objects.update(**fields)


def connection(tenant: Tenant) -> Connection:
    with scope.one(tenant.id):
        return Connection.objects.get()


def submit(tenant: Tenant, kind: str = "scripted", **more: Any) -> Command:
    with scope.one(tenant.id):
        return services.submit(SYSTEM, kind, tenant, **more)


def claim(limit: int = 100) -> list[states.Claimed]:
    with scope.every("a test claims"):
        return states.claim("test", limit)


def settle(claimed: states.Claimed) -> None:
    runner._settle(claimed, runner.run_one(claimed))


def run_due() -> int:
    """Carry out what is due, here and now; how many slices that took."""
    count = 0
    while found := claim(1):
        settle(found[0])
        count += 1
    return count


def row(command: Command) -> Command:
    with scope.every("a test looks"):
        return Command.objects.select_related("lane").get(id=command.id)


def lane_code(tenant: Tenant) -> str:
    with scope.one(tenant.id):
        return states.lane_suspension(states.lane_for(tenant.id, LaneName.DATA))


def make_due() -> None:
    """As if every wait were over."""
    from django.db.models import Q

    with scope.every("a test turns the clock"):
        states.make_due(Q())


def minutes_later(minutes: float) -> None:
    """As if that long had gone by since the failures so far."""
    with scope.every("a test turns the clock"):
        AccessFailure.objects.update(at=F("at") - dt.timedelta(minutes=minutes))


def failures(tenant: Tenant) -> list[str]:
    with scope.one(tenant.id):
        return list(AccessFailure.objects.order_by("id").values_list("code", flat=True))


def told(tenant: Tenant) -> list[str]:
    with scope.one(tenant.id):
        return list(Event.objects.order_by("id").values_list("type", flat=True))
