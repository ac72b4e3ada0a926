"""Number ranges: a customer's pools of numbers, what is free in them, and how full they are.

No number is in two ranges, whoever's they are; the database has the last word (`a_number_in_one_range`). A range is
the provider's to make, so that nobody takes numbers by naming them.
"""

import dataclasses
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery

from accounts.taken import still_there
from audiocodes.dialplan import SCALE, Rule
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, NotFound, UmpError
from sites.models import Site
from telephony import intervals, numbers
from telephony.landing import place_of
from telephony.models import LISTED, NumberHold, NumberKind, NumberRange, PhoneNumber, TeamsUser
from telephony.numbers import State
from tenants import offers, scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Tenant

MOST = 1_000
"""Ranges of one customer."""
MOST_FREE = 10_000
"""Numbers that are looked for at once."""
WINDOW = 20_000
"""Numbers of a range that are looked at together."""
FEW = 10
"""A range is nearly used up when fewer per cent than this are free."""


# --- Reading ------------------------------------------------------------------------------------------------
def of_tenant(tenant: Tenant, search: str = "") -> QuerySet[NumberRange]:
    """In the order of their numbers; by words of the name, or by a number that is in them."""
    rows = NumberRange.objects.filter(tenant=tenant).select_related("site")
    return rows.filter(matching(search)) if search else rows


def matching(search: str) -> Q:
    return Q(name__icontains=search) | Q(note__icontains=search) | intervals.with_number(search)


def get(tenant: Tenant, uid: uuid.UUID) -> NumberRange:
    """Raises NotFound."""
    found = NumberRange.objects.filter(tenant=tenant, uid=uid).select_related("site").first()
    if found is None:
        raise NotFound(thing="number range")
    return found


@dataclasses.dataclass(frozen=True)
class Figures:
    """How many numbers of a range are what. `unknown`: Microsoft does not have them, so they cannot be given out."""

    numbers: int
    assigned: int = 0
    reserved: int = 0
    blocked: int = 0
    cooling: int = 0
    free: int = 0

    @property
    def unknown(self) -> int:
        return max(0, self.numbers - self.assigned - self.reserved - self.blocked - self.cooling - self.free)

    @property
    def used_up(self) -> bool:
        return self.free == 0

    @property
    def few(self) -> bool:
        """Nearly used up."""
        return self.free * 100 < self.numbers * FEW


def figures(tenant: Tenant, rows: Iterable[NumberRange]) -> dict[int, Figures]:
    """By the range's id; two queries, however many ranges."""
    ranges = list(rows)
    if not ranges:
        return {}
    low, high = envelope(ranges)
    inside = numbers.of(tenant).filter(place__gte=low, place__lt=high)
    return figured(ranges, counted(inside, ranges), _holds(tenant, low, high))


def counted(rows: QuerySet[Any], ranges: Iterable[NumberRange], **more: Any) -> Sequence[dict[str, Any]]:
    """How `many` of these numbers there are, by `range` (its id, or None), `state`, `kind` and `held`; one query.

    `more` are further aggregates of each group.
    """
    mine = NumberRange.objects.filter(id__in=[row.id for row in ranges], span__contains=OuterRef("place"))
    found = (
        rows.order_by()
        .annotate(range=Subquery(mine.order_by().values("id")[:1]))
        .values("range", "state", "kind", "held")
        .annotate(many=Count("place", distinct=True), **more)
    )
    return list(found)


def figured(
    ranges: Sequence[NumberRange], groups: Iterable[dict[str, Any]], held: Iterable[NumberHold]
) -> dict[int, Figures]:
    """By the range's id: from what was `counted` and what is `held` of them. Ranges do not overlap."""
    by_id = {row.id: row for row in ranges}
    counts: dict[int, dict[str, int]] = {each: dict.fromkeys(State.values, 0) for each in by_id}
    known: dict[int, int] = dict.fromkeys(by_id, 0)
    for group in groups:
        row, many = by_id.get(group["range"]), group["many"]
        if row is None:
            continue
        known[row.id] += many
        if group["state"] != State.FREE or group["kind"] == row.kind:
            counts[row.id][group["state"]] += many
        if group["held"]:  # its hold counts it below
            counts[row.id][group["held"]] -= many
            known[row.id] -= many
    in_order = sorted(ranges, key=lambda row: row.rule.span)
    begins = [row.rule.span[0] for row in in_order]
    for hold in held:
        first, behind = hold.rule.span
        for row in in_order[max(0, bisect_right(begins, first) - 1) : bisect_left(begins, behind)]:
            low, high = intervals.slots(row.rule, first, behind)
            if low <= high:
                counts[row.id][hold.kind] += high - low + 1
                known[row.id] += high - low + 1
    return {row.id: _figures(row, counts[row.id], known[row.id]) for row in ranges}


