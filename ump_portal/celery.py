"""Celery: a doorbell and a clock. Settings by the traps measured in facts/security.md 6.2."""

import contextlib
import logging
import os
import signal
import threading
from typing import Any

from billiard.process import active_children
from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown, worker_ready, worker_shutting_down
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
# Celery would have Django check itself whenever a worker starts, which loads every page and all of the API: a quarter
# more memory in each process. CI checks instead.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("ump_portal")
log = logging.getLogger(__name__)
OWN_SWEEP_SECONDS = 15.0
END_SECONDS = 25.0
"""After which a worker that was asked to end waits no longer; thirty are promised."""
POOL_AT_MOST = 256
CHILD_AT_MOST = 1_000_000
"""KiB after which a pool process is replaced, a leak apart never. Not after so many tasks: a ring that meets one
about to be replaced waits for seconds (measured: up to five), and the new one asks for every customer's token."""


@app.on_configure.connect  # type: ignore[untyped-decorator]  # Celery ships no types
def configure(sender: Celery, **_: Any) -> None:
    """Read Django's settings as late as Celery does, so that importing this file needs none."""
    sender.conf.update(
        broker_url=settings.CELERY_BROKER_URL,
        broker_transport_options=settings.CELERY_TRANSPORT_OPTIONS,
        broker_connection_retry_on_startup=True,
        task_acks_late=False,  # the row in the database is what must not be lost, not the message
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_max_memory_per_child=CHILD_AT_MOST,
        task_store_errors_even_if_ignored=False,
        beat_schedule={"sweep": {"task": "replication.sweep", "schedule": settings.SWEEP_SECONDS}},
        beat_schedule_filename=settings.BEAT_FILE,
        timezone="UTC",
    )


app.autodiscover_tasks(["replication"])


@worker_ready.connect  # type: ignore[untyped-decorator]  # as above
def sweep_without_beat(sender: Any, **_: Any) -> None:
    """Each worker looks by itself now and then: a dead beat or a lost ring costs seconds, never work.

    One that serves a queue of its own sweeps nothing, and looks into that queue.
    """
    from replication import doorbell  # noqa: PLC0415  Django must be set up first

    own = doorbell.own_queue()
    task = doorbell.TICK if own else "replication.sweep"
    options = {"ignore_result": True, "queue": own, "expires": OWN_SWEEP_SECONDS}
    sender.timer.call_repeatedly(OWN_SWEEP_SECONDS, app.send_task, (task,), options)


# A pool process is busy with its tick and is not told when the worker should end. It inherits the reading end of
# this pipe; the end of the pipe, by the worker's word or by its death, is the news.
_end_reader, _end_writer = os.pipe()


@worker_process_init.connect  # type: ignore[untyped-decorator]  # as above
def listen_for_the_end(**_: Any) -> None:
    """In a pool process, right after the fork."""
    from replication import runner  # noqa: PLC0415  Django must be set up first

    os.close(_end_writer)
    runner.look_out()

    def wait() -> None:
        os.read(_end_reader, 1)
        finish_slices()

    threading.Thread(target=wait, name="end", daemon=True).start()


@worker_shutting_down.connect  # type: ignore[untyped-decorator]  # as above
def tell_the_pool(**_: Any) -> None:
    """In the worker's main process: a byte for each pool process, however many there are."""
    os.write(_end_writer, bytes(POOL_AT_MOST))
    limit = threading.Timer(END_SECONDS, end_at_once)
    limit.daemon = True
    limit.start()


def end_at_once() -> None:
    """Celery would wait for a pool process for ever: one that is frozen, or whose last call hangs.

    Nothing is lost by it: what was claimed has a lease, and the rings have their rows.
    """
    log.warning("the worker ends without waiting for its pool any longer")
    for child in active_children():
        with contextlib.suppress(OSError):
            os.kill(child.pid, signal.SIGKILL)
    os._exit(0)


@worker_process_shutdown.connect  # type: ignore[untyped-decorator]  # as above
def finish_slices(**_: Any) -> None:
    """Let running commands reach their next safe point, and wait for that: the process ends right afterwards."""
    from replication import runner  # noqa: PLC0415  Django must be set up first

    runner.shut_down()
    runner.finish()
