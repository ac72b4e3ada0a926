"""What the worker may do: one class a kind, found by itself in each app's commands.py."""

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from core.errors import Remedy, UmpError
from replication.models import LaneName
from tenants.abilities import Ability

if TYPE_CHECKING:
    from replication.context import Context, Outcome
    from replication.models import Command
    from tenants.access import Actor
    from tenants.models import Tenant


class Kind(abc.ABC):
    """A kind of command. Subclass it in a feature's commands.py, decorate it with `register`, and write run().

    `reconcile` says in words how a run finds out what an earlier, cut-off run of the same command did; it is
    mandatory, because after a crash the outcome is unknown (facts/security.md 6.1).
    """

    name: ClassVar[str]
    title: ClassVar[str]
    ability: ClassVar[Ability]
    lane: ClassVar[LaneName] = LaneName.DATA
    max_attempts: ClassVar[int] = 10
    reconcile: ClassVar[str]
    may_dry_run: ClassVar[bool] = False
    own_account: ClassVar[bool] = False
    """Signs in with an account of its own, whose faults say nothing about the connection (SYN-17)."""
    removes_from: ClassVar[str] = "the copy of"
    """What a plan of removals takes from, in the question to the person who confirms it."""

    def lane_of(self, tenant: "Tenant | None") -> LaneName:
        """The lane of a customer's command, in the customer's scope; all its open commands of a kind lie in one."""
        return self.lane

    def objection(self, actor: "Actor", command: "Command") -> UmpError | None:
        """Why this person may not confirm a plan of this command, though others may."""
        return None

    def as_own(self, error: UmpError) -> UmpError:
        """What an account of its own meets concerns this kind's commands, never the connection (SYN-17)."""
        if not self.own_account or error.scope != "connection" or error.remedy == Remedy.LATER:
            return error
        detail = {"cause": error.code, **error.detail}
        return UmpError.of("service_account_failed", why=error.message, detail=detail)

    @abc.abstractmethod
    def run(self, ctx: "Context") -> "Outcome":
        """Do a slice of the work, outside any transaction; called again until it answers Done.

        Return Again after `ctx.checkpoint(...)` when `ctx.should_yield()` says so. Raise UmpError for trouble:
        its remedy and scope decide what becomes of the command.
        """


_kinds: dict[str, Kind] = {}


def register(cls: type[Kind]) -> type[Kind]:
    """Class decorator. Raises ValueError for a second kind of the same name."""
    if cls.name in _kinds:
        raise ValueError(f"There are two kinds of command called {cls.name!r}.")
    _kinds[cls.name] = cls()
    return cls


def kind_of(name: str) -> Kind:
    """Raises UmpError (unknown_kind): perhaps the row was written by a newer version."""
    try:
        return _kinds[name]
    except KeyError:
        raise UmpError.of("unknown_kind", thing=name) from None


_chores: list[Callable[[], object]] = []


def chore(run: Callable[[], object]) -> Callable[[], object]:
    """Decorator for what a room above does in each round of the sweeper: short, bounded, and safe to run twice."""
    _chores.append(run)
    return run


def chores() -> tuple[Callable[[], object], ...]:
    return tuple(_chores)


def kinds() -> dict[str, Kind]:
    return dict(_kinds)


def title_of(name: str) -> str:
    """The word on screen (Cmd Type), also for a kind that this version does not know."""
    return _kinds[name].title if name in _kinds else name
