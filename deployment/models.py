"""Runs of Deploy and Undo Deploy, what each site wants in Teams, and the ledger of what was written there."""

import uuid

from django.db import models
from django.db.models.functions import Now

from sites.models import Site
from tenants.owned import TenantOwned


class Act(models.TextChoices):
    """What a run does (TEN-08, decision 9)."""

    DEPLOY = "deploy", "Deploy"
    UNDO = "undo", "Undo Deploy"


class RunState(models.TextChoices):
    LOOKING = "looking", "Looking"
    PLANNED = "planned", "Waits for a decision"
    RUNNING = "running", "Under way"
    BY_HAND = "by_hand", "Waits for a person's script"
    DONE = "done", "Done"
    FAILED = "failed", "Stopped"
    SET_ASIDE = "set_aside", "Set aside"


OPEN = (RunState.LOOKING, RunState.PLANNED, RunState.RUNNING, RunState.BY_HAND)


class Run(TenantOwned):
    """One look at what Deploy or Undo Deploy would do and, once somebody decided, the doing of it."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    act = models.CharField(max_length=6, choices=Act)
    state = models.CharField(max_length=9, choices=RunState, default=RunState.LOOKING)
    sites = models.JSONField(
        default=list, help_text="What becomes of each site, and by which commands: deployment.plans.SitePart."
    )
    voice = models.BooleanField(default=False, help_text="Whether anything of Teams belongs to it.")
    by_hand = models.BooleanField(default=False, help_text="A person's script does the part in Teams.")
    steps = models.JSONField(default=list, help_text="In Teams, as planned: m365.voice_plan.to_json.")
    read_at = models.DateTimeField(null=True, help_text="When Teams was read for the steps.")
    take_over = models.JSONField(
        default=list, help_text="[part, name] of what is there, differs, and may be changed all the same."
    )
    voice_command = models.BigIntegerField(null=True)
    problem = models.JSONField(
        null=True, help_text="core.errors.Rendered: what stands in the way, or stopped it."
    )
    told = models.CharField(max_length=500, blank=True)
    plan = models.CharField(max_length=64, blank=True, help_text="The fingerprint of what was shown.")
    command = models.BigIntegerField(null=True, help_text="The newest that looks or works.")
    began_at = models.DateTimeField(db_default=Now(), editable=False)
    began_by = models.CharField(max_length=254, editable=False)
    planned_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=254, blank=True)
    ended_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"], name="one_open_run", condition=models.Q(state__in=OPEN)
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="run_of_tenant"),
        ]

    def __str__(self) -> str:
        return f"{self.get_act_display()} {self.pk}"

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


class WriteState(models.TextChoices):
    BEGUN = "begun", "Begun"
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    NOT_DONE = "not_done", "Never arrived"
    ADOPTED = "adopted", "Was there already"


class VoiceWrite(TenantOwned):
    """A line of the ledger: one write in the customer's Teams, noted before it was begun; or what was there already.

    What the ledger says the portal created, and has not removed since, is the portal's own; nothing else is.
    """

    run = models.ForeignKey(Run, models.CASCADE, related_name="+")
    state = models.CharField(max_length=8, choices=WriteState, default=WriteState.BEGUN)
    by_hand = models.BooleanField(default=False, help_text="A person's script did it.")
    part = models.CharField(max_length=24)
    name = models.CharField(max_length=80)
    step = models.JSONField(help_text="m365.voice_plan.to_json: the action, before, after, and why.")
    cmdlet = models.CharField(max_length=80, blank=True)
    command = models.BigIntegerField(null=True, help_text="Which command wrote it.")
    attempts = models.PositiveSmallIntegerField(default=1, help_text="How often it was begun.")
    begun_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        ordering = ["id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="voice_write_of_tenant")]
        indexes = [models.Index(fields=["tenant", "id"], name="voice_write_in_order")]


MOST_SESSIONS = 100_000
"""Calls at once over one gateway."""


class SiteVoice(TenantOwned):
    """How a site's voice routing differs from the usual; a site without a row has the usual."""

    site = models.OneToOneField(Site, models.CASCADE, related_name="+")
    pattern = models.CharField("Number pattern", max_length=512, default=".*")
    port = models.PositiveIntegerField("SIP signalling port", default=5061)
    media_bypass = models.BooleanField("Media bypass", default=False)
    max_sessions = models.PositiveIntegerField("Concurrent sessions", null=True, blank=True)
    rules = models.JSONField(
        "Normalization rules",
        default=list,
        help_text="Of the site's dial plan: name, pattern, translation.",
    )
    changed_at = models.DateTimeField(auto_now=True, editable=False)
    changed_by = models.CharField(max_length=254, editable=False)

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="site_voice_of_tenant")]

    @property
    def version(self) -> str:
        """What a form was filled from, to be compared when it comes back; empty while everything is as usual."""
        return self.changed_at.isoformat() if self.pk else ""
