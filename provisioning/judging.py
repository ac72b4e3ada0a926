"""Whether a wish can come true, by what the copy says: before anything is kept, and again when a plan is drawn.

Everything is looked up set by set, so that ten thousand rows of a file cost a handful of queries.
"""

import dataclasses
import datetime as dt
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.utils import timezone

from core.errors import InvalidInput, UmpError
from directory.models import DirectoryGroup, DirectoryUser, SubscribedSku
from m365.activation import PHONE_PLANS, RESOURCE_PLANS, TEAMS_PLANS
from m365.user_writes import ATTRIBUTES
from provisioning.aspects import TITLES, Found, Thing, Value, aspect_of, by_family
from provisioning.models import OPEN_CHANGES, Change, ChangeState, Line, LineState
from sites.models import Prefix, Site, SiteState
from sites.number_rules import Wish as SitePrefix
from sites.number_rules import judge as judge_prefixes
from telephony import numbers, ways
from telephony.landing import place_of
from telephony.models import (
    NumberKind,
    NumberRange,
    PhoneNumber,
    Stream,
    TeamsPolicy,
    TeamsStream,
    TeamsUser,
)
from tenants import health, scope
from tenants.abilities import Ability
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant

BATCH = 2_000
WITH_NUMBER = PHONE_PLANS | RESOURCE_PLANS
IN_TEAMS = TEAMS_PLANS | WITH_NUMBER
UNDER_WAY = "It was asked for already and is being written just now."
NOT_READ = "Teams was not read lately, so the plan finds out whether it has this user."
NOT_LISTED = "Teams does not list this user, as resource accounts and new users; the plan asks Microsoft."


@dataclasses.dataclass(frozen=True)
class Wish:
    """One thing as somebody wants it; `wanted` may be raw until it was judged."""

    thing: Thing
    wanted: Value
    label: str = ""
    """What stands for it in a file or a form."""
    line: int = 0
    """The line of a file that says so."""


@dataclasses.dataclass
class Verdict:
    """What is to be said of a wish. `same`: it is so already, or about to be. `hint`: what should be known."""

    wish: Wish
    name: str = ""
    before: Value = None
    problem: UmpError | None = None
    same: bool = False
    hint: str = ""

    @property
    def counts(self) -> bool:
        """Whether it is worth keeping."""
        return self.problem is None and not self.same


def lock(tenant: Tenant) -> None:
    """One act at a time for a customer, until the transaction ends: what is judged stays true meanwhile."""
    Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)


def judge(
    tenant: Tenant, wishes: Sequence[Wish], *, by: Actor = SYSTEM, seen: Collection[Thing] = ()
) -> list[Verdict]:
    """A verdict for each, in their order; in the customer's scope.

    `by` wants it; some of it is for the provider's people only. What Microsoft has just shown (`seen`) is not doubted
    because the copy lacks it. A number that the user is just being given is the `same`.
    """
    verdicts = [_cleaned(wish) for wish in wishes]
    _refuse_twice(verdicts)
    names = names_of(tenant, {verdict.wish.thing.subject_id for verdict in verdicts})
    for verdict in verdicts:
        verdict.name = names.get(verdict.wish.thing.subject_id, "")
        if not verdict.name and verdict.problem is None:
            who = verdict.wish.label or str(verdict.wish.thing.subject_id)
            verdict.problem = UmpError.of("user_not_in_copy", thing=who)
    now = current([each.wish.thing for each in _good(verdicts)], tenant)
    for verdict in _good(verdicts):
        thing = verdict.wish.thing
        verdict.before = now.get(thing)
        verdict.same = aspect_of(thing.aspect).same(verdict.before, verdict.wish.wanted)
    _rules(tenant, [each for each in verdicts if each.counts], by, seen)
    return verdicts


def current(things: Sequence[Thing], tenant: Tenant) -> Found:
    """What the copy says of these things, and of what was written since it was read, what was seen then."""
    found: Found = {}
    read = _read_at(tenant)
    for family, mine in by_family(things).items():
        for at in range(0, len(mine), BATCH):
            part = mine[at : at + BATCH]
            found |= family.mirrored(tenant.id, part)
            if family.family in read:
                found |= _written_since(tenant, part, read[family.family])
    return found


def _read_at(tenant: Tenant) -> dict[str, dt.datetime | None]:
    """When the copy was last read, for each family that Microsoft tells late of."""
    streams = dict(TeamsStream.objects.filter(tenant=tenant).values_list("stream", "synced_at"))
    directory = Tenant.objects.values_list("last_replicated_at", flat=True).get(id=tenant.id)
    return {
        "number": streams.get(Stream.NUMBERS),
        "policy": streams.get(Stream.POLICIES),
        "user": directory,
        "member": directory,
    }


