"""Numbers of sites: what is wanted on the devices. A command writes it; see sites.number_commands.

Each act is one transaction under the device's row: judge, write the wishes, one entry of the trail, one command.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from django.db import IntegrityError, transaction
from django.db.models import Exists, OuterRef, QuerySet

from accounts.taken import still_there
from audiocodes import dialplan
from audiocodes.dialplan import GrammarError
from core.errors import Conflict, InvalidInput
from core.words import first_of
from replication import services as queue
from replication.models import OPEN, Command, State
from sbc.models import Rule, Sbc
from sites import number_rules
from sites.models import Prefix, PrefixState, Site, SiteState
from sites.number_rules import Verdict, Wish, judge
from sites.services import note
from tenants import scope
from tenants.access import Actor

WRITE = "write_numbers"
MOST = 10_000
"""Wishes of one act."""
NAMED = 20
"""Prefixes that an entry of the trail names."""
BATCH = 1_000
UNWRITTEN = frozenset({PrefixState.ADDING, PrefixState.REMOVING})


@dataclass(frozen=True)
class Added:
    """What became of each wish; `command` is None when there was nothing to write."""

    verdicts: list[Verdict]
    command: Command | None

    def refused(self) -> list[Verdict]:
        return [one for one in self.verdicts if one.error is not None]


@transaction.atomic
def add(actor: Actor, site: Site, wishes: Sequence[Wish], *, all_or_none: bool = True) -> Added:
    """Add numbers and ranges to a site; what it has already is left alone.

    Raises the first wish's error when `all_or_none`: InvalidInput naming prefix, plan, name or tag; number_taken.
    Otherwise writes those that are right and answers the others' errors.
    """
    sbc = _lock(site)
    if len(wishes) > MOST:
        raise InvalidInput(field="prefix", why=f"at most {MOST:,} at once")
    verdicts = judge(actor, site, wishes)
    _raise_first(verdicts, all_or_none=all_or_none)
    verdicts = _insert(actor, site, sbc, verdicts)
    _raise_first(verdicts, all_or_none=all_or_none)
    good = [one for one in verdicts if one.good]
    if not good:
        return Added(verdicts, None)
    note(actor, "prefixes.added", site, {"added": (None, _named(one.wish.prefix for one in good))})
    return Added(verdicts, write(actor, site))


@transaction.atomic
def change(
    actor: Actor, row: Prefix, *, prefix: str = "", name: str = "", tag: str = ""
) -> tuple[Prefix, Command]:
    """Another name or tag, or other numbers; what is empty stays. The old numbers go when the new ones are there,
    and stay with the reason (number_kept) when those cannot be written.

    Raises InvalidInput and number_taken as `add` does; Conflict (number_busy).
    """
    site = row.site
    sbc, row = _lock(site), _held(row)
    wish = Wish(prefix or row.prefix, row.plan, name or row.name, tag or row.tag)
    verdict = _alone(actor, site, row, wish)
    wish = verdict.wish
    if verdict.rule == number_rules.rule_of(row.prefix):
        wish = replace(wish, prefix=row.prefix)
    changes = {
        field: (getattr(row, field), getattr(wish, field))
        for field in ("prefix", "name", "tag")
        if getattr(row, field) != getattr(wish, field)
    }
    if wish.prefix == row.prefix:
        row.name, row.tag, row.state, row.problem = wish.name, wish.tag, PrefixState.ADDING, None
        row.save(update_fields=["name", "tag", "state", "problem"])
    else:
        _leave(Prefix.objects.filter(id=row.id))
        _raise_first(_insert(actor, site, sbc, [verdict]))
        row = Prefix.objects.get(site=site, plan=row.plan, prefix=wish.prefix)
    note(actor, "prefix.changed", site, changes)
    return row, write(actor, site)


@transaction.atomic
def remove(actor: Actor, site: Site, rows: Iterable[Prefix]) -> Command:
    """Take whole rules away, from the device first."""
    _lock(site)
    ids = [row.id for row in rows]
    mine = Prefix.objects.filter(site=site, id__in=ids)
    named = _named(mine.values_list("prefix", flat=True))
    _leave(mine)
    note(actor, "prefixes.removed", site, {"removed": (named, None)})
    return write(actor, site)


@transaction.atomic
def remove_part(actor: Actor, row: Prefix, part: str) -> Command:
    """Take some numbers out of a range; what is left becomes one or two rules. The range goes when those are there.

    Raises InvalidInput (part) for what is no part of it; Conflict (number_busy).
    """
    site = row.site
    sbc, row = _lock(site), _held(row)
    try:
        left = dialplan.without(
            dialplan.parse(row.prefix, needs_plus=False), dialplan.parse(part, needs_plus=row.plus)
        )
    except GrammarError as error:
        raise InvalidInput(field="part", why=str(error)) from None
    except ValueError as error:
        raise InvalidInput(field="part", why=str(error)) from None
    rest = [Wish(str(rule), row.plan, row.name, row.tag) for rule in left]
    verdicts = judge(actor, site, rest)
    _raise_first(verdicts)
    _leave(Prefix.objects.filter(id=row.id))
    _raise_first(_insert(actor, site, sbc, verdicts))
    gone = dialplan.parse(part, needs_plus=row.plus)
    note(
        actor,
        "prefixes.removed",
        site,
        {"removed": (f"{gone} of {row.prefix}", _named(map(str, left)) or None)},
    )
    return write(actor, site)


@transaction.atomic
def move(actor: Actor, rows: Sequence[Prefix], to: Site, *, tag: str = "") -> list[Command]:
    """To another site of the same customer, with that site's name and tag; on another SBC they are made anew there.

    The commands of two SBCs know no order, and one of them may be out of reach: nothing goes from the old one while
    `waits_there`, and the command that writes the numbers on the new one queues the one that takes them away.
    Raises InvalidInput, number_taken; Conflict (number_busy).
    """
    source = rows[0].site
    for sbc_id in sorted({source.sbc_id, to.sbc_id}):
        still_there(Sbc.objects.filter(id=sbc_id), "SBC")
    sbc = _lock(to)
    held = [_held(row) for row in rows]
    wishes = [Wish(row.prefix, row.plan, to.name, tag or number_rules.tag_of(to)) for row in held]
    if source.sbc_id == to.sbc_id:
        checked = [number_rules.checked(to, sbc, wish).wish for wish in wishes]
        Prefix.objects.filter(id__in=[row.id for row in held]).update(
            site=to, name=checked[0].name, tag=checked[0].tag, state=PrefixState.ADDING, problem=None
        )
    else:
        verdicts = judge(actor, to, wishes)
        _raise_first(verdicts)
        _raise_first(_insert(actor, to, sbc, verdicts))
        _leave(Prefix.objects.filter(id__in=[row.id for row in held]))
    named = _named(row.prefix for row in held)
    note(actor, "prefixes.moved", to, {"site": (source.name, to.name), "numbers": (None, named)})
    leave = Prefix.objects.filter(id__in=[row.id for row in held], state=PrefixState.REMOVING)
    there = [write(actor, to)]
    return [*there, write(actor, source)] if leave.filter(~waits_there()).exists() else there


@transaction.atomic
def again(actor: Actor, site: Site) -> Command:
    """Write now: what failed or is missing is wanted again, and what still waits is written.

    A rule that somebody changed at the device is written over, if it still is as it was read last.
    """
    sbc = _lock(site)
    lost = list(Prefix.objects.filter(site=site, state__in=[PrefixState.FAILED, PrefixState.MISSING]))
    seen = {
        (plan, prefix): (name, tag)
        for plan, prefix, name, tag in Rule.objects.filter(
            sbc=sbc, prefix__in=[row.prefix for row in lost if row.state == PrefixState.MISSING]
        ).values_list("plan", "prefix", "name", "tag")
    }
    for row in lost:
        if row.state == PrefixState.MISSING and (row.plan, row.prefix) in seen:
            name, row.written_tag = seen[row.plan, row.prefix]
            row.written_name = name[: number_rules.LONGEST_NAME]
        row.state, row.problem = PrefixState.ADDING, None
    fields = ["state", "problem", "written_name", "written_tag"]
    Prefix.objects.bulk_update(lost, fields, batch_size=BATCH)
    note(actor, "prefixes.written_again", site, {"wanted again": (0, len(lost))})
    return write(actor, site)


def write(actor: Actor, site: Site) -> Command:
    """Queue what waits for this site. Inside a transaction."""
    with scope.every("a device is the provider's own"):
        return queue.submit(actor, WRITE, None, target=f"{site.sbc_id}/{site.uid}")


# --- Reading ---------------------------------------------------------------------------------------------------
def command_of(site: Site) -> Command | None:
    """The newest command that writes numbers of this site."""
    with scope.every("a command about a device is the provider's own"):
        rows = Command.objects.filter(tenant=None, kind=WRITE, target=f"{site.sbc_id}/{site.uid}")
        return rows.order_by("-id").first()


def is_writing(site: Site) -> bool:
    command = command_of(site)
    return command is not None and command.state in OPEN


def same_numbers(row: Prefix | None = None) -> QuerySet[Prefix]:
    """The customer's prefixes for the same numbers in the same plan on other SBCs; without a row, of the query's."""
    names = ("tenant_id", "plan", "plus", "span")
    which = {name: getattr(row, name) if row else OuterRef(name) for name in names}
    return Prefix.objects.filter(**which).exclude(sbc_id=row.sbc_id if row else OuterRef("sbc_id"))


def waits_there() -> Exists:
    """Of prefixes that go: whether the same numbers still wait to be added on another SBC. Until then they stay."""
    return Exists(same_numbers().filter(state=PrefixState.ADDING))


def waits_in_vain(row: Prefix) -> bool:
    """Whether it waits to be written and no command is going to: that was cancelled, or lies with a person.

    By one statement: a wish is kept with its command, and what a command wrote before its own end. One that goes once
    its numbers are on another SBC waits for the command there.
    """
    if row.state == PrefixState.REMOVING:
        new = same_numbers(row).filter(state=PrefixState.ADDING).select_related("site").first()
        row = new or row
    target = f"{row.sbc_id}/{row.site.uid}"
    with scope.every("a command about a device is the provider's own"):
        going = Command.objects.filter(
            tenant=None, kind=WRITE, target=target, state__in=[State.QUEUED, State.EXECUTING]
        )
        return Prefix.objects.filter(~Exists(going), id=row.id, state__in=UNWRITTEN).exists()


# --- Inside ----------------------------------------------------------------------------------------------------
def _lock(site: Site) -> Sbc:
    """One act at a time for each device. Raises Conflict for a site that is on its way out."""
    sbc = still_there(Sbc.objects.filter(id=site.sbc_id), "SBC")
    now = still_there(Site.objects.filter(id=site.id), "site")
    if now.sbc_state == SiteState.REMOVING:
        raise Conflict("illegal_move", action="get or lose numbers", state="being removed")
    return sbc


def _held(row: Prefix) -> Prefix:
    """As it is now. Raises Conflict (number_busy) while it is written: what is on the device is not known then."""
    found = (
        Prefix.objects.select_for_update(no_key=True, of=("self",))
        .select_related("site")
        .filter(id=row.id)
        .first()
    )
    if found is None or found.state in UNWRITTEN:
        raise Conflict("number_busy", prefix=row.prefix)
    return found


def _alone(actor: Actor, site: Site, row: Prefix, wish: Wish) -> Verdict:
    """The verdict on a row's new values; of the same numbers only their shape has to be right. Raises its error."""
    verdict = judge(actor, site, [wish])[0]
    if verdict.rule is not None and verdict.rule == number_rules.rule_of(row.prefix):
        return number_rules.checked(site, Sbc.objects.get(id=site.sbc_id), wish)
    _raise_first([verdict])
    return verdict


