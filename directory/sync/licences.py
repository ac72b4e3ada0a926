"""The customer's licence products: one small answer, compared whole (facts/microsoft.md 5.5)."""

import uuid
from collections.abc import Iterable
from operator import attrgetter
from typing import Any

from django.utils import timezone

from directory.models import SubscribedSku
from directory.sync.reading import Object, guid, text, unreadable
from directory.sync.staging import Count
from m365.graph import GraphClient
from m365.replies import Page, read_page

PATH = "/subscribedSkus"


def read(client: GraphClient, page: Page | None = None) -> list[SubscribedSku]:
    """What Microsoft says, or said on `page`, as rows without a customer yet.

    Raises UmpError; `permission_missing` is usual.
    """
    page = page or read_page(client.get(PATH), client.cloud.graph_host, ids=False)
    return list({row.sku_id: row for row in map(_row, page.value)}.values())


def merge(tenant_id: uuid.UUID, rows: Iterable[SubscribedSku], *, write: bool) -> Count:
    """Bring the mirror to these rows, writing only what differs."""
    before: dict[uuid.UUID, SubscribedSku] = {
        row.sku_id: row for row in SubscribedSku.objects.filter(tenant_id=tenant_id)
    }
    count = Count()
    for row in rows:
        count.read += 1
        row.tenant_id = tenant_id
        old = before.pop(row.sku_id, None)
        if old is not None and _values(old) == _values(row):
            continue
        count.added += old is None
        count.changed += old is not None
        if write:
            row.changed_at = timezone.now()
            row.save(force_insert=old is None, force_update=old is not None)
    count.removed = len(before)
    if before and write:
        SubscribedSku.objects.filter(tenant_id=tenant_id, sku_id__in=list(before)).delete()
    return count


_values = attrgetter(
    *(
        field.attname
        for field in SubscribedSku._meta.local_fields
        if field.attname not in {"changed_at", "pk"}
    )
)


def _row(one: Object) -> SubscribedSku:
    units = one.get("prepaidUnits") or {}
    plans = one.get("servicePlans") or []
    if not isinstance(units, dict) or not isinstance(plans, list):
        raise unreadable("a licence in it has no proper units or plans")
    return SubscribedSku(
        sku_id=uuid.UUID(guid(one.get("skuId"))),
        part_number=text("skuPartNumber", one.get("skuPartNumber"))[:100],
        applies_to=text("appliesTo", one.get("appliesTo"))[:20],
        capability_status=text("capabilityStatus", one.get("capabilityStatus"))[:20],
        consumed=_whole("consumedUnits", one.get("consumedUnits")),
        enabled=_whole("enabled", units.get("enabled")),
        warning=_whole("warning", units.get("warning")),
        suspended=_whole("suspended", units.get("suspended")),
        locked_out=_whole("lockedOut", units.get("lockedOut")),
        plans=[_plan(plan) for plan in plans],
    )


def _plan(plan: Any) -> dict[str, str]:
    if not isinstance(plan, dict):
        raise unreadable("a service plan is not an object")
    names = {"id": "servicePlanId", "name": "servicePlanName", "status": "provisioningStatus"}
    return {key: text(name, plan.get(name))[:100] for key, name in names.items()}


def _whole(name: str, value: Any) -> int:
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > 2_000_000_000:
        raise unreadable(f"{name} is not a whole number")
    return value
