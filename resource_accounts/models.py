"""Designs of resource accounts, the provider's templates for them, and every write that built one."""

import uuid

from django.db import models
from django.db.models.functions import Now

from m365.resource_accounts import LONGEST_NAME
from tenants.owned import TenantOwned


class Kind(models.TextChoices):
    AUTO_ATTENDANT = "auto_attendant", "Auto attendant"
    CALL_QUEUE = "call_queue", "Call queue"


class DesignState(models.TextChoices):
    NONE = "", "Not built"
    BUILDING = "building", "Being built"
    BUILT = "built", "Built"
    FAILED = "failed", "Failed"
    REMOVING = "removing", "Being removed"


class Design(TenantOwned):
    """A resource account as it should be, with the attendant or queue behind it, and what was made of it."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    kind = models.CharField("Type", max_length=14, choices=Kind)
    name = models.CharField("Name", max_length=LONGEST_NAME)
    upn = models.CharField("Account", max_length=113)
    number = models.CharField("Number", max_length=30, blank=True)
    spec = models.JSONField(default=dict, help_text="As people enter it: resource_accounts.shapes.FIELDS.")

    state = models.CharField(max_length=8, choices=DesignState, default=DesignState.NONE, blank=True)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered of the last work on it.")
    owned = models.JSONField(
        default=dict,
        help_text="What the portal made, or was about to make: {part: m365.resource_accounts.Own}.",
    )
    by_hand = models.BooleanField(
        default=False, help_text="A person built it by the script, and it was read back."
    )
    seen = models.JSONField(
        null=True, help_text="What Teams had of it: {part: m365.resource_accounts.Thing}."
    )
    checked_at = models.DateTimeField(null=True, help_text="When that was read.")
    built_at = models.DateTimeField(null=True)
    row_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "upn"], name="design_of_account_once"),
            models.UniqueConstraint(fields=["tenant", "kind", "name"], name="design_by_name_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="design_of_tenant"),
        ]

    def __str__(self) -> str:
        return self.name


class Outcome(models.TextChoices):
    BEGUN = "begun", "Begun; what came of it is not known yet"
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"


class Write(TenantOwned):
    """One write to Microsoft 365 for a design: noted before, and again when its answer is there."""

    design = models.ForeignKey(Design, models.CASCADE, related_name="+", db_index=False)
    command_id = models.BigIntegerField()
    action = models.CharField(max_length=10)
    part = models.CharField(max_length=30)
    name = models.CharField(max_length=200)
    call = models.JSONField(help_text="m365.powershell.calls.Call; empty for one through Graph.")
    outcome = models.CharField(max_length=8, choices=Outcome, default=Outcome.BEGUN)
    said = models.CharField(max_length=500, blank=True)
    began_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        indexes = [models.Index(fields=["design", "-id"], name="writes_of_design")]


class DesignTemplate(models.Model):
    """A design without a customer: no people, and `{customer}` where a customer's name stood. The provider's."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField("Template", max_length=80, unique=True)
    kind = models.CharField("Type", max_length=14, choices=Kind)
    design_name = models.CharField("Name of the design", max_length=LONGEST_NAME)
    spec = models.JSONField(default=dict)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name
