"""Furniture of every list: page size, order, filters and pages by the address, and the same rows as CSV.

Lists of all customers can be very long, so the number of entries is counted up to a bound only (complaint B 14).
"""

import csv
import dataclasses
import datetime as dt
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Generic, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import IntegerField, Model, Q, QuerySet, Subquery
from django.http import QueryDict, StreamingHttpResponse
from django.utils.functional import cached_property

from tenants import scope
from tenants.scope import Scope
from tenants.written import Written

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
        found = self._at_once(number)
        if found is not None:
            return found
        self.object_list = _queryset(self.object_list)
        return super().get_page(number)

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
    if isinstance(rows, Asked):
        found = rows.page(start, stop - start, most)
    elif not isinstance(rows, QuerySet) or _grouped(rows) or rows.query.values_select:
        return [], None
    else:
        found = list(_counting(rows, most)[start:stop])
    return found, found[0].counted if found else (None if start else 0)


def _counting(rows: "QuerySet[Any]", most: int | None) -> "QuerySet[Any]":
    """Each row with how many there are, in `counted`."""
    counting: QuerySet[Any] = rows.annotate(counted=Count(_keys(rows)[:most]))
    return counting


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


class Kept(Generic[M]):
    """A list whose pages are asked for by a query that is written once: for those that people look at most.

    `Kept(lambda tenant_id, *, order: ...)`: what it is called with is as in tenants.written, and gives a list for
    `page_of`.
    """

    def __init__(self, make: "Callable[..., QuerySet[M]]") -> None:
        self.make = make
        self.pages: Written[M] = Written(self._page)

    def __call__(self, *values: Any, **fixed: Any) -> "Asked[M]":
        return Asked(self, values, fixed)

    def _page(self, *values: Any, size: int, most: int | None, **fixed: Any) -> "QuerySet[M]":
        *given, start = values
        return _counting(self.make(*given, **fixed), most)[start : start + size]


@dataclasses.dataclass(frozen=True)
class Asked(Generic[M]):
    """Such a list, asked for with these values."""

    kept: Kept[M]
    values: tuple[Any, ...]
    fixed: dict[str, Any]

    def rows(self) -> "QuerySet[M]":
        return self.kept.make(*self.values, **self.fixed)

    def page(self, start: int, size: int, most: int | None) -> list[Any]:
        """These rows, each with how many there are up to `most`."""
        return self.kept.pages.rows(*self.values, start, size=size, most=most, **self.fixed)


def _queryset(rows: Any) -> Any:
    """What can be sliced and counted in the ordinary way."""
    return rows.rows() if isinstance(rows, Asked) else rows


class Chain:
    """Two lists one after the other, read as one by a paginator."""

    def __init__(self, first: Any, last: Any, split: int | None = None) -> None:
        """Of querysets, or what `Kept` gives. `split`: how many the first list has, from whoever knows."""
        self.first, self.last = first, last
        if split is not None:
            self.split = split

    @cached_property
    def split(self) -> int:
        return int(_queryset(self.first).count())

    def count(self) -> int:
        return self.split + int(_keys(_queryset(self.last))[:MOST].count())

    def __len__(self) -> int:
        return self.count()

    def __getitem__(self, part: slice) -> list[Any]:
        start, stop = part.start or 0, part.stop
        if stop <= self.split:
            return self._head(start, stop)
        return self._head(start, stop) + list(
            _queryset(self.last)[max(0, start - self.split) : stop - self.split]
        )

    def part(self, start: int, stop: int, most: int | None) -> tuple[list[Any], int | None]:
        """Those rows, and how many both lists have, where the rows of the last one can say it."""
        if stop <= self.split:
            return [], None
        tail, behind = _part(self.last, max(0, start - self.split), stop - self.split, most)
        return self._head(start, stop) + tail, None if behind is None else self.split + behind

    def _head(self, start: int, stop: int) -> list[Any]:
        return list(_queryset(self.first)[start:stop]) if start < self.split else []


def page_of(params: QueryDict, rows: Any, *, bounded: bool = True) -> Page[Any]:
    """The page that `?page=` and `?size=` ask for; nonsense gives the first of ten."""
    made = Bounded(rows, size_of(params)) if bounded else Counted(rows, size_of(params))
    return made.get_page(params.get("page"))


def noun(page: Page[Any], word: str = "entries") -> str:
    """What the pager counts: honest about a list that was not counted to its end."""
    return f"newest {word}" if isinstance(page.paginator, Bounded) and page.paginator.bounded else word


def narrows(params: QueryDict, *but: str) -> bool:
    """Whether the address asks for some of the rows, otherwise than by these; a page, its size and order do not."""
    return any(params[name] for name in params if name not in {"page", "size", "sort", *but})


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
