"""/tenants/{id}/resource-accounts, the designs of them, their plans; /resource-account-templates."""

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import etags, examples
from api.connections import TroubleOut, trouble
from api.deployments import ResultIn
from api.idempotency import idempotent
from api.permissions import provider, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted
from m365 import resource_account_plan as planning
from m365.powershell.actions import Action
from m365.resource_account_plan import Step
from resource_accounts import selectors, services
from resource_accounts.models import Design, DesignState, DesignTemplate, Kind
from resource_accounts.selectors import Account
from telephony.models import TeamsUser
from tenants.abilities import Ability

STATES = [(state.value or "none", state.label) for state in DesignState]
_SETTINGS = (
    "By name, all as text; what is left out has its first value. For both types: language, time_zone (as "
    "Windows calls it), greeting. For an attendant: menu, key_0 to key_9, key_star and key_pound with "
    "key_..._target, straight and straight_target, monday to sunday (09:00-12:00, 13:00-17:00), "
    "closed_greeting, closed, closed_target, holidays (lines such as 2026-12-24 to 2026-12-26 Christmas), "
    "holiday_greeting. For a queue: users and groups (one a line), routing, alert, opt_out and presence "
    "(yes or empty), most, overflow, overflow_target, timeout, timed_out, timed_out_target, "
    "voicemail_text. Where a call goes: person, account, number, voicemail or disconnect."
)


class AccountOut(Out):
    """A resource account that Microsoft lists."""

    object_id = serializers.UUIDField(source="row.object_id", help_text="Microsoft's.")
    user_principal_name = serializers.CharField(source="row.user_principal_name", allow_blank=True)
    display_name = serializers.CharField(source="name", allow_blank=True)
    number = serializers.CharField(source="row.number", allow_blank=True)
    design_id = serializers.SerializerMethodField(help_text="Of the design that has its address.")
    changed_at = serializers.DateTimeField(source="row.changed_at", help_text="When this copy last changed.")

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_design_id(self, row: Account) -> str | None:
        return str(row.design.uid) if row.design else None


class DesignChange(In):
    """What is left out keeps its value. Name and account stay while something of it is at Microsoft."""

    name = serializers.CharField(max_length=64, required=False, help_text="In Teams, and of the account.")
    account = serializers.CharField(
        max_length=113, required=False, help_text="The account's address, in a domain of the customer."
    )
    number = serializers.CharField(
        max_length=30, required=False, allow_blank=True, help_text="With country code; empty: none."
    )
    settings = serializers.DictField(
        child=serializers.CharField(max_length=4000, allow_blank=True), required=False, help_text=_SETTINGS
    )


@extend_schema_serializer(examples=[examples.DESIGN_ADD])
class DesignIn(DesignChange):
    """A new design. Nothing at Microsoft changes."""

    type = serializers.ChoiceField(choices=Kind.choices, help_text="It stays.")
    name = serializers.CharField(max_length=64, help_text="In Teams, and of the account.")
    account = serializers.CharField(
        max_length=113, help_text="The account's address, in a domain of the customer."
    )


class DesignStepOut(Out):
    """What happens to one part."""

    part = serializers.CharField(help_text="Such as resource account, call queue or phone number.")
    name = serializers.CharField()
    action = serializers.ChoiceField(choices=[(each.value, each.value) for each in Action])
    why = serializers.CharField()
    before = serializers.SerializerMethodField(help_text="In words, by their labels.")
    after = serializers.SerializerMethodField(help_text="In words, by their labels.")

    def get_before(self, row: Step) -> dict[str, str]:
        return dict(row.before)

    def get_after(self, row: Step) -> dict[str, str]:
        return dict(row.after)


class DesignPlanOut(Out):
    """What building it would do, as far as is known."""

    plan = serializers.CharField(help_text="Its fingerprint, which build wants.")
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When Teams was last read for it.")
    steps = DesignStepOut(many=True)


