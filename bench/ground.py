"""The ground a benchmark runs on: a database of its own, the simulator as a process, one customer a size."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg2

from core.encryption import Pair
from ump_portal import embedded

ROOT = Path(__file__).resolve().parent.parent
Figures = dict[str, Any]


def control(url: str, method: str, path: str, body: Any = None) -> Any:
    """One call of the simulator's control API (docs/simulator.md)."""
    request = urllib.request.Request(
        f"{url}/_sim{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)


def pretend(url: str, spec: Figures) -> dict[str, str]:
    """A customer of the simulator, by what the measurement `prepare` takes."""
    control(url, "POST", "/tenants", spec)
    made = next(one for one in control(url, "GET", "/tenants")["tenants"] if one["name"] == spec["name"])
    app = made["apps"][0]
    return {"entra_tenant_id": made["tenant_id"], "client_id": app["client_id"], "secret": app["secret"]}


@contextlib.contextmanager
def simulator(latency_ms: float) -> Iterator[str]:
    """The address of a simulator that runs until the end of the block."""
    command = [sys.executable, "-m", "simulator", "--seed", "empty", "--latency-ms", str(latency_ms)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextlib.contextmanager
def database(kept: str = "") -> Iterator[bool]:
    """A migrated database in the server of DATABASE_URL, or in one of our own; says whether it is a new one.

    It is gone afterwards, unless it is `kept` under that name and found again by whoever asks for it.
    """
    server = None
    if "DATABASE_URL" not in os.environ:
        server = embedded.start(ROOT / "var" / "bench")
        os.environ["DATABASE_URL"], os.environ["DATABASE_OWNER_URL"] = server.url_app, server.url_owner
    home_url = os.environ["DATABASE_OWNER_URL"]
    name = f"ump_bench_{kept or os.getpid()}"
    try:
        new = not _run(home_url, f"SELECT 1 FROM pg_database WHERE datname = '{name}'")
        if new:
            _run(home_url, f"CREATE DATABASE {name}")
        for variable in ("DATABASE_URL", "DATABASE_OWNER_URL"):
            os.environ[variable] = urlunsplit(urlsplit(os.environ[variable])._replace(path=f"/{name}"))
        try:
            migrate = [sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0"]
            subprocess.run(migrate, cwd=ROOT, check=True)
            yield new
        except BaseException:
            kept = "" if new else kept  # half of it is of no use to anybody
            raise
        finally:
            if not kept:
                _drop(home_url, name)
    finally:
        if server is not None:
            server.stop()


def _drop(url: str, name: str) -> None:
    """No owner may end an autovacuum that is at work in there; it ends by itself."""
    ends = time.monotonic() + 60
    while True:
        try:
            _run(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            return
        except psycopg2.errors.InsufficientPrivilege:
            if time.monotonic() > ends:
                raise
            time.sleep(1)


def _run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements outside any transaction; the rows of the last one."""
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


@contextlib.contextmanager
def keys() -> Iterator[None]:
    """Throw-away keys: the worker opens the customer's credential as it always does."""
    import base64

    with tempfile.TemporaryDirectory(prefix="ump-bench-") as folder:
        pair = Pair.new()
        for variable, value in (
            ("UMP_KEK_FILE", pair.private),
            ("UMP_KEK_PUBLIC_FILE", pair.public),
            ("UMP_WEB_KEY_FILE", os.urandom(32)),
        ):
            path = Path(folder) / variable
            path.write_text(f"k1 {base64.b64encode(value).decode()}\n", encoding="ascii")
            os.environ[variable] = str(path)
        os.environ["SECRET_KEY"] = "only for a benchmark, and long enough to satisfy Django's own checks"
        yield


MIRROR = "directory_user, directory_group, directory_member, directory_sku"
NOTES = "directory_stream, directory_seen, directory_todo"


def wipe() -> None:
    """An empty mirror: the next read is a first one."""
    _run(os.environ["DATABASE_OWNER_URL"], f"TRUNCATE {MIRROR}, {NOTES}")


def settle() -> None:
    """Statistics and visibility as they are a while after a big write, when autovacuum has been there."""
    _run(os.environ["DATABASE_OWNER_URL"], f"VACUUM ANALYZE {MIRROR}")


def bytes_a_row() -> dict[str, float]:
    """What a row of each table of the mirror takes, indexes and all; nothing for an empty one."""
    tables = ", ".join(f"'{table.strip()}'" for table in MIRROR.split(","))
    statement = (
        "SELECT relname, pg_total_relation_size(oid)::float8 / reltuples FROM pg_class"
        f" WHERE relname IN ({tables}) AND relkind = 'r' AND reltuples > 0 ORDER BY relname"
    )
    return {name: round(size) for name, size in _run(os.environ["DATABASE_OWNER_URL"], statement)}


def rows_written() -> int:
    """Rows of the mirror written since the database began."""
    tables = ", ".join(f"'{table.strip()}'" for table in MIRROR.split(","))
    statement = (
        "SELECT sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint FROM pg_stat_user_tables"
        f" WHERE relname IN ({tables})"
    )
    return int(_run(os.environ["DATABASE_OWNER_URL"], statement)[0][0])


def child(measure: str, /, *, of: str = "bench.measures", **options: Any) -> Figures:
    """Run one measurement in a process of its own, whose peak of memory is then its own too."""
    command = [sys.executable, "-m", of, measure, json.dumps(options)]
    # As `ump up` and the image start everything.
    environment = os.environ | {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis of our own that keeps nothing; its address."""
    from tests.system.redis_server import Redis

    with tempfile.TemporaryDirectory(prefix="ump-bench-") as folder, Redis(Path(folder)) as server:
        yield server.url


def cpu_seconds() -> Figures:
    """What the processes of this benchmark have used so far: its workers, its simulator, its database's sessions."""
    used = {"workers": 0.0, "database": 0.0, "Microsoft": 0.0}
    for child in _children(os.getpid()):
        command = Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8", errors="replace")
        if "celery" in command:
            used["workers"] += sum(map(_cpu_of, [child, *_children(child)]))
        elif "simulator" in command:
            used["Microsoft"] += _cpu_of(child)
    sessions = (
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    used["database"] = sum(_cpu_of(row[0]) for row in _run(os.environ["DATABASE_OWNER_URL"], sessions))
    return used


def _children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _cpu_of(pid: int) -> float:
    """Seconds, of the process and of those of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def workers(app: str, *arguments: str, number: int = 1) -> Iterator[None]:
    """Celery workers of that application; gone at the end of the block."""
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "celery",
        f"--app={app}",
        "--quiet",
        "worker",
        *arguments,
    ]
    command += ["--without-gossip", "--without-mingle", "--loglevel=ERROR"]
    running = [subprocess.Popen([*command, f"--hostname=bench{one}@%h"], cwd=ROOT) for one in range(number)]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(60)
