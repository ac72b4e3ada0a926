"""Who came by a link: a browser without an account, which may do one thing for one customer.

The link's token is swapped for a cookie at the first press of a button. From then on each step asks again whether
the invitation is still open, and the steps that change something ask under its lock. An invitation that is sent anew,
or to another address, deletes its visits (`services`): those steps ask for that, too.
"""

import datetime as dt
import secrets as chance
import uuid

from django.core.cache import cache
from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from core.errors import UmpError
from events.models import Type as Told
from events.services import tell
from invitations import services
from invitations.models import VISIT, Invitation, Link, Visit, Way
from replication.registry import chore
from tenants import scope
from tenants.abilities import Ability, Role
from tenants.access import Actor
from tenants.models import Tenant

KIND = "invitation"
MAY = frozenset({Ability.VIEW_TENANT, Ability.MANAGE_CONNECTION})
LONGEST = 100
"""Characters of a token that are worth looking up; ours have 43."""
GUESSES, GUESSED_IN = 30, 600
"""So many wrong links an address may try, in so many seconds."""
MOST_VISITS = 50
"""So many browsers a link lets in within an hour."""
BATCH = 500


# --- In -----------------------------------------------------------------------------------------------------
def invitation_of(token: str, address: str | None) -> Invitation:
    """The open invitation behind a link, read only; opens its customer's scope until the session ends.

    Raises UmpError: rate_limited, or why the link leads nowhere.
    """
    _check_guesses(address)
    with scope.every("a link says for which customer it is"):
        link = Link.objects.filter(token_hash=services.hash_of(token[:LONGEST])).first()
    if link is None or len(token) > LONGEST:
        _note_guess(address)
        raise UmpError.of("invitation_unknown")
    scope.open_in_session(scope.one(link.tenant_id))
    found: Invitation = Invitation.objects.select_related("tenant").get(id=link.invitation_id)
    _check(found)
    return found


@transaction.atomic
def begin(invitation: Invitation, token: str, *, address: str | None) -> str:
    """Swap the link for a cookie; its value.

    Raises as `services.locked`; invitation_unknown for a link that a newer mail has ended; rate_limited.
    """
    invitation = services.locked(invitation.tenant, invitation.pk)
    if not Link.objects.filter(invitation=invitation, token_hash=services.hash_of(token)).exists():
        raise UmpError.of("invitation_unknown")
    lately = Visit.objects.filter(invitation=invitation, began_at__gt=Now() - dt.timedelta(hours=1))
    if lately.count() >= MOST_VISITS:
        raise UmpError.of("rate_limited", retry_after=3600)
    cookie = chance.token_urlsafe(32)
    Visit.objects.create(
        tenant_id=invitation.tenant_id,
        invitation=invitation,
        cookie_hash=services.hash_of(cookie),
        ends_at=timezone.now() + VISIT,
        address=address,
    )
    if invitation.opened_at is None:
        invitation.opened_at = timezone.now()
        invitation.save(update_fields=["opened_at"])
        services.note(actor_of(invitation, address), "invitation.opened", invitation)
        told = {"invitation": invitation.pk}
        tell(Told.INVITATION_OPENED, invitation.tenant_id, told, once=f"invitation-opened-{invitation.pk}")
    return cookie


def visit_of(cookie: str, *, over: bool = False) -> Visit:
    """The visit of a browser; opens its customer's scope until the session ends.

    `over` lets one in whose invitation has led to the end. Raises UmpError: visit_over, or why it is closed.
    """
    with scope.every("a visitor's cookie says for which customer it is"):
        found = Visit.objects.filter(cookie_hash=services.hash_of(cookie), ends_at__gt=Now()).first()
    if found is None:
        raise UmpError.of("visit_over")
    scope.open_in_session(scope.one(found.tenant_id))
    visit: Visit = Visit.objects.select_related("invitation", "tenant", "flow").get(id=found.pk)
    if not (over and visit.invitation.done_at):
        _check(visit.invitation)
    return visit


def _check(invitation: Invitation) -> None:
    tenant: Tenant = invitation.tenant
    if tenant.deleted_at or not tenant.enabled:
        raise UmpError.of("invitation_unknown")
    services.check_open(invitation)


