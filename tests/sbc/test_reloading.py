"""Reload From Ovoc: what is added, joined, missed and left alone."""

from collections.abc import Callable
from typing import Any

import pytest

from core.errors import UmpError
from replication.models import Command, State
from sbc import reloading, selectors, services
from sbc.models import Link, Sbc
from simulator.sbc.device import Device
from simulator.server import Simulator
from tenants.access import SYSTEM
from tests.breakers.hands import run_due
from tests.sbc.conftest import commands, fresh

pytestmark = pytest.mark.django_db


@pytest.fixture
def ovoc(boxes: Simulator) -> Any:
    found = boxes.sbcs.ovoc
    services.set_ovoc(
        SYSTEM, address=f"{found.host}:{found.port}", https=False, user=found.user, password=found.password
    )
    return found


def reload() -> Command:
    services.reload(SYSTEM)
    run_due()
    return commands(selectors.RELOAD)[-1]


def test_without_ovoc_there_is_nothing_to_reload(db: None) -> None:
    with pytest.raises(UmpError, match="does not know where OVOC is"):
        services.reload(SYSTEM)


def test_devices_are_added_joined_and_missed_but_never_removed(
    ovoc: Any, device: Device, known: Callable[..., Sbc]
) -> None:
    by_hand = known(device, name="Ours")
    ovoc.put(
        {"name": "ours at OVOC", "ipAddress": f"127.0.0.1:{device.port}", "natIpAddress": "169.254.4.10"}
    )
    ovoc.put(
        {
            "name": "sbc2.example",
            "fqdn": "SBC2.example",
            "ipAddress": "169.254.4.2",
            "productType": "Mediant 4000",
        }
    )
    ovoc.put({"name": "a phone", "ipAddress": "169.254.4.3", "productType": "IP Phone 450HD"})
    ovoc.put({"name": "metadata", "ipAddress": "169.254.169.254", "productType": "Mediant VE SBC"})
    ovoc.put({"ipAddress": "169.254.4.4", "fqdn": "bad\nname", "httpsEnabled": False})
    command = reload()
    assert command.message == "2 added, 1 updated, none missing, 1 failed."
    assert (command.state, command.outcome) == (State.SUCCEEDED, "partial")
    ours, two, four = Sbc.objects.order_by("ovoc_id")
    assert (ours.id, ours.name, ours.ovoc_id, ours.nat_addresses) == (by_hand.id, "Ours", 1, ["169.254.4.10"])
    assert (ours.link, ours.secret_id) == (Link.CONNECTED, by_hand.secret_id)
    assert (two.name, two.fqdn, two.https, two.secret) == ("sbc2.example", "sbc2.example", True, None)
    assert (four.fqdn, four.https) == ("", False)
    assert services.check_due() == 0  # nobody knows their password
    assert reload().message == "none added, none updated, none missing, 1 failed."

    del ovoc.devices[2], ovoc.devices[1]
    assert "2 missing" in reload().message
    first = fresh(two).ovoc_missing_since
    assert first is not None
    reload()
    assert fresh(two).ovoc_missing_since == first
    ovoc.put(
        {"id": 2, "name": "x", "fqdn": "sbc2.example", "ipAddress": "169.254.4.22", "productType": "Mediant"}
    )
    assert "1 updated" in reload().message
    assert (fresh(two).ovoc_missing_since, fresh(two).address, fresh(two).name) == (
        None, "169.254.4.22", "sbc2.example",
    )  # fmt: skip


def test_no_address_changes_under_a_stored_password(
    ovoc: Any, device: Device, known: Callable[..., Sbc]
) -> None:
    sbc = known(device, fqdn="sbc1.example")
    ovoc.put({"name": "x", "fqdn": "sbc1.example", "ipAddress": "169.254.4.66", "productType": "Mediant"})
    command = reload()
    assert "another address" in command.message
    assert (fresh(sbc).address, fresh(sbc).ovoc_id) == (device.host, 1)
    assert command.result["other address"] == [f"{sbc.name}: 169.254.4.66"]


