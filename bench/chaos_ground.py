"""What a run under fire stands on: `ump up` with every process real, behind lines that can be cut, and its witnesses.

Stage and Microsoft are those of the tests with real processes (tests/system).
"""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from bench import rows
from bench.chaos_history import LaneRow, Move, Received, Write
from bench.chaos_lives import children, command
from bench.chaos_proxy import Proxy
from tests.system.microsoft import Microsoft
from tests.system.redis_server import Redis
from tests.system.stage import CHECKOUT, Seen, Stage, processes, spawn, until
from ump_portal import embedded

LEASE, SWEEP = 3, 5
DELAY, SETTLE = 6, 15
"""Seconds that changes wait for further ones, and after which a write must have arrived: instead of 300 and 35."""
SQL = Path(__file__).with_name("chaos_watch.sql")
CLOCK = Path(__file__).with_name("chaos_clock.c")


class Webhook:
    """Another system that takes events, or (in `trouble`) answers 503, or takes one and hangs up."""

    def __init__(self) -> None:
        self.trouble = ""
        self.received: list[Received] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            timeout = 5.0

            def do_POST(self) -> None:
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                trouble = receiver.trouble
                if trouble != "503":
                    receiver.received.append(Received("tickets", int(event["data"]["cursor"])))
                if trouble == "lost":
                    self.close_connection = True
                    return
                self.send_response(503 if trouble == "503" else 204)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False  # its end waits for them
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Clock:
    """The time of day as the processes of one machine read it; it can be wrong where there is a C compiler."""

    def __init__(self, home: Path) -> None:
        self._offset, library = home / "clock", home / "clock.so"
        compiler = shutil.which("cc")
        self.can_be_wrong = compiler is not None
        self.environment: dict[str, str] = {}
        if compiler is None:
            return
        self._offset.write_bytes(struct.pack("d", 0.0))
        command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(CLOCK), "-ldl", "-lm"]
        subprocess.run(command, check=True)
        self.environment = {"LD_PRELOAD": str(library), "CHAOS_CLOCK": str(self._offset)}

    def wrong_by(self, seconds: float) -> None:
        with self._offset.open("r+b") as file:
            file.write(struct.pack("d", seconds))


