"""Show Prefixes of one SBC, and the search over all of them."""

import dataclasses
import uuid
from typing import Any

from django.core.paginator import Page
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh

from sbc import prefixes, selectors, services
from sbc.models import Link, Rule, Sbc
from sbc.views import BASE, EVERY
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.web import actor_of, provider_view

ORDERS = {
    "plan": ["plan", "index", "id"],
    "index": ["index", "id"],
    "name": ["name", "id"],
    "prefix": ["prefix", "id"],
    "tag": ["tag", "id"],
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A rule, and what it has to do with the number that was searched for."""

    rule: Rule
    wins: bool
    takes: bool | None
    """None: perhaps."""
    owner: prefixes.Owner | None
    """None: the portal did not write it."""


@provider_view(needs=Ability.VIEW_PROVIDER)
def of_sbc(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """The rules of one device as they were read last (SBC-15)."""
    sbc = selectors.sbc(sbc_id)
    plans: list[str] = sbc.rules_told.get("plans", [])
    plan = tables.choice_of(request.GET, "plan", plans)
    command = selectors.reading_of(sbc)
    filters = tables.filters(request.GET, {"plan": ("DialPlan", [(name, name) for name in plans])})
    context = {
        **_list(request, sbc, plan),
        "sbc": sbc,
        "shown": f"{sbc.fqdn or sbc.name} [{sbc.host}]",
        "url": f"{BASE}{sbc.uid}/prefixes/",
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "busy": selectors.is_open(command),
        "every": EVERY,
        "command": command,
        "may_refresh": _may_refresh(request, sbc),
    }
    return render(request, "sbc/prefixes.html", context)


def _may_refresh(request: HttpRequest, sbc: Sbc) -> bool:
    reachable = sbc.secret_id is not None and sbc.link != Link.REFUSED
    return reachable and actor_of(request).may(Ability.MANAGE_SBC)


@provider_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def refresh(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """Refresh From Sbc."""
    sbc = selectors.sbc(sbc_id)
    services.read_prefixes(actor_of(request), sbc)
    return SeeOther(f"{BASE}{sbc.uid}/prefixes/")


@provider_view(needs=Ability.VIEW_PROVIDER)
def live(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """How the reading goes; the whole page comes again when it is over."""
    command = selectors.reading_of(selectors.sbc(sbc_id))
    if not selectors.is_open(command):
        return HttpResponseClientRefresh()
    return render(request, "sbc/prefixes_live.html", {"command": command})


@provider_view(needs=Ability.VIEW_PROVIDER)
def everywhere(request: HttpRequest) -> HttpResponse:
    """Who has a number: the rules of all devices, by number or by words."""
    unread = selectors.sbcs().filter(rules_read_at=None)
    context = {
        **_list(request, None, ""),
        "url": "/prefixes/",
        "filters": [],
        "chips": tables.chips(request.GET, []),
        "unread": list(unread[:20]),
        "any": selectors.sbcs().exists(),
    }
    return render(request, "sbc/prefixes_everywhere.html", context)


def _list(request: HttpRequest, sbc: Sbc | None, plan: str) -> dict[str, Any]:
    search = tables.search_of(request.GET)
    sort, order = tables.order_of(request.GET, ORDERS, "plan")
    found = prefixes.of(sbc, search, plan).select_related("sbc").order_by(*order)
    page: Page[Rule] = tables.page_of(request.GET, found)
    wins = prefixes.winners(search, found) if search else set()
    number = prefixes.number_of(search) if search else None
    whose = prefixes.owners(list(page))
    rows = [
        Row(
            rule,
            rule.id in wins,
            prefixes.takes(rule, number) if number is not None else True,
            whose.get(rule.id),
        )
        for rule in page
    ]
    return {"page": page, "rows": rows, "sort": sort, "number": number, "noun": tables.noun(page)}
