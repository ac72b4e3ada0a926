"""The doors: the only way to a customer's data, for browser, API and worker alike (DESIGN 6).

A door asks who is asking, before anything is fetched. What the actor may not see is 404, as if it did not
exist; what he may see but not do is 403.
"""

import dataclasses
import uuid
from collections.abc import Mapping

from core.errors import Forbidden, NotFound, UmpError
from tenants import scope
from tenants.abilities import ABILITIES, PROVIDER_WIDE, Ability, Role
from tenants.models import Tenant
from tenants.written import Written


@dataclasses.dataclass(frozen=True)
class Actor:
    """Whoever acts. `tenant_roles` hold for one customer each, `provider_role` for all of them."""

    kind: str
    id: str
    label: str
    provider_role: Role | None = None
    tenant_roles: Mapping[uuid.UUID, Role] = dataclasses.field(default_factory=dict)
    only: frozenset[Ability] | None = None
    address: str | None = None
    request_id: uuid.UUID = dataclasses.field(default_factory=uuid.uuid4)

    def abilities(self, tenant_id: uuid.UUID | None = None) -> frozenset[Ability]:
        """What the actor may do for this customer; without one, for the provider as a whole."""
        found = ABILITIES[self.provider_role] if self.provider_role else frozenset()
        if tenant_id is not None and tenant_id in self.tenant_roles:
            found |= ABILITIES[self.tenant_roles[tenant_id]] - PROVIDER_WIDE
        return found if self.only is None else found & self.only

    def may(self, ability: Ability, tenant_id: uuid.UUID | None = None) -> bool:
        return ability in self.abilities(tenant_id)

    @property
    def is_provider(self) -> bool:
        """Sees the provider's side: a provider role, for all customers or for some."""
        return self.provider_role is not None or any(
            role in {Role.PROVIDER_ADMIN, Role.OPERATOR, Role.MONITOR} for role in self.tenant_roles.values()
        )


SYSTEM = Actor(kind="system", id="system", label="UMP Portal", provider_role=Role.PROVIDER_ADMIN)
"""The portal itself: schedules, sweeps and workers."""


def actor_of_user(
    user_id: uuid.UUID, label: str, *, address: str | None = None, request_id: uuid.UUID | None = None
) -> Actor:
    """A person with his roles, which are read anew for each request: a role taken away is gone at once."""
    rows = scope.glance("a person's roles are read before any scope is known", _ROLES, [user_id])
    wide = [Role(role) for tenant_id, role in rows if tenant_id is None]
    return Actor(
        kind="person",
        id=str(user_id),
        label=label,
        provider_role=max(wide, key=lambda role: len(ABILITIES[role]), default=None),
        tenant_roles={tenant_id: Role(role) for tenant_id, role in rows if tenant_id is not None},
        address=address,
        request_id=request_id or uuid.uuid4(),
    )


_ROLES = "SELECT tenant_id, role FROM tenants_membership WHERE user_id = %s"
"""In plain SQL, because every request asks for it."""
_TENANT = Written(lambda tenant_id: Tenant.objects.filter(id=tenant_id))


def tenant_for(actor: Actor, uid: uuid.UUID | str, *, needs: Ability, deleted: bool = False) -> Tenant:
    """The customer, with its scope open until the session ends. Raises NotFound or Forbidden.

    A deleted customer raises tenant_deleted, but for those who ask for `deleted` ones too: to look, to restore.
    """
    tenant_id = _uuid(uid)
    if not actor.may(Ability.VIEW_TENANT, tenant_id) and not actor.may(needs, tenant_id):
        raise NotFound(thing="customer")
    scope.open_in_session(scope.one(tenant_id))
    tenant = _TENANT.sole(tenant_id)
    if tenant is None:
        raise NotFound(thing="customer")
    if not actor.may(needs, tenant_id):
        raise Forbidden(action=needs.words)
    if tenant.deleted_at and not deleted:
        raise UmpError.of("tenant_deleted", tenant=tenant.name)
    return tenant


def provider_for(actor: Actor, *, needs: Ability) -> None:
    """For pages and acts that concern the provider as a whole; opens no scope. Raises NotFound or Forbidden.

    Customers' own people are told nothing about the provider's side, not even that it is there.
    """
    if actor.may(needs):
        return
    raise Forbidden(action=needs.words) if actor.is_provider else NotFound(thing="page")


def tenants_for(actor: Actor, *, needs: Ability) -> None:
    """Opens the scope of every customer for whom the actor may do this: all, or his set.

    Raises, when that is nobody, Forbidden for the provider's people and NotFound for everybody else.
    """
    if actor.may(needs):
        scope.open_in_session(scope.every("a list for somebody who may see every customer"))
        return
    ids = [tenant_id for tenant_id in actor.tenant_roles if actor.may(needs, tenant_id)]
    if not ids:
        raise Forbidden(action=needs.words) if actor.is_provider else NotFound(thing="page")
    scope.open_in_session(scope.some(ids))


def _uuid(value: uuid.UUID | str) -> uuid.UUID:
    try:
        return value if isinstance(value, uuid.UUID) else uuid.UUID(value)
    except ValueError:
        raise NotFound(thing="customer") from None
