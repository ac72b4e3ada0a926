"""What the worker may do about telephony: read it (decision 11: Teams users, Teams policies, Number assignments)."""

import datetime as dt
import time
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection

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


def schedule() -> int:
    """Telephony is read after the directory, numbers of Operator Connect every few minutes; how many readings.

    Microsoft has no delta for telephony, so a quick replication takes it along no more often than TEAMS_READ_SECONDS;
    a full one does at once. The next time is set from now, spread a little, so that customers drift apart.
    """
    with scope.every("the sweeper starts readings of telephony"):
        begun = time.monotonic()
        due = _due()
        _Clock.again = time.monotonic() + RESTS * (time.monotonic() - begun)
        customers = {each.id: each for each in Tenant.objects.filter(id__in={tenant for tenant, _ in due})}
        for tenant_id, stream in due:
            services.submit(SYSTEM, KINDS[Stream(stream)], customers[tenant_id])
    return len(due)


def _due() -> list[tuple[Any, str]]:
    """(customer, stream) in the order of their commands: users before their policies."""
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
        found = [(row[0], row[1]) for row in cursor.fetchall()]
    order = list(KINDS)
    return sorted(found, key=lambda one: (str(one[0]), order.index(Stream(one[1]))))


_DUE = """
WITH stream(name, kind, place) AS (
    SELECT * FROM unnest(ARRAY[%(users)s, %(policies)s, %(numbers)s], %(kinds)s::text[], ARRAY[1, 2, 3])),
due AS (
    SELECT t.id, k.name, CASE WHEN k.name = %(numbers)s AND t.service = %(connect)s
                              THEN %(refresh)s ELSE %(usual)s END AS every
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
    ORDER BY s.next_at NULLS FIRST, k.place LIMIT %(batch)s)
INSERT INTO telephony_stream AS s (tenant_id, stream, rows, left_out, asked_at, next_at)
SELECT due.id, due.name, 0, 0, statement_timestamp(), statement_timestamp() + due.every * (0.95 + random() * 0.1)
FROM due
ON CONFLICT (tenant_id, stream) DO UPDATE SET asked_at = excluded.asked_at, next_at = excluded.next_at
RETURNING s.tenant_id, s.stream
"""
