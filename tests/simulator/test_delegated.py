"""Tokens of people: codes, refresh tokens and consent, by Microsoft's own library where it takes part."""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Callable
from typing import Any

import msal
import pytest
import requests

from tests.simulator.client import LOGIN, Visitor
from tests.simulator.test_access import TEAMS, claims
from tests.simulator.test_msal import _confidential, _fields

Visit = Callable[..., Visitor]
CALLBACK = "https://portal.example/authenticate/OAuth2Callback"
VOICE = "48ac35b8-9aa8-4d74-927d-1f4a14a0b239/.default"


@pytest.fixture
def portal(visit: Visit) -> Visitor:
    return visit(users=3, app={"redirect_uris": [CALLBACK], "multi_tenant": True})


def _upn(visitor: Visitor, number: int = 0) -> str:
    return str(visitor.inside("GET", f"/users/%23{number}")["userPrincipalName"])


def _go(
    visitor: Visitor, application: Any, scopes: list[str], *, user: int = 0, mode: str = "form_post"
) -> tuple[dict[str, Any], dict[str, str]]:
    """The flow MSAL began, and what came back from the sign-in page."""
    flow = application.initiate_auth_code_flow(scopes, redirect_uri=CALLBACK, response_mode=mode)
    posted = {"decision": "accept", "account": _upn(visitor, user)}
    back = visitor.gateway.post(flow["auth_uri"], data=posted)
    if mode == "form_post":
        return flow, _fields(back.text)
    query = urllib.parse.urlsplit(back.headers["Location"]).query
    return flow, dict(urllib.parse.parse_qsl(query))


def _redeem(visitor: Visitor, flow: dict[str, Any], back: dict[str, str], **form: str) -> requests.Response:
    given = {"code": back["code"], "redirect_uri": CALLBACK, "code_verifier": flow["code_verifier"], **form}
    return visitor.ask_token(grant_type="authorization_code", scope="User.Read offline_access", **given)


def _refresh(visitor: Visitor, token: str, **form: str) -> requests.Response:
    return visitor.ask_token(
        grant_type="refresh_token", refresh_token=token, **{"scope": "User.Read", **form}
    )


def _codes(answer: requests.Response) -> list[int]:
    return list(answer.json().get("error_codes", ()))


@pytest.mark.filterwarnings("ignore:response_mode='form_post' is recommended")
@pytest.mark.parametrize("mode", ["query", "form_post"])
def test_msal_signs_a_person_in_and_keeps_them_signed_in(portal: Visitor, mode: str) -> None:
    cache = msal.SerializableTokenCache()
    application = _confidential(portal, portal.app["secret"])
    application.token_cache = cache
    flow, back = _go(portal, application, ["User.Read.All"], mode=mode)
    result = application.acquire_token_by_auth_code_flow(flow, back)
    held = claims(result["access_token"])
    account = application.get_accounts()[0]
    portal.advance(4000)
    renewed = application.acquire_token_silent(["User.Read.All"], account, force_refresh=True)

    assert json.loads(base64.urlsafe_b64decode(back["client_info"] + "=="))["utid"] == held["tid"]
    assert (held["idtyp"], held["upn"]) == ("user", _upn(portal))
    assert "User.Read.All" in held["scp"].split()
    assert "62e90394-69f5-4237-9190-012177145e10" in held["wids"]
    assert renewed["token_source"] == "identity_provider"
    assert renewed["access_token"] != result["access_token"]


def test_a_code_is_good_once_for_ten_minutes_and_only_with_its_verifier(portal: Visitor) -> None:
    application = _confidential(portal, portal.app["secret"])
    flow, back = _go(portal, application, ["User.Read"])
    late_flow, late = _go(portal, application, ["User.Read"])
    wrong = _redeem(portal, flow, back, code_verifier="x" * 43)
    elsewhere = _redeem(portal, flow, back, redirect_uri="https://portal.example/other")
    first, second = _redeem(portal, flow, back), _redeem(portal, flow, back)
    portal.advance(601)

    assert (_codes(wrong), _codes(elsewhere)) == ([501481], [500112])
    assert (first.status_code, _codes(second)) == (200, [54005])
    assert _codes(_redeem(portal, late_flow, late)) == [70008]


def test_a_code_of_another_tenant_is_refused(portal: Visitor, visit: Visit) -> None:
    other = visit(name="Fabrikam", users=2)
    flow, back = _go(portal, _confidential(portal, portal.app["secret"]), ["User.Read"])
    other.inside("POST", "/consent", {"client_id": portal.app["client_id"], "roles": []})
    other.tenant["apps"] = portal.tenant["apps"]

    assert _codes(_redeem(other, flow, back)) == [700005]


