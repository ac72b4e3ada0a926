"""How far the onboarding of a customer is, and what was chosen for it."""

import datetime as dt

from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from accounts import installation
from tenants.models import Cloud
from tenants.owned import TenantOwned


class Step(models.TextChoices):
    """The steps as they are shown (SPEC TEN-12); the values stand in addresses."""

    TENANT = "m365-tenant", "M365 Tenant"
    CONNECT = "m365", "M365"
    ROUTE = "voice-route", "Voice Route"


class Way(models.TextChoices):
    """How access to the customer's Microsoft 365 is to be had."""

    INVITE = "invite", "Send link to IT administrator"
    APP = "app", "Enter an app registration"
    PROVIDER = "provider_app", "Use the provider's app"


ROUTE_DAYS = 14


def limit_of(step: Step) -> dt.timedelta:
    """How long a step should take at most: access as long as an invitation lives."""
    return dt.timedelta(days=ROUTE_DAYS if step == Step.ROUTE else installation.get("invitation_days"))


class Onboarding(TenantOwned):
    """One attempt to take on a customer; a customer has one open attempt at most.

    Whether access was given, and what is wrong with it, stands where it always does (the connection, the invitation,
    the domain); here is only what nobody else knows.
    """

    step = models.CharField(
        max_length=12, choices=Step, default=Step.CONNECT, help_text="The furthest that was reached."
    )
    step_since = models.DateTimeField(db_default=Now())
    way = models.CharField(max_length=12, choices=Way, blank=True)
    cloud = models.CharField(max_length=10, choices=Cloud, default=Cloud.GLOBAL)
    automatic_dns = models.BooleanField(default=False, help_text="Begin the domain once access was proven.")
    dns_name = models.CharField(max_length=253, blank=True, help_text="Empty: the portal chooses one.")
    problem = models.JSONField(
        null=True, editable=False, help_text="core.errors.Rendered: why the automatic DNS did not begin."
    )
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    started_by = models.CharField(max_length=254, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)
    cancelled_at = models.DateTimeField(null=True, editable=False)
    ended_by = models.CharField(max_length=254, blank=True, editable=False)

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                name="one_open_onboarding",
                condition=models.Q(finished_at=None, cancelled_at=None),
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="onboarding_of_tenant"),
        ]

    def __str__(self) -> str:
        return f"Onboarding {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.finished_at is None and self.cancelled_at is None

    @property
    def number(self) -> int:
        """Of the step, as it is shown."""
        return list(Step).index(Step(self.step)) + 1

    @property
    def late(self) -> bool:
        return self.deadline < timezone.now()

    @property
    def deadline(self) -> dt.datetime:
        """When the step should be done; nothing ends by itself then, but people are told."""
        return self.step_since + limit_of(Step(self.step))
