"""/tenants/{id}/registration: the customer's app registration; migrating, renewing, creating, and the guide."""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api.connections import ConnectionIn, CredentialOut, TroubleOut, trouble
from api.idempotency import idempotent
from api.permissions import provider, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, accepted
from authstatus import guide as guides
from authstatus import helper_app, registration_keys, registrations
from authstatus.registration_views import granted
from core.errors import InvalidInput
from tenants.abilities import Ability
from tenants.models import AppOwner, Purpose, Standby, StandbyRole
from tenants.selectors import connection_of


class StandbyOut(Out):
    """A way in beside the one in use: being proven, or kept until its successor is."""

    role = serializers.ChoiceField(choices=StandbyRole.choices)
    purpose = serializers.ChoiceField(choices=Purpose.choices)
    app_owner = serializers.ChoiceField(choices=AppOwner.choices)
    client_id = serializers.UUIDField()
    credential = serializers.SerializerMethodField()
    problem = serializers.SerializerMethodField()
    set_by = serializers.CharField()
    since = serializers.DateTimeField()

    @extend_schema_field(CredentialOut(allow_null=True))
    def get_credential(self, row: Standby) -> dict[str, Any] | None:
        return dict(CredentialOut(row.secret).data) if row.secret else None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Standby) -> dict[str, Any] | None:
        return trouble(row.problem)


class RegistrationKeyOut(Out):
    """A secret or certificate on the registration, as Microsoft listed it last; never its value."""

    key_id = serializers.UUIDField(source="key.key_id")
    kind = serializers.ChoiceField(source="key.kind", choices=["client_secret", "certificate_key"])
    name = serializers.CharField(source="key.name", allow_blank=True)
    expires_at = serializers.DateTimeField(source="key.expires_at", allow_null=True)
    ours = serializers.ChoiceField(
        choices=list(registration_keys.OURS), allow_blank=True, help_text="Empty: not the portal's."
    )
    service = serializers.CharField(
        source="key.service", allow_blank=True, help_text="Whatever else uses it, as a person has said."
    )
    removable = serializers.BooleanField(
        help_text="The command still leaves one alone that may be the portal's own for all that Microsoft shows."
    )
    seen_at = serializers.DateTimeField(source="key.seen_at")


class KeyServiceIn(In):
    service = serializers.CharField(
        max_length=registration_keys.LONGEST_NAME, allow_blank=True, help_text="Empty: nothing else uses it."
    )


class RegistrationOut(Out):
    app_owner = serializers.ChoiceField(choices=AppOwner.choices, allow_null=True)
    client_id = serializers.UUIDField(allow_null=True)
    credential = CredentialOut(allow_null=True)
    ends_read_at = serializers.DateTimeField(
        allow_null=True, help_text="When Microsoft said last when the credential ends."
    )
    why_not_renewable = serializers.CharField(
        allow_blank=True, help_text="Empty: the portal may try to renew."
    )
    standbys = StandbyOut(many=True)
    keys = RegistrationKeyOut(many=True, help_text="Empty while Microsoft has not listed any.")


class GuideValueOut(Out):
    name = serializers.CharField(source="label")
    value = serializers.CharField()


class GuidePermissionOut(Out):
    name = serializers.CharField()
    id = serializers.UUIDField()
    kind = serializers.ChoiceField(choices=["Application", "Delegated"])
    purpose = serializers.CharField()
    admin_consent = serializers.BooleanField()
    there = serializers.BooleanField(help_text="The last check found it.")


class GuideStepOut(Out):
    title = serializers.CharField()
    text = serializers.CharField()
    done = serializers.BooleanField(allow_null=True, help_text="Null: the portal cannot see it.")
    optional = serializers.BooleanField()
    values = GuideValueOut(many=True)
    permissions = GuidePermissionOut(many=True)
    url = serializers.CharField(allow_null=True, help_text="Where it is done.")


class GuideOut(Out):
    kind = serializers.ChoiceField(choices=list(guides.KINDS))
    title = serializers.CharField()
    notes = serializers.ListField(child=serializers.CharField())
    steps = GuideStepOut(many=True)


class CreateIn(In):
    voice = serializers.BooleanField(
        default=False, help_text="Also give it the directory role Teams Administrator."
    )


