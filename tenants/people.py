"""People and their roles: who may act for whom, and who may decide that.

Every rule about giving and taking rights is here, for the screens and the CLI alike (facts/security.md 3 and
4.10 to 4.14):

- nobody gives, changes or takes a role that can do more than he can;
- nobody changes or removes his own role, or deactivates himself;
- somebody who manages the people of one customer only decides about roles there and nowhere else, and about no
  account that exists for anybody else; a customer's own people decide about customers' roles only;
- an active provider-wide Admin is always left;
- a change ends the person's sessions, and is in the trail.
"""

import dataclasses
import logging
import uuid
from collections.abc import Iterable

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet

from accounts import selectors as accounts
from accounts import services
from accounts.mail import send_sign_in_link
from accounts.models import ApiToken, User
from audit.selectors import entries
from audit.services import record
from core.errors import Conflict, Forbidden, InvalidInput, NotFound
from tenants import scope
from tenants.abilities import ABILITIES, CUSTOMER_ROLES, PROVIDER_ROLES, PROVIDER_WIDE, Ability, Role
from tenants.access import Actor
from tenants.models import Membership, Tenant

log = logging.getLogger(__name__)
MOST_FOUND = 1_000
OWN_ROLE = "nobody changes his own role or access; ask another administrator"
LAST_ADMIN = "it is the last active Admin of the provider; give this role to somebody else first"
NOT_HERE = "it cannot be added here; ask your provider"


# --- What one may decide ------------------------------------------------------------------------------------
def grantable(actor: Actor, tenant_id: uuid.UUID | None) -> list[Role]:
    """The roles that the actor may give, change and take: for this customer or, without one, provider-wide."""
    if not actor.may(Ability.MANAGE_PEOPLE, tenant_id):
        return []
    own = actor.abilities(tenant_id)
    return [role for role in _roles_at(actor, tenant_id) if _needed(role, tenant_id) <= own]


def _roles_at(actor: Actor, tenant_id: uuid.UUID | None) -> list[Role]:
    """A customer's own people do not even see which of the provider's people look after him."""
    if tenant_id is None:
        return [role for role in Role if role in PROVIDER_ROLES]
    by = {actor.provider_role, actor.tenant_roles.get(tenant_id)} & PROVIDER_ROLES
    manages = any(Ability.MANAGE_PEOPLE in ABILITIES[role] for role in by if role)
    return list(Role) if manages else [role for role in Role if role in CUSTOMER_ROLES]


def _needed(role: Role, tenant_id: uuid.UUID | None) -> frozenset[Ability]:
    return ABILITIES[role] if tenant_id is None else ABILITIES[role] - PROVIDER_WIDE


def manages_everybody(actor: Actor) -> bool:
    return actor.may(Ability.MANAGE_PEOPLE)


def is_self(actor: Actor, user_id: uuid.UUID) -> bool:
    return actor.kind == "person" and actor.id == str(user_id)


def _not_self(actor: Actor, user_id: uuid.UUID, label: str) -> None:
    if is_self(actor, user_id):
        raise Conflict(thing=label, why=OWN_ROLE)


def _everybody(actor: Actor) -> None:
    if not manages_everybody(actor):
        raise Forbidden(action="decide about people of the whole provider")


def _keep_an_admin(without: uuid.UUID, label: str) -> None:
    """Raises Conflict when no active provider-wide Admin would be left. Two at once wait for each other.

    Call it in the scope of every tenant, before the write.
    """
    admins = Membership.objects.filter(tenant=None, role=Role.PROVIDER_ADMIN)
    ids = set(admins.select_for_update(no_key=True).order_by("id").values_list("user_id", flat=True))
    # A second look: what another transaction did while this one waited for the lock.
    ids = set(admins.filter(user_id__in=ids).values_list("user_id", flat=True))
    if without not in ids:
        return
    if not User.objects.filter(id__in=ids - {without}, is_active=True).exists():
        raise Conflict(thing=label, why=LAST_ADMIN)


