"""What the API remembers: answers under an Idempotency-Key."""

from django.db import models
from django.db.models.functions import Now

from tenants.models import Tenant
from tenants.owned import Owned


class IdempotencyKey(Owned):
    """The answer to a POST that took effect, kept for 24 hours under the key that the caller chose.

    The row is written in the transaction of the act itself, so that neither exists without the other. The
    fingerprint is keyed: a request may hold a secret, which nobody shall guess from the database.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, related_name="+")
    actor_id = models.CharField(max_length=64)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField(default=dict)
    body = models.TextField(help_text="JSON as it was sent; empty where it held something shown only once.")
    replayable = models.BooleanField(default=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(Owned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["actor_id", "tenant", "key"], name="idempotency_key_once", nulls_distinct=False
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_age")]
