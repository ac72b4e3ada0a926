"""/tenants: customers."""

from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import etags, examples
from api.connections import ConnectionIn
from api.filters import Flag, search
from api.idempotency import idempotent
from api.links import link
from api.pagination import Kept
from api.permissions import every, provider, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, queued
from authstatus.services import onboard
from core.errors import Forbidden, InvalidInput
from replication import selectors as queue
from replication import services as queue_services
from replication.selectors import TenantCounts
from tenants import deployment, health, scope, selectors, services
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.deployment import Access, Status
from tenants.models import DeployState, Plan, Service, Tenant, Verification
from tenants.written import Written

HEALTHS = [(each.value, health.TITLES[each]) for each in health.Health]
KEYS = ("name", "created_at", "changed_at", "licensed_users")
"""What customers may be sorted by."""
MOST_USERS = 1_000_000


class QueueCounts(Out):
    queued = serializers.IntegerField()
    executing = serializers.IntegerField()
    suspended = serializers.IntegerField()


@extend_schema_serializer(examples=[examples.TENANT])
class TenantOut(Out):
    """A customer, how it is doing, and what its queue holds."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    domain = serializers.CharField(allow_blank=True)
    entra_tenant_id = serializers.UUIDField(allow_null=True, help_text="Azure Tenant Id: Microsoft's.")
    plan = serializers.ChoiceField(choices=Plan.choices)
    service = serializers.ChoiceField(choices=Service.choices)
    licensed_users = serializers.IntegerField()
    with_sync = serializers.BooleanField(help_text="Whether users and groups are read from Microsoft 365.")
    enabled = serializers.BooleanField()
    deploy_state = serializers.ChoiceField(choices=DeployState.choices)
    status = serializers.SerializerMethodField()
    status_text = serializers.SerializerMethodField()
    health = serializers.ChoiceField(choices=HEALTHS)
    verification = serializers.SerializerMethodField(help_text="What the last check of the credentials said.")
    verified_at = serializers.DateTimeField(allow_null=True)
    version = serializers.CharField()
    users_count = serializers.IntegerField(allow_null=True, help_text="Null before the first replication.")
    groups_count = serializers.IntegerField(allow_null=True)
    last_replicated_at = serializers.DateTimeField(allow_null=True)
    cycle_delay = serializers.IntegerField(
        allow_null=True, help_text="QuickReplicationCycleDelay of its own, in seconds; null = the portal's."
    )
    effective_cycle_delay = serializers.SerializerMethodField()
    paused_at = serializers.DateTimeField(allow_null=True)
    paused_by = serializers.CharField(allow_blank=True)
    queue = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    row_version = serializers.IntegerField(help_text="The number in the ETag.")
    deleted_at = serializers.DateTimeField(allow_null=True, help_text="Restorable for 30 days from then.")
    url = serializers.SerializerMethodField()

    def get_status(self, row: Any) -> Status:
        return _standing(row)[0]

    def get_status_text(self, row: Any) -> str:
        return _standing(row)[1]

    def get_verification(self, row: Any) -> Verification:
        return Verification(row.verification or Verification.NEVER)

    def get_effective_cycle_delay(self, row: Tenant) -> int:
        return int(row.delay.total_seconds())

    @extend_schema_field(QueueCounts)
    def get_queue(self, row: Tenant) -> dict[str, int]:
        counts = self.context["counts"].get(row.id, TenantCounts())
        return {"queued": counts.queued, "executing": counts.executing, "suspended": counts.suspended}

    def get_url(self, row: Tenant) -> str:
        return tenant_url(self.context["request"], row)


def _standing(row: Any) -> tuple[Status, str]:
    """How the customer is doing by what `health.with_health` found of its connection, worked out once a row."""
    if not hasattr(row, "standing"):
        access = Access(row.verification, row.held_at) if row.verification else None
        status = deployment.status_of(row, access)
        row.standing = status, deployment.meaning(row, status)
    found: tuple[Status, str] = row.standing
    return found


@extend_schema_serializer(examples=[examples.TENANT_ADDED])
class TenantAdded(TenantOut):
    """The new customer and, where a connection was given, the check that was queued."""

    check = CommandRef(allow_null=True)


class TenantFields(In):
    name = serializers.CharField(max_length=120, help_text="Customer Name; no two customers share one.")
    domain = serializers.CharField(
        max_length=253, required=False, allow_blank=True, help_text="Such as contoso.com."
    )
    entra_tenant_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Azure Tenant Id; needed to connect."
    )
    plan = serializers.ChoiceField(choices=Plan.choices, required=False, help_text="Service level.")
    service = serializers.ChoiceField(choices=Service.choices, required=False, help_text="Service family.")
    licensed_users = serializers.IntegerField(
        min_value=0, max_value=MOST_USERS, required=False, help_text="Taken out of the provider's pool."
    )
    with_sync = serializers.BooleanField(
        required=False,
        help_text="Read users and groups from Microsoft 365 (default). Only Operator Connect can do without.",
    )


@extend_schema_serializer(examples=[examples.TENANT_ADD])
class TenantIn(TenantFields):
    """With a `connection`, the customer's credentials are stored and checked, and proven ones replicated."""

    connection = ConnectionIn(required=False, help_text="Credentials to store, check and use at once.")


