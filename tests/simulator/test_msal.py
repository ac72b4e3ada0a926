"""Microsoft's own client library has to work against the simulator unchanged."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

import msal
import pytest
from cryptography.hazmat.primitives import hashes

from simulator.keys import certificate_for, certificate_pem, private_key_pem, repeatable_key
from simulator.server import Simulator
from tests.simulator.client import LOGIN, Gateway, Visitor

SCOPE = ["https://graph.microsoft.com/.default"]


def _fields(page: str) -> dict[str, str]:
    """The hidden inputs that the browser would post back to the application."""
    found = re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page)
    return {name: html.unescape(value) for name, value in found}


def _confidential(visitor: Visitor, credential: Any, host: str = LOGIN) -> Any:
    return msal.ConfidentialClientApplication(
        visitor.app["client_id"],
        client_credential=credential,
        authority=f"https://{host}/{visitor.tenant['tenant_id']}",
        instance_discovery=False,
        http_client=visitor.gateway,
    )


def test_a_secret_gets_a_token_that_graph_takes(contoso: Visitor) -> None:
    result = _confidential(contoso, contoso.app["secret"]).acquire_token_for_client(SCOPE)

    assert result["token_type"] == "Bearer"
    assert result["expires_in"] == 3599
    contoso._token = result["access_token"]
    assert contoso.get("/organization").json()["value"][0]["id"] == contoso.tenant["tenant_id"]


def test_a_certificate_gets_a_token_with_msals_ps256_assertion(visit: Callable[..., Visitor]) -> None:
    key = repeatable_key("msal test")
    public, private = certificate_pem(certificate_for(key, "Voice portal")), private_key_pem(key)
    visitor = visit(users=2, app={"certificate_pem": public})

    result = _confidential(
        visitor, {"private_key": private, "public_certificate": public}
    ).acquire_token_for_client(SCOPE)

    assert "access_token" in result, result


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_old_style_rs256_assertion_works_too(visit: Callable[..., Visitor]) -> None:
    key = repeatable_key("msal test")
    certificate = certificate_for(key, "Voice portal")
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex()
    visitor = visit(users=2, app={"certificate_pem": certificate_pem(certificate)})

    result = _confidential(
        visitor, {"private_key": private_key_pem(key), "thumbprint": thumbprint}
    ).acquire_token_for_client(SCOPE)

    assert "access_token" in result, result


def test_a_foreign_certificate_is_refused(visit: Callable[..., Visitor]) -> None:
    ours, theirs = repeatable_key("msal test"), repeatable_key("another")
    visitor = visit(users=2, app={"certificate_pem": certificate_pem(certificate_for(ours, "Voice portal"))})
    public = certificate_pem(certificate_for(theirs, "Somebody"))

    result = _confidential(
        visitor, {"private_key": private_key_pem(theirs), "public_certificate": public}
    ).acquire_token_for_client(SCOPE)

    assert result["error"] == "invalid_client"
    assert result["error_codes"] == [700027]


def test_a_wrong_secret_reaches_msal_as_the_documented_error(contoso: Visitor) -> None:
    result = _confidential(contoso, "wrong").acquire_token_for_client(SCOPE)

    assert result["error"] == "invalid_client"
    assert result["error_description"].startswith("AADSTS7000215: Invalid client secret provided.")
    assert result["correlation_id"]


def test_msal_finds_an_unknown_tenant_unusable(simulator: Simulator, gateway: Gateway) -> None:
    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        msal.ConfidentialClientApplication(
            "00000000-0000-4000-8000-000000000001",
            client_credential="x",
            authority=f"https://{LOGIN}/nobody.example",
            instance_discovery=False,
            http_client=gateway,
        )


def test_instance_discovery_satisfies_msal_for_every_known_host(contoso: Visitor) -> None:
    application = msal.ConfidentialClientApplication(
        contoso.app["client_id"],
        client_credential=contoso.app["secret"],
        authority=f"https://{LOGIN}/{contoso.tenant['tenant_id']}",
        http_client=contoso.gateway,
    )

    assert "access_token" in application.acquire_token_for_client(SCOPE)
    assert application.get_accounts() == []


def test_a_person_signs_in_by_code_and_pkce(visit: Callable[..., Visitor]) -> None:
    callback = "https://portal.example/authenticate/OAuth2Callback"
    visitor = visit(users=3, app={"redirect_uris": [callback]})
    application = _confidential(visitor, visitor.app["secret"])
    upn = visitor.inside("GET", "/users/%230")["userPrincipalName"]

    flow = application.initiate_auth_code_flow(
        ["User.Read"], redirect_uri=callback, state="s1", response_mode="form_post"
    )
    page = visitor.gateway.get(flow["auth_uri"])
    back = visitor.gateway.post(flow["auth_uri"], data={"decision": "accept", "account": upn})
    result = application.acquire_token_by_auth_code_flow(flow, _fields(back.text))

    assert "Sign in" in page.text
    assert result["id_token_claims"]["preferred_username"] == upn
    assert result["id_token_claims"]["tid"] == visitor.tenant["tenant_id"]
    assert application.get_accounts()[0]["username"] == upn
    again = application.acquire_token_by_refresh_token(result["refresh_token"], ["User.Read"])
    assert again["access_token"]
    assert again["refresh_token"] != result["refresh_token"]
    visitor._token = result["access_token"]
    assert visitor.get("/me").json()["userPrincipalName"] == upn


def test_a_declined_sign_in_returns_the_error_and_the_state(visit: Callable[..., Visitor]) -> None:
    callback = "https://portal.example/callback"
    visitor = visit(users=3, app={"redirect_uris": [callback]})
    flow = _confidential(visitor, visitor.app["secret"]).initiate_auth_code_flow(
        ["User.Read"], redirect_uri=callback, response_mode="form_post"
    )

    back = visitor.gateway.post(flow["auth_uri"], data={"decision": "decline"})

    fields = _fields(back.text)
    assert fields["error"] == "access_denied"
    assert fields["error_description"].startswith("AADSTS65004")
    assert fields["state"] == flow["state"]


def test_a_device_code_is_polled_until_the_person_has_signed_in(visit: Callable[..., Visitor]) -> None:
    visitor = visit(users=3, app={"public_client": True, "secret": None})
    application = msal.PublicClientApplication(
        visitor.app["client_id"],
        authority=f"https://{LOGIN}/{visitor.tenant['tenant_id']}",
        instance_discovery=False,
        http_client=visitor.gateway,
    )
    upn = visitor.inside("GET", "/users/%230")["userPrincipalName"]

    flow = application.initiate_device_flow(["User.Read"])
    pending = application.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)
    entered = visitor.gateway.post(
        f"{visitor.simulator.url}/devicelogin",
        data={"code": flow["user_code"], "account": upn, "decision": "accept"},
    )
    flow["latest_attempt_at"] = 0  # as if the interval had passed
    result = application.acquire_token_by_device_flow(flow, exit_condition=lambda _: True)

    assert pending["error"] == "authorization_pending"
    assert entered.status_code == 200
    assert result["id_token_claims"]["preferred_username"] == upn
