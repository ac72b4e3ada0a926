"""One simulator for the whole folder, started over for each test; nothing here knows of Django."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from simulator.server import Simulator, start
from tests.simulator.client import ROLES, Gateway, Visitor


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with start() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    running.seed("empty")
    return running


@pytest.fixture
def gateway(simulator: Simulator) -> Iterator[Gateway]:
    client = Gateway(simulator)
    yield client
    client.close()


@pytest.fixture
def visit(simulator: Simulator, gateway: Gateway) -> Callable[..., Visitor]:
    """Make a tenant and stand before its door: `visit(users=3, settings={...}, app={...})`."""

    def make(**spec: Any) -> Visitor:
        name = spec.pop("name", "Contoso")
        app = {"roles": ROLES, **spec.pop("app", {})}
        visitor = Visitor(simulator, {}, gateway)
        visitor.tenant = visitor.control("POST", "/tenants", {"name": name, "app": app, **spec})
        return visitor

    return make


@pytest.fixture
def contoso(visit: Callable[..., Visitor]) -> Visitor:
    """Thirty users, six groups, three memberships each."""
    return visit(users=30, groups=6, memberships_per_user=3)
