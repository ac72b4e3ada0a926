"""What of a user may be changed: his number, his policies, attributes, groups, and whether an SBC knows his number.

An aspect is a word with a family: `number`, `policy:TeamsCallingPolicy`, `user:department`, `member:<group's id>`. A
family knows how its values are cleaned, what the copy and Microsoft say of them, and how one is written, always as a
whole value: to write it twice comes to the same.
"""

import abc
import contextlib
import dataclasses
import functools
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, ClassVar

from django.db import transaction
from django.db.models import QuerySet

from core.errors import InvalidInput, OutcomeUnknown, Remedy, UmpError
from directory.browse import as_uuid
from directory.models import DirectoryGroup, DirectoryUser, GroupMember
from m365 import teams, teams_writes, user_writes
from m365.graph import GraphClient, Written
from m365.teams_by_powershell import IN_THE_WAY, TeamsByPowerShell
from m365.user_writes import ATTRIBUTES
from m365.writing import Write
from sites import numbers as site_numbers
from sites.models import Prefix, PrefixState, Site
from sites.number_rules import Wish as SitePrefix
from telephony.landing import place_of
from telephony.models import NumberKind, PhoneNumber, TeamsPolicy, UserPolicy
from tenants.access import SYSTEM

STOPPING = frozenset({"throttled", "interrupted", "permission_missing", *IN_THE_WAY})
Value = Any
"""JSON; None where there is nothing."""

_PHONE = re.compile(r"\+[1-9][0-9]{3,14}(?:;ext=[0-9]{1,10})?", re.ASCII)
_POLICY_KIND = re.compile(r"[A-Z][A-Za-z0-9]{2,80}", re.ASCII)


@dataclasses.dataclass(frozen=True, order=True)
class Thing:
    """One aspect of one user."""

    subject_id: uuid.UUID
    aspect: str

    @property
    def key(self) -> str:
        """The part of the aspect after the colon."""
        return self.aspect.partition(":")[2]


@dataclasses.dataclass(frozen=True)
class Intent:
    """A write that has been written down: its line's id, and what stands there before and after."""

    id: int
    thing: Thing
    name: str
    before: Value
    after: Value
    request_id: str
    """Ours, sent along and written down before."""


@dataclasses.dataclass(frozen=True)
class Sent:
    """What Microsoft said to a write: its request id, and where an order can be followed."""

    request_id: str = ""
    operation: str = ""


@dataclasses.dataclass(frozen=True)
class Progress:
    """How a write that was accepted stands; with an error it has come to nothing."""

    running: bool = False
    error: UmpError | None = None


Answers = dict[int, Sent | UmpError]
Found = dict[Thing, Value]


@dataclasses.dataclass(frozen=True)
class Parcel:
    """One write, for one line or for several; `apart` is sent instead where Microsoft refuses these as a whole."""

    intents: Sequence[Intent]
    write: Write
    apart: Sequence["Parcel"] = ()


@dataclasses.dataclass(frozen=True)
class Desk:
    """What is written with: the line to Microsoft, and the ids of policies that it was asked for."""

    graph: GraphClient
    fenced: Callable[[], contextlib.AbstractContextManager[None]]
    """A transaction of the command under its fence, for what is written here and not there."""
    policy_ids: dict[tuple[str, str], str] = dataclasses.field(default_factory=dict)


