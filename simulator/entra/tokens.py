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
from simulator.permissions import APP_WID, GRAPH_APP, MEMBER_WID, OPENID_SCOPES
from simulator.permissions import TEAMS_APP as TEAMS_RESOURCE
from simulator.tenant import Tenant


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
    if tenant.behaviour.teams_principal and name.lower().startswith(
        (f"{TEAMS_RESOURCE}/", f"api://{TEAMS_RESOURCE}/")
    ):
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
        "appidacr": "2" if app.registration.certificates and not app.secrets else "1",
        "idp": f"https://sts.windows.net/{tenant.id}/",
        "idtyp": "app",
        "oid": principal.object_id,
        "sub": principal.object_id,
        "tenant_region_scope": tenant.cloud.region,
        "tid": tenant.id,
        "uti": b64(uuid.uuid4().bytes),
        "ver": "1.0",
        "wids": [*tenant.roles_of(principal.object_id), APP_WID],
    }
    roles = principal.roles(now)
    if roles and resource != TEAMS_RESOURCE:
        claims["roles"] = list(roles)
    return signer.sign(claims)


def api_of(resource: str) -> str:
    """The app id of the API that a token's audience names."""
    return TEAMS_RESOURCE if resource == TEAMS_RESOURCE else GRAPH_APP


def scopes_in(scope: str) -> list[str]:
    """The permissions that a scope string names, without their resources and OpenID's own."""
    names = (part.rpartition("/")[2] for part in scope.split())
    return [name for name in dict.fromkeys(names) if name not in OPENID_SCOPES and name != ".default"]


def user_token(
    signer: Signer,
    tenant: Tenant,
    app: App,
    user: dict[str, Any],
    resource: str,
    now: float,
    *,
    mfa: bool,
    scopes: list[str],
) -> str:
    """A delegated token: the person's, for this app, with every scope of the API that was consented to."""
    return signer.sign(
        {
            "aud": resource,
            "iss": f"https://sts.windows.net/{tenant.id}/",
            **_times(tenant, now),
            "amr": ["pwd", "mfa"] if mfa else ["pwd"],
            "appid": app.client_id,
            "idtyp": "user",
            "name": user.get("displayName"),
            "oid": user["id"],
            "scp": " ".join(dict.fromkeys([*scopes, "openid", "profile", "email"])),
            "sub": guid_of(user["id"], app.client_id),
            "tid": tenant.id,
            "upn": user.get("userPrincipalName"),
            "uti": b64(uuid.uuid4().bytes),
            "ver": "1.0",
            "wids": [*tenant.roles_of(user["id"]), MEMBER_WID],
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
