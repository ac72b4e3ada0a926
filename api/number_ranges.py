"""/tenants/{id}/number-ranges and number-holds: pools of numbers, and what is reserved or blocked of them."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import etags, examples
from api.filters import search
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import In, Out
from api.views import ApiView, ListView
from audiocodes.dialplan import LONGEST, Rule
from core.errors import InvalidInput
from sites import selectors as sites
from telephony import holds, intervals, ranges
from telephony.models import HoldKind, NumberHold, NumberKind, NumberRange
from tenants.abilities import Ability

MOST = 1_000
"""Numbers or ranges of one request."""


# --- Ranges -------------------------------------------------------------------------------------------------
class RangeChange(In):
    """What is left out keeps its value."""

    name = serializers.CharField(max_length=60, required=False, help_text="The customer's only one.")
    type = serializers.ChoiceField(
        choices=NumberKind.choices, required=False, help_text="How its numbers get to the telephone network."
    )
    first = serializers.CharField(
        max_length=LONGEST, required=False, help_text="+41589061000; alone also +415890610[00-99]."
    )
    last = serializers.CharField(
        max_length=LONGEST, required=False, allow_blank=True, help_text="Left out: just what `first` says."
    )
    site_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Of the customer's site that it belongs to."
    )
    note = serializers.CharField(
        max_length=300, required=False, allow_blank=True, help_text="For whoever looks later."
    )


@extend_schema_serializer(examples=[examples.RANGE_ADD])
class RangeIn(RangeChange):
    """A new range. No number of it may be in another one, whoever's."""

    name = serializers.CharField(max_length=60, help_text="The customer's only one.")
    type = serializers.ChoiceField(
        choices=NumberKind.choices, help_text="How its numbers get to the telephone network."
    )
    first = serializers.CharField(max_length=LONGEST, help_text="+41589061000; alone also +415890610[00-99].")


class FiguresOut(Out):
    """How many of its numbers are what."""

    free = serializers.IntegerField()
    assigned = serializers.IntegerField()
    reserved = serializers.IntegerField()
    blocked = serializers.IntegerField()
    cooling = serializers.IntegerField()
    not_at_microsoft = serializers.IntegerField(
        source="unknown", help_text="Not of Direct Routing, and so not to be given out yet."
    )
    nearly_used_up = serializers.BooleanField(source="few")
    used_up = serializers.BooleanField()


class RangeOut(Out):
    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    type = serializers.ChoiceField(source="kind", choices=NumberKind.choices)
    first = serializers.CharField()
    last = serializers.CharField()
    numbers = serializers.IntegerField(help_text="How many they are.")
    site_id = serializers.UUIDField(source="site.uid", allow_null=True, default=None)
    note = serializers.CharField(allow_blank=True)
    figures = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    row_version = serializers.IntegerField(help_text="The number in the ETag.")

    @extend_schema_field(FiguresOut())
    def get_figures(self, row: NumberRange) -> dict[str, Any]:
        return dict(FiguresOut(self.context["figures"][row.id]).data)


class RangeFilters(django_filters.FilterSet):
    search = search("A number that is in it, or words of name or note.")
    type = django_filters.ChoiceFilter(field_name="kind", choices=NumberKind.choices)

    def look_for(self, rows: QuerySet[NumberRange], name: str, value: str) -> QuerySet[NumberRange]:
        return rows.filter(ranges.matching(value))


