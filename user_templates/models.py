"""Templates: what members of a group get by themselves, and what each of them was given."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from provisioning.models import LONGEST_ASPECT, LONGEST_NAME
from tenants.owned import TenantOwned

TAKE = "take"
"""In `numbers`: whoever it covers is left without a number."""


class Leaving(models.TextChoices):
    """What becomes of what a template gave once somebody has left its group."""

    KEEP = "keep", "Leave it as it is"
    TAKE = "take", "Take it back"


class UserTemplate(TenantOwned):
    """A rule over the members of a group. It is off until a person has seen what it would do, as it stands."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField("Name", max_length=80)
    rank = models.PositiveIntegerField(
        "Order", help_text="Smaller first: a user belongs to the first that fits."
    )
    on = models.BooleanField(default=False)
    group_id = models.UUIDField("Group", help_text="Object id; members of groups inside it count too.")
    group_name = models.CharField(max_length=LONGEST_NAME)
    except_users = ArrayField(models.UUIDField(), default=list, help_text="Object ids.")
    except_groups = ArrayField(models.UUIDField(), default=list, help_text="Object ids.")
    numbers = models.CharField(
        "Phone numbers", max_length=40, blank=True, help_text="A range's uid, `take`, or nothing."
    )
    replace = models.BooleanField(default=False, help_text="Also numbers from outside of the range.")
    values = models.JSONField(default=list, help_text="Pairs of aspect and value: provisioning.aspects.")
    leaving = models.CharField(max_length=4, choices=Leaving, default=Leaving.KEEP)
    changed_at = models.DateTimeField(
        db_default=Now(), help_text="When what it gives, or whom, last changed."
    )
    confirmed_by = models.CharField(max_length=254, blank=True)
    confirmed_kind = models.CharField(max_length=10, blank=True)
    confirmed_id = models.CharField(
        max_length=64, blank=True, help_text="Whoever started it answers for what it asks for."
    )
    lacks = ArrayField(
        models.CharField(max_length=500),
        default=list,
        help_text="Of a copy: what this customer lacks. It starts only once somebody has mended that.",
    )
    ran_at = models.DateTimeField(null=True)
    told = models.JSONField(default=dict, help_text="Figures of the last run.")
    row_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        ordering = ["rank", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="template_of_tenant_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="template_of_tenant"),
        ]
        indexes = [models.Index(fields=["ran_at"], name="templates_on", condition=models.Q(on=True))]

    def __str__(self) -> str:
        return self.name


class Given(TenantOwned):
    """That a template asked for a thing of a user; what somebody else asks for later is no more its own."""

    template = models.ForeignKey(UserTemplate, models.CASCADE, related_name="given", db_index=False)
    subject_id = models.UUIDField()
    aspect = models.CharField(max_length=LONGEST_ASPECT)
    value = models.JSONField(null=True)
    given_at = models.DateTimeField(db_default=Now())

    class Meta(TenantOwned.Meta):
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "subject_id", "aspect"], name="given_by_one_template"),
        ]
        indexes = [models.Index(fields=["template", "subject_id"], name="given_of_template")]
