"""What happened, in order, for machines that want to know: read from a cursor, or sent to a webhook."""

import uuid

from django.db import models
from django.db.models.functions import Now

from tenants.models import Tenant
from tenants.owned import Owned


class Type(models.TextChoices):
    """What can happen; the words are those of the API and of webhooks."""

    DEGRADED = "connection.degraded", "A customer's access stopped working"
    RESTORED = "connection.restored", "A customer's access works again"
    EXPIRING = "secret.expiring", "A secret or certificate ends soon"
    INVITATION_SENT = "invitation.sent", "An invitation was mailed"
    INVITATION_OPENED = "invitation.opened", "A customer's administrator opened an invitation"
    INVITATION_COMPLETED = "invitation.completed", "An invitation led to a proven connection"
    INVITATION_REVOKED = "invitation.revoked", "An invitation was withdrawn"
    CONNECTED = "tenant.connected", "A customer's first check succeeded"
    ONBOARDED = "tenant.onboarded", "The onboarding of a customer was finished"
    DOMAIN_READY = "domain.ready", "A customer's domain is set up"
    DOMAIN_STOPPED = "domain.stopped", "Setting up a customer's domain stopped"
    SITE_DEPLOYED = "site.deployed", "A customer's site was deployed on an SBC"
    SITE_REMOVED = "site.removed", "A customer's site was removed from an SBC"
    SITE_FAILED = "site.failed", "Deploying or removing a customer's site failed"
    DEPLOYED = "deploy.done", "A customer was deployed"
    UNDEPLOYED = "deploy.undone", "The deployment of a customer was undone"
    DEPLOY_FAILED = "deploy.failed", "Deploying a customer, or undoing it, stopped"
    PLAN_READY = "plan.ready", "A plan of changes of a customer's users waits to be looked at"
    PLAN_APPLIED = "plan.applied", "A plan of changes of a customer's users was carried out"
    NUMBER_ASSIGNED = "number.assigned", "Users of a customer have been given phone numbers"
    NUMBER_UNASSIGNED = "number.unassigned", "Phone numbers of a customer's users have been taken back"
    RESOURCE_ACCOUNT_CREATED = "resource_account.created", "A resource account answers as it was designed"
    CALL_FLOW_CHANGED = "call_flow.changed", "An attendant or a queue of a customer answers in another way"
    RESOURCE_ACCOUNT_REMOVED = "resource_account.removed", "What was made of a resource account was removed"
    RESOURCE_ACCOUNT_FAILED = "resource_account.failed", "Building or removing a resource account stopped"
    BREAKER_OPENED = "breaker.opened", "The provider's own line stopped working"
    BREAKER_CLOSED = "breaker.closed", "The provider's own line works again"
    TEST = "webhook.test", "Somebody pressed Send test event"


class Event(Owned):
    """One thing that happened to a customer, or (no tenant) to the provider. Added to, never changed.

    The number is the cursor: whoever saw an event has seen every one with a smaller number (events.services).
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, related_name="+")
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    at = models.DateTimeField(db_default=Now(), editable=False)
    type = models.CharField(
        max_length=40, help_text="A Type; the table does not change when there is another."
    )
    data = models.JSONField(default=dict, help_text="Small, flat, and never secret.")
    once = models.CharField(  # noqa: DJ001  NULL is what keeps most events out of the unique index
        max_length=100, null=True, help_text="What may be told one time only."
    )

    class Meta(Owned.Meta):
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["once"], name="told_once")]
        indexes = [
            models.Index(fields=["tenant", "type", "-id"], name="event_of_tenant"),
            models.Index(fields=["at"], name="event_at"),
        ]

    def __str__(self) -> str:
        return f"{self.type} #{self.pk}"
