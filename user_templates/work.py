"""What a template would ask for now: whom it covers, what each lacks, and who is left out with the reason.

A template gives a thing once. What a person asks for afterwards wins, and so does what somebody changes at Microsoft:
nothing is put back behind anybody's back (docs/decisions/0017).
"""

import dataclasses
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.db import connection

from directory.models import DirectoryUser, MemberType
from provisioning import editing, judging, services
from provisioning.aspects import Thing, Value, aspect_of
from provisioning.editing import Order
from provisioning.judging import Verdict, Wish
from provisioning.models import Change, ChangeState, Source
from telephony import ranges
from telephony.landing import place_of
from tenants.models import Tenant
from user_templates.models import TAKE, Given, Leaving, UserTemplate

BATCH = 2_000
NUMBER = "number"
DONE = "it was given"
MOST_USERS = 5_000
"""Users who are dealt a number in one round; whoever is behind the last one has his turn in the next."""
MOST_WISHES = services.MOST // 2
"""Likewise for everything else that a round asks for."""
Place = tuple[str, uuid.UUID]
"""Where a user stands in the order in which the covered ones have their turns."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What there is to ask for in a round, and why not for the others: (name, reason)."""

    template: UserTemplate
    covered: int
    verdicts: list[Verdict]
    left_out: list[tuple[str, str]]
    leavers: list[Wish]
    last: Place | None = None
    """Of a round that was full: behind whom the next one begins. Nothing where nobody is left."""

    @property
    def more(self) -> bool:
        return self.last is not None

    @property
    def wishes(self) -> list[Wish]:
        return [each.wish for each in self.verdicts if each.counts]

    @property
    def refused(self) -> list[Verdict]:
        return [each for each in self.verdicts if each.problem]

    @property
    def figures(self) -> dict[str, int]:
        return {
            "covered": self.covered,
            "changes": len(self.wishes),
            "refused": len(self.refused),
            "left_out": len(self.left_out),
            "leavers": len(self.leavers),
        }


_MEMBERS = """
WITH RECURSIVE inside(group_id) AS (
    SELECT unnest(%(groups)s::uuid[])
    UNION
    SELECT m.member_id FROM directory_member m JOIN inside i ON i.group_id = m.group_id
    WHERE m.tenant_id = %(tenant)s AND m.member_type = %(group)s)
SELECT DISTINCT m.member_id FROM directory_member m JOIN inside i ON i.group_id = m.group_id
WHERE m.tenant_id = %(tenant)s AND m.member_type = %(user)s
"""


