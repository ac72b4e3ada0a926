"""/prefixes: the dial plan rules that were read from SBC devices, and who has a number."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.filters import search
from api.idempotency import idempotent
from api.permissions import provider
from api.serializers import CommandRef, Nothing, Out
from api.views import ApiView, ListView, accepted
from sbc import prefixes, selectors, services
from sbc.models import Rule
from tenants.abilities import Ability


class PrefixOut(Out):
    """A rule as it was on the device when its rules were read last."""

    sbc_id = serializers.UUIDField(source="sbc.uid")
    dial_plan = serializers.CharField(source="plan")
    index = serializers.IntegerField(help_text="Inside its dial plan.")
    name = serializers.CharField(allow_blank=True)
    prefix = serializers.CharField(allow_blank=True, help_text="In the device's own grammar.")
    tag = serializers.CharField(allow_blank=True)
    takes = serializers.SerializerMethodField(
        help_text="Whether it takes some of the numbers of `search`; null when only the device can tell, or nothing "
        "of the kind was asked."
    )
    read_at = serializers.DateTimeField(source="sbc.rules_read_at")
    customer = serializers.SerializerMethodField(
        help_text="Whose it is; null for a rule that the portal did not write."
    )
    site = serializers.SerializerMethodField(help_text="To which site of that customer it leads.")

    def get_customer(self, row: Rule) -> str | None:
        owner = self.context.get("owners", {}).get(row.id)
        return owner.customer if owner else None

    def get_site(self, row: Rule) -> str | None:
        owner = self.context.get("owners", {}).get(row.id)
        return owner.site if owner else None

    def get_takes(self, row: Rule) -> bool | None:
        number = self.context.get("number")
        return prefixes.takes(row, number) if number is not None else None


class PrefixFilters(django_filters.FilterSet):
    search = search(
        "A number or range, such as +41589061500 or +44587996[01-20]; or words of name, prefix or tag."
    )
    dial_plan = django_filters.CharFilter(field_name="plan", max_length=200)

    def look_for(self, rows: QuerySet[Rule], name: str, value: str) -> QuerySet[Rule]:
        return rows.filter(prefixes.matching(value))


class _List(ListView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER)}
    filters = PrefixFilters
    out = PrefixOut

    def context(self, page: list[Any]) -> dict[str, Any]:
        search = self.request.query_params.get("search", "")
        return {
            "number": prefixes.number_of(search) if search else None,
            "owners": prefixes.owners(page),
        }


class Prefixes(_List):
    def rows(self) -> QuerySet[Rule]:
        return prefixes.of().select_related("sbc")

    @extend_schema(operation_id="prefixes_list", responses=PrefixOut(many=True))
    def get(self, request: Request) -> Response:
        """The rules of all devices, as far as they were read. Who has a number: ask with `search`."""
        return self.page()


class SbcPrefixes(_List):
    def rows(self) -> QuerySet[Rule]:
        return prefixes.of(selectors.sbc(self.kwargs["sbc_id"])).select_related("sbc")

    @extend_schema(operation_id="sbcs_prefixes", responses=PrefixOut(many=True))
    def get(self, request: Request, sbc_id: uuid.UUID) -> Response:
        """Show Prefixes: the rules of one device, as they were read last."""
        return self.page()


class Refresh(ApiView):
    doors = {"POST": provider(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="sbcs_prefixes_refresh", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, sbc_id: uuid.UUID) -> Response:
        """Refresh From Sbc: read the rules of the device. Nothing on it changes."""
        self.body(Nothing)
        return accepted(request, services.read_prefixes(self.actor, selectors.sbc(sbc_id)))
