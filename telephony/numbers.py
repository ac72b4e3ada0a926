"""What a number is in our words, and whether the customer's own rules on the SBCs take it.

Microsoft says what it assigned; the devices' rules (`sbc.Rule`) say where a call goes. A number only rings where both
agree, so both are shown, and where they disagree comes first.
"""

import dataclasses
import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import reduce
from operator import or_
from typing import Any

from django.conf import settings
from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    TextChoices,
    Value,
    When,
)
from django.db.models.functions import JSONObject, Length, Now

from directory import browse
from directory.models import LISTED, DirectoryUser
from domains.models import CustomDomain, DomainState
from replication.words import Chip
from sbc.models import Rule, Sbc
from sites.models import Site
from telephony.intervals import digits_of
from telephony.models import HoldKind, NumberHold, NumberKind, PhoneNumber
from tenants.models import Tenant

Taken = dict[tuple[uuid.UUID, uuid.UUID], list[Rule]]
"""By customer and number: the rules that take it."""
MOST_RULES = 2_000
"""Rules that are compared for one page of numbers."""


class State(TextChoices):
    """What may be done with a number."""

    ASSIGNED = "assigned", "Assigned"
    FREE = "free", "Free"
    COOLING = "cooling", "Cooling"
    RESERVED = "reserved", "Reserved"
    BLOCKED = "blocked", "Blocked"


BLOCKED = (
    Q(activation__in=["assignmentFailed", "updateFailed"])
    | Q(status="internalError")
    | Q(kind="internalError")
)
_USABLE = Q(capabilities__contains="userAssignment") | Q(capabilities__contains="voiceApplicationAssignment")
IN_FORCE = Q(until=None) | Q(until__gt=Now())
"""Of reservations and blocks: one that is over counts no more, before the sweeper takes it away."""
RESERVED = Q(port_in="firmOrderCommitmentAccepted") | Q(activation="assignmentPending") | ~_USABLE
_TONES = {
    State.ASSIGNED: "ok",
    State.FREE: "info",
    State.COOLING: "neutral",
    State.RESERVED: "neutral",
    State.BLOCKED: "bad",
}
_ICONS = {State.FREE: "circle", State.COOLING: "snowflake", State.RESERVED: "lock"}


def cooling() -> dt.timedelta:
    """How long a number rests after it was in use."""
    return dt.timedelta(days=settings.NUMBER_COOLING_DAYS)


def of(tenant: Tenant | None = None) -> QuerySet[Any]:
    """Numbers of one customer, or of all in the scope in force, each with its `state`, and what people `held` it for.

    The hold is looked up where it can matter only: most numbers are assigned.
    """
    rows: QuerySet[Any] = PhoneNumber.objects.filter(LISTED, tenant__deleted_at=None)
    if tenant is not None:
        rows = PhoneNumber.objects.filter(LISTED, tenant=tenant)
    assigned = ~Q(status__in=["unassigned", "", "internalError"])
    holds = NumberHold.objects.filter(
        IN_FORCE, tenant=OuterRef("tenant_id"), span__contains=OuterRef("place")
    ).order_by()
    held = Subquery(holds.values("kind")[:1])
    state = Case(
        When(BLOCKED, then=Value(State.BLOCKED)),
        When(assigned, then=Value(State.ASSIGNED)),
        When(held=HoldKind.BLOCKED, then=Value(State.BLOCKED)),
        When(RESERVED, then=Value(State.RESERVED)),
        When(held=HoldKind.RESERVED, then=Value(State.RESERVED)),
        When(freed_at__gt=Now() - cooling(), then=Value(State.COOLING)),
        default=Value(State.FREE),
        output_field=CharField(),
    )
    found: QuerySet[Any] = rows.annotate(held=held).annotate(state=state)
    return found


def found(rows: QuerySet[Any], *, search: str = "", state: str = "", kind: str = "") -> QuerySet[Any]:
    """By digits of the number, or by the name of who has it or its city."""
    if search:
        rows = rows.filter(_matching(search))
    if state:
        rows = rows.filter(state=state)
    return rows.filter(kind=kind) if kind else rows


def _matching(search: str) -> Q:
    digits = digits_of(search)
    if digits and not any(sign.isalpha() for sign in search):
        return Q(search__contains=digits)
    people = DirectoryUser.objects.filter(LISTED, browse.matching(search))
    return Q(search__contains=search.lower()) | Q(target_id__in=people.values("object_id"))


# --- On the SBC ---------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Own:
    """How a customer's own rules are told from others': by their tags (facts/audiocodes.md, criteria of numbers)."""

    tags: frozenset[str]

    @property
    def rules(self) -> QuerySet[Rule]:
        """The customer's rules on all devices that take international numbers."""
        same: Q = reduce(or_, (Q(tag__iexact=tag) for tag in sorted(self.tags)), Q(pk=None))
        return Rule.objects.filter(same).exclude(plus=False)


def own_rules(tenants: Iterable[Tenant]) -> dict[uuid.UUID, Own]:
    """For each of these customers: Microsoft's id and ours, its sites' gateways and its domains; one query.

    Of domains those only that are ready: another's rules may carry a name that was given up, or is merely claimed.
    """
    tags: dict[uuid.UUID, set[str]] = defaultdict(set)
    listed = list(tenants)
    for tenant in listed:
        tags[tenant.id] |= {
            str(tenant.id),
            *([str(tenant.entra_tenant_id)] if tenant.entra_tenant_id else []),
        }
    ids = [tenant.id for tenant in listed]
    gateways = Site.objects.filter(tenant_id__in=ids).exclude(gateway="").values_list("tenant_id", "gateway")
    ready = CustomDomain.objects.filter(tenant_id__in=ids, state=DomainState.READY)
    names = ready.values_list("tenant_id", "name")
    for tenant_id, tag in gateways.order_by().union(names.order_by(), all=True):
        tags[tenant_id].add(tag.lower())
    return {tenant_id: Own(frozenset(each)) for tenant_id, each in tags.items()}


