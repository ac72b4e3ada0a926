"""What happens without anybody asking: take back, schedule, forget. Any number of sweepers may run."""

import datetime as dt
import logging
import uuid
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models.functions import Now

from accounts import installation, limits
from breakers import services as breakers
from core.errors import UmpError
from events import services as events
from replication import services, states
from replication.commands import PROBE
from replication.models import FINAL, Command
from replication.registry import chores
from tenants import scope, shredding
from tenants.access import SYSTEM
from tenants.models import Tenant
from tenants.outage import is_away
from tenants.selectors import to_shred

log = logging.getLogger(__name__)

DEADLY = 3
"""A command that outlived this many workers is set aside, so that it cannot stop a fourth."""
CYCLE = "quick_replication"
CHECK = "verify_credentials"
BATCH = 500
TOGETHER = 20
"""Customers of one transaction where each gets a command of its own: their lanes are locked until it ends."""


def sweep() -> None:
    """One round. Safe to run twice at once: every step is conditional.

    A step that fails by a fault of ours is told in the log and keeps none of the others. Raises DatabaseError or
    InterfaceError while the database is away.
    """
    for step in (take_back, end_yielding, probe, schedule, schedule_checks, forget, shred, *chores()):
        try:
            step()
        except Exception as error:
            if is_away(error):
                raise
            name = f"{step.__module__}.{step.__qualname__}"
            log.exception("a step of the sweeper stopped on a fault of ours", extra={"step": name})


def end_yielding() -> None:
    """Lanes that yielded for their time are as good as the others."""
    with scope.every("the sweeper ends the yielding of lanes"):
        states.yield_no_longer()


def take_back() -> int:
    """Commands whose worker is gone go back to the queue (or are set aside); how many.

    Nobody is rung: whoever calls this claims next, and so does every worker's look-out.
    """
    with scope.every("the sweeper takes back what dead workers held"):
        return states.take_back(DEADLY, UmpError.of("worker_lost"), UmpError.of("poison"))


def probe() -> int:
    """Ask again for each open breaker whose time has come; how many probes that were."""
    with scope.every("the sweeper probes the provider's own line"):
        due = breakers.due_probes()
        for name in due:
            services.submit(SYSTEM, PROBE, None, target=name)
    with scope.every("the sweeper tells that the provider's own line is open"):
        breakers.tell_opened()
    return len(due)


def schedule() -> int:
    """Start the automatic cycle of each customer that is due (REP-05); how many.

    The next one is set from the planned time, spread a little, so that a restart does not make all customers
    due at once (PRC-27).
    """
    with scope.every("the sweeper starts automatic replication cycles"):
        due = _due_tenants()
        queued = services.submit_many(SYSTEM, CYCLE, due, yields=services.NOW) if due else {}
        for tenant in Tenant.objects.filter(id__in=set(due) - queued.keys()):
            services.submit(SYSTEM, CYCLE, tenant)  # one by one, as it must say why it waits
        return len(due)


def _due_tenants() -> list[uuid.UUID]:
    cycle: Any = dt.timedelta(seconds=installation.get("replication_cycle"))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT t.id FROM tenants_tenant t JOIN tenants_connection c ON c.tenant_id = t.id
                WHERE t.next_cycle_at <= statement_timestamp() AND t.deleted_at IS NULL AND t.enabled
                  AND t.with_sync AND t.paused_at IS NULL AND c.verification = 'successful'
                  AND NOT EXISTS (SELECT FROM replication_command q WHERE q.tenant_id = t.id AND q.kind = %(kind)s
                                  AND q.state IN ('queued', 'executing', 'suspended'))
                ORDER BY t.next_cycle_at LIMIT %(batch)s FOR NO KEY UPDATE OF t SKIP LOCKED)
            UPDATE tenants_tenant t SET next_cycle_at = statement_timestamp() + %(cycle)s * (0.95 + random() * 0.1)
            FROM due WHERE t.id = due.id RETURNING t.id
            """,
            {"batch": BATCH, "cycle": cycle, "kind": CYCLE},
        )
        return [row[0] for row in cursor.fetchall()]


def schedule_checks() -> int:
    """Start the daily check of each connection that is due (complaint B 4); how many.

    Each customer has a time of day of its own, so that the checks are spread and stay so after a standstill.
    """
    begun = 0
    for _ in range(BATCH // TOGETHER):
        with scope.every("the sweeper starts the daily checks"):
            due = _due_checks()
            for tenant in due:
                services.submit(SYSTEM, CHECK, tenant)
        begun += len(due)
        if len(due) < TOGETHER:
            break
    return begun


def _due_checks() -> list[Tenant]:
    """A password that was refused is not tried again by itself: that would lock the account."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            WITH due AS (
                SELECT c.id, date_trunc('day', statement_timestamp())
                       + ('x' || left(md5(t.id::text), 7))::bit(28)::int %% 86400 * interval '1 second' AS slot
                FROM tenants_connection c JOIN tenants_tenant t ON t.id = c.tenant_id
                WHERE c.next_check_at <= statement_timestamp() AND t.deleted_at IS NULL AND t.enabled
                  AND t.paused_at IS NULL AND (c.method <> 'password' OR c.verification = 'successful')
                ORDER BY c.next_check_at LIMIT %(batch)s FOR NO KEY UPDATE OF c SKIP LOCKED)
            UPDATE tenants_connection c
            SET next_check_at = slot + CASE WHEN slot > statement_timestamp() + interval '6 hours'
                                            THEN interval '0' ELSE interval '1 day' END
            FROM due WHERE c.id = due.id RETURNING c.tenant_id
            """,
            {"batch": TOGETHER},
        )
        ids = [row[0] for row in cursor.fetchall()]
    return list(Tenant.objects.filter(id__in=ids))


def forget() -> int:
    """Delete finished commands past their retention, and what else is over, a bounded number a round; how many.

    What the portal did by itself and found unchanged goes first: ten thousand customers leave 33 such rows a second.
    """
    gone = 0
    with scope.every("the sweeper forgets old commands"):
        for old, days in (
            (
                Command.objects.filter(outcome="unchanged", actor_kind=SYSTEM.kind),
                settings.QUIET_RETENTION_DAYS,
            ),
            (Command.objects.filter(state__in=FINAL), settings.COMMAND_RETENTION_DAYS),
        ):
            past = old.filter(finished_at__lt=Now() - dt.timedelta(days=days)).order_by("finished_at")
            ids = list(past.values_list("id", flat=True)[:BATCH])
            Command.objects.filter(id__in=ids).delete()
            gone += len(ids)
    return gone + events.forget() + breakers.forget() + limits.forget()


def shred() -> int:
    """Deleted customers past their 30 days are gone for good (decision 24); how many."""
    with scope.every("the sweeper looks for customers past their 30 days"):
        over = to_shred()
    gone = 0
    for tenant in over:
        with scope.one(tenant.id):
            gone += shredding.shred(SYSTEM, tenant)
    return gone
