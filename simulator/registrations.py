"""What people do to a tenant's apps in the admin centre: register, change, consent. The control API asks for it."""

from __future__ import annotations

import secrets
from typing import Any

from simulator.apps import App, Certificate, Registration, ServicePrincipal, parse_time
from simulator.objects import digest, guid_of, stamp
from simulator.permissions import GRAPH_APP
from simulator.tenant import DEFAULT_ROLES, BadRequestError, Tenant

# What belongs to the registration, so can be changed only where it is at home.
_AT_HOME = {
    "name", "secret", "secret_expires", "certificate_pem", "disabled", "redirect_uris", "public_client",
    "multi_tenant", "requested_roles", "requested_scopes", "owners",
}  # fmt: skip
_HERE = {
    "client_id", "roles", "add_roles", "remove_roles", "at_once", "delegated", "directory_roles",
    "add_directory_roles", "remove_directory_roles", "ca_block", "service_principal", "enabled",
}  # fmt: skip


def add_app(tenant: Tenant, spec: dict[str, Any], now: float) -> App:
    """Register an app with its service principal; secret, roles and ids are made up where not given."""
    client_id = str(spec.get("client_id") or guid_of(tenant.id, "app", len(tenant.apps))).lower()
    registration = Registration(
        client_id,
        guid_of(tenant.id, "application", client_id),
        str(spec.get("name", "Voice portal")),
        now,
        tenant.id,
    )
    app = tenant.apps[client_id] = App(registration, new_principal(tenant, client_id, now))
    given = {"roles": list(DEFAULT_ROLES), **spec}
    if "secret" not in given and "certificate_pem" not in given:
        given["secret"] = b64_secret(tenant.maker.seed, client_id)
    change_app(tenant, app, {**given, "at_once": True}, now)
    tenant.default_roles = tuple(given["roles"]) or DEFAULT_ROLES
    return app


def b64_secret(seed: str, client_id: str) -> str:
    """A secret with the length and look of a real one, the same for the same seed."""
    raw = digest(seed, "secret", client_id).hex()
    return f"{raw[:3]}8Q~{raw[3:37]}"


def new_principal(tenant: Tenant, client_id: str, now: float) -> ServicePrincipal:
    """A stand-in for the app; its id follows from the tenant and the app, unless a deleted one has it."""
    key, again = guid_of(tenant.id, "service principal", client_id), 0
    while key in tenant.deleted_principals:
        again += 1
        key = guid_of(tenant.id, "service principal", client_id, again)
    return ServicePrincipal(key, now)


def install(tenant: Tenant, registration: Registration, now: float) -> tuple[App, ServicePrincipal]:
    """The app in this tenant: consent brings a service principal along where there is none."""
    app = tenant.apps.setdefault(registration.client_id, App(registration))
    if app.principal is None:
        app.principal = new_principal(tenant, registration.client_id, now)
    return app, app.principal


def uninstall(tenant: Tenant, app: App) -> None:
    """As if nobody had ever consented."""
    tenant.apps.pop(app.client_id, None)
    if app.principal is not None:
        tenant.directory_roles.pop(app.principal.object_id, None)


def change_app(tenant: Tenant, app: App, changes: dict[str, Any], now: float) -> None:
    """Apply what a person could do to the app in the Entra admin centre. Times are ISO 8601."""
    if unknown := changes.keys() - _AT_HOME - _HERE:
        raise BadRequestError(
            f"an app has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(_AT_HOME | _HERE))}"
        )
    if changes.keys() & _AT_HOME:
        if app.registration.home != tenant.id:
            raise BadRequestError(f"{app.name} is registered elsewhere: change it in its home tenant")
        _change_registration(app.registration, changes, now)
    if "service_principal" in changes:
        _set_principal(tenant, app, now, present=bool(changes["service_principal"]))
    app.blocked = bool(changes.get("ca_block", app.blocked))
    if app.principal is not None:
        app.principal.enabled = bool(changes.get("enabled", app.principal.enabled))
        _change_grants(tenant, app.principal, changes, now)
        _change_roles(tenant, app.principal, changes)


