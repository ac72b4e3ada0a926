"""Numbers of one customer and of all, with who has them and whether the SBCs agree; and reading them now."""

import dataclasses
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from directory.browse import as_uuid
from replication import services as queue
from replication import words as queue_words
from replication.words import Chip
from telephony import holds, numbers, ranges, selectors
from telephony.commands import KINDS
from telephony.models import NumberHold, NumberKind, NumberRange, PhoneNumber, Stream
from telephony.numbers import State
from telephony.selectors import Holder
from tenants import offers, tables
from tenants import selectors as customers
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.models import Tenant
from tenants.web import actor_of, list_view, tenant_view

CHOICES: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "state": ("State", State.choices),
    "kind": ("Type", NumberKind.choices),
}
SBC_CHOICES = [("yes", "On the SBC"), ("no", "Not on the SBC"), ("mismatch", "Where they disagree")]
HEAD = (
    "Number",
    "State",
    "Type",
    "Assigned to",
    "User principal name",
    "On the SBC",
    "Country",
    "City",
    "Changed",
)
MOST_UNKNOWN = 20
MOST_POOLS = 100
"""Ranges that the filter offers."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A number with what belongs to it."""

    number: PhoneNumber
    chip: Chip
    holder: Holder | None
    sbc: Any
    """The device whose rule takes it, with name and uid."""
    mismatch: bool = False
    read_at: dt.datetime | None = None
    held: str = ""
    """Reserved or Blocked, by people."""

    @property
    def actions(self) -> list[dict[str, Any]]:
        """Of its menu."""
        names = (("release", "Release", "lock-open"),) if self.held else (
            ("reserve", "Reserve", "lock"), ("block", "Block", "ban"))  # fmt: skip
        one = self.number
        base = f"/tenants/{one.tenant_id}/numbers"
        return [
            {"label": word, "url": f"{base}/{name}/?number={one.object_id}", "icon": icon, "modal": True}
            for name, word, icon in names
        ]

    @property
    def kind(self) -> str:
        return str(dict(NumberKind.choices).get(self.number.kind, self.number.kind))


# --- One customer -------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def of_tenant(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    own, pools = _own(tenant), ranges.every(tenant)
    rules = list(numbers.rules(tenant, own)[: MOST_UNKNOWN + 1])
    shown = tables.filters(
        request.GET,
        CHOICES | ({"sbc": ("SBC", SBC_CHOICES)} if rules else {}) | {"range": ("Range", _names(pools))},
    )
    sort, order = tables.order_of(request.GET, numbers.ORDERS, "number")
    first = numbers.FIRST if rules and "sort" not in request.GET else order
    found = numbers.with_sbc(numbers.with_holders(_listed(request, tenant, own, ruled=bool(rules))), own)
    page = tables.page_of(request.GET, found.order_by(*first), bounded=False)
    held = holds.meeting(tenant, pools, page)
    context = {
        "tenant": tenant,
        "page": page,
        "rows": _rows(page, held, ruled=bool(rules)),
        "base": request.path,
        "sort": sort if "sort" in request.GET or not rules else "",
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "read": rules or numbers.rules_read(),
        "ruled": bool(rules),
        "unknown": [rule for rule in rules if rule.unknown][:MOST_UNKNOWN],
        "more_unknown": sum(rule.unknown for rule in rules) > MOST_UNKNOWN,
        "for_provider": actor_of(request).may(Ability.VIEW_PROVIDER),
        "bulk_actions": hold_actions(actor_of(request), tenant),
        **_figures(tenant, own, pools, held, ruled=bool(rules)),
        **freshness(request, tenant, Stream.NUMBERS),
    }
    return render(request, "telephony/numbers.html", context)


def listed(request: HttpRequest, tenant: Tenant) -> Any:
    """A customer's numbers as the list's search and filters ask for."""
    own = _own(tenant)
    return _listed(request, tenant, own, ruled=own.rules.exists())


