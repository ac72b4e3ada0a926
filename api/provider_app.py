"""/provider-app: the provider's own app registration, for customers without one. Its secret goes in only."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import etags, examples
from api.connections import CredentialIn, CredentialOut, TroubleOut, trouble
from api.idempotency import idempotent
from api.permissions import provider
from api.serializers import CommandRef, Nothing, Out
from api.views import ApiView, accepted, queued
from authstatus import registrations, services
from tenants import provider_app
from tenants.abilities import Ability
from tenants.models import ProviderApp, Verification


@extend_schema_serializer(examples=[examples.PROVIDER_APP_SET])
class ProviderAppIn(CredentialIn):
    """A client secret, or a certificate with its private key; without either, the stored credential stays."""

    client_id = serializers.UUIDField(help_text="Of the app registration.")
    redirect_uri = serializers.CharField(
        max_length=300, help_text=f"https://, the portal's host name, and {provider_app.CALLBACK}."
    )
    home_tenant_id = serializers.UUIDField(
        required=False,
        allow_null=True,
        help_text="The Azure Tenant Id of the provider's own organisation; left out, none is stored.",
    )


@extend_schema_serializer(examples=[examples.PROVIDER_APP])
class ProviderAppOut(Out):
    """Null and empty until somebody has entered one."""

    client_id = serializers.UUIDField(allow_null=True)
    redirect_uri = serializers.CharField(allow_blank=True)
    home_tenant_id = serializers.UUIDField(allow_null=True)
    credential = serializers.SerializerMethodField()
    verification = serializers.ChoiceField(choices=Verification.choices)
    verification_text = serializers.CharField(source="get_verification_display")
    verified_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.SerializerMethodField()
    why_not_renewable = serializers.SerializerMethodField()
    row_version = serializers.IntegerField(help_text="The number in the ETag.")

    @extend_schema_field(
        serializers.CharField(
            allow_blank=True, help_text="Empty: the portal may try to renew its credential."
        )
    )
    def get_why_not_renewable(self, row: ProviderApp) -> str:
        return registrations.why_app_not_renewable(row)

    @extend_schema_field(CredentialOut(allow_null=True))
    def get_credential(self, row: ProviderApp) -> dict[str, Any] | None:
        return dict(CredentialOut(row.secret).data) if row.secret else None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: ProviderApp) -> dict[str, Any] | None:
        return trouble(row.problem)


@extend_schema_serializer(examples=[examples.PROVIDER_APP_KEPT])
class ProviderAppSet(ProviderAppOut):
    """The app, and the check that was queued for it."""

    check = CommandRef()


class OneProviderApp(ApiView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER), "PUT": provider(Ability.CHANGE_SETTINGS)}
    versioned = ("PUT",)
    tagged = True

    @extend_schema(operation_id="provider_app_get", responses=ProviderAppOut)
    def get(self, request: Request) -> Response:
        """The provider's own app, and what its last check said. Never a secret."""
        found = provider_app.current()
        return Response(ProviderAppOut(found).data, headers={"ETag": etags.etag(found.row_version)})

    @extend_schema(operation_id="provider_app_set", request=ProviderAppIn, responses=ProviderAppSet)
    def put(self, request: Request) -> Response:
        """Store it and queue its check. Customers who use it need not do anything."""
        values = self.body(ProviderAppIn)
        with transaction.atomic():
            locked = ProviderApp.objects.select_for_update(no_key=True).filter(id=1).first()
            etags.check(request, locked.row_version if locked else 0, thing="the provider's app")
            found, command = services.set_provider_app(self.actor, **values)
        body = {**ProviderAppOut(found).data, "check": queued(request, command)}
        return Response(body, headers={"ETag": etags.etag(found.row_version)})


class RenewProviderApp(ApiView):
    doors = {"POST": provider(Ability.CHANGE_SETTINGS)}

    @extend_schema(operation_id="provider_app_renew", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request) -> Response:
        """Renew the credential of the provider's own app at Microsoft without a gap."""
        self.body(Nothing)
        return accepted(request, registrations.renew_app(self.actor))