def test_two_devices_that_fit_are_not_guessed_between(
    ovoc: Any, device: Device, boxes: Simulator, known: Callable[..., Sbc]
) -> None:
    known(device, fqdn="pair.example")
    known(boxes.sbcs.add("other.example"), fqdn="pair.example")
    ovoc.put({"name": "x", "fqdn": "pair.example", "ipAddress": "169.254.4.66", "productType": "Mediant"})
    assert "1 added" in reload().message


@pytest.mark.parametrize("address", ["", "169.254.4.66", "169.254.4.67"])
def test_of_a_pair_at_ovoc_none_is_guessed(
    ovoc: Any, boxes: Simulator, known: Callable[..., Sbc], address: str
) -> None:
    """Two of its devices bear one name: the one at the address is joined, or none."""
    box = boxes.sbcs.add("pair.example")
    sbc = known(box, fqdn="pair.example")
    if address:
        Sbc.objects.filter(id=sbc.id).update(address=address, port=None)
    for number in (6, 7):
        ovoc.put(
            {"id": number, "name": f"x{number}", "fqdn": "pair.example", "ipAddress": f"169.254.4.6{number}",
             "productType": "Mediant", "httpsEnabled": False}
        )  # fmt: skip
    added = 1 if address else 2
    assert reload().message.startswith(
        f"{added} added, {2 - added or 'none'} updated, none missing, none failed"
    )
    assert fresh(sbc).ovoc_id == (int(address[-1]) if address else None)
    assert reload().message == "none added, none updated, none missing, none failed."


def test_a_device_that_was_joined_is_joined_to_no_other(ovoc: Any, db: None) -> None:
    services.add(SYSTEM, name="Ours", address="169.254.4.9", user="Admin", password="x" * 12)
    for number in (1, 2):
        ovoc.put({"id": number, "name": f"x{number}", "ipAddress": "169.254.4.9", "httpsEnabled": True})
    for _ in range(2):
        assert "x2: another SBC has its address" in reload().result["failed"]
        assert Sbc.objects.get().ovoc_id == 1


@pytest.mark.parametrize("trouble", ["down", "html"])
def test_an_ovoc_in_trouble_leaves_the_list_as_it_is(ovoc: Any, trouble: str) -> None:
    ovoc.put({"name": "x", "ipAddress": "169.254.4.1", "productType": "Mediant"})
    reload()
    ovoc.trouble = trouble
    assert reload().state == State.QUEUED
    assert Sbc.objects.get().ovoc_missing_since is None


def test_a_refused_operator_waits_for_a_person(ovoc: Any) -> None:
    ovoc.password = "changed"
    assert reload().state == State.SUSPENDED
    assert ovoc.requests == 1


def test_one_device_with_and_without_its_usual_port_is_one(ovoc: Any) -> None:
    services.add(
        SYSTEM, name="By hand", address="169.254.4.9:443", user="Admin", password="x" * 12, https=True
    )
    ovoc.put({"name": "x", "ipAddress": "169.254.4.9", "productType": "Mediant", "httpsEnabled": True})
    assert reload().message == "none added, 1 updated, none missing, none failed."
    assert Sbc.objects.get().ovoc_id == 1
    assert reload().message == "none added, none updated, none missing, none failed."


def test_a_password_that_is_entered_meanwhile_stays_where_it_belongs(
    ovoc: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ovoc.put({"id": 7, "name": "x", "ipAddress": "169.254.4.1", "productType": "Mediant"})
    reload()
    sbc = Sbc.objects.get()
    given = {"name": sbc.name, "address": sbc.address, "user": "Admin", "password": "x" * 12}
    facts = reloading._facts

    def meanwhile(device: Any) -> Any:
        if Sbc.objects.get().secret_id is None:
            services.change(SYSTEM, sbc, **given)
        return facts(device)

    ovoc.devices[7]["ipAddress"] = "169.254.4.2"
    monkeypatch.setattr(reloading, "_facts", meanwhile)
    reload()
    assert Sbc.objects.get().address == "169.254.4.1"
