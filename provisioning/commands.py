"""What the worker may do for people's changes: work out what would be written, write it, and read it back."""

import contextlib
import datetime as dt
import json
import uuid
from collections.abc import Iterator
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import Q
from psycopg2.sql import SQL

from core.errors import UmpError
from core.words import first_of
from m365.graph import GraphClient
from provisioning import applying, planning, telling
from provisioning.applying import Applying
from provisioning.aspects import FAMILIES, Thing
from provisioning.models import (
    ENDED,
    OPEN_CHANGES,
    Change,
    ChangeState,
    Edit,
    Line,
    LineState,
    Plan,
    PlanState,
)
from provisioning.services import APPLY
from replication import plans, services, states
from replication.context import Again, Context, Done, Outcome
from replication.models import OPEN, Command, LaneName, State
from replication.registry import Kind, chore, register
from telephony import ways
from tenants import lines, scope
from tenants.abilities import Ability
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant

A_SWEEP = 50
AT_WORK = (State.QUEUED, State.EXECUTING)
WAITS = "Another command is writing changes of this customer; this one goes on after it"
WAIT = dt.timedelta(seconds=10)
READ_AFTER = {
    "number": ("teams_users", "number_assignments"),
    "policy": ("teams_policies",),
    "user": ("quick_replication",),
    "member": ("quick_replication",),
    "route": (),
}
"""What is read again after something was written, so that the copy follows."""
ORDER = ("quick_replication", "teams_users", "teams_policies", "number_assignments")


@register
class ApplyChanges(Kind):
    """Pending changes of a customer; or a plan that a person has looked at. A dry run draws the plan and ends."""

    name = APPLY
    title = "Apply changes"
    ability = Ability.EDIT_USERS
    may_dry_run = True
    removes_from: ClassVar[str] = "the Microsoft 365 of"
    reconcile = (
        "Every write is written down before it is sent. After a crash it is read back at Microsoft, and sent again "
        "only if the old value is still there once everything under way must have arrived; whole values, so that "
        "twice comes to the same."
    )

    def lane_of(self, tenant: Tenant | None) -> LaneName:
        """That of PowerShell, where numbers and policies are written by it.

        What is open already says where: two lanes would run at once. Without PowerShell the rest is written all the
        same, unless something of Teams waits or is under way.
        """
        if tenant is None or not ways.by_powershell(tenant):
            return self.lane
        opened = Command.objects.filter(tenant=tenant, kind=APPLY, state__in=OPEN).order_by("id")
        name = opened.values_list("lane__name", flat=True).first()
        if name is not None:
            return LaneName(name)
        of_teams = Q(aspect="number") | Q(aspect__startswith="policy:")
        waits = Change.objects.filter(of_teams, tenant=tenant, state__in=OPEN_CHANGES).exists()
        return LaneName.POWERSHELL if waits or ways.powershell_is_there() else self.lane

    def objection(self, actor: Actor, command: Command) -> UmpError | None:
        """Whoever asked for any of it is not the second person."""
        mine = Q(actor_kind=actor.kind, actor_id=actor.id)
        plans_ = Plan.objects.filter(command_id=command.id)
        asked = Edit.objects.filter(
            mine, changes__in=Line.objects.filter(plan__in=plans_).values("change_id")
        )
        own = (command.actor_kind, command.actor_id) == (actor.kind, actor.id)
        return UmpError.of("second_person_needed") if own or asked.exists() else None

    def run(self, ctx: Context) -> Outcome:
        """Raises UmpError: changes_moved, plan_needs_approval, or as `lines.open_proven_line`."""
        with scope.one(ctx.customer):
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            line = lines.open_proven_line(ctx.customer)
            with line.telephony(stop=ctx.stop, before_write=None if ctx.dry_run else ctx.still_ours) as graph:
                return _Run(ctx, tenant, graph, line.app).slice()