def _own(tenant: Tenant) -> numbers.Own:
    return numbers.own_rules([tenant])[tenant.id]


def _listed(request: HttpRequest, tenant: Tenant, own: numbers.Own, *, ruled: bool) -> Any:
    """`ruled`: whether an SBC has rules of the customer."""
    found = wanted(request, numbers.with_rules(numbers.of(tenant), own), ruled=ruled)
    chosen = as_uuid(request.GET.get("range", ""))
    if chosen is not None:
        low, high = ranges.envelope([ranges.get(tenant, chosen)])
        found = found.filter(place__gte=low, place__lt=high)
    return found


def _names(pools: Iterable[NumberRange]) -> list[tuple[str, str]]:
    """(id, name) of the ranges to choose from."""
    return [(str(row.uid), row.name) for row in sorted(pools, key=lambda row: row.name)[:MOST_POOLS]]


def wanted(request: HttpRequest, rows: Any, *, ruled: bool) -> Any:
    """Those of these numbers that the list's search and filters ask for."""
    params = request.GET
    found = numbers.found(
        rows,
        search=tables.search_of(params),
        state=tables.choice_of(params, "state", State.values),
        kind=tables.choice_of(params, "kind", NumberKind.values),
    )
    asked = tables.choice_of(params, "sbc", dict(SBC_CHOICES)) if ruled else ""
    if asked:
        found = found.filter(mismatch=True) if asked == "mismatch" else found.filter(on_sbc=asked == "yes")
    return found


def _rows(page: Iterable[Any], held: Iterable[NumberHold], *, ruled: bool) -> list[Row]:
    """Of numbers with holders and SBCs (`numbers.with_holders`, `numbers.with_sbc`)."""
    every = list(page)
    holding = holds.by_number(every, held)
    return [
        _row(one, holding.get((one.tenant_id, one.object_id)), sbc=one.sbc, mismatch=ruled and one.mismatch)
        for one in every
    ]


def _row(one: Any, hold: NumberHold | None, *, sbc: Any, mismatch: bool = False, **about: Any) -> Row:
    return Row(
        one,
        numbers.chip(one, holds.words(hold) if hold else ""),
        selectors.holder_of(one),
        sbc,
        mismatch,
        held=hold.get_kind_display() if hold else "",
        **about,
    )


def hold_actions(actor: Actor, tenant: Tenant) -> list[dict[str, Any]]:
    """For partials/bulk_bar.html: what this person may do with ticked numbers."""
    if not actor.may(Ability.MANAGE_NUMBERS, tenant.id) or not offers.offered(tenant, "number_ranges")[0]:
        return []
    acts = (("reserve", "Reserve", "lock"), ("block", "Block", "ban"), ("release", "Release", "lock-open"))
    return [
        {"label": word, "url": f"/tenants/{tenant.id}/numbers/{name}/", "icon": icon}
        for name, word, icon in acts
    ]


def _figures(
    tenant: Tenant,
    own: numbers.Own,
    pools: Sequence[NumberRange],
    held: Iterable[NumberHold],
    *,
    ruled: bool,
) -> dict[str, Any]:
    """How many numbers are in each state, how many the SBCs miss, and which ranges are nearly used up; one query."""
    told = {"numbers": Count("object_id"), "astray": Count("object_id", filter=Q(mismatch=True))}
    groups = ranges.counted(numbers.with_rules(numbers.of(tenant), own), pools, **told)
    in_state: Counter[str] = Counter()
    for group in groups:
        in_state[group["state"]] += group["numbers"]
    figures = ranges.figured(pools, groups, held)
    return {
        "totals": [(state.value, state.label, in_state[state.value]) for state in State],
        "astray": sum(group["astray"] for group in groups) if ruled else 0,
        "low": [(row, figures[row.id]) for row in pools if figures[row.id].few],
    }


