"""Carrying out commands: claim, run a slice, make exactly one move (DESIGN 4).

The work waits on the network, so one process runs many commands at once on a bounded pool of threads, each
with a database connection of its own that it keeps. A heartbeat renews the leases of all of them.
"""

import concurrent.futures
import dataclasses
import datetime as dt
import logging
import os
import random
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.db import DatabaseError, DataError, InterfaceError, connection

from breakers import services as breakers
from breakers.services import Meaning
from core.errors import LeaseLost, Remedy, UmpError
from replication import doorbell, holds, states, sweeper
from replication.context import Context, Done, Outcome
from replication.models import LaneName, Reason, State
from replication.registry import kind_of, kinds
from replication.states import Claimed, Line
from tenants import scope
from tenants.lines import OF_PROVIDER_APP
from tenants.outage import is_away

log = logging.getLogger(__name__)

BACK_OFF_MINUTES = (1, 2, 5, 10, 15)
"""Decision 10; the last one repeats. Jitter of a fifth keeps many tenants from returning at once."""
AWAY = dt.timedelta(seconds=5)
"""How soon a command looks again after the database was away."""
SETTLE_AGAIN = 0.5
"""Seconds after which an outcome that could not be written down is tried again."""
LONGEST_TICK = 10.0
LOOK = 1.0
"""Seconds at most between two looks of a living worker: what a lost one held goes on within five of its lease."""
POLL, LONGEST_POLL = 0.05, 0.2
"""Seconds between two claims while slices run and threads are free; longer the more often there was nothing."""
GATHER = 0.02
"""Seconds in which threads come free before the next claim, while there is more than they can take at once."""
RESTED = 1.0
"""Seconds after which a thread asks whether its connection is still alive."""
DEFAULT_WAIT = 30.0
"""Seconds to sleep when Microsoft throttles without saying for how long."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What becomes of a command after a slice: the one move, and what people are told."""

    to: State
    reason: Reason = Reason.NONE
    message: str = ""
    delay: dt.timedelta = dt.timedelta()
    error: UmpError | None = None
    attempt_used: bool = False
    outcome: str = ""
    result: dict[str, object] = dataclasses.field(default_factory=dict)
    progress: dict[str, object] | None = None
    """What the slice said last of how far it is; None where the row says so already."""
    sleep_lane: bool = False
    suspend_lane: bool = False