def _change_registration(registration: Registration, changes: dict[str, Any], now: float) -> None:
    _change_credentials(registration, changes, now)
    registration.name = str(changes.get("name", registration.name))
    registration.disabled = bool(changes.get("disabled", registration.disabled))
    registration.public_client = bool(changes.get("public_client", registration.public_client))
    registration.multi_tenant = bool(changes.get("multi_tenant", registration.multi_tenant))
    registration.requested_roles = list(changes.get("requested_roles", registration.requested_roles))
    registration.requested_scopes = list(changes.get("requested_scopes", registration.requested_scopes))
    registration.owners = set(changes.get("owners", registration.owners))
    if "redirect_uris" in changes:
        registration.properties["web"] = {"redirectUris": list(changes["redirect_uris"])}


def _change_credentials(registration: Registration, changes: dict[str, Any], now: float) -> None:
    if "secret" in changes:
        if changes["secret"] is None:
            registration.secrets = []
        else:
            registration.set_secret(str(changes["secret"]), now=now)
    if "secret_expires" in changes:
        if not registration.secrets:
            registration.set_secret(secrets.token_urlsafe(30), now=now)
        secret = registration.secrets[0]
        secret.ends = parse_time(str(changes["secret_expires"]))
        secret.starts = min(secret.starts, secret.ends - 86400)
    if changes.get("certificate_pem"):
        registration.certificates = [Certificate.from_pem(str(changes["certificate_pem"]))]
    elif "certificate_pem" in changes:
        registration.certificates = []


def _set_principal(tenant: Tenant, app: App, now: float, *, present: bool) -> None:
    if present and app.principal is None:
        app.principal = new_principal(tenant, app.client_id, now)
    elif not present and app.principal is not None:
        tenant.directory_roles.pop(app.principal.object_id, None)
        app.principal = None


def _change_grants(tenant: Tenant, principal: ServicePrincipal, changes: dict[str, Any], now: float) -> None:
    effective = 0.0 if changes.get("at_once") else now + tenant.behaviour.consent_delay
    if changes.keys() & {"roles", "add_roles", "remove_roles"}:
        granted = [str(role) for role in changes.get("roles", principal.granted())]
        removed = {str(role) for role in changes.get("remove_roles", ())}
        if missing := removed - set(granted):
            raise BadRequestError(f"the app was not granted {', '.join(sorted(missing))}")
        added = [str(role) for role in changes.get("add_roles", ())]
        principal.grant([role for role in [*granted, *added] if role not in removed], effective)
    if "delegated" in changes:
        principal.grants.clear()
        if changes["delegated"]:
            principal.consent(GRAPH_APP, str(changes["delegated"]).split())


def _change_roles(tenant: Tenant, principal: ServicePrincipal, changes: dict[str, Any]) -> None:
    if "directory_roles" in changes:
        tenant.directory_roles[principal.object_id] = [str(role) for role in changes["directory_roles"]]
    for template in changes.get("add_directory_roles", ()):
        tenant.assign_role(principal.object_id, str(template))
    for template in changes.get("remove_directory_roles", ()):
        tenant.unassign_role(principal.object_id, str(template))


def describe_app(tenant: Tenant, app: App, now: float) -> dict[str, Any]:
    """An app as the control API lists it; secrets are shown, they are pretend ones."""
    registration, principal = app.registration, app.principal
    ends = registration.secrets[0].ends if registration.secrets else None
    return {
        "client_id": app.client_id,
        "secret": registration.secrets[0].value if registration.secrets else None,
        "secret_expires": None if ends is None else stamp(ends),
        "secret_expired": ends is not None and ends <= now,
        "secret_ids": [secret.key_id for secret in registration.secrets],
        "certificates": [certificate.key_id for certificate in registration.certificates],
        "roles": list(principal.granted()) if principal else [],
        "delegated": principal.delegated if principal else "",
        "directory_roles": tenant.roles_of(principal.object_id) if principal else [],
        "disabled": app.disabled,
        "ca_block": app.blocked,
        "service_principal": principal is not None,
        "home": registration.home,
        "multi_tenant": registration.multi_tenant,
    }
