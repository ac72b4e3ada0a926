"""The mirror: what Microsoft last said about a customer's users, groups, memberships and licences.

Only the sync writes these tables, set-based (directory.sync). Keys are the customer and Microsoft's own ids,
so a row of one customer cannot be confused with another's, and a page of rows needs no look-up to be stored.
"""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now

from directory.filter_language import LONGEST as LONGEST_FILTER
from tenants.models import Tenant
from tenants.owned import TenantOwned

LONGEST = 1000
"""Longest text kept of one property, in characters; Microsoft's own limits are lower (facts/graph)."""
LONGEST_SEARCH = 300
LISTED = models.Q(search__gte="")
NOBODY = uuid.UUID(int=0)
"""Below every id; `member_id__gt=NOBODY` lets a query use the index of a member's groups (see `by_name`)."""


class Mirrored(TenantOwned):
    """A row of a customer whose primary key begins with the customer: a second index on it would be idle."""

    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="+", db_index=False)

    class Meta(TenantOwned.Meta):
        abstract = True


def text(longest: int = LONGEST) -> "models.CharField[str, str]":
    return models.CharField(max_length=longest, blank=True, default="")


def by_name(name: str) -> models.Index:
    """The index that lists of a customer are read in order of, for queries that say LISTED.

    Its condition holds for every row. It keeps the planner from looking a single id up by this index, through
    all rows of the customer: it thinks that as cheap as the primary key while its statistics do not know the
    customer yet, and a first sync of 50,000 users took 14 s longer.
    """
    return models.Index(fields=["tenant", "search"], name=name, condition=LISTED)


def by_parts(name: str) -> GinIndex:
    """The index by which a part of a name or address is found among millions of rows of all customers.

    It costs 8 microseconds a row when a customer is first read.
    """
    return GinIndex(fields=["search"], name=name, opclasses=["gin_trgm_ops"])


class DirectoryUser(Mirrored):
    """A user as of facts/microsoft.md 5.2. `search` is folded: no accents, no capitals; lists are sorted by it."""

    pk = models.CompositePrimaryKey("tenant_id", "object_id")
    object_id = models.UUIDField(editable=False)
    user_principal_name = text()
    display_name = text()
    given_name = text()
    surname = text()
    mail = text()
    department = text()
    job_title = text()
    company_name = text()
    office_location = text()
    city = text()
    country = text()
    usage_location = text()
    business_phones = text()
    mobile_phone = text()
    sku_ids = ArrayField(models.UUIDField(), default=list)
    account_enabled = models.BooleanField(default=True)
    user_type = text(20)
    on_premises = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True, help_text="When it was created at Microsoft.")
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")
    search = models.CharField(max_length=LONGEST_SEARCH, db_collation="C")

    class Meta(Mirrored.Meta):
        db_table = "directory_user"
        ordering = ["search", "object_id"]
        indexes = [by_name("user_by_name"), by_parts("user_by_parts")]

    def __str__(self) -> str:
        return self.display_name or self.user_principal_name or str(self.object_id)


class DirectoryGroup(Mirrored):
    """A group as of facts/microsoft.md 5.4."""

    pk = models.CompositePrimaryKey("tenant_id", "object_id")
    object_id = models.UUIDField(editable=False)
    display_name = text()
    description = text(2000)
    mail = text()
    mail_enabled = models.BooleanField(default=False)
    security_enabled = models.BooleanField(default=False)
    group_types = text(200)
    membership_rule = text(4000)
    visibility = text(40)
    on_premises = models.BooleanField(default=False)
    created_at = models.DateTimeField(null=True, help_text="When it was created at Microsoft.")
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")
    search = models.CharField(max_length=LONGEST_SEARCH, db_collation="C")

    class Meta(Mirrored.Meta):
        db_table = "directory_group"
        ordering = ["search", "object_id"]
        indexes = [by_name("group_by_name"), by_parts("group_by_parts")]

    def __str__(self) -> str:
        return self.display_name or str(self.object_id)

    @property
    def kind(self) -> str:
        """The word that Microsoft's admin centre uses."""
        if "Unified" in self.group_types.split():
            return "Microsoft 365"
        if self.mail_enabled:
            return "Mail-enabled security" if self.security_enabled else "Distribution"
        return "Security"

    @property
    def dynamic(self) -> bool:
        return "DynamicMembership" in self.group_types.split()


class MemberType(models.TextChoices):
    """What a member is; only users have a row of their own here."""

    USER = "user", "User"
    GROUP = "group", "Group"
    DEVICE = "device", "Device"
    CONTACT = "orgContact", "Contact"
    APP = "servicePrincipal", "Application"
    UNKNOWN = "", "Unknown"