# --- Roles --------------------------------------------------------------------------------------------------
@transaction.atomic
def give_role(actor: Actor, *, user_id: uuid.UUID, email: str, role: Role, tenant: Tenant | None) -> None:
    """Give a person a role: for one customer, or provider-wide. Replaces the one he had there.

    Raises Forbidden when the new role or the old one can do what the actor cannot, Conflict when it is his own
    or the last Admin's.
    """
    tenant_id = tenant.id if tenant else None
    _not_self(actor, user_id, email)
    allowed = grantable(actor, tenant_id)
    if role not in allowed:
        raise Forbidden(action="give a role with more rights than your own")
    with scope.every("memberships may be provider-wide"):
        if tenant is None and role != Role.PROVIDER_ADMIN:
            _keep_an_admin(user_id, email)
        there = (
            Membership.objects.select_for_update(no_key=True).filter(user_id=user_id, tenant=tenant).first()
        )
        if there is not None and there.role not in allowed:
            raise Forbidden(action="change a role with more rights than your own")
        before = Role(there.role) if there else None
        if before == role:
            return
        Membership.objects.update_or_create(user_id=user_id, tenant=tenant, defaults={"role": role})
    _changed(actor, "role.changed" if before else "role.given", user_id, email, tenant_id, (before, role))


@transaction.atomic
def take_role(actor: Actor, *, user: User, tenant: Tenant | None) -> None:
    """Take the role that the person has there.

    Raises NotFound when there is none that the actor may see, Conflict when it is his own or the last Admin's.
    """
    _not_self(actor, user.id, user.email)
    role = role_at(actor, user.id, tenant)
    with scope.every("memberships may be provider-wide"):
        if tenant is None:
            _keep_an_admin(user.id, user.email)
        Membership.objects.filter(user=user, tenant=tenant).delete()
    _changed(actor, "role.taken", user.id, user.email, tenant.id if tenant else None, (role, None))


def role_at(actor: Actor, user_id: uuid.UUID, tenant: Tenant | None) -> Role:
    """The person's role there, when the actor may decide about it. Raises NotFound."""
    with scope.every("memberships may be provider-wide"):
        there = Membership.objects.filter(user_id=user_id, tenant=tenant).first()
    if there is None or there.role not in grantable(actor, tenant.id if tenant else None):
        raise NotFound(thing="person")
    return Role(there.role)


def _changed(
    actor: Actor,
    action: str,
    user_id: uuid.UUID,
    email: str,
    tenant_id: uuid.UUID | None,
    roles: tuple[Role | None, Role | None],
) -> None:
    services.end_sessions(user_id)
    before, after = (role.words if role else None for role in roles)
    record(
        actor,
        action,
        tenant_id=tenant_id,
        object_kind="user",
        object_id=user_id,
        object_label=email,
        changes={"role": (before, after)},
    )


# --- People -------------------------------------------------------------------------------------------------
@transaction.atomic
def add_person(
    actor: Actor, *, email: str, name: str, role: Role, tenant: Tenant | None
) -> tuple[User, bool]:
    """A person with his first role here, and whether the account is new; a new one has no password yet.

    Raises InvalidInput naming the field, or Forbidden as `give_role` does.
    """
    user = User.objects.filter(email__iexact=email.strip()).first()
    if user is not None:
        _check_known(actor, user, tenant)
    new = user is None
    if user is None:
        user = services.add_user(actor, email=email, name=name, password=None)
    give_role(actor, user_id=user.id, email=user.email, role=role, tenant=tenant)
    return user, new


def _check_known(actor: Actor, user: User, tenant: Tenant | None) -> None:
    """Whoever looks after one customer decides about no account that others use too, and learns little of it."""
    with scope.every("an address may have an account for other customers"):
        places = dict(Membership.objects.filter(user=user).values_list("tenant_id", "role"))
    here = tenant.id if tenant else None
    hidden = places.keys() - {here} or (here in places and places[here] not in grantable(actor, here))
    if not manages_everybody(actor) and (hidden or not user.is_active):
        raise InvalidInput(field="email", why=NOT_HERE)
    if not user.is_active:
        raise InvalidInput(field="email", why="this person is deactivated; reactivate the account first")
    if here in places:
        raise InvalidInput(field="email", why="this person has a role here already; change it in the list")


@transaction.atomic
def edit_person(actor: Actor, user: User, *, email: str, name: str) -> User:
    """Raises InvalidInput naming the field, or Forbidden."""
    _everybody(actor)
    return services.edit_user(actor, user, email=email, name=name)


@transaction.atomic
def deactivate(actor: Actor, user: User, *, revoke_tokens: bool = False) -> None:
    """Sign-in is refused from now on and every session is over; roles stay for a later reactivation.

    Raises Forbidden, or Conflict when it is the actor himself or the last Admin.
    """
    _everybody(actor)
    _not_self(actor, user.id, user.email)
    with scope.every("an active Admin of the provider must be left"):
        _keep_an_admin(user.id, user.email)
    services.set_active(actor, user, active=False)
    for token in tokens_made_by(user) if revoke_tokens else []:
        services.revoke_token(actor, token)


