"""How fast a customer's directory is mirrored, beside what one might do instead and what no one could beat.

    .venv/bin/python bench/sync.py --users 10000 50000 --json FILE

Every size gets a pretend customer with a tenth as many groups and five memberships a user, behind a latency
of 80 ms a request, with throttling off. See README.md for what is compared with what.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground
from bench.ground import Figures

ROWS = ("first", "no change", "1 % change", "delta only", "loop", "floor")


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--users", type=int, nargs="+", default=[10_000, 50_000], metavar="N")
    parser.add_argument("--latency", type=float, default=80.0, metavar="MS", help="of every request")
    parser.add_argument("--rounds", type=int, default=3, help="of floor and first in turn; the best counts")
    parser.add_argument("--loop-share", type=float, default=0.1, help="how much of its work the loop does")
    parser.add_argument("--without-loop", action="store_true", help="leave the slow loop out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def measure(url: str, users: int, chosen: argparse.Namespace) -> dict[str, Figures]:
    """All rows of the table for one size."""
    pretend = _customer(url, users)
    tenant = ground.child("prepare", **pretend)["tenant"]
    found: dict[str, Figures] = {}
    # The first to ask for a page would pay for its making, so everything is asked for once before.
    _note("warming up", ground.child("floor", tenant=tenant))
    for _ in range(chosen.rounds):
        ground.wipe()
        _keep_best(found, "floor", ground.child("floor", tenant=tenant))
        _keep_best(found, "first", ground.child("sync", tenant=tenant, kind="quick_replication"))
    ground.settle()
    found["first"]["bytes_a_row"] = ground.bytes_a_row()
    before = ground.rows_written()
    found["no change"] = _note("no change", ground.child("sync", tenant=tenant, kind="quick_replication"))
    found["no change"]["rows_written"] = ground.rows_written() - before
    for kind in ("users", "groups", "memberships"):
        ground.control(
            url, "POST", f"/tenants/{pretend['entra_tenant_id']}/touch", {"percent": 1, "kind": kind}
        )
    found["1 % change"] = _note("1 % change", ground.child("sync", tenant=tenant, kind="quick_replication"))
    ground.wipe()
    found["delta only"] = _note("delta only", ground.child("delta_only", tenant=tenant))
    ground.wipe()
    if not chosen.without_loop:
        found["loop"] = _note("loop", ground.child("loop", tenant=tenant, share=chosen.loop_share))
        ground.wipe()
    return found


def _keep_best(found: dict[str, Figures], name: str, figures: Figures) -> None:
    """Of several rounds the fastest: what else the machine does only ever makes one slower."""
    _note(name, figures)
    if name not in found or figures["wall"] < found[name]["wall"]:
        found[name] = figures


def _customer(url: str, users: int) -> dict[str, str]:
    spec = {
        "name": f"Bench {users}",
        "users": users,
        "groups": users // 10,
        "memberships_per_user": 5,
        "settings": {"throttling": False},
    }
    return ground.pretend(url, spec)


def _note(name: str, figures: Figures) -> Figures:
    print(f"  {name}: {figures['wall']:.2f} s", file=sys.stderr, flush=True)
    return figures


def whole(found: dict[str, Figures], name: str) -> float:
    """Seconds for all of the work. The loop did a part of it, and its time is scaled up by rows."""
    one = found[name]
    done = one["rows"] / found["first"]["rows"] if "share" in one else 1.0
    return float(one["wall"] / done)


def table(users: int, found: dict[str, Figures]) -> str:
    lines = [
        f"\n{users:,} users, {users // 10:,} groups, {users * 5:,} memberships",
        f"{'':<12}{'requests':>9}{'wall s':>9}{'CPU s':>8}{'peak MB':>9}{'rows':>9}{'rows/s':>10}{'/ first':>9}",
    ]
    for name in ROWS:
        if name not in found:
            continue
        one = found[name]
        wall = whole(found, name)
        ratio = wall / whole(found, "first")
        lines.append(
            f"{name:<12}{one['requests']:>9,}{wall:>9.2f}{one['cpu']:>8.2f}{one['peak_mb']:>9.0f}"
            f"{one['rows']:>9,}{one['rows'] / one['wall']:>10,.0f}{ratio:>9.2f}"
        )
        if "download" in one:
            lines.append(f"{'':<12}(download {one['download']:.2f} s, then COPY {one['copy']:.2f} s)")
        if "share" in one:
            lines.append(f"{'':<12}(did {one['rows']:,} rows in {one['wall']:.1f} s; wall is scaled up)")
    lines.append(f"no-change sync wrote {found['no change']['rows_written']} rows of the mirror")
    sizes = found["first"]["bytes_a_row"].items()
    lines.append("bytes a row with its indexes: " + ", ".join(f"{name} {size:,}" for name, size in sizes))
    return "\n".join(lines)


def summary(sizes: dict[int, dict[str, Figures]]) -> dict[str, Any]:
    """The figures of the largest size, and all of them below `sizes`."""
    largest = sizes[max(sizes)]
    first = whole(largest, "first")
    figures: dict[str, Any] = {
        "first_vs_floor": first / whole(largest, "floor"),
        "delta_only_vs_first": whole(largest, "delta only") / first,
        "loop_vs_first": whole(largest, "loop") / first if "loop" in largest else None,
        "nochange_requests": largest["no change"]["requests"],
        "nochange_rows_written": largest["no change"]["rows_written"],
        "peak_mb": largest["first"]["peak_mb"],
        "memory_ratio": largest["first"]["peak_mb"] / sizes[min(sizes)]["first"]["peak_mb"],
        "sizes": {str(users): found for users, found in sizes.items()},
    }
    return figures


def main() -> int:
    chosen = options()
    sizes = {}
    with ground.database(), ground.keys(), ground.simulator(chosen.latency) as url:
        os.environ["M365_GATEWAY_URL"] = url
        for users in chosen.users:
            print(f"{users:,} users", file=sys.stderr)
            sizes[users] = measure(url, users, chosen)
            print(table(users, sizes[users]))
    figures = summary(sizes)
    names = ("first_vs_floor", "delta_only_vs_first", "loop_vs_first", "nochange_requests", "memory_ratio")
    print("\n" + "   ".join(f"{name} {figures[name]:.2f}" for name in names if figures[name] is not None))
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
