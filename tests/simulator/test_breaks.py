"""Every way of being broken has its number, is undone by healing, and leaves the neighbours alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import requests

from simulator.breaks import WAYS
from tests.simulator.client import LOGIN, Gateway, Visitor
from tests.simulator.test_access import roles

Visit = Callable[..., Visitor]
APP_WAYS = [name for name, way in WAYS.items() if way.side == "app"]
USER_WAYS = [name for name, way in WAYS.items() if way.side == "user"]


def _refresh(visitor: Visitor, token: str) -> requests.Response:
    return visitor.ask_token(grant_type="refresh_token", refresh_token=token, scope="User.Read.All")


def _sign_in(visitor: Visitor) -> str:
    return str(visitor.inside("POST", "/sign-in", {})["refresh_token"])


def test_there_are_twelve_ways_for_apps_and_six_for_people() -> None:
    assert (len(APP_WAYS), len(USER_WAYS)) == (12, 6)


@pytest.mark.parametrize("way", APP_WAYS)
def test_an_app_is_broken_with_its_number_and_healed(contoso: Visitor, visit: Visit, way: str) -> None:
    neighbour = visit(name="Fabrikam", users=2)
    before = roles(contoso)
    state = contoso.inside("POST", "/break", {"break": way})
    answer = contoso.ask_token()

    assert state["broken"] == [way]
    assert answer.status_code == WAYS[way].status
    if WAYS[way].code is not None:
        assert answer.json()["error_codes"] == [WAYS[way].code]
    else:
        assert before - roles(contoso) == (before if way == "consent_withdrawn" else {sorted_last(contoso)})
    assert neighbour.ask_token().status_code == 200
    healed = contoso.inside("POST", "/heal")
    assert (healed["state"], healed["broken"]) == ("healthy", [])
    assert roles(contoso) == before


def sorted_last(visitor: Visitor) -> str:
    """The permission that is taken when none is named: the one that was granted last."""
    return str(visitor.tenant["apps"][0]["roles"][-1])


@pytest.mark.parametrize("way", USER_WAYS)
def test_a_persons_sign_in_is_broken_with_its_number_and_healed(contoso: Visitor, way: str) -> None:
    token = _sign_in(contoso)
    good = _refresh(contoso, token)
    contoso.inside("POST", "/break", {"break": way})
    answer = _refresh(contoso, token)
    app_only = contoso.ask_token()
    contoso.inside("POST", "/heal")

    assert good.status_code == 200
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")
    assert answer.json()["error_codes"] == [WAYS[way].code]
    assert app_only.status_code == 200
    assert _refresh(contoso, token).status_code == 200


def test_signing_in_again_mends_what_ended_a_sign_in(contoso: Visitor) -> None:
    for way in ("sign_in_revoked", "sign_in_unused", "mfa_required"):
        old = _sign_in(contoso)
        contoso.inside("POST", "/break", {"break": way})

        assert _refresh(contoso, old).json()["error_codes"] == [WAYS[way].code]
        assert _refresh(contoso, _sign_in(contoso)).status_code == 200


def test_a_named_permission_is_the_one_that_goes(contoso: Visitor) -> None:
    contoso.inside("POST", "/break", {"break": "permission_missing", "permission": "User.ReadWrite.All"})

    assert "User.ReadWrite.All" not in roles(contoso)
    assert "Group.ReadWrite.All" in roles(contoso)


def test_a_lost_tenant_has_no_metadata_and_its_tokens_are_void(contoso: Visitor) -> None:
    _ = contoso.token
    contoso.inside("POST", "/break", {"break": "tenant_unknown"})
    document = contoso.gateway.get(f"https://{LOGIN}/contoso.example/v2.0/.well-known/openid-configuration")

    assert document.json()["error_codes"] == [90002]
    assert contoso.get("/users").status_code == 401


def test_a_tenant_in_the_wrong_cloud_says_so_in_its_metadata(contoso: Visitor) -> None:
    contoso.inside("POST", "/break", {"break": "wrong_cloud"})
    document = contoso.gateway.get(f"https://{LOGIN}/contoso.example/v2.0/.well-known/openid-configuration")

    assert document.json()["cloud_instance_name"] == "microsoftonline.us"


def test_a_throttled_sign_in_says_when_to_come_back(contoso: Visitor) -> None:
    contoso.inside("POST", "/break", {"break": "throttled"})
    answer = contoso.ask_token()

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "10")
    assert answer.json()["error"] == "temporarily_unavailable"


@pytest.mark.parametrize(
    "body",
    [{"break": "moon"}, {}, {"break": "throttled", "colour": 1}, {"break": "user_deleted", "user": "x"}],
)
def test_a_way_that_does_not_exist_is_refused(contoso: Visitor, body: dict[str, Any]) -> None:
    assert contoso.control("POST", "/tenants/contoso.example/break", body, expect=400)["error"]


# Many at once.


@pytest.fixture
def ask(gateway: Gateway) -> Callable[[dict[str, Any]], Any]:
    """The token answer for one line of the handout."""

    def post(row: dict[str, Any], secret: str | None = None) -> Any:
        form = {
            "grant_type": "client_credentials",
            "client_id": row["client_id"],
            "client_secret": row["secret"] or secret,
            "scope": "https://graph.microsoft.com/.default",
        }
        if row["connection"] == "delegated":
            form |= {"grant_type": "refresh_token", "refresh_token": row["refresh_token"]}
        return gateway.post(f"https://{LOGIN}/{row['tenant_id']}/oauth2/v2.0/token", data=form)

    return post


def test_many_tenants_are_broken_in_every_way(contoso: Visitor, ask: Callable[..., Any]) -> None:
    made = contoso.control("POST", "/many", {"count": 300, "broken_percent": 5})["tenants"]
    broken = [row for row in made if row["break"]]

    assert (len(made), len(broken)) == (300, 15)
    assert {row["break"] for row in broken} == set(APP_WAYS)
    for row in [*broken, *made[1:4]]:
        body = ask(row).json()
        assert (body.get("error_codes") or [None])[0] == row["code"], row["break"]


def test_many_tenants_of_every_kind_of_connection(contoso: Visitor, ask: Callable[..., Any]) -> None:
    answer = contoso.control("POST", "/many", {"count": 72, "broken_percent": 50, "connection": "mixed"})
    made, secret = answer["tenants"], answer["provider"]["secret"]

    assert {row["connection"] for row in made} == {"secret", "shared", "delegated"}
    assert {row["break"] for row in made if row["connection"] == "delegated"} >= {None, *USER_WAYS}
    for row in made:
        body = ask(row, secret).json()
        assert (body.get("error_codes") or [None])[0] == row["code"], (row["connection"], row["break"])
