"""A request as a web server passes it on, and what it took."""

import gc
import time
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

Took = tuple[float, float, float]
"""Milliseconds by the clock, of this process's CPU, and of this CPU and the database's together."""


class Asker:
    """Somebody who asks a site for one address.

    Django's test client asks otherwise: its answers hold themselves and their requests in a circle, and so leave to
    the collector what a web server lets go.
    """

    def __init__(self, site: WSGIHandler, by: Client, path: str, headers: dict[str, str]) -> None:
        self.path, _, query = path.partition("?")
        cookie = "; ".join(f"{name}={each.value}" for name, each in by.cookies.items())
        self._environ: dict[str, Any] = {"PATH_INFO": self.path, "QUERY_STRING": query, "HTTP_COOKIE": cookie}
        self._environ |= headers
        setup_testing_defaults(self._environ)
        self._site = site

    def answer(self) -> tuple[str, bytes]:
        """Status and body."""
        statuses: list[str] = []
        answer = self._site(self._environ.copy(), lambda status, headers: statuses.append(status))
        body = b"".join(answer)
        answer.close()
        return statuses[0], body

    def took(self) -> Took:
        begun, used, asked = time.perf_counter(), time.process_time(), _database()
        self.answer()
        wall, cpu = 1000 * (time.perf_counter() - begun), 1000 * (time.process_time() - used)
        return wall, cpu, cpu + _database() - asked

    def queries(self) -> int:
        """Of one request, once all that is kept was read."""
        for _ in range(3):
            status, body = self.answer()
        if status != "200 OK":
            raise SystemExit(f"{self.path}: {status} {body[:300]!r}")
        with CaptureQueriesContext(connection) as seen:
            self.answer()
        return sum(1 for each in seen.captured_queries if _counts(each["sql"]))


def settled(askers: "list[Asker]") -> list[int]:
    """The queries of each; then what is loaded stays where it is, as ump_portal.wsgi has it."""
    found = [each.queries() for each in askers]
    gc.collect()
    gc.freeze()
    return found


def _database() -> float:
    """Milliseconds of CPU of this process's session of PostgreSQL, which has to be on this machine."""
    pid = connection.connection.info.backend_pid
    return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e6


def _counts(sql: str) -> bool:
    """What opens and closes scopes and transactions asks nothing."""
    return (
        not sql.lstrip()
        .removeprefix("SET LOCAL ROLE ump_every; ")
        .startswith(("BEGIN", "COMMIT", "SET ", "SELECT set_config", "SAVEPOINT", "RELEASE"))
    )
