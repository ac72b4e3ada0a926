"""`ump queue` and `ump command`: the background queue, and one command of it, a customer's or the provider's."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ump_portal.cli_tenant import Add, Answer, Who

if TYPE_CHECKING:
    from replication.models import Command
    from tenants.abilities import Ability
    from tenants.access import Actor


def arguments(add: Add, commands: Any, who: Who) -> None:
    """Add the subcommands; `who` acts."""
    queue = add(commands, "queue", lambda options: _queue(options, who()), "the background queue")
    queue.add_argument("--state", default="open", help="open (default), queued, failed, ... or '' for all")
    queue.add_argument("--limit", type=int, default=50)

    listed = commands.add_parser("command", help="one command").add_subparsers(
        required=True, metavar="ACTION"
    )

    def one(name: str, act: Callable[[int, "Actor"], Answer], what: str) -> None:
        added = add(listed, name, lambda options: act(options.number, who()), what)
        added.add_argument("number", type=int, help="as `ump queue` lists it")

    one("show", _show, "what became of it, and its history")
    one("cancel", _cancel, "stop it: at once while it waits, at its next safe point while it runs")
    one("retry", _retry, "let it go on, or repeat one that has ended")


def document(command: "Command") -> dict[str, Any]:
    """For programs."""
    from replication.registry import title_of  # noqa: PLC0415  Django first

    return {
        "id": command.id,
        "customer": command.tenant.name if command.tenant else "",
        "kind": title_of(command.kind),
        "state": command.get_state_display(),
        "retries": f"{command.attempts}/{command.max_attempts}",
        "message": command.message,
        "error": command.error,
        "result": command.result,
    }


def _queue(options: argparse.Namespace, actor: "Actor") -> Answer:
    from replication import selectors  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first
    from tenants.access import tenants_for  # noqa: PLC0415  Django first

    tenants_for(actor, needs=Ability.VIEW_QUEUE)
    rows = [document(row) for row in selectors.commands(state=options.state)[: options.limit]]
    counts = selectors.counters()
    head = f"Open Commands: {counts['open']}, Executing: {counts['executing']}, Queued: {counts['queued']}"
    lines = [
        f"{row['id']:>8}  {row['customer']:<30} {row['kind']:<20} {row['state']:<10} "
        f"{row['retries']:<6} {row['message']}"
        for row in rows
    ]
    return {"counters": counts, "commands": rows}, "\n".join([head, *lines])


def _show(number: int, actor: "Actor") -> Answer:
    from replication import selectors  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first

    found = _found(number, actor, Ability.VIEW_QUEUE)
    lines = [f"{step.at:%Y-%m-%d %H:%M:%S}  {step.text}" for step in selectors.steps(found)]
    return document(found) | {"history": lines}, "\n".join([*lines, _said(found)])


def _cancel(number: int, actor: "Actor") -> Answer:
    from replication import selectors, services  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first

    found = _found(number, actor, Ability.MANAGE_QUEUE)
    services.cancel(actor, found)
    found = selectors.command(found.tenant, number)
    return document(found), _said(found)


def _retry(number: int, actor: "Actor") -> Answer:
    from replication import services  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  Django first

    again = services.retry(actor, _found(number, actor, Ability.MANAGE_QUEUE))
    return document(again), _said(again)


def _found(number: int, actor: "Actor", needs: "Ability") -> "Command":
    """With the scope of its customer open, if it has one. Raises NotFound and Forbidden."""
    from core.errors import NotFound  # noqa: PLC0415  Django first
    from replication import selectors  # noqa: PLC0415  Django first
    from tenants.access import tenant_for, tenants_for  # noqa: PLC0415  Django first

    tenants_for(actor, needs=needs)
    found = selectors.commands().filter(id=number).first()
    if found is None:
        raise NotFound(thing=f"command {number}")
    tenant = tenant_for(actor, found.tenant_id, needs=needs) if found.tenant_id else None
    return selectors.command(tenant, number)


def _said(command: "Command") -> str:
    return f"Command {command.id}, {command.get_state_display()}: {command.message or 'no result yet'}"
