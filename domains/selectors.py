"""What is known of customers' domains, in the scope of whoever asks."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

from django.db.models import QuerySet

from domains.models import CustomDomain, DomainState
from domains.services import PROVISION, RELEASE, REMOVE, TEST
from domains.steps import BY_HAND, REMOVING, SETTING_UP, Step
from replication.models import OPEN, Command
from tenants.models import Tenant
from tenants.written import Written

TONES = {
    DomainState.SETTING_UP: "busy",
    DomainState.READY: "ok",
    DomainState.CANCELLED: "neutral",
    DomainState.REMOVING: "busy",
    DomainState.REMOVED: "neutral",
}


def domains_of(tenant: Tenant) -> QuerySet[CustomDomain]:
    """Every domain of the customer, the newest first; removed ones too, as its history."""
    return CustomDomain.objects.filter(tenant=tenant)


def current(tenant: Tenant) -> CustomDomain | None:
    """The domain that is being set up, or the newest that is there."""
    there = domains_of(tenant).exclude(state__in=(DomainState.REMOVED, DomainState.CANCELLED))
    return there.filter(state=DomainState.SETTING_UP).first() or there.first()


@dataclasses.dataclass(frozen=True)
class Shown:
    """A domain with its newest command: what pages and the API tell of it."""

    row: CustomDomain
    command: Command | None

    @property
    def busy(self) -> bool:
        """Whether something is queued or running for it."""
        return self.command is not None and self.command.state in OPEN

    @property
    def problem(self) -> dict[str, Any] | None:
        """What stopped it; None while it goes on."""
        if self.busy or self.row.state not in {DomainState.SETTING_UP, DomainState.REMOVING}:
            return None
        if self.row.problem:
            return dict(self.row.problem)
        return dict(self.command.error) if self.command and self.command.error else None

    @property
    def stopped(self) -> bool:
        return not self.busy and self.row.state in {DomainState.SETTING_UP, DomainState.REMOVING}

    @property
    def chip(self) -> tuple[str, str, str]:
        """Tone, word and tooltip."""
        state = DomainState(self.row.state)
        if self.stopped:
            told = (self.problem or {}).get("message", "Nothing is under way.")
            return "bad", "Stopped", str(told)
        hint = self.row.waiting if self.busy else ""
        return TONES[state], state.label, hint

    @property
    def steps(self) -> list[dict[str, Any]]:
        """For {% steps %}: each with title, state, text, at."""
        return [self._step(step) for step in steps_for(self.row)]

    @property
    def _next(self) -> str:
        """The first step that is not done."""
        return next((step.key for step in steps_for(self.row) if step.key not in self.row.done), "")

    def _step(self, step: Step) -> dict[str, Any]:
        row = self.row
        if when := row.done.get(step.key):
            return {"title": step.title, "state": "done", "at": dt.datetime.fromisoformat(when)}
        if step.key != (row.step or self._next):
            return {"title": step.title, "state": "waiting", "text": ""}
        if self.stopped:
            return {"title": step.title, "state": "failed", "text": (self.problem or {}).get("message", "")}
        if row.state == DomainState.CANCELLED:
            return {"title": step.title, "state": "skipped", "text": "It was cancelled here."}
        if row.waiting:
            said = f"{row.waiting} The portal waits {step.limit_words} at most."
            return {"title": step.title, "state": "running", "text": said, "at": row.step_since}
        return {"title": step.title, "state": "running", "text": step.why}


def steps_for(row: CustomDomain) -> tuple[Step, ...]:
    """The steps that this domain goes through, in order."""
    if row.state in {DomainState.REMOVING, DomainState.REMOVED}:
        return REMOVING
    found = BY_HAND if row.by_hand else SETTING_UP
    return found if row.with_user else tuple(step for step in found if not step.of_user)


def shown(row: CustomDomain) -> Shown:
    kinds = (PROVISION, REMOVE)
    mine = Command.objects.filter(tenant_id=row.tenant_id, target=str(row.id), kind__in=kinds)
    return Shown(row, mine.order_by("-id").first())


def all_shown(rows: list[CustomDomain]) -> list[Shown]:
    """The same for several domains of one customer, with one query."""
    if not rows:
        return []
    mine = Command.objects.filter(
        tenant_id=rows[0].tenant_id, target__in=[str(row.id) for row in rows], kind__in=(PROVISION, REMOVE)
    )
    newest: dict[str, Command] = {command.target: command for command in mine.order_by("id")}
    return [Shown(row, newest.get(str(row.id))) for row in rows]


def stopped(limit: int, tenant: Tenant | None = None) -> list[CustomDomain]:
    """Domains whose work stopped and waits for a person, those that have stopped longest first."""
    return _STOPPED.rows(tenant and tenant.id, limit=limit)


def _stopped(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[CustomDomain]:
    found: QuerySet[CustomDomain] = CustomDomain.objects.filter(
        state__in=(DomainState.SETTING_UP, DomainState.REMOVING),
        problem__isnull=False,
        tenant__deleted_at=None,
        tenant__enabled=True,
    )
    found = found.filter(tenant_id=tenant_id) if tenant_id else found
    return found.select_related("tenant").order_by("changed_at", "id")[:limit]


_STOPPED = Written(_stopped)


def steps_of(tenant: Tenant) -> list[dict[str, Any]]:
    """The set-up of the customer's current domain as {% steps %} takes it; empty when there is none."""
    row = current(tenant)
    return shown(row).steps if row else []


def user_release(row: CustomDomain) -> Command | None:
    """The last command that looked whether the activation user can go."""
    found: Command | None = (
        Command.objects.filter(tenant_id=row.tenant_id, target=str(row.id), kind=RELEASE)
        .order_by("-id")
        .first()
    )
    return found


def zone_test() -> Command | None:
    """The zone's test that is under way, in the scope of every tenant."""
    found: Command | None = Command.objects.filter(kind=TEST, state__in=OPEN).first()
    return found
