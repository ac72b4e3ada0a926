"""What workers do for Deploy and Undo Deploy: the parent, which writes nothing outside, and the part in Teams.

The parent lies in the customer's identity lane, which nothing holds up: it asks for the commands of the sites, then
for that of the voice routing, and looks how they fare. What it has asked for stands in the run's row, noted in the
transaction that queued it; so whoever takes over goes on where it stopped.
"""

import datetime as dt
from collections.abc import Callable

from django.db.models.functions import Now
from django.utils import timezone

from core.errors import OutcomeUnknown, Remedy, UmpError
from deployment import ledger, plans, services
from deployment.ledger import Book
from deployment.models import Act, Run, RunState
from deployment.plans import SitePart
from m365 import voice_plan
from m365.powershell.actions import Action
from m365.powershell.calls import Call
from m365.teams_powershell import Session
from m365.voice import DialPlan, Policy, Thing
from m365.voice_plan import Step
from replication import services as queue
from replication import states
from replication.context import Again, Context, Done, Outcome
from replication.models import FINAL, Command, LaneName, Reason, State
from replication.registry import Kind, register
from sites import numbers
from sites import services as sites
from sites.models import Prefix, Site, SiteState
from tenants import lines, scope
from tenants.abilities import Ability

LOOK_AGAIN = dt.timedelta(seconds=2)
LAG = dt.timedelta(seconds=30)
MOST_LOOKS = 20
"""So often what Teams has accepted is looked for before a person is told."""
NOBODY = dt.timedelta(minutes=5)
"""How long a command may wait for a worker with PowerShell that is not there."""


def run_of(ctx: Context) -> Run | None:
    """The run that the command is about, while it is open."""
    with scope.one(ctx.customer):
        found: Run | None = Run.objects.filter(uid=ctx.target).select_related("tenant").first()
    return found if found is not None and found.is_open else None


