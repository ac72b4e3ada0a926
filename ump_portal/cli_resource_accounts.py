"""`ump resource-accounts`: attendants and queues, described in a file, seen as a plan, built, and taken back."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ump_portal.cli_follow import ended
from ump_portal.cli_tenant import Add, Answer, Find, Who, actions

if TYPE_CHECKING:
    from m365.resource_account_plan import Step
    from replication.models import Command
    from resource_accounts.models import Design
    from tenants.access import Actor
    from tenants.models import Tenant

MOST_BYTES = 100_000
DESIGN = ("design", "id, name or account")
FIELDS = {"type": "kind", "name": "name", "account": "upn", "number": "number", "settings": "spec"}
"""What a file may say, as in the REST API, and what the service calls it."""


def arguments(add: Add, commands: Any, who: Who, find: Find) -> None:
    """Add the subcommands; `who` acts, and `find` opens the scope of the customer that somebody named."""
    one = actions(add, commands, "resource-accounts", "attendants and queues", who, find)
    one("list", _list, "designs, and the accounts that Microsoft lists")
    given = one("add", _add, "a new design from a file; nothing at Microsoft changes")
    given.add_argument("file", help="JSON as the REST API takes it; - for standard input")
    one("delete", _delete, "forget a design of which nothing is at Microsoft", DESIGN)
    one("look", _look, "have a worker read what Teams has; nothing is written", DESIGN)
    for name, act, what in (
        ("build", _build, "what building it would do; with --plan, do it"),
        ("remove", _remove, "what would be taken away; with --plan, take it away"),
    ):
        one(name, act, what, DESIGN).add_argument(
            "--plan", default="", help="carry out the plan of this fingerprint"
        )
    script = one("script", _script, "print a script for a person", DESIGN)
    script.add_argument("which", choices=["ready", "remove", "verify"])
    one("verify", _verify, "read the Verify script's line from standard input", DESIGN)


def _list(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import selectors  # noqa: PLC0415  Django first

    designs = [_described(row) for row in selectors.designs(tenant)]
    rows = list(selectors.accounts(tenant).order_by("search", "object_id"))
    accounts = [
        {"account": each.row.user_principal_name, "name": each.name, "number": each.row.number}
        for each in selectors.with_names(tenant, rows)
    ]
    lines = [f"{row['name']}: {row['type']}, {row['account']}, {row['state']}" for row in designs]
    lines += [f"At Microsoft: {row['account']}  {row['number']}".rstrip() for row in accounts]
    empty = "There is no design yet. Describe one in a file, and add it: ump resource-accounts add"
    return {"designs": designs, "accounts": accounts}, "\n".join(lines or [empty])


def _add(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import services  # noqa: PLC0415  Django first
    from resource_accounts.models import Kind  # noqa: PLC0415  as above

    given = _content(options.file)
    if given.get("type") not in Kind.values:
        raise _bad("type", f"it is none of {', '.join(Kind.values)}")
    design = services.add(actor, tenant, **{FIELDS[name]: value for name, value in given.items()})
    document = _described(design)
    return document, f"{design.name} is kept; see what building it does: ump resource-accounts build"


def _content(file: str) -> dict[str, Any]:
    """Raises InvalidInput."""
    try:
        if file == "-":
            text = sys.stdin.read(MOST_BYTES)
        else:
            with Path(file).open(encoding="utf-8") as opened:
                text = opened.read(MOST_BYTES)
        given = json.loads(text)
    except (OSError, ValueError) as error:
        raise _bad("file", f"it cannot be read: {error}") from error
    if not isinstance(given, dict):
        raise _bad("file", "it holds no JSON object")
    for name, value in given.items():
        texts = value.values() if name == "settings" and isinstance(value, dict) else [value]
        if name not in FIELDS or not all(isinstance(each, str) for each in texts):
            raise _bad(name, f"a file says {', '.join(FIELDS)}, all as text; settings by their names")
    return given


def _bad(field: str, why: str) -> Exception:
    from core.errors import InvalidInput  # noqa: PLC0415  Django first

    return InvalidInput(field=field, why=why)


def _delete(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import services  # noqa: PLC0415  Django first

    design = _design(options, tenant)
    services.delete(actor, design)
    return {"deleted": str(design.uid)}, f"{design.name} is forgotten."


def _look(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import services  # noqa: PLC0415  Django first

    design = _design(options, tenant)
    ended(services.look(actor, design))
    return _build(argparse.Namespace(**{**vars(options), "plan": ""}), actor, tenant)


def _build(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import selectors, services  # noqa: PLC0415  Django first

    design = _design(options, tenant)
    if options.plan:
        return _done(design, services.build(actor, design, options.plan))
    return _plan(options, "build", design, selectors.to_build(design))


def _remove(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import selectors, services  # noqa: PLC0415  Django first

    design = _design(options, tenant)
    if options.plan:
        return _done(design, services.remove(actor, design, options.plan))
    return _plan(options, "remove", design, selectors.to_remove(design))


def _script(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import services  # noqa: PLC0415  Django first
    from resource_accounts.selectors import BUILD, REMOVE  # noqa: PLC0415  as above

    design = _design(options, tenant)
    if options.which == "verify":
        text = services.verify_script(design)
    else:
        text = services.ready_script(design, REMOVE if options.which == "remove" else BUILD)
    return {"script": text}, text


def _verify(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from resource_accounts import services  # noqa: PLC0415  Django first

    found = services.verify(actor, _design(options, tenant), sys.stdin.read())
    said = "It is built." if found.by_hand else "What is left to do: ump resource-accounts build"
    return _described(found), said


def _design(options: argparse.Namespace, tenant: "Tenant") -> "Design":
    """Raises NotFound, also where the name is that of an attendant and of a queue."""
    from core.errors import NotFound  # noqa: PLC0415  Django first
    from resource_accounts import selectors  # noqa: PLC0415  as above

    wanted = options.design.lower()
    rows = selectors.designs(tenant).select_related("tenant")
    found = [row for row in rows if wanted in {str(row.uid), row.name.lower(), row.upn.lower()}]
    if len(found) != 1:
        raise NotFound(thing=f"design called {options.design!r}")
    return found[0]


def _described(design: "Design") -> dict[str, Any]:
    return {
        "id": str(design.uid),
        "type": design.get_kind_display(),
        "name": design.name,
        "account": design.upn,
        "number": design.number,
        "state": design.get_state_display(),
        "by_hand": design.by_hand,
        "checked_at": design.checked_at,
        "problem": design.problem,
    }


def _plan(options: argparse.Namespace, act: str, design: "Design", steps: Sequence["Step"]) -> Answer:
    from m365 import resource_account_plan as planning  # noqa: PLC0415  Django first

    plan = planning.fingerprint(steps)
    listed = [
        {
            "action": step.action.value,
            "part": step.part.value,
            "name": step.name,
            "why": step.why,
            "before": dict(step.before),
            "after": dict(step.after),
        }
        for step in steps
    ]
    lines = [f"  {step.action.value:<8} {step}: {step.why}" for step in steps] or ["  nothing"]
    if planning.writing(steps) and not planning.blocked(steps):
        lines.append(
            f"To carry it out: ump resource-accounts {act} '{options.tenant}' {design.uid} --plan {plan}"
        )
    document = {"design": str(design.uid), "plan": plan, "checked_at": design.checked_at, "steps": listed}
    return document, "\n".join([f"{design.name}, {act}:", *lines])


def _done(design: "Design", command: "Command") -> Answer:
    command = ended(command)
    design.refresh_from_db()
    return _described(design) | {"command": command.id}, command.message
