"""Pages a person meets at a sign-in host: sign-in, admin consent and the device code page.

Every page posts to its own address with the decision, so a test can do with one
request what a person does with a click.
"""

from __future__ import annotations

import urllib.parse
from typing import Any

from simulator import html
from simulator.apps import Registration
from simulator.entra import grants, people, tokens
from simulator.entra.consent import admin_consent as consent_for_all
from simulator.entra.consent import consent
from simulator.entra.errors import OAuthError, blocked
from simulator.entra.exchange import Exchange
from simulator.http1 import Request, Response
from simulator.objects import guid_of
from simulator.tenant import Tenant
from simulator.world import World

_ACCOUNTS_SHOWN = 8
_DECLINED = "User declined to consent to access the app."
_APPROVAL = "Admin consent is required. The user has sent a request to an administrator."
COUNTRY = "Iceland"
"""Where the machine that asked for a device code seems to be; the real page says so too, to unmask phishing."""


def _accounts(world: World, tenant: Tenant | None) -> list[str]:
    """Some people to sign in as: the first of the tenant, or of each tenant at an open place."""
    if tenant is not None:
        size = min(_ACCOUNTS_SHOWN, tenant.directory.users.size)
        rows = [
            tenant.directory.users.view(index)
            for index in range(size)
            if tenant.directory.users.is_live(index)
        ]
        return [row["userPrincipalName"] for row in rows if row.get("userType") == "Member"]
    return [name for each in list(world.tenants.values())[:40] for name in _accounts(world, each)[:1]]


def _chooser(names: list[str], hint: str | None) -> str:
    options = dict.fromkeys([hint, *names] if hint else names)
    listed = "".join(f"<option>{html.escape(name)}</option>" for name in options)
    return f'<label for="account">Sign in as</label><select id="account" name="account">{listed}</select>'


_BUTTONS = (
    '<p><button name="decision" value="accept">Sign in and accept</button> '
    '<button name="decision" value="decline">Decline</button> '
    '<button name="decision" value="blocked">Fail: blocked by Conditional Access</button> '
    '<button name="decision" value="approval">Fail: approval required</button></p>'
)


def _form(fields: dict[str, str], body: str) -> str:
    return f'<form method="post">{html.hidden(fields)}{body}</form>'


def _check_redirect(app: Registration, uri: str) -> None:
    if uri not in app.redirect_uris:
        raise OAuthError(
            50011,
            "invalid_request",
            f"The redirect URI '{uri}' specified in the request does not match the redirect URIs configured for the "
            f"application '{app.client_id}'. Make sure the redirect URI sent in the request matches one added to "
            "your application in the Azure portal.",
        )


def _send_back(uri: str, values: dict[str, str], mode: str) -> Response:
    """Return to the app: as a query, or as a form that the browser posts."""
    if mode != "form_post":
        joiner = "&" if "?" in uri else "?"
        return html.redirect(f"{uri}{joiner}{urllib.parse.urlencode(values)}")
    fields = f"{html.hidden(values)}<button autofocus>Continue</button>"
    body = f'<form method="post" action="{html.escape(uri)}">{fields}</form>'
    return html.page("Continue to the application", body)


def _error_values(error: str, code: int, text: str, state: str | None) -> dict[str, str]:
    values = {"error": error, "error_description": f"AADSTS{code}: {text}"}
    return values if state is None else {**values, "state": state}


def authorize(exchange: Exchange) -> Response:
    """`GET` shows the page, `POST` with `account` and `decision` acts."""
    posted = exchange.request.form() if exchange.request.method == "POST" else {}
    query = {**exchange.request.query(), **posted}
    app = people.home_app(exchange, query)
    uri, state, mode = query.get("redirect_uri", ""), query.get("state"), query.get("response_mode", "query")
    _check_redirect(app, uri)
    if query.get("response_type") != "code":
        text = "The provided value for the input parameter 'response_type' is not allowed for this client."
        return _send_back(uri, _error_values("unsupported_response_type", 700054, text, state), mode)
    if query.get("prompt") == "none":
        text = "Session information is not sufficient for single-sign-on."
        return _send_back(uri, _error_values("interaction_required", 50058, text, state), mode)
    if not posted:
        names = _accounts(exchange.world, exchange.tenant)
        body = f"<p>{html.escape(app.name)} asks for: {html.escape(query.get('scope', ''))}</p>"
        return html.page("Sign in", body + _form(query, _chooser(names, query.get("login_hint")) + _BUTTONS))
    return _decide_sign_in(exchange, app, query)