# --- The parent -----------------------------------------------------------------------------------------------
class _Parent(Kind):
    """Asks for the commands of a run and follows them."""

    ability = Ability.MANAGE_SBC
    lane = LaneName.IDENTITY
    max_attempts = 10
    may_dry_run = True
    reconcile = (
        "It writes nothing outside. Each command that it asked for is noted in the run's row in the same "
        "transaction; a run that was cut off looks there first."
    )

    def run(self, ctx: Context) -> Outcome:
        run = run_of(ctx)
        if run is None:
            return Done(self._ended(ctx))
        try:
            return self._look(ctx, run) if ctx.dry_run else self._work(ctx, run)
        except _StoppedError as halt:
            return self._stop(ctx, run, halt.why)
        except UmpError as error:
            if error.remedy == Remedy.LATER:
                raise
            return self._stop(ctx, run, error.message)

    @staticmethod
    def _ended(ctx: Context) -> str:
        with scope.one(ctx.customer):
            run = Run.objects.filter(uid=ctx.target).first()
        return (run.told if run else "") or "Nothing was done: this run has ended."

    # Looking
    def _look(self, ctx: Context, run: Run) -> Outcome:
        if run.state != RunState.LOOKING:  # shown by a run that died before its end
            return Done(_summary(run), result={"plan": run.plan})
        asked = [self._ask_for(ctx, run, part) for part in run.sites]
        waiting = [command for command in asked if command is not None and command.state not in FINAL]
        teams = self._teams_look(ctx, run) if run.voice and not run.by_hand else None
        if teams is not None and not _stands(teams):
            _look_for_powershell(ctx, teams)
            waiting.append(teams)
        if waiting and timezone.now() - run.began_at < dt.timedelta(minutes=15):
            return Again(f"Looks under way: {len(waiting)}.", LOOK_AGAIN)
        with ctx.transaction():
            ctx.checkpoint(shown=True)
            for part, command in zip(run.sites, asked, strict=True):
                _told_of(part, command)
            steps = _found(ctx, run, teams) if teams is not None else ()
            services.show(run, steps)
        return Done(_summary(run), result={"plan": run.plan})

    @staticmethod
    def _ask_for(ctx: Context, run: Run, part: SitePart) -> Command | None:
        """The command that previews the site, asked for once."""
        if "look" not in part:
            kind = sites.DEPLOY if run.act == Act.DEPLOY else sites.REMOVE
            with ctx.transaction():
                site = Site.objects.select_related("tenant", "sbc").filter(uid=part["uid"]).first()
                if site is None:
                    raise _StoppedError(f"the site {part['name']} is gone")
                part["look"] = sites.preview(ctx.asker(), site, kind).id
                Run.objects.filter(id=run.id).update(sites=run.sites)
        return _command(part["look"])

    @staticmethod
    def _teams_look(ctx: Context, run: Run) -> Command | None:
        if run.voice_command is None:
            _ask_teams(ctx, run, dry_run=True)
        return _command(run.voice_command)

    # Working
    def _work(self, ctx: Context, run: Run) -> Outcome:
        raise NotImplementedError

    @staticmethod
    def _follow(ctx: Context, run: Run, key: str, submit: Callable[[Site], Command | None]) -> Again | None:
        """Have each site's command done, all at once; None when all are. Raises _StoppedError when one is not."""
        waiting, failed = [], []
        for part in run.sites:
            if key not in part:
                with ctx.transaction():
                    site = (
                        Site.objects.select_related("tenant", "sbc", "template", "secret")
                        .filter(uid=part["uid"])
                        .first()
                    )
                    command = submit(site) if site is not None else None
                    part[key] = command.id if command else 0
                    Run.objects.filter(id=run.id).update(sites=run.sites)
            number = int(part.get(key) or 0)
            found = _command(number) if number else None
            if found is not None and not _stands(found):
                waiting.append(found)
            elif found is not None and found.state != State.SUCCEEDED:
                failed.append(part["name"])
        if waiting:
            # What a device says is the provider's; the customer reads this command too.
            return Again(f"Sites being worked on: {len(waiting)} of {len(run.sites)}.", LOOK_AGAIN)
        if failed:
            word = "deployed on its SBC" if run.act == Act.DEPLOY else "removed from its SBC"
            raise _StoppedError(f"{', '.join(failed)} could not be {word}; its page says why")
        return None

    @staticmethod
    def _teams(ctx: Context, run: Run) -> Again | None:
        """The same for the voice routing."""
        looked = _command(run.voice_command)
        if looked is None or looked.dry_run:
            _ask_teams(ctx, run, dry_run=False)
        found = _command(run.voice_command)
        if found is None:
            raise _StoppedError("the command for Teams is gone")
        if not _stands(found):
            _look_for_powershell(ctx, found)
            return Again(_fares(found), LOOK_AGAIN)
        if found.state == State.SUCCEEDED:
            return None
        if found.state == State.SUSPENDED:
            with ctx.transaction():
                queue.cancel(ctx.asker(), found)
        raise _StoppedError(f"Teams: {found.message.rstrip('.') or found.get_state_display()}")

    @staticmethod
    def _stop(ctx: Context, run: Run, why: str) -> Outcome:
        error = UmpError.of("deploy_stopped", tenant=run.tenant.name, why=why.rstrip("."))
        with ctx.transaction():
            ctx.checkpoint(stopped=True)
            if ctx.dry_run:
                run.problem = dict(error.to_dict())
                services.show(run, ())
            else:
                services.stopped(ctx.asker(), run, error)
        if ctx.dry_run:
            return Done(error.message, "partial")
        raise error


