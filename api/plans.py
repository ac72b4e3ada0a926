"""/tenants/{id}/commands/{number}/plan: what a run would remove, and the confirmation bound to it."""

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Out
from api.views import ApiView, ListView, accepted
from core.errors import NotFound
from replication import plans, selectors, services
from replication.models import Removal, RemovalPlan
from tenants.abilities import Ability


class FigureOut(Out):
    noun = serializers.CharField(help_text="What kind of object, as in the plan's lines.")
    label = serializers.CharField(help_text="Its plural.")  # type: ignore[assignment]  # a Field's own word, too
    remove = serializers.IntegerField(help_text="How many would be removed.")
    have = serializers.IntegerField(help_text="How many the copy holds.")


@extend_schema_serializer(examples=[examples.PLAN])
class PlanOut(Out):
    """What a run would remove. It never changes: when the customer's data moved, another one is drawn."""

    plan = serializers.IntegerField(source="id", help_text="Its number, by which it is confirmed.")
    drawn_at = serializers.DateTimeField()
    why = serializers.CharField()
    removals = serializers.IntegerField(help_text="How many objects would be removed in all.")
    figures = FigureOut(many=True)
    approved_at = serializers.DateTimeField(allow_null=True)
    approved_by = serializers.CharField(allow_blank=True)


class PlanLineOut(Out):
    """One object that would be removed."""

    noun = serializers.CharField()
    object_id = serializers.CharField(source="key")
    name = serializers.CharField()
    detail = serializers.CharField(allow_blank=True, help_text="Its address, where it has one.")


class ApproveIn(In):
    plan = serializers.IntegerField(min_value=1, help_text="The number of the plan that you looked at.")


class PlanView(ApiView):
    def drawn(self) -> RemovalPlan:
        """The plan of the command in the address. Raises NotFound."""
        found = plans.of_command(selectors.command(self.tenant, self.kwargs["number"]).id).first()
        if found is None:
            raise NotFound(thing="plan")
        return found


class OnePlan(PlanView):
    doors = {"GET": tenant(Ability.VIEW_QUEUE)}

    @extend_schema(operation_id="tenant_commands_plan", responses=PlanOut)
    def get(self, request: Request, uid: str, number: int) -> Response:
        """What the command would remove; 404 when it never had to ask."""
        return Response(PlanOut(self.drawn()).data)


class PlanLines(PlanView, ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    out = PlanLineOut

    def rows(self) -> QuerySet[Removal]:
        return plans.lines_of(self.drawn())

    @extend_schema(operation_id="tenant_commands_plan_lines", responses=PlanLineOut(many=True))
    def get(self, request: Request, uid: str, number: int) -> Response:
        """Every object of the command's plan."""
        return self.page()


class Approve(ApiView):
    doors = {"POST": tenant(Ability.APPROVE_PLAN)}

    @extend_schema(operation_id="tenant_commands_approve", request=ApproveIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, number: int) -> Response:
        """Confirm a plan: everything is read once more, and what the plan lists and is still missing is removed.

        409 `plan_stale` when another plan was drawn since; look at that one first.
        """
        found = selectors.command(self.tenant, number)
        return accepted(request, services.approve(self.actor, found, self.body(ApproveIn)["plan"]))
