"""Runs the processes of one machine: starts, watches, restarts, shows their lines, and ends them in order.

One thread and one select loop. Every child is a process group of its own, so that Ctrl-C in a terminal
reaches only the supervisor, which then decides the order. When the supervisor is killed, `guard.py` and a
parent-death signal end the children.
"""

import contextlib
import ctypes
import functools
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self, cast

GUARD = Path(__file__).with_name("guard.py")
PR_SET_PDEATHSIG = 1
STEP_SECONDS = 0.5
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
# A process that ran this long was well; its next end starts the pauses anew.
WELL_AFTER_SECONDS = 60.0
# A line that never ends is shown in pieces of this size.
LONGEST_LINE = 32_768
COLOURS = (36, 35, 33, 32, 34)


class Ended(Exception):
    """Somebody asked for the end (Ctrl-C, SIGTERM) while something else was waited for."""


@dataclass(frozen=True)
class Process:
    """What to run. `patience` is in seconds: how long it may take to end before it is killed."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    patience: float = 20.0


class Console:
    """Lines with a name before them, coloured on a terminal (unless NO_COLOR is set, no-color.org)."""

    def __init__(self, stream: IO[str], *, colour: bool | None = None) -> None:
        self.stream = stream
        self.colour = stream.isatty() and "NO_COLOR" not in os.environ if colour is None else colour
        self._colours: dict[str, int] = {}

    def line(self, name: str, text: str) -> None:
        head = f"{name:>9} | "
        if self.colour:
            code = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
            head = f"\x1b[{code}m{head}\x1b[0m"
        self.write(f"{head}{text}\n")

    def write(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # `ump up | head`: nobody reads, the work goes on
            self.stream.write(text)
            self.stream.flush()


class Lines:
    """What a child writes to one pipe, line by line; a line that never ends comes in pieces."""

    def __init__(self, pipe: IO[bytes], show: Callable[[str], None]) -> None:
        self.pipe = pipe
        self.show = show
        self.rest = b""
        self.ended = False
        os.set_blocking(pipe.fileno(), False)

    def read(self) -> bool:
        """Show what has come; whether there may be more already."""
        if self.pipe.closed:  # its process was reaped in the same step
            return False
        try:
            piece = os.read(self.pipe.fileno(), 65_536)
        except BlockingIOError:
            return False
        self.ended = not piece
        *lines, self.rest = (self.rest + piece).split(b"\n")
        if self.rest and (self.ended or len(self.rest) > LONGEST_LINE):
            lines.append(self.rest)
            self.rest = b""
        for line in lines:
            self.show(line.decode(errors="replace").rstrip("\r"))
        return not self.ended


class Child:
    """One running (or resting) process."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.popen: subprocess.Popen[bytes] | None = None
        self.handle = -1
        self.outputs: list[Lines] = []
        self.started_at = 0.0
        self.start_at: float | None = None
        self.failures = 0

    def running(self) -> bool:
        return self.popen is not None

    def pause(self) -> float:
        """Seconds to wait before the next start: 1, 2, 4 ... 30."""
        if time.monotonic() - self.started_at > WELL_AFTER_SECONDS:
            self.failures = 0
        self.failures += 1
        return float(min(FIRST_PAUSE_SECONDS * 2 ** (self.failures - 1), LONGEST_PAUSE_SECONDS))