def test_a_redirect_uri_has_to_be_equal_to_the_letter(portal: Visitor) -> None:
    query = {"client_id": portal.app["client_id"], "response_type": "code", "scope": "User.Read"}
    for uri in (CALLBACK + "/", CALLBACK.lower(), CALLBACK.replace("https", "http"), ""):
        page = portal.gateway.get(
            f"https://{LOGIN}/contoso.example/oauth2/v2.0/authorize?"
            + urllib.parse.urlencode({**query, "redirect_uri": uri})
        )
        assert (page.status_code, "AADSTS50011" in page.text) == (400, True), uri


def test_no_refresh_token_without_offline_access(portal: Visitor) -> None:
    flow, back = _go(portal, _confidential(portal, portal.app["secret"]), ["User.Read"])
    url = f"https://{LOGIN}/contoso.example/oauth2/v2.0/authorize?" + urllib.parse.urlencode(
        {"client_id": portal.app["client_id"], "response_type": "code", "scope": "User.Read",
         "redirect_uri": CALLBACK}
    )  # fmt: skip
    bare = portal.gateway.post(url, data={"decision": "accept", "account": _upn(portal)})
    code = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(bare.headers["Location"]).query))["code"]
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "scope": "User.Read"}

    assert "refresh_token" in _redeem(portal, flow, back).json()
    assert {"refresh_token", "id_token", "client_info"}.isdisjoint(portal.ask_token(**form).json())


def test_an_administrator_consents_for_all_and_others_only_for_themselves(portal: Visitor) -> None:
    application = _confidential(portal, portal.app["secret"])
    _, refused = _go(portal, application, ["Group.Read.All"], user=1)
    flow, own = _go(portal, application, ["User.Read"], user=1)
    token = _redeem(portal, flow, own).json()["refresh_token"]
    before = _refresh(portal, token, scope="Group.Read.All")
    _go(portal, application, ["Group.Read.All"], user=0)

    assert refused["error_description"].startswith("AADSTS90094")
    assert (_codes(before), before.json()["suberror"]) == ([65001], "consent_required")
    assert _refresh(portal, token, scope="Group.Read.All").status_code == 200


def test_default_means_what_the_registration_asks_for(portal: Visitor) -> None:
    portal.change_app(requested_scopes=["User.Read", "Group.Read.All"])
    scope = "https://graph.microsoft.com/.default"
    kept = portal.inside("POST", "/sign-in", {"scope": f"openid offline_access {scope}"})
    token = _refresh(portal, kept["refresh_token"], scope=scope).json()["access_token"]

    assert {"User.Read", "Group.Read.All"} <= set(claims(token)["scp"].split())


def test_the_control_api_signs_nobody_in_who_could_not(portal: Visitor) -> None:
    given = {"user": "#1", "scope": "Group.Read.All"}

    answer = portal.control("POST", "/tenants/contoso.example/sign-in", given, expect=400)

    assert answer["error"].startswith("AADSTS90094")


def test_withdrawn_consent_ends_the_refreshing(portal: Visitor) -> None:
    flow, back = _go(portal, _confidential(portal, portal.app["secret"]), ["User.Read"])
    token = _redeem(portal, flow, back).json()["refresh_token"]
    portal.change_app(delegated="")
    unconsented = _codes(_refresh(portal, token))
    portal.change_app(service_principal=False)

    assert unconsented == [65001]
    assert _codes(_refresh(portal, token)) == [7000229]


def test_a_refresh_token_is_replaced_and_the_old_one_lives_on_as_long_as_set(portal: Visitor) -> None:
    old = portal.inside("POST", "/sign-in", {})["refresh_token"]
    new = _refresh(portal, old).json()["refresh_token"]
    portal.advance(86_400)
    as_at_microsoft = _refresh(portal, old).status_code
    portal.tune(refresh_overlap=60)

    assert old != new
    assert as_at_microsoft == 200
    assert _codes(_refresh(portal, old)) == [70000]
    assert _refresh(portal, new).status_code == 200
    portal.advance(59)
    assert _refresh(portal, new).status_code == 200
    portal.advance(2)
    assert _codes(_refresh(portal, new)) == [70000]


def test_ninety_days_without_use_end_a_refresh_token(portal: Visitor) -> None:
    token = portal.inside("POST", "/sign-in", {})["refresh_token"]
    portal.advance(89 * 86_400)
    token = _refresh(portal, token).json()["refresh_token"]
    portal.advance(89 * 86_400)
    token = _refresh(portal, token).json()["refresh_token"]
    portal.advance(91 * 86_400)

    assert _codes(_refresh(portal, token, client_secret=portal.app["secret"])) == [700082]


def test_workers_who_refresh_at_once_all_get_an_answer(portal: Visitor) -> None:
    portal.tune(refresh_overlap=60)
    token = portal.inside("POST", "/sign-in", {})["refresh_token"]
    answers: list[dict[str, Any]] = []
    gate = threading.Barrier(4)

    def work() -> None:
        gate.wait()
        answers.append(_refresh(portal, token).json())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({answer["refresh_token"] for answer in answers}) == 4
    assert all(_refresh(portal, answer["refresh_token"]).status_code == 200 for answer in answers)


