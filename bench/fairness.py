"""One customer with more work than all others together: how long do the others wait, and what does throttling cost?

    .venv/bin/python bench/fairness.py --json FILE
    .venv/bin/python bench/fairness.py --quick

The same commands of ninety-nine small customers: alone; beside a customer with ten thousand queued commands and a
first sync of 50,000 users; and so again, with thirty of the hundred throttled by Microsoft for two minutes. The exit
status is 1 when a small customer waits longer than 1.5 times as long as alone, when one is called before its
Retry-After, or when the others lose 5 %. See README.md.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground, judged
from bench.ground import Figures

PROCESSES, EACH = 2, 10
RETRY_AFTER, THROTTLED = 20, 120
"""Seconds: what each 429 asks for, and how long Microsoft goes on with it."""
WAIT, LOSS = 1.5, 0.05
"""The p95 of the small ones' waits against that of the same commands alone; the time that the others may lose."""
QUICK = {"small": 33, "queued": 6_000, "users": 5_000, "rounds": 3}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=99, metavar="N", help="customers with ten commands each")
    parser.add_argument("--queued", type=int, default=10_000, metavar="N", help="commands of the large one")
    parser.add_argument(
        "--users", type=int, default=50_000, metavar="N", help="of the large one's first sync"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="bursts of each kind")
    parser.add_argument("--latency", type=float, default=80.0, metavar="MS", help="of every call")
    parser.add_argument("--quick", action="store_true", help="a smaller size, for a verdict in three minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    chosen = parser.parse_args()
    if chosen.quick:
        vars(chosen).update(QUICK)
    return chosen


def child(measure: str, /, **given: object) -> Figures:
    return ground.child(measure, of="bench.fairing", **given)


def prepared(url: str, chosen: argparse.Namespace) -> list[str]:
    """Everybody in the portal; the small customers' tenant ids."""
    spec = {"count": chosen.small, "broken_percent": 0, "seed": "small", "settings": {"throttling": False}}
    planted = ground.control(url, "POST", "/many", spec)
    groups = chosen.users // 10
    one = {"count": 1, "seed": "large", "users": chosen.users, "groups": groups, "broken_percent": 0}
    planted["tenants"] += ground.control(url, "POST", "/many", one)["tenants"]
    with tempfile.TemporaryDirectory(prefix="ump-bench-") as folder:
        file = Path(folder) / "customers.json"
        file.write_text(json.dumps(planted), encoding="utf-8")
        child("customers", file=str(file))
    ground.control(url, "PATCH", "/settings", {"latency_ms": chosen.latency})
    return [row["tenant_id"] for row in planted["tenants"][: chosen.small]]


def bursts(name: str, chosen: argparse.Namespace, tenants: list[str], watch: list[str]) -> Figures:
    """The same burst several times: all waits together, and the seconds of the middle one."""
    found = [
        child("burst", tenants=tenants, watch=watch, each=EACH, label=f"{name} {number}")
        for number in range(chosen.rounds)
    ]
    cuts = statistics.quantiles((wait for one in found for wait in one["waits"]), n=100)
    seconds = [one["seconds"] for one in found]
    return {"p50": cuts[49], "p95": cuts[94], "seconds": statistics.median(seconds), "all_seconds": seconds}


def throttle(url: str, tenants: list[str]) -> None:
    for tenant in tenants:
        trouble = {"kind": "throttle", "host": "graph", "retry_after": str(RETRY_AFTER), "seconds": THROTTLED}
        ground.control(url, "POST", "/trouble", {"tenant": tenant, **trouble})


def refused(url: str, seconds: float) -> tuple[int, int]:
    """How many calls were answered 429, and how many of them came earlier than a 429 before had asked for."""
    rows = ground.control(url, "GET", "/trouble")["trouble"]
    fit = int(min(seconds, THROTTLED) // RETRY_AFTER) + 1
    hits = [int(row["hits"]) for row in rows]
    return sum(hits), sum(max(0, number - fit) for number in hits)


def measured(url: str, chosen: argparse.Namespace, found: Figures) -> None:
    small = prepared(url, chosen)
    slow = small[: (chosen.small + 1) * 3 // 10]
    fast = small[len(slow) :]
    with ground.workers("bench.queue_app", "--pool=prefork", f"--concurrency={PROCESSES}"):
        child("quiet")
        child(
            "burst", tenants=small, watch=fast, each=2, label="warm"
        )  # everybody has a token, lines are open
        found["alone"] = bursts("alone", chosen, small, fast)
        child("large", commands=chosen.queued)
        found["beside"] = bursts("beside", chosen, small, fast)
        throttle(url, slow)
        begun = time.monotonic()
        found["throttled"] = bursts("throttled", chosen, small, fast)
        found["large_left"] = child("left")["open"]
        time.sleep(max(0.0, begun + THROTTLED - time.monotonic()))
        found["refused"], found["early"] = refused(url, time.monotonic() - begun)
        found["failed"] = child("finished", tenants=slow)["failed"]


def verdicts(found: Figures) -> dict[str, bool]:
    alone = found["alone"]["p95"]
    return {
        f"beside the large one p95 at most {WAIT} x alone": found["beside"]["p95"] <= WAIT * alone,
        f"with throttling p95 at most {WAIT} x alone": found["throttled"]["p95"] <= WAIT * alone,
        "no call before its Retry-After": found["refused"] > 0 and found["early"] == 0,
        f"the unthrottled lose less than {LOSS:.0%}": found["loss"] < LOSS,
        "what was throttled is done in the end": found["failed"] == 0,
        "the large one had work all the time": found["large_left"] > 0,
    }


def told(found: Figures) -> str:
    size = f"{found['small']} customers with {EACH} commands each, a call of {found['latency_ms']:g} ms; one with"
    lines = [f"{size} {found['queued']:,} commands and a first sync of {found['users']:,} users"]
    alone = found["alone"]["p95"]
    for name in ("alone", "beside", "throttled"):
        of = found[name]
        waits = f"wait p50 {of['p50']:.0f} ms, p95 {of['p95']:.0f} ms = {of['p95'] / alone:.2f} x alone"
        lines.append(f"  {name:<10} {waits}; all done after {of['seconds']:.1f} s")
    calls = f"{found['refused']} calls were throttled, {found['early']} of them before their Retry-After"
    lines.append(f"  {calls}; the others took {found['loss']:+.1%} time")
    lines.append(f"  {found['large_left']:,} commands of the large one were left")
    return "\n".join(lines + judged.lines(found["verdicts"]))


def main() -> int:
    chosen = options()
    os.environ |= {"CONSENT_PROPAGATION_SECONDS": "0", "LICENSE_CUSTOMERS": str(chosen.small + 2)}
    found: Figures = {"small": chosen.small, "queued": chosen.queued, "users": chosen.users}
    found |= {"latency_ms": chosen.latency, "rounds": chosen.rounds}
    with ground.redis() as broker, ground.database(), ground.keys(), ground.simulator(0) as url:
        os.environ |= {"M365_GATEWAY_URL": url, "BROKER_URL": broker}
        measured(url, chosen, found)
    found["loss"] = found["throttled"]["seconds"] / found["beside"]["seconds"] - 1
    found["verdicts"] = verdicts(found)
    found["machine"] = f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}"
    print(told(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return judged.status(found["verdicts"])


if __name__ == "__main__":
    raise SystemExit(main())
