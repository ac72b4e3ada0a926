"""`ump changes`: ask for changes of users from a file, see what would be written for them, apply it, take it back."""

import argparse
import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ump_portal.cli_follow import ended
from ump_portal.cli_tenant import Add, Answer, Find, Who, actions

if TYPE_CHECKING:
    from provisioning.models import Line, Plan
    from provisioning.services import Asked
    from tenants.access import Actor
    from tenants.models import Tenant

FEATURE = "user_changes"


def arguments(add: Add, commands: Any, who: Who, find: Find) -> None:
    """Add the subcommands; `who` acts, and `find` opens the scope of the customer that somebody named."""
    one = actions(add, commands, "changes", "changes of users", who, find)
    ask = one("ask", _ask, "ask for the changes of a CSV file; nothing of it where a line is wrong")
    ask.add_argument("file", help="in the form of the template; - for standard input")
    ask.add_argument(
        "--keep-right", action="store_true", help="ask for the right lines though others are wrong"
    )
    show = one("show", _show, "what waits, or the lines of a plan")
    show.add_argument("--plan", type=uuid.UUID, metavar="ID", help="of this plan")
    plan = one("plan", _draw, "dry run: say what would be written where, and write nothing")
    for listing in (show, plan):
        listing.add_argument("--limit", type=int, default=50, help="so many lines (50)")
    apply = one("apply", _apply, "carry out a plan that you looked at, until it has ended")
    apply.add_argument("plan", type=uuid.UUID, help="its id")
    apply.add_argument("fingerprint", help="as the plan was shown with")
    one("undo", _undo, "ask for the inverse of what a plan wrote").add_argument(
        "plan", type=uuid.UUID, help="its id"
    )


