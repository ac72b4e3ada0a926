"""Microsoft's sign-in, whatever it answers: metadata, tokens of applications and of people, device codes."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.http import Outbound, OutboundConfig
from m365 import identity, identity_delegated, identity_device
from m365.identity import AppCredential
from m365.identity_delegated import ORGANIZATIONS, Proof
from tests.hostile.judge import judged
from tests.hostile.mutations import answers, bodies, documents, jwt, share
from tests.hostile.wire import FarEnd, far_end, reply
from tests.m365.desk import APP, GLOBAL, OTHER, SECRET, TENANT, metadata, refused

GATEWAY = "gateway.example"
PASSWORD = "a-persons-password"
DEVICE_CODE = "device-code-of-ours"
PERSON = Proof("verifier-of-the-test" * 3, "nonce-of-the-test")
WHO = base64.urlsafe_b64encode(json.dumps({"uid": "u", "utid": TENANT}).encode()).decode()
CLAIMS = {"tid": TENANT, "appid": APP, "oid": OTHER, "upn": "a@example.com", "roles": ["User.Read.All"],
          "wids": ["w-1"], "scp": "User.Read openid"}  # fmt: skip
IDENTITY = {
    "aud": APP, "iss": f"https://{GLOBAL.authority_host}/{TENANT}/v2.0", "exp": int(time.time()) + 10**7, "iat": 1,
    "nonce": PERSON.nonce_hash, "tid": TENANT, "oid": OTHER, "preferred_username": "a@example.com", "sub": "s",
}  # fmt: skip
REALM = {
    "account_type": "Managed",
    "domain_name": "example.com",
    "cloud_instance_name": "microsoftonline.com",
}
CODE = {"user_code": "ABCD-EFGH", "device_code": DEVICE_CODE, "verification_uri": "https://microsoft.com/devicelogin",
        "expires_in": 900, "interval": 5, "message": "Words."}  # fmt: skip
REFUSALS = [refused(7000222), refused(50076, "interaction_required", claims='{"x": 1}', suberror="basic_action"),
            refused(700016), refused(70016, "authorization_pending"), refused(50173, "invalid_grant")]  # fmt: skip


@st.composite
def tokens(draw: st.DrawFn) -> bytes:
    """A token answer whose tokens are themselves broken now and then."""

    def token(claims: dict[str, Any]) -> str:
        return jwt(draw(bodies([claims])) if draw(st.booleans()) else json.dumps(claims).encode())

    good = {
        "token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "scope": "User.Read",
        "access_token": token(CLAIMS), "id_token": token(IDENTITY), "refresh_token": "refresh-token",
        "client_info": WHO,
    }  # fmt: skip
    if draw(st.booleans()):
        return reply(json.dumps(draw(documents([good]))).encode())
    return draw(answers([good, good, *REFUSALS]))


Sign = Callable[[Outbound, AppCredential], Any]
READERS: dict[str, Sign] = {
    "application": lambda http, credential: identity.app_token(http, GLOBAL, TENANT, credential),
    "code": lambda http, credential: identity_delegated.redeem(
        http, GLOBAL, TENANT, credential, code="c", proof=PERSON, redirect_uri="https://portal.example/back"
    ),
    "code of anybody": lambda http, credential: identity_delegated.redeem(
        http,
        GLOBAL,
        ORGANIZATIONS,
        credential,
        code="c",
        proof=PERSON,
        redirect_uri="https://portal.example/back",
    ),
    "password": lambda http, credential: identity_delegated.by_password(
        http, GLOBAL, TENANT, credential, account="a@example.com", password=PASSWORD
    ),
    "device": lambda http, credential: identity_device.look(http, GLOBAL, TENANT, credential, DEVICE_CODE),
    "device code": lambda http, credential: identity_device.ask(http, GLOBAL, TENANT, credential),
    "renewal": lambda http, credential: identity_delegated.renew(
        http, GLOBAL, TENANT, credential, kept(), account="a@example.com", fresh=True
    ),
}


def kept() -> str:
    """MSAL's cache after a sign-in."""
    account = {"home_account_id": f"u.{TENANT}", "environment": GLOBAL.authority_host, "realm": TENANT}
    return json.dumps(
        {
            "Account": {
                "a": {**account, "local_account_id": OTHER, "username": "a", "authority_type": "MSSTS"}
            },
            "RefreshToken": {
                "r": {
                    **account,
                    "credential_type": "RefreshToken",
                    "client_id": APP,
                    "secret": "kept-refresh-token",
                    "target": f"{GLOBAL.graph_root}/User.Read openid",
                }
            },
        }
    )


@pytest.fixture(scope="module")
def far() -> Iterator[FarEnd]:
    with far_end() as far:
        yield far
        assert far.called <= {GATEWAY}
        assert far.hosts <= {GLOBAL.authority_host}


@pytest.mark.parametrize("what", sorted(READERS))
@share(20 / len(READERS))
@given(data=st.data())
def test_whatever_the_sign_in_answers(far: FarEnd, what: str, data: st.DataObject) -> None:
    identity.forget_everything()
    good = reply(json.dumps(metadata()).encode())
    found = (
        good
        if data.draw(st.integers(0, 3))
        else data.draw(answers([metadata(), metadata(OTHER), refused(90002)]))
    )
    realm = data.draw(answers([REALM, {**REALM, "account_type": "Federated"}])) if what == "password" else b""
    told = data.draw(answers([CODE, CODE, *REFUSALS]) if what == "device code" else tokens())

    def answer(request: bytes) -> list[bytes]:
        path = request.split(b" ", 2)[1]
        return [found if b"openid-configuration" in path else realm if b"/userrealm/" in path else told]

    far.answer, far.requests = answer, 0
    config = OutboundConfig(f"http://{GATEWAY}", frozenset({GLOBAL.authority_host, GLOBAL.graph_host}))
    with Outbound(config) as http:
        secrets = (SECRET, PASSWORD, DEVICE_CODE, "kept-refresh-token")
        judged(lambda: READERS[what](http, AppCredential(APP, secret=SECRET)), *secrets)
    assert far.requests <= 6
