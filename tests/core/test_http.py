"""The line to the outside: its limits, the gateway, and what it forgets."""

from __future__ import annotations

import datetime
import gzip
import http.client
import ipaddress
import os
import socket
import ssl
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from core.errors import UmpError
from core.http import NEVER_SENT, Outbound, OutboundConfig, _clock, outbound, session_of_thread
from tests.core.wire import reply, serving

BROKEN_GZIP = reply(b"not gzip", headers="Content-Encoding: gzip\r\n")
KNOWN = frozenset({"graph.microsoft.com", "login.microsoftonline.com"})


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [key for key in os.environ if key.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def test_it_reads_the_whole_body() -> None:
    with serving(reply(b'{"a": "\xc3\xa4"}')) as wire, outbound() as session:
        response = session.get(wire.url + "/x")
        assert (response.status_code, response.json(), response.text) == (200, {"a": "ä"}, '{"a": "ä"}')
        assert b"User-Agent: UMP-Portal/1" in wire.heads[0]


def test_a_dripping_body_ends_with_the_deadline() -> None:
    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not wire.stop.wait(0.02):
            connection.sendall(b"x")

    with serving(drip) as wire, outbound() as session:
        begun = time.monotonic()
        with pytest.raises(UmpError) as caught:
            session.get(wire.url, deadline=0.3)
        wire.stop.set()
    assert caught.value.code == "deadline"
    assert time.monotonic() - begun < 30  # it would drip for half an hour


def test_dripping_headers_end_with_the_deadline() -> None:
    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-A: ")
        while not wire.stop.wait(0.02):
            connection.sendall(b"x")

    with serving(drip) as wire, outbound() as session:
        with pytest.raises(UmpError) as caught:
            session.get(wire.url, deadline=0.3)
        wire.stop.set()
    assert caught.value.code == "deadline"


def test_a_silent_server_ends_with_the_read_limit() -> None:
    def silence(_connection: socket.socket, _request: bytes) -> None:
        wire.stop.wait(30)

    with serving(silence) as wire, outbound(read=0.1) as session:
        with pytest.raises(UmpError) as caught:
            session.get(wire.url)
        wire.stop.set()
    assert caught.value.code == "deadline"


def test_calls_inside_within_share_its_time() -> None:
    with (
        serving(reply()) as wire,
        outbound() as session,
        session.within(0.0),
        pytest.raises(UmpError) as caught,
    ):
        session.get(wire.url)
    assert caught.value.code == "deadline"
    assert wire.heads == []


def test_a_body_over_the_cap_is_refused_also_when_compressed() -> None:
    bomb = gzip.compress(b"\0" * 8_000_000)
    with (
        serving(reply(bomb, headers="Content-Encoding: gzip\r\n")) as wire,
        outbound(max_body=1_000_000) as session,
        pytest.raises(UmpError) as caught,
    ):
        session.get(wire.url)
    assert caught.value.code == "reply_too_large"


def test_a_truncated_body_is_a_lost_connection() -> None:
    def cut(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"value": [')
        connection.close()

    with serving(cut) as wire, outbound() as session, pytest.raises(UmpError) as caught:
        session.get(wire.url)
    assert caught.value.code == "connection_lost"


def test_broken_compression_is_a_bad_reply() -> None:
    with serving(BROKEN_GZIP) as wire, outbound() as session, pytest.raises(UmpError) as caught:
        session.get(wire.url)
    assert caught.value.code == "bad_reply"


def test_a_closed_port_is_unreachable_and_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with outbound() as session, pytest.raises(UmpError) as caught:
        session.get(f"http://127.0.0.1:{port}/")
    assert caught.value.code == "unreachable"
    assert caught.value.code in NEVER_SENT


def test_a_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_args: object, **_kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with outbound() as session, pytest.raises(UmpError) as caught:
        session.get("https://nowhere.example/")
    assert caught.value.code == "name_not_resolved"
    assert "nowhere.example" in caught.value.message


def _own_certificate(folder: Path) -> tuple[ssl.SSLContext, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(1)).not_valid_after(
        now + datetime.timedelta(1)
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem, key_pem = folder / "own.pem", folder / "own.key"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key_pem)
    return context, str(pem)


def test_a_certificate_must_be_trusted_and_a_bundle_makes_it_so(tmp_path: Path) -> None:
    context, bundle = _own_certificate(tmp_path)
    with serving(reply(), tls=context) as wire:
        url = f"https://127.0.0.1:{wire.port}/"
        with outbound() as session, pytest.raises(UmpError) as caught:
            session.get(url)
        with outbound(ca_bundle=bundle) as session:
            assert session.get(url).status_code == 200
    assert caught.value.code == "tls_failed"
    assert len(wire.heads) == 1


def test_a_gateway_over_tls_keeps_the_host(tmp_path: Path) -> None:
    context, bundle = _own_certificate(tmp_path)
    with serving(reply(), tls=context) as wire:
        gateway = f"https://127.0.0.1:{wire.port}"
        with outbound(gateway, bundle, gateway_hosts=KNOWN) as session:
            assert session.get("https://login.microsoftonline.com/x").status_code == 200
    assert b"Host: login.microsoftonline.com" in wire.heads[0]


def test_a_dripping_body_over_tls_ends_with_the_deadline(tmp_path: Path) -> None:
    context, bundle = _own_certificate(tmp_path)

    def drip(connection: socket.socket, _request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not wire.stop.wait(0.02):
            connection.sendall(b"x")

    with serving(drip, tls=context) as wire, outbound(ca_bundle=bundle) as session:
        with pytest.raises(UmpError) as caught:
            session.get(f"https://127.0.0.1:{wire.port}/", deadline=0.3)
        wire.stop.set()
    assert caught.value.code == "deadline"


@pytest.mark.parametrize("location", ["http://127.0.0.1:1/other", "http://[broken", "//x" * 30])
def test_redirects_are_returned_and_not_followed(location: str) -> None:
    with serving(reply(b"", "302 Found", f"Location: {location}\r\n")) as wire, outbound() as session:
        assert session.get(wire.url).status_code == 302
        assert len(wire.heads) == 1


def test_cookies_are_forgotten_and_netrc_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login u password p\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with serving(reply(headers="Set-Cookie: tenant=A\r\n")) as wire, outbound() as session:
        for _ in range(2):
            session.get(wire.url, headers={"Authorization": "Bearer abc"})
    assert b"Cookie" not in wire.heads[1]
    assert b"Authorization: Bearer abc" in wire.heads[1]


def test_the_gateway_gets_the_request_with_its_host_unchanged() -> None:
    with serving(reply(b"{}")) as wire, outbound(wire.url + "/ms", gateway_hosts=KNOWN) as session:
        response = session.get("https://graph.microsoft.com/v1.0/users?$top=5", headers={"X-A": "b"})
        head = wire.heads[0]
    assert head.startswith(b"GET /ms/v1.0/users?$top=5 HTTP/1.1\r\n")
    assert b"\r\nHost: graph.microsoft.com\r\n" in head
    assert head.lower().count(b"\r\nhost:") == 1
    assert response.url == "https://graph.microsoft.com/v1.0/users?$top=5"


def test_the_gateway_is_only_for_known_hosts() -> None:
    with serving(reply()) as wire, outbound(wire.url, gateway_hosts=KNOWN) as session:
        for url in ("https://graph.microsoft.com@127.0.0.1:9/", "https://graph.microsoft.com.127.0.0.1:9/"):
            with pytest.raises(UmpError):
                session.get(url, deadline=2)
    assert wire.heads == []


def test_the_gateway_ignores_a_proxy_that_is_not_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving(reply()) as wire, outbound(wire.url, gateway_hosts=KNOWN) as session:
        assert session.get("https://graph.microsoft.com/v1.0/organization").status_code == 200
        with pytest.raises(UmpError) as caught:
            session.get("https://elsewhere.example/")
    assert caught.value.code == "proxy_failed"


def test_the_gateway_must_be_a_web_address() -> None:
    with pytest.raises(ValueError, match="http"):
        outbound("ftp://somewhere")


def test_the_callers_ca_bundle_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "environment.pem"))
    seen: list[object] = []

    def remember(_self: object, _request: object, **kwargs: object) -> None:
        seen.append(kwargs["verify"])
        raise ssl.SSLError("stop here")

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", remember)
    for bundle in ("/our.pem", None):
        with outbound(ca_bundle=bundle) as session, pytest.raises(UmpError):
            session.get("https://somewhere.example/")
    assert seen == ["/our.pem", str(tmp_path / "environment.pem")]


@pytest.mark.parametrize(
    "url", ["http://[broken/", "http://h:port/", "nonsense", "ftp://h/", "http://" + "a" * 70 + "/"]
)
def test_what_is_no_web_address_is_named(url: str) -> None:
    with outbound() as session, pytest.raises(UmpError) as caught:
        session.get(url, deadline=2)
    assert caught.value.code in {"internal", "name_not_resolved"}


def test_what_is_late_leaves_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was frozen before the first byte, or between head and body, lets the whole request be."""
    bodies, late = list[bytes](), time.monotonic() - 0.001

    def answer(connection: socket.socket, request: bytes) -> None:
        bodies.append(request.partition(b"\r\n\r\n")[2] or connection.recv(65536))
        reply()(connection, b"")

    sends = http.client.HTTPConnection.send

    def send_and_sleep(self: http.client.HTTPConnection, data: bytes) -> None:
        sends(self, data)
        monkeypatch.setattr(_clock, "sent_by", late)

    with serving(answer) as wire, outbound() as session:
        with pytest.raises(UmpError) as caught:
            session.post(wire.url, data=b"whole", sent_by=late)
        assert (caught.value.code, wire.heads) == ("interrupted", [])
        assert session.post(wire.url, data=b"whole", sent_by=time.monotonic() + 60).ok
        assert session.post(wire.url, data=b"whole").ok, "the next one knows nothing of it"
        monkeypatch.setattr(http.client.HTTPConnection, "send", send_and_sleep)
        with pytest.raises(UmpError) as caught:
            session.post(wire.url, data=b"whole", sent_by=time.monotonic() + 60)
        assert caught.value.code == "interrupted"
    assert bodies.count(b"whole") == 2, "of the last one the head alone, and the line's end"


def test_another_thread_may_not_use_it() -> None:
    session, problems = outbound(), []

    def use() -> None:
        try:
            session.get("http://127.0.0.1:9/")
        except RuntimeError as error:
            problems.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert problems == ["an outbound session belongs to the thread that made it"]


def test_each_thread_keeps_one_session_of_its_own() -> None:
    config, others = OutboundConfig(), list[Outbound]()
    mine = session_of_thread(config)
    thread = threading.Thread(target=lambda: others.append(session_of_thread(config)))
    thread.start()
    thread.join()
    assert session_of_thread(OutboundConfig()) is mine
    assert others[0] is not mine


def test_a_forked_process_gets_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    before = session_of_thread(OutboundConfig())
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert session_of_thread(OutboundConfig()) is not before
