"""/tenants/{id}/numbers, teams-users, policies, and /numbers over all customers: telephony as of the last reading."""

import uuid
from typing import Any

import django_filters
from django.db.models import CharField, QuerySet
from django.db.models.functions import Cast, Concat
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.filters import Flag, search
from api.permissions import every, tenant
from api.serializers import Out
from api.views import ApiView, ListView
from telephony import holds, numbers, selectors
from telephony.models import HoldKind, NumberKind, PhoneNumber, TeamsPolicy, TeamsUser
from telephony.numbers import State
from tenants.abilities import Ability


class HolderOut(Out):
    """Who has a number."""

    object_id = serializers.UUIDField(help_text="Microsoft's.")
    display_name = serializers.CharField(
        source="name", allow_blank=True, help_text="Empty: not in the copy of the directory."
    )
    user_principal_name = serializers.CharField(source="address", allow_blank=True)


class HoldRef(Out):
    """Why nobody is given a number."""

    id = serializers.UUIDField(source="uid", help_text="Of the reservation or block, which may hold more.")
    state = serializers.ChoiceField(source="kind", choices=HoldKind.choices)
    holder = serializers.CharField(allow_blank=True, help_text="For whom it is reserved.")
    note = serializers.CharField(allow_blank=True, help_text="Of a block: the reason.")
    until = serializers.DateTimeField(allow_null=True)


class NumberOut(Out):
    """A phone number at Microsoft, and what the SBCs know of it."""

    tenant = serializers.UUIDField(source="tenant_id", help_text="The customer.")
    number = serializers.CharField()
    state = serializers.ChoiceField(choices=State.choices)
    type = serializers.CharField(
        source="kind", help_text=f"In Microsoft's words: {', '.join(NumberKind.values)}."
    )
    assigned_to = serializers.SerializerMethodField()
    on_sbc = serializers.SerializerMethodField(
        help_text="Whether a rule of the customer's takes it on an SBC; null while no SBC's rules were read."
    )
    assignment_status = serializers.CharField(
        source="status", allow_blank=True, help_text="In Microsoft's words."
    )
    activation_state = serializers.CharField(
        source="activation", allow_blank=True, help_text="In Microsoft's words."
    )
    category = serializers.CharField(allow_blank=True)
    country = serializers.CharField(allow_blank=True)
    city = serializers.CharField(allow_blank=True)
    freed_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was first seen free after it was in use."
    )
    changed_at = serializers.DateTimeField(help_text="When this copy last changed.")
    hold = serializers.SerializerMethodField(
        help_text="Its reservation or block; also of one that is assigned."
    )

    @extend_schema_field(HoldRef(allow_null=True))
    def get_hold(self, row: PhoneNumber) -> dict[str, Any] | None:
        hold = self.context["holds"].get((row.tenant_id, row.object_id))
        return dict(HoldRef(hold).data) if hold else None

    @extend_schema_field(HolderOut(allow_null=True))
    def get_assigned_to(self, row: PhoneNumber) -> dict[str, Any] | None:
        holder = selectors.holder_of(row)
        return dict(HolderOut(holder).data) if holder else None

    def get_on_sbc(self, row: PhoneNumber) -> bool | None:
        if not self.context["read"]:
            return None
        return bool(self.context["rules"][row.tenant_id, row.object_id])


