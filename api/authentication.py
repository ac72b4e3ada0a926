"""Who calls: a bearer token becomes an actor. Sessions are not looked at here (facts/security.md 5.5)."""

import re
import uuid
from collections.abc import Mapping
from typing import cast

from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts import services
from accounts.addresses import allowed
from accounts.models import ApiToken
from core.errors import Forbidden, UmpError
from tenants.abilities import Ability, Role
from tenants.access import Actor

REALM = 'Bearer realm="UMP Portal API"'
SHAPE = re.compile(r"cpk_[A-Za-z0-9]{1,32}_[A-Za-z0-9_-]{1,100}")
KNOWN: Mapping[str, Ability] = {ability.value: ability for ability in Ability}


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer cpk_...`. The request's user is the Actor, its auth the token's row."""

    def authenticate(self, request: Request) -> tuple[Actor, ApiToken]:
        """Raises UmpError: not_signed_in without a living token, address_not_allowed from a foreign network."""
        scheme, _, value = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        fits = scheme.lower() == "bearer" and SHAPE.fullmatch(value.strip())
        token = services.token_of(value.strip()) if fits else None
        if token is None:
            raise UmpError.of("not_signed_in")
        address = getattr(request, "client_address", None)
        if token.networks and not allowed(address, token.networks):
            raise Forbidden("address_not_allowed", detail={"address": address or "unknown"})
        services.touch_token(token, address)
        request_id = getattr(request, "request_id", None) or uuid.uuid4()
        return actor_of_token(token, address=address, request_id=request_id), token

    def authenticate_header(self, request: Request) -> str:
        return REALM


def actor_of(request: Request) -> Actor:
    """Who calls, once authenticated. (DRF's types know people only.)"""
    return cast("Actor", request.user)


def token_of(request: Request) -> ApiToken:
    """The token that was sent."""
    return cast("ApiToken", request.auth)


def actor_of_token(token: ApiToken, *, address: str | None, request_id: uuid.UUID) -> Actor:
    """The token's role, for its one customer or the whole provider, narrowed to its scopes.

    A scope that this version does not know grants nothing.
    """
    role = Role(token.role)
    return Actor(
        kind="token",
        id=str(token.id),
        label=token.name,
        provider_role=role if token.tenant_id is None else None,
        tenant_roles={} if token.tenant_id is None else {token.tenant_id: role},
        only=frozenset(KNOWN[scope] for scope in token.scopes if scope in KNOWN),
        address=address,
        request_id=request_id,
    )
