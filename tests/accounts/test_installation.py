"""Settings that people change: checked, audited, in force without a restart."""

from collections.abc import Iterator

import pytest

from accounts import installation
from accounts.addresses import allowed
from audit.models import Entry
from core.errors import InvalidInput
from tenants import scope
from tenants.abilities import Role
from tenants.access import Actor
from ump_portal.addresses import client_address

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    installation.forget()
    yield
    installation.forget()


def pia(address: str | None = "10.1.2.3") -> Actor:
    return Actor(kind="person", id="p", label="Pia", provider_role=Role.PROVIDER_ADMIN, address=address)


def test_a_stored_value_wins_and_is_audited() -> None:
    assert installation.get("quick_replication_cycle_delay") == 300
    installation.change(pia(), "quick_replication_cycle_delay", "60")
    assert installation.get("quick_replication_cycle_delay") == 60
    with scope.every("the provider's own trail"):
        entry = Entry.objects.get(action="setting.changed")
    assert entry.changes == {"QuickReplicationCycleDelay": [300, 60]}


def test_nobody_locks_himself_out() -> None:
    with pytest.raises(InvalidInput, match=r"10\.1\.2\.3"):
        installation.change(pia(), "api_allowed_ips", ["192.0.2.0/24"])
    installation.change(pia(), "api_allowed_ips", ["192.0.2.0/24", "10.0.0.0/8"])
    assert installation.get("api_allowed_ips") == ["192.0.2.0/24", "10.0.0.0/8"]


@pytest.mark.parametrize("value", [[], [""], ["10.1.2.3/33"], ["example.com"], ["10.1.2.3"] * 201])
def test_a_list_that_cannot_be_meant_is_refused(value: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        installation.change(pia(), "api_allowed_ips", value)
    assert caught.value.field == "api_allowed_ips"


@pytest.mark.parametrize("value", ["", "soon", -1, 86_401, None])
def test_a_delay_that_cannot_be_meant_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput):
        installation.change(pia(), "quick_replication_cycle_delay", value)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(InvalidInput):
        installation.change(pia(), "secret_key", "x")


@pytest.mark.parametrize(
    ("peer", "forwarded", "hops", "seen"),
    [
        ("192.0.2.9", "10.0.0.1", 1, "192.0.2.9"),  # not a proxy of ours: what it says is not believed
        ("127.0.0.1", "10.0.0.1", 1, "10.0.0.1"),
        ("127.0.0.1", "6.6.6.6, 10.0.0.1", 1, "10.0.0.1"),
        ("127.0.0.1", "6.6.6.6, 10.0.0.1, 10.9.9.9", 2, "10.0.0.1"),
        ("127.0.0.1", "10.0.0.1, 6.6.6.6", 2, None),  # came past the outer proxy, and wrote the rest himself
        ("127.0.0.1", "10.0.0.1, a", 2, None),
        ("127.0.0.1", "10.0.0.1", 2, None),
        ("127.0.0.1", None, 1, None),
        ("127.0.0.1", "", 1, None),
        ("127.0.0.1", "a", 1, None),
        ("127.0.0.1", "for=10.0.0.1", 1, None),
        ("127.0.0.1", "fe80::1%eth0", 1, "fe80::1%eth0"),
        ("127.0.0.1", ",".join(["10.0.0.1"] * 100), 1, None),
        ("127.0.0.1", "10.0.0.1", 0, None),
        ("garbage", "10.0.0.1", 1, None),
        ("::ffff:192.0.2.9", None, 1, "192.0.2.9"),
    ],
)
def test_the_address_is_the_true_one_or_none(
    peer: str, forwarded: str | None, hops: int, seen: str | None
) -> None:
    import ipaddress

    proxies = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("10.9.9.9")]
    assert client_address(peer, forwarded, proxies, hops) == seen


def test_no_address_is_allowed_nothing() -> None:
    assert not allowed(None, ["0.0.0.0/0", "::/0"])
    assert not allowed("10.1.2.3", ["broken", ""])
    assert allowed("10.1.2.3", ["broken", "10.1.0.0/16"])
