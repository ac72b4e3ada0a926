"""Reads for people who look at telephony: whose number it is, what Teams says of a user, how old that is."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet

from core.errors import NotFound
from directory.browse import as_uuid, matching
from directory.models import LISTED, DirectoryUser
from replication.models import Command
from replication.selectors import latest
from telephony import ways
from telephony.commands import KINDS
from telephony.models import Stream, TeamsPolicy, TeamsStream, TeamsUser, UserPolicy
from tenants.models import Connection, Tenant
from tenants.written import Written


@dataclasses.dataclass(frozen=True)
class Holder:
    """Who has a number; `known` where the copy of the directory has him."""

    name: str
    address: str
    object_id: uuid.UUID
    known: bool


def holder_of(one: Any) -> Holder | None:
    """Of a number that came from `numbers.with_holders`; None where nobody has it."""
    if one.target_id is None:
        return None
    if one.holder_address is None:
        return Holder("", "", one.target_id, known=False)
    name = one.holder_name or one.holder_address or str(one.target_id)
    return Holder(name, one.holder_address, one.target_id, known=True)


def teams_users(tenant: Tenant) -> QuerySet[TeamsUser]:
    rows: QuerySet[TeamsUser] = TeamsUser.objects.filter(LISTED, tenant=tenant)
    return rows


def users_matching(search: str) -> Q:
    """By address or number, or by the name that the directory has."""
    object_id = as_uuid(search)
    if object_id:
        return Q(object_id=object_id)
    people = DirectoryUser.objects.filter(LISTED, matching(search))
    return Q(search__contains=search.lower()) | Q(object_id__in=people.values("object_id"))


def teams_user(tenant: Tenant, object_id: uuid.UUID) -> TeamsUser:
    """Raises NotFound."""
    found = TeamsUser.objects.filter(tenant=tenant, object_id=object_id).first()
    if found is None:
        raise NotFound(thing="this Teams user")
    return found


def of_users(tenant: Tenant, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, TeamsUser]:
    """By the user's id; one query."""
    return {one.object_id: one for one in _OF_USERS.rows(tenant.id, list(ids))}


_OF_USERS = Written(lambda tenant_id, ids: TeamsUser.objects.filter(tenant_id=tenant_id, object_id__in=ids))


@dataclasses.dataclass(frozen=True)
class InEffect:
    """A policy as one user has it. `via` is how he came by it, in words."""

    kind: str
    name: str
    policy_id: str
    source: str
    group_id: uuid.UUID | None
    user_id: uuid.UUID

    @property
    def via(self) -> str:
        return "by a group" if self.source == "group" else "assigned to the user"


def policies_of(tenant: Tenant, users: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[InEffect]]:
    """By the user's id, by type; two queries."""
    held = list(UserPolicy.objects.filter(tenant=tenant, user_id__in=list(users)).order_by("kind"))
    wanted = {one.policy_id for one in held}
    names = {
        each.object_id: each for each in TeamsPolicy.objects.filter(tenant=tenant, object_id__in=wanted)
    } if wanted else {}  # fmt: skip
    found: dict[uuid.UUID, list[InEffect]] = {}
    for one in held:
        policy = names[one.policy_id]
        row = InEffect(one.kind, policy.name, policy.policy_id, one.source, one.group_id, one.user_id)
        found.setdefault(one.user_id, []).append(row)
    return found


def policies(tenant: Tenant) -> QuerySet[TeamsPolicy]:
    rows: QuerySet[TeamsPolicy] = TeamsPolicy.objects.filter(LISTED, tenant=tenant)
    return rows


def holders_of_policies(tenant: Tenant, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """How many users have each of these policies; one query."""
    rows = UserPolicy.objects.filter(tenant=tenant, policy_id__in=list(ids)).order_by()
    return dict(rows.values_list("policy_id").annotate(number=Count("object_id")))


@dataclasses.dataclass(frozen=True)
class Age:
    """How old a stream is, and why it is not younger. `latest` is the newest command that reads it."""

    stream: TeamsStream | None
    latest: Command | None
    why: str
    """Why it cannot be read at all, in a sentence; empty when it can."""


def age(tenant: Tenant, stream: Stream, connection: Connection | None) -> Age:
    newest = latest(tenant.id, [KINDS[stream]])
    return Age(_STREAM.sole(tenant.id, stream.value), newest, _why_not(tenant, connection))


_STREAM = Written(lambda tenant_id, stream: TeamsStream.objects.filter(tenant_id=tenant_id, stream=stream))


def read_at(tenants: Iterable[uuid.UUID], stream: Stream) -> dict[uuid.UUID, dt.datetime | None]:
    """When each of these customers' streams was read last; one query."""
    rows = TeamsStream.objects.filter(tenant_id__in=list(tenants), stream=stream)
    return dict(rows.values_list("tenant_id", "synced_at"))


def _why_not(tenant: Tenant, connection: Connection | None) -> str:
    if not tenant.with_sync:
        return "This customer was taken without sync: a Teams Administrator of the customer sees users and numbers."
    barrier = ways.barrier(connection.cloud) if connection is not None else None
    return f"{barrier.message} {barrier.advice}" if barrier else ""
