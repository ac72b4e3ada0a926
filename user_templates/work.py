"""What a template would ask for now: whom it covers, what each lacks, and who is left out with the reason.

A template gives a thing once. What a person asks for afterwards wins, and so does what somebody changes at Microsoft:
nothing is put back behind anybody's back (docs/decisions/0017).
"""

import dataclasses
import uuid
from collections.abc import Collection, Iterable, Sequence

from django.db import connection

from directory.models import DirectoryUser, MemberType
from provisioning import editing, judging, services
from provisioning.aspects import Thing, aspect_of
from provisioning.editing import Order
from provisioning.judging import Verdict, Wish
from provisioning.models import Change, ChangeState, Source
from telephony import ranges
from telephony.landing import place_of
from tenants.models import Tenant
from user_templates.models import TAKE, Given, Leaving, UserTemplate

BATCH = 2_000
MOST_USERS = 5_000
"""Users of one round; further ones have their turn in the next."""


@dataclasses.dataclass(frozen=True)
class Work:
    """What there is to ask for, and why not for the others: (name, reason)."""

    template: UserTemplate
    covered: int
    verdicts: list[Verdict]
    left_out: list[tuple[str, str]]
    leavers: list[Wish]
    more: bool = False
    """Whether the round was full."""

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


def of_template(tenant: Tenant, template: UserTemplate) -> Work:
    """As if it were on, behind those that come before it. In the customer's scope; nothing is kept."""
    before = [each for each in in_order(tenant) if each.id != template.id and _key(each) < _key(template)]
    mine = covered(tenant, [*before, template])[template.id]
    users = _users(tenant, mine)
    newest = _newest(tenant, [user.object_id for user in users])
    givers = _givers(tenant, [user.object_id for user in users])
    left_out: list[tuple[str, str]] = []
    asked: list[Wish] = []
    takers: list[DirectoryUser] = []
    for user in users:
        for aspect, value in template.values:
            thing = Thing(user.object_id, aspect)
            why = _settled(template, newest.get(thing), givers.get(thing))
            if not why:
                asked.append(Wish(thing, value, str(user)))
            elif why != DONE:
                left_out.append((str(user), f"{aspect_of(aspect).title(aspect)}: {why}"))
        if template.numbers:
            thing = Thing(user.object_id, "number")
            why = _settled(template, newest.get(thing), givers.get(thing))
            if not why:
                takers.append(user)
            elif why != DONE:
                left_out.append((str(user), f"Phone number: {why}"))
    more = len(takers) > MOST_USERS or len(asked) > services.MOST // 2
    asked = asked[: services.MOST // 2]
    dealt, without = _numbers(tenant, template, takers[:MOST_USERS])
    verdicts = [*dealt, *services.preview(tenant, asked).verdicts]
    return Work(template, len(mine), verdicts, left_out + without, _leavers(tenant, template, mine), more)


def _key(template: UserTemplate) -> tuple[int, int]:
    return template.rank, template.id or 0


def _users(tenant: Tenant, ids: Collection[uuid.UUID]) -> list[DirectoryUser]:
    listed = sorted(ids)
    found: list[DirectoryUser] = []
    for at in range(0, len(listed), BATCH):
        found += DirectoryUser.objects.filter(tenant=tenant, object_id__in=listed[at : at + BATCH])
    return sorted(found, key=lambda user: (user.search, user.object_id))


def _newest(tenant: Tenant, ids: Sequence[uuid.UUID]) -> dict[Thing, Change]:
    """The last change of each thing of these users, whoever asked for it."""
    found: dict[Thing, Change] = {}
    for at in range(0, len(ids), BATCH):
        rows = Change.objects.filter(tenant=tenant, subject_id__in=ids[at : at + BATCH])
        for row in rows.select_related("edit").order_by("id"):
            found[Thing(row.subject_id, row.aspect)] = row
    return found


DONE = "it was given"


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
    """Next free numbers for those who have none; with `replace` also for those whose number is of another range."""
    if not template.numbers or not takers:
        return [], []
    if template.numbers != TAKE and template.replace:
        takers = _outside(tenant, template, takers)
    order = Order(numbers=template.numbers, only_without=template.numbers != TAKE and not template.replace)
    batch = editing.batch(tenant, takers, order)
    left = [(name, f"Phone number: {why}") for name, why in batch.left_out if why != "has a number already"]
    return batch.verdicts, left


def _outside(tenant: Tenant, template: UserTemplate, takers: Sequence[DirectoryUser]) -> list[DirectoryUser]:
    row = ranges.get(tenant, uuid.UUID(template.numbers))
    now = judging.current([Thing(user.object_id, "number") for user in takers], tenant)

    def inside(user: DirectoryUser) -> bool:
        held = now.get(Thing(user.object_id, "number"))
        return held is not None and place_of(held["number"]) in row.span

    return [user for user in takers if not inside(user)]


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
