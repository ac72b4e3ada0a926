"""List pages and API lists at the size of a large provider, beside a plain Django list and a plain DRF list.

    .venv/bin/python bench/web.py --keep --json FILE

Ten thousand customers, two million users in the mirror, a million finished commands, a million lines of the trail.
The baseline stands before each request of ours, so that both meet the same machine. See README.md.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import ground, judged
from bench.ground import Figures

PAGES, LISTS, SEARCH = "pages", "lists", "search"
MOST_QUERIES = 12
WANTED = {PAGES: 2.0, LISTS: 1.5}
"""How much slower than the plain list the slow ones (the 95th percentile) of ours may be."""
PATIENCE = 150
"""Milliseconds that a search over all customers may take."""
NO_LISTS = {"/", "/tenants/{uid}/"}
"""Shown beside the lists, and not judged: the Dashboard, and a customer's own page."""


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=10_000, metavar="N")
    parser.add_argument(
        "--users", type=int, default=2_000_000, metavar="N", help="in the mirror, of all tenants"
    )
    parser.add_argument("--commands", type=int, default=1_000_000, metavar="N", help="finished ones")
    parser.add_argument("--entries", type=int, default=1_000_000, metavar="N", help="of the audit trail")
    parser.add_argument(
        "--rounds", type=int, default=200, metavar="N", help="how often each page is asked for"
    )
    parser.add_argument(
        "--keep", action="store_true", help="leave the rows there, and ask at once where they are"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    return parser.parse_args()


def told(found: Figures) -> str:
    lines = []
    for what, wanted in {**WANTED, SEARCH: 0.0}.items():
        plain, *others = found[what].items()
        wish = f"p95 under {wanted} x, {MOST_QUERIES} queries" if wanted else f"p95 under {PATIENCE} ms"
        lines += [f"{what}, wanted: {wish}", _line(*plain)]
        lines += [
            _line(path, of, plain[1]) + ("" if _fits(what, path, of, plain[1]) else " !")
            for path, of in others
        ]
    return "\n".join(lines + judged.lines(found["verdicts"]))


def _line(path: str, of: Figures, plain: Figures | None = None) -> str:
    """`cpu` is the median of what the web process used, `both` with the database: other work disturbs them least."""
    told = f"  {path:<40}{of['queries']:>3} queries"
    for name in ("cpu", "both", "p50", "p95"):
        told += f"  {name} {of[name]:>7.1f} ms" + (f"{of[name] / plain[name]:6.2f} x" if plain else " " * 8)
    return told


def _fits(what: str, path: str, of: Figures, plain: Figures) -> bool:
    if what == SEARCH:
        return bool(of["p95"] < PATIENCE)
    return path in NO_LISTS or (of["queries"] <= MOST_QUERIES and of["p95"] < WANTED[what] * plain["p95"])


def verdicts(found: Figures) -> dict[str, bool]:
    words = {
        PAGES: f"each list page: p95 under {WANTED[PAGES]:g} x a plain Django list",
        LISTS: f"each list of the API: p95 under {WANTED[LISTS]:g} x a plain DRF list",
    }
    words = {what: f"{text}, at most {MOST_QUERIES} queries" for what, text in words.items()}
    words[SEARCH] = f"a search over all customers: p95 under {PATIENCE} ms"
    return {
        text: all(
            _fits(what, path, of, found[what]["plain"]) for path, of in found[what].items() if path != "plain"
        )
        for what, text in words.items()
    }


def main() -> int:
    chosen = options()
    sizes = {name: getattr(chosen, name) for name in ("tenants", "users", "commands", "entries")}
    os.environ["LICENSE_CUSTOMERS"] = str(chosen.tenants + 1)
    os.environ["API_REQUESTS_PER_MINUTE"] = "1000000"
    kept = "_".join(["web", *map(str, sizes.values())]) if chosen.keep else ""
    begun = time.monotonic()
    with ground.database(kept) as new, ground.keys():
        if new:
            ground.child("fill", of="bench.paging", **sizes)
        filled = time.monotonic()
        found = {**sizes, **ground.child("ask", of="bench.paging", rounds=chosen.rounds)}
    found["verdicts"] = verdicts(found)
    print(told(found))
    print(f"Filled in {filled - begun:.0f} s, asked for {time.monotonic() - filled:.0f} s.")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return judged.status(found["verdicts"])


if __name__ == "__main__":
    raise SystemExit(main())
