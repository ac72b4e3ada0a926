"""Routes of a sign-in host, and the token endpoint."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

import orjson

from simulator import effects, html
from simulator.clouds import AUTHORITY_HOSTS
from simulator.entra import device, grants, metadata, pages, tokens
from simulator.entra.client import authenticate, basic_credentials, identify, require_principal
from simulator.entra.errors import NO_STORE, OAuthError, blocked, missing, unknown_tenant
from simulator.entra.exchange import Exchange
from simulator.http1 import Request, Response
from simulator.world import World

_TEMPORARY = "The service is temporarily unavailable. Please retry later."
_THROTTLED = "The tenant is throttled due to too many requests. Please retry later."

_PATHS: dict[str, re.Pattern[str]] = {
    "instance": re.compile(r"/(?P<place>common)/discovery/instance\Z", re.IGNORECASE),
    "realm": re.compile(r"/(?P<place>common)/userrealm/(?P<name>[^/]+)\Z", re.IGNORECASE),
    "configuration": re.compile(r"/(?P<place>[^/]+)/v2\.0/\.well-known/openid-configuration\Z"),
    "configuration1": re.compile(r"/(?P<place>[^/]+)/\.well-known/openid-configuration\Z"),
    "keys": re.compile(r"/(?P<place>[^/]+)/discovery(?:/v2\.0)?/keys\Z"),
    "token": re.compile(r"/(?P<place>[^/]+)/oauth2(?:/v2\.0)?/token\Z"),
    "devicecode": re.compile(r"/(?P<place>[^/]+)/oauth2/v2\.0/devicecode\Z"),
    "authorize": re.compile(r"/(?P<place>[^/]+)/oauth2/v2\.0/authorize\Z"),
    "adminconsent": re.compile(r"/(?P<place>[^/]+)(?:/v2\.0)?/adminconsent\Z"),
    "logout": re.compile(r"/(?P<place>[^/]+)/oauth2/v2\.0/logout\Z"),
}


def find_path(path: str) -> tuple[str, dict[str, str]] | None:
    """Which page or endpoint of a sign-in host a path names."""
    for name, pattern in _PATHS.items():
        found = pattern.match(path)
        if found is not None:
            return name, found.groupdict()
    return None


class Entra:
    """Entra ID for every tenant of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle(self, request: Request, host: str, base: str) -> Response:
        """Answer one request to `host`; `base` begins the links in metadata."""
        world, now = self._world, self._world.now()
        found = find_path(request.path)
        name, args = found or ("(unknown)", {"place": ""})
        tenant = world.find(args["place"])
        exchange = Exchange(world, request, host, base, args, tenant, now)
        troubles = world.troubles.hitting(
            tenant=tenant.id if tenant else None,
            host="login",
            method=request.method,
            path=request.path,
            now=now,
        )
        if wait := effects.latency(troubles, world.latency_ms):
            world.pause(wait)
        failure = self._failure(exchange)
        response = effects.before(troubles, now, failure)
        if response is None:
            response = effects.after(troubles, self._answer(name, exchange), now, failure)
        self._finish(name, exchange, response)
        return response

    def _answer(self, name: str, exchange: Exchange) -> Response:
        if name == "(unknown)":
            self._world.record(
                "unknown_request",
                tenant=None,
                method=exchange.request.method,
                path=exchange.request.path,
                query=exchange.request.raw_query,
                reason=f"{exchange.host} has no such path",
            )
            return Response(404, b"Not found", {"Content-Type": "text/plain"})
        try:
            return self._pages()[name](exchange)
        except OAuthError as error:
            if name in {"authorize", "adminconsent"}:
                text = f"<p>AADSTS{error.code}: {html.escape(error.text)}</p>"
                return html.page("Sorry, but we're having trouble signing you in.", text, error.status)
            return error.response(
                host=exchange.host, now=exchange.now, correlation_id=exchange.correlation_id
            )

    def _pages(self) -> dict[str, Callable[[Exchange], Response]]:
        return {
            "instance": lambda exchange: metadata.instance_discovery(exchange.request.query()),
            "realm": _realm,
            "configuration": _configuration,
            "configuration1": _configuration,
            "keys": lambda exchange: metadata.keys(self._world.signer, exchange.base, exchange.args["place"]),
            "token": token,
            "devicecode": device.device_code,
            "authorize": pages.authorize,
            "adminconsent": pages.admin_consent,
            "logout": lambda exchange: Response(200, b"You are signed out.", {"Content-Type": "text/plain"}),
        }

    def _failure(self, exchange: Exchange) -> Callable[[int, str, dict[str, str]], Response]:
        def write(status: int, code: str, headers: dict[str, str]) -> Response:
            number, text = (90055, _THROTTLED) if status == 429 else (90033, _TEMPORARY)
            code = "" if code == "TooManyRequests" else code  # that is how Graph says it
            error = OAuthError(
                number, code or "temporarily_unavailable", text, status=status, headers=headers
            )
            return error.response(
                host=exchange.host, now=exchange.now, correlation_id=exchange.correlation_id
            )

        return write

    def _finish(self, name: str, exchange: Exchange, response: Response) -> None:
        tenant = exchange.tenant.id if exchange.tenant else ""
        # Entra sets cookies; a client that shared one jar among tenants would send them back (counted).
        response.headers.setdefault(
            "Set-Cookie", f"fpc={uuid.uuid4().hex}; path=/; secure; HttpOnly; SameSite=None"
        )
        if "cookie" in exchange.request.headers and name == "token":
            with self._world.stats.lock:
                self._world.stats.cookies_received += 1
        if exchange.request.headers.get("return-client-request-id", "").lower() == "true":
            response.headers["client-request-id"] = exchange.correlation_id
        self._world.stats.count(
            tenant, exchange.request.method, f"login:{name}", response.status, len(response.body)
        )


