"""What workers do with sites on SBCs: deploy one, remove one. Prefixes are in sites.number_commands.

Both read the device first, say what they are about to do in the site's own row, send one script, read back, and
save. So a run that was cut off anywhere is found out about by reading, never by assuming: what is there is completed
or taken away, and only what the portal itself brought.
"""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from django.db.models.functions import Now

from audiocodes import objects
from audiocodes.line import Line
from audiocodes.objects import Rows
from audiocodes.sbc import Sbc as Far
from audit.services import Changes
from core.errors import Remedy, UmpError
from events.models import Type
from events.services import tell
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from sbc import lines
from sbc.commands import LINK_OF, note_link
from sbc.models import Link, Sbc
from sites import deploying, services
from sites.deploying import Device, Plan
from sites.models import Site, SiteState
from tenants import scope
from tenants.abilities import Ability

SECONDS = 540.0
"""For all calls of one run: reading twice, a script, a clean-up, saving."""
MOST_ATTEMPTS = 10


class _Work:
    """One run of work on one site, with the line to its device open."""

    def __init__(self, ctx: Context, site: Site) -> None:
        self.ctx, self.site = ctx, site
        self.far: Far

    @contextlib.contextmanager
    def device(self) -> Iterator[None]:
        """The line is open inside. Raises UmpError by sbc.lines, and when another device answers."""
        sbc = self.site.sbc
        if sbc.link == Link.REFUSED:
            raise UmpError.of("sbc_sign_in_refused", host=sbc.name)
        with self.line(sbc) as line:
            self.far = Far(line)
            self.far.status(sbc.serial)
            yield

    def line(self, sbc: Sbc) -> Line:
        return lines.to_sbc(sbc, SECONDS, before_write=None if self.ctx.dry_run else self.ctx.still_ours)

    def read(self) -> Device:
        """Raises UmpError (sbc_file_unreadable) too."""
        return Device.of(self.far.ini(), self.site.sbc.name)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """A fenced transaction in the scope of the one customer whose site it is (docs/decisions/0014)."""
        with self.ctx.transaction(), scope.one(self.site.tenant_id):
            yield

    def note(self, **fields: Any) -> None:
        """Into the site's row and the copy at hand; for use inside `writing`."""
        Site.objects.filter(id=self.site.id).update(**fields)
        for name, value in fields.items():
            setattr(self.site, name, value)

    def begin(self, state: SiteState, **fields: Any) -> None:
        """What must be known before anything is sent."""
        with self.ctx.transaction():
            self.ctx.checkpoint(began=True)
            with scope.one(self.site.tenant_id):
                self.note(sbc_state=state, sbc_problem=None, checked_at=Now(), **fields)

    def send(self, script: str) -> None:
        self.ctx.report(label="Sending the script", force=True)
        self.far.apply(script)

    def save(self) -> None:
        """Raises UmpError (sbc_not_saved): the change is in force and would not survive a restart."""
        self.ctx.report(label="Saving the configuration", force=True)
        try:
            self.far.save()
        except UmpError as error:
            if error.code in LINK_OF or error.only_stopped:
                raise
            raise UmpError.of(
                "sbc_not_saved", host=self.site.sbc.name, why=_why(error), detail=error.detail
            ) from error

    def check_plan(self, plan: Plan) -> None:
        """Raises UmpError (site_plan_stale) when somebody decided on something else."""
        wanted = self.ctx.params.get("plan")
        if wanted and wanted != plan.digest:
            raise UmpError.of("site_plan_stale", thing=self.site.name, host=self.site.sbc.name)

    def finish(self, told: str, action: str, changes: Changes, event: Type, **fields: Any) -> Done:
        """Noted once: a run that died right after this finds its own words and does nothing more."""
        with self.ctx.transaction():
            self.ctx.checkpoint(told=told)
            with scope.one(self.site.tenant_id):
                self.note(sbc_problem=None, checked_at=Now(), **fields)
                services.note(self.ctx.asker(), action, self.site, changes)
                tell(event, self.site.tenant_id, services.of_event(self.site))
        return Done(told)

    def told(self, error: UmpError) -> None:
        """Keep with the site why its work stopped or waits; with the device what concerns its connection."""
        if error.only_stopped:
            return
        problem = dict(error.to_dict())
        stops = error.remedy != Remedy.LATER or self.ctx.attempt >= MOST_ATTEMPTS
        with self.writing():
            note_link(self.site.sbc, error)
            row = Site.objects.get(id=self.site.id)
            state = row.sbc_state
            if stops and state != SiteState.UNSAVED:
                state = SiteState.FAILED
            self.note(sbc_state=state, sbc_problem=problem)
            if stops:
                tell(
                    Type.SITE_FAILED, self.site.tenant_id, services.of_event(self.site) | {"code": error.code}
                )


