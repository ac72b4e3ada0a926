"""The command queue: the row is the truth, the broker's message only a doorbell (DESIGN 4)."""

from django.db import models
from django.db.models.functions import Now

from tenants.models import Tenant
from tenants.owned import Owned, TenantOwned


class State(models.TextChoices):
    """What a command is doing; the words are those on screen (decision 10). Moves: replication.states."""

    QUEUED = "queued", "Queued"
    EXECUTING = "executing", "Executing"
    SUSPENDED = "suspended", "Suspended"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


OPEN = (State.QUEUED, State.EXECUTING, State.SUSPENDED)
FINAL = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class Reason(models.TextChoices):
    """Why a command is in its state, where the state alone does not say."""

    NONE = "", ""
    DEBOUNCE = "debounce", "Waiting for further changes"
    SLICE = "slice", "In progress, giving others a turn"
    THROTTLED = "throttled", "Microsoft asked us to slow down"
    BACKING_OFF = "backing_off", "Waiting before the next attempt"
    WORKER_LOST = "worker_lost", "Its worker stopped; taken back"
    CONNECTION = "connection", "The connection needs attention"
    TARGET = "target", "This one thing needs attention"
    POISON = "poison", "Set aside: it stopped several workers"
    PERSON = "person", "Asked for by a person"


class LaneName(models.TextChoices):
    """Commands of a lane run one after another. Checks never wait behind a first sync, hence two a tenant.

    A device's commands are the provider's own, and their target is the device. What needs PowerShell has a lane of
    its own, which only workers that have it serve (docs/decisions/0018).
    """

    DATA = "data", "Data"
    IDENTITY = "identity", "Identity"
    PROVIDER = "provider", "Provider"
    DEVICE = "device", "Device"
    POWERSHELL = "powershell", "PowerShell"


