"""Whether numbers may be added to a site: their grammar, and what overlaps them (facts/audiocodes.md 2.3, 2.4).

Any number of wishes is judged with the same few queries: against the customers' prefixes, and against the rules that
were read from the device last and are nobody's here.
"""

import itertools
import re
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from django.db.models import BooleanField, F, Func, Q, Value

from accounts import installation
from audiocodes import dialplan, rules
from audiocodes.dialplan import GrammarError, coverage, parse_device
from audiocodes.script_values import RefusedValueError, check_characters
from core.errors import InvalidInput, UmpError
from sbc.models import Rule, Sbc
from sites.models import Prefix, PrefixState, Site
from tenants import scope
from tenants.abilities import Ability
from tenants.access import Actor

DEFAULT_PLAN = "CustDialPlan"
PLANS = (DEFAULT_PLAN, "TeamsTenants", "OCDialPlan", "RegisteredUsers")
"""Those that are offered while nobody has read which ones the device has (SBC-17)."""
WITHOUT_PLUS = frozenset({"RegisteredUsers"})
LONGEST_NAME = 15
GROUPS_PER_RULE = 6
MANY = 10_000
"""A range of more numbers than this is told, since a mistyped one takes that many."""
MOST_NOTES = 5
MOST_PAIRS = 1_000_000
"""Overlapping pairs that are looked at."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*", re.ASCII)


@dataclass(frozen=True)
class Wish:
    """A rule as somebody wants it; what is empty is the site's own. `line` counts lines of a file."""

    prefix: str
    plan: str = ""
    name: str = ""
    tag: str = ""
    line: int = 0
    trouble: str = ""
    """Why the line of the file cannot be read."""


@dataclass(frozen=True)
class Verdict:
    """What becomes of a wish. With neither `error` nor `there` it can be written."""

    wish: Wish
    """In normal form, if it could be read."""
    rule: dialplan.Rule | None = None
    error: UmpError | None = None
    there: bool = False
    """The site has it already."""
    row: int | None = None
    """The id of the site's own row for it, which only has to be written again."""
    notes: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return self.error is None and not self.there


@dataclass(frozen=True)
class Neighbour:
    """A prefix or a foreign rule that may share numbers with a wish."""

    prefix: str
    tag: str
    name: str
    tenant_id: uuid.UUID | None = None
    """None: nobody's here."""
    customer: str = ""
    site_id: int = 0
    site: str = ""
    state: str = ""
    id: int = 0
    where: str = ""
    """The SBC, if it is another one."""


@dataclass
class _Judged:
    """A wish on its way to its verdict."""

    verdict: Verdict
    notes: list[str] = field(default_factory=list)

    def refuse(self, error: UmpError) -> None:
        if self.verdict.error is None:
            self.verdict = replace(self.verdict, error=error)

    def note(self, text: str) -> None:
        if len(self.notes) < MOST_NOTES and text not in self.notes:
            self.notes.append(text)

    def done(self) -> Verdict:
        """What is there stays, whatever it overlaps with."""
        error = None if self.verdict.there else self.verdict.error
        return replace(self.verdict, error=error, notes=tuple(self.notes))


def judge(actor: Actor, site: Site, wishes: Sequence[Wish]) -> list[Verdict]:
    """One verdict for each wish, in their order. Opens every customer's scope to look, and answers no more than
    the actor may see."""
    sbc = Sbc.objects.get(id=site.sbc_id)
    longest, allowed = int(installation.get("sbc_tag_longest")), plans_of(sbc)
    judged = [_Judged(_read(site, wish, allowed, longest)) for wish in wishes]
    by_plan: dict[str, list[_Judged]] = defaultdict(list)
    for one in judged:
        if one.verdict.error is None:
            by_plan[one.verdict.wish.plan].append(one)
    for plan, of_plan in by_plan.items():
        _among_themselves(of_plan)
        _against(actor, site, sbc, plan, of_plan)
    _elsewhere(actor, site, [one for one in judged if one.verdict.good])
    _budget(sbc, judged)
    return [one.done() for one in judged]