class _StoppedError(Exception):
    """A part of the run did not come to its end."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


def _ask_teams(ctx: Context, run: Run, *, dry_run: bool) -> None:
    with ctx.transaction():
        asked = queue.submit(ctx.asker(), services.VOICE, run.tenant, target=str(run.uid), dry_run=dry_run)
        run.voice_command = asked.id
        Run.objects.filter(id=run.id).update(voice_command=asked.id)


def _command(number: int | None) -> Command | None:
    with scope.every("commands on devices are the provider's own"):
        found: Command | None = Command.objects.filter(id=number).first() if number else None
    return found


def _stands(command: Command) -> bool:
    """Whether it goes on no more without a person."""
    return command.state in FINAL or command.state == State.SUSPENDED


def _look_for_powershell(ctx: Context, command: Command) -> None:
    """A command that nobody can take is taken back. Raises _StoppedError."""
    if command.state != State.QUEUED or command.reason == Reason.BACKING_OFF:
        return
    if timezone.now() - command.not_before < NOBODY:
        return
    with scope.every("whether PowerShell is there is the same for everybody"):
        there = states.powershell_is_there()
    if not there:
        with ctx.transaction():
            queue.cancel(ctx.asker(), command)
        raise _StoppedError("no worker with PowerShell is there any more")


def _fares(command: Command) -> str:
    doing = str(command.progress.get("label") or command.message or command.get_state_display())
    return f"Teams: {doing.rstrip('.')}."[:500]


def _found(ctx: Context, run: Run, teams: Command) -> tuple[Step, ...]:
    """The steps that a look at Teams came to; what kept it from any stands with the run."""
    if "steps" in teams.result:
        run.read_at = timezone.now()
        return plans.of_json(teams.result["steps"])
    if teams.state not in FINAL:
        queue.cancel(ctx.asker(), teams)
    late = dict(UmpError.of("deploy_late", thing="Teams").to_dict())
    run.problem = teams.result.get("problem") or teams.error or late
    return ()


def _told_of(part: SitePart, command: Command | None) -> None:
    if command is None or command.state not in FINAL:
        problem = UmpError.of("deploy_late", thing=part["name"])
        part |= {"told": "", "rows": 0, "problem": dict(problem.to_dict())}
        return
    failed = command.error if command.state == State.FAILED else None
    part |= {
        "plan": str(command.result.get("plan", "")),
        "told": command.message,
        "rows": len(command.result.get("rows", [])),
        "problem": command.result.get("problem") or failed,
    }


def _summary(run: Run) -> str:
    figures = plans.figures(run)
    parts = [f"{figures['sites']} sites with {figures['rows']} rows on SBCs"] if run.sites else []
    if run.voice:
        writes = sum(figures[action] for action in ("create", "change", "remove"))
        parts.append(f"{writes} steps in Teams" if run.read_at else "a script for Teams")
    return f"{run.get_act_display()}: {' and '.join(parts) or 'nothing to write'}."


@register
class Deploy(_Parent):
    """DEP-01..07: the customer's sites on their SBCs, then its voice routing in Microsoft 365."""

    name = services.DEPLOY
    title = "Deploy"

    def _work(self, ctx: Context, run: Run) -> Outcome:
        by_uid = {part["uid"]: part for part in run.sites}

        def deploy(site: Site) -> Command | None:
            if site.sbc_state == SiteState.DEPLOYED:
                return None
            return sites.deploy(ctx.asker(), site, by_uid[str(site.uid)].get("plan", ""))

        if again := self._follow(ctx, run, "work", deploy):
            return again
        return _after_sites(self, ctx, run)


@register
class UndoDeploy(_Parent):
    """Decision 9: the other way round; only what the portal created goes."""

    name = services.UNDO
    title = "Undo deploy"

    def _work(self, ctx: Context, run: Run) -> Outcome:
        by_uid = {part["uid"]: part for part in run.sites}

        def prefixes(site: Site) -> Command | None:
            rows = list(Prefix.objects.filter(site=site))
            return numbers.remove(ctx.asker(), site, rows) if rows else None

        def remove(site: Site) -> Command | None:
            if not sites.on_sbc(site):
                return None
            return sites.remove(ctx.asker(), site, by_uid[str(site.uid)].get("plan", ""))

        if again := self._follow(ctx, run, "numbers", prefixes):
            return again
        if again := self._follow(ctx, run, "work", remove):
            return again
        return _after_sites(self, ctx, run)


