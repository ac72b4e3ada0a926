"""Starting, joining and letting go of an embedded database."""

import contextlib
import fcntl
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg2

from ump_portal.embedded import binaries, cluster, roles
from ump_portal.embedded.errors import EmbeddedError
from ump_portal.embedded.layout import Layout, layout_for

WATCHDOG = Path(__file__).with_name("watchdog.py")
START_SECONDS = 60.0
# The watchdog's own limits for a shutdown, plus the time to notice.
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02


class Server:
    """A running database, held by this object: the last one to let go ends the server.

    `url_app` and `url_owner` are for the two roles of roles.sql, `url_admin` is the superuser's.
    """

    def __init__(self, layout: Layout, passwords: roles.Passwords, holder: socket.socket) -> None:
        self.url_app = roles.url(layout, passwords, "ump_app")
        self.url_owner = roles.url(layout, passwords, "ump_owner")
        self.url_admin = roles.url(layout, passwords, cluster.SUPERUSER)
        self.home = layout.home
        self.socket_directory = layout.sockets
        self.log = layout.log
        self._holder = holder
        # A forked child must not go on holding the server after its parent has gone.
        os.register_at_fork(after_in_child=holder.close)

    def __repr__(self) -> str:
        return f"Server({self.home})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def alive(self) -> bool:
        """Whether the server is still there (its watchdog, which ends with it, is asked)."""
        return _held(self._holder)

    def stop(self) -> bool:
        """Let go; returns whether that ended the server, and then only after it has ended.

        False means that others still hold it, or that it had ended before.
        """
        return self._holder.fileno() >= 0 and _let_go(self._holder)


def start(
    data_root: Path, *, settings: Mapping[str, str] | None = None, timeout: float = START_SECONDS
) -> Server:
    """Start the database whose data belongs to `data_root`, or join the one that runs.

    As root the data lies elsewhere (see layout). `settings` are PostgreSQL's own, as text; they apply only
    when this call is the one that starts. `timeout` is in seconds, for each wait.
    Raises EmbeddedError with a sentence for people.
    """
    layout = layout_for(data_root)
    layout.create()
    with _locked(layout.start_lock, timeout, "Another start of the same database does not finish"):
        passwords = roles.load_passwords(layout)
        holder = _join(layout)
        if holder is None:
            holder = _launch(layout, passwords, settings or {}, timeout)
    return Server(layout, passwords, holder)


def remove(data_root: Path) -> None:
    """Delete a database that does not run, wherever it lies, with everything that `start` made for it.

    Raises EmbeddedError when it runs. The shared copy of the programs stays.
    """
    layout = layout_for(data_root)
    if not layout.home.exists():
        return
    with (
        _locked(layout.start_lock, 1.0, "The database is being started"),
        _locked(layout.run_lock, 1.0, "The database is running: end what uses it first"),
    ):
        for directory in (layout.sockets, layout.home):
            shutil.rmtree(directory, ignore_errors=False)


def _join(layout: Layout) -> socket.socket | None:
    """A hold on the running server, or None when there is none (or it is just ending)."""
    holder = socket.socket(socket.AF_UNIX)
    holder.settimeout(STOP_SECONDS)
    try:
        holder.connect(str(layout.watch_socket))
        joined = _read_word(holder) == b"held"
    except OSError:
        joined = False
    if not joined:
        holder.close()
        return None
    return holder


def _launch(
    layout: Layout, passwords: roles.Passwords, settings: Mapping[str, str], timeout: float
) -> socket.socket:
    programs = binaries.programs_for(layout)
    with _locked(layout.run_lock, STOP_SECONDS, "The former server does not end") as run_lock:
        cluster.initialise(layout, programs, passwords[cluster.SUPERUSER])
        cluster.clear_stale(layout)
        command = cluster.server_command(layout, programs, settings)
        holder = _spawn_watchdog(layout, command, run_lock)
    try:
        _wait_until_ready(layout, passwords, holder, timeout)
        roles.prepare(layout, passwords)
    except BaseException:
        _let_go(holder)
        raise
    return holder


def _spawn_watchdog(layout: Layout, command: list[str], run_lock: int) -> socket.socket:
    """The watchdog inherits the run lock, so that the lock is held exactly while it lives."""
    ours, theirs = socket.socketpair()
    account = layout.account
    who = [str(account.uid), str(account.gid)] if account else ["", ""]
    with theirs, layout.log.open("wb") as log:
        subprocess.run(  # noqa: S603  our own file and programs; it forks, and this part ends at once
            [sys.executable, "-I", "-S", str(WATCHDOG), str(layout.watch_socket), *who, *command],
            stdin=theirs.fileno(),
            stdout=log,
            stderr=log,
            env=dict(cluster.ENVIRONMENT),
            pass_fds=[run_lock],
            start_new_session=True,
            check=True,
        )
    return ours


def _wait_until_ready(
    layout: Layout, passwords: roles.Passwords, holder: socket.socket, timeout: float
) -> None:
    deadline = time.monotonic() + timeout
    while True:
        try:
            psycopg2.connect(roles.url(layout, passwords, cluster.SUPERUSER, "postgres")).close()
        except psycopg2.OperationalError as error:
            if not _held(holder) or time.monotonic() > deadline:
                raise EmbeddedError(_last_words(layout, str(error))) from error
            time.sleep(POLL_SECONDS)
        else:
            return


def _last_words(layout: Layout, error: str) -> str:
    lines = layout.log.read_text(errors="replace").splitlines()
    first = f"The embedded database does not start ({error.strip()}). The end of {layout.log}:"
    return "\n".join([first, *lines[-8:]])


def _held(holder: socket.socket) -> bool:
    """A watchdog says nothing while it lives, and its end closes the connection."""
    try:
        return bool(holder.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return True
    except OSError:
        return False


def _let_go(holder: socket.socket) -> bool:
    """Give up a hold and wait for the answer: whether it was the last one, and the server has ended."""
    holder.settimeout(STOP_SECONDS)
    with contextlib.suppress(OSError), holder:
        holder.shutdown(socket.SHUT_WR)
        return _read_word(holder) == b"stopped"
    return False


def _read_word(holder: socket.socket) -> bytes:
    """One line of the watchdog's, or what came before the end."""
    word = b""
    while not word.endswith(b"\n"):
        piece = holder.recv(16)
        if not piece:
            break
        word += piece
    return word.strip()


@contextlib.contextmanager
def _locked(path: Path, timeout: float, complaint: str) -> Iterator[int]:
    """Hold an advisory lock on `path`; raises EmbeddedError after `timeout` seconds of waiting."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EmbeddedError(f"{complaint} ({path}).") from None
                time.sleep(POLL_SECONDS)
        yield descriptor
    finally:
        os.close(descriptor)
