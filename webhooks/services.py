"""Managing endpoints: provider admins only, each act recorded. The signing secret is shown once and then sealed."""

import uuid
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.taken import still_there
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput
from events.models import Event, Type
from events.services import tell
from replication import doorbell, states
from replication import services as queue
from replication.models import OPEN, Command
from replication.registry import chore
from tenants import scope, secrets
from tenants.access import SYSTEM, Actor
from tenants.models import SecretKind, Tenant
from tenants.outbound import guard
from webhooks import signing
from webhooks.models import Endpoint

DELIVER = "deliver_events"
MOST = 50
TYPES = tuple(type_.value for type_ in Type if type_ != Type.TEST)


def check_url(text: str) -> str:
    """Raises InvalidInput. The address behind the name is checked when something is sent (core.guard)."""
    text = text.strip()
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise InvalidInput(field="url", why="it is not a web address") from None
    host = parts.hostname or ""
    local = guard().loopback and host in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and local):
        raise InvalidInput(field="url", why="it must begin with https://")
    if (
        not host
        or "@" in parts.netloc
        or parts.fragment
        or port == 0
        or not text.isascii()
        or len(text) > 500
    ):
        raise InvalidInput(
            field="url", why="give https://, the host name and the path, without user or fragment"
        )
    if any(ord(character) <= 32 for character in text):
        raise InvalidInput(field="url", why="it has blanks in it")
    own = urlsplit(settings.PORTAL_BASE_URL)
    if host == own.hostname and (port or 443) == (own.port or 443):
        raise InvalidInput(field="url", why="that is this portal itself")
    literal = ":" in host or host.replace(".", "").isdecimal()
    if literal and not guard().allows(host):
        raise InvalidInput(field="url", why="the portal sends nothing to this address")
    return text


@transaction.atomic
def add(
    actor: Actor, *, name: str, url: str, types: Sequence[str] = (), tenants: Sequence[uuid.UUID] = ()
) -> tuple[Endpoint, str]:
    """A new endpoint and its signing secret, which is never shown again; it gets what happens from now on.

    Raises InvalidInput naming the field.
    """
    if Endpoint.objects.count() >= MOST:
        raise InvalidInput(field="name", why=f"there are {MOST} webhooks already")
    values = _cleaned(name=name, url=url, types=types, tenants=tenants)
    secret = signing.new_secret()
    with scope.every("a new webhook begins with what happens from now on"):
        newest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
    sealed = secrets.store_for_provider(SecretKind.WEBHOOK, secret, set_by=actor.label)
    endpoint = Endpoint.objects.create(secret=sealed, cursor=newest, created_by=actor.label, **values)
    note(actor, "webhook.added", endpoint, {"URL": (None, endpoint.url)})
    return endpoint, secret


@transaction.atomic
def change(actor: Actor, endpoint: Endpoint, *, version: int | None = None, **given: Any) -> Endpoint:
    """Customers that have left since may stay in `tenants`: without them it would become everybody's.

    Raises InvalidInput naming the field, or Conflict when somebody was faster.
    """
    locked = still_there(Endpoint.objects.filter(id=endpoint.id), "webhook")
    if version is not None and locked.row_version != version:
        raise Conflict("conflict_version", thing=locked.name)
    names = ("name", "url", "types", "tenants")
    wanted = {name: given.get(name, getattr(locked, name)) for name in names}
    values = _cleaned(**wanted, kept=locked.tenants)
    before = {name: getattr(locked, name) for name in names}
    for name, value in values.items():
        setattr(locked, name, value)
    locked.row_version += 1
    locked.save()
    changes = {name: (before[name], values[name]) for name in names if before[name] != values[name]}
    note(actor, "webhook.changed", locked, changes)
    return locked


@transaction.atomic
def remove(actor: Actor, endpoint: Endpoint) -> None:
    """Nothing where it is gone already. A delivery that is under way is noted before it, or not at all."""
    locked = Endpoint.objects.select_for_update(no_key=True).filter(id=endpoint.id).first()
    if locked is None:
        return
    sealed = [each for each in (locked.secret, locked.former_secret) if each is not None]
    note(actor, "webhook.removed", locked, {"URL": (locked.url, None)})
    locked.delete()
    for each in sealed:
        each.delete()


