"""The numbers beside the tree, which stand on every page: counted at most every few seconds, and told with their age.

Pages whose subject the numbers are count anew.
"""

import dataclasses
import time

from replication import states
from tenants import census, scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.census import Census, Seen
from tenants.health import Health
from tenants.recent import Recent, age


@dataclasses.dataclass(frozen=True)
class Tally:
    """Customers by health, commands by open state, and when they were counted (monotonic seconds)."""

    health: dict[Health, int]
    commands: dict[str, int]
    at: float

    @property
    def total(self) -> int:
        return sum(self.health.values())

    @property
    def age(self) -> str:
        return age(self.at)


_open: Recent[tuple[dict[str, int], float]] = Recent()


def recent(actor: Actor) -> Tally:
    """What was counted over the actor's customers in the last seconds, or is counted now; two queries at most."""
    seen = _visible(actor)
    return _tally(census.recent(seen), *_open.get(seen, lambda: _count_open(seen)))


def count(actor: Actor) -> Tally:
    """Count over the actor's customers now, and keep it."""
    seen = _visible(actor)
    return _tally(census.count(seen), *_open.put(seen, _count_open(seen)))


def forget() -> None:
    """Count anew at the next question."""
    census.forget()
    _open.forget()


def _tally(counted: Census, commands: dict[str, int], at: float) -> Tally:
    return Tally(counted.health, commands, min(counted.at, at))


def _count_open(seen: Seen) -> tuple[dict[str, int], float]:
    every = "counts beside the tree, for somebody who may see every customer"
    with scope.every_in_sight(every) if seen is None else scope.some(seen):
        return states.count_open(), time.monotonic()


def _visible(actor: Actor) -> Seen:
    """The customers whom the actor may see at all; None for every customer."""
    return None if actor.may(Ability.VIEW_TENANT) else frozenset(actor.tenant_roles)
