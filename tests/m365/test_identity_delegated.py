"""Signing in on behalf of a person: the codes, tokens and passwords, with MSAL against the pretend Microsoft."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from core.errors import UmpError
from core.http import Outbound, outbound
from m365 import identity_delegated as delegated
from m365.clouds import CLOUDS, browser_address, outbound_config
from m365.identity import AppCredential
from m365.identity_delegated import Grant, Proof, authorize_url, by_password, redeem, renew
from m365.teams_powershell import SCOPE
from simulator import server
from simulator.server import Simulator
from simulator.tenant import Tenant
from tests.m365.desk import (
    APP,
    GLOBAL,
    OTHER,
    SECRET,
    TENANT,
    jwt,
    metadata,
    metadata_url,
    refused,
    token_url,
)

BACK = "https://portal.example/authenticate/OAuth2Callback"
PERSON = Proof("verifier-of-the-test" * 3, "nonce-of-the-test")


@pytest.fixture(scope="module")
def microsoft() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


@pytest.fixture
def contoso(microsoft: Simulator) -> Tenant:
    microsoft.state.reset()
    spec = {"name": "Contoso", "users": 3, "app": {"redirect_uris": [BACK], "multi_tenant": True}}
    return microsoft.state.add_tenant(spec)


class Desk:
    """The portal's side of one customer's sign-in."""

    def __init__(self, microsoft: Simulator, tenant: Tenant) -> None:
        app = tenant.app()
        self.microsoft, self.tenant = microsoft, tenant
        self.http = Outbound(outbound_config(microsoft.url))
        self.credential = AppCredential(app.client_id, secret=app.secrets[0].value)
        self.admin = str(tenant.directory.users.view(0)["userPrincipalName"])

    def code(self, proof: Proof = PERSON, **decided: str) -> dict[str, str]:
        """What the browser brings back after a person has decided."""
        url = authorize_url(
            GLOBAL, self.tenant.id, self.credential.client_id, redirect_uri=BACK, state="s-1", proof=proof
        )
        form = {"account": self.admin, "decision": "accept", **decided}
        address = browser_address(url, self.microsoft.url)
        back = requests.post(address, form, allow_redirects=False, timeout=20)
        assert back.status_code in {302, 303}, back.text
        return {
            name: values[0] for name, values in parse_qs(urlsplit(back.headers["Location"]).query).items()
        }

    def redeem(self, code: str, proof: Proof = PERSON) -> Grant:
        return redeem(
            self.http, GLOBAL, self.tenant.id, self.credential, code=code, proof=proof, redirect_uri=BACK
        )

    def renew(self, cache: str, *, scope: str = "", fresh: bool = True) -> tuple[Any, str]:
        return renew(
            self.http,
            GLOBAL,
            self.tenant.id,
            self.credential,
            cache,
            account=self.admin,
            scope=scope,
            fresh=fresh,
        )

    def by_password(self, password: str) -> Any:
        return by_password(
            self.http, GLOBAL, self.tenant.id, self.credential, account=self.admin, password=password
        )

    def requests(self) -> int:
        rows = self.microsoft.state.stats.describe(self.tenant.id)["by_route"]
        return sum(int(str(row["requests"])) for row in rows if row["route"] == "login:token")


@pytest.fixture
def desk(microsoft: Simulator, contoso: Tenant) -> Iterator[Desk]:
    desk = Desk(microsoft, contoso)
    yield desk
    desk.http.close()


def refusal(act: Callable[[], object]) -> UmpError:
    with pytest.raises(UmpError) as caught:
        act()
    return caught.value


def refresh_tokens(cache: str) -> list[str]:
    return [row["secret"] for row in json.loads(cache)["RefreshToken"].values()]


def test_a_person_signs_in_and_the_access_lasts(desk: Desk) -> None:
    back = desk.code()
    grant = desk.redeem(back["code"])
    assert back["state"] == "s-1"
    assert grant.account == desk.admin
    assert grant.token.tid == desk.tenant.id
    assert grant.token.upn == desk.admin
    assert {
        "User.Read.All",
        "Directory.AccessAsUser.All",
        "LicenseAssignment.Read.All",
    } <= grant.token.granted
    asked = desk.requests()
    kept, unchanged = desk.renew(grant.cache, fresh=False)
    assert (kept.value, unchanged) == (grant.token.value, grant.cache)
    assert desk.requests() == asked, "a living access token is taken from the cache"
    newer, rotated = desk.renew(grant.cache)
    assert newer.value != grant.token.value
    assert refresh_tokens(rotated) != refresh_tokens(grant.cache)
    assert len(refresh_tokens(rotated)) == 1
    assert desk.renew(grant.cache)[0].value, "the token before is good until its successor was kept"
    assert grant.cache not in repr(grant)
    assert PERSON.verifier not in repr(PERSON)


def test_an_expired_access_token_is_renewed_unasked(desk: Desk) -> None:
    desk.tenant.set({"token_seconds": 200})
    grant = desk.redeem(desk.code()["code"])
    newer, rotated = desk.renew(grant.cache, fresh=False)
    assert newer.value != grant.token.value
    assert rotated != grant.cache


def test_a_grant_also_gives_a_token_for_teams(desk: Desk) -> None:
    grant = desk.redeem(desk.code()["code"])
    teams, cache = desk.renew(grant.cache, scope=SCOPE, fresh=False)
    assert teams.tid == grant.tid
    assert teams.value != grant.token.value
    graph, _ = desk.renew(cache, fresh=False)
    assert graph.value == grant.token.value, "the one for Graph stays beside it"


def test_a_code_works_once_for_its_own_flow_and_for_ten_minutes(desk: Desk) -> None:
    code = desk.code()["code"]
    parallel = desk.code(Proof.new())["code"]
    assert refusal(lambda: desk.redeem(parallel)).code == "signin_restart", "the code of a parallel flow"
    desk.redeem(code)
    assert refusal(lambda: desk.redeem(code)).code == "signin_restart"
    late = desk.code()["code"]
    desk.microsoft.state.offset += 601
    assert refusal(lambda: desk.redeem(late)).code == "signin_expired"


def test_the_code_of_another_nonce_is_refused(desk: Desk) -> None:
    code = desk.code(Proof(PERSON.verifier, "another nonce"))["code"]
    assert refusal(lambda: desk.redeem(code)).code == "signin_restart"


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        ("revoked", "signin_revoked"),
        ("unused", "signin_unused"),
        ("disabled", "account_disabled"),
        ("deleted", "account_unknown"),
        ("mfa", "mfa_required"),
        ("blocked", "conditional_access"),
    ],
)
def test_what_ends_a_stored_sign_in_is_named_and_mended_at_once(desk: Desk, trouble: str, code: str) -> None:
    grant = desk.redeem(desk.code()["code"])
    users, state = desk.tenant.directory.users, desk.microsoft.state
    oid = users.view(0)["id"]
    if trouble == "revoked":
        desk.tenant.people.revoked[oid] = state.now() + 1
    elif trouble == "unused":
        state.offset += 91 * 86_400
    elif trouble == "disabled":
        desk.tenant.directory.change("users", 0, {"accountEnabled": False}, state.now())
    elif trouble == "deleted":
        desk.tenant.directory.remove("users", 0, state.now(), forever=True)
    elif trouble == "mfa":
        desk.tenant.set({"mfa_required": True})
    else:
        desk.tenant.app().blocked = True
    error = refusal(lambda: desk.renew(grant.cache))
    assert error.code == code
    assert refresh_tokens(grant.cache)[0] not in str(error.to_dict())
    if trouble == "blocked":
        desk.tenant.app().blocked = False
        assert desk.renew(grant.cache)[0].value, "no refusal is replayed for a minute (facts 3.4)"


def test_an_empty_or_broken_cache_says_so(desk: Desk) -> None:
    assert refusal(lambda: desk.renew("{}")).code == "signin_expired"
    assert refusal(lambda: desk.renew("no json")).code == "signin_expired"


def test_a_password_gives_a_token_and_each_refusal_its_reason(desk: Desk) -> None:
    desk.code()  # somebody has consented once
    token = desk.by_password("right")
    assert token.upn == desk.admin
    asked = desk.requests()
    assert refusal(lambda: desk.by_password("wrong")).code == "password_wrong"
    assert desk.requests() == asked + 1, "one try, never a second by itself"
    desk.tenant.set({"mfa_required": True})
    assert refusal(lambda: desk.by_password("right")).code == "mfa_required"
    desk.tenant.set({"federated": True})
    asked = desk.requests()
    error = refusal(lambda: desk.by_password("right"))
    assert error.code == "password_missing"
    assert desk.admin in error.message
    assert desk.requests() == asked, "the password goes to nobody else's server"


def answer(tid: str, **more: object) -> dict[str, object]:
    """A token answer about somebody of the tenant `tid`."""
    claims = {
        "tid": tid,
        "aud": APP,
        "preferred_username": "a@b.example",
        "nonce": PERSON.nonce_hash,
        "sub": "s",
    }
    info = jwt(uid="u", utid=tid).split(".")[1]
    return {
        "token_type": "Bearer", "expires_in": 3599, "access_token": jwt(tid=tid, appid=APP, scp="User.Read.All"),
        "refresh_token": "1.AQ-refresh", "id_token": jwt(**claims), "client_info": info, **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (answer(OTHER), "wrong_tenant"),
        (answer(delegated.PERSONAL_TENANT), "account_personal"),
        (answer(TENANT) | {"id_token": jwt(tid=OTHER, nonce=PERSON.nonce_hash)}, "wrong_tenant"),
        (answer(TENANT, access_token="opaque", id_token=None), "wrong_tenant"),
        (answer(TENANT, refresh_token=None), "bad_reply"),
        (answer(TENANT, client_info="%%%"), "bad_reply"),
        (answer(TENANT, id_token="x"), "bad_reply"),
    ],
)
def test_tokens_of_somebody_else_are_refused(
    wire: responses.RequestsMock, body: dict[str, object], code: str
) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), json=body)
    credential = AppCredential(APP, secret=SECRET)
    error = refusal(
        lambda: redeem(outbound(), GLOBAL, TENANT, credential, code="c", proof=PERSON, redirect_uri=BACK)
    )
    assert error.code == code
    assert "eyJ" not in str(error.to_dict())


def test_what_asks_and_what_is_asked_for() -> None:
    url = authorize_url(
        CLOUDS["gcc_high"],
        TENANT,
        APP,
        redirect_uri=BACK,
        state="st",
        proof=PERSON,
        login_hint="it@contoso.example",
    )
    parts, query = urlsplit(url), {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    assert (parts.netloc, parts.path) == ("login.microsoftonline.us", f"/{TENANT}/oauth2/v2.0/authorize")
    assert query["code_challenge_method"] == "S256"
    assert query["login_hint"] == "it@contoso.example"
    assert PERSON.verifier not in url
    assert PERSON.nonce not in url
    asked = query["scope"].split()
    assert "https://graph.microsoft.us/Directory.AccessAsUser.All" in asked
    assert "offline_access" in asked
    assert any(scope.endswith("/user_impersonation") for scope in asked)
    assert refusal(
        lambda: authorize_url(GLOBAL, "a/b", APP, redirect_uri=BACK, state="s", proof=PERSON)
    ).code == ("tenant_unknown")
    assert browser_address(url, "") == url
    assert browser_address(url, "http://127.0.0.1:8400/").startswith(f"http://127.0.0.1:8400/{parts.netloc}/")
    assert browser_address("https://evil.example/x", "http://127.0.0.1:8400") == "https://evil.example/x"


def test_a_refused_code_reaches_the_catalogue(wire: responses.RequestsMock) -> None:
    wire.get(metadata_url(), json=metadata())
    wire.post(token_url(), status=400, json=refused(65001, "invalid_grant"))
    credential = AppCredential(APP, secret=SECRET)
    error = refusal(
        lambda: redeem(outbound(), GLOBAL, TENANT, credential, code="c", proof=PERSON, redirect_uri=BACK)
    )
    assert (error.code, error.detail["microsoft_code"]) == ("consent_missing", "AADSTS65001")
