"""Who is asking for a token: the app and its secret or certificate (facts/microsoft.md 2.1, 3.8, 4.1)."""

from __future__ import annotations

import base64
import binascii
import urllib.parse
from typing import Any

from simulator.apps import App, Certificate, Registration, ServicePrincipal
from simulator.entra.errors import OAuthError, missing
from simulator.http1 import Request
from simulator.keys import parse_jwt, verifies
from simulator.tenant import Tenant

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW = 300


def basic_credentials(request: Request, form: dict[str, str]) -> None:
    """HTTP Basic is as good as the form fields; the form wins."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return
    try:
        name, _, value = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return
    form.setdefault("client_id", urllib.parse.unquote_plus(name))
    form.setdefault("client_secret", urllib.parse.unquote_plus(value))


def identify(tenant: Tenant, form: dict[str, str], now: float) -> App:
    """The app, if it is known here and switched on, here and at home."""
    client_id = form.get("client_id")
    if not client_id:
        raise missing("client_id")
    app = tenant.apps.get(client_id.lower())
    if app is None or app.registration.deleted or app.registration.seen_from > now:
        raise not_installed(client_id, tenant.name)
    if app.disabled:
        raise disabled(app.registration)
    return app


def not_installed(client_id: str, where: str) -> OAuthError:
    return OAuthError(
        700016,
        "unauthorized_client",
        f"Application with identifier '{client_id}' was not found in the directory '{where}'. This can "
        "happen if the application has not been installed by the administrator of the tenant or consented to "
        "by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
    )


def disabled(app: Registration) -> OAuthError:
    return OAuthError(
        7000112, "unauthorized_client", f"Application '{app.client_id}'({app.name}) is disabled."
    )


def require_principal(tenant: Tenant, app: App, now: float) -> ServicePrincipal:
    """The app's stand-in inside the tenant; without one nobody gets a token."""
    if app.principal is None or app.principal.seen_from > now:
        raise OAuthError(
            7000229,
            "invalid_client",
            f"The client application {app.client_id} is missing service principal in the tenant {tenant.id}. "
            "See instructions here: https://go.microsoft.com/fwlink/?linkid=2225119",
            status=401,
        )
    return app.principal


def authenticate(
    app: Registration, form: dict[str, str], audiences: set[str], now: float, *, required: bool
) -> None:
    """Check the credential that came with the request; `required` when the grant cannot do without."""
    if form.get("client_assertion"):
        _check_assertion(app, form, audiences, now)
    elif form.get("client_secret"):
        _check_secret(app, form["client_secret"], now)
    elif required:
        raise _no_credential(form.get("grant_type", ""))


def _no_credential(grant: str) -> OAuthError:
    if grant == "client_credentials":
        return OAuthError(
            7000216,
            "invalid_client",
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
            status=401,
        )
    return OAuthError(
        7000218,
        "invalid_client",
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
        status=401,
    )


def _check_secret(app: Registration, given: str, now: float) -> None:
    match = next(
        (secret for secret in app.secrets if secret.value == given and secret.works_from <= now), None
    )
    if match is None:
        raise OAuthError(
            7000215,
            "invalid_client",
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
            f"value, not the client secret ID, for a secret added to app '{app.client_id}'.",
            status=401,
        )
    if match.ends <= now:
        raise OAuthError(
            7000222,
            "invalid_client",
            f"The provided client secret keys for app '{app.client_id}' are expired. Visit the Azure portal to "
            "create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate "
            "credentials for added security: https://aka.ms/certCreds.",
            status=401,
        )


def _rejected(code: int, text: str) -> OAuthError:
    return OAuthError(code, "invalid_client", text, status=401)


def _check_assertion(app: Registration, form: dict[str, str], audiences: set[str], now: float) -> None:
    if form.get("client_assertion_type") != ASSERTION_TYPE:
        raise OAuthError(
            900144,
            "invalid_request",
            "The request body must contain the following parameter: 'client_assertion_type'.",
        )
    parsed = parse_jwt(form["client_assertion"])
    if parsed is None:
        raise _rejected(50027, "JWT token is invalid or malformed.")
    header, claims, signed, signature = parsed
    certificate = _named(app, header, now)
    if certificate is None or not verifies(
        certificate.certificate, str(header.get("alg")), signed, signature
    ):
        reason = (
            "The key was not found."
            if certificate is None
            else "The key was found, but use of the key to verify the signature failed."
        )
        raise _rejected(
            700027,
            f"The certificate with identifier used to sign the client assertion is not registered on application. "
            f"[Reason - {reason}]",
        )
    if not certificate.starts <= now < certificate.ends:
        raise _rejected(1000502, "The provided certificate is not within its specified validity period.")
    _check_claims(app, claims, audiences, now)


def _named(app: Registration, header: dict[str, Any], now: float) -> Certificate | None:
    """The registered certificate that the header points at by thumbprint, once it has spread."""
    given = {name: str(header.get(name, "")).rstrip("=") for name in ("x5t", "x5t#S256")}
    for certificate in app.certificates:
        prints = certificate.thumbprints()
        if certificate.works_from <= now and any(given[name] == value for name, value in prints.items()):
            return certificate
    return None


def _check_claims(app: Registration, claims: dict[str, Any], audiences: set[str], now: float) -> None:
    if (
        str(claims.get("iss", "")).lower() != app.client_id
        or str(claims.get("sub", "")).lower() != app.client_id
    ):
        raise _rejected(
            700021, "Client assertion application identifier doesn't match 'client_id' parameter."
        )
    audience = claims.get("aud")
    offered = set(map(str, audience)) if isinstance(audience, list) else {str(audience)}
    if offered.isdisjoint(audiences):
        raise _rejected(
            700023, f"Client assertion audience claim does not match Realm issuer. Audience: '{audience}'."
        )
    begins, ends = claims.get("nbf", 0), claims.get("exp", 0)
    if not all(isinstance(moment, int | float) for moment in (begins, ends)) or not (
        begins - _SKEW <= now < ends + _SKEW
    ):
        raise _rejected(700024, "Client assertion is not within its valid time range.")
