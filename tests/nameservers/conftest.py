"""A name server that really answers, and the key that may change its zone."""

from collections.abc import Iterator

import pytest

from core.guard import Guard
from nameservers.zones import Key, Server, Zone
from simulator import server
from simulator.nameserver import ALGORITHM, KEY_NAME, ZONE, NameServer, zone_secret

LOCAL = Guard(loopback=True)


@pytest.fixture(scope="session")
def _running() -> Iterator[NameServer]:
    with server.start() as simulator:
        yield simulator.dns


@pytest.fixture
def dns_server(_running: NameServer) -> NameServer:
    _running.reset()
    return _running


@pytest.fixture
def zone(dns_server: NameServer) -> Zone:
    return Zone(
        ZONE, Server(dns_server.host, dns_server.port), Key(KEY_NAME, ALGORITHM, zone_secret()), LOCAL
    )
