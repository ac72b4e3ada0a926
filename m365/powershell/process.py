"""One `pwsh` process and the lines that go in and out of it; `session.ps1` has the other side.

What must never be seen goes in by standard input: not by arguments, which everybody on the machine can list, not
by the environment, not by a file. Out come framed lines: a mark that is new for each process, the length of the
rest, and JSON. Everything else on standard output is chatter of modules and is dropped. Both pipes are read in one
loop with one deadline, so nothing is held but the frame at hand, and a process that says nothing, too much or half
a thing costs its own call only. Ending means the whole process group.

A worker that is killed outright cannot end anything. What it leaves behind sees its input end, and ends by itself
once the call at hand has returned: one write may still arrive, as with any answer that nobody waited for.
"""

from __future__ import annotations

import contextlib
import importlib.resources
import json
import os
import secrets
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from core.errors import UmpError
from m365.replies import json_object

LONGEST_FRAME = 1 << 20
"""Bytes; a row of a dial plan with fifty rules is some ten thousand."""
KEPT_OF_ERRORS = 16384
"""Bytes kept of what was written to standard error, for the detail of a failure."""
BLOCK = 65536
LOOK = 0.2
"""Seconds between two looks at whether somebody wants us to stop."""
GRACE = 2.0
"""Seconds a process has to end by itself, and again after SIGTERM."""

_PASSED_ON = ("PATH", "LANG", "TZ", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
              "SSL_CERT_FILE", "SSL_CERT_DIR", "PSModulePath", "DOTNET_SYSTEM_GLOBALIZATION_INVARIANT")  # fmt: skip


class ProcessError(Exception):
    """Base of what can go wrong with a process; what it said about itself is in `tail`."""

    def __init__(self, why: str, tail: str = "") -> None:
        self.tail = tail
        super().__init__(why)


class MissingError(ProcessError):
    """There is no such program."""


class DiedError(ProcessError):
    """It ended, or answered what is no answer."""


class LateError(ProcessError):
    """It did not answer in time."""


class StoppedError(ProcessError):
    """Somebody wants us to stop."""


