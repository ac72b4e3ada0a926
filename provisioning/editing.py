"""What a user has and what is wanted of him, for a form; and the wishes of one edit over many users."""

import dataclasses
import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

from django.db.models import Q

from core.errors import InvalidInput
from directory.browse import as_uuid, groups_of
from directory.models import DirectoryGroup, DirectoryUser, SyncStream
from m365.user_writes import ATTRIBUTES
from provisioning import judging, leading, selectors, services
from provisioning.aspects import EDITABLE, Found, Thing, Value
from provisioning.judging import Verdict, Wish
from provisioning.models import OPEN_CHANGES, Change
from telephony import ranges
from telephony.models import TeamsPolicy, TeamsStream
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant

VOICE = (
    "TeamsCallingPolicy",
    "OnlineVoiceRoutingPolicy",
    "TenantDialPlan",
    "CallingLineIdentity",
    "TeamsMeetingPolicy",
)
"""Types of policies that are always offered (USR-01); further ones where somebody has one."""
MOST_POLICIES = 2_000
SYNCED = "It comes from the customer's own directory on premises: it is changed there."


@dataclasses.dataclass(frozen=True)
class Profile:
    """A user as the copy has him, and what is wanted of him."""

    user: DirectoryUser
    now: dict[str, Value]
    unsettled: dict[str, Change]
    policies: dict[str, list[str]]
    """By type, the names that somebody has."""
    groups: list[DirectoryGroup]

    def wanted(self, aspect: str) -> Value:
        """What waits, or is there."""
        change = self.unsettled.get(aspect)
        return change.wanted if change and change.state in OPEN_CHANGES else self.now.get(aspect)

    def read_only(self, name: str) -> str:
        """Why an attribute cannot be changed here; empty where it can."""
        return SYNCED if self.user.on_premises and ATTRIBUTES[name].premises else ""

    @property
    def digest(self) -> str:
        """Stands for what a form showed: whoever saves it must have seen this."""
        shown = {aspect: self.wanted(aspect) for aspect in sorted({*self.now, *self.unsettled})}
        return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()


def profile(tenant: Tenant, user: DirectoryUser) -> Profile:
    policies = policies_of(tenant)
    found = list(groups_of(tenant, user.object_id)[:200])
    aspects = ["number", *(f"policy:{kind}" for kind in policies), *(f"user:{name}" for name in EDITABLE)]
    now = judging.current([Thing(user.object_id, aspect) for aspect in aspects], tenant)
    return Profile(
        user=user,
        now={thing.aspect: value for thing, value in now.items()}
        | {f"member:{group.object_id}": True for group in found},
        unsettled=selectors.unsettled_of(tenant, user.object_id),
        policies=policies,
        groups=found,
    )


def policies_of(tenant: Tenant) -> dict[str, list[str]]:
    """The names that the copy knows, by type: those of voice first."""
    found: dict[str, list[str]] = {kind: [] for kind in VOICE}
    rows = TeamsPolicy.objects.filter(tenant=tenant).order_by("kind", "name")
    for kind, name in rows.values_list("kind", "name")[:MOST_POLICIES]:
        found.setdefault(kind, []).append(name)
    return found


def why_fixed(group: DirectoryGroup) -> str:
    """Why nobody is put into this group or taken out of it here; empty where that can be."""
    if group.dynamic:
        return "a rule decides who is in it"
    if group.on_premises:
        return "it is kept in the customer's own directory"
    if group.mail_enabled and "Unified" not in group.group_types.split():
        return "Microsoft keeps it in Exchange"
    return ""


def group_named(tenant: Tenant, text: str) -> DirectoryGroup:
    """By its whole name, address or object id. Raises InvalidInput where none or several are called so."""
    rows = DirectoryGroup.objects.filter(tenant=tenant)
    known = as_uuid(text)
    mine = Q(object_id=known) if known else Q(display_name__iexact=text) | Q(mail__iexact=text)
    found = list(rows.filter(mine)[:2])
    if not found:
        raise InvalidInput(field="group", why=f"no group of the copy is called {text}")
    if len(found) > 1:
        raise InvalidInput(field="group", why=f"several groups are called {text}: give the object id")
    return found[0]


def read_at(tenant: Tenant) -> dict[str, dt.datetime | None]:
    """When the copy of each family was read last."""
    voice = dict(TeamsStream.objects.filter(tenant=tenant).values_list("stream", "synced_at"))
    people = dict(SyncStream.objects.filter(tenant=tenant).values_list("stream", "synced_at"))
    return {
        "number": voice.get("numbers"),
        "policy": voice.get("policies"),
        "user": people.get("users"),
        "member": people.get("groups"),
    }


