"""The stand-ins for SBC and OVOC, and the product's lines to them: each proves the other."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from audiocodes import rules
from audiocodes.line import Line, Target
from audiocodes.ovoc import Ovoc
from audiocodes.sbc import MOST_ALARMS, Sbc
from core.errors import LeaseLost, UmpError, WriteRefused
from core.guard import Guard
from simulator import server
from simulator.sbc.device import Device
from simulator.server import Simulator
from tests.m365.desk import at_will

GUARD = Guard(loopback=True)
CONTOSO = [("Contoso", "+41589061[000-999]", "contoso.example"), ("Contoso", "+5552000", "contoso.example")]


@pytest.fixture(scope="module")
def world() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


@pytest.fixture
def device(world: Simulator) -> Iterator[Device]:
    world.sbcs.reset()
    made = world.sbcs.add("sbc.example")
    made.plant("CustDialPlan", CONTOSO)
    yield made
    world.sbcs.reset()


@pytest.fixture
def lines() -> Iterator[list[Line]]:
    opened: list[Line] = []
    yield opened
    for each in opened:
        each.__exit__(None, None, None)


def line_to(
    lines: list[Line], box: Any, *, before_write: Callable[[], float | None] | None = at_will, **changes: Any
) -> Line:
    values: dict[str, Any] = {
        "name": box.name,
        "host": box.host,
        "port": box.port,
        "https": box.https,
        "user": box.user,
        "password": box.password,
        **changes,
    }
    lines.append(Line(Target(**values), GUARD, before_write=before_write))
    return lines[-1]


def code_of(act: Any) -> UmpError:
    with pytest.raises(UmpError) as refused:
        act()
    return refused.value


def test_a_device_says_what_it_is(device: Device, lines: list[Line]) -> None:
    found = Sbc(line_to(lines, device)).status()
    assert (found.product, found.serial, found.locked) == ("Mediant VE SBC", device.serial, False)
    device.set({"state": "LOCKED"})
    assert Sbc(line_to(lines, device)).status(device.serial).locked


@pytest.mark.parametrize("old", [False, True])
def test_rules_of_both_firmwares_come_out_as_they_are(device: Device, lines: list[Line], old: bool) -> None:
    device.set({"old_columns": old})
    found = rules.of_device(Sbc(line_to(lines, device)).ini())
    assert found == [
        ("0", "CustDialPlan", "0", "Contoso", "+41589061[000-999]", "contoso.example"),
        ("1", "CustDialPlan", "1", "Contoso", "+5552000", "contoso.example"),
    ]


SCRIPT = """configure voip
sbc dial-plan 1
  name "OCDialPlan"
  activate
  dial-plan-rule 0
    name Fabrikam
    prefix "+4420366669[700-799]"
    tag fabrikam.example
    activate
  exit
