"""/tenants/{id}/user-templates: what members of a group get by themselves, what each would do, on and off, copies."""

import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import (
    OpenApiParameter,
    extend_schema,
    extend_schema_field,
    extend_schema_serializer,
)
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import etags, examples
from api.idempotency import idempotent
from api.links import link
from api.pagination import DEFAULT, LONGEST
from api.permissions import tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted
from core.errors import InvalidInput
from tenants import offers
from tenants.abilities import Ability
from user_templates import copying, selectors, services, work
from user_templates.copying import Fit
from user_templates.models import TAKE, Leaving, UserTemplate
from user_templates.selectors import Outcome, State

FEATURE = "templates"
MOST_VALUES = 50
WHAT = (
    "`policy:<type>` such as policy:TeamsCallingPolicy, `user:<attribute>` such as user:city, or "
    "`member:<object id of a group>`."
)


# --- Shapes ---------------------------------------------------------------------------------------------------
class UserTemplateGivesIn(In):
    what = serializers.CharField(max_length=160, help_text=WHAT)
    value = serializers.CharField(
        max_length=300,
        allow_null=True,
        help_text="Policy's name, attribute's text, or `true` for a member; null takes it away.",
    )


class UserTemplateGivesOut(Out):
    what = serializers.CharField(help_text=WHAT)
    value = serializers.CharField(allow_null=True, help_text="Null: it is taken away.")


class UserTemplateChange(In):
    """What is left out keeps its value. Another rule switches it off until somebody has seen what it does."""

    name = serializers.CharField(max_length=80, required=False, help_text="The customer's only one.")
    group_id = serializers.UUIDField(
        required=False, help_text="Object id of the group whose members it covers; groups inside it count."
    )
    except_users = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=5_000, help_text="Object ids of users."
    )
    except_groups = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=100, help_text="Object ids of groups."
    )
    number_range_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Each gets the next free number of this range."
    )
    takes_numbers = serializers.BooleanField(required=False, help_text="Their numbers are taken away.")
    replaces_numbers = serializers.BooleanField(
        required=False, help_text="Also who has a number from outside of the range gets one of it."
    )
    values = serializers.ListField(
        child=UserTemplateGivesIn(),
        required=False,
        max_length=MOST_VALUES,
        help_text="Policies, details, memberships.",
    )
    leaving = serializers.ChoiceField(
        choices=Leaving.choices,
        required=False,
        help_text="What becomes of it when somebody leaves the group.",
    )


class UserTemplateIn(UserTemplateChange):
    """A new template, at the end of the order, and off."""

    name = serializers.CharField(max_length=80, help_text="The customer's only one.")
    group_id = serializers.UUIDField(
        help_text="Object id of the group whose members it covers; groups inside it count."
    )


class UserTemplateFiguresOut(Out):
    """How many users and changes."""

    covered = serializers.IntegerField(help_text="Users whom no earlier template has.")
    changes = serializers.IntegerField(help_text="To be asked for.")
    refused = serializers.IntegerField(help_text="Not possible.")
    left_out = serializers.IntegerField()
    leavers = serializers.IntegerField(help_text="To be taken back.")


@extend_schema_serializer(examples=[examples.USER_TEMPLATE])
class UserTemplateOut(Out):
    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    order = serializers.IntegerField(source="rank", help_text="A user belongs to the first that covers him.")
    state = serializers.SerializerMethodField(help_text="Stopped: it was on and could not go on.")
    group_id = serializers.SerializerMethodField(help_text="Null in a copy whose group is missing.")
    group_name = serializers.CharField()
    except_users = serializers.ListField(child=serializers.UUIDField())
    except_groups = serializers.ListField(child=serializers.UUIDField())
    number_range_id = serializers.SerializerMethodField()
    takes_numbers = serializers.SerializerMethodField()
    replaces_numbers = serializers.BooleanField(source="replace")
    values = serializers.SerializerMethodField()
    leaving = serializers.ChoiceField(choices=Leaving.choices)
    lacks = serializers.ListField(
        child=serializers.CharField(), help_text="Of a copy: what is missing here; it cannot be started so."
    )
    started_by = serializers.CharField(source="confirmed_by", allow_blank=True)
    ran_at = serializers.DateTimeField(allow_null=True)
    last_run = serializers.SerializerMethodField(help_text="What its last run found.")
    problem = serializers.SerializerMethodField(help_text="Why it stopped; empty where it did not.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    row_version = serializers.IntegerField(help_text="The number in the ETag; `start` wants it.")

    @extend_schema_field(serializers.ChoiceField(choices=State.choices))
    def get_state(self, row: UserTemplate) -> str:
        return selectors.state(row).value

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_group_id(self, row: UserTemplate) -> str | None:
        return None if row.group_id == services.NOBODY else str(row.group_id)

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_number_range_id(self, row: UserTemplate) -> str | None:
        return None if row.numbers in {"", TAKE} else row.numbers

    def get_takes_numbers(self, row: UserTemplate) -> bool:
        return row.numbers == TAKE

    @extend_schema_field(UserTemplateGivesOut(many=True))
    def get_values(self, row: UserTemplate) -> list[dict[str, Any]]:
        return [{"what": aspect, "value": _text(value)} for aspect, value in row.values]

    @extend_schema_field(UserTemplateFiguresOut(allow_null=True))
    def get_last_run(self, row: UserTemplate) -> dict[str, Any] | None:
        return dict(UserTemplateFiguresOut(row.told).data) if "covered" in row.told else None

    def get_problem(self, row: UserTemplate) -> str:
        return str(row.told.get("error", ""))


class UserTemplateSeenIn(In):
    row_version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, help_text="Of the template whose preview you looked at."
    )