class _OnSite(Kind):
    """A kind whose target is `<device>/<site>`."""

    ability = Ability.MANAGE_SBC
    lane = LaneName.DEVICE
    max_attempts = MOST_ATTEMPTS
    may_dry_run = True

    def run(self, ctx: Context) -> Outcome:
        site = site_of(ctx.target)
        if site is None:
            return Done("Nothing was done: the site is gone.")
        if told := ctx.state.get("told"):
            return Done(told)  # done and noted by a run that died before its end
        work = _Work(ctx, site)
        try:
            with work.device():
                return self.preview(work) if ctx.dry_run else self.work(work)
        except UmpError as error:
            if error.only_stopped:
                raise
            if ctx.dry_run:
                return Done(error.message, "partial", result={"problem": dict(error.to_dict())})
            work.told(error)
            raise

    def preview(self, work: _Work) -> Done:
        raise NotImplementedError

    def work(self, work: _Work) -> Outcome:
        raise NotImplementedError


def site_of(target: str) -> Site | None:
    """The site that a command's target names, with what belongs to it."""
    device, _, uid = target.partition("/")
    which = {"uid": uuid.UUID(uid), "sbc_id": int(device)}
    with scope.every("whose site a command is about"):
        tenant_id = Site.objects.filter(**which).values_list("tenant_id", flat=True).first()
    if tenant_id is None:
        return None
    with scope.one(tenant_id):
        found: Site | None = (
            Site.objects.select_related(
                "tenant", "sbc__secret__key", "template__cleanup", "applied", "secret__key"
            )
            .filter(**which)
            .first()
        )
    return found


