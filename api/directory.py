"""/tenants/{id}/users, groups, licences: the copy of the customer's Microsoft 365, as of the last replication."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.filters import Flag, search
from api.links import link
from api.pagination import Kept
from api.permissions import tenant
from api.serializers import Out
from api.views import ApiView, ListView
from directory import browse
from directory.models import DirectoryGroup, DirectoryUser, GroupMember, MemberType, SubscribedSku
from directory.skus import name_of
from tenants.abilities import Ability

GROUP_KINDS = [(kind, kind) for kind in browse.GROUP_KINDS]


class LicenceRef(Out):
    sku_id = serializers.UUIDField()
    part_number = serializers.CharField(allow_blank=True, help_text="Empty: not one of the customer's own.")
    name = serializers.CharField()


@extend_schema_serializer(examples=[examples.USER])
class UserOut(Out):
    """A user as Microsoft described it last."""

    object_id = serializers.UUIDField(help_text="Microsoft's.")
    user_principal_name = serializers.CharField(allow_blank=True)
    display_name = serializers.CharField(allow_blank=True)
    given_name = serializers.CharField(allow_blank=True)
    surname = serializers.CharField(allow_blank=True)
    mail = serializers.CharField(allow_blank=True)
    department = serializers.CharField(allow_blank=True)
    job_title = serializers.CharField(allow_blank=True)
    company_name = serializers.CharField(allow_blank=True)
    office_location = serializers.CharField(allow_blank=True)
    city = serializers.CharField(allow_blank=True)
    country = serializers.CharField(allow_blank=True)
    usage_location = serializers.CharField(allow_blank=True)
    business_phones = serializers.CharField(allow_blank=True)
    mobile_phone = serializers.CharField(allow_blank=True)
    account_enabled = serializers.BooleanField()
    user_type = serializers.CharField(allow_blank=True, help_text="Member or Guest.")
    on_premises = serializers.BooleanField()
    licences = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField(allow_null=True, help_text="At Microsoft.")
    changed_at = serializers.DateTimeField(help_text="When this copy last changed.")
    url = serializers.SerializerMethodField()

    @extend_schema_field(LicenceRef(many=True))
    def get_licences(self, row: DirectoryUser) -> list[dict[str, Any]]:
        words = self.context["licences"]
        return [_licence(sku_id, words.get(sku_id)) for sku_id in row.sku_ids]

    def get_url(self, row: DirectoryUser) -> str:
        return link(self.context["request"], "user", uid=row.tenant_id, object_id=row.object_id)


@extend_schema_serializer(examples=[examples.GROUP])
class GroupOut(Out):
    """A group as Microsoft described it last."""

    object_id = serializers.UUIDField(help_text="Microsoft's.")
    display_name = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    mail = serializers.CharField(allow_blank=True)
    kind = serializers.ChoiceField(choices=GROUP_KINDS)
    dynamic = serializers.BooleanField(help_text="Its members follow from a rule.")
    membership_rule = serializers.CharField(allow_blank=True)
    visibility = serializers.CharField(allow_blank=True)
    on_premises = serializers.BooleanField()
    members = serializers.SerializerMethodField(help_text="How many direct members.")
    created_at = serializers.DateTimeField(allow_null=True, help_text="At Microsoft.")
    changed_at = serializers.DateTimeField(help_text="When this copy last changed.")
    url = serializers.SerializerMethodField()

    def get_members(self, row: DirectoryGroup) -> int:
        return int(self.context["members"].get(row.object_id, 0))

    def get_url(self, row: DirectoryGroup) -> str:
        return link(self.context["request"], "group", uid=row.tenant_id, object_id=row.object_id)


class MemberOut(Out):
    """A direct member. One that is not in the copy, or is neither user nor group, has no name here."""

    object_id = serializers.UUIDField(source="member_id")
    type = serializers.ChoiceField(source="member_type", choices=MemberType.choices)
    display_name = serializers.SerializerMethodField()
    user_principal_name = serializers.SerializerMethodField()

    def get_display_name(self, row: GroupMember) -> str:
        found = self.context["users"].get(row.member_id)
        return str(found) if found else str(self.context["groups"].get(row.member_id, ""))

    def get_user_principal_name(self, row: GroupMember) -> str:
        found = self.context["users"].get(row.member_id)
        return found.user_principal_name if found else ""


class LicenceOut(Out):
    """A licence product of the customer, and how many units are left."""

    sku_id = serializers.UUIDField()
    part_number = serializers.CharField()
    name = serializers.SerializerMethodField()
    capability_status = serializers.CharField(allow_blank=True)
    enabled = serializers.IntegerField()
    consumed = serializers.IntegerField()
    free = serializers.IntegerField(help_text="Below zero when more are in use than were bought.")
    warning = serializers.IntegerField()
    suspended = serializers.IntegerField()
    locked_out = serializers.IntegerField()
    changed_at = serializers.DateTimeField()

    def get_name(self, row: SubscribedSku) -> str:
        return name_of(row.part_number)


class UserFilters(django_filters.FilterSet):
    search = search("Every word, in name or address; an object id finds that object.")
    enabled = Flag(field_name="account_enabled")
    department = django_filters.CharFilter(max_length=200)
    licence = django_filters.UUIDFilter(method="with_licence", help_text="The SKU's id.")
    type = django_filters.ChoiceFilter(
        field_name="user_type", choices=[("Member", "Member"), ("Guest", "Guest")]
    )

    def look_for(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(browse.matching(value))

    def with_licence(self, queryset: QuerySet[Any], name: str, value: uuid.UUID) -> QuerySet[Any]:
        return queryset.filter(sku_ids__contains=[value])


class GroupFilters(django_filters.FilterSet):
    search = search("Every word, in the name; an object id finds that object.")
    kind = django_filters.ChoiceFilter(choices=GROUP_KINDS, method="of_kind")

    def look_for(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(browse.matching(value))

    def of_kind(self, queryset: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        return queryset.filter(browse.GROUP_KINDS[value])


def _licence(sku_id: uuid.UUID, known: browse.Licence | None) -> dict[str, Any]:
    if known is None:
        return {"sku_id": str(sku_id), "part_number": "", "name": str(sku_id)}
    return {"sku_id": str(sku_id), "part_number": known.part_number, "name": known.name}


class Users(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    kept = Kept(browse.users)
    filters = UserFilters
    orders = {"name": "search"}
    tie = "object_id"
    out = UserOut

    def rows(self) -> QuerySet[DirectoryUser]:
        return browse.users(self.tenant)

    def context(self, page: list[DirectoryUser]) -> dict[str, Any]:
        return {"licences": browse.licence_words(browse.licences(self.tenant))}

    @extend_schema(operation_id="users_list", responses=UserOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's users, by name."""
        return self.page()


