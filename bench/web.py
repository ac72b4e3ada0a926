"""List pages and API lists at the size of a large provider, beside a plain Django list and a plain DRF list.

    .venv/bin/python bench/web.py --json FILE

Ten thousand customers, two million users in the mirror, a million finished commands, a million lines of the trail.
Each page is asked for in turn with the baseline, so that both meet the same machine. See README.md.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground
from bench.ground import Figures

PAGES, LISTS, SEARCH = "pages", "lists", "search"
MOST_QUERIES = 12
WANTED = {PAGES: 2.0, LISTS: 1.5}
"""How much slower than the plain list the slow ones (the 95th percentile) of ours may be."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=10_000, metavar="N")
    parser.add_argument(
        "--users", type=int, default=2_000_000, metavar="N", help="in the mirror, of all tenants"
    )
    parser.add_argument("--commands", type=int, default=1_000_000, metavar="N", help="finished ones")
    parser.add_argument("--entries", type=int, default=1_000_000, metavar="N", help="of the audit trail")
    parser.add_argument(
        "--rounds", type=int, default=40, metavar="N", help="how often each page is asked for"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def told(found: Figures) -> str:
    lines = []
    for what, wanted in WANTED.items():
        plain = found[what]["plain"]
        lines.append(f"{what}: {_line('plain', plain)}; wanted: p95 under {wanted} x, {MOST_QUERIES} queries")
        for path, of in found[what].items():
            ratio = of["p95"] / plain["p95"]
            mark = " !" if ratio > wanted or of["queries"] > MOST_QUERIES else ""
            lines.append(f"{_line(path, of)}  {ratio:.2f} x{mark}")
    return "\n".join([*lines, "search over all customers:", *(_line(*one) for one in found[SEARCH].items())])


def _line(path: str, of: Figures) -> str:
    return f"  {path:<40}{of['queries']:>3} queries  p50 {of['p50']:>7.1f}  p95 {of['p95']:>7.1f} ms"


def main() -> int:
    chosen = options()
    with ground.database(), ground.keys():
        os.environ["LICENSE_CUSTOMERS"] = str(chosen.tenants + 1)
        sizes = {name: getattr(chosen, name) for name in ("tenants", "users", "commands", "entries")}
        ground.child("fill", of="bench.paging", **sizes)
        found = {**sizes, **ground.child("ask", of="bench.paging", rounds=chosen.rounds)}
    print(told(found))
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
