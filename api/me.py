"""/me: who the caller is to the portal."""

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.authentication import token_of
from api.choices import ABILITIES, ROLES
from api.permissions import caller
from api.serializers import Out
from api.views import ApiView


@extend_schema_serializer(examples=[examples.ME])
class MeOut(Out):
    id = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=ROLES)
    tenant_id = serializers.UUIDField(allow_null=True, help_text="Null: for the whole provider.")
    abilities = serializers.ListField(child=serializers.ChoiceField(choices=ABILITIES))
    networks = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField()
    address = serializers.CharField(help_text="Your address now, as the portal sees it.")


class Me(ApiView):
    doors = {"GET": caller()}

    @extend_schema(operation_id="me_get", responses=MeOut)
    def get(self, request: Request) -> Response:
        """Which token this is, what it may do, and the address that it comes from."""
        token = token_of(request)
        abilities = sorted(self.actor.abilities(token.tenant_id))
        found = {
            name: getattr(token, name)
            for name in ("id", "name", "role", "tenant_id", "networks", "expires_at")
        }
        return Response(MeOut({**found, "abilities": abilities, "address": self.actor.address}).data)
