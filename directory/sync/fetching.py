"""Reading side by side: jobs in threads of their own fill a short queue, one thread empties it.

Memory does not grow with the customer: a job that is AHEAD of the database has to wait. Each job has its own
limit, so that a long list is not held up by what others found. Jobs never touch the database, and each thread
has a client of its own.
"""

import contextlib
import dataclasses
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, Self, TypeVar

from core.errors import UmpError
from m365.graph import GraphClient

Item = TypeVar("Item")
Clients = Callable[[threading.Event], GraphClient]
"""Makes a read-only client for the calling thread; its waits end when the event is set."""
Job = Callable[[GraphClient, Callable[[Item], None]], None]
"""Reads with the client and hands over what it found; ends early when the pump's `stop` is set."""

AHEAD = 2
"""Items of one job that may wait to be written."""
TOGETHER = 16
"""Items that are written in one transaction at most: with a slow database, all that came would be much."""
ENOUGH = 500_000
"""Bytes of items after which no more are taken into a transaction: twenty large groups may be more than that."""
POLL_SECONDS = 0.1


@dataclasses.dataclass(frozen=True)
class _Over:
    """The last word of a job, after everything that it found."""

    job: int


@dataclasses.dataclass(frozen=True)
class _Found(Generic[Item]):
    item: Item
    room: threading.Semaphore


class Pump(Generic[Item]):
    """Runs jobs, hands out what they found. Use it as a context manager: no thread outlives it."""

    def __init__(self, clients: Clients, width: int, weigh: Callable[[Item], int]) -> None:
        self.stop = threading.Event()
        self._clients = clients
        self._weigh = weigh
        self._pool = ThreadPoolExecutor(width, thread_name_prefix="graph")
        self._mine = threading.local()
        self._inbox: queue.SimpleQueue[_Found[Item] | _Over] = queue.SimpleQueue()
        self._running: dict[int, Future[None]] = {}
        self._started = 0
        self._error: BaseException | None = None
        self.broken_off: BaseException | None = None
        """The trouble that a job was waiting out when it was told to stop."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop.set()
        while self._running:
            self._sort(self._take())
        self._pool.shutdown()

    @property
    def running(self) -> int:
        return len(self._running)

    def start(self, job: Job[Item]) -> None:
        """Queue a job; ignored once the pump is to stop, since what was not begun is still to be done."""
        if not self.stop.is_set():
            self._started += 1
            self._running[self._started] = self._pool.submit(self._work, self._started, job)

    def batches(self, wanted: Callable[[], bool]) -> Iterator[list[Item]]:
        """What was found, as it comes, until all jobs are over; an empty list now and then when nothing comes.

        When `wanted` turns False the jobs are told to stop, and what they still hand over comes out. Raises
        what stopped the first job that failed, after everything that the others found.
        """
        while self._running or not self._inbox.empty():
            yield self._sort(self._take())
            if not wanted():
                self.stop.set()
        if self._error is not None:
            raise self._error

    def _work(self, number: int, job: Job[Item]) -> None:
        try:
            if not hasattr(self._mine, "client"):
                self._mine.client = self._clients(self.stop)
            room = threading.Semaphore(AHEAD)

            def emit(item: Item) -> None:
                room.acquire()
                self._inbox.put(_Found(item, room))

            job(self._mine.client, emit)
        finally:
            self._inbox.put(_Over(number))

    def _take(self) -> "list[_Found[Item] | _Over]":
        found: list[_Found[Item] | _Over] = []
        weight = 0
        with contextlib.suppress(queue.Empty):
            one = self._inbox.get(timeout=POLL_SECONDS)
            while True:
                found.append(one)
                weight += 0 if isinstance(one, _Over) else self._weigh(one.item)
                if len(found) >= TOGETHER or weight >= ENOUGH:
                    break
                one = self._inbox.get_nowait()
        return found

    def _sort(self, found: "list[_Found[Item] | _Over]") -> list[Item]:
        items: list[Item] = []
        for one in found:
            if isinstance(one, _Over):
                self._note(self._running.pop(one.job).exception())
            else:
                one.room.release()
                items.append(one.item)
        return items

    def _note(self, error: BaseException | None) -> None:
        """Keep the first failure. A wait that was broken off because we asked for it is none."""
        if error is None:
            return
        if isinstance(error, UmpError) and error.code == "interrupted":
            self.broken_off = self.broken_off or error.__cause__
            return
        self._error = self._error or error
        self.stop.set()
