"""/verify-runs: Verify All, one check for every customer within reach. For the provider's clients only."""

import uuid
from typing import Any, ClassVar

import django_filters
from django.db.models import F, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import examples
from api.connections import TroubleOut, trouble
from api.filters import search
from api.idempotency import idempotent
from api.permissions import every
from api.serializers import Nothing, Out
from api.views import ApiView, ListView, command_url
from authstatus import runs
from authstatus.models import VerifyRow, VerifyRun
from authstatus.runs import Outcome, Progress
from core.errors import NotFound
from tenants.abilities import Ability
from tenants.models import Connection
from tenants.selectors import connections_of

OUTCOMES = [(each.value, runs.WORDS[each][1]) for each in Outcome]


class CountsOut(Out):
    """Customers by what became of them."""

    waiting = serializers.IntegerField(help_text="Nobody has begun.")
    checking = serializers.IntegerField(help_text="At work now.")
    again = serializers.IntegerField(help_text="A check did not get through and is tried again.")
    ok = serializers.IntegerField(help_text="Access works.")
    access_failed = serializers.IntegerField(help_text="Something is wrong with the customer's access.")
    check_failed = serializers.IntegerField(
        help_text="The check itself failed, which says nothing about the customer."
    )
    cancelled = serializers.IntegerField(help_text="Taken back before they began.")
    left_out = serializers.IntegerField(help_text="Disabled, paused or not connected.")


@extend_schema_serializer(examples=[examples.VERIFY_RUN])
class VerifyRunOut(Out):
    """A run, counted over the customers that you may see."""

    id = serializers.UUIDField()
    started_at = serializers.DateTimeField()
    started_by = serializers.CharField()
    open = serializers.SerializerMethodField(help_text="True until every check has ended.")
    ended_at = serializers.SerializerMethodField()
    cancelled_at = serializers.DateTimeField(allow_null=True)
    cancelled_by = serializers.CharField(allow_blank=True)
    total = serializers.SerializerMethodField(help_text="Customers that are checked.")
    done = serializers.SerializerMethodField(help_text="How many of them have ended.")
    counts = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()
    rows_url = serializers.SerializerMethodField(help_text="Customer by customer.")

    def _progress(self, row: VerifyRun) -> Progress:
        found: Progress = self.context["progress"][row.id]
        return found

    def get_open(self, row: VerifyRun) -> bool:
        return self._progress(row).open

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_ended_at(self, row: VerifyRun) -> Any:
        ended = self._progress(row).ended_at
        return ended and serializers.DateTimeField().to_representation(ended)

    def get_total(self, row: VerifyRun) -> int:
        return self._progress(row).total

    def get_done(self, row: VerifyRun) -> int:
        return self._progress(row).done

    @extend_schema_field(CountsOut())
    def get_counts(self, row: VerifyRun) -> dict[str, int]:
        return {outcome.value: number for outcome, number in self._progress(row).counts.items()}

    def get_url(self, row: VerifyRun) -> str:
        return url_of(self.context["request"], row)

    def get_rows_url(self, row: VerifyRun) -> str:
        return url_of(self.context["request"], row, "verify-run-rows")


@extend_schema_serializer(examples=[examples.VERIFY_ROW])
class VerifyRowOut(Out):
    """One customer in a run."""

    tenant_id = serializers.UUIDField()
    tenant_name = serializers.CharField(source="tenant.name")
    account = serializers.SerializerMethodField(help_text="M365 Admin Email; empty where an app signs in.")
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    outcome_text = serializers.SerializerMethodField(help_text="Token Status, in words.")
    message = serializers.SerializerMethodField(help_text="What the check says, or why there is none.")
    problem = serializers.SerializerMethodField()
    command_url = serializers.SerializerMethodField(help_text="The check itself; null when left out.")

    def get_account(self, row: VerifyRow) -> str:
        connection: Connection | None = self.context["connections"].get(row.tenant_id)
        return connection.account if connection else ""

    def get_outcome_text(self, row: Any) -> str:
        return runs.WORDS[Outcome(row.outcome)][1]

    def get_message(self, row: VerifyRow) -> str:
        return row.command.message if row.command else row.get_left_out_display()

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: VerifyRow) -> dict[str, Any] | None:
        return trouble(row.command.error) if row.command else None

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_command_url(self, row: VerifyRow) -> str | None:
        return command_url(self.context["request"], row.command) if row.command else None


