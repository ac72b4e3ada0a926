"""What the worker may do about resource accounts: build one, take it away again; or only look what that would do.

Both run on the lane of PowerShell, one session a run. Each write is noted before and after; after a kill or a lost
answer the next run reads, and takes what it finds of a noted write for its own.
"""

import contextlib
import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.db.models.functions import Now
from django.utils import timezone

from core.errors import OutcomeUnknown, Remedy, UmpError
from m365 import activation
from m365 import resource_account_calls as calls
from m365 import resource_account_plan as planning
from m365 import resource_accounts as m365
from m365.graph import segment
from m365.powershell.actions import Action
from m365.resource_account_plan import Step
from m365.resource_accounts import Own, Part, Thing, Wish
from m365.teams_powershell import Session
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from resource_accounts import selectors, services, shapes, telling
from resource_accounts.models import Design, DesignState, Write
from resource_accounts.models import Outcome as Ended
from tenants import scope
from tenants.abilities import Ability
from tenants.lines import Line, open_line

MOST_ATTEMPTS = 10
MOST_LOOKS = 10
"""Looks for something that was written, before the portal goes on without it."""
WAIT = dt.timedelta(seconds=60)
_NOTED = ("owned", "seen", "checked_at", "state", "problem", "built_at", "by_hand")


