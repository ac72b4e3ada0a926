"""One customer with more work than all others together: how long do the others wait, and what does throttling cost?

    .venv/bin/python bench/fairness.py --json FILE

The same commands of ninety-nine small customers three times: alone; beside a customer with ten thousand queued
commands and a first sync of 50,000 users; and so again, with thirty of the hundred throttled by Microsoft for two
minutes. See README.md.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground
from bench.ground import Figures

PROCESSES = 2
RETRY_AFTER, THROTTLED = 20, 120
"""Seconds: what each 429 asks for, and how long Microsoft goes on with it."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=99, metavar="N", help="customers with ten commands each")
    parser.add_argument(
        "--queued", type=int, default=10_000, metavar="N", help="commands of the large customer"
    )
    parser.add_argument(
        "--users", type=int, default=50_000, metavar="N", help="of the large customer's first sync"
    )
    parser.add_argument("--latency", type=float, default=80.0, metavar="MS", help="of every call")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def child(measure: str, /, **given: object) -> Figures:
    return ground.child(measure, of="bench.queueing", **given)


def prepared(url: str, chosen: argparse.Namespace) -> list[str]:
    """Everybody in the portal; the small customers' tenant ids."""
    spec = {"count": chosen.small, "broken_percent": 0, "seed": "small", "settings": {"throttling": False}}
    planted = ground.control(url, "POST", "/many", spec)
    large = {
        "count": 1,
        "seed": "large",
        "users": chosen.users,
        "groups": chosen.users // 10,
        "broken_percent": 0,
    }
    planted["tenants"] += ground.control(url, "POST", "/many", large)["tenants"]
    with tempfile.TemporaryDirectory(prefix="ump-bench-") as folder:
        file = Path(folder) / "customers.json"
        file.write_text(json.dumps(planted), encoding="utf-8")
        child("customers", file=str(file))
    ground.control(url, "PATCH", "/settings", {"latency_ms": chosen.latency})
    return [row["tenant_id"] for row in planted["tenants"][: chosen.small]]


def throttle(url: str, tenants: list[str]) -> None:
    for tenant in tenants:
        trouble = {"kind": "throttle", "host": "graph", "retry_after": str(RETRY_AFTER), "seconds": THROTTLED}
        ground.control(url, "POST", "/trouble", {"tenant": tenant, **trouble})


def early(url: str, seconds: float) -> int:
    """Calls that a throttled customer made before it was allowed to: more than fit into the time."""
    rows = ground.control(url, "GET", "/trouble")["trouble"]
    fit = int(min(seconds, THROTTLED) // RETRY_AFTER) + 1
    return sum(max(0, int(row["hits"]) - fit) for row in rows)


def told(found: Figures) -> str:
    size = f"{found['small']} customers with 10 commands each, a call of {found['latency_ms']:g} ms; one with"
    lines = [f"{size} {found['queued']:,} commands and a first sync of {found['users']:,} users"]
    alone = found["alone"]["p95"]
    for name in ("alone", "beside", "throttled"):
        of = found[name]
        waits = f"wait p50 {of['p50']:.0f} ms, p95 {of['p95']:.0f} ms = {of['p95'] / alone:.2f} x alone"
        lines.append(f"  {name:<10} {waits}; all done after {of['seconds']:.1f} s")
    of = f"{found['early']} calls before their Retry-After; the others took {found['loss']:+.0%} time"
    lines.append(f"  of the throttled: {of}")
    return "\n".join(lines)


def main() -> int:
    chosen = options()
    os.environ |= {"CONSENT_PROPAGATION_SECONDS": "0", "LICENSE_CUSTOMERS": str(chosen.small + 2)}
    found: Figures = {"small": chosen.small, "queued": chosen.queued, "users": chosen.users}
    found["latency_ms"] = chosen.latency
    with ground.redis() as broker, ground.database(), ground.keys(), ground.simulator(0) as url:
        os.environ |= {"M365_GATEWAY_URL": url, "BROKER_URL": broker}
        small = prepared(url, chosen)
        slow = small[: (chosen.small + 1) * 3 // 10]
        fast = small[len(slow) :]
        with ground.workers("bench.queue_app", "--pool=prefork", f"--concurrency={PROCESSES}"):
            child(
                "burst", tenants=small, watch=fast, each=2, large=0
            )  # everybody has a token, connections are open
            found["alone"] = child("burst", tenants=small, watch=fast, each=10, large=0)
            found["beside"] = child("burst", tenants=small, watch=fast, each=10, large=chosen.queued)
            ground.wipe()
            throttle(url, slow)
            begun = time.monotonic()
            found["throttled"] = child("burst", tenants=small, watch=fast, each=10, large=chosen.queued)
            child("finished", tenants=slow)
            found["early"] = early(url, time.monotonic() - begun)
    found["loss"] = found["throttled"]["seconds"] / found["beside"]["seconds"] - 1
    print(told(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if found["early"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
