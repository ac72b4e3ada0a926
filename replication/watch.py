"""Reads for people who watch the queue: what waits how long, whether anybody works, open commands first."""

import dataclasses
import datetime as dt

from django.db import connection
from django.db.models import Count, Min, QuerySet
from django.db.models.functions import Now

from replication import states
from replication.models import FINAL, OPEN, Command, Reason, State
from tenants import scope
from tenants.models import Tenant
from tenants.tables import Chain

SILENCE = "60 seconds"
"""How long due work may lie before people are told that no worker runs; a busy worker takes seconds."""


def open_first(rows: QuerySet[Command]) -> Chain:
    """The queue as people look at it: what is open first, then what ended, each newest first.

    Two indexed reads instead of one sort over every command that is kept.
    """
    return Chain(rows.filter(state__in=OPEN).order_by("-id"), rows.filter(state__in=FINAL).order_by("-id"))


@dataclasses.dataclass(frozen=True)
class Waiting:
    """What could run and does not yet: since when the oldest of it waits, and how many there are."""

    since: dt.datetime | None
    number: int


NOTHING_WAITS = Waiting(None, 0)


def waiting(tenant: Tenant | None = None) -> Waiting:
    """Over the scope in force, or one customer of it. What waits for its own time does not count."""
    due = Command.objects.filter(state=State.QUEUED, not_before__lte=Now()).order_by()
    if tenant is not None:
        due = due.filter(tenant=tenant)
    return Waiting(**due.aggregate(since=Min("not_before"), number=Count("id")))


def debounced(tenant: Tenant) -> QuerySet[Command]:
    """What waits for further changes, and what Process All makes due (REP-13)."""
    found: QuerySet[Command] = Command.objects.filter(
        tenant=tenant, state=State.QUEUED, reason=Reason.DEBOUNCE
    ).order_by("id")
    return found


_SILENT = f"""
    WITH due AS (
        SELECT min(greatest(l.due_at, l.not_before)) AS since
          FROM replication_lane l LEFT JOIN tenants_tenant t ON t.id = l.tenant_id
         WHERE l.due_at < now() - %(silence)s::interval AND l.not_before < now() - %(silence)s::interval
           AND l.suspended_code = '' AND l.name <> 'powershell'
           AND (l.tenant_id IS NULL OR (t.enabled AND t.paused_at IS NULL AND t.deleted_at IS NULL))
           AND NOT EXISTS (SELECT FROM replication_command e WHERE e.lane_id = l.id AND e.state = 'executing')
           AND NOT EXISTS (SELECT FROM replication_switch s WHERE s.name = 'pause' AND s."on")
           AND NOT {states.HELD_BY_BREAKER}
    ), orphan AS (
        SELECT min(lease_until) AS since FROM replication_command
         WHERE state = 'executing' AND lease_until < now() - %(silence)s::interval
    ), life AS (
        SELECT greatest((SELECT max(served_at) FROM replication_lane WHERE name <> 'powershell'),
                        (SELECT max(lease_until) FROM replication_command WHERE state = 'executing')) AS last
    )
    SELECT greatest(least(due.since, orphan.since), life.last) FROM due, orphan, life
     WHERE least(due.since, orphan.since) IS NOT NULL AND life.last < now() - %(silence)s::interval
"""  # noqa: S608  a constant of our own


def silent_since() -> dt.datetime | None:
    """Since when work is due and no worker has taken any, or nothing when one lives.

    A worker shows its life by serving any lane, of whatever customer, and by the leases it renews; so this is
    asked over all of them, and the answer tells nobody anything about another customer.
    """
    with scope.every("whether a worker lives is the same for everybody"), connection.cursor() as cursor:
        cursor.execute(_SILENT, {"silence": SILENCE})
        row = cursor.fetchone()
    return row[0] if row else None
