"""What was done, by whom, for whom. Plain ids, no foreign keys: the trail outlives what it describes."""

import uuid

from django.db import models


class Entry(models.Model):
    """One act. Rows are only ever added: the application's role may not update or delete them."""

    at = models.DateTimeField(db_default=models.functions.Now(), editable=False)
    tenant_id = models.UUIDField(null=True, help_text="The customer concerned; none for the provider itself.")
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=254)
    address = models.GenericIPAddressField(null=True)
    request_id = models.UUIDField(default=uuid.uuid4)
    action = models.CharField(max_length=60, help_text="Dotted and past tense in meaning: tenant.added.")
    object_kind = models.CharField(max_length=40)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=254)
    changes = models.JSONField(default=dict, help_text="Field -> [before, after]; secrets are masked.")

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["tenant_id", "-id"], name="audit_of_tenant"),
            models.Index(fields=["object_kind", "object_id", "-id"], name="audit_of_object"),
        ]
