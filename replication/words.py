"""How a command reads on screen: state, next execution, progress, what it brought, who can help."""

import dataclasses
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import timezone

from breakers.selectors import open_breakers
from core.errors import CATALOGUE, WHO_IN_WORDS, UmpError, Who
from replication import plans, selectors
from replication.models import FINAL, OPEN, Command, Lane, Reason, RemovalPlan, State
from replication.registry import kinds, title_of
from replication.watch import Pace
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.confirming import UNCONFIRMED
from tenants.models import Tenant

TONES = {
    State.QUEUED: "info",
    State.EXECUTING: "busy",
    State.SUSPENDED: "warn",
    State.SUCCEEDED: "ok",
    State.FAILED: "bad",
    State.CANCELLED: "neutral",
}
ICONS = {State.QUEUED: "clock", State.SUSPENDED: "circle-pause", State.CANCELLED: "circle-minus"}
MEANINGS = {
    State.QUEUED: "Waits for a worker",
    State.EXECUTING: "A worker carries it out now",
    State.SUSPENDED: "Waiting for you: a person must act before it can go on",
    State.SUCCEEDED: "Done",
    State.FAILED: "It ended without success; it can be repeated as a new command",
    State.CANCELLED: "Stopped on request; it can be repeated as a new command",
}
LEVELS = {"info": ("info", "Info"), "warning": ("warn", "Warning"), "error": ("bad", "Error")}
DETAIL_WORDS = {
    "microsoft_code": "Microsoft's code",
    "inner_code": "Microsoft's inner code",
    "microsoft_says": "Microsoft says",
    "request_id": "Request id",
    "client_request_id": "Client request id",
    "correlation_id": "Correlation id",
    "trace_id": "Trace id",
    "timestamp": "Time",
    "http_status": "HTTP status",
    "worker": "Worker",
    "cause": "Cause",
}
OURS = frozenset({"worker", "type", "cause", "host", "path", "link_host"})
"""Details about the portal's own machines, which are for the provider only."""


@dataclasses.dataclass(frozen=True)
class Chip:
    tone: str
    word: str
    hint: str
    icon: str = ""


def chip(command: Command) -> Chip:
    """The state as word, colour, icon and tooltip."""
    state = State(command.state)
    if state == State.SUCCEEDED and command.outcome == "partial":
        return Chip("warn", "Succeeded in part", "Done, but for what is told here")
    return Chip(TONES[state], state.label, _hint(command, state), ICONS.get(state, ""))


def _hint(command: Command, state: State) -> str:
    if command.cancel_requested_at and state == State.EXECUTING:
        return "Cancelling was asked for: it stops at its next safe point"
    if overdue(command):
        return "Its worker has not been heard of; the command will be taken back and go on"
    reason = Reason(command.reason).label if command.reason else ""
    if state == State.SUSPENDED and reason:
        return f"Waiting for you. {reason}"
    return reason or MEANINGS[state]


def overdue(command: Command) -> bool:
    """Whether the worker that holds it let its lease run out (REP-21)."""
    return bool(command.lease_until and command.lease_until < timezone.now())


@dataclasses.dataclass(frozen=True)
class Row:
    """One command in a list, with what this person may do with it."""

    command: Command
    title: str
    chip: Chip
    next: str
    url: str
    actions: list[dict[str, Any]]

    @property
    def progress(self) -> "Progress | None":
        """Of one that is under way; what waits for a reason says that reason instead."""
        waits = self.command.state == State.QUEUED and self.command.reason != Reason.SLICE
        return None if waits and self.command.message else progress(self.command)

    @property
    def note(self) -> str:
        """What is to be said of a running command that has no result yet (REP-21)."""
        if overdue(self.command) or self.command.cancel_requested_at:
            return self.chip.hint if self.command.state == State.EXECUTING else ""
        return ""

    @property
    def tick(self) -> str:
        """What its check box selects."""
        return f"command {self.command.id}"

    @property
    def name(self) -> str:
        """For people who hear the page."""
        return f"{self.title} {self.command.id}"

    @property
    def retries(self) -> str:
        return f"{self.command.attempts}/{self.command.max_attempts}"


def row(command: Command, actor: Actor, *, paused: bool = False) -> Row:
    """`paused` says that the whole queue is; the command needs its lane and tenant at hand."""
    return Row(
        command=command,
        title=title(command),
        chip=chip(command),
        next=next_execution(command, paused=paused),
        url=url(command),
        actions=actions(command, actor),
    )


def named(command: Command) -> dict[str, Any]:
    """For other pages that mention it: what it is, how it stands, and where it is told."""
    return {"command": command, "title": title(command), "chip": chip(command), "url": url(command)}


def next_execution(command: Command, *, paused: bool = False) -> str:
    """Next Execution Minutes, knowing also what keeps a whole customer or lane from starting anything."""
    if command.state != State.QUEUED:
        return selectors.next_execution(command)
    tenant = command.tenant
    if paused or (tenant is not None and (tenant.paused_at or not tenant.enabled)):
        return "paused"
    command.not_before = max(command.not_before, command.lane.not_before)
    return selectors.next_execution(command)