class UserTemplateMoveIn(In):
    order = serializers.IntegerField(min_value=1, max_value=services.MOST, help_text="Its place, from 1 on.")


class UserTemplateCopyIn(In):
    customers = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=copying.MOST, help_text="Ids of customers."
    )
    dry_run = serializers.BooleanField(default=False, help_text="Say what a copy would be, and make none.")


class UserTemplateCopyOut(Out):
    customer = serializers.UUIDField(source="tenant.id")
    template_id = serializers.SerializerMethodField(help_text="Of the copy; null where none was made.")
    refused = serializers.CharField(allow_blank=True, help_text="Why there is no copy.")
    lacks = serializers.ListField(child=serializers.CharField(), help_text="What is missing there.")

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_template_id(self, row: Fit) -> str | None:
        return str(row.made.uid) if row.made else None


class UserTemplateCopiesOut(Out):
    copies = UserTemplateCopyOut(many=True, help_text="In the order of the request.")


class UserTemplateRowOut(Out):
    """One thing of one user."""

    outcome = serializers.ChoiceField(choices=Outcome.choices)
    user = serializers.CharField(allow_blank=True)
    user_id = serializers.UUIDField(allow_null=True, help_text="Null for whoever is left out.")
    what = serializers.CharField(source="aspect", allow_blank=True, help_text=WHAT + " Or `number`.")
    title = serializers.CharField(source="what", allow_blank=True, help_text="`what` in words.")
    before = serializers.CharField(allow_blank=True, help_text="As people read it; empty: nothing.")
    wanted = serializers.CharField(allow_blank=True, help_text="Likewise.")
    why = serializers.CharField(allow_blank=True, help_text="What stands against it, or should be known.")
    advice = serializers.CharField(allow_blank=True, help_text="What to do about it.")


class UserTemplatePreviewOut(Out):
    """What it would ask for now, behind the templates that come before it."""

    row_version = serializers.IntegerField(help_text="`start` wants it.")
    figures = UserTemplateFiguresOut()
    more = serializers.BooleanField(help_text="These are the first users; the others follow in the same run.")
    rows = serializers.IntegerField(help_text="How many there are in all.")
    results = UserTemplateRowOut(many=True, help_text="What is not possible comes first.")