def envelope(ranges: Iterable[NumberRange]) -> tuple[int, int]:
    """(first place, the one behind the last) of all of them."""
    return intervals.envelope([row.rule for row in ranges])


def every(tenant: Tenant) -> list[NumberRange]:
    """In the order of their numbers."""
    return list(of_tenant(tenant).order_by("span")[:MOST])


def _figures(row: NumberRange, counts: dict[str, int], known: int) -> Figures:
    """Direct Routing numbers that Microsoft does not know are free: it learns of them when they are assigned."""
    if row.kind == NumberKind.DIRECT_ROUTING:
        counts = counts | {State.FREE: counts[State.FREE] + max(0, row.numbers - known)}
    return Figures(row.numbers, **{state: counts[state] for state in State.values})


# --- What is free -------------------------------------------------------------------------------------------
def free(tenant: Tenant, range_id: uuid.UUID, count: int, *, besides: Collection[str] = ()) -> list[str]:
    """The next free numbers of a range, the lowest first: at most `count`, fewer when it has no more.

    Free is what nobody has (at Microsoft, for another customer either), does not cool, and is neither reserved nor
    blocked; `besides` names further ones that are spoken for, such as those of changes that wait. Nothing is set
    aside: whoever takes one writes it down in the transaction that holds his lock.
    Raises NotFound; InvalidInput (count).
    """
    if not 1 <= count <= MOST_FREE:
        raise InvalidInput(field="count", why=f"between 1 and {MOST_FREE:,}")
    row = get(tenant, range_id)
    found: list[str] = []
    for number in _free(tenant, row, {place_of(each) for each in besides}):
        found.append(number)
        if len(found) == count:
            break
    return found