def _after_sites(parent: _Parent, ctx: Context, run: Run) -> Outcome:
    """The SBCs are done; then Teams, by a worker or by a person's script."""
    if run.voice and run.by_hand and voice_plan.writing(plans.of_json(run.steps)):
        with ctx.transaction():
            ctx.checkpoint(by_hand=True)
            told = "The SBCs are done. Teams waits for a person: run the script, then Verify."
            Run.objects.filter(id=run.id).update(state=RunState.BY_HAND, told=told)
        return Done(told, outcome="partial")
    left: list[str] = []
    if run.voice and not run.by_hand:
        if again := parent._teams(ctx, run):
            return again
        teams = _command(run.voice_command)
        left = list(teams.result.get("left", [])) if teams else []
    with ctx.transaction():
        ctx.checkpoint(finished=True)
        told = services.finished(ctx.asker(), run, left)
    return Done(told, outcome="partial" if left else "complete")


# --- Teams ----------------------------------------------------------------------------------------------------
@register
class VoiceRouting(Kind):
    """SBC-23: PSTN gateways, usages, voice routes, policies and dial plans of a customer, in one session."""

    name = services.VOICE
    title = "Voice routing"
    ability = Ability.MANAGE_SBC
    lane = LaneName.POWERSHELL
    max_attempts = 10
    may_dry_run = True
    reconcile = (
        "Every write is a line of the ledger before it is begun. A run that was cut off reads Teams first, settles "
        "what was begun by what is there, and plans again: it does what is left of what was agreed to, and nothing "
        "else."
    )

    def run(self, ctx: Context) -> Outcome:
        run = run_of(ctx)
        if run is None:
            return Done("Nothing more was done: this run has ended.")
        try:
            with scope.one(ctx.customer):
                line = lines.open_line(ctx.customer)
            ctx.report(label="Signing in to Microsoft Teams", force=True)
            with line.teams(stop=ctx.stop) as teams:
                work = _Teams(ctx, run, teams)
                return work.look() if ctx.dry_run else work.work()
        except UmpError as error:
            if not ctx.dry_run or error.only_stopped:
                raise
            return Done(error.message, "partial", result={"problem": dict(error.to_dict())})


