"""What a running command gets in its hands, and what it may answer."""

import contextlib
import dataclasses
import datetime as dt
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db import transaction

from core.errors import LeaseLost, UmpError
from replication import states
from replication.models import Command
from tenants import scope
from tenants.access import Actor


@dataclasses.dataclass(frozen=True)
class Done:
    """The work is done. What nobody asked for and was `unchanged` is forgotten sooner (QUIET_RETENTION_DAYS)."""

    message: str
    outcome: str = "complete"
    """complete; partial, and the message says what is missing; unchanged: there was nothing to do."""
    result: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Again:
    """A slice is over; the checkpoint is saved; go on after the others had their turn.

    With a `wait`, not before it is over: for what Microsoft needs minutes to spread. No attempt is used.
    """

    message: str = ""
    wait: dt.timedelta = dt.timedelta()


Outcome = Done | Again


@dataclasses.dataclass
class Context:
    """One slice of one attempt. Everything it writes is fenced: a worker that lost its lease writes nothing."""

    command_id: int
    tenant_id: uuid.UUID | None
    kind: str
    target: str
    params: dict[str, Any]
    dry_run: bool
    attempt: int
    fence: int
    state: dict[str, Any]
    """The checkpoint of the last slice; change it only through `checkpoint`."""
    progress: dict[str, Any]
    slice_ends: float
    stop: threading.Event = dataclasses.field(default_factory=threading.Event)
    """Set when the lease is lost, a person cancels, or the worker is told to end."""
    untold: bool = False
    """Whether the row does not say `progress` yet; what becomes of the slice takes it along."""
    _told: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def customer(self) -> uuid.UUID:
        """The tenant's id, for kinds that always have one."""
        if self.tenant_id is None:
            raise UmpError.of("cross_tenant")
        return self.tenant_id

    def asker(self) -> Actor:
        """Whoever queued the command, for the trail."""
        with scope.every("a worker asks who wanted its command"):
            row = Command.objects.get(id=self.command_id)
        return Actor(kind=row.actor_kind, id=row.actor_id, label=row.actor_label)

    def should_yield(self) -> bool:
        """True at the end of the slice, or when somebody wants the command to stop: save and return Again."""
        return self.stop.is_set() or time.monotonic() >= self.slice_ends

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction in the tenant's scope that commits only while this worker still holds the lease.

        For a command of the provider as a whole the scope is every tenant's.

        The fence is checked where the write lands: the command's row is locked by the same transaction, so a
        frozen worker that wakes up too late is rolled back. Raises LeaseLost.
        """
        whole = "a command of the provider as a whole"
        with scope.one(self.tenant_id) if self.tenant_id else scope.every(whole), transaction.atomic():
            if not states.hold(self.command_id, self.fence):
                raise LeaseLost
            begun = time.monotonic()
            yield
            if time.monotonic() - begun > settings.COMMAND_LEASE_SECONDS / 4:
                states.hold(self.command_id, self.fence)  # the heartbeat has passed by it meanwhile

    def still_ours(self) -> float:
        """Ask right before sending what must not come after what another worker sent. Raises LeaseLost.

        Until when that is certain (monotonic seconds): `states.hold` leaves half of a lease, and a process that was
        frozen since must not send what it was about to.
        """
        lease: float = settings.COMMAND_LEASE_SECONDS
        asked = time.monotonic()
        with self.transaction():
            pass
        return asked + lease / 2

    def checkpoint(self, **changes: Any) -> None:
        """Remember where to go on; call it inside `transaction()`, with the rows it belongs to.

        Raises LeaseLost where the row is not ours to write: taken over, or out of the scope in force.
        """
        self.state = {**self.state, **changes}
        if not states.save_checkpoint(self.command_id, self.fence, self.state):
            raise LeaseLost

    def report(self, force: bool = False, **progress: Any) -> None:
        """Tell people how far it is: `done`, `total`, `label`, `requests` ...; at most about twice a second.

        What was said last comes with the end of the slice, so a short one writes nothing for it alone.
        """
        self.progress = {**self.progress, **progress}
        self.untold = True
        if force or time.monotonic() - self._told > 0.5:
            self._told, self.untold = time.monotonic(), False
            with self._scope("a worker tells how far a command is"):
                if not states.save_progress(self.command_id, self.fence, self.progress):
                    raise LeaseLost

    def note(self, text: str, *, level: str = "info", detail: dict[str, Any] | None = None) -> None:
        """A line in the command's history."""
        with self._scope("a worker writes a command's history"):
            states.add_step(
                self.command_id, self.tenant_id, text, attempt=self.attempt, level=level, detail=detail or {}
            )

    def _scope(self, reason: str) -> contextlib.AbstractContextManager[object]:
        """The customer's, which costs no transaction; that of all for work about the provider as a whole."""
        return scope.every(reason) if self.tenant_id is None else scope.one(self.tenant_id)
