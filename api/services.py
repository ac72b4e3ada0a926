"""Making API tokens: what one may grant. The CLI and the screen use the same function."""

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db import transaction

from accounts import services
from accounts.addresses import network_of
from accounts.models import ApiToken
from core.errors import Forbidden, InvalidInput
from tenants import scope
from tenants.abilities import ABILITIES, CUSTOMER_ROLES, PROVIDER_WIDE, Ability, Role
from tenants.access import Actor
from tenants.models import Tenant

LONGEST_LIFE = dt.timedelta(days=730)
MOST_NETWORKS = 50


@transaction.atomic
def issue_token(
    actor: Actor,
    *,
    name: str,
    role: Role,
    lifetime: dt.timedelta,
    tenant_id: uuid.UUID | None = None,
    scopes: Iterable[Ability] | None = None,
    networks: Iterable[str] = (),
) -> tuple[ApiToken, str]:
    """A token and its value, which is shown this one time. Without scopes it gets all that the role has.

    Raises InvalidInput naming the field, or Forbidden when it could do what its maker cannot.
    """
    label = " ".join(name.split())
    if not 1 <= len(label) <= 120 or not label.isprintable():
        raise InvalidInput(field="name", why="it needs 1 to 120 printable characters")
    if not dt.timedelta() < lifetime <= LONGEST_LIFE:
        raise InvalidInput(field="days", why="it must be between 1 and 730 days")
    _check_tenant(role, tenant_id)
    granted = _granted(actor, role, tenant_id, scopes)
    return services.create_token(
        actor,
        name=label,
        role=role,
        scopes=sorted(granted),
        tenant_id=tenant_id,
        networks=_networks(networks),
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


def _networks(blocks: Iterable[str]) -> list[str]:
    found = []
    for block in blocks:
        network = network_of(block)
        if network is None:
            raise InvalidInput(
                field="networks", why="each one is an address or a CIDR block such as 10.1.0.0/16"
            )
        found.append(str(network))
    if len(found) > MOST_NETWORKS:
        raise InvalidInput(field="networks", why=f"{MOST_NETWORKS} at most")
    return found