def members(tenant: Tenant, group_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Users in these groups and in groups inside them, by the copy; groups within each other in a circle end, too."""
    if not group_ids:
        return set()
    groups = [str(each) for each in group_ids]
    kinds = {"group": MemberType.GROUP.value, "user": MemberType.USER.value}
    with connection.cursor() as cursor:
        cursor.execute(_MEMBERS, {"groups": groups, "tenant": str(tenant.id), **kinds})
        return {row[0] for row in cursor.fetchall()}


def covered(tenant: Tenant, templates: Iterable[UserTemplate]) -> dict[int, set[uuid.UUID]]:
    """By template: whom it covers. A user belongs to the first one, in their order, that fits him."""
    taken: set[uuid.UUID] = set()
    found = {}
    for template in templates:
        mine = members(tenant, [template.group_id]) - set(template.except_users)
        if template.except_groups:
            mine -= members(tenant, template.except_groups)
        found[template.id] = mine - taken
        taken |= mine
    return found


def in_order(tenant: Tenant) -> list[UserTemplate]:
    """Those that are on, first come first."""
    return list(UserTemplate.objects.filter(tenant=tenant, on=True).order_by("rank", "id"))


def of_template(tenant: Tenant, template: UserTemplate, after: Place | None = None) -> Work:
    """One round, as if it were on, behind those that come before it; of the users behind this place, or of all.

    In the customer's scope; nothing is kept. Who left is looked at in the first round only.
    """
    before = [each for each in in_order(tenant) if each.id != template.id and _key(each) < _key(template)]
    mine = covered(tenant, [*before, template])[template.id]
    found = _round(tenant, template, _users(tenant, mine, after))
    dealt, without = _numbers(tenant, template, found.takers)
    verdicts = [*dealt, *services.preview(tenant, found.asked).verdicts]
    leavers = [] if after else _leavers(tenant, template, mine)
    return Work(template, len(mine), verdicts, found.left_out + without, leavers, found.last)


def _key(template: UserTemplate) -> tuple[int, int]:
    return template.rank, template.id or 0


def _place(user: DirectoryUser) -> Place:
    return user.search, user.object_id


def _users(tenant: Tenant, ids: Collection[uuid.UUID], after: Place | None) -> list[DirectoryUser]:
    listed = sorted(ids)
    found: list[DirectoryUser] = []
    for at in range(0, len(listed), BATCH):
        rows = DirectoryUser.objects.filter(tenant=tenant, object_id__in=listed[at : at + BATCH])
        found += rows.only("object_id", "display_name", "user_principal_name", "search")
    return sorted((user for user in found if after is None or _place(user) > after), key=_place)


@dataclasses.dataclass
class Turn:
    """What a user lacks, and what he is not given and why."""

    user: DirectoryUser
    wishes: list[Wish] = dataclasses.field(default_factory=list)
    number: bool = False
    left_out: list[tuple[str, str]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Round:
    """The turns that fit; `last` as in Work."""

    asked: list[Wish] = dataclasses.field(default_factory=list)
    takers: list[DirectoryUser] = dataclasses.field(default_factory=list)
    left_out: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    last: Place | None = None

    def has_room(self, turn: Turn) -> bool:
        if not self.asked and not self.takers:
            return True
        return (
            len(self.takers) + turn.number <= MOST_USERS and len(self.asked) + len(turn.wishes) <= MOST_WISHES
        )

    def take(self, turn: Turn) -> None:
        self.asked += turn.wishes
        self.left_out += turn.left_out
        if turn.number:
            self.takers.append(turn.user)


def _round(tenant: Tenant, template: UserTemplate, users: Sequence[DirectoryUser]) -> Round:
    """As many of these as fit. Whoever lacks nothing takes nobody's place."""
    found, last = Round(), None
    for at in range(0, len(users), BATCH):
        for turn in _turns(tenant, template, users[at : at + BATCH]):
            if not found.has_room(turn):
                found.last = last
                return found
            found.take(turn)
            last = _place(turn.user)
    return found


def _turns(tenant: Tenant, template: UserTemplate, users: Sequence[DirectoryUser]) -> list[Turn]:
    ids = [user.object_id for user in users]
    newest, givers = _newest(tenant, ids), _givers(tenant, ids)
    gives = [*template.values, *([(NUMBER, None)] if template.numbers else [])]
    turns = []
    for user in users:
        turn = Turn(user)
        for aspect, value in gives:
            thing = Thing(user.object_id, aspect)
            why = _settled(template, newest.get(thing), givers.get(thing))
            if not why:
                turn.wishes.append(Wish(thing, value, str(user)))
            elif why != DONE:
                turn.left_out.append((str(user), f"{aspect_of(aspect).title(aspect)}: {why}"))
        turns.append(turn)
    _drop_what_is_there(tenant, template, turns)
    return turns


def _drop_what_is_there(tenant: Tenant, template: UserTemplate, turns: Sequence[Turn]) -> None:
    """Leave what each lacks; the wish for a number becomes `number`, since which one is dealt later."""
    now = judging.current([wish.thing for turn in turns for wish in turn.wishes], tenant)
    span = None
    if template.replace and template.numbers != TAKE and any(thing.aspect == NUMBER for thing in now):
        span = ranges.get(tenant, uuid.UUID(template.numbers)).span
    for turn in turns:
        lacking = []
        for wish in turn.wishes:
            held = now.get(wish.thing)
            if wish.thing.aspect == NUMBER:
                turn.number = _takes_part(template, span, held)
            elif not aspect_of(wish.thing.aspect).same(held, wish.wanted):
                lacking.append(wish)
        turn.wishes = lacking


def _takes_part(template: UserTemplate, span: Any, held: Value) -> bool:
    """Whether somebody with this number is to get one, or to lose it; `span` where one from outside is replaced."""
    if template.numbers == TAKE:
        return held is not None
    return held is None or (span is not None and place_of(held["number"]) not in span)


def _newest(tenant: Tenant, ids: Sequence[uuid.UUID]) -> dict[Thing, Change]:
    """The last change of each thing of these users, whoever asked for it."""
    found: dict[Thing, Change] = {}
    for at in range(0, len(ids), BATCH):
        rows = Change.objects.filter(tenant=tenant, subject_id__in=ids[at : at + BATCH])
        for row in rows.select_related("edit").order_by("id"):
            found[Thing(row.subject_id, row.aspect)] = row
    return found


def _givers(tenant: Tenant, ids: Sequence[uuid.UUID]) -> dict[Thing, int]:
    """Which template gave these users what, by its id."""
    found: dict[Thing, int] = {}
    for at in range(0, len(ids), BATCH):
        rows = Given.objects.filter(tenant=tenant, subject_id__in=ids[at : at + BATCH])
        told = rows.values_list("subject_id", "aspect", "template_id")
        found |= {Thing(subject, aspect): giver for subject, aspect, giver in told}
    return found


def _settled(template: UserTemplate, newest: Change | None, giver: int | None) -> str:
    """Why a thing is not asked for; empty when it is. What another template gave before this one had the user is."""
    if newest is None:
        return ""
    if newest.edit.source != Source.TEMPLATE:
        return (
            f"{newest.edit.actor_label} changed it by hand"
            if newest.edit.made_at > template.created_at
            else ""
        )
    if giver != template.id or newest.edit.made_at < template.changed_at:
        return ""
    if newest.state == ChangeState.FAILED:
        return f"it failed: {(newest.problem or {}).get('message', 'see Changes')}"
    return "somebody withdrew it" if newest.state == ChangeState.WITHDRAWN else DONE


def _numbers(
    tenant: Tenant, template: UserTemplate, takers: Sequence[DirectoryUser]
) -> tuple[list[Verdict], list[tuple[str, str]]]:
    """The next free numbers for these, or none any more."""
    if not template.numbers or not takers:
        return [], []
    batch = editing.batch(tenant, takers, Order(numbers=template.numbers, only_without=False))
    return batch.verdicts, [(name, f"Phone number: {why}") for name, why in batch.left_out]


def _leavers(tenant: Tenant, template: UserTemplate, mine: Collection[uuid.UUID]) -> list[Wish]:
    """What is to be taken back from those who left, as far as nobody has changed it since."""
    if template.leaving != Leaving.TAKE:
        return []
    rows = [row for row in Given.objects.filter(template=template) if row.subject_id not in mine]
    newest = _newest(tenant, sorted({row.subject_id for row in rows}))
    found = []
    for row in rows:
        thing = Thing(row.subject_id, row.aspect)
        last = newest.get(thing)
        ours = last is not None and last.edit.source == Source.TEMPLATE and last.state == ChangeState.APPLIED
        if ours and row.value is not None and not row.aspect.startswith("user:"):
            found.append(Wish(thing, None, newest[thing].subject_name))
    return found
