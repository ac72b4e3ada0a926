"""Device codes against the pretend Microsoft 365, with MSAL as it is."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from core.errors import UmpError
from core.http import Outbound
from m365 import identity, identity_device
from m365.clouds import CLOUDS, outbound_config
from m365.identity import ORGANIZATIONS, AppCredential
from m365.identity_delegated import Grant, renew
from simulator import server
from simulator.server import Simulator

GLOBAL = CLOUDS["global"]
SECRET = "a~secret~of~the~app~registration"


@pytest.fixture(scope="module")
def started() -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        yield simulator


@pytest.fixture
def microsoft(started: Simulator) -> Simulator:
    started.state.reset()
    identity.forget_everything()
    return started


class Asking:
    """An app, a tenant, and a person with a browser."""

    def __init__(self, microsoft: Simulator, *, public: bool = True) -> None:
        self.microsoft = microsoft
        app = {
            "client_id": str(uuid.uuid4()),
            "secret": SECRET,
            "public_client": public,
            "multi_tenant": True,
        }
        spec = {"name": "Contoso", "domain": "contoso.example", "users": 3, "app": app}
        self.tenant = microsoft.state.add_tenant(spec)
        self.http = Outbound(outbound_config(microsoft.url))
        self.credential = AppCredential(app["client_id"], secret=SECRET)
        self.admin = str(self.tenant.directory.users.view(0)["userPrincipalName"])

    def ask(self, place: str = "") -> identity_device.Code:
        return identity_device.ask(self.http, GLOBAL, place or self.tenant.id, self.credential)

    def look(self, code: identity_device.Code, place: str = "") -> Grant:
        return identity_device.look(
            self.http, GLOBAL, place or self.tenant.id, self.credential, code.device_code
        )

    def enter(self, code: identity_device.Code, decision: str = "accept") -> requests.Response:
        form = {"code": code.user_code, "account": self.admin, "decision": decision}
        return requests.post(f"{self.microsoft.url}/microsoft.com/devicelogin", form, timeout=10)


@pytest.mark.parametrize("place", ["", ORGANIZATIONS])
def test_a_code_is_asked_for_looked_for_and_renewed(microsoft: Simulator, place: str) -> None:
    asking = Asking(microsoft)
    code = asking.ask(place)
    assert code.page == GLOBAL.device_page
    assert code.device_code not in repr(code)
    with pytest.raises(UmpError) as caught:
        asking.look(code, place)
    assert caught.value.code == "device_pending"
    asking.enter(code)
    grant = asking.look(code, place)
    assert (grant.account, grant.tid) == (asking.admin, asking.tenant.id)
    token, _ = renew(asking.http, GLOBAL, asking.tenant.id, asking.credential, grant.cache, fresh=True)
    assert token.tid == asking.tenant.id, "although the app has a secret, which a public client may not send"
    with pytest.raises(UmpError) as caught:
        asking.look(code, place)
    assert caught.value.code == "signin_restart", "a code works once"


def test_who_declines_and_who_looks_too_often(microsoft: Simulator) -> None:
    asking = Asking(microsoft)
    code, codes = asking.ask(), []
    for _ in range(2):
        with pytest.raises(UmpError) as caught:
            asking.look(code)
        codes.append(caught.value.code)
    asking.enter(code, "decline")
    with pytest.raises(UmpError) as caught:
        asking.look(code)
    assert [*codes, caught.value.code] == ["device_pending", "device_too_fast", "device_declined"]


def test_an_app_that_needs_its_secret_allows_no_codes(microsoft: Simulator) -> None:
    asking = Asking(microsoft, public=False)
    with pytest.raises(UmpError) as caught:
        asking.look(asking.ask())
    assert caught.value.code == "device_not_allowed"
    assert SECRET not in str(caught.value.to_dict())


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"user_code": "ABCD1234"},
        {"user_code": "<script>", "device_code": "x", "verification_uri": GLOBAL.device_page},
        {"user_code": "ABCD1234", "device_code": "x y", "verification_uri": GLOBAL.device_page},
        {
            "user_code": "ABCD1234",
            "device_code": "x",
            "verification_uri": "https://microsoft.com.evil.example/",
        },
        {"user_code": "ABCD1234", "device_code": "x", "verification_uri": "http://microsoft.com/devicelogin"},
    ],
)
def test_nobody_is_sent_to_a_page_that_is_not_microsofts(said: dict[str, Any]) -> None:
    with pytest.raises(UmpError) as caught:
        identity_device._read(said, GLOBAL)
    assert caught.value.code == "bad_reply"


def test_the_pace_is_kept_within_bounds() -> None:
    said = {"user_code": "ABCD1234", "device_code": "x", "verification_uri": GLOBAL.device_page}
    assert [identity_device._read({**said, "interval": value}, GLOBAL).interval for value in (0, 7, "9", 10**6)] == [
        5, 7, 9, 60,
    ]  # fmt: skip
