"""Dial plan rules as they are on devices: read, kept with their age, and found again by number or by words."""

import contextlib
import csv
import hashlib
import io
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from audiocodes import dialplan, rules
from audiocodes.dialplan import LINE, GrammarError, coverage, parse_device
from audiocodes.inifile import IniError
from core.errors import UmpError
from sbc.models import Rule, Sbc

MOST_OVERLAPS = 1_000
NAMED_OVERLAPS = 20
BATCH = 10_000
WHOLE_LINE = (0, 10**LINE)
_COLUMNS = ("sbc_id", "plan", "index", "name", "prefix", "tag", "plus", "span", "exact", "longest")
_TEXTS = ("plan", "name", "prefix", "tag")
_LONGEST = (200, 200, 200, 300)


class Owner(NamedTuple):
    """Whose a rule is, for people who may see every customer."""

    customer: str
    site: str
    url: str


class Ledger(Protocol):
    """What a room above knows of rules. It is told what was read, and asked whose a rule is."""

    def read(self, sbc: Sbc, rows: Sequence[rules.Row]) -> None:
        """Inside the transaction that keeps them."""

    def owners(self, found: Sequence[Rule]) -> Mapping[int, Owner]:
        """By the rules' ids; without those that are nobody's."""


_ledgers: list[Ledger] = []


def tell(ledger: Ledger) -> None:
    """From now on."""
    _ledgers.append(ledger)


def owners(found: Sequence[Rule]) -> dict[int, Owner]:
    return {number: owner for ledger in _ledgers for number, owner in ledger.owners(found).items()}


@contextlib.contextmanager
def readable(host: str) -> Iterator[None]:
    """Inside, a file of that device is taken apart. Raises UmpError (sbc_file_unreadable)."""
    try:
        yield
    except IniError as error:
        raise UmpError.of("sbc_file_unreadable", host=host, why=str(error)) from error


