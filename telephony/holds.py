"""Reservations and blocks: numbers of a customer that nobody is given, until a time or until somebody releases them.

They are the customer's own matter, inside its own numbers. A hold that is over counts no more at once; the sweeper
takes the row away later.
"""

import dataclasses
import datetime as dt
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from functools import reduce
from operator import or_
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from audiocodes.dialplan import Rule
from audit.services import Changes, record
from core.errors import InvalidInput, NotFound, UmpError
from replication.registry import chore
from telephony import intervals, numbers
from telephony.models import LISTED, HoldKind, NumberHold, NumberRange, PhoneNumber
from tenants import offers, scope
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant

MOST = 10_000
"""Numbers or ranges of one act."""
BATCH = 1_000
LONGEST_HOLDER, LONGEST_NOTE = 120, 300


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one wish; `why` it was refused, empty when it is held."""

    rule: Rule
    why: str = ""


# --- Reading ------------------------------------------------------------------------------------------------
def of_tenant(tenant: Tenant, search: str = "", kind: str = "") -> QuerySet[NumberHold]:
    """Those in force, in the order of their numbers; by words, or by a number."""
    rows = NumberHold.objects.filter(numbers.IN_FORCE, tenant=tenant)
    if search:
        rows = rows.filter(matching(search))
    return rows.filter(kind=kind) if kind else rows


def matching(search: str) -> Q:
    words = Q(holder__icontains=search) | Q(note__icontains=search) | Q(created_by__icontains=search)
    return words | intervals.with_number(search)


def get(tenant: Tenant, uid: uuid.UUID) -> NumberHold:
    """Raises NotFound, also for one that is over."""
    found = NumberHold.objects.filter(numbers.IN_FORCE, tenant=tenant, uid=uid).first()
    if found is None:
        raise NotFound(thing="reservation or block")
    return found


def of_numbers(rows: Iterable[PhoneNumber]) -> dict[tuple[uuid.UUID, uuid.UUID], NumberHold]:
    """By customer and number: the reservation or block that it is under; one query."""
    listed = list(rows)
    if not listed:
        return {}
    touching = reduce(or_, (Q(tenant=one.tenant_id, span__contains=one.place) for one in listed))
    return by_number(listed, NumberHold.objects.filter(numbers.IN_FORCE, touching).order_by())


def by_number(
    rows: Iterable[PhoneNumber], held: Iterable[NumberHold]
) -> dict[tuple[uuid.UUID, uuid.UUID], NumberHold]:
    """By customer and number: which of these it is under. Those of a customer do not overlap."""
    every: dict[uuid.UUID, list[NumberHold]] = {}
    for hold in sorted(held, key=_begin):
        every.setdefault(hold.tenant_id, []).append(hold)
    found = {}
    for one in rows:
        theirs = every.get(one.tenant_id, [])
        at = bisect_right(theirs, one.place, key=_begin) - 1
        if at >= 0 and one.place in theirs[at].span:
            found[one.tenant_id, one.object_id] = theirs[at]
    return found


def _begin(hold: NumberHold) -> int:
    return int(hold.span.lower or 0)


def meeting(tenant: Tenant, ranges: Sequence[NumberRange], rows: Iterable[PhoneNumber]) -> list[NumberHold]:
    """Those of these ranges and of these numbers; one query."""
    touching = [Q(span__overlap=intervals.envelope([row.rule for row in ranges]))] if ranges else []
    touching += [Q(span__contains=one.place) for one in rows]
    if not touching:
        return []
    return list(NumberHold.objects.filter(numbers.IN_FORCE, reduce(or_, touching), tenant=tenant).order_by())


def words(hold: NumberHold) -> str:
    """Why nobody is given these numbers, in a sentence without its full stop."""
    if hold.kind == HoldKind.BLOCKED:
        return f"Blocked by {hold.created_by}: {hold.note}"
    until = f" until {hold.until:%d %b %Y}" if hold.until else ""
    note = f" ({hold.note})" if hold.note else ""
    return f"Reserved for {hold.holder}{until} by {hold.created_by}{note}"


# --- Writing ------------------------------------------------------------------------------------------------
def reserve(
    actor: Actor,
    tenant: Tenant,
    wanted: Iterable[Rule],
    *,
    holder: str,
    note: str = "",
    until: dt.datetime | None = None,
    all_or_none: bool = True,
) -> list[Outcome]:
    """Keep numbers for somebody. In the customer's scope; one outcome for each interval, in their order.

    Raises InvalidInput naming holder, note, until or first; number_held for the first that cannot be had, unless
    not `all_or_none`.
    """
    about = {
        "holder": _text("holder", holder, LONGEST_HOLDER),
        "note": _text("note", note, LONGEST_NOTE, empty=True),
    }
    if until is not None and until <= timezone.now():
        raise InvalidInput(field="until", why="it lies in the past")
    return _hold(actor, tenant, HoldKind.RESERVED, wanted, {**about, "until": until}, all_or_none=all_or_none)


def block(
    actor: Actor, tenant: Tenant, wanted: Iterable[Rule], *, reason: str, all_or_none: bool = True
) -> list[Outcome]:
    """Give numbers to nobody until they are released. Raises InvalidInput naming reason or first; number_held."""
    about = {"note": _text("reason", reason, LONGEST_NOTE)}
    return _hold(actor, tenant, HoldKind.BLOCKED, wanted, about, all_or_none=all_or_none)


@transaction.atomic
def release(actor: Actor, tenant: Tenant, gone: Iterable[Rule]) -> int:
    """End what is reserved or blocked of these numbers; of a larger hold the rest stays. How many numbers."""
    rules = _some(gone)
    rows = _met(tenant, rules).select_for_update(no_key=True)
    made, dropped, freed, told = [], [], 0, []
    for hold in rows:
        rest = intervals.without(hold.rule, rules)
        left = sum(rule.numbers for rule in rest)
        if left == hold.numbers:
            continue
        dropped.append(hold.id)
        freed += hold.numbers - left
        told.append(hold.rule)
        made += [_row(tenant, hold.created_by, hold.kind, rule, _about(hold)) for rule in rest]
    NumberHold.objects.filter(id__in=dropped).delete()
    NumberHold.objects.bulk_create(made, batch_size=BATCH)
    if dropped:
        _note(
            actor, tenant, "numbers.released", {"held": (intervals.named(told), None), "released": (0, freed)}
        )
    return freed


@chore
def end_due() -> int:
    """Take away what is over, and say so in the trail; how many."""
    with scope.every("reservations of all customers end by themselves"), transaction.atomic():
        over = NumberHold.objects.filter(until__lte=Now()).select_related("tenant").order_by("until")
        rows = list(over.select_for_update(skip_locked=True, no_key=True, of=("self",))[:BATCH])
        for hold in rows:
            changes = {"reserved for": (hold.holder, None), "numbers": (str(hold), None)}
            _note(SYSTEM, hold.tenant, "numbers.released", changes)
        NumberHold.objects.filter(id__in=[hold.id for hold in rows]).delete()
    return len(rows)


# --- Inside -------------------------------------------------------------------------------------------------
def _some(wanted: Iterable[Rule]) -> list[Rule]:
    rules = list(dict.fromkeys(wanted))
    if not rules:
        raise InvalidInput(field="first", why="no number is named")
    if len(rules) > MOST:
        raise InvalidInput(field="first", why=f"at most {MOST:,} at once")
    return rules


@transaction.atomic
def _hold(
    actor: Actor,
    tenant: Tenant,
    kind: HoldKind,
    wanted: Iterable[Rule],
    about: dict[str, Any],
    *,
    all_or_none: bool,
) -> list[Outcome]:
    offers.require(tenant, "number_ranges")
    rules = _some(wanted)
    _met(tenant, rules, NumberHold.objects.filter(tenant=tenant, until__lte=Now())).delete()
    outcomes = _judged(tenant, rules)
    bad = next((one for one in outcomes if one.why), None)
    if bad is not None and all_or_none:
        raise _refused(bad.rule, bad.why)
    good = [one.rule for one in outcomes if not one.why]
    try:
        with transaction.atomic():
            rows = [_row(tenant, actor.label, kind, rule, about) for rule in good]
            NumberHold.objects.bulk_create(rows, batch_size=BATCH)
    except IntegrityError:  # somebody was faster between the look and the write
        raise _refused(good[0], "somebody has reserved or blocked some of them at the same moment") from None
    if good:
        told = {name: (None, value) for name, value in about.items() if value}
        _note(actor, tenant, f"numbers.{kind}", {"numbers": (None, intervals.named(good)), **told})
    return outcomes


def _judged(tenant: Tenant, rules: list[Rule]) -> list[Outcome]:
    """Each needs a place among the customer's numbers, and no other hold."""
    inside = intervals.first_met(rules, _met(tenant, rules, NumberRange.objects.filter(tenant=tenant)))
    held = intervals.first_met(rules, _met(tenant, rules))
    low, high = intervals.envelope(rules)
    listed = PhoneNumber.objects.filter(LISTED, tenant=tenant, place__gte=low, place__lt=high)
    places = sorted(listed.order_by().values_list("place", flat=True))
    found, first_of_its_own = [], _first_of_its_own(rules)
    for rule in rules:
        at = bisect_left(places, rule.span[0])
        known = at < len(places) and places[at] < rule.span[1]
        whole = rule in inside and _within(rule, inside[rule].rule)
        if rule in held:
            why = f"{held[rule]} is {held[rule].get_kind_display().lower()} already"
        elif not (known or whole):
            why = "the customer has no such number, at Microsoft or in a range"
        else:
            why = "" if rule in first_of_its_own else "another one of the same list has some of them"
        found.append(Outcome(rule, why))
    return found