@extend_schema_serializer(examples=[examples.TENANT_EDIT])
class TenantChange(TenantFields):
    """What is named is changed, the rest stays."""

    enabled = serializers.BooleanField(required=False, help_text="A disabled customer is not replicated.")
    cycle_delay = serializers.IntegerField(
        min_value=0,
        max_value=86_400,
        required=False,
        allow_null=True,
        help_text="Seconds; null = the portal's.",
    )


@extend_schema_serializer(examples=[examples.TENANT_DELETE])
class TenantRemoval(In):
    typed_name = serializers.CharField(
        max_length=200, help_text="The customer's name, exactly as it is shown."
    )


class TenantFilters(django_filters.FilterSet):
    search = search("In the name, the domain and the Azure Tenant Id.")
    plan = django_filters.ChoiceFilter(choices=Plan.choices)
    service = django_filters.ChoiceFilter(choices=Service.choices)
    enabled = Flag()
    deploy_state = django_filters.ChoiceFilter(choices=DeployState.choices)
    health = django_filters.ChoiceFilter(choices=HEALTHS)
    verification = django_filters.ChoiceFilter(choices=Verification.choices)
    paused = Flag(field_name="paused_at", lookup_expr="isnull", exclude=True)
    deleted = Flag(
        method="chosen", help_text="Those removed within the last 30 days instead of the living ones."
    )

    def filter_queryset(self, queryset: QuerySet[Tenant]) -> QuerySet[Tenant]:
        """A search and the removed ones are the selector's business; the rest is columns."""
        chosen, found = self.form.cleaned_data, queryset
        if chosen["search"] or chosen["deleted"]:
            found = selectors.tenants(search=chosen["search"], deleted=bool(chosen["deleted"])).only(*KEYS)
        asked = health.with_health(found) if chosen["health"] or chosen["verification"] else found
        narrowed: QuerySet[Tenant] = super().filter_queryset(asked)
        return narrowed

    def chosen(self, queryset: QuerySet[Tenant], name: str, value: object) -> QuerySet[Tenant]:
        return queryset

    look_for = chosen


def tenant_url(request: Request, row: Tenant) -> str:
    return link(request, "tenant", uid=row.id)


def around(rows: list[Tenant]) -> dict[str, Any]:
    """What the queues of these customers hold, in one query however many they are."""
    return {"counts": queue.counts_of([row.id for row in rows])}


def shown(request: Request, row: Tenant) -> dict[str, Any]:
    """A customer as it is now, in its scope."""
    with scope.one(row.id):
        fresh: Tenant = health.with_health(Tenant.objects.filter(id=row.id)).get()
        return dict(TenantOut(fresh, context={"request": request, **around([fresh])}).data)


def answer(request: Request, row: Tenant) -> Response:
    found = shown(request, row)
    return Response(found, headers={"ETag": etags.etag(found["row_version"])})


