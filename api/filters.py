"""Filters and the order of lists: what is declared and nothing else; unknown names are refused by name."""

import datetime as dt
from typing import Any

import django_filters
from django import forms
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField
from rest_framework.exceptions import ValidationError
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from api.pagination import CURSOR, LIMIT, ORDER


class FlagField(forms.Field):
    """`true` or `false`. Django's own field takes any other word for "not said", and so for every row."""

    def to_python(self, value: Any) -> bool | None:
        if value in self.empty_values:
            return None
        if value not in {"true", "false"}:
            raise forms.ValidationError("it is neither true nor false")
        return bool(value == "true")


class Flag(django_filters.Filter):
    field_class = FlagField


class MomentField(IsoDateTimeField):
    """A time in UTC: PostgreSQL refuses some of the offsets that ISO 8601 allows."""

    def clean(self, value: Any) -> dt.datetime | None:
        found: dt.datetime | None = super().clean(value)
        try:
            return found and found.astimezone(dt.UTC)
        except OverflowError:
            raise forms.ValidationError("it is outside of the calendar") from None


class Moment(django_filters.IsoDateTimeFilter):
    field_class = MomentField


SCHEMAS: tuple[tuple[type[django_filters.Filter], dict[str, str]], ...] = (
    (Flag, {"type": "boolean"}),
    (django_filters.UUIDFilter, {"type": "string", "format": "uuid"}),
    (Moment, {"type": "string", "format": "date-time"}),
)
LONGEST_SEARCH = 200


class Filters(BaseFilterBackend):
    """Applies the view's `filters`, a FilterSet of declared fields."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        """Raises ValidationError naming the parameter."""
        declared: type[django_filters.FilterSet] = view.filters
        known = {*declared.base_filters, CURSOR, LIMIT} | ({ORDER} if view.orders else set())
        odd = {
            name: why
            for name, values in request.query_params.lists()
            if (why := _why_odd(name, values, known))
        }
        if odd:
            raise ValidationError(odd)
        if not set(request.query_params) - {CURSOR, LIMIT, ORDER}:
            return queryset
        wanted = declared(data=request.query_params, queryset=queryset, request=request)
        if not wanted.is_valid():
            raise ValidationError(wanted.errors)
        found: QuerySet[Any] = wanted.qs
        return found

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return [parameter(name, one) for name, one in view.filters.base_filters.items()]


def _why_odd(name: str, values: list[Any], known: set[str]) -> str:
    """Nothing is ignored: a filter that does nothing would show what nobody asked for."""
    if name not in known:
        return "there is no such parameter here"
    if len(values) > 1:
        return "it is given more than once"
    return "" if values[0] else "it has no value"


def parameter(name: str, one: django_filters.Filter) -> dict[str, Any]:
    """The filter as OpenAPI describes it."""
    schema: dict[str, Any] = {"type": "string"}
    for kind, found in SCHEMAS:
        if isinstance(one, kind):
            schema = dict(found)
    choices = one.extra.get("choices")
    if choices is not None:
        schema["enum"] = [str(value) for value, _ in (choices() if callable(choices) else choices)]
    if longest := one.extra.get("max_length"):
        schema |= {"minLength": 1, "maxLength": longest}
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": str(one.extra.get("help_text") or _words(name, one)),
        "schema": schema,
    }


def _words(name: str, one: django_filters.Filter) -> str:
    """What a filter that needs no words of its own does."""
    if isinstance(one, Moment):
        return "From then on." if one.lookup_expr == "gte" else "Before then."
    return "Only those that are, or are not." if isinstance(one, Flag) else f"Only those with this {name}."


class Unfiltered(django_filters.FilterSet):
    """For lists that are not filtered."""


def search(what: str) -> django_filters.CharFilter:
    return django_filters.CharFilter(method="look_for", max_length=LONGEST_SEARCH, help_text=what)
