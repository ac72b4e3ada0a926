"""What people want of a customer's users, what is going to be written for it, and what was.

An Edit is one act of somebody; its Changes are wishes about one thing of one user each. A Plan says line by line what
would be written for them. Once it is carried out the same lines are the ledger: what was sent when, under which
request id, and what was found afterwards. Nothing here is ever rewritten by a later act; undoing is another Edit.
"""

import uuid

from django.db import models
from django.db.models.functions import Now

from tenants.owned import TenantOwned

LONGEST_NAME = 300
LONGEST_ASPECT = 160


class Source(models.TextChoices):
    """How people (or other systems) asked for changes."""

    EDIT = "edit", "Edited"
    BULK = "bulk", "Edited together"
    CSV = "csv", "CSV file"
    TEMPLATE = "template", "Template"
    API = "api", "API"
    UNDO = "undo", "Undo"


class ChangeState(models.TextChoices):
    """What became of a wish. At most one of a user's thing is PENDING: a newer one takes its place."""

    PENDING = "pending", "Waiting"
    APPLYING = "applying", "Being applied"
    APPLIED = "applied", "Applied"
    FAILED = "failed", "Not applied"
    SUPERSEDED = "superseded", "Replaced"
    WITHDRAWN = "withdrawn", "Withdrawn"


OPEN_CHANGES = (ChangeState.PENDING, ChangeState.APPLYING)


class PlanState(models.TextChoices):
    """DRAWING and READY write nothing; what is STALE never will."""

    DRAWING = "drawing", "Being drawn"
    READY = "ready", "Ready to look at"
    APPLYING = "applying", "Being applied"
    APPLIED = "applied", "Applied"
    PARTIAL = "partial", "Applied in part"
    STALE = "stale", "Out of date"


class Act(models.TextChoices):
    """What a line does; NOTHING is said where Microsoft has the wanted value already."""

    GIVE = "give", "Add"
    CHANGE = "change", "Change"
    TAKE = "take", "Remove"
    NOTHING = "nothing", "Nothing to do"


class LineState(models.TextChoices):
    """SENT is the intent, kept before anything is sent: after a crash it means that nobody knows."""

    PLANNED = "planned", "Planned"
    BLOCKED = "blocked", "Not possible"
    SENT = "sent", "Sent"
    ACCEPTED = "accepted", "Accepted, not yet seen"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Left out"
    UNSEEN = "unseen", "Accepted, never seen"


UNDER_WAY = (LineState.SENT, LineState.ACCEPTED)
ENDED = (LineState.DONE, LineState.FAILED, LineState.SKIPPED, LineState.UNSEEN, LineState.BLOCKED)


class Edit(TenantOwned):
    """One act: who asked for which changes, when and how."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    source = models.CharField(max_length=10, choices=Source)
    title = models.CharField(max_length=LONGEST_NAME, blank=True)
    undo_of = models.ForeignKey(
        "Plan", models.SET_NULL, null=True, related_name="+", help_text="The plan that this takes back."
    )
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="edit_of_tenant")]


class Plan(TenantOwned):
    """What would be written, or was. `digest` stands for its lines: whoever says yes says it to these."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    state = models.CharField(max_length=10, choices=PlanState, default=PlanState.DRAWING)
    command_id = models.BigIntegerField(
        null=True, help_text="Which drew it; later, which carries it out. Plain, as commands are forgotten."
    )
    digest = models.CharField(max_length=64, blank=True)
    figures = models.JSONField(default=dict, help_text="Lines by act, and how many are not possible.")
    drawn_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    actor_kind = models.CharField(max_length=10)
    actor_id = models.CharField(max_length=64)
    actor_label = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "id"], name="written_plan_of_tenant")]
        indexes = [
            models.Index(fields=["tenant"], name="plan_under_way", condition=models.Q(state="applying")),
        ]


class Change(TenantOwned):
    """A wish: one thing of one user. `wanted` is null where it shall be taken away."""

    edit = models.ForeignKey(Edit, models.CASCADE, related_name="changes", db_index=False)
    subject_id = models.UUIDField(help_text="The user's object id at Microsoft.")
    subject_name = models.CharField(max_length=LONGEST_NAME)
    aspect = models.CharField(max_length=LONGEST_ASPECT, help_text="provisioning.aspects: number, ...")
    wanted = models.JSONField(null=True)
    before = models.JSONField(null=True, help_text="What the copy said when it was asked for.")
    file_line = models.PositiveIntegerField(null=True, help_text="Of the file that its edit is called after.")
    number = models.CharField(  # noqa: DJ001  NULL keeps what wants no number out of the unique index
        max_length=40, null=True, help_text="The number that it wants, if any."
    )
    state = models.CharField(max_length=10, choices=ChangeState, default=ChangeState.PENDING)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered.")
    plan = models.ForeignKey(Plan, models.SET_NULL, null=True, related_name="+")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta(TenantOwned.Meta):
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "id"], name="change_of_tenant"),
            models.UniqueConstraint(
                fields=["tenant", "subject_id", "aspect"],
                name="one_wish_a_thing",
                condition=models.Q(state="pending"),
            ),
            # Over all customers, and past what anybody may see: no two may wait for the same number.
            models.UniqueConstraint(
                fields=["number"],
                name="one_wish_a_number",
                condition=models.Q(state__in=["pending", "applying"], number__isnull=False),
            ),
        ]
        indexes = [
            models.Index(fields=["edit", "id"], name="change_of_edit"),
            models.Index(fields=["tenant", "subject_id", "-id"], name="change_of_user"),
            models.Index(
                fields=["tenant", "id"],
                name="change_open",
                condition=models.Q(state__in=["pending", "applying", "failed"]),
            ),
        ]


class Line(TenantOwned):
    """One intended write, and what became of it. `takes` marks one after which somebody lacks what he had."""

    plan = models.ForeignKey(Plan, models.CASCADE, related_name="lines", db_index=False)
    change = models.ForeignKey(Change, models.CASCADE, related_name="+")
    place = models.PositiveSmallIntegerField(help_text="Smaller ones are written first.")
    subject_id = models.UUIDField()
    subject_name = models.CharField(max_length=LONGEST_NAME)
    aspect = models.CharField(max_length=LONGEST_ASPECT)
    where = models.CharField(max_length=40)
    act = models.CharField(max_length=10, choices=Act)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    why = models.CharField(max_length=LONGEST_NAME)
    takes = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=LineState, default=LineState.PLANNED)
    problem = models.JSONField(null=True, help_text="core.errors.Rendered.")
    request_id = models.CharField(max_length=80, blank=True, help_text="Microsoft's, of the write.")
    operation = models.CharField(max_length=500, blank=True, help_text="Where Microsoft tells of its order.")
    sends = models.PositiveSmallIntegerField(default=0, help_text="How often the intent was kept.")
    sent_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta(TenantOwned.Meta):
        ordering = ["place", "id"]
        constraints = [models.UniqueConstraint(fields=["plan", "change"], name="one_line_a_change")]
        indexes = [
            models.Index(fields=["plan", "state", "place", "id"], name="line_of_plan"),
            models.Index(fields=["tenant", "subject_id", "-id"], name="line_of_user"),
        ]
