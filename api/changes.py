"""/tenants/{id}/changes: what is wanted of a customer's users. A worker writes it once the wait is over."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import django_filters
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.commands import told
from api.connections import TroubleOut, trouble
from api.filters import search
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Out
from api.views import ApiView, ListView, queued
from core.errors import UmpError
from directory.browse import as_uuid
from provisioning import services, words
from provisioning.aspects import Thing, Value, groups_named
from provisioning.judging import Verdict, Wish
from provisioning.models import OPEN_CHANGES, Change, ChangeState, Source
from provisioning.people import users_named
from provisioning.services import Asked
from telephony.models import NumberKind
from tenants import offers
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Tenant

FEATURE = "user_changes"
MOST = 1_000
"""Changes of one request; a larger list comes in parts."""
STATES = [("open", "Waiting, or being applied"), *ChangeState.choices]
OUTCOMES = [
    ("kept", "It waits to be written"),
    ("same", "It is so already, or waits already"),
    ("refused", "`problem` says why"),
    ("left", "Nothing is wrong with it, and nothing was kept"),
]
WHAT = (
    "`number`, `policy:<type>` such as policy:TeamsCallingPolicy, `user:<attribute>` such as user:department, "
    "`member:<object id of a group>`, or `route:<id of a site>:<number>` for a rule on its SBC."
)
VALUE = "As people read it; null where there is nothing."


# --- Shapes ---------------------------------------------------------------------------------------------------
class ThingOut(Out):
    """One thing of one user. The context has `groups`, the names of groups by aspect, and `actor`."""

    user_id = serializers.UUIDField(source="subject_id")
    user_name = serializers.CharField(source="subject_name", allow_blank=True)
    what = serializers.CharField(source="aspect", help_text=WHAT)
    title = serializers.SerializerMethodField(help_text="`what` in words.")
    before = serializers.SerializerMethodField(help_text=VALUE)
    problem = serializers.SerializerMethodField(help_text="What stands against it, or stopped it.")

    def get_title(self, row: Any) -> str:
        return words.title(row.aspect, self.context["groups"])

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_before(self, row: Any) -> str | None:
        return words.value(row.aspect, row.before) or None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Any) -> dict[str, Any] | None:
        return problem_of(row.problem, self.context["actor"])


@extend_schema_serializer(examples=[examples.CHANGE])
class ChangeOut(ThingOut):
    """A wish, and what became of it."""

    id = serializers.IntegerField()
    wanted = serializers.SerializerMethodField(help_text=VALUE)
    state = serializers.ChoiceField(choices=ChangeState.choices)
    edit_id = serializers.UUIDField(source="edit.uid", help_text="What was asked for together has one.")
    source = serializers.ChoiceField(source="edit.source", choices=Source.choices)  # type: ignore[assignment]
    asked_by = serializers.CharField(source="edit.actor_label")
    asked_at = serializers.DateTimeField(source="edit.made_at")
    plan_id = serializers.SerializerMethodField(help_text="The plan that it was, or is being, applied with.")
    changed_at = serializers.DateTimeField()

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_wanted(self, row: Change) -> str | None:
        return words.value(row.aspect, row.wanted) or None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_plan_id(self, row: Change) -> uuid.UUID | None:
        return row.plan.uid if row.plan else None


class ChangeIn(In):
    """One thing of one user, as it shall be."""

    user = serializers.CharField(max_length=300, help_text="User principal name, or object id.")
    what = serializers.CharField(max_length=160, help_text=WHAT)
    value = serializers.CharField(
        max_length=300,
        allow_null=True,
        help_text="Number, policy's name, attribute's text, or `true` for a member or rule; null takes it away.",
    )
    number_type = serializers.ChoiceField(
        choices=NumberKind.choices, required=False, help_text="Of a number that Microsoft does not know yet."
    )
    location_id = serializers.UUIDField(
        required=False, help_text="Emergency location at Microsoft, where a number needs one."
    )


@extend_schema_serializer(examples=[examples.CHANGES_PREVIEW])
class ChangesIn(In):
    changes = serializers.ListField(
        child=ChangeIn(), min_length=1, max_length=MOST, help_text="A list; a larger one comes in parts."
    )


@extend_schema_serializer(examples=[examples.CHANGES_ASK])
class ChangesAsk(ChangesIn):
    title = serializers.CharField(
        max_length=200, required=False, allow_blank=True, help_text="How the act is called in lists."
    )
    all_or_none = serializers.BooleanField(
        default=False, help_text="Keep nothing unless everything can be kept."
    )


class ChangesNamed(In):
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        allow_null=True,
        max_length=MOST,
        help_text="Which; null: all.",
    )


class ChangesRetry(In):
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=1,
        max_length=MOST,
        help_text="Which; what did not fail is left out.",
    )


class WithdrawnOut(Out):
    withdrawn = serializers.IntegerField(help_text="How many waited, and do not any more.")


class VerdictOut(ThingOut):
    """What became of one item."""

    user = serializers.CharField(source="label", allow_blank=True, help_text="As it was sent.")
    user_id = serializers.UUIDField(
        source="subject_id", allow_null=True, help_text="Null: nobody is called so."
    )
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    hint = serializers.CharField(allow_blank=True, help_text="It can be done, and this should be known.")


@extend_schema_serializer(examples=[examples.CHANGES_ASKED])
class AskedOut(Out):
    """A verdict for each item, in the order of the request; `command` writes what was kept."""

    edit_id = serializers.UUIDField(allow_null=True, help_text="Null: nothing was kept.")
    command = CommandRef(allow_null=True, help_text="Null: nothing was kept.")
    items = VerdictOut(many=True)


class ChangeFilters(django_filters.FilterSet):
    search = search("In the user's name; or a part of a phone number that is wanted.")
    state = django_filters.ChoiceFilter(choices=STATES, method="in_state")
    user = django_filters.UUIDFilter(field_name="subject_id", help_text="The user's object id.")
    edit = django_filters.UUIDFilter(field_name="edit__uid", help_text="What was asked for together.")

    def in_state(self, rows: QuerySet[Change], name: str, value: str) -> QuerySet[Change]:
        return rows.filter(state__in=OPEN_CHANGES) if value == "open" else rows.filter(state=value)

    def look_for(self, rows: QuerySet[Change], name: str, value: str) -> QuerySet[Change]:
        return rows.filter(Q(subject_name__icontains=value) | Q(number__contains=value))


# --- Views ----------------------------------------------------------------------------------------------------
class Changes(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "POST": tenant(Ability.EDIT_USERS)}
    filters = ChangeFilters
    tie = "-id"
    out = ChangeOut

    def rows(self) -> QuerySet[Change]:
        return Change.objects.filter(tenant=self.tenant).select_related("edit", "plan")

    def context(self, page: list[Change]) -> dict[str, Any]:
        return {"groups": groups_of(self.tenant, page), "actor": self.actor}

    @extend_schema(operation_id="changes_list", responses=ChangeOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """What is and was wanted of the customer's users, newest first."""
        return self.page()

    @extend_schema(operation_id="changes_ask", request=ChangesAsk, responses={202: AskedOut, 200: AskedOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Ask for changes: a verdict for each, and what can be kept waits. 200 where nothing was kept.

        Each further change moves the wait; `process-all` ends it. A later wish for the same thing takes an earlier
        one's place.
        """
        offers.require(self.tenant, FEATURE)
        given = self.body(ChangesAsk)
        items = _items(self.tenant, given["changes"])
        wishes = [item.wish for item in items if item.wish]
        more = {"title": given.get("title", ""), "all_or_none": given["all_or_none"]}
        if given["all_or_none"] and len(wishes) < len(items):
            asked = services.preview(self.tenant, wishes, by=self.actor)
        else:
            asked = services.ask(self.actor, self.tenant, wishes, source=Source.API, **more)
        return answer(self, asked, items)


class Preview(ApiView):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(operation_id="changes_preview", request=ChangesIn, responses=AskedOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """What asking for these would answer; nothing is kept."""
        offers.require(self.tenant, FEATURE)
        items = _items(self.tenant, self.body(ChangesIn)["changes"])
        asked = services.preview(self.tenant, [item.wish for item in items if item.wish], by=self.actor)
        return answer(self, asked, items)


class Withdraw(ApiView):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(operation_id="changes_withdraw", request=ChangesNamed, responses=WithdrawnOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Take back what waits; what is being applied already is not among it."""
        ids = self.body(ChangesNamed)["ids"]
        return Response({"withdrawn": services.withdraw(self.actor, self.tenant, ids)})


class Retry(ApiView):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(
        operation_id="changes_retry", request=ChangesRetry, responses={202: AskedOut, 200: AskedOut}
    )
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Ask once more for changes that failed; judged as of now. 200 where nothing was kept."""
        offers.require(self.tenant, FEATURE)
        asked = services.ask_again(self.actor, self.tenant, self.body(ChangesRetry)["ids"])
        return answer(self, asked, [Item(verdict.name, verdict.wish) for verdict in asked.verdicts])


# --- Items and verdicts ---------------------------------------------------------------------------------------
class Item:
    """An item of a request, and its verdict once there is one. Without a wish: nobody is called so."""

    def __init__(self, label: str, wish: Wish | None, aspect: str = "") -> None:
        self.label, self.wish = label, wish
        self.aspect = wish.thing.aspect if wish else aspect
        self.subject_id = wish.thing.subject_id if wish else None
        self.subject_name, self.before, self.hint = "", None, ""
        self.outcome = "refused"
        self.problem: dict[str, Any] | None = None
        if wish is None:
            self.problem = dict(UmpError.of("user_not_in_copy", thing=label).to_dict())

    def judged(self, verdict: Verdict, *, kept: bool) -> None:
        self.subject_name, self.before, self.hint = verdict.name, verdict.before, verdict.hint
        if verdict.problem is not None:
            self.problem = dict(verdict.problem.to_dict())
        else:
            self.outcome = "same" if verdict.same else "kept" if kept else "left"


def _items(row: Tenant, given: Sequence[dict[str, Any]]) -> list[Item]:
    users = users_named(row, {one["user"] for one in given})
    items = []
    for one in given:
        subject = users.get(one["user"])
        wish = Wish(Thing(subject, one["what"]), _value(one), label=one["user"]) if subject else None
        items.append(Item(one["user"], wish, one["what"]))
    return items


def _value(given: dict[str, Any]) -> Value:
    """In the form that the aspect's family cleans."""
    value, what = given["value"], given["what"]
    if value is not None and what == "number":
        more = {"kind": given.get("number_type"), "location": given.get("location_id")}
        return {"number": value, **{name: str(each) for name, each in more.items() if each}}
    return {"name": value} if value is not None and what.startswith("policy:") else value


def answer(view: ApiView, asked: Asked, items: Sequence[Item]) -> Response:
    """A verdict for each item; 202 with Location where something was kept."""
    judged = [item for item in items if item.wish]
    for item, verdict in zip(judged, asked.verdicts, strict=True):
        item.judged(verdict, kept=asked.edit is not None)
    command = queued(view.request, asked.command) if asked.command else None
    context = {"groups": groups_of(view.tenant, items), "actor": view.actor}
    body = {
        "edit_id": asked.edit.uid if asked.edit else None,
        "command": command,
        "items": VerdictOut(items, many=True, context=context).data,
    }
    return Response(
        body, status=202 if asked.edit else 200, headers={"Location": command["url"]} if command else None
    )


def groups_of(row: Tenant, items: Iterable[Any]) -> dict[str, str]:
    """The names of the groups and sites that these are about; what names none is not looked for."""
    aspects = {item.aspect for item in items if as_uuid(f"{item.aspect}:".split(":")[1]) is not None}
    return groups_named(row.id, aspects) if aspects else {}


def problem_of(stored: dict[str, Any] | None, actor: Actor) -> dict[str, Any] | None:
    found = trouble(stored)
    return found and {**found, "detail": told(found["detail"], actor)}