def freshness(request: HttpRequest, tenant: Tenant, stream: Stream) -> dict[str, Any]:
    """How old the stream is, its last command, and whether this person may have it read now."""
    connection = customers.connection_of(tenant)
    age = selectors.age(tenant, stream, connection)
    may = actor_of(request).may(Ability.REPLICATE, tenant.id)
    unread = customers.why_unread(tenant, connection)
    return {
        "age": age,
        "latest": queue_words.named(age.latest) if age.latest else None,
        "may_read": may and not age.why and not unread,
        "why_unread": age.why or (unread if may else ""),
    }


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def of_tenant_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    rows = numbers.with_holders(listed(request, tenant)).order_by("search", "object_id")
    batches = tables.in_batches(rows, _behind)
    return tables.csv_answer("numbers", HEAD, ([_line(one) for one in batch] for batch in batches))


def _line(one: PhoneNumber) -> list[object]:
    """Of a row that came from `numbers.with_holders`."""
    row: Any = one
    on_sbc = getattr(row, "on_sbc", None)
    return [
        one.number,
        State(row.state).label,
        dict(NumberKind.choices).get(one.kind, one.kind),
        row.holder_name or one.target_id,
        row.holder_address,
        "" if on_sbc is None else ("yes" if on_sbc else "no"),
        one.country,
        one.city,
        one.changed_at,
    ]


def _behind(last: PhoneNumber) -> Q:
    return Q(search__gt=last.search) | Q(search=last.search, object_id__gt=last.object_id)


@tenant_view(needs=Ability.REPLICATE, methods=("POST",))
def read(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Users, policies and numbers once more from Microsoft."""
    with transaction.atomic():
        commands = [queue.submit(actor_of(request), kind, tenant) for kind in KINDS.values()]
    return SeeOther(f"/tenants/{tenant.id}/commands/{commands[-1].id}/")


# --- All customers ------------------------------------------------------------------------------------------
@list_view(needs=Ability.VIEW_DIRECTORY)
def everywhere(request: HttpRequest) -> HttpResponse:
    """Whose number is it: those of all customers that this person may see."""
    shown = tables.filters(request.GET, CHOICES)
    found = numbers.with_holders(wanted(request, numbers.of().select_related("tenant"), ruled=False))
    sort, order = tables.order_of(request.GET, numbers.ORDERS, "number")
    page = tables.page_of(request.GET, found.order_by(*order, "tenant_id"))
    own = numbers.own_rules({one.tenant_id: one.tenant for one in page}.values())
    context = {
        "page": page,
        "rows": _rows_of_all(page, own),
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "base": request.path,
        "read": numbers.rules_read(),
        "any": numbers.of().exists(),
        "noun": tables.noun(page, "numbers"),
        "for_provider": actor_of(request).may(Ability.VIEW_PROVIDER),
    }
    return render(request, "telephony/everywhere.html", context)


def _rows_of_all(page: Iterable[Any], own: Mapping[Any, numbers.Own]) -> list[Row]:
    every = list(page)
    taken, holding = numbers.rules_of(every, own), holds.of_numbers(every)
    read_at = selectors.read_at(own, Stream.NUMBERS)
    found = []
    for one in every:
        key = one.tenant_id, one.object_id
        sbc = taken[key][0].sbc if taken[key] else None
        found.append(_row(one, holding.get(key), sbc=sbc, read_at=read_at.get(one.tenant_id)))
    return found


@list_view(needs=Ability.VIEW_DIRECTORY)
def everywhere_csv(request: HttpRequest) -> HttpResponseBase:
    found = wanted(request, numbers.of().select_related("tenant"), ruled=False)
    rows = numbers.with_holders(found).order_by("search", "object_id", "tenant_id")
    batches = tables.in_batches(rows, _behind_everywhere)
    head = ("Customer", *HEAD)
    return tables.csv_answer(
        "numbers", head, ([[one.tenant.name, *_line(one)] for one in batch] for batch in batches)
    )


def _behind_everywhere(last: PhoneNumber) -> Q:
    same = Q(search=last.search, object_id=last.object_id, tenant_id__gt=last.tenant_id)
    return _behind(last) | same
