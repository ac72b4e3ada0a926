"""Discovery documents (facts/microsoft.md 1.3)."""

from __future__ import annotations

from typing import Any

import orjson

from simulator.clouds import AUTHORITY_HOSTS, CLOUDS, INSTANCE_METADATA, Cloud
from simulator.entra.errors import OAuthError, unknown_tenant
from simulator.http1 import Response
from simulator.keys import Signer
from simulator.tenant import Tenant

PLACES = frozenset({"common", "organizations", "consumers"})
_CACHED = {"Content-Type": "application/json; charset=utf-8", "Cache-Control": "max-age=86400, private"}


def cloud_of_host(host: str) -> Cloud:
    """The cloud whose sign-in host this is; the first one for a host that two clouds share."""
    preferred = AUTHORITY_HOSTS[host]
    return next(cloud for cloud in CLOUDS.values() if cloud.authority == preferred)


def openid_configuration(base: str, host: str, key: str, tenant: Tenant | None, *, v1: bool) -> Response:
    """The metadata document. For a tenant of another cloud it is that other cloud's document."""
    if tenant is None and key.lower() not in PLACES:
        raise unknown_tenant(key, "invalid_tenant")
    cloud = cloud_of_host(host)
    if tenant is not None and tenant.cloud.authority != cloud.authority:
        base = f"https://{tenant.cloud.authority}"
    cloud = tenant.cloud if tenant is not None else cloud
    place = tenant.id if tenant is not None else key.lower()
    return Response(200, orjson.dumps(_document(base, place, cloud, v1=v1)), dict(_CACHED))


def issuer(base: str, place: str, *, v1: bool = False) -> str:
    """Tokens' issuer; where the tenant is open, the literal text `{tenantid}` stands for it."""
    if place == "consumers":
        place = "9188040d-6c67-4c5b-b112-36a304b66dad"
    elif place in PLACES:
        place = "{tenantid}"
    return f"https://sts.windows.net/{place}/" if v1 else f"{base}/{place}/v2.0"


def _document(base: str, place: str, cloud: Cloud, *, v1: bool) -> dict[str, Any]:
    oauth = f"{base}/{place}/oauth2" + ("" if v1 else "/v2.0")
    document: dict[str, Any] = {
        "token_endpoint": f"{oauth}/token",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
        "jwks_uri": f"{base}/{place}/discovery/v2.0/keys",
        "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "issuer": issuer(base, place, v1=v1),
        "request_uri_parameter_supported": False,
        "userinfo_endpoint": f"https://{cloud.graph}/oidc/userinfo",
        "authorization_endpoint": f"{oauth}/authorize",
        "device_authorization_endpoint": f"{oauth}/devicecode",
        "http_logout_supported": True,
        "frontchannel_logout_supported": True,
        "end_session_endpoint": f"{oauth}/logout",
        "claims_supported": [
            "sub", "iss", "cloud_instance_name", "cloud_instance_host_name", "cloud_graph_host_name",
            "msgraph_host", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name",
            "tid", "ver", "at_hash", "c_hash", "email",
        ],
        "kerberos_endpoint": f"{base}/{place}/kerberos",
        "tenant_region_scope": cloud.region if place not in PLACES else None,
        "cloud_instance_name": cloud.instance_name,
        "cloud_graph_host_name": "graph.windows.net",
        "msgraph_host": cloud.graph,
        "rbac_url": "https://pas.windows.net",
    }  # fmt: skip
    if cloud.sub_scope is not None and place not in PLACES:
        document["tenant_region_sub_scope"] = cloud.sub_scope
    return document


def instance_discovery(query: dict[str, str]) -> Response:
    """`/common/discovery/instance`: 400 for a host Microsoft does not run."""
    endpoint = query.get("authorization_endpoint", "")
    host, _, rest = endpoint.removeprefix("https://").partition("/")
    if host.split(":")[0].lower() not in AUTHORITY_HOSTS:
        raise OAuthError(
            50049,
            "invalid_instance",
            f"Unknown or invalid instance. The authority host '{host}' is not known.",
        )
    place = rest.split("/")[0] or "common"
    content = {
        "tenant_discovery_endpoint": f"https://{host}/{place}/v2.0/.well-known/openid-configuration",
        "api-version": query.get("api-version", "1.1"),
        "metadata": INSTANCE_METADATA,
    }
    return Response(200, orjson.dumps(content), dict(_CACHED))


def user_realm(tenant: Tenant | None, name: str) -> Response:
    """Who signs this person in: Entra itself, the company's own server, or nobody known (404)."""
    if tenant is None:
        return Response(404, b"{}", dict(_CACHED))
    domain = name.rpartition("@")[2]
    realm: dict[str, str] = {
        "ver": "1.0",
        "account_type": "Federated" if tenant.behaviour.federated else "Managed",
        "domain_name": domain,
        "cloud_instance_name": tenant.cloud.instance_name,
        "cloud_audience_urn": "urn:federation:MicrosoftOnline",
    }
    if tenant.behaviour.federated:
        realm["federation_protocol"] = "WSTrust"
        realm["federation_metadata_url"] = f"https://sts.{domain}/adfs/services/trust/mex"
        realm["federation_active_auth_url"] = f"https://sts.{domain}/adfs/services/trust/2005/usernamemixed"
    return Response(200, orjson.dumps(realm), dict(_CACHED))


def keys(signer: Signer, base: str, place: str) -> Response:
    return Response(200, orjson.dumps(signer.jwks(issuer(base, place))), dict(_CACHED))