class NumberRanges(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "POST": tenant(Ability.EDIT_TENANT)}
    filters = RangeFilters
    orders = {"name": "name"}
    out = RangeOut

    def rows(self) -> QuerySet[NumberRange]:
        return ranges.of_tenant(self.tenant)

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {"figures": ranges.figures(self.tenant, page)}

    @extend_schema(operation_id="number_ranges_list", responses=RangeOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's number ranges, and how full they are."""
        return self.page()

    @extend_schema(operation_id="number_ranges_add", request=RangeIn, responses={201: RangeOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Add a range. `number_range_taken` says which range has numbers of it already."""
        row = ranges.add(self.actor, self.tenant, **_wish(self, self.body(RangeIn)))
        url = reverse(
            "api:number-range", kwargs={"uid": self.tenant.id, "range_id": row.uid}, request=request
        )
        headers = {"Location": url, "ETag": etags.etag(row.row_version)}
        return Response(RangeOut(row, context=self.context([row])).data, status=201, headers=headers)


def _wish(view: ApiView, given: dict[str, Any]) -> dict[str, Any]:
    """What the service takes. Raises NotFound for a site that there is not."""
    wish = {("kind" if name == "type" else name): value for name, value in given.items() if name != "site_id"}
    if "site_id" in given:
        wish["site"] = sites.site(view.tenant, given["site_id"]) if given["site_id"] else None
    return wish


class OneRange(ApiView):
    doors = {
        "GET": tenant(Ability.VIEW_DIRECTORY),
        "PATCH": tenant(Ability.EDIT_TENANT),
        "DELETE": tenant(Ability.EDIT_TENANT),
    }
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="number_range_get", responses=RangeOut)
    def get(self, request: Request, uid: str, range_id: uuid.UUID) -> Response:
        """One range, and how full it is."""
        return self.shown(ranges.get(self.tenant, range_id))

    @extend_schema(operation_id="number_range_change", request=RangeChange, responses=RangeOut)
    def patch(self, request: Request, uid: str, range_id: uuid.UUID) -> Response:
        """Change it. Numbers that are no longer in it stay with whoever has them."""
        row = ranges.get(self.tenant, range_id)
        etags.check(request, row.row_version, thing="the number range")
        wish = _wish(self, self.body(RangeChange))
        return self.shown(ranges.change(self.actor, row, version=row.row_version, **wish))

    @extend_schema(operation_id="number_range_remove", responses={204: None})
    def delete(self, request: Request, uid: str, range_id: uuid.UUID) -> Response:
        """Forget the range; its numbers, and what is reserved or blocked of them, stay as they are."""
        ranges.remove(self.actor, ranges.get(self.tenant, range_id))
        return Response(status=204)

    def shown(self, row: NumberRange) -> Response:
        context = {"figures": ranges.figures(self.tenant, [row])}
        headers = {"ETag": etags.etag(row.row_version)}
        return Response(RangeOut(row, context=context).data, headers=headers)


class FreeOut(Out):
    numbers = serializers.ListField(
        child=serializers.CharField(),
        help_text="The lowest first; fewer than asked for when there are no more.",
    )


class FreeNumbers(ApiView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(
        operation_id="number_range_free",
        parameters=[
            OpenApiParameter(
                "count",
                {"type": "integer", "minimum": 1, "maximum": MOST, "default": 1},
                description="How many.",
            )
        ],
        responses=FreeOut,
    )
    def get(self, request: Request, uid: str, range_id: uuid.UUID) -> Response:
        """The next free numbers of a range. None of them is set aside: reserve those that you mean to use."""
        text = request.query_params.get("count", "1")
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= MOST):
            raise InvalidInput(field="count", why=f"it is a whole number from 1 to {MOST:,}")
        return Response(FreeOut({"numbers": ranges.free(self.tenant, range_id, int(text))}).data)


# --- Reservations and blocks --------------------------------------------------------------------------------
class HoldOut(Out):
    id = serializers.UUIDField(source="uid")
    state = serializers.ChoiceField(source="kind", choices=HoldKind.choices)
    first = serializers.CharField()
    last = serializers.CharField()
    numbers = serializers.IntegerField(help_text="How many they are.")
    holder = serializers.CharField(allow_blank=True, help_text="For whom they are reserved.")
    note = serializers.CharField(allow_blank=True, help_text="Of a block: the reason.")
    until = serializers.DateTimeField(allow_null=True, help_text="It ends by itself then.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


def _numbers() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=LONGEST),
        min_length=1,
        max_length=MOST,
        help_text="Numbers such as +41589061000, and ranges such as +415890610[00-99].",
    )


@extend_schema_serializer(examples=[examples.HOLDS_ADD])
class HoldsIn(In):
    """All of them or none."""

    state = serializers.ChoiceField(choices=HoldKind.choices, help_text="What becomes of them.")
    numbers = _numbers()
    holder = serializers.CharField(
        max_length=holds.LONGEST_HOLDER, required=False, help_text="For whom; a reservation needs it."
    )
    note = serializers.CharField(
        max_length=holds.LONGEST_NOTE, required=False, allow_blank=True, help_text="A block needs its reason."
    )
    until = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Of a reservation: it ends by itself then."
    )


class HeldOut(Out):
    held = serializers.ListField(child=serializers.CharField(), help_text="What is reserved or blocked now.")
    numbers = serializers.IntegerField(help_text="How many numbers these are.")


class ReleaseIn(In):
    numbers = _numbers()


class ReleasedOut(Out):
    numbers = serializers.IntegerField(help_text="How many were reserved or blocked, and are no more.")


class HoldFilters(django_filters.FilterSet):
    search = search("A number that is held, or words of for whom, why or by whom.")
    state = django_filters.ChoiceFilter(field_name="kind", choices=HoldKind.choices)

    def look_for(self, rows: QuerySet[NumberHold], name: str, value: str) -> QuerySet[NumberHold]:
        return rows.filter(holds.matching(value))


class NumberHolds(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "POST": tenant(Ability.MANAGE_NUMBERS)}
    filters = HoldFilters
    out = HoldOut

    def rows(self) -> QuerySet[NumberHold]:
        return holds.of_tenant(self.tenant)

    @extend_schema(operation_id="number_holds_list", responses=HoldOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Numbers that are reserved or blocked now."""
        return self.page()

    @extend_schema(operation_id="number_holds_add", request=HoldsIn, responses={201: HeldOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Reserve or block numbers, all of them or none; they need not be known to Microsoft if a range has them."""
        given = self.body(HoldsIn)
        rules = _rules(given["numbers"])
        if given["state"] == HoldKind.BLOCKED:
            if odd := next((name for name in ("holder", "until") if given.get(name)), ""):
                raise InvalidInput(field=odd, why="a block has none")
            if not given.get("note", "").strip():
                raise InvalidInput(field="note", why="a block needs its reason")
            done = holds.block(self.actor, self.tenant, rules, reason=given.get("note", ""))
        else:
            about = {"holder": given.get("holder", ""), "note": given.get("note", "")}
            done = holds.reserve(self.actor, self.tenant, rules, until=given.get("until"), **about)
        held = [one.rule for one in done]
        body = {
            "held": [intervals.words(rule) for rule in held],
            "numbers": sum(rule.numbers for rule in held),
        }
        return Response(HeldOut(body).data, status=201)


def _rules(numbers: list[str]) -> list[Rule]:
    """Raises InvalidInput naming the field, and in words the number."""
    found = []
    for text in numbers:
        try:
            found.append(intervals.between(text))
        except InvalidInput as error:
            raise InvalidInput(field="numbers", why=f"{text}: {error.fields.get('why', '')}") from None
    return found


class ReleaseHolds(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_NUMBERS)}

    @extend_schema(operation_id="number_holds_release", request=ReleaseIn, responses=ReleasedOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """End what is reserved or blocked of these numbers; of a larger one the rest stays."""
        freed = holds.release(self.actor, self.tenant, _rules(self.body(ReleaseIn)["numbers"]))
        return Response(ReleasedOut({"numbers": freed}).data)


class OneHold(ApiView):
    doors = {"DELETE": tenant(Ability.MANAGE_NUMBERS)}

    @extend_schema(operation_id="number_hold_release", responses={204: None})
    def delete(self, request: Request, uid: str, hold_id: uuid.UUID) -> Response:
        """End this one, whole."""
        hold = holds.get(self.tenant, hold_id)
        holds.release(self.actor, self.tenant, [hold.rule])
        return Response(status=204)
