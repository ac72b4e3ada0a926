"""Sites of customers on SBCs, the templates of the scripts that make them, and the prefixes that lead to them."""

import uuid

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, RangeOperators
from django.db import models
from django.db.models.functions import Now

from sbc.models import Sbc
from tenants.models import Secret
from tenants.owned import TenantOwned


class Purpose(models.TextChoices):
    """What a script template is for; facts/audiocodes.md 5.4 has the numbers that other systems know."""

    ONBOARDING = "onboarding", "SBC onboarding"
    CLEANUP = "cleanup", "SBC clean-up"


class ScriptTemplate(models.Model):
    """A scenario script of the provider's. Onboarding and clean-up come in pairs."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField("Name", max_length=80, unique=True)
    purpose = models.CharField("Script type", max_length=10, choices=Purpose)
    description = models.CharField("Description", max_length=500, blank=True)
    cleanup = models.OneToOneField(
        "self", models.RESTRICT, null=True, related_name="onboarding", verbose_name="Clean-up script"
    )
    row_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class ScriptVersion(models.Model):
    """A template's text as it was saved at one time; it is never changed, so what ran can always be read."""

    template = models.ForeignKey(ScriptTemplate, models.CASCADE, related_name="versions", db_index=False)
    number = models.PositiveIntegerField()
    script = models.TextField("Script", max_length=100_000)
    variables = models.JSONField("Customer variables", default=list, help_text="audiocodes.script.Variable.")
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    made_by = models.CharField(max_length=254)

    class Meta:
        ordering = ["template_id", "-number"]
        constraints = [models.UniqueConstraint(fields=["template", "number"], name="script_version_once")]


class Configuration(models.TextChoices):
    """The type of a site's other leg (SBC-12)."""

    SIP_TRUNK = "SipTrunk", "SIP Trunk"
    IP_PBX = "IpPbx", "IP-PBX"
    BYOC = "Byoc", "BYOC"


class Trunk(models.TextChoices):
    """How the customer's Microsoft 365 reaches the site (decision 27)."""

    DERIVED = "derived", "Derived trunk"
    OWN = "own", "Own PSTN gateway"


class SiteState(models.TextChoices):
    """SbcDeploymentState and M365DeploymentState; NONE is the blank of the old screens."""

    NONE = "", "Not deployed"
    DEPLOYING = "deploying", "Being deployed"
    DEPLOYED = "deployed", "Deployed"
    UNSAVED = "unsaved", "Deployed, not saved"
    FAILED = "failed", "Failed"
    REMOVING = "removing", "Being removed"


class Site(TenantOwned):
    """A place of a customer whose calls go over one SBC: what is wanted, and what was done on the device."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    name = models.CharField("Site", max_length=15)
    sbc = models.ForeignKey(Sbc, models.RESTRICT, related_name="+")
    configuration = models.CharField("Configuration", max_length=8, choices=Configuration)
    trunk = models.CharField("Trunk", max_length=8, choices=Trunk, default=Trunk.DERIVED)
    gateway = models.CharField("PSTN Gateway", max_length=253, blank=True)
    template = models.ForeignKey(ScriptTemplate, models.RESTRICT, null=True, related_name="+")
    values = models.JSONField(default=dict, help_text="Of the template's variables; never a secret one.")
    secret = models.ForeignKey(
        Secret, models.SET_NULL, null=True, related_name="+", help_text="Of the secret variables, as JSON."
    )

    sbc_state = models.CharField(
        "SbcDeploymentState", max_length=9, choices=SiteState, default=SiteState.NONE, blank=True
    )
    sbc_problem = models.JSONField(null=True, help_text="core.errors.Rendered of the last work on the SBC.")
    applied = models.ForeignKey(
        ScriptVersion, models.RESTRICT, null=True, related_name="+", help_text="What was carried out."
    )
    footprint = models.JSONField(
        default=list,
        help_text="What came into being on the SBC, by comparing what was read: sites.deploying.",
    )
    intent = models.JSONField(
        null=True,
        help_text="What was about to be sent, until it is known what came of it: sites.deploying.Plan.",
    )
    deployed_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True, help_text="When the SBC was last read for it.")
    m365_state = models.CharField(
        "M365DeploymentState", max_length=9, choices=SiteState, default=SiteState.NONE, blank=True
    )
    row_version = models.PositiveIntegerField(default=1, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="site_of_tenant_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="site_of_tenant"),
        ]
        indexes = [models.Index(fields=["sbc", "name"], name="site_of_sbc")]

    def __str__(self) -> str:
        return self.name


class PrefixState(models.TextChoices):
    """What became of a prefix on its device."""

    ADDING = "adding", "Being added"
    PRESENT = "present", "On the SBC"
    REMOVING = "removing", "Being removed"
    FAILED = "failed", "Failed"
    MISSING = "missing", "Missing on the SBC"


class Prefix(TenantOwned):
    """A number or range of a site that its device is to know: a wish, until it was read back."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, models.RESTRICT, related_name="+")
    sbc = models.ForeignKey(Sbc, models.RESTRICT, related_name="+", db_index=False)
    plan = models.CharField("DialPlan", max_length=200)
    name = models.CharField("Name", max_length=15)
    prefix = models.CharField("Prefix", max_length=50, help_text="In normal form: audiocodes.dialplan.")
    tag = models.CharField("Tag", max_length=300)
    plus = models.BooleanField()
    span = BigIntegerRangeField(help_text="On the line of fifteen digits: audiocodes.dialplan.")
    numbers = models.PositiveBigIntegerField(help_text="How many numbers it names.")
    state = models.CharField(max_length=8, choices=PrefixState, default=PrefixState.ADDING)
    index = models.BigIntegerField(null=True, help_text="Its place in the plan when it was read back.")
    written_name = models.CharField(max_length=15, blank=True)
    written_tag = models.CharField(
        max_length=300,
        blank=True,
        help_text="As it was read back; only a rule that reads so, or as wished, is changed or removed.",
    )
    problem = models.JSONField(null=True, help_text="core.errors.Rendered of the last work on it.")
    checked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        ordering = ["plan", "prefix", "id"]
        constraints = [
            # The last wall: no number of one customer is routed to another (facts/audiocodes.md 2.4).
            ExclusionConstraint(
                name="a_number_of_one_customer",
                expressions=[
                    ("sbc", RangeOperators.EQUAL),
                    ("plan", RangeOperators.EQUAL),
                    ("plus", RangeOperators.EQUAL),
                    ("tenant", RangeOperators.NOT_EQUAL),
                    ("span", RangeOperators.OVERLAPS),
                ],
            ),
            models.UniqueConstraint(fields=["sbc", "plan", "prefix"], name="prefix_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="prefix_of_tenant"),
        ]
        indexes = [models.Index(fields=["site", "plan", "prefix"], name="prefix_of_site")]