def _realm(exchange: Exchange) -> Response:
    name = exchange.args["name"]
    return metadata.user_realm(exchange.world.find(name.rpartition("@")[2]), name)


def _configuration(exchange: Exchange) -> Response:
    v1 = "/v2.0/" not in exchange.request.path
    return metadata.openid_configuration(
        exchange.base, exchange.host, exchange.args["place"], exchange.tenant, v1=v1
    )


# The token endpoint.


def token(exchange: Exchange) -> Response:
    """`POST /{tenant}/oauth2/v2.0/token`: every grant the product uses."""
    if exchange.request.method != "POST":
        raise OAuthError(900561, "invalid_request", "The endpoint only accepts POST requests.")
    form = exchange.request.form()
    basic_credentials(exchange.request, form)
    grant = form.get("grant_type")
    if not grant:
        raise missing("grant_type")
    if grant not in _GRANTS:
        raise OAuthError(
            70003, "unsupported_grant_type", f"The app requested an unsupported grant type '{grant}'."
        )
    _check_place(exchange, grant)
    answer = _GRANTS[grant](exchange, form)
    headers = {
        **NO_STORE,
        "Content-Type": "application/json; charset=utf-8",
        "x-ms-request-id": str(uuid.uuid4()),
        "x-ms-clitelem": "1,0,0,,",
    }
    return Response(200, orjson.dumps(answer), headers)


def _check_place(exchange: Exchange, grant: str) -> None:
    """The tenant in the path has to exist, in this cloud; open places serve people only."""
    place = exchange.args["place"].lower()
    if exchange.tenant is None:
        if place not in metadata.PLACES:
            raise unknown_tenant(exchange.args["place"], "invalid_request")
        if grant == "client_credentials":
            raise OAuthError(
                50059,
                "invalid_request",
                "No tenant-identifying information found in either the request or implied by any provided "
                "credentials.",
            )
        return
    if exchange.tenant.cloud.authority != AUTHORITY_HOSTS.get(exchange.host):
        raise OAuthError(
            900382, "invalid_request", "Confidential Client is not supported in Cross Cloud request."
        )


def _client_credentials(exchange: Exchange, form: dict[str, str]) -> dict[str, object]:
    tenant = exchange.required_tenant()
    app = identify(tenant, form, exchange.now)
    scope = form.get("scope") or (f"{form['resource'].rstrip('/')}/.default" if form.get("resource") else "")
    if not scope:
        raise missing("scope")
    if not scope.strip().endswith("/.default"):
        raise OAuthError(
            70011,
            "invalid_scope",
            "The provided request must include a 'scope' input parameter. The provided value for the input parameter "
            f"'scope' is not valid. The scope {scope} is not valid.",
        )
    authenticate(app.registration, form, exchange.audiences(), exchange.now, required=True)
    principal = require_principal(tenant, app, exchange.now)
    resource = tokens.resource_of(tenant, scope)
    if app.blocked:
        raise blocked()
    value = tokens.app_token(exchange.world.signer, tenant, app, principal, resource, exchange.now)
    life = tenant.behaviour.token_seconds
    return {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": value}


_GRANTS: dict[str, Callable[[Exchange, dict[str, str]], dict[str, object]]] = {
    "client_credentials": _client_credentials,
    "authorization_code": grants.redeem_code,
    "refresh_token": grants.refresh,
    "urn:ietf:params:oauth:grant-type:device_code": device.poll_device,
    "device_code": device.poll_device,
    "password": grants.password,
}