def checked(site: Site, sbc: Sbc, wish: Wish) -> Verdict:
    """A wish in normal form, whatever else is there. Raises InvalidInput naming prefix, plan, name or tag."""
    found = _read(site, wish, [*plans_of(sbc), wish.plan], int(installation.get("sbc_tag_longest")))
    if found.error is not None:
        raise found.error
    return found


def plans_of(sbc: Sbc) -> list[str]:
    """The dial plans that numbers may be added to: those of the device, as far as anybody has read them."""
    return list(sbc.rules_told.get("plans", ())) if sbc.rules_read_at else list(PLANS)


def tag_of(site: Site) -> str:
    """What a site's rules lead to, unless somebody says otherwise (facts 5.3)."""
    return site.gateway


# --- Its own shape --------------------------------------------------------------------------------------------
def _read(site: Site, wish: Wish, allowed: Sequence[str], longest: int) -> Verdict:
    """With the site's own values for what is empty, and its prefix in normal form."""
    plan = wish.plan.strip() or DEFAULT_PLAN
    name = " ".join((wish.name or site.name).split())
    tag = wish.tag.strip() or tag_of(site)
    whole = replace(wish, plan=plan, name=name, tag=tag)
    try:
        if wish.trouble:
            raise InvalidInput(field="line", why=wish.trouble)
        if plan not in allowed:
            known = ", ".join(allowed) or "none"
            raise InvalidInput(field="plan", why=f"the SBC has no dial plan {plan}; it has: {known}")
        rule = _parse(wish.prefix, needs_plus=plan not in WITHOUT_PLUS)
        _check("name", name, LONGEST_NAME)
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                field="name",
                why="only plain letters, digits, blanks, dots, hyphens and underscores may be in it",
            )
        _check("tag", tag, longest)
    except InvalidInput as error:
        return Verdict(replace(whole, prefix=wish.prefix.strip(" \t")), error=error)
    # As it was typed, so that a rule that is on the device already is found there word for word.
    text = str(rule) if rule.numbers == 1 else wish.prefix.strip(" \t")
    return Verdict(replace(whole, prefix=text), rule)


def _parse(text: str, *, needs_plus: bool) -> dialplan.Rule:
    try:
        return dialplan.parse(text, needs_plus=needs_plus)
    except GrammarError as error:
        detail = {"position": error.position + 1, "hint": error.hint}
        raise InvalidInput(field="prefix", why=str(error), detail=detail) from None


def _check(field_name: str, text: str, longest: int) -> None:
    if not text:
        raise InvalidInput(field=field_name, why="it is needed")
    if len(text) > longest:
        raise InvalidInput(field=field_name, why=f"it has {longest} characters at most")
    try:
        check_characters(field_name, text)
    except RefusedValueError as error:
        raise InvalidInput(field=field_name, why=error.why) from None


# --- What overlaps ----------------------------------------------------------------------------------------------
def _among_themselves(judged: Sequence[_Judged]) -> None:
    texts = [one.verdict.wish.prefix for one in judged]
    for earlier, later in itertools.islice(rules.overlaps(texts), MOST_PAIRS):
        if judged[earlier].verdict.rule != judged[later].verdict.rule:
            judged[later].note(f"Overlaps with {texts[earlier]} of the same list; {_PARTICULAR}.")
    first: dict[dialplan.Rule | None, _Judged] = {}
    for one in judged:
        wish = one.verdict.wish
        other = first.setdefault(one.verdict.rule, one)
        if other is one:
            continue
        line = f"line {other.verdict.wish.line} has it already" if wish.line else "it is there twice"
        if other.verdict.wish.tag.lower() == wish.tag.lower():
            one.verdict = replace(one.verdict, there=True)
            one.note(line[:1].upper() + line[1:] + ".")
        else:
            one.refuse(InvalidInput(field="prefix", why=f"{line}, with the tag {other.verdict.wish.tag}"))


def _against(actor: Actor, site: Site, sbc: Sbc, plan: str, judged: Sequence[_Judged]) -> None:
    """What is in this plan on this device already."""
    spans = [one.verdict.rule.span for one in judged if one.verdict.rule]
    own = _prefixes(Q(sbc=sbc, plan=plan), spans)
    known = {each.prefix for each in own}
    found = own + [each for each in _rules(sbc, plan, spans) if each.prefix not in known]
    wishes = [one.verdict.wish for one in judged]
    for place, other in meetings(wishes, found):
        clash(actor, site, sbc, judged[place], other)


