"""The rows of Customer Invitations: whom each is for, where the customer stopped, and what to do next."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.http import QueryDict

from invitations.models import Invitation, Stage, Type
from tenants import tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import DeployState

ANY_OPEN = "any_open"
CHOICES: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "stage": ("Where it stands", [(ANY_OPEN, "All open ones"), *Stage.choices]),
    "type": ("Invitation Type", Type.choices),
}
COLUMNS = {
    "id": ("id",),
    "customer": ("tenant__name", "id"),
    "name": ("full_name", "id"),
    "email": ("email", "id"),
    "count": ("sent_count", "id"),
    "created": ("created_at", "id"),
    "expires": ("expires_at", "id"),
}
TONES = {
    Stage.UNDELIVERED: "bad",
    Stage.OPEN: "info",
    Stage.OPENED: "info",
    Stage.STARTED: "info",
    Stage.UNCONFIRMED: "warn",
    Stage.PROVING: "busy",
    Stage.DONE: "ok",
    Stage.EXPIRED: "warn",
}
NEXT = {
    Stage.UNSENT: "The mail is waiting in the queue. Nothing to do.",
    Stage.UNDELIVERED: "The customer got nothing. See why, correct the address or the mail server, and resend it.",
    Stage.OPEN: "The mail was sent, and nobody has opened the link yet. Send a reminder, or copy the link and call.",
    Stage.OPENED: "Somebody opened the link and read what is asked for. Ask whether something is unclear.",
    Stage.STARTED: "Somebody started and did not finish at Microsoft. Ask whether the account has the needed role.",
    Stage.UNCONFIRMED: "An administrator signed in. Confirm that this organisation is your customer's.",
    Stage.PROVING: "The administrator has let us in; a check of the access is under way. Nothing to do.",
    Stage.DONE: "The access was proven. Nothing to do.",
    Stage.EXPIRED: "Its time is over and its links lead nowhere. Invite again.",
    Stage.REVOKED: "It was withdrawn and its links lead nowhere. Invite again if it is still needed.",
}
CSV_HEAD = (
    "ID", "Customer", "Full Name", "Invitation Email", "M365 Admin Email", "Email Sent",
    "Email Invitation Sent Count", "Created at", "Expires at", "Device Authenticated", "Invitation Type",
    "Tenant Installed", "Where it stands", "What to do next",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One invitation as the grid shows it."""

    invitation: Invitation
    menu: list[dict[str, Any]]

    @property
    def stage(self) -> Stage:
        return self.invitation.stage

    @property
    def tone(self) -> str:
        return TONES.get(self.stage, "neutral")

    @property
    def next(self) -> str:
        return NEXT[self.stage]

    @property
    def installed(self) -> bool:
        """Tenant Installed."""
        return bool(self.invitation.tenant.deploy_state == DeployState.DEPLOYED)

    @property
    def base(self) -> str:
        return f"/tenants/{self.invitation.tenant_id}/invitations/{self.invitation.pk}/"


def matching(params: QueryDict) -> "QuerySet[Invitation]":
    """The invitations of the scope that the address asks for; those of deleted customers are not among them."""
    found: QuerySet[Invitation] = Invitation.objects.select_related("tenant").filter(tenant__deleted_at=None)
    search = tables.search_of(params)
    if search:
        number = Q(id=int(search)) if search.isdecimal() and len(search) < 18 else Q()
        found = found.filter(
            Q(tenant__name__icontains=search)
            | Q(full_name__icontains=search)
            | Q(email__icontains=search)
            | Q(admin_email__icontains=search)
            | number
        )
    stage = tables.choice_of(params, "stage", [ANY_OPEN, *Stage.values])
    kind = tables.choice_of(params, "type", Type.values)
    if stage:
        found = found.filter(OPEN if stage == ANY_OPEN else in_stage(Stage(stage)))
    return found.filter(type=kind) if kind else found


OPEN = Q(done_at=None, revoked_at=None, expires_at__gt=Now())
"""As Invitation.is_open."""


