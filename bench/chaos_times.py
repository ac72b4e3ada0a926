"""How soon and how fast, from the history of a run under fire; each figure beside what is wanted. Pure.

A command of a lost worker cannot go on while there is no worker, PostgreSQL is away, or its own lane is taken or
asleep. So each wait is told twice: as it was, and without the seconds in which nobody could have gone on.
"""

import dataclasses
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.chaos_history import FINAL, Fault, History, LaneRow, Move

Spans = list[tuple[float, float]]
"""Seconds of the machine's clock, in order, none touching another."""
RESUMED, EMPTIED, BACK, TERMINATED = 5.0, 10.0, 5.0, 30.0
"""Seconds wanted: from a lease's end to the next claim; from Redis being empty, and PostgreSQL being back, to any
claim; and from SIGTERM to a worker's end."""
ENDED = 60.0
"""Commands wanted a second, while more wait than there are threads."""
FULL = 128
"""Commands due: as many as both workers have threads."""
BIN = 1.0
LONG = 20
"""Seconds in which more was due than there are threads, or their pace says nothing."""
TOLD = 20


# --- What is told -----------------------------------------------------------------------------------------------
def times(history: History) -> dict[str, Any]:
    """The slowest of each in seconds, as it was and of a living worker; None where it never came to that."""
    weather = Weather(history)
    back = list(resumed(history, weather))
    late = sorted((one for one in back if one.waited > RESUMED), key=lambda one: -one.living)
    ends = [fault.until - fault.at for fault in history.faults if fault.kind == "terminate worker"]
    return {
        "resumed": {
            "commands": len(back),
            "middle": round(statistics.median(one.waited for one in back), 2) if back else None,
            "slowest": _slowest(one.waited for one in back),
            "of_a_living_worker": _slowest(one.living for one in back),
            "late": len(late),
            "late_of_a_living_worker": sum(one.living > RESUMED for one in back),
            "from_living_workers": sum(one.its_worker_lived for one in back),
        },
        "late": [one.sentence for one in late[:TOLD]],
        "flowing_after_redis_was_emptied": _both(flowing(history, weather, "redis emptied")),
        "flowing_after_postgresql_was_back": _both(flowing(history, weather, "postgres")),
        "ended_after_sigterm": _slowest(ends),
        "pace": {
            "fair_weather": pace(history, weather, *history.fair),
            "under_fire": pace(history, weather, *_fire(history.faults)),
        },
    }


def verdicts(judged: dict[str, Any]) -> dict[str, bool | None]:
    """By what `times` found; None where there was nothing to judge."""
    return {
        f"what lost workers held goes on within {RESUMED:g} s of a living worker": _within(
            judged["resumed"]["of_a_living_worker"], RESUMED
        ),
        f"claims go on within {EMPTIED:g} s of Redis being emptied": _within(
            judged["flowing_after_redis_was_emptied"]["of_a_living_worker"], EMPTIED
        ),
        f"claims go on within {BACK:g} s of PostgreSQL being back": _within(
            judged["flowing_after_postgresql_was_back"]["of_a_living_worker"], BACK
        ),
        f"a worker ends within {TERMINATED:g} s of SIGTERM": _within(
            judged["ended_after_sigterm"], TERMINATED
        ),
        f"{ENDED:g} commands end a second while more is due than there are threads": _enough(
            judged["pace"]["under_fire"]
        ),
    }


def _within(found: float | None, wanted: float) -> bool | None:
    return None if found is None else found <= wanted


def _enough(found: dict[str, float | int | None]) -> bool | None:
    long = (found.get("seconds_with_more_due_than_threads") or 0) >= LONG
    return float(found["ended_a_second_then"] or 0) >= ENDED if long else None


def _slowest(each: Iterable[float]) -> float | None:
    return max((round(one, 2) for one in each), default=None)


def _both(waits: Iterable[tuple[float, float]]) -> dict[str, float | None]:
    pairs = list(waits)
    return {
        "slowest": _slowest(waited for waited, _ in pairs),
        "of_a_living_worker": _slowest(living for _, living in pairs),
    }


# --- Spans of time --------------------------------------------------------------------------------------------
def merged(spans: Iterable[tuple[float, float]]) -> Spans:
    found: Spans = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        elif end > begin:
            found.append((begin, end))
    return found


def clipped(spans: Spans, begin: float, end: float) -> Spans:
    return [(max(begin, a), min(end, b)) for a, b in spans if a < end and b > begin]


