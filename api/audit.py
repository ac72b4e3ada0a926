"""/audit: what was done, by whom, for whom."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.filters import Moment
from api.permissions import every
from api.serializers import Out
from api.views import ListView
from audit import selectors
from audit.models import Entry
from tenants import scope
from tenants.abilities import Ability


class EntryOut(Out):
    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    tenant_id = serializers.UUIDField(allow_null=True)
    actor_kind = serializers.CharField(help_text="person, token, invitation, cli or system.")
    actor_id = serializers.CharField()
    actor_label = serializers.CharField()
    address = serializers.CharField(allow_null=True)
    request_id = serializers.UUIDField()
    action = serializers.CharField()
    object_kind = serializers.CharField()
    object_id = serializers.CharField()
    object_label = serializers.CharField(allow_blank=True)
    changes = serializers.DictField(help_text="Field -> [before, after]; secrets are masked.")


class AuditFilters(django_filters.FilterSet):
    tenant = django_filters.UUIDFilter(field_name="tenant_id")
    action = django_filters.CharFilter(max_length=60)
    actor_id = django_filters.CharFilter(max_length=64)
    object_kind = django_filters.CharFilter(max_length=40)
    object_id = django_filters.CharFilter(max_length=64)
    after = Moment(field_name="at", lookup_expr="gte")
    before = Moment(field_name="at", lookup_expr="lt")


class Audit(ListView):
    doors = {"GET": every(Ability.VIEW_AUDIT)}
    filters = AuditFilters
    tie = "-id"
    out = EntryOut

    def rows(self) -> QuerySet[Entry]:
        """Row-level security shows the scope's entries only; the planner wants the filter as well."""
        now = scope.require()
        found = selectors.entries()
        return found if now.tenants is None else found.filter(tenant_id__in=list(now.tenants))

    @extend_schema(operation_id="audit_list", responses=EntryOut(many=True))
    def get(self, request: Request) -> Response:
        """The trail, newest first."""
        return self.page()
