"""A customer whose directory and telephony are in the copy, with users who have no number yet."""

from collections.abc import Callable

import pytest

from simulator.server import Simulator
from tests.directory.conftest import (  # noqa: F401  fixtures
    add_customer,
    dies,
    microsoft,
    microsoft_server,
    short_slices,
    worker,
)
from tests.directory.pretend import Customer, Worker
from tests.fences import fenced  # noqa: F401  the fixture
from tests.provisioning.helpers import Stage, allow
from tests.sbc.conftest import boxes, device, known  # noqa: F401  fixtures
from tests.sites.conftest import sbc  # noqa: F401  the fixture
from tests.telephony import helpers as telephony


@pytest.fixture
def boxes_server(microsoft: Simulator) -> Simulator:  # noqa: F811  the fixture
    """One pretend world, with Microsoft and devices in it. Ask for the device before the stage."""
    microsoft.sbcs.reset()
    return microsoft


@pytest.fixture
def stage(add_customer: Callable[..., Customer], worker: Worker) -> Stage:  # noqa: F811  the fixtures
    """120 users; numbers of Direct Routing from +41589061000 on, in use and free."""
    customer = add_customer(users=120, telephony={"head": "+41589061", "digits": 3, "free": 30})
    allow(customer)
    worker.run(customer, "sync")
    telephony.read(worker, customer)
    return Stage(customer, worker)
