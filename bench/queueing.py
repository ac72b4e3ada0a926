"""What bench/queue.py measures, in a process of its own: `python -m bench.queueing NAME JSON`."""

import json
import os
import statistics
import sys
import time
from functools import partial
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")

from bench import queue_app  # noqa: I001  sets Django up
from bench import rows
from bench.verifying import plant

import redis
from celery import current_app
from django.db import connection, connections, transaction
from django.db.models import Count, Max, Min

from replication import doorbell, states, sweeper
from replication.models import FINAL, OPEN, Command, State
from replication.services import submit
from telephony.models import Stream
from tenants import lines, scope
from tenants.access import SYSTEM
from tenants.models import Tenant

EVERY = "a benchmark looks at the whole queue"
CALL = queue_app.Call.name
Figures = dict[str, Any]


def customers(*, file: str) -> Figures:
    """The simulator's customers in the portal; a token of one of them for whoever needs no more."""
    plant(file=file)
    with scope.every(EVERY):
        first = Tenant.objects.order_by("id").first()
    assert first is not None
    with scope.one(first.id):
        return {"token": lines.open_line(first.id).token().value}


def quiet() -> Figures:
    """Once all is done: for a day the schedule starts nothing of its own, which is not what is measured."""
    _until(_nothing_open)
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE tenants_tenant SET next_cycle_at = now() + interval '1 day'")
        cursor.execute("UPDATE tenants_connection SET next_check_at = now() + interval '1 day'")
        cursor.execute(
            "INSERT INTO telephony_stream (tenant_id, stream, rows, left_out, asked_at, next_at)"
            " SELECT id, unnest(%s), 0, 0, now(), now() + interval '1 day' FROM tenants_tenant"
            " ON CONFLICT (tenant_id, stream) DO UPDATE SET asked_at = now(), next_at = excluded.next_at",
            [Stream.values],
        )
    return {}


def wishes(*, commands: int, label: str) -> Figures:
    """That many commands, evenly over the customers; nobody is told."""
    with scope.every(EVERY):
        tenants = list(Tenant.objects.order_by("id"))
        with transaction.atomic():
            for number in range(commands):
                submit(SYSTEM, CALL, tenants[number % len(tenants)], target=f"{label} {number}")
            transaction.get_connection().run_on_commit.clear()
    return {}


def drained(*, commands: int, label: str) -> Figures:
    """Ring, and wait for the last one: commands a second between the first beginning and the last end."""
    for _ in range(4):
        doorbell.ring()
    _until(partial(_all_final, label, commands))
    with scope.every(EVERY):
        found = Command.objects.filter(kind=CALL, target__startswith=f"{label} ")
        ended = found.aggregate(first=Min("started_at"), last=Max("finished_at"))
        states_ = dict(found.order_by().values_list("state").annotate(number=Count("id")))
    seconds = (ended["last"] - ended["first"]).total_seconds()
    return {"rate": commands / seconds, "seconds": seconds, "states": states_}


def _all_final(label: str, commands: int) -> bool:
    with scope.every(EVERY):
        found = Command.objects.filter(kind=CALL, target__startswith=f"{label} ", state__in=FINAL)
        return found.count() >= commands


def starts(*, number: int) -> Figures:
    """One command after another on a quiet system: milliseconds from queued to begun, by the database's clock."""
    with scope.every(EVERY):
        tenants = list(Tenant.objects.order_by("id"))
    waits = []
    for one in range(number):
        with scope.every(EVERY):
            command = submit(SYSTEM, CALL, tenants[one % len(tenants)], target=f"start {one}")
        _until(partial(_ended, command), every=0.005)
        assert command.started_at is not None
        waits.append((command.started_at - command.queued_at).total_seconds() * 1000)
    return {**_spread(waits), "number": number}


def _ended(command: Command) -> bool:
    with scope.every(EVERY):
        command.refresh_from_db()
    return command.state in FINAL


def messages(*, commands: int, calls: int = 1) -> Figures:
    """Tasks of so many calls each."""
    from bench import plain_celery

    _redis().delete(plain_celery.DONE)
    for _ in range(commands):
        plain_celery.call.delay(calls)
    return {}


