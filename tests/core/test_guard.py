"""Where the portal may call when a person names the host: the internet, by the address that was checked."""

import socket
from typing import Any

import pytest

from core.errors import UmpError
from core.guard import Guard
from core.http import Outbound, OutboundConfig
from tests.core.wire import reply, serving


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("127.0.0.1", False),
        ("0.0.0.0", False),
        ("::", False),
        ("::1", False),
        ("fd12::1", False),
        ("fe80::1%eth0", False),
        ("224.0.0.1", False),
        ("169.254.169.254", False),
        ("168.63.129.16", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:169.254.169.254", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("169.254.0.1", True),
        ("hooks.example", False),
        ("", False),
    ],
)
def test_the_internet_and_what_is_allowed_by_hand(address: str, allowed: bool) -> None:
    assert Guard(("169.254.0.0/16",)).allows(address) is allowed


def test_loopback_is_for_demonstrations() -> None:
    assert Guard(loopback=True).allows("127.0.0.1")
    assert not Guard(("127.0.0.0/8",)).allows("127.0.0.1"), "no list opens this machine"


def named(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[object]:
    """Each look-up of hooks.example brings the next answer; everything that was looked up."""
    real, asked, left = socket.getaddrinfo, [], list(answers)

    def look_up(host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        if host != "hooks.example":
            return real(host, port, *args, **kwargs)
        found = left.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_a_name_is_looked_up_once_and_called_at_that_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(reply()) as server:
        asked = named(monkeypatch, ["127.0.0.1"], ["10.0.0.1"])
        outbound = Outbound(OutboundConfig(guard=Guard(loopback=True), connect=2, total=5))
        answer = outbound.get(f"http://hooks.example:{server.port}/")
    assert answer.status_code == 200
    assert asked.count("hooks.example") == 1, "a second look-up could bring another address"


@pytest.mark.parametrize("addresses", [["10.0.0.1"], ["93.184.216.34", "10.0.0.1"], []])
def test_a_name_with_any_address_inside_is_not_called(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str]
) -> None:
    named(monkeypatch, addresses)
    with pytest.raises(UmpError) as caught:
        Outbound(OutboundConfig(guard=Guard(), connect=2, total=5)).get("http://hooks.example/")
    assert caught.value.code == "address_forbidden"


def test_without_a_guard_nothing_changes() -> None:
    with serving(reply()) as server:
        assert Outbound(OutboundConfig()).get(f"http://127.0.0.1:{server.port}/").status_code == 200