@extend_schema_serializer(examples=[examples.DESIGN])
class DesignOut(Out):
    id = serializers.UUIDField(source="uid")
    type = serializers.ChoiceField(source="kind", choices=Kind.choices)
    name = serializers.CharField()
    account = serializers.CharField(source="upn")
    number = serializers.CharField(allow_blank=True)
    settings = serializers.DictField(source="spec", child=serializers.CharField(allow_blank=True))
    state = serializers.SerializerMethodField()
    by_hand = serializers.BooleanField(help_text="A person built it by the ready script.")
    problem = serializers.SerializerMethodField(help_text="Why the last work on it stopped or waits.")
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When Teams was last read for it.")
    built_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    row_version = serializers.IntegerField(help_text="The number in the ETag.")

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_state(self, row: Design) -> str:
        return str(row.state) or "none"

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Design) -> dict[str, Any] | None:
        return trouble(row.problem)


class AgreedIn(In):
    plan = serializers.CharField(max_length=64, help_text="The fingerprint of the plan that was seen.")


class DesignScriptsOut(Out):
    """PowerShell for a person with the module MicrosoftTeams; where one is empty, the plan says why."""

    ready = serializers.CharField(allow_blank=True, help_text="Does what the plan says; may be run again.")
    remove = serializers.CharField(allow_blank=True, help_text="Takes away what the portal made.")
    verify = serializers.CharField(help_text="Only reads; POST its last line to verify.")


