"""/tenants/{id}/domains: setting up domains of a customer. /dns-zone: where their names are made."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import etags, examples
from api.connections import TroubleOut, trouble
from api.idempotency import idempotent
from api.permissions import provider, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted
from core.errors import NotFound
from domains import selectors, services
from domains.models import CustomDomain, DnsZone, DomainState
from nameservers.zones import ALGORITHMS
from tenants.abilities import Ability

STEP_STATES = ("done", "running", "failed", "skipped", "waiting")


class DomainStepOut(Out):
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=STEP_STATES)
    text = serializers.SerializerMethodField(help_text="Why it waits, or what stopped it; mostly empty.")
    at = serializers.SerializerMethodField(help_text="When it was done, or since when it waits.")

    def get_text(self, step: dict[str, Any]) -> str:
        return str(step.get("text", ""))

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_at(self, step: dict[str, Any]) -> str | None:
        at = step.get("at")
        return serializers.DateTimeField().to_representation(at) if at else None


@extend_schema_serializer(examples=[examples.DOMAIN])
class DomainOut(Out):
    id = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=DomainState.choices)
    stopped = serializers.SerializerMethodField(
        help_text="True: nothing is under way although it is not ready; see `problem`, mend it, and POST retry."
    )
    by_hand = serializers.BooleanField(help_text="A person writes the TXT record; `text` is its value.")
    text = serializers.CharField(
        allow_blank=True, help_text="Value of the TXT record of `name`; empty until Microsoft has named it."
    )
    verified_at = serializers.DateTimeField(allow_null=True)
    activation_user = serializers.BooleanField(
        source="has_user", help_text="Whether one that the portal made is there."
    )
    licence = serializers.CharField(
        allow_blank=True, help_text="Short name of the product that user was given."
    )
    problem = serializers.SerializerMethodField()
    began_at = serializers.DateTimeField()
    ready_at = serializers.DateTimeField(allow_null=True)
    removed_at = serializers.DateTimeField(allow_null=True)
    set_by = serializers.CharField(help_text="Who asked for it.")
    steps = serializers.SerializerMethodField()

    def _shown(self, row: CustomDomain) -> selectors.Shown:
        by_id: dict[uuid.UUID, selectors.Shown] = self.context.get("shown", {})
        return by_id.get(row.id) or selectors.shown(row)

    def get_stopped(self, row: CustomDomain) -> bool:
        return self._shown(row).stopped

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: CustomDomain) -> dict[str, Any] | None:
        return trouble(self._shown(row).problem)

    @extend_schema_field(DomainStepOut(many=True))
    def get_steps(self, row: CustomDomain) -> list[dict[str, Any]]:
        return [dict(DomainStepOut(step).data) for step in self._shown(row).steps]


@extend_schema_serializer(examples=[examples.DOMAIN_ADD])
class DomainIn(In):
    name = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=253,
        help_text="Left out or empty: one is made of the customer's name, below the provider's zone.",
    )
    by_hand = serializers.BooleanField(
        required=False,
        allow_null=True,
        help_text="A person writes the TXT record. Left out: only where the portal cannot.",
    )
    with_user = serializers.BooleanField(default=True, help_text="Make an activation user.")


class DomainFilters(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=DomainState.choices)


class Domains(ListView):
    doors = {"GET": tenant(Ability.VIEW_TENANT), "POST": tenant(Ability.EDIT_TENANT)}
    filters = DomainFilters
    orders = {"name": "name"}
    out = DomainOut

    def rows(self) -> QuerySet[CustomDomain]:
        return selectors.domains_of(self.tenant)

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {"shown": {one.row.id: one for one in selectors.all_shown(page)}}

    @extend_schema(operation_id="domains_list", responses=DomainOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's domains, also those that were removed."""
        return self.page()

    @extend_schema(operation_id="domains_add", request=DomainIn, responses={201: DomainOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Set up a domain: at Microsoft, in the DNS, with its activation user. GET it to see how far it is."""
        row = services.begin(self.actor, self.tenant, **self.body(DomainIn))
        url = reverse("api:domain", kwargs={"uid": self.tenant.id, "domain_id": row.id}, request=request)
        return Response(DomainOut(row).data, status=201, headers={"Location": url})


class _OneView(ApiView):
    def row(self, domain_id: uuid.UUID) -> CustomDomain:
        found: CustomDomain | None = selectors.domains_of(self.tenant).filter(id=domain_id).first()
        if found is None:
            raise NotFound(thing="domain")
        return found


class OneDomain(_OneView):
    doors = {"GET": tenant(Ability.VIEW_TENANT), "DELETE": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="domain_get", responses=DomainOut)
    def get(self, request: Request, uid: str, domain_id: uuid.UUID) -> Response:
        """How far it is, step by step, and what it waits for."""
        return Response(DomainOut(self.row(domain_id)).data)

    @extend_schema(operation_id="domain_remove", responses={202: CommandRef})
    def delete(self, request: Request, uid: str, domain_id: uuid.UUID) -> Response:
        """Take away what the portal made: record, activation user, domain. Refused while others have the domain."""
        return accepted(request, services.remove(self.actor, self.row(domain_id)))


class LookNow(_OneView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="domain_look", request=Nothing, responses={204: None})
    @idempotent
    def post(self, request: Request, uid: str, domain_id: uuid.UUID) -> Response:
        """Look again now instead of at the next time."""
        self.body(Nothing)
        services.look_now(self.actor, self.row(domain_id))
        return Response(status=204)


class Retry(_OneView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="domain_retry", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, domain_id: uuid.UUID) -> Response:
        """Go on with the step that stopped, or take a cancelled set-up up again."""
        self.body(Nothing)
        return accepted(request, services.retry(self.actor, self.row(domain_id)))


class Cancel(_OneView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="domain_cancel", request=Nothing, responses={204: None})
    @idempotent
    def post(self, request: Request, uid: str, domain_id: uuid.UUID) -> Response:
        """Stop the set-up. What was done stays until the domain is removed."""
        self.body(Nothing)
        services.cancel(self.actor, self.row(domain_id))
        return Response(status=204)


class ReleaseUser(_OneView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="domain_release_user", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, domain_id: uuid.UUID) -> Response:
        """Remove the activation user, unless the domain still needs it."""
        self.body(Nothing)
        return accepted(request, services.release_user(self.actor, self.row(domain_id)))


# --- The zone -----------------------------------------------------------------------------------------------
@extend_schema_serializer(examples=[examples.DNS_ZONE_SET])
class DnsZoneIn(In):
    """Without `secret` the stored one stays, while server and key keep their names."""

    name = serializers.CharField(max_length=253, help_text="Customers get names below it.")
    server = serializers.CharField(
        required=False, allow_blank=True, max_length=260, help_text="The zone's primary; empty: by hand."
    )
    key_name = serializers.CharField(
        required=False, allow_blank=True, max_length=253, help_text="Of the TSIG key."
    )
    algorithm = serializers.ChoiceField(
        choices=ALGORITHMS, default=ALGORITHMS[0], help_text="Of the TSIG key."
    )
    secret = serializers.CharField(
        required=False, write_only=True, max_length=200, help_text="Of the TSIG key, in base64."
    )
    lookup_servers = serializers.ListField(
        child=serializers.CharField(max_length=260),
        required=False,
        help_text="Who is asked whether a record can be seen; empty: whoever serves the name.",
    )
    release_user = serializers.BooleanField(
        default=True, help_text="Remove activation users that are no longer needed."
    )


@extend_schema_serializer(examples=[examples.DNS_ZONE])
class DnsZoneOut(Out):
    name = serializers.CharField()
    server = serializers.CharField(allow_blank=True)
    key_name = serializers.CharField(allow_blank=True)
    algorithm = serializers.CharField()
    has_secret = serializers.SerializerMethodField()
    writable = serializers.BooleanField(help_text="Whether the portal writes records itself.")
    lookup_servers = serializers.ListField(child=serializers.CharField())
    release_user = serializers.BooleanField()
    tested_at = serializers.DateTimeField(allow_null=True)
    problem = serializers.SerializerMethodField(help_text="Of the last test.")
    row_version = serializers.IntegerField(help_text="The number in the ETag.")

    def get_has_secret(self, row: DnsZone) -> bool:
        return row.secret_id is not None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: DnsZone) -> dict[str, Any] | None:
        return trouble(row.test_problem)


class OneDnsZone(ApiView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER), "PUT": provider(Ability.CHANGE_SETTINGS)}
    versioned = ("PUT",)
    tagged = True

    @extend_schema(operation_id="dns_zone_get", responses=DnsZoneOut)
    def get(self, request: Request) -> Response:
        """The provider's zone. Never its secret; 404 before somebody enters one."""
        row = services.zone()
        if row is None:
            raise NotFound(thing="DNS zone")
        return Response(DnsZoneOut(row).data, headers={"ETag": etags.etag(row.row_version)})

    @extend_schema(operation_id="dns_zone_set", request=DnsZoneIn, responses=DnsZoneOut)
    def put(self, request: Request) -> Response:
        """Enter or change it. Domains that are set up already keep their names."""
        values = self.body(DnsZoneIn)
        there = services.zone()
        version = there.row_version if there else 0
        etags.check(request, version, thing="the DNS zone")
        row = services.set_zone(self.actor, **values, version=version)
        return Response(DnsZoneOut(row).data, headers={"ETag": etags.etag(row.row_version)})


class TryDnsZone(ApiView):
    doors = {"POST": provider(Ability.CHANGE_SETTINGS)}

    @extend_schema(operation_id="dns_zone_test", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request) -> Response:
        """Have a record written, looked up and removed."""
        self.body(Nothing)
        return accepted(request, services.try_zone(self.actor))