def _first_of_its_own(rules: list[Rule]) -> set[Rule]:
    """Those that share no number with one before them on the line."""
    found, reached = set(), 0
    for rule in sorted(rules, key=lambda rule: rule.span):
        if rule.span[0] >= reached:
            found.add(rule)
            reached = rule.span[1]
    return found


def _within(rule: Rule, whole: Rule) -> bool:
    return whole.span[0] <= rule.span[0] and rule.span[1] <= whole.span[1]


def _met(tenant: Tenant, rules: Sequence[Rule], rows: Any = None) -> Any:
    """Rows between the first and the last of these numbers; by default the holds in force."""
    if rows is None:
        rows = NumberHold.objects.filter(numbers.IN_FORCE, tenant=tenant)
    return rows.filter(span__overlap=intervals.envelope(rules))


def _row(tenant: Tenant, who: str, kind: str, rule: Rule, about: dict[str, Any]) -> NumberHold:
    return NumberHold(tenant=tenant, created_by=who, kind=kind, **intervals.fields(rule), **about)


def _about(hold: NumberHold) -> dict[str, Any]:
    return {"holder": hold.holder, "note": hold.note, "until": hold.until, "created_at": hold.created_at}


def _text(field: str, value: str, longest: int, *, empty: bool = False) -> str:
    text = " ".join(value.split())
    if not text and not empty:
        raise InvalidInput(field=field, why="it is needed")
    if len(text) > longest:
        raise InvalidInput(field=field, why=f"it has {longest} characters at most")
    return text


def _refused(rule: Rule, why: str) -> UmpError:
    return UmpError.of("number_held", prefix=intervals.words(rule), why=why)


def _note(actor: Actor, tenant: Tenant, action: str, changes: Changes) -> None:
    record(
        actor,
        action,
        tenant_id=tenant.id,
        object_kind="customer",
        object_id=tenant.id,
        object_label=tenant.name,
        changes=changes,
    )
