"""/events: what happened, in order. /webhooks: the systems that are told."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import etags, examples
from api.idempotency import idempotent
from api.links import link
from api.permissions import every, provider
from api.serializers import In, Nothing, Out
from api.views import ApiView, ListView
from core.errors import InvalidInput
from events import selectors as events
from events.models import Event, Type
from tenants.abilities import Ability
from webhooks import rotation, selectors, services, signing
from webhooks.models import Endpoint
from webhooks.services import TYPES

SHOWN_ONCE = (
    "it made a webhook, whose signing secret is shown only once; if you lost it, remove that webhook and add "
    "another one with a new key"
)

RENEWED_ONCE = (
    "it made a new signing secret, which is shown only once; if you lost it, end the old one and make another"
)


@extend_schema_serializer(examples=[examples.EVENT])
class EventOut(Out):
    """What a webhook would have been sent, with its number."""

    id = serializers.IntegerField(
        help_text="Ask with `after` for what came later; none comes earlier any more."
    )
    type = serializers.ChoiceField(choices=Type.choices)
    timestamp = serializers.DateTimeField(source="at")
    tenant_id = serializers.UUIDField(allow_null=True, help_text="Null: about the provider.")
    webhook_id = serializers.SerializerMethodField(help_text="The header webhook-id of its deliveries.")
    data = serializers.DictField(help_text="By type; never secret.")  # type: ignore[assignment]  # DRF takes it out

    def get_webhook_id(self, row: Event) -> str:
        return signing.message_id(row)


class EventFilters(django_filters.FilterSet):
    after = django_filters.NumberFilter(
        field_name="id", lookup_expr="gt", min_value=0, max_value=2**63 - 1, help_text="Only later ones."
    )
    type = django_filters.ChoiceFilter(choices=Type.choices)
    tenant = django_filters.UUIDFilter(field_name="tenant_id")


class Events(ListView):
    doors = {"GET": every(Ability.VIEW_TENANT)}
    filters = EventFilters
    orders = {"id": "id"}
    out = EventOut

    def rows(self) -> QuerySet[Event]:
        return events.events()

    @extend_schema(operation_id="events_list", responses=EventOut(many=True))
    def get(self, request: Request) -> Response:
        """What happened to the customers you may see, the oldest first; kept for 90 days."""
        return self.page()


@extend_schema_serializer(examples=[examples.WEBHOOK_ADD])
class WebhookIn(In):
    name = serializers.CharField(max_length=120, help_text="Which system it is.")
    url = serializers.CharField(max_length=500, help_text="Begins with https://; redirects are not followed.")
    types = serializers.ListField(
        child=serializers.ChoiceField(choices=[(name, name) for name in TYPES]),
        required=False, max_length=len(TYPES), help_text="Empty: all.",
    )  # fmt: skip
    tenants = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=1000,
        help_text="Empty: every customer's events, and the provider's own.",
    )  # fmt: skip


class WebhookOut(Out):
    id = serializers.UUIDField()
    name = serializers.CharField()
    url = serializers.CharField()
    types = serializers.ListField(child=serializers.CharField())
    tenants = serializers.ListField(child=serializers.UUIDField())
    cursor = serializers.IntegerField(help_text="The last event that it took, or that is not for it.")
    failing_since = serializers.DateTimeField(allow_null=True)
    taken_at = serializers.DateTimeField(allow_null=True)
    held_at = serializers.DateTimeField(allow_null=True, help_text="Nothing is sent since then.")
    held_because = serializers.CharField(allow_blank=True)
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    row_version = serializers.IntegerField(help_text="The number in the ETag.")
    former_until = serializers.DateTimeField(
        allow_null=True,
        help_text="Until then calls are signed with the signing secret before the present one, too.",
    )
    url_here = serializers.SerializerMethodField(help_text="Its address in this API.")

    @extend_schema_field(serializers.URLField())
    def get_url_here(self, row: Endpoint) -> str:
        return link(self.context.get("request"), "webhook", endpoint_id=row.id)


@extend_schema_serializer(examples=[examples.WEBHOOK_MADE])
class WebhookMade(WebhookOut):
    secret = serializers.CharField(help_text="The signing secret, shown this one time.")


class RotateIn(In):
    overlap_hours = serializers.IntegerField(
        min_value=0,
        max_value=rotation.LONGEST_OVERLAP,
        default=rotation.OVERLAP_HOURS,
        help_text="For so long the old secret signs too; 0 ends it at once.",
    )


class ReplayIn(In):
    after = serializers.IntegerField(
        min_value=0, max_value=2**63 - 1, help_text="Everything after this event."
    )


class Webhooks(ListView):
    doors = {"GET": provider(Ability.MANAGE_WEBHOOKS), "POST": provider(Ability.MANAGE_WEBHOOKS)}
    orders = {"name": "name"}
    out = WebhookOut

    def rows(self) -> QuerySet[Endpoint]:
        return selectors.endpoints()

    @extend_schema(operation_id="webhooks_list", responses=WebhookOut(many=True))
    def get(self, request: Request) -> Response:
        """All webhooks, without their secrets."""
        return self.page()

    @extend_schema(operation_id="webhooks_add", request=WebhookIn, responses={201: WebhookMade})
    @idempotent(once=SHOWN_ONCE)
    def post(self, request: Request) -> Response:
        """Add a webhook. It gets what happens from now on, by the Standard Webhooks scheme."""
        endpoint, secret = services.add(self.actor, **self.body(WebhookIn))
        endpoint.refresh_from_db()
        shown = _shown(request, endpoint)
        headers = {"Location": shown["url_here"], "ETag": etags.etag(endpoint.row_version)}
        return Response({**shown, "secret": secret}, status=201, headers=headers)


class OneWebhook(ApiView):
    doors = {method: provider(Ability.MANAGE_WEBHOOKS) for method in ("GET", "PUT", "DELETE")}
    versioned = ("PUT",)
    tagged = True

    @extend_schema(operation_id="webhooks_get", responses=WebhookOut)
    def get(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """One webhook."""
        return self._answer(request, selectors.endpoint(endpoint_id))

    @extend_schema(operation_id="webhooks_set", request=WebhookIn, responses=WebhookOut)
    def put(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Change it; what is left out becomes empty. Cursor and secret stay.

        One that is limited to customers becomes everybody's by an empty `tenants` only, not by leaving it out.
        Customers that were removed since may stay in it.
        """
        found = selectors.endpoint(endpoint_id)
        etags.check(request, found.row_version, thing="the webhook")
        given = self.body(WebhookIn)
        if found.tenants and "tenants" not in given:
            raise InvalidInput(field="tenants", why="say whose events it gets; an empty list: everybody's")
        values = {"types": [], "tenants": [], **given}
        return self._answer(request, services.change(self.actor, found, version=found.row_version, **values))

    @extend_schema(operation_id="webhooks_remove", responses={204: None})
    def delete(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Remove it: no event is sent there any more."""
        services.remove(self.actor, selectors.endpoint(endpoint_id))
        return Response(status=204)

    def _answer(self, request: Request, found: Endpoint) -> Response:
        return Response(_shown(request, found), headers={"ETag": etags.etag(found.row_version)})


class _Act(ApiView):
    """Something done to one webhook; the answer is how it stands afterwards."""

    doors = {"POST": provider(Ability.MANAGE_WEBHOOKS)}

    def _done(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        return Response(_shown(request, selectors.endpoint(endpoint_id)))


class Test(_Act):
    @extend_schema(operation_id="webhooks_test", request=Nothing, responses=WebhookOut)
    @idempotent
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Send test event: of the type webhook.test, to this webhook alone."""
        self.body(Nothing)
        services.send_test(self.actor, selectors.endpoint(endpoint_id))
        return self._done(request, endpoint_id)


class Resume(_Act):
    @extend_schema(operation_id="webhooks_resume", request=Nothing, responses=WebhookOut)
    @idempotent
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Go on with the first event that was not taken."""
        self.body(Nothing)
        services.resume(self.actor, selectors.endpoint(endpoint_id))
        return self._done(request, endpoint_id)


class Rotate(ApiView):
    doors = {"POST": provider(Ability.MANAGE_WEBHOOKS)}

    @extend_schema(operation_id="webhooks_rotate", request=RotateIn, responses=WebhookMade)
    @idempotent(once=RENEWED_ONCE)
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Make a new signing secret. Until the overlap is over each call is signed with both."""
        values = self.body(RotateIn)
        changed, secret = rotation.rotate(self.actor, selectors.endpoint(endpoint_id), **values)
        return Response({**_shown(request, changed), "secret": secret})


class DropOldSecret(_Act):
    @extend_schema(operation_id="webhooks_drop_old_secret", request=Nothing, responses=WebhookOut)
    @idempotent
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Sign with the new secret alone from now on."""
        self.body(Nothing)
        rotation.drop_former(self.actor, selectors.endpoint(endpoint_id))
        return self._done(request, endpoint_id)


class Replay(_Act):
    @extend_schema(operation_id="webhooks_replay", request=ReplayIn, responses=WebhookOut)
    @idempotent
    def post(self, request: Request, endpoint_id: uuid.UUID) -> Response:
        """Send everything after an event again."""
        values = self.body(ReplayIn)
        services.replay(self.actor, selectors.endpoint(endpoint_id), values["after"])
        return self._done(request, endpoint_id)


def _shown(request: Request, endpoint: Endpoint) -> dict[str, Any]:
    return dict(WebhookOut(endpoint, context={"request": request}).data)
