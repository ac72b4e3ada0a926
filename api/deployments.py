"""/tenants/{id}/deployment: Deploy and Undo Deploy, seen first; and a person's script where it takes one."""

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.connections import TroubleOut, trouble
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Out
from api.views import ApiView, accepted
from core.errors import NotFound, UmpError
from deployment import selectors, services
from deployment.models import Act, Run, RunState
from m365.powershell.actions import Action
from m365.powershell.handout import LONGEST_PASTE
from m365.voice import Part
from replication.selectors import command as command_of
from tenants.abilities import Ability


class DeploymentLookIn(In):
    act = serializers.ChoiceField(choices=Act.choices, default=Act.DEPLOY, help_text="What is looked at.")
    take_over = serializers.BooleanField(
        default=False,
        help_text="What the last look found in the way in Teams may be changed; it never becomes the portal's own.",
    )


class DecideIn(In):
    act = serializers.ChoiceField(choices=Act.choices, default=Act.DEPLOY, help_text="What is decided on.")
    plan = serializers.CharField(
        max_length=64, help_text="Of the plan that was looked at; another one is refused (deploy_plan_stale)."
    )


class ResultIn(In):
    result = serializers.CharField(
        max_length=LONGEST_PASTE, help_text="The last line that the Verify script printed."
    )


class DeployedSiteOut(Out):
    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    told = serializers.SerializerMethodField(help_text="What would be done on its SBC.")
    rows = serializers.SerializerMethodField(help_text="How many rows come or go there.")
    prefixes = serializers.SerializerMethodField(help_text="How many prefixes go first.")
    problem = serializers.SerializerMethodField(help_text="Why it cannot be done.")

    def get_told(self, part: dict[str, Any]) -> str:
        return str(part.get("told", ""))

    def get_rows(self, part: dict[str, Any]) -> int:
        return int(part.get("rows", 0))

    def get_prefixes(self, part: dict[str, Any]) -> int:
        return int(part.get("prefixes", 0))

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, part: dict[str, Any]) -> dict[str, Any] | None:
        return trouble(part.get("problem"))


class VoiceStepOut(Out):
    part = serializers.ChoiceField(choices=[(part.value, part.value) for part in Part])
    name = serializers.CharField()
    action = serializers.ChoiceField(choices=[(action.value, action.value) for action in Action])
    before = serializers.DictField(child=serializers.CharField(), help_text="In words, by label.")
    after = serializers.DictField(child=serializers.CharField(), help_text="In words, by label.")
    why = serializers.CharField()


@extend_schema_serializer(examples=[examples.DEPLOYMENT])
class DeploymentOut(Out):
    id = serializers.UUIDField(source="uid")
    act = serializers.ChoiceField(choices=Act.choices)
    state = serializers.ChoiceField(choices=RunState.choices)
    plan = serializers.CharField(allow_blank=True, help_text="The fingerprint by which it is decided on.")
    obstacle = serializers.SerializerMethodField(help_text="What keeps the plan from being decided on.")
    problem = serializers.SerializerMethodField(help_text="What stopped it.")
    told = serializers.CharField(allow_blank=True, help_text="What became of it.")
    by_hand = serializers.BooleanField(help_text="A person's script does the part in Teams.")
    verify_script = serializers.SerializerMethodField(help_text="Only reads; POST its last line. Or empty.")
    ready_script = serializers.SerializerMethodField(help_text="Does what the plan says. Or empty.")
    sites = DeployedSiteOut(many=True)
    steps = serializers.SerializerMethodField(help_text="In Teams, in their order.")
    read_at = serializers.DateTimeField(allow_null=True, help_text="When Teams was read for the steps.")
    began_at = serializers.DateTimeField()
    began_by = serializers.CharField()
    decided_at = serializers.DateTimeField(allow_null=True)
    decided_by = serializers.CharField(allow_blank=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    command = serializers.IntegerField(allow_null=True, help_text="The newest that looks or works.")

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_obstacle(self, run: Run) -> dict[str, Any] | None:
        error = services.obstacle(run) if run.state == RunState.PLANNED else None
        return trouble(dict(error.to_dict())) if error else None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, run: Run) -> dict[str, Any] | None:
        return trouble(run.problem)

    def get_verify_script(self, run: Run) -> str:
        return self._script(run, verify=True)

    def get_ready_script(self, run: Run) -> str:
        return self._script(run, verify=False)

    @staticmethod
    def _script(run: Run, *, verify: bool) -> str:
        if not (run.by_hand and run.is_open):
            return ""
        try:
            return services.script(run, verify=verify)
        except UmpError:
            return ""

    @extend_schema_field(VoiceStepOut(many=True))
    def get_steps(self, run: Run) -> list[dict[str, Any]]:
        shown = [each.step for each in selectors.Shown(run).steps]
        return [
            {
                "part": step.thing.part.value,
                "name": step.thing.name,
                "action": step.action.value,
                "before": selectors.described(step)[0],
                "after": selectors.described(step)[1],
                "why": step.why,
            }
            for step in shown
        ]


class Deployment(ApiView):
    doors = {
        "GET": tenant(Ability.MANAGE_SBC),
        "POST": tenant(Ability.MANAGE_SBC),
        "DELETE": tenant(Ability.MANAGE_SBC),
    }

    @extend_schema(operation_id="deployment_get", responses=DeploymentOut)
    def get(self, request: Request, uid: str) -> Response:
        """The newest look, or what became of it: its sites, its steps in Teams, what is in the way."""
        run = selectors.newest_of(self.tenant)
        if run is None:
            raise NotFound(thing="deployment")
        return Response(DeploymentOut(run).data)

    @extend_schema(operation_id="deployment_decide", request=DecideIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Deploy, or undo it: carry out the plan of this fingerprint, and no other."""
        given = self.body(DecideIn)
        run = services.decide(self.actor, self.tenant, Act(given["act"]), given["plan"])
        return accepted(request, command_of(self.tenant, int(run.command or 0)))

    @extend_schema(operation_id="deployment_set_aside", responses={204: None})
    def delete(self, request: Request, uid: str) -> Response:
        """Set a plan aside, or wait for a person's script no more. Refused while workers carry it out."""
        run = services.open_run(self.tenant)
        if run is None:
            raise NotFound(thing="deployment that waits")
        services.set_aside(self.actor, run)
        return Response(status=204)


class Look(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="deployment_look", request=DeploymentLookIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Look what would be written, on SBCs and in Teams. Nothing is written; a plan that waits is set aside."""
        given = self.body(DeploymentLookIn)
        run = services.look(self.actor, self.tenant, Act(given["act"]), take_over=given["take_over"])
        return accepted(request, command_of(self.tenant, int(run.command or 0)))


class Verify(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="deployment_verify", request=ResultIn, responses=DeploymentOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """What the Verify script printed: it completes a plan, or ends a run that waits for a person's script."""
        run = services.verify(self.actor, self.tenant, self.body(ResultIn)["result"])
        return Response(DeploymentOut(run).data)
