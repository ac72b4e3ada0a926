"""A customer whose app may set up domains, the provider's zone, and the worker of tests/directory."""

from collections.abc import Callable
from typing import Any

import pytest

from domains import services
from domains.models import CustomDomain, DnsZone
from m365 import identity
from replication.models import OPEN, Command, State
from simulator.nameserver import ALGORITHM, KEY_NAME, ZONE, zone_secret
from simulator.server import Simulator
from tenants import scope
from tenants.access import SYSTEM, Actor
from tests.directory.conftest import add_customer, customer, dies, microsoft, microsoft_server, worker
from tests.directory.pretend import Customer, Worker
from tests.fences import fenced

__all__ = ["add_customer", "customer", "dies", "fenced", "microsoft", "microsoft_server", "worker"]
OLGA = Actor(kind="person", id="o", label="Olga")
RIGHTS = ("Domain.ReadWrite.All", "User.ReadWrite.All", "Organization.Read.All", "LicenseAssignment.Read.All")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    identity.forget_everything()


def allow(customer: Customer, rights: tuple[str, ...] = RIGHTS) -> None:
    (app,) = customer.pretend.apps.values()
    assert app.principal is not None
    app.principal.grant([*app.principal.granted(), *rights], 0.0)
    identity.forget_everything()


@pytest.fixture
def zone(db: None, microsoft: Simulator) -> DnsZone:
    """The simulator's zone with its key, as the portal knows it."""
    return enter_zone(microsoft)


def enter_zone(microsoft: Simulator) -> DnsZone:
    microsoft.dns.reset()
    server = f"{microsoft.dns.host}:{microsoft.dns.port}"
    return services.set_zone(
        SYSTEM,
        name=ZONE,
        server=server,
        key_name=KEY_NAME,
        algorithm=ALGORITHM,
        secret=zone_secret(),
        lookup_servers=[server],
    )


@pytest.fixture
def able(customer: Customer) -> Customer:
    """The way in may set up domains."""
    allow(customer)
    return customer


@pytest.fixture
def begin(zone: DnsZone) -> Callable[..., CustomDomain]:
    def made(customer: Customer, **options: Any) -> CustomDomain:
        with scope.one(customer.tenant.id):
            return services.begin(OLGA, customer.tenant, **options)

    return made


def reread(row: CustomDomain) -> CustomDomain:
    with scope.one(row.tenant_id):
        return CustomDomain.objects.select_related("tenant").get(id=row.id)


def one_look(worker: Worker, customer: Customer) -> None:
    """Every command that is due or waits for its time runs one slice."""
    with scope.every("a test's worker"):
        waiting = list(Command.objects.filter(state=State.QUEUED))
    for command in waiting:
        worker.wait_is_over(command)
        worker.step()


def finish(worker: Worker, customer: Customer, most: int = 40) -> dict[str, Command]:
    """Everything that waits is carried out, whatever it waits for; the newest command of each kind."""
    for _ in range(most):
        with scope.every("a test looks"):
            found = list(Command.objects.order_by("id"))
        if not any(command.state in OPEN for command in found):
            return {command.kind: command for command in found}
        one_look(worker, customer)
    raise AssertionError("it does not come to an end")