# --- Who it is ----------------------------------------------------------------------------------------------
def actor_of(
    invitation: Invitation, address: str | None = None, request_id: uuid.UUID | None = None
) -> Actor:
    """May see this one customer, and give the portal its way in; nothing else, and nobody else's."""
    return Actor(
        kind=KIND,
        id=f"{KIND}:{invitation.pk}",
        label=f"{invitation.email} by invitation {invitation.pk}"[:254],
        tenant_roles={invitation.tenant_id: Role.CUSTOMER_ADMIN},
        only=MAY,
        address=address,
        request_id=request_id or uuid.uuid4(),
    )


def locked(tenant: Tenant, number: int, cookie_hash: str) -> Invitation:
    """The invitation, locked, open, and with this browser's visit still alive.

    Raises as `services.locked`, and UmpError (visit_over).
    """
    invitation = services.locked(tenant, number)
    if not Visit.objects.filter(invitation=invitation, cookie_hash=cookie_hash).exists():
        raise UmpError.of("visit_over")
    return invitation


def note_start(visit: Visit, way: Way) -> Invitation:
    """The invitation, locked and open, with this way begun; what was met before is forgotten.

    Where somebody has let the portal in, his way stays the invitation's until another has come to that. Call it in
    the transaction of what begins. Raises as `locked`.
    """
    invitation = locked(visit.tenant, visit.invitation_id, visit.cookie_hash)
    invitation.started_at, invitation.problem = timezone.now(), None
    if invitation.signed_in_at is None:
        invitation.way = way
    invitation.save(update_fields=["started_at", "way", "problem"])
    visit.way, visit.device, visit.problem = way, None, None
    return invitation


def note_entered(visit: Visit, invitation: Invitation) -> None:
    """The administrator has given what lets the portal in; it is being proven. Within the lock of `note_start`."""
    invitation.signed_in_at, invitation.way = Now(), visit.way
    invitation.save(update_fields=["signed_in_at", "way"])
    visit.flow = None
    visit.save(update_fields=["way", "device", "flow", "problem"])


def note_signed_in(invitation: Invitation, cookie_hash: str) -> None:
    """As `note_entered`, for a sign-in of this browser's visit. Within the lock of `locked`; who calls it saves."""
    visit = Visit.objects.get(invitation=invitation, cookie_hash=cookie_hash)
    invitation.signed_in_at, invitation.way, invitation.problem = Now(), visit.way, None
    Visit.objects.filter(id=visit.pk).update(problem=None)


@transaction.atomic
def note_refusal(visit: Visit, error: UmpError) -> None:
    """A sign-in led to nothing: why, for the visitor's own page, and for the provider's list.

    Several people may have a link. Where one has let the portal in, what another meets is no word about that.
    """
    told = dict(error.to_dict())
    # The invitation before its visit, as whoever locks both.
    Invitation.objects.filter(
        id=visit.invitation_id, done_at=None, signed_in_at=None, found_tenant_id=None
    ).update(problem=told)
    Visit.objects.filter(id=visit.pk).update(problem=told)


def note_problem(invitation: Invitation, error: UmpError) -> None:
    """What let the portal in has proven to be of no use: why, and that somebody has to begin again."""
    told = dict(error.to_dict())
    Invitation.objects.filter(id=invitation.pk, done_at=None).update(problem=told, signed_in_at=None)


# --- Guesses, and what is old -------------------------------------------------------------------------------
def _check_guesses(address: str | None) -> None:
    if int(cache.get(f"guess-{address}", 0)) >= GUESSES:
        raise UmpError.of("rate_limited", retry_after=GUESSED_IN)


def _note_guess(address: str | None) -> None:
    key = f"guess-{address}"
    if not cache.add(key, 1, GUESSED_IN):
        try:
            cache.incr(key)
        except ValueError:  # it ended in between
            cache.add(key, 1, GUESSED_IN)


@chore
def forget_visits() -> int:
    """Visits whose time is over; how many."""
    with scope.every("the sweeper forgets old visits"):
        old = list(
            Visit.objects.filter(ends_at__lt=Now() - dt.timedelta(days=1)).values_list("id", flat=True)[
                :BATCH
            ]
        )
        return Visit.objects.filter(id__in=old).delete()[0]
