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
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.pop(0)  # bench/ itself: its queue.py is not Python's
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench import chaos_checker, chaos_load, chaos_nemesis
from bench.chaos_ground import LEASE, SWEEP, Ground, every
from bench.chaos_history import Change, Effect, End, History, Sample
from bench.chaos_load import NUMBERS, Load, Tenant
from tests.system.microsoft import Microsoft

DRAIN_SECONDS, DRAIN_SHARE = 240.0, 0.05
"""Patience after the last fault, and so much more for each wish."""
AGAIN = """
    WITH moved AS (
        UPDATE replication_command
        SET state = 'queued', reason = 'person', deaths = 0, attempts = 0, not_before = now()
        WHERE id = %s AND state = 'suspended' RETURNING lane_id
    )
    UPDATE replication_lane SET due_at = now() WHERE id IN (SELECT lane_id FROM moved)
"""
"""*Try again* for what is the provider's own: that there is in the browser only."""
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
        ready = time.monotonic()
        with every(1.0, lambda: sample(ground, history)):
            fire(chosen, load, nemesis)
            fired = time.monotonic()
            drain(ground, load, chosen)
        drained = time.monotonic()
        history.faults, history.answers = nemesis.faults, load.answers
        remember(ground, load, history)
    seconds = {"stage": ready - began, "under_fire": fired - ready, "drain": drained - fired}
    return history, figures(chosen, history, seconds)


def say(text: str) -> None:
    print(f"{time.strftime('%X')} {text}", file=sys.stderr, flush=True)


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
    deadline = time.monotonic() + DRAIN_SECONDS + DRAIN_SHARE * chosen.commands
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
        if asked[wish] >= MOST_ASKED or uid is None:
            continue
        asked[wish] += 1
        count += 1
        if uid is None:
            ground.sql(AGAIN, number)
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


# --- What was seen ----------------------------------------------------------------------------------------------
def remember(ground: Ground, load: Load, history: History) -> None:
    history.over = time.time()
    uid_of = {tenant.far["tenant_id"]: tenant.uid for tenant in load.tenants}
    canaries = {tenant.far["canary"]: tenant.uid for tenant in load.tenants}
    history.moves = ground.moves()
    history.writes = [
        type(write)(**{**vars(write), "canary": canaries.get(write.canary, write.canary)})
        for write in ground.writes()
    ]
    history.received = list(ground.webhook.received)
    history.events = [row[0] for row in ground.sql("SELECT id FROM events_event ORDER BY id")]
    history.audited = dict(
        ground.sql(
            "SELECT c.id, (SELECT count(*) FROM audit_entry e WHERE e.object_kind = 'command'"
            " AND e.object_id = c.id::text AND e.action = 'command.queued')"
            " FROM replication_command c WHERE c.actor_kind = 'client'"
        )
    )
    history.effects = [*effects(ground, load, uid_of)]
    history.changes = changes(ground, load)
    mails = defaultdict(set)
    for mail in pages(ground, "/mail/ledger?", "ledger", "id"):
        identity = mail["message_id"]
        mails[identity.strip("<>").split("@")[0].rpartition("-")[0]].add(identity)
    history.ends = [end_of(ground, tenant, mails) for tenant in load.tenants]
    secret_words = {app["secret"] for one in load.tenants for app in one.far["apps"]}
    names = {word for one in load.tenants for word in (one.far["tenant_id"], one.uid, one.far["name"])}
    history.leaks = ground.redis.leaks(secret_words | names)


def pages(ground: Ground, path: str, name: str, number: str) -> Iterator[dict[str, Any]]:
    """A list of the simulator's, from its beginning; the first of them must still be there."""
    last = 0
    while rows := ground.microsoft.control("GET", f"{path}since={last}&limit=1000")[name]:
        assert rows[0][number] == last + 1, f"{path} has forgotten what came before {rows[0][number]}"
        yield from rows
        last = rows[-1][number]


def effects(ground: Ground, load: Load, uid_of: dict[str, str]) -> Iterator[Effect]:
    """What came to Microsoft by others than the customer's own app, and what of changes was carried out there."""
    own = {one.far["tenant_id"]: {app["client_id"] for app in one.far["apps"]} for one in load.tenants}
    for row in pages(ground, "/history?", "history", "seq"):
        tenant = uid_of.get(row.get("tenant") or "", "")
        if row["kind"] == "number" and row["status"] == "succeeded" and row["number"].startswith(NUMBERS):
            version = int(row["number"].removeprefix(NUMBERS))
            key = Change(tenant, row["target"] or "", "number", version).key
            yield Effect(tenant, "number", key, row["order"], version)
        if row["kind"] == "write":
            if row["app"] not in own.get(row["tenant"], ()):
                yield Effect(tenant, "foreign", f"{row['method']} {row['path']} by {row['app']}", "")
            yield from department(tenant, row)


