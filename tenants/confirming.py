"""Whether a person still has to say that the right organisation was connected (complaint B 23).

Asked for by a setting, and only before the first replication. The answer is bound to the Azure Tenant Id: where that
is changed, it is asked again.
"""

import uuid

from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts import installation
from audit.services import record
from core.errors import Conflict
from tenants.access import Actor
from tenants.models import Connection, Tenant

UNCONFIRMED = "organization_unconfirmed"
"""What holds the data lane meanwhile."""
ASKED = "confirm_first_sync"


def is_asked() -> bool:
    """Whether this installation wants it at all."""
    return bool(installation.get(ASKED))


def awaited(tenant_id: uuid.UUID) -> bool:
    """In the tenant's scope, or that of every tenant."""
    if not is_asked():
        return False
    mine = Connection.objects.filter(tenant_id=tenant_id, tenant__last_replicated_at=None)
    return mine.filter(~Q(confirmed_for=F("tenant__entra_tenant_id")) | Q(confirmed_for=None)).exists()


@transaction.atomic
def confirm(actor: Actor, tenant: Tenant, organization_id: uuid.UUID) -> Connection:
    """This organisation, which a check has found, is the right one. Saying so twice changes nothing.

    Raises Conflict when no check has found it, or another one meanwhile.
    """
    row: Connection | None = Connection.objects.select_for_update(no_key=True).filter(tenant=tenant).first()
    found = row.organization if row is not None else None
    if row is None or not found or not row.usable:
        raise Conflict(thing="the organisation", why="no check has found it yet: check the credentials first")
    if str(organization_id) != str(found["id"]) or organization_id != tenant.entra_tenant_id:
        why = "another organisation was found meanwhile: look at the page again"
        raise Conflict(thing="the organisation", why=why)
    if row.confirmed_for != organization_id:
        row.confirmed_for, row.confirmed_by, row.confirmed_at = organization_id, actor.label, Now()
        row.save(update_fields=["confirmed_for", "confirmed_by", "confirmed_at"])
        record(
            actor,
            "organization.confirmed",
            tenant_id=tenant.id,
            object_kind="connection",
            object_id=row.id,
            object_label=tenant.name,
            changes={"organisation": (None, found["name"]), "Azure Tenant Id": (None, organization_id)},
        )
    return row
