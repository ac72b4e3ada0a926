"""`ump up --demo` as a person runs it: everything comes up, nobody holds too much, and nothing stays behind."""

import base64
import http.client
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from ump_portal import embedded, up

CHECKOUT = Path(__file__).parent.parent.parent
SECONDS = 120.0
# Whatever the tests' own settings put into the environment is none of the demo's business.
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith(("UMP_", "DATABASE_", "DJANGO_", "BROKER_", "SECRET_KEY", "PYTEST_"))
}
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("up")]


class Portal:
    """One `ump up --demo` in a directory of its own, and what it has said so far."""

    def __init__(self, var: Path) -> None:
        self.var = var
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ump_portal.cli", "up", "--demo"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=CHECKOUT,
            env={**CLEAN, "UMP_VAR_DIR": str(var), "NO_COLOR": "1"},
            start_new_session=True,
        )
        self.said = ""
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.news:
                self.said += line
                self.news.notify_all()
        with self.news:
            self.said += "(the end)"
            self.news.notify_all()

    def wait_for(self, text: str, times: int = 1) -> None:
        with self.news:
            self.news.wait_for(lambda: self.said.count(text) >= times or "(the end)" in self.said, SECONDS)
            assert self.said.count(text) >= times, self.said

    def facts(self) -> dict[str, str]:
        return up.environment(self.var)

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        self.reader.join(SECONDS)
        return code

    def processes(self) -> dict[str, list[int]]:
        """Process ids by role, of this portal only: they carry its directory in their environment."""
        found: dict[str, list[int]] = {}
        roles = {"wsgi:application": "web", "worker": "worker", "beat": "clock", "simulator": "simulator"}
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                mine = f"{self.var}/demo".encode() in (entry / "environ").read_bytes() or self._simulates(
                    words
                )
            except OSError:
                continue
            for word, role in roles.items():
                if mine and any(part == word or part.endswith(word) for part in words):
                    found.setdefault(role, []).append(int(entry.name))
                    break
        return found

    def _simulates(self, words: list[str]) -> bool:
        port = self.facts().get("M365_GATEWAY_URL", "none").rpartition(":")[2]
        return "simulator" in words and port in words

    def postmaster(self) -> int:
        connection = psycopg2.connect(self.facts()["DATABASE_OWNER_URL"])
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backend = cursor.fetchone()
            assert backend
            return int(Path(f"/proc/{backend[0]}/stat").read_text().rpartition(")")[2].split()[1])
        finally:
            connection.close()


def gone(pid: int, seconds: float) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], seconds)[0])
    finally:
        os.close(handle)


def environ(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


@pytest.fixture
def var() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="ump-up-"))
    yield directory
    embedded.remove(directory / "demo" / "postgres")
    shutil.rmtree(directory)


@pytest.fixture
def portal(var: Path) -> Iterator[Portal]:
    portal = Portal(var)
    yield portal
    if portal.process.poll() is None:
        portal.end(signal.SIGKILL)
    portal.reader.join(SECONDS)
    assert portal.process.stdout is not None
    portal.process.stdout.close()


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status
    finally:
        connection.close()


def becomes_well(portal: Portal, port: int) -> None:
    """On a machine busy with other tests, one connection to the database may take longer than its limit."""
    until = time.monotonic() + SECONDS / 4
    while get(port, "/healthz") != 200:
        assert time.monotonic() < until, portal.said
        time.sleep(0.5)


def test_a_day_of_the_demo(portal: Portal) -> None:
    portal.wait_for("Ctrl-C ends it.")
    assert "admin@demo.example" in portal.said
    facts = portal.facts()
    port = int(facts["PORTAL_BASE_URL"].rpartition(":")[2])
    becomes_well(portal, port)
    _nobody_holds_too_much(portal, facts)
    _a_second_one_is_refused(portal, facts)
    _another_shell_finds_it(portal)
    _a_killed_worker_comes_back(portal)
    _a_killed_database_comes_back(portal, port)

    running = [pid for pids in portal.processes().values() for pid in pids] + [portal.postmaster()]
    assert portal.end(signal.SIGINT) == 0
    assert portal.said.rstrip().endswith("all ended\n(the end)")
    order = [portal.said.index(f"ending {name}") for name in ("web", "worker", "clock", "simulator")]
    assert order == sorted(order)
    assert [pid for pid in running if not gone(pid, 1)] == []
    assert up.environment(portal.var) == {}


def _nobody_holds_too_much(portal: Portal, facts: dict[str, str]) -> None:
    """Only workers hold the key that opens secrets; nobody who serves may change the schema."""
    processes = portal.processes()
    assert set(processes) == {"web", "worker", "clock", "simulator"}
    key = (portal.var / "demo" / "keys" / "kek").read_text().split()[1]
    assert len(base64.b64decode(key)) == 32
    for role, pids in processes.items():
        for pid in pids:
            variables = environ(pid)
            assert ("UMP_KEK_FILE" in variables) == (role == "worker"), role
            assert "DATABASE_OWNER_URL" not in variables, role
            assert ("SECRET_KEY" in variables) == (role != "simulator"), role
    assert "UMP_KEK_FILE" not in facts
    written = portal.var / "demo" / "run" / "env.json"
    assert written.stat().st_mode & 0o777 == 0o600
    assert key not in written.read_text()
    assert (portal.var / "demo").stat().st_mode & 0o777 == 0o700


def _a_second_one_is_refused(portal: Portal, facts: dict[str, str]) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "ump_portal.cli", "up", "--demo"],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env={**CLEAN, "UMP_VAR_DIR": str(portal.var)},
        timeout=SECONDS,
    )
    assert second.returncode == 1
    assert f"It already runs at {facts['PORTAL_BASE_URL']}." in second.stdout


def _another_shell_finds_it(portal: Portal) -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "ump_portal.cli", "tenants", "list", "--json"],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
        env={**CLEAN, "UMP_VAR_DIR": str(portal.var)},
        timeout=SECONDS,
    )
    assert len(json.loads(listed.stdout)) == 26


def _a_killed_worker_comes_back(portal: Portal) -> None:
    before = set(portal.processes()["worker"])
    os.kill(min(before), signal.SIGKILL)
    portal.wait_for("worker | was killed by SIGKILL; starts again in")
    portal.wait_for("worker | started again")
    assert all(gone(pid, 10) for pid in before), "the pool outlives its worker"


def _a_killed_database_comes_back(portal: Portal, port: int) -> None:
    os.kill(portal.postmaster(), signal.SIGKILL)
    portal.wait_for("the database has ended; starting it again")
    portal.wait_for("the database is back")
    becomes_well(portal, port)


def test_kill_9_of_the_parent_ends_all_of_it(portal: Portal) -> None:
    portal.wait_for("Ctrl-C ends it.")
    running = [pid for pids in portal.processes().values() for pid in pids] + [portal.postmaster()]
    assert len(running) >= 7
    portal.end(signal.SIGKILL)
    assert [pid for pid in running if not gone(pid, 30)] == []
    assert up.environment(portal.var) == {}


def test_sigterm_while_it_starts_ends_it(portal: Portal) -> None:
    portal.wait_for("starting the database")
    assert portal.end(signal.SIGTERM) in {0, -signal.SIGTERM}
    assert portal.processes() == {}