@dataclasses.dataclass
class _Work:
    """One run for one design, with its open session."""

    ctx: Context
    design: Design
    wish: Wish
    line: Line
    teams: Session

    def read(self) -> dict[Part, Thing]:
        """What Teams has, and what it must have although it does not show it yet; kept in the design's row."""
        rows = {name: self.teams.run(call, name) for name, call in calls.reads(self.wish).items()}
        found = m365.observed(self.wish, rows)
        with self.saving():
            owned = planning.adopted(found, selectors.owned(self.design))
            self.own(owned)
            services.note_seen(self.design, found)
        return planning.with_young(found, owned, services.young_since())

    @contextlib.contextmanager
    def saving(self) -> Iterator[None]:
        """A fenced transaction, with the design's row as it is now; what was set on it is written at the end."""
        with self.ctx.transaction():
            fresh = Design.objects.select_for_update(no_key=True, of=("self",)).get(pk=self.design.pk)
            for name in _NOTED:
                setattr(self.design, name, getattr(fresh, name))
            yield
            self.design.save(update_fields=_NOTED)

    def own(self, owned: dict[Part, Own]) -> None:
        self.design.owned = {
            part.value: {"name": own.name, "id": own.id, "digest": own.digest, "at": own.at}
            for part, own in owned.items()
        }

    def must_look(self, found: dict[Part, Thing]) -> bool:
        """Whether something may yet appear of which nobody knows what came of it; after some looks it never came."""
        unknown = planning.unknown(found, selectors.owned(self.design), services.young_since())
        looks = self.ctx.state.get("looks", 0)
        if unknown and looks < MOST_LOOKS:
            with self.ctx.transaction():
                self.ctx.checkpoint(looks=looks + 1)
            return True
        return False

    def check_plan(self, steps: Sequence[Step]) -> None:
        """Before the first write: it is what a person saw. Later: it is what is left of that, since the design may be
        edited, and Teams may change, while the command waits. Raises UmpError: resource_account_blocked, or
        resource_plan_changed.
        """
        if blocked := planning.blocked(steps):
            why = f"{blocked[0]}: {blocked[0].why}"
            raise UmpError.of("resource_account_blocked", thing=self.design.name, why=why)
        agreed = self.ctx.state.get("agreed_steps")
        if agreed is None:
            same = planning.fingerprint(steps) == self.ctx.params.get("plan")
        else:
            same = not planning.strange(agreed, steps)
        if not same:
            raise UmpError.of("resource_plan_changed", thing=self.design.name)
        if agreed is None:
            with self.ctx.transaction():
                self.ctx.checkpoint(agreed_steps=planning.marks(steps))

    def take(self, step: Step, found: dict[Part, Thing]) -> None:
        """Note it, do it, note what came of it; `found` learns what is there now. Raises what Microsoft refused."""
        ids: dict[Part, Any] = {part: thing.id for part, thing in found.items()}
        call = planning.call_of(step, self.wish, ids)
        self.before(step)
        noted = self.begin(step, call.as_json() if call else {})
        try:
            made = self._done(step, call, ids)
        except OutcomeUnknown:
            raise
        except UmpError as error:
            if step.action is not Action.REMOVE or error.code != "remote_not_found":
                self.end(step, noted, Ended.REFUSED, error.message)
                raise
            made = ""
        self.end(step, noted, Ended.DONE, id_=made)
        if step.action is Action.REMOVE:
            found.pop(step.part, None)
        else:
            found[step.part] = Thing(step.name, made)

    def before(self, step: Step) -> None:
        """What a write needs besides. Raises UmpError: resource_account_needs_person, phone_licence_missing."""
        if step.action is not Action.CREATE:
            return
        if step.part is Part.ACCOUNT and self.line.account is None:
            raise UmpError.of("resource_account_needs_person", thing=self.design.upn)

    def _done(self, step: Step, call: Any, ids: dict[Part, Any]) -> str:
        """The id of what it made, or of what it changed."""
        if call is None:
            activation.remove(
                self.line.graph(stop=self.ctx.stop, before_write=self.ctx.still_ours), str(ids[Part.ACCOUNT])
            )
            return ""
        if step.part is Part.NUMBER and step.action is Action.CREATE:
            self.license(str(ids[Part.ACCOUNT]))
        made = calls.made_id(self.teams.run(call, str(step)))
        return made or str(ids.get(step.part) or ids.get(Part.ACCOUNT, ""))

    def license(self, account: str) -> None:
        """An account takes a number once it is licensed; the licence for accounts costs nothing.

        Raises UmpError: phone_licence_missing, country_missing, permission_missing; resource_account_propagating
        while the directory does not know the account yet.
        """
        graph = self.line.graph(stop=self.ctx.stop, before_write=self.ctx.still_ours)
        user = activation.find(graph, account)
        if user is None:
            raise UmpError.of("resource_account_propagating", thing=self.design.upn)
        if user.phone:
            return
        country = activation.country(graph, self.line.name)
        graph.patch(f"/users/{segment(account)}", {"usageLocation": country})
        licences = [one for one in activation.phone_licences(graph) if one.rank == 2 and one.free > 0]
        licence = licences[0] if licences else activation.free_licence(graph, self.line.name)
        activation.assign(graph, user, licence, self.line.name)

    def begin(self, step: Step, call: dict[str, Any]) -> int:
        """The id of its note; a note of an earlier run that died there is taken up again."""
        with self.saving():
            owned = selectors.owned(self.design)
            if step.action in {Action.CREATE, Action.CHANGE}:
                old = owned.get(step.part)
                kept = old.id if old and step.action is Action.CHANGE else ""
                digest = old.digest if old and kept else m365.digest(self.wish, step.part)
                owned[step.part] = Own(step.name, kept, digest, timezone.now().isoformat())
                self.own(owned)
            self.design.state = (
                DesignState.REMOVING if self.ctx.kind == selectors.REMOVE else DesignState.BUILDING
            )
            row, _ = Write.objects.update_or_create(
                tenant_id=self.design.tenant_id,
                design=self.design,
                command_id=self.ctx.command_id,
                action=step.action.value,
                part=step.part.value,
                name=step.name[:200],
                outcome=Ended.BEGUN,
                defaults={"call": call},
            )
        return int(row.pk)

    def end(self, step: Step, noted: int, outcome: Ended, said: str = "", id_: str = "") -> None:
        with self.saving():
            owned = selectors.owned(self.design)
            if step.action is (Action.CREATE if outcome == Ended.REFUSED else Action.REMOVE):
                owned.pop(step.part, None)
            elif outcome == Ended.DONE:
                at = timezone.now().isoformat()
                owned[step.part] = Own(step.name, id_, m365.digest(self.wish, step.part), at)
            self.own(owned)
            Write.objects.filter(pk=noted).update(outcome=outcome, said=said[:500], ended_at=Now())