def department(tenant: str, row: dict[str, Any]) -> Iterator[Effect]:
    """A write that gave a user the department of a wish, if it is one and Microsoft carried it out."""
    body = row["body"] if isinstance(row["body"], dict) else {}
    value = str(body.get("department", ""))
    if row["method"] == "PATCH" and (row["status"] or 0) // 100 == 2 and value[:1] == "d":
        user, version = row["path"].rpartition("/")[2], int(value[1:])
        key = Change(tenant, user, "user:department", version).key
        yield Effect(tenant, "user:department", key, str(row["seq"]), version)


def changes(ground: Ground, load: Load) -> list[Change]:
    """What the portal says of each change, and those that it promised and knows nothing of."""
    rows = ground.sql(
        "SELECT c.tenant_id::text, c.subject_id::text, c.aspect, coalesce(c.wanted ->> 'number', c.wanted #>> '{}'),"
        " c.state, EXISTS (SELECT FROM provisioning_line l WHERE l.change_id = c.id AND l.state = 'done'"
        " AND l.act <> 'nothing'), coalesce(c.problem ->> 'code', '') FROM provisioning_change c ORDER BY c.id"
    )
    known = {
        (uid, user, what, version): Change(uid, user, what, version, *end)
        for uid, user, what, wanted, *end in rows
        for version in [int(wanted.removeprefix(NUMBERS).removeprefix("d"))]
    }
    promised = {(one.tenant, one.user, one.what, one.version): one for one in load.kept}
    return [*({**promised, **known}.values())]


def end_of(ground: Ground, tenant: Tenant, mails: dict[str, set[str]]) -> End:
    """One customer at both ends, when all was quiet."""
    control, here = ground.microsoft.control, f"/tenants/{tenant.far['tenant_id']}"
    users = [row for row in control("GET", f"{here}/users?limit=5000")["users"] if row["state"] == "live"]
    rows = ground.sql(
        "SELECT object_id::text, job_title FROM directory_user WHERE tenant_id = %s", tenant.uid
    )
    far = control("GET", here)
    outside = {
        "secret": far["apps"][0]["secret_ids"],
        "domain": [name for name in far["domains"] if name.endswith(".sbc.provider.example")],
        "activation user": [row["id"] for row in users if "sbc.provider.example" in row["userPrincipalName"]],
        "mail": sorted(mails.get(f"invitation-{tenant.invitation}", set())),
    }
    believed = believed_of(ground, tenant)
    if not tenant.renewed:  # it is the one that the customer made, whose number nobody asked for
        believed["secret"] = outside["secret"]
    ours = set(outside["activation user"])
    return End(
        tenant.far["name"],
        {row["id"]: version_of(row.get("jobTitle")) for row in users},
        {
            uid: version_of(title)
            for uid, title in rows
            if uid not in ours or uid in {row["id"] for row in users}
        },
        outside,
        believed,
    )


def believed_of(ground: Ground, tenant: Tenant) -> dict[str, list[str]]:
    def column(query: str) -> list[str]:
        return [str(row[0]) for row in ground.sql(query, tenant.uid)]

    sent = ground.sql("SELECT sent_count FROM invitations_invitation WHERE tenant_id = %s", tenant.uid)
    host = "localhost"
    return {
        "secret": column(
            "SELECT microsoft_id FROM tenants_secret WHERE tenant_id = %s AND microsoft_id IS NOT NULL ORDER BY 1"
        ),
        "domain": column(
            "SELECT name FROM domains_customdomain WHERE tenant_id = %s AND state <> 'removed' ORDER BY 1"
        ),
        "activation user": column(
            "SELECT user_id FROM domains_customdomain WHERE tenant_id = %s AND state <> 'removed'"
            " AND user_made AND user_removed_at IS NULL ORDER BY 1"
        ),
        "mail": [
            f"<invitation-{tenant.invitation}-{number}@{host}>"
            for row in sent
            for number in range(1, row[0] + 1)
        ],
    }


def version_of(title: object) -> int:
    text = str(title or "")
    return int(text[1:]) if text[:1] == "v" and text[1:].isdigit() else 0


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
        "times": chaos_checker.times(history),
        "machine": f"{os.cpu_count()} cores, load {os.getloadavg()[1]:.1f}, {platform.machine()}",
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
    return int(any(told[head] for head in chaos_checker.HEADS))


if __name__ == "__main__":
    sys.exit(main())
