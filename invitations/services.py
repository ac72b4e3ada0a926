"""Writes about invitations. Each acts on the invitation's row under its lock and looks at its end there."""

import datetime as dt
import enum
import hashlib
import secrets as chance

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts import installation
from audit.services import Changes, record
from core.errors import Conflict, UmpError
from events.models import Type as Told
from events.services import tell
from invitations import template
from invitations.models import Invitation, InvitationMail, Link, Type
from replication import services as queue
from tenants.access import SYSTEM, Actor
from tenants.models import Connection, Tenant

SEND = "send_invitation"


class Why(enum.StrEnum):
    """What a mail is for. A reminder leaves earlier links alive; a mail that is sent anew puts an end to them."""

    FIRST = "first"
    REMINDER = "reminder"
    RESEND = "resend"


@transaction.atomic
def invite(
    actor: Actor, tenant: Tenant, *, email: str, full_name: str = "", admin_email: str = ""
) -> Invitation:
    """Invite a customer's administrator to let the portal in; the mail is queued.

    One that has expired gives way. Raises Conflict while another is open ("Tenant has open invitation.").
    """
    Tenant.objects.select_for_update().get(id=tenant.id)
    former = Invitation.objects.filter(tenant=tenant, done_at=None, revoked_at=None).first()
    if former is not None and former.is_open:
        raise Conflict("invitation_open", thing=tenant.name)
    if former is not None:
        _end(former, actor)
    known = Connection.objects.filter(tenant=tenant).exists()
    invitation = Invitation.objects.create(
        tenant=tenant,
        type=Type.REQUEST if known else Type.INVITE,
        email=email,
        full_name=full_name,
        admin_email=admin_email,
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
    invitation = Invitation.objects.select_for_update().get(tenant=tenant, id=number)
    invitation.sent_count += 1
    invitation.sent_at = timezone.now()
    invitation.undelivered = None
    if why == Why.REMINDER:
        invitation.reminded_at = invitation.sent_at
    invitation.save(update_fields=["sent_count", "sent_at", "undelivered", "reminded_at"])
    if why == Why.RESEND:
        Link.objects.filter(tenant=tenant, invitation=invitation, id__lt=link.pk).delete()
    note(SYSTEM, "invitation.sent", invitation, {"mails": (invitation.sent_count - 1, invitation.sent_count)})
    tell(Told.INVITATION_SENT, tenant.id, {"invitation": number, "count": invitation.sent_count})


def mail() -> InvitationMail:
    """What Invitation Settings say, or the defaults of an installation that never changed them."""
    found = InvitationMail.objects.first()
    return found or InvitationMail(
        subject=template.default_subject(settings.PROVIDER_NAME),
        body=template.default_body(settings.PROVIDER_NAME),
        portal_url=f"{settings.PORTAL_BASE_URL}/authenticate",
    )


def locked(tenant: Tenant, number: int) -> Invitation:
    """The invitation, locked, and open at this very moment.

    Raises NotFound, or UmpError: invitation_used, invitation_revoked, invitation_expired.
    """
    invitation: Invitation | None = (
        Invitation.objects.select_for_update().filter(tenant=tenant, id=number).first()
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
