"""When there was anybody to carry commands out: the workers' processes, looked at many times a second."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from bench.chaos_history import Life


class Lives:
    """Of the processes that the given ones (a worker each) have forked; what is between two looks counts as lived."""

    def __init__(self, workers: Callable[[], Iterable[int]]) -> None:
        self._workers = workers
        self._before = time.time()
        self._since: dict[int, float] = {}
        self._ended: list[Life] = []

    def look(self) -> None:
        now = time.time()
        seen = {pid for worker in self._workers() for pid in children(worker) if _goes_on(pid)}
        for pid in self._since.keys() - seen:
            self._ended.append(Life(pid, self._since.pop(pid), now))
        for pid in seen - self._since.keys():
            self._since[pid] = self._before
        self._before = now

    @property
    def found(self) -> list[Life]:
        now = time.time()
        return [*self._ended, *(Life(pid, since, now) for pid, since in self._since.items())]


def children(pid: int) -> Iterator[int]:
    """Processes that it has forked, by whichever of its threads."""
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            yield from map(int, file.read_text().split())


def command(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def _goes_on(pid: int) -> bool:
    """Neither gone, nor stopped, nor only not yet waited for."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "TtZX"
    return False
