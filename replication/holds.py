"""Holding a customer's data work because of its connection, and letting it go on; each is told as an event."""

import uuid

from breakers import services as breakers
from core.errors import CATALOGUE, UmpError
from events import selectors
from events.models import Type
from events.services import tell
from replication import states
from tenants import confirming
from tenants.models import Connection, Tenant

UNPROVEN = "connection_unverified"
"""A new credential waits for its first check; that is no fault of anything."""


def hold(tenant_id: uuid.UUID, code: str) -> int:
    """Suspend the data lane; how many commands wait now. Call it in the tenant's scope, in a transaction."""
    held = states.suspend_lane(tenant_id, code)
    if code != UNPROVEN and not _told_degraded(tenant_id):
        error = UmpError.of(known(code), tenant=_name(tenant_id))
        degraded = Connection.objects.filter(tenant_id=tenant_id, degraded_at__isnull=False).exists()
        told = {"code": code, "message": error.message, "advice": error.advice, "who": error.who.value}
        tell(Type.DEGRADED, tenant_id, {**told, "degraded": degraded, "commands_waiting": held})
    return held


def known(code: str) -> str:
    """The code as this version can tell it: perhaps a newer one suspended the lane."""
    return code if code in CATALOGUE else UNPROVEN


def release(tenant_id: uuid.UUID) -> tuple[int, bool]:
    """Access was proven: how many commands are due now, and whether the connection had been Degraded.

    Before the first replication a person may have to confirm the organisation; then the work waits for that.
    """
    was_degraded = breakers.clear(tenant_id)
    if confirming.awaited(tenant_id):
        states.suspend_lane(tenant_id, confirming.UNCONFIRMED)
        freed = 0
    elif not was_degraded and not states.is_held(tenant_id):
        return 0, False  # as after nearly every check
    else:
        freed = states.resume_lane(tenant_id)
    if _told_degraded(tenant_id):
        tell(Type.RESTORED, tenant_id, {"commands_going_on": freed, "resync_queued": was_degraded})
    return freed, was_degraded


def _told_degraded(tenant_id: uuid.UUID) -> bool:
    last = selectors.last_of(tenant_id, Type.DEGRADED, Type.RESTORED)
    return last is not None and last.type == Type.DEGRADED


def _name(tenant_id: uuid.UUID) -> str:
    name: str = Tenant.objects.values_list("name", flat=True).get(id=tenant_id)
    return name