class Supervisor:
    """Use as a context manager: leaving it ends every child, the last started first."""

    def __init__(self, console: Console, *, directory: Path) -> None:
        self.console = console
        self.directory = directory
        self.children: list[Child] = []
        self.ending = 0
        self._selector = selectors.DefaultSelector()
        self._old_handlers: dict[int, object] = {}

    def __enter__(self) -> Self:
        self._start_guard()
        self._catch_signals()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending = max(self.ending, 1)
        for child in reversed(self.children):
            self._end(child)
        self._guard.stdin.close()  # type: ignore[union-attr]  # it was opened with a pipe
        self._guard.wait()
        for number, handler in self._old_handlers.items():
            signal.signal(number, cast("Callable[[int, FrameType | None], None]", handler))
        signal.set_wakeup_fd(-1)
        for end in self._signal_pipe:
            end.close()
        self._selector.close()

    def start(self, process: Process) -> Child:
        """Start a process that should run until the end; it is started again when it ends by itself."""
        child = Child(process)
        self.children.append(child)
        self._spawn(child)
        return child

    def run(self, process: Process, *, keep_output: bool = False) -> str:
        """Run a process to its end. Returns its standard output if `keep_output`; what is not kept is shown.

        Raises Ended when the end is asked for meanwhile, CalledProcessError when it fails.
        """
        child = Child(process)
        kept: list[str] = []
        self._spawn(child, kept.append if keep_output else None)
        popen = cast("subprocess.Popen[bytes]", child.popen)
        while child.running():
            self.step()
            if self.ending:
                self._end(child)
                raise Ended
        if popen.returncode:
            for line in kept:
                self.console.line(process.name, line)
            raise subprocess.CalledProcessError(popen.returncode, list(process.command))
        return "\n".join(kept)

    def wait_for(self, ready: Callable[[], bool], seconds: float) -> bool:
        """Serve the children until `ready` says so; False after `seconds`. Raises Ended."""
        deadline = time.monotonic() + seconds
        while not ready():
            if self.ending:
                raise Ended
            if time.monotonic() > deadline:
                return False
            self.step(0.1)
        return True

    def serve(self, every_step: Callable[[], None]) -> None:
        """Watch the children until the end is asked for."""
        while not self.ending:
            self.step()
            every_step()

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Wait at most `seconds` for something to happen, and see to it."""
        for key, _ in self._selector.select(seconds):
            key.data()
        if self.ending:
            return
        now = time.monotonic()
        for child in self.children:
            if child.start_at is not None and now >= child.start_at:
                child.start_at = None
                self._spawn(child)
                self.console.line(child.process.name, "started again")

    def _spawn(self, child: Child, keep: Callable[[str], None] | None = None) -> None:
        process, parent = child.process, os.getpid()

        def end_with_parent() -> None:
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

        child.popen = popen = subprocess.Popen(  # noqa: S603  the commands are our own
            process.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keep else subprocess.STDOUT,
            env=dict(process.environment),
            cwd=self.directory,
            process_group=0,
            preexec_fn=end_with_parent,  # noqa: PLW1509  the supervisor has one thread only
        )
        self._tell_guard(f"+{popen.pid}\n")
        child.started_at = time.monotonic()
        child.handle = os.pidfd_open(popen.pid)
        self._selector.register(child.handle, selectors.EVENT_READ, lambda: self._reap(child))
        show = functools.partial(self.console.line, process.name)
        child.outputs = [Lines(pipe, show) for pipe in (popen.stdout, popen.stderr) if pipe]
        child.outputs[0].show = keep or show
        for output in child.outputs:
            self._selector.register(output.pipe, selectors.EVENT_READ, functools.partial(self._read, output))

    def _read(self, output: Lines) -> None:
        output.read()
        if output.ended:
            self._forget(output)

    def _forget(self, output: Lines) -> None:
        if not output.pipe.closed:  # else its process was reaped in the same step
            with contextlib.suppress(KeyError):  # its end was seen before
                self._selector.unregister(output.pipe)

    def _reap(self, child: Child) -> None:
        """The process has ended: take what it still said, what it left behind, and decide what follows."""
        popen = cast("subprocess.Popen[bytes]", child.popen)
        # Before it is waited for, so that its number cannot have become another's.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(popen.pid, signal.SIGKILL)
        code = popen.wait()
        for output in child.outputs:
            while output.read():
                pass
            self._forget(output)
            output.pipe.close()
        self._selector.unregister(child.handle)
        os.close(child.handle)
        child.popen = None
        self._tell_guard(f"-{popen.pid}\n")
        if child in self.children and not self.ending:
            pause = child.pause()
            child.start_at = time.monotonic() + pause
            self.console.line(child.process.name, f"{_how(code)}; starts again in {pause:.0f} s")

    def _end(self, child: Child) -> None:
        """Ask the child to end, wait for as long as it may take, then kill all of it."""
        child.start_at = None
        popen = child.popen
        if popen is None:
            return
        self.console.line("up", f"ending {child.process.name}")
        popen.send_signal(signal.SIGTERM)
        # Asked a second time: nobody waits any more.
        asked = self.ending
        deadline = time.monotonic() + (child.process.patience if asked < 2 else 0)
        while child.running():
            self.step(0.1)
            if child.running() and (time.monotonic() > deadline or self.ending > asked):
                self.console.line("up", f"killing {child.process.name}")
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(popen.pid, signal.SIGKILL)
                deadline = float("inf")
                asked = self.ending

    def _start_guard(self) -> None:
        self._guard = subprocess.Popen(  # noqa: S603  our own file
            [sys.executable, "-I", "-S", str(GUARD)],
            stdin=subprocess.PIPE,
            env={"PATH": os.defpath},
            cwd="/",
            start_new_session=True,
        )

    def _tell_guard(self, word: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # killed by somebody; the parent-death signal remains
            os.write(self._guard.stdin.fileno(), word.encode())  # type: ignore[union-attr]  # a pipe

    def _catch_signals(self) -> None:
        self._signal_pipe = reader, writer = socket.socketpair()
        for end in (reader, writer):
            end.setblocking(False)
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        self._selector.register(reader, selectors.EVENT_READ, lambda: reader.recv(64))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._old_handlers[number] = signal.signal(number, self._ask_to_end)

    def _ask_to_end(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.ending += 1


def _how(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with code {code}"
