"""/tenants/{id}/plans: what would be written for the changes that wait, looked at, applied, and taken back."""

import uuid
from collections.abc import Sequence
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import examples
from api.changes import VALUE, Item, ThingOut, VerdictOut, groups_of
from api.filters import search
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted, queued
from core.errors import NotFound
from provisioning import services, words
from provisioning.models import Act, Line, LineState, Plan, PlanState
from provisioning.services import Asked
from tenants import offers
from tenants.abilities import Ability
from tenants.models import Tenant

FEATURE = "user_changes"
MOST_TOLD = 100


@extend_schema_serializer(examples=[examples.USER_PLAN])
class UserPlanOut(Out):
    """What would be written for the changes that wait, or was. Its lines have an address of their own."""

    id = serializers.UUIDField(source="uid")
    state = serializers.ChoiceField(choices=PlanState.choices)
    figures = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="How many lines of each act, and how many came to which end.",
    )
    fingerprint = serializers.CharField(
        source="digest",
        allow_blank=True,
        help_text="Stands for its lines: `apply` wants it. Empty while it is drawn.",
    )
    drawn_at = serializers.DateTimeField()
    drawn_by = serializers.CharField(source="actor_label")
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    command = serializers.IntegerField(
        source="command_id",
        allow_null=True,
        help_text="The number of what drew it, later of what carries it out.",
    )
    url = serializers.SerializerMethodField()

    @extend_schema_field(serializers.URLField())
    def get_url(self, row: Plan) -> str:
        keys = {"uid": row.tenant_id, "plan_id": row.uid}
        return reverse("api:user-plan", kwargs=keys, request=self.context["request"])


class UserPlanLineOut(ThingOut):
    """One intended write, and what became of it."""

    id = serializers.IntegerField()
    change_id = serializers.IntegerField()
    act = serializers.ChoiceField(choices=Act.choices)
    where = serializers.CharField(help_text="Which system it is written to.")
    after = serializers.SerializerMethodField(help_text=VALUE)
    why = serializers.CharField(allow_blank=True)
    takes = serializers.BooleanField(help_text="Somebody lacks afterwards what he had.")
    state = serializers.ChoiceField(choices=LineState.choices)
    request_id = serializers.SerializerMethodField(help_text="Microsoft's; for the provider's clients only.")
    sent_at = serializers.DateTimeField(allow_null=True)
    done_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_after(self, row: Line) -> str | None:
        return words.value(row.aspect, row.after) or None

    def get_request_id(self, row: Line) -> str:
        return row.request_id if self.context["actor"].is_provider else ""


class PlanApplyIn(In):
    fingerprint = serializers.CharField(max_length=64, help_text="Of the plan that you looked at.")


class LeftOut(ThingOut):
    """Something that a plan wrote and that stays, as somebody has changed it since."""


class UndoneOut(Out):
    """The changes that take a plan back; they wait like any others."""

    edit_id = serializers.UUIDField(allow_null=True, help_text="Null: nothing was kept.")
    command = CommandRef(allow_null=True, help_text="Null: nothing was kept.")
    kept = serializers.IntegerField(help_text="How many are taken back.")
    refused = serializers.IntegerField(help_text="How many cannot be.")
    left = serializers.IntegerField(help_text="How many stay, as somebody has changed them since.")
    refused_items = VerdictOut(many=True, help_text=f"The first {MOST_TOLD}.")
    left_items = LeftOut(many=True, help_text=f"The first {MOST_TOLD}.")


class UserPlanFilters(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=PlanState.choices)


class LineFilters(django_filters.FilterSet):
    search = search("In the user's name.")
    act = django_filters.ChoiceFilter(choices=Act.choices)
    state = django_filters.ChoiceFilter(choices=LineState.choices)
    user = django_filters.UUIDFilter(field_name="subject_id", help_text="The user's object id.")

    def look_for(self, rows: QuerySet[Line], name: str, value: str) -> QuerySet[Line]:
        return rows.filter(subject_name__icontains=value)