@register
class DeploySite(_OnSite):
    """A site's onboarding script is carried out on its SBC."""

    name = services.DEPLOY
    title = "Deploy site"
    reconcile = (
        "What is about to be sent is noted in the site's row before. A run that finds such a note reads the device: "
        "what is there whole is kept and saved, what is there in part is taken away row by row, and sent again."
    )

    def preview(self, work: _Work) -> Done:
        device = work.read()
        if deploying.known_rows(work.site):
            return Done("The site is on the SBC already.", "partial")
        plan = deploying.to_deploy(work.site, services.version_of(work.site), device)
        return Done(
            f"{_many(len(plan.rows))} would come into being on {work.site.sbc.name}.", result=plan.told()
        )

    def work(self, work: _Work) -> Outcome:
        device = work.read()
        ours = self.found_whole(work, device)
        if ours is None:
            before = self.cleared(work, device)
            plan = deploying.to_deploy(work.site, services.version_of(work.site), before)
            work.check_plan(plan)
            if work.ctx.stop.is_set():
                return Again()
            ours = self.carry_out(work, plan, before)
        work.save()
        told = f"{work.site.name} is deployed on {work.site.sbc.name}: {_many(len(ours))}, saved."
        done = {"sbc_state": SiteState.DEPLOYED, "deployed_at": Now()}
        return work.finish(told, "site.deployed", {"rows": (None, len(ours))}, Type.SITE_DEPLOYED, **done)

    def found_whole(self, work: _Work, device: Device) -> Rows | None:
        """What an earlier run brought, if all of it is there as it should be.

        Raises UmpError (site_changed) where somebody has changed it.
        """
        known = deploying.known_rows(work.site)
        there, changed = deploying.sort_out(work.site, device)
        if changed:
            raise changed_error(work.site, changed)
        if not known or not all(key in there and objects.fits(there[key], known[key]) for key in known):
            return None
        self.keep(work, there)
        return there

    @staticmethod
    def cleared(work: _Work, device: Device) -> Device:
        """The device without what an earlier run left there in part."""
        there, _ = deploying.sort_out(work.site, device)
        if there:
            work.ctx.note(f"An earlier run was cut off; {_many(len(there))} of it are taken away first.")
            remove_rows(work, there)
            device = work.read()
        if deploying.known_rows(work.site):
            with work.writing():
                work.note(footprint=[], intent=None)
        return device

    def carry_out(self, work: _Work, plan: Plan, before: Device) -> Rows:
        """Send it and read back. Raises UmpError: site_refused when the device is as before, site_left_over."""
        rows = objects.to_json(plan.rows)
        version = services.version_of(work.site)
        intent = {"plan": plan.digest, "rows": rows, "lines": list(plan.shown), "version": version.id}
        work.begin(SiteState.DEPLOYING, intent=intent)
        refused = self.refusal(work, plan)
        if refused:
            raise self.back_out(work, refused)
        after = work.read()
        ours, faults = deploying.made(plan, after)
        if faults:
            why = f"it said that all is well, but {deploying.in_words(faults)}"
            raise self.back_out(work, why)
        others = deploying.foreign(before, after, plan.rows)
        if others:
            work.ctx.note(f"Rows of others changed meanwhile: {deploying.in_words(others)}.", level="warning")
        self.keep(work, ours)
        return ours

    @staticmethod
    def refusal(work: _Work, plan: Plan) -> str:
        """Send it: why the device refused it, or nothing. No error carries what the device may have repeated of it.

        Raises UmpError for what leaves open what came of it: the next run looks.
        """
        try:
            work.send(plan.text)
        except UmpError as error:
            fields: dict[str, Any] = {name: plan.masked(text) for name, text in error.fields.items()}
            if error.code == "sbc_script_refused":
                return str(fields.get("why", "")).rstrip(".") or "it does not say why"
            raise UmpError.of(error.code, retry_after=error.retry_after, **fields) from None
        return ""

    def keep(self, work: _Work, ours: Rows) -> None:
        """It is in force; a restart of the device would lose it."""
        version = (work.site.intent or {}).get("version", work.site.applied_id)
        with work.ctx.transaction():
            work.ctx.checkpoint(applied=True)
            with scope.one(work.site.tenant_id):
                work.note(
                    sbc_state=SiteState.UNSAVED,
                    footprint=objects.to_json(ours),
                    applied_id=version,
                    intent=None,
                    checked_at=Now(),
                )

    def back_out(self, work: _Work, why: str) -> UmpError:
        """After a refusal: what was applied is found by reading, and goes; what to say.

        Also what reads differently than it was asked for: just before, nothing was in its place. Only under another
        name it may be of others. Raises UmpError (site_left_over) while something stays, which is kept in mind.
        """
        device = work.read()
        there, changed = deploying.sort_out(work.site, device)
        rows = deploying.in_order(work.site, there | changed)
        if rows:
            remove_rows(work, rows)
        places = [key for key in deploying.known_rows(work.site) if key in device.rows and key not in rows]
        if places:
            names = deploying.in_words([objects.name_of(key, device.rows[key]) for key in places])
            raise left_over(work.site, f"{why}; {names} stands in the place of a row of it")
        with work.writing():
            work.note(intent=None, footprint=[])
        return UmpError.of("site_refused", thing=work.site.name, host=work.site.sbc.name, why=why)


@register
class RemoveSite(_OnSite):
    """A site's rows are removed from its SBC: those found when it was deployed, not those that a script names."""

    name = services.REMOVE
    title = "Remove site"
    reconcile = (
        "Rows are removed by what the device has now and what was found when the site was deployed. A run that was "
        "cut off finds fewer of them, and removes the rest; with none left it only saves."
    )

    def preview(self, work: _Work) -> Done:
        device = work.read()
        plan = deploying.to_remove(work.site, device)
        result = plan.told()
        cleanup = services.cleanup_of(work.site)
        if cleanup is not None:
            result |= {"cleanup": deploying.paired(work.site, cleanup, device)}
        return Done(f"{_many(len(plan.rows))} would go from {work.site.sbc.name}.", result=result)

    def work(self, work: _Work) -> Outcome:
        site = work.site
        self.refuse_with_prefixes(site)
        device = work.read()
        plan = deploying.to_remove(site, device)
        if not work.ctx.state.get("rows"):
            work.check_plan(plan)
            _, changed = deploying.sort_out(site, device)
            if changed and not work.ctx.params.get("plan"):
                raise changed_error(site, changed)
            if work.ctx.stop.is_set():
                return Again()
            rows = plan.rows
        else:
            rows = self.agreed(work, plan)
        self.begin(work, rows)
        if rows:
            remove_rows(work, rows)
        work.save()
        told = f"{site.name} was removed from {site.sbc.name}: {_many(len(rows))}, saved."
        nothing: dict[str, Any] = {"sbc_state": SiteState.NONE, "footprint": [], "intent": None}
        nothing |= {"applied_id": None, "deployed_at": None}
        return work.finish(told, "site.removed", {"rows": (len(rows), None)}, Type.SITE_REMOVED, **nothing)

    @staticmethod
    def refuse_with_prefixes(site: Site) -> None:
        with scope.one(site.tenant_id):
            if prefixes := services.in_the_way(site):
                raise prefixes

    @staticmethod
    def agreed(work: _Work, plan: Plan) -> Rows:
        """Of what a person agreed to, the rest that is there. Raises UmpError (site_changed) for what is new."""
        known = objects.from_json(work.ctx.state["rows"])
        odd = {
            key: row
            for key, row in plan.rows.items()
            if key not in known or not objects.fits(row, known[key])
        }
        if odd:
            raise changed_error(work.site, odd)
        return plan.rows

    @staticmethod
    def begin(work: _Work, rows: Rows) -> None:
        with work.ctx.transaction():
            known = work.ctx.state.get("rows") or objects.to_json(rows)
            work.ctx.checkpoint(rows=known)
            with scope.one(work.site.tenant_id):
                work.note(sbc_state=SiteState.REMOVING, sbc_problem=None, checked_at=Now())


def remove_rows(work: _Work, rows: Rows) -> None:
    """Send what removes them, and read back. Raises UmpError (site_left_over) while something stays."""
    why = ""
    try:
        work.send("\n".join(objects.undo(rows)) + "\n")
    except UmpError as error:
        if error.code != "sbc_script_refused":
            raise
        why = f"{_why(error)}; "
    now = work.read().rows
    left = [
        objects.name_of(key, row) for key, row in rows.items() if key in now and objects.fits(now[key], row)
    ]
    if left:
        raise left_over(work.site, f"{why}{deploying.in_words(left)}")


def left_over(site: Site, why: str) -> UmpError:
    return UmpError.of("site_left_over", thing=site.name, host=site.sbc.name, why=why)


def changed_error(site: Site, changed: Rows) -> UmpError:
    names = deploying.in_words([objects.name_of(key, row) for key, row in changed.items()])
    return UmpError.of("site_changed", thing=site.name, host=site.sbc.name, why=names)


def _why(error: UmpError) -> str:
    return str(error.fields.get("why") or error.message).rstrip(".")


def _many(count: int) -> str:
    return f"{count:,} row{'' if count == 1 else 's'}"
