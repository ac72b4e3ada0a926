"""Reads for people who watch the queue: what waits how long, whether anybody works, open commands first."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connection
from django.db.models import QuerySet

from replication import states
from replication.models import FINAL, OPEN, Command, Reason, State
from tenants import scope
from tenants.models import Tenant
from tenants.recent import Recent
from tenants.tables import Chain

SILENCE = "60 seconds"
"""How long due work may lie before people are told that no worker runs; a busy worker takes seconds."""


def open_first(rows: Callable[[Sequence[State]], Any], opened: int | None = None) -> Chain:
    """The queue as people look at it: what is open first, then what ended, each newest first.

    Two indexed reads instead of one sort over every command that is kept. `rows` gives those in some states;
    `opened`: how many of these are open, where that is known.
    """
    return Chain(rows(OPEN), rows(FINAL), opened)


@dataclasses.dataclass(frozen=True)
class Waiting:
    """What could run and does not yet: since when the oldest of it waits, and how many there are."""

    since: dt.datetime | None
    number: int


@dataclasses.dataclass(frozen=True)
class Standing:
    """What is open, by state; what waits for a worker; when what waits for further changes will start."""

    counters: dict[str, int]
    waiting: Waiting
    settles_at: dt.datetime | None


_STANDING = """
    SELECT count(*) FILTER (WHERE state = 'queued'), count(*) FILTER (WHERE state = 'executing'),
           count(*) FILTER (WHERE state = 'suspended'),
           min(not_before) FILTER (WHERE state = 'queued' AND not_before <= statement_timestamp()),
           count(*) FILTER (WHERE state = 'queued' AND not_before <= statement_timestamp()),
           min(not_before) FILTER (WHERE state = 'queued' AND reason = 'debounce')
      FROM replication_command
     WHERE state IN ('queued', 'executing', 'suspended') AND (%(every)s OR tenant_id = ANY(%(tenants)s))
"""


def standing() -> Standing:
    """Over the scope in force, or one customer of it; in SQL, which Django takes ten times as long to write."""
    tenants = scope.require().tenants
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {"every": tenants is None, "tenants": list(tenants or ())})
        queued, executing, suspended, since, number, settles_at = cursor.fetchone()
    counters = {
        State.QUEUED.value: queued,
        State.EXECUTING.value: executing,
        State.SUSPENDED.value: suspended,
    }
    return Standing({"open": sum(counters.values())} | counters, Waiting(since, number), settles_at)


@dataclasses.dataclass(frozen=True)
class Pace:
    """How soon work is begun, by what ended lately: seconds from due to begun, None where nothing did.

    `workers` are processes that hold a command now; `held` and `asleep` customers whose connection is not proven,
    or whom Microsoft asked to wait.
    """

    ended: int
    half: float | None
    most: float | None
    workers: int
    held: int
    asleep: int


LATELY = dt.timedelta(minutes=10)
_PACE = """
    WITH lately AS (
        SELECT extract(epoch FROM started_at - greatest(queued_at, not_before))::float8 AS wait
          FROM replication_command
         WHERE state IN ('succeeded', 'failed', 'cancelled') AND finished_at > now() - %(lately)s
           AND started_at >= not_before
         ORDER BY finished_at DESC LIMIT 1000
    )
    SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY wait),
           percentile_disc(0.95) WITHIN GROUP (ORDER BY wait),
           (SELECT count(DISTINCT lease_owner) FROM replication_command WHERE state = 'executing'),
           (SELECT count(DISTINCT tenant_id) FROM replication_lane WHERE suspended_code <> ''),
           (SELECT count(DISTINCT tenant_id) FROM replication_lane
             WHERE due_at IS NOT NULL AND not_before > statement_timestamp())
      FROM lately
"""


def pace() -> Pace:
    """Over the scope in force; of the last thousand that ended. What was put off after it had begun is left out:
    when it was due first is not known any more. Kept for some seconds, because every lane is looked at for it.
    """
    return _paces.get(scope.require().tenants, _pace_now)


_paces: Recent[Pace] = Recent()


def _pace_now() -> Pace:
    asked: dict[str, Any] = {"lately": LATELY}
    with connection.cursor() as cursor:
        cursor.execute(_PACE, asked)
        return Pace(*cursor.fetchone())


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
    """As `_silent_since` said in the last seconds: lists ask every few, and every lane is looked at for it."""
    return _silences.get("for everybody", lambda: (_silent_since(),))[0]


_silences: Recent[tuple[dt.datetime | None]] = Recent()


def _silent_since() -> dt.datetime | None:
    """Since when work is due and no worker has taken any, or nothing when one lives.

    A worker shows its life by serving any lane, of whatever customer, and by the leases it renews; so this is
    asked over all of them, and the answer tells nobody anything about another customer.
    """
    with (
        scope.every_in_sight("whether a worker lives is the same for everybody"),
        connection.cursor() as cursor,
    ):
        cursor.execute(_SILENT, {"silence": SILENCE})
        row = cursor.fetchone()
    return row[0] if row else None
