"""Bases of what goes in and out. What comes in is refused by name where it is not known."""

import dataclasses
import datetime as dt
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from api import examples

KINDS: tuple[tuple[type[serializers.Field[Any, Any, Any, Any]], type, str], ...] = (
    (serializers.BooleanField, bool, "it must be true or false"),
    (serializers.IntegerField, int, "it must be a whole number"),
    (serializers.ListField, list, "it must be a list"),
    (serializers.Serializer, dict, "it must be an object"),
    (serializers.DictField, dict, "it must be an object"),
    (serializers.Field, str, "it must be text"),
)
"""What each kind of field takes in JSON. DRF would also take the number 5 for the text "5", or "no" for false."""


class In(serializers.Serializer[Any]):
    """A body. Unknown fields are an error, not ignored: a misspelt one would silently change nothing."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            odd = {str(name): ["there is no such field here"] for name in data.keys() - self.fields.keys()}
            for name, field in self.fields.items():
                if data.get(name) is not None and (why := _misfit(field, data[name])):
                    odd[name] = [why]
            if odd:
                raise serializers.ValidationError(odd)
        return super().to_internal_value(data)


def _misfit(field: Any, value: Any) -> str:
    """Why this JSON value is not of the field's kind; empty when it is."""
    kind, why = next((kind, why) for cls, kind, why in KINDS if isinstance(field, cls))
    fits = isinstance(value, kind) and (kind is not int or not isinstance(value, bool))
    if fits and isinstance(field, serializers.ListField):
        return next((found for found in (_misfit(field.child, each) for each in value) if found), "")
    return "" if fits else why


def _moment(value: Any) -> Any:
    """As DRF writes a time that the database gave, which is in UTC; others go its own way."""
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else MOMENT.to_representation(value)


MOMENT: serializers.DateTimeField = serializers.DateTimeField(default_timezone=dt.UTC)
AS_THEY_ARE: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (serializers.CharField, str),
    (serializers.IntegerField, int),
    (serializers.UUIDField, str),
    (serializers.BooleanField, bool),
    (serializers.ChoiceField, str),
    (serializers.DateTimeField, _moment),
)
"""Kinds of fields, exactly these, whose values go out by a function of Python's own."""


class Out(serializers.Serializer[Any]):
    """An answer. Its fields are all there, always; what is not known is null."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """As DRF does it, with the ways to the values found once a process and not once a row."""
        if isinstance(instance, Mapping):
            found: dict[str, Any] = super().to_representation(instance)
            return found
        ways = _ways(type(self), type(instance))  # type: ignore[arg-type]  # a class can be hashed
        return ways.follow(self, instance)


Way = Callable[[Out, Any], Any]
"""From the answer that is written and the object it is of to the value of one field."""


@dataclasses.dataclass(frozen=True)
class Ways:
    """How an answer comes out of objects of one kind: values that are read from it in one go, and all others."""

    empty: dict[str, None]
    """All fields, in their order."""
    read: Callable[[Any], tuple[Any, ...]]
    shown: tuple[tuple[str, Callable[[Any], Any]], ...]
    """For each value that is read its field, and how it goes out."""
    others: tuple[tuple[str, Way], ...]

    def follow(self, answer: Out, row: Any) -> dict[str, Any]:
        found: dict[str, Any] = self.empty.copy()
        for (name, show), value in zip(self.shown, self.read(row), strict=True):
            if value is not None:
                found[name] = show(value)
        for name, way in self.others:
            found[name] = way(answer, row)
        return found


@functools.cache
def _ways(shape: type[Out], kind: type) -> Ways:
    """DRF copies all fields for each answer; those that know neither request nor context need it once."""
    fields = {str(name): field for name, field in shape().fields.items() if not field.write_only}
    shows = {name: _show(field) for name, field in fields.items() if _is_read(field, kind)}
    return Ways(
        empty=dict.fromkeys(fields),
        read=_reader([fields[name].source or name for name in shows]),
        shown=tuple(shows.items()),
        others=tuple((name, _way(field)) for name, field in fields.items() if name not in shows),
    )


def _reader(sources: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(sources) > 1:
        return operator.attrgetter(*sources)
    return lambda row: tuple(getattr(row, source) for source in sources)


def _is_read(field: Any, kind: type) -> bool:
    """Whether its value is an attribute of such an object, neither worked out nor found by way of others."""
    made = isinstance(field, serializers.SerializerMethodField | serializers.BaseSerializer)
    return not made and len(field.source_attrs) == 1 and not callable(getattr(kind, field.source, None))


def _show(field: Any) -> Callable[[Any], Any]:
    found: Callable[[Any], Any] = field.to_representation
    return next((show for kind, show in AS_THEY_ARE if type(field) is kind), found)


def _way(field: Any) -> Way:
    if type(field) is serializers.SerializerMethodField:
        return lambda answer, row: getattr(answer, field.method_name)(row)
    if isinstance(field, serializers.BaseSerializer):
        return lambda answer, row: _within(answer.fields[str(field.field_name)], row)
    show = _show(field)

    def way(answer: Out, row: Any) -> Any:
        value = field.get_attribute(row)
        return None if value is None else show(value)

    return way


def _within(field: Any, row: Any) -> Any:
    """An answer within another, which has its context."""
    value = field.get_attribute(row)
    return None if value is None else field.to_representation(value)


class Nothing(In):
    """No body, or an empty one."""


class FieldError(Out):
    field = serializers.CharField(help_text="Which field; one within another is `outer.inner`.")
    message = serializers.CharField()


class Problem(Out):
    """RFC 9457. `code` is what a program branches on; all of them are listed where `type` leads."""

    type = serializers.URLField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What happened, to which thing.")
    advice = serializers.CharField(help_text="What to do, and who can.")
    code = serializers.CharField()
    who = serializers.ChoiceField(
        choices=["customer_admin", "provider", "microsoft", "portal"], help_text="Who can mend it."
    )
    request_id = serializers.CharField(help_text="Give it to whoever runs the portal.")
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]  # RFC 9457's word, and DRF's too
    address = serializers.CharField(required=False, help_text="The address seen, where it was refused.")


@extend_schema_serializer(examples=[examples.COMMAND_REF])
class CommandRef(Out):
    """Work that was queued; poll its address until `state` is final."""

    number = serializers.IntegerField()
    kind = serializers.CharField()
    state = serializers.CharField()
    url = serializers.CharField()
