"""Is anything lost, doubled, stuck, out of order or stale, whatever is killed, frozen, cut off or refused?

    .venv/bin/python bench/chaos.py --seed 1 --commands 2000 --faults 100 --tenants 50 --json FILE

Real web server, workers, PostgreSQL, Redis and simulator; a seeded load over REST, a seeded nemesis, and a checker of
the invariants of facts/security.md 6.5. The same seed strikes the same faults in the same order. See README.md.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import chaos_checker, chaos_load, chaos_nemesis, chaos_seen, chaos_times
from bench.chaos_ground import LEASE, SWEEP, Ground, every
from bench.chaos_history import History, Sample
from bench.chaos_lives import Lives
from bench.chaos_load import Load
from bench.judged import status
from tests.system.microsoft import Microsoft

DRAIN_SECONDS, DRAIN_SHARE = 240.0, 0.05
"""Patience after the last fault, and so much more for each wish."""
MOST_ASKED = 5
OPEN = """
    SELECT (SELECT count(*) FROM replication_command WHERE state IN ('queued', 'executing'))
         + (SELECT count(*) FROM webhooks_endpoint WHERE cursor < (SELECT max(id) FROM events_event))
"""
COUNT = """
    SELECT (SELECT count(*) FROM chaos.move), (SELECT jsonb_object_agg(state, number) FROM (
        SELECT state, count(*) AS number FROM replication_command
        WHERE state IN ('queued', 'executing', 'suspended') GROUP BY state) AS counted)
"""
HURRY = """
    WITH late AS (
        SELECT id FROM replication_lane WHERE id IN (
            SELECT lane_id FROM replication_command WHERE state = 'queued' AND reason = 'backing_off')
        ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
    ), due AS (UPDATE replication_lane SET due_at = now() WHERE id IN (SELECT id FROM late))
    UPDATE replication_command SET not_before = now()
    WHERE state = 'queued' AND reason = 'backing_off' AND lane_id IN (SELECT id FROM late)
