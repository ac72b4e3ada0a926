"""What has to be done on a device so that it is as wished: found by comparing, never remembered.

A rule is the portal's own if it reads as it was written, or as it is wished now; nothing else is ever changed or
taken away.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from audiocodes import planscript
from audiocodes.planscript import Change, Values
from core.errors import UmpError
from sbc.models import Sbc
from sbc.prefixes import Reading
from sites import number_rules
from sites.models import Prefix, PrefixState
from sites.number_rules import Neighbour, Wish


@dataclass(frozen=True)
class Wanted:
    """A row as the worker took it."""

    id: int
    plan: str
    values: Values
    written: Values
    removing: bool

    @classmethod
    def of(cls, row: Prefix) -> "Wanted":
        return cls(
            row.id,
            row.plan,
            Values(row.name, row.prefix, row.tag),
            Values(row.written_name, row.prefix, row.written_tag),
            row.state == PrefixState.REMOVING,
        )

    def is_mine(self, found: Values) -> bool:
        return same(found, self.values) or (bool(self.written.tag) and same(found, self.written))


def same(one: Values, two: Values) -> bool:
    """Tags do not know capitals (facts 2.1)."""
    return (one.name, one.prefix, one.tag.lower()) == (two.name, two.prefix, two.tag.lower())


class OnDevice:
    """What was read, found by plan and prefix."""

    def __init__(self, reading: Reading) -> None:
        self.plans = reading.plans
        self.rules: dict[tuple[str, str], tuple[int, Values]] = {}
        self._used: dict[str, set[int]] = defaultdict(set)
        for _, plan, index, name, prefix, tag in reading.rows:
            if index.isascii() and index.isdecimal() and len(index) < 18:
                self.rules.setdefault((plan, prefix), (int(index), Values(name, prefix, tag)))
                self._used[plan].add(int(index))
        self._next: dict[str, int] = defaultdict(int)

    def find(self, wanted: Wanted) -> tuple[int, Values] | None:
        return self.rules.get((wanted.plan, wanted.values.prefix))

    def free(self, plan: str) -> int:
        """The lowest free index of a plan; each only once."""
        index, used = self._next[plan], self._used[plan]
        while index in used:
            index += 1
        self._next[plan] = index + 1
        return index


@dataclass
class Todo:
    """What is left to do: first what is new, and what goes only once that was read back."""

    changes: list[tuple[Wanted, Change]] = field(default_factory=list)
    going: list[tuple[Wanted, Change]] = field(default_factory=list)
    done: dict[int, int | None] = field(default_factory=dict)
    """By the rows' ids the index at which they were read; None for those that are gone."""
    stopped: dict[int, UmpError] = field(default_factory=dict)

    def left(self) -> list[tuple[Wanted, Change]]:
        return self.changes + self.going

    def script(self, most: int) -> tuple[list[Wanted], str]:
        """The first ones, and their lines; never what is new together with what goes.

        A device that took a script may have left a line out, and then the old rule must still be there.
        """
        part = (self.changes or self.going)[:most]
        return [wanted for wanted, _ in part], planscript.script(change for _, change in part)

    def stop(self, errors: Mapping[int, UmpError]) -> None:
        """These are not tried any more."""
        self.stopped |= errors
        self.changes = [each for each in self.changes if each[0].id not in errors]
        self.going = [each for each in self.going if each[0].id not in errors]


def compare(sbc: Sbc, wishes: Iterable[Wanted], found: OnDevice) -> Todo:
    """What is done already, what is to be done, and what cannot be."""
    todo = Todo()
    for wanted in wishes:
        there = found.find(wanted)
        if wanted.removing:
            if there is None or not wanted.is_mine(there[1]):
                todo.done[wanted.id] = None
            else:
                todo.going.append((wanted, Change(found.plans[wanted.plan], there[0], None)))
        elif there is not None and same(there[1], wanted.values):
            todo.done[wanted.id] = there[0]
        elif wanted.plan not in found.plans:
            todo.stopped[wanted.id] = UmpError.of("dial_plan_missing", host=sbc.name, plan=wanted.plan)
        elif there is None:
            index = found.free(wanted.plan)
            todo.changes.append((wanted, Change(found.plans[wanted.plan], index, wanted.values)))
        elif wanted.is_mine(there[1]):
            todo.changes.append((wanted, Change(found.plans[wanted.plan], there[0], wanted.values)))
        else:
            todo.stopped[wanted.id] = changed(sbc, wanted, there[1])
    return todo


def unmade(sbc: Sbc, wanted: Wanted) -> UmpError:
    """The device took the script and does not show what it should have made."""
    left = "the rule is still there" if wanted.removing else "the rule is not there as it was sent"
    why = f"it said that all is well, but {left}"
    return UmpError.of("sbc_script_refused", host=sbc.name, why=why)


def changed(sbc: Sbc, wanted: Wanted, found: Values | None) -> UmpError:
    """Somebody else's hand: in words."""
    if found is not None and not wanted.written.tag:
        named = f"{found.name or 'without a name'}, tag {found.tag or 'none'}"
        why = f"the SBC has this rule ({named}), and the portal did not write it"
        return UmpError.of(
            "number_taken", prefix=wanted.values.prefix, plan=wanted.plan, host=sbc.name, why=why
        )
    why = "there is no such rule any more"
    if found is not None:
        why = f"it is now called {found.name or 'nothing'}, with the tag {found.tag or 'none'}"
    return UmpError.of("number_changed", prefix=wanted.values.prefix, host=sbc.name, why=why)


def foreign_clashes(
    sbc: Sbc, new: Sequence[Wanted], reading: Reading, ours: Iterable[tuple[str, str]]
) -> dict[int, UmpError]:
    """Of rows that were never written, those forbidden by a rule that came onto the device since they were judged."""
    known = set(ours)
    found: dict[int, UmpError] = {}
    by_plan: dict[str, list[Wanted]] = defaultdict(list)
    for wanted in new:
        by_plan[wanted.plan].append(wanted)
    for plan, wishes in by_plan.items():
        others = [
            Neighbour(prefix, tag, name)
            for _, its, _, name, prefix, tag in reading.rows
            if its == plan and (plan, prefix) not in known
        ]
        texts = [Wish(one.values.prefix, plan, one.values.name, one.values.tag) for one in wishes]
        for place, other in number_rules.meetings(texts, others):
            error, _ = number_rules.foreign_clash(sbc, texts[place], other)
            if error is not None:
                found.setdefault(wishes[place].id, error)
    return found
