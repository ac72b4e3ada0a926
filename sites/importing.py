"""Import Customers: what the dial plans of an SBC say about customers, and which of it can be taken over (SBC-10).

A rule's tag says whose it is (facts/audiocodes.md 5.3): the FQDN of a gateway in CustDialPlan and TeamsTenants, a
Microsoft tenant's id in OCDialPlan. Pairs of RegisteredUsers have the other number there, so they follow the customer
whose rules bear their name. Each tag becomes a proposal: a customer, a site, and the rules that lead to it.

Everything is read from what the portal has read of the device; nothing is written there, now or later.
"""

import hashlib
import itertools
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.db import connection

from audiocodes import dialplan, rules
from audiocodes.dialplan import GrammarError
from core.errors import InvalidInput
from domains.models import CustomDomain, DomainState
from nameservers import names
from sbc.models import Sbc
from sites.models import Prefix, Site
from sites.number_rules import LONGEST_NAME, WITHOUT_PLUS
from tenants.models import Tenant
from tenants.services import clean_name

MOST_OVERLAPS = 10_000
GUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
_KEY = rf"""CASE
    WHEN r.tag ~* '{GUID}' THEN 'id:' || lower(r.tag)
    WHEN r.tag ~* '^([a-z0-9-]+\.)+[a-z][a-z0-9-]*$' THEN 'at:' || lower(r.tag)
    WHEN r.name <> '' THEN 'as:' || lower(r.name)
    ELSE '' END"""
"""Whose a rule is, by its tag or else by its name."""
_GROUPS = f"""
    SELECT {_KEY} AS key, r.name, r.plan, count(*), count(p.id),
        coalesce(array_agg(DISTINCT p.tenant_id::text) FILTER (WHERE p.id IS NOT NULL), '{{}}')
    FROM sbc_rule r
    LEFT JOIN sites_prefix p ON p.sbc_id = r.sbc_id AND p.plan = r.plan AND p.prefix = r.prefix
    WHERE r.sbc_id = %s GROUP BY 1, 2, 3"""  # noqa: S608  all of it is written here
_RULES = f"""
    SELECT r.id, {_KEY}, r.plan, r.index, r.name, r.prefix, r.tag FROM sbc_rule r
    WHERE r.sbc_id = %s AND {_KEY} = ANY(%s) ORDER BY r.plan, r.index, r.id"""  # noqa: S608  as above
_MET = f"""
    SELECT r.id, p.tenant_id, p.prefix = r.prefix, t.name FROM sbc_rule r
    JOIN sites_prefix p ON p.sbc_id = r.sbc_id AND p.plan = r.plan AND p.plus = r.plus AND p.span && r.span
    JOIN tenants_tenant t ON t.id = p.tenant_id
    WHERE r.sbc_id = %s AND {_KEY} = ANY(%s)"""  # noqa: S608  as above
_NOT_IN_SITE_NAMES = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)


