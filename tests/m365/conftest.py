"""No proxies of the machine, no tokens of another test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import responses

from m365 import identity


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    identity.forget_everything()
    for name in [key for key in os.environ if key.lower().endswith("_proxy") or key.endswith("CA_BUNDLE")]:
        monkeypatch.delenv(name)


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock
