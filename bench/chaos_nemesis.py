"""What goes wrong during a run: a seeded plan, and the hand that does it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.chaos_ground import LEASE, Ground
from bench.chaos_history import Fault
from bench.chaos_load import Load

KINDS = {
    "kill process": 14, "kill worker": 5, "freeze": 8, "terminate worker": 3, "kill web": 4, "kill clock": 2,
    "postgres restarted": 4, "redis emptied": 5, "redis restarted": 4, "cut": 10, "silent": 6, "slow": 4,
    "far end": 34, "mail": 4, "webhook": 4, "name server": 3, "clock": 4,
}  # fmt: skip
"""How often each comes, once every one has come."""
LINES = ("postgres", "redis", "graph")
FAR = (
    {"kind": "throttle", "retry_after": "1", "count": 6},
    {"kind": "throttle", "retry_after": "2.128", "count": 3, "host": "graph"},
    {"kind": "error", "status": 503, "when": "before", "count": 4},
    {"kind": "error", "status": 502, "when": "after", "count": 4, "host": "graph"},
    {"kind": "error", "status": 504, "when": "after", "count": 3, "method": "POST", "host": "graph"},
    {"kind": "drop", "when": "before", "count": 3},
    {"kind": "drop", "when": "after", "count": 4, "host": "graph"},
    {"kind": "drop", "when": "after", "count": 2, "method": "POST", "path": "Password|/domains|/users"},
    {"kind": "drop", "when": "midway", "count": 3, "host": "graph"},
    {"kind": "html", "status": 200, "count": 3},
    {"kind": "html", "status": 503, "count": 3, "host": "graph"},
    {"kind": "truncated", "count": 3, "host": "graph"},
    {"kind": "latency", "ms": 1500, "seconds": 3},
    {"kind": "gone", "count": 2},
    {"kind": "replay", "changes": 20, "count": 3},
    {"kind": "repeat_objects", "objects": 3, "count": 3},
)
MAIL, WEBHOOK, DNS = ("later", "busy", "lost"), ("503", "lost"), ("servfail", "silent")


@dataclasses.dataclass(frozen=True)
class Blow:
    """`pause` seconds before it; `length` is how long it lasts, if it does; `pick` chooses among what is there."""

    kind: str
    pause: float
    length: float
    pick: int
    detail: str
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)


def plan(seed: int, faults: int, pause: float) -> list[Blow]:
    """Depends on nothing but its arguments: the same seed, the same faults in the same order."""
    dice = random.Random(f"nemesis {seed}")
    kinds = dice.sample(list(KINDS), len(KINDS))[:faults]
    kinds += dice.choices(list(KINDS), KINDS.values(), k=faults - len(kinds))
    return [_blow(dice, kind, pause) for kind in kinds]


def _blow(dice: random.Random, kind: str, pause: float) -> Blow:
    detail, spec, length = "", {}, dice.uniform(0.5, 3.0)
    if kind in {"cut", "silent", "slow"}:
        detail = dice.choice(LINES)
        length /= 4 if kind == "cut" else 1
    elif kind == "freeze":
        length = LEASE * dice.uniform(1.3, 2.0)
    elif kind == "far end":
        spec = dice.choice(FAR)
        detail = " ".join(str(value) for value in spec.values())
    elif kind in {"mail", "webhook", "name server"}:
        detail = dice.choice({"mail": MAIL, "webhook": WEBHOOK, "name server": DNS}[kind])
    elif kind == "clock":
        length, detail = dice.uniform(5, 15), f"{dice.choice((-1, 1)) * dice.uniform(20, 300):.1f}"
    return Blow(kind, dice.uniform(0.5, 1.5) * pause, length, dice.randrange(1 << 30), detail, spec)


class Nemesis:
    """Strikes one blow after another; what lasts is ended by a thread, so that several may last at once."""

    def __init__(self, ground: Ground, load: Load) -> None:
        self.ground, self.load = ground, load
        self.faults: list[Fault] = []
        self._lasting: list[threading.Thread] = []
        self._hands: dict[str, Callable[[Blow], str]] = {
            "kill process": self._kill_process, "kill worker": self._kill_worker, "freeze": self._freeze,
            "terminate worker": self._terminate_worker, "kill web": self._kill_web, "kill clock": self._kill_clock,
            "postgres restarted": self._postgres, "redis emptied": self._redis_emptied,
            "redis restarted": self._redis_restarted, "cut": self._cut, "silent": self._silent, "slow": self._slow,
            "far end": self._far_end, "mail": self._mail, "webhook": self._webhook, "name server": self._dns,
            "clock": self._clock,
        }  # fmt: skip

    def strike(self, blows: list[Blow], carried_out: Callable[[], float]) -> None:
        """None before its share of the load was `carried_out`: on a slow machine they last as long as the load."""
        for number, blow in enumerate(blows):
            time.sleep(blow.pause)
            while carried_out() < number / len(blows):
                time.sleep(0.2)
            at = time.time()
            done = self._hands[blow.kind](blow)
            until = time.time() + (blow.length if blow.kind in LASTING else 0)
            self.faults.append(Fault(at, until, blow.kind, done))
            print(f"{time.strftime('%X')} {blow.kind}: {done}", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Everything that lasts is over, and the far end is itself again."""
        for thread in self._lasting:
            thread.join()
        for line in self.ground.lines.values():
            line.clear()
        self.ground.microsoft.control("DELETE", "/trouble")

    def _lasts(self, seconds: float, end: Callable[[], object]) -> None:
        def wait() -> None:
            time.sleep(seconds)
            end()

        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        self._lasting.append(thread)

    # --- Processes ----------------------------------------------------------------------------------------------
    def _busy(self, blow: Blow) -> int:
        """A process that holds a command, if there is one; else any of the workers'."""
        rows = self.ground.sql(
            "SELECT DISTINCT lease_owner FROM replication_command WHERE state = 'executing'"
        )
        holders = sorted(int(row[0].rpartition(":")[2]) for row in rows)
        alive = [pid for pid in holders if Path(f"/proc/{pid}").exists()]
        everybody = alive or [one.pid for group in self.ground.workers() for one in self.ground.pool(group)]
        return everybody[blow.pick % len(everybody)] if everybody else 0

    def _kill_process(self, blow: Blow) -> str:
        return f"process {_signal(self._busy(blow), signal.SIGKILL)}"

    def _kill_worker(self, blow: Blow) -> str:
        if blow.pick % 2 or self.ground.process("worker") is None:
            assert self.ground.other
            os.killpg(self.ground.other.pid, signal.SIGKILL)
            self.ground.second_worker_again()
            return "the second"
        self.ground.kill("worker")
        return "the first"

    def _freeze(self, blow: Blow) -> str:
        pid = _signal(self._busy(blow), signal.SIGSTOP)
        self._lasts(blow.length, lambda: _signal(pid, signal.SIGCONT))
        return f"process {pid} for {blow.length:.1f} s"

    def _terminate_worker(self, blow: Blow) -> str:
        self.ground.end_second_worker()
        return "the second"

    def _kill_web(self, blow: Blow) -> str:
        group = self.ground.running("web").group
        pool = self.ground.pool(group)
        return f"process {_signal(pool[blow.pick % len(pool)].pid if pool else 0, signal.SIGKILL)}"

    def _kill_clock(self, blow: Blow) -> str:
        return f"process {self.ground.kill('clock').pid}"

    def _clock(self, blow: Blow) -> str:
        clock = self.ground.clock
        if clock is None or not clock.can_be_wrong:
            return "left out: no C compiler"
        clock.wrong_by(float(blow.detail))
        self._lasts(blow.length, lambda: clock.wrong_by(0.0))
        return f"of the second worker, by {blow.detail} s for {blow.length:.1f} s"

    # --- What everybody stands on ---------------------------------------------------------------------------------
    def _postgres(self, blow: Blow) -> str:
        self.ground.restart_postgres()
        return "-m immediate"

    def _redis_emptied(self, blow: Blow) -> str:
        return self.ground.redis.say("FLUSHALL")

    def _redis_restarted(self, blow: Blow) -> str:
        self.ground.redis.kill()
        time.sleep(0.5)
        self.ground.redis.start()
        return "kill -9"

    def _cut(self, blow: Blow) -> str:
        self.ground.lines[blow.detail].cut(blow.length)
        return blow.detail

    def _silent(self, blow: Blow) -> str:
        self.ground.lines[blow.detail].silence(blow.length)
        return f"{blow.detail} for {blow.length:.1f} s"

    def _slow(self, blow: Blow) -> str:
        line = self.ground.lines[blow.detail]
        line.delay = blow.length / 40
        self._lasts(blow.length, lambda: setattr(line, "delay", 0.0))
        return f"{blow.detail} by {line.delay * 1000:.0f} ms"

    # --- The far ends ---------------------------------------------------------------------------------------------
    def _far_end(self, blow: Blow) -> str:
        tenant = self.load.tenants[blow.pick % len(self.load.tenants)]
        whom = {} if blow.pick % 3 == 0 else {"tenant": tenant.far["tenant_id"]}
        self.ground.microsoft.control("POST", "/trouble", {**blow.spec, **whom})
        return f"{blow.detail} {'for one' if whom else 'for all'}"

    def _mail(self, blow: Blow) -> str:
        control = self.ground.microsoft.control
        control("PATCH", "/mail", {"trouble": blow.detail})
        self._lasts(blow.length, lambda: control("PATCH", "/mail", {"trouble": ""}))
        return blow.detail

    def _webhook(self, blow: Blow) -> str:
        self.ground.webhook.trouble = blow.detail
        self._lasts(blow.length, lambda: setattr(self.ground.webhook, "trouble", ""))
        return blow.detail

    def _dns(self, blow: Blow) -> str:
        control = self.ground.microsoft.control
        control("PATCH", "/dns", {"trouble": blow.detail})
        self._lasts(blow.length, lambda: control("PATCH", "/dns", {"trouble": ""}))
        return blow.detail


LASTING = frozenset({"freeze", "cut", "silent", "slow", "mail", "webhook", "name server", "clock"})


def _signal(pid: int, number: int) -> int:
    with contextlib.suppress(ProcessLookupError):
        if pid:
            os.kill(pid, number)
    return pid
