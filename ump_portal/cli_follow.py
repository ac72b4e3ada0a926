"""Waiting at the command line for what a worker does."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from replication.models import Command

POLL_SECONDS = 0.5


def ended(command: "Command") -> "Command":
    """Raises the error of a command that failed or waits for a person."""
    from core.errors import Conflict, UmpError  # noqa: PLC0415  Django first
    from replication import selectors  # noqa: PLC0415  as above
    from replication.models import FINAL, State  # noqa: PLC0415  as above

    while command.state not in {*FINAL, State.SUSPENDED}:
        time.sleep(POLL_SECONDS)
        command = selectors.command(command.tenant, command.id)
    if command.state != State.SUCCEEDED:
        if command.error:
            raise UmpError.from_dict(command.error)
        raise Conflict(thing=f"command {command.id}", why="it was cancelled")
    return command
