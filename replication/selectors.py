"""Reads of the queue, within the scope in force. Counters and rows come from the same rows (REP-01)."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django.db import connection
from django.db.models import Count, Max, Q, QuerySet
from django.utils import timezone

from core.errors import NotFound
from replication import states
from replication.models import OPEN, Command, Lane, LaneName, State, Step, Switch
from replication.registry import title_of
from tenants import scope, tables
from tenants.models import Tenant
from tenants.written import Written

MINUTE = dt.timedelta(minutes=1)
OWN = (
    "tenant_id", "lane_id", "kind", "target", "dry_run", "state", "reason", "outcome", "message", "error", "result",
    "progress", "attempts", "max_attempts", "queued_at", "actor_label", "not_before", "started_at", "finished_at",
    "cancel_requested_at", "lease_until", "retry_of_id",
)  # fmt: skip
"""What lists tell of a command; the rest is for workers and for a command's own page."""


@dataclasses.dataclass(frozen=True)
class TenantCounts:
    """The three lines of the Tenants page (TEN-05)."""

    queued: int = 0
    executing: int = 0
    suspended: int = 0

    @property
    def replicating(self) -> bool:
        return self.executing > 0


def commands(
    tenant: Tenant | uuid.UUID | None = None, *, state: str = "", kind: str = "", search: str = ""
) -> QuerySet[Command]:
    """Newest first. `state` is a state or `open`; a search looks at the customer's name and the id."""
    found: QuerySet[Command] = Command.objects.select_related("tenant").order_by("-id")
    if tenant is not None:
        found = found.filter(tenant=tenant)
    if state == "open":
        found = found.filter(state__in=OPEN)
    elif state:
        found = found.filter(state=state)
    if kind:
        found = found.filter(kind=kind)
    if search:
        by_number = Q(id=int(search)) if search.isdecimal() and len(search) < 16 else Q()
        found = found.filter(Q(tenant__name__icontains=search) | by_number)
    return found


def listed(found: QuerySet[Command]) -> QuerySet[Command]:
    """Those columns that a list shows; `beside` gives the rows of a page what is around them."""
    return found.select_related(None).only(*OWN)


newest = tables.Kept(
    lambda tenant_id, kind, *, states: listed(commands(tenant_id, kind=kind or "")).filter(state__in=states)
)
"""Those of a customer, or of any (None), of this kind or of all (None), that are in one of these states."""


def latest(tenant_id: uuid.UUID, kinds: Sequence[str]) -> Command | None:
    """The customer's newest command of these kinds that is no dry run, with those columns."""
    return _LATEST.sole(tenant_id, list(kinds))


_LATEST = Written(
    lambda tenant_id, kinds: listed(
        Command.objects.filter(tenant_id=tenant_id, kind__in=kinds, dry_run=False)
    ).order_by("-id")[:1]
)


def beside(rows: Sequence[Command], tenant: Tenant | None = None) -> None:
    """Give these commands, of one customer or of any, their customers, and the open ones their lanes, made once each.

    Two queries; nobody asks when, or whether, an ended one may go on.
    """
    customers = {tenant.id: tenant} if tenant else _by_id(_TENANTS, {row.tenant_id for row in rows})
    lanes = _by_id(_LANES, {row.lane_id for row in rows if row.state in OPEN})
    for row in rows:  # as Django's own prefetching puts them there; an assignment would ask whether they fit
        row._state.fields_cache["tenant"] = customers[row.tenant_id] if row.tenant_id else None
        if row.lane_id in lanes:
            row._state.fields_cache["lane"] = lanes[row.lane_id]


def _by_id(kept: Written[Any], ids: set[Any]) -> dict[Any, Any]:
    asked = [key for key in ids if key is not None]
    return {each.id: each for each in kept.rows(asked)} if asked else {}


_TENANTS = Written(lambda ids: Tenant.objects.filter(id__in=ids).only("name", "enabled", "paused_at"))
_LANES = Written(lambda ids: Lane.objects.filter(id__in=ids).only("not_before", "suspended_code"))