class _Process:
    """What the threads of this process hold at the moment."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.held: set[tuple[int, int]] = set()
        """(id, fence) of what was claimed and is not settled yet: these leases are renewed."""
        self.running: dict[tuple[int, int], Context] = {}
        self.pool: ThreadPoolExecutor | None = None
        self.slices: frozenset[Future[None]] = frozenset()
        """What the pool has in hand; it outlives the tick that began it."""
        self.beat: threading.Thread | None = None
        self.draining = threading.Lock()
        """Of whoever claims for this process: a tick, or the look-out where there is none."""
        self.stopping = threading.Event()
        self.owner = f"{socket.gethostname()}:{os.getpid()}"

    def start(self) -> ThreadPoolExecutor:
        with self.lock:
            if self.pool is None or self.owner != f"{socket.gethostname()}:{os.getpid()}":
                self.owner = (
                    f"{socket.gethostname()}:{os.getpid()}"  # after a fork nothing of the parent's lives
                )
                self.pool = ThreadPoolExecutor(settings.WORKER_THREADS, thread_name_prefix="command")
                self.beat = threading.Thread(target=_heartbeat, name="heartbeat", daemon=True)
                self.beat.start()
            return self.pool


_process = _Process()
_thread = threading.local()


def drain(longest: float = LONGEST_TICK) -> bool:
    """Run due commands until there are none; False when the time was up and there may be more.

    What still runs then goes on by itself, and the next tick finds it: a long call keeps nobody from beginning.
    """
    with _process.draining:
        return _drain(longest)


def _drain(longest: float) -> bool:
    pool = _process.start()
    ends = time.monotonic() + longest
    called, poll = False, POLL
    while not _process.stopping.is_set():
        slices = frozenset(one for one in _process.slices if not one.done())
        free = settings.WORKER_THREADS - len(slices)
        # By a thread of the pool, which keeps its connection: Celery closes this one's after each tick.
        claimed = pool.submit(_claim, free).result() if free > 0 else []
        slices |= {pool.submit(_carry_out, command) for command in claimed}
        _process.slices = slices
        if not slices:
            return True
        if time.monotonic() >= ends:
            return False
        if not claimed:
            concurrent.futures.wait(slices, timeout=poll, return_when=concurrent.futures.FIRST_COMPLETED)
            poll = min(1.5 * poll, LONGEST_POLL)
            continue
        poll = POLL
        if len(claimed) == free:
            if not called:  # one ring may stand for many commands
                doorbell.ring_own()
                called = True
            concurrent.futures.wait(slices, timeout=GATHER)
    finish()
    return True


def _claim(limit: int) -> list[Claimed]:
    """Raises DatabaseError or InterfaceError while the database is away."""
    _refresh_connection()
    try:
        with scope.every("a worker claims work of any tenant"):
            claimed = states.claim(_process.owner, limit, spare=settings.WORKER_THREADS // 4)
    except (DatabaseError, InterfaceError):
        connection.close()
        raise
    finally:
        _thread.worked = time.monotonic()
    _process.held.update((command.id, command.fence) for command in claimed)
    return claimed


def _refresh_connection() -> None:
    """Whoever rested while the database went away still holds a dead connection; Django looks only when told."""
    if time.monotonic() - getattr(_thread, "worked", 0.0) > RESTED:
        connection.close_if_unusable_or_obsolete()


def shut_down() -> None:
    """Let running slices end at their next safe point; called when the worker is told to stop."""
    _process.stopping.set()
    for context in list(_process.running.values()):
        context.stop.set()


def finish() -> None:
    """Wait until what runs has reached its safe point: the process ends afterwards, and with it its threads."""
    concurrent.futures.wait(_process.slices, timeout=settings.COMMAND_LEASE_SECONDS)


def look_out() -> None:
    """From now on look for work by a thread of its own, whether anybody rings or not; called once in each process.

    A ring may lie in a broker that is away, behind many others, or in the pipe of a process that is frozen.
    """
    threading.Thread(target=_look_out, args=(_process.stopping,), name="look-out", daemon=True).start()


def _look_out(stopping: threading.Event) -> None:
    rest = 0.0  # whoever has just started may be all that lives
    while not stopping.wait(rest):
        rest = random.uniform(0.5, 1.0) * LOOK  # noqa: S311  or all processes would look at once
        try:
            _look()
        except Exception as error:
            connection.close()
            if not is_away(error):
                log.exception("looking for work stopped on a fault of ours")
    connection.close()


def _look() -> None:
    """Take back what lost workers held, and begin what is due unless a tick is about to."""
    over = False
    while not over:
        sweeper.take_back()
        if not _process.draining.acquire(blocking=False):
            return
        try:
            over = _drain(LOOK)
        finally:
            _process.draining.release()


def run_one(command: Claimed) -> Verdict:
    """Run one slice and say what becomes of the command."""
    context = _context(command)
    key = (command.id, command.fence)
    _process.running[key] = context
    try:
        verdict = _run(command, context)
    finally:
        _process.running.pop(key, None)
    return dataclasses.replace(verdict, progress=context.progress) if context.untold else verdict


def _run(command: Claimed, context: Context) -> Verdict:
    """This is one of the three translators of errors."""
    try:
        return _after(kind_of(command.kind).run(context))
    except UmpError as error:
        kind = kinds().get(command.kind)
        return verdict_on(command, kind.as_own(error) if kind else error)
    except Exception as error:
        if is_away(error):
            return _database_away(error)
        log.exception("a command stopped on a fault of ours", extra={"command": command.id})
        return verdict_on(command, _of_ours(error))


def _of_ours(error: Exception) -> UmpError:
    """What people are told of a fault of ours; the log says the rest."""
    return UmpError.of("internal", detail={"type": type(error).__name__})


def _database_away(error: Exception) -> Verdict:
    """Nothing is wrong with the command: it goes on as soon as the database is back, and no attempt is used."""
    connection.close()
    away = UmpError.of("database_unavailable", detail={"type": type(error).__name__})
    return Verdict(State.QUEUED, Reason.BACKING_OFF, away.message, AWAY, away)


def verdict_on(command: Claimed, error: UmpError) -> Verdict:
    """Remedy and scope of an error -> state, reason and wait (DESIGN 9)."""
    if error.code == "interrupted":
        return Verdict(State.QUEUED, Reason.SLICE)
    if error.code == "throttled":
        wait = dt.timedelta(seconds=error.retry_after or DEFAULT_WAIT)
        return Verdict(State.QUEUED, Reason.THROTTLED, error.message, wait, error, sleep_lane=True)
    if error.remedy == Remedy.NEVER:
        return Verdict(State.FAILED, message=error.message, error=error, attempt_used=True)
    if error.remedy == Remedy.AFTER_FIX:
        if command.lane == LaneName.IDENTITY:
            # A check that found the fault has done its work; whoever mends it starts another.
            return Verdict(State.FAILED, message=error.message, error=error, attempt_used=True)
        if error.scope == "connection":
            return Verdict(State.SUSPENDED, Reason.CONNECTION, error.message, error=error, suspend_lane=True)
        return Verdict(State.SUSPENDED, Reason.TARGET, error.message, error=error)
    return _later(command, error)


def _later(command: Claimed, error: UmpError) -> Verdict:
    """Back off and try again, until the attempts are used up."""
    if command.attempts + 1 >= command.max_attempts:
        final = UmpError.of("attempts_exhausted", attempts=command.max_attempts, detail=dict(error.detail))
        return Verdict(
            State.FAILED, message=f"{error.message} {final.message}", error=error, attempt_used=True
        )
    wait = max(back_off(command.attempts), dt.timedelta(seconds=error.retry_after or 0))
    return Verdict(State.QUEUED, Reason.BACKING_OFF, error.message, wait, error, attempt_used=True)


def back_off(attempts: int) -> dt.timedelta:
    minutes = BACK_OFF_MINUTES[min(attempts, len(BACK_OFF_MINUTES) - 1)]
    return dt.timedelta(minutes=minutes * random.uniform(0.8, 1.2))  # noqa: S311  jitter, not a secret


def _after(outcome: Outcome) -> Verdict:
    message = outcome.message.replace("\0", "")  # names come from outside, and PostgreSQL keeps none of these
    if isinstance(outcome, Done):
        return Verdict(State.SUCCEEDED, message=message, outcome=outcome.outcome, result=outcome.result)
    reason = Reason.BACKING_OFF if outcome.wait else Reason.SLICE
    return Verdict(State.QUEUED, reason, message, outcome.wait)


def _context(command: Claimed) -> Context:
    return Context(
        command_id=command.id,
        tenant_id=command.tenant_id,
        kind=command.kind,
        target=command.target,
        params=command.params,
        dry_run=command.dry_run,
        attempt=command.attempts + 1,
        fence=command.fence,
        state=command.checkpoint,
        progress=command.progress,
        slice_ends=time.monotonic() + settings.COMMAND_SLICE_SECONDS,
    )


def _carry_out(command: Claimed) -> None:
    """One slice in a pool's thread. What cannot even be written down is left to the lease and the sweeper.

    Nobody asks the thread what became of it: a fault of ours is in the log, or nowhere.
    """
    try:
        _refresh_connection()
        verdict = run_one(command)
        ends = time.monotonic() + settings.COMMAND_LEASE_SECONDS
        while not _settled(
            command, verdict, patient=time.monotonic() < ends and not _process.stopping.is_set()
        ):
            time.sleep(SETTLE_AGAIN)
    except Exception:
        log.exception("a command is left to the sweeper by a fault of ours", extra={"command": command.id})
    finally:
        _process.held.discard((command.id, command.fence))
    _thread.worked = time.monotonic()


def _settled(command: Claimed, verdict: Verdict, *, patient: bool) -> bool:
    """False when the database is away, and there is still time to try again."""
    try:
        try:
            _settle(command, verdict)
        except (TypeError, ValueError, DataError) as error:
            # What the slice brought cannot be kept as it is: without it the same slice would run again and again.
            log.exception("an outcome cannot be written down", extra={"command": command.id})
            _settle(command, verdict_on(command, _of_ours(error)))
    except LeaseLost:
        log.warning("a command was taken over by another worker", extra={"command": command.id})
    except (DatabaseError, InterfaceError) as error:
        connection.close()
        if patient and is_away(error):
            return False
        log.warning(
            "the outcome could not be written, the sweeper will take the command back",
            extra={"command": command.id, "error": type(error).__name__},
        )
    return True


def _settle(command: Claimed, verdict: Verdict) -> None:
    """Exactly one move, fenced, with its line in the history. Raises LeaseLost."""
    if verdict.error is not None and isinstance(verdict.error, LeaseLost):
        raise verdict.error
    told = {} if verdict.progress is None else {"progress": verdict.progress}
    with scope.every("a worker settles a command"):
        verdict = _with_wishes(command, _weighed(command, verdict))
        if verdict.suspend_lane and command.tenant_id:
            breakers.note_held(command.tenant_id)
        if not _moved(command, verdict, told):
            # Perhaps somebody asked to cancel it since. The lane is locked by now, so nobody asks after this.
            wished = _with_wishes(command, verdict)
            if wished is verdict or not _moved(command, wished, told):
                raise LeaseLost
        if verdict.sleep_lane:
            states.sleep_lane(command.lane_id, verdict.delay)
        if verdict.suspend_lane and verdict.error and command.tenant_id:
            _suspend(command, verdict.error.code)


def _moved(command: Claimed, verdict: Verdict, told: dict[str, Any]) -> bool:
    """False when the command is not ours any more, or somebody wants it cancelled that would wait on."""
    return states.move(
        command.id,
        from_=State.EXECUTING,
        to=verdict.to,
        fence=command.fence,
        lane_id=command.lane_id,
        delay=verdict.delay,
        told=_line(command, verdict),
        reason=verdict.reason,
        message=verdict.message[:500],
        error=dict(verdict.error.to_dict()) if verdict.error else None,
        outcome=verdict.outcome,
        result=verdict.result,
        attempts=command.attempts + verdict.attempt_used,
        deaths=0,  # those in a row count: whoever comes to an end here stops no worker
        **told,
    )


def _line(command: Claimed, verdict: Verdict) -> Line | None:
    """What the history says of it; nothing of a slice that simply goes on."""
    if verdict.to == State.QUEUED and verdict.error is None:
        return None
    return Line(
        _sentence(verdict),
        attempt=command.attempts + 1,
        level="info" if verdict.error is None else "warning" if verdict.to == State.QUEUED else "error",
        detail=dict(verdict.error.to_dict()) if verdict.error else {},
    )


def _suspend(command: Claimed, code: str) -> None:
    """A cause of the connection holds the data lane; checks, in the other lane, go on, or it could never
    recover."""
    if command.tenant_id is not None:
        holds.hold(command.tenant_id, code)


def _weighed(command: Claimed, verdict: Verdict) -> Verdict:
    """The verdict, knowing how others fare and how often this happened lately (decision 7)."""
    error = verdict.error
    if error is None or command.tenant_id is None:
        return verdict
    meaning = breakers.weigh(command.tenant_id, command.id, error)
    if meaning is Meaning.TRY_AGAIN and verdict.suspend_lane:
        return _later(command, error)
    if meaning is not Meaning.LINE:
        return verdict
    if error.code in OF_PROVIDER_APP and command.lane == LaneName.IDENTITY:
        return Verdict(State.FAILED, message=error.message, error=error, attempt_used=True)
    # Until a probe gets through; waiting for others' trouble costs no attempt.
    return Verdict(State.QUEUED, Reason.BACKING_OFF, error.message, breakers.PROBE_FIRST, error)


def _with_wishes(command: Claimed, verdict: Verdict) -> Verdict:
    """A person's wish to cancel is honoured now, unless the work is over anyway."""
    if verdict.to in states.WAITING and states.cancel_wanted(command.id):
        return Verdict(State.CANCELLED, Reason.PERSON, "Cancelled at a safe point.")
    return verdict


def _sentence(verdict: Verdict) -> str:
    text = verdict.message or verdict.to.label
    if verdict.to == State.QUEUED and verdict.delay:
        return f"{text} Next attempt in {_span(verdict.delay)}."
    return text


def _span(delay: dt.timedelta) -> str:
    seconds = round(delay.total_seconds())
    return f"{seconds} seconds" if seconds < 120 else f"{round(seconds / 60)} minutes"


def _heartbeat() -> None:
    """Renew all leases of this process at a third of their life; tell a command whose lease is gone to stop.

    From the claim to the outcome's being written: a process with much to begin, or to end, takes seconds for both.
    """
    while not _process.stopping.wait(settings.COMMAND_LEASE_SECONDS / 3):
        held = _process.held.copy()
        if not held:
            continue
        try:
            with scope.every("a worker renews its leases"):
                alive = states.renew(held)
        except (DatabaseError, InterfaceError):
            connection.close()
            continue
        for key in held - alive:
            if context := _process.running.get(key):
                context.stop.set()
