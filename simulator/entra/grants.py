"""Grants of a person at the token endpoint: authorization code with PKCE, refresh token, password."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from simulator.apps import Registration
from simulator.entra.errors import CHALLENGE, OAuthError, missing
from simulator.entra.exchange import Exchange
from simulator.entra.people import (
    check_client,
    home_app,
    kept_grant,
    mfa_needed,
    sign_in,
    signed_in,
    tenant_of,
    user_answer,
)
from simulator.tenant import Tenant

CODE_SECONDS = 600
REFRESH_SECONDS = 90 * 86_400
WRONG_PASSWORDS = 10  # then the account is locked


def issue_code(
    exchange: Exchange, tenant: Tenant, app: Registration, user: dict[str, Any], query: dict[str, str]
) -> str:
    """An authorization code: ten minutes, one use, bound to the redirect URI and the PKCE challenge."""
    kept = {
        **signed_in(tenant, app, user, query.get("scope", "")),
        "redirect_uri": query.get("redirect_uri", ""),
        "challenge": query.get("code_challenge"),
        "method": query.get("code_challenge_method", "plain"),
        "nonce": query.get("nonce"),
        "claims": query.get("claims") == CHALLENGE,
    }
    return exchange.world.keep_grant("code", kept)


def redeem_code(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """`authorization_code`: each rule of facts 2.2 with its own number."""
    if not form.get("code"):
        raise missing("code")
    grant = kept_grant(exchange, form["code"], "code")
    if grant is None:
        raise OAuthError(70000, "invalid_grant", "The provided value for the 'code' parameter is not valid.")
    app = home_app(exchange, form)
    check_client(exchange, app, tenant_of(exchange, grant), form)
    _check_code(exchange, form, grant, app)
    with exchange.world.lock:
        if grant.get("used"):
            raise _code_used()
        grant["used"] = True
    return user_answer(exchange, form, app, grant)


def _code_used() -> OAuthError:
    return OAuthError(
        54005,
        "invalid_grant",
        "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing "
        "refresh token.",
    )


def _check_code(exchange: Exchange, form: dict[str, str], grant: dict[str, Any], app: Registration) -> None:
    if grant.get("used"):
        raise _code_used()
    if exchange.now - grant["issued"] > CODE_SECONDS:
        raise OAuthError(
            70008, "invalid_grant", "The provided authorization code or refresh token has expired."
        )
    if exchange.tenant is not None and grant["tenant"] != exchange.tenant.id:
        raise OAuthError(
            700005,
            "invalid_grant",
            "The provided authorization code is intended to use against other tenant.",
        )
    if grant["client_id"] != app.client_id:
        raise OAuthError(70000, "invalid_grant", "The authorization code was issued to another application.")
    if grant["redirect_uri"] != form.get("redirect_uri", ""):
        raise OAuthError(
            500112,
            "invalid_client",
            f"The reply address '{form.get('redirect_uri', '')}' does not match the reply address "
            f"'{grant['redirect_uri']}' provided when requesting Authorization code.",
        )
    if (
        grant["challenge"] is not None
        and _challenge(form.get("code_verifier", ""), grant) != grant["challenge"]
    ):
        raise OAuthError(
            501481,
            "invalid_grant",
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        )


def _challenge(verifier: str, grant: dict[str, Any]) -> str:
    if grant["method"] == "plain":
        return verifier
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def refresh(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """`refresh_token`: a new one each time, the old one stays good; ninety days without use end it."""
    if not form.get("refresh_token"):
        raise missing("refresh_token")
    grant = kept_grant(exchange, form["refresh_token"], "refresh")
    if grant is None:
        raise _void(9002313, "Invalid request. Request is malformed or invalid.")
    app = home_app(exchange, form)
    tenant = tenant_of(exchange, grant)
    check_client(exchange, app, tenant, form, public=bool(grant.get("public")))
    if grant["client_id"] != app.client_id:
        raise _void(70000, "Provided grant is invalid or malformed.")
    _check_age(exchange, tenant, grant)
    answer = user_answer(exchange, form, app, {**grant, "scope": _with_offline(grant["scope"])})
    # Two at once both get an answer: only the first successor starts the old one's last minutes.
    grant.setdefault("followed", exchange.now)
    return answer


def _with_offline(scope: str) -> str:
    return scope if "offline_access" in scope.split() else f"{scope} offline_access"


def _check_age(exchange: Exchange, tenant: Tenant, grant: dict[str, Any]) -> None:
    overlap = tenant.behaviour.refresh_overlap
    if overlap is not None and exchange.now - grant.get("followed", exchange.now) > overlap:
        raise _void(70000, "Provided grant is invalid: the refresh token was replaced by a newer one.")
    if exchange.now - grant["issued"] > REFRESH_SECONDS:
        raise _void(
            700082,
            "The refresh token has expired due to inactivity. The token was inactive for 90.00:00:00.",
        )
    if grant["issued"] <= tenant.people.revoked.get(grant["oid"], float("-inf")):
        raise _void(
            50173,
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might "
            "have changed or reset their password.",
        )


def _void(code: int, text: str) -> OAuthError:
    return OAuthError(code, "invalid_grant", text, suberror="bad_token")


def password(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """`password`, the legacy grant: any password but "wrong" opens; MFA, federation and open places close."""
    if exchange.args["place"].lower() == "common":
        raise OAuthError(
            9001023, "invalid_request", "The grant type is not supported over the /common endpoint."
        )
    app = home_app(exchange, form)
    tenant, user = sign_in(exchange, form.get("username", ""))
    check_client(exchange, app, tenant, form, public=app.public_client)
    failures = tenant.people.wrong_passwords
    if failures[user["id"]] >= WRONG_PASSWORDS:
        raise OAuthError(
            50053,
            "invalid_grant",
            "The account is locked, you've tried to sign in too many times with an incorrect user ID or password.",
        )
    if form.get("password") in {None, "", "wrong"}:
        failures[user["id"]] += 1
        raise OAuthError(
            50126, "invalid_grant", "Error validating credentials due to invalid username or password."
        )
    failures.pop(user["id"], None)
    grant = {"kind": "password", **signed_in(tenant, app, user, form.get("scope", "")), "mfa": False}
    if tenant.behaviour.mfa_required:
        raise mfa_needed()
    return user_answer(exchange, form, app, grant)
