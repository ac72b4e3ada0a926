"""Renewing a webhook's signing secret: for a while each call carries two signatures, and no receiver misses one."""

import datetime as dt

from django.db import transaction
from django.db.models.functions import Now
from django.utils import timezone

from accounts.taken import still_there
from core.errors import Conflict, InvalidInput, NotFound
from replication.registry import chore
from tenants import secrets
from tenants.access import SYSTEM, Actor
from tenants.models import SecretKind
from webhooks import signing
from webhooks.models import Endpoint
from webhooks.services import note

OVERLAP_HOURS = 24
LONGEST_OVERLAP = 7 * 24


@transaction.atomic
def rotate(actor: Actor, endpoint: Endpoint, *, overlap_hours: int = OVERLAP_HOURS) -> tuple[Endpoint, str]:
    """A new signing secret, which is never shown again; until the overlap is over the old one signs too.

    Raises InvalidInput (overlap_hours), Conflict while an earlier renewal still overlaps.
    """
    if not 0 <= overlap_hours <= LONGEST_OVERLAP:
        raise InvalidInput(field="overlap_hours", why=f"it must be between 0 and {LONGEST_OVERLAP} hours")
    locked = still_there(Endpoint.objects.filter(id=endpoint.id).select_related("secret"), "webhook")
    if locked.former_secret_id is not None:
        why = "its last signing secret is still accepted beside the new one: end that first, or wait"
        raise Conflict(thing=locked.name, why=why)
    value = signing.new_secret()
    locked.former_secret, locked.former_until = (
        locked.secret,
        timezone.now() + dt.timedelta(hours=overlap_hours),
    )
    locked.secret = secrets.store_for_provider(SecretKind.WEBHOOK, value, set_by=actor.label)
    locked.row_version += 1
    locked.save()
    note(actor, "webhook.secret_renewed", locked, {"overlap in hours": (None, overlap_hours)})
    if overlap_hours == 0:
        drop_former(actor, locked)
        locked.refresh_from_db()
    return locked, value


@transaction.atomic
def drop_former(actor: Actor, endpoint: Endpoint) -> None:
    """From now on the new secret alone signs. Raises Conflict when there is no other."""
    locked = still_there(Endpoint.objects.filter(id=endpoint.id), "webhook")
    former = locked.former_secret
    if former is None:
        raise Conflict(thing=locked.name, why="one signing secret is in use, and no other")
    locked.former_secret = locked.former_until = None
    locked.row_version += 1
    locked.save()
    former.delete()
    note(actor, "webhook.old_secret_ended", locked, {})


@chore
def drop_ended() -> int:
    """Old signing secrets whose overlap is over are forgotten; how many."""
    over = list(Endpoint.objects.filter(former_until__lte=Now()))
    for endpoint in over:
        try:
            drop_former(SYSTEM, endpoint)
        except (Conflict, NotFound):  # another sweeper, or a person, was faster
            continue
    return len(over)