class GroupMember(Mirrored):
    """A direct membership. No foreign key to the member: it may arrive later, or be no user at all.

    It is tied to its group (tenant_id, group_id) by triggers, which implies the customer (docs/decisions/0025).
    """

    pk = models.CompositePrimaryKey("tenant_id", "group_id", "member_id")
    tenant = models.ForeignKey(Tenant, models.PROTECT, related_name="+", db_index=False, db_constraint=False)
    group_id = models.UUIDField()
    member_id = models.UUIDField()
    member_type = models.CharField(max_length=40, choices=MemberType, blank=True)

    class Meta(Mirrored.Meta):
        db_table = "directory_member"
        indexes = [
            models.Index(
                fields=["tenant", "member_id"], name="member_groups", condition=models.Q(member_id__gt=NOBODY)
            )
        ]


class SubscribedSku(Mirrored):
    """A licence product of the customer and how many units are left (facts/microsoft.md 5.5)."""

    pk = models.CompositePrimaryKey("tenant_id", "sku_id")
    sku_id = models.UUIDField()
    part_number = text(100)
    applies_to = text(20)
    capability_status = text(20)
    consumed = models.IntegerField(default=0)
    enabled = models.IntegerField(default=0)
    warning = models.IntegerField(default=0)
    suspended = models.IntegerField(default=0)
    locked_out = models.IntegerField(default=0)
    plans = models.JSONField(default=list, help_text="Service plans: id, name, status.")
    changed_at = models.DateTimeField(db_default=Now(), help_text="When this row last changed.")

    class Meta(Mirrored.Meta):
        db_table = "directory_sku"
        ordering = ["part_number", "sku_id"]

    @property
    def free(self) -> int:
        """Units that can still be assigned; below zero when more are in use than were bought."""
        return self.enabled + self.warning - self.consumed


class Stream(models.TextChoices):
    """What is kept in step on its own, each with its own age. Memberships come with the groups."""

    USERS = "users", "Users"
    GROUPS = "groups", "Groups and members"
    LICENCES = "licences", "Licences"


class Mode(models.TextChoices):
    NEVER = "", "Never"
    FULL = "full", "Full"
    DELTA = "delta", "Delta"


class SyncStream(Mirrored):
    """How far a stream is in step: its delta link, and when it was read last and how."""

    pk = models.CompositePrimaryKey("tenant_id", "stream")
    stream = models.CharField(max_length=10, choices=Stream)
    delta_link = models.TextField(blank=True)
    delta_at = models.DateTimeField(null=True, help_text="When Microsoft issued the delta link.")
    mode = models.CharField(max_length=5, choices=Mode, blank=True, help_text="Of the last successful read.")
    why = models.CharField(max_length=20, blank=True, help_text="Why the last read was a full one.")
    synced_at = models.DateTimeField(null=True)
    last_full_at = models.DateTimeField(null=True)
    last_proof_at = models.DateTimeField(null=True)
    proof_differences = models.PositiveIntegerField(
        null=True, help_text="Found and mended by the last proof."
    )
    rows = models.PositiveIntegerField(default=0)
    links = models.PositiveIntegerField(default=0, help_text="Memberships; groups only.")
    error = models.JSONField(null=True, help_text="core.errors.Rendered of the last read, if it failed.")

    class Meta(Mirrored.Meta):
        db_table = "directory_stream"


class SeenObject(Mirrored):
    """What a full read has met so far, kept so that it survives a crash; empty when no full read runs.

    `parent` is the group for members of a group of several pages, and the object itself otherwise.
    """

    pk = models.CompositePrimaryKey("tenant_id", "kind", "parent", "object_id")
    kind = models.CharField(max_length=10)
    parent = models.UUIDField()
    object_id = models.UUIDField()

    class Meta(Mirrored.Meta):
        db_table = "directory_seen"


class GroupToRead(Mirrored):
    """A group whose members a full read has still to fetch; `next_link` when it is in the middle of them."""

    group_id = models.UUIDField()
    next_link = models.TextField(blank=True)

    class Meta(Mirrored.Meta):
        db_table = "directory_todo"
        constraints = [models.UniqueConstraint(fields=["tenant", "group_id"], name="todo_once")]
        indexes = [models.Index(fields=["tenant", "id"], name="todo_in_order")]


class UserFilter(TenantOwned):
    """A version of the CsOnlineUser Filter (M36-13). The newest is in force; an empty one takes everybody."""

    number = models.PositiveIntegerField()
    text = models.CharField(max_length=LONGEST_FILTER, blank=True)
    set_by = models.CharField(max_length=254)
    set_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(TenantOwned.Meta):
        db_table = "directory_filter"
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["tenant", "number"], name="filter_version_once")]
