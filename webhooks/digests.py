"""One mail a day for people who want it: who is degraded, failed, or ends soon. Plain text, no secret.

It tells what the person may see: of the provider's own trouble only the provider's people. On a quiet day none is
sent. The portal's own links only, and never a tracker between (complaint B 35).
"""

import dataclasses
import datetime as dt
import uuid
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now
from django.template.loader import render_to_string
from django.utils import timezone

from accounts import branding, delivery
from accounts.models import User
from audit.services import record
from breakers.selectors import open_breakers
from events.models import Event, Type
from replication import services as queue
from replication.models import OPEN, Command, State
from replication.registry import chore
from tenants import provider_app, scope
from tenants.abilities import Ability
from tenants.access import SYSTEM, Actor, actor_of_user
from tenants.health import SOON, Health, with_health
from tenants.models import Standby, Tenant, Verification
from webhooks.models import Digest

SEND = "send_digest"
HOUR = 6
"""Not before this hour, UTC."""
LISTED = 50
REST = dt.timedelta(hours=2)
"""After a mail that was given up, or cancelled: its command has tried for a while already."""


@dataclasses.dataclass(frozen=True)
class Part:
    """A heading, its lines (customer, what, address), and how many more there are."""

    title: str
    lines: list[tuple[str, str, str]]
    more: int = 0


@transaction.atomic
def wish(actor: Actor, user: User, *, wanted: bool) -> None:
    """The first mail comes tomorrow: what is to be seen today is on the page."""
    if wanted:
        _, changed = Digest.objects.get_or_create(user=user, defaults={"done_on": timezone.now().date()})
    else:
        changed = bool(Digest.objects.filter(user=user).delete()[0])
    if changed:
        record(
            actor,
            "digest.wanted" if wanted else "digest.unwanted",
            tenant_id=None,
            object_kind="person",
            object_id=user.id,
            object_label=str(user),
        )


def parts_for(actor: Actor) -> list[Part]:
    """What this person is told, within what he may see; empty on a quiet day."""
    ids = [each for each in actor.tenant_roles if actor.may(Ability.VIEW_TENANT, each)]
    wide = actor.may(Ability.VIEW_TENANT)
    with scope.every("the digest of somebody who may see every customer") if wide else scope.some(ids):
        customers = with_health(Tenant.objects.filter(deleted_at=None, enabled=True))
        broken = customers.filter(health=Health.FAILED)
        ending = customers.filter(expires_at__lte=timezone.now() + SOON).order_by("expires_at", "name")
        found = [
            Part("Trouble of the provider's own", _own() if actor.is_provider else []),
            _part(
                "Degraded: work waits", broken.filter(degraded_at__isnull=False).order_by("name"), _degraded
            ),
            _part("Access failed", broken.filter(degraded_at=None).order_by("name"), _failed),
            _part("Secrets and certificates that end within 30 days, or have ended", ending, _ends),
            Part("Kept beside the connection, and ending", _kept_beside()),
        ]
    return [part for part in found if part.lines]


def text_for(user: User, parts: list[Part]) -> str:
    return render_to_string(
        "webhooks/digest.txt",
        {
            "person": user,
            "parts": parts,
            "portal": branding.current().name,
            "settings_url": f"{_base()}/settings/digest/",
            "dashboard_url": f"{_base()}/",
        },
    )


def send(user_id: uuid.UUID, day: dt.date) -> bool:
    """Whether there was something to say, to somebody who still wants it. Raises UmpError as accounts.delivery does.

    The Message-ID is that of the person and the day: a mail that was sent twice is shown once.
    """
    user = User.objects.filter(id=user_id, is_active=True).first()
    if user is None or not Digest.objects.filter(user=user).exists():
        return False
    parts = parts_for(actor_of_user(user.id, str(user)))
    if not parts:
        return False
    host = urlsplit(settings.PORTAL_BASE_URL).hostname or "localhost"
    message = EmailMessage(
        subject=f"{branding.current().name}: {sum(len(part.lines) + part.more for part in parts)} need attention",
        body=text_for(user, parts),
        to=[user.email],
        headers={
            "Message-ID": f"<digest-{day:%Y%m%d}-{user.id.hex}@{host}>",
            "Auto-Submitted": "auto-generated",
        },
    )
    delivery.deliver(message)
    return True


