"""Staying below Microsoft's limits instead of running into them (facts/microsoft.md 6.2).

Microsoft counts resource units per application and tenant in a bucket that fills again in ten seconds, tells the cost
of each answer, and above 80 % how much of the bucket is used. From that the pacer learns how much it holds; nobody
says it beforehand, since it depends on the customer's size and on what else uses the same app. Then it spends what
comes back, and keeps a tenth for others.

Two limits are known beforehand, and count requests (facts 6.2 and 6.3): writes to the directory, and calls of Teams,
of which Microsoft does not say what counts. There we begin with a fifth of what it says of the Teams service, come
near it in half a minute while nothing is refused, and begin anew once something was.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

WINDOW = 10.0
# Aim below the limit: other processes may spend from the same one.
AIM = 0.85
FULLEST = 0.9
"""The share of the bucket of units that may be used: what comes back is spent whole, so this costs little speed."""
TOLD_FROM = 0.8
"""The share from which on Microsoft tells it."""
FEWEST = 3_500.0
"""What Microsoft gives an application in the smallest tenant; if less seems to fit, others spend from it too."""
SMALLEST_LIMIT = 500.0
ENOUGH, LOOK_BACK = 300.0, 20.0
"""Units between two words of Microsoft from which the bucket's size can be told, and seconds that count for it."""
WITHOUT_RETRY_AFTER = 5.0
MOST_PACERS = 16_384
WRITES = (3_000 * AIM, 150.0)
"""Writes to the directory, and the seconds in which as many may be sent again."""
TEAMS = (30 * AIM, 1.0)
SLOWED = 0.2
"""The share of its speed with which a cautious meter begins and a refused one goes on; doubles until it is whole."""
DOUBLES = 10.0
SHORTEST = 0.001
"""A wait that is shorter than this is none."""

_COSTS = {"users": 2, "subscribedskus": 3, "applications": 2, "contracts": 3}


@dataclass(frozen=True, slots=True)
class Cost:
    """What a request, or a batch of them, draws on: resource units, and how many writes and calls of Teams it is."""

    units: float = 0.0
    writes: int = 0
    teams: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.units + other.units, self.writes + other.writes, self.teams + other.teams)


NOTHING = Cost()


def cost_of(path: str, *, writes: bool = False) -> Cost:
    """What is known of a request's cost before it is answered; `path` starts below the version."""
    teams = path.lower().startswith("/admin/teams/")
    return Cost(expected_units(path), int(writes and not teams), int(teams))


def expected_units(path: str) -> int:
    """Resource units of a GET before its answer tells them (facts 6.2); `path` starts below the version."""
    bare, _, query = path.partition("?")
    parts = [part.lower() for part in bare.split("/") if part]
    units = 3 if parts[2:3] == ["members"] else _COSTS.get(parts[0], 1) if len(parts) == 1 else 1
    return max(1, units - ("$select=" in query))


@dataclass
class Meter:
    """So many at once, and again within so many seconds; full at first, and filled evenly."""

    most: float
    window: float
    cautious: bool = False
    _level: float = 0.0
    _at: float | None = None
    _slow_since: float | None = None

    def until(self, now: float, number: float) -> float:
        """How long to wait for room for so many; more than fit at all wait until it is full."""
        if self._at is None:
            self._level = self.most
            self._slow_since = now if self.cautious else None
        else:
            self._level = min(self.most, self._level + (now - self._at) * self._speed(now))
        self._at = now
        wait = (min(number, self.most) - self._level) / self._speed(now)
        return wait if wait >= SHORTEST else 0.0

    def spend(self, number: float) -> None:
        self._level -= number

    def refuse(self, now: float) -> None:
        """Microsoft knows of more than we do: nothing is left, and it fills slowly for a while."""
        self._slow_since, self._level = now, min(self._level, 0.0)

    def _speed(self, now: float) -> float:
        share = 1.0
        if self._slow_since is not None:
            share = min(1.0, SLOWED * 2.0 ** min((now - self._slow_since) / DOUBLES, 8.0))
        return share * self.most / self.window


