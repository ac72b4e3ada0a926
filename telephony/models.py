"""The mirror of telephony: what Microsoft last said about a customer's Teams users, their policies and its numbers.
Beside it what people decide about numbers: ranges, reservations and blocks.

Only the worker writes the mirror, set-based (directory.sync.staging). As in the directory's mirror, keys are the
customer and an id: Microsoft's own for users, and for what Microsoft names by texts one that is made from them
(`telephony.landing.key`), so that it may stand in addresses.
"""

import uuid

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import BigIntegerRangeField, RangeOperators
from django.db import models
from django.db.models.functions import Now

from audiocodes.dialplan import Rule
from directory.models import LISTED, LONGEST_SEARCH, Mirrored, by_name, text
from sites.models import Site
from tenants.owned import TenantOwned

__all__ = [
    "LISTED",
    "HoldKind",
    "NumberHold",
    "NumberKind",
    "NumberRange",
    "PhoneNumber",
    "Seen",
    "Stream",
    "TeamsPolicy",
    "TeamsStream",
    "TeamsUser",
    "Usage",
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
            models.Index(fields=["place", "tenant"], name="number_by_place"),
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


# --- What people decide -------------------------------------------------------------------------------------
class Interval(TenantOwned):
    """Numbers of one length that follow one another, as many as they are: one interval (audiocodes.dialplan)."""

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    first = models.CharField("From", max_length=16, help_text="With a plus: +41589061000.")
    last = models.CharField("To", max_length=16)
    span = BigIntegerRangeField(help_text="On the line of fifteen digits: audiocodes.dialplan.")
    numbers = models.PositiveBigIntegerField(help_text="How many they are.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    created_by = models.CharField(max_length=254)

    class Meta(TenantOwned.Meta):
        abstract = True

    def __str__(self) -> str:
        return self.first if self.first == self.last else f"{self.first} to {self.last}"

    @property
    def rule(self) -> Rule:
        return Rule(True, len(self.first) - 1, int(self.first[1:]), int(self.last[1:]))


class NumberRange(Interval):
    """A pool that numbers are taken from. No number is in two of them, whoever's they are."""

    name = models.CharField("Name", max_length=60)
    kind = models.CharField("Type", max_length=20, choices=NumberKind)
    site = models.ForeignKey(Site, models.SET_NULL, null=True, blank=True, related_name="+")
    note = models.CharField("Note", max_length=300, blank=True)
    row_version = models.PositiveIntegerField(default=1, editable=False)

    class Meta(Interval.Meta):
        db_table = "telephony_range"
        ordering = ["span", "id"]
        constraints = [
            ExclusionConstraint(
                name="a_number_in_one_range", expressions=[("span", RangeOperators.OVERLAPS)]
            ),
            models.UniqueConstraint(fields=["tenant", "name"], name="range_of_tenant_once"),
            models.UniqueConstraint(fields=["tenant", "id"], name="range_of_tenant"),
        ]


class HoldKind(models.TextChoices):
    RESERVED = "reserved", "Reserved"
    BLOCKED = "blocked", "Blocked"


class NumberHold(Interval):
    """Numbers that nobody is given: kept for somebody, perhaps until a time, or blocked."""

    kind = models.CharField(max_length=8, choices=HoldKind)
    holder = models.CharField("For", max_length=120, blank=True)
    note = models.CharField("Note", max_length=300, blank=True, help_text="Of a block: the reason.")
    until = models.DateTimeField("Until", null=True, blank=True, help_text="It ends by itself then.")

    class Meta(Interval.Meta):
        db_table = "telephony_hold"
        ordering = ["span", "id"]
        constraints = [
            ExclusionConstraint(
                name="a_number_held_once",
                expressions=[("tenant", RangeOperators.EQUAL), ("span", RangeOperators.OVERLAPS)],
            ),
        ]
        indexes = [
            models.Index(fields=["until"], name="holds_that_end", condition=models.Q(until__isnull=False))
        ]


# --- For billing --------------------------------------------------------------------------------------------
class Usage(TenantOwned):
    """How many a customer had on one day, and nothing else: no name and no number is kept (SPEC USR-10)."""

    day = models.DateField(help_text="In UTC.")
    active_users = models.PositiveIntegerField(help_text="Users with enterprise voice and a number.")
    resource_accounts = models.PositiveIntegerField()

    class Meta(TenantOwned.Meta):
        db_table = "telephony_usage"
        ordering = ["day", "id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "day"], name="usage_once_a_day")]
