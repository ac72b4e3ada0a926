"""Staying below Microsoft's limits instead of running into them (facts/microsoft.md 6.2).

Microsoft counts resource units per application and tenant in a window of ten seconds, tells the cost of each
answer, and above 80 % how full the window is. From that the pacer learns how much it may spend; nobody says
it beforehand, since it depends on the customer's size and on what else uses the same app.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WINDOW = 10.0
# Aim below the limit: other processes may spend from the same window.
AIM = 0.85
# After this long without a warning the learned limit is forgotten.
FORGET = 60.0
# Below this, something else than our own reading fills the window, and slowing down would not help.
SMALLEST_LIMIT = 500.0
WITHOUT_RETRY_AFTER = 5.0
MOST_PACERS = 16_384

_COSTS = {"users": 2, "subscribedskus": 3, "applications": 2, "contracts": 3}


def expected_units(path: str) -> int:
    """Resource units of a GET before its answer tells them (facts 6.2); `path` starts below the version."""
    bare, _, query = path.partition("?")
    parts = [part.lower() for part in bare.split("/") if part]
    units = 3 if parts[2:3] == ["members"] else _COSTS.get(parts[0], 1) if len(parts) == 1 else 1
    return max(1, units - ("$select=" in query))


@dataclass
class Pacer:
    """What one application may spend in one tenant; shared by the threads of a process. Times in seconds."""

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _spent: deque[tuple[float, float]] = field(default_factory=deque, repr=False)
    _limit: float | None = None
    _warned: float = 0.0
    _held_until: float = 0.0

    def ask(self, units: float) -> float:
        """How long to wait before spending this much; 0 means now, and counts it as spent."""
        with self._lock:
            now = self.clock()
            self._tidy(now)
            wait = max(self._held_until - now, self._until_room(now, units))
            if wait <= 0:
                self._spent.append((now, units))
            return max(wait, 0.0)

    def learn(self, headers: Mapping[str, str], expected: float) -> int | None:
        """Take in an answer's headers; returns the units it cost, None where it did not say."""
        units = number(headers, "x-ms-resource-unit")
        share = number(headers, "x-ms-throttle-limit-percentage")
        with self._lock:
            now = self.clock()
            if units is not None and units != expected:
                self._spent.append((now, units - expected))
            self._tidy(now)
            if share is not None and share > 0:
                self._limit = max(self._sum() / share, SMALLEST_LIMIT)
                self._warned = now
        return None if units is None else int(units)

    def hold(self, retry_after: float | None) -> None:
        """Microsoft refused: everybody who shares the pacer waits, and spends less afterwards."""
        with self._lock:
            now = self.clock()
            self._tidy(now)
            wait = WITHOUT_RETRY_AFTER if retry_after is None else retry_after
            self._held_until = max(self._held_until, now + wait)
            if self._sum() > SMALLEST_LIMIT:
                known = self._sum() if self._limit is None else min(self._limit, self._sum())
                self._limit = max(known * 0.8, SMALLEST_LIMIT)
                self._warned = self._held_until

    def _sum(self) -> float:
        return sum(units for _, units in self._spent)

    def _tidy(self, now: float) -> None:
        while self._spent and self._spent[0][0] <= now - WINDOW:
            self._spent.popleft()
        if self._limit is not None and now - self._warned > FORGET:
            self._limit = None

    def _until_room(self, now: float, units: float) -> float:
        if self._limit is None:
            return 0.0
        over = self._sum() + units - self._limit * AIM
        for moment, spent in self._spent:
            if over <= 0:
                return 0.0
            over -= spent
            if over <= 0:
                return moment + WINDOW - now
        # More than fits at all: it goes alone, as soon as everything else has left the window.
        return self._spent[-1][0] + WINDOW - now if self._spent else 0.0


def number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        value = float(headers.get(name, ""))
    except ValueError:
        return None
    return value if 0 <= value < 1e6 else None


_lock = threading.Lock()
_pacers: OrderedDict[tuple[str, str], Pacer] = OrderedDict()


def _after_fork() -> None:
    """Locks that another thread held at the fork would stay locked in the child for ever."""
    global _lock, _pacers
    _lock, _pacers = threading.Lock(), OrderedDict()


os.register_at_fork(after_in_child=_after_fork)


def pacer_for(app: str, tenant: str) -> Pacer:
    """The process's pacer of this application (client id) and tenant (id)."""
    with _lock:
        pacer = _pacers.setdefault((app, tenant), Pacer())
        _pacers.move_to_end((app, tenant))
        while len(_pacers) > MOST_PACERS:
            _pacers.popitem(last=False)
        return pacer
