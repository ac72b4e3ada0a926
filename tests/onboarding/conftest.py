"""The pretend Microsoft 365 and the worker of tests/directory."""

import pytest

from m365 import identity
from tests.directory.conftest import microsoft, microsoft_server, worker
from tests.fences import fenced

__all__ = ["fenced", "microsoft", "microsoft_server", "worker"]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    identity.forget_everything()
