"""The profiles are known before the command line names one of them."""

import pytest

from m365 import identity
from tests.hostile import mutations

__all__ = ["mutations"]


@pytest.fixture(autouse=True)
def _nothing_kept() -> None:
    identity.forget_everything()
