"""What billing needs: active users and resource accounts of each customer, day by day (SPEC USR-10, SYN-08).

A chore counts each customer once a day, from what was read of Teams last. A month is told by its highest day, so that
whoever was there for a day is not missed. What is counted is kept as numbers of people, never as numbers to call.
"""

import datetime as dt
import re
import time
from typing import Any

from django.db import connection
from django.db.models import Case, CharField, Count, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.utils import timezone

from core.errors import InvalidInput
from replication.registry import chore
from telephony.models import Stream, Usage
from tenants import scope
from tenants.models import Tenant

BATCH = 500
"""Customers that one sweep counts."""
REST_SECONDS = 600.0
MONTHS = 13
"""As many are offered to look at; older ones are there too."""
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


class _Clock:
    """When this process looks again; the database says who was counted, so looking often harms nothing."""

    again = float("-inf")


@chore
def count_after_a_rest() -> None:
    """Batch after batch until nobody is due, and then not in each sweep: a day is long."""
    if time.monotonic() >= _Clock.again and count_today() == 0:
        _Clock.again = time.monotonic() + REST_SECONDS


def count_today() -> int:
    """Count each customer whose Teams users were read and who was not counted today; how many."""
    with scope.every("active users are counted once a day for billing"), connection.cursor() as cursor:
        cursor.execute(_COUNT, {"users": Stream.USERS, "today": timezone.now().date(), "batch": BATCH})
        return int(cursor.rowcount)


_COUNT = """
INSERT INTO telephony_usage (tenant_id, day, active_users, resource_accounts)
SELECT due.tenant_id, %(today)s,
       count(u.object_id) FILTER (WHERE u.voice AND u.number <> '' AND u.account_type <> 'resourceAccount'),
       count(u.object_id) FILTER (WHERE u.account_type = 'resourceAccount')
FROM (SELECT s.tenant_id FROM telephony_stream s JOIN tenants_tenant t ON t.id = s.tenant_id
      WHERE s.stream = %(users)s AND s.synced_at IS NOT NULL AND t.deleted_at IS NULL
        AND NOT EXISTS (SELECT FROM telephony_usage d WHERE d.tenant_id = s.tenant_id AND d.day = %(today)s)
      ORDER BY s.tenant_id LIMIT %(batch)s) due
LEFT JOIN telephony_user u ON u.tenant_id = due.tenant_id
GROUP BY due.tenant_id
ON CONFLICT DO NOTHING
"""


def month_of(text: str) -> dt.date:
    """The first day of a month such as 2026-11; of this month for nothing. Raises InvalidInput (month)."""
    if not text:
        return timezone.now().date().replace(day=1)
    found = _MONTH.fullmatch(text)
    if found is None:
        raise InvalidInput(field="month", why="it is written as 2026-11")
    return dt.date(int(found[1]), int(found[2]), 1)


def months() -> list[dt.date]:
    """This month and those before it, the newest first."""
    found = [month_of("")]
    while len(found) < MONTHS:
        found.append((found[-1] - dt.timedelta(days=1)).replace(day=1))
    return found


def of_month(first: dt.date) -> QuerySet[Any]:
    """Customers that were there in this month, each with `active_users`, `resource_accounts`, `days` and `last_day`.

    All are None for whoever was not counted; `why` says so in words. Of the scope in force.
    """
    behind = (first + dt.timedelta(days=31)).replace(day=1)
    rows = Usage.objects.filter(tenant=OuterRef("pk"), day__gte=first, day__lt=behind)
    grouped = rows.order_by().values("tenant")

    def told(what: Any) -> Subquery:
        return Subquery(grouped.annotate(told=what).values("told"))

    there = Q(deleted_at=None) | Q(deleted_at__date__gte=first)
    found: QuerySet[Any] = Tenant.objects.filter(there, created_at__date__lt=behind).annotate(
        active_users=told(Max("active_users")),
        resource_accounts=told(Max("resource_accounts")),
        days=told(Count("id")),
        last_day=told(Max("day")),
        why=Case(
            When(Q(days__gt=0), then=Value("")),
            When(with_sync=False, then=Value("Without sync nothing is read")),
            default=Value("Teams users were not read"),
            output_field=CharField(),
        ),
    )
    return found


def found(rows: QuerySet[Any], search: str) -> QuerySet[Any]:
    return rows.filter(Q(name__icontains=search) | Q(domain__icontains=search)) if search else rows