class Tenants(ListView):
    doors = {"GET": every(Ability.VIEW_TENANT), "POST": provider(Ability.ADD_TENANT)}
    filters = TenantFilters
    orders = {name: name for name in KEYS}
    out = TenantOut
    kept = Kept(lambda: health.with_health(selectors.tenants(), causes=False))
    whole = Written(lambda ids: health.with_health(Tenant.objects.filter(id__in=ids), causes=False))
    tagged = False

    def rows(self) -> QuerySet[Tenant]:
        return selectors.tenants().only(*KEYS)

    def context(self, page: list[Tenant]) -> dict[str, Any]:
        return around(page)

    @extend_schema(operation_id="tenants_list", responses=TenantOut(many=True))
    def get(self, request: Request) -> Response:
        """Customers that you may see."""
        return self.page()

    @extend_schema(operation_id="tenants_add", request=TenantIn, responses={201: TenantAdded})
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a customer; with a `connection` (needs `connection:manage` too), check and replicate it at once."""
        values = self.body(TenantIn)
        connection = values.pop("connection", None)
        if connection is None:
            added, check = services.add_tenant(self.actor, **{"entra_tenant_id": None, **values}), None
        else:
            added, command = self._onboard(values, connection)
            check = queued(request, command)
        found = {**shown(request, added), "check": check}
        headers = {"Location": found["url"], "ETag": etags.etag(found["row_version"])}
        return Response(found, status=201, headers=headers)

    def _onboard(self, values: dict[str, Any], connection: dict[str, Any]) -> tuple[Tenant, Any]:
        if not self.actor.may(Ability.MANAGE_CONNECTION):
            raise Forbidden(action=Ability.MANAGE_CONNECTION.words)
        if values.get("entra_tenant_id") is None:
            raise InvalidInput(
                field="entra_tenant_id", why="a connection needs the customer's Azure Tenant Id"
            )
        return onboard(self.actor, **values, **connection)


class OneTenant(ApiView):
    doors = {
        "GET": tenant(Ability.VIEW_TENANT),
        "PATCH": tenant(Ability.EDIT_TENANT),
        "DELETE": tenant(Ability.DELETE_TENANT),
    }
    deleted_too = ("GET",)
    versioned = ("PATCH", "DELETE")
    tagged = True
    delete_body = True

    @extend_schema(operation_id="tenants_get", responses=TenantOut)
    def get(self, request: Request, uid: str) -> Response:
        """A customer; one that was removed too, as long as it can be restored."""
        return answer(request, self.tenant)

    @extend_schema(operation_id="tenants_edit", request=TenantChange, responses=TenantOut)
    def patch(self, request: Request, uid: str) -> Response:
        """Change a customer. With If-Match, only if nobody changed it since."""
        changes = self.body(TenantChange, partial=True)
        etags.check(request, self.tenant.row_version, thing=self.tenant.name)
        version = self.tenant.row_version if etags.given(request) else None
        return answer(request, services.edit_tenant(self.actor, self.tenant, changes, version=version))

    @extend_schema(operation_id="tenants_remove", request=TenantRemoval, responses={204: None})
    def delete(self, request: Request, uid: str) -> Response:
        """Take a customer out of service; restorable for 30 days. Nothing is removed at Microsoft."""
        typed = self.body(TenantRemoval)["typed_name"]
        with transaction.atomic():
            locked: Tenant = Tenant.objects.select_for_update(no_key=True).get(id=self.tenant.id)
            etags.check(request, locked.row_version, thing=locked.name)
            services.delete_tenant(self.actor, locked, typed_name=typed)
        return Response(status=204)


class Restore(ApiView):
    doors = {"POST": tenant(Ability.DELETE_TENANT)}
    deleted_too = ("POST",)
    tagged = True

    @extend_schema(operation_id="tenants_restore", request=Nothing, responses=TenantOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Bring a removed customer back; one that was not removed stays as it is. 410 once its 30 days are over."""
        self.body(Nothing)
        if self.tenant.deleted_at:
            services.restore_tenant(self.actor, self.tenant)
        return answer(request, self.tenant)


class _Switch(ApiView):
    doors = {"POST": tenant(Ability.PAUSE_TENANT)}
    tagged = True
    paused: bool

    def switch(self, actor: Actor, request: Request) -> Response:
        self.body(Nothing)
        queue_services.pause_tenant(actor, self.tenant, paused=self.paused)
        return answer(request, self.tenant)


class Pause(_Switch):
    paused = True

    @extend_schema(operation_id="tenants_pause", request=Nothing, responses=TenantOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Let nothing of this customer start; what runs ends with its slice."""
        return self.switch(self.actor, request)


class Resume(_Switch):
    paused = False

    @extend_schema(operation_id="tenants_resume", request=Nothing, responses=TenantOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Let this customer's work go on."""
        return self.switch(self.actor, request)