class _Teams:
    """One session's work for one run."""

    def __init__(self, ctx: Context, run: Run, teams: Session) -> None:
        self.ctx, self.run, self.teams = ctx, run, teams

    def look(self) -> Done:
        steps = self.planned()
        writes = len(voice_plan.writing(steps))
        told = f"{writes} step{'' if writes == 1 else 's'} in Teams would be taken."
        return Done(told, result={"steps": [voice_plan.to_json(step) for step in steps]})

    def work(self) -> Outcome:
        """Raises UmpError: deploy_plan_stale, voice_conflict, voice_unseen, and what Teams refuses."""
        agreed = plans.of_json(self.run.steps)
        steps = self.planned()
        self.begin(agreed, steps)
        if blocked := voice_plan.blocked(steps):
            raise services.conflict(self.run, blocked)
        todo = self.unwritten(steps)
        self.carry_out(todo)
        left = steps if not todo else self.planned()
        if not voice_plan.writing(left):
            return self.finish(left)
        return self.wait(left)

    def planned(self) -> tuple[Step, ...]:
        """What is to be done, by what Teams has now."""
        self.ctx.report(label="Reading what is in Microsoft Teams", force=True)
        found = self.teams.voice_routing()
        with self.ctx.transaction():
            if not self.ctx.dry_run:
                ledger.settle(self.run, found)
            steps = plans.steps(self.run, found)
        used = self.in_use(steps)
        if not used:
            return steps
        with scope.one(self.ctx.customer):
            return plans.steps(self.run, found, used)

    def in_use(self, steps: tuple[Step, ...]) -> dict[Thing, str]:
        """Who has what would go; and what Teams itself said is in use."""
        used = {
            step.thing: "Teams says that it is in use" for step in steps if str(step.thing) in self.refused()
        }
        for step in steps:
            if step.action is not Action.REMOVE or not isinstance(step.before, (Policy, DialPlan)):
                continue
            try:
                users = self.teams.users_with(step.before)
            except UmpError as error:
                if error.code != "teams_refused":
                    raise
                continue  # that Teams filters by these is not confirmed; it refuses to remove what is in use
            if users:
                used[step.thing] = "1 user has it" if len(users) == 1 else f"{len(users)} users have it"
        return used

    def refused(self) -> list[str]:
        return list(self.ctx.state.get("in_use", []))

    def begin(self, agreed: tuple[Step, ...], steps: tuple[Step, ...]) -> None:
        """Raises UmpError (deploy_plan_stale) for what nobody has agreed to, and as `must_be_open`."""
        first = not self.ctx.state.get("began")
        same = voice_plan.digest(agreed) == voice_plan.digest(steps)
        if (first and not same) or plans.strange(agreed, steps):
            raise UmpError.of("deploy_plan_stale", tenant=self.run.tenant.name)
        busy = SiteState.DEPLOYING if self.run.act == Act.DEPLOY else SiteState.REMOVING
        with self.ctx.transaction():
            self.must_be_open(lock=True)
            self.ctx.checkpoint(began=True)
            Site.objects.filter(tenant_id=self.run.tenant_id).update(m365_state=busy)

    def must_be_open(self, *, lock: bool = False) -> None:
        """Nothing more is written for a run that was stopped meanwhile. Raises UmpError (interrupted)."""
        rows = Run.objects.filter(id=self.run.id, state=RunState.RUNNING)
        if not (rows.select_for_update(no_key=True) if lock else rows).exists():
            raise UmpError.of("interrupted")

    def unwritten(self, steps: tuple[Step, ...]) -> tuple[Step, ...]:
        """Without what Teams has accepted already and does not show yet."""
        with scope.one(self.ctx.customer):
            written = ledger.written_in(self.run)
        return tuple(
            step for step in voice_plan.writing(steps) if (step.thing, step.action.value) not in written
        )

    def carry_out(self, steps: tuple[Step, ...]) -> None:
        book = Book(self.ctx, self.run)

        def run(call: Call, thing: str) -> object:
            self.ctx.report(label=f"Writing {thing}", force=True)
            rows = self.teams.run(call, thing)
            book.done()
            return rows

        for step in steps:
            if self.ctx.stop.is_set():
                raise UmpError.of("interrupted")
            with scope.one(self.ctx.customer):
                self.must_be_open()
            try:
                voice_plan.carry_out(run, [step], note=book.note, forget=book.forget)
            except OutcomeUnknown:
                raise
            except UmpError as error:
                if not self.goes_on(book, step, error):
                    raise

    def goes_on(self, book: Book, step: Step, error: UmpError) -> bool:
        """Whether the refusal means something else: ours already, gone already, or used by somebody."""
        ours = error.code == "remote_conflict" and step.action is Action.CREATE and book.begun_before
        if ours or (error.code == "remote_not_found" and step.action is Action.REMOVE):
            book.done()
            return True
        if error.code != "teams_in_use" or step.action is not Action.REMOVE:
            return False
        with self.ctx.transaction():
            self.ctx.checkpoint(in_use=[*self.refused(), str(step.thing)])
        return True

    def wait(self, left: tuple[Step, ...]) -> Outcome:
        """Teams shows a while later what was written. Raises UmpError (voice_unseen) when it never does."""
        looks = int(self.ctx.state.get("looks", 0)) + 1
        names = ", ".join(str(step.thing) for step in voice_plan.writing(left)[:5])
        if looks >= MOST_LOOKS:
            raise UmpError.of("voice_unseen", tenant=self.run.tenant.name, why=names)
        with self.ctx.transaction():
            self.ctx.checkpoint(looks=looks)
        return Again(f"Written; waiting until Teams shows it: {names}."[:500], LAG)

    def finish(self, steps: tuple[Step, ...]) -> Done:
        with self.ctx.transaction():
            self.ctx.checkpoint(finished=True)
            Run.objects.filter(id=self.run.id).update(read_at=Now())
            self.run.read_at = timezone.now()
            if self.run.act == Act.DEPLOY:
                ledger.adopt(self.run, steps)
            count = ledger.of_run(self.run).exclude(cmdlet="").filter(state="done").count()
        left = plans.left_over(steps)
        told = f"Teams is as planned: {count} write{'' if count == 1 else 's'}."
        return Done(told, "partial" if left else "complete", result={"left": left})