class Accounts(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}
    orders = {"user_principal_name": "search"}
    tie = "object_id"
    out = AccountOut

    def rows(self) -> QuerySet[TeamsUser]:
        return selectors.accounts(self.tenant)

    @extend_schema(operation_id="resource_accounts_list", responses=AccountOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's resource accounts, as Microsoft lists them among the Teams users."""
        found = self.paginate_queryset(self.filter_queryset(self.rows())) or []
        shown = AccountOut(selectors.with_names(self.tenant, found), many=True)
        return self.get_paginated_response(shown.data)


class Designs(ListView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "POST": tenant(Ability.BUILD_ACCOUNTS)}
    orders = {"name": "name"}
    out = DesignOut

    def rows(self) -> QuerySet[Design]:
        return selectors.designs(self.tenant)

    @extend_schema(operation_id="designs_list", responses=DesignOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """Designs of attendants and queues, built or not."""
        return self.page()

    @extend_schema(operation_id="designs_add", request=DesignIn, responses={201: DesignOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """A new design. Nothing at Microsoft changes until it is built."""
        given = self.body(DesignIn)
        found = services.add(self.actor, self.tenant, kind=given.pop("type"), **_wish(given))
        url = reverse("api:design", kwargs={"uid": self.tenant.id, "design_id": found.uid}, request=request)
        headers = {"Location": url, "ETag": etags.etag(found.row_version)}
        return Response(DesignOut(found).data, status=201, headers=headers)


class OneDesign(ApiView):
    doors = {
        "GET": tenant(Ability.VIEW_DIRECTORY),
        "PATCH": tenant(Ability.BUILD_ACCOUNTS),
        "DELETE": tenant(Ability.BUILD_ACCOUNTS),
    }
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="design_get", responses=DesignOut)
    def get(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """One design, and how it stands at Microsoft."""
        found = selectors.design(self.tenant, design_id)
        return Response(DesignOut(found).data, headers={"ETag": etags.etag(found.row_version)})

    @extend_schema(operation_id="design_change", request=DesignChange, responses=DesignOut)
    def patch(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """Change it; the next plan says what that means at Microsoft."""
        found = selectors.design(self.tenant, design_id)
        etags.check(request, found.row_version, thing="the design")
        wish = _wish(self.body(DesignChange))
        if "spec" in wish:
            wish["spec"] = {**found.spec, **wish["spec"]}
        changed = services.change(self.actor, found, version=found.row_version, **wish)
        return Response(DesignOut(changed).data, headers={"ETag": etags.etag(changed.row_version)})

    @extend_schema(operation_id="design_delete", responses={204: None})
    def delete(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """The portal forgets it. Refused while something that the portal made is at Microsoft."""
        services.delete(self.actor, selectors.design(self.tenant, design_id))
        return Response(status=204)


class Plan(ApiView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(operation_id="design_plan", responses=DesignPlanOut)
    def get(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """What building it would do, step by step, by what was last read of Teams."""
        found = selectors.design(self.tenant, design_id)
        steps = selectors.to_build(found)
        plan = {"plan": planning.fingerprint(steps), "checked_at": found.checked_at, "steps": steps}
        return Response(DesignPlanOut(plan).data)


class Look(ApiView):
    doors = {"POST": tenant(Ability.BUILD_ACCOUNTS)}

    @extend_schema(operation_id="design_look", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """Read what Teams has of it; the command's result has the plan. Nothing is written."""
        found = selectors.design(self.tenant, design_id)
        self.body(Nothing)
        return accepted(request, services.look(self.actor, found))


class Build(ApiView):
    doors = {"POST": tenant(Ability.BUILD_ACCOUNTS)}

    @extend_schema(operation_id="design_build", request=AgreedIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """Carry the plan out, and read back. Refused when it is another one by now."""
        found = selectors.design(self.tenant, design_id)
        return accepted(request, services.build(self.actor, found, self.body(AgreedIn)["plan"]))


class Remove(ApiView):
    doors = {"POST": tenant(Ability.BUILD_ACCOUNTS)}

    @extend_schema(operation_id="design_remove", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """Take away what the portal made of it at Microsoft, in reverse. The design stays."""
        found = selectors.design(self.tenant, design_id)
        self.body(Nothing)
        plan = planning.fingerprint(selectors.to_remove(found))
        return accepted(request, services.remove(self.actor, found, plan))


class Scripts(ApiView):
    doors = {"GET": tenant(Ability.BUILD_ACCOUNTS)}

    @extend_schema(operation_id="design_scripts", responses=DesignScriptsOut)
    def get(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """What a person runs where no worker has PowerShell, or where Microsoft wants a person to be signed in."""
        found = services.offered_scripts(selectors.design(self.tenant, design_id))
        return Response(DesignScriptsOut(found).data)


class Verify(ApiView):
    doors = {"POST": tenant(Ability.BUILD_ACCOUNTS)}
    tagged = True

    @extend_schema(operation_id="design_verify", request=ResultIn, responses=DesignOut)
    @idempotent
    def post(self, request: Request, uid: str, design_id: uuid.UUID) -> Response:
        """What the Verify script printed: the plan has what is left, or the design is built by hand."""
        found = selectors.design(self.tenant, design_id)
        read = services.verify(self.actor, found, self.body(ResultIn)["result"])
        return Response(DesignOut(read).data, headers={"ETag": etags.etag(read.row_version)})


class TemplateOut(Out):
    """A design without people; {customer} stands for a customer's name."""

    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    type = serializers.ChoiceField(source="kind", choices=Kind.choices)
    design_name = serializers.CharField()
    settings = serializers.DictField(source="spec", child=serializers.CharField(allow_blank=True))
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()


class Templates(ListView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER)}
    orders = {"name": "name"}
    out = TemplateOut

    def rows(self) -> QuerySet[DesignTemplate]:
        return selectors.templates()

    @extend_schema(operation_id="design_templates_list", responses=TemplateOut(many=True))
    def get(self, request: Request) -> Response:
        """The provider's templates of designs."""
        return self.page()


def _wish(given: dict[str, Any]) -> dict[str, Any]:
    """What the service takes."""
    names = {"account": "upn", "settings": "spec"}
    return {names.get(name, name): value for name, value in given.items()}
