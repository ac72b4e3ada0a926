"""Two people at the same moment: the second comes when the first has looked, and has not written yet."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import psycopg2
import pytest
from django.db import connection, connections

from tenants import secrets

T = TypeVar("T")


def somebody_waits(kind: str = "%") -> bool:
    """For a lock that another transaction holds: `transactionid` (a row's), `advisory`, or any."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE locktype LIKE %s AND NOT granted", [kind])
        return cursor.fetchone() is not None


def another_session() -> psycopg2.extensions.connection:
    """A line to the test's database as another process has one; the caller closes it."""
    login = connection.get_connection_params()
    login.pop("cursor_factory", None)
    return psycopg2.connect(**login)


def both(monkeypatch: pytest.MonkeyPatch, first: Callable[[], T], second: Callable[[], T]) -> list[T]:
    """What each of two acts answers that seal a secret of the provider's between looking and writing."""
    looked, ended = threading.Event(), threading.Event()
    store = secrets.store_for_provider

    def slow(*args: object, **options: object) -> object:
        if not looked.is_set():
            looked.set()
            until = time.monotonic() + 30
            while not somebody_waits() and not ended.is_set() and time.monotonic() < until:
                time.sleep(0.02)
        return store(*args, **options)  # type: ignore[arg-type]

    def act(what: Callable[[], T], *, late: bool) -> T:
        try:
            assert not late or looked.wait(30)
            return what()
        finally:
            if late:
                ended.set()
            connections.close_all()

    monkeypatch.setattr(secrets, "store_for_provider", slow)
    with ThreadPoolExecutor(2) as pool:
        acts = [pool.submit(act, first, late=False), pool.submit(act, second, late=True)]
        return [each.result(60) for each in acts]