class UserPlans(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "POST": tenant(Ability.EDIT_USERS)}
    filters = UserPlanFilters
    tie = "-id"
    out = UserPlanOut

    def rows(self) -> QuerySet[Plan]:
        return Plan.objects.filter(tenant=self.tenant)

    @extend_schema(operation_id="user_plans_list", responses=UserPlanOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Plans of this customer, newest first."""
        return self.page()

    @extend_schema(operation_id="user_plans_draw", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Dry run: compare what waits with Microsoft, and write nothing. The command's `result.plan` names the plan.

        409 `nothing_to_plan` when no change waits.
        """
        self.body(Nothing)
        offers.require(self.tenant, FEATURE)
        return accepted(request, services.draw(self.actor, self.tenant))


class _OfPlan(ApiView):
    def plan(self) -> Plan:
        """Raises NotFound."""
        found: Plan | None = Plan.objects.filter(tenant=self.tenant, uid=self.kwargs["plan_id"]).first()
        if found is None:
            raise NotFound(thing="plan")
        return found


class OneUserPlan(_OfPlan):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(operation_id="user_plans_get", responses=UserPlanOut)
    def get(self, request: Request, uid: str, plan_id: uuid.UUID) -> Response:
        """One plan."""
        return Response(UserPlanOut(self.plan(), context={"request": request}).data)


class UserPlanLines(_OfPlan, ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    filters = LineFilters
    out = UserPlanLineOut

    def rows(self) -> QuerySet[Line]:
        return Line.objects.filter(plan=self.plan())

    def context(self, page: list[Line]) -> dict[str, Any]:
        return _context(self, page)

    @extend_schema(operation_id="user_plans_lines", responses=UserPlanLineOut(many=True))
    def get(self, request: Request, uid: str, plan_id: uuid.UUID) -> Response:
        """What a plan would write, or wrote, one thing of one user a line."""
        return self.page()


class Apply(_OfPlan):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(operation_id="user_plans_apply", request=PlanApplyIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, plan_id: uuid.UUID) -> Response:
        """Carry out a plan that you looked at, just so; read once more before, and back afterwards.

        409 `changes_moved` when other changes wait by now; when Microsoft has something else, the command fails with
        that code. Nothing is written either way.
        """
        plan = self.plan()
        offers.require(self.tenant, FEATURE)
        given = self.body(PlanApplyIn)["fingerprint"]
        return accepted(request, services.apply(self.actor, self.tenant, plan, given))


class Undo(_OfPlan):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(
        operation_id="user_plans_undo", request=Nothing, responses={202: UndoneOut, 200: UndoneOut}
    )
    @idempotent
    def post(self, request: Request, uid: str, plan_id: uuid.UUID) -> Response:
        """Ask for the inverse of what a plan wrote, also of one that was applied in part. 200 where nothing was kept.

        409 `nothing_to_undo` when it wrote nothing.
        """
        plan = self.plan()
        self.body(Nothing)
        offers.require(self.tenant, FEATURE)
        asked, left = services.undo(self.actor, self.tenant, plan)
        return self._answer(asked, left)

    def _answer(self, asked: Asked, left: Sequence[Line]) -> Response:
        command = queued(self.request, asked.command) if asked.command else None
        refused = asked.refused
        items = [Item(each.name, each.wish) for each in refused[:MOST_TOLD]]
        for item, verdict in zip(items, refused, strict=False):
            item.judged(verdict, kept=False)
        told = left[:MOST_TOLD]
        body = {
            "edit_id": asked.edit.uid if asked.edit else None,
            "command": command,
            "kept": len(asked.kept) if asked.edit else 0,
            "refused": len(refused),
            "left": len(left),
            "refused_items": VerdictOut(items, many=True, context=_context(self, items)).data,
            "left_items": LeftOut(told, many=True, context=_context(self, told)).data,
        }
        headers = {"Location": command["url"]} if command else None
        return Response(body, status=202 if command else 200, headers=headers)


def _context(view: ApiView, rows: Sequence[Any]) -> dict[str, Any]:
    row: Tenant = view.tenant
    return {"groups": groups_of(row, rows), "actor": view.actor}
