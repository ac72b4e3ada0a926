"""Signing in as an application: what is sent, what is kept, and what each refusal becomes."""

from __future__ import annotations

import datetime
import logging
import pickle
import threading
import time
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from core.errors import Throttled, UmpError
from core.http import Outbound, outbound
from m365 import identity
from m365.clouds import CLOUDS, HOSTS, cloud_of, outbound_config
from m365.identity import AppCredential, app_token, clean_tenant, discover
from tests.m365.desk import (
    APP,
    GLOBAL,
    OTHER,
    SECRET,
    TENANT,
    granted,
    jwt,
    metadata,
    metadata_url,
    refused,
    token_url,
)

CREDENTIAL = AppCredential(APP, secret=SECRET)


@pytest.fixture
def session() -> Outbound:
    return outbound()


def _urls(wire: responses.RequestsMock) -> list[str]:
    return [str(call.request.url) for call in wire.calls]


def test_a_token_with_a_secret(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted(roles=("User.Read.All", "GroupMember.Read.All")))
    token = app_token(session, GLOBAL, TENANT.upper(), CREDENTIAL)
    assert (token.tid, token.appid) == (TENANT, APP)
    assert token.roles == {"User.Read.All", "GroupMember.Read.All"}
    assert token.expires_at > datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=50)
    assert _urls(wire) == [metadata_url(), token_url()]
    form = parse_qs(str(wire.calls[1].request.body))
    assert form["grant_type"] == ["client_credentials"]
    assert form["scope"] == ["https://graph.microsoft.com/.default"]
    assert (form["client_id"], form["client_secret"]) == ([APP], [SECRET])


def test_a_token_for_another_service_is_another_token(
    wire: responses.RequestsMock, session: Outbound
) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted())
    for scope in ("", "48ac35b8-9aa8-4d74-927d-1f4a14a0b239/.default"):
        for _ in range(2):
            app_token(session, GLOBAL, TENANT, CREDENTIAL, scope=scope)
    asked = [
        parse_qs(str(call.request.body)).get("scope") for call in wire.calls if call.request.method == "POST"
    ]
    assert asked == [
        ["https://graph.microsoft.com/.default"],
        ["48ac35b8-9aa8-4d74-927d-1f4a14a0b239/.default"],
    ]


@pytest.mark.parametrize("key", CLOUDS)
def test_each_cloud_has_its_own_hosts(key: str, wire: responses.RequestsMock, session: Outbound) -> None:
    cloud = CLOUDS[key]
    wire.get(metadata_url(cloud=cloud), json=metadata(cloud=cloud))
    wire.post(token_url(cloud=cloud), json=granted())
    app_token(session, cloud, TENANT, CREDENTIAL)
    assert parse_qs(str(wire.calls[1].request.body))["scope"] == [f"https://{cloud.graph_host}/.default"]
    assert {cloud.authority_host, cloud.graph_host} <= HOSTS


def _pair(name: str = "portal") -> tuple[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(1))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    return pem, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_token_with_a_certificate(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted())
    certificate, key = _pair()
    app_token(session, GLOBAL, TENANT, AppCredential(APP, certificate_pem=certificate, private_key_pem=key))
    form = parse_qs(str(wire.calls[1].request.body))
    assert form["client_assertion_type"] == ["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"]
    assert form["client_assertion"][0].count(".") == 2
    assert "client_secret" not in form


def test_certificates_that_cannot_work_are_not_sent(wire: responses.RequestsMock, session: Outbound) -> None:
    certificate, key = _pair()
    other = _pair()[1]
    locked = rsa.generate_private_key(65537, 2048).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    for bad in [
        (certificate, other),
        ("garbage", key),
        (certificate, "garbage"),
        (certificate, locked.decode()),
    ]:
        with pytest.raises(UmpError) as caught:
            app_token(
                session, GLOBAL, TENANT, AppCredential(APP, certificate_pem=bad[0], private_key_pem=bad[1])
            )
        assert caught.value.code == "certificate_unreadable"
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, AppCredential(APP))
    assert caught.value.code == "secret_required"
    assert not wire.calls


