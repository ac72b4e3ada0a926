"""Who may consent to what, and what that leaves behind in the tenant (facts/microsoft.md 2.3, 4.2)."""

from __future__ import annotations

from typing import Any

from simulator.apps import App, Registration, ServicePrincipal
from simulator.entra import tokens
from simulator.entra.errors import OAuthError, need_admin
from simulator.permissions import GRANTERS, GRAPH_APP, REGISTRARS, TEAMS_APP, USER_MAY_CONSENT
from simulator.registrations import install
from simulator.tenant import DEFAULT_ROLES, Tenant


def _by_api(tenant: Tenant, registration: Registration, scope: str) -> dict[str, list[str]]:
    """The permissions that a scope string asks for by API; `.default` means all that the registration lists."""
    wanted: dict[str, list[str]] = {}
    for part in scope.split():
        api = tokens.api_of(tokens.resource_of(tenant, part))
        names = registration.asks_for("Scope", api) if part.endswith("/.default") else tokens.scopes_in(part)
        wanted.setdefault(api, []).extend(names)
    return wanted


def consent(tenant: Tenant, registration: Registration, user: dict[str, Any], scope: str, now: float) -> App:
    """A person accepts: an administrator for everybody, anybody else for himself and within limits (90094)."""
    with tenant.directory.lock:  # Graph reads and writes the same grants under it
        return _consent(tenant, registration, user, scope, now)


def _consent(tenant: Tenant, registration: Registration, user: dict[str, Any], scope: str, now: float) -> App:
    roles = set(tenant.roles_of(user["id"]))
    for_all = not roles.isdisjoint(GRANTERS | REGISTRARS)
    present = tenant.apps.get(registration.client_id)
    principal = present.principal if present is not None else None
    missing = {
        api: [name for name in names if principal is None or name not in principal.scopes(api, user["id"])]
        for api, names in _by_api(tenant, registration, scope).items()
    }
    if not for_all and any(not USER_MAY_CONSENT.issuperset(names) for names in missing.values()):
        raise need_admin(registration.name)
    app, principal = install(tenant, registration, now)
    for api, names in missing.items():
        if names:
            principal.consent(api, names, None if for_all else user["id"])
    return app


def admin_consent(
    tenant: Tenant, registration: Registration, user: dict[str, Any], scope: str, now: float
) -> None:
    """Grant the scopes named, or without any (or with `.default`) all that the registration asks for."""
    everything = not scope or scope.strip().endswith("/.default")
    wanted = (
        {api: registration.asks_for("Scope", api) for api in (GRAPH_APP, TEAMS_APP)}
        if everything
        else _by_api(tenant, registration, scope)
    )
    roles = registration.asks_for("Role") if everything else []
    if everything and not roles and not any(wanted.values()):
        roles = list(DEFAULT_ROLES)
    allowed = GRANTERS if roles else GRANTERS | REGISTRARS
    if allowed.isdisjoint(tenant.roles_of(user["id"])):
        raise need_admin(registration.name)
    grant_everything(tenant, registration, roles, wanted, now)


def grant_everything(
    tenant: Tenant, registration: Registration, roles: list[str], scopes: dict[str, list[str]], now: float
) -> ServicePrincipal:
    """Install the app and grant these application and delegated permissions beside those it has."""
    with tenant.directory.lock:
        _, principal = install(tenant, registration, now)
        if roles:
            principal.grant([*principal.granted(), *roles], now + tenant.behaviour.consent_delay)
        for api, names in scopes.items():
            if names:
                principal.consent(api, names)
    return principal


def not_multi_tenant(registration: Registration) -> OAuthError:
    return OAuthError(
        50194,
        "invalid_request",
        f"Application '{registration.client_id}'({registration.name}) is not configured as a multi-tenant "
        "application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a "
        "tenant-specific endpoint or configure the application to be multi-tenant.",
    )
