"""Reads for people who look at the copy: users, groups, members and licences of one customer."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet

from core.errors import NotFound
from directory.models import (
    LISTED,
    DirectoryGroup,
    DirectoryUser,
    GroupMember,
    MemberType,
    Stream,
    SubscribedSku,
    SyncStream,
)
from directory.skus import name_of
from directory.sync.reading import fold
from replication.models import Command
from replication.selectors import latest
from tenants import tables
from tenants.models import Tenant
from tenants.recent import Recent
from tenants.tables import Chain
from tenants.written import Written

KINDS = ("sync", "quick_replication")
MOST_DEPARTMENTS = 200
GROUP_KINDS: Mapping[str, Q] = {
    "Microsoft 365": Q(group_types__contains="Unified"),
    "Security": Q(mail_enabled=False) & ~Q(group_types__contains="Unified"),
    "Mail-enabled security": Q(mail_enabled=True, security_enabled=True)
    & ~Q(group_types__contains="Unified"),
    "Distribution": Q(mail_enabled=True, security_enabled=False) & ~Q(group_types__contains="Unified"),
}
"""The same words as DirectoryGroup.kind, as conditions."""


# --- Users --------------------------------------------------------------------------------------------------
def users(
    tenant: Tenant | uuid.UUID,
    *,
    search: str = "",
    licence: str = "",
    enabled: str = "",
    department: str = "",
    kind: str = "",
) -> QuerySet[DirectoryUser]:
    """By name. `licence` is a SKU's id or "none", `enabled` yes or no, `kind` Member or Guest."""
    found: QuerySet[DirectoryUser] = DirectoryUser.objects.filter(LISTED, matching(search), tenant=tenant)
    if licence == "none":
        found = found.filter(sku_ids=[])
    elif licence:
        found = found.filter(sku_ids__contains=[licence])
    if enabled:
        found = found.filter(account_enabled=enabled == "yes")
    if department:
        found = found.filter(department=department)
    if kind:
        found = found.filter(user_type=kind)
    return found.order_by("search", "object_id")


def users_in_order(tenant: Tenant, order: Sequence[str], *, search: str = "") -> Any:
    """As `users`, by these columns, for a page."""
    if as_uuid(search):
        return users(tenant, search=search).order_by(*order)
    return _IN_ORDER(tenant.id, fold(search).split() or None, order=tuple(order))


_IN_ORDER = tables.Kept(
    lambda tenant_id, words, *, order: users(tenant_id).filter(_with_all(words or ())).order_by(*order)
)


def matching(search: str) -> Q:
    """Every word occurs in the name or address, in any order; an object id finds that object."""
    object_id = as_uuid(search)
    return Q(object_id=object_id) if object_id else _with_all(fold(search).split())


def _with_all(words: Iterable[str]) -> Q:
    return Q(*(Q(search__contains=word) for word in words))


def user(tenant: Tenant, object_id: uuid.UUID) -> DirectoryUser:
    """Raises NotFound."""
    found: DirectoryUser | None = DirectoryUser.objects.filter(tenant=tenant, object_id=object_id).first()
    if found is None:
        raise NotFound(thing="user")
    return found


_departments: Recent[list[str]] = Recent()


def departments(tenant: Tenant) -> list[str]:
    """Those that occur, for the filter; the first two hundred, as of the last seconds: all rows are read for it."""
    return _departments.get(tenant.id, lambda: _departments_of(tenant))


def _departments_of(tenant: Tenant) -> list[str]:
    rows = DirectoryUser.objects.filter(tenant=tenant).exclude(department="").order_by("department")
    return list(rows.values_list("department", flat=True).distinct()[:MOST_DEPARTMENTS])


def groups_of(tenant: Tenant, object_id: uuid.UUID) -> QuerySet[DirectoryGroup]:
    """The groups that this object is a direct member of, by name."""
    mine = GroupMember.objects.filter(tenant=tenant, member_id=object_id).values("group_id")
    found: QuerySet[DirectoryGroup] = DirectoryGroup.objects.filter(tenant=tenant, object_id__in=mine)
    return found.order_by("search", "object_id")


