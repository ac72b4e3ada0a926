"""How fast the lines of a plan are written and read back, beside one write a request and what no one could beat.

    .venv/bin/python bench/apply.py --lines 1000 10000 --json FILE

Each size gets a pretend customer of as many users, and a plan of which four tenths are numbers, three policies and
three attributes, each of another user, behind a latency of 80 ms a request. See README.md.
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
from m365 import permissions

WAYS = {
    "batches": "the product: up to 20 writes a request, one connection",
    "four connections": "a write a request over four connections",
    "four times batches": "the same over four connections",
    "one by one": "a write a request, one after another",
}
READING = permissions.DIRECTORY_READ + permissions.TELEPHONY_READ
LOOKS = 3
"""At an order, until the simulator ends it."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lines", type=int, nargs="+", default=[1_000, 10_000], metavar="N")
    parser.add_argument("--latency", type=float, default=80.0, metavar="MS", help="of every request")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS), help="what is compared")
    parser.add_argument(
        "--limits", action="store_true", help="Microsoft counts, as facts/microsoft.md 6 has it"
    )
    parser.add_argument(
        "--share", type=float, default=1.0, help="of its lines that 'one by one' does; scaled up"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def parts(lines: int) -> dict[str, int]:
    return {"number": lines * 4 // 10, "policy": lines * 3 // 10, "user": lines * 3 // 10}


def floor(lines: int, latency: float) -> dict[str, float]:
    """Seconds that no one can beat: by latency, with batches of 20 over one connection; and by Microsoft's limits.

    Every line is written and read back, and orders are looked at until they end. Teams takes 30 requests a second,
    the directory 3,000 writes at once and 20 a second afterwards.
    """
    of = parts(lines)
    full = {name: -(-number // 20) for name, number in of.items()}
    requests = full["number"] * (2 + LOOKS) + full["policy"] * 2 + full["user"] * 2
    teams = of["number"] * (2 + LOOKS) + of["policy"] + full["policy"]
    return {
        "latency": requests * latency / 1000,
        "limits": max((teams - 30) / 30, (of["user"] - 3_000) / 20, 0.0),
    }


def measure(url: str, lines: int, chosen: argparse.Namespace) -> dict[str, Figures]:
    pretend = _customer(url, lines, chosen.limits)
    of = "bench.applying"
    tenant = ground.child("prepare", of=of, **pretend)["tenant"]
    found: dict[str, Figures] = {}
    for turn, way in enumerate(chosen.ways):
        some = parts(max(10, int(lines * chosen.share)) if way == "one by one" else lines)
        found[way] = ground.child(
            "apply", of=of, tenant=tenant, way=way, turn=turn, limits=chosen.limits, **some
        )
        found[way]["whole"] = found[way]["wall"] * lines / found[way]["lines"]
        print(f"  {way}: {found[way]['wall']:.1f} s for {found[way]['lines']:,}", file=sys.stderr, flush=True)
    return found


def _customer(url: str, lines: int, limits: bool) -> dict[str, str]:
    spec = {
        "name": f"Bench {lines}",
        "users": lines * 3 // 2,
        "groups": 1,
        "memberships_per_user": 1,
        "telephony": {"head": "+4158", "digits": 6, "free": lines * 2},
        "app": {"roles": [*permissions.missing_for((), READING + permissions.WRITES)]},
        "settings": {"throttling": limits},
    }
    return ground.pretend(url, spec)


def table(lines: int, found: dict[str, Figures], least: dict[str, float], limits: bool) -> str:
    base = max(least.values()) if limits else least["latency"]
    told = [
        f"\n{lines:,} lines; floor by latency {least['latency']:.1f} s, by limits {least['limits']:.1f} s",
        f"{'':<20}{'requests':>9}{'wall s':>9}{'CPU s':>8}{'lines/s':>9}{'/ floor':>9}{'/ batches':>11}",
    ]
    for way, one in found.items():
        above = f"{one['whole'] / base:.2f}" if base else "-"  # no latency, no floor
        ratio = one["whole"] / found["batches"]["whole"] if "batches" in found else 0.0
        told.append(
            f"{way:<20}{one['requests']:>9,}{one['whole']:>9.1f}{one['cpu']:>8.1f}"
            f"{one['lines'] / one['wall']:>9.1f}{above:>9}{ratio:>11.2f}"
        )
        if one["lines"] != sum(parts(lines).values()):
            told.append(f"{'':<20}(did {one['lines']:,} lines in {one['wall']:.1f} s; wall is scaled up)")
    return "\n".join(told)


def main() -> int:
    chosen = options()
    figures: dict[str, Any] = {"load": os.getloadavg()[0], "limits": chosen.limits, "sizes": {}}
    with ground.database(), ground.keys(), ground.simulator(chosen.latency) as url:
        os.environ["M365_GATEWAY_URL"] = url
        for lines in chosen.lines:
            found, least = measure(url, lines, chosen), floor(lines, chosen.latency)
            figures["sizes"][str(lines)] = {"floor": least, "ways": found}
            print(table(lines, found, least, chosen.limits))
    print(f"load of the machine: {figures['load']:.1f} before, {os.getloadavg()[0]:.1f} after")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