# --- Many users at once -------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Order:
    """What is to be done to each of many users. Empty parts leave things as they are."""

    numbers: str = ""
    """A range's uid, `take`, or nothing."""
    only_without: bool = True
    aspect_values: tuple[tuple[str, Value], ...] = ()
    lead: str = ""
    """The uid of the site that a rule on its SBC leads each number to, `take`, or nothing."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """What an order means for these users; `wishes` are those to be asked for, `left_out` says who gets none."""

    wishes: list[Wish]
    verdicts: list[Verdict]
    left_out: list[tuple[str, str]]

    @property
    def digest(self) -> str:
        rows = sorted((str(w.thing.subject_id), w.thing.aspect, json.dumps(w.wanted)) for w in self.wishes)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    @property
    def counts(self) -> dict[str, int]:
        good = [each for each in self.verdicts if each.counts]
        return {
            "changes": len(good),
            "users": len({each.wish.thing.subject_id for each in good}),
            "refused": sum(each.problem is not None for each in self.verdicts),
            "same": sum(each.same for each in self.verdicts),
            "left_out": len(self.left_out),
        }


def batch(tenant: Tenant, users: Sequence[DirectoryUser], order: Order, *, by: Actor = SYSTEM) -> Batch:
    """In the customer's scope; nothing is kept. Raises NotFound for a range, InvalidInput for too many."""
    others = [
        Wish(Thing(user.object_id, aspect), value, str(user))
        for user in users
        for aspect, value in order.aspect_values
    ]
    dealt, left_out = _numbers(tenant, users, order)
    verdicts = services.preview(tenant, dealt, by=by).verdicts
    refused = [each for each in verdicts if each.problem and each.wish.wanted]
    rest = users
    if refused:  # nobody's number is wasted on who cannot have one: deal once more, to the others
        gone = {each.wish.thing.subject_id for each in refused}
        rest = [user for user in users if user.object_id not in gone]
        dealt, left_out = _numbers(tenant, rest, order)
    led, unled = _lead(tenant, rest, order, dealt)
    wishes = [*dealt, *led, *others]
    verdicts = [*refused, *services.preview(tenant, wishes, by=by).verdicts]
    return Batch(wishes, verdicts, left_out + unled)


def _lead(
    tenant: Tenant, users: Sequence[DirectoryUser], order: Order, dealt: Sequence[Wish]
) -> tuple[list[Wish], list[tuple[str, str]]]:
    """That the numbers of these users, those they are dealt among them, lead to a site, or to none."""
    if not order.lead:
        return [], []
    numbers = selectors.numbers_wanted(tenant, [user.object_id for user in users])
    if order.lead == "take":
        now = leading.led(tenant, set(numbers.values()))
        return [
            wish
            for user in users
            if (number := numbers.get(user.object_id))
            for wish in leading.unled(user.object_id, number, now[number], label=str(user))
        ], []
    numbers |= {each.thing.subject_id: each.wanted["number"] for each in dealt if each.wanted}
    site = leading.site_of(tenant, order.lead)
    wishes = [
        leading.wish(user.object_id, site, numbers[user.object_id], label=str(user))
        for user in users
        if user.object_id in numbers
    ]
    without = [user for user in users if user.object_id not in numbers]
    return wishes, [(str(user), "has no number that could be led to a site") for user in without]


def _numbers(
    tenant: Tenant, users: Sequence[DirectoryUser], order: Order
) -> tuple[list[Wish], list[tuple[str, str]]]:
    if not order.numbers or not users:
        return [], []
    things = {user.object_id: Thing(user.object_id, "number") for user in users}
    if order.numbers == "take":
        return [Wish(things[user.object_id], None, str(user)) for user in users], []
    have: Found = judging.current(list(things.values()), tenant) if order.only_without else {}
    left_out = [(str(user), "has a number already") for user in users if have.get(things[user.object_id])]
    takers = [user for user in users if not have.get(things[user.object_id])]
    if not takers:
        return [], left_out
    row = ranges.get(tenant, uuid.UUID(order.numbers))
    besides = selectors.claimed(tenant)
    free = ranges.free(tenant, row.uid, min(len(takers), ranges.MOST_FREE), besides=besides)
    left_out += [
        (str(user), f"the range {row.name} has no more free numbers") for user in takers[len(free) :]
    ]
    wishes = [
        Wish(things[user.object_id], {"number": number, "kind": row.kind}, str(user))
        for user, number in zip(takers, free, strict=False)
    ]
    return wishes, left_out


def free_number(tenant: Tenant, range_uid: str) -> dict[str, Any]:
    """The next free number of a range. Raises NotFound, InvalidInput (range) where none is left."""
    row = ranges.get(tenant, uuid.UUID(range_uid))
    free = ranges.free(tenant, row.uid, 1, besides=selectors.claimed(tenant))
    if not free:
        raise InvalidInput(field="range", why=f"the range {row.name} has no free number")
    return {"number": free[0], "kind": row.kind}
