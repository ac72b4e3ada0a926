"""/tenants/{id}/connection: how the portal signs in to the customer's Microsoft 365. Secrets go in only."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.installation import LONGEST_WINDOW, MOST_FAILURES
from api import etags, examples
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, accepted, queued
from authstatus import revoking, services, shared_app
from breakers import services as breakers
from core.errors import UmpError
from tenants import selectors
from tenants.abilities import Ability
from tenants.models import AppOwner, Cloud, Connection, Method, SecretKind, Verification

LONGEST_PEM = 20_000


class CredentialIn(In):
    """A client secret, or a certificate with its private key; without either, the stored credential stays."""

    client_secret = serializers.CharField(
        max_length=2000,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="The Value, not the Secret ID.",
    )
    certificate = serializers.CharField(
        max_length=LONGEST_PEM, required=False, allow_blank=True, write_only=True, help_text="In PEM form."
    )
    private_key = serializers.CharField(
        max_length=LONGEST_PEM,
        required=False,
        allow_blank=True,
        write_only=True,
        help_text="Of the certificate, in PEM form, without a passphrase.",
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="Of a client secret; a certificate says so itself."
    )


@extend_schema_serializer(examples=[examples.CONNECTION_SET])
class ConnectionIn(CredentialIn):
    """A client secret, or a certificate with its private key; without either, the stored credential stays."""

    cloud = serializers.ChoiceField(
        choices=Cloud.choices, default=Cloud.GLOBAL, help_text="The Microsoft cloud that the customer is in."
    )
    client_id = serializers.UUIDField(help_text="Of the app registration.")


class RuleIn(In):
    """When refused accesses mark the connection Degraded."""

    max_access_failures = serializers.IntegerField(
        min_value=0,
        max_value=MOST_FAILURES,
        allow_null=True,
        help_text="0 turns the rule off; null: the installation's.",
    )
    access_failure_window = serializers.IntegerField(
        min_value=0,
        max_value=LONGEST_WINDOW,
        allow_null=True,
        help_text="In minutes; 0 counts since the last successful check; null: the installation's.",
    )


class CredentialOut(Out):
    """What may be told about a secret."""

    kind = serializers.ChoiceField(choices=SecretKind.choices)
    hint = serializers.CharField(allow_blank=True, help_text="The last four characters, if it is a long one.")
    set_by = serializers.CharField()
    set_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)


class TroubleOut(Out):
    """What is wrong with the connection; an entry of the error catalogue with its words."""

    code = serializers.CharField()
    message = serializers.CharField()
    advice = serializers.CharField()
    who = serializers.CharField()
    detail = serializers.DictField(child=serializers.CharField(), help_text="Microsoft's codes and ids.")


@extend_schema_serializer(examples=[examples.CONNECTION])
class ConnectionOut(Out):
    cloud = serializers.ChoiceField(choices=Cloud.choices)
    method = serializers.ChoiceField(choices=Method.choices)
    app_owner = serializers.ChoiceField(choices=AppOwner.choices)
    client_id = serializers.UUIDField()
    account = serializers.CharField(
        allow_blank=True, help_text="Of a token or password: whose it is; empty otherwise."
    )
    consent_link = serializers.SerializerMethodField(
        help_text="Where the customer's administrator consents to what the app lists; empty if nowhere."
    )
    credential = serializers.SerializerMethodField()
    verification = serializers.ChoiceField(choices=Verification.choices)
    verification_text = serializers.CharField(source="get_verification_display")
    verified_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.SerializerMethodField()
    degraded_at = serializers.DateTimeField(
        allow_null=True, help_text="Since when work waits because of Max Access Failures."
    )
    max_access_failures = serializers.IntegerField(allow_null=True, help_text="Null: the installation's.")
    access_failure_window = serializers.IntegerField(
        allow_null=True, help_text="In minutes. Null: the installation's."
    )
    changed_at = serializers.DateTimeField()
    row_version = serializers.IntegerField(help_text="The number in the ETag.")

    def get_consent_link(self, row: Connection) -> str:
        return shared_app.consent_link(row.tenant, row)

    @extend_schema_field(CredentialOut(allow_null=True))
    def get_credential(self, row: Connection) -> dict[str, Any] | None:
        return dict(CredentialOut(row.secret).data) if row.secret else None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Connection) -> dict[str, Any] | None:
        return trouble(row.problem)


@extend_schema_serializer(examples=[examples.CONNECTION_KEPT])
class ConnectionSet(ConnectionOut):
    """The connection, and the check that was queued for it."""

    check = CommandRef()


def trouble(stored: dict[str, Any] | None) -> dict[str, Any] | None:
    """A stored error (core.errors.Rendered) in the form of the API."""
    if not stored:
        return None
    words = {name: str(stored.get(name) or "") for name in ("code", "message", "advice", "who")}
    return {
        **words,
        "detail": {str(name): str(value) for name, value in (stored.get("detail") or {}).items()},
    }


class OneConnection(ApiView):
    doors = {
        "GET": tenant(Ability.VIEW_TENANT),
        "PUT": tenant(Ability.MANAGE_CONNECTION),
        "DELETE": tenant(Ability.MANAGE_CONNECTION),
    }
    versioned = ("PUT",)
    tagged = True

    @extend_schema(operation_id="connection_get", responses=ConnectionOut)
    def get(self, request: Request, uid: str) -> Response:
        """How the portal signs in, and what the last check said. Never a secret."""
        found = selectors.connection_of(self.tenant)
        if found is None:
            raise UmpError.of("not_found", thing="connection")
        return Response(ConnectionOut(found).data, headers={"ETag": etags.etag(found.row_version)})

    @extend_schema(operation_id="connection_set", request=ConnectionIn, responses=ConnectionSet)
    def put(self, request: Request, uid: str) -> Response:
        """Store a credential and queue its check; data work waits until it is proven."""
        values = self.body(ConnectionIn)
        with transaction.atomic():
            self._check_version(request)
            _, command = services.connect(self.actor, self.tenant, **values)
            found = selectors.connection_of(self.tenant)
        body = {**ConnectionOut(found).data, "check": queued(request, command)}
        return Response(body, headers={"ETag": etags.etag(body["row_version"])})

    @extend_schema(operation_id="connection_revoke", responses={204: None})
    def delete(self, request: Request, uid: str) -> Response:
        """Revoke access: every credential is destroyed, and the customer's work waits until there is another."""
        revoking.revoke(self.actor, self.tenant)
        return Response(status=204)

    def _check_version(self, request: Request) -> None:
        locked = Connection.objects.select_for_update(no_key=True).filter(tenant=self.tenant).first()
        etags.check(request, locked.row_version if locked else 0, thing="the connection")


class AccessRule(ApiView):
    doors = {"PUT": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="access_rule_set", request=RuleIn, responses=ConnectionOut)
    def put(self, request: Request, uid: str) -> Response:
        """Max Access Failures and Access Failure Window of this customer."""
        values = self.body(RuleIn)
        if selectors.connection_of(self.tenant) is None:
            raise UmpError.of("not_found", thing="connection")
        return Response(ConnectionOut(breakers.change_rule(self.actor, self.tenant, **values)).data)


class UseProviderApp(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="connection_use_provider_app", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Sign in as the provider's app registration, and queue its check. What was stored here is forgotten."""
        self.body(Nothing)
        return accepted(request, shared_app.use(self.actor, self.tenant))


class Check(ApiView):
    doors = {"POST": tenant(Ability.VERIFY_CONNECTION)}

    @extend_schema(operation_id="connection_check", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Check the credentials: a fresh token, a harmless call, and what is missing."""
        self.body(Nothing)
        return accepted(request, services.check(self.actor, self.tenant))
