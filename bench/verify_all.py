"""Verify All over a thousand customers of which some are broken in eighteen ways: how long, and is each cause named?

    .venv/bin/python bench/verify_all.py --json FILE

The wall time stands beside requests x latency / parallel calls, which no one could beat. See README.md.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground
from bench.ground import Figures

EXPECTED = {
    "": {("ok", "")},
    "expired_secret": {("access_failed", "secret_expired")},
    "wrong_secret": {("access_failed", "secret_wrong")},
    "app_not_found": {("access_failed", "app_not_found")},
    "principal_missing": {("access_failed", "app_not_installed")},
    "app_disabled": {("access_failed", "app_disabled")},
    "consent_withdrawn": {("access_failed", "permission_missing")},
    "permission_missing": {("access_failed", "permission_missing")},
    "tenant_unknown": {("access_failed", "tenant_unknown")},
    "wrong_cloud": {("access_failed", "wrong_cloud")},
    "conditional_access": {("access_failed", "conditional_access")},
    "sign_in_revoked": {("access_failed", "signin_revoked")},
    "sign_in_unused": {("access_failed", "signin_unused")},
    "mfa_required": {("access_failed", "mfa_required")},
    "user_deleted": {("access_failed", "account_unknown")},
    "user_disabled": {("access_failed", "account_disabled")},
    "password_expired": {("access_failed", "password_expired")},
    "throttled": {("again", "throttled")},
    "unavailable": {("again", "microsoft_busy")},
}
"""What a run has to say of each way: the outcome and the error's code. The last two blame nobody."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--customers", type=int, default=1000, metavar="N")
    parser.add_argument("--broken", type=int, default=5, metavar="PERCENT")
    parser.add_argument(
        "--connection",
        default="mixed",
        choices=["secret", "shared", "delegated", "mixed"],
        help="how customers are connected",
    )
    parser.add_argument("--latency", type=float, default=200.0, metavar="MS", help="of every request")
    parser.add_argument(
        "--threads", type=int, default=16, help="of each process; a run leaves a quarter free"
    )
    parser.add_argument("--processes", type=int, default=2, help="of the worker, as Celery's prefork has")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def child(measure: str, /, **given: Any) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "bench.verifying", measure, json.dumps(given)]
    return subprocess.Popen(command, cwd=ground.ROOT, stdout=subprocess.PIPE, text=True)


def answer(process: "subprocess.Popen[str]") -> Figures:
    out, _ = process.communicate()
    if process.returncode:
        raise SystemExit("a measurement failed, see above")
    figures: Figures = json.loads(out.splitlines()[-1])
    return figures


def requests_so_far(url: str) -> int:
    """Requests over the wire: what a $batch holds is counted by the simulator too, and takes no time of its own."""
    stats = ground.control(url, "GET", "/stats")
    outer = ("login:", "/$batch", "/applications")
    return sum(int(row["requests"]) for row in stats["by_route"] if row["route"].startswith(outer))


def measure(url: str, chosen: argparse.Namespace, file: str) -> Figures:
    spec = {
        "count": chosen.customers,
        "broken_percent": chosen.broken,
        "connection": chosen.connection,
        "settings": {"throttling": False},
    }
    planted = ground.control(url, "POST", "/many", spec)
    tenants = planted["tenants"]
    for row in tenants:
        # One that is needed; the portal can do without the one taken first.
        if row["break"] == "permission_missing":
            change = {"remove_roles": ["User.Read.All"]}
            ground.control(url, "PATCH", f"/tenants/{row['tenant_id']}/app", change)
    Path(file).write_text(json.dumps(planted), encoding="utf-8")
    answer(child("plant", file=file))
    ground.control(url, "PATCH", "/settings", {"latency_ms": chosen.latency})
    pressed = answer(child("start"))
    before = requests_so_far(url)
    workers = [child("work", run=pressed["run"]) for _ in range(chosen.processes)]
    try:
        time.sleep(3)  # in the middle of it
        person = answer(child("newcomer"))
        worked = [answer(worker) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
    requests = requests_so_far(url) - before
    found = answer(child("result", run=pressed["run"], file=file))
    parallel = chosen.processes * (found["threads"] - found["threads"] // 4)
    ideal = requests * chosen.latency / 1000 / parallel
    wall = max(one["ended"] for one in worked) - min(one["begun"] for one in worked)
    return {
        "customers": chosen.customers,
        "connections": dict(Counter(row["connection"] for row in tenants)),
        "broken": sum(1 for row in tenants if row["break"]),
        "press": pressed["wall"],
        "wall": wall,
        "requests": requests,
        "latency_ms": chosen.latency,
        "parallel": parallel,
        "ideal": ideal,
        "ratio": wall / ideal,
        "cpu": sum(one["cpu"] for one in worked),
        "person": person["wall"],
        **found,
    }


def misnamed(found: Figures) -> list[str]:
    """Every row whose cause is not the one that was planted."""
    return [
        f"{number} x {way or 'healthy'}: {outcome} {code}"
        for way, outcome, code, number in found["said"]
        if (outcome, code) not in EXPECTED[way]
    ]


def told(found: Figures) -> str:
    size = f"{found['customers']:,} customers, {found['broken']} broken"
    lines = [
        f"{size}; {found['requests']:,} requests of {found['latency_ms']:g} ms, {found['parallel']} at a time",
        f"pressing the button {found['press']:.2f} s, the run {found['wall']:.2f} s",
        f"CPU of the workers {found['cpu']:.1f} s",
        f"requests x latency / parallel = {found['ideal']:.2f} s, ratio {found['ratio']:.2f}",
        f"a person's own check in the middle of it: {found['person']:.2f} s",
    ]
    for way, outcome, code, number in found["said"]:
        lines.append(f"  {way or 'healthy':<20}{outcome:<15}{code:<22}{number:>5}")
    return "\n".join(lines)


def main() -> int:
    chosen = options()
    os.environ |= {"CONSENT_PROPAGATION_SECONDS": "0", "WORKER_THREADS": str(chosen.threads)}
    os.environ["LICENSE_CUSTOMERS"] = str(chosen.customers)
    with (
        tempfile.TemporaryDirectory(prefix="ump-bench-") as folder,
        ground.database(),
        ground.keys(),
        ground.simulator(0) as url,
    ):
        os.environ["M365_GATEWAY_URL"] = url
        found = measure(url, chosen, f"{folder}/customers.json")
    found["misnamed"] = misnamed(found)
    print(told(found))
    print(f"misnamed: {found['misnamed'] or 'none'}; wrongly blamed: {found['wrongly_blamed']}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if found["misnamed"] or found["wrongly_blamed"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
