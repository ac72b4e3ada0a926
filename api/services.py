"""Making API tokens: what one may grant. The API, the CLI and the screen use the same function."""

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from accounts import services
from accounts.addresses import network_of, within
from accounts.models import ApiToken
from core.errors import Forbidden, InvalidInput
from tenants import scope
from tenants.abilities import ABILITIES, CUSTOMER_ROLES, PROVIDER_WIDE, Ability, Role
from tenants.access import Actor
from tenants.models import Tenant

LONGEST_LIFE = dt.timedelta(days=730)
USUAL_LIFE = dt.timedelta(days=365)
MOST_NETWORKS = 50


@transaction.atomic
def issue_token(
    actor: Actor,
    *,
    name: str,
    role: Role,
    lifetime: dt.timedelta | None,
    tenant_id: uuid.UUID | None = None,
    scopes: Iterable[Ability] | None = None,
    networks: Iterable[str] = (),
    maker: ApiToken | None = None,
) -> tuple[ApiToken, str]:
    """A token and its value, which is shown this one time. Without scopes it gets all that the role has.

    `maker` is the token that asks, where it is one: what it makes is bound to its networks, and ends no later.
    Raises InvalidInput naming the field, or Forbidden when it could do what its maker cannot.
    """
    label = " ".join(name.split())
    if not 1 <= len(label) <= 120 or not label.isprintable():
        raise InvalidInput(field="name", why="it needs 1 to 120 printable characters")
    lifetime = _lifetime(lifetime, maker)
    _check_tenant(role, tenant_id)
    granted = _granted(actor, role, tenant_id, scopes)
    return services.create_token(
        actor,
        name=label,
        role=role,
        scopes=sorted(granted),
        tenant_id=tenant_id,
        networks=_networks(networks, maker),
        lifetime=lifetime,
    )


def _check_tenant(role: Role, tenant_id: uuid.UUID | None) -> None:
    if tenant_id is None:
        if role in CUSTOMER_ROLES:
            raise InvalidInput(field="tenant_id", why="a customer's role needs a customer")
        return
    with scope.one(tenant_id):
        if not Tenant.objects.filter(id=tenant_id, deleted_at=None).exists():
            raise InvalidInput(field="tenant_id", why="there is no such customer")


def _granted(
    actor: Actor, role: Role, tenant_id: uuid.UUID | None, scopes: Iterable[Ability] | None
) -> frozenset[Ability]:
    within = ABILITIES[role] if tenant_id is None else ABILITIES[role] - PROVIDER_WIDE
    granted = within if scopes is None else frozenset(scopes)
    if not granted:
        raise InvalidInput(field="scopes", why="a token without any is of no use")
    if not granted <= within:
        odd = ", ".join(sorted(granted - within))
        raise InvalidInput(field="scopes", why=f"the role does not include {odd}")
    if not granted <= actor.abilities() | actor.abilities(tenant_id):
        raise Forbidden(action="make a token with more rights than your own")
    return granted


def _lifetime(wanted: dt.timedelta | None, maker: ApiToken | None) -> dt.timedelta:
    """Without a wish a year, or what the maker has left, in whole minutes: it begins a moment after this."""
    left = maker.expires_at - timezone.now() if maker else LONGEST_LIFE
    if wanted is None:
        minute = dt.timedelta(minutes=1)
        return max(min(USUAL_LIFE, left // minute * minute), dt.timedelta())
    if not dt.timedelta() < wanted <= LONGEST_LIFE:
        raise InvalidInput(field="days", why="it must be between 1 and 730 days")
    if maker and wanted > left:
        raise InvalidInput(
            field="days",
            why=f"the token that makes it ends {maker.expires_at:%Y-%m-%d %H:%M} UTC, and it cannot last longer",
        )
    return wanted


def _networks(blocks: Iterable[str], maker: ApiToken | None) -> list[str]:
    """As they are kept; without any the maker's own."""
    bounds = maker.networks if maker else []
    found = []
    for block in blocks:
        network = network_of(block)
        if network is None:
            raise InvalidInput(
                field="networks", why="each one is an address or a CIDR block such as 10.1.0.0/16"
            )
        if bounds and not within(network, bounds):
            raise InvalidInput(
                field="networks",
                why=f"{network} is not within those of the token that makes it: {', '.join(bounds)}",
            )
        found.append(str(network))
    if len(found) > MOST_NETWORKS:
        raise InvalidInput(field="networks", why=f"{MOST_NETWORKS} at most")
    return found or list(bounds)