def test_one_refresh_token_serves_both_resources(portal: Visitor) -> None:
    portal.change_app(delegated="User.Read")
    token = portal.inside("POST", "/sign-in", {"scope": "openid offline_access User.Read"})["refresh_token"]
    before = _codes(_refresh(portal, token, scope=VOICE))
    resource = VOICE.replace(".default", "user_impersonation")
    token = portal.inside("POST", "/sign-in", {"scope": f"openid offline_access {resource}"})["refresh_token"]
    answer = _refresh(portal, token, scope=VOICE).json()
    portal.tune(teams_principal=False)

    assert before == [65001]
    assert claims(answer["access_token"])["aud"] == VOICE.split("/", maxsplit=1)[0]
    assert "user_impersonation" in claims(answer["access_token"])["scp"].split()
    assert _codes(_refresh(portal, token, scope=VOICE)) == [500011]


def test_mfa_at_the_browser_satisfies_later_refreshes(portal: Visitor) -> None:
    portal.tune(mfa_required=True)
    flow, back = _go(portal, _confidential(portal, portal.app["secret"]), ["User.Read"])
    token = _redeem(portal, flow, back).json()["refresh_token"]
    answer = _refresh(portal, token)

    assert "mfa" in claims(answer.json()["access_token"])["amr"]


def test_ten_wrong_passwords_lock_the_account(portal: Visitor) -> None:
    portal.change_app(delegated="User.Read")
    form = {"grant_type": "password", "username": _upn(portal), "scope": "User.Read"}
    wrong = [_codes(portal.ask_token(**form, password="wrong"))[0] for _ in range(11)]

    assert wrong == [50126] * 10 + [50053]
    assert _codes(portal.ask_token(**form, password="right")) == [50053]


def test_a_renamed_person_stays_signed_in(portal: Visitor) -> None:
    token = portal.inside("POST", "/sign-in", {})["refresh_token"]
    portal.inside("PATCH", "/users/%230", {"userPrincipalName": "new.name@contoso.example"})

    assert claims(_refresh(portal, token).json()["access_token"])["upn"] == "new.name@contoso.example"


# Other tenants.


def _consent_page(visitor: Visitor, place: str, client_id: str, account: str) -> dict[str, str]:
    query = urllib.parse.urlencode(
        {
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "state": "s",
            "scope": "https://graph.microsoft.com/.default",
        }
    )
    url = f"https://{LOGIN}/{place}/v2.0/adminconsent?{query}"
    back = visitor.gateway.post(url, data={"decision": "accept", "account": account})
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back.headers["Location"]).query))


def test_admin_consent_brings_the_providers_app_into_a_customers_tenant(
    portal: Visitor, visit: Visit
) -> None:
    customer = visit(name="Fabrikam", users=3)
    client_id = portal.app["client_id"]
    refused = _consent_page(portal, "organizations", client_id, _upn(customer, 1))
    customer.tenant["apps"] = portal.tenant["apps"]
    before = _codes(customer.ask_token())
    accepted = _consent_page(portal, "organizations", client_id, _upn(customer))

    assert (refused["error"], refused["error_description"][:11]) == ("access_denied", "AADSTS90094")
    assert before == [700016]
    assert accepted == {
        "admin_consent": "True", "tenant": customer.tenant["tenant_id"], "state": "s",
        "scope": "https://graph.microsoft.com/.default",
    }  # fmt: skip
    assert "User.Read.All" in claims(customer.token)["roles"]


def test_an_app_of_one_tenant_is_unknown_to_others(portal: Visitor, visit: Visit) -> None:
    portal.change_app(multi_tenant=False)
    visit(name="Fabrikam", users=3)
    asked = {"client_id": portal.app["client_id"], "redirect_uri": CALLBACK, "response_type": "code"}
    query = urllib.parse.urlencode({**asked, "scope": "User.Read"})
    texts = [
        portal.gateway.get(f"https://{LOGIN}/{place}/oauth2/v2.0/authorize?{query}").text
        for place in ("organizations", "fabrikam.example")
    ]

    assert ["AADSTS50194" in texts[0], "AADSTS700016" in texts[1]] == [True, True]


def test_a_refresh_token_opens_its_own_tenant_only(portal: Visitor, visit: Visit) -> None:
    other = visit(name="Fabrikam", users=2)
    other.inside("POST", "/consent", {"client_id": portal.app["client_id"], "roles": []})
    other.tenant["apps"] = portal.tenant["apps"]
    token = portal.inside("POST", "/sign-in", {})["refresh_token"]

    assert _codes(_refresh(other, token)) == [50020]


def test_roles_of_the_person_ride_in_the_token(portal: Visitor) -> None:
    portal.inside("POST", "/users/%231/directory-roles", {"add": [TEAMS]})
    token = portal.inside("POST", "/sign-in", {"user": "#1", "scope": "User.Read offline_access"})
    answer = _refresh(portal, token["refresh_token"]).json()

    assert TEAMS in claims(answer["access_token"])["wids"]