# --- Groups -------------------------------------------------------------------------------------------------
def groups(
    tenant: Tenant, *, search: str = "", kind: str = "", dynamic: str = ""
) -> QuerySet[DirectoryGroup]:
    """By name. `kind` is a word of GROUP_KINDS, `dynamic` yes or no."""
    found: QuerySet[DirectoryGroup] = DirectoryGroup.objects.filter(LISTED, matching(search), tenant=tenant)
    if kind:
        found = found.filter(GROUP_KINDS[kind])
    if dynamic:
        by_rule = Q(group_types__contains="DynamicMembership")
        found = found.filter(by_rule if dynamic == "yes" else ~by_rule)
    return found.order_by("search", "object_id")


def group(tenant: Tenant, object_id: uuid.UUID) -> DirectoryGroup:
    """Raises NotFound."""
    found: DirectoryGroup | None = DirectoryGroup.objects.filter(tenant=tenant, object_id=object_id).first()
    if found is None:
        raise NotFound(thing="group")
    return found


def member_counts(tenant: Tenant, found: Iterable[DirectoryGroup]) -> dict[uuid.UUID, int]:
    """Direct members of each group of a page, in one query; a group without any is not in it."""
    return dict(_MEMBERS.rows(tenant.id, [each.object_id for each in found]))


_MEMBERS: Written[Any] = Written(
    lambda tenant_id, ids: (
        GroupMember.objects.filter(tenant_id=tenant_id, group_id__in=ids)
        .order_by()
        .values_list("group_id")
        .annotate(number=Count("member_id"))
    )
)


def members(tenant: Tenant, group_id: uuid.UUID, *, search: str = "") -> Chain:
    """Direct members: users by name, then those that are no user, or a user who is not in the copy yet."""
    mine = GroupMember.objects.filter(tenant=tenant, group_id=group_id)
    known = DirectoryUser.objects.filter(tenant=tenant, object_id__in=mine.values("member_id"))
    is_user = DirectoryUser.objects.filter(tenant=tenant, object_id=OuterRef("member_id"))
    others = mine.filter(~Exists(is_user)).order_by("member_type", "member_id")
    if search:
        object_id = as_uuid(search)
        others = others.filter(member_id=object_id) if object_id else others.none()
    return Chain(known.filter(matching(search)).order_by("search", "object_id"), others)


def group_names(tenant: Tenant, found: Iterable[GroupMember]) -> dict[uuid.UUID, str]:
    """Names of those members that are groups themselves."""
    ids = [each.member_id for each in found if each.member_type in {MemberType.GROUP, MemberType.UNKNOWN}]
    if not ids:
        return {}
    return {
        each.object_id: str(each) for each in DirectoryGroup.objects.filter(tenant=tenant, object_id__in=ids)
    }


# --- Licences -----------------------------------------------------------------------------------------------
def licences(tenant: Tenant) -> list[SubscribedSku]:
    return _SKUS.rows(tenant.id)


_SKUS = Written(
    lambda tenant_id: SubscribedSku.objects.filter(tenant_id=tenant_id).order_by("part_number", "sku_id")
)


@dataclasses.dataclass(frozen=True)
class Licence:
    """A licence of a user in words."""

    name: str
    part_number: str
    known: bool = True

    def __str__(self) -> str:
        return self.name


def licence_words(skus: Iterable[SubscribedSku]) -> dict[uuid.UUID, Licence]:
    """By SKU id; what Microsoft does not list as the customer's own is in nobody's words."""
    return {sku.sku_id: Licence(name_of(sku.part_number), sku.part_number) for sku in skus}


def licences_of(one: DirectoryUser, words: Mapping[uuid.UUID, Licence]) -> list[Licence]:
    found = [words.get(sku_id) or Licence(str(sku_id), str(sku_id), known=False) for sku_id in one.sku_ids]
    return sorted(found, key=lambda each: (not each.known, each.name))


# --- How old the copy is ------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Age:
    """When a stream was read last and how; `latest` is the newest command that reads it."""

    stream: SyncStream | None
    latest: Command | None

    @property
    def at(self) -> dt.datetime | None:
        return self.stream.synced_at if self.stream else None


def age(tenant: Tenant, stream: Stream) -> Age:
    return Age(_STREAM.sole(tenant.id, stream.value), latest(tenant.id, KINDS))


_STREAM = Written(lambda tenant_id, stream: SyncStream.objects.filter(tenant_id=tenant_id, stream=stream))


def as_uuid(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None
