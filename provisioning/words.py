"""Changes, plans and lines as people read them: states, values, figures, and when something will happen."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from django.utils import timezone

from core.errors import InvalidInput
from provisioning.aspects import Value, aspect_of
from provisioning.models import Act, Change, ChangeState, Line, LineState, Plan, PlanState
from replication import words as queue_words
from replication.models import Command
from replication.words import Chip
from tenants.access import Actor

CHANGES = {
    ChangeState.PENDING: Chip("info", "Waiting", "It is written when the wait is over", "clock"),
    ChangeState.APPLYING: Chip("busy", "Being applied", "A worker writes it to Microsoft 365 now"),
    ChangeState.APPLIED: Chip("ok", "Applied", "Written, and looked for at Microsoft afterwards"),
    ChangeState.FAILED: Chip("bad", "Not applied", "It was not written; the reason stands beside it"),
    ChangeState.SUPERSEDED: Chip("neutral", "Replaced", "A newer change took its place"),
    ChangeState.WITHDRAWN: Chip("neutral", "Withdrawn", "Taken back before it was written"),
}
LEFT_WAITING = Chip("warn", "Waits for you", "Nothing is going to write it by itself: see Changes", "clock")
PLANS = {
    PlanState.DRAWING: Chip(
        "busy", "Being drawn", "The changes are compared with Microsoft; nothing is written"
    ),
    PlanState.READY: Chip(
        "info", "Ready to look at", "Nothing is written until somebody applies it", "clock"
    ),
    PlanState.APPLYING: Chip("busy", "Being applied", "A worker writes it to Microsoft 365 now"),
    PlanState.APPLIED: Chip("ok", "Applied", "Everything was written and seen at Microsoft"),
    PlanState.PARTIAL: Chip(
        "warn", "Applied in part", "Some lines failed, or have not been seen at Microsoft"
    ),
    PlanState.STALE: Chip(
        "neutral", "Out of date", "It was replaced or is not true any more; it is never applied"
    ),
}
LINES = {
    LineState.PLANNED: Chip("info", "Planned", "Not written yet", "clock"),
    LineState.BLOCKED: Chip("bad", "Not possible", "It is left out; the reason stands beside it", "ban"),
    LineState.SENT: Chip("busy", "Sent", "It was sent; what Microsoft made of it is read back"),
    LineState.ACCEPTED: Chip(
        "busy", "Accepted, not yet seen", "Microsoft took it; it is not to be seen there yet"
    ),
    LineState.DONE: Chip("ok", "Done", "Written, and seen at Microsoft afterwards"),
    LineState.FAILED: Chip("bad", "Failed", "It was not written; the reason stands beside it"),
    LineState.SKIPPED: Chip("neutral", "Left out", "A newer change took its place"),
    LineState.UNSEEN: Chip("warn", "Accepted, never seen", "Microsoft took it, but does not show it"),
}
FATES = {
    "left": Chip(
        "neutral", "Stays as it is", "It was changed again since; the undo leaves it alone", "equal"
    ),
    "refused": Chip("bad", "Not possible", "It cannot be taken back; the reason stands beside it", "ban"),
    "same": Chip("neutral", "Back already", "By the portal's copy it is as it was before"),
    "back": Chip("ok", "Taken back", "It gets the value back that it had before"),
}
"""What an undo makes of a line; what needs a look first."""
ACTS = {
    Act.GIVE: ("ok", "plus"),
    Act.CHANGE: ("info", "pencil"),
    Act.TAKE: ("warn", "minus"),
    Act.NOTHING: ("neutral", "equal"),
}
FIGURES = (
    ("give", "to add"),
    ("change", "to change"),
    ("take", "to remove"),
    ("nothing", "with nothing to do"),
    ("blocked", "not possible"),
)
ENDS = (
    ("written", "written"),
    ("unseen", "accepted, never seen"),
    ("failed", "failed"),
    ("replaced", "left out"),
)
Groups = Mapping[str, str]
"""`member:<id>` or `route:<site>:<number>`, and how it is called (provisioning.aspects.groups_named)."""


def title(aspect: str, groups: Groups) -> str:
    """What a change is about. An aspect that this version does not know is said as it stands."""
    if aspect in groups:
        return groups[aspect]
    try:
        return aspect_of(aspect).title(aspect)
    except (InvalidInput, KeyError):
        return aspect


def value(aspect: str, given: Value) -> str:
    try:
        return aspect_of(aspect).words(given)
    except (InvalidInput, KeyError, TypeError, ValueError):
        return "" if given is None else str(given)


def act_chip(line: Line) -> Chip:
    tone, icon = ACTS[Act(line.act)]
    return Chip(tone, Act(line.act).label, "", icon)


def problem(stored: Mapping[str, Any] | None) -> str:
    """What went wrong and what to do, of an error that was written down."""
    return f"{stored.get('message', '')} {stored.get('advice', '')}".strip() if stored else ""


def soon(command: Command | None) -> str:
    """When the changes that wait are written, to the second while one looks at it (REP-07)."""
    if command is None:
        return ""
    left = int((command.not_before - timezone.now()).total_seconds())
    if left <= 0:
        return "now"
    return f"in {left // 60} min {left % 60:02d} s" if left >= 60 else f"in {left} s"


# --- Rows ---------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class ChangeRow:
    """A wish in a list."""

    change: Change
    what: str
    before: str
    wanted: str
    chip: Chip

    @property
    def why(self) -> str:
        return problem(self.change.problem) if self.change.state == ChangeState.FAILED else ""

    @property
    def name(self) -> str:
        """For people who hear the page."""
        return f"{self.what} of {self.change.subject_name}"


def change_rows(changes: Iterable[Change], groups: Groups, *, left_waiting: bool = False) -> list[ChangeRow]:
    """`left_waiting`: nothing is going to write what waits (selectors.left_waiting)."""
    chips = CHANGES | ({ChangeState.PENDING: LEFT_WAITING} if left_waiting else {})
    return [
        ChangeRow(
            change=one,
            what=title(one.aspect, groups),
            before=value(one.aspect, one.before),
            wanted=value(one.aspect, one.wanted),
            chip=chips[ChangeState(one.state)],
        )
        for one in changes
    ]


@dataclasses.dataclass(frozen=True)
class LineRow:
    """A line of a plan, or of what was written."""

    line: Line
    what: str
    before: str
    after: str
    act: Chip
    chip: Chip
    detail: dict[str, str]

    @property
    def why_not(self) -> str:
        return problem(self.line.problem)


def line_rows(lines: Iterable[Line], groups: Groups, actor: Actor) -> list[LineRow]:
    return [
        LineRow(
            line=one,
            what=title(one.aspect, groups),
            before=value(one.aspect, one.before),
            after=value(one.aspect, one.after),
            act=act_chip(one),
            chip=LINES[LineState(one.state)],
            detail=_detail(one, actor),
        )
        for one in lines
    ]


def _detail(line: Line, actor: Actor) -> dict[str, str]:
    """Raw facts, for the provider: what Microsoft's support asks for."""
    if not actor.is_provider:
        return {}
    told: dict[str, object] = {
        "request_id": line.request_id,
        "Order": line.operation,
        "Sent": f"{line.sends} times" if line.sends > 1 else "",
        "Code": (line.problem or {}).get("code", ""),
    }
    return queue_words.detail(told | dict((line.problem or {}).get("detail") or {}), actor)


def figures(plan: Plan) -> list[tuple[str, int]]:
    """How many lines of which kind, the drawn ones first; what is not there is left out."""
    return [(word, int(plan.figures[name])) for name, word in FIGURES + ENDS if plan.figures.get(name)]


def sentence(plan: Plan) -> str:
    return ", ".join(f"{number:,} {word}" for word, number in figures(plan)) or "nothing to do"