def command(tenant: Tenant | None, number: int) -> Command:
    """One command of this customer (or of the provider). Raises NotFound."""
    found: Command | None = (
        Command.objects.select_related("tenant", "lane").filter(tenant=tenant, id=number).first()
    )
    if found is None:
        raise NotFound(thing="command")
    return found


def steps(command: Command) -> QuerySet[Step]:
    found: QuerySet[Step] = Step.objects.filter(command=command).order_by("id")
    return found


def counters() -> dict[str, int]:
    """open, executing, queued, suspended over the scope in force."""
    return states.count_open()


def counts_of(tenant_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, TenantCounts]:
    """One query for a page of customers; in SQL, whose one array of ids is read faster than fifty values."""
    reach = scope.require().tenants
    asked = [each for each in tenant_ids if reach is None or each in reach]
    if not asked:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_COUNTS, ["{" + ",".join(map(str, asked)) + "}"])
        rows = cursor.fetchall()
    found: dict[uuid.UUID, dict[str, int]] = {}
    for tenant_id, state, number in rows:
        found.setdefault(tenant_id, {})[state] = number
    return {tenant_id: TenantCounts(**each) for tenant_id, each in found.items()}


_COUNTS = """
    SELECT tenant_id, state, count(*) FROM replication_command
     WHERE state IN ('queued', 'executing', 'suspended') AND tenant_id = ANY(%s::uuid[]) GROUP BY tenant_id, state
"""


def next_execution(command: Command) -> str:
    """The column Next Execution Minutes: `Now`, a number of minutes, or why there is none (REP-03)."""
    if command.state == State.EXECUTING:
        return "Now"
    if command.state != State.QUEUED:
        return "waiting for you" if command.state == State.SUSPENDED else "ended"
    wait = command.not_before - timezone.now()
    return "Now" if wait <= dt.timedelta() else str(-(-wait // MINUTE))


def is_paused() -> Switch | None:
    """The switch of the whole queue when it is on."""
    return _PAUSE.sole()


_PAUSE = Written(lambda: Switch.objects.filter(name="pause", on=True))


def lane_of(tenant: Tenant) -> Lane | None:
    """The customer's data lane, with what suspends it."""
    return _LANE.sole(tenant.id)


_LANE = Written(lambda tenant_id: Lane.objects.filter(tenant_id=tenant_id, name=LaneName.DATA))


def pending(tenant: Tenant) -> Command | None:
    """The replication that waits for further changes, whose countdown is shown (REP-07)."""
    found: Command | None = Command.objects.filter(
        tenant=tenant, state=State.QUEUED, reason="debounce"
    ).first()
    return found


def activity(hours: int = 24) -> list[dict[str, Any]]:
    """Commands that ended, by hour and state, oldest hour first; for the plot of the Dashboard.

    Each row: `at` (start of the hour), `succeeded`, `failed`, `cancelled`. Hours without any are there too.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT hour, count(c.id) FILTER (WHERE c.state = 'succeeded'),
                   count(c.id) FILTER (WHERE c.state = 'failed'), count(c.id) FILTER (WHERE c.state = 'cancelled')
            FROM generate_series(date_trunc('hour', now()) - %s * interval '1 hour', date_trunc('hour', now()),
                                 interval '1 hour') AS hour
            LEFT JOIN replication_command c
              ON c.finished_at >= hour AND c.finished_at < hour + interval '1 hour'
             AND c.state IN ('succeeded', 'failed', 'cancelled')
            GROUP BY hour ORDER BY hour
            """,
            [hours - 1],
        )
        names = ("at", "succeeded", "failed", "cancelled")
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def workers() -> dict[str, object]:
    """Who holds leases now, and when a lane was served last: is anybody working at all?"""
    holders = list(
        Command.objects.filter(state=State.EXECUTING)
        .order_by()
        .values("lease_owner")
        .annotate(held=Count("id"))
    )
    return {
        "holders": holders,
        "served_at": Lane.objects.aggregate(last=Max("served_at"))["last"],
    }


def titles(found: Iterable[Command]) -> dict[int, str]:
    """Cmd Type in words, by command id."""
    return {row.id: title_of(row.kind) for row in found}
