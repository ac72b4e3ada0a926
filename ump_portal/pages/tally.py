"""The numbers beside the tree, which stand on every page: counted at most every few seconds, and told with their age.

A process keeps them by the customers that were counted, so that two people share a number only where they see the
same customers. Pages whose subject the numbers are count anew.
"""

import dataclasses
import time
import uuid

from replication import states
from tenants import health, scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.recent import Recent, age


@dataclasses.dataclass(frozen=True)
class Tally:
    """Customers by health, commands by open state, and when they were counted (monotonic seconds)."""

    health: dict[health.Health, int]
    commands: dict[str, int]
    at: float

    @property
    def total(self) -> int:
        return sum(self.health.values())

    @property
    def age(self) -> str:
        return age(self.at)


_kept: Recent[Tally] = Recent()


def recent(actor: Actor) -> Tally:
    """What was counted over the actor's customers in the last seconds, or is counted now; two queries at most."""
    return _kept.get(_visible(actor), lambda: _counted(_visible(actor)))


def count(actor: Actor) -> Tally:
    """Count over the actor's customers now, and keep it."""
    return _kept.put(_visible(actor), _counted(_visible(actor)))


def _counted(seen: frozenset[uuid.UUID] | None) -> Tally:
    every = "counts beside the tree, for somebody who may see every customer"
    with scope.every(every) if seen is None else scope.some(seen):
        return Tally(health.counts(), states.count_open(), time.monotonic())


def forget() -> None:
    """Count anew at the next question."""
    _kept.forget()


def _visible(actor: Actor) -> frozenset[uuid.UUID] | None:
    """The customers whom the actor may see at all; None for every customer."""
    return None if actor.may(Ability.VIEW_TENANT) else frozenset(actor.tenant_roles)
