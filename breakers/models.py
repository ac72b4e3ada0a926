"""What failed for whom lately, and what is known to be the provider's own trouble."""

from django.db import models
from django.db.models.functions import Now

from tenants.owned import TenantOwned


class AccessFailure(TenantOwned):
    """One refused access, or (`of_line`) a call that got no proper answer. Few are kept of each customer."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    code = models.CharField(max_length=40)
    command = models.BigIntegerField(help_text="The command's number; it may be forgotten earlier.")
    of_line = models.BooleanField(default=False, help_text="Trouble on the way: it blames no customer.")

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant", "-id"], name="failure_of_tenant"),
            models.Index(fields=["at"], name="failure_at"),
        ]


class Name(models.TextChoices):
    """What can break for many customers at once."""

    PROVIDER_APP = "provider_app", "The provider's app registration"
    LINE = "line", "The line to Microsoft"


class Breaker(models.Model):
    """Open while its row is there: work that would fail alike waits, and one probe at a time asks again."""

    name = models.CharField(max_length=20, choices=Name, primary_key=True)
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    problem = models.JSONField(help_text="core.errors.Rendered.")
    probe_at = models.DateTimeField(help_text="When the next probe is due.")
    probed_at = models.DateTimeField(null=True)
    probes = models.PositiveIntegerField(default=0)
    told = models.BooleanField(default=False, help_text="As an event.")

    class Meta:
        ordering = ["opened_at"]
