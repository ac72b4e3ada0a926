"""The mirror of telephony: what Microsoft last said about a customer's Teams users, their policies and its numbers.

Only the worker writes these tables, set-based (directory.sync.staging). As in the directory's mirror, keys are the
customer and an id: Microsoft's own for users, and for what Microsoft names by texts one that is made from them
(`telephony.landing.key`), so that it may stand in addresses.
"""

from django.db import models
from django.db.models.functions import Now

from directory.models import LISTED, LONGEST_SEARCH, Mirrored, by_name, text

__all__ = [
    "LISTED",
    "NumberKind",
    "PhoneNumber",
    "Seen",
    "Stream",
    "TeamsPolicy",
    "TeamsStream",
    "TeamsUser",
    "UserPolicy",
]


class TeamsUser(Mirrored):
    """A user as Teams knows him (facts/microsoft.md 9.1). Whoever the CsOnlineUser Filter leaves out has no row."""

    pk = models.CompositePrimaryKey("tenant_id", "object_id")
    object_id = models.UUIDField(editable=False)
    user_principal_name = text()
    account_type = text(40)
    voice = models.BooleanField("Enterprise voice", default=False)
    features = text(300)
    number = text(40)
    numbers = text(1000)
    created_at = models.DateTimeField(null=True, help_text="When it was created at Microsoft.")
    modified_at = models.DateTimeField(null=True, help_text="When it was last modified at Microsoft.")
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")
    search = models.CharField(max_length=LONGEST_SEARCH, db_collation="C")

    class Meta(Mirrored.Meta):
        db_table = "telephony_user"
        ordering = ["search", "object_id"]
        indexes = [by_name("teamsuser_by_name")]

    def __str__(self) -> str:
        return self.user_principal_name or str(self.object_id)

    @property
    def licensed(self) -> bool:
        """Whether a service plan with Teams Phone is on: without it nobody can have a number."""
        return "PhoneSystem" in self.features.split()


class TeamsPolicy(Mirrored):
    """A policy that somebody has. Graph lists no definitions; one that nobody has is not known."""

    pk = models.CompositePrimaryKey("tenant_id", "object_id")
    object_id = models.UUIDField(editable=False)
    kind = text(100)
    name = text(300)
    policy_id = text(300)
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")
    search = models.CharField(max_length=LONGEST_SEARCH, db_collation="C")

    class Meta(Mirrored.Meta):
        db_table = "telephony_policy"
        ordering = ["search", "object_id"]
        indexes = [by_name("teamspolicy_by_name")]

    def __str__(self) -> str:
        return self.name


class UserPolicy(Mirrored):
    """The policy of a type that is in effect for a user; without one it is the organisation's default.

    Foreign keys to user and policy, both with the customer, are in the migration.
    """

    pk = models.CompositePrimaryKey("tenant_id", "object_id")
    object_id = models.UUIDField(editable=False)
    user_id = models.UUIDField()
    policy_id = models.UUIDField()
    kind = text(100)
    source = text(20)
    group_id = models.UUIDField(null=True)
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")
    search = models.CharField(max_length=LONGEST_SEARCH, db_collation="C")

    class Meta(Mirrored.Meta):
        db_table = "telephony_user_policy"
        ordering = ["kind", "object_id"]
        indexes = [
            models.Index(fields=["tenant", "user_id"], name="policies_of_user"),
            models.Index(fields=["tenant", "policy_id"], name="users_of_policy"),
        ]


class NumberKind(models.TextChoices):
    """How a number gets to the telephone network, in Microsoft's words (facts 9.2)."""

    DIRECT_ROUTING = "directRouting", "Direct Routing"
    OPERATOR_CONNECT = "operatorConnect", "Operator Connect"
    CALLING_PLAN = "callingPlan", "Calling Plan"


class PhoneNumber(Mirrored):
    """A number of the customer's organisation at Microsoft. What it means in our words: telephony.numbers."""

    pk = models.CompositePrimaryKey("tenant_id", "object_id")
    object_id = models.UUIDField(editable=False)
    microsoft_id = text(300)
    number = text(40)
    place = models.BigIntegerField(help_text="On the line of fifteen digits: audiocodes.dialplan.")
    kind = text(40)
    status = text(40)
    activation = text(40)
    target_id = models.UUIDField(null=True, help_text="Who has it: a user or a resource account.")
    category = text(40)
    operator_id = text(300)
    country = text(10)
    city = text(300)
    port_in = text(60)
    source = text(40)
    location_id = text(300)
    capabilities = text(300)
    actions = text(300)
    freed_at = models.DateTimeField(
        null=True, help_text="When a reading first found it free after it was in use."
    )
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")
    search = models.CharField(max_length=LONGEST_SEARCH, db_collation="C")

    class Meta(Mirrored.Meta):
        db_table = "telephony_number"
        ordering = ["search", "object_id"]
        indexes = [
            by_name("number_by_name"),
            models.Index(fields=["number"], name="number_anywhere"),
            models.Index(
                fields=["tenant", "target_id"],
                name="numbers_of_user",
                condition=models.Q(target_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.number


class Stream(models.TextChoices):
    """What is read on its own, each with its own age (SPEC REP-11, REP-12)."""

    USERS = "users", "Teams users"
    POLICIES = "policies", "Teams policies"
    NUMBERS = "numbers", "Number assignments"


class TeamsStream(Mirrored):
    """When a stream was read last, and when the next reading is due."""

    pk = models.CompositePrimaryKey("tenant_id", "stream")
    stream = models.CharField(max_length=10, choices=Stream)
    synced_at = models.DateTimeField(null=True)
    rows = models.PositiveIntegerField(default=0)
    left_out = models.PositiveIntegerField(default=0, help_text="By the CsOnlineUser Filter.")
    error = models.JSONField(null=True, help_text="core.errors.Rendered of the last reading, if it failed.")
    asked_at = models.DateTimeField(null=True, help_text="When the clock last asked for a reading.")
    next_at = models.DateTimeField(db_default=Now(), help_text="The clock asks not before this.")

    class Meta(Mirrored.Meta):
        db_table = "telephony_stream"


class Seen(Mirrored):
    """What a reading has met so far, kept so that it survives a crash; empty when none is under way."""

    pk = models.CompositePrimaryKey("tenant_id", "stream", "object_id")
    stream = models.CharField(max_length=10)
    object_id = models.UUIDField()

    class Meta(Mirrored.Meta):
        db_table = "telephony_seen"
