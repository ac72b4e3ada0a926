"""How large an installation has to be: from what the other benches measured to processes, disk and calls.

    .venv/bin/python bench/plan.py --tenants 10000 --users 5000000

Nothing is measured here. `MEASURED` says what one thing costs and where that was seen; `--set NAME=VALUE` puts in a
figure of your own machine. See docs/scale.md.
"""

import argparse
import math
from collections.abc import Iterator

MEASURED: dict[str, tuple[float, str]] = {
    "cycle_cpu_ms": (8.8, "CPU of a worker for a cycle without news (queue.py)"),
    "cycle_db_ms": (4.4, "CPU of PostgreSQL for the same (queue.py)"),
    "cycle_requests": (1, "requests of a cycle without news (sync.py)"),
    "cycle_units": (5, "resource units of the three reads in it (facts/microsoft.md 6.2)"),
    "user_cpu_us": (49.0, "CPU of a worker for a user with memberships, read in full (sync.py)"),
    "user_bytes": (707, "a user's row with its indexes (sync.py)"),
    "group_bytes": (1_322, "the same of a group (sync.py)"),
    "member_bytes": (203, "the same of a membership (sync.py)"),
    "command_bytes": (1_546, "an ended command with two steps (100,000 rows put in by rows.py)"),
    "process_mb": (140, "memory of a process at its peak (sync.py)"),
}
ASSUMED: dict[str, tuple[float, str]] = {
    "cycle_seconds": (300, "replication cycle (SPEC REP-05)"),
    "teams_seconds": (900, "each of three streams of telephony is read that often (TEAMS_READ_SECONDS)"),
    "groups_a_user": (0.1, ""),
    "memberships_a_user": (5, ""),
    "call_ms": (80, "a call of Graph"),
    "quiet_days": (2, "QUIET_RETENTION_DAYS"),
    "news_share": (0.05, "cycles that find news and are kept for 30 days"),
    "used_core": (0.6, "how busy a core may be in the mean"),
    "bloat": (1.5, "rows that were changed, until they are vacuumed"),
}
PAGE = 999
APP_UNITS, TEAMS_CALLS = 150_000 / 20, 1_500
"""A second, of one app over all tenants: resource units, and GETs of the Teams service (facts/microsoft.md 6)."""
GIB = 1024.0**3
DAY = 86_400
THREADS = 32


def rows(tenants: int, users: int, of: dict[str, float]) -> Iterator[tuple[str, str, str]]:
    """What is needed, how much of it, and how that was worked out."""
    cycles = tenants / of["cycle_seconds"]
    readings = 3 * tenants / of["teams_seconds"]
    # Rows a second that are read in full: everything once a day, Teams' users each quarter of an hour.
    read = users / DAY + users / of["teams_seconds"]
    yield "cycles without news", f"{cycles:.0f}/s", "tenants / cycle"
    yield "readings of telephony", f"{readings:.0f}/s", "3 streams x tenants / 15 minutes"

    cpu = (cycles + readings) * of["cycle_cpu_ms"] / 1000 + read * of["user_cpu_us"] / 1e6
    processes = math.ceil(cpu / of["used_core"])
    calls = (cycles * of["cycle_requests"] + readings * 2) * of["call_ms"] / 1000
    yield "worker cores", f"{cpu:.1f} busy", "cycles, readings and full reads x their CPU"
    yield "worker processes", f"{processes}", f"of {THREADS} threads, {of['used_core']:.0%} busy"
    yield "memory of workers", f"{processes * of['process_mb'] / 1024:.1f} GiB", "processes x peak"
    yield "calls under way", f"{calls:.0f}", f"requests x latency, of {processes * THREADS} threads"

    database = (cycles + readings) * of["cycle_db_ms"] / 1000 + read * of["user_cpu_us"] / 1e6
    yield "PostgreSQL cores", f"{database:.1f} busy", "the same work, seen from the database"
    yield "PostgreSQL connections", f"{processes * (THREADS + 3)}", "of workers; web processes have some more"
    row = (
        of["user_bytes"]
        + of["groups_a_user"] * of["group_bytes"]
        + of["memberships_a_user"] * of["member_bytes"]
    )
    yield (
        "copy of the directory",
        f"{users * row * of['bloat'] / GIB:.0f} GiB",
        f"{row:,.0f} bytes a user x bloat",
    )
    ended, many = of["command_bytes"] * of["bloat"] / GIB, (cycles + readings) * DAY
    kept = many * (of["quiet_days"] * (1 - of["news_share"]) + 30 * of["news_share"])
    yield "ended commands", f"{kept * ended:.0f} GiB", f"{kept / 1e6:.0f} million rows"
    yield "... all of them for 30 days", f"{30 * many * ended:.0f} GiB", f"{30 * many / 1e6:.0f} million rows"

    units = (cycles * of["cycle_units"] + users / DAY / PAGE * 2) / APP_UNITS
    yield "of one app's resource units", f"{units:.1%}", "cycles and daily full reads; 150,000 in 20 s"
    yield "of one app's calls to Teams", f"{readings * 2 / TEAMS_CALLS:.1%}", "two a reading; 1,500 a second"
    first = (users / PAGE + users * of["groups_a_user"] * 2) / APP_UNITS / 60
    yield "everybody's first sync", f"{first:.0f} minutes at least", "1 unit a page, 2 a group's members"


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tenants", type=int, default=10_000, metavar="N")
    parser.add_argument("--users", type=int, default=5_000_000, metavar="N", help="of all of them together")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="a figure of your own")
    return parser.parse_args()


def main() -> int:
    chosen = options()
    known = MEASURED | ASSUMED
    of = {name: value for name, (value, _) in known.items()}
    for given in chosen.set:
        name, _, value = given.partition("=")
        if name not in of:
            raise SystemExit(f"There is no {name}. There are: {', '.join(of)}.")
        of[name] = float(value)
    print(f"{chosen.tenants:,} tenants, {chosen.users:,} users\n")
    for what, figure, how in rows(chosen.tenants, chosen.users, of):
        print(f"{what:<32}{figure:>22}   {how}")
    print("\nfrom")
    for name, (_, where) in known.items():
        print(f"  {name} = {of[name]:g}{where and f'   {where}'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
