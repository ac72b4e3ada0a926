"""Reads about customers, within the scope in force."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from tenants import tables
from tenants.models import Connection, ProviderKey, Tenant, TenantKey
from tenants.written import Written


def tenants(*, search: str = "", deleted: bool = False) -> QuerySet[Tenant]:
    """Customers of the scope by name; a search looks at the name, the domain and the Azure Tenant Id."""
    found: QuerySet[Tenant] = Tenant.objects.filter(deleted_at__isnull=not deleted)
    if search:
        hit = Q(name__icontains=search) | Q(domain__icontains=search)
        as_uuid = _as_uuid(search)
        found = found.filter(hit | Q(entra_tenant_id=as_uuid) if as_uuid else hit)
    return found


def in_order(order: Sequence[str], *, search: str = "") -> Any:
    """As `tenants`, by these columns, for a page."""
    if _as_uuid(search):
        return tenants(search=search).order_by(*order)
    return _IN_ORDER(search or None, order=tuple(order))


_IN_ORDER = tables.Kept(lambda search, *, order: tenants(search=search or "").order_by(*order))


def connection_of(tenant: Tenant) -> Connection | None:
    return _CONNECTION.sole(tenant.id)


_CONNECTION = Written(
    lambda tenant_id: Connection.objects.filter(tenant_id=tenant_id).select_related("secret", "granted")
)


def access_of(tenant: Tenant) -> Connection | None:
    """As much of the connection as says whether it may be used."""
    return _ACCESS.sole(tenant.id)


_ACCESS = Written(
    lambda tenant_id: Connection.objects.filter(tenant_id=tenant_id).only("verification", "problem")
)


def why_unread(tenant: Tenant, connection: Connection | None) -> str:
    """Why nothing can be read from the customer's Microsoft 365 now, in a sentence; empty when it can."""
    if not tenant.with_sync:
        return (
            "Nothing is replicated: this customer was taken without sync. It can be switched on under Edit."
        )
    if connection is None:
        return "Nothing can be replicated: the portal has no connection to this customer's tenant yet."
    if not connection.usable:
        return "Nothing can be replicated until a check of this customer's credentials succeeds."
    return ""


def connections_of(tenant_ids: list[uuid.UUID]) -> dict[uuid.UUID, Connection]:
    """One query for a page of customers."""
    return {row.tenant_id: row for row in _CONNECTIONS.rows(tenant_ids)}


_CONNECTIONS = Written(lambda ids: Connection.objects.filter(tenant_id__in=ids).select_related("secret"))


def accesses_of(tenant_ids: list[uuid.UUID]) -> dict[uuid.UUID, Connection]:
    """As much of each connection as says how it stands; one query for a page of customers."""
    return {row.tenant_id: row for row in _ACCESSES.rows(tenant_ids)}


_ACCESSES = Written(
    lambda ids: Connection.objects.filter(tenant_id__in=ids).only(
        "tenant_id", "verification", "problem", "held_at"
    )
)


def to_shred(limit: int = 10) -> list[Tenant]:
    """Deleted customers whose 30 days are over. Call it in the scope of every tenant."""
    return list(Tenant.objects.filter(_OVER).order_by("shred_at")[:limit])


def is_over(tenant: Tenant) -> bool:
    """Whether its 30 days are over by the clock of `to_shred`: from then on it is destroyed and not restored.

    Who decides by it has locked the customer's row before. False too for one that is not deleted, or gone.
    """
    return Tenant.objects.filter(_OVER, id=tenant.id).exists()


_OVER = Q(deleted_at__isnull=False, shred_at__lte=Now())


def keys_behind(current_kek: str) -> int:
    """Keys that are not yet under the current key-encryption key. Call it in the scope of every tenant."""
    own = ProviderKey.objects.exclude(kek_id=current_kek).count()
    return own + TenantKey.objects.exclude(kek_id=current_kek).count()


def _as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