def answered(*, commands: int) -> Figures:
    from bench import plain_celery

    _until(lambda: _redis().llen(plain_celery.DONE) >= commands)
    times = [list(map(float, line.split())) for line in _redis().lrange(plain_celery.DONE, 0, -1)]
    seconds = max(end for _, end in times) - min(begun for begun, _ in times)
    return {"rate": commands / seconds, "seconds": seconds}


def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["BROKER_URL"], decode_responses=True)


def replicate() -> Figures:
    """One cycle for each customer that was never told to call, begun by the workers' own sweeper."""
    kind = "quick_replication"
    before = _final(kind)
    with connections["owner"].cursor() as cursor:
        cursor.execute("SELECT coalesce(max(id), 0) FROM replication_command")
        last = cursor.fetchone()[0]
        cursor.execute("UPDATE tenants_tenant SET next_cycle_at = now() WHERE name LIKE 'Customer cycle-%'")
        number = cursor.rowcount
    for _ in range(-(-number // sweeper.BATCH)):
        current_app.send_task("replication.sweep", ignore_result=True)
    _until(lambda: _final(kind) >= before + number)
    with scope.every(EVERY):
        found = Command.objects.filter(kind=kind, id__gt=last)
        ended = found.aggregate(first=Min("started_at"), last=Max("finished_at"))
        wrong = list(found.exclude(state=State.SUCCEEDED).values_list("message", flat=True)[:1])
    if wrong:
        raise SystemExit(wrong[0])
    seconds = (ended["last"] - ended["first"]).total_seconds()
    return {"customers": number, "seconds": seconds, "rate": number / seconds}


def _nothing_open() -> bool:
    with scope.every(EVERY):
        return not Command.objects.filter(state__in=OPEN).exists()


def claims(*, finished: int, lanes: int) -> Figures:
    """Milliseconds of a claim of twenty: among few rows, among many finished ones, among many lanes too."""
    found = {"few rows": _claims()}
    with connections["owner"].cursor() as cursor:
        rows.commands(cursor, finished, lanes="tenant_id IS NOT NULL", **rows.FINISHED)
    found[f"{finished:,} finished rows"] = _claims()
    with connections["owner"].cursor() as cursor:
        rows.customers(cursor, lanes)
        rows.commands(cursor, lanes, lanes="name = 'data' AND due_at IS NULL", target="'due'")
        rows.due(cursor)
    found[f"and {lanes:,} due lanes"] = _claims()
    return found


def _claims(rounds: int = 60) -> Figures:
    """Each claim is rolled back, so that every round finds what the one before found."""
    with scope.every(EVERY):
        tenants = list(Tenant.objects.order_by("id")[:200])
        with transaction.atomic():
            for tenant in tenants:
                submit(SYSTEM, CALL, tenant, target="claim")
            transaction.get_connection().run_on_commit.clear()
    with connections["owner"].cursor() as cursor:
        cursor.execute("ANALYZE replication_command, replication_lane")
    took = []
    for _ in range(rounds):
        with scope.every(EVERY), transaction.atomic():
            begun = time.perf_counter()
            claimed = states.claim("bench", 20)
            took.append((time.perf_counter() - begun) * 1000)
            assert len(claimed) == 20
            transaction.set_rollback(True)
    return _spread(took)


def _final(kind: str) -> int:
    with scope.every(EVERY), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM replication_command WHERE kind = %s AND state = ANY(%s)",
            [kind, list(FINAL)],
        )
        return int(cursor.fetchone()[0])


def _until(met: Any, seconds: float = 900, every: float = 0.2) -> None:
    ends = time.monotonic() + seconds
    while not met():
        if time.monotonic() > ends:
            raise SystemExit("it does not come to an end")
        time.sleep(every)


def _spread(values: list[float]) -> Figures:
    ordered = sorted(values)
    cuts = statistics.quantiles(ordered, n=100) if len(ordered) > 1 else ordered * 99
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "most": ordered[-1]}


MEASURES = {
    one.__name__: one
    for one in (
        customers,
        quiet,
        wishes,
        drained,
        starts,
        messages,
        answered,
        replicate,
        claims,
    )
}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](**json.loads(sys.argv[2]))))
