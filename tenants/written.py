"""Queries that every page asks: Django writes their SQL once a process, not once a request.

To write one takes Django three to ten times as long as PostgreSQL takes to answer it, and that was half of a page.
"""

import copy
import dataclasses
import datetime as dt
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from django.db import connections
from django.db.models import Model, QuerySet

from tenants import scope
from tenants.owned import ScopedQuery

FIRST_NUMBER = 1_900_000_000
FIRST_MOMENT = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
PLACE = re.compile(r" (?:OFFSET|LIMIT) (19\d{8})$")
"""A number's mark where Django writes no parameter: from which row on, or else how many."""
MOST = 200
"""Longer lists than a page has are asked for in the ordinary way: each length is a text of its own."""
MOST_TEXTS = 100
"""Of one query; then it begins anew, because some hold what people asked for once."""

VALUES = (int, str, uuid.UUID, dt.datetime)
M = TypeVar("M", bound=Model)


@dataclasses.dataclass(frozen=True)
class Text(Generic[M]):
    """A query as it was written. Where `places` has a number, that value of the asker goes in for the parameter;
    where `parts` has it, too, as what a text is to contain."""

    rows: "QuerySet[M]"
    compiler: Any
    sql: str
    params: tuple[Any, ...]
    places: tuple[int | None, ...]
    parts: frozenset[int]
    """Places in `params`."""

    def ask(self, values: Sequence[Any]) -> list[M]:
        """As the query itself would be asked, but for writing it."""
        params = [
            fixed if place is None else values[place]
            for fixed, place in zip(self.params, self.places, strict=True)
        ]
        for at in self.parts:
            params[at] = f"%{self.compiler.connection.ops.prep_for_like_query(params[at])}%"
        compiler = copy.copy(self.compiler)
        compiler.connection = connections[compiler.using]
        compiler.as_sql = lambda *_, **__: (self.sql, params)
        rows: Any = self.rows.all()
        rows.query.get_compiler = lambda *_, **__: compiler
        return list(rows)


class Written(Generic[M]):
    """`Written(lambda ids: Connection.objects.filter(tenant_id__in=ids))`, and then `.rows(ids)`: a list.

    What it is asked with (ids, whole numbers, texts, times, None, lists of these) must go into the query as it is, as
    what a text contains, or as the row where the answer begins (without one: how many rows); of what changes
    otherwise, the time now above all, nothing may stand in it. Both are refused when it is written. What is given by
    name becomes part of the text.

    The walls stand: outside a scope nothing is asked, and the scope's own filter is a value like the others.
    """

    def __init__(self, make: "Callable[..., QuerySet[M]]") -> None:
        self._make = make
        self._texts: dict[tuple[Any, ...], Text[M]] = {}

    def rows(self, *values: Any, **fixed: Any) -> list[M]:
        now = scope.current()
        owners = sorted(now.tenants) if now and now.tenants is not None else []
        if len(owners) > 1 or any(isinstance(value, list) and not 0 < len(value) <= MOST for value in values):
            return list(self._make(*values, **fixed))
        shape = (now and now.tenants is None, *map(_shape, values), *fixed.values())
        text = self._texts.get(shape)
        if text is None:
            if len(self._texts) >= MOST_TEXTS:
                self._texts = {}
            text = self._texts[shape] = self._write(values, fixed, bool(owners))
        return text.ask([*_flat(values), *owners])

    def sole(self, *values: Any) -> M | None:
        """The only row there can be, or None."""
        return next(iter(self.rows(*values)), None)

    def _write(self, values: Sequence[Any], fixed: Mapping[str, Any], of_one: bool) -> Text[M]:
        """With marks where the values of each time will stand, the scope's own customer the last of them."""
        marked, marks = _marked(values)
        if not of_one:
            return _text(self._make(*marked, **fixed), marks, len(marks))
        owner = _mark(uuid.UUID(int=0), len(marks))
        with scope.imagined(owner):
            return _text(self._make(*marked, **fixed), [*marks, owner], len(marks))


def _text(rows: "QuerySet[M]", marks: Sequence[Any], given: int) -> Text[M]:
    """The first `given` marks must stand in it, and the scope's own wherever rows belong to customers."""
    compiler = rows.query.get_compiler(using=rows.db)
    sql, params = _with_place(*compiler.as_sql())
    numbers = {mark: number for number, mark in enumerate(marks) if mark is not None}
    parts = frozenset(
        at for at, each in enumerate(params) if isinstance(each, str) and _inside(each) in numbers
    )
    bare = [_inside(each) if at in parts else each for at, each in enumerate(params)]
    places = tuple(numbers.get(each) if isinstance(each, VALUES) else None for each in bare)
    walled = isinstance(rows.query, ScopedQuery)
    needed = set(numbers.values()) if walled else {number for number in numbers.values() if number < given}
    fixed = [each for each, place in zip(params, places, strict=True) if place is None]
    if needed - set(places) or any(isinstance(each, dt.date) for each in fixed):
        raise ValueError(f"This query depends on more than its values: {sql}")
    return Text(rows, compiler, sql, params, places, parts)


def _inside(text: str) -> str:
    """Of a pattern that looks for a part: that part."""
    return text[1:-1] if len(text) > 2 and text[0] == text[-1] == "%" else ""


def _with_place(sql: str, params: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """With the mark behind OFFSET or LIMIT among the parameters: it is the last of them."""
    mark = PLACE.search(sql)
    return (sql[: mark.start(1)] + "%s", (*params, int(mark[1]))) if mark else (sql, tuple(params))


def _shape(value: Any) -> Any:
    return (len(value), *map(type, value)) if isinstance(value, list) else type(value)


def _flat(values: Sequence[Any]) -> list[Any]:
    return [each for value in values for each in (value if isinstance(value, list) else [value])]


def _marked(values: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Values like these that stand nowhere else, in the same lists, and flat."""
    flat = [_mark(value, number) for number, value in enumerate(_flat(values))]
    rest = iter(flat)
    marked = [[next(rest) for _ in value] if isinstance(value, list) else next(rest) for value in values]
    return marked, flat


def _mark(value: Any, number: int) -> Any:
    if value is None:
        return None
    if isinstance(value, uuid.UUID):
        return uuid.UUID(int=0xB00C << 64 | number)
    if isinstance(value, dt.datetime):
        return FIRST_MOMENT + dt.timedelta(seconds=number)
    return FIRST_NUMBER + number if type(value) is int else f"mark {number} \ue000"
