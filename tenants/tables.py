"""Furniture of every list: page size, order, filters and pages by the address, and the same rows as CSV.

Lists of all customers can be very long, so the number of entries is counted up to a bound only (complaint B 14).
"""

import csv
import datetime as dt
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import IntegerField, Model, Q, QuerySet, Subquery
from django.http import QueryDict, StreamingHttpResponse
from django.utils.functional import cached_property

from tenants import scope
from tenants.scope import Scope

SIZES = (10, 25, 50, 100)
MOST = 10_000
BATCH = 2_000
LONGEST_SEARCH = 100
UTF8_MARK = "\ufeff"
"""Without it Excel reads the file in the local code page."""

M = TypeVar("M", bound=Model)


class Counted(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """A page and how many rows there are, by one query where that can be."""

    most: int | None = None

    @cached_property
    def count(self) -> int:
        if isinstance(self.object_list, QuerySet):
            return int(_keys(self.object_list)[: self.most].count())
        found = int(super().count)
        return found if self.most is None else min(found, self.most)

    def get_page(self, number: Any) -> Page[Any]:
        return self._at_once(number) or super().get_page(number)

    def _at_once(self, number: Any) -> Page[Any] | None:
        """None where the rows cannot say how many they are, or the page has none: then it takes a count first."""
        at = int(number) if str(number).isdecimal() and len(str(number)) < 8 else 1
        first = (at - 1) * self.per_page
        if at < 1 or (self.most is not None and first >= self.most):
            return None
        found, count = _part(self.object_list, first, first + self.per_page, self.most)
        if count is None or not (found or at == 1):
            return None
        self.count = count if self.most is None else min(count, self.most)
        return Page(found, at, self)


def _part(rows: Any, start: int, stop: int, most: int | None) -> tuple[list[Any], int | None]:
    """Those rows, and how many there are in all, where one query can say both."""
    if isinstance(rows, Chain):
        return rows.part(start, stop, most)
    if not isinstance(rows, QuerySet) or _grouped(rows) or rows.query.values_select:
        return [], None
    found = list(rows.annotate(counted=Count(_keys(rows)[:most]))[start:stop])
    return found, found[0].counted if found else (None if start else 0)


class Count(Subquery):
    """How many rows a query has, as a column of another."""

    template = "(SELECT count(*) FROM (%(subquery)s) AS counted)"
    output_field = IntegerField()


class Bounded(Counted):
    """Counts no further than `MOST`; whoever wants more narrows the list, or takes the CSV."""

    most = MOST

    @property
    def bounded(self) -> bool:
        return self.count >= MOST


def _keys(rows: "QuerySet[Any]") -> "QuerySet[Any]":
    """The rows without order and without what was worked out for each of them: enough to be counted."""
    plain = rows.order_by()
    return plain if _grouped(plain) else plain.values("pk")


def _grouped(rows: "QuerySet[Any]") -> bool:
    return bool(rows.query.group_by is not None or rows.query.distinct or rows.query.combinator)


class Chain:
    """Two lists one after the other, read as one by a paginator."""

    def __init__(self, first: "QuerySet[Any]", last: "QuerySet[Any]", split: int | None = None) -> None:
        """`split`: how many the first list has, from whoever knows."""
        self.first, self.last = first, last
        if split is not None:
            self.split = split

    @cached_property
    def split(self) -> int:
        return self.first.count()

    def count(self) -> int:
        return self.split + int(_keys(self.last)[:MOST].count())

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, part: slice) -> list[Any]:
        start, stop = part.start or 0, part.stop
        tail = list(self.last[max(0, start - self.split) : stop - self.split]) if stop > self.split else []
        return self._head(start, stop) + tail

    def part(self, start: int, stop: int, most: int | None) -> tuple[list[Any], int | None]:
        """Those rows, and how many both lists have, where the rows of the last one can say it."""
        if stop <= self.split:
            return [], None
        tail, behind = _part(self.last, max(0, start - self.split), stop - self.split, most)
        return self._head(start, stop) + tail, None if behind is None else self.split + behind

    def _head(self, start: int, stop: int) -> list[Any]:
        return list(self.first[start:stop]) if start < self.split else []


def page_of(params: QueryDict, rows: Any, *, bounded: bool = True) -> Page[Any]:
    """The page that `?page=` and `?size=` ask for; nonsense gives the first of ten."""
    made = Bounded(rows, size_of(params)) if bounded else Counted(rows, size_of(params))
    return made.get_page(params.get("page"))