@dataclass(frozen=True)
class Proposal:
    """A customer with a site, as the device's rules tell it."""

    keys: tuple[str, ...]
    names: tuple[str, ...]
    """Of its rules, the most frequent first."""
    plans: tuple[str, ...]
    rules: int
    known: int
    """Of these, how many some customer has here already."""
    tenant_id: uuid.UUID | None = None
    how: str = ""
    """By what the customer was recognised."""
    customer: str = ""
    """The proposed name: that of the customer who was recognised, or a new one."""
    site: str = ""
    site_id: int | None = None
    problem: str = ""
    """Why a person must decide first."""

    @property
    def key(self) -> str:
        return self.keys[0]

    @property
    def ref(self) -> str:
        """For forms and addresses."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]

    @property
    def gateway(self) -> str:
        return self.key.removeprefix("at:") if self.key.startswith("at:") else ""

    @property
    def entra_tenant_id(self) -> uuid.UUID | None:
        return uuid.UUID(self.key.removeprefix("id:")) if self.key.startswith("id:") else None

    @property
    def state(self) -> str:
        """imported, unclear, existing or new."""
        if self.known >= self.rules:
            return "imported"
        if self.problem:
            return "unclear"
        return "existing" if self.tenant_id else "new"


@dataclass(frozen=True)
class Choice:
    """A proposal as a person wants it: for which customer, as which site."""

    proposal: Proposal
    customer: str
    site: str


@dataclass(frozen=True)
class Row:
    """A rule of the device that can become a prefix of the site."""

    plan: str
    index: int
    name: str
    prefix: str
    tag: str
    rule: dialplan.Rule


@dataclass
class Examined:
    """What taking a choice over would do. With a `problem`, nothing."""

    choice: Choice
    tenant_id: uuid.UUID | None = None
    """None: a new customer is made."""
    site: str = ""
    """That of this gateway which the customer has on the SBC, or else the one that was asked for."""
    problem: str = ""
    take: list[Row] = field(default_factory=list)
    there: int = 0
    """Rules that the customer has here already."""
    left: list[tuple[str, str]] = field(default_factory=list)
    """(plan and prefix, why it is left out)."""

    @property
    def good(self) -> bool:
        return not self.problem and bool(self.take)

    @property
    def why(self) -> str:
        """Why nothing comes of it; empty when something does."""
        if self.problem or self.take:
            return self.problem
        return "all its rules are here already" if not self.left else "none of its rules can be taken over"


# --- Proposals --------------------------------------------------------------------------------------------------
def proposals(sbc: Sbc) -> list[Proposal]:
    """What the rules that were read last amount to, by name; in the scope of every customer."""
    found = list(_recognised(sbc, _grouped(sbc)))
    ids: dict[str, set[uuid.UUID]] = defaultdict(set)
    for one in found:
        if one.entra_tenant_id:
            ids[one.customer.lower()].add(one.entra_tenant_id)
    of_two = "rules of the same name have another Azure Tenant Id"
    clear = [
        replace(one, problem=one.problem or of_two) if len(ids[one.customer.lower()]) > 1 else one
        for one in found
    ]
    return sorted(clear, key=lambda one: (one.customer.lower(), one.key))


def _grouped(sbc: Sbc) -> list[Proposal]:
    """One for each tag; rules without a telling one join the only tag that has rules of their name."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    plans: dict[str, set[str]] = defaultdict(set)
    known: Counter[str] = Counter()
    owners: dict[str, set[str]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(_GROUPS, [sbc.id])
        for key, name, plan, number, here, of in cursor:
            counts[key][name] += number
            plans[key].add(plan)
            known[key] += here
            owners[key] |= set(of)
    counts.pop("", None)
    tagged = [key for key in counts if not key.startswith("as:")]
    by_name: dict[str, list[str]] = defaultdict(list)
    for key in tagged:
        for name in counts[key]:
            by_name[name.lower()].append(key)
    joined: dict[str, list[str]] = {key: [key] for key in tagged}
    for key in counts.keys() - joined.keys():
        to = _only(by_name.get(key.removeprefix("as:"), [])) or key
        joined[to] = [*joined.get(to, []), key]
    found = []
    for keys in joined.values():
        all_names = sum((counts[key] for key in keys), Counter[str]())
        of = set().union(*(owners[key] for key in keys))
        found.append(
            Proposal(
                keys=tuple(keys),
                names=tuple(name for name, _ in all_names.most_common()),
                plans=tuple(sorted(set().union(*(plans[key] for key in keys)))),
                rules=all_names.total(),
                known=sum(known[key] for key in keys),
                tenant_id=uuid.UUID(next(iter(of))) if len(of) == 1 else None,
                how="its numbers" if len(of) == 1 else "",
                problem="several customers have its numbers already" if len(of) > 1 else "",
            )
        )
    return found


def _only(tags: Sequence[str]) -> str:
    """The gateway that rules of a name can only belong to, or else the tenant's id; empty where several can be."""
    for kind in ("at:", "id:"):
        same = [tag for tag in tags if tag.startswith(kind)]
        if same:
            return same[0] if len(same) == 1 else ""
    return ""


class _Known:
    """The customers that are here, by everything that tells them."""

    def __init__(self, sbc: Sbc) -> None:
        self.tenants = {
            tenant.id: tenant
            for tenant in Tenant.objects.filter(deleted_at=None).only(
                "id", "name", "domain", "entra_tenant_id"
            )
        }
        self.by_name = {tenant.name.lower(): tenant.id for tenant in self.tenants.values()}
        self.by_entra = {
            each.entra_tenant_id: each.id for each in self.tenants.values() if each.entra_tenant_id
        }
        self.by_domain = {each.domain: each.id for each in self.tenants.values() if each.domain}
        live = CustomDomain.objects.exclude(state=DomainState.REMOVED)
        self.by_domain |= dict(live.values_list("name", "tenant_id"))
        self.sites: dict[tuple[uuid.UUID, str], Site] = {}
        self.by_gateway: dict[str, uuid.UUID] = {}
        self.taken: set[tuple[uuid.UUID | str, str]] = set()
        for site in Site.objects.only("id", "tenant_id", "sbc_id", "name", "gateway"):
            self.taken.add((site.tenant_id, site.name.lower()))
            if site.gateway:
                self.by_gateway[site.gateway] = site.tenant_id
            if site.sbc_id == sbc.id:
                self.sites[site.tenant_id, site.gateway] = site
        self.tagged: dict[uuid.UUID | str, set[uuid.UUID]] = defaultdict(set)
        """Azure Tenant Ids by which a customer, or the name of a new one, has numbers on this SBC already."""
        tags = Prefix.objects.filter(sbc=sbc, tag__iregex=GUID).values_list("tenant_id", "tag").distinct()
        for tenant_id, tag in tags:
            self.tagged[tenant_id].add(uuid.UUID(tag))

    def evidence(self, one: Proposal) -> Iterator[tuple[uuid.UUID, str]]:
        """(customer, by what), the surest first."""
        if one.tenant_id is not None:
            yield one.tenant_id, one.how
        if one.entra_tenant_id in self.by_entra:
            yield self.by_entra[one.entra_tenant_id], "Azure Tenant Id"
        if one.gateway in self.by_gateway:
            yield self.by_gateway[one.gateway], "PSTN Gateway"
        parts = one.gateway.split(".")
        for end in (".".join(parts[at:]) for at in range(len(parts) - 1)):
            if end in self.by_domain:
                yield self.by_domain[end], f"domain {end}"
                break
        if one.names and one.names[0].lower() in self.by_name:
            yield self.by_name[one.names[0].lower()], "name"


def _recognised(sbc: Sbc, found: Iterable[Proposal]) -> Iterator[Proposal]:
    known = _Known(sbc)
    for one in found:
        evidence = [each for each in known.evidence(one) if each[0] in known.tenants]
        tenant_id, how = evidence[0] if evidence else (None, "")
        other = next(((each, by) for each, by in evidence if each != tenant_id), None)
        problem = one.problem
        if other is not None and tenant_id is not None:
            first, second = known.tenants[tenant_id].name, known.tenants[other[0]].name
            problem = f"by its {how} it is of {first}, by its {other[1]} of {second}"
        tenant = known.tenants[tenant_id] if tenant_id else None
        customer = tenant.name if tenant else _title(one)
        here = known.sites.get((tenant.id, one.gateway)) if tenant else None
        site = here.name if here else _free_name(known, tenant.id if tenant else customer.lower(), one)
        if tenant is None and not problem:
            problem = _refused(customer)
        if not problem and one.key.startswith("as:") and how != "its numbers":
            problem = "only the name of its rules tells whose they are"
        yield Proposal(
            keys=one.keys, names=one.names, plans=one.plans, rules=one.rules, known=one.known, problem=problem,
            tenant_id=tenant_id, how=how, customer=customer, site=site, site_id=here.id if here else None,
        )  # fmt: skip


def _title(one: Proposal) -> str:
    return next((name for name in one.names if name), "") or one.gateway.partition(".")[0]


def _free_name(known: _Known, whose: uuid.UUID | str, one: Proposal) -> str:
    """A site's name that the customer has not given yet: that of the rules, or of the gateway."""
    wanted = _NOT_IN_SITE_NAMES.sub("-", _title(one) or "site").strip("-.")[:15]
    wanted = wanted if len(wanted) > 2 else f"{wanted or 'site'}-site"
    number, name = 1, wanted
    while (whose, name.lower()) in known.taken:
        number += 1
        name = f"{wanted[: 14 - len(str(number))]}-{number}"
    known.taken.add((whose, name.lower()))
    return name


def _refused(name: str) -> str:
    """Why no customer can be called so; empty when one can."""
    try:
        clean_name(name)
    except InvalidInput as error:
        return f"the customer's name: {error.fields.get('why', '')}"
    return ""


# --- What taking them over would do -----------------------------------------------------------------------------
def examine(sbc: Sbc, choices: Sequence[Choice]) -> list[Examined]:
    """In the scope of every customer; in few queries, however many there are. Writes nothing."""
    known = _Known(sbc)
    found = [_whose(known, choice) for choice in choices]
    by_key = {key: one for one in found for key in one.choice.proposal.keys}
    keys = list(by_key)
    with connection.cursor() as cursor:
        cursor.execute(_MET, [sbc.id, keys])
        met: dict[int, list[tuple[uuid.UUID, bool, str]]] = defaultdict(list)
        for rule_id, tenant_id, same, name in cursor:
            met[rule_id].append((uuid.UUID(str(tenant_id)), same, name))
        cursor.execute(_RULES, [sbc.id, keys])
        seen: set[tuple[str, str]] = set()
        for rule_id, key, plan, index, name, prefix, tag in cursor:
            one = by_key[key]
            if not one.problem:
                _judge(one, Row(plan, index, name, prefix, tag, _NO_RULE), met.get(rule_id, ()), seen)
    _part(found)
    return found


_NO_RULE = dialplan.Rule(plus=False, length=1, low=0, high=0)


def _whose(known: _Known, choice: Choice) -> Examined:
    """For which customer, and whether that can be."""
    one = Examined(choice)
    one.tenant_id = known.by_name.get(" ".join(choice.customer.split()).lower())
    entra, gateway = choice.proposal.entra_tenant_id, choice.proposal.gateway
    tenant = known.tenants[one.tenant_id] if one.tenant_id else None
    here = known.sites.get((tenant.id, gateway)) if tenant else None
    one.site = here.name if here else choice.site
    if entra and known.by_entra.get(entra, one.tenant_id) != one.tenant_id:
        one.problem = f"its Azure Tenant Id is that of {known.tenants[known.by_entra[entra]].name}"
    elif entra and tenant and tenant.entra_tenant_id not in {None, entra}:
        one.problem = f"{tenant.name} has another Azure Tenant Id"
    elif entra and (others := known.tagged[one.tenant_id or _who(one)] - {entra}):
        one.problem = (
            f"{choice.customer} has numbers of another Azure Tenant Id here: {min(map(str, others))}"
        )
    elif gateway and known.by_gateway.get(gateway, one.tenant_id) != one.tenant_id:
        one.problem = f"its gateway is that of {known.tenants[known.by_gateway[gateway]].name}"
    elif tenant is None:
        one.problem = _refused(choice.customer)
    if entra and not one.problem:  # whoever comes later in the list, with another id, is not the same
        known.tagged[one.tenant_id or _who(one)].add(entra)
    return one


def _judge(
    one: Examined, row: Row, met: Sequence[tuple[uuid.UUID, bool, str]], seen: set[tuple[str, str]]
) -> None:
    """Whether this rule can become a prefix of the site."""
    if any(same and tenant_id == one.tenant_id for tenant_id, same, _ in met):
        one.there += 1
        return
    try:
        # Taken over as it stands, also where the portal itself would write the same numbers otherwise.
        rule, why = dialplan.parse(row.prefix, needs_plus=row.plan not in WITHOUT_PLUS), ""
    except GrammarError as error:
        rule, why = _NO_RULE, str(error)
    other = next((name for tenant_id, _, name in met if tenant_id != one.tenant_id), "")
    if not why and other:
        why = f"it shares numbers with a prefix of {other}"
    if not why and (row.plan, row.prefix) in seen:
        why = "it is there twice"
    if not why and not 0 < len(row.name) <= LONGEST_NAME:
        why = f"its name has not 1 to {LONGEST_NAME} characters"
    if why:
        one.left.append((f"{row.plan} {row.prefix}", why))
        return
    seen.add((row.plan, row.prefix))
    one.take.append(Row(row.plan, row.index, row.name, row.prefix, row.tag, rule))


def _part(found: Sequence[Examined]) -> None:
    """Of two customers' rules that share numbers, the one that is later in the list is left out."""
    by_plan: dict[str, list[tuple[Examined, Row]]] = defaultdict(list)
    for one in found:
        for row in one.take:
            by_plan[row.plan].append((one, row))
    for plan, rows in by_plan.items():
        out: set[int] = set()
        pairs = itertools.islice(rules.overlaps([row.prefix for _, row in rows]), MOST_OVERLAPS)
        for first, second in pairs:  # the database refuses what is beyond
            (one, mine), (other, theirs) = rows[first], rows[second]
            if first in out or second in out or _who(one) == _who(other):
                continue
            out.add(second)
            other.take.remove(theirs)
            why = f"it shares numbers with {mine.prefix} of {one.choice.customer}"
            other.left.append((f"{plan} {theirs.prefix}", why))


def _who(one: Examined) -> str:
    return " ".join(one.choice.customer.split()).lower()


def chosen(all_: Sequence[Proposal], wanted: Mapping[str, tuple[str, str]]) -> list[Choice]:
    """The proposals of these refs with the customer and site that were typed; refs that are none are left out."""
    return [Choice(one, *wanted[one.ref]) for one in all_ if one.ref in wanted]


def ready(all_: Sequence[Proposal]) -> list[Choice]:
    """All that need no decision."""
    return [Choice(one, one.customer, one.site) for one in all_ if one.state in {"existing", "new"}]


def host_of(choice: Choice) -> str:
    """The gateway in normal form; empty for what is no host name."""
    try:
        return names.checked(choice.proposal.gateway, field="gateway") if choice.proposal.gateway else ""
    except InvalidInput:
        return ""
