"""Grants that involve a person: authorization code with PKCE, device code, refresh token, password."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

import orjson

from simulator.apps import App
from simulator.entra import tokens
from simulator.entra.client import authenticate, identify, require_principal
from simulator.entra.errors import NO_STORE, OAuthError, blocked, missing
from simulator.entra.exchange import Exchange
from simulator.http1 import Response
from simulator.tenant import Tenant

CODE_SECONDS = 600
DEVICE_SECONDS = 900
DEVICE_INTERVAL = 5
REFRESH_SECONDS = 90 * 86_400
_USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXYZ23456789"


def home_app(exchange: Exchange, form: dict[str, str]) -> App:
    """The registration behind a client id: this tenant's, or at an open place anybody's."""
    if exchange.tenant is not None:
        return identify(exchange.tenant, form)
    wanted = (form.get("client_id") or "").lower()
    for tenant in exchange.world.tenants.values():
        if wanted in tenant.apps:
            return tenant.apps[wanted]
    raise OAuthError(
        700016,
        "unauthorized_client",
        f"Application with identifier '{wanted}' was not found in the directory 'Microsoft Accounts'.",
    )


def sign_in(exchange: Exchange, name: str) -> tuple[Tenant, dict[str, Any]]:
    """The person with this user principal name, in the tenant of the name's domain."""
    tenant = exchange.world.find(name.rpartition("@")[2])
    index = None if tenant is None else tenant.user_by_name(name)
    if tenant is None or index is None:
        raise OAuthError(50034, "invalid_grant", f"The user account {name} does not exist in the directory.")
    if exchange.tenant is not None and exchange.tenant.id != tenant.id:
        raise OAuthError(
            50020,
            "invalid_grant",
            f"User account '{name}' from identity provider does not exist in tenant '{exchange.tenant.name}' and "
            "cannot access the application in that tenant.",
        )
    user = tenant.directory.users.view(index)
    if not user.get("accountEnabled", True):
        raise OAuthError(50057, "invalid_grant", "The user account is disabled.")
    return tenant, user


def keep(exchange: Exchange, kind: str, content: dict[str, Any]) -> str:
    """Remember a grant under a fresh unguessable key."""
    key = f"{kind}.{secrets.token_urlsafe(48)}"
    exchange.world.grants[key] = {"kind": kind, "issued": exchange.now, **content}
    return key


def issue_code(
    exchange: Exchange, tenant: Tenant, app: App, user: dict[str, Any], query: dict[str, str]
) -> str:
    """An authorization code: ten minutes, one use, bound to the redirect URI and the PKCE challenge."""
    return keep(
        exchange,
        "code",
        {
            "tenant": tenant.id,
            "client_id": app.client_id,
            "user": user["userPrincipalName"],
            "redirect_uri": query.get("redirect_uri", ""),
            "challenge": query.get("code_challenge"),
            "scope": query.get("scope", ""),
            "nonce": query.get("nonce"),
        },
    )


def _user_answer(
    exchange: Exchange, form: dict[str, str], tenant: Tenant, app: App, grant: dict[str, Any]
) -> dict[str, object]:
    """The token response of a person: access token, and what the scopes add."""
    _, user = sign_in(exchange, str(grant["user"]))
    if app.blocked:
        raise blocked()
    local = tenant.apps.get(app.client_id)
    if local is None:
        raise OAuthError(
            65001,
            "invalid_grant",
            f"The user or administrator has not consented to use the application with ID '{app.client_id}'.",
            suberror="consent_required",
        )
    require_principal(tenant, local)
    scope = form.get("scope") or str(grant.get("scope", ""))
    resource = tokens.resource_of(tenant, scope)
    world, life = exchange.world, tenant.behaviour.token_seconds
    answer: dict[str, object] = {
        "token_type": "Bearer",
        "scope": scope,
        "expires_in": life,
        "ext_expires_in": life,
        "access_token": tokens.user_token(world.signer, tenant, local, user, resource, exchange.now),
    }
    wanted = set(scope.split()) | set(str(grant.get("scope", "")).split())
    if "offline_access" in wanted or grant["kind"] == "refresh":
        kept = {name: grant[name] for name in ("tenant", "client_id", "user", "scope")}
        answer["refresh_token"] = keep(exchange, "refresh", kept)
    if "openid" in wanted:
        answer["id_token"] = tokens.id_token(
            world.signer, tenant, app, user, grant.get("nonce"), exchange.now
        )
    if form.get("client_info") == "1":
        answer["client_info"] = tokens.client_info(tenant, user)
    return answer


