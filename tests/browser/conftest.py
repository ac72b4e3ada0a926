"""The browser of tests/ui on the whole product, kept in one worker of a parallel run."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Browser, expect

from replication import runner
from simulator import server
from simulator.server import Simulator
from tests.browser.eyes import Eyes
from tests.cast import Cast
from tests.ui.conftest import browser_type_launch_args, house, synchronous

__all__ = ["browser_type_launch_args", "house", "synchronous"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One Chromium and one server for all of these tests; `--dist loadgroup` heeds the mark."""
    for item in items:
        if "tests/browser/" in item.nodeid:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session", autouse=True)
def _unhurried() -> Iterator[None]:
    """Expectations wait longer than Playwright's 5 s: other tests use the same two processor cores."""
    expect.set_options(timeout=15_000)
    yield
    expect.set_options(timeout=5_000)


class Worker:
    """The pool of replication.runner with real connections; `work()` returns when nothing is due any more."""

    def __init__(self) -> None:
        self._side = ThreadPoolExecutor(1)

    def work(self) -> None:
        assert runner.drain(longest=60)

    @contextmanager
    def working(self) -> Iterator[None]:
        """Meanwhile the test may look: the worker is done when the block is left."""
        job = self._side.submit(runner.drain, 60)
        yield
        assert job.result(60)

    def close(self) -> None:
        self._side.submit(connections.close_all).result()
        self._side.shutdown()


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Worker]:
    settings.WORKER_THREADS = 3
    process = runner._Process()
    monkeypatch.setattr(runner, "_process", process)
    pool = process.start()
    worker = Worker()
    yield worker
    process.stopping.set()
    worker.close()
    barrier = threading.Barrier(3)
    for done in [pool.submit(_let_go, barrier) for _ in range(3)]:
        done.result(30)
    pool.shutdown()


def _let_go(barrier: threading.Barrier) -> None:
    """Every thread of the pool closes its connections; the barrier keeps one from doing it for another."""
    barrier.wait(30)
    connections.close_all()


@pytest.fixture(scope="session")
def microsoft_server() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


@pytest.fixture
def microsoft(microsoft_server: Simulator, settings: Any) -> Iterator[Simulator]:
    microsoft_server.state.reset()
    settings.M365_GATEWAY_URL = microsoft_server.url
    yield microsoft_server
    microsoft_server.state.latency_ms = 0


@pytest.fixture
def look(committed_cast: Cast, house: str, browser: Browser) -> Iterator[Callable[..., Eyes]]:
    """`look("olga")`: a window in which Olga is signed in; `look()` one without anybody.

    Nothing may have gone wrong in any of them at the end, but what a test took out of `complaints`.
    """
    opened: list[Eyes] = []

    def open_window(name: str | None = None, **context: Any) -> Eyes:
        opened.append(Eyes(browser, house, getattr(committed_cast, name) if name else None, **context))
        return opened[-1]

    yield open_window
    for eyes in opened:
        eyes.close()
    connections.close_all()
    assert [complaint for eyes in opened for complaint in eyes.complaints] == []
