"""/tenants/{id}/connection/permissions, roles, checks: what checks of the credentials found, and when."""

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.connections import TroubleOut, trouble
from api.filters import Moment
from api.permissions import tenant
from api.serializers import Out
from api.views import ListView
from authstatus import selectors
from authstatus.models import Check, Finding, FindingKind, FindingState, Result
from m365.permissions import FEATURES, FOR_NEW_SITE, PERMISSIONS, ROLE_TABLE
from tenants.abilities import Ability

ROLES = {row.role: row for row in ROLE_TABLE}
OF_PERMISSIONS = [each for each in FindingKind.choices if each[0] != FindingKind.ROLE]


class _FoundOut(Out):
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=FindingState.choices)
    state_text = serializers.CharField(source="get_state_display")
    since = serializers.DateTimeField(help_text="Since when it is so, as far as checks have seen.")
    checked_at = serializers.DateTimeField(help_text="When a check looked last.")


@extend_schema_serializer(examples=[examples.PERMISSION])
class PermissionOut(_FoundOut):
    """A permission in the token, or a call that proves one; each has its own result."""

    kind = serializers.ChoiceField(choices=OF_PERMISSIONS, help_text="call: `name` is a feature's.")
    purpose = serializers.SerializerMethodField(help_text="Empty: nothing that the portal does.")
    problem = serializers.SerializerMethodField(help_text="Why Microsoft refused the call.")

    def get_purpose(self, row: Finding) -> str:
        if row.kind == FindingKind.CALL:
            return FEATURES[row.name].title if row.name in FEATURES else ""
        return PERMISSIONS[row.name].purpose if row.name in PERMISSIONS else ""

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Finding) -> dict[str, object] | None:
        return trouble(row.problem)


@extend_schema_serializer(examples=[examples.ROLE])
class RoleOut(_FoundOut):
    """A directory role: `missing` is needed and not there, `extra` may be removed now."""

    purpose = serializers.SerializerMethodField()
    stage = serializers.SerializerMethodField(help_text="Deployment Stage in which it is needed.")
    condition = serializers.SerializerMethodField(help_text="Validation Conditions.")
    for_new_site = serializers.SerializerMethodField(
        help_text="Whether a new site with a sub-domain of its own wants it again, for a while."
    )

    def get_purpose(self, row: Finding) -> str:
        return ROLES[row.name].purpose if row.name in ROLES else ""

    def get_stage(self, row: Finding) -> str:
        return ROLES[row.name].stage.value if row.name in ROLES else ""

    def get_condition(self, row: Finding) -> str:
        return ROLES[row.name].condition if row.name in ROLES else ""

    def get_for_new_site(self, row: Finding) -> bool:
        return row.name in FOR_NEW_SITE


class DriftOut(Out):
    kind = serializers.CharField(help_text="permission or directory role.")
    name = serializers.CharField()
    was = serializers.CharField()
    now = serializers.CharField()


@extend_schema_serializer(examples=[examples.CHECK_MADE])
class CheckOut(Out):
    """A check: check_failed and propagating say nothing about the access, the other results do."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    result = serializers.ChoiceField(choices=Result.choices)
    result_text = serializers.CharField(source="get_result_display")
    problem = serializers.SerializerMethodField()
    organization = serializers.CharField(allow_blank=True, help_text="The name that the tenant gives itself.")
    granted = serializers.ListField(child=serializers.CharField(), help_text="Permissions in the token.")
    missing = serializers.ListField(child=serializers.CharField(), help_text="Needed and not granted.")
    drift = DriftOut(many=True, help_text="What came or went since the check before.")

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Check) -> dict[str, object] | None:
        return trouble(row.problem)


class FoundFilters(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=FindingState.choices)


class CheckFilters(django_filters.FilterSet):
    result = django_filters.ChoiceFilter(choices=Result.choices)
    after = Moment(field_name="at", lookup_expr="gte")
    before = Moment(field_name="at", lookup_expr="lt")


class Permissions(ListView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}
    filters = FoundFilters
    orders = {"name": "name"}
    out = PermissionOut

    def rows(self) -> QuerySet[Finding]:
        return selectors.findings(self.tenant).exclude(kind=FindingKind.ROLE)

    @extend_schema(operation_id="connection_permissions", responses=PermissionOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """What the last check found: each permission, and the call that proves each feature."""
        return self.page()


class Roles(ListView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}
    filters = FoundFilters
    orders = {"name": "name"}
    out = RoleOut

    def rows(self) -> QuerySet[Finding]:
        return selectors.findings(self.tenant).filter(kind=FindingKind.ROLE)

    @extend_schema(operation_id="connection_roles", responses=RoleOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Directory roles that are there, missing, or no longer needed."""
        return self.page()


class Checks(ListView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}
    filters = CheckFilters
    tie = "-id"
    out = CheckOut

    def rows(self) -> QuerySet[Check]:
        return selectors.checks(self.tenant)

    @extend_schema(operation_id="connection_checks", responses=CheckOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Checks of the credentials, newest first."""
        return self.page()
