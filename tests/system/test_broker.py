"""The broker is only a doorbell: emptied, killed or deleted, it costs seconds, never work; and it knows nothing."""

import base64
import contextlib
import json
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import redis

from tests.system.kept import all_in_step, some
from tests.system.microsoft import Microsoft
from tests.system.stage import Stage, Timer, end, free_port, spawn, until
from ump_portal.celery import OWN_SWEEP_SECONDS

SOON = OWN_SWEEP_SECONDS + 30  # nobody rings, so without the own look it would be never


class Redis:
    """A real server that keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        assert shutil.which("redis-server"), "redis-server is missing: bin/setup --dev installs it"
        self.directory = directory
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.client = redis.Redis(port=self.port, socket_timeout=10)
        self._popen: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        if self._popen:
            end(self._popen, 10)

    def start(self) -> None:
        words = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command = ["redis-server", *words, "--dir", str(self.directory)]
        self._popen = spawn(command, self.directory / "redis.log")
        until("Redis answers", self._answers, 20)

    def _answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError):
            return bool(self.client.ping())
        return False

    def kill(self) -> None:
        assert self._popen
        self._popen.send_signal(signal.SIGKILL)
        self._popen.wait()


class Listener:
    """Everything that is said to Redis meanwhile, as its MONITOR shows it."""

    def __init__(self, port: int) -> None:
        self.lines: list[str] = []
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.sendall(b"MONITOR\r\n")
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        until("the listener hears", lambda: self.lines)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._socket.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("r", errors="replace") as file:
            for line in file:
                self.lines.append(line)

    def messages(self) -> list[dict[str, Any]]:
        """What was laid into the queue."""
        found = []
        for line in self.lines:
            if '"LPUSH" "celery" "' in line:
                quoted = line.partition('"LPUSH" "celery" ')[2].strip()
                found.append(json.loads(json.loads(quoted)))
        return found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis")) as found:
        yield found


@pytest.fixture(scope="module")
def redis_stage(make_stage: Callable[..., Any], microsoft: Microsoft, server: Redis) -> Iterator[Stage]:
    with make_stage("redis", {"M365_GATEWAY_URL": microsoft.url, "BROKER_URL": server.url}) as found:
        yield found


@pytest.mark.redis
def test_redis_emptied_in_the_middle(redis_stage: Stage, microsoft: Microsoft, server: Redis) -> None:
    with Listener(server.port) as listener:
        timer = Timer()
        customers = some(redis_stage, microsoft, "Emptied", 4)
        until("work is under way", lambda: customers[0].count("user"))
        for kept in customers:
            server.client.flushall()
            assert kept.ended((("verify_credentials",)), 30).state == "succeeded"
            server.client.flushall()
        all_in_step(customers)
        print(f"four customers in step after {timer():.1f} s")
    assert listener.messages()
    for message in listener.messages():
        arguments, keywords, _ = json.loads(base64.b64decode(message["body"]))
        assert (arguments, keywords) == ([], {})
        assert message["headers"]["task"] in ("replication.tick", "replication.sweep")
        assert (message["headers"]["argsrepr"], message["headers"]["kwargsrepr"]) == ("()", "{}")
    heard = "".join(listener.lines)
    for kept in customers:
        for word in (
            kept.customer.secret,
            kept.customer.client_id,
            kept.customer.tenant_id,
            kept.id,
            kept.customer.name,
        ):
            assert word not in heard


@pytest.mark.redis
def test_redis_killed_in_the_middle(redis_stage: Stage, microsoft: Microsoft, server: Redis) -> None:
    running = some(redis_stage, microsoft, "Running", 2)
    until("work is under way", lambda: running[0].count("user"))
    server.kill()
    all_in_step(running)
    timer = Timer()
    waiting = some(redis_stage, microsoft, "Unrung", 2)
    added = timer()
    assert added < 5, "who adds a customer waits for a broker that is away"
    server.start()
    timer = Timer()
    for kept in waiting:
        assert kept.ended(("verify_credentials",), SOON).state == "succeeded"
    resumed = timer()
    all_in_step(waiting)
    print(
        f"adding two without a broker took {added:.1f} s; their work began {resumed:.1f} s after it was back"
    )
    assert redis_stage.healthy()
