"""A Redis of one's own: for tests and benchmarks that need one, empty it or kill it."""

import base64
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

from tests.system.stage import end, free_port, spawn, until


class Redis:
    """A real server that keeps nothing on disk; with `listen`, everything that is said to it is kept in `heard`."""

    def __init__(self, directory: Path, *, listen: bool = False) -> None:
        assert shutil.which("redis-server"), "redis-server is missing: bin/setup --dev installs it"
        self.directory = directory
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.heard: list[str] = []
        self._popen: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._listener = (
            threading.Thread(target=self._listen, name="monitor", daemon=True) if listen else None
        )

    def __enter__(self) -> Self:
        self.start()
        if self._listener:
            self._listener.start()
            until("the listener hears", lambda: self.heard)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._popen:
            end(self._popen, 10)

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = ["redis-server", *words, "--dir", str(self.directory)]
        self._popen = spawn(command, self.directory / "redis.log")
        until("Redis answers", self._answers, 20)

    def kill(self) -> None:
        assert self._popen
        self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()

    def say(self, *words: str) -> str:
        """One command of its protocol; the first line of the answer."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
            parts = [f"*{len(words)}", *(piece for word in words for piece in (f"${len(word)}", word))]
            line.sendall(("\r\n".join(parts) + "\r\n").encode())
            return line.makefile("r").readline().strip()

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.say("PING") == "+PONG"
        return False

    def _listen(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5) as line:
                line.settimeout(None)
                line.sendall(b"MONITOR\r\n")
                self.heard.extend(line.makefile("r", errors="replace"))
            self._ended.wait(0.1)

    def messages(self) -> list[dict[str, Any]]:
        """What was laid into the queue."""
        found = []
        for line in list(self.heard):
            if '"LPUSH" "celery" "' in line:
                with contextlib.suppress(ValueError):
                    found.append(json.loads(json.loads(line.partition('"LPUSH" "celery" ')[2].strip())))
        return found

    def leaks(self, words: set[str]) -> list[str]:
        """What nobody should have said to it (I10): a message with arguments, or anything of a customer's."""
        found = {f"the broker heard {word[:4]}..." for line in self.heard for word in words if word in line}
        for message in self.messages():
            arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
            if arguments or keywords:
                found.add(f"{message['headers']['task']} carries {arguments} {keywords}")
        return sorted(found)
