"""300 sites on three SBCs that OVOC knows: deployed, listed, removed; is each device as it was before?

    .venv/bin/python bench/sites.py --json FILE

The wall time of deploying stands beside requests x latency / devices, which no one could beat: a device has one
writer at a time. See README.md.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground
from bench.ground import Figures

DEVICES = ("sbc1.example", "sbc2.example", "sbc3.example")
RULES = 1_000
"""Of others, on each device."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sites", type=int, default=300)
    parser.add_argument("--customers", type=int, default=30)
    parser.add_argument("--latency", type=float, default=100.0, help="of a device, in ms")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def set_up(url: str, latency: float) -> list[dict[str, Any]]:
    """The devices with rules of others on them, and OVOC, which lists them."""
    found = []
    for name in DEVICES:
        told = ground.control(url, "POST", "/sbcs", {"name": name})
        ground.control(url, "POST", f"/sbcs/{name}/rules", {"plan": "CustDialPlan", "count": RULES})
        ground.control(url, "PATCH", f"/sbcs/{name}", {"latency_ms": latency})
        listed = {
            "name": name,
            "fqdn": name,
            "ipAddress": f"{told['host']}:{told['port']}",
            "httpsEnabled": False,
        }
        ground.control(url, "POST", "/ovoc/devices", listed)
        found.append(told)
    return found


def measure(url: str, chosen: argparse.Namespace) -> Figures:
    devices = set_up(url, chosen.latency)
    ovoc = ground.control(url, "GET", "/ovoc")
    given = {"devices": devices, "ovoc": ovoc, "sites": chosen.sites, "customers": chosen.customers}
    figures = ground.child("whole", of="bench.siting", url=url, **given)
    ideal = figures["requests"] * chosen.latency / 1000 / len(devices)
    return {**figures, "latency_ms": chosen.latency, "ideal": ideal, "ratio": figures["deploying"] / ideal}


def told(figures: Figures) -> str:
    calls = f"{figures['requests']} requests, ideal {figures['ideal']:.1f} s, ratio {figures['ratio']:.2f}"
    lines = [
        f"{figures['sites']} sites on {len(DEVICES)} SBCs, {figures['latency_ms']:g} ms a request",
        f"deploying {figures['deploying']:.1f} s ({calls}), removing {figures['removing']:.1f} s",
        f"lists: {figures['queries']} queries; first page {figures['page_ms']:.0f} ms",
        f"devices as before: {figures['as_before']}; failed: {figures['failed']}",
    ]
    return "\n".join(lines)


def main() -> None:
    chosen = options()
    with ground.keys(), ground.database(), ground.simulator(0.0) as url:
        figures = measure(url, chosen)
    sys.stdout.write(told(figures) + "\n")
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    if not figures["as_before"] or figures["failed"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