class RowFilters(django_filters.FilterSet):
    outcome = django_filters.ChoiceFilter(choices=OUTCOMES)
    search = search("In the customer's name and the e-mail address.")

    def look_for(self, queryset: QuerySet[VerifyRow], name: str, value: str) -> QuerySet[VerifyRow]:
        return queryset.filter(runs.named(value))


class OfProvider(ApiView):
    """Customers' own clients are told nothing about runs; they check their connection itself."""

    def check_permissions(self, request: Request) -> None:
        super().check_permissions(request)
        if not self.actor.is_provider:
            raise NotFound(thing="address")


class VerifyRuns(OfProvider, ListView):
    doors = {"GET": every(Ability.VIEW_TENANT), "POST": every(Ability.VERIFY_CONNECTION)}
    orders: ClassVar[dict[str, str]] = {"-started_at": "started_at"}
    out = VerifyRunOut

    def rows(self) -> QuerySet[VerifyRun]:
        return runs.runs()

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {"progress": runs.progress(page)}

    @extend_schema(operation_id="verify_runs_list", responses=VerifyRunOut(many=True))
    def get(self, request: Request) -> Response:
        """Runs of the last 30 days, newest first."""
        return self.page()

    @extend_schema(operation_id="verify_runs_start", request=Nothing, responses={202: VerifyRunOut})
    @idempotent
    def post(self, request: Request) -> Response:
        """Check every customer that you may check; or join the run that does so already."""
        self.body(Nothing)
        found, _ = runs.start(self.actor)
        return Response(shown(request, found), status=202, headers={"Location": url_of(request, found)})


class OneVerifyRun(OfProvider):
    doors = {"GET": every(Ability.VIEW_TENANT), "DELETE": every(Ability.VERIFY_CONNECTION)}

    @extend_schema(operation_id="verify_run_get", responses=VerifyRunOut)
    def get(self, request: Request, run_id: uuid.UUID) -> Response:
        """How far it is."""
        return Response(shown(request, runs.run(run_id)))

    @extend_schema(operation_id="verify_run_cancel", request=None, responses={202: VerifyRunOut})
    def delete(self, request: Request, run_id: uuid.UUID) -> Response:
        """Take the waiting checks back; those at work finish, and what was found stays."""
        runs.cancel(self.actor, runs.run(run_id))
        found = runs.run(run_id)
        return Response(shown(request, found), status=202, headers={"Location": url_of(request, found)})


class VerifyRunRows(OfProvider, ListView):
    doors = {"GET": every(Ability.VIEW_TENANT)}
    filters = RowFilters
    orders: ClassVar[dict[str, str]] = {"name": "name"}
    out = VerifyRowOut

    def rows(self) -> QuerySet[Any]:
        found: QuerySet[Any] = runs.rows(runs.run(self.kwargs["run_id"])).annotate(name=F("tenant__name"))
        return found

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {"connections": connections_of([row.tenant_id for row in page])}

    @extend_schema(operation_id="verify_run_rows", responses=VerifyRowOut(many=True))
    def get(self, request: Request, run_id: uuid.UUID) -> Response:
        """Customer by customer, by name."""
        return self.page()


def shown(request: Request, found: VerifyRun) -> dict[str, Any]:
    return dict(VerifyRunOut(found, context={"request": request, "progress": runs.progress([found])}).data)


def url_of(request: Request, found: VerifyRun, name: str = "verify-run") -> str:
    return reverse(f"api:{name}", kwargs={"run_id": found.id}, request=request)
