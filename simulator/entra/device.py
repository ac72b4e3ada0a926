"""The device code flow (facts/microsoft.md 2.4): a code here, a sign-in elsewhere, and polls in between."""

from __future__ import annotations

import secrets
from typing import Any

import orjson

from simulator.entra.errors import NO_STORE, OAuthError, missing
from simulator.entra.exchange import Exchange
from simulator.entra.people import check_client, home_app, kept_grant, user_answer
from simulator.http1 import Response

DEVICE_SECONDS = 900
DEVICE_INTERVAL = 5
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXYZ23456789"


def device_code(exchange: Exchange) -> Response:
    """`POST /{tenant}/oauth2/v2.0/devicecode`."""
    form = exchange.request.form()
    if not form.get("client_id"):
        raise missing("client_id")
    if not form.get("scope"):
        raise missing("scope")
    app = home_app(exchange, form)
    user_code = "".join(secrets.choice(_USER_CODE_LETTERS) for _ in range(9))
    kept = {
        "client_id": app.client_id,
        "scope": form["scope"],
        "user_code": user_code,
        "place": exchange.args["place"],
        "state": "pending",
        "interval": DEVICE_INTERVAL,
    }
    key = exchange.world.keep_grant("device", kept)
    page = exchange.tenant.cloud.device_page if exchange.tenant else "https://microsoft.com/devicelogin"
    answer = {
        "user_code": user_code,
        "device_code": key,
        "verification_uri": page,
        "expires_in": DEVICE_SECONDS,
        "interval": DEVICE_INTERVAL,
        "message": f"To sign in, use a web browser to open the page {page} and enter the code {user_code} "
        "to authenticate.",
    }
    return Response(
        200, orjson.dumps(answer), {**NO_STORE, "Content-Type": "application/json; charset=utf-8"}
    )


def poll_device(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """One poll of a device code; faster than the interval it is told to slow down."""
    grant = kept_grant(exchange, form.get("device_code") or form.get("code") or "", "device")
    if grant is None:
        raise OAuthError(70018, "bad_verification_code", "The verification code is not valid.")
    app = home_app(exchange, form)
    check_client(exchange, app, exchange.tenant, form, public=app.public_client)
    if exchange.now - grant["issued"] > DEVICE_SECONDS:
        raise OAuthError(
            70020,
            "expired_token",
            "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
        )
    if grant["state"] == "declined":
        raise OAuthError(70021, "authorization_declined", "The end user declined the authorization request.")
    if grant["state"] == "pending":
        raise _pending(exchange, grant)
    if grant["state"] == "redeemed":
        raise OAuthError(54005, "invalid_grant", "OAuth2 Authorization code was already redeemed.")
    grant |= {"state": "redeemed", "public": app.public_client}
    return user_answer(exchange, form, app, grant)


def _pending(exchange: Exchange, grant: dict[str, Any]) -> OAuthError:
    last, grant["polled"] = grant.get("polled", 0.0), exchange.now
    if exchange.now - last < grant["interval"] - 1:
        grant["interval"] += 5
        return OAuthError(70016, "slow_down", "The client polls too fast.")
    return OAuthError(
        70016,
        "authorization_pending",
        "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
    )