@transaction.atomic
def hold(actor: Actor, endpoint: Endpoint, because: str) -> None:
    """Nothing is sent until somebody resumes it; events wait as long as they are kept (events.services.KEPT)."""
    Endpoint.objects.filter(id=endpoint.id, held_at=None).update(held_at=Now(), held_because=because[:300])
    note(actor, "webhook.held", endpoint, {"because": (None, because)})


@transaction.atomic
def resume(actor: Actor, endpoint: Endpoint) -> None:
    """Go on with the first event that it has not taken."""
    Endpoint.objects.filter(id=endpoint.id).update(
        held_at=None, held_because="", failures=0, failing_since=None, row_version=F("row_version") + 1
    )
    note(actor, "webhook.resumed", endpoint, {})
    _send(actor, endpoint)


@transaction.atomic
def replay(actor: Actor, endpoint: Endpoint, cursor: int) -> None:
    """Send everything after this cursor (again); failures before it count no more. Raises InvalidInput."""
    if not 0 <= cursor < 2**63:
        raise InvalidInput(field="cursor", why="it is the number of an event, or 0 for all that are kept")
    before = still_there(Endpoint.objects.filter(id=endpoint.id), "webhook").cursor
    Endpoint.objects.filter(id=endpoint.id).update(
        cursor=cursor, failures=0, failing_since=None, row_version=F("row_version") + 1
    )
    note(actor, "webhook.replayed", endpoint, {"cursor": (before, cursor)})
    _send(actor, endpoint)


@transaction.atomic
def send_test(actor: Actor, endpoint: Endpoint) -> None:
    """An event for this endpoint alone; it takes its turn like every other."""
    note(actor, "webhook.tested", endpoint, {})
    _send(actor, endpoint)
    with scope.every("a test event concerns no customer"):
        tell(Type.TEST, None, {"endpoint": str(endpoint.id), "message": f"Sent by {actor.label}."})


@chore
def send_due() -> int:
    """Queue a delivery for each endpoint behind the newest event; how many."""
    with scope.every("events of all customers are sent to webhooks"):
        newest = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
        behind = Endpoint.objects.filter(held_at=None, cursor__lt=newest)
        busy = Command.objects.filter(kind=DELIVER, state__in=OPEN).values_list("target", flat=True)
        due = [endpoint for endpoint in behind if str(endpoint.id) not in set(busy)]
        for endpoint in due:
            queue.submit(SYSTEM, DELIVER, None, target=str(endpoint.id))
        return len(due)


def _send(actor: Actor, endpoint: Endpoint) -> None:
    """A delivery that waits is due now; where there is none, one is queued."""
    mine = Q(kind=DELIVER, target=str(endpoint.id))
    with scope.every("a command of the provider as a whole"):
        if Command.objects.filter(mine, state__in=OPEN).exists():
            states.make_due(mine)
            doorbell.ring_after_commit()
        else:
            queue.submit(actor, DELIVER, None, target=str(endpoint.id))


def _cleaned(
    *,
    name: str,
    url: str,
    types: Sequence[str],
    tenants: Sequence[uuid.UUID],
    kept: Sequence[uuid.UUID] = (),
) -> dict[str, Any]:
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise InvalidInput(field="name", why="it needs 1 to 120 printable characters")
    if unknown := sorted(set(types) - set(TYPES)):
        raise InvalidInput(field="types", why=f"there is no event {unknown[0]}")
    wanted = set(tenants)
    with scope.every("customers of a webhook are looked up"):
        known = set(Tenant.objects.filter(id__in=wanted, deleted_at=None).values_list("id", flat=True))
    if wanted - known - set(kept):
        raise InvalidInput(field="tenants", why="one of them is no customer")
    return {
        "name": name,
        "url": check_url(url),
        "types": sorted(set(types)),
        "tenants": sorted(wanted, key=str),
    }


def note(actor: Actor, action: str, endpoint: Endpoint, changes: Changes) -> None:
    """An entry of the trail."""
    record(
        actor,
        action,
        tenant_id=None,
        object_kind="webhook",
        object_id=endpoint.id,
        object_label=endpoint.name,
        changes=changes,
    )