def title(command: Command) -> str:
    """Cmd Type, saying so when nothing will be written."""
    return title_of(command.kind) + (" (dry run)" if command.dry_run else "")


def url(command: Command) -> str:
    return (
        f"/tenants/{command.tenant_id}/commands/{command.id}/"
        if command.tenant_id
        else f"/queue/{command.id}/"
    )


def may_cancel(command: Command, actor: Actor) -> bool:
    return (
        command.state in OPEN
        and command.cancel_requested_at is None
        and actor.may(Ability.MANAGE_QUEUE, command.tenant_id)
    )


def may_retry(command: Command, actor: Actor) -> bool:
    """A final one may be repeated by whoever may queue its kind; a suspended one once nothing holds its lane."""
    if not actor.may(Ability.MANAGE_QUEUE, command.tenant_id):
        return False
    if command.state == State.SUSPENDED:
        return not command.lane.suspended_code
    kind = kinds().get(command.kind)
    return command.state in FINAL and kind is not None and actor.may(kind.ability, command.tenant_id)


def retry_word(command: Command) -> str:
    return "Repeat" if command.state == State.SUCCEEDED else "Try again"


def actions(command: Command, actor: Actor) -> list[dict[str, Any]]:
    """For partials/row_menu.html: only what is legal now and allowed."""
    found: list[dict[str, Any]] = [{"label": "Open", "url": url(command), "icon": "list-checks"}]
    if may_retry(command, actor):
        found.append(
            {"label": retry_word(command), "url": f"{url(command)}retry/", "icon": "rotate-cw", "modal": True}
        )
    if may_cancel(command, actor):
        found.append(
            {"label": "Cancel", "url": f"{url(command)}cancel/", "icon": "x", "danger": True, "modal": True}
        )
    return found


# --- Progress -----------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Progress:
    label: str
    done: int | None
    total: int | None
    notes: str
    moving: bool = True


def progress(command: Command) -> Progress | None:
    """How far a command is that runs or stands between two slices; nothing for the others."""
    told: dict[str, Any] = command.progress or {}
    if command.state not in OPEN or not told:
        return None
    return Progress(
        label=str(told.get("label") or "Working"),
        done=_number(told.get("done")),
        total=_number(told.get("total")),
        notes=", ".join(_figures(told)),
        moving=command.state == State.EXECUTING or command.reason == Reason.SLICE,
    )


def _figures(told: Mapping[str, Any]) -> Iterator[str]:
    for name, one, many in (
        ("requests", "request", "requests"),
        ("rows", "row", "rows"),
        ("pages", "page", "pages"),
    ):
        number = _number(told.get(name))
        if number is not None:
            yield f"{number:,} {one if number == 1 else many}"
    waited = told.get("waited")
    if isinstance(waited, (int, float)) and waited >= 1:
        yield f"waited {waited:,.0f} s for Microsoft"


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


# --- What it brought ----------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Brought:
    """The result's figures: a table of things by what became of them, and single facts."""

    heads: list[str]
    rows: list[tuple[str, list[Any]]]
    facts: list[tuple[str, Any]]

    def __bool__(self) -> bool:
        return bool(self.rows or self.facts)


WORDS_OF_RESULTS = {
    "create": "Add",
    "nothing": "Unchanged",
    "waited": "Waited for Microsoft, seconds",
    "mode": "Read in",
    "full": "full",
    "delta": "deltas: only what changed",
}


PLANNED = {"added": "Add", "changed": "Change", "removed": "Remove"}


def brought(command: Command) -> Brought:
    """Result counts, whatever the kind calls them; of a dry run it is the plan: add, change, remove."""
    result: dict[str, Any] = command.result or {}
    tables = {name: value for name, value in result.items() if isinstance(value, dict) and value}
    columns = list(dict.fromkeys(key for value in tables.values() for key in value))
    return Brought(
        heads=[PLANNED.get(key, _words(key)) if command.dry_run else _words(key) for key in columns],
        rows=[(_words(name), [_plain(value.get(key)) for key in columns]) for name, value in tables.items()],
        facts=[
            (_words(name), _plain(value))
            for name, value in result.items()
            if not isinstance(value, dict) and value not in (None, "", [])
        ],
    )


def _words(name: str) -> str:
    return WORDS_OF_RESULTS.get(name) or name.replace("_", " ").capitalize()


def _plain(value: object) -> object:
    """A figure or a fact as people read it."""
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, (int, float)):
        return f"{value:,}"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return WORDS_OF_RESULTS.get(value, value) if isinstance(value, str) else value


# --- Plans --------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Planned:
    """A command's plan, and what this person may do about it."""

    plan: RemovalPlan
    url: str
    awaited: bool
    may_approve: bool

    @property
    def sums(self) -> str:
        """How many of how many: "80 of 120 users and 2 of 9 groups"."""
        return " and ".join(
            f"{each['remove']:,} of {each['have']:,} {each['label'].lower()}"
            for each in self.plan.figures
            if each["remove"]
        )


