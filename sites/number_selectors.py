"""Reads of customers' numbers on SBCs."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

from django.db.models import Count, Min, Q, QuerySet, Sum

from core.errors import NotFound
from sbc.prefixes import number_of
from sites.models import Prefix, PrefixState, Site
from tenants.models import Tenant
from tenants.written import Written


def site_of(tenant: Tenant, uid: uuid.UUID) -> Site:
    """Raises NotFound."""
    found = Site.objects.select_related("sbc").filter(tenant=tenant, uid=uid).first()
    if found is None:
        raise NotFound(thing="site")
    return found


def prefix_of(site: Site, uid: uuid.UUID) -> Prefix:
    """Raises NotFound."""
    found = Prefix.objects.select_related("site", "site__sbc").filter(site=site, uid=uid).first()
    if found is None:
        raise NotFound(thing="prefix")
    return found


def prefixes(
    tenant: Tenant, site: Site | None = None, search: str = "", state: str = "", plan: str = ""
) -> QuerySet[Prefix]:
    """Of one site, or of all of a customer's; by a number that they take, or by words."""
    found = Prefix.objects.filter(tenant=tenant).select_related("site")
    if site is not None:
        found = found.filter(site=site)
    if state:
        found = found.filter(state=state)
    if plan:
        found = found.filter(plan=plan)
    return found.filter(matching(search)) if search else found


def matching(search: str) -> Q:
    number = number_of(search)
    if number is None:
        words = (Q(**{f"{name}__icontains": search}) for name in ("name", "prefix", "tag", "site__name"))
        found = Q()
        for each in words:
            found |= each
        return found
    touches = Q(span__overlap=number.span)
    return touches & Q(plus=True) if number.plus else touches


def figures(rows: QuerySet[Prefix]) -> dict[str, Any]:
    """How many rules and numbers there are, and how many wait or need somebody."""
    waiting = Q(state__in=[PrefixState.ADDING, PrefixState.REMOVING])
    lost = Q(state__in=[PrefixState.FAILED, PrefixState.MISSING])
    return rows.order_by().aggregate(
        rules=Count("id"),
        numbers=Sum("numbers", default=0),
        waiting=Count("id", filter=waiting),
        lost=Count("id", filter=lost),
    )


@dataclasses.dataclass(frozen=True)
class Lost:
    """A site some of whose prefixes failed, or are missing on its SBC."""

    site: Site
    prefixes: int
    since: dt.datetime | None


def lost(limit: int, tenant: Tenant | None = None) -> list[Lost]:
    """Those that wait for longest first."""
    told = _LOST.rows(tenant and tenant.id, limit=limit)
    rows = Site.objects.select_related("tenant", "sbc").in_bulk([row["site"] for row in told]) if told else {}
    return [Lost(rows[row["site"]], row["many"], row["since"]) for row in told]


def _lost(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Any]:
    found: QuerySet[Any] = Prefix.objects.filter(
        state__in=(PrefixState.FAILED, PrefixState.MISSING), tenant__deleted_at=None, tenant__enabled=True
    )
    found = found.filter(tenant_id=tenant_id) if tenant_id else found
    counted: QuerySet[Any] = found.values("site").annotate(many=Count("id"), since=Min("checked_at"))
    return counted.order_by("since", "site")[:limit]


_LOST: Written[Any] = Written(_lost)