def _free(tenant: Tenant, row: NumberRange, spoken_for: set[int]) -> Iterator[str]:
    rule, scale = row.rule, SCALE[row.rule.length]
    for low in range(rule.low, rule.high + 1, WINDOW):
        high = min(low + WINDOW, rule.high + 1)
        inside = Q(place__gte=low * scale, place__lt=high * scale)
        free = numbers.of(tenant).filter(inside, state=State.FREE, kind=row.kind).order_by()
        known = {place // scale for place in free.values_list("place", flat=True)}
        if row.kind == NumberKind.DIRECT_ROUTING:
            listed = PhoneNumber.objects.filter(LISTED, inside, tenant=tenant).order_by()
            others = {place // scale for place in listed.values_list("place", flat=True)} - known
            slots: Iterable[int] = range(low, high)
        else:
            others, slots = set(), sorted(known)
        others |= {place // scale for place in spoken_for}
        others |= _elsewhere(tenant, rule, low, high)
        for slot in slots:
            if slot not in others:
                yield intervals.number(rule, slot)


def _elsewhere(tenant: Tenant, rule: Rule, low: int, high: int) -> set[int]:
    """Which of these numbers are held, another customer's at Microsoft, or a user's without being in the list."""
    scale = SCALE[rule.length]
    first, behind = low * scale, high * scale
    found: set[int] = set()
    for hold in _holds(tenant, first, behind):
        start, end = intervals.slots(rule, *hold.rule.span)
        found.update(range(max(start, low), min(end, high - 1) + 1))
    with scope.every("a number that another customer has at Microsoft is not given out"):
        theirs = PhoneNumber.objects.filter(LISTED, place__gte=first, place__lt=behind).exclude(tenant=tenant)
        found |= {place // scale for place in theirs.order_by().values_list("place", flat=True)}
    head = _head(rule, low, high - 1)
    users = TeamsUser.objects.filter(LISTED, tenant=tenant, numbers__contains=head).order_by()
    for told in users.values_list("numbers", flat=True):
        found |= {place_of(each) // scale for each in told.split() if first <= place_of(each) < behind}
    return found


def _head(rule: Rule, low: int, high: int) -> str:
    """What all of these numbers begin with."""
    one, other = intervals.number(rule, low), intervals.number(rule, high)
    same = next((at for at, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1]), len(one))
    return one[:same]


def _holds(tenant: Tenant, low: int, high: int) -> QuerySet[NumberHold]:
    return NumberHold.objects.filter(numbers.IN_FORCE, tenant=tenant, span__overlap=(low, high))


# --- Writing ------------------------------------------------------------------------------------------------
@transaction.atomic
def add(
    actor: Actor,
    tenant: Tenant,
    *,
    name: str,
    kind: str,
    first: str,
    last: str = "",
    site: Site | None = None,
    note: str = "",
) -> NumberRange:
    """In the customer's scope. Raises InvalidInput naming the field; not_offered; number_range_taken."""
    offers.require(tenant, "number_ranges")
    if NumberRange.objects.filter(tenant=tenant).count() >= MOST:
        raise InvalidInput(field="name", why=f"the customer has {MOST:,} ranges already")
    row = NumberRange(tenant=tenant, created_by=actor.label)
    _fill(
        actor, row, {"name": name, "kind": kind, "site": site, "note": note}, intervals.between(first, last)
    )
    _note(actor, "range.added", row, {"numbers": (None, str(row)), "type": (None, row.get_kind_display())})
    return row


@transaction.atomic
def change(actor: Actor, row: NumberRange, *, version: int | None = None, **given: Any) -> NumberRange:
    """What is left out keeps its value; numbers that are no longer in it stay where they are.

    Raises InvalidInput naming the field; number_range_taken; Conflict when somebody was faster.
    """
    locked = _locked(row)
    if version is not None and locked.row_version != version:
        raise Conflict("conflict_version", thing=locked.name)
    before = _said(locked)
    rule = locked.rule
    if {"first", "last"} & given.keys():
        rule = intervals.between(given.get("first", locked.first), given.get("last", locked.last))
    known = {"name": locked.name, "kind": locked.kind, "site": locked.site, "note": locked.note}
    locked.row_version += 1
    _fill(actor, locked, known | {key: given[key] for key in known.keys() & given.keys()}, rule)
    after = _said(locked)
    _note(
        actor,
        "range.changed",
        locked,
        {key: (before[key], after[key]) for key in after if before[key] != after[key]},
    )
    return locked


@transaction.atomic
def remove(actor: Actor, row: NumberRange) -> None:
    """The range is forgotten; its numbers, and what is reserved or blocked of them, stay as they are."""
    locked = _locked(row)
    _note(actor, "range.removed", locked, {"numbers": (str(locked), None)})
    locked.delete()


def _locked(row: NumberRange) -> NumberRange:
    return still_there(NumberRange.objects.filter(id=row.id).select_related("site"), "number range")


def _fill(actor: Actor, row: NumberRange, given: dict[str, Any], rule: Rule) -> None:
    name = " ".join(str(given["name"]).split())
    if not name or len(name) > 60:
        raise InvalidInput(field="name", why="it needs 1 to 60 characters")
    if given["kind"] not in NumberKind.values:
        raise InvalidInput(field="kind", why=f"it is one of {', '.join(NumberKind.values)}")
    note = str(given["note"]).strip()
    if len(note) > 300:
        raise InvalidInput(field="note", why="it has 300 characters at most")
    if given["site"] is not None and given["site"].tenant_id != row.tenant_id:
        raise InvalidInput(field="site", why="the customer has no such site")
    row.name, row.kind, row.site, row.note = name, given["kind"], given["site"], note
    for field, value in intervals.fields(rule).items():
        setattr(row, field, value)
    if NumberRange.objects.filter(tenant=row.tenant_id, name=name).exclude(id=row.id).exists():
        raise InvalidInput(field="name", why="the customer has a range of this name")
    if why := _taken(actor, row):
        raise _refused(row, why)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:  # somebody was faster between the look and the write
        raise _refused(row, _taken(actor, row) or "somebody has changed ranges at the same moment") from None


def _taken(actor: Actor, row: NumberRange) -> str:
    """Which range has numbers of it; another customer's is named only to those who may see that customer."""
    with scope.every("a number is in one range only, whoever's"):
        other = (
            NumberRange.objects.filter(span__overlap=row.rule.span)
            .exclude(id=row.id)
            .select_related("tenant")
            .order_by("span")
            .first()
        )
        if other is None:
            return ""
        customer = other.tenant.name
    if other.tenant_id == row.tenant_id:
        return f"the range {other.name} has {other}"
    if actor.may(Ability.VIEW_TENANT, other.tenant_id):
        return f"the range {other.name} of {customer} has {other}"
    return "another customer has numbers of it"


def _refused(row: NumberRange, why: str) -> UmpError:
    return UmpError.of("number_range_taken", prefix=str(row), why=why)


def _said(row: NumberRange) -> dict[str, object]:
    return {
        "name": row.name,
        "numbers": str(row),
        "type": row.get_kind_display(),
        "site": row.site.name if row.site else None,
        "note": row.note,
    }


def _note(actor: Actor, action: str, row: NumberRange, changes: Changes) -> None:
    record(
        actor,
        action,
        tenant_id=row.tenant_id,
        object_kind="number range",
        object_id=row.uid,
        object_label=row.name,
        changes=changes,
    )