def seconds(spans: Spans) -> float:
    return sum(end - begin for begin, end in spans)


def between(spans: Spans, begin: float, end: float) -> Spans:
    """What lies between them."""
    edges = [begin, *(edge for span in clipped(spans, begin, end) for edge in span), end]
    return [(a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > a]


# --- What keeps anybody from going on ---------------------------------------------------------------------------
class Weather:
    """When there was a living worker, and PostgreSQL; and when a lane was taken, or asleep, or held for a person."""

    def __init__(self, history: History) -> None:
        self.away = merged(_away(history.faults))
        self.alive = merged((life.since, life.until) for life in history.lives)
        self._lives = history.lives
        self._over = max([history.over, *(move.at for move in history.moves)], default=0.0)
        self._taken: dict[int, list[tuple[float, float, int]]] = defaultdict(list)
        self._held: dict[int, Spans] = defaultdict(list)
        self._take(history.moves)
        self._hold(history)

    def _take(self, moves: Iterable[Move]) -> None:
        held: dict[int, Move] = {}
        for move in moves:
            former = held.pop(move.lane, None)
            if former is not None and former.command != move.command:
                held[move.lane] = former
                continue
            if former is not None:
                self._taken[move.lane].append((former.at, move.at, move.command))
            if move.state == "executing":
                held[move.lane] = move
        for move in held.values():
            self._taken[move.lane].append((move.at, self._over, move.command))

    def _hold(self, history: History) -> None:
        """From each row of a lane to its next one: all of it where it was suspended, else until it may wake."""
        rows: dict[int, list[LaneRow]] = defaultdict(list)
        for row in history.lanes:
            rows[row.lane].append(row)
        for lane, mine in rows.items():
            for row, end in zip(mine, [*(each.at for each in mine[1:]), self._over], strict=True):
                until = end if row.suspended else min(end, row.not_before)
                if until > row.at:
                    self._held[lane].append((row.at, until))

    def reasons(self, begin: float, end: float, lane: int, command: int = 0) -> dict[str, Spans]:
        """Why nobody could go on with that lane (or that command of it) in this time."""
        taken = merged((a, b) for a, b, holder in self._taken[lane] if holder != command)
        found = {
            "no worker lived": between(self.alive, begin, end) if self.alive else [],
            "PostgreSQL was away": clipped(self.away, begin, end),
            "another command had the lane": clipped(taken, begin, end),
            "the lane slept or was held": clipped(merged(self._held[lane]), begin, end),
        }
        return {name: spans for name, spans in found.items() if spans}

    def nobody(self, begin: float, end: float) -> float:
        """Seconds without a worker, or without PostgreSQL."""
        none = between(self.alive, begin, end) if self.alive else []
        return seconds(merged([*none, *clipped(self.away, begin, end)]))

    def lived_on(self, owner: str, at: float) -> float:
        """Until when that worker's process lived without a pause; `at` itself where it did not live then."""
        mine = [life for life in self._lives if owner.endswith(f":{life.pid}")]
        return max((life.until for life in mine if life.since <= at < life.until), default=at)

    def free(self, lane: int, at: float) -> bool:
        return self.awake(lane, at) and not any(a <= at < b for a, b, _ in self._taken[lane])

    def awake(self, lane: int, at: float) -> bool:
        return not any(a <= at < b for a, b in self._held[lane])


def _away(faults: Iterable[Fault]) -> Iterator[tuple[float, float]]:
    for fault in faults:
        if fault.kind == "postgres restarted" or (
            fault.kind in {"cut", "silent"} and fault.detail.startswith("postgres")
        ):
            yield fault.at, fault.until


# --- Commands of lost workers -----------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Resumed:
    """A command that was taken back, from the end of the lease that its worker had last renewed to its next claim."""

    command: int
    kind: str
    waited: float
    reasons: dict[str, float]
    """Seconds of that, for each reason; they may lie over each other."""
    living: float
    """What is left without them."""
    its_worker_lived: bool = False
    """When it was taken back: its lease had not been renewed in time."""

    @property
    def sentence(self) -> str:
        why = ", ".join(f"{name} for {spent:.1f} s" for name, spent in self.reasons.items())
        return (
            f"command {self.command} ({self.kind}) went on {self.waited:.1f} s after its lease"
            f"{f' ({why})' if why else ''}: {self.living:.1f} s of a living worker"
        )


def resumed(history: History, weather: Weather) -> Iterator[Resumed]:
    before: dict[int, Move] = {}
    over: dict[int, tuple[float, float, float]] = {}
    for move in history.moves:
        former = before.get(move.command)
        if move.reason == "worker_lost" and former is not None and former.state == "executing":
            lived = weather.lived_on(former.owner, former.lease_until)
            over[move.command] = (former.lease_until, move.at, lived)
        if move.state == "executing" and move.command in over:
            begin, taken, lived = over.pop(move.command)
            why = weather.reasons(begin, move.at, move.lane, move.command)
            if lived > begin:
                why["its own worker lived and was at it"] = [(begin, min(lived, taken))]
            excused = seconds(merged(span for spans in why.values() for span in spans))
            yield Resumed(
                move.command, move.kind, move.at - begin,
                {name: seconds(spans) for name, spans in why.items()}, move.at - begin - excused,
                its_worker_lived=lived >= taken,
            )  # fmt: skip
        before[move.command] = move


# --- Flowing again ----------------------------------------------------------------------------------------------
def flowing(history: History, weather: Weather, kind: str) -> Iterator[tuple[float, float]]:
    """From the moment it was back to the first claim, where anything could have been claimed then; and without the
    seconds in which nobody could."""
    claims = [move.at for move in claims_of(history)]
    for fault in history.faults:
        if not fault.kind.startswith(kind) or not _was_due(history, weather, fault.until):
            continue
        first = next((at for at in claims if at >= fault.until), None)
        if first is not None:
            waited = first - fault.until
            yield waited, waited - weather.nobody(fault.until, first)


def claims_of(history: History) -> Iterator[Move]:
    """The rows with which a command came into a worker's hands."""
    fences: dict[int, int] = {}
    for move in history.moves:
        if move.state == "executing" and move.fence > fences.get(move.command, 0):
            fences[move.command] = move.fence
            yield move


def _was_due(history: History, weather: Weather, at: float) -> bool:
    state = {move.command: move for move in history.moves if move.at <= at}
    return any(
        move.state == "queued" and move.not_before <= at and weather.free(move.lane, at)
        for move in state.values()
    )


# --- How fast ---------------------------------------------------------------------------------------------------
def _fire(faults: list[Fault]) -> tuple[float, float]:
    return (faults[0].at, max(fault.until for fault in faults)) if faults else (0.0, 0.0)


def pace(history: History, weather: Weather, begin: float, end: float) -> dict[str, float | int | None]:
    """Commands ended, and slices of them carried out: in all of that time, and in those of its seconds that began
    with more commands due than there are threads. Wishes come spread, so these are few without a flood.
    """
    if end - begin < BIN:
        return {}
    bins = int((end - begin) / BIN)
    waiting, ended, slices = _waiting(history, weather, begin, bins), [0] * bins, [0] * bins
    before: dict[int, str] = {}
    for move in history.moves:
        number = int((move.at - begin) / BIN)
        if 0 <= number < bins and before.get(move.command) == "executing" != move.state:
            slices[number] += 1
            ended[number] += move.state in FINAL
        before[move.command] = move.state
    full = [number for number in range(bins) if waiting[number] > FULL]

    def a_second(counted: list[int], those: Sequence[int]) -> float | None:
        return round(sum(counted[one] for one in those) / len(those) / BIN, 1) if those else None

    return {
        "seconds": round(bins * BIN),
        "ended_a_second": a_second(ended, range(bins)),
        "slices_a_second": a_second(slices, range(bins)),
        "seconds_with_more_due_than_threads": len(full),
        "ended_a_second_then": a_second(ended, full),
        "slices_a_second_then": a_second(slices, full),
    }


def _waiting(history: History, weather: Weather, begin: float, bins: int) -> list[int]:
    """For each second, how many commands were due at its beginning, in lanes that neither slept nor were held."""
    found, moves, number = [], history.moves, 0
    queued: dict[int, Move] = {}
    for one in range(bins):
        at = begin + one * BIN
        while number < len(moves) and moves[number].at <= at:
            move = moves[number]
            number += 1
            queued.pop(move.command, None)
            if move.state == "queued":
                queued[move.command] = move
        due = Counter(move.lane for move in queued.values() if move.not_before <= at)
        found.append(sum(number for lane, number in due.items() if weather.awake(lane, at)))
    return found
