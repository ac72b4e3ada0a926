"""`ump templates`: what members of groups get by themselves, what one would ask for now, on and off."""

import argparse
import dataclasses
from typing import TYPE_CHECKING, Any

from ump_portal.cli_changes import table
from ump_portal.cli_tenant import Add, Answer, Find, Who, actions

if TYPE_CHECKING:
    from tenants.access import Actor
    from tenants.models import Tenant
    from user_templates.models import UserTemplate

TEMPLATE = ("template", "id or name")
SHOWN = ("name", "order", "state", "members of", "gives", "last run")


def arguments(add: Add, commands: Any, who: Who, find: Find) -> None:
    """Add the subcommands; `who` acts, and `find` opens the scope of the customer that somebody named."""
    one = actions(add, commands, "templates", "templates of users", who, find)
    one("list", _list, "all templates of a customer, in their order")
    one("show", _show, "one template, and how its last run went", TEMPLATE)
    preview = one("preview", _preview, "what it would ask for now; nothing is kept", TEMPLATE)
    preview.add_argument("--limit", type=int, default=50, help="so many lines (50)")
    on = one("on", _on, "switch it on as its preview showed it", TEMPLATE)
    on.add_argument("version", type=int, help="as the preview was shown with")
    one("off", _off, "switch it off; what it gave stays", TEMPLATE)


def _list(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from user_templates import selectors  # noqa: PLC0415  Django first

    rows = list(selectors.of_tenant(tenant))
    names = selectors.names(tenant, rows)
    document = [_described(row, names) for row in rows]
    return document, "\n".join(table(SHOWN, document) or ["There is none."])


def _show(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from user_templates import selectors  # noqa: PLC0415  Django first

    row = _named(tenant, options.template)
    document = _described(row, selectors.names(tenant, [row]))
    return document, "\n".join(f"{name.capitalize()}: {value}" for name, value in document.items())


def _preview(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from user_templates import selectors, work  # noqa: PLC0415  Django first

    row = _named(tenant, options.template)
    found = work.of_template(tenant, row)
    rows = [dataclasses.asdict(each) for each in selectors.rows(tenant, found)]
    shown = rows[: options.limit]
    document = {"version": row.row_version, "figures": found.figures, "rows": shown}
    told = ", ".join(f"{many:,} {name.replace('_', ' ')}" for name, many in found.figures.items())
    lines = [f"{row.name}: {told}."]
    lines += table(("user", "what", "outcome", "before", "wanted", "why"), shown)
    if not row.on and not row.lacks:
        lines.append(f"To switch it on: ump templates on '{tenant.name}' '{row.name}' {row.row_version}")
    return document, "\n".join(lines)


def _on(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from user_templates import services  # noqa: PLC0415  Django first

    row = _named(tenant, options.template)
    command = services.confirm(actor, row, options.version)
    text = f"{row.name} is on. Command {command.id} asks for what its members lack; see ump changes show."
    return {"command": command.id}, text


def _off(options: argparse.Namespace, actor: "Actor", tenant: "Tenant") -> Answer:
    from user_templates import services  # noqa: PLC0415  Django first

    row = _named(tenant, options.template)
    services.stop(actor, row)
    return {"state": "off"}, f"{row.name} is off. What it gave stays."


def _named(tenant: "Tenant", named: str) -> "UserTemplate":
    """By id or name. Raises NotFound."""
    from core.errors import NotFound  # noqa: PLC0415  Django first
    from user_templates import selectors  # noqa: PLC0415  as above

    rows = selectors.of_tenant(tenant)
    row = next((each for each in rows if named.lower() in {str(each.uid), each.name.lower()}), None)
    if row is None:
        raise NotFound(thing=f"template called {named!r}")
    return row


def _described(row: "UserTemplate", names: dict[str, str]) -> dict[str, Any]:
    from user_templates import selectors  # noqa: PLC0415  Django first

    return {
        "id": str(row.uid),
        "name": row.name,
        "order": row.rank,
        "state": selectors.state(row).label,
        "members of": row.group_name,
        "gives": "; ".join(selectors.gives(row, names)),
        "started by": row.confirmed_by,
        "last run": row.ran_at,
        "found": row.told,
        "lacks": row.lacks,
        "version": row.row_version,
    }
