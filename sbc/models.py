"""The provider's SBC devices, the rules read from them, and its OVOC. They belong to no customer."""

import uuid

from django.contrib.postgres.fields import ArrayField, BigIntegerRangeField
from django.contrib.postgres.indexes import GistIndex
from django.db import models
from django.db.models.functions import Now

from tenants.models import ProviderSecret


class Link(models.TextChoices):
    """Status: the connection between the portal and the device (SBC-02, facts/audiocodes.md 4.1)."""

    UNKNOWN = "unknown", "Unknown"
    CONNECTED = "connected", "Connected"
    DISCONNECTED = "disconnected", "Disconnected"
    REFUSED = "refused", "Authentication failed"
    UNTRUSTED = "untrusted", "TLS error"


def usual_port(*, https: bool) -> int:
    return 443 if https else 80


class Reached(models.Model):
    """Something reached over HTTP with an account: where, as whom, which certificate."""

    address = models.CharField("Ip Address", max_length=45)
    port = models.PositiveIntegerField(null=True, help_text="None: 443, or 80 without https.")
    https = models.BooleanField("Use https", default=True)
    fingerprint = models.CharField(
        "Certificate fingerprint",
        max_length=64,
        blank=True,
        help_text="SHA-256 of the one accepted certificate; empty: an authority signed it.",
    )
    user = models.CharField("Gateway User", max_length=64)
    secret = models.ForeignKey(ProviderSecret, models.RESTRICT, null=True, related_name="+")
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta:
        abstract = True

    @property
    def host(self) -> str:
        """The address as people write it, with the port where it is not the usual one."""
        host = f"[{self.address}]" if ":" in self.address and self.port else self.address
        return f"{host}:{self.port}" if self.port else host

    @property
    def effective_port(self) -> int:
        return self.port or usual_port(https=self.https)


class Sbc(Reached):
    """A Mediant SBC. `told` is what it said of itself last, `ovoc` what OVOC says of it."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField("Name", max_length=120, unique=True)
    fqdn = models.CharField("Device Fqdn", max_length=253, blank=True)
    nat_addresses = ArrayField(
        models.CharField(max_length=253), default=list, verbose_name="NAT Ip Addresses"
    )
    ovoc_id = models.BigIntegerField("Ovoc Sbc Id", null=True, unique=True)
    ovoc = models.JSONField(default=dict)
    ovoc_missing_since = models.DateTimeField(null=True)

    link = models.CharField("Status", max_length=12, choices=Link, default=Link.UNKNOWN)
    checked_at = models.DateTimeField(null=True)
    reached_at = models.DateTimeField(
        null=True, help_text="When it answered last; `told` and `alarms` are from then."
    )
    problem = models.JSONField(null=True, help_text="core.errors.Rendered of the last check.")
    told = models.JSONField(default=dict)
    alarms = models.JSONField(default=list)
    serial = models.CharField(max_length=200, blank=True, help_text="Of the device that answered first.")
    next_check_at = models.DateTimeField(db_default=Now(), null=True, help_text="None: not by itself.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    rules_read_at = models.DateTimeField(null=True, help_text="When its dial plan rules were read last.")
    rules_digest = models.CharField(
        max_length=64, blank=True, help_text="Of what was read: the same writes nothing."
    )
    rules_told = models.JSONField(
        default=dict, help_text="Figures of the last reading: sbc.prefixes.Reading."
    )
    rules_problem = models.JSONField(null=True, help_text="core.errors.Rendered of the last reading.")

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name

    @property
    def heard_of(self) -> bool:
        """Whether it was ever asked, or OVOC has told of it; before, its status is unknown."""
        return bool(self.checked_at or self.ovoc)


class Ovoc(Reached):
    """OVOC: one an installation, or none."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    reloaded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.CheckConstraint(name="one_ovoc", condition=models.Q(id=1))]


class Rule(models.Model):
    """A dial plan rule as it was read from a device; each reading replaces those before."""

    sbc = models.ForeignKey(Sbc, models.CASCADE, related_name="+", db_index=False)
    plan = models.CharField("DialPlan", max_length=200)
    index = models.BigIntegerField("Index")
    name = models.CharField("Name", max_length=200, blank=True)
    prefix = models.CharField("Prefix", max_length=200, blank=True)
    tag = models.CharField("Tag", max_length=300, blank=True)
    plus = models.BooleanField(null=True, help_text="None: numbers with and without a plus.")
    span = BigIntegerRangeField(
        help_text="On the line of fifteen digits (audiocodes.dialplan); may be too wide."
    )
    exact = models.BooleanField(help_text="Whether it takes every number of the span.")
    longest = models.PositiveSmallIntegerField(
        help_text="Digits of the longest number it takes; 0: it takes none."
    )

    class Meta:
        ordering = ["sbc_id", "plan", "index", "id"]
        indexes = [
            models.Index(fields=["sbc", "plan", "index", "id"], name="rule_of_sbc"),
            GistIndex(fields=["span"], name="rule_span"),
        ]
