"""The directory's pretend Microsoft 365 and worker, with a customer that has phones."""

from collections.abc import Callable

import pytest

from tests.directory.conftest import (  # noqa: F401  fixtures
    add_customer,
    dies,
    microsoft,
    microsoft_server,
    short_slices,
    worker,
)
from tests.directory.pretend import Customer
from tests.fences import fenced  # noqa: F401  the fixture


@pytest.fixture
def phones(add_customer: Callable[..., Customer]) -> Customer:  # noqa: F811  the fixture
    """60 users; numbers of Direct Routing from +41589061000 on, in use and free."""
    return add_customer(users=60, telephony={"head": "+41589061", "digits": 3})