def _ask(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from core.errors import InvalidInput  # noqa: PLC0415  Django first
    from provisioning import sheet  # noqa: PLC0415  as above
    from tenants import offers, sheets  # noqa: PLC0415  as above

    offers.require(tenant, FEATURE)
    found = sheet.read(tenant, sheets.text_of(_content(options.file)), by=actor)
    wrong = [
        {"line": row.line, "user": row.user, "column": column, "problem": why, "advice": advice}
        for row in found.wrong
        for column, error in row.trouble
        for why, advice in [sheet.explained(error)]
    ]
    for each in wrong:
        where = f"line {each['line']}, {each['column'] or 'the line'} ({each['user'] or 'no user'})"
        sys.stderr.write(f"{where}: {each['problem']} {each['advice']}\n")
    if wrong and not options.keep_right:
        why = f"{len(found.wrong):,} lines are wrong, so nothing was asked for; --keep-right asks for the others"
        raise InvalidInput(field="file", why=why)
    asked = sheet.ask(actor, tenant, found, title=Path(options.file).name if options.file != "-" else "")
    document = _asked(asked) | {"as_it_is": found.same, "wrong": wrong}
    lines = [f"{document['kept']:,} changes wait; {found.same:,} lines say what is there already."]
    return document, "\n".join([*lines, *_refused(asked)])


def _content(file: str) -> bytes:
    """Raises InvalidInput (file)."""
    from tenants import sheets  # noqa: PLC0415  Django first

    try:
        if file == "-":
            return sys.stdin.buffer.read(sheets.MOST_BYTES + 1)
        with Path(file).open("rb") as opened:
            return opened.read(sheets.MOST_BYTES + 1)
    except OSError as error:
        raise sheets.bad(f"it cannot be read: {error.strerror}") from error


def _asked(asked: "Asked") -> dict[str, Any]:
    return {
        "kept": len(asked.kept) if asked.edit else 0,
        "refused": _refused(asked),
        "command": asked.command.id if asked.command else None,
    }


def _refused(asked: "Asked") -> list[str]:
    return [
        f"{each.name}: {each.problem.message} {each.problem.advice}" for each in asked.refused if each.problem
    ]


def _show(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from provisioning import selectors, words  # noqa: PLC0415  Django first

    if options.plan:
        return _told(selectors.plan(tenant, options.plan), tenant, options.limit)
    counts = selectors.counts(tenant)
    rows = list(selectors.changes(tenant)[: options.limit])
    listed = [
        {
            "id": row.change.id,
            "user": row.change.subject_name,
            "what": row.what,
            "before": row.before,
            "wanted": row.wanted,
            "state": row.chip.word,
            "why": row.why,
        }
        for row in words.change_rows(rows, selectors.groups_of(tenant, rows))
    ]
    head = f"Waiting: {counts['pending']:,}, being applied: {counts['applying']:,}, not applied: {counts['failed']:,}"
    columns = ("id", "user", "what", "before", "wanted", "state", "why")
    return {"counts": counts, "changes": listed}, "\n".join([head, *table(columns, listed)])


def _draw(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from provisioning import selectors, services  # noqa: PLC0415  Django first
    from tenants import offers  # noqa: PLC0415  as above

    offers.require(tenant, FEATURE)
    command = ended(services.draw(actor, tenant))
    return _told(selectors.plan(tenant, uuid.UUID(command.result["plan"])), tenant, options.limit)


def _apply(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from provisioning import selectors, services  # noqa: PLC0415  Django first
    from tenants import offers  # noqa: PLC0415  as above

    offers.require(tenant, FEATURE)
    plan = selectors.plan(tenant, options.plan)
    command = ended(services.apply(actor, tenant, plan, options.fingerprint))
    document = {"command": command.id, "outcome": command.outcome, "result": command.result}
    return document | {"message": command.message}, f"{command.get_state_display()}: {command.message}"


def _undo(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from provisioning import selectors, services  # noqa: PLC0415  Django first
    from tenants import offers  # noqa: PLC0415  as above

    offers.require(tenant, FEATURE)
    asked, left = services.undo(actor, tenant, selectors.plan(tenant, options.plan))
    stays = [f"{line.subject_name}: stays as it is, since somebody changed it" for line in left]
    document = _asked(asked) | {"left": len(left)}
    return document, "\n".join([f"{document['kept']:,} changes wait.", *_refused(asked), *stays])


def _told(plan: "Plan", tenant: "Tenant", limit: int) -> Answer:
    from provisioning import selectors, words  # noqa: PLC0415  Django first
    from provisioning.models import PlanState  # noqa: PLC0415  as above

    rows: Sequence[Line] = list(selectors.lines(plan)[:limit])
    groups = selectors.groups_of(tenant, rows)
    listed = [
        {
            "user": line.subject_name,
            "what": words.title(line.aspect, groups),
            "act": line.get_act_display(),
            "before": words.value(line.aspect, line.before),
            "after": words.value(line.aspect, line.after),
            "where": line.where,
            "state": line.get_state_display(),
            "why": words.problem(line.problem) or line.why,
        }
        for line in rows
    ]
    document = {
        "plan": str(plan.uid),
        "state": plan.state,
        "figures": plan.figures,
        "fingerprint": plan.digest,
        "lines": listed,
    }
    shown = [f"Plan {plan.uid}, {words.PLANS[PlanState(plan.state)].word}: {words.sentence(plan)}"]
    shown += table(("user", "what", "act", "before", "after", "where", "state", "why"), listed)
    if plan.state == PlanState.READY:
        shown.append(f"To carry it out: ump changes apply '{tenant.name}' {plan.uid} {plan.digest}")
    return document, "\n".join(shown)


def table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> list[str]:
    """As wide as its longest values; without rows, nothing."""
    if not rows:
        return []
    named = [{name: name.capitalize() for name in columns}, *rows]
    widths = {name: max(len(str(row[name])) for row in named) for name in columns}
    return ["  ".join(f"{row[name]!s:<{widths[name]}}" for name in columns).rstrip() for row in named]
