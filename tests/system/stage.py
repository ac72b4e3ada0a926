"""The portal as it runs at a customer's: every process real, on free ports, with a state of its own.

A `Stage` is one `ump up`. Conditions are polled with a deadline; whatever was started ends with the test, however
that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import psycopg2
import requests

from tests.system.rest import Api
from ump_portal import embedded
from ump_portal.embedded.layout import layout_for

CHECKOUT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 120.0
END_SECONDS = 90.0
POLL_SECONDS = 0.05
PR_SET_PDEATHSIG = 1
LEASE_SECONDS = 5
"""Short, so that what a dead worker held comes back while a test looks."""
SWEEP_SECONDS = 5
Found = TypeVar("Found")


def until(what: str, look: Callable[[], Found], seconds: float = 60.0) -> Found:
    """What `look` finds once it finds something. Fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {what}"
        time.sleep(POLL_SECONDS)
    return found


class Timer:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() - self.began


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def plain_environment() -> dict[str, str]:
    """What any process gets; nothing of the tests' own database and keys."""
    wanted = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in wanted if name in os.environ} | {"PYTHONUNBUFFERED": "1"}


# --- Processes ----------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Seen:
    """A process as /proc shows it."""

    pid: int
    parent: int
    group: int
    command: str

    @property
    def environment(self) -> dict[str, str]:
        raw = Path(f"/proc/{self.pid}/environ").read_bytes().decode(errors="replace")
        return dict(pair.partition("=")[::2] for pair in raw.split("\0") if pair)  # type: ignore[misc]


def processes() -> Iterator[Seen]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text().rpartition(")")[2].split()
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if stat[0] != "Z":
                yield Seen(int(entry.name), int(stat[1]), int(stat[2]), command)


