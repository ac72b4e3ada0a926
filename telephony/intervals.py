"""Numbers that follow one another, as people write them and as the line of fifteen digits has them."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from django.db.models import Q

from audiocodes.dialplan import LINE, SCALE, GrammarError, Rule, parse
from core.errors import InvalidInput
from core.words import first_of
from telephony.landing import place_of
from telephony.models import Interval

SHORTEST = 6
"""Digits of a number: fewer would take whole countries, since on the line a number takes every longer one."""
MOST = 1_000_000
"""Numbers of one interval."""
NAMED = 20
"""As many are named one by one in the trail and in questions."""

I = TypeVar("I", bound=Interval)  # noqa: E741  as in Interval


def between(first: str, last: str = "") -> Rule:
    """All numbers from `first` to `last`, or what `first` alone says: a number, or `+4158906[100-199]`.

    Raises InvalidInput naming `first` or `last`.
    """
    low = _parsed("first", first)
    if not last.strip():
        return _checked("first", low)
    high = _parsed("last", last)
    if low.numbers > 1 or high.numbers > 1:
        raise InvalidInput(field="last", why="leave it empty when the first field has a range")
    if low.length != high.length:
        raise InvalidInput(
            field="last", why=f"it has {high.length} digits, and the first number {low.length}"
        )
    if low.low > high.low:
        raise InvalidInput(field="last", why="the range ends before it begins")
    return _checked("last", low._replace(high=high.low))


def _parsed(field: str, text: str) -> Rule:
    try:
        return parse("".join(text.split()))
    except GrammarError as error:
        raise InvalidInput(field=field, why=str(error)) from None


def _checked(field: str, rule: Rule) -> Rule:
    if rule.length < SHORTEST:
        raise InvalidInput(field=field, why=f"a number has {SHORTEST} digits at least, with its country code")
    if rule.numbers > MOST:
        raise InvalidInput(field=field, why=f"these are {rule.numbers:,} numbers; {MOST:,} at most")
    return rule


def alone(number: str) -> Rule:
    """One number of the mirror, without its extension."""
    digits = number.partition(";")[0].lstrip("+")[:LINE]
    return Rule(True, len(digits), int(digits), int(digits))


def number(rule: Rule, slot: int) -> str:
    """The number at this place of an interval: its digits as an integer."""
    return f"+{slot:0{rule.length}}"


def fields(rule: Rule) -> dict[str, Any]:
    """The columns of an Interval that follow from what it covers."""
    first, last = number(rule, rule.low), number(rule, rule.high)
    return {"first": first, "last": last, "span": rule.span, "numbers": rule.numbers}


def words(rule: Rule) -> str:
    first, last = number(rule, rule.low), number(rule, rule.high)
    return first if first == last else f"{first} to {last}"


def digits_of(search: str) -> str:
    """Of what somebody typed: those that `int` reads, which a footnote's sign is not."""
    return "".join(sign for sign in search if sign.isdecimal())


def with_number(search: str) -> Q:
    """Intervals that hold the number in it; nothing further where there is none."""
    digits = digits_of(search)
    return Q(span__contains=place_of(digits)) if len(digits) >= SHORTEST else Q()


def named(rules: Iterable[Rule]) -> str:
    """The first ones, and how many more."""
    return first_of((words(rule) for rule in rules), NAMED)


def envelope(rules: Sequence[Rule]) -> tuple[int, int]:
    """From the first place of all of them to behind the last one."""
    return min(rule.span[0] for rule in rules), max(rule.span[1] for rule in rules)


def first_met(rules: Sequence[Rule], rows: Iterable[I]) -> dict[Rule, I]:
    """For each of these intervals a row that shares a number with it, if there is one. Rows do not overlap."""
    behind = sorted(rows, key=lambda row: row.rule.span)
    spans, at, found = [row.rule.span for row in behind], 0, {}
    for rule in sorted(set(rules), key=lambda rule: rule.span):
        while at < len(spans) and spans[at][1] <= rule.span[0]:
            at += 1
        if at < len(spans) and spans[at][0] < rule.span[1]:
            found[rule] = behind[at]
    return found


def slots(rule: Rule, low: int, high: int) -> tuple[int, int]:
    """Which numbers of `rule`, both ends included, lie from this place to before that one; empty if low > high."""
    scale = SCALE[rule.length]
    return max(rule.low, low // scale), min(rule.high, (high - 1) // scale)


def without(rule: Rule, gone: Iterable[Rule]) -> list[Rule]:
    """What is left of an interval, in order."""
    left, start = [], rule.low
    for low, high in sorted(slots(rule, *each.span) for each in gone):
        if low > high:
            continue
        if low > start:
            left.append(rule._replace(low=start, high=low - 1))
        start = max(start, high + 1)
    return [*left, rule._replace(low=start)] if start <= rule.high else left