@dataclass
class Bucket:
    """Microsoft's bucket of resource units as we believe it to be; nobody waits before it is said to be low."""

    most: float = FEWEST
    asked: float = 0.0
    """All units that were ever spent: says later what was spent after a request."""
    _known: bool = False
    _used: float = 0.0
    _at: float = 0.0
    _since: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """The word of Microsoft that the size is reckoned from: when, units asked by then, share used then."""

    def until(self, now: float, units: float) -> float:
        """How long to wait for room; more than fits at all goes alone."""
        self._flow(now)
        room = FULLEST * self.most
        wait = (self._used + min(units, room) - room) * WINDOW / self.most
        return wait if self._known and wait >= SHORTEST else 0.0

    def spend(self, units: float) -> None:
        self._used += units
        self.asked += units

    def told(self, now: float, share: float | None, asked: float) -> None:
        """An answer to a request, when so much was `asked`: what was asked since is not in the share yet."""
        self._flow(now)
        later = self.asked - asked
        if share is None:
            self._used = min(self._used, TOLD_FROM * self.most + later)
            return
        self._known = True
        self._measure(now, share, asked)
        self._used = share * self.most + later

    def refuse(self, now: float) -> None:
        """It is full, whatever we believed."""
        self._flow(now)
        self._known, self._used = True, max(self._used, self.most)

    def _measure(self, now: float, share: float, asked: float) -> None:
        """What we spent since an earlier word is what is used more now, and what has come back meanwhile."""
        then, asked_then, share_then = self._since
        spent = asked - asked_then
        shares = share - share_then + (now - then) / WINDOW
        if not share_then and spent < FEWEST * shares:
            self._since = (now, asked, share)  # it was not full at first: others spend too
        elif spent >= ENOUGH and shares > 0:
            self.most = max(spent / shares, SMALLEST_LIMIT)
            if now - then > LOOK_BACK:
                self._since = (now, asked, share)

    def _flow(self, now: float) -> None:
        self._used -= (now - self._at) * self.most / WINDOW
        self._at = now
        if self._used <= 0:
            self._used, self._since = 0.0, (now, self.asked, 0.0)


@dataclass
class Pacer:
    """What one application may spend in one tenant; shared by the threads of a process. Times in seconds."""

    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _held_until: float = 0.0
    _units: Bucket = field(default_factory=Bucket)
    _writes: Meter = field(default_factory=lambda: Meter(*WRITES))
    _teams: Meter = field(default_factory=lambda: Meter(*TEAMS, cautious=True))

    @property
    def asked(self) -> float:
        """Units that were asked for so far: note it after `ask`, and give it to `learn` with the answer."""
        return self._units.asked

    def ask(self, cost: Cost) -> float:
        """How long to wait before spending this much; 0 means now, and counts it as spent."""
        with self._lock:
            now = self.clock()
            wait = max(self._held_until - now, self._units.until(now, cost.units))
            drawn = [(self._writes, cost.writes), (self._teams, cost.teams)]
            wait = max(wait, *(meter.until(now, number) for meter, number in drawn if number), 0.0)
            if wait <= 0:
                self._units.spend(cost.units)
                for meter, number in drawn:
                    meter.spend(number)
            return wait

    def learn(self, headers: Mapping[str, str], expected: float, asked: float) -> int | None:
        """Take in an answer's headers; returns the units it cost, None where it did not say."""
        units = number(headers, "x-ms-resource-unit")
        share = number(headers, "x-ms-throttle-limit-percentage")
        with self._lock:
            if units is not None and units != expected:
                self._units.spend(units - expected)
                asked += units - expected
            self._units.told(self.clock(), share or None, asked)
        return None if units is None else int(units)

    def hold(self, retry_after: float | None, refused: Cost = NOTHING) -> None:
        """Microsoft refused: everybody who shares the pacer waits, and spends less afterwards."""
        with self._lock:
            now = self.clock()
            for meter, number in ((self._writes, refused.writes), (self._teams, refused.teams)):
                if number:
                    meter.refuse(now)
            if not refused.writes and not refused.teams:
                self._units.refuse(now)
            wait = WITHOUT_RETRY_AFTER if retry_after is None else retry_after
            self._held_until = max(self._held_until, now + wait)


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
