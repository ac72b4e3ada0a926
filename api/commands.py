"""/commands and /tenants/{id}/commands: background work, from the wish to its outcome."""

from typing import Any, ClassVar

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.connections import TroubleOut, trouble
from api.filters import Flag, Moment, search
from api.idempotency import idempotent
from api.pagination import Kept
from api.permissions import every, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted, command_url
from core.errors import NotFound
from replication import selectors, services, words
from replication.models import OPEN, Command, Reason, State, Step
from replication.registry import kinds, title_of
from tenants.abilities import Ability
from tenants.access import Actor

REASONS = dict(Reason.choices)
STATES = [("open", "Queued, Executing or Suspended"), *State.choices]


@extend_schema_serializer(examples=[examples.COMMAND])
class CommandOut(Out):
    """One piece of work. It is over when `state` is succeeded, failed or cancelled."""

    number = serializers.IntegerField(source="id")
    tenant_id = serializers.UUIDField(allow_null=True, help_text="Null: about the provider as a whole.")
    tenant_name = serializers.SerializerMethodField()
    kind = serializers.CharField()
    title = serializers.SerializerMethodField(help_text="Cmd Type, in words.")
    target = serializers.CharField(allow_blank=True, help_text="What it is about, within the customer.")
    dry_run = serializers.BooleanField()
    state = serializers.ChoiceField(choices=State.choices)
    reason = serializers.CharField(allow_blank=True)
    reason_text = serializers.SerializerMethodField()
    outcome = serializers.CharField(
        allow_blank=True, help_text="complete, partial or unchanged, once succeeded."
    )
    message = serializers.CharField(allow_blank=True, help_text="Execution Result.")
    error = serializers.SerializerMethodField()
    result = serializers.DictField()
    progress = serializers.DictField(help_text="label, done, total and figures, while it is open.")
    attempts = serializers.IntegerField(help_text="Retries.")
    max_attempts = serializers.IntegerField()
    queued_at = serializers.DateTimeField()
    queued_by = serializers.CharField(source="actor_label")
    not_before = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True, help_text="When Executed.")
    finished_at = serializers.DateTimeField(allow_null=True)
    next_execution = serializers.SerializerMethodField(help_text="`Now`, minutes, or why there is none.")
    cancel_requested_at = serializers.DateTimeField(allow_null=True)
    retry_of = serializers.IntegerField(source="retry_of_id", allow_null=True)
    url = serializers.SerializerMethodField()

    def get_tenant_name(self, row: Command) -> str:
        return row.tenant.name if row.tenant else ""

    def get_title(self, row: Command) -> str:
        return title_of(row.kind)

    def get_reason_text(self, row: Command) -> str:
        return REASONS.get(row.reason, "")

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_error(self, row: Command) -> dict[str, Any] | None:
        found = trouble(row.error)
        return found and {**found, "detail": told(found["detail"], self.context["actor"])}

    def get_next_execution(self, row: Command) -> str:
        return words.next_execution(row, paused=self.context["paused"])

    def get_url(self, row: Command) -> str:
        return command_url(self.context["request"], row)


class StepOut(Out):
    """A line of a command's history."""

    at = serializers.DateTimeField()
    attempt = serializers.IntegerField()
    level = serializers.ChoiceField(choices=["info", "warning", "error"])
    text = serializers.CharField()
    detail = serializers.SerializerMethodField()

    def get_detail(self, row: Step) -> dict[str, str]:
        return words.step_detail(row.detail, self.context["actor"])


class ReplicationIn(In):
    dry_run = serializers.BooleanField(
        default=False, help_text="Read everything, say what would change, write nothing."
    )
    full = serializers.BooleanField(default=False, help_text="Read everything again instead of what changed.")


class ProcessedOut(Out):
    made_due = serializers.IntegerField(help_text="How many waiting commands may start now.")


class CommandFilters(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=STATES, method="in_state")
    kind = django_filters.ChoiceFilter(
        choices=lambda: [(name, kind.title) for name, kind in sorted(kinds().items())]
    )
    dry_run = Flag()
    queued_after = Moment(field_name="queued_at", lookup_expr="gte")
    queued_before = Moment(field_name="queued_at", lookup_expr="lt")
    search = search("In the customer's name; a number is a command's.")

    def in_state(self, queryset: QuerySet[Command], name: str, value: str) -> QuerySet[Command]:
        return queryset.filter(state__in=OPEN) if value == "open" else queryset.filter(state=value)

    def look_for(self, queryset: QuerySet[Command], name: str, value: str) -> QuerySet[Command]:
        return queryset & selectors.commands(search=value)


class AllCommandFilters(CommandFilters):
    tenant = django_filters.UUIDFilter(field_name="tenant_id")


def told(detail: dict[str, str], actor: Actor) -> dict[str, str]:
    """Details about the portal's own machines are for the provider only."""
    return (
        detail
        if actor.is_provider
        else {name: value for name, value in detail.items() if name not in words.OURS}
    )


def shown(view: ApiView, row: Command) -> dict[str, Any]:
    return dict(CommandOut(row, context={"request": view.request, **context_of(view)}).data)


def context_of(view: ApiView) -> dict[str, Any]:
    """What a command's answer needs beside its row."""
    return {"actor": view.actor, "paused": selectors.is_paused() is not None}


