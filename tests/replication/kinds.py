"""Kinds of commands for tests: each run takes the next entry of a script."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from replication import registry
from replication.context import Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind
from tenants.abilities import Ability

Script = list[Callable[[Context], Outcome] | Outcome | Exception]


@contextmanager
def scripted(
    *steps: Any, name: str = "scripted", lane: LaneName = LaneName.DATA, attempts: int = 10
) -> Iterator[list[Context]]:
    """Register a kind for the length of a test; yields the contexts it was run with."""
    script: Script = list(steps)
    seen: list[Context] = []

    class Scripted(Kind):
        title = name.title()
        ability = Ability.REPLICATE
        max_attempts = attempts
        may_dry_run = True
        reconcile = "A test's script."

        def run(self, ctx: Context) -> Outcome:
            seen.append(ctx)
            step = script.pop(0) if script else Done("Done.")
            if isinstance(step, Exception):
                raise step
            return step(ctx) if callable(step) else step

    Scripted.name = name
    Scripted.lane = lane
    registry.register(Scripted)
    try:
        yield seen
    finally:
        registry._kinds.pop(name)