class Lane(Owned):
    """One queue among many; the scheduler serves the lane that was served longest ago."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, related_name="+")
    name = models.CharField(max_length=10, choices=LaneName)
    device = models.CharField(
        max_length=40, blank=True, db_default="", help_text="Which SBC; each has one writer at a time."
    )
    due_at = models.DateTimeField(
        null=True,
        help_text="From when it waits for its turn; none = nothing to start, or a command is executing.",
    )
    not_before = models.DateTimeField(
        db_default=Now(), help_text="Asleep until then: Microsoft's Retry-After."
    )
    served_at = models.DateTimeField(db_default=Now())
    yields_until = models.DateTimeField(
        null=True, help_text="Until then it is served after all others: part of a run over many customers."
    )
    suspended_code = models.CharField(max_length=40, blank=True, help_text="The error that suspended it.")

    class Meta(Owned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name", "device"], name="lane_once", nulls_distinct=False
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="lane_of_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="lane_due",
                condition=models.Q(due_at__isnull=False, yields_until__isnull=True),
            ),
            models.Index(
                fields=["due_at"],
                name="lane_due_later",
                condition=models.Q(due_at__isnull=False, yields_until__isnull=False),
            ),
        ]


class Command(Owned):
    """One piece of background work, from the wish to its outcome."""

    # Each index here is written twice a command; `command_of_tenant` serves the customer's rows, newest first too.
    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, related_name="+", db_index=False)
    lane = models.ForeignKey(Lane, models.CASCADE, related_name="+")
    kind = models.CharField("Cmd Type", max_length=40)
    target = models.CharField(max_length=120, blank=True, help_text="What it is about, within the tenant.")
    params = models.JSONField(default=dict, help_text="Small and never secret.")
    dry_run = models.BooleanField(default=False)
    dedupe_key = models.CharField(  # noqa: DJ001  NULL is what keeps a cleared key out of the unique index
        max_length=180, null=True, help_text="Cleared at the claim."
    )

    state = models.CharField(max_length=10, choices=State, default=State.QUEUED)
    reason = models.CharField(max_length=12, choices=Reason, blank=True)
    outcome = models.CharField(
        max_length=10, blank=True, help_text="complete, partial or unchanged, once succeeded."
    )
    message = models.CharField("Execution Result", max_length=500, blank=True)
    error = models.JSONField(null=True, help_text="core.errors.Rendered.")
    result = models.JSONField(default=dict)

    attempts = models.PositiveSmallIntegerField("Retries", default=0)
    max_attempts = models.PositiveSmallIntegerField(default=10)
    deaths = models.PositiveSmallIntegerField(default=0, help_text="Workers that stopped while executing it.")
    slices = models.PositiveIntegerField(default=0)
    checkpoint = models.JSONField(default=dict)
    progress = models.JSONField(default=dict)

    queued_at = models.DateTimeField(db_default=Now(), editable=False)
    not_before = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField("When Executed", null=True)
    finished_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=80, blank=True)
    fence = models.PositiveIntegerField(
        default=0, help_text="Grows with each claim; a stale holder writes nothing."
    )

    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=254)
    retry_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="+", db_index=False)

    class Meta(Owned.Meta):
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                name="a_lease_exactly_while_executing",
                condition=models.Q(state="executing", lease_until__isnull=False)
                | (~models.Q(state="executing") & models.Q(lease_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="an_end_exactly_when_final",
                condition=models.Q(state__in=FINAL, finished_at__isnull=False)
                | (~models.Q(state__in=FINAL) & models.Q(finished_at__isnull=True)),
            ),
            models.UniqueConstraint(
                fields=["lane"], name="one_executing_per_lane", condition=models.Q(state="executing")
            ),
            models.UniqueConstraint(
                fields=["lane", "dedupe_key"],
                name="one_wish_per_key",
                condition=models.Q(dedupe_key__isnull=False),
            ),
            models.UniqueConstraint(fields=["tenant", "id"], name="command_of_tenant"),
        ]
        indexes = [
            models.Index(
                fields=["lane", "not_before", "id"], name="command_queued", condition=models.Q(state="queued")
            ),
            # The next three begin with the lane, so that a claim finds its way whatever the statistics say: among a
            # million finished rows they say that nothing is queued, and then any index of open rows looks as good.
            models.Index(fields=["lane", "id"], name="command_head", condition=models.Q(state="queued")),
            models.Index(
                fields=["lane", "target", "id"],
                name="command_before",
                condition=models.Q(state__in=["queued", "suspended"]),
            ),
            models.Index(
                fields=["lease_until"], name="command_leased", condition=models.Q(state="executing")
            ),
            models.Index(
                fields=["retry_of"], name="command_repeated", condition=models.Q(retry_of__isnull=False)
            ),
            models.Index(fields=["tenant", "state"], name="command_open", condition=models.Q(state__in=OPEN)),
            # With the state, so that those of one are counted by it alone, as many as a list counts.
            models.Index(
                fields=["finished_at"],
                include=["state"],
                name="command_finished",
                condition=models.Q(state__in=FINAL),
            ),
            models.Index(
                fields=["finished_at"],
                name="command_quiet",
                condition=models.Q(outcome="unchanged", actor_kind="system"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"


class Step(Owned):
    """A line in a command's history: what happened, when, in which attempt."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, null=True, related_name="+")
    command = models.ForeignKey(Command, models.CASCADE, related_name="steps", db_index=False)
    at = models.DateTimeField(db_default=Now(), editable=False)
    attempt = models.PositiveSmallIntegerField(default=0)
    level = models.CharField(
        max_length=7, choices=[("info", "Info"), ("warning", "Warning"), ("error", "Error")]
    )
    text = models.CharField(max_length=500)
    detail = models.JSONField(default=dict)

    class Meta(Owned.Meta):
        ordering = ["id"]
        indexes = [models.Index(fields=["command", "id"], name="step_of_command")]


class RemovalPlan(TenantOwned):
    """What a run would take away, and whether a person has looked at it; a command has its newest one only.

    Its number binds a confirmation to what was seen: a plan is never changed, another one is drawn.
    """

    command = models.OneToOneField(Command, models.CASCADE, related_name="+")
    drawn_at = models.DateTimeField(db_default=Now(), editable=False)
    why = models.CharField(max_length=500)
    figures = models.JSONField(
        default=list, help_text="For each noun: noun, label (its plural), remove, have."
    )
    approved_at = models.DateTimeField(null=True)
    approved_by = models.CharField(max_length=254, blank=True)

    class Meta(TenantOwned.Meta):
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="plan_of_tenant")]

    @property
    def removals(self) -> int:
        return sum(int(each["remove"]) for each in self.figures)


class Removal(TenantOwned):
    """One thing that would be removed. `key` is its id, `name` and `detail` are for people."""

    plan = models.ForeignKey(RemovalPlan, models.CASCADE, related_name="+", db_index=False)  # planned_once
    noun = models.CharField(max_length=20)
    key = models.CharField(max_length=64)
    name = models.CharField(max_length=300)
    detail = models.CharField(max_length=300, blank=True)

    class Meta(TenantOwned.Meta):
        ordering = ["-noun", "name", "id"]
        constraints = [models.UniqueConstraint(fields=["plan", "noun", "key"], name="planned_once")]


class Switch(models.Model):
    """Installation-wide switches of the queue. One row a name; a row with `on` stops the queue."""

    name = models.CharField(max_length=20, primary_key=True)
    on = models.BooleanField(default=False)
    set_by = models.CharField(max_length=254)
    set_at = models.DateTimeField(db_default=Now())
