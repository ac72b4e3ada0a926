"""Pages by cursor: opaque, signed, and bound to the list that they came from.

A cursor holds the sort keys of the row at the page's edge, so a page costs the same wherever it is, and rows
that come or go meanwhile neither repeat nor hide others. Nothing is counted.
"""

import dataclasses
import hashlib
import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.core import signing
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_datetime
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from tenants.written import Written

CURSOR, LIMIT, ORDER = "cursor", "limit", "order"
SALT = "api.cursor"
DEFAULT, LONGEST = 50, 200


@dataclasses.dataclass(frozen=True)
class Edge:
    """Where a page begins: after these sort keys or, `back`, before them."""

    keys: tuple[Any, ...]
    back: bool


class Kept:
    """A list, and the queries of its pages, which are written once (tenants.written) as long as nothing narrows it.

    `Kept(lambda tenant_id: ...)`: its rows, in any order. Called with a value it is the list of that value.
    """

    def __init__(self, make: "Callable[..., QuerySet[Any]]") -> None:
        self._make = make
        self._pages: Written[Any] = Written(self._page)

    def __call__(self, *values: Any) -> "Asked":
        return Asked(self, values)

    def rows(
        self, values: Sequence[Any], columns: Sequence[str], keys: Sequence[Any], limit: int
    ) -> list[Any]:
        return self._pages.rows(*values, *keys, limit, given=len(values), columns=tuple(columns))

    def _page(self, *values: Any, given: int, columns: Sequence[str]) -> "QuerySet[Any]":
        *keys, limit = values[given:]
        return behind(self._make(*values[:given]), columns, keys)[:limit]


@dataclasses.dataclass(frozen=True)
class Asked:
    """Such a list of some values."""

    kept: Kept
    values: tuple[Any, ...]


class Cursor(BasePagination):
    """A page of `limit` rows (1 to 200, 50 by default), with links to the next and the previous one.

    The view says how lists may be sorted: `orders` maps words to columns that are never null, the first being
    the default (a word with `-` in front = descending), and `tie` is the unique column behind each.
    """

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Raises ValidationError for a limit, an order or a cursor that is none."""
        self.request = request
        limit = _limit(request)
        self.columns = order_of(request, view)
        edge = self._edge(request)
        columns = [_flip(column) for column in self.columns] if edge and edge.back else list(self.columns)
        keys = edge.keys if edge else ()
        if isinstance(queryset, Asked):
            rows = queryset.kept.rows(queryset.values, columns, keys, limit + 1)
        else:
            rows = list(behind(queryset, columns, keys)[: limit + 1])
        more, rows = len(rows) > limit, rows[:limit]
        if edge and edge.back:
            rows.reverse()
        self.next = self._link(rows[-1:], back=False) if more or (edge and edge.back) else None
        self.previous = self._link(rows[:1], back=True) if edge and (more or not edge.back) else None
        return rows

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"results": data, "next": self.next, "previous": self.previous})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["results", "next", "previous"],
            "properties": {
                "results": schema,
                "next": {
                    **link,
                    "description": "Address of the next page; null on the last one.",
                    "example": None,
                },
                "previous": {
                    **link,
                    "description": "Address of the page before; null on the first one.",
                    "example": None,
                },
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        whole = {"type": "integer", "minimum": 1, "maximum": LONGEST, "default": DEFAULT}
        found = [
            _parameter(LIMIT, f"Rows a page, {DEFAULT} unless told.", whole),
            _parameter(
                CURSOR, "From `next` or `previous` of another page.", {"type": "string", "minLength": 1}
            ),
        ]
        if view.orders:
            names = [name for word in view.orders for name in (_bare(word), f"-{_bare(word)}")]
            text = f"`{next(iter(view.orders))}` unless told; `-` turns it round."
            found.append(_parameter(ORDER, text, {"type": "string", "enum": names}))
        return found

    def _edge(self, request: Request) -> Edge | None:
        text = request.query_params.get(CURSOR)
        if text is None:
            return None
        try:
            stamp, back, keys = signing.loads(text, salt=SALT)
        except (signing.BadSignature, ValueError, TypeError):
            raise ValidationError({CURSOR: "it was not made by this portal, or is incomplete"}) from None
        if stamp != self._stamp():
            raise ValidationError({CURSOR: "it belongs to another list, filter or order"})
        return Edge(tuple(_read(key) for key in keys), bool(back))

    def _link(self, rows: Sequence[Any], *, back: bool) -> str | None:
        if not rows:
            return None
        keys = [_write(getattr(rows[0], _bare(column))) for column in self.columns]
        text = signing.dumps([self._stamp(), back, keys], salt=SALT)
        return replace_query_param(self.request.build_absolute_uri(), CURSOR, text)

    def _stamp(self) -> str:
        """What the cursor belongs to: path, caller, filters and order; the limit may change between pages."""
        asked = sorted(
            (name, values)
            for name, values in self.request.query_params.lists()
            if name not in {CURSOR, LIMIT}
        )
        text = repr((self.request.path, self.request.user.id, asked, self.columns))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def order_of(request: Request, view: Any) -> tuple[str, ...]:
    """The columns that the list is sorted by. Raises ValidationError outside the view's allow-list."""
    tie: str = view.tie
    if not view.orders:
        return (tie,)
    columns = {_bare(word): column for word, column in view.orders.items()}
    wanted = request.query_params.get(ORDER) or next(iter(view.orders))
    column = columns.get(_bare(wanted))
    if column is None:
        raise ValidationError({ORDER: "choose one of " + ", ".join(columns)})
    return (f"-{column}", f"-{tie}") if wanted.startswith("-") else (column, tie)


def behind(rows: "QuerySet[Any]", columns: Sequence[str], keys: Sequence[Any]) -> "QuerySet[Any]":
    """In this order; with keys, those behind them."""
    return (rows.filter(beyond(columns, keys)) if keys else rows).order_by(*columns)


def beyond(columns: Sequence[str], keys: Sequence[Any]) -> Q:
    """Rows behind these keys in this order. The first column's bound is said twice, for the index."""
    found = Q()
    for number, column in enumerate(columns):
        same = Q(**{_bare(before): key for before, key in zip(columns[:number], keys, strict=False)})
        found |= same & Q(**{f"{_bare(column)}__{_than(column)}": keys[number]})
    return Q(**{f"{_bare(columns[0])}__{_than(columns[0])}e": keys[0]}) & found


def _limit(request: Request) -> int:
    text = request.query_params.get(LIMIT, str(DEFAULT))
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= number <= LONGEST:
        raise ValidationError({LIMIT: f"a number from 1 to {LONGEST}"})
    return number


def _than(column: str) -> str:
    return "lt" if column.startswith("-") else "gt"


def _flip(column: str) -> str:
    return column[1:] if column.startswith("-") else f"-{column}"


def _bare(column: str) -> str:
    return column.removeprefix("-")


def _write(value: Any) -> list[str] | str | int | bool:
    if isinstance(value, str | int | bool):
        return value
    if isinstance(value, uuid.UUID):
        return ["u", str(value)]
    return ["t", value.isoformat()]


def _read(key: Any) -> Any:
    if not isinstance(key, list):
        return key
    kind, text = key
    return uuid.UUID(text) if kind == "u" else parse_datetime(text)


def _parameter(name: str, text: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": text, "schema": schema}