def _written_since(tenant: Tenant, things: Sequence[Thing], read: dt.datetime | None) -> Found:
    """Of these things, the newest value that was seen at Microsoft after the copy was read."""
    rows = Line.objects.filter(
        tenant=tenant, state=LineState.DONE, subject_id__in={each.subject_id for each in things}
    )
    if read is not None:
        rows = rows.filter(done_at__gt=read)
    wanted = set(things)
    seen = rows.order_by("id").values_list("subject_id", "aspect", "after")
    return {
        Thing(subject, aspect): after for subject, aspect, after in seen if Thing(subject, aspect) in wanted
    }


def names_of(tenant: Tenant, ids: Collection[uuid.UUID]) -> dict[uuid.UUID, str]:
    """Of the users whom the copy knows."""
    listed, found = sorted(ids), dict[uuid.UUID, str]()
    for at in range(0, len(listed), BATCH):
        rows = DirectoryUser.objects.filter(tenant=tenant, object_id__in=listed[at : at + BATCH])
        found |= {
            row.object_id: str(row) for row in rows.only("object_id", "display_name", "user_principal_name")
        }
    return found


def _good(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [each for each in verdicts if each.problem is None]


def _cleaned(wish: Wish) -> Verdict:
    try:
        wanted = aspect_of(wish.thing.aspect).clean(wish.thing, wish.wanted)
    except InvalidInput as error:
        return Verdict(wish, problem=error)
    return Verdict(dataclasses.replace(wish, wanted=wanted))


def _refuse_twice(verdicts: Sequence[Verdict]) -> None:
    """The same thing of the same user twice, or the same number for two."""
    things = Counter(each.wish.thing for each in _good(verdicts))
    claimed = Counter(_number(each) for each in _good(verdicts))
    for verdict in _good(verdicts):
        number = _number(verdict)
        if things[verdict.wish.thing] > 1:
            what = aspect_of(verdict.wish.thing.aspect).title(verdict.wish.thing.aspect)
            verdict.problem = UmpError.of("change_twice", field=what)
        elif number and claimed[number] > 1:
            verdict.problem = UmpError.of("number_asked_twice", number=number)


def _number(verdict: Verdict) -> str | None:
    return aspect_of(verdict.wish.thing.aspect).number_in(verdict.wish.wanted)


# --- What each family asks for --------------------------------------------------------------------------------
def _rules(tenant: Tenant, verdicts: Sequence[Verdict], by: Actor, seen: Collection[Thing]) -> None:
    by_name: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_name.setdefault(aspect_of(verdict.wish.thing.aspect).family, []).append(verdict)
    led = {_led(each) for each in by_name.get("route", []) if each.wish.wanted}
    _numbers(tenant, by_name.get("number", []), led)
    _policies(tenant, by_name.get("policy", []))
    _reached(tenant, [*by_name.get("number", []), *by_name.get("policy", [])])
    _strangers(tenant, [*by_name.get("number", []), *by_name.get("policy", [])], seen)
    _attributes(tenant, by_name.get("user", []))
    _members(tenant, by_name.get("member", []))
    _routes(tenant, by_name.get("route", []), by)


def _reached(tenant: Tenant, verdicts: Sequence[Verdict]) -> None:
    """Where telephony needs PowerShell and no worker has it, nobody would ever write these."""
    good = [each for each in verdicts if each.counts]
    barrier = ways.barrier(ways.cloud_of(tenant)) if good else None
    for verdict in good:
        verdict.problem = barrier


def _numbers(tenant: Tenant, verdicts: Sequence[Verdict], led: Collection[str]) -> None:
    """`led` are numbers that the same act leads to a site."""
    wanted = [each for each in verdicts if each.wish.wanted]
    if not wanted:
        return
    claimed = {str(_number(each)) for each in wanted}
    known = {row.number: row for row in _known(tenant, claimed)}
    elsewhere, awaited = _elsewhere(tenant, claimed), _awaited(tenant, claimed)
    leaving = {each.wish.thing.subject_id for each in verdicts}  # whoever is here gives his own up
    leaving |= _leaving(tenant)
    teams = {
        row.object_id: row for row in _teams_users(tenant, [each.wish.thing.subject_id for each in wanted])
    }
    read = TeamsStream.objects.filter(tenant=tenant, stream=Stream.USERS, synced_at__isnull=False).exists()
    for verdict in wanted:
        number, subject = str(_number(verdict)), verdict.wish.thing.subject_id
        row, waits = known.get(number), awaited.get(number)
        if waits is not None and waits.applying and waits.subject_id == subject:
            verdict.same, verdict.hint = True, UNDER_WAY
            continue
        verdict.problem = (
            _not_this_number(tenant, verdict, row, elsewhere, leaving)
            or _waits_for(number, subject, waits)
            or (_no_phone(verdict, teams.get(subject)) if read else None)
        )
        if row is not None and verdict.problem is None:
            verdict.wish.wanted["kind"] = row.kind
    _hint_rules(tenant, [each for each in wanted if each.counts], led)


def _known(tenant: Tenant, claimed: Collection[str]) -> Iterable[PhoneNumber]:
    listed = sorted(claimed)
    for at in range(0, len(listed), BATCH):
        yield from numbers.of(tenant).filter(number__in=listed[at : at + BATCH])


def _teams_users(tenant: Tenant, ids: Sequence[uuid.UUID]) -> Iterable[TeamsUser]:
    for at in range(0, len(ids), BATCH):
        yield from TeamsUser.objects.filter(tenant=tenant, object_id__in=ids[at : at + BATCH])


def _elsewhere(tenant: Tenant, claimed: Collection[str]) -> set[str]:
    """Numbers that another customer has: which one is nobody's business here."""
    listed, found = sorted(claimed), set()
    with scope.every("a number belongs to one customer only"):
        for at in range(0, len(listed), BATCH):
            rows = PhoneNumber.objects.filter(number__in=listed[at : at + BATCH], tenant__deleted_at=None)
            found |= set(rows.exclude(tenant_id=tenant.id).values_list("number", flat=True))
    return found


@dataclasses.dataclass(frozen=True)
class _Awaited:
    """Whom a change that is open gives a number; his name where he is the customer's own."""

    subject_id: uuid.UUID
    name: str
    applying: bool
    """Whether that is being written by now."""


def _awaited(tenant: Tenant, claimed: Collection[str]) -> dict[str, _Awaited]:
    """Numbers that a change waits for, anybody's."""
    listed, found = sorted(claimed), {}
    with scope.every("two customers may not wait for the same number"):
        for at in range(0, len(listed), BATCH):
            rows = Change.objects.filter(number__in=listed[at : at + BATCH], state__in=OPEN_CHANGES)
            for row in rows:
                name = row.subject_name if row.tenant_id == tenant.id else "another customer"
                found[str(row.number)] = _Awaited(row.subject_id, name, row.state == ChangeState.APPLYING)
    return found


def _leaving(tenant: Tenant) -> set[uuid.UUID]:
    """Users of whom a waiting change takes the number, or gives another."""
    rows = Change.objects.filter(tenant=tenant, aspect="number", state__in=OPEN_CHANGES)
    return set(rows.values_list("subject_id", flat=True))


def _not_this_number(
    tenant: Tenant,
    verdict: Verdict,
    row: PhoneNumber | None,
    elsewhere: Collection[str],
    leaving: Collection[uuid.UUID],
) -> UmpError | None:
    number = str(_number(verdict))
    if number in elsewhere:
        return UmpError.of("number_of_another", number=number)
    if row is None:
        if verdict.wish.wanted["kind"] == NumberKind.DIRECT_ROUTING:
            return None  # Microsoft knows such a number once somebody has it
        return UmpError.of("number_unknown", number=number, tenant=tenant.name)
    state = getattr(row, "state")  # noqa: B009  an annotation
    if state == numbers.State.ASSIGNED:
        gives_up = row.target_id in leaving and row.target_id != verdict.wish.thing.subject_id
        return None if gives_up else UmpError.of("number_in_use", number=number, thing=verdict.name)
    if state in {numbers.State.RESERVED, numbers.State.BLOCKED}:
        return UmpError.of("number_not_free", number=number, state=numbers.State(state).label.lower())
    if state == numbers.State.COOLING:
        verdict.hint = f"{number} was in use until lately, and rests: callers may still mean its last holder."
    return None


def _waits_for(number: str, subject: uuid.UUID, waits: _Awaited | None) -> UmpError | None:
    if waits is None or waits.subject_id == subject:
        return None
    return UmpError.of("number_awaited", number=number, thing=waits.name)


def _no_phone(verdict: Verdict, row: TeamsUser | None) -> UmpError | None:
    """A resource account is not among Teams users, as Microsoft lists none (facts/microsoft.md 9.1)."""
    if row is None or row.licensed:
        return None
    return UmpError.of("teams_phone_missing", thing=verdict.name)


def _strangers(tenant: Tenant, verdicts: Sequence[Verdict], seen: Collection[Thing]) -> None:
    """Whom the copy of Teams does not have: refused where the directory shows that the licence is missing, too.

    Otherwise nobody knows before Microsoft is asked, and that is said: of who is new, of resource accounts (Microsoft
    lists none among users), of whom the CsOnlineUser Filter leaves out, and of all while Teams was not read lately.
    """
    asked = [each for each in verdicts if each.counts and each.wish.wanted and each.wish.thing not in seen]
    ids = sorted({each.wish.thing.subject_id for each in asked})
    strangers = set(ids) - {row.object_id for row in _teams_users(tenant, ids)}
    if not strangers:
        return
    stream = TeamsStream.objects.filter(tenant=tenant, stream=Stream.USERS).first()
    lately = bool(stream and stream.synced_at and stream.synced_at > timezone.now() - health.STALE)
    plans = _plans_of(tenant, sorted(strangers)) if lately else {}
    for verdict in asked:
        subject = verdict.wish.thing.subject_id
        number = verdict.wish.thing.aspect == "number"
        if subject not in strangers:
            continue
        if subject in plans and not plans[subject] & (WITH_NUMBER if number else IN_TEAMS):
            code = "teams_phone_missing" if number else "teams_missing"
            verdict.problem = UmpError.of(code, thing=verdict.name)
        elif not verdict.hint:
            verdict.hint = NOT_LISTED if lately else NOT_READ


def _plans_of(tenant: Tenant, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, set[str]]:
    """The service plans in these users' licences, by the directory; without those of whom the copy cannot tell."""
    rows = SubscribedSku.objects.filter(tenant=tenant).values_list("sku_id", "plans")
    known = {sku: {str(plan.get("id", "")).lower() for plan in plans} for sku, plans in rows}
    found = {}
    for at in range(0, len(ids), BATCH):
        users = DirectoryUser.objects.filter(tenant=tenant, object_id__in=ids[at : at + BATCH])
        for subject, skus in users.values_list("object_id", "sku_ids"):
            if known.keys() >= set(skus):
                found[subject] = set[str]().union(*(known[sku] for sku in skus))
    return found


def _hint_rules(tenant: Tenant, verdicts: Sequence[Verdict], led: Collection[str]) -> None:
    """Direct Routing numbers that no rule of an SBC takes will not ring."""
    direct = [each for each in verdicts if each.wish.wanted["kind"] == NumberKind.DIRECT_ROUTING]
    if not direct or not numbers.rules_read():
        return
    own = numbers.own_rules([tenant])[tenant.id]
    taken = _taken(own, {str(_number(each)) for each in direct})
    for verdict in direct:
        number = str(_number(verdict))
        if number not in taken and number.partition(";")[0] not in led and not verdict.hint:
            verdict.hint = f"No dial plan rule of an SBC takes {number}: it does not ring until one does."


def _taken(own: numbers.Own, claimed: Collection[str]) -> set[str]:
    """Of these numbers, those that a rule takes: one walk along the line of fifteen digits."""
    rules = own.rules.exclude(span__isempty=True).values_list("span", "longest")
    spans = sorted((int(span.lower or 0), int(span.upper or 0), longest) for span, longest in rules)
    taken, over, at = set(), [], 0
    for place, number in sorted((place_of(each), each) for each in claimed):
        while at < len(spans) and spans[at][0] <= place:
            over.append(spans[at])
            at += 1
        over = [each for each in over if each[1] > place]
        digits = len(number.partition(";")[0]) - 1
        if any(longest >= digits for _, _, longest in over):
            taken.add(number)
    return taken


def _policies(tenant: Tenant, verdicts: Sequence[Verdict]) -> None:
    """Fill in the id of a policy that is named, or the name of one whose id is given."""
    wanted = [each for each in verdicts if each.wish.wanted]
    if not wanted:
        return
    rows = list(TeamsPolicy.objects.filter(tenant=tenant, kind__in={each.wish.thing.key for each in wanted}))
    by_name = {(row.kind, row.name.casefold()): row for row in rows}
    by_id = {(row.kind, row.policy_id): row for row in rows}
    for verdict in wanted:
        given, kind = verdict.wish.wanted, verdict.wish.thing.key
        row = by_id.get((kind, given["id"])) or by_name.get((kind, given["name"].casefold()))
        if row is not None:
            given |= {"id": row.policy_id, "name": row.name}
        elif given["id"]:
            verdict.problem = UmpError.of(
                "policy_unknown", tenant=tenant.name, policy=given["name"] or given["id"]
            )
        else:
            verdict.hint = (
                f"Nobody has the policy {given['name']} yet, so Microsoft is asked whether it exists."
            )


def _attributes(tenant: Tenant, verdicts: Sequence[Verdict]) -> None:
    ids = {each.wish.thing.subject_id for each in verdicts if ATTRIBUTES[each.wish.thing.key].premises}
    listed, synced = sorted(ids), set()
    for at in range(0, len(listed), BATCH):
        rows = DirectoryUser.objects.filter(
            tenant=tenant, on_premises=True, object_id__in=listed[at : at + BATCH]
        )
        synced |= set(rows.values_list("object_id", flat=True))
    for verdict in verdicts:
        key = verdict.wish.thing.key
        if verdict.wish.thing.subject_id in synced and ATTRIBUTES[key].premises:
            verdict.problem = UmpError.of("synced_from_premises", thing=verdict.name, field=TITLES[key])


def _members(tenant: Tenant, verdicts: Sequence[Verdict]) -> None:
    rows = DirectoryGroup.objects.filter(
        tenant=tenant, object_id__in={each.wish.thing.key for each in verdicts}
    )
    groups = {str(row.object_id): row for row in rows}
    for verdict in verdicts:
        group = groups.get(verdict.wish.thing.key)
        if group is None:
            verdict.problem = UmpError.of("group_not_in_copy", thing=verdict.wish.thing.key)
        elif group.dynamic:
            verdict.problem = UmpError.of("group_by_rule", thing=str(group))
        elif group.on_premises or (group.mail_enabled and "Unified" not in group.group_types.split()):
            verdict.problem = UmpError.of("group_kept_elsewhere", thing=str(group))


def _led(verdict: Verdict) -> str:
    """The number that a rule is wanted for."""
    return verdict.wish.thing.key.partition(":")[2]


def _routes(tenant: Tenant, verdicts: Sequence[Verdict], by: Actor) -> None:
    """Only on a site that is on its SBC, and only for a number that is nobody else's there (sites.number_rules).

    Whoever may not change the customer's sites may lead numbers of its ranges, which the provider gave it, and no
    others: a rule for a number that nobody has yet would catch its calls.
    """
    if not verdicts:
        return
    uids = {each.wish.thing.key.partition(":")[0] for each in verdicts}
    rows = Site.objects.filter(tenant=tenant, uid__in=uids).select_related("sbc") if uids else []
    sites = {str(site.uid): site for site in rows}
    given = None if by.may(Ability.EDIT_TENANT, tenant.id) else _ranges(tenant)
    alone = _alone(tenant, [each for each in verdicts if not each.wish.wanted])
    by_site: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        uid, _, number = verdict.wish.thing.key.partition(":")
        if uid not in sites or sites[uid].sbc_state != SiteState.DEPLOYED:
            verdict.problem = UmpError.of(
                "route_failed", number=number, why="the site is not deployed on an SBC"
            )
        elif given is not None and not any(place_of(number) in span for span in given):
            verdict.problem = UmpError.of("route_outside_ranges", number=number, tenant=tenant.name)
        elif not verdict.wish.wanted and (uid, number) not in alone:
            verdict.problem = UmpError.of("route_of_range", number=number)
        elif verdict.wish.wanted:
            by_site.setdefault(uid, []).append(verdict)
    for uid, mine in by_site.items():
        wishes = [SitePrefix(_led(each)) for each in mine]
        for verdict, said in zip(mine, judge_prefixes(SYSTEM, sites[uid], wishes), strict=True):
            verdict.problem = said.error


def _ranges(tenant: Tenant) -> list[Any]:
    """The numbers of the customer's ranges, on the line of fifteen digits."""
    return list(NumberRange.objects.filter(tenant=tenant).values_list("span", flat=True))


def _alone(tenant: Tenant, verdicts: Sequence[Verdict]) -> set[tuple[str, str]]:
    """Of these rules, by site and number, those for one number alone, which can be taken away."""
    rows = Prefix.objects.filter(tenant=tenant, prefix__in={_led(each) for each in verdicts})
    return (
        {(str(uid), prefix) for uid, prefix in rows.values_list("site__uid", "prefix")} if verdicts else set()
    )
