"""Waking a worker. A lost ring costs seconds: the sweeper looks by itself (DESIGN 3)."""

import logging

from celery import current_app
from django.conf import settings
from django.db import transaction
from kombu.exceptions import OperationalError

from replication.models import LaneName

log = logging.getLogger(__name__)
TICK = "replication.tick"


def own_queue() -> str | None:
    """The queue of a worker that serves nothing but PowerShell; None for all others, who share one."""
    return LaneName.POWERSHELL.value if settings.WORKER_LANES == [LaneName.POWERSHELL] else None


def ring(lane: str = "") -> bool:
    """Tell any worker that there may be work; those with PowerShell listen elsewhere. The message carries nothing.

    False when there is no broker to take it.
    """
    queue = LaneName.POWERSHELL.value if lane == LaneName.POWERSHELL else None
    try:
        current_app.send_task(TICK, ignore_result=True, retry=False, queue=queue)
    except (OperationalError, OSError) as error:
        log.warning("the worker could not be woken, the sweeper will", extra={"error": type(error).__name__})
        return False
    return True


def ring_own() -> bool:
    """Tell another worker of this one's sort."""
    return ring(own_queue() or "")


def ring_after_commit(lane: str = "") -> None:
    """Ring once the row can be seen; robust, because the commit has happened whatever the broker says."""
    transaction.on_commit(lambda: ring(lane), robust=True)
