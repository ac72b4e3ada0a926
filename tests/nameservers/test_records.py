"""TXT records over a real line: updates signed with a key, and queries, against a name server that answers."""

import dataclasses
import socket
import time
from typing import Any

import dns.query
import dns.resolver
import pytest

from core.errors import InvalidInput, UmpError
from core.guard import Guard
from nameservers import records, zones
from nameservers.zones import Key, Server, Zone, check_secret, parse_server
from simulator.nameserver import ZONE, NameServer
from tests.nameservers.conftest import LOCAL

NAME = f"contoso.{ZONE}"


def test_a_record_is_written_seen_and_taken_away(zone: Zone) -> None:
    records.add_text(zone, NAME, "MS=ms1")
    records.add_text(zone, NAME, "MS=ms1")
    records.add_text(zone, NAME, "v=other")
    found = records.look(NAME, [zone.server], LOCAL)
    assert {name: set(texts) for name, texts in found.answers.items()} == {
        str(zone.server): {"MS=ms1", "v=other"}
    }
    assert (found.having("MS=ms1"), found.having("MS=ms2")) == (1, 0)
    records.remove_text(zone, NAME, "MS=ms1")
    records.remove_text(zone, NAME, "MS=ms1")
    assert records.texts_at(zone.server, NAME, LOCAL) == ("v=other",), "what others wrote stays"


def test_a_name_that_is_not_there_has_no_texts(zone: Zone) -> None:
    assert records.texts_at(zone.server, NAME, LOCAL) == ()


def changed(zone: Zone, **values: Any) -> Zone:
    return dataclasses.replace(zone, key=dataclasses.replace(zone.key, **values))


def test_another_key_is_told_from_a_refusal(zone: Zone, dns_server: NameServer) -> None:
    other = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
    for wrong in (
        changed(zone, name="somebody"),
        changed(zone, secret=other),
        changed(zone, algorithm="hmac-sha512"),
    ):
        with pytest.raises(UmpError) as raised:
            records.add_text(wrong, NAME, "MS=ms1")
        assert raised.value.code == "dns_key_refused"
        assert other not in str(raised.value.to_dict())
    dns_server.set({"trouble": "refuse"})
    with pytest.raises(UmpError) as raised:
        records.add_text(zone, NAME, "MS=ms1")
    assert raised.value.code == "dns_refused"
    assert dns_server.describe()["records"] == {}


@pytest.mark.parametrize(
    ("name", "zone_name"),
    [("contoso.example", ZONE), (NAME, "provider.example")],
    ids=["not zone", "not auth"],
)
def test_outside_the_zone(zone: Zone, name: str, zone_name: str) -> None:
    with pytest.raises(UmpError) as raised:
        records.add_text(dataclasses.replace(zone, name=zone_name), name, "MS=ms1")
    assert raised.value.code == "dns_refused"


@pytest.mark.parametrize(
    ("trouble", "code"), [("servfail", "dns_silent"), ("silent", "dns_silent"), ("unsigned", "dns_bad_reply")]
)
def test_trouble_that_passes(
    zone: Zone, dns_server: NameServer, monkeypatch: pytest.MonkeyPatch, trouble: str, code: str
) -> None:
    monkeypatch.setattr(records, "DEADLINE", 0.3)
    dns_server.set({"trouble": trouble})
    with pytest.raises(UmpError) as raised:
        records.add_text(zone, NAME, "MS=ms1")
    assert (raised.value.code, raised.value.remedy) == (code, "later")


def test_nobody_listens(zone: Zone) -> None:
    closed = Server("127.0.0.1", 9)
    with pytest.raises(UmpError) as raised:
        records.add_text(dataclasses.replace(zone, server=closed), NAME, "MS=ms1")
    assert raised.value.code == "dns_silent"


