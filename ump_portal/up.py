"""`ump up`: the whole portal on one machine, from nothing, with one command.

Database, migrations, web server, worker and clock; with `demo` also the simulator and sample customers. What
is needed and missing is made once under `var/` (the demo keeps to `var/demo`, so that it never mixes with
real customers). Ctrl-C, SIGTERM and even kill -9 end all of it.

The key that opens customers' secrets is given to the worker only; web and clock never see it.
No Django in here: it runs in the processes that are started.
"""

import contextlib
import fcntl
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ump_portal import embedded, transport
from ump_portal.keys import key_files
from ump_portal.supervisor import Console, Ended, Process, Supervisor

BASE = Path(__file__).resolve().parent.parent
FIRST_PORT = 8000
FIRST_SIMULATOR_PORT, FIRST_MAIL_PORT = 8365, 8425
PORTS_TRIED = 100
HEALTH_SECONDS = 120.0
LOCK_SECONDS = 0.5
WEB_WORKERS, WEB_THREADS = 2, 8
WORKER_PROCESSES = 2
# Never for the web process: the first opens customers' secrets, the second may change the schema.
WORKER_ONLY = "UMP_KEK_FILE"
OWNER_ONLY = "DATABASE_OWNER_URL"


class CannotStart(Exception):
    """`ump up` cannot do its work; the text says why and what to do, in words for people."""


@dataclass(frozen=True)
class Place:
    """Where one installation keeps its state, and what is known about it while it runs."""

    directory: Path

    @property
    def database(self) -> Path:
        return self.directory / "postgres"

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def broker(self) -> Path:
        return self.directory / "broker"

    @property
    def lock(self) -> Path:
        return self.directory / "run" / "up.lock"

    @property
    def facts(self) -> Path:
        return self.directory / "run" / "env.json"

    def create(self) -> None:
        """Raises CannotStart when the directory belongs to another account."""
        try:
            for path in (self.directory, self.directory / "run", self.directory / "static"):
                path.mkdir(mode=0o700, parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.directory):
                pass
        except OSError as error:
            raise CannotStart(
                f"{self.directory} cannot be written ({error.strerror}). If another account made it, "
                "run as that one, or move it away."
            ) from error


def place(*, demo: bool, var: Path | None = None) -> Place:
    """The state of the demo, or of the real portal; `var` defaults to the checkout's."""
    top = var or Path(os.environ.get("UMP_VAR_DIR") or BASE / "var")
    return Place(top / "demo" if demo else top)


def up(*, demo: bool = False, port: int | None = None, var: Path | None = None) -> int:
    """Run the portal until Ctrl-C or SIGTERM; returns the exit code.

    `port` is taken as it is; without it the first free one from 8000 is. `var` is the directory of the state.
    """
    console = Console(sys.stdout)
    here = place(demo=demo, var=var)
    try:
        here.create()
        with _only_one(here):
            return _Run(here, console, demo=demo, port=port).run()
    except Ended:
        return 0
    except subprocess.CalledProcessError as error:
        console.line("up", f"'{' '.join(error.cmd[-3:])}' failed with code {error.returncode}; see above")
    except (CannotStart, embedded.EmbeddedError) as error:
        for line in str(error).splitlines():
            console.line("up", line)
    return 1


def environment(var: Path | None = None) -> dict[str, str]:
    """The variables of the portal that runs here, for a command in another shell; none when nothing runs.

    When the real one and the demo both run, the real one is meant; `UMP_VAR_DIR=var/demo` says otherwise.
    """
    for demo in (False, True):
        here = place(demo=demo, var=var)
        if _held(here.lock):
            with contextlib.suppress(FileNotFoundError):  # it is just starting
                found: dict[str, str] = json.loads(here.facts.read_text())
                return found
    return {}


