"""What a run tells people: a line while it goes on, a sentence at its end."""

from collections.abc import Mapping
from typing import Any

from directory.models import Mode, Stream
from directory.sync import notes, streams
from directory.sync.progress import Run, Tally
from directory.sync.staging import Count
from replication.context import Done

WORDS = {
    Stream.USERS.value: ("user", "users"),
    Stream.GROUPS.value: ("group", "groups"),
    "members": ("membership", "memberships"),
}


def label(run: Run) -> str:
    """What is being done, in words."""
    if not any(part.full for part in run.parts.values()):
        return "Reading what changed at Microsoft"
    users, groups = run.users, run.groups
    parts = []
    if users.full and not users.done:
        parts.append(f"users {_of(users.count.read, users.total)}")
    if groups.full and not groups.done:
        parts.append(f"groups {_of(groups.count.read, groups.total)}")
    if groups.full:
        parts.append(f"members of {_of(run.groups_read, groups.total)} groups")
    reading = "Comparing" if run.proof else "Reading"
    return f"{reading} {', '.join(parts)}" if parts else "Bringing the copy in line"


def progress(run: Run, tally: Tally) -> dict[str, Any]:
    """For the progress bar: `done` of `total` steps (none while unknown), and what it took."""
    parts = [part for part in run.parts.values() if part.full]
    known = all(part.total is not None for part in parts)
    done = sum(part.count.read for part in parts) + (run.groups_read if run.groups.full else 0)
    total = sum(part.total or 0 for part in parts) + ((run.groups.total or 0) if run.groups.full else 0)
    return {
        "label": label(run),
        "done": done,
        "total": max(total, done) if parts and known else None,
        "pages": sum(part.pages for part in run.parts.values()),
        "rows": sum(part.count.read for part in run.parts.values()) + run.members.read,
        "requests": tally.requests,
        "waited": round(tally.waited, 1),
        "mode": mode(run),
    }


def mode(run: Run) -> str:
    return Mode.FULL if any(part.full for part in run.parts.values()) else Mode.DELTA


def counts(run: Run) -> dict[str, Count]:
    return {**{stream: part.count for stream, part in run.parts.items()}, "members": run.members}


def done(run: Run, tally: Tally, *, dry_run: bool) -> Done:
    """The end: a sentence for people, and the figures for those who want them."""
    whys = sorted({part.why for part in run.parts.values() if part.full})
    figures = {
        "mode": mode(run),
        "why": [streams.WHY[why] for why in whys],
        "requests": tally.requests,
        "waited": round(tally.waited, 1),
        **{name: vars(count).copy() for name, count in counts(run).items()},
        "licences": vars(run.licences).copy(),
    }
    message = _sentence(run, whys, dry_run=dry_run)
    if run.licences_error:
        message += f" Licences could not be read: {run.licences_error['message']}"
    return Done(message, _outcome(run), figures)


def _outcome(run: Run) -> str:
    if run.licences_error:
        return "partial"
    return "unchanged" if _without_news(run) and not run.licences.differences else "complete"


def _without_news(run: Run) -> bool:
    return mode(run) == Mode.DELTA and not any(count.read for count in counts(run).values())


def _sentence(run: Run, whys: list[str], *, dry_run: bool) -> str:
    total = Count()
    for count in counts(run).values():
        total.add(count)
    if run.proof:
        found = f"{_number(total.differences)} differences were found and mended"
        found = {0: "no difference was found", 1: "1 difference was found and mended"}.get(
            total.differences, found
        )
        return f"Everything was compared: {_read(run)} read, and {found}."
    if _without_news(run):
        return "Nothing has changed at Microsoft since the last time."
    reason = f" Read in full because {streams.WHY[whys[0]]}." if whys and whys[0] != streams.FIRST else ""
    would = "would be " if dry_run else ""
    return (
        f"{_read(run)} read; {_number(total.added)} {would}added, {_number(total.changed)} {would}changed,"
        f" {_number(total.removed)} {would}removed.{reason}{' Nothing was written.' if dry_run else ''}"
    )


def _read(run: Run) -> str:
    users, groups, members = (
        f"{_number(count.read)} {WORDS[name][count.read != 1]}" for name, count in counts(run).items()
    )
    return f"{users}, {groups} and {members}"


def _of(count: int, total: int | None) -> str:
    return f"{_number(count)} of {_number(max(total, count))}" if total is not None else _number(count)


def _number(value: int) -> str:
    return f"{value:,}"


def planned(found: Mapping[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """Figures of a plan, from (objects that would go, objects in the copy) of each stream."""
    return [
        {"noun": notes.NOUNS[stream][0], "label": notes.NOUNS[stream][1], "remove": gone, "have": have}
        for stream, (gone, have) in found.items()
    ]


def why_planned(new: int) -> str:
    """Why these objects would go; `new` of them were not in the plan that was confirmed."""
    text = (
        "A full read of the customer's Microsoft 365 came to its end, and Microsoft did not list these objects "
        "any more. They were deleted there, or the app registration may not see them any longer."
    )
    if not new:
        return text
    others = "1 of them is" if new == 1 else f"{_number(new)} of them are"
    return f"{text} {others} new since the last plan was confirmed, so it is asked again."