def test_what_is_late_leaves_no_more(
    zone: Zone, dns_server: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever was frozen while the server's name was looked up, or while it was called, lets the update be."""
    records.add_text(zone, NAME, "MS=ms1", sent_by=time.monotonic() + 60)
    late = time.monotonic() - 0.001
    for write, text in ((records.add_text, "MS=ms2"), (records.remove_text, "MS=ms1")):
        with pytest.raises(UmpError) as raised:
            write(zone, NAME, text, sent_by=late)
        assert raised.value.code == "interrupted"
    assert dns_server.describe()["records"] == {NAME: ["MS=ms1"]}
    calls = socket.create_connection

    def slowly(*where: Any, **how: Any) -> socket.socket:
        time.sleep(0.06)
        return calls(*where, **how)

    monkeypatch.setattr(socket, "create_connection", slowly)
    with pytest.raises(UmpError) as raised:
        records.add_text(zone, NAME, "MS=ms2", sent_by=time.monotonic() + 0.05)
    assert raised.value.code == "interrupted"


def test_one_silent_server_among_two_is_told(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "DEADLINE", 0.3)
    records.add_text(zone, NAME, "MS=ms1")
    found = records.look(NAME, [zone.server, Server("127.0.0.1", 9)], LOCAL)
    assert (found.having("MS=ms1"), found.silent) == (1, ("127.0.0.1:9",))
    with pytest.raises(UmpError, match="does not answer"):
        records.look(NAME, [Server("127.0.0.1", 9)], LOCAL)


def test_garbage_is_no_answer(zone: Zone, dns_server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "DEADLINE", 0.5)
    monkeypatch.setattr(dns_server, "answer", lambda wire: wire[:2] + b"\xff" * 40)
    with pytest.raises(UmpError) as raised:
        records.texts_at(zone.server, NAME, LOCAL)
    assert raised.value.code in {"dns_bad_reply", "dns_silent"}


def test_the_guard_comes_first(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("somebody was called"))
    monkeypatch.setattr(dns.query, "tcp", lambda *_, **__: pytest.fail("something was sent"))
    for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254"):
        with pytest.raises(UmpError) as raised:
            records.add_text(dataclasses.replace(zone, server=Server(address), guard=Guard()), NAME, "MS=ms1")
        assert raised.value.code == "address_forbidden"


def test_the_key_shows_itself_nowhere(zone: Zone) -> None:
    assert zone.key.secret not in repr(zone)


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("ns1.Example.com", Server("ns1.example.com")),
        ("ns1.example.com.:5353", Server("ns1.example.com", 5353)),
        ("192.0.2.1:53", Server("192.0.2.1")),
        ("2001:db8::53", Server("2001:db8::53")),
        ("[2001:db8::53]:5353", Server("2001:db8::53", 5353)),
    ],
)
def test_servers_as_people_write_them(text: str, server: Server) -> None:
    assert parse_server(text, field="server") == server
    assert parse_server(str(server), field="server") == server


@pytest.mark.parametrize(
    "text", ["", " ", "a b", "ns:0", "ns:65536", "ns:x", "https://ns", "user@ns", "a" * 254]
)
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse_server(text, field="server")


@pytest.mark.parametrize("text", ["", "secret!", "c2hvcnQ=", "eA==" * 3, "eHh4" * 64])
def test_what_is_no_key(text: str) -> None:
    with pytest.raises(InvalidInput):
        check_secret(text, field="secret")


def test_keys_of_every_algorithm_can_be_made() -> None:
    for algorithm in zones.ALGORITHMS:
        assert records._update(
            Zone(ZONE, Server("ns"), Key("k", algorithm, "eHh4eHh4eHh4eHh4eHh4eA=="), LOCAL)
        ).keyring


def test_who_serves_a_name_is_found(dns_server: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def resolver() -> dns.resolver.Resolver:
        made = _real(configure=False)
        made.nameservers = [dns_server.host]
        made.port = dns_server.port
        return made

    _real = dns.resolver.Resolver
    monkeypatch.setattr(dns.resolver, "Resolver", resolver)
    assert records.serving(NAME) == [Server(f"ns.{ZONE}")]
    dns_server.set({"trouble": "servfail"})
    with pytest.raises(UmpError) as raised:
        records.serving(NAME)
    assert raised.value.code == "dns_zone_unknown"