class OneUser(ApiView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(operation_id="users_get", responses=UserOut)
    def get(self, request: Request, uid: str, object_id: uuid.UUID) -> Response:
        """One user."""
        found = browse.user(self.tenant, object_id)
        words = browse.licence_words(browse.licences(self.tenant))
        return Response(UserOut(found, context={"request": request, "licences": words}).data)


class Groups(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    filters = GroupFilters
    orders = {"name": "search"}
    tie = "object_id"
    out = GroupOut

    def rows(self) -> QuerySet[DirectoryGroup]:
        return browse.groups(self.tenant)

    def context(self, page: list[DirectoryGroup]) -> dict[str, Any]:
        return {"members": browse.member_counts(self.tenant, page)}

    @extend_schema(operation_id="groups_list", responses=GroupOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's groups, by name."""
        return self.page()


class OneGroup(ApiView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(operation_id="groups_get", responses=GroupOut)
    def get(self, request: Request, uid: str, object_id: uuid.UUID) -> Response:
        """One group."""
        found = browse.group(self.tenant, object_id)
        counts = browse.member_counts(self.tenant, [found])
        return Response(GroupOut(found, context={"request": request, "members": counts}).data)


class Members(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    tie = "member_id"
    out = MemberOut

    def rows(self) -> QuerySet[GroupMember]:
        found = browse.group(self.tenant, self.kwargs["object_id"])
        rows: QuerySet[GroupMember] = GroupMember.objects.filter(tenant=self.tenant, group_id=found.object_id)
        return rows

    def context(self, page: list[GroupMember]) -> dict[str, Any]:
        ids = [row.member_id for row in page]
        users = DirectoryUser.objects.filter(tenant=self.tenant, object_id__in=ids)
        groups = DirectoryGroup.objects.filter(tenant=self.tenant, object_id__in=ids)
        return {
            "users": {user.object_id: user for user in users},
            "groups": {group.object_id: group for group in groups},
        }

    @extend_schema(operation_id="groups_members", responses=MemberOut(many=True))
    def get(self, request: Request, uid: str, object_id: uuid.UUID) -> Response:
        """Direct members of a group, by object id."""
        return self.page()


class Licences(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    orders = {"part_number": "part_number"}
    tie = "sku_id"
    out = LicenceOut

    def rows(self) -> QuerySet[SubscribedSku]:
        found: QuerySet[SubscribedSku] = SubscribedSku.objects.filter(tenant=self.tenant)
        return found

    @extend_schema(operation_id="licences_list", responses=LicenceOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's licence products."""
        return self.page()
