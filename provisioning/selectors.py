"""Reads for people: what is wanted of users, plans and their lines, and how things were at a past time."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Collection, Iterable
from typing import Any

from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet

from core.errors import NotFound
from provisioning import judging
from provisioning.aspects import Thing, Value, aspect_of, groups_named
from provisioning.models import OPEN_CHANGES, Act, Change, ChangeState, Line, LineState, Plan
from provisioning.services import APPLY
from replication import plans as removals
from replication.models import OPEN, Command, RemovalPlan, State
from tenants.models import Tenant
from tenants.written import Written

WRITTEN = (LineState.DONE, LineState.UNSEEN)
TRIED = (*WRITTEN, LineState.SENT, LineState.ACCEPTED, LineState.FAILED)
"""Lines of which something was sent."""


# --- Changes ------------------------------------------------------------------------------------------------
def changes(tenant: Tenant, *, state: str = "", search: str = "") -> QuerySet[Change]:
    """Newest first. Without a state: what is open, and what failed and was not asked for again since."""
    rows = Change.objects.filter(tenant=tenant).select_related("edit", "plan").order_by("-id")
    if state in ChangeState.values:
        rows = rows.filter(state=state)
    elif state != "all":
        rows = rows.filter(unsettled())
    if search:
        rows = rows.filter(Q(subject_name__icontains=search) | Q(number__contains=search))
    return rows


def unsettled() -> Q:
    """Open, or failed with no later change for the same thing."""
    later = Change.objects.filter(
        tenant_id=OuterRef("tenant_id"),
        subject_id=OuterRef("subject_id"),
        aspect=OuterRef("aspect"),
        id__gt=OuterRef("id"),
    )
    return Q(state__in=OPEN_CHANGES) | Q(~Exists(later), state=ChangeState.FAILED)


def counts(tenant: Tenant) -> dict[str, int]:
    """How many changes wait, are being applied, and failed; one query."""
    rows = Change.objects.filter(unsettled(), tenant=tenant).order_by()
    found = dict(rows.values_list("state").annotate(Count("id")))
    return {state: found.get(state, 0) for state in ("pending", "applying", "failed")}


def unsettled_of(tenant: Tenant, subject_id: uuid.UUID) -> dict[str, Change]:
    """By aspect, what is wanted of a user and not there yet."""
    rows = Change.objects.filter(unsettled(), tenant=tenant, subject_id=subject_id).select_related("edit")
    return {row.aspect: row for row in rows.order_by("id")}


def claimed(tenant: Tenant) -> set[str]:
    """Numbers that the customer's changes wait for."""
    rows = Change.objects.filter(tenant=tenant, state__in=OPEN_CHANGES, number__isnull=False)
    return {number.partition(";")[0] for number in rows.values_list("number", flat=True) if number}


