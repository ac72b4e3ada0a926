"""A pretend SBC and OVOC, and what workers do with them, in the test's own thread."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from replication.models import Command
from sbc import services
from sbc.models import Sbc
from simulator import server
from simulator.sbc.device import Device
from simulator.server import Simulator
from tenants import scope
from tenants.access import SYSTEM
from tests.breakers.hands import run_due
from tests.fences import fenced

__all__ = ["fenced"]


@pytest.fixture(scope="session")
def boxes_server() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


@pytest.fixture
def boxes(boxes_server: Simulator, settings: Any) -> Iterator[Simulator]:
    """The simulator without any device; its address is what lets the portal call this machine."""
    boxes_server.state.reset()
    boxes_server.sbcs.reset()
    settings.M365_GATEWAY_URL = boxes_server.url
    yield boxes_server
    boxes_server.sbcs.reset()


@pytest.fixture
def device(boxes: Simulator) -> Device:
    return boxes.sbcs.add("sbc1.example")


@pytest.fixture
def known(db: None) -> Callable[..., Sbc]:
    """`known(device)`: added to the portal as it is, and looked at once."""

    def add(device: Device, **changes: Any) -> Sbc:
        sbc, _ = services.add(SYSTEM, **wish(device, **changes))
        run_due()
        return fresh(sbc)

    return add


def wish(device: Any, **changes: Any) -> dict[str, Any]:
    """What a person would enter for this device."""
    return {
        "name": device.name,
        "address": f"{device.host}:{device.port}",
        "https": device.https,
        "user": device.user,
        "password": device.password,
        "fingerprint": device.fingerprint,
        **changes,
    }


def fresh(sbc: Sbc) -> Sbc:
    return Sbc.objects.select_related("secret").get(id=sbc.id)


def commands(kind: str) -> list[Command]:
    with scope.every("a test looks"):
        return list(Command.objects.filter(kind=kind).order_by("id"))
