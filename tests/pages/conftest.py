"""The whole product in Debian's Chromium: the fixtures of the look's own tests."""

from collections.abc import Iterator

import pytest
from django.core import signals
from django.db import close_old_connections

from tests.ui.conftest import browser_type_launch_args, house, synchronous, unhurried

__all__ = ["browser_type_launch_args", "house", "synchronous", "unhurried"]


@pytest.fixture
def one_connection() -> Iterator[None]:
    """A request leaves the test's own connection, and so its transaction, open."""
    both = (signals.request_started, signals.request_finished)
    for signal in both:
        signal.disconnect(close_old_connections)
    yield
    for signal in both:
        signal.connect(close_old_connections)