def _check_client(exchange: Exchange, app: App, tenant: Tenant, form: dict[str, str]) -> None:
    if app.public_client and form.get("client_secret"):
        raise OAuthError(
            700025,
            "invalid_client",
            "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
            status=401,
        )
    audiences = exchange.audiences() if exchange.tenant is not None else _open_audiences(exchange, tenant)
    authenticate(app, form, audiences, exchange.now, required=not app.public_client)


def _open_audiences(exchange: Exchange, tenant: Tenant) -> set[str]:
    place = exchange.args["place"]
    return {
        f"{exchange.base}/{place}/oauth2/v2.0/token",
        f"https://{tenant.cloud.authority}/{tenant.id}/v2.0",
    }


def _grant(exchange: Exchange, key: str, kind: str) -> dict[str, Any] | None:
    grant = exchange.world.grants.get(key)
    return grant if grant is not None and grant["kind"] == kind else None


def redeem_code(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """`authorization_code`: each rule of facts 2.2 with its own number."""
    if not form.get("code"):
        raise missing("code")
    grant = _grant(exchange, form["code"], "code")
    if grant is None:
        raise OAuthError(70000, "invalid_grant", "The provided value for the 'code' parameter is not valid.")
    app = home_app(exchange, form)
    tenant = exchange.world.tenants[grant["tenant"]]
    _check_client(exchange, app, tenant, form)
    _check_code(exchange, form, grant, app)
    grant["used"] = True
    return _user_answer(exchange, form, tenant, app, grant)


def _check_code(exchange: Exchange, form: dict[str, str], grant: dict[str, Any], app: App) -> None:
    if grant.get("used"):
        raise OAuthError(
            54005,
            "invalid_grant",
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code.",
        )
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
    if grant["challenge"] is not None and _challenge(form.get("code_verifier", "")) != grant["challenge"]:
        raise OAuthError(
            501481,
            "invalid_grant",
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        )


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def refresh(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """`refresh_token`: a new one each time, the old one stays good; ninety days without use end it."""
    if not form.get("refresh_token"):
        raise missing("refresh_token")
    grant = _grant(exchange, form["refresh_token"], "refresh")
    if grant is None:
        raise OAuthError(
            9002313,
            "invalid_grant",
            "Invalid request. Request is malformed or invalid.",
            suberror="bad_token",
        )
    app = home_app(exchange, form)
    tenant = exchange.world.tenants[grant["tenant"]]
    _check_client(exchange, app, tenant, form)
    if grant["client_id"] != app.client_id:
        raise OAuthError(70000, "invalid_grant", "Provided grant is invalid.", suberror="bad_token")
    if exchange.now - grant["issued"] > REFRESH_SECONDS:
        raise OAuthError(
            700082,
            "invalid_grant",
            "The refresh token has expired due to inactivity. The token was inactive for 90.00:00:00.",
            suberror="bad_token",
        )
    if grant.get("revoked"):
        raise OAuthError(
            50173,
            "invalid_grant",
            "The provided grant has expired due to it being revoked, a fresh auth token is needed.",
            suberror="bad_token",
        )
    return _user_answer(exchange, form, tenant, app, grant)


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
    key = keep(exchange, "device", kept)
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
    grant = _grant(exchange, form.get("device_code") or form.get("code") or "", "device")
    if grant is None:
        raise OAuthError(70018, "bad_verification_code", "The verification code is not valid.")
    app = home_app(exchange, form)
    if not app.public_client or form.get("client_secret"):
        _check_client(exchange, app, exchange.tenant or next(iter(exchange.world.tenants.values())), form)
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
    grant["state"] = "redeemed"
    return _user_answer(exchange, form, exchange.world.tenants[grant["tenant"]], app, grant)


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


def password(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    """`password`, the legacy grant: any password but "wrong" opens; MFA, federation and open places close."""
    if exchange.args["place"].lower() == "common":
        raise OAuthError(
            9001023, "invalid_request", "The grant type is not supported over the /common endpoint."
        )
    app = home_app(exchange, form)
    tenant, user = sign_in(exchange, form.get("username", ""))
    _check_client(exchange, app, tenant, form)
    if form.get("password") in {None, "", "wrong"}:
        raise OAuthError(
            50126, "invalid_grant", "Error validating credentials due to invalid username or password."
        )
    if tenant.behaviour.mfa_required:
        raise OAuthError(
            50076,
            "invalid_grant",
            "Due to a configuration change made by your administrator, or because you moved to a new location, you "
            f"must use multi-factor authentication to access '{tokens.GRAPH_APP}'.",
            suberror="basic_action",
        )
    grant = {
        "kind": "password",
        "tenant": tenant.id,
        "client_id": app.client_id,
        "user": user["userPrincipalName"],
        "scope": form.get("scope", ""),
    }
    return _user_answer(exchange, form, tenant, app, grant)
