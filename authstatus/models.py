"""Can we still reach the customer's Microsoft 365: each check, with what it found."""

import uuid

from django.db import models
from django.db.models.functions import Now

from replication.models import Command
from tenants.models import Secret, SecretKind, Verification
from tenants.owned import TenantOwned


class Result(models.TextChoices):
    """How a check ended: what Microsoft said of the credential, or that nobody got so far (complaint B 13)."""

    SUCCESSFUL = "successful", "Successful"
    FAILED = "failed", "Failed"
    NO_TOKEN = "no_token", "Token not generated"
    CHECK_FAILED = "check_failed", "Check failed"
    PROPAGATING = "propagating", "Propagating"


class Check(TenantOwned):
    """One check of a connection. What the newest conclusive one said is also noted on the connection itself."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    result = models.CharField(max_length=12, choices=Result)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered.")
    granted = models.JSONField(default=list, help_text="Permissions in the token.")
    missing = models.JSONField(
        default=list, help_text="Permissions that the customer's features need and lack."
    )
    organization = models.CharField(max_length=256, blank=True, help_text="The tenant's own name.")
    drift = models.JSONField(
        default=list, help_text="What came or went since the check before: [{kind, name, was, now}]."
    )

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="check_of_tenant"),
            models.Index(fields=["-at"], name="check_with_drift", condition=~models.Q(drift=[])),
        ]


class FindingKind(models.TextChoices):
    PERMISSION = "permission", "Permission"
    CALL = "call", "Call"
    ROLE = "role", "Directory role"


class FindingState(models.TextChoices):
    """m365.permissions.Held, with its words."""

    PRESENT = "present", "Present"
    MISSING = "missing", "Missing"
    EXTRA = "extra", "More than needed"
    UNKNOWN = "unknown", "Not known"


class Finding(TenantOwned):
    """What the last check that got so far found about one permission, one feature's call, or one role."""

    kind = models.CharField(max_length=12, choices=FindingKind)
    name = models.CharField(max_length=120)
    state = models.CharField(max_length=10, choices=FindingState)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered, of a call that was refused.")
    since = models.DateTimeField(db_default=Now(), editable=False)
    checked_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "kind", "name"], name="finding_once")]


class RegistrationKey(TenantOwned):
    """A secret or certificate that Microsoft listed on the customer's own registration, and who uses it (M36-28)."""

    client_id = models.UUIDField()
    key_id = models.UUIDField()
    kind = models.CharField(max_length=20, choices=SecretKind)
    name = models.CharField(max_length=256, blank=True, help_text="Its description at Microsoft.")
    expires_at = models.DateTimeField(null=True)
    service = models.CharField(
        max_length=60, blank=True, help_text="Whatever else uses it, as a person has said."
    )
    said_by = models.CharField(max_length=254, blank=True)
    seen_at = models.DateTimeField(help_text="When Microsoft listed it last.")

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "key_id"], name="registration_key_once")]


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


class QoeIntegration(TenantOwned):
    """QOE Integration with Microsoft Teams (M36-12): an app of the customer that may read call records.

    It is stored and proven; nothing in the portal reads call records yet.
    """

    application_id = models.UUIDField("Azure Application Id")
    secret = models.ForeignKey(Secret, models.RESTRICT, related_name="+")
    verification = models.CharField(max_length=12, choices=Verification, default=Verification.NEVER)
    verified_at = models.DateTimeField(null=True, editable=False)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered of the last check.")
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant"], name="one_qoe_integration")]
