"""The person behind a grant: signing in, and the token answer they get (facts/microsoft.md 2.2 to 2.7, 4.3)."""

from __future__ import annotations

from typing import Any

from simulator.apps import App, Registration
from simulator.entra import tokens
from simulator.entra.client import authenticate, disabled, identify, not_installed, require_principal
from simulator.entra.consent import not_multi_tenant
from simulator.entra.errors import CHALLENGE, OAuthError, blocked, challenge, missing, no_consent
from simulator.entra.exchange import Exchange
from simulator.permissions import GRAPH_APP
from simulator.tenant import Tenant


def home_app(exchange: Exchange, form: dict[str, str]) -> Registration:
    """The registration behind a client id: one this tenant has or could have, or at an open place anybody's."""
    client_id = (form.get("client_id") or "").lower()
    if not client_id:
        raise missing("client_id")
    tenant = exchange.tenant
    if tenant is not None and client_id in tenant.apps:
        return identify(tenant, form, exchange.now).registration
    found = exchange.world.registration(client_id, None if tenant is None else tenant.cloud.name)
    if found is None or found.deleted or (tenant is not None and not found.multi_tenant):
        raise not_installed(client_id, "Microsoft Accounts" if tenant is None else tenant.name)
    if found.disabled:
        raise disabled(found)
    if not found.multi_tenant:
        raise not_multi_tenant(found)
    return found


def sign_in(exchange: Exchange, name: str) -> tuple[Tenant, dict[str, Any]]:
    """The person with this user principal name, in the tenant of the name's domain."""
    tenant = exchange.world.find(name.rpartition("@")[2])
    index = None if tenant is None else tenant.user_by_name(name)
    if tenant is None or index is None:
        raise _no_user(name)
    _check_tenant(exchange, tenant, name)
    user = tenant.directory.users.view(index)
    _check_account(tenant, user)
    return tenant, user


def _check_tenant(exchange: Exchange, tenant: Tenant, name: str) -> None:
    if exchange.tenant is not None and exchange.tenant.id != tenant.id:
        raise OAuthError(
            50020,
            "invalid_grant",
            f"User account '{name}' from identity provider does not exist in tenant '{exchange.tenant.name}' and "
            "cannot access the application in that tenant.",
        )


def _no_user(name: str) -> OAuthError:
    return OAuthError(
        50034,
        "invalid_grant",
        f"The user account {name} does not exist in the directory. To sign into this application, the account must "
        "be added to the directory.",
    )


def _check_account(tenant: Tenant, user: dict[str, Any]) -> None:
    if not user.get("accountEnabled", True):
        raise OAuthError(50057, "invalid_grant", "The user account is disabled.")
    if user["id"] in tenant.people.stale_passwords:
        raise OAuthError(50055, "invalid_grant", "The password is expired.", suberror="user_password_expired")


def mfa_needed() -> OAuthError:
    return OAuthError(
        50076,
        "invalid_grant",
        "Due to a configuration change made by your administrator, or because you moved to a new location, you "
        f"must use multi-factor authentication to access '{GRAPH_APP}'.",
        suberror="basic_action",
    )


def kept_grant(exchange: Exchange, key: str, kind: str) -> dict[str, Any] | None:
    grant = exchange.world.grants.get(key)
    return grant if grant is not None and grant["kind"] == kind else None


def signed_in(tenant: Tenant, app: App | Registration, user: dict[str, Any], scope: str) -> dict[str, Any]:
    """What every grant of a person remembers; in a browser they have met whatever MFA was asked for."""
    return {
        "tenant": tenant.id,
        "client_id": app.client_id,
        "oid": user["id"],
        "user": user["userPrincipalName"],
        "scope": scope,
        "mfa": tenant.behaviour.mfa_required,
    }


def tenant_of(exchange: Exchange, grant: dict[str, Any]) -> Tenant:
    """The tenant a grant was made in; one that is gone takes its grants along."""
    tenant = exchange.world.find(grant["tenant"])
    if tenant is None:
        raise OAuthError(5000224, "invalid_grant", "We are sorry, this resource is not available.")
    return tenant


def check_client(
    exchange: Exchange,
    app: Registration,
    tenant: Tenant | None,
    form: dict[str, str],
    *,
    public: bool = False,
) -> None:
    """The app's own credential: needed, or not wanted at all in a flow of public clients (facts 2.4)."""
    if public and form.get("client_secret"):
        raise OAuthError(
            700025,
            "invalid_client",
            "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.",
            status=401,
        )
    if exchange.tenant is not None:
        audiences = exchange.audiences()
    else:
        place = exchange.args["place"]
        audiences = {f"{exchange.base}/{place}/oauth2/v2.0/token"}
        if tenant is not None:
            audiences.add(f"https://{tenant.cloud.authority}/{tenant.id}/v2.0")
    authenticate(app, form, audiences, exchange.now, required=not public)


def _check_conditions(tenant: Tenant, local: App, grant: dict[str, Any], form: dict[str, str]) -> None:
    """Conditional Access, and whatever else is asked of a person beside the password."""
    if local.blocked:
        raise blocked()
    if tenant.behaviour.mfa_required and not grant.get("mfa"):
        raise mfa_needed()
    passed_back = grant.get("claims") and form.get("claims", CHALLENGE) == CHALLENGE
    if tenant.behaviour.claims_wanted and not passed_back:
        raise challenge()


def user_answer(
    exchange: Exchange, form: dict[str, str], app: Registration, grant: dict[str, Any]
) -> dict[str, object]:
    """The token response of a person: access token, and what the scopes add."""
    tenant = tenant_of(exchange, grant)
    _check_tenant(exchange, tenant, str(grant["user"]))
    index = tenant.directory.users.find(str(grant["oid"]))
    if index is None or not tenant.directory.users.is_live(index):
        raise _no_user(str(grant["user"]))
    user = tenant.directory.users.view(index)
    _check_account(tenant, user)
    local = tenant.apps.get(app.client_id)
    if local is None:
        raise no_consent(app.client_id, app.name)
    if local.disabled:
        raise disabled(app)
    _check_conditions(tenant, local, grant, form)
    scope = form.get("scope") or str(grant.get("scope", ""))
    resource = tokens.resource_of(tenant, scope)
    scopes = require_principal(tenant, local, exchange.now).scopes(tokens.api_of(resource), user["id"])
    if not scopes or not set(tokens.scopes_in(scope)) <= set(scopes):
        raise no_consent(app.client_id, app.name)
    world, life = exchange.world, tenant.behaviour.token_seconds
    token = tokens.user_token(
        world.signer, tenant, local, user, resource, exchange.now, mfa=bool(grant.get("mfa")), scopes=scopes
    )
    asked = [part for part in scope.split() if part != "offline_access"]
    answer: dict[str, object] = {
        "token_type": "Bearer",
        "scope": " ".join(dict.fromkeys([*asked, *scopes])),
        "expires_in": life,
        "ext_expires_in": life,
        "access_token": token,
    }
    wanted = set(scope.split()) | set(str(grant.get("scope", "")).split())
    if "offline_access" in wanted:
        kept = {name: grant[name] for name in ("tenant", "client_id", "oid", "user", "scope", "mfa")}
        kept["claims"] = grant.get("claims", False)
        kept["public"] = grant.get("public", False)
        answer["refresh_token"] = world.keep_grant("refresh", kept)
    if "openid" in wanted:
        answer["id_token"] = tokens.id_token(
            world.signer, tenant, local, user, grant.get("nonce"), exchange.now
        )
    if form.get("client_info") == "1":
        answer["client_info"] = tokens.client_info(tenant, user)
    return answer