@transaction.atomic
def reactivate(actor: Actor, user: User) -> None:
    _everybody(actor)
    _not_self(actor, user.id, user.email)
    services.set_active(actor, user, active=True)


@transaction.atomic
def remove_factors(actor: Actor, user: User) -> None:
    """For somebody who lost the second factor. One's own is removed under the own account, by using it."""
    _everybody(actor)
    _not_self(actor, user.id, user.email)
    services.remove_factors(actor, user)


@transaction.atomic
def sign_in_link(actor: Actor, user: User) -> str:
    """A one-time link with which the person sets a password. Raises Forbidden or Conflict."""
    _everybody(actor)
    if not user.is_active:
        raise Conflict(thing=user.email, why="the account is deactivated; reactivate it first")
    return services.sign_in_link(actor, user)


def mail_first_link(actor: Actor, user: User) -> bool:
    """Mail a person whom the actor just added the link to begin with; False when no mail can be sent.

    It is never shown to somebody who manages one customer only: whoever sets the first password of another's
    address would come along when that person is given more rights. Raises Forbidden for an account in use.
    """
    return send_sign_in_link(user, _first_link(actor, user))


def mail_first_link_later(actor: Actor, user: User) -> bool:
    """As `mail_first_link`, but once all of it is committed; whether there is a mail server that will be asked.

    A transaction does not stay open while a mail server takes its time, and no mail has a link of somebody whom it
    did not keep. Raises Forbidden as `mail_first_link` does.
    """
    address = _first_link(actor, user)
    if not settings.EMAIL_URL:
        return False

    def send() -> None:
        if not send_sign_in_link(user, address):
            log.warning("the mail with a first sign-in link did not go out", extra={"user": str(user.id)})

    transaction.on_commit(send, robust=True)
    return True


def _first_link(actor: Actor, user: User) -> str:
    if user.has_usable_password() or user.last_login is not None:
        raise Forbidden(action="make a sign-in link for an account that is in use")
    return services.sign_in_link(actor, user)


# --- Reads --------------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Place:
    """A role and where it holds; no tenant means the whole provider."""

    role: Role
    tenant_id: uuid.UUID | None
    tenant_name: str

    @property
    def words(self) -> str:
        return f"{self.role.words} of {self.tenant_name or 'the provider'}"


def people(*, search: str = "", active: bool | None = None, factor: bool | None = None) -> QuerySet[User]:
    """Everybody who has an account; a search also finds the people of the customers it matches."""
    found = accounts.people(active=active, factor=factor)
    if not search:
        return found
    with scope.every("people are found by the names of their customers too"):
        ids = Membership.objects.filter(tenant__name__icontains=search).values_list("user_id", flat=True)
        of_customers = list(ids.distinct()[:MOST_FOUND])
    return found.filter(Q(name__icontains=search) | Q(email__icontains=search) | Q(id__in=of_customers))


def people_here(actor: Actor, tenant: Tenant, *, search: str = "") -> QuerySet[Membership]:
    """Whose role for this customer the actor may decide about, by name. Call it in the customer's scope."""
    found: QuerySet[Membership] = Membership.objects.filter(
        tenant=tenant, role__in=grantable(actor, tenant.id)
    ).select_related("user")
    if search:
        found = found.filter(Q(user__name__icontains=search) | Q(user__email__icontains=search))
    return found.order_by("user__name", "user__email", "id")


def places_of(user_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[Place]]:
    """Roles by person, the provider's first; for whoever manages everybody."""
    found: dict[uuid.UUID, list[Place]] = {user_id: [] for user_id in user_ids}
    with scope.every("the roles of people, for whoever manages everybody"):
        rows = Membership.objects.filter(user_id__in=list(found)).select_related("tenant")
        for row in sorted(
            rows, key=lambda row: (row.tenant is not None, row.tenant.name if row.tenant else "")
        ):
            place = Place(Role(row.role), row.tenant_id, row.tenant.name if row.tenant else "")
            found[row.user_id].append(place)
    return found


def tokens_made_by(user: User) -> list[ApiToken]:
    """Living API tokens that the person made; the trail knows by id, names may repeat."""
    with scope.every("the trail says who made which token"):
        made = entries().filter(action="token.created", object_kind="token")
        ids = list(
            made.filter(actor_kind="person", actor_id=str(user.id)).values_list("object_id", flat=True)
        )
    return list(ApiToken.objects.filter(id__in=ids, revoked_at=None).order_by("name", "id"))
