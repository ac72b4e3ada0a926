"""Where events are sent, and how the last tries went."""

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from tenants.models import ProviderSecret


class Endpoint(models.Model):
    """Another system's address. It gets its events in order, each until it was taken, from `cursor` on."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    url = models.CharField("URL", max_length=500)
    types = ArrayField(models.CharField(max_length=40), default=list, help_text="Empty: every type.")
    tenants = ArrayField(
        models.UUIDField(), default=list, help_text="Empty: every customer, and the provider's own."
    )
    secret = models.ForeignKey(ProviderSecret, models.RESTRICT, related_name="+")
    former_secret = models.ForeignKey(ProviderSecret, models.RESTRICT, null=True, related_name="+")
    former_until = models.DateTimeField(null=True, help_text="Until then the former secret signs too.")
    cursor = models.BigIntegerField(
        default=0, help_text="The last event that it took, or that is not for it."
    )
    failures = models.PositiveIntegerField(default=0, help_text="Tries that failed one after another.")
    failing_since = models.DateTimeField(null=True)
    taken_at = models.DateTimeField(null=True, help_text="When it took an event last.")
    held_at = models.DateTimeField(null=True)
    held_because = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)
    row_version = models.PositiveIntegerField(default=1)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class Delivery(models.Model):
    """One try to hand over one event; the newest are kept."""

    endpoint = models.ForeignKey(Endpoint, models.CASCADE, related_name="+")
    event = models.BigIntegerField()
    type = models.CharField(max_length=40)
    at = models.DateTimeField(db_default=Now())
    status = models.PositiveSmallIntegerField(null=True, help_text="HTTP; none when there was no answer.")
    milliseconds = models.PositiveIntegerField()
    problem = models.CharField(max_length=500, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["endpoint", "-id"], name="delivery_of_endpoint")]


class Digest(models.Model):
    """A person who wants a mail a day about what needs somebody."""

    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="+")
    wished_at = models.DateTimeField(db_default=Now(), editable=False)
    done_on = models.DateField(null=True, help_text="The last day that is settled: sent, or nothing to say.")