class Ground(Stage):
    """One `ump up` behind proxies, with a second worker, as on a second machine."""

    def __init__(self, home: Path, microsoft: Microsoft, environment: Mapping[str, str]) -> None:
        super().__init__(home, {})
        self.microsoft = microsoft
        self.redis = Redis(home, listen=True)
        self.lines: dict[str, Proxy] = {}
        self.other: subprocess.Popen[bytes] | None = None
        self._ending = False
        self.server: embedded.Server | None = None
        self.webhook = Webhook()
        self.clock: Clock | None = None
        self._more = dict(environment)
        self._open = contextlib.ExitStack()

    def start(self) -> None:
        self.server = embedded.start(self.home / "postgres")
        self.clock = Clock(self.home)
        socket_path = self.server.socket_directory / ".s.PGSQL.5432"
        gateway = int(self.microsoft.url.rpartition(":")[2])
        self._open.enter_context(self.redis)
        self._open.enter_context(self.webhook)
        for name, target in (("postgres", socket_path), ("redis", self.redis.port), ("graph", gateway)):
            self.lines[name] = self._open.enter_context(Proxy(target))
        mail = self.microsoft.control("GET", "/mail")
        self._given |= {
            "DATABASE_URL": through(self.server.url_app, self.lines["postgres"].port),
            "DATABASE_OWNER_URL": self.server.url_owner,
            "BROKER_URL": f"redis://127.0.0.1:{self.lines['redis'].port}/0",
            "M365_GATEWAY_URL": f"http://127.0.0.1:{self.lines['graph'].port}",
            "EMAIL_URL": f"smtp://{mail['host']}:{mail['port']}",
            "COMMAND_LEASE_SECONDS": str(LEASE),
            "SWEEP_SECONDS": str(SWEEP),
            "SECRET_OVERLAP_SECONDS": "1",
            "API_REQUESTS_PER_MINUTE": "1000000",
            "LICENSE_CUSTOMERS": "10000",
            "LICENSE_USERS": "1000000",
            "QUICK_REPLICATION_CYCLE_DELAY": str(DELAY),
            "WRITE_SETTLE_SECONDS": str(SETTLE),
            **self._more,
        }
        super().start()
        with psycopg2.connect(self.server.url_owner) as connection, connection.cursor() as cursor:
            cursor.execute(SQL.read_text())
        connection.close()
        self.other = self.another_worker()

    def __exit__(self, *_: object) -> None:
        for connection in (self._database, self._admin):
            if connection is not None:
                connection.close()
        self._database = self._admin = None
        for popen in (self.other, self._popen):  # how they end when asked is measured before
            if popen is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
                popen.wait()
        self._popen = None
        self._open.close()
        if self.server is not None:
            self.server.stop()
        embedded.remove(self.home / "postgres")

    def ump_process(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """By the lines of the portal itself: what was given is not in its facts."""
        command = [sys.executable, "-m", "ump_portal.cli", *arguments]
        return subprocess.run(
            command, cwd=CHECKOUT, env=self.environment, input=stdin, capture_output=True, text=True, timeout=180,
            check=False,
        )  # fmt: skip

    def another_worker(self) -> subprocess.Popen[bytes]:
        """As on a second machine, with a clock of its own."""
        assert self.clock
        first = self.running("worker")
        popen = spawn(first.command.split(), self.log, first.environment | self.clock.environment)
        self._extra.append(popen)
        return popen

    # --- What the nemesis may take hold of ----------------------------------------------------------------------
    def workers(self) -> list[int]:
        """The groups of both workers, as far as they run."""
        first = self.process("worker")
        return [first.group] * (first is not None) + [self.other.pid] * (self.other is not None)  # type: ignore[union-attr]

    def living(self) -> list[int]:
        """The first process of each worker that takes anything on; asked many times a second."""
        first = [pid for pid in children(self.pid) if " worker " in command(pid)]
        return first if self.other is None or self._ending else [*first, self.other.pid]

    def pool(self, group: int) -> list[Seen]:
        """The processes of a worker that carry commands out."""
        return sorted((one for one in processes() if one.group == group != one.pid), key=lambda one: one.pid)

    def end_second_worker(self) -> None:
        """By SIGTERM: it brings what it has begun to a safe point, and takes over nothing of anybody's."""
        assert self.other
        self._ending = True
        os.kill(self.other.pid, signal.SIGTERM)
        self.second_worker_again()

    def second_worker_again(self) -> None:
        assert self.other
        self.other.wait()
        self._extra.clear()
        self.other, self._ending = self.another_worker(), False

    def restart_postgres(self) -> None:
        """`pg_ctl restart -m immediate`: it does not say good-bye to anybody, and recovers from its log."""
        pid = self.postmaster()
        assert pid
        assert self.server
        os.kill(pid, signal.SIGQUIT)
        until("PostgreSQL has ended", lambda: not Path(f"/proc/{pid}").exists(), 30)
        self.server.stop()
        self.server = embedded.start(self.home / "postgres")

    def flood(self, commands: int) -> None:
        """So many cycles at once, dealt out to all customers; nobody rings."""
        assert self.server
        with (
            contextlib.closing(psycopg2.connect(self.server.url_owner)) as connection,
            connection,
            connection.cursor() as cursor,
        ):
            lanes = "tenant_id IS NOT NULL AND name = 'data'"
            cursor.execute(f"SELECT id FROM replication_lane WHERE {lanes} ORDER BY id FOR NO KEY UPDATE")
            rows.commands(cursor, commands, lanes=lanes, kind="'quick_replication'")
            rows.due(cursor)

    # --- What was seen ------------------------------------------------------------------------------------------
    def moves(self) -> list[Move]:
        names = ", ".join(Move.__dataclass_fields__)
        return [Move(*row) for row in self.sql(f"SELECT {names} FROM chaos.move ORDER BY n")]

    def lane_rows(self) -> list[LaneRow]:
        names = ", ".join(LaneRow.__dataclass_fields__)
        return [LaneRow(*row) for row in self.sql(f"SELECT {names} FROM chaos.lane ORDER BY at")]

    def writes(self) -> list[Write]:
        names = ", ".join(f'"{name}"' for name in Write.__dataclass_fields__)
        return [Write(*row) for row in self.sql(f"SELECT {names} FROM chaos.write ORDER BY n")]


def through(url: str, port: int) -> str:
    """The same database by a port of this machine instead of its socket."""
    parts = urlsplit(url)
    account = parts.netloc.rpartition("@")[0]
    return urlunsplit(
        parts._replace(netloc=f"{account}@127.0.0.1:{port}", query="sslmode=disable&gssencmode=disable")
    )


@contextlib.contextmanager
def every(seconds: float, do: Any) -> Iterator[None]:
    """Something is done again and again, in a thread of its own, until the block ends."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(seconds):
            with contextlib.suppress(AssertionError, OSError, psycopg2.Error):  # what is asked may be away
                do()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(30)
