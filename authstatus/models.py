"""Can we still reach the customer's Microsoft 365: each check, with what it found."""

import uuid

from django.db import models
from django.db.models.functions import Now

from replication.models import Command
from tenants.models import Verification
from tenants.owned import TenantOwned


class Check(TenantOwned):
    """One check of a connection. The newest one is also noted on the connection itself."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    result = models.CharField(max_length=12, choices=Verification)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered.")
    granted = models.JSONField(default=list, help_text="Application permissions in the token.")
    missing = models.JSONField(
        default=list, help_text="Permissions that the customer's features need and lack."
    )
    organization = models.CharField(max_length=256, blank=True, help_text="The tenant's own name.")

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "-id"], name="check_of_tenant")]


class VerifyRun(models.Model):
    """One press of Verify All. What it says of customers stands in its rows, so that each sees his own only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    started_by = models.CharField(max_length=254)
    cancelled_at = models.DateTimeField(null=True, editable=False)
    cancelled_by = models.CharField(max_length=254, blank=True, editable=False)

    class Meta:
        ordering = ["-started_at", "id"]
        indexes = [models.Index(fields=["-started_at", "id"], name="verify_run_new")]


class LeftOut(models.TextChoices):
    """Why a run did not check a customer."""

    NO = "", "It was checked"
    NOT_CONNECTED = "not_connected", "Not connected: there are no credentials to check"
    PAUSED = "paused", "Paused: nothing starts for this customer"
    DISABLED = "disabled", "Disabled: nothing starts for this customer"


class VerifyRow(TenantOwned):
    """One customer in a run: the command that checks it, or why there is none. It lives as long as the command."""

    # `once_a_run` is the index of `run`.
    run = models.ForeignKey(VerifyRun, models.CASCADE, related_name="+", db_index=False)
    command = models.ForeignKey(Command, models.CASCADE, null=True, related_name="+")
    left_out = models.CharField(max_length=15, choices=LeftOut, blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [
            models.UniqueConstraint(fields=["run", "tenant"], name="once_a_run"),
            models.CheckConstraint(
                name="checked_or_left_out",
                condition=models.Q(command__isnull=False, left_out="")
                | models.Q(command__isnull=True) & ~models.Q(left_out=""),
            ),
        ]