def test_a_token_is_kept_and_a_fresh_one_can_be_had(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted())
    for _ in range(3):
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert len(wire.calls) == 2
    app_token(session, GLOBAL, TENANT, CREDENTIAL, fresh=True)
    assert _urls(wire)[2:] == [metadata_url(), token_url()]


def test_a_token_is_kept_unless_it_was_asked_for_before(
    wire: responses.RequestsMock, session: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is when the asking began: an answer may come long after, and say what was true then."""
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted())
    ask, begun = identity._make_token, []

    def slowly(*given: Any) -> Any:
        begun.append(time.monotonic())
        time.sleep(0.02)
        return ask(*given)

    monkeypatch.setattr(identity, "_make_token", slowly)
    app_token(session, GLOBAL, TENANT, CREDENTIAL)
    app_token(session, GLOBAL, TENANT, CREDENTIAL, since=begun[0] - 0.01)
    assert len(begun) == 1
    between = begun[0] + 0.01
    app_token(session, GLOBAL, TENANT, CREDENTIAL, since=between)
    app_token(session, GLOBAL, TENANT, CREDENTIAL, since=between)
    assert len(begun) == 2
    assert begun[1] > between


def test_another_secret_or_tenant_does_not_get_the_kept_token(
    wire: responses.RequestsMock, session: Outbound
) -> None:
    for tenant in (TENANT, OTHER):
        wire.get(metadata_url(tenant), json=metadata(tenant))
        wire.post(token_url(tenant), json=granted(tenant))
    first = app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert app_token(session, GLOBAL, OTHER, CREDENTIAL).tid == OTHER != first.tid
    app_token(session, GLOBAL, TENANT, AppCredential(APP, secret="another-secret-value"))
    assert len([url for url in _urls(wire) if url.endswith("/token")]) == 3


def test_a_token_about_to_expire_is_not_kept(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted(life="299"))
    for _ in range(2):
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert len(wire.calls) == 3


def test_the_memory_is_bounded_and_forgets_by_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: identity._Kept[int] = identity._Kept(2)
    for number in range(3):
        kept.put((str(number),), number, 10.0)
    assert [kept.get((str(number),)) for number in range(3)] == [None, 1, 2]
    later = time.monotonic() + 11
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert kept.get(("2",)) is None


def test_many_threads_ask_once() -> None:
    kept, made = identity._Kept[int](10), []

    def make() -> tuple[int, float]:
        made.append(1)
        return 1, 10.0

    threads = [
        threading.Thread(target=kept.get_or_make, args=(("k",), make), kwargs={"fresh": False})
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_many_threads_that_want_it_fresh_share_a_new_one() -> None:
    kept, made, gate = identity._Kept[int](10), [], threading.Event()
    kept.put(("k",), 0, 100.0)

    def make() -> tuple[int, float]:
        gate.wait(30)
        made.append(1)
        return len(made), 100.0

    threads = [
        threading.Thread(target=kept.get_or_make, args=(("k",), make), kwargs={"fresh": True})
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert 1 <= len(made) < 8
    assert kept.get_or_make(("k",), make, fresh=False) == len(made)


def test_a_tenant_that_hangs_holds_up_no_other() -> None:
    kept, gate = identity._Kept[int](10), threading.Event()
    thread = threading.Thread(
        target=kept.get_or_make, args=(("a",), lambda: (int(gate.wait(30)), 1.0)), kwargs={"fresh": False}
    )
    thread.start()
    assert [kept.get_or_make((str(n),), lambda: (7, 1.0), fresh=False) for n in range(200)] == [7] * 200
    gate.set()
    thread.join()


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [(7000222, 401, "secret_expired"), (7000215, 401, "secret_wrong"), (700016, 400, "app_not_found"),
     (53003, 400, "conditional_access"), (65001, 400, "consent_missing"), (4711, 400, "signin_refused")],
)  # fmt: skip
def test_refusals_name_app_and_tenant(
    number: int, status: int, code: str, wire: responses.RequestsMock, session: Outbound
) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), status=status, json=refused(number))
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.code == code
    assert APP in caught.value.message
    assert SECRET not in repr(caught.value.to_dict())


def test_a_fixed_secret_works_at_once(wire: responses.RequestsMock, session: Outbound) -> None:
    """MSAL would replay the refusal for a minute (facts 3.4)."""
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), status=400, json=refused(700016))
    wire.post(token_url(), json=granted())
    with pytest.raises(UmpError):
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert app_token(session, GLOBAL, TENANT, CREDENTIAL).tid == TENANT


def test_an_unknown_tenant_is_named(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url("contoso.example"), status=400, json=refused(90002, "invalid_tenant"))
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, "Contoso.Example ", CREDENTIAL)
    assert caught.value.code == "tenant_unknown"
    assert "contoso.example" in caught.value.message


def test_a_tenant_of_another_cloud_is_found_there(wire: responses.RequestsMock, session: Outbound) -> None:
    china = CLOUDS["china"]
    wire.get(metadata_url("contoso.cn"), json=metadata(cloud=china))
    assert discover(session, GLOBAL, "contoso.cn").cloud is china
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, "contoso.cn", CREDENTIAL)
    assert caught.value.code == "wrong_cloud"
    assert china.name in caught.value.message
    assert len(wire.calls) == 1


def test_the_two_government_clouds_are_told_apart() -> None:
    high, dod = CLOUDS["gcc_high"], CLOUDS["dod"]
    document = {"cloud_instance_name": "microsoftonline.us"}
    assert cloud_of({**document, "tenant_region_sub_scope": "DOD"}, high) is dod
    assert cloud_of({**document, "tenant_region_sub_scope": "DODCON"}, dod) is high
    assert cloud_of(document, dod) is dod
    assert (
        cloud_of({"tenant_region_sub_scope": "GCC", "cloud_instance_name": "microsoftonline.com"}, GLOBAL)
        is GLOBAL
    )
    assert cloud_of({}, dod) is dod


def test_a_domain_is_discovered_once(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url("contoso.com"), json=metadata())
    for _ in range(2):
        assert discover(session, GLOBAL, "contoso.com").tenant_id == TENANT
    assert len(wire.calls) == 1


@pytest.mark.parametrize(
    "text", ["", "common", "../x", "a b.c", "x/y.com", "contoso", "{}", "-.com", "ä.com", "a" * 300]
)
def test_what_is_no_tenant_is_not_asked_about(
    text: str, wire: responses.RequestsMock, session: Outbound
) -> None:
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, text, CREDENTIAL)
    assert caught.value.code == "tenant_unknown"
    assert not wire.calls


def test_tenants_are_trimmed() -> None:
    assert clean_tenant(f"  {TENANT.upper()}\n") == TENANT
    assert clean_tenant("Contoso.OnMicrosoft.com") == "contoso.onmicrosoft.com"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (granted(OTHER), "wrong_tenant"),
        ({**granted(), "access_token": ""}, "bad_reply"),
        ({**granted(), "access_token": "two\nlines"}, "bad_reply"),
        ({**granted(), "access_token": None}, "bad_reply"),
        ({**granted(), "expires_in": "soon"}, "bad_reply"),
        ({**granted(), "expires_in": -1}, "bad_reply"),
        ({**granted(), "expires_in": True}, "bad_reply"),
        ([], "bad_reply"),
        ({}, "bad_reply"),
    ],
)
def test_a_success_that_is_none(
    answer: object, code: str, wire: responses.RequestsMock, session: Outbound
) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=answer)
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "told",
    [
        {"token_endpoint": "https://evil.example/t/token"},
        {"token_endpoint": f"http://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"},
        {"token_endpoint": f"https://login.microsoftonline.com@evil.example/{TENANT}/token"},
        {"token_endpoint": f"https://login.microsoftonline.com:8443/{TENANT}/token"},
        {"token_endpoint": "https://login.microsoftonline.com/common/oauth2/v2.0/token"},
        {"token_endpoint": 7},
        {"token_endpoint": "https://[broken/"},
        {"authorization_endpoint": "https://evil.example/x"},
    ],
)
def test_the_secret_goes_to_microsoft_only(
    told: dict[str, object], wire: responses.RequestsMock, session: Outbound
) -> None:
    wire.get(metadata_url(), json=metadata(**told))
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.code == "bad_reply"
    assert len(wire.calls) == 1


def test_metadata_of_another_tenant_is_refused(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), json=metadata(OTHER))
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.code == "wrong_tenant"


@pytest.mark.parametrize(
    ("status", "headers", "body", "code"),
    [
        (503, {"Retry-After": "7"}, "<html>busy</html>", "microsoft_busy"),
        (500, {}, "", "microsoft_busy"),
        (429, {"Retry-After": "7"}, "", "throttled"),
        (302, {"Location": "https://evil.example/"}, "", "redirected"),
        (403, {}, "<html>proxy</html>", "bad_reply"),
        (200, {}, "<html>login to the wifi</html>", "bad_reply"),
        (200, {}, '{"access_token": "eyJ', "bad_reply"),
    ],
)
@pytest.mark.parametrize("where", ["metadata", "token"])
def test_trouble_of_the_service(
    where: str, status: int, headers: dict[str, str], body: str, code: str,
    wire: responses.RequestsMock, session: Outbound, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    if where == "token":
        wire.get(metadata_url(), json=metadata())
        wire.post(token_url(), status=status, headers=headers, body=body)
    else:
        wire.get(metadata_url(), status=status, headers=headers, body=body)
    with caplog.at_level(logging.DEBUG), pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.code == code
    assert caught.value.retry_after == (7.0 if "Retry-After" in headers else None)
    assert body[:10] not in caplog.text or not body


def test_a_lost_line_is_named(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), body=requests.exceptions.ConnectTimeout("slow"))
    with pytest.raises(UmpError) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.code == "unreachable"


def test_nothing_secret_in_repr_log_or_error(
    wire: responses.RequestsMock, session: Outbound, caplog: pytest.LogCaptureFixture
) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=granted())
    certificate, key = _pair()
    with caplog.at_level(logging.DEBUG):
        token = app_token(session, GLOBAL, TENANT, CREDENTIAL)
    written = repr(CREDENTIAL) + repr(AppCredential(APP, certificate_pem=certificate, private_key_pem=key))
    written += repr(token) + str(token) + CREDENTIAL.fingerprint + caplog.text
    for secret in (SECRET, token.value, "PRIVATE KEY", key[60:100]):
        assert secret not in written


def test_an_opaque_token_has_no_claims() -> None:
    for value in ("opaque", "a.b.c", jwt()[:-3], "eyJ." + "x" * 9 + ".s"):
        token = identity.read_token(value, 3600)
        assert (token.tid, token.roles) == ("", frozenset())


def test_the_portals_config_sends_every_known_host_to_the_gateway() -> None:
    config = outbound_config("http://127.0.0.1:9", read=3.0)
    assert config.gateway_hosts == HOSTS
    assert {"login.windows.net", "dod-graph.microsoft.us", "login.chinacloudapi.cn"} <= HOSTS


def test_a_throttled_sign_in_is_throttled(wire: responses.RequestsMock, session: Outbound) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), status=400, json=refused(50196), headers={"Retry-After": "30"})
    with pytest.raises(Throttled) as caught:
        app_token(session, GLOBAL, TENANT, CREDENTIAL)
    assert caught.value.retry_after == 30.0
    assert pickle.loads(pickle.dumps(caught.value)).code == "token_loop"
