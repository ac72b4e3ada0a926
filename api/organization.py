"""/tenants/{id}/organization: what lies behind a new customer's credentials, and that it is the right one."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import In, Out
from api.views import ApiView
from authstatus import organization
from tenants import confirming
from tenants.abilities import Ability
from tenants.models import Connection
from tenants.selectors import connection_of


class OrganizationIn(In):
    id = serializers.UUIDField(help_text="Of the organisation that you compared.")


class OrganizationOut(Out):
    """Null and empty until a check has found it; it is looked at where somebody is asked to confirm it."""

    id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_blank=True)
    domains = serializers.ListField(child=serializers.CharField(), help_text="Verified ones.")
    users = serializers.IntegerField(allow_null=True)
    groups = serializers.IntegerField(allow_null=True)
    awaited = serializers.BooleanField(help_text="The first replication waits until somebody confirms it.")
    confirmed_by = serializers.CharField(allow_blank=True)
    confirmed_at = serializers.DateTimeField(allow_null=True)


class Organization(ApiView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}

    @extend_schema(operation_id="organization_get", responses=OrganizationOut)
    def get(self, request: Request, uid: str) -> Response:
        """What the check before the first replication found at Microsoft."""
        return Response(_shown(connection_of(self.tenant), awaited=confirming.awaited(self.tenant.id)))


class Confirm(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="organization_confirm", request=OrganizationIn, responses=OrganizationOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """This is the right organisation: its first replication may begin."""
        organization.confirm(self.actor, self.tenant, self.body(OrganizationIn)["id"])
        return Response(_shown(connection_of(self.tenant), awaited=False))


def _shown(row: Connection | None, *, awaited: bool) -> Mapping[str, Any]:
    nothing: dict[str, Any] = {"id": None, "name": "", "domains": [], "users": None, "groups": None}
    return OrganizationOut(
        {
            **(row.organization if row and row.organization else nothing),
            "awaited": awaited,
            "confirmed_by": row.confirmed_by if row else "",
            "confirmed_at": row.confirmed_at if row else None,
        }
    ).data