@chore
def send_due() -> int:
    """Queue the mails of today that are neither sent nor queued, nor were given up just now; how many.

    What only a person can mend (an address that is refused) is one suspended command, which counts as queued.
    """
    now = timezone.now()
    if now.hour < HOUR or not settings.EMAIL_URL:
        return 0
    behind = Digest.objects.filter(Q(done_on=None) | Q(done_on__lt=now.date()))
    wanted = [str(user_id) for user_id in behind.values_list("user_id", flat=True)]
    if not wanted:
        return 0
    with scope.every("daily mails are commands of the provider as a whole"):
        mails = Command.objects.filter(kind=SEND)
        given_up = mails.filter(state__in=(State.FAILED, State.CANCELLED), finished_at__gt=Now() - REST)
        busy = {
            row.target for rows in (mails.filter(state__in=OPEN), given_up) for row in rows.only("target")
        }
        due = [target for target in wanted if target not in busy]
        for target in due:
            queue.submit(SYSTEM, SEND, None, target=target)
        return len(due)


def _own() -> list[tuple[str, str, str]]:
    found = [
        (breaker.get_name_display(), str(breaker.problem.get("message", "")), f"{_base()}/queue/")
        for breaker in open_breakers()
    ]
    found += [(event.data["title"], _recovered(event), f"{_base()}/queue/") for event in _closed_lately()]
    secret = provider_app.current().secret
    if secret and secret.expires_at and secret.expires_at <= timezone.now() + SOON:
        url = f"{_base()}/authentication-status/"
        found.append(("The provider's app registration", _until(secret.expires_at), url))
    return found


def _closed_lately() -> list[Event]:
    """Trouble of the provider's own that came and went since the last mail."""
    with scope.every("what the provider's own line went through lately"):
        day = timezone.now() - dt.timedelta(days=1)
        return list(Event.objects.filter(type=Type.BREAKER_CLOSED, at__gte=day).order_by("id")[:LISTED])


def _recovered(event: Event) -> str:
    minutes = max(round(event.data["seconds"] / 60), 1)
    lasted = f"{minutes} minute{'' if minutes == 1 else 's'}"
    return f"stood still for {lasted}, and works again since {event.at:%d %b %Y, %H:%M} UTC"


def _kept_beside() -> list[tuple[str, str, str]]:
    """Credentials that wait to be proven, or are kept until their successor is; in the scope."""
    rows = Standby.objects.filter(
        tenant__deleted_at=None, tenant__enabled=True, secret__expires_at__lte=timezone.now() + SOON
    )
    ends = F("secret__expires_at")
    rows = rows.select_related("tenant").annotate(ends=ends).order_by("ends", "tenant__name")
    return [
        (row.tenant.name, f"{row.get_role_display()}; {_until(row.ends)}", _registration(row))
        for row in rows[:LISTED]
    ]


def _registration(row: Standby) -> str:
    return f"{_base()}/tenants/{row.tenant_id}/registration/"


def _part(title: str, rows: Any, words: Any) -> Part:
    lines = [(row.name, words(row), f"{_base()}/tenants/{row.id}/") for row in rows[:LISTED]]
    return Part(title, lines, max(rows.count() - LISTED, 0))


def _degraded(row: Any) -> str:
    return f"since {row.degraded_at:%d %b %Y}"


def _failed(row: Any) -> str:
    if row.held_at and row.verification == Verification.SUCCESSFUL:
        return f"work is held since {row.held_at:%d %b %Y}, because Microsoft refused the portal"
    return f"last checked {row.verified_at:%d %b %Y, %H:%M} UTC" if row.verified_at else "never checked"


def _ends(row: Any) -> str:
    """Of a stored sign-in that nobody uses it is the forecast."""
    return _until(row.expires_at)


def _until(moment: dt.datetime) -> str:
    days = (moment - timezone.now()).days
    if days < 0:
        return f"ended on {moment:%d %b %Y}"
    return f"ends on {moment:%d %b %Y}, in {days} day{'' if days == 1 else 's'}"


def _base() -> str:
    return str(settings.PORTAL_BASE_URL).rstrip("/")