class OneRegistration(ApiView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}

    @extend_schema(operation_id="registration_get", responses=RegistrationOut)
    def get(self, request: Request, uid: str) -> Response:
        """What is in use, and what waits beside it. Never a secret."""
        stored = connection_of(self.tenant)
        secret = stored.secret if stored else None
        found: Mapping[str, Any] = {
            "app_owner": stored.app_owner if stored else None,
            "client_id": stored.client_id if stored else None,
            "credential": secret,
            "ends_read_at": secret.ends_read_at if secret else None,
            "why_not_renewable": registrations.why_not_renewable(stored),
            "keys": registration_keys.listed(self.tenant),
            "standbys": Standby.objects.filter(tenant=self.tenant).select_related("secret").order_by("role"),
        }
        return Response(RegistrationOut(found).data)


class Guide(ApiView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}

    @extend_schema(
        operation_id="registration_guide",
        parameters=[
            OpenApiParameter("kind", enum=list(guides.KINDS), default="own", description="Which guide."),
            OpenApiParameter("server", description="Of a PBX: its host name or IP address."),
        ],
        responses=GuideOut,
    )
    def get(self, request: Request, uid: str) -> Response:
        """How to register the app by hand, with this customer's values; what is done is marked."""
        kind = request.query_params.get("kind", "own")
        if kind not in guides.KINDS or (kind == "sync" and not self.actor.is_provider):
            raise InvalidInput(field="kind", why="there is no such guide for you")
        stored, server = connection_of(self.tenant), request.query_params.get("server", "")
        guide = guides.guide(kind, self.tenant, stored, granted(self.tenant, stored), server=server)
        steps = [
            {**dataclasses.asdict(step), "url": step.link[0] if step.link else None} for step in guide.steps
        ]
        found = {"kind": guide.kind, "title": guide.title, "notes": guide.notes, "steps": steps}
        return Response(GuideOut(found).data)


class Migrate(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_migrate", request=ConnectionIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """To the customer's own app: it is proven first, and the old way in is kept until a replication went well.

        Without a credential the one that was given before is tried again.
        """
        return accepted(request, registrations.migrate(self.actor, self.tenant, **self.body(ConnectionIn)))


class Create(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_create", request=CreateIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Have an app registration made in the customer's tenant through the present way in, and migrate to it."""
        return accepted(request, registrations.create(self.actor, self.tenant, **self.body(CreateIn)))


class Renew(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_renew", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Renew the client secret or certificate at Microsoft without a gap."""
        self.body(Nothing)
        return accepted(request, registrations.renew(self.actor, self.tenant))


class GoBack(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_back", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Use the old way in again while it is still kept; it is checked first."""
        self.body(Nothing)
        return accepted(request, registrations.go_back(self.actor, self.tenant))


class Standbys(ApiView):
    doors = {"DELETE": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_forget", responses={204: None})
    def delete(self, request: Request, uid: str) -> Response:
        """Forget what waits beside the connection. At Microsoft nothing changes."""
        registrations.forget_waiting(self.actor, self.tenant)
        return Response(status=204)


class RegistrationKeys(ApiView):
    doors = {"PUT": tenant(Ability.MANAGE_CONNECTION), "DELETE": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_key_name", request=KeyServiceIn, responses=RegistrationKeyOut)
    def put(self, request: Request, uid: str, key_id: uuid.UUID) -> Response:
        """Say which other service uses a secret; a renewal leaves such a one alone."""
        found = registration_keys.say_service(self.actor, self.tenant, key_id, **self.body(KeyServiceIn))
        return Response(RegistrationKeyOut(found).data)

    @extend_schema(operation_id="registration_key_remove", responses={202: CommandRef})
    def delete(self, request: Request, uid: str, key_id: uuid.UUID) -> Response:
        """Remove a secret that the portal does not use from the registration at Microsoft."""
        return accepted(request, registration_keys.remove(self.actor, self.tenant, key_id))


class HelperApp(ApiView):
    doors = {"DELETE": tenant(Ability.MANAGE_CONNECTION)}

    @extend_schema(operation_id="registration_helper_remove", responses={202: CommandRef})
    def delete(self, request: Request, uid: str) -> Response:
        """Take the provider's app out of the customer's organisation, once the customer's own app is proven."""
        return accepted(request, helper_app.remove(self.actor, self.tenant))


class RenewAll(ApiView):
    doors = {"POST": provider(Ability.ROTATE_KEYS)}

    @extend_schema(operation_id="renew_all_secrets", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request) -> Response:
        """Renew every credential that the portal can renew: one command a customer, one for the provider's app."""
        self.body(Nothing)
        return accepted(request, registrations.renew_all(self.actor))
