"""Can we still reach the customer's Microsoft 365: each check, with what it found."""

from django.db import models
from django.db.models.functions import Now

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