def with_rules(rows: QuerySet[Any], own: Own) -> QuerySet[Any]:
    """Each with `on_sbc`, and with `mismatch`: assigned at Microsoft, and no rule takes it."""
    astray = Q(on_sbc=False, state=State.ASSIGNED, kind=NumberKind.DIRECT_ROUTING)
    found: QuerySet[Any] = rows.annotate(on_sbc=Exists(_takes(own))).annotate(
        mismatch=ExpressionWrapper(astray, output_field=BooleanField())
    )
    return found


def with_sbc(rows: QuerySet[Any], own: Own) -> QuerySet[Any]:
    """Each with `sbc`, the name and uid of the first device whose rule takes it, or None; for a page of them."""
    first = _takes(own).order_by("id").values(told=JSONObject(name="sbc__name", uid="sbc__uid"))
    found: QuerySet[Any] = rows.annotate(sbc=Subquery(first[:1]))
    return found


def _takes(own: Own) -> QuerySet[Rule]:
    """The customer's rules that take a number of an outer query."""
    return own.rules.filter(
        span__contains=OuterRef("place"), longest__gte=Length(OuterRef("number")) - 1
    ).order_by()


def rules(tenant: Tenant, own: Own) -> QuerySet[Any]:
    """The customer's rules; first those that are `unknown`: Microsoft has no number in their span."""
    known = PhoneNumber.objects.filter(LISTED, tenant=tenant, place__contained_by=OuterRef("span")).order_by()
    unknown = ExpressionWrapper(~Exists(known) & Q(span__isempty=False), output_field=BooleanField())
    return own.rules.annotate(unknown=unknown).select_related("sbc").order_by("-unknown", "prefix", "id")


def rules_of(rows: Iterable[PhoneNumber], own: Mapping[uuid.UUID, Own]) -> Taken:
    """The rules that take each of these numbers, by customer and number; one query."""
    listed = list(rows)
    if not listed:
        return {}
    touching = reduce(or_, (Q(span__contains=one.place) for one in listed))
    rules = list(
        Rule.objects.filter(touching).exclude(plus=False).select_related("sbc").order_by("id")[:MOST_RULES]
    )
    taken: Taken = {}
    for one in listed:
        tags = own[one.tenant_id].tags
        taken[one.tenant_id, one.object_id] = [
            rule
            for rule in rules
            if rule.tag.lower() in tags and one.place in rule.span and rule.longest >= len(one.number) - 1
        ]
    return taken


def rules_read() -> bool:
    """Whether the rules of any SBC were read, so that anything can be said about them."""
    return Sbc.objects.filter(rules_read_at__isnull=False).exists()


def with_holders(rows: QuerySet[Any]) -> QuerySet[Any]:
    """Each with `holder_name` and `holder_address`, for an answer that is sent while it is read."""
    user = DirectoryUser.objects.filter(
        tenant_id=OuterRef("tenant_id"), object_id=OuterRef("target_id")
    ).order_by()
    found: QuerySet[Any] = rows.annotate(
        holder_name=Subquery(user.values("display_name")[:1]),
        holder_address=Subquery(user.values("user_principal_name")[:1]),
    )
    return found


# --- In words -----------------------------------------------------------------------------------------------
def chip(one: PhoneNumber, held: str = "") -> Chip:
    """The state of a number that came from `of`; `held` is why people keep it back (telephony.holds.words)."""
    state = State(getattr(one, "state"))  # noqa: B009  an annotation
    return Chip(_TONES[state], state.label, _hint(one, state, held), _ICONS.get(state, ""))


def _hint(one: PhoneNumber, state: State, held: str) -> str:
    if held:
        return held if state in {State.RESERVED, State.BLOCKED} else f"{_said(one, state)}. {held}"
    return _said(one, state)


def _said(one: PhoneNumber, state: State) -> str:
    """Microsoft's side of it."""
    if state == State.ASSIGNED:
        words = {
            "conferenceAssigned": "Microsoft uses it for audio conferencing",
            "voiceApplicationAssigned": "A resource account has it: an auto attendant or a call queue",
            "thirdPartyAppAssigned": "An app has it",
            "policyAssigned": "A policy has it",
        }
        return words.get(one.status, "A user has it")
    if state == State.BLOCKED:
        return f"Microsoft reports that it cannot be used: {one.activation or one.status}"
    if state == State.RESERVED:
        if one.port_in == "firmOrderCommitmentAccepted":
            return "It is on its way from another operator and cannot be used yet"
        if one.activation == "assignmentPending":
            return "An order for it is under way at Microsoft"
        return "It cannot be given to users or resource accounts"
    if state == State.COOLING and one.freed_at is not None:
        return (
            f"It was in use until {one.freed_at:%d %b %Y}, and rests for {settings.NUMBER_COOLING_DAYS} days"
        )
    return "Nobody has it"


ORDERS = {
    "number": ["search", "object_id"],
    "state": ["state", "search", "object_id"],
    "kind": ["kind", "search", "object_id"],
    "changed": ["changed_at", "object_id"],
}
FIRST = [F("mismatch").desc(), F("search").asc(), F("object_id").asc()]
"""Where the two sides disagree first."""
