"""Control calls about who may do what: consent, directory roles, sign-ins, ways of being broken."""

from __future__ import annotations

from typing import Any

from simulator import breaks, many
from simulator.control.actions import find_object
from simulator.entra.consent import grant_everything
from simulator.entra.errors import OAuthError
from simulator.permissions import GRAPH_APP
from simulator.tenant import BadRequestError, Tenant
from simulator.world import World


def _only(given: dict[str, Any], known: set[str]) -> None:
    if unknown := given.keys() - known:
        raise BadRequestError(
            f"there is no {', '.join(sorted(unknown))} here, only {', '.join(sorted(known))}"
        )


def consent(world: World, tenant: Tenant, given: dict[str, Any]) -> None:
    """Install a multi-tenant app of another tenant, and grant it what is named; without, what it asks for."""
    _only(given, {"client_id", "roles", "delegated"})
    registration = world.registration(str(given.get("client_id")), tenant.cloud.name)
    if registration is None or not (registration.multi_tenant or registration.home == tenant.id):
        raise BadRequestError(f"no multi-tenant app is called {given.get('client_id')} in this cloud")
    roles = [str(role) for role in given.get("roles", registration.asks_for("Role"))]
    scopes = str(given.get("delegated", "")).split() or registration.asks_for("Scope")
    grant_everything(tenant, registration, roles, {GRAPH_APP: scopes}, world.now())


def user_roles(tenant: Tenant, key: str, given: dict[str, Any]) -> dict[str, Any]:
    """Give and take directory roles of a user by template id; answers what they hold."""
    _only(given, {"add", "remove"})
    user_id = tenant.directory.users.ids[find_object(tenant, "users", key)]
    for template in given.get("add", ()):
        tenant.assign_role(user_id, str(template))
    for template in given.get("remove", ()):
        tenant.unassign_role(user_id, str(template))
    return {"directory_roles": tenant.roles_of(user_id)}


def sign_in(world: World, tenant: Tenant, given: dict[str, Any]) -> dict[str, str]:
    """A refresh token of a person for an app, as a sign-in at the browser leaves it."""
    _only(given, {"user", "client_id", "scope"})
    index = find_object(tenant, "users", str(given.get("user", "#0")))
    client_id = str(given.get("client_id") or tenant.app().client_id)
    scope = str(given.get("scope", many.SCOPE))
    try:
        return many.sign_in(world, tenant, client_id, tenant.directory.users.view(index), scope)
    except OAuthError as error:
        raise BadRequestError(f"AADSTS{error.code}: {error.text}") from error


def break_it(world: World, tenant: Tenant, given: dict[str, Any]) -> None:
    options = dict(given)
    breaks.break_tenant(world, tenant, str(options.pop("break", "")), **options)


def ways() -> list[dict[str, Any]]:
    return [
        {"break": name, "side": way.side, "code": way.code, "status": way.status}
        for name, way in breaks.WAYS.items()
    ]