class Process:
    """A running `pwsh`; a context manager whose end is the end of the whole process group.

    `heap` is in bytes: .NET takes no more memory for its objects than that. Belongs to one thread.
    Raises MissingError.
    """

    def __init__(self, command: str, *, heap: int) -> None:
        self.mark = secrets.token_hex(16)
        self._home = tempfile.TemporaryDirectory(prefix="ump-pwsh-", ignore_cleanup_errors=True)
        script = importlib.resources.files("m365.powershell").joinpath("session.ps1")
        self._files = contextlib.ExitStack()
        path = self._files.enter_context(importlib.resources.as_file(script))
        try:
            self._popen = subprocess.Popen(  # noqa: S603  the program is a setting, the arguments are constants
                [command, "-NoLogo", "-NoProfile", "-NonInteractive", "-File", str(path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=self._home.name,
                env=_environment(Path(self._home.name), heap),
                start_new_session=True,
                bufsize=0,
            )
        except OSError as error:
            self._files.close()
            self._home.cleanup()
            raise MissingError(type(error).__name__) from error
        self._pipes = cast(
            "tuple[IO[bytes], ...]", (self._popen.stdin, self._popen.stdout, self._popen.stderr)
        )
        self._in, self._out, self._err = (pipe.fileno() for pipe in self._pipes)
        self._line = bytearray()
        self._dropping = False
        self._errors = bytearray()
        self._alive = True
        self._selector = selectors.DefaultSelector()
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(self._out, selectors.EVENT_READ)
        self._selector.register(self._err, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(gently=kind is None)

    @property
    def tail(self) -> str:
        """The end of what it wrote to standard error. May hold anything: mask it before it is kept."""
        return self._errors.decode("utf-8", "replace").strip()

    def send(self, message: Mapping[str, Any], until: float) -> None:
        """Write one line; `until` is a moment of the monotonic clock. Raises DiedError or LateError."""
        left = memoryview(json.dumps(message).encode() + b"\n")
        with self._writing():
            while left:
                for number in self._wait(until):
                    if number == self._in:
                        left = left[self._write(left) :]
                    else:
                        # Who does not read may be waiting for us to read; nothing is due yet, so all is chatter.
                        self._read(number)
                        self._line.clear()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        self._selector.register(self._in, selectors.EVENT_WRITE)
        try:
            yield
        finally:
            self._selector.unregister(self._in)

    def _write(self, left: memoryview) -> int:
        try:
            return os.write(self._in, left[:BLOCK])
        except BlockingIOError:
            return 0
        except OSError as error:
            raise DiedError("it reads no more", self.tail) from error

    def receive(self, until: float, stop: Callable[[], bool] | None = None) -> dict[str, Any]:
        """The next framed answer. Raises DiedError, LateError, or StoppedError once `stop` says so."""
        while True:
            frame = self._next_frame()
            if frame is not None:
                return frame
            if stop is not None and stop():
                raise StoppedError("asked to stop")
            for number in self._wait(until):
                self._read(number)

    def _wait(self, until: float) -> list[int]:
        left = until - time.monotonic()
        if left <= 0:
            raise LateError("it did not answer in time", self.tail)
        return [key.fd for key, _ in self._selector.select(min(left, LOOK))]

    def _read(self, number: int) -> None:
        try:
            block = os.read(number, BLOCK)
        except BlockingIOError:
            return
        if number == self._err:
            if block:
                self._errors = (self._errors + block)[-KEPT_OF_ERRORS:]
            else:
                self._selector.unregister(number)
            return
        if not block:
            # What it said last may stand in the other pipe still.
            with contextlib.suppress(BlockingIOError):
                self._errors = (self._errors + os.read(self._err, BLOCK))[-KEPT_OF_ERRORS:]
            raise DiedError("it ended", self.tail)
        self._take(block)

    def _take(self, block: bytes) -> None:
        """Add to the line at hand, forgetting what cannot become a frame."""
        if self._dropping:
            _, newline, block = block.partition(b"\n")
            if not newline:
                return
            self._dropping = False
        self._line += block
        start = self._line.rfind(b"\n") + 1
        rest = len(self._line) - start
        if rest <= len(self.mark):
            return
        if not self._line.startswith(self._head, start):
            del self._line[start:]
            self._dropping = True
        elif rest > LONGEST_FRAME + BLOCK:
            raise DiedError("its answer is too long", self.tail)

    @property
    def _head(self) -> bytes:
        return self.mark.encode() + b" "

    def _next_frame(self) -> dict[str, Any] | None:
        """Take lines off until one is an answer. Raises DiedError for one that begins as an answer and is none."""
        while (end := self._line.find(b"\n")) >= 0:
            line = bytes(self._line[:end])
            del self._line[: end + 1]
            if line.startswith(self._head):
                return self._unframed(line.removesuffix(b"\r"))
        return None

    def _unframed(self, line: bytes) -> dict[str, Any]:
        _, length, text = [*line.split(b" ", 2), b"", b""][:3]
        if length != str(len(text)).encode() or len(text) > LONGEST_FRAME:
            raise DiedError("it answered half a line", self.tail)
        try:
            return json_object(text, "PowerShell")
        except UmpError:
            raise DiedError("its answer is no JSON object", self.tail) from None

    def close(self, *, gently: bool = True) -> None:
        """End it and all that it started. Gently: let it end by itself first, as it does once its input ends."""
        if not self._alive:
            return
        self._alive = False
        try:
            self._pipes[0].close()
            if gently:
                self._drained(GRACE)
            if not self._ended():
                self._signal(signal.SIGTERM)
                self._drained(GRACE)
        finally:
            # Until it is waited for, nobody else gets its number; what it started is of the same group.
            self._signal(signal.SIGKILL)
            self._popen.wait()
            self._selector.close()
            for pipe in self._pipes[1:]:
                pipe.close()
            self._files.close()
            self._home.cleanup()

    def _drained(self, longest: float) -> None:
        """Wait for its end, reading, so that it cannot be stuck in a full pipe."""
        until = time.monotonic() + longest
        while not self._ended() and time.monotonic() < until:
            for key, _ in self._selector.select(0.02):
                with contextlib.suppress(BlockingIOError):
                    if not os.read(key.fd, BLOCK):
                        self._selector.unregister(key.fd)
            if not self._selector.get_map():
                time.sleep(0.02)

    def _ended(self) -> bool:
        try:
            return os.waitid(os.P_PID, self._popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:  # where a worker ignores SIGCHLD, nobody needs to wait for it
            return True

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, number)


def _environment(home: Path, heap: int) -> dict[str, str]:
    """What it needs and nothing of ours: a worker's environment says where its keys are."""
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return passed | {
        "HOME": str(home),
        "TMPDIR": str(home),
        "TERM": "dumb",
        "NO_COLOR": "1",
        "POWERSHELL_TELEMETRY_OPTOUT": "1",
        "POWERSHELL_UPDATECHECK": "Off",
        "DOTNET_CLI_TELEMETRY_OPTOUT": "1",
        "DOTNET_EnableDiagnostics": "0",  # no socket by which others on the machine could look inside
        "DOTNET_GCHeapHardLimit": f"{heap:x}",
    }