exit
"""


def test_a_script_changes_what_runs_and_saving_keeps_it(device: Device, lines: list[Line]) -> None:
    sbc = Sbc(line_to(lines, device))
    before = sbc.ini()
    sbc.apply(SCRIPT)
    assert [row[1] for row in rules.of_device(sbc.ini())] == ["CustDialPlan", "CustDialPlan", "OCDialPlan"]
    device.restart()
    assert sbc.ini() == before
    sbc.apply(SCRIPT)
    sbc.save()
    device.restart()
    assert len(rules.of_device(sbc.ini())) == 3
    sbc.apply("configure voip\nno sbc dial-plan 1\n")
    assert sbc.ini() == before


@pytest.mark.parametrize(
    ("script", "why", "kept"),
    [
        ("configure voip\nsbc dial-plan 1\nname X\nactivate\nreload now\n", "line 5", True),
        ("configure voip\nsbc dial-plan 1\nname CustDialPlan\nactivate\n", "is used already", False),
        ("configure voip\nip-group 1\nname A\nproxy-set-name Nowhere\nactivate\n", "does not exist", False),
        ("ip-group 1\n", "Invalid command", False),
        (SCRIPT.replace("[700-799]", "[7-799]"), "different widths", True),
        ("configure voip\nsbc dial-plan 1\nname 'X\n", "line 3", False),
    ],
)
def test_a_refused_line_is_named_and_those_before_it_stay(
    device: Device, lines: list[Line], script: str, why: str, kept: bool
) -> None:
    error = code_of(lambda: Sbc(line_to(lines, device)).apply(script))
    assert error.code == "sbc_script_refused"
    assert why in error.message
    assert (len(device.running.rows["sbc dial-plan"]) == 2) == kept


def test_a_row_without_activate_is_dropped(device: Device, lines: list[Line]) -> None:
    Sbc(line_to(lines, device)).apply("configure voip\nsbc dial-plan 1\nname X\nexit\nexit\n")
    assert len(device.running.rows["sbc dial-plan"]) == 1


def test_what_is_used_cannot_be_removed(device: Device, lines: list[Line]) -> None:
    sbc = Sbc(line_to(lines, device))
    sbc.apply(
        "configure voip\nproxy-set 1\nproxy-name PS\nactivate\nexit\nip-group 1\nname A\nproxy-set-name PS\nactivate"
    )
    assert "used by IPGroup" in code_of(lambda: sbc.apply("configure voip\nno proxy-set 1")).message
    sbc.apply("configure voip\nno ip-group 1\nno proxy-set 1")


# --- Alarms -------------------------------------------------------------------------------------------------
def test_alarms_come_by_pages_with_their_severity(device: Device, lines: list[Line]) -> None:
    sbc = Sbc(line_to(lines, device))
    assert sbc.alarms() == []
    device.alarms = [
        {"id": str(n), "description": f"A{n}", "severity": "MAJOR", "source": "s", "date": "d"}
        for n in range(1, 46)
    ]
    found = sbc.alarms()
    assert [each.id for each in found] == [str(n) for n in range(1, 46)]
    assert {each.severity for each in found} == {"major"}


def test_alarms_without_an_end_are_given_up(device: Device, lines: list[Line]) -> None:
    device.alarms = [{"id": "1", "description": "A", "severity": "minor", "source": "", "date": ""}]
    device.set({"trouble": "endless_alarms"})
    assert len(Sbc(line_to(lines, device)).alarms()) == MOST_ALARMS


# --- Trouble ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("html", "bad_reply"),
        ("broken_json", "bad_reply"),
        ("redirect", "redirected"),
        ("drop", "connection_lost"),
        ("fault", "sbc_failed"),
        ("other_device", "sbc_other_device"),
    ],
)
def test_what_a_device_can_answer_wrongly(device: Device, lines: list[Line], trouble: str, code: str) -> None:
    device.set({"trouble": trouble})
    assert code_of(lambda: Sbc(line_to(lines, device)).status(device.serial)).code == code


def test_an_answer_that_is_too_long_or_too_slow_is_given_up(device: Device, lines: list[Line]) -> None:
    device.alarms = [{"id": "1", "description": "x" * 2**21, "severity": "", "source": "", "date": ""}]
    error = code_of(lambda: Sbc(line_to(lines, device)).alarms())
    assert (error.code, error.fields["limit"]) == ("reply_too_large", "1 MiB")
    device.set({"latency_ms": 500})
    hasty = Line(line_to(lines, device).target, GUARD, seconds=0.05)
    lines.append(hasty)
    assert code_of(lambda: Sbc(hasty).status()).code == "deadline"


def test_a_busy_pair_says_later_to_writes_only(device: Device, lines: list[Line]) -> None:
    device.set({"trouble": "ha_sync"})
    sbc = Sbc(line_to(lines, device))
    sbc.status()
    error = code_of(lambda: sbc.apply(SCRIPT))
    assert (error.code, error.retry_after) == ("sbc_busy", 15.0)
    assert "HA synchronization" in error.message


def test_a_cut_file_a_page_and_a_lost_reply(device: Device, lines: list[Line]) -> None:
    sbc = Sbc(line_to(lines, device))
    device.set({"trouble": "truncated_ini"})
    with pytest.raises(ValueError, match="cut off"):
        rules.of_device(sbc.ini())
    device.set({"trouble": "html"})
    assert code_of(sbc.ini).code == "sbc_file_unreadable"
    device.set({"trouble": "lost_reply"})
    assert code_of(lambda: sbc.apply(SCRIPT)).code == "connection_lost"
    assert len(device.running.rows["sbc dial-plan"]) == 2


def test_a_wrong_password_is_sent_once_and_three_lock_the_account(device: Device, lines: list[Line]) -> None:
    wrong = Sbc(line_to(lines, device, password="wrong"))
    assert code_of(wrong.status).code == "sbc_sign_in_refused"
    assert device.logins_refused == 1
    for _ in range(2):
        code_of(wrong.status)
    assert code_of(Sbc(line_to(lines, device)).status).code == "sbc_sign_in_refused"


def test_a_monitor_may_not_read_the_configuration(device: Device, lines: list[Line]) -> None:
    device.set({"level": "monitor"})
    sbc = Sbc(line_to(lines, device))
    sbc.status()
    assert code_of(sbc.ini).code == "sbc_not_permitted"


def test_every_printable_character_may_be_in_a_password(world: Simulator, lines: list[Line]) -> None:
    password = "".join(map(chr, range(33, 127))) + " äöü€\u00a0"
    made = world.sbcs.add("odd.example", password=password)
    assert Sbc(line_to(lines, made)).status().serial == made.serial


def test_a_line_for_reading_writes_nothing(device: Device, lines: list[Line]) -> None:
    sbc = Sbc(line_to(lines, device, before_write=None))
    with pytest.raises(WriteRefused):
        sbc.apply(SCRIPT)
    with pytest.raises(WriteRefused):
        sbc.save()
    assert device.requests == 0


def test_whoever_was_frozen_after_it_had_asked_sends_nothing(device: Device, lines: list[Line]) -> None:
    sbc = Sbc(line_to(lines, device, before_write=lambda: time.monotonic() - 1))
    for act in (lambda: sbc.apply(SCRIPT), sbc.save):
        assert code_of(act).code == "interrupted"
    assert device.requests == 0


def test_whoever_lost_the_right_to_write_sends_nothing(device: Device, lines: list[Line]) -> None:
    def lost() -> None:
        raise LeaseLost

    sbc = Sbc(line_to(lines, device, before_write=lost))
    for write in (lambda: sbc.apply(SCRIPT), sbc.save):
        with pytest.raises(LeaseLost):
            write()
    assert device.requests == 0


# --- Certificates -------------------------------------------------------------------------------------------
def test_certificates_are_trusted_pinned_or_refused(
    world: Simulator, lines: list[Line], tmp_path: Any
) -> None:
    made = world.sbcs.add("tls.example", https=True)
    error = code_of(lambda: Sbc(line_to(lines, made)).status())
    assert error.code == "sbc_certificate"
    assert error.detail["fingerprint"] == made.fingerprint
    assert made.requests == 0
    Sbc(line_to(lines, made, fingerprint=made.fingerprint)).status()
    assert code_of(Sbc(line_to(lines, made, fingerprint="0" * 64)).status).code == "sbc_certificate"
    bundle = tmp_path / "ca.pem"
    bundle.write_text(made.certificate)
    for name, code in (("tls.example", ""), ("other.example", "sbc_certificate")):
        target = line_to(lines, made, server_name=name).target
        trusting = Line(target, GUARD, ca_bundle=str(bundle))
        lines.append(trusting)
        if code:
            assert code_of(Sbc(trusting).status).code == code
        else:
            Sbc(trusting).status()
    assert made.requests == 2


@pytest.mark.parametrize("address", ["169.254.169.254", "127.0.0.1", "10.1.2.3", "::1", "0.0.0.0"])
def test_closed_addresses_are_not_called(device: Device, address: str) -> None:
    target = Target("x", address, device.port, False, "u", "p")
    with Line(target, Guard(("169.254.0.1/32", "169.254.4.0/24"))) as line:
        assert code_of(lambda: Sbc(line).status()).code == "address_forbidden"
    assert device.requests == 0


# --- OVOC ---------------------------------------------------------------------------------------------------
def test_ovoc_lists_filters_and_details(device: Device, world: Simulator, lines: list[Line]) -> None:
    ovoc = Ovoc(line_to(lines, world.sbcs.ovoc))
    assert ovoc.devices() == []
    world.sbcs.ovoc.put(
        {"name": "one", "ipAddress": "169.254.4.1", "fqdn": "sbc.x.y", "adminState": "LOCKED"}
    )
    world.sbcs.ovoc.put({"ipAddress": "169.254.4.2", "natIpAddress": "1.2.3.4", "httpsEnabled": True})
    one, two = ovoc.devices()
    assert (one.fields["name"], one.fields["admin"], one.https) == ("one", "LOCKED", None)
    assert (two.nat_addresses, two.https) == (("1.2.3.4",), True)
    assert ovoc.devices(field_name="fqdn", value="sbc.x.y") == [one]
    assert ovoc.device(2) == two
    with pytest.raises(UmpError, match="cannot be asked"):
        ovoc.devices(field_name="fqdn", value="x') or (id='1")
    world.sbcs.ovoc.trouble = "html"
    assert code_of(ovoc.devices).code == "bad_reply"


# --- The control API ----------------------------------------------------------------------------------------
def test_devices_are_made_and_changed_over_the_control_api(world: Simulator) -> None:
    world.sbcs.reset()

    def call(method: str, path: str, body: Any = None) -> Any:
        return requests.request(method, f"{world.url}/_sim{path}", json=body, timeout=30)

    made = call("POST", "/sbcs", {"name": "new.example"}).json()
    assert (made["rules"], made["saved"], made["blocked"]) == (0, True, False)
    call("POST", "/sbcs/new.example/rules", {"plan": "CustDialPlan", "count": 2000})
    call("POST", "/sbcs/new.example/alarms", {"alarms": [{"severity": "Critical"}]})
    call("POST", "/sbcs/new.example/account", {"user": "u", "password": "p"})
    assert call("PATCH", "/sbcs/new.example", {"trouble": "invented"}).status_code == 400
    found = call("PATCH", "/sbcs/new.example", {"trouble": "drop"}).json()
    assert (found["rules"], found["user"], found["settings"]["trouble"]) == (2000, "u", "drop")
    assert len(rules.of_device(call("GET", "/sbcs/new.example/ini").json()["running"])) == 2000
    call("POST", "/ovoc/devices", {"name": "x", "ipAddress": "1.1.1.1"})
    assert [each["name"] for each in call("GET", "/ovoc").json()["devices"]] == ["x"]
    assert call("DELETE", "/ovoc/devices/1").json()["devices"] == []
    call("DELETE", "/sbcs/new.example")
    assert call("GET", "/sbcs").json() == {"sbcs": []}
    assert call("GET", "/sbcs/new.example").status_code == 400
    assert "GET /_sim/ovoc" in call("GET", "/").json()["calls"]