def _raise_first(verdicts: Sequence[Verdict], *, all_or_none: bool = True) -> None:
    error = next((one.error for one in verdicts if one.error is not None), None)
    if error is not None and all_or_none:
        raise error


def _insert(actor: Actor, site: Site, sbc: Sbc, verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Write the good ones as wishes. What the database refuses was added at the same moment by somebody who did not
    wait for the device's row: it is judged anew, or else refused as a whole."""
    good = [one for one in verdicts if one.good]
    try:
        with transaction.atomic():
            _write_rows(actor, site, sbc, good)
    except IntegrityError:
        found = judge(actor, site, [one.wish for one in verdicts])
        if all(one.error is None for one in found):
            found = [
                Verdict(one.wish, one.rule, number_rules.taken_by_somebody(sbc, one.wish))
                if one.good
                else one
                for one in found
            ]
        if any(one.good for one in found):
            with transaction.atomic():
                _write_rows(actor, site, sbc, [one for one in found if one.good])
        return found
    return list(verdicts)


def _write_rows(actor: Actor, site: Site, sbc: Sbc, good: Sequence[Verdict]) -> None:
    for one in good:
        if one.row is not None:
            Prefix.objects.filter(id=one.row).update(
                state=PrefixState.ADDING, name=one.wish.name, tag=one.wish.tag, problem=None
            )
    Prefix.objects.bulk_create(
        [
            Prefix(
                tenant_id=site.tenant_id,
                site=site,
                sbc=sbc,
                plan=one.wish.plan,
                name=one.wish.name,
                prefix=one.wish.prefix,
                tag=one.wish.tag,
                plus=one.rule.plus,
                span=one.rule.span,
                numbers=one.rule.numbers,
                created_by=actor.label,
            )
            for one in sorted(good, key=lambda one: one.rule.span if one.rule else (0, 0))
            if one.row is None and one.rule is not None
        ],
        batch_size=BATCH,
    )


def _leave(rows: QuerySet[Prefix]) -> None:
    rows.update(state=PrefixState.REMOVING, problem=None)


def _named(prefixes: Iterable[str]) -> str:
    return first_of(prefixes, NAMED)
