"""`ump keys`: putting everything that is sealed under a new key-encryption key (SECURITY.md)."""

import argparse
from typing import TYPE_CHECKING, Any

from ump_portal.cli_tenant import Add, Answer, Who

if TYPE_CHECKING:
    from tenants.access import Actor


def arguments(add: Add, commands: Any, who: Who) -> None:
    """Add the subcommands; `who` acts."""
    listed = commands.add_parser("keys", help="the key-encryption key").add_subparsers(
        required=True, metavar="ACTION"
    )
    add(listed, "show", lambda options: _show(options, who()), "how many keys are behind the current one")
    add(listed, "rotate", lambda options: _rotate(options, who()), "put every key under the current one")


def _show(_: argparse.Namespace, actor: "Actor") -> Answer:
    from tenants.abilities import Ability  # noqa: PLC0415  Django first
    from tenants.access import provider_for  # noqa: PLC0415  as above

    provider_for(actor, needs=Ability.VIEW_PROVIDER)
    behind = _behind()
    return {"behind": behind}, _said(behind)


def _rotate(_: argparse.Namespace, actor: "Actor") -> Answer:
    """Raises UmpError (key_unavailable) where the public halves cannot be read."""
    from authstatus.services import rotate_keys  # noqa: PLC0415  Django first
    from tenants.abilities import Ability  # noqa: PLC0415  as above
    from tenants.access import provider_for  # noqa: PLC0415  as above
    from ump_portal import cli_command  # noqa: PLC0415  as above

    provider_for(actor, needs=Ability.ROTATE_KEYS)
    behind = _behind()
    command = rotate_keys(actor)
    text = f"Command {command.id} is queued. {_said(behind)} `ump keys show` tells how many are left."
    return cli_command.document(command) | {"behind": behind}, text


def _behind() -> int:
    from tenants import scope, secrets, selectors  # noqa: PLC0415  Django first

    with scope.every("keys are counted over all customers"):
        return selectors.keys_behind(secrets.current_kek_id())


def _said(behind: int) -> str:
    return f"{behind} key{'' if behind == 1 else 's'} behind the current key-encryption key."
