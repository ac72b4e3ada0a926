"""The tokens themselves: app-only and delegated access tokens, id tokens, and what goes with them."""

from __future__ import annotations

import uuid
from typing import Any

import orjson

from simulator.apps import App, ServicePrincipal
from simulator.clouds import CLOUDS
from simulator.entra.errors import OAuthError
from simulator.keys import Signer, b64
from simulator.objects import guid_of
from simulator.tenant import Tenant

TEAMS_RESOURCE = "48ac35b8-9aa8-4d74-927d-1f4a14a0b239"
GRAPH_APP = "00000003-0000-0000-c000-000000000000"
OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})


def resource_of(tenant: Tenant, scope: str) -> str:
    """The resource a scope string names; exactly one, and one that this tenant's cloud has."""
    names = [part for part in scope.split() if part not in OPENID_SCOPES]
    found = {_resource(tenant, name) for name in names} or {_graph(tenant)}
    if len(found) > 1:
        raise OAuthError(
            28000, "invalid_request", "Provided value for the input parameter scope is not valid because it contains "
            "more than one resource.",
        )  # fmt: skip
    return found.pop()


def _graph(tenant: Tenant) -> str:
    return f"https://{tenant.cloud.graph}"


def _resource(tenant: Tenant, name: str) -> str:
    if name.lower().startswith((f"{TEAMS_RESOURCE}/", f"api://{TEAMS_RESOURCE}/")):
        return TEAMS_RESOURCE
    if name.startswith(f"{GRAPH_APP}/") or "/" not in name:
        return _graph(tenant)
    root = name.rpartition("/")[0].rstrip("/")
    if root == _graph(tenant):
        return root
    known = {f"https://{cloud.graph}" for cloud in CLOUDS.values()}
    hint = " It belongs to another national cloud." if root in known else ""
    raise OAuthError(
        500011,
        "invalid_resource",
        f"The resource principal named {root} was not found in the tenant named {tenant.name}. This can happen if "
        f"the application has not been installed by the administrator of the tenant or consented to by any user "
        f"in the tenant. You might have sent your authentication request to the wrong tenant.{hint}",
    )


def _times(tenant: Tenant, now: float) -> dict[str, int]:
    issued = int(now)
    return {"iat": issued - 300, "nbf": issued - 300, "exp": issued + tenant.behaviour.token_seconds}


def app_token(
    signer: Signer, tenant: Tenant, app: App, principal: ServicePrincipal, resource: str, now: float
) -> str:
    """An app-only token: permissions ride in it, so what is granted later needs a newer token."""
    claims: dict[str, Any] = {
        "aud": resource,
        "iss": f"https://sts.windows.net/{tenant.id}/",
        **_times(tenant, now),
        "aio": b64(uuid.uuid4().bytes),
        "app_displayname": app.name,
        "appid": app.client_id,
        "appidacr": "2" if app.certificates and not app.secrets else "1",
        "idp": f"https://sts.windows.net/{tenant.id}/",
        "idtyp": "app",
        "oid": principal.object_id,
        "sub": principal.object_id,
        "tenant_region_scope": tenant.cloud.region,
        "tid": tenant.id,
        "uti": b64(uuid.uuid4().bytes),
        "ver": "1.0",
        "wids": [*principal.directory_roles, "0997a1d0-0d1d-4acb-b408-d5ca73121e90"],
    }
    roles = principal.roles(now)
    if roles and resource != TEAMS_RESOURCE:
        claims["roles"] = list(roles)
    return signer.sign(claims)


def user_token(
    signer: Signer, tenant: Tenant, app: App, user: dict[str, Any], resource: str, now: float
) -> str:
    """A delegated token: the person's, for this app, with the scopes granted to it."""
    scopes = app.principal.delegated if app.principal is not None else ""
    return signer.sign(
        {
            "aud": resource,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            **_times(tenant, now),
            "amr": ["pwd", "mfa"] if tenant.behaviour.mfa_required else ["pwd"],
            "appid": app.client_id,
            "idtyp": "user",
            "name": user.get("displayName"),
            "oid": user["id"],
            "scp": " ".join(dict.fromkeys([*scopes.split(), "openid", "profile", "email"])),
            "sub": guid_of(user["id"], app.client_id),
            "tid": tenant.id,
            "upn": user.get("userPrincipalName"),
            "uti": b64(uuid.uuid4().bytes),
            "ver": "1.0",
            "wids": user.get("wids", []),
        }
    )


def id_token(
    signer: Signer, tenant: Tenant, app: App, user: dict[str, Any], nonce: str | None, now: float
) -> str:
    claims: dict[str, Any] = {
        "aud": app.client_id,
        "iss": f"https://{tenant.cloud.authority}/{tenant.id}/v2.0",
        **_times(tenant, now),
        "name": user.get("displayName"),
        "oid": user["id"],
        "preferred_username": user.get("userPrincipalName"),
        "sub": guid_of(user["id"], app.client_id),
        "tid": tenant.id,
        "ver": "2.0",
    }
    if nonce is not None:
        claims["nonce"] = nonce
    return signer.sign(claims)


def client_info(tenant: Tenant, user: dict[str, Any]) -> str:
    """MSAL files an account only when this comes along."""
    return b64(orjson.dumps({"uid": user["id"], "utid": tenant.id}))