def numbers_wanted(tenant: Tenant, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The number that each of these users has, or gets by a change that is under way."""
    held = judging.current([Thing(each, "number") for each in ids], tenant)
    found = {thing.subject_id: value["number"] for thing, value in held.items() if value}
    rows = Change.objects.filter(tenant=tenant, aspect="number", state__in=OPEN_CHANGES).order_by("id")
    wanted = dict(rows.values_list("subject_id", "number"))
    found |= {each: wanted[each] for each in ids if each in wanted}
    return {each: number for each, number in found.items() if number}


def commands(tenant: Tenant) -> tuple[Command | None, Command | None]:
    """The command that will write what waits, or does so now; and the one that is drawing a plan.

    Where changes wait and there is no first one, they wait for a person (`left_waiting`).
    """
    rows = Command.objects.filter(tenant=tenant, kind=APPLY, state__in=OPEN)
    found = list(rows.select_related("tenant", "lane").order_by("target", "id"))
    writing = next((one for one in found if not one.dry_run), None)
    return writing, next((one for one in found if one.dry_run), None)


@dataclasses.dataclass(frozen=True)
class LeftWaiting:
    """Changes of a customer that nothing will write by itself: their plan or its command came to nothing."""

    tenant: Tenant
    number: int
    since: dt.datetime


def left_waiting(limit: int, tenant: Tenant | None = None) -> list[LeftWaiting]:
    """Of the customers in scope that work at all; those that wait for longest first. Two queries."""
    tenants = {row.id: row for row in _LEFT.rows(tenant and tenant.id, limit=limit)}
    if not tenants:
        return []
    counted = (
        Change.objects.filter(state=ChangeState.PENDING, tenant_id__in=tenants)
        .order_by()
        .values_list("tenant_id")
    )
    found = counted.annotate(number=Count("id"), since=Min("changed_at")).order_by("since")
    return [LeftWaiting(tenants[key], number, since) for key, number, since in found]


def _left(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Tenant]:
    mine = Change.objects.filter(state=ChangeState.PENDING, tenant_id=OuterRef("id"))
    awaited = Command.objects.filter(tenant_id=OuterRef("id"), kind=APPLY, dry_run=False, state__in=OPEN)
    rows: QuerySet[Tenant] = Tenant.objects.filter(
        Exists(mine), ~Exists(awaited), enabled=True, deleted_at=None
    )
    rows = rows.filter(id=tenant_id) if tenant_id else rows
    return rows.order_by("id")[:limit]


_LEFT = Written(_left)


# --- Plans --------------------------------------------------------------------------------------------------
def plans(tenant: Tenant | None, *, state: str = "", search: str = "") -> QuerySet[Plan]:
    """Newest first; without a customer, of all that are in scope."""
    rows = Plan.objects.filter(tenant=tenant) if tenant else Plan.objects.select_related("tenant")
    rows = rows.filter(state=state) if state else rows
    if search:
        rows = rows.filter(Q(actor_label__icontains=search) | Q(tenant__name__icontains=search))
    return rows.order_by("-id")


def plan(tenant: Tenant, uid: uuid.UUID) -> Plan:
    """Raises NotFound."""
    found: Plan | None = Plan.objects.filter(tenant=tenant, uid=uid).first()
    if found is None:
        raise NotFound(thing="plan")
    return found


def plan_of_command(tenant: Tenant, command: Command) -> Plan | None:
    """The plan that a command drew or carries out."""
    named = command.result.get("plan") or command.checkpoint.get("plan")
    mine = Q(uid=named) if named else Q(command_id=command.id)
    return Plan.objects.filter(mine, tenant=tenant).order_by("-id").first()


@dataclasses.dataclass(frozen=True)
class Carrier:
    """What a plan's command is doing, and what keeps it."""

    command: Command
    removal: RemovalPlan | None
    """What a second person must confirm first."""


def carrier(row: Plan) -> Carrier | None:
    """The newest command that draws the plan or carries it out, while it is remembered."""
    mine = Q(id=row.command_id) | Q(kind=APPLY, target=str(row.uid))
    found = (
        Command.objects.filter(mine, tenant_id=row.tenant_id)
        .select_related("tenant", "lane")
        .order_by("-id")
        .first()
    )
    if found is None:
        return None
    waits = found.state == State.SUSPENDED and removals.awaited(found)
    return Carrier(found, removals.of_command(found.id).first() if waits else None)


def lines(row: Plan, *, act: str = "", state: str = "", search: str = "") -> QuerySet[Line]:
    """In the order in which they are written."""
    rows = Line.objects.filter(plan=row).order_by("place", "id")
    rows = rows.filter(act=act) if act else rows
    rows = rows.filter(state=state) if state else rows
    return rows.filter(subject_name__icontains=search) if search else rows


def unwritten(row: Plan) -> int:
    """How many lines of a plan that was carried out wrote nothing: there is nothing to take back of them."""
    states = [LineState.FAILED, LineState.BLOCKED, LineState.SKIPPED]
    return Line.objects.filter(plan=row, state__in=states).exclude(act=Act.NOTHING).count()


def groups_of(tenant: Tenant | None, rows: Iterable[Line | Change]) -> dict[str, str]:
    """The names of the groups and sites that these are about, by aspect."""
    listed = list(rows)
    wanted = {one.aspect for one in listed if one.aspect.startswith(("member:", "route:"))}
    if not wanted:
        return {}
    found: dict[str, str] = {}
    for tenant_id in {tenant.id} if tenant else {one.tenant_id for one in listed}:
        found |= groups_named(tenant_id, wanted)
    return found


# --- What was written ---------------------------------------------------------------------------------------
def writes(
    tenant: Tenant | None, *, subject_id: uuid.UUID | None = None, state: str = "", search: str = ""
) -> QuerySet[Line]:
    """Every line of which something was sent, newest first; without a customer, of all that are in scope."""
    rows = Line.objects.filter(state__in=TRIED).exclude(act=Act.NOTHING)
    rows = rows.select_related("change__edit", "plan", *([] if tenant else ["tenant"]))
    rows = rows.filter(tenant=tenant) if tenant else rows
    rows = rows.filter(subject_id=subject_id) if subject_id else rows
    rows = rows.filter(state=state) if state else rows
    return (rows.filter(subject_name__icontains=search) if search else rows).order_by("-id")


def changes_of(tenant: Tenant, subject_id: uuid.UUID) -> QuerySet[Change]:
    """Everything that was ever asked of a user, newest first."""
    rows = Change.objects.filter(tenant=tenant, subject_id=subject_id)
    return rows.select_related("edit", "plan").order_by("-id")


@dataclasses.dataclass(frozen=True)
class Then:
    """A thing as it was at a time. `line` is the write that says so."""

    thing: Thing
    name: str
    value: Value
    line: Line
    written_before: bool
    """Whether the portal had written it by then; otherwise a later write found this value before it."""


def as_of(tenant: Tenant, moment: dt.datetime, subject_id: uuid.UUID | None = None) -> QuerySet[Line]:
    """For each thing that the portal ever wrote, the one line that says how it was: the last write by that time, or
    the first one after it, which noted what was there before."""
    rows = Line.objects.filter(tenant=tenant, state__in=WRITTEN, done_at__isnull=False).exclude(
        act=Act.NOTHING
    )
    rows = rows.filter(subject_id=subject_id) if subject_id else rows
    one = ("subject_id", "aspect")
    earlier = rows.filter(done_at__lte=moment).order_by(*one, "-done_at", "-id").distinct(*one)
    later = rows.filter(done_at__gt=moment).order_by(*one, "done_at", "id").distinct(*one)
    before = Line.objects.filter(
        tenant=tenant, state__in=WRITTEN, done_at__lte=moment,
        subject_id=OuterRef("subject_id"), aspect=OuterRef("aspect"),
    ).exclude(act=Act.NOTHING)  # fmt: skip
    chosen = Q(id__in=earlier.values("id")) | Q(~Exists(before), id__in=later.values("id"))
    return rows.filter(chosen).order_by("subject_name", "subject_id", "aspect")


def then(rows: Iterable[Line], moment: dt.datetime) -> list[Then]:
    """What these lines of `as_of` say of that time."""
    return [_then(line, line.done_at is not None and line.done_at <= moment) for line in rows]


def _then(line: Line, by_then: bool) -> Then:
    known = line.after if by_then else line.before
    return Then(Thing(line.subject_id, line.aspect), line.subject_name, known, line, by_then)


def now(tenant: Tenant, things: Collection[Thing]) -> dict[Thing, Value]:
    """What the copy says of these."""
    return judging.current(list(things), tenant)


# --- How it came to be --------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Link:
    """The last write of a thing, and whether the copy, read since, still says the same."""

    line: Line
    now: Value
    read_at: dt.datetime | None

    @property
    def read_since(self) -> bool:
        return bool(self.read_at and self.line.done_at and self.read_at > self.line.done_at)

    @property
    def still(self) -> bool:
        return aspect_of(self.line.aspect).same(self.now, self.line.after)


def chain(tenant: Tenant, subject_id: uuid.UUID, read_at: dict[str, dt.datetime | None]) -> list[Link]:
    """For each thing of a user that was written, its last write. `read_at`: by family, when the copy was read."""
    one = ("subject_id", "aspect")
    last = (
        Line.objects.filter(tenant=tenant, subject_id=subject_id, state__in=WRITTEN)
        .exclude(act=Act.NOTHING)
        .order_by(*one, "-id")
        .distinct(*one)
        .select_related("change__edit", "plan")
    )
    rows: list[Any] = list(last)
    present = now(tenant, [Thing(row.subject_id, row.aspect) for row in rows])
    return [
        Link(row, present.get(Thing(row.subject_id, row.aspect)), read_at.get(row.aspect.partition(":")[0]))
        for row in rows
    ]