class _Run:
    """One run of `ump up`, from nothing to its end."""

    def __init__(self, here: Place, console: Console, *, demo: bool, port: int | None) -> None:
        self.here = here
        self.console = console
        self.demo = demo
        self.port = free_port(port or FIRST_PORT, only=port is not None)
        self.keys = key_files(here.keys)
        self.server: embedded.Server | None = None
        self.sign_ins = ""

    def run(self) -> int:
        try:
            with Supervisor(self.console, directory=BASE) as supervisor:
                environment = self.prepare(supervisor)
                self.start(supervisor, environment)
                healthy = supervisor.wait_for(lambda: answers(self.port), HEALTH_SECONDS)
                if not healthy:
                    raise CannotStart(
                        f"The web server does not answer after {HEALTH_SECONDS:.0f} s; see above."
                    )
                self.greet()
                supervisor.serve(self.keep_database)
        finally:
            self.here.facts.unlink(missing_ok=True)
            if self.server is not None:
                self.server.stop()
        self.console.line("up", "all ended")
        return 0

    def prepare(self, supervisor: Supervisor) -> dict[str, str]:
        """Database, migrations, simulator and samples; the variables for every process."""
        urls = self.start_database()
        environment = {**os.environ, **self.keys.shared(), **self.facts(), **urls}
        for name in (WORKER_ONLY, OWNER_ONLY):
            environment.pop(name, None)
        if "BROKER_URL" not in os.environ:
            transport.empty(self.here.broker)  # nobody uses it yet, and every message is only a ring
        owner = {**environment, OWNER_ONLY: urls[OWNER_ONLY]}
        supervisor.run(
            _django("migrate", owner, "migrate", "--database=owner", "--no-input", "--verbosity=0")
        )
        if self.demo:
            self.start_simulator(supervisor, environment)
            self.console.line("up", "making the sample customers")
            self.sign_ins = supervisor.run(_django("samples", environment, "seed_demo"), keep_output=True)
        self.write_facts({**environment, OWNER_ONLY: urls[OWNER_ONLY]})
        return environment

    def start_database(self) -> dict[str, str]:
        """The two URLs: those given, or the embedded database's."""
        if given := os.environ.get("DATABASE_URL"):
            return {"DATABASE_URL": given, OWNER_ONLY: os.environ.get(OWNER_ONLY) or given}
        self.console.line("up", "starting the database")
        self.server = embedded.start(self.here.database)
        return {"DATABASE_URL": self.server.url_app, OWNER_ONLY: self.server.url_owner}

    def facts(self) -> dict[str, str]:
        """What the portal must know about itself."""
        facts = {
            "DJANGO_SETTINGS_MODULE": "ump_portal.settings",
            "PORTAL_BASE_URL": os.environ.get("PORTAL_BASE_URL") or f"http://localhost:{self.port}",
            "UMP_STATE_DIR": str(self.here.directory),
            "PYTHONUNBUFFERED": "1",
            # Threads hold Python's lock when they ask for memory; a heap for each only keeps more of it.
            "MALLOC_ARENA_MAX": os.environ.get("MALLOC_ARENA_MAX", "1"),
            # A body is given back to the system once it is read, and leaves no holes between what stays.
            "MALLOC_MMAP_THRESHOLD_": os.environ.get("MALLOC_MMAP_THRESHOLD_", "65536"),
        }
        return {**facts, "DEMO": "1"} if self.demo else facts

    def start_simulator(self, supervisor: Supervisor, environment: dict[str, str]) -> None:
        port, mail = free_port(FIRST_SIMULATOR_PORT), free_port(FIRST_MAIL_PORT)
        command = [sys.executable, "-m", "simulator", "--port", str(port), "--mail-port", str(mail)]
        supervisor.start(Process("simulator", [*command, "--seed", "demo"], _plain(environment)))
        environment.setdefault("EMAIL_URL", f"smtp://127.0.0.1:{mail}")
        environment.setdefault("PROVIDER_NAME", "Northlight Voice")
        environment.setdefault("DEFAULT_FROM_EMAIL", "UMP Portal <onboarding@provider.example>")
        environment["M365_GATEWAY_URL"] = f"http://127.0.0.1:{port}"
        if not supervisor.wait_for(lambda: listens(port), HEALTH_SECONDS):
            raise CannotStart("The simulator does not start; see above.")

    def start(self, supervisor: Supervisor, environment: Mapping[str, str]) -> None:
        """Clock, worker and web server: they end in the opposite order, so that nothing new comes in first."""
        worker = {**environment, **self.keys.workers()}
        if given := os.environ.get(WORKER_ONLY):
            worker[WORKER_ONLY] = given
        if os.geteuid() == 0:  # who runs everything as root knows it
            worker["PYTHONWARNINGS"] = "ignore:You're running the worker with superuser privileges"
        supervisor.start(Process("clock", _celery("beat", "--pidfile="), environment))
        supervisor.start(Process("worker", _celery(*WORKER_ARGUMENTS), worker, patience=60.0))
        if pwsh := shutil.which(worker.get("POWERSHELL_PATH") or "pwsh"):
            supervisor.start(_with_powershell({**worker, "POWERSHELL_PATH": pwsh}))
        supervisor.start(Process("web", _gunicorn(self.port), environment))

    def keep_database(self) -> None:
        """Start the embedded database again should it be gone; its URLs stay the same."""
        if self.server is None or self.server.alive():
            return
        self.console.line("up", "the database has ended; starting it again")
        self.server.stop()
        self.server = embedded.start(self.here.database)
        self.console.line("up", "the database is back")

    def write_facts(self, environment: Mapping[str, str]) -> None:
        """Let commands in other shells find what runs here; never the key that opens secrets."""
        known = {name: value for name, value in environment.items() if os.environ.get(name) != value}
        known.pop("PYTHONUNBUFFERED", None)
        half = self.here.facts.with_suffix(".new")
        half.unlink(missing_ok=True)
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(known, file, indent=1)
        half.rename(self.here.facts)

    def greet(self) -> None:
        first = "  The first person: .venv/bin/ump user add you@example.com --role provider_admin"
        lines = ["", f"  UMP Portal   http://localhost:{self.port}", ""]
        lines += [f"  {line}" for line in self.sign_ins.splitlines()] if self.demo else [first]
        lines += ["", "  Ctrl-C ends it.", "", ""]
        self.console.write("\n".join(lines))


