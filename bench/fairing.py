"""What bench/fairness.py measures, in a process of its own: `python -m bench.fairing NAME JSON`."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from django.db import connections, transaction

from bench import queueing, rows
from replication import doorbell
from replication.models import FINAL, OPEN, Command
from replication.services import submit
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant

EVERY = "a benchmark looks at the whole queue"
PATIENCE = 900.0
"""Seconds."""
Figures = dict[str, Any]


def large(*, commands: int) -> Figures:
    """The large customer wants a first sync, and so many calls."""
    with scope.every(EVERY):
        tenant = Tenant.objects.get(name__startswith="Customer large-")
        submit(SYSTEM, "sync", tenant)
    with connections["owner"].cursor() as cursor:  # which sees the lane only now
        lane = f"tenant_id = '{tenant.id}' AND name = 'data'"
        rows.commands(cursor, commands, lanes=lane, target="'large ' || n")
        assert cursor.rowcount == commands
    doorbell.ring()
    return {}


def left() -> Figures:
    """How much of the large customer's work is still open: a burst beside nothing says nothing."""
    with scope.every(EVERY):
        return {
            "open": Command.objects.filter(tenant__name__startswith="Customer large-", state__in=OPEN).count()
        }


def burst(*, tenants: list[str], watch: list[str], each: int, label: str) -> Figures:
    """Everything queued at once; the watched customers' waits in ms, and the seconds until their last one ended."""
    with scope.every(EVERY):
        known = {str(one.entra_tenant_id): one for one in Tenant.objects.all()}
        with transaction.atomic():
            ids = [
                submit(SYSTEM, queueing.CALL, known[one], target=f"{label} {number}").id
                for number in range(each)
                for one in tenants
            ]
            transaction.get_connection().run_on_commit.clear()
    for _ in range(2):
        doorbell.ring()
    mine = [known[one].id for one in watch]
    _until(lambda: not _open(mine, ids))
    with scope.every(EVERY):
        found = Command.objects.filter(id__in=ids, tenant_id__in=mine)
        times = list(found.values_list("queued_at", "started_at", "finished_at"))
    seconds = max(ended for _, _, ended in times) - min(queued for queued, _, _ in times)
    waits = [(begun - queued).total_seconds() * 1000 for queued, begun, _ in times]
    return {"waits": waits, "seconds": seconds.total_seconds()}


def finished(*, tenants: list[str]) -> Figures:
    """Wait for everything that these customers still have to do; how much of it failed."""
    with scope.every(EVERY):
        mine = list(Tenant.objects.filter(entra_tenant_id__in=tenants).values_list("id", flat=True))
    _until(lambda: not _open(mine))
    with scope.every(EVERY):
        return {
            "failed": Command.objects.filter(tenant_id__in=mine, kind=queueing.CALL, state="failed").count()
        }


def _open(tenants: list[Any], ids: list[int] | None = None) -> bool:
    with scope.every(EVERY):
        found = Command.objects.filter(tenant_id__in=tenants, kind=queueing.CALL).exclude(state__in=FINAL)
        return bool((found if ids is None else found.filter(id__in=ids)).exists())


def _until(met: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE
    while not met():
        if time.monotonic() > ends:
            raise SystemExit("it does not come to an end")
        time.sleep(0.1)


MEASURES = {one.__name__: one for one in (queueing.customers, queueing.quiet, large, left, burst, finished)}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](**json.loads(sys.argv[2]))))