class _Run:
    """One slice: draw (or look again), ask, apply, in this order; the checkpoint says how far it is."""

    def __init__(self, ctx: Context, tenant: Tenant, graph: GraphClient, app: str) -> None:
        self.ctx, self.tenant, self.graph, self.app = ctx, tenant, graph, app

    def slice(self) -> Outcome:
        """Done at the end, Again at a slice's end."""
        step = self.ctx.state.get("step", "begin")
        if step == "end":  # a worker died before it could say so
            return self._ended(self.ctx.state["figures"])
        waits = self._left_behind() if step != "apply" else None
        if waits is not None:
            return waits
        if step == "begin":
            if self.ctx.params.get("settle"):
                return Done("What a command that ended had under way was read back; the rest waits again.")
            self._begin()
        plan = Plan.objects.get(uid=self.ctx.state["plan"])
        if plan.state == PlanState.STALE or (step == "apply" and plan.state != PlanState.APPLYING):
            return self._replaced(plan)
        if self.ctx.state["step"] == "draw" and not self._draw(plan):
            return Again()
        if self.ctx.state["step"] == "check" and not self._check(plan):
            return Again()
        if self.ctx.state["step"] == "ask":
            ended = self._ask(plan)
            if ended is not None:
                return ended
        plan.refresh_from_db()
        return Applying(self.ctx, self.graph, plan, app=self.app).slice() or self._finish(plan)

    def _left_behind(self) -> Again | None:
        """What a command that ended in the middle has left: the sent is read back, the rest waits as before.

        Between two slices of a command others of its lane run, so whoever is at a plan may only be waiting for
        Microsoft: then this one waits for it, and a dry run, which writes nothing, draws beside it. Nobody waits in
        a circle, because who carries out a plan waits for no command. One that is suspended has a person to wait
        for, and is not waited for. Again also while Microsoft has not shown what was sent.
        """
        at_work = Command.objects.filter(tenant=self.tenant, kind=APPLY, state__in=AT_WORK)
        busy = set(at_work.exclude(id=self.ctx.command_id).values_list("id", flat=True))
        for plan in Plan.objects.filter(tenant=self.tenant, state=PlanState.APPLYING):
            if plan.command_id in busy:
                if self.ctx.dry_run:
                    continue
                return Again(WAITS, wait=WAIT)
            waits = Applying(self.ctx, self.graph, plan, app=self.app).settle()
            if waits is not None:
                return waits
            with self.ctx.transaction():
                applying.release(plan)
                applying.finish(plan, stopped=True)
        return None

    def _replaced(self, plan: Plan) -> Outcome:
        """While this command lay with a person another one drew a plan, and may have written what is in this one.

        Or took over what this one had begun. Raises changes_moved where a person said yes to just this plan.
        """
        if self.ctx.params.get("plan") is not None:
            raise UmpError.of("changes_moved", why="the plan was carried out or replaced meanwhile")
        return self._anew(plan)

    def _begin(self) -> None:
        """A plan of its own, or the one that a person said yes to."""
        with self.ctx.transaction():
            given = self.ctx.params.get("plan")
            if given is None:
                plan = planning.begin(self.ctx, self.ctx.asker())
                self.ctx.checkpoint(step="draw", plan=str(plan.uid), after=0)
            else:
                Plan.objects.filter(uid=given).update(command_id=self.ctx.command_id)
                self.ctx.checkpoint(step="check", plan=str(uuid.UUID(given)), after=0)

    # --- Drawing ----------------------------------------------------------------------------------------------
    def _draw(self, plan: Plan) -> bool:
        """False when the slice is over first."""
        while True:
            changes = planning.next_changes(plan, self.ctx.state["after"])
            if not changes:
                break
            found = planning.observe(self.graph, [Thing(row.subject_id, row.aspect) for row in changes])
            with self.ctx.transaction():
                drawn = planning.lines_of(self.tenant, plan, changes, found)
                Line.objects.bulk_create(drawn, batch_size=planning.CHUNK)
                self.ctx.checkpoint(after=changes[-1].id)
            number = Line.objects.filter(plan=plan).count()
            self.ctx.report(done=number, label=f"{number:,} changes compared with Microsoft")
            if self.ctx.should_yield():
                return False
        with self.ctx.transaction():
            planning.conclude(plan)
            self.ctx.checkpoint(step="ask")
            if self.ctx.dry_run:
                telling.ready(plan, awaits_person=False)
        return True

    def _check(self, plan: Plan) -> bool:
        """Whether the plan is still true, line by line; False when the slice is over first. Raises changes_moved."""
        if plan.state != PlanState.READY:
            raise UmpError.of("changes_moved", why="the plan was carried out or replaced meanwhile")
        while True:
            rows = Line.objects.filter(plan=plan, id__gt=self.ctx.state["after"]).select_related(
                "change__edit"
            )
            chunk = list(rows.order_by("id")[: planning.CHUNK])
            if not chunk:
                break
            moved = planning.moved(self.tenant, plan, chunk, self.graph)
            waiting = all(line.change.state == ChangeState.PENDING for line in chunk)
            if moved or not waiting:
                self._stale(
                    plan, [line.subject_name for line in moved] or ["other changes are wanted by now"]
                )
            with self.ctx.transaction():
                self.ctx.checkpoint(after=chunk[-1].id)
            if self.ctx.should_yield():
                return False
        with self.ctx.transaction():
            self.ctx.checkpoint(step="ask")
        return True

    def _stale(self, plan: Plan, names: list[str]) -> None:
        with self.ctx.transaction():
            planning.give_up(plan.uid)
        raise UmpError.of("changes_moved", why=f"at Microsoft it is different by now ({first_of(names, 5)})")

    # --- Asking a second person -------------------------------------------------------------------------------
    def _ask(self, plan: Plan) -> Outcome | None:
        """Done for a dry run and for a plan with nothing in it; None when the plan may be carried out."""
        if self.ctx.dry_run:
            return Done(_sentence(plan), result={"plan": str(plan.uid), "lines": plan.figures})
        if self.ctx.state.get("asked"):
            return self._anew(plan)  # a person has said yes, maybe days later
        error = self._too_many(plan)
        with self.ctx.transaction():
            if error is not None:
                self.ctx.checkpoint(asked=True)
            else:
                applying.start(plan)
                self.ctx.checkpoint(step="apply")
        if error is not None:
            raise error
        return None

    def _anew(self, plan: Plan) -> Outcome:
        """The plan is drawn anew, and asks again for what nobody has seen."""
        with self.ctx.transaction():
            planning.give_up(plan.uid)
            again = planning.begin(self.ctx, self.ctx.asker())
            self.ctx.checkpoint(step="draw", plan=str(again.uid), after=0, asked=False)
        return Again()

    def _too_many(self, plan: Plan) -> UmpError | None:
        """plan_needs_approval when the plan takes more away than may go unseen (complaint B 21)."""
        taking = Line.objects.filter(plan=plan, takes=True, state=LineState.PLANNED)
        figures: list[dict[str, Any]] = []
        for family in FAMILIES.values():
            gone = taking.filter(aspect__startswith=family.family).count()
            if gone:
                have = family.have(self.ctx.customer)
                label = family.many[0].upper() + family.many[1:]
                figures.append({"noun": family.one, "label": label, "remove": gone, "have": have})
        if all(plans.may_go_unseen(each["remove"], each["have"]) for each in figures):
            return None
        with self.ctx.transaction():
            error = plans.ask(
                self.ctx.customer,
                self.ctx.command_id,
                (_TAKEN, [_NOUNS, str(self.ctx.customer), plan.id]),
                why=lambda new: (
                    "These changes take something away from many people at once. "
                    + (f"{new:,} of them nobody has confirmed yet." if new else "")
                ),
                figures=figures,
            )
            if error is not None:
                telling.ready(plan, awaits_person=True)
        return error

    # --- The end ----------------------------------------------------------------------------------------------
    def _finish(self, plan: Plan) -> Outcome:
        with self._lanes_first(), self.ctx.transaction():
            figures = applying.finish(plan)
            families = Line.objects.filter(plan=plan, state__in=ENDED).exclude(act="nothing")
            touched = {
                aspect.partition(":")[0] for aspect in families.values_list("aspect", flat=True).distinct()
            }
            wanted = {kind for family in touched for kind in READ_AFTER[family]}
            for kind in (each for each in ORDER if each in wanted):
                services.submit(SYSTEM, kind, self.tenant)
            plan.refresh_from_db()
            telling.applied(plan, PlanState(plan.state), figures)
            self.ctx.checkpoint(step="end", figures=figures)
        return self._ended(figures)

    def _ended(self, figures: dict[str, int]) -> Done:
        plan = Plan.objects.get(uid=self.ctx.state["plan"])
        outcome = "complete" if plan.state == PlanState.APPLIED else "partial"
        return Done(_result(figures), outcome=outcome, result={"plan": str(plan.uid), "lines": figures})

    @contextlib.contextmanager
    def _lanes_first(self) -> Iterator[None]:
        """Whoever cancels the command has its lane and waits for its row: no lane may be locked after that."""
        with transaction.atomic():
            states.lock_lanes_of_connection(self.ctx.customer)
            yield