WORKER_ARGUMENTS = (
    "worker",
    "--pool=prefork",
    f"--concurrency={WORKER_PROCESSES}",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
    "--loglevel=INFO",
)


def _with_powershell(worker: Mapping[str, str]) -> Process:
    """Another worker, for what needs PowerShell (docs/decisions/0018); this machine has it."""
    own = {**worker, "WORKER_LANES": "powershell", "WORKER_THREADS": "2"}
    arguments = (*WORKER_ARGUMENTS, "--concurrency=1", "--queues=powershell", "--hostname=powershell@%h")
    return Process("powershell", _celery(*arguments), own, patience=120.0)


def free_port(first: int, *, only: bool = False) -> int:
    """`first`, or the next port that nobody uses on this machine's loopback.

    Raises CannotStart when `only` this one will do and it is taken, or when a hundred are taken.
    """
    for port in range(first, first + (1 if only else PORTS_TRIED)):
        with contextlib.closing(socket.socket()) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise CannotStart(f"Port {first} is taken." if only else f"No port from {first} on is free.")


def listens(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(port: int) -> bool:
    """Whether the portal says that it is well: it answers, and reaches its database."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": f"localhost:{port}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _django(name: str, environment: Mapping[str, str], *arguments: str) -> Process:
    return Process(name, [sys.executable, "-m", "django", *arguments], environment)


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "--app=ump_portal", "--quiet", *arguments]


def _gunicorn(port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "gunicorn",
        "ump_portal.wsgi:application",
        f"--bind=127.0.0.1:{port}",
        f"--workers={WEB_WORKERS}",
        f"--threads={WEB_THREADS}",
        "--graceful-timeout=10",
        "--timeout=60",
        "--log-level=warning",
        "--no-control-socket",
    ]


def _plain(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without a secret in it, for the simulator, which is no part of the portal."""
    return {
        name: value
        for name, value in environment.items()
        if name not in {"SECRET_KEY", "DATABASE_URL"} and not name.startswith("UMP_")
    }


def _held(lock: Path) -> bool:
    """Whether a running `ump up` holds the lock."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


@contextlib.contextmanager
def _only_one(here: Place) -> Iterator[None]:
    """One `ump up` for each directory; raises CannotStart for a second one."""
    with here.lock.open("ab") as file:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CannotStart(f"It already runs{_where(here)}.") from None
                time.sleep(LOCK_SECONDS / 10)  # it may only have been asked whether anything runs
        yield


def _where(here: Place) -> str:
    try:
        return f" at {json.loads(here.facts.read_text())['PORTAL_BASE_URL']}"
    except (OSError, ValueError, KeyError):  # it is just starting
        return ""
