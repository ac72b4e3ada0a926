"""/usage: active users and resource accounts of each customer, by month, for billing. Never numbers."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.filters import search
from api.permissions import every
from api.serializers import Out
from api.views import ListView
from telephony import usage
from tenants.abilities import Ability
from tenants.models import Plan, Service, Tenant


@extend_schema_serializer(examples=[examples.USAGE])
class UsageOut(Out):
    """One customer in one month. What was not counted is null, and `why` says why."""

    tenant = serializers.UUIDField(source="id", help_text="The customer.")
    customer = serializers.CharField(source="name")
    entra_tenant_id = serializers.UUIDField(allow_null=True)
    plan = serializers.ChoiceField(choices=Plan.choices)
    service = serializers.ChoiceField(choices=Service.choices)
    licensed_users = serializers.IntegerField(help_text="Now, not then.")
    active_users = serializers.IntegerField(
        allow_null=True, help_text="With enterprise voice and a number: the most on one day."
    )
    resource_accounts = serializers.IntegerField(allow_null=True, help_text="The most on one day.")
    days = serializers.IntegerField(allow_null=True, help_text="On how many days they were counted.")
    last_day = serializers.DateField(allow_null=True, help_text="The last of these days.")
    why = serializers.CharField(allow_blank=True, help_text="Why they were not counted.")
    deleted_at = serializers.DateTimeField(allow_null=True)


class UsageFilters(django_filters.FilterSet):
    search = search("Words of the customer's name or domain.")
    month = django_filters.CharFilter(
        method="of_month", max_length=7, help_text="Such as 2026-11; this month if left out."
    )

    def look_for(self, rows: QuerySet[Tenant], name: str, value: str) -> QuerySet[Tenant]:
        return usage.found(rows, value)

    def of_month(self, rows: QuerySet[Tenant], name: str, value: str) -> QuerySet[Tenant]:
        """The rows are those of that month already."""
        return rows


class UsageList(ListView):
    doors = {"GET": every(Ability.VIEW_TENANT)}
    filters = UsageFilters
    orders = {"name": "name"}
    out = UsageOut

    def rows(self) -> QuerySet[Tenant]:
        """Raises InvalidInput (month)."""
        return usage.of_month(usage.month_of(self.request.query_params.get("month", "")))

    @extend_schema(operation_id="usage_list", responses=UsageOut(many=True))
    def get(self, request: Request) -> Response:
        """Active users of each customer in a month, counted once a day."""
        return self.page()
