"""How customers are doing, by what their connection says: for lists, tiles and the Dashboard.

Computed in the database, so that 10,000 customers are filtered, sorted and counted without fetching them.
"""

import datetime as dt
import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Count,
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
    When,
)
from django.db.models.functions import Least, Now
from django.utils import timezone

from m365.identity_delegated import UNUSED_DAYS
from tenants.models import Connection, Method, Tenant, Verification
from tenants.written import Written

SOON = dt.timedelta(days=30)
"""An access that ends within this time is worth a person's attention."""
STALE = dt.timedelta(days=1)
"""A connected customer that was not replicated for this long is worth a look."""


class Health(enum.StrEnum):
    """One word a customer; the first that fits, in this order: disabled, paused, failed, never, held (which counts as
    failed: a refusal since the last successful check holds the data work), attention."""

    HEALTHY = "healthy"
    ATTENTION = "attention"
    FAILED = "failed"
    NEVER = "never"
    PAUSED = "paused"
    DISABLED = "disabled"


TITLES: Mapping[Health, str] = MappingProxyType(
    {
        Health.HEALTHY: "Healthy",
        Health.ATTENTION: "Needs attention",
        Health.FAILED: "Connection failed",
        Health.NEVER: "Never checked",
        Health.PAUSED: "Paused",
        Health.DISABLED: "Disabled",
    }
)
TONES: Mapping[Health, str] = MappingProxyType(
    {
        Health.HEALTHY: "ok",
        Health.ATTENTION: "warn",
        Health.FAILED: "bad",
        Health.NEVER: "info",
        Health.PAUSED: "neutral",
        Health.DISABLED: "neutral",
    }
)
IDLE = dt.timedelta(days=7)
"""A stored sign-in that was used within this time lives on by itself: the daily check uses it."""
UNUSED = dt.timedelta(days=UNUSED_DAYS)
HORIZON: tuple[tuple[str, str, int | None, int | None], ...] = (
    ("expired", "Expired", None, 0),
    ("7", "0-7 days", 0, 7),
    ("30", "8-30 days", 7, 30),
    ("90", "31-90 days", 30, 90),
    ("later", "Over 90 days", 90, None),
)
"""Buckets of the expiry horizon: name, label, more than so many days ahead, and at most so many."""


def with_health(found: QuerySet[Tenant], *, causes: bool = True) -> QuerySet[Any]:
    """The customers with `verification`, `verified_at`, `held_at`, `health`, and what else decides that: `expires_at`
    (of the access), `degraded_at`, `unconfirmed` (the first replication waits for a person)."""
    unconfirmed = Q(connection__organization__isnull=False, last_replicated_at=None) & (
        ~Q(connection__confirmed_for=F("entra_tenant_id")) | Q(connection__confirmed_for=None)
    )
    found = found.annotate(
        verification=F("connection__verification"),
        verified_at=F("connection__verified_at"),
        held_at=F("connection__held_at"),
    )
    beside = found.annotate if causes else found.alias
    return beside(
        expires_at=end_of_access("connection__"),
        degraded_at=F("connection__degraded_at"),
        unconfirmed=ExpressionWrapper(unconfirmed, BooleanField()),
    ).annotate(health=_case())


def end_of_access(via: str = "") -> Least:
    """When what a Connection signs in with ends: its app's credential, or a stored sign-in that nobody uses.

    `via` leads to the connection from where the query begins. Each use of a stored sign-in lets it live on, so its
    end is a forecast, and worth one only after some idle days.
    """
    idle = Q((f"{via}method", Method.TOKEN), (f"{via}refreshed_at__lt", Now() - IDLE))
    unused = Case(When(idle, then=F(f"{via}refreshed_at") + UNUSED), output_field=DateTimeField())
    return Least(f"{via}secret__expires_at", unused, output_field=DateTimeField())


def _case() -> Case:
    rules: tuple[tuple[Q, Health], ...] = (
        (Q(enabled=False), Health.DISABLED),
        (Q(paused_at__isnull=False), Health.PAUSED),
        (Q(with_sync=False, verification__isnull=True), Health.HEALTHY),
        (Q(verification__in=[Verification.FAILED, Verification.NO_TOKEN]), Health.FAILED),
        (Q(degraded_at__isnull=False), Health.FAILED),
        (Q(verification__isnull=True) | Q(verification=Verification.NEVER), Health.NEVER),
        (Q(held_at__isnull=False), Health.FAILED),
        (Q(unconfirmed=True) | Q(expires_at__lt=Now() + SOON), Health.ATTENTION),
        (Q(last_replicated_at__lt=Now() - STALE, with_sync=True), Health.ATTENTION),
    )
    cases = [When(rule, then=Value(health)) for rule, health in rules]
    return Case(*cases, default=Value(Health.HEALTHY), output_field=CharField())


def horizon() -> dict[str, int]:
    """How many credentials in use end when, by bucket of HORIZON, and of how many that is unknown; one query."""
    now = timezone.now()
    living = _in_use().annotate(end=end_of_access())
    sums: dict[str, Any] = {"unknown": Count("secret", filter=Q(secret__expires_at=None))}
    sums |= {
        f"in_{name}": Count("id", filter=_within(now, after, until, "end"))
        for name, _, after, until in HORIZON
    }
    found = living.aggregate(**sums)
    return {"unknown": found["unknown"]} | {name: found[f"in_{name}"] for name, *_ in HORIZON}


def expiring(found: QuerySet[Any], bucket: str) -> QuerySet[Any]:
    """Of customers with health: those whose credential ends in this bucket; unknown names change nothing."""
    for name, _, after, until in HORIZON:
        if name == bucket:
            return found.filter(_within(timezone.now(), after, until, "expires_at"))
    return found


def next_to_expire(limit: int = 1) -> list[Tenant]:
    """The customers whose credential ends first, the past excluded."""
    return _NEXT.rows(limit=limit)


def _next(*, limit: int) -> QuerySet[Any]:
    living = with_health(Tenant.objects.filter(deleted_at=None, enabled=True))
    return living.filter(expires_at__gte=Now()).order_by("expires_at")[:limit]


_NEXT: Written[Any] = Written(_next)


def attention(limit: int) -> list[Tenant]:
    """Who needs somebody: failed first, then what ends soon, then what was never checked; by name within."""
    return _ATTENTION.rows(limit=limit)


def _attention(*, limit: int) -> QuerySet[Any]:
    rank = Case(
        When(health=Health.FAILED, then=Value(0)),
        When(health=Health.ATTENTION, then=Value(1)),
        default=Value(2),
    )
    needy = with_health(Tenant.objects.filter(deleted_at=None)).filter(
        health__in=[Health.FAILED, Health.ATTENTION, Health.NEVER]
    )
    return needy.order_by(rank, F("expires_at").asc(nulls_last=True), "name")[:limit]


_ATTENTION: Written[Any] = Written(_attention)


def _in_use() -> QuerySet[Connection]:
    living = Tenant.objects.filter(pk=OuterRef("tenant_id"), deleted_at=None, enabled=True)
    found: QuerySet[Connection] = Connection.objects.filter(Exists(living))
    return found


def _within(now: dt.datetime, after: int | None, until: int | None, field: str) -> Q:
    limits: dict[str, Any] = {f"{field}__isnull": False}
    if after is not None:
        limits[f"{field}__gt"] = now + dt.timedelta(days=after)
    if until is not None:
        limits[f"{field}__lte"] = now + dt.timedelta(days=until)
    return Q(**limits)
