"""The Celery tasks: doorbells, no rooms. Neither takes an argument nor returns anything."""

import contextlib
import logging
from collections.abc import Iterator

from celery import shared_task
from django.conf import settings
from django.db import connection

from replication import doorbell, runner, states, sweeper
from replication.models import LaneName
from tenants import scope
from tenants.outage import is_away

log = logging.getLogger(__name__)


@shared_task(name=doorbell.TICK, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery ships no types
def tick() -> None:
    """Run what is due until nothing is; go on in another tick when it takes long."""
    with _database_may_be_away():
        if LaneName.POWERSHELL in settings.WORKER_LANES:
            with scope.every("a worker with PowerShell says that it lives"):
                states.note_powershell()
        while not runner.drain():
            if doorbell.own_queue() is None:
                sweeper.sweep()  # its message may lie behind as many rings as there were while this went on
            if doorbell.ring_own():
                break  # without a broker nobody would go on


@shared_task(name="replication.sweep", ignore_result=True)  # type: ignore[untyped-decorator]  # Celery ships no types
def sweep() -> None:
    """Take back what dead workers held, start what is scheduled, forget what is old; then run what is due."""
    with _database_may_be_away():
        sweeper.sweep()
    tick()


@contextlib.contextmanager
def _database_may_be_away() -> Iterator[None]:
    """One line instead of Celery's pages; the next ring or sweep looks again."""
    try:
        yield
    except Exception as error:
        if not is_away(error):
            raise
        connection.close()
        log.warning(
            "the database did not answer, the next sweep tries again", extra={"error": str(error).strip()}
        )