def in_stage(stage: Stage) -> Q:
    """The same ladder as Invitation.stage, for the database."""
    rungs = (
        (Stage.DONE, Q(done_at__isnull=False)),
        (Stage.REVOKED, Q(revoked_at__isnull=False)),
        (Stage.EXPIRED, Q(expires_at__lte=Now())),
        (Stage.UNCONFIRMED, Q(found_tenant_id__isnull=False)),
        (Stage.PROVING, Q(signed_in_at__isnull=False)),
        (Stage.STARTED, Q(started_at__isnull=False)),
        (Stage.OPENED, Q(opened_at__isnull=False)),
        (Stage.UNDELIVERED, Q(undelivered__isnull=False)),
        (Stage.OPEN, Q(sent_count__gt=0)),
        (Stage.UNSENT, Q()),
    )
    wanted = Q()
    for rung, condition in rungs:
        if rung == stage:
            return wanted & condition
        wanted &= ~condition
    raise ValueError(stage)


def rows(actor: Actor, found: Iterable[Invitation]) -> list[Row]:
    return [Row(invitation, menu(actor, invitation)) for invitation in found]


def menu(actor: Actor, invitation: Invitation) -> list[dict[str, Any]]:
    """What the actor may do with it now (INV-12..15); nothing that would only answer that it cannot."""
    base = f"/tenants/{invitation.tenant_id}/invitations/{invitation.pk}/"
    look = {"label": "Open", "url": base, "icon": "eye"}
    if not actor.may(Ability.INVITE, invitation.tenant_id):
        return [look]
    if not invitation.is_open:
        again = {
            "label": "Invite again",
            "url": f"/tenants/{invitation.tenant_id}/invite/",
            "icon": "mail-plus",
        }
        return [look] if invitation.done_at else [look, again]
    confirm = {"label": "Confirm the organisation", "url": f"{base}organisation/", "icon": "badge-check"}
    return [
        look,
        *([confirm] if invitation.found_tenant_id else []),
        {"label": "Send Reminder", "url": f"{base}remind/", "icon": "bell", "post": True},
        {"label": "Auth URL", "url": f"{base}auth-url/", "icon": "link"},
        {"label": "Edit", "url": f"{base}edit/", "icon": "pencil", "modal": True},
        {"label": "Resend", "url": f"{base}resend/", "icon": "send", "modal": True},
        {"label": "Revoke Request", "url": f"{base}revoke/", "icon": "ban", "modal": True, "danger": True},
    ]


def csv_row(invitation: Invitation) -> tuple[object, ...]:
    row = Row(invitation, [])
    return (
        invitation.pk,
        invitation.tenant.name,
        invitation.full_name,
        invitation.email,
        invitation.admin_email,
        "true" if invitation.sent_count else "",
        invitation.sent_count,
        f"{invitation.created_at:%Y-%m-%d}",
        f"{invitation.expires_at:%Y-%m-%d}",
        "true" if invitation.done_at else "",
        invitation.get_type_display(),
        "Yes" if row.installed else "No",
        row.stage.label,
        row.next,
    )


def steps(invitation: Invitation) -> list[dict[str, Any]]:
    """The customer's way, for {% steps %}: what was done and when, where it stands, what is to come."""
    way = invitation.get_way_display() if invitation.way else ""
    marks = [
        ("Mail sent", invitation.sent_at, _mails(invitation)),
        ("Link opened", invitation.opened_at, ""),
        ("Started", invitation.started_at, way),
        ("Signed in at Microsoft", invitation.signed_in_at, invitation.admin_email),
        ("Access proven", invitation.done_at, ""),
    ]
    last = max((place for place, (_, at, _) in enumerate(marks) if at), default=-1)
    made = []
    for place, (title, at, text) in enumerate(marks):
        state = "done" if at else "skipped" if place < last else "waiting"
        made.append({"title": title, "state": state, "at": at, "text": text if at else ""})
    if invitation.is_open and invitation.undelivered and not invitation.sent_count:
        made[0] |= {"state": "failed", "text": str(invitation.undelivered.get("message", ""))}
    return made


def _mails(invitation: Invitation) -> str:
    count = invitation.sent_count
    return f"{count} mail{'' if count == 1 else 's'} to {invitation.email}"