class Aspect(abc.ABC):
    """A family. `one` and `many` are for figures of what would be taken away."""

    family: ClassVar[str]
    one: ClassVar[str]
    many: ClassVar[str]
    feature: ClassVar[str]
    where: ClassVar[str] = "Microsoft Graph"
    of_teams: ClassVar[bool] = False
    """Whether it is written by PowerShell in clouds whose Graph has no telephony."""

    @abc.abstractmethod
    def title(self, aspect: str) -> str:
        """How the aspect is called on screens."""

    @abc.abstractmethod
    def words(self, value: Value) -> str:
        """A value for people; empty where there is nothing."""

    @abc.abstractmethod
    def clean(self, thing: Thing, raw: object) -> Value:
        """The value in its one form. Raises InvalidInput naming the aspect."""

    @abc.abstractmethod
    def mirrored(self, tenant_id: uuid.UUID, things: Collection[Thing]) -> Found:
        """What the copy says, for each of these things that it has a user for; in the customer's scope."""

    @abc.abstractmethod
    def observed(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        """What Microsoft says now, likewise; a user that is not there any more is left out."""

    def seen(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        """The same, as far as it takes to see whether a write shows (`same`)."""
        return self.observed(graph, things)

    @abc.abstractmethod
    def pack(self, desk: Desk, intents: Sequence[Intent]) -> tuple[list[Parcel], Answers]:
        """These, of a user each, as writes that do not depend on each other; and the answers to those that are none.

        Raises UmpError where nothing could be packed, and nothing was written.
        """

    def sent(self, graph: GraphClient, written: Written) -> Sent:
        """What Microsoft said to one of them."""
        return Sent(written.request_id)

    def progress(self, graph: GraphClient, asked: Mapping[int, tuple[Intent, str]]) -> dict[int, Progress]:
        """How far accepted writes have come, where that can be asked; by line, each with where to ask."""
        return {}

    def unseen(self, thing: Thing, who: str) -> UmpError:
        """What is said of a write that was accepted and does not show in all the time it was given."""
        return UmpError.of("write_unseen", thing=who)

    @abc.abstractmethod
    def have(self, tenant_id: uuid.UUID) -> int:
        """How many of these the customer has, by the copy."""

    def number_in(self, value: Value) -> str | None:
        """The phone number that a value claims."""
        return None

    def same(self, one: Value, other: Value) -> bool:
        """Whether two values come to the same at Microsoft."""
        return bool((one or None) == (other or None))

    def takes(self, before: Value, after: Value) -> bool:
        """Whether somebody lacks something afterwards that he had."""
        return before not in (None, False, "", []) and after in (None, False, "", [])

    def place(self, before: Value, after: Value) -> int:
        """Smaller is written first: what is freed before what is given, a user's country before his number."""
        return 0 if self.takes(before, after) else 2


def stops(error: UmpError) -> bool:
    """Whether an error is about more than the one write that met it, and what would meet it too."""
    lasting = error.scope == "service" and error.remedy != Remedy.LATER
    return error.scope == "connection" or error.code in STOPPING or lasting


def passes(error: UmpError) -> bool:
    """Whether nothing was written, and to try again may be all that is needed."""
    return error.remedy == Remedy.LATER and not isinstance(error, OutcomeUnknown)


def _one_by_one(intents: Sequence[Intent], send: Callable[[Intent], None]) -> Answers:
    """Writes that cannot be put together. What would stop every other is said of those that were not sent, too."""
    answers: Answers = {}
    stopped: UmpError | None = None
    for one in intents:
        try:
            if stopped is None:
                send(one)
            answers[one.id] = stopped or Sent()
        except UmpError as error:
            answers[one.id] = error
            stopped = error if stops(error) else None
    return answers


def _packed(intents: Sequence[Intent], write: Callable[[Intent], Write]) -> tuple[list[Parcel], Answers]:
    """A write for each; what cannot be one says why."""
    parcels: list[Parcel] = []
    answers: Answers = {}
    for one in intents:
        try:
            parcels.append(Parcel([one], write(one)))
        except UmpError as error:
            answers[one.id] = error
    return parcels, answers


# --- Numbers ------------------------------------------------------------------------------------------------
class Number(Aspect):
    """The primary number of a user or resource account: {"number", "kind", and "location" where it needs one}."""

    family, one, many = "number", "Phone number", "phone numbers"
    feature = "numbers_write"
    of_teams = True

    def title(self, aspect: str) -> str:
        return "Phone number"

    def words(self, value: Value) -> str:
        if not value:
            return ""
        return f"{value['number']} ({NumberKind(value['kind']).label})"

    def clean(self, thing: Thing, raw: object) -> Value:
        if raw in (None, "", {}):
            return None
        given: Mapping[str, Any] = raw if isinstance(raw, Mapping) else {"number": raw}
        number = str(given.get("number") or "").removeprefix("tel:").strip()
        number = re.sub(r"[\s().-]", "", number.partition(";")[0]) + "".join(number.partition(";")[1:])
        if not _PHONE.fullmatch(number):
            why = "it is not an international number such as +4930123456, or +4930123456;ext=17"
            raise InvalidInput(field="number", why=why)
        kind = str(given.get("kind") or NumberKind.DIRECT_ROUTING)
        if kind not in NumberKind.values:
            raise InvalidInput(field="kind", why=f"it is none of {', '.join(NumberKind.values)}")
        location = as_uuid(str(given.get("location") or ""))
        return {"number": number, "kind": kind, **({"location": str(location)} if location else {})}

    def mirrored(self, tenant_id: uuid.UUID, things: Collection[Thing]) -> Found:
        rows = PhoneNumber.objects.filter(
            tenant_id=tenant_id, target_id__in={thing.subject_id for thing in things}
        ).exclude(category__in=["private", "alternate"])
        held = {row.target_id: {"number": row.number, "kind": row.kind} for row in rows}
        return {thing: held.get(thing.subject_id) for thing in things}

    def observed(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        found = self.seen(graph, things)
        if graph.teams is not None:
            return found
        numbers = teams.some_numbers(graph, sorted({value["number"] for value in found.values() if value}))
        for value in filter(None, found.values()):
            row = numbers.get(value["number"])
            value["kind"] = row.kind if row is not None else NumberKind.DIRECT_ROUTING.value
        return found

    def seen(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        """Without the kind, which would be another request for each, unless it is told as well."""
        if graph.teams is not None:
            held = graph.teams.primary_numbers(sorted({str(thing.subject_id) for thing in things}))
            there = [thing for thing in things if str(thing.subject_id) in held]
            return {thing: _number(held[str(thing.subject_id)]) for thing in there}
        known = teams.some_users(graph, sorted({str(thing.subject_id) for thing in things}))
        found: Found = {}
        for thing in things:
            one = known.get(str(thing.subject_id))
            if one is not None:
                number = _primary(one)
                found[thing] = {"number": number} if number else None
        return found

    def pack(self, desk: Desk, intents: Sequence[Intent]) -> tuple[list[Parcel], Answers]:
        if desk.graph.teams is not None:
            return [], _one_by_one(intents, functools.partial(self._by_powershell, desk.graph.teams))
        return _packed(intents, self._write)

    @staticmethod
    def _write(one: Intent) -> Write:
        if one.after is None:
            before = one.before
            return teams_writes.unassign_write(before["number"], before["kind"], request_id=one.request_id)
        return teams_writes.assign_write(
            one.after["number"],
            one.after["kind"],
            str(one.thing.subject_id),
            location_id=one.after.get("location", ""),
            request_id=one.request_id,
        )

    def sent(self, graph: GraphClient, written: Written) -> Sent:
        return Sent(written.request_id, teams_writes.ordered(graph, written).operation_id)

    @staticmethod
    def _by_powershell(line: TeamsByPowerShell, one: Intent) -> None:
        user, value = str(one.thing.subject_id), one.after or one.before
        if one.after is None:
            line.unassign_number(user, value["number"], value["kind"], thing=one.name)
        else:
            where = value.get("location", "")
            line.assign_number(user, value["number"], value["kind"], location_id=where, thing=one.name)

    def progress(self, graph: GraphClient, asked: Mapping[int, tuple[Intent, str]]) -> dict[int, Progress]:
        orders = {
            key: (operation, self.number_in(one.after or one.before) or "", one.name)
            for key, (one, operation) in asked.items()
            if operation
        }
        found = zip(orders, teams_writes.operations(graph, list(orders.values())), strict=True)
        return {
            key: Progress(order.state == teams_writes.State.RUNNING, order.error)
            for key, order in found
            if order is not None
        }

    def have(self, tenant_id: uuid.UUID) -> int:
        return PhoneNumber.objects.filter(tenant_id=tenant_id, target_id__isnull=False).count()

    def number_in(self, value: Value) -> str | None:
        return str(value["number"]) if value else None

    def same(self, one: Value, other: Value) -> bool:
        return self.number_in(one) == self.number_in(other)

    def takes(self, before: Value, after: Value) -> bool:
        return bool(before) and not self.same(before, after)

    def place(self, before: Value, after: Value) -> int:
        return 0 if after is None else 4


def _number(held: tuple[str, str] | None) -> Value:
    return {"number": held[0], "kind": held[1]} if held else None


def _primary(known: teams.Known) -> str:
    return next((number for number, category in known.user.numbers if category == "primary"), "")


# --- Policies -----------------------------------------------------------------------------------------------
class Policy(Aspect):
    """A policy that is assigned to the user himself: {"id", "name"}; None is whatever group or default says.

    The copy knows policies that somebody has; of any other one knows the name, and Microsoft is asked for its id.
    """

    family, one, many = "policy", "Policy", "policies"
    feature = "policies_write"
    of_teams = True

    def title(self, aspect: str) -> str:
        return policy_title(aspect.partition(":")[2])

    def words(self, value: Value) -> str:
        return str(value["name"] or value["id"]) if value else ""

    def clean(self, thing: Thing, raw: object) -> Value:
        if not _POLICY_KIND.fullmatch(thing.key):
            raise InvalidInput(field="aspect", why=f"{thing.key or 'nothing'} is no type of policy")
        if raw in (None, "", {}):
            return None
        given = raw if isinstance(raw, Mapping) else {}
        policy_id, name = str(given.get("id") or ""), str(given.get("name") or "")
        if not (policy_id or name) or len(policy_id) > 300 or len(name) > 300:
            raise InvalidInput(field=self.title(thing.aspect), why="a policy is given by its name or its id")
        return {"id": policy_id, "name": name}

    def same(self, one: Value, other: Value) -> bool:
        if not one or not other:
            return not one and not other
        if one["id"] and other["id"]:
            return bool(one["id"] == other["id"])
        return bool(one["name"].casefold() == other["name"].casefold())

    def mirrored(self, tenant_id: uuid.UUID, things: Collection[Thing]) -> Found:
        rows = UserPolicy.objects.filter(
            tenant_id=tenant_id,
            user_id__in={thing.subject_id for thing in things},
            kind__in={thing.key for thing in things},
            source="direct",
        )
        held = {(row.user_id, row.kind): row.policy_id for row in rows}
        names = TeamsPolicy.objects.filter(tenant_id=tenant_id, object_id__in=set(held.values()))
        known = {row.object_id: {"id": row.policy_id, "name": row.name} for row in names}
        found: Found = {}
        for thing in things:
            at = held.get((thing.subject_id, thing.key))
            found[thing] = known.get(at) if at else None
        return found

    def observed(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        if graph.teams is not None:
            own = graph.teams.own_policies(sorted({str(thing.subject_id) for thing in things}))
            there = [thing for thing in things if str(thing.subject_id) in own]
            return {thing: _policy(own[str(thing.subject_id)].get(thing.key, "")) for thing in there}
        known = teams.some_users(graph, sorted({str(thing.subject_id) for thing in things}))
        found: Found = {}
        for thing in things:
            one = known.get(str(thing.subject_id))
            if one is None:
                continue
            held = (each for each in one.policies.held if each.kind == thing.key and each.source == "direct")
            found[thing] = next(({"id": each.policy_id, "name": each.name} for each in held), None)
        return found

    def pack(self, desk: Desk, intents: Sequence[Intent]) -> tuple[list[Parcel], Answers]:
        """All that are assigned in one write, and all that are taken away in another; by PowerShell one by one."""
        if desk.graph.teams is not None:
            return [], _one_by_one(intents, functools.partial(self._by_powershell, desk.graph.teams))
        answers: Answers = {}
        acts: dict[teams_writes.Act, list[tuple[Intent, teams_writes.Wish]]] = {"unassign": [], "assign": []}
        ids = self._ids(desk, intents)
        for one in intents:
            found = ids.get(one.id, "")
            if isinstance(found, UmpError):
                answers[one.id] = found
            else:
                wish = teams_writes.Wish(str(one.thing.subject_id), one.thing.key, found, one.name)
                acts["assign" if one.after else "unassign"].append((one, wish))
        most = teams_writes.MOST_WISHES
        return [
            self._parcel(act, part[begin : begin + most])
            for act, part in acts.items()
            for begin in range(0, len(part), most)
        ], answers

    @staticmethod
    def _parcel(act: teams_writes.Act, part: Sequence[tuple[Intent, teams_writes.Wish]]) -> Parcel:
        intents, wishes = [one for one, _ in part], [wish for _, wish in part]
        first = intents[0].request_id
        alone = teams_writes.alone(act, wishes, request_id=first) if len(part) > 1 else []
        apart = [Parcel(intents[at : at + 1], write) for at, write in enumerate(alone)]
        return Parcel(intents, teams_writes.policies_write(act, wishes, request_id=first), apart)

    @staticmethod
    def _ids(desk: Desk, intents: Sequence[Intent]) -> dict[int, str | UmpError]:
        """Of the policies that are given, by line; Microsoft is asked once for those that only have a name."""
        given = [one for one in intents if one.after]
        named = {(one.thing.key, str(one.after["name"])) for one in given if not one.after["id"]}
        unknown = sorted(named - desk.policy_ids.keys())
        told = teams_writes.policy_ids(desk.graph, unknown) if unknown else []
        asked = dict(zip(unknown, told, strict=True))
        desk.policy_ids.update((key, found) for key, found in asked.items() if isinstance(found, str))
        ids = asked | desk.policy_ids
        return {one.id: one.after["id"] or ids[one.thing.key, one.after["name"]] for one in given}

    @staticmethod
    def _by_powershell(line: TeamsByPowerShell, one: Intent) -> None:
        """In these clouds a policy's name is all there is of it."""
        name = str(one.after["name"] or one.after["id"]) if one.after else ""
        line.give_policy(str(one.thing.subject_id), one.thing.key, name, thing=one.name)

    def have(self, tenant_id: uuid.UUID) -> int:
        return UserPolicy.objects.filter(tenant_id=tenant_id, source="direct").count()


def _policy(name: str) -> Value:
    return {"id": name, "name": name} if name else None


def policy_title(kind: str) -> str:
    """`TeamsCallingPolicy` as people read it: Calling policy."""
    bare = kind.removeprefix("Teams").removeprefix("Online")
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*", bare) or [kind]
    return " ".join([words[0], *(word if word.isupper() else word.lower() for word in words[1:])])


# --- Attributes ---------------------------------------------------------------------------------------------
COLUMNS = {
    "department": "department",
    "jobTitle": "job_title",
    "companyName": "company_name",
    "officeLocation": "office_location",
    "city": "city",
    "country": "country",
    "usageLocation": "usage_location",
    "businessPhones": "business_phones",
    "mobilePhone": "mobile_phone",
    "displayName": "display_name",
    "givenName": "given_name",
    "surname": "surname",
}
"""Microsoft's name of an attribute, and the mirror's column; what the mirror lacks cannot be changed."""
TITLES = {
    "department": "Department",
    "jobTitle": "Job title",
    "companyName": "Company",
    "officeLocation": "Office",
    "city": "City",
    "country": "Country",
    "usageLocation": "Usage location",
    "businessPhones": "Business phone",
    "mobilePhone": "Mobile phone",
    "displayName": "Display name",
    "givenName": "First name",
    "surname": "Last name",
}
EDITABLE = tuple(name for name in COLUMNS if name in ATTRIBUTES)


class Attribute(Aspect):
    """An attribute of the directory, written through to Microsoft 365 (USR-11); a text, or None for an empty one."""

    family, one, many = "user", "Attribute", "attributes"
    feature = "users_write"

    def title(self, aspect: str) -> str:
        return TITLES[aspect.partition(":")[2]]

    def words(self, value: Value) -> str:
        return str(value or "")

    def clean(self, thing: Thing, raw: object) -> Value:
        if thing.key not in EDITABLE:
            raise InvalidInput(
                field="aspect", why=f"{thing.key or 'nothing'} is no attribute that can be changed"
            )
        text = " ".join(str(raw if raw is not None else "").split())
        text = text.upper() if thing.key == "usageLocation" else text
        try:
            user_writes.checked({thing.key: text})
        except InvalidInput as error:
            raise InvalidInput(
                field=TITLES[thing.key], why=error.fields.get("why", "it has another form")
            ) from None
        return text or None

    def mirrored(self, tenant_id: uuid.UUID, things: Collection[Thing]) -> Found:
        ids = {thing.subject_id for thing in things}
        rows = {
            row.object_id: row for row in DirectoryUser.objects.filter(tenant_id=tenant_id, object_id__in=ids)
        }
        return {
            thing: getattr(rows[thing.subject_id], COLUMNS[thing.key]) or None
            for thing in things
            if thing.subject_id in rows
        }

    def observed(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        wanted = sorted({thing.key for thing in things})
        rows = user_writes.read_users(graph, sorted({str(thing.subject_id) for thing in things}), wanted)
        found: Found = {}
        for thing in things:
            row = rows.get(str(thing.subject_id))
            if row is not None:
                found[thing] = _text_of(row.get(thing.key))
        return found

    def pack(self, desk: Desk, intents: Sequence[Intent]) -> tuple[list[Parcel], Answers]:
        return _packed(intents, self._write)

    @staticmethod
    def _write(one: Intent) -> Write:
        value: Any = one.after
        if one.thing.key == "businessPhones":
            value = [one.after] if one.after else []
        subject = str(one.thing.subject_id)
        return user_writes.user_write(
            subject, {one.thing.key: value}, thing=one.name, request_id=one.request_id
        )

    def have(self, tenant_id: uuid.UUID) -> int:
        return DirectoryUser.objects.filter(tenant_id=tenant_id).count()

    def place(self, before: Value, after: Value) -> int:
        return 1


def _text_of(value: object) -> str | None:
    if isinstance(value, list):
        return " ".join(map(str, value)) or None
    return str(value) if value not in (None, "") else None


# --- Groups -------------------------------------------------------------------------------------------------
class Member(Aspect):
    """Whether the user is a direct member of a group: true, or None."""

    family, one, many = "member", "Membership", "memberships"
    feature = "members_write"

    def title(self, aspect: str) -> str:
        return "Member of a group"

    def words(self, value: Value) -> str:
        return "Member" if value else ""

    def clean(self, thing: Thing, raw: object) -> Value:
        if as_uuid(thing.key) is None:
            raise InvalidInput(field="aspect", why="a group is named by its object id")
        return True if raw in (True, "true", "yes", "1", 1) else None

    def mirrored(self, tenant_id: uuid.UUID, things: Collection[Thing]) -> Found:
        rows = GroupMember.objects.filter(
            tenant_id=tenant_id,
            group_id__in={thing.key for thing in things},
            member_id__in={thing.subject_id for thing in things},
        )
        there = {(row.member_id, str(row.group_id)) for row in rows}
        return {thing: True if (thing.subject_id, thing.key) in there else None for thing in things}

    def observed(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        pairs = [(thing.key, str(thing.subject_id)) for thing in things]
        known = user_writes.members_among(graph, pairs)
        return {thing: known.get((thing.key, str(thing.subject_id))) or None for thing in things}

    def pack(self, desk: Desk, intents: Sequence[Intent]) -> tuple[list[Parcel], Answers]:
        root = desk.graph.cloud.graph_root

        def write(one: Intent) -> Write:
            return user_writes.member_write(
                root,
                one.thing.key,
                str(one.thing.subject_id),
                wanted=bool(one.after),
                thing=one.name,
                request_id=one.request_id,
            )

        return _packed(intents, write)

    def have(self, tenant_id: uuid.UUID) -> int:
        return GroupMember.objects.filter(tenant_id=tenant_id).count()

    def place(self, before: Value, after: Value) -> int:
        return 1


# --- SBCs ---------------------------------------------------------------------------------------------------
class Route(Aspect):
    """Whether a rule of an SBC leads a number to a site of the customer: `route:<site's uid>:<number>`, true or None.

    What is written on the device is the work of its own lane (sites.numbers); this line waits for it.
    """

    family, one, many = "route", "Dial plan rule", "dial plan rules"
    feature = ""
    where = "SBC"

    def title(self, aspect: str) -> str:
        return f"{aspect.rpartition(':')[2]} leads to a site on its SBC"

    def words(self, value: Value) -> str:
        return "A dial plan rule" if value else ""

    def clean(self, thing: Thing, raw: object) -> Value:
        site, _, number = thing.key.partition(":")
        if as_uuid(site) is None or not _PHONE.fullmatch(number) or ";" in number:
            raise InvalidInput(
                field="aspect", why="a rule is named by a site's uid and a number such as +4930123456"
            )
        return True if raw in (True, "true", "yes", "1", 1) else None

    def mirrored(self, tenant_id: uuid.UUID, things: Collection[Thing]) -> Found:
        return self._present(things, Prefix.objects.filter(tenant_id=tenant_id))

    def observed(self, graph: GraphClient, things: Collection[Thing]) -> Found:
        """By what was read back from the device after it was written."""
        return self._present(things, Prefix.objects.all())

    @staticmethod
    def _present(things: Collection[Thing], prefixes: QuerySet[Prefix]) -> Found:
        sites = {thing.key.partition(":")[0] for thing in things}
        rows = prefixes.filter(site__uid__in=sites, state=PrefixState.PRESENT)
        spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for uid, span in rows.values_list("site__uid", "span"):
            spans[str(uid)].append((int(span.lower or 0), int(span.upper or 0)))
        found: Found = {}
        for thing in things:
            site, _, number = thing.key.partition(":")
            place = place_of(number)
            found[thing] = any(low <= place < high for low, high in spans[site]) or None
        return found

    def pack(self, desk: Desk, intents: Sequence[Intent]) -> tuple[list[Parcel], Answers]:
        """None of Microsoft's: each is a wish for the site, kept at once."""
        answers: Answers = {}
        for one in intents:
            try:
                # The device's lane before the command's row: whoever cancels both has lanes, and waits for rows.
                with transaction.atomic():
                    answers[one.id] = self._ask(one)
                    with desk.fenced():
                        pass
            except UmpError as error:
                answers[one.id] = error
        return [], answers

    def _ask(self, one: Intent) -> Sent:
        site, number = self._site(one)
        if one.after:
            added = site_numbers.add(SYSTEM, site, [SitePrefix(number)])
            return Sent(f"#{added.command.id}" if added.command else "")
        rows = Prefix.objects.filter(site=site, prefix=number)
        return Sent(f"#{site_numbers.remove(SYSTEM, site, rows).id}" if rows.exists() else "")

    def progress(self, graph: GraphClient, asked: Mapping[int, tuple[Intent, str]]) -> dict[int, Progress]:
        return {key: self._progress(one) for key, (one, _) in asked.items()}

    def _progress(self, one: Intent) -> Progress:
        try:
            site, number = self._site(one)
        except UmpError as error:
            return Progress(error=error)
        row = Prefix.objects.filter(site=site, prefix=number).first()
        if row is None:
            return Progress()
        if row.state in {PrefixState.FAILED, PrefixState.MISSING}:
            told = row.problem or {}
            return Progress(
                error=UmpError.of("route_failed", number=number, why=str(told.get("message", "")))
            )
        if site_numbers.waits_in_vain(row):
            why = "it waits to be written, and its command was cancelled or is suspended"
            return Progress(error=UmpError.of("route_failed", number=number, why=why))
        return Progress(running=row.state != PrefixState.PRESENT)

    def unseen(self, thing: Thing, who: str) -> UmpError:
        why = "what was read of the device last does not show the change yet"
        return UmpError.of("route_failed", number=thing.key.partition(":")[2], why=why)

    @staticmethod
    def _site(one: Intent) -> tuple[Site, str]:
        """Raises UmpError (route_failed) where the site is not there any more."""
        uid, _, number = one.thing.key.partition(":")
        site = Site.objects.filter(uid=uid).first()
        if site is None:
            raise UmpError.of("route_failed", number=number, why="the site is not there any more")
        return site, number

    def have(self, tenant_id: uuid.UUID) -> int:
        return Prefix.objects.filter(tenant_id=tenant_id).count()

    def place(self, before: Value, after: Value) -> int:
        return 0 if self.takes(before, after) else 3


def groups_named(tenant_id: uuid.UUID, aspects: Iterable[str]) -> dict[str, str]:
    """What people call the groups and the sites in these aspects, by aspect; one query for each of the two kinds."""
    listed = {aspect: aspect.partition(":") for aspect in aspects}
    ids = {key for family, _, key in listed.values() if family == Member.family}
    rows = DirectoryGroup.objects.filter(tenant_id=tenant_id, object_id__in=ids) if ids else []
    found = {f"{Member.family}:{row.object_id}": f"Member of {row}" for row in rows}
    led = {
        aspect: key.partition(":") for aspect, (family, _, key) in listed.items() if family == Route.family
    }
    uids = {site for site, _, _ in led.values()}
    named = Site.objects.filter(tenant_id=tenant_id, uid__in=uids).values_list("uid", "name") if uids else []
    names = {str(uid): name for uid, name in named}
    return found | {
        aspect: f"{number} leads to site {names[site]} on its SBC"
        for aspect, (site, _, number) in led.items()
        if site in names
    }


FAMILIES: dict[str, Aspect] = {
    each.family: each for each in (Number(), Policy(), Attribute(), Member(), Route())
}


def aspect_of(aspect: str) -> Aspect:
    """Raises InvalidInput for a word that names nothing."""
    try:
        return FAMILIES[aspect.partition(":")[0]]
    except KeyError:
        raise InvalidInput(field="aspect", why=f"{aspect!r} is nothing that can be changed") from None


def by_family(things: Iterable[Thing]) -> dict[Aspect, list[Thing]]:
    """These things, by the family that knows them."""
    found: dict[Aspect, list[Thing]] = defaultdict(list)
    for thing in things:
        found[aspect_of(thing.aspect)].append(thing)
    return found
