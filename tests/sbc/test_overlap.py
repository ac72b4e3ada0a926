"""Two who add one device at the same moment, or enter OVOC for the first time."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from sbc import services
from sbc.models import Ovoc, Sbc
from simulator.sbc.device import Device
from tenants.access import SYSTEM
from tenants.models import ProviderSecret
from tests import overlap
from tests.cast import Cast
from tests.sbc.conftest import wish
from tests.sbc.test_api import JSON, of
from tests.sbc.test_pages import form

pytestmark = pytest.mark.django_db(transaction=True)
SAME = [("address", {"name": "Other"}), ("name", {"address": "169.254.4.9"})]


@pytest.mark.parametrize(("field", "other"), SAME)
def test_a_page_tells_the_second_who_has_it(
    committed_cast: Cast,
    client_of: Callable[[User], Client],
    device: Device,
    monkeypatch: pytest.MonkeyPatch,
    field: str,
    other: dict[str, str],
) -> None:
    olga, pia = client_of(committed_cast.olga), client_of(committed_cast.pia)
    first, second = overlap.both(
        monkeypatch,
        lambda: olga.post("/sbcs/add/", form(device)),
        lambda: pia.post("/sbcs/add/", form(device, **other)),
    )
    assert (first.status_code, second.status_code) == (303, 422)
    assert list(second.context["form"].errors) == [field]
    assert Sbc.objects.get().name == device.name
    assert ProviderSecret.objects.count() == 1


@pytest.mark.parametrize(("field", "other"), SAME)
def test_the_api_tells_the_second_who_has_it(
    committed_cast: Cast, device: Device, monkeypatch: pytest.MonkeyPatch, field: str, other: dict[str, str]
) -> None:
    one, two = of(committed_cast, "pia"), of(committed_cast, "pia")
    first, second = overlap.both(
        monkeypatch,
        lambda: one.post("/api/v1/sbcs", wish(device), content_type=JSON),
        lambda: two.post("/api/v1/sbcs", wish(device, **other), content_type=JSON),
    )
    assert (first.status_code, second.status_code) == (201, 422)
    assert second.json()["errors"][0]["field"] == field
    assert Sbc.objects.get().name == device.name


def test_ovoc_is_entered_by_two(
    committed_cast: Cast, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {"address": "169.254.4.9", "user": "ump", "password": "x" * 12}
    overlap.both(
        monkeypatch,
        lambda: services.set_ovoc(SYSTEM, **given),
        lambda: services.set_ovoc(SYSTEM, **given | {"address": "169.254.4.10"}),
    )
    assert Ovoc.objects.get().address == "169.254.4.10"
    assert ProviderSecret.objects.count() == 1
