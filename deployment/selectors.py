"""What is known of deployments, in the scope of whoever asks."""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Q, QuerySet

from deployment import plans, services
from deployment.models import Act, Run, RunState, SiteVoice, VoiceWrite, WriteState
from m365 import voice
from m365.powershell.actions import Action
from m365.voice_plan import Step
from replication.models import Command
from sites.models import Site
from tenants.models import Tenant
from tenants.written import Written

TONES = {
    RunState.LOOKING: "busy",
    RunState.PLANNED: "warn",
    RunState.RUNNING: "busy",
    RunState.BY_HAND: "warn",
    RunState.DONE: "ok",
    RunState.FAILED: "bad",
    RunState.SET_ASIDE: "neutral",
}
WRITES = {
    WriteState.BEGUN: "busy",
    WriteState.DONE: "ok",
    WriteState.REFUSED: "bad",
    WriteState.NOT_DONE: "warn",
    WriteState.ADOPTED: "neutral",
}
ACTIONS = {
    Action.CREATE: ("ok", "Create"),
    Action.CHANGE: ("warn", "Change"),
    Action.NOTHING: ("neutral", "Nothing"),
    Action.REMOVE: ("bad", "Remove"),
    Action.KEEP: ("neutral", "Stays"),
    Action.CONFLICT: ("bad", "In the way"),
}
SHOWN = 100


def newest_of(tenant: Tenant, act: Act | None = None) -> Run | None:
    """The newest look or run, of either act unless one is named."""
    found = Run.objects.filter(tenant=tenant).select_related("tenant").order_by("-id")
    row: Run | None = (found.filter(act=act) if act else found).first()
    return row


def done_since(tenant: Tenant, moment: Any) -> bool:
    """Whether a deployment came to its end after that."""
    found = Run.objects.filter(tenant=tenant, act=Act.DEPLOY, state=RunState.DONE, ended_at__gte=moment)
    return bool(found.exists())


def waiting(limit: int, tenant: Tenant | None = None) -> list[Run]:
    """Runs that stopped, without another decision since, or that wait for a person's script; the newest first."""
    return _WAITING.rows(tenant and tenant.id, limit=limit)


def _waiting(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Run]:
    stopped = Q(state=RunState.FAILED, decided_at__isnull=False, tenant__deploy_problem__isnull=False)
    found = Run.objects.filter(
        stopped | Q(state=RunState.BY_HAND), tenant__deleted_at=None, tenant__enabled=True
    )
    found = found.filter(tenant_id=tenant_id) if tenant_id else found
    last = found.order_by("tenant_id", "-id").distinct("tenant_id")
    rows: QuerySet[Run] = Run.objects.filter(id__in=last.values("id")).select_related("tenant")
    return rows.order_by("-id")[:limit]


_WAITING = Written(_waiting)


def writes_of(tenant: Tenant) -> QuerySet[VoiceWrite]:
    """The ledger, the newest first."""
    found: QuerySet[VoiceWrite] = VoiceWrite.objects.filter(tenant=tenant).order_by("-id")
    return found


def voice_of(site: Site) -> SiteVoice:
    found: SiteVoice | None = SiteVoice.objects.filter(site=site).first()
    return found or SiteVoice(tenant_id=site.tenant_id, site=site)


def described(step: Step) -> tuple[dict[str, str], dict[str, str]]:
    """Before and after, in words by label."""
    before = voice.described(step.before) if step.before else {}
    after = voice.described(step.after) if step.after and step.action is not Action.NOTHING else {}
    return before, after


@dataclasses.dataclass(frozen=True)
class StepShown:
    step: Step

    @property
    def chip(self) -> tuple[str, str]:
        return ACTIONS[self.step.action]

    @property
    def before(self) -> Mapping[str, str]:
        """What differs, where something is changed; all of it where it goes or is in the way."""
        before, after = described(self.step)
        changed = self.step.action is Action.CHANGE
        return {label: text for label, text in before.items() if not changed or after.get(label) != text}

    @property
    def after(self) -> Mapping[str, str]:
        before, after = described(self.step)
        if self.step.action is not Action.CHANGE:
            return after if self.step.action is Action.CREATE else {}
        return {label: text for label, text in after.items() if before.get(label) != text}


@dataclasses.dataclass(frozen=True)
class Shown:
    """A run as its page shows it."""

    run: Run

    @property
    def chip(self) -> tuple[str, str]:
        return TONES[RunState(self.run.state)], RunState(self.run.state).label

    @property
    def busy(self) -> bool:
        return self.run.state in {RunState.LOOKING, RunState.RUNNING}

    @property
    def steps(self) -> list[StepShown]:
        return [StepShown(step) for step in plans.of_json(self.run.steps)]

    @property
    def figures(self) -> list[tuple[str, int]]:
        """How many of what, without what there is none of."""
        found = plans.figures(self.run)
        rows = "Rows on SBCs" if self.run.act == Act.DEPLOY else "Rows that go from SBCs"
        words = {
            "sites": "Sites",
            "rows": rows,
            "prefixes": "Prefixes that go from SBCs",
            "create": "To create in Teams",
            "change": "To change in Teams",
            "remove": "To remove from Teams",
            "nothing": "As they should be",
            "keep": "What stays",
            "conflict": "In the way",
        }
        return [(word, found[name]) for name, word in words.items() if found[name]]

    @property
    def needs_verify(self) -> bool:
        """Whether a person runs the Verify script next, before a decision."""
        run = self.run
        return run.state == RunState.PLANNED and run.voice and run.by_hand and run.read_at is None

    @property
    def waits_for_script(self) -> bool:
        return bool(self.run.state == RunState.BY_HAND)

    @property
    def obstacle(self) -> Mapping[str, Any] | None:
        if self.run.state != RunState.PLANNED or self.needs_verify:
            return None
        error = services.obstacle(self.run)
        return dict(error.to_dict()) if error else None

    @property
    def conflicts(self) -> bool:
        return any(step["action"] == Action.CONFLICT for step in self.run.steps)

    @property
    def decidable(self) -> bool:
        return self.run.state == RunState.PLANNED and services.obstacle(self.run) is None

    @property
    def progress(self) -> list[dict[str, str]]:
        """The parts of a run that is under way or stands, for {% steps %}."""
        run = self.run
        undo = run.act == Act.UNDO
        titles = [("work", "Sites leave their SBCs" if undo else "Sites on their SBCs")] if run.sites else []
        if run.voice:
            titles.append(("teams", "Voice routing in Microsoft 365"))
        if run.state == RunState.DONE:
            return [{"title": title, "state": "done"} for _, title in titles]
        at_teams = run.state == RunState.BY_HAND or self._teams_began
        found = []
        for name, title in titles:
            here = (name == "teams") == at_teams
            state = "running" if here else "done" if name == "work" else "waiting"
            if here and run.state in {RunState.FAILED, RunState.BY_HAND}:
                state = "failed" if run.state == RunState.FAILED else "suspended"
            found.append({"title": title, "state": state, "text": self.message if here else ""})
        return found

    @property
    def _teams_began(self) -> bool:
        command = self._command(self.run.voice_command)
        return command is not None and not command.dry_run

    @property
    def message(self) -> str:
        if self.run.told:
            return str(self.run.told)
        command = self._command(self.run.command)
        return str(command.message) if command else ""

    def _command(self, number: int | None) -> Command | None:
        found: Command | None = (
            Command.objects.filter(tenant_id=self.run.tenant_id, id=number).first() if number else None
        )
        return found
