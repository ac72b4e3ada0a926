"""The dial plan rules of a device: out of its ini file, and which of them overlap (facts/audiocodes.md 1.3, 2.4).

A device may hold a hundred thousand rules, and hardly any two have to do with each other. So first come the digits
that a rule begins with: two rules can overlap only where those of the one begin those of the other. What is left is
turned into intervals and swept. Most of that is plain too (digits, perhaps a range at the end) and goes through one
regular expression, as text: written with fifteen digits each, bounds compare as numbers do. The rest goes through the
grammar.
"""

from __future__ import annotations

import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from audiocodes import inifile
from audiocodes.dialplan import LINE, GrammarError, coverage, parse_device

Row = tuple[str, ...]
"""The row's number in the table, plan, index inside the plan, name, prefix, tag, as the device wrote them. The name
is no key: customers repeat theirs."""
PLANS, TABLE = "DialPlan", "DialPlanRule"
_COLUMNS = ("DialPlanName", "RuleIndex", "Name", "Prefix", "Tag")
_PLAIN = re.compile(r"^(?:(\+?)([0-9]+)(?:\[([0-9]+)-([0-9]+)\])?#?|.*)$", re.MULTILINE)
_HEAD = re.compile(r"^\+?[0-9]*", re.MULTILINE)

Interval = tuple[str, str, int]
"""Bounds of fifteen digits, both included, and whose it is: the rule's place."""


class Found(NamedTuple):
    """Of one file: the row numbers of its plans by their names, also of empty ones, and the rules in its order."""

    plans: dict[str, str]
    rows: list[Row]


def read(text: str) -> Found:
    """Raises IniError."""
    tables = inifile.read(text, {PLANS, TABLE})
    plans = tables[PLANS].pick("Name") if PLANS in tables else ()
    return Found(
        {name: number for number, name in plans},
        list(tables[TABLE].pick(*_COLUMNS)) if TABLE in tables else [],
    )


def of_device(text: str) -> list[Row]:
    """The rules in the order of the file. Raises IniError."""
    return read(text).rows


def groups(prefixes: Sequence[str]) -> int:
    """How much of the device's budget they take: each range or number between commas counts (facts 1.5)."""
    text = "\n".join(prefixes)
    return text.count("[") + text.count(",") + sum("[" not in prefix for prefix in prefixes)


def overlaps(prefixes: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Each pair of rules of one plan that some number matches both of, by their places, the lower first, once.

    Costs n log n, and what the pairs cost that are taken: whoever wants only some stops early. A rule that the
    grammar cannot read overlaps nothing.
    """
    places = _related(prefixes)
    near = [prefixes[place] for place in places]
    told: set[tuple[int, int]] = set()
    for intervals in _lines(near):
        intervals.sort(key=itemgetter(0))
        for one, two in _pairs(intervals):
            pair = (places[one], places[two])
            if pair not in told and _lengths_meet(near[one], near[two]):
                told.add(pair)
                yield pair


def _related(prefixes: Sequence[str]) -> list[int]:
    """The places of rules whose first digits begin, or are begun by, those of another rule."""
    heads = _HEAD.findall("\n".join(prefixes))
    counts = Counter(heads)
    related = {head for head, count in counts.items() if count > 1}
    for length in sorted(set(map(len, counts)))[:-1]:
        for head in counts:
            if len(head) > length and (shorter := head[:length]) in counts:
                related |= {head, shorter}
    return [place for place, head in enumerate(heads) if head in related]


def _lengths_meet(one: str, two: str) -> bool:
    """Whether numbers of some length fit both: a rule that ends with # takes one length only."""
    if not (one.endswith("#") or two.endswith("#")):
        return True
    first, second = coverage(parse_device(one)), coverage(parse_device(two))
    return max(first.shortest, second.shortest) <= min(first.longest, second.longest)


def _lines(prefixes: Sequence[str]) -> list[list[Interval]]:
    """The intervals of numbers without a plus, and of those with one."""
    lines: dict[str, list[Interval]] = {"": [], "+": []}
    found = _PLAIN.findall("\n".join(prefixes)) if prefixes else []
    for at, (plus, digits, low, high) in enumerate(found):
        if not low and digits and len(digits) <= LINE:
            lines[plus].append((digits.ljust(LINE, "0"), digits.ljust(LINE, "9"), at))
        elif low <= high and len(low) == len(high) and 0 < len(digits) + len(low) <= LINE:
            lines[plus].append(((digits + low).ljust(LINE, "0"), (digits + high).ljust(LINE, "9"), at))
        else:
            _through_grammar(prefixes[at], at, lines)
    return list(lines.values())


def _through_grammar(prefix: str, at: int, lines: dict[str, list[Interval]]) -> None:
    try:
        found = coverage(parse_device(prefix))
    except GrammarError:
        return
    for plus in ("", "+") if found.plus is None else ("+",) if found.plus else ("",):
        lines[plus] += [(f"{low:015d}", f"{high - 1:015d}", at) for low, high in found.intervals]


def _pairs(intervals: Iterable[Interval]) -> Iterator[tuple[int, int]]:
    """The places of those of different rules that intersect, of intervals sorted by their lower bounds."""
    open_: list[tuple[str, int]] = []
    reach, before = "", -1
    for low, high, at in intervals:
        if low > reach:
            reach, before = high, at
            open_ = []
            continue
        open_ = open_ or [(reach, before)]
        while open_ and open_[0][0] < low:
            heapq.heappop(open_)
        yield from ((other, at) if other < at else (at, other) for _, other in open_ if other != at)
        heapq.heappush(open_, (high, at))
        reach = max(reach, high)