# --- Views ----------------------------------------------------------------------------------------------------
class UserTemplates(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "POST": tenant(Ability.EDIT_USERS)}
    orders = {"order": "rank", "name": "name"}
    out = UserTemplateOut

    def rows(self) -> QuerySet[UserTemplate]:
        return selectors.of_tenant(self.tenant)

    @extend_schema(operation_id="user_templates_list", responses=UserTemplateOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Templates of this customer, in their order, and how their last run went."""
        return self.page()

    @extend_schema(
        operation_id="user_templates_add", request=UserTemplateIn, responses={201: UserTemplateOut}
    )
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """A new template, at the end of the order. It is off, and nothing is asked for."""
        row = services.add(self.actor, self.tenant, **_wish(self.body(UserTemplateIn)))
        url = link(request, "user-template", uid=self.tenant.id, user_template_id=row.uid)
        return _shown(selectors.get(self.tenant, row.uid), status=201, Location=url)


class _OfTemplate(ApiView):
    def template(self) -> UserTemplate:
        """Raises NotFound."""
        return selectors.get(self.tenant, self.kwargs["user_template_id"])


class OneUserTemplate(_OfTemplate):
    doors = {
        "GET": tenant(Ability.VIEW_DIRECTORY),
        "PATCH": tenant(Ability.EDIT_USERS),
        "DELETE": tenant(Ability.EDIT_USERS),
    }
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="user_template_get", responses=UserTemplateOut)
    def get(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """One template, and how its last run went."""
        return _shown(self.template())

    @extend_schema(operation_id="user_template_change", request=UserTemplateChange, responses=UserTemplateOut)
    def patch(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """Change it. Another rule switches it off until somebody has seen what it would do."""
        row = self.template()
        etags.check(request, row.row_version, thing="the template")
        wish = _wish(self.body(UserTemplateChange), row)
        return _shown(services.change(self.actor, row, version=row.row_version, **wish))

    @extend_schema(operation_id="user_template_remove", responses={204: None})
    def delete(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """The template goes, and with it the memory of what it gave. Nothing changes at Microsoft."""
        services.remove(self.actor, self.template())
        return Response(status=204)


class Preview(_OfTemplate):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(
        operation_id="user_template_preview",
        parameters=[
            OpenApiParameter(
                "limit",
                {"type": "integer", "minimum": 1, "maximum": LONGEST, "default": DEFAULT},
                description="So many rows.",
            ),
            OpenApiParameter(
                "offset",
                {"type": "integer", "minimum": 0, "maximum": 99_999, "default": 0},
                description="Rows to leave out first.",
            ),
        ],
        responses=UserTemplatePreviewOut,
    )
    def get(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """What it would ask for now, on or off: figures, and its rows user by user. Nothing is kept."""
        limit = _whole(request, "limit", 1, LONGEST, DEFAULT)
        offset = _whole(request, "offset", 0, 99_999, 0)
        row = self.template()
        found = work.of_template(self.tenant, row)
        rows = selectors.rows(self.tenant, found)
        body = {
            "row_version": row.row_version,
            "figures": found.figures,
            "more": found.more,
            "rows": len(rows),
            "results": rows[offset : offset + limit],
        }
        return Response(UserTemplatePreviewOut(body).data)


class Start(_OfTemplate):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(
        operation_id="user_template_start", request=UserTemplateSeenIn, responses={202: CommandRef}
    )
    @idempotent
    def post(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """Switch it on as you saw it; what it asks for waits like any change. 412 when it is another by now."""
        row = self.template()
        return accepted(
            request, services.confirm(self.actor, row, self.body(UserTemplateSeenIn)["row_version"])
        )


class Stop(_OfTemplate):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(operation_id="user_template_stop", request=Nothing, responses=UserTemplateOut)
    @idempotent
    def post(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """Switch it off. What it gave stays."""
        self.body(Nothing)
        row = self.template()
        services.stop(self.actor, row)
        return _shown(self.template())


class Move(_OfTemplate):
    doors = {"POST": tenant(Ability.EDIT_USERS)}

    @extend_schema(operation_id="user_template_move", request=UserTemplateMoveIn, responses=UserTemplateOut)
    @idempotent
    def post(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """Move it to a place in the order. A user whom several cover belongs to the first of them."""
        row = self.template()
        services.move(self.actor, row, to=self.body(UserTemplateMoveIn)["order"])
        return _shown(self.template())


class Copy(_OfTemplate):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(
        operation_id="user_template_copy", request=UserTemplateCopyIn, responses=UserTemplateCopiesOut
    )
    @idempotent
    def post(self, request: Request, uid: str, user_template_id: uuid.UUID) -> Response:
        """Copy it to other customers, by names; each copy is off. What is missing there is told, and kept with it."""
        row, given = self.template(), self.body(UserTemplateCopyIn)
        offers.require(self.tenant, FEATURE)
        fits = copying.copy(self.actor, row, given["customers"], dry_run=given["dry_run"])
        return Response(UserTemplateCopiesOut({"copies": fits}).data)


# --- In and out -----------------------------------------------------------------------------------------------
def _shown(row: UserTemplate, *, status: int = 200, **headers: str) -> Response:
    headers["ETag"] = etags.etag(row.row_version)
    return Response(UserTemplateOut(row).data, status=status, headers=headers)


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping):
        return str(value.get("name") or value.get("id") or "")
    return "true" if value is True else value


def _wish(given: dict[str, Any], row: UserTemplate | None = None) -> dict[str, Any]:
    """What the service takes. Raises InvalidInput for a template that both gives and takes numbers."""
    plain = {"name": "name", "group_id": "group_id", "leaving": "leaving", "replaces_numbers": "replace"}
    wish = {plain[name]: given[name] for name in given.keys() & plain.keys()}
    for name in ("except_users", "except_groups"):
        if name in given:
            wish[name] = sorted(set(given[name]))
    if "values" in given:
        wish["values"] = [[each["what"], _value(each)] for each in given["values"]]
    if {"number_range_id", "takes_numbers"} & given.keys():
        wish["numbers"] = _numbers(given, row.numbers if row else "")
    return wish


def _value(given: dict[str, Any]) -> Any:
    value = given["value"]
    return {"name": value} if value is not None and given["what"].startswith("policy:") else value


def _numbers(given: dict[str, Any], before: str) -> str:
    takes = given.get("takes_numbers", before == TAKE and "number_range_id" not in given)
    kept = None if before in {"", TAKE} or given.get("takes_numbers") else before
    pool = given.get("number_range_id", kept)
    if takes and pool:
        raise InvalidInput(field="takes_numbers", why="a template gives numbers or takes them away")
    return TAKE if takes else str(pool or "")


def _whole(request: Request, name: str, least: int, most: int, usual: int) -> int:
    text = request.query_params.get(name, str(usual))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and least <= int(text) <= most):
        raise InvalidInput(field=name, why=f"it is a whole number from {least} to {most:,}")
    return int(text)