def noun(page: Page[Any], word: str = "entries") -> str:
    """What the pager counts: honest about a list that was not counted to its end."""
    return f"newest {word}" if isinstance(page.paginator, Bounded) and page.paginator.bounded else word


def size_of(params: QueryDict) -> int:
    asked = params.get("size", "")
    return int(asked) if asked in {str(size) for size in SIZES} else SIZES[0]


def search_of(params: QueryDict) -> str:
    """What was typed. PostgreSQL takes no NUL in a text."""
    return params.get("q", "").replace("\0", "").strip()[:LONGEST_SEARCH]


def choice_of(params: QueryDict, name: str, allowed: Iterable[str]) -> str:
    """The filter's value when it is one of those allowed, or nothing."""
    asked = params.get(name, "")
    return asked if asked in set(allowed) else ""


def order_of(params: QueryDict, columns: Mapping[str, Sequence[str]], default: str) -> tuple[str, list[str]]:
    """(`sort` as it stands in the address, the columns to order by); the last column should be unique."""
    asked = params.get("sort", "")
    chosen = asked if asked.removeprefix("-") in columns else default
    down = chosen.startswith("-")
    return chosen, [f"-{column}" if down else column for column in columns[chosen.removeprefix("-")]]


def filters(
    params: QueryDict, choices: Mapping[str, tuple[str, Sequence[tuple[str, str]]]]
) -> list[dict[str, Any]]:
    """For partials/table_tools.html: name -> (label, [(value, label)]) becomes selects with what is chosen."""
    return [
        {
            "name": name,
            "label": label,
            "value": params.get(name, ""),
            "options": [{"value": value, "label": word} for value, word in options],
        }
        for name, (label, options) in choices.items()
    ]


def chips(params: QueryDict, shown: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """The filters in force, each with the address without it. `shown` is what `filters` gave."""
    found = [
        (each["name"], f"{each['label']}: {option['label']}")
        for each in shown
        for option in each["options"]
        if option["value"] == each["value"]
    ]
    if search_of(params):
        found.append(("q", f"“{search_of(params)}”"))
    return [{"label": label, "url": without(params, name)} for name, label in found]


def without(params: QueryDict, *names: str) -> str:
    left = params.copy()
    for name in (*names, "page"):
        left.pop(name, None)
    return "?" + left.urlencode()


def in_batches(rows: "QuerySet[M]", beyond: Callable[[M], Q], size: int = BATCH) -> Iterator[list[M]]:
    """Walk an ordered list without holding it: each batch opens the scope that is in force now for itself.

    `beyond` gives, for the last row of a batch, the condition of those behind it. A streaming answer outlives
    the request's own scope, hence this (DESIGN 6).
    """
    return _batches(scope.require(), rows, beyond, size)


def _batches(here: Scope, rows: "QuerySet[M]", beyond: Callable[[M], Q], size: int) -> Iterator[list[M]]:
    rest = rows
    while True:
        with _again(here):
            batch = list(rest[:size])
        if batch:
            yield batch
        if len(batch) < size:
            return
        rest = rows.filter(beyond(batch[-1]))


def _again(here: Scope) -> AbstractContextManager[Scope]:
    if here.tenants is None:
        return scope.every(f"a streaming answer goes on: {here.reason}")
    return scope.some(here.tenants)


def csv_answer(
    name: str, head: Sequence[str], batches: Iterator[Iterable[Sequence[object]]]
) -> StreamingHttpResponse:
    """A CSV file for spreadsheets, sent while it is read; `name` without date and ending."""
    answer = StreamingHttpResponse(_lines(head, batches), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}-{dt.datetime.now(dt.UTC):%Y-%m-%d}.csv"'
    return answer


def _lines(head: Sequence[str], batches: Iterator[Iterable[Sequence[object]]]) -> Iterator[str]:
    yield UTF8_MARK + _csv([head])
    for batch in batches:
        yield _csv(batch)


def _csv(rows: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out).writerows([cell(value) for value in row] for row in rows)
    return out.getvalue()


NUMBERS = re.compile(r"\+[0-9]{1,15}(?:\[[0-9]{1,6}-[0-9]{1,6}\])?")


def cell(value: object) -> str:
    """As text. A spreadsheet must not take what Microsoft or a person wrote for a formula (CWE-1236)."""
    if isinstance(value, dt.datetime):
        return value.isoformat(timespec="seconds")
    text = "" if value is None else str(value)
    risky = text.lstrip().startswith(("=", "+", "-", "@")) or text.startswith(("\t", "\r"))
    # A phone number or range starts with a plus and must come back as it went (facts/security.md 5.11).
    return f"'{text}" if risky and not NUMBERS.fullmatch(text) else text