class _OfDesign(Kind):
    """A kind whose target is a design."""

    ability = Ability.BUILD_ACCOUNTS
    lane = LaneName.POWERSHELL
    max_attempts = MOST_ATTEMPTS
    may_dry_run = True
    reconcile = (
        "Each write is noted in the design's row and in its history before. A run after one that was cut off reads "
        "what Teams has: what it finds of a noted write is the portal's own, what it does not find is looked for "
        "again for some minutes, and only then done anew."
    )

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            found = Design.objects.filter(uid=uuid.UUID(ctx.target)).select_related("tenant").first()
        if found is None:
            return Done("Nothing was done: the design is gone.")
        if told := ctx.state.get("told"):
            return Done(told)  # done and noted by a run that died before its end
        design: Design = found
        try:
            with scope.one(ctx.customer):
                wish = self.wish(design)
                line = open_line(ctx.customer)
            with line.teams(stop=ctx.stop) as teams:
                work = _Work(ctx, design, wish, line, teams)
                return self.preview(work) if ctx.dry_run else self.work(work)
        except UmpError as error:
            own = self.as_own(error)
            if not (ctx.dry_run or own.only_stopped):
                self.told(ctx, design, own)
            raise own from error

    def told(self, ctx: Context, design: Design, error: UmpError) -> None:
        """Why it waits or stopped, where people look at the design."""
        last = ctx.attempt >= MOST_ATTEMPTS and error.code != "throttled"  # patience uses no attempt
        stops = error.remedy != Remedy.LATER or last
        with ctx.transaction():
            change: dict[str, Any] = {"problem": dict(error.to_dict())}
            Design.objects.filter(pk=design.pk).update(
                **change, **({"state": DesignState.FAILED} if stops else {})
            )
            if stops:
                telling.failed(design, error, ctx.command_id)

    def preview(self, work: _Work) -> Done:
        steps = self.steps(work, work.read())
        told = [f"{step.action.value} {step}: {step.why}" for step in steps]
        writes = len(planning.writing(steps))
        said = f"{writes} step{'' if writes == 1 else 's'} would be taken for {work.design.name}."
        return Done(said, result={"plan": planning.fingerprint(steps), "steps": told})

    def work(self, work: _Work) -> Outcome:
        found = work.read()
        if work.must_look(found):
            return Again("Looking whether what was written has arrived.", WAIT)
        steps = self.steps(work, found)
        work.check_plan(steps)
        for step in planning.writing(steps):
            if work.ctx.stop.is_set():
                return Again()
            work.ctx.report(label=f"{step.action.value.capitalize()}: {step}")
            work.take(step, found)
        found = work.read()
        left = planning.writing(self.steps(work, found))
        if left:
            return Again(f"{left[0]} is not there yet.", WAIT)
        return self.finish(work)

    def wish(self, design: Design) -> Wish:
        raise NotImplementedError

    def steps(self, work: _Work, found: dict[Part, Thing]) -> tuple[Step, ...]:
        raise NotImplementedError

    def finish(self, work: _Work) -> Done:
        raise NotImplementedError

    def end(self, work: _Work, told: str, action: str, state: DesignState, **fields: Any) -> Done:
        ctx, design = work.ctx, work.design
        with ctx.transaction():
            with work.saving():
                before = design.built_at
                ctx.checkpoint(told=told)
                design.state, design.problem = state, None
                for name, value in fields.items():
                    setattr(design, name, value)
                services.note(ctx.asker(), action, design, {"state": (None, state.label)})
            if Write.objects.filter(design=design, command_id=ctx.command_id).exists():
                self.tell(design, first=before is None, command=ctx.command_id)
        return Done(told)

    def tell(self, design: Design, *, first: bool, command: int) -> None:
        """Other systems hear of it."""
        raise NotImplementedError


@register
class BuildResourceAccount(_OfDesign):
    """A design is made real: account, queue or attendant with its schedules, association, number."""

    name = selectors.BUILD
    title = "Build resource account"
    own_account = True

    def wish(self, design: Design) -> Wish:
        return shapes.wish_of(design, built=True)

    def steps(self, work: _Work, found: dict[Part, Thing]) -> tuple[Step, ...]:
        return planning.plan(work.wish, found, selectors.owned(work.design))

    def finish(self, work: _Work) -> Done:
        told = f"{work.design.name} is built and answers at {work.design.number or work.design.upn}."
        return self.end(
            work, told, "resource_account.built", DesignState.BUILT, built_at=timezone.now(), by_hand=False
        )

    def tell(self, design: Design, *, first: bool, command: int) -> None:
        telling.built(design, first=first, command=command)


@register
class RemoveResourceAccount(_OfDesign):
    """What the portal made of a design is taken away, in reverse, and nothing else."""

    name = selectors.REMOVE
    title = "Remove resource account"

    def wish(self, design: Design) -> Wish:
        return shapes.bare(design)

    def steps(self, work: _Work, found: dict[Part, Thing]) -> tuple[Step, ...]:
        return planning.removal(found, selectors.owned(work.design))

    def finish(self, work: _Work) -> Done:
        told = f"What the portal made of {work.design.name} is removed; the design stays here."
        return self.end(
            work, told, "resource_account.removed", DesignState.NONE, built_at=None, owned={}, seen=None
        )

    def tell(self, design: Design, *, first: bool, command: int) -> None:
        telling.removed(design, command)
