"""The queue with all its safety beside plain Celery with Redis that makes the same calls, and what a claim costs.

    .venv/bin/python bench/queue.py --json FILE

How many commands a second, how soon one begins on a quiet system, how many cycles without news, on how much CPU, and
whether a claim grows dearer with a million finished rows or with ten thousand lanes. See README.md.
"""

import sys
from pathlib import Path

# Run by its path, this file would be the standard library's `queue` to whoever imports that.
sys.path.pop(0)  # bench/ itself: this file is not Python's queue
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import argparse
import json
import os
import tempfile
from contextlib import AbstractContextManager
from typing import Any

from bench import ground, judged
from bench.ground import Figures

CYCLE_MS = 80
CALLS = 3
"""Of a cycle without news: users, groups, licences."""
PLAIN_CYCLES = 80
WARM = 4
"""Commands of each customer beforehand, so that both processes have its token, which lasts an hour."""
RATE, IDLE_RATE = 150, 100
"""Commands and cycles a second that are wanted; ten thousand customers in five minutes need a third of the latter."""
MIDDLE_MS, SLOWEST_MS = 20, 1000
"""From queued to begun on a quiet system: half of them, and 99 of a hundred."""
GROWTH = 1.5
"""How much dearer than among few rows a claim may be, with what two measurements of the same differ by."""
PROCESSES, THREADS = 2, 32
"""As the worker of `ump up` has, and so as many calls at a time for plain Celery."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--commands", type=int, default=4000, metavar="N")
    parser.add_argument(
        "--tenants", type=int, default=200, metavar="N", help="their commands wait for one another"
    )
    parser.add_argument("--latency", type=float, default=20.0, metavar="MS", help="of every call")
    parser.add_argument(
        "--starts", type=int, default=300, metavar="N", help="single commands on a quiet system"
    )
    parser.add_argument(
        "--finished", type=int, default=1_000_000, metavar="N", help="rows that a claim must not mind"
    )
    parser.add_argument(
        "--lanes", type=int, default=10_000, metavar="N", help="lanes that a claim must not mind"
    )
    parser.add_argument(
        "--cycles", type=int, default=1000, metavar="N", help="customers in whom nothing changed"
    )
    parser.add_argument(
        "--rounds", type=int, default=2, metavar="N", help="in which ours and plain take turns"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def child(measure: str, **given: Any) -> Figures:
    return ground.child(measure, of="bench.queueing", **given)


def ours(commands: int, tenants: int, label: str) -> Figures:
    """Commands of the portal, through the worker as the product starts it, once its processes have their tokens."""
    with product():
        throughput: Figures = {}
        for part, number in ((f"warm {label}", WARM * tenants), (label, commands)):
            child("wishes", commands=number, label=part)
            throughput = child("drained", commands=number, label=part)
    return throughput


def product() -> AbstractContextManager[None]:
    return ground.workers("bench.queue_app", "--pool=prefork", f"--concurrency={PROCESSES}")


def plain(pool: str, commands: int, calls: int = 1) -> Figures:
    """The same calls as plain Celery tasks: as its default pool, and with as many threads as we have."""
    threads = pool == "threads"
    arguments = (f"--pool={pool}", f"--concurrency={THREADS if threads else PROCESSES}")
    child("messages", commands=commands, calls=calls)
    with ground.workers("bench.plain_celery", *arguments, number=PROCESSES if threads else 1):
        return child("answered", commands=commands)


def throughput(chosen: argparse.Namespace) -> Figures:
    """The queue and plain Celery in turn, so that what else the machine does meets all of them; the best of each."""
    commands = chosen.commands // chosen.rounds
    found: dict[str, list[float]] = {"queue": [], "prefork": [], "threads": []}
    for number in range(chosen.rounds):
        found["queue"].append(ours(commands, chosen.tenants, f"round {number}")["rate"])
        for pool in ("prefork", "threads"):
            found[pool].append(plain(pool, commands)["rate"])
    return {"rates": found, "best": {name: max(rates) for name, rates in found.items()}}


def starts(chosen: argparse.Namespace) -> Figures:
    """Milliseconds from queued to begun, one command after another on a quiet system."""
    with product():
        child("wishes", commands=WARM * chosen.tenants, label="warm starts")
        child("drained", commands=WARM * chosen.tenants, label="warm starts")
        return child("starts", number=chosen.starts)


def cycles(chosen: argparse.Namespace, url: str) -> Figures:
    """What every five minutes brings: each customer asked for what changed, and nothing has; beside plain Celery."""
    with tempfile.TemporaryDirectory(prefix="ump-bench-") as folder:
        file = Path(folder) / "customers.json"
        spec = {
            "count": chosen.cycles,
            "broken_percent": 0,
            "seed": "cycle",
            "settings": {"throttling": False},
        }
        file.write_text(json.dumps(ground.control(url, "POST", "/many", spec)), encoding="utf-8")
        ground.control(url, "PATCH", "/settings", {"latency_ms": 0})
        child("customers", file=str(file))
    child("quiet")
    found: list[Figures] = []
    with product():
        for _ in range(WARM):  # the first time everything is read; then both processes have nearly all tokens
            child("replicate")
        ground.control(url, "PATCH", "/settings", {"latency_ms": CYCLE_MS})
        for _ in range(chosen.rounds):
            child("quiet")
            before = ground.cpu_seconds()
            found.append(child("replicate"))
            used = {name: seconds - before[name] for name, seconds in ground.cpu_seconds().items()}
            found[-1]["cpu_ms"] = {name: 1000 * one / found[-1]["customers"] for name, one in used.items()}
    best = max(found, key=lambda one: float(one["rate"]))
    return {
        **best,
        "rates": [one["rate"] for one in found],
        "plain": plain("prefork", PLAIN_CYCLES, CALLS)["rate"],
    }


def verdicts(found: Figures) -> dict[str, bool]:
    few, *others = (of["p50"] for of in found["claims"].values())
    starts = found["starts"]
    return {
        f"at least {RATE} commands a second": found["throughput"]["best"]["queue"] >= RATE,
        f"begun within {MIDDLE_MS} ms (p50) and {SLOWEST_MS} ms (p99)": (
            starts["p50"] < MIDDLE_MS and starts["p99"] < SLOWEST_MS
        ),
        f"at least {IDLE_RATE} cycles without news a second": found["cycles"]["rate"] >= IDLE_RATE,
        "a claim costs no more among many rows, nor among many lanes": max(others) < GROWTH * few,
    }


def told(found: Figures) -> str:
    best, starts, claims = found["throughput"]["best"], found["starts"], found["claims"]
    rate = best["queue"]
    lines = [
        f"{found['commands']:,} commands of {found['tenants']} customers, a call of {found['latency_ms']:g} ms each"
    ]
    lines += [f"  the queue{'':<22}{rate:>8.0f}/s"]
    for pool in ("prefork", "threads"):
        lines.append(f"  plain Celery, {pool:<18}{best[pool]:>8.0f}/s   ours / plain {rate / best[pool]:.2f}")
    lines.append(
        f"from queued to begun, quiet: p50 {starts['p50']:.1f} ms, p99 {starts['p99']:.1f} ms,"
        f" the slowest of {starts['number']:,} {starts['most']:.1f} ms"
    )
    for name, of in claims.items():
        lines.append(f"a claim of 20, {name:<34} p50 {of['p50']:.2f} ms, p95 {of['p95']:.2f} ms")
    idle = found["cycles"]
    lines.append(
        f"{idle['customers']:,} cycles without news, {CYCLE_MS} ms a call: {idle['rate']:.0f}/s"
        f" (10,000 customers: 33), plain Celery prefork {idle['plain']:.1f}/s"
    )
    spent = ", ".join(f"{name} {of:.1f} ms" for name, of in idle["cpu_ms"].items())
    lines.append(f"  CPU of a cycle: {spent}")
    lines.append(f"load of the machine, which tells how far to trust the times: {found['load']:.1f}")
    return "\n".join(lines + judged.lines(found["verdicts"]))


def main() -> int:
    chosen = options()
    os.environ |= {
        "CONSENT_PROPAGATION_SECONDS": "0",
        "LICENSE_CUSTOMERS": str(chosen.tenants + chosen.cycles + 1),
        "WORKER_THREADS": str(THREADS),
    }
    found: Figures = {"commands": chosen.commands, "tenants": chosen.tenants, "latency_ms": chosen.latency}
    with ground.redis() as broker, ground.database(), ground.keys(), ground.simulator(0) as url:
        os.environ |= {"M365_GATEWAY_URL": url, "BROKER_URL": broker}
        spec = {"count": chosen.tenants, "broken_percent": 0, "settings": {"throttling": False}}
        planted = ground.control(url, "POST", "/many", spec)
        with tempfile.TemporaryDirectory(prefix="ump-bench-") as folder:
            file = Path(folder) / "customers.json"
            file.write_text(json.dumps(planted), encoding="utf-8")
            token = child("customers", file=str(file))["token"]
        ground.control(url, "PATCH", "/settings", {"latency_ms": chosen.latency})
        os.environ |= {"BENCH_URL": url, "BENCH_TOKEN": token}
        child("quiet")
        found["throughput"] = throughput(chosen)
        found["starts"] = starts(chosen)
        found["cycles"] = cycles(chosen, url)
        found["claims"] = child("claims", finished=chosen.finished, lanes=chosen.lanes)
    found["load"] = os.getloadavg()[1]
    found["verdicts"] = verdicts(found)
    print(told(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return judged.status(found["verdicts"])


if __name__ == "__main__":
    raise SystemExit(main())
