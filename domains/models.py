"""The provider's DNS zone, and the domains that the portal sets up for customers."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from tenants.models import ProviderSecret
from tenants.owned import TenantOwned


class DnsZone(models.Model):
    """Where customers' names are made, and how records get there: one an installation."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    name = models.CharField(max_length=253, help_text="Customers get names below it.")
    server = models.CharField(
        max_length=260, blank=True, help_text="The zone's primary. Empty: records are written by hand."
    )
    key_name = models.CharField(max_length=253, blank=True)
    algorithm = models.CharField(max_length=20, default="hmac-sha256")
    secret = models.ForeignKey(ProviderSecret, models.RESTRICT, null=True, related_name="+")
    lookup_servers = ArrayField(
        models.CharField(max_length=260),
        default=list,
        blank=True,
        help_text="Who is asked for records. Empty: whoever serves the name.",
    )
    release_user = models.BooleanField(
        default=True, help_text="Remove an activation user once another user of its domain has Teams Phone."
    )
    tested_at = models.DateTimeField(null=True, editable=False)
    test_problem = models.JSONField(
        null=True, editable=False, help_text="core.errors.Rendered of the last test."
    )
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        constraints = [models.CheckConstraint(name="one_dns_zone", condition=models.Q(id=1))]

    def __str__(self) -> str:
        return self.name

    @property
    def writable(self) -> bool:
        """Whether the portal can write records itself."""
        return bool(self.server and self.key_name and self.secret_id)


class DomainState(models.TextChoices):
    SETTING_UP = "setting_up", "Being set up"
    READY = "ready", "Ready"
    CANCELLED = "cancelled", "Cancelled"
    REMOVING = "removing", "Being removed"
    REMOVED = "removed", "Removed"


class CustomDomain(TenantOwned):
    """One domain of a customer, how far its set-up is, and what of it is the portal's own at Microsoft."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=253)
    state = models.CharField(max_length=12, choices=DomainState, default=DomainState.SETTING_UP)
    by_hand = models.BooleanField(
        default=False, help_text="Somebody writes the TXT record; the portal looks for it."
    )
    with_user = models.BooleanField(default=True, help_text="Whether an activation user is made.")
    done = models.JSONField(default=dict, help_text="When each step was done: {step: ISO time}.")
    step = models.CharField(max_length=20, blank=True, help_text="The step under way.")
    step_since = models.DateTimeField(null=True)
    waiting = models.CharField(max_length=500, blank=True, help_text="Why it waits, for people.")
    problem = models.JSONField(null=True, help_text="core.errors.Rendered: what stopped it.")
    text = models.CharField(max_length=255, blank=True, help_text="Of the TXT record that proves the domain.")
    text_written = models.BooleanField(default=False, help_text="The portal may have put it into the zone.")
    domain_made = models.BooleanField(default=False, help_text="The portal added the domain at Microsoft.")
    verified_at = models.DateTimeField(null=True)
    user_id = models.CharField(max_length=64, blank=True, help_text="Microsoft's id of the activation user.")
    user_made = models.BooleanField(default=False, help_text="The portal made that user.")
    user_removed_at = models.DateTimeField(null=True)
    licence = models.CharField(
        max_length=120, blank=True, help_text="Short name of the product it was given."
    )
    next_look_at = models.DateTimeField(null=True, help_text="When to see whether the user is still needed.")
    set_by = models.CharField(max_length=254)
    began_at = models.DateTimeField(db_default=Now(), editable=False)
    ready_at = models.DateTimeField(null=True)
    removed_at = models.DateTimeField(null=True)
    changed_at = models.DateTimeField(auto_now=True, editable=False)

    class Meta(TenantOwned.Meta):
        ordering = ["-began_at", "id"]
        constraints = [
            # Over all customers: a name belongs to one organisation only.
            models.UniqueConstraint(
                fields=["name"], name="domain_once", condition=~models.Q(state=DomainState.REMOVED)
            )
        ]
        indexes = [models.Index(fields=["tenant", "-began_at"], name="domain_of_tenant")]

    def __str__(self) -> str:
        return self.name

    @property
    def has_user(self) -> bool:
        """Whether an activation user of ours is there."""
        return bool(self.user_made and self.user_id and self.user_removed_at is None)
