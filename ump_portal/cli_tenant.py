"""What the subcommands about one customer share: what they take and answer, and how they are added."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tenants.access import Actor
    from tenants.models import Tenant

Answer = tuple[Any, str]
"""For programs and for people."""
Find = Callable[[str], "Tenant"]
"""Opens the scope of the customer that somebody named."""
Who = Callable[[], "Actor"]
Act = Callable[[argparse.Namespace, "Actor", "Tenant"], Answer]
Add = Callable[..., argparse.ArgumentParser]


class One(Protocol):
    """Adds an action; `thing` is what it takes beside the customer, as (argument, help)."""

    def __call__(
        self, name: str, act: Act, what: str, thing: tuple[str, str] | None = None
    ) -> argparse.ArgumentParser: ...


def actions(add: Add, commands: Any, name: str, about: str, who: Who, find: Find) -> One:
    """A subcommand with actions of its own."""
    listed = commands.add_parser(name, help=about).add_subparsers(required=True, metavar="ACTION")

    def one(name: str, act: Act, what: str, thing: tuple[str, str] | None = None) -> argparse.ArgumentParser:
        added = add(listed, name, lambda options: act(options, who(), find(options.tenant)), what)
        added.add_argument("tenant", help="id, name or domain")
        if thing is not None:
            added.add_argument(thing[0], help=thing[1])
        return added

    return one