def spawn(
    command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start it in the checkout, as a group of its own that does not outlive the tests, however they end."""

    def end_with_the_tests() -> None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)

    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=CHECKOUT,
            env=plain_environment() if environment is None else environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
            preexec_fn=end_with_the_tests,  # noqa: PLW1509  one system call, which takes no lock
        )


def end(popen: subprocess.Popen[bytes], seconds: float = END_SECONDS) -> None:
    """Ask it to end; make it after a while."""
    if popen.poll() is None:
        popen.send_signal(signal.SIGTERM)
    try:
        popen.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()


class Stage:
    """One `ump up` with its own state under `home`, and what may be asked of it and done to it."""

    def __init__(self, home: Path, environment: Mapping[str, str], *, prefix: Sequence[str] = ()) -> None:
        home.mkdir(parents=True)
        self.home = home
        self.log = home / "up.log"
        self.port = free_port()
        self.base = f"http://localhost:{self.port}"
        self._prefix = list(prefix)
        self._given = plain_environment() | {
            "UMP_VAR_DIR": str(home),
            "API_ALLOWED_IPS": "127.0.0.1",
            "COMMAND_LEASE_SECONDS": str(LEASE_SECONDS),
            "SWEEP_SECONDS": str(SWEEP_SECONDS),
            "COMMAND_SLICE_SECONDS": "2",
            "CONSENT_PROPAGATION_SECONDS": "0",
            "REPLICATION_CYCLE_SECONDS": "86400",
            # Many customers are broken here on purpose, one after another; each is to be judged alone.
            "BREAKER_LEAST_CUSTOMERS": "1000",
            **environment,
        }
        self._popen: subprocess.Popen[bytes] | None = None
        self._extra: list[subprocess.Popen[bytes]] = []
        self._database: Any = None
        self._admin: Api | None = None

    def __enter__(self) -> Self:
        embedded.remove(
            self.home / "postgres"
        )  # as root it lies elsewhere, and outlives a run that was killed
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._admin is not None:
            self._admin.close()
        for popen in self._extra:
            end(popen, 5)
        if self._popen is not None:
            end(self._popen)
            until("the database has ended", self._database_ended, END_SECONDS)
        embedded.remove(self.home / "postgres")

    def _database_ended(self) -> bool:
        pid = self.postmaster()
        return pid is None or not Path(f"/proc/{pid}").exists()

    def start(self) -> None:
        command = [*self._prefix, sys.executable, "-m", "ump_portal.cli", "up", "--port", str(self.port)]
        self._popen = popen = spawn(command, self.log, self._given)

        def greeted() -> bool:
            assert popen.poll() is None, self.said()[-5000:]
            return "Ctrl-C ends it." in self.said()

        until("ump up says where the portal is", greeted, START_SECONDS)

    def said(self) -> str:
        """What all processes have printed so far."""
        return self.log.read_text(errors="replace")

    # What runs

    @property
    def pid(self) -> int:
        """Of `ump up` itself."""
        assert self._popen
        return self._popen.pid

    @property
    def environment(self) -> dict[str, str]:
        """What a command in another shell finds out about it."""
        found: dict[str, str] = json.loads((self.home / "run" / "env.json").read_text())
        return self._given | found

    def process(self, name: str) -> Seen | None:
        """The leading process of `web`, `worker` or `clock` as it runs at the moment."""
        words = {"web": "gunicorn", "worker": " worker ", "clock": " beat "}[name]
        top = self._popen.pid if self._popen else 0
        every = list(processes())
        tops = {top} | {one.pid for one in every if one.parent == top}  # with a prefix it is one deeper
        return next((one for one in every if one.parent in tops and words in one.command), None)

    def running(self, name: str) -> Seen:
        return until(f"{name} runs", lambda: self.process(name))

    def members(self, name: str) -> list[Seen]:
        """All processes of one of them."""
        group = self.running(name).group
        return [one for one in processes() if one.group == group]

    def kill(self, name: str, number: int = signal.SIGKILL) -> Seen:
        """Send the signal to its whole process group; who that was."""
        victim = self.running(name)
        os.killpg(victim.group, number)
        return victim

    def back(self, name: str, former: Seen, seconds: float = 60.0) -> Seen:
        """Another one runs in its place."""

        def other() -> Seen | None:
            found = self.process(name)
            return found if found and found.pid != former.pid else None

        return until(f"{name} runs again", other, seconds)

    def another_worker(self) -> subprocess.Popen[bytes]:
        """A second worker, as on a second machine; it ends with the stage."""
        first = self.running("worker")
        popen = spawn(first.command.split(), self.log, first.environment)
        self._extra.append(popen)
        return popen

    def end_extra(self, popen: subprocess.Popen[bytes], seconds: float) -> None:
        self._extra.remove(popen)
        end(popen, seconds)

    def postmaster(self) -> int | None:
        """PostgreSQL's first process."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            text = (layout_for(self.home / "postgres").data / "postmaster.pid").read_text()
            return int(text.partition("\n")[0])
        return None

    def healthy(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(f"{self.base}/healthz", timeout=5).status_code == 200
        return False

    # What is asked

    def sql(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows, as the owner of the tables sees them; waits for a database that is just coming back."""
        return until("the database answers", lambda: self._ask(query, values))[0]

    def _ask(self, query: str, values: Any) -> tuple[list[tuple[Any, ...]]] | None:
        try:
            if self._database is None or self._database.closed:
                self._database = psycopg2.connect(_dsn(self.environment["DATABASE_OWNER_URL"]))
                self._database.autocommit = True
            with self._database.cursor() as cursor:
                cursor.execute(query, values)
                return (list(cursor.fetchall()) if cursor.description else [],)
        except (psycopg2.OperationalError, psycopg2.InterfaceError):
            if self._database is not None:
                self._database.close()
            return None

    def one(self, query: str, *values: Any) -> Any:
        return self.sql(query, *values)[0][0]

    def ump(self, *arguments: str, stdin: str = "", expect: int = 0) -> Any:
        """A command in another shell with `--json`; its document."""
        done = self.ump_process(*arguments, "--json", stdin=stdin)
        assert done.returncode == expect, f"ump {arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout or done.stderr)

    def ump_process(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "ump_portal.cli", *arguments],
            cwd=CHECKOUT,
            env=plain_environment() | {"UMP_VAR_DIR": str(self.home)},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    @property
    def admin(self) -> Api:
        """A client that may do everything."""
        if self._admin is None:
            self._admin = self.api(role="provider_admin")
        return self._admin

    def api(self, **options: str) -> Api:
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        made = self.ump("token", "create", f"tests {time.monotonic_ns()}", *arguments)
        return Api(self.base, made["token"])


def _dsn(url: str) -> str:
    """libpq takes postgres:// but wants the host of a socket percent-encoded, as it is here."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(("postgresql", *parts[1:]))
