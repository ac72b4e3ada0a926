"""A pretend Microsoft 365, a customer in it, and a worker that carries out commands in the test's own thread."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from m365 import pacing
from replication.context import Context
from simulator import server
from simulator.server import Simulator
from tests.directory.pretend import Customer, Killed, Worker, make_customer
from tests.fences import fenced  # noqa: F401  the fixture


@pytest.fixture(scope="session")
def microsoft_server() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


@pytest.fixture
def microsoft(microsoft_server: Simulator, settings: Any) -> Simulator:
    microsoft_server.state.reset()
    pacing._pacers.clear()  # pretend tenants have the same ids in every test, and a wait must not outlive one
    settings.M365_GATEWAY_URL = microsoft_server.url
    return microsoft_server


@pytest.fixture
def add_customer(db: None, microsoft: Simulator) -> Callable[..., Customer]:
    def add(name: str = "Contoso", **spec: Any) -> Customer:
        return make_customer(microsoft, name, **spec)

    return add


@pytest.fixture
def customer(add_customer: Callable[..., Customer]) -> Customer:
    """30 users, 4 groups, 120 memberships."""
    return add_customer()


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def short_slices(settings: Any) -> None:
    """Every slice is over as soon as it begins: each does the least that it can."""
    settings.COMMAND_SLICE_SECONDS = 0


@pytest.fixture
def dies(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """`dies(n)`: the worker is killed at the end of its n-th transaction, before the commit; 0: it lives on."""
    original = Context.checkpoint

    def at(number: int) -> None:
        seen = 0

        def deadly(self: Context, **changes: Any) -> None:
            nonlocal seen
            seen += 1
            original(self, **changes)
            if seen == number:
                raise Killed

        monkeypatch.setattr(Context, "checkpoint", deadly if number else original)

    return at