@dataclass(frozen=True)
class Reading:
    """What one look at a device gave."""

    rows: list[rules.Row]
    overlaps: list[tuple[int, int]]
    """Places of rules of one plan that share numbers, at most MOST_OVERLAPS."""
    plans: Mapping[str, str] = field(default_factory=dict)
    """The row numbers of its plans, also of empty ones, by name."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    def told(self) -> dict[str, Any]:
        """Figures for the page."""
        named = self.overlaps[:NAMED_OVERLAPS]
        pairs = [[self.rows[one][1], self.rows[one][4], self.rows[two][4]] for one, two in named]
        return {
            "rules": len(self.rows),
            "groups": rules.groups([row[4] for row in self.rows]),
            "plans": sorted({*self.plans, *(row[1] for row in self.rows)}),
            "overlapping": len(self.overlaps),
            "overlaps": pairs,
        }


def read(ini: str) -> Reading:
    """The rules of an ini file, and which overlap. Raises audiocodes.inifile.IniError."""
    named, rows = rules.read(ini)
    plans: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        plans[row[1]].append(place)
    found = (
        (places[one], places[two])
        for places in plans.values()
        for one, two in rules.overlaps([rows[place][4] for place in places])
    )
    return Reading(rows, list(itertools.islice(found, MOST_OVERLAPS)), named)


def keep(sbc: Sbc, reading: Reading) -> bool:
    """Write what differs from what was read before; False when the device's address or account was changed since.

    Inside a transaction. The ledgers are told.
    """
    mine = Sbc.objects.filter(id=sbc.id, row_version=sbc.row_version)
    digest = reading.digest
    if not mine.update(
        rules_read_at=Now(), rules_digest=digest, rules_told=reading.told(), rules_problem=None
    ):
        return False
    if digest != sbc.rules_digest:
        _replace(sbc, reading.rows)
    for ledger in _ledgers:
        ledger.read(sbc, reading.rows)
    return True


def _replace(sbc: Sbc, rows: Iterable[rules.Row]) -> None:
    """Only what differs: one more rule on a full device costs one more row."""
    left: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for number, *key in Rule.objects.filter(sbc=sbc).values_list("id", *_COLUMNS[1:6]):
        left[tuple(key)].append(number)
    new = []
    for row in rows:
        there = left.get(_shortened(row))
        if there:
            there.pop()
        else:
            new.append(row)
    gone = [number for numbers in left.values() for number in numbers]
    for start in range(0, len(gone), BATCH):
        Rule.objects.filter(id__in=gone[start : start + BATCH]).delete()
    _copy(_line(sbc.id, row) for row in new)


def words(reading: Reading) -> str:
    """ "12 rules; 3 pairs of them overlap"."""
    count = len(reading.overlaps)
    many = f"{count:,}{' or more' if count == MOST_OVERLAPS else ''}"
    overlap = f"{many} pair{'' if count == 1 else 's'} of them overlap" if count else "none overlap"
    return f"{len(reading.rows):,} rule{'' if len(reading.rows) == 1 else 's'}; {overlap}"


def _shortened(row: rules.Row) -> tuple[str, int, str, str, str]:
    """As it is kept."""
    number, plan, index, name, prefix, tag = row
    texts = [text[:most] for text, most in zip((plan, name, prefix, tag), _LONGEST, strict=True)]
    where = index if index.isascii() and index.isdecimal() and len(index) < 18 else number[:17]
    return texts[0], int(where), texts[1], texts[2], texts[3]


def _line(sbc_id: int, row: rules.Row) -> Sequence[object]:
    plus, (low, high), exact, longest = _place(row[4])
    shown = "" if plus is None else plus
    return [sbc_id, *_shortened(row), shown, f"[{low},{high})", exact, longest]


def _place(prefix: str) -> tuple[bool | None, tuple[int, int], bool, int]:
    """Where a rule lies on the line. One that the grammar does not know may be anywhere."""
    try:
        found = coverage(parse_device(prefix))
    except GrammarError:
        return None, WHOLE_LINE, False, LINE
    if not found.intervals:
        return found.plus, (0, 0), True, 0
    span = found.intervals[0][0], found.intervals[-1][1]
    return found.plus, span, found.exact and len(found.intervals) == 1, found.longest


def _copy(lines: Iterable[Sequence[object]]) -> None:
    content = io.StringIO()
    csv.writer(content).writerows(lines)
    content.seek(0)
    columns, texts = (", ".join(f'"{name}"' for name in names) for names in (_COLUMNS, _TEXTS))
    with connection.cursor() as cursor, connection.wrap_database_errors:  # as Django does for all but COPY
        cursor.copy_expert(
            f"COPY sbc_rule ({columns}) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL ({texts}))", content
        )


# --- Finding --------------------------------------------------------------------------------------------------
def of(sbc: Sbc | None = None, search: str = "", plan: str = "") -> QuerySet[Rule]:
    """Rules of one device or of all, by a number or range that they take, or by words."""
    found = Rule.objects.all() if sbc is None else Rule.objects.filter(sbc=sbc)
    if plan:
        found = found.filter(plan=plan)
    if search:
        found = found.filter(matching(search))
    return found


def matching(search: str) -> Q:
    """By a number or range that a rule may take, or by words."""
    number = number_of(search)
    if number is None:
        return Q(name__icontains=search) | Q(prefix__icontains=search) | Q(tag__icontains=search)
    touches = Q(span__overlap=number.span, longest__gte=number.length)
    # Without its plus typed it may be either; with one it is an international number.
    return touches & (Q(plus=None) | Q(plus=True)) if number.plus else touches


def number_of(search: str) -> dialplan.Rule | None:
    """The numbers that were typed, also with blanks or dashes in them; None when it is something else."""
    plain = (
        "".join(character for character in search if character not in " -./()")
        if "[" not in search
        else search
    )
    try:
        return dialplan.parse(plain, needs_plus=False)
    except GrammarError:
        return None


def takes(row: Rule, number: dialplan.Rule) -> bool | None:
    """Whether a rule that was found takes some of these numbers; None when only the device can tell."""
    if row.exact:
        return True
    try:
        found = coverage(parse_device(row.prefix))
    except GrammarError:
        return None
    return (None if not found.exact else True) if dialplan.overlap(number, found) else False


def winners(search: str, found: QuerySet[Rule], most: int = 200) -> set[int]:
    """Of the rules that take one whole number, the ids of those that win on their device and in their plan.

    Empty where something else than one number was typed, or where there are too many to tell.
    """
    number = number_of(search)
    if number is None or number.numbers > 1 or "[" in search:
        return set()
    rows = list(found[: most + 1])
    if len(rows) > most:
        return set()
    return set(_best(rows, str(number)))


def _best(rows: Iterable[Rule], number: str) -> Iterator[int]:
    best: dict[tuple[int, str], tuple[tuple[int, ...], int]] = {}
    for row in rows:
        try:
            pattern = parse_device(row.prefix)
        except GrammarError:
            continue
        if pattern.matches(number):
            key, own = (row.sbc_id, row.plan), (pattern.weight, row.id)
            best[key] = min(best.get(key, own), own)
    for _, winner in best.values():
        yield winner