def planned(command: Command, plan: RemovalPlan, actor: Actor) -> Planned:
    awaited = plans.awaited(command)
    may = awaited and not command.lane.suspended_code and actor.may(Ability.APPROVE_PLAN, command.tenant_id)
    return Planned(plan, f"{url(command)}plan/", awaited, may)


# --- Errors -------------------------------------------------------------------------------------------------
def who(code: str, actor: Actor, provider: str) -> str:
    """Who can fix it, from the reader's side."""
    try:
        found = Who(code)
    except ValueError:
        return ""
    if actor.is_provider:
        return WHO_IN_WORDS[found]
    return {
        Who.CUSTOMER_ADMIN: "you, or another administrator of your organisation",
        Who.PROVIDER: f"your service provider ({provider})",
    }.get(found, WHO_IN_WORDS[found])


def detail(given: Mapping[str, Any], actor: Actor) -> dict[str, str]:
    """Raw facts with readable names. What is about the portal's own machines is for the provider only."""
    return {
        DETAIL_WORDS.get(name, _words(name)): str(value)
        for name, value in given.items()
        if value not in ("", None) and (actor.is_provider or name not in OURS)
    }


def error_box(command: Command, actor: Actor, provider: str) -> dict[str, Any] | None:
    """For partials/error_box.html: what happened, what to do, who can, where, and Microsoft's own codes."""
    error: dict[str, Any] = command.error or {}
    if not error or command.state == State.SUCCEEDED:
        return None
    code = str(error.get("code", ""))
    box = {
        "message": error.get("message", command.message),
        "advice": error.get("advice", ""),
        "who": who(str(error.get("who", "")), actor, provider),
        "code": code,
        "detail": detail(error.get("detail") or {}, actor),
        "tone": "bad" if command.state == State.FAILED else "warn",
    }
    return box | _way_out(error, command.tenant_id, actor)


def _way_out(error: Mapping[str, Any], tenant_id: uuid.UUID | None, actor: Actor) -> dict[str, str]:
    if error.get("scope") != "connection" or not tenant_id:
        return {}
    if error.get("code") == UNCONFIRMED:
        may = actor.may(Ability.MANAGE_CONNECTION, tenant_id)
        address = f"/tenants/{tenant_id}/organization/"
        return {"action_url": address, "action_label": "Compare and confirm"} if may else {}
    label = "Mend the connection" if actor.may(Ability.MANAGE_CONNECTION, tenant_id) else "See the connection"
    return {"action_url": f"/tenants/{tenant_id}/connection/", "action_label": label}


def step_detail(given: Mapping[str, Any], actor: Actor) -> dict[str, str]:
    """A step's details; those of an error lie one level deeper, beside words that the sentence says already."""
    inner = given.get("detail")
    if isinstance(inner, Mapping):
        return {"Code": str(given.get("code", ""))} | detail(inner, actor)
    return detail(
        {name: value for name, value in given.items() if not isinstance(value, (dict, list))}, actor
    )


def pace(found: Pace) -> dict[str, Any]:
    """`watch.Pace` for the page, where nothing is said in colour alone."""
    held = [f"{found.held:,} of your customers held"] if found.held else []
    asleep = [f"{found.asleep:,} asked by Microsoft to wait"] if found.asleep else []
    return {
        "half": _seconds(found.half),
        "most": _seconds(found.most),
        "of": f"of {found.ended:,} that ended in 10 minutes"
        if found.ended
        else "nothing ended in 10 minutes",
        "workers": found.workers,
        "customers": ", ".join(held + asleep) or "no customer is held",
    }


def _seconds(value: float | None) -> str | None:
    if value is None:
        return None
    value = max(0.0, value)
    if value < 1:
        return f"{value * 1000:.0f} ms"
    return f"{value:.1f} s" if value < 100 else f"{value / 60:,.0f} min"


def broken_lines(actor: Actor, provider: str, tenant: Tenant | None = None) -> list[dict[str, Any]]:
    """A box for each thing that is broken for many customers at once, and holds their work."""
    return [
        {
            "message": breaker.problem.get("message", ""),
            "advice": f"{breaker.problem.get('advice', '')} Work waits since {breaker.opened_at:%d %b, %H:%M} UTC "
            "and goes on by itself: the portal asks again every few minutes. No customer is at fault.",
            "who": who(str(breaker.problem.get("who", "")), actor, provider),
            "code": breaker.problem.get("code", ""),
            "detail": detail(breaker.problem.get("detail") or {}, actor) if actor.is_provider else {},
            "tone": "bad",
        }
        for breaker in open_breakers(tenant)
    ]


def held(lane: Lane, actor: Actor, provider: str) -> dict[str, Any] | None:
    """What holds a customer's data lane, as a box; nothing when it is free."""
    if not lane.suspended_code or not lane.tenant_id:
        return None
    known = lane.suspended_code if lane.suspended_code in CATALOGUE else "connection_unverified"
    error = UmpError.of(known)
    way = _way_out({"scope": "connection", "code": known}, lane.tenant_id, actor)
    box = {
        "message": error.message,
        "advice": f"{error.advice} Commands wait meanwhile; nothing is lost.",
        "who": who(error.who, actor, provider),
        "code": error.code,
        "tone": "warn",
    }
    return box | way
