"""Writes about invitations. Each acts on the invitation's row under its lock and looks at its end there."""

import datetime as dt
import enum
import hashlib
import secrets as chance
import zlib
from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction
from django.http.request import validate_host
from django.utils import timezone

from accounts import branding, installation
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from events.models import Type as Told
from events.services import tell
from invitations import template
from invitations.models import Invitation, InvitationMail, Link, Type, Visit
from replication import services as queue
from replication.models import Command, State
from replication.registry import chore
from tenants import scope
from tenants.access import SYSTEM, Actor
from tenants.models import Cloud, Connection, Tenant

SEND = "send_invitation"
WAY_IN = "/authenticate"
"""Where the visitor's pages begin."""
REMINDERS = 100
"""So many reminders a round of the sweeper queues at most."""


class Why(enum.StrEnum):
    """What a mail is for. A reminder leaves earlier links and visits alive; one sent anew puts an end to both."""

    FIRST = "first"
    REMINDER = "reminder"
    RESEND = "resend"


@transaction.atomic
def invite(
    actor: Actor,
    tenant: Tenant,
    *,
    email: str,
    full_name: str = "",
    admin_email: str = "",
    portal_account: bool = True,
    cloud: Cloud = Cloud.GLOBAL,
) -> Invitation:
    """Invite a customer's administrator to let the portal in; the mail is queued.

    `cloud` says where the organisation is while nothing connects it: which ways are open depends on that.
    One that has expired gives way. Raises Conflict while another is open ("Tenant has open invitation.").
    """
    # Not FOR UPDATE: events and audit entries of this customer are written by others who hold its invitation.
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    former = Invitation.objects.filter(tenant=tenant, done_at=None, revoked_at=None).first()
    if former is not None and former.is_open:
        raise Conflict("invitation_open", thing=tenant.name)
    if former is not None:
        _end(former, actor)
        note(actor, "invitation.revoked", former)
    known = Connection.objects.filter(tenant=tenant).exists()
    invitation = Invitation.objects.create(
        tenant=tenant,
        type=Type.REQUEST if known else Type.INVITE,
        email=email,
        full_name=full_name,
        admin_email=admin_email,
        portal_account=portal_account,
        cloud=cloud,
        created_by=actor.label,
        expires_at=timezone.now() + dt.timedelta(days=installation.get("invitation_days")),
    )
    note(actor, "invitation.created", invitation, {"email": (None, email)})
    queue.submit(actor, SEND, tenant, target=str(invitation.pk))
    return invitation


@transaction.atomic
def revoke(actor: Actor, tenant: Tenant, number: int) -> Invitation:
    """Revoke Request: every link of it is dead from now on. Raises NotFound, or the error of `locked`."""
    invitation = locked(tenant, number)
    _end(invitation, actor)
    note(actor, "invitation.revoked", invitation)
    tell(Told.INVITATION_REVOKED, tenant.id, {"invitation": invitation.pk})
    return invitation


@transaction.atomic
def remind(actor: Actor, tenant: Tenant, number: int) -> Command:
    """Send Reminder: another mail with a link of its own; earlier ones go on leading here. Raises as `locked`."""
    return _mail_again(actor, locked(tenant, number), Why.REMINDER)


@transaction.atomic
def resend(actor: Actor, tenant: Tenant, number: int) -> Command:
    """Send it anew: once that mail went out, earlier links are dead, and so are visits. Raises as `locked`."""
    return _mail_again(actor, locked(tenant, number), Why.RESEND)


def _mail_again(actor: Actor, invitation: Invitation, why: Why) -> Command:
    note(actor, f"invitation.{why.value}", invitation)
    params = {"why": why.value}
    command = queue.submit(actor, SEND, invitation.tenant, target=str(invitation.pk), params=params)
    if why == Why.RESEND and command.params != params:  # it joined a mail that still waits
        Command.objects.filter(id=command.id, state=State.QUEUED).update(params=params)
    return command


