"""Runs PostgreSQL for as long as somebody holds it, and not a second longer.

Started as a file of its own (`python -I -S watchdog.py SOCKET UID GID PROGRAM ARGUMENTS...`) with the
standard library only. Standard input is a socket to whoever started it. Others join by connecting to SOCKET.
Each connection is a hold: it ends when its process ends, however it ends, also by kill -9. When the last hold
has gone, the server is shut down. A parent-death signal alone would not do: changing the user id clears it.
"""

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
# Fast shutdown, then immediate, then none asked: postgres(1), "Diagnostics". Seconds to wait for each.
STOPS = ((signal.SIGINT, 30), (signal.SIGQUIT, 10), (signal.SIGKILL, 10))


class Watchdog:
    """One server and those who hold it."""

    def __init__(
        self, server: subprocess.Popen[bytes], listener: socket.socket, first: socket.socket
    ) -> None:
        self.server = server
        self.listener = listener
        self.holders = {first}
        self.asked_to_end = False
        self.last: socket.socket | None = None
        self.selector = selectors.DefaultSelector()
        for readable in (listener, first):
            self.selector.register(readable, selectors.EVENT_READ)

    def run(self) -> int:
        """Watch until the last holder lets go, the server ends, or SIGTERM; the server's exit code."""
        self._wake_on_signals()
        while self.holders and not self.asked_to_end and self.server.poll() is None:
            for key, _ in self.selector.select():
                self._serve(key.fileobj)
        self.listener.close()
        code = self._stop()
        if self.last is not None:
            with contextlib.suppress(OSError):
                self.last.sendall(b"stopped\n")
        return code

    def _serve(self, readable: object) -> None:
        if readable is self.listener:
            holder, _ = self.listener.accept()
            if self.server.poll() is not None:  # crashed just now: whoever comes must not join
                holder.close()
                return
            self.holders.add(holder)
            self.selector.register(holder, selectors.EVENT_READ)
            holder.sendall(b"held\n")
        elif isinstance(readable, socket.socket):
            self._release(readable)

    def _release(self, holder: socket.socket) -> None:
        """A holder never writes: readable means that it has let go, or is the signals' own pipe."""
        try:
            ended = not holder.recv(64)
        except OSError:
            ended = True
        if not ended or holder not in self.holders:
            return
        self.holders.discard(holder)
        self.selector.unregister(holder)
        if self.holders:
            with contextlib.suppress(OSError):
                holder.sendall(b"kept\n")
            holder.close()
        else:
            self.last = holder

    def _wake_on_signals(self) -> None:
        reader, writer = socket.socketpair()
        reader.setblocking(False)
        writer.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._signal_pipe = (reader, writer)  # kept, or they would be closed
        self.selector.register(reader, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._ask_to_end)

    def _ask_to_end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked_to_end = True

    def _stop(self) -> int:
        for number, seconds in STOPS:
            if self.server.poll() is None:
                self.server.send_signal(number)
            try:
                return self.server.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
        return 1


def _end_with_watchdog() -> None:
    """In the child, after its user id changed: a fast shutdown should the watchdog itself be killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)


def _listen(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(16)
    return listener


def main(arguments: list[str]) -> int:
    path, uid, gid, *command = arguments
    # Nobody's child: the starter need not wait for it, and may end in any way.
    if os.fork():
        os._exit(0)
    # Ctrl-C in a terminal reaches the whole group; the order of the end is the starter's to decide.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    first = socket.socket(fileno=os.dup(0))
    server = subprocess.Popen(  # noqa: S603  the command is the starter's own
        command,
        stdin=subprocess.DEVNULL,
        cwd="/",
        user=int(uid) if uid else None,
        group=int(gid) if gid else None,
        extra_groups=[] if uid else None,
        preexec_fn=_end_with_watchdog,  # noqa: PLW1509  this process has no other thread
    )
    return Watchdog(server, _listen(Path(path)), first).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