def meetings(wishes: Sequence[Wish], found: Sequence[Neighbour]) -> Iterator[tuple[int, Neighbour]]:
    """The place of each wish, with each neighbour that shares a number with it. Raises InvalidInput for too many."""
    many = len(wishes)
    pairs = rules.overlaps([wish.prefix for wish in wishes] + [other.prefix for other in found])
    for count, (one, two) in enumerate(pairs):
        if count >= MOST_PAIRS:
            raise InvalidInput(
                field="prefix", why="too many of them overlap to be checked at once; add fewer"
            )
        if one < many <= two:
            yield one, found[two - many]


ADOPTED = "It is on the SBC already, and becomes this site's."
_PARTICULAR = "of two rules that take a number the SBC uses the more particular one"


def clash(actor: Actor, site: Site, sbc: Sbc, one: _Judged, other: Neighbour) -> None:
    """Grade one overlap (facts 2.4)."""
    wish = one.verdict.wish
    if other.tenant_id is None:
        _foreign(sbc, one, other)
    elif other.tenant_id != site.tenant_id:
        one.refuse(_taken(sbc, wish, _others(actor, one, other)))
    elif rule_of(other.prefix) != one.verdict.rule:
        one.note(
            f"Overlaps with {other.prefix}"
            f"{'' if other.site_id == site.id else f' of site {other.site}'}; {_PARTICULAR}."
        )
    elif other.site_id != site.id:
        one.refuse(_taken(sbc, wish, f"site {other.site} of this customer has it; move it from there"))
    elif other.tag.lower() != wish.tag.lower() and other.state != PrefixState.REMOVING:
        one.refuse(_taken(sbc, wish, f"the site has it with the tag {other.tag}; change that one instead"))
    elif other.state in {PrefixState.ADDING, PrefixState.PRESENT}:
        one.verdict = replace(one.verdict, there=True)
    else:
        one.verdict = replace(one.verdict, row=other.id)


def _others(actor: Actor, one: _Judged, other: Neighbour) -> str:
    """Why another customer's numbers forbid it; who that is only to those who may see him."""
    rule = one.verdict.rule
    mine = other.tenant_id is not None and actor.may(Ability.VIEW_TENANT, other.tenant_id)
    whose = (
        f"{other.customer} (site {other.site}) has {other.prefix}"
        if mine
        else "another customer has numbers of it"
    )
    theirs = dialplan.parse(other.prefix, needs_plus=False)
    going = ", which is being removed" if other.state == PrefixState.REMOVING and mine else ""
    if rule is None or theirs.length == rule.length:
        return f"{whose}{going}"
    taker = "it would take numbers from that" if rule.length > theirs.length else "that takes numbers from it"
    return f"{whose}{going}, and {taker}"


def _foreign(sbc: Sbc, one: _Judged, other: Neighbour) -> None:
    """A rule on the device that is nobody's here: respected, and told. One that takes every number is a default."""
    wish = one.verdict.wish
    error, note = foreign_clash(sbc, wish, other)
    if error is not None:
        one.refuse(error)
    elif note == ADOPTED:
        one.verdict = replace(one.verdict, wish=replace(wish, prefix=other.prefix))
        one.note(note)
    elif note:
        one.note(note)


def foreign_clash(sbc: Sbc, wish: Wish, other: Neighbour) -> tuple[UmpError | None, str]:
    """(why it cannot be written, what to tell) of a rule on the device that is nobody's here."""
    named = f"{other.prefix} ({other.name or 'without a name'}, tag {other.tag or 'none'})"
    same_tag = other.tag.lower() == wish.tag.lower()
    if rule_of(other.prefix) == rule_of(wish.prefix):
        if same_tag and other.name == wish.name:
            return None, ADOPTED
        return _taken(sbc, wish, f"the SBC has a rule {named} that the portal did not write"), ""
    try:
        pattern = parse_device(other.prefix)
    except GrammarError:
        return None, f"The rule {named} on the SBC cannot be read; it may take some of these numbers."
    if pattern.width == 0:
        return None, ""
    if same_tag:
        return None, f"Overlaps with {named} on the SBC, which leads to the same; {_PARTICULAR}."
    if not coverage(pattern).exact:
        return None, f"Perhaps overlaps with {named} on the SBC, which the portal did not write."
    return _taken(
        sbc, wish, f"{named} on the SBC, which the portal did not write, takes some of the numbers"
    ), ""