@transaction.atomic
def edit(
    actor: Actor,
    tenant: Tenant,
    number: int,
    *,
    email: str,
    full_name: str,
    admin_email: str,
    portal_account: bool,
    version: int | None = None,
) -> Invitation:
    """Correct whom it is for. Another address gets a mail of its own; what the former got leads nowhere any more.

    A link that somebody copied was not mailed to that address, and goes on leading here until the new mail is out.
    Raises as `locked`, and Conflict (conflict_version) when it was changed since that version.
    """
    invitation = locked(tenant, number)
    if version is not None and version_of(invitation) != version:
        raise Conflict("conflict_version", thing=str(invitation))
    wanted = {
        "email": email,
        "full_name": full_name,
        "admin_email": admin_email,
        "portal_account": portal_account,
    }
    changes: dict[str, tuple[object, object]] = {
        name: (getattr(invitation, name), value)
        for name, value in wanted.items()
        if getattr(invitation, name) != value
    }
    if not changes:
        return invitation
    for name, value in wanted.items():
        setattr(invitation, name, value)
    invitation.save(update_fields=list(wanted))
    note(actor, "invitation.changed", invitation, changes)
    if "email" in changes:
        Link.objects.filter(tenant=tenant, invitation=invitation, mailed=True).delete()
        _end_visits(invitation)
        _mail_again(actor, invitation, Why.RESEND)
    return invitation


def version_of(invitation: Invitation) -> int:
    """Of what `edit` changes, for ETag and forms; steps of the customer leave it as it is."""
    parts = (invitation.email, invitation.full_name, invitation.admin_email, str(invitation.portal_account))
    return zlib.crc32("\0".join(parts).encode())


@transaction.atomic
def mint(actor: Actor, tenant: Tenant, number: int, *, mailed: bool) -> str:
    """A fresh link to the invitation: the address that is to be mailed or copied, told once. Raises as `locked`."""
    invitation = locked(tenant, number)
    _, token = make_link(invitation, actor.label, mailed=mailed)
    if not mailed:
        note(actor, "invitation.link_copied", invitation)
    return f"{mail().portal_url}/{token}"


def make_link(invitation: Invitation, made_by: str, *, mailed: bool) -> tuple[Link, str]:
    """A link and its secret, which is told once. Call it with the invitation locked."""
    token = chance.token_urlsafe(32)
    link = Link.objects.create(
        tenant_id=invitation.tenant_id,
        invitation=invitation,
        token_hash=hash_of(token),
        mailed=mailed,
        made_by=made_by,
    )
    return link, token


def note_sent(tenant: Tenant, number: int, link: Link, why: Why) -> None:
    """The mail server took a mail with this link; in the transaction of the command that sent it."""
    invitation = Invitation.objects.select_for_update(no_key=True).get(tenant=tenant, id=number)
    invitation.sent_count += 1
    invitation.sent_at = timezone.now()
    invitation.undelivered = None
    if why == Why.REMINDER:
        invitation.reminded_at = invitation.sent_at
    invitation.save(update_fields=["sent_count", "sent_at", "undelivered", "reminded_at"])
    if why == Why.RESEND:
        Link.objects.filter(tenant=tenant, invitation=invitation, id__lt=link.pk).delete()
        _end_visits(invitation)
    note(SYSTEM, "invitation.sent", invitation, {"mails": (invitation.sent_count - 1, invitation.sent_count)})
    tell(Told.INVITATION_SENT, tenant.id, {"invitation": number, "count": invitation.sent_count})


def mail() -> InvitationMail:
    """What Invitation Settings say, or the defaults of an installation that never changed them."""
    return InvitationMail.objects.first() or InvitationMail(
        subject=template.default_subject(branding.current().provider),
        body=template.default_body(branding.current().provider),
        portal_url=f"{settings.PORTAL_BASE_URL}{WAY_IN}",
    )


@transaction.atomic
def set_mail(
    actor: Actor, *, subject: str, body: str, portal_url: str, version: int | None = None
) -> InvitationMail:
    """Apply Changes. Raises InvalidInput naming `subject`, `body` or `portal_url`, and Conflict as `edit`."""
    body = body.replace("\r\n", "\n")
    template.check(subject, body)
    portal_url = clean_portal_url(portal_url)
    before = mail()
    InvitationMail.objects.get_or_create(
        id=1, defaults={name: getattr(before, name) for name in ("subject", "body", "portal_url")}
    )
    stored = InvitationMail.objects.select_for_update(no_key=True).get(id=1)
    if version is not None and stored.row_version != version:
        raise Conflict("conflict_version", thing="Invitation Settings")
    wanted = {"subject": subject, "body": body, "portal_url": portal_url}
    changes: dict[str, tuple[object, object]] = {
        name: (getattr(stored, name), value)
        for name, value in wanted.items()
        if getattr(stored, name) != value
    }
    for name, value in wanted.items():
        setattr(stored, name, value)
    stored.changed_by, stored.row_version = actor.label, stored.row_version + 1
    stored.save()
    record(
        actor,
        "invitation_settings.changed",
        tenant_id=None,
        object_kind="invitation_settings",
        object_id="1",
        object_label="Invitation Settings",
        changes=changes,
    )
    return stored


