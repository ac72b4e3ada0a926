"""Adding, changing and looking at SBC devices."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from audit.models import Entry
from core.errors import Conflict, InvalidInput, UmpError
from replication.models import State
from sbc import lines, selectors, services
from sbc.commands import CheckSbc
from sbc.models import Link, Sbc
from simulator.sbc.device import Device
from simulator.server import Simulator
from sites.models import Site
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import ProviderSecret
from tests.breakers.hands import claim, run_due, settle
from tests.cast import Cast
from tests.sbc.conftest import commands, fresh, wish

pytestmark = pytest.mark.django_db
Known = Callable[..., Sbc]


def test_a_device_is_added_and_tried_at_once(device: Device, known: Known) -> None:
    device.alarms = [
        {"id": "1", "description": "Fan", "severity": "Critical", "source": "Board#1", "date": "today"}
    ]
    sbc = known(device)
    assert (sbc.link, sbc.serial, sbc.problem) == (Link.CONNECTED, device.serial, None)
    assert (sbc.address, sbc.port) == ("127.0.0.1", device.port)
    assert sbc.told["product"] == "Mediant VE SBC"
    assert sbc.alarms[0]["severity"] == "critical"
    [command] = commands(selectors.CHECK)
    assert command.state == State.SUCCEEDED
    assert "1 active alarm" in command.message
    with scope.every("a test looks"):
        entry = Entry.objects.filter(action="sbc.added").get()
    assert device.password not in str(entry.__dict__)
    assert device.password.encode() not in bytes(ProviderSecret.objects.get().sealed)


@pytest.mark.parametrize(
    ("trouble", "link", "code"),
    [
        ("drop", Link.DISCONNECTED, "connection_lost"),
        ("html", Link.DISCONNECTED, "bad_reply"),
        ("redirect", Link.DISCONNECTED, "redirected"),
        ("fault", Link.DISCONNECTED, "sbc_failed"),
    ],
)
def test_what_is_wrong_is_kept_and_what_was_known_stays(
    device: Device, known: Known, trouble: str, link: str, code: str
) -> None:
    sbc = known(device)
    device.set({"trouble": trouble})
    services.check(SYSTEM, sbc)
    run_due()
    sbc = fresh(sbc)
    assert (sbc.link, sbc.problem["code"]) == (link, code)
    assert sbc.told["product"] == "Mediant VE SBC"
    assert sbc.checked_at > sbc.reached_at
    command = commands(selectors.CHECK)[-1]
    assert (command.state, command.outcome) == (State.SUCCEEDED, "partial")
    device.set({"trouble": ""})
    services.check(SYSTEM, sbc)
    run_due()
    assert (fresh(sbc).link, fresh(sbc).problem) == (Link.CONNECTED, None)


def test_a_refused_password_is_not_sent_again_until_it_is_entered_again(device: Device, known: Known) -> None:
    sbc = known(device, password="wrong")
    assert (sbc.link, sbc.next_check_at) == (Link.REFUSED, None)
    assert device.logins_refused == 1
    Sbc.objects.update(next_check_at=timezone.now())
    assert services.check_due() == 0
    with pytest.raises(UmpError, match="refused the user name or the password"):
        services.check(SYSTEM, sbc)
    with scope.every("a command that waited since before"):
        services.queue.submit(SYSTEM, selectors.CHECK, None, target=str(sbc.id))
    run_due()
    assert device.logins_refused == 1
    kept = {name: value for name, value in wish(device).items() if name != "password"}
    _, command = services.change(SYSTEM, sbc, **kept | {"name": "Another name"})
    run_due()
    assert command is None
    assert (fresh(sbc).name, fresh(sbc).link, device.logins_refused) == ("Another name", Link.REFUSED, 1)
    services.change(SYSTEM, sbc, **wish(device))
    run_due()
    assert fresh(sbc).link == Link.CONNECTED
    assert device.logins_refused == 1
    assert ProviderSecret.objects.count() == 1


def test_an_alarm_that_clears_while_it_is_read_is_left_out(
    device: Device, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbc = known(device)
    device.alarms = [
        {"id": str(n), "description": f"Fan {n}", "severity": "Major", "source": "", "date": ""}
        for n in (6, 7, 8)
    ]
    answer = Device._alarms

    def clears(self: Device, number: str, query: dict[str, str]) -> Any:
        answered = answer(self, number, query)
        self.alarms = [each for each in self.alarms if each["id"] != "7"]
        return answered

    monkeypatch.setattr(Device, "_alarms", clears)
    services.check(SYSTEM, sbc)
    run_due()
    now = fresh(sbc)
    assert (now.link, now.problem) == (Link.CONNECTED, None)
    assert [alarm["id"] for alarm in now.alarms] == ["6", "8"]


def test_a_device_that_drips_its_answers_is_given_up(
    device: Device, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbc = known(device)
    device.alarms = [
        {"id": str(n), "description": "", "severity": "", "source": "", "date": ""} for n in range(1, 90)
    ]
    device.set({"latency_ms": 40})
    monkeypatch.setattr(CheckSbc, "seconds", 0.3)
    services.check(SYSTEM, sbc)
    run_due()
    assert fresh(sbc).problem["code"] == "deadline"
    assert device.requests < 30


def test_an_untrusted_certificate_is_shown_and_can_be_pinned(boxes: Simulator, known: Known) -> None:
    device = boxes.sbcs.add("tls.example", https=True)
    sbc = known(device, fingerprint="")
    assert sbc.link == Link.UNTRUSTED
    assert sbc.problem["detail"]["fingerprint"] == device.fingerprint
    assert device.requests == 0
    shown = ":".join(device.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    services.change(SYSTEM, sbc, **wish(device, fingerprint=shown))
    run_due()
    assert fresh(sbc).link == Link.CONNECTED


def test_another_device_at_the_same_address_is_not_taken_for_it(device: Device, known: Known) -> None:
    sbc = known(device)
    device.set({"trouble": "other_device"})
    services.check(SYSTEM, sbc)
    run_due()
    assert fresh(sbc).problem["code"] == "sbc_other_device"
    services.change(SYSTEM, sbc, **wish(device))  # somebody says that it was replaced
    run_due()
    assert (fresh(sbc).link, fresh(sbc).serial) == (Link.CONNECTED, "999999")


def test_a_check_of_an_account_that_was_changed_meanwhile_says_nothing(
    device: Device, known: Known, monkeypatch: pytest.MonkeyPatch
) -> None:
    sbc = known(device)
    services.check(SYSTEM, sbc)
    [claimed] = claim()
    open_line = lines.to_sbc

    def too_late(row: Sbc, seconds: float) -> Any:
        line = open_line(row, seconds)
        services.change(SYSTEM, row, **wish(device))
        return line

    monkeypatch.setattr(lines, "to_sbc", too_late)
    device.set({"trouble": "drop"})
    settle(claimed)
    assert (fresh(sbc).link, fresh(sbc).problem) == (Link.UNKNOWN, None)


# --- The stored password stays where it belongs ---------------------------------------------------------------
@pytest.mark.parametrize(
    "moved",
    [
        {"address": "169.254.4.9"},
        {"user": "other"},
        {"https": True},
        {"https": True, "fingerprint": "0" * 64},
    ],
)
def test_a_stored_password_goes_nowhere_else(device: Device, known: Known, moved: dict[str, Any]) -> None:
    sbc = known(device)
    with pytest.raises(InvalidInput) as refused:
        services.change(SYSTEM, sbc, **wish(device, password="", **moved))
    assert refused.value.field == "password"
    services.change(SYSTEM, sbc, **wish(device, password="", name="Renamed"))
    assert fresh(sbc).name == "Renamed"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 121),
        ("name", "a\0b"),
        ("name", "SBC1.example"),
        ("address", "169.254.169.254"),
        ("address", "[::ffff:169.254.169.254]:443"),
        ("address", "10.0.0.1"),
        ("address", "0.0.0.0"),
        ("address", "1.2.3.4:0"),
        ("address", "1.2.3.4:99999"),
        ("address", "1.2.3.4/admin"),
        ("address", "user@1.2.3.4"),
        ("address", "sbc.example"),
        ("address", "1.2.3.4\n5"),
        ("address", ""),
        ("fqdn", "sbc.example\nevil"),
        ("fqdn", "-x.example"),
        ("user", "a:b"),
        ("user", ""),
        ("password", ""),
        ("password", "a\nb"),
        ("fingerprint", "abc"),
        ("fingerprint", "0" * 64),  # without https
    ],
)
def test_what_is_refused_names_its_field(device: Device, known: Known, field: str, value: str) -> None:
    known(device)
    given = {
        "name": "New", "address": "169.254.4.1", "https": False, "user": "u", "password": "p", "fingerprint": "",
    }  # fmt: skip
    with pytest.raises(InvalidInput) as refused:
        services.add(SYSTEM, **{**given, field: value})
    assert refused.value.field == field
    services.add(SYSTEM, **given)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        (" 169.254.0.1 ", "169.254.0.1", None),
        ("169.254.4.255:8443", "169.254.4.255", 8443),
        ("[2606:4700::1]:444", "2606:4700::1", 444),
        ("2606:4700::1", "2606:4700::1", None),
        ("8.8.8.8", "8.8.8.8", None),
    ],
)
def test_addresses_that_may_be_called(text: str, address: str, port: int | None) -> None:
    assert services.checked_address(text) == (address, port)


def test_this_machine_is_closed_without_a_simulator(settings: Any) -> None:
    settings.M365_GATEWAY_URL = ""
    for text in ("127.0.0.1:8443", "[::1]:8443", "169.254.169.254", "192.168.1.1"):
        with pytest.raises(InvalidInput):
            services.checked_address(text)


def test_a_change_of_an_old_version_is_refused(device: Device, known: Known) -> None:
    sbc = known(device)
    with pytest.raises(Conflict):
        services.change(SYSTEM, sbc, version=sbc.row_version + 1, **wish(device))


def test_removing_forgets_the_password_and_a_waiting_check_finds_nothing(
    device: Device, known: Known
) -> None:
    sbc = known(device)
    services.check(SYSTEM, sbc)
    services.remove(SYSTEM, sbc)
    assert not ProviderSecret.objects.exists()
    before = device.requests
    run_due()
    assert device.requests == before
    assert commands(selectors.CHECK)[-1].state == State.SUCCEEDED


def test_removing_forgets_a_password_that_was_entered_meanwhile(device: Device, known: Known) -> None:
    sbc = known(device)
    services.change(SYSTEM, sbc, **wish(device))
    services.remove(SYSTEM, sbc)
    assert not ProviderSecret.objects.exists()
    services.remove(SYSTEM, sbc)
    with scope.every("a test looks"):
        assert Entry.objects.filter(action="sbc.removed").count() == 1, "a second click removes nothing"


def test_devices_are_looked_at_when_their_time_has_come(device: Device, known: Known) -> None:
    sbc = known(device)
    assert services.check_due() == 0
    Sbc.objects.update(next_check_at=timezone.now())
    assert services.check_due() == 1
    assert services.check_due() == 0
    run_due()
    assert len(commands(selectors.CHECK)) == 2
    assert fresh(sbc).next_check_at > timezone.now()


def test_a_faulty_key_of_ours_blames_no_device(device: Device, known: Known, settings: Any) -> None:
    sbc = known(device)
    settings.KEK_FILE = "/nowhere"
    services.check(SYSTEM, sbc)
    run_due()
    assert fresh(sbc).link == Link.CONNECTED
    assert commands(selectors.CHECK)[-1].state != State.SUCCEEDED


def test_a_device_with_sites_stays_and_they_are_named(cast: Cast, device: Device, known: Known) -> None:
    sbc = known(device)
    with scope.every("a test writes"):
        Site.objects.create(tenant=cast.contoso, sbc=sbc, name="Zurich", configuration="SipTrunk")
    with pytest.raises(Conflict, match="still used by Zurich"), transaction.atomic():
        services.remove(SYSTEM, sbc)
    assert Sbc.objects.filter(id=sbc.id).exists()


@pytest.mark.parametrize(("https", "port"), [(True, 443), (False, 80)])
def test_the_usual_port_is_the_same_address(db: None, https: bool, port: int) -> None:
    given = {"user": "Admin", "password": "x" * 12, "https": https}
    first, _ = services.add(SYSTEM, name="One", address="169.254.4.9", **given)
    with pytest.raises(InvalidInput, match="One has this address"):
        services.add(SYSTEM, name="Two", address=f"169.254.4.9:{port}", **given)
    services.change(SYSTEM, first, name="One", address=f"169.254.4.9:{port}", **given)
    with pytest.raises(InvalidInput, match="One has this address"):
        services.add(SYSTEM, name="Two", address="169.254.4.9", **given)
    services.add(SYSTEM, name="Two", address="169.254.4.9:8443", **given)