class AllCommands(ListView):
    doors = {"GET": every(Ability.VIEW_QUEUE)}
    filters: ClassVar[type[Any]] = AllCommandFilters
    kept = Kept(lambda: selectors.listed(selectors.commands()))
    tie = "-id"
    out = CommandOut

    def rows(self) -> QuerySet[Command]:
        return selectors.listed(selectors.commands())

    def context(self, page: list[Command]) -> dict[str, Any]:
        selectors.beside(page)
        return context_of(self)

    @extend_schema(operation_id="commands_list", responses=CommandOut(many=True))
    def get(self, request: Request) -> Response:
        """Commands of all customers that you may see, newest first."""
        return self.page()


class Commands(ListView):
    doors = {"GET": tenant(Ability.VIEW_QUEUE)}
    kept = Kept(lambda tenant_id: selectors.listed(selectors.commands(tenant_id)))
    filters = CommandFilters
    tie = "-id"
    out = CommandOut

    def rows(self) -> QuerySet[Command]:
        return selectors.listed(selectors.commands(self.tenant))

    def context(self, page: list[Command]) -> dict[str, Any]:
        selectors.beside(page, self.tenant)
        return context_of(self)

    @extend_schema(operation_id="tenant_commands_list", responses=CommandOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Commands of this customer, newest first."""
        return self.page()


class AnyCommand(ApiView):
    doors = {"GET": every(Ability.VIEW_QUEUE)}

    @extend_schema(operation_id="commands_get", responses=CommandOut)
    def get(self, request: Request, number: int) -> Response:
        """One command, of whichever customer, or of the provider as a whole."""
        found = selectors.commands().select_related("lane").filter(id=number).first()
        if found is None:
            raise NotFound(thing="command")
        return Response(shown(self, found))


class OneCommand(ApiView):
    doors = {"GET": tenant(Ability.VIEW_QUEUE)}

    @extend_schema(operation_id="tenant_commands_get", responses=CommandOut)
    def get(self, request: Request, uid: str, number: int) -> Response:
        """One command of this customer."""
        return Response(shown(self, selectors.command(self.tenant, number)))


class Steps(ListView):
    doors = {"GET": tenant(Ability.VIEW_QUEUE)}
    out = StepOut

    def rows(self) -> QuerySet[Step]:
        return selectors.steps(selectors.command(self.tenant, self.kwargs["number"]))

    def context(self, page: list[Step]) -> dict[str, Any]:
        return {"actor": self.actor}

    @extend_schema(operation_id="tenant_commands_steps", responses=StepOut(many=True))
    def get(self, request: Request, uid: str, number: int) -> Response:
        """The command's history, oldest line first."""
        return self.page()


class Cancel(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_QUEUE)}

    @extend_schema(operation_id="tenant_commands_cancel", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, number: int) -> Response:
        """Stop a command: at once while it waits, at its next safe point while it runs."""
        self.body(Nothing)
        services.cancel(self.actor, selectors.command(self.tenant, number))
        return accepted(request, selectors.command(self.tenant, number))


class Retry(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_QUEUE)}

    @extend_schema(operation_id="tenant_commands_retry", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, number: int) -> Response:
        """Let a suspended command go on, or repeat an ended one as a new command (see Location)."""
        self.body(Nothing)
        return accepted(request, services.retry(self.actor, selectors.command(self.tenant, number)))


class ProviderSteps(ListView):
    doors = {"GET": every(Ability.VIEW_QUEUE)}
    out = StepOut

    def rows(self) -> QuerySet[Step]:
        return selectors.steps(selectors.command(None, self.kwargs["number"]))

    def context(self, page: list[Step]) -> dict[str, Any]:
        return {"actor": self.actor}

    @extend_schema(operation_id="commands_steps", responses=StepOut(many=True))
    def get(self, request: Request, number: int) -> Response:
        """The history of a command about the provider as a whole, oldest line first."""
        return self.page()


class ProviderCancel(ApiView):
    doors = {"POST": every(Ability.MANAGE_QUEUE)}

    @extend_schema(operation_id="commands_cancel", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, number: int) -> Response:
        """Stop a command about the provider as a whole; a customer's is stopped below its customer."""
        self.body(Nothing)
        services.cancel(self.actor, selectors.command(None, number))
        return accepted(request, selectors.command(None, number))


class ProviderRetry(ApiView):
    doors = {"POST": every(Ability.MANAGE_QUEUE)}

    @extend_schema(operation_id="commands_retry", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, number: int) -> Response:
        """Let a suspended command about the provider as a whole go on, or repeat an ended one (see Location)."""
        self.body(Nothing)
        return accepted(request, services.retry(self.actor, selectors.command(None, number)))


class Replications(ApiView):
    doors = {"POST": tenant(Ability.REPLICATE)}

    @extend_schema(operation_id="replications_queue", request=ReplicationIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Queue a replication, or join the one that waits already."""
        wish = self.body(ReplicationIn)
        kind = "sync" if wish["full"] or wish["dry_run"] else "quick_replication"
        made = services.submit(self.actor, kind, self.tenant, dry_run=wish["dry_run"])
        return accepted(request, made)


class ProcessAll(ApiView):
    doors = {"POST": tenant(Ability.REPLICATE)}

    @extend_schema(operation_id="tenants_process_all", request=Nothing, responses=ProcessedOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Process All: what waits for further changes may start now."""
        self.body(Nothing)
        return Response({"made_due": services.process_all(self.actor, self.tenant)})
