"""/tenants/{id}/qoe: the application that may read call records. Its password goes in only."""

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.connections import CredentialOut, TroubleOut, trouble
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, accepted
from authstatus import qoe
from authstatus.models import QoeIntegration
from core.errors import NotFound
from tenants.abilities import Ability
from tenants.models import Verification


@extend_schema_serializer(examples=[examples.QOE_SET])
class QoeIn(In):
    application_id = serializers.UUIDField(help_text="The Application (client) ID.")
    password = serializers.CharField(
        max_length=2000,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="A client secret's Value; without it, the stored one of the same application stays.",
    )


class QoeOut(Out):
    """What is stored, and what a token and one call for call records said of it."""

    application_id = serializers.UUIDField()
    credential = CredentialOut(source="secret")
    verification = serializers.ChoiceField(choices=Verification.choices)
    verification_text = serializers.CharField(source="get_verification_display")
    verified_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.SerializerMethodField()

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: QoeIntegration) -> dict[str, object] | None:
        return trouble(row.problem)


class OneQoe(ApiView):
    doors = {
        "GET": tenant(Ability.VIEW_TENANT),
        "PUT": tenant(Ability.MANAGE_CONNECTION),
        "DELETE": tenant(Ability.MANAGE_CONNECTION),
    }

    @extend_schema(operation_id="qoe_get", responses=QoeOut)
    def get(self, request: Request, uid: str) -> Response:
        """QOE Integration with Microsoft Teams. Nothing in the portal reads call records yet."""
        found = qoe.of_tenant(self.tenant)
        if found is None:
            raise NotFound(thing="QOE integration")
        return Response(QoeOut(found).data)

    @extend_schema(operation_id="qoe_set", request=QoeIn, responses={202: CommandRef})
    def put(self, request: Request, uid: str) -> Response:
        """Store the application, and have it tried."""
        return accepted(request, qoe.save(self.actor, self.tenant, **self.body(QoeIn)))

    @extend_schema(operation_id="qoe_remove", responses={204: None})
    def delete(self, request: Request, uid: str) -> Response:
        """Forget the application and its password. Nothing is changed at Microsoft."""
        qoe.remove(self.actor, self.tenant)
        return Response(status=204)


class CheckQoe(ApiView):
    doors = {"POST": tenant(Ability.VERIFY_CONNECTION)}

    @extend_schema(operation_id="qoe_check", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Try it again: a fresh token, and one call for call records."""
        self.body(Nothing)
        return accepted(request, qoe.check(self.actor, self.tenant))