class NumberFilters(django_filters.FilterSet):
    search = search("Digits of the number, or words of the name of who has it.")
    number = django_filters.CharFilter(max_length=40, help_text="Exactly this one, such as +41589061500.")
    state = django_filters.ChoiceFilter(choices=State.choices)
    type = django_filters.ChoiceFilter(field_name="kind", choices=NumberKind.choices)

    def look_for(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return numbers.found(rows, search=value)


class _Numbers(ListView):
    filters = NumberFilters
    orders = {"number": "search"}
    tie = "object_id"
    out = NumberOut

    def context(self, page: list[PhoneNumber]) -> dict[str, Any]:
        own = numbers.own_rules({one.tenant_id: one.tenant for one in page}.values())
        return {
            "rules": numbers.rules_of(page, own),
            "read": numbers.rules_read(),
            "holds": holds.of_numbers(page),
        }


class TenantNumbers(_Numbers):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    def rows(self) -> QuerySet[Any]:
        return numbers.with_holders(numbers.of(self.tenant).select_related("tenant"))

    @extend_schema(operation_id="numbers_of_tenant", responses=NumberOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's phone numbers at Microsoft, with who has them."""
        return self.page()


class Numbers(_Numbers):
    doors = {"GET": every(Ability.VIEW_DIRECTORY)}
    tie = "row_key"

    def rows(self) -> QuerySet[Any]:
        key = Concat(Cast("tenant_id", CharField()), Cast("object_id", CharField()))
        found: QuerySet[Any] = numbers.of().select_related("tenant").annotate(row_key=key)
        return numbers.with_holders(found)

    @extend_schema(operation_id="numbers_list", responses=NumberOut(many=True))
    def get(self, request: Request) -> Response:
        """Whose number is it? Those of all customers; ask with `number`."""
        return self.page()


class PolicyRef(Out):
    """The policy of a type that is in effect for a user; types that are not listed have the default."""

    type = serializers.CharField(source="kind")
    name = serializers.CharField()
    assignment = serializers.CharField(source="source", help_text="direct or group.")
    group_id = serializers.UUIDField(allow_null=True)


class TeamsUserOut(Out):
    """A user as Teams knows him. Whoever the CsOnlineUser Filter leaves out is not listed."""

    object_id = serializers.UUIDField(help_text="Microsoft's.")
    user_principal_name = serializers.CharField(allow_blank=True)
    account_type = serializers.CharField(allow_blank=True)
    enterprise_voice = serializers.BooleanField(source="voice")
    teams_phone = serializers.BooleanField(
        source="licensed", help_text="Whether a licence with Teams Phone is on."
    )
    features = serializers.SerializerMethodField()
    number = serializers.CharField(allow_blank=True, help_text="The primary one.")
    numbers = serializers.SerializerMethodField()
    policies = serializers.SerializerMethodField()
    changed_at = serializers.DateTimeField(help_text="When this copy last changed.")

    def get_features(self, row: TeamsUser) -> list[str]:
        return row.features.split()

    def get_numbers(self, row: TeamsUser) -> list[str]:
        return row.numbers.split()

    @extend_schema_field(PolicyRef(many=True))
    def get_policies(self, row: TeamsUser) -> list[dict[str, Any]]:
        return [dict(PolicyRef(one).data) for one in self.context["policies"].get(row.object_id, [])]


class TeamsUserFilters(django_filters.FilterSet):
    search = search("Words of address, name or number; an object id finds that user.")
    enterprise_voice = Flag(field_name="voice")

    def look_for(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return rows.filter(selectors.users_matching(value))


class TeamsUsers(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    filters = TeamsUserFilters
    orders = {"user_principal_name": "search"}
    tie = "object_id"
    out = TeamsUserOut

    def rows(self) -> QuerySet[TeamsUser]:
        return selectors.teams_users(self.tenant)

    def context(self, page: list[TeamsUser]) -> dict[str, Any]:
        return {"policies": selectors.policies_of(self.tenant, [one.object_id for one in page])}

    @extend_schema(operation_id="teams_users_list", responses=TeamsUserOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's users as Teams knows them: numbers, licence, policies."""
        return self.page()


class OneTeamsUser(ApiView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(operation_id="teams_users_get", responses=TeamsUserOut)
    def get(self, request: Request, uid: str, object_id: uuid.UUID) -> Response:
        """One user as Teams knows him."""
        found = selectors.teams_user(self.tenant, object_id)
        context = {"policies": selectors.policies_of(self.tenant, [object_id])}
        return Response(TeamsUserOut(found, context=context).data)


class PolicyOut(Out):
    """A policy that somebody has."""

    type = serializers.CharField(source="kind")
    name = serializers.CharField()
    policy_id = serializers.CharField(help_text="Microsoft's, opaque.")
    users = serializers.SerializerMethodField(help_text="How many have it, directly or by a group.")
    changed_at = serializers.DateTimeField(help_text="When this copy last changed.")

    def get_users(self, row: TeamsPolicy) -> int:
        return int(self.context["users"].get(row.object_id, 0))


class PolicyFilters(django_filters.FilterSet):
    type = django_filters.CharFilter(field_name="kind", max_length=100)


class Policies(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    filters = PolicyFilters
    orders = {"type": "search"}
    tie = "object_id"
    out = PolicyOut

    def rows(self) -> QuerySet[TeamsPolicy]:
        return selectors.policies(self.tenant)

    def context(self, page: list[TeamsPolicy]) -> dict[str, Any]:
        return {"users": selectors.holders_of_policies(self.tenant, [one.object_id for one in page])}

    @extend_schema(operation_id="policies_list", responses=PolicyOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Teams policies that somebody of the customer has; Microsoft Graph lists no others."""
        return self.page()
