"""Waking a worker. A lost ring costs seconds: the sweeper looks by itself (DESIGN 3)."""

import logging

from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError

log = logging.getLogger(__name__)
TICK = "replication.tick"


def ring() -> None:
    """Tell any worker that there may be work. The message carries nothing."""
    try:
        current_app.send_task(TICK, ignore_result=True, retry=False)
    except (OperationalError, OSError) as error:
        log.warning("the worker could not be woken, the sweeper will", extra={"error": type(error).__name__})


def ring_after_commit() -> None:
    """Ring once the row can be seen; robust, because the commit has happened whatever the broker says."""
    transaction.on_commit(ring, robust=True)
