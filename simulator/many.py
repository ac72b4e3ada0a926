"""A thousand small customers in one go, some of them broken, and what a portal has to be told of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.breaks import WAYS, break_tenant
from simulator.entra.consent import consent
from simulator.entra.people import signed_in
from simulator.objects import guid_of
from simulator.permissions import GRAPH_APP
from simulator.registrations import install
from simulator.tenant import DEFAULT_ROLES, BadRequestError, Tenant

if TYPE_CHECKING:
    from simulator.world import World

CONNECTIONS = ("secret", "shared", "delegated")
SCOPE = "openid profile offline_access User.Read " + " ".join(DEFAULT_ROLES)
_SECRETS = {"expired_secret", "wrong_secret"}  # which are the provider's own affair where the app is shared
# What a person's sign-in notices beside what happens to the person.
_BOTH = {"app_disabled", "tenant_unknown", "conditional_access", "throttled", "unavailable"}
_FITS = {
    "secret": [way for way, about in WAYS.items() if about.side == "app"],
    "shared": [way for way, about in WAYS.items() if about.side == "app" and way not in _SECRETS],
    "delegated": [way for way, about in WAYS.items() if about.side == "user" or way in _BOTH],
}
_DEFAULTS: dict[str, Any] = {
    "count": 1000, "broken_percent": 5, "connection": "secret", "users": 3, "groups": 1, "seed": "many",
    "breaks": None, "settings": {},
}  # fmt: skip


def provider(world: World, seed: str) -> Tenant:
    """The provider's home tenant with its multi-tenant app; made at the first call."""
    domain = f"provider-{seed}.example"
    found = world.find(domain)
    if found is not None:
        return found
    app = {
        "name": "Provider portal",
        "multi_tenant": True,
        "redirect_uris": ["https://portal.example/authenticate/OAuth2Callback"],
        "requested_roles": list(DEFAULT_ROLES),
    }
    return world.add_tenant({"name": f"Provider {seed}", "domain": domain, "users": 3, "app": app})


def plant_many(world: World, spec: dict[str, Any]) -> dict[str, Any]:
    """Make tenants as `spec` says, break a share of them evenly, and hand out their connections."""
    if unknown := spec.keys() - _DEFAULTS.keys():
        raise BadRequestError(
            f"many has no {', '.join(sorted(unknown))}; it takes {', '.join(sorted(_DEFAULTS))}"
        )
    given = {**_DEFAULTS, **spec}
    kinds = CONNECTIONS if given["connection"] == "mixed" else (given["connection"],)
    if not set(kinds) <= set(CONNECTIONS):
        raise BadRequestError(f"connection is one of {', '.join(CONNECTIONS)} or mixed")
    home = provider(world, given["seed"]) if set(kinds) - {"secret"} else None
    used = dict.fromkeys(kinds, 0)
    told = []
    for number in range(int(given["count"])):
        kind = kinds[number % len(kinds)]
        tenant = _make(world, given, number, kind)
        row = _connect(world, tenant, kind, home)
        if number * given["broken_percent"] % 100 < given["broken_percent"]:
            ways = given["breaks"] or _FITS[kind]
            row["break"] = ways[used[kind] % len(ways)]
            used[kind] += 1
            break_tenant(world, tenant, row["break"])
            row["code"] = WAYS[row["break"]].code
        told.append(row)
    return {"provider": None if home is None else _told(home, "shared"), "tenants": told}


def _make(world: World, given: dict[str, Any], number: int, kind: str) -> Tenant:
    label = f"{given['seed']}-{number:04d}"
    return world.add_tenant(
        {
            "name": f"Customer {label}",
            "domain": f"{label}.example",
            "seed": label,
            "users": given["users"],
            "groups": given["groups"],
            "memberships_per_user": 1,
            "settings": given["settings"],
            "app": {"client_id": guid_of("many", label)} if kind == "secret" else None,
        }
    )


def _connect(world: World, tenant: Tenant, kind: str, home: Tenant | None) -> dict[str, Any]:
    if home is None or kind == "secret":
        return _told(tenant, kind)
    registration, now = home.app().registration, world.now()
    _, principal = install(tenant, registration, now)
    if kind == "shared":
        principal.grant(DEFAULT_ROLES, 0.0)
        return _told(tenant, kind)
    principal.consent(GRAPH_APP, ["User.Read", *DEFAULT_ROLES])
    tenant.directory.change(
        "users", 0, {"accountEnabled": True}, now
    )  # who signed in was no switched-off account
    user = tenant.directory.users.view(0)
    return {**_told(tenant, kind), **sign_in(world, tenant, home.app().client_id, user, SCOPE)}


def sign_in(world: World, tenant: Tenant, client_id: str, user: dict[str, Any], scope: str) -> dict[str, str]:
    """As if this person had signed in at the browser and consented: the refresh token that is left."""
    registration = world.registration(client_id, tenant.cloud.name)
    if registration is None:
        raise BadRequestError(f"no app is called {client_id} in this cloud")
    app = consent(tenant, registration, user, scope, world.now())
    token = world.keep_grant("refresh", signed_in(tenant, app, user, scope))
    return {"user": user["userPrincipalName"], "user_id": user["id"], "refresh_token": token}


def _told(tenant: Tenant, kind: str) -> dict[str, Any]:
    app = tenant.app()
    return {
        "name": tenant.name,
        "domain": tenant.domain,
        "tenant_id": tenant.id,
        "cloud": tenant.cloud.name,
        "connection": kind,
        "client_id": app.client_id,
        "secret": app.secrets[0].value if app.secrets else None,
        "break": None,
        "code": None,
    }
