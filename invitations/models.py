"""Invitations to a customer's administrator, the links that lead to them, and who came by a link."""

import datetime as dt

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from tenants.models import Cloud, Secret, SignInFlow
from tenants.owned import TenantOwned


class Type(models.TextChoices):
    """Invitation Type (INV-17): a new customer from onboarding, or an existing one that switches to token."""

    INVITE = "invite", "Invite"
    REQUEST = "request", "Request"


class Way(models.TextChoices):
    """How the administrator lets the portal in (decision 13, M36-30)."""

    REDIRECT = "redirect", "Sign in at Microsoft"
    DEVICE = "device", "Device code"
    CREATE = "create", "Create New App Registration"
    USE = "use", "Use App Registration"


class Stage(models.TextChoices):
    """Where the customer stopped; worked out from the moments below, never stored."""

    UNSENT = "unsent", "Not sent yet"
    UNDELIVERED = "undelivered", "Mail not delivered"
    OPEN = "open", "Sent"
    OPENED = "opened", "Opened"
    STARTED = "started", "Started"
    UNCONFIRMED = "unconfirmed", "Waits for your confirmation"
    PROVING = "proving", "Signed in, being checked"
    DONE = "done", "Done"
    EXPIRED = "expired", "Expired"
    REVOKED = "revoked", "Revoked"


class Invitation(TenantOwned):
    """What a customer's administrator is asked for. A customer has one open invitation at most.

    Its number is the ID column; it opens nothing. What opens it is a `Link`, and each mail has one of its own.
    """

    type = models.CharField("Invitation Type", max_length=10, choices=Type)
    full_name = models.CharField("Full Name", max_length=120, blank=True)
    email = models.EmailField("Invitation Email", max_length=254)
    admin_email = models.EmailField("M365 Admin Email", max_length=254, blank=True)
    cloud = models.CharField(
        max_length=10,
        choices=Cloud,
        default=Cloud.GLOBAL,
        help_text="Where the organisation is, as far as the provider knows, while nothing connects it.",
    )
    created_at = models.DateTimeField("Created at", db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254, editable=False)
    expires_at = models.DateTimeField("Expires at")
    sent_count = models.PositiveIntegerField("Email Invitation Sent Count", default=0, editable=False)
    sent_at = models.DateTimeField(null=True, editable=False)
    undelivered = models.JSONField(
        null=True, editable=False, help_text="core.errors.Rendered: why the last mail did not go out."
    )
    reminded_at = models.DateTimeField(null=True, editable=False)
    opened_at = models.DateTimeField(null=True, editable=False, help_text="A person pressed Continue.")
    started_at = models.DateTimeField(null=True, editable=False, help_text="Start authentication.")
    way = models.CharField(max_length=10, choices=Way, blank=True, editable=False)
    signed_in_at = models.DateTimeField(
        null=True, editable=False, help_text="Microsoft let the administrator in; the access is being proven."
    )
    found_tenant_id = models.UUIDField(
        null=True,
        editable=False,
        help_text="Azure Tenant Id of whoever signed in, while the provider must confirm.",
    )
    found_name = models.CharField(max_length=256, blank=True, editable=False)
    found_domains = models.JSONField(
        default=list, editable=False, help_text="Names that Microsoft verified for it."
    )
    found_account = models.CharField(max_length=254, blank=True, editable=False)
    found = models.ForeignKey(
        Secret,
        models.RESTRICT,
        null=True,
        editable=False,
        related_name="+",
        help_text="What the account gave; not in use before the provider has confirmed.",
    )
    portal_account = models.BooleanField(
        "Give an account of the customer portal",
        default=True,
        help_text="Once connected, the invited person may sign in here as Customer Admin.",
    )
    problem = models.JSONField(
        null=True, editable=False, help_text="core.errors.Rendered: what the customer met last."
    )
    done_at = models.DateTimeField(
        null=True, editable=False, help_text="Device Authenticated: proven by a check."
    )
    revoked_at = models.DateTimeField(null=True, editable=False)
    revoked_by = models.CharField(max_length=254, blank=True, editable=False)

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                name="one_open_invitation",
                condition=models.Q(done_at=None, revoked_at=None),
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="invitation_of_tenant"),
        ]
        indexes = [models.Index(fields=["expires_at"], name="invitation_expires")]

    def __str__(self) -> str:
        return f"Invitation {self.pk}"

    @property
    def stage(self) -> Stage:  # noqa: PLR0911  a ladder, read from its end
        if self.done_at:
            return Stage.DONE
        if self.revoked_at:
            return Stage.REVOKED
        if self.expires_at <= timezone.now():
            return Stage.EXPIRED
        if self.found_tenant_id:
            return Stage.UNCONFIRMED
        if self.signed_in_at:
            return Stage.PROVING
        if self.started_at:
            return Stage.STARTED
        if self.opened_at:
            return Stage.OPENED
        if self.undelivered:
            return Stage.UNDELIVERED
        return Stage.OPEN if self.sent_count else Stage.UNSENT

    @property
    def is_open(self) -> bool:
        """Whether its links lead anywhere at this moment; who acts on it asks again under the row's lock."""
        return self.done_at is None and self.revoked_at is None and self.expires_at > timezone.now()


class Link(TenantOwned):
    """One link to an invitation, of one mail or one press of Auth URL: its hash. All die with the invitation."""

    invitation = models.ForeignKey(Invitation, models.CASCADE, related_name="+")
    token_hash = models.CharField(max_length=64, unique=True)
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    mailed = models.BooleanField(default=True, help_text="Otherwise somebody copied it from the list.")
    made_by = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        indexes = [models.Index(fields=["invitation"], name="link_of_invitation")]


VISIT = dt.timedelta(hours=12)
"""So long a browser may resume where it stopped; then the link of the mail opens another visit."""


class Visit(TenantOwned):
    """A browser that came by a link. What it may do is bound to it and to the invitation, and ends with either."""

    invitation = models.ForeignKey(Invitation, models.CASCADE, related_name="+")
    cookie_hash = models.CharField(max_length=64, unique=True)
    began_at = models.DateTimeField(db_default=Now(), editable=False)
    ends_at = models.DateTimeField()
    address = models.GenericIPAddressField(null=True)
    way = models.CharField(max_length=10, choices=Way, blank=True)
    flow = models.ForeignKey(SignInFlow, models.SET_NULL, null=True, related_name="+")
    device = models.JSONField(
        null=True, help_text="Device code: what the page shows. What redeems it lies sealed."
    )
    problem = models.JSONField(null=True, help_text="core.errors.Rendered: what this visitor met last.")

    class Meta(TenantOwned.Meta):
        indexes = [models.Index(fields=["invitation"], name="visit_of_invitation")]


class InvitationMail(models.Model):
    """What an invitation says (Invitation Settings): one an installation."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    subject = models.CharField("Invitation Subject", max_length=200)
    body = models.TextField("Invitation Email", max_length=20_000)
    portal_url = models.URLField("Customer Authentication Portal Url", max_length=300)
    changed_by = models.CharField(max_length=254, editable=False)
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(name="one_invitation_mail", condition=models.Q(id=1))]
