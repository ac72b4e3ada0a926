"""Entries of the trail about a customer's connection."""

from collections.abc import Mapping

from audit.services import record
from tenants.access import Actor
from tenants.models import Tenant


def record_connection(
    actor: Actor, action: str, tenant: Tenant, changes: Mapping[str, tuple[object, object]] | None = None
) -> None:
    record(
        actor,
        action,
        tenant_id=tenant.id,
        object_kind="connection",
        object_id=tenant.id,
        object_label=tenant.name,
        changes=changes,
    )
