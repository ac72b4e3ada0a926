"""The data directory: made once, and freed of what a crash left in it."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from ump_portal.embedded.errors import EmbeddedError
from ump_portal.embedded.layout import Layout, own_directory

SUPERUSER = "postgres"
# For one developer and the tests on two cores; every promise about durability stays on.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "max_wal_size": "1GB",
    "synchronous_commit": "on",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "jit": "off",
}
# Nothing of the caller's environment (PGDATA, PGPORT, LD_LIBRARY_PATH ...) may steer the server.
ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
INITDB_SECONDS = 120
ORPHAN_SECONDS = 45
LEFT_OVER_SECONDS = 5.0
# One more than the kernel's highest process id (PID_MAX_LIMIT): never a process, now or later.
NO_PROCESS = 4_194_305


def initialise(layout: Layout, programs: Path, superuser_password: str) -> None:
    """Run initdb unless the data directory is whole. A half-made one from a killed run is thrown away.

    Raises EmbeddedError with initdb's own words.
    """
    if (layout.data / "PG_VERSION").exists():
        _check_version(layout, programs)
        return
    half = layout.home / "data.new"
    if half.exists():
        shutil.rmtree(half)
    own_directory(half, 0o700, layout.account)
    password_file = layout.sockets / "initdb.password"
    _write_for(layout, password_file, superuser_password)
    try:
        _run_initdb(layout, programs, half, password_file)
    finally:
        password_file.unlink()
    half.rename(layout.data)


def _run_initdb(layout: Layout, programs: Path, data: Path, password_file: Path) -> None:
    command = [
        str(programs / "initdb"),
        f"--pgdata={data}",
        f"--username={SUPERUSER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        # PostgreSQL's own collation: the same order on every machine, whatever its C library.
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
        "--no-instructions",
    ]
    account = layout.account
    result = subprocess.run(  # noqa: S603  our own program, no caller's text in it
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=INITDB_SECONDS,
        env=dict(ENVIRONMENT),
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if result.returncode:
        words = (result.stderr or result.stdout).strip()
        raise EmbeddedError(
            f"{words}\nThe database in {data} could not be made; DATABASE_URL names another one."
        )


def server_command(layout: Layout, programs: Path, settings: Mapping[str, str]) -> list[str]:
    """The server's command line; `settings` wins over SETTINGS."""
    directory = str(layout.sockets).replace('"', '""')
    merged = {**SETTINGS, "unix_socket_directories": f'"{directory}"', **settings}
    command = [str(programs / "postgres"), "-D", str(layout.data)]
    for name, value in merged.items():
        command += ["-c", f"{name}={value}"]
    return command


def clear_stale(layout: Layout) -> None:
    """End a server that nobody watches, and take a stranger's number out of postmaster.pid.

    PostgreSQL itself refuses to start when that number belongs to any living process of its account, which
    after a crash may be a stranger. The rest of the file stays: with it PostgreSQL makes sure that no process
    of the crashed server still uses the data. Called with the run lock held: no watched server is alive.
    Its busy processes may outlive a killed server, some for ever (one that waits for an input/output worker), and
    with them no other starts.
    """
    _clear_pid_file(layout)
    for number in (signal.SIGQUIT, signal.SIGKILL):
        if not _end_left_over(layout.data, number):
            return


def _clear_pid_file(layout: Layout) -> None:
    pid_file = layout.data / "postmaster.pid"
    try:
        first, newline, rest = pid_file.read_text().partition("\n")
        pid = int(first)
    except FileNotFoundError:
        return
    except ValueError:  # written half: nothing in it to check
        pid_file.unlink()
        return
    if _serves(pid, layout.data):
        _end_orphan(pid)
    elif Path(f"/proc/{pid}").exists():
        pid_file.write_text(f"{NO_PROCESS}{newline}{rest}")


def _end_left_over(data: Path, number: signal.Signals) -> bool:
    """Tell every process of a server of `data` to go; whether some are there after LEFT_OVER_SECONDS."""
    left = _left_over(data)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    deadline = time.monotonic() + LEFT_OVER_SECONDS
    while left and time.monotonic() < deadline:
        time.sleep(0.02)
        left = _left_over(data)
    return bool(left)


def _left_over(data: Path) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [pid for pid in pids if _serves(pid, data) and _is_postgres(pid)]


def _is_postgres(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/exe").readlink().name == "postgres"
    except OSError:
        return False


def _serves(pid: int, data: Path) -> bool:
    """Whether process `pid` is the PostgreSQL of `data`: a server works in its data directory."""
    try:
        return Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False


def _end_orphan(pid: int) -> None:
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGINT)
        deadline = time.monotonic() + ORPHAN_SECONDS
        while time.monotonic() < deadline:
            try:
                signal.pidfd_send_signal(handle, 0)
            except ProcessLookupError:
                return
            time.sleep(0.05)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
    raise EmbeddedError(
        f"A database server that nobody watches (process {pid}) does not end; end it by hand."
    )


def _check_version(layout: Layout, programs: Path) -> None:
    data_version = (layout.data / "PG_VERSION").read_text().strip()
    output = subprocess.run(  # noqa: S603  our own program
        [str(programs / "postgres"), "--version"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    program_version = output.split()[2].partition(".")[0]
    if data_version != program_version:
        raise EmbeddedError(
            f"The data in {layout.data} is of PostgreSQL {data_version}, the programs are {program_version}. "
            "Dump it with the older release, or move the directory away to start anew."
        )


def _write_for(layout: Layout, path: Path, text: str) -> None:
    """A file that only the server's account may read."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if layout.account is not None:
        os.chown(path, layout.account.uid, layout.account.gid)