def rule_of(text: str) -> dialplan.Rule | None:
    """The numbers of a rule that this portal could have written, however its range is written; None for others."""
    try:
        return dialplan.parse(text, needs_plus=False)
    except GrammarError:
        return None


def _taken(sbc: Sbc, wish: Wish, why: str) -> UmpError:
    return UmpError.of("number_taken", prefix=wish.prefix, plan=wish.plan, host=sbc.name, why=why)


def taken_by_somebody(sbc: Sbc, wish: Wish) -> UmpError:
    """When the database refused what nobody had just before."""
    return _taken(sbc, wish, "somebody has added numbers of it at the same moment")


def _elsewhere(actor: Actor, site: Site, judged: Sequence[_Judged]) -> None:
    """The same number with another customer on another SBC is no conflict of devices, and still worth a word."""
    wanted = [one for one in judged if one.verdict.rule and one.verdict.rule.plus]
    spans = [one.verdict.rule.span for one in wanted if one.verdict.rule]
    found = _prefixes(~Q(sbc=site.sbc_id) & ~Q(tenant=site.tenant_id) & Q(plus=True), spans)
    for place, other in meetings([one.verdict.wish for one in wanted], found):
        one = wanted[place]
        if other.tenant_id is not None and actor.may(Ability.VIEW_TENANT, other.tenant_id):
            one.note(f"{other.customer} has {other.prefix} on {other.where}.")
        else:
            one.note("Another customer has numbers of it on another SBC.")


def _budget(sbc: Sbc, judged: Sequence[_Judged]) -> None:
    """What the device has and what waits to be added, against what it may have (facts 1.5)."""
    most = int(installation.get("sbc_rules_most"))
    with scope.every("what one device may hold is counted over all customers"):
        waiting = Prefix.objects.filter(sbc=sbc, state=PrefixState.ADDING, written_tag="").count()
    told = sbc.rules_told
    left = most - int(told.get("rules", 0)) - waiting
    left = min(left, GROUPS_PER_RULE * most - int(told.get("groups", told.get("rules", 0))) - waiting)
    for one in judged:
        if not one.verdict.good or one.verdict.row is not None:
            continue
        left -= 1
        if left < 0:
            one.refuse(_taken(sbc, one.verdict.wish, f"the SBC takes {most:,} rules, and has no room for it"))
        elif one.verdict.rule and one.verdict.rule.numbers > MANY:
            one.note(f"These are {one.verdict.rule.numbers:,} numbers.")


def _touches(spans: Sequence[tuple[int, int]]) -> Func:
    """A condition: the column `span` meets one of these."""
    text = "{" + ",".join(f"[{low},{high})" for low, high in spans) + "}"
    many = Func(Value(text), template="%(expressions)s::int8multirange")
    return Func(F("span"), many, template="%(expressions)s", arg_joiner=" && ", output_field=BooleanField())


def _prefixes(which: Q, spans: Sequence[tuple[int, int]]) -> list[Neighbour]:
    if not spans:
        return []
    with scope.every("numbers of one customer must not be another's"):
        rows = Prefix.objects.filter(which, _touches(spans)).values_list(
            "prefix", "tag", "name", "tenant_id", "tenant__name", "site_id", "site__name", "state", "id", "sbc__name"
        )  # fmt: skip
        return list(itertools.starmap(Neighbour, rows))


def _rules(sbc: Sbc, plan: str, spans: Sequence[tuple[int, int]]) -> list[Neighbour]:
    if not spans:
        return []
    rows = Rule.objects.filter(_touches(spans), sbc=sbc, plan=plan)
    return list(itertools.starmap(Neighbour, rows.values_list("prefix", "tag", "name")))