def clean_portal_url(value: str) -> str:
    """The address before the link's secret. Raises InvalidInput unless it is this portal's own (CHK-06, INV-20).

    Links lead nowhere else, so that nobody between us and the customer sees one that works (facts/security.md 5.8).
    """
    value = value.strip().rstrip("/")
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
        plain = parts.username is None and not parts.query and not parts.fragment and parts.port != 0
    except ValueError:
        host, plain = "", False
    if not host or not plain or any(letter.isspace() for letter in value):
        raise InvalidInput(field="portal_url", why=f"it must look like https://<name of this portal>{WAY_IN}")
    if parts.scheme != "https" and (parts.scheme != "http" or settings.SECURE):
        raise InvalidInput(field="portal_url", why="it must begin with https://")
    if parts.path != WAY_IN:
        raise InvalidInput(field="portal_url", why=f"it must end with {WAY_IN}")
    if not validate_host(host, settings.ALLOWED_HOSTS):
        raise InvalidInput(
            field="portal_url", why=f"this portal is not known by the name {host} (ALLOWED_HOSTS)"
        )
    return value


def locked(tenant: Tenant, number: int) -> Invitation:
    """The invitation, locked, and open at this very moment.

    Raises NotFound, or UmpError: invitation_used, invitation_revoked, invitation_expired.
    """
    invitation: Invitation | None = (
        Invitation.objects.select_for_update(no_key=True).filter(tenant=tenant, id=number).first()
    )
    check_open(invitation)
    assert invitation is not None  # noqa: S101  check_open has refused it
    return invitation


def check_open(invitation: Invitation | None) -> None:
    """Raises NotFound for none, or why this one leads nowhere any more."""
    if invitation is None:
        raise UmpError.of("invitation_unknown")
    if invitation.done_at:
        raise UmpError.of("invitation_used")
    if invitation.revoked_at:
        raise UmpError.of("invitation_revoked")
    if not invitation.is_open:
        raise UmpError.of("invitation_expired", date=f"{invitation.expires_at:%Y-%m-%d}")


def _end(invitation: Invitation, actor: Actor) -> None:
    invitation.revoked_at, invitation.revoked_by = timezone.now(), actor.label
    invitation.save(update_fields=["revoked_at", "revoked_by"])
    Link.objects.filter(tenant_id=invitation.tenant_id, invitation=invitation).delete()


def _end_visits(invitation: Invitation) -> None:
    """Whoever is in the middle of it has to come by a link that still leads here. Call it with the invitation locked.

    All of them, because a visit does not know its link: who came by one that lives presses Continue once more.
    """
    Visit.objects.filter(tenant_id=invitation.tenant_id, invitation=invitation).delete()


def hash_of(token: str) -> str:
    """What is kept of a link or a visitor's cookie."""
    return hashlib.sha256(token.encode()).hexdigest()


def note(actor: Actor, action: str, invitation: Invitation, changes: Changes | None = None) -> None:
    """An entry of the trail."""
    record(
        actor,
        action,
        tenant_id=invitation.tenant_id,
        object_kind="invitation",
        object_id=invitation.pk,
        object_label=f"Invitation {invitation.pk}, {invitation.email}",
        changes=changes,
    )


@chore
def remind_due() -> int:
    """Automatic reminders: one for each open invitation that nobody has acted upon for so many days; how many."""
    days = installation.get("invitation_reminder_days")
    if not days:
        return 0
    with scope.every("invitations that nobody answered are looked for"), transaction.atomic():
        now = timezone.now()
        waiting = Invitation.objects.select_related("tenant").filter(
            done_at=None,
            revoked_at=None,
            reminded_at=None,
            signed_in_at=None,
            found_tenant_id=None,
            expires_at__gt=now,
            sent_at__lte=now - dt.timedelta(days=days),
            tenant__deleted_at=None,
            tenant__enabled=True,
        )
        due = list(
            waiting.select_for_update(no_key=True, skip_locked=True, of=("self",)).order_by("id")[:REMINDERS]
        )
        for invitation in due:
            invitation.reminded_at = now
            invitation.save(update_fields=["reminded_at"])
            _mail_again(SYSTEM, invitation, Why.REMINDER)
    return len(due)
