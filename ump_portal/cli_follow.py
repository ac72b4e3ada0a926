"""Waiting at the command line for what a worker does."""

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.errors import UmpError
    from replication.models import Command

POLL_SECONDS = 0.5


def ended(command: "Command") -> "Command":
    """Once it has succeeded.

    Raises the error of a command that failed or waits for a person, and Conflict when it was cancelled.
    """
    from core.errors import Conflict  # noqa: PLC0415  Django first
    from replication import selectors  # noqa: PLC0415  as above
    from replication.models import FINAL, State  # noqa: PLC0415  as above

    while command.state not in {*FINAL, State.SUSPENDED}:
        time.sleep(POLL_SECONDS)
        command = selectors.command(command.tenant, command.id)
    if command.state == State.CANCELLED:
        raise Conflict(thing=f"command {command.id}", why="it was cancelled")
    if command.state != State.SUCCEEDED:
        raise _problem(command)
    return command


def _problem(command: "Command") -> "UmpError":
    """What the command met itself, or what holds its lane: that may have been met by another one."""
    from core.errors import UmpError  # noqa: PLC0415  Django first
    from replication import holds, states  # noqa: PLC0415  as above
    from replication.models import Reason  # noqa: PLC0415  as above

    met = command.error or {}
    if command.reason == Reason.CONNECTION:
        code = states.lane_suspension(command.lane_id)
        if code != met.get("code"):
            return UmpError.of(holds.known(code))
    return UmpError.from_dict(met)