"""
"""After the last fault nobody waits a quarter of an hour for an attempt. Retry-After is kept: it is the lane's."""


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--commands", type=int, default=500, help="how many wishes clients say over REST")
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument(
        "--flood",
        type=int,
        default=0,
        metavar="N",
        help="cycles at once, before the faults and again with the first",
    )
    parser.add_argument("--pause", type=float, default=2.0, metavar="SECONDS", help="between faults, about")
    parser.add_argument(
        "--lag", type=int, default=5, metavar="SECONDS", help="between write and read at Microsoft, at most"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument(
        "--history",
        type=Path,
        metavar="FILE",
        help="write what was seen there, and beside it what the processes said",
    )
    return parser.parse_args(arguments)


def run(chosen: argparse.Namespace, home: Path) -> tuple[History, dict[str, Any]]:
    """One run from nothing to its verdict."""
    history = History(chosen.seed, LEASE, SWEEP)
    began = time.monotonic()
    with (
        Microsoft(home / "simulator.log") as microsoft,
        Ground(home / "portal", microsoft, {"SECRET_PROPAGATION_SECONDS": "900"}) as ground,
    ):
        load = Load(ground, chosen.seed, chosen.tenants, chosen.lag)
        load.prepare()
        say(f"{chosen.tenants} customers, {chosen.commands} wishes, {chosen.faults} faults")
        nemesis = chaos_nemesis.Nemesis(ground, load)
        lives = Lives(ground.living)
        with every(1.0, lambda: sample(ground, history)), every(0.1, lives.look):
            if chosen.flood:
                history.fair = fair_weather(ground, load, chosen)
                ground.flood(chosen.flood)
            ready = time.monotonic()
            fire(chosen, load, nemesis)
            fired = time.monotonic()
            drain(ground, load, chosen)
        drained = time.monotonic()
        history.faults, history.answers = nemesis.faults, load.answers
        chaos_seen.remember(ground, load, lives, history)
    seconds = {"stage": ready - began, "under_fire": fired - ready, "drain": drained - fired}
    return history, figures(chosen, history, seconds)


def say(text: str) -> None:
    print(f"{time.strftime('%X')} {text}", file=sys.stderr, flush=True)


def fair_weather(ground: Ground, load: Load, chosen: argparse.Namespace) -> tuple[float, float]:
    """When the flood began and had run off, with nothing else to do and no fault: what the machine can do today."""
    deadline = time.monotonic() + DRAIN_SECONDS + chosen.flood
    quiet(ground, load, Counter(), deadline)
    began = time.time()
    ground.flood(chosen.flood)
    quiet(ground, load, Counter(), deadline)
    return began, time.time()


def fire(chosen: argparse.Namespace, load: Load, nemesis: chaos_nemesis.Nemesis) -> None:
    """Load and nemesis side by side: the wishes are spread over the blows' pauses, and the blows over the wishes."""
    blows = chaos_nemesis.plan(chosen.seed, chosen.faults, chosen.pause)
    wishes = chaos_load.plan(chosen.seed, chosen.commands, chosen.tenants)
    seconds = sum(blow.pause for blow in blows) + 1.0
    clients = threading.Thread(target=load.carry_out, args=(wishes, seconds))
    clients.start()
    # In the main thread: what it starts would end with any other.
    nemesis.strike(blows, lambda: load.said / len(wishes) if clients.is_alive() else 1.0)
    clients.join()
    nemesis.end()
    missed = len(blows) - len(nemesis.faults)
    assert not missed, f"{missed} faults could not be struck"


def drain(ground: Ground, load: Load, chosen: argparse.Namespace) -> None:
    """Until nothing is open; then everybody is replicated once more, for what was changed at Microsoft last."""
    asked: Counter[tuple[str, ...]] = Counter()
    deadline = time.monotonic() + DRAIN_SECONDS + DRAIN_SHARE * (chosen.commands + chosen.flood)
    quiet(ground, load, asked, deadline)
    time.sleep(chosen.lag + 1.0)
    for tenant in load.tenants:
        load.say("POST", f"/tenants/{tenant.uid}/replications", {})
    quiet(ground, load, asked, deadline)


def quiet(ground: Ground, load: Load, asked: Counter[tuple[str, ...]], deadline: float) -> None:
    """What waits for a person gets one: a check, or another try."""
    told = time.monotonic()
    while time.monotonic() < deadline:
        ground.sql(HURRY)
        waiting = people(ground, load, asked)
        left = ground.one(OPEN)
        if not waiting and left == 0:
            return
        if time.monotonic() > told:
            say(f"{left} commands are open, or a webhook is behind")
            told = time.monotonic() + 5
        time.sleep(0.5)


def people(ground: Ground, load: Load, asked: Counter[tuple[str, ...]]) -> int:
    """What waits for somebody, or ended in failure, is asked for again, each a few times; how many that were now.

    A plan that was void when it was to be applied is not: its changes wait without it.
    """
    rows = ground.sql(
        "SELECT c.id, c.tenant_id::text, c.reason, c.kind, c.target FROM replication_command c"
        " WHERE c.state = 'suspended' OR (c.state = 'failed' AND c.tenant_id IS NOT NULL"
        " AND NOT (c.kind = 'apply_changes' AND c.target <> '') AND NOT EXISTS ("
        "   SELECT FROM replication_command o WHERE o.lane_id = c.lane_id AND o.kind = c.kind AND o.target = c.target"
        "   AND o.id > c.id))"
    )
    count = 0
    for number, uid, reason, *what in rows:
        wish = (uid, *what)
        if asked[wish] >= MOST_ASKED:
            continue
        asked[wish] += 1
        count += 1
        if uid is None:
            load.say("POST", f"/commands/{number}/retry", {})
        elif reason == "connection":
            load.say("POST", f"/tenants/{uid}/connection/check", {})
        else:
            load.say("POST", f"/tenants/{uid}/commands/{number}/retry", {})
    return count


def sample(ground: Ground, history: History) -> None:
    """The header's counters; only where no row was written meanwhile, or the two could not be compared."""
    before = ground._ask(COUNT, ())
    answer = ground.admin.call("GET", "/queue")
    if before is None or before != ground._ask(COUNT, ()) or answer.status_code != 200:
        return
    rows = {"executing": 0, "queued": 0, "suspended": 0} | (before[0][0][1] or {})
    told = {name: answer.json()[name] for name in ("open", *rows)}
    history.samples.append(Sample(time.time(), told, {"open": sum(rows.values()), **rows}))


# --- What is told -----------------------------------------------------------------------------------------------
def figures(chosen: argparse.Namespace, history: History, seconds: dict[str, float]) -> dict[str, Any]:
    found = chaos_checker.check(history)
    promised = {answer.command for answer in history.answers if answer.command is not None}
    last = {move.command: move for move in history.moves}
    return {
        "seed": chosen.seed,
        "tenants": chosen.tenants,
        "wishes": chosen.commands,
        "commands": len(promised),
        "commands_in_all": len(last),
        "commands_by_kind": dict(Counter(move.kind for move in last.values())),
        "ended": dict(Counter(move.state for move in last.values())),
        "workers_lost": sum(move.reason == "worker_lost" for move in history.moves),
        "faults_injected": sum(not fault.detail.startswith("left out") for fault in history.faults),
        "changes_promised": dict(Counter(change.what for change in history.changes)),
        "changes": dict(Counter(f"{one.state} {one.problem}".strip() for one in history.changes)),
        "faults_by_kind": dict(Counter(fault.kind for fault in history.faults)),
        "answers": dict(sorted(Counter(answer.status for answer in history.answers).items())),
        "mirror_rows_written": len(history.writes),
        "events_received": len(history.received),
        "samples": len(history.samples),
        **{head: len(sentences) for head, sentences in found.items()},
        "findings": {head: sentences[:20] for head, sentences in found.items() if sentences},
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        **(judged := chaos_times.times(history)),
        "verdicts": verdicts(found, judged),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, {platform.machine()}",
    }


def verdicts(found: chaos_checker.Findings, judged: dict[str, Any]) -> dict[str, bool | None]:
    """Each of what is wanted; None where the run came to nothing that could be judged."""
    nothing = {
        f"nothing {head}": not sentences for head, sentences in found.items() if head != "server_errors"
    }
    return {
        **nothing,
        "the API answers 503 with Retry-After, and never 500": not found["server_errors"],
        **chaos_times.verdicts(judged),
    }


def main() -> int:
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything that was started ends
    with tempfile.TemporaryDirectory(prefix="ump-chaos-") as folder:
        try:
            history, told = run(chosen, Path(folder))
        finally:
            if chosen.history:
                shutil.copy(Path(folder) / "portal" / "up.log", chosen.history.with_suffix(".log"))
    text = json.dumps(told, indent=1)
    print(text)
    if chosen.json:
        chosen.json.write_text(text + "\n")
    if chosen.history:
        chosen.history.write_text(json.dumps(history.as_json()) + "\n")
    return status(told["verdicts"])


if __name__ == "__main__":
    sys.exit(main())
