"""The queue with all its safety beside plain Celery with Redis that makes the same calls, and what a claim costs.

    .venv/bin/python bench/queue.py --json FILE

Three questions: how many commands a second, how soon one begins on a quiet system, and whether a claim grows dearer
with a million finished rows or with ten thousand lanes. See README.md.
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
from typing import Any

from bench import ground
from bench.ground import Figures

WARM = 4
"""Commands of each customer beforehand, so that both processes have its token, which lasts an hour."""
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def child(measure: str, **given: Any) -> Figures:
    return ground.child(measure, of="bench.queueing", **given)


def ours(chosen: argparse.Namespace) -> Figures:
    """Commands of the portal, through the worker as the product starts it, once its processes have their tokens."""
    child("quiet")
    with ground.workers("bench.queue_app", "--pool=prefork", f"--concurrency={PROCESSES}"):
        throughput = {}
        for label, commands in (("warm", WARM * chosen.tenants), ("call", chosen.commands)):
            child("wishes", commands=commands, label=label)
            throughput = child("drained", commands=commands, label=label)
        starts = child("starts", number=chosen.starts)
    return {**throughput, "starts": starts}


def plain(chosen: argparse.Namespace, pool: str, url: str, token: str) -> Figures:
    """The same calls as plain Celery tasks: as its default pool, and with as many threads as we have."""
    os.environ |= {"BENCH_URL": url, "BENCH_TOKEN": token}
    threads = pool == "threads"
    arguments = (f"--pool={pool}", f"--concurrency={THREADS if threads else PROCESSES}")
    child("messages", commands=chosen.commands)
    with ground.workers("bench.plain_celery", *arguments, number=PROCESSES if threads else 1):
        return child("answered", commands=chosen.commands)


def cycles(chosen: argparse.Namespace, url: str) -> Figures:
    """What every five minutes brings: each customer asked for what changed, and nothing has."""
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
    with ground.workers("bench.queue_app", "--pool=prefork", f"--concurrency={PROCESSES}"):
        child("replicate")  # the first time everything is read
        child("quiet")
        ground.control(url, "PATCH", "/settings", {"latency_ms": 80})
        return child("replicate")


def told(found: Figures) -> str:
    rate, starts, claims = found["ours"]["rate"], found["ours"]["starts"], found["claims"]
    lines = [
        f"{found['commands']:,} commands of {found['tenants']} customers, a call of {found['latency_ms']:g} ms each"
    ]
    lines += [f"  the queue{'':<22}{rate:>8.0f}/s"]
    for pool, of in found["plain"].items():
        lines.append(f"  plain Celery, {pool:<18}{of['rate']:>8.0f}/s   ours / plain {rate / of['rate']:.2f}")
    lines.append(f"from queued to begun, quiet: p50 {starts['p50']:.1f} ms, p99 {starts['p99']:.1f} ms")
    for name, of in claims.items():
        lines.append(f"a claim of 20, {name:<34} p50 {of['p50']:.2f} ms, p95 {of['p95']:.2f} ms")
    idle = found["cycles"]
    lines.append(
        f"{idle['customers']:,} cycles without news, 80 ms a call: {idle['rate']:.0f}/s (10,000 customers: 33)"
    )
    return "\n".join(lines)


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
        found["ours"] = ours(chosen)
        found["plain"] = {pool: plain(chosen, pool, url, token) for pool in ("prefork", "threads")}
        found["cycles"] = cycles(chosen, url)
        found["claims"] = child("claims", finished=chosen.finished, lanes=chosen.lanes)
    print(told(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