@chore
def look_after_left() -> int:
    """Plans whose command was cancelled, or gave up, in the middle; how many customers that were."""
    with scope.every("the sweeper looks for plans that nobody carries out"):
        busy = Command.objects.filter(kind=APPLY, state__in=OPEN).values("tenant_id")
        left = Plan.objects.filter(state=PlanState.APPLYING).exclude(tenant_id__in=busy)
        customers = list(Tenant.objects.filter(id__in=left.values("tenant_id"), deleted_at=None)[:A_SWEEP])
        for tenant in customers:
            services.submit(SYSTEM, APPLY, tenant, target="settle", params={"settle": True})
    return len(customers)


_NOUNS = json.dumps({family.family: family.one for family in FAMILIES.values()})
_TAKEN = SQL(
    "SELECT coalesce(%s::jsonb ->> split_part(aspect, ':', 1), 'Change') AS noun,"
    " md5(subject_id::text || aspect || coalesce(before::text, '')) AS key, subject_name AS name,"
    " left(coalesce(before ->> 'number', before ->> 'name', before #>> '{{}}', ''), 300) AS detail"
    " FROM provisioning_line WHERE tenant_id = %s AND plan_id = %s AND takes AND state = 'planned'"
).format()


def _sentence(plan: Plan) -> str:
    words = {"give": "to add", "change": "to change", "take": "to remove", "nothing": "already so"}
    told = [f"{plan.figures[act]:,} {word}" for act, word in words.items() if plan.figures.get(act)]
    if plan.figures.get("blocked"):
        told.append(f"{plan.figures['blocked']:,} not possible")
    return f"The plan is drawn: {', '.join(told) or 'nothing to do'}. Nothing was written."


def _result(figures: dict[str, int]) -> str:
    words = {
        "written": "written and seen at Microsoft",
        "unseen": "accepted by Microsoft but not to be seen there yet",
        "failed": "failed",
        "blocked": "not possible",
        "replaced": "replaced by newer changes",
    }
    told = [f"{figures[name]:,} {word}" for name, word in words.items() if name in figures]
    return (", ".join(told) or "Nothing had to be written") + "."
