"""What the worker may do about telephony: read it (decision 11: Teams users, Teams policies, Number assignments)."""

import dataclasses
import datetime as dt
import time
import uuid
from collections.abc import Iterable
from itertools import groupby
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection, transaction

from directory.commands import MirrorKind
from m365 import teams
from m365.clouds import CLOUDS
from replication import services
from replication.context import Context, Outcome
from replication.models import LaneName
from replication.registry import chore, register
from telephony import holds, usage, ways  # noqa: F401  two for their chores
from telephony.models import Stream
from telephony.reading import Reading
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Service, Tenant

BATCH = 500
RESTS = 100
"""Times as long as a look took."""


class TelephonyKind(MirrorKind):
    """One stream of telephony into the mirror."""

    reconcile = (
        "Reads only; every page is stored with the link to the next one in one transaction, so a run that was "
        "cut off goes on from there, and a page that comes twice changes nothing."
    )
    stream: ClassVar[Stream]

    def lane_of(self, tenant: Tenant | None) -> LaneName:
        return ways.lane_of(tenant) if tenant is not None else self.lane

    def run(self, ctx: Context) -> Outcome:
        """Raises UmpError: sync_off, connection_unverified, or whatever Microsoft answers."""
        return Reading(ctx, self.line(ctx), self.stream).slice()


@register
class TeamsUsers(TelephonyKind):
    name = "teams_users"
    title = "Teams users"
    stream = Stream.USERS


@register
class TeamsPolicies(TelephonyKind):
    name = "teams_policies"
    title = "Teams policies"
    stream = Stream.POLICIES


@register
class NumberAssignments(TelephonyKind):
    name = "number_assignments"
    title = "Number assignments"
    stream = Stream.NUMBERS


KINDS = {kind.stream: kind.name for kind in (TeamsUsers, TeamsPolicies, NumberAssignments)}


class _Clock:
    """When this process may look again; the database says what was asked for, so looking often harms nothing."""

    again = float("-inf")


@chore
def look_after_a_rest() -> None:
    """Looking takes no more than a hundredth of the time: at once with a few customers, seldom with ten thousand."""
    if time.monotonic() >= _Clock.again:
        schedule()


@dataclasses.dataclass(frozen=True)
class Due:
    """A stream whose reading is due, as it was seen: `asked_at` is when it was asked for last."""

    tenant_id: uuid.UUID
    stream: Stream
    every: dt.timedelta
    asked_at: dt.datetime | None


def schedule() -> int:
    """Telephony is read after the directory, numbers of Operator Connect every few minutes; how many readings.

    Microsoft has no delta for telephony, so a quick replication takes it along no more often than TEAMS_READ_SECONDS;
    a full one does at once. The next time is set from now, spread a little, so that customers drift apart.
    """
    with scope.every("the sweeper looks which readings of telephony are due"):
        begun = time.monotonic()
        due = _due()
        _Clock.again = time.monotonic() + RESTS * (time.monotonic() - begun)
    return sum(
        _ask(tenant_id, list(found)) for tenant_id, found in groupby(due, key=lambda one: one.tenant_id)
    )


def _ask(tenant_id: uuid.UUID, due: Iterable[Due]) -> int:
    """Queue them, unless another sweeper was faster; how many.

    A transaction for each customer: lanes and streams that were locked for all of them at once would keep readings
    that end meanwhile, and people's wishes, waiting for the last one.
    """
    with scope.one(tenant_id), transaction.atomic():
        mine = [one for one in due if _taken(one)]
        if mine:
            tenant = Tenant.objects.get(id=tenant_id)
            for one in mine:
                services.submit(SYSTEM, KINDS[one.stream], tenant)
    return len(mine)


def _taken(due: Due) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {**vars(due), "stream": due.stream.value})
        return bool(cursor.rowcount)


def _due() -> list[Due]:
    """Customer by customer, each in the order of its commands: users before their policies."""
    powershell = ways.powershell_is_there()
    values: dict[str, Any] = {
        "clouds": [key for key in CLOUDS if teams.in_cloud(key) or powershell],
        "users": Stream.USERS,
        "policies": Stream.POLICIES,
        "numbers": Stream.NUMBERS,
        "kinds": list(KINDS.values()),
        "connect": Service.OPERATOR_CONNECT,
        "refresh": dt.timedelta(seconds=settings.NUMBER_REFRESH_SECONDS),
        "usual": dt.timedelta(seconds=settings.TEAMS_READ_SECONDS),
        "batch": BATCH,
    }
    with connection.cursor() as cursor:
        cursor.execute(_DUE, values)
        found = [Due(row[0], Stream(row[1]), row[2], row[3]) for row in cursor.fetchall()]
    order = list(KINDS)
    return sorted(found, key=lambda one: (str(one.tenant_id), order.index(one.stream)))


_DUE = """
    WITH stream(name, kind, place) AS (
        SELECT * FROM unnest(ARRAY[%(users)s, %(policies)s, %(numbers)s], %(kinds)s::text[], ARRAY[1, 2, 3]))
    SELECT t.id, k.name, CASE WHEN k.name = %(numbers)s AND t.service = %(connect)s
                              THEN %(refresh)s ELSE %(usual)s END AS every, s.asked_at
    FROM tenants_tenant t JOIN tenants_connection c ON c.tenant_id = t.id CROSS JOIN stream k
    LEFT JOIN telephony_stream s ON s.tenant_id = t.id AND s.stream = k.name
    LEFT JOIN (SELECT tenant_id, max(last_full_at) AS last_at FROM directory_stream GROUP BY tenant_id) f
      ON f.tenant_id = t.id
    WHERE t.deleted_at IS NULL AND t.enabled AND t.with_sync AND t.paused_at IS NULL
      AND t.last_replicated_at IS NOT NULL AND c.verification = 'successful' AND c.cloud = ANY(%(clouds)s)
      AND (s.asked_at IS NULL
           OR s.next_at <= statement_timestamp() AND (t.last_replicated_at > s.asked_at
              OR k.name = %(numbers)s AND t.service = %(connect)s)
           OR f.last_at > s.asked_at)
      AND NOT EXISTS (SELECT FROM replication_command q WHERE q.tenant_id = t.id AND q.kind = k.kind
                      AND q.state IN ('queued', 'executing', 'suspended'))
    ORDER BY s.next_at NULLS FIRST, k.place LIMIT %(batch)s
"""
_TAKE = """
    INSERT INTO telephony_stream AS s (tenant_id, stream, rows, left_out, asked_at, next_at)
    VALUES (%(tenant_id)s, %(stream)s, 0, 0, statement_timestamp(),
            statement_timestamp() + %(every)s * (0.95 + random() * 0.1))
    ON CONFLICT (tenant_id, stream) DO UPDATE SET asked_at = excluded.asked_at, next_at = excluded.next_at
        WHERE s.asked_at IS NOT DISTINCT FROM %(asked_at)s
"""