def _decide_sign_in(exchange: Exchange, app: Registration, query: dict[str, str]) -> Response:
    uri, state, mode = query["redirect_uri"], query.get("state"), query.get("response_mode", "query")
    if query.get("decision") == "blocked":
        return _send_back(uri, _error_values("access_denied", 53003, blocked().text, state), mode)
    if query.get("decision") == "approval":
        return _send_back(uri, _error_values("access_denied", 90095, _APPROVAL, state), mode)
    if query.get("decision") != "accept":
        return _send_back(uri, _error_values("access_denied", 65004, _DECLINED, state), mode)
    tenant, user = people.sign_in(exchange, query.get("account", ""))
    present = tenant.apps.get(app.client_id)
    try:
        if present is not None and present.blocked:
            raise blocked()
        consent(tenant, app, user, query.get("scope", ""), exchange.now)
    except OAuthError as error:
        return _send_back(uri, _error_values("access_denied", error.code, error.text, state), mode)
    values = {
        "code": grants.issue_code(exchange, tenant, app, user, query),
        "session_state": guid_of(user["id"], app.client_id),
    }
    if query.get("client_info") == "1":
        values["client_info"] = tokens.client_info(tenant, user)
    if state is not None:
        values["state"] = state
    return _send_back(uri, values, mode)


def admin_consent(exchange: Exchange) -> Response:
    """`/adminconsent`: accepting grants the app's permissions in the administrator's tenant."""
    posted = exchange.request.form() if exchange.request.method == "POST" else {}
    query = {**exchange.request.query(), **posted}
    app = people.home_app(exchange, query)
    uri, state = query.get("redirect_uri", ""), query.get("state")
    _check_redirect(app, uri)
    if not posted:
        names = _accounts(exchange.world, exchange.tenant)
        body = (
            f"<p>{html.escape(app.name)} asks an administrator for its permissions in this organisation.</p>"
        )
        return html.page("Permissions requested", body + _form(query, _chooser(names, None) + _BUTTONS))
    if query.get("decision") != "accept":
        # Both may be there at once (facts 2.3): a client has to look for the error first.
        values = {"admin_consent": "True", **_error_values("consent_required", 65004, _DECLINED, state)}
        return html.redirect(f"{uri}?{urllib.parse.urlencode(values)}")
    tenant, user = people.sign_in(exchange, query.get("account", ""))
    try:
        consent_for_all(tenant, app, user, query.get("scope", ""), exchange.now)
    except OAuthError as error:
        values = _error_values("access_denied", error.code, error.text, state)
        return html.redirect(f"{uri}?{urllib.parse.urlencode(values)}")
    values = {"admin_consent": "True", "tenant": tenant.id}
    values |= {name: query[name] for name in ("state", "scope") if name in query}
    return html.redirect(f"{uri}?{urllib.parse.urlencode(values)}")


def device_page(world: World, request: Request) -> Response:
    """Where the code of a device flow is entered; `POST` with `code`, `account` and `decision` acts."""
    if request.method != "POST":
        code = (
            f"<p>You are signing in on a device located in {COUNTRY}. If it is not you, close this page.</p>"
            '<label for="code">Code</label><input id="code" name="code" required autocomplete="off">'
        )
        return html.page("Enter code", _form({}, code + _chooser(_accounts(world, None), None) + _BUTTONS))
    form = request.form()
    grant = _waiting(world, form.get("code", ""))
    if grant is None:
        return html.page("Enter code", "<p>That code didn't work. Check the code and try again.</p>", 400)
    if form.get("decision") == "blocked":
        return html.page("Sign in", f"<p>AADSTS53003: {html.escape(blocked().text)}</p>", 400)
    if form.get("decision") != "accept":
        grant["state"] = "declined"
        return html.page("Enter code", "<p>You declined. You can close this page.</p>")
    exchange = Exchange(
        world,
        request,
        "login.microsoftonline.com",
        "",
        {"place": grant["place"]},
        world.find(grant["place"]),
        world.now(),
    )
    try:
        tenant, user = people.sign_in(exchange, form.get("account", ""))
        app = people.home_app(exchange, {"client_id": grant["client_id"]})
        consent(tenant, app, user, str(grant["scope"]), world.now())
    except OAuthError as error:
        return html.page("Sign in", f"<p>AADSTS{error.code}: {html.escape(error.text)}</p>", 400)
    grant.update(people.signed_in(tenant, app, user, str(grant["scope"])), state="approved")
    return html.page(
        "Enter code", f"<p>You have signed in to {html.escape(app.name)}. You can close this page.</p>"
    )


def _waiting(world: World, code: str) -> dict[str, Any] | None:
    wanted = code.strip().upper().replace("-", "")
    for grant in world.grants.values():
        if grant["kind"] == "device" and grant["user_code"] == wanted and grant["state"] == "pending":
            return grant
    return None
