"""Import Customers of one SBC: what its rules propose, what was ticked, and what that would do."""

import dataclasses
import uuid
from collections import Counter
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import again
from replication.models import OPEN, Command
from sbc import selectors
from sbc.models import Link, Sbc
from sites import import_services, importing
from sites.importing import Choice, Proposal
from tenants import licences, scope, tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.models import Plan
from tenants.web import actor_of, provider_view

STATES = {
    "new": ("info", "New", "building-2"),
    "existing": ("ok", "Known", ""),
    "unclear": ("warn", "Decide", ""),
    "imported": ("neutral", "Imported", "check"),
}
WHY = "proposals are compared with every customer"


@dataclasses.dataclass(frozen=True)
class Row:
    """A proposal as it is shown."""

    one: Proposal

    @property
    def chip(self) -> tuple[str, str, str, str]:
        """Tone, word, tooltip and icon."""
        tone, word, icon = STATES[self.one.state]
        by = f"recognised by {self.one.how}" if self.one.how else ""
        return tone, word, self.one.problem or by, icon

    @property
    def leads_to(self) -> str:
        return self.one.gateway or str(self.one.entra_tenant_id or "")


@provider_view(needs=Ability.MANAGE_SBC)
def index(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """What the rules that were read last propose (SBC-10)."""
    sbc = selectors.sbc(sbc_id)
    with scope.every(WHY):
        found = importing.proposals(sbc) if sbc.rules_read_at else []
        last = _last(sbc)
    counts = Counter(one.state for one in found)
    state = tables.choice_of(request.GET, "state", STATES)
    shown = [one for one in found if (not state or one.state == state) and _fits(one, request)]
    page = tables.page_of(request.GET, shown, bounded=False)
    filters = tables.filters(request.GET, {"state": ("Customers", [(key, STATES[key][1]) for key in STATES])})
    reading = selectors.reading_of(sbc)
    context = {
        "sbc": sbc,
        "url": f"/sbcs/{sbc.uid}/import/",
        "page": page,
        "rows": [Row(one) for one in page],
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "counts": [(STATES[key], counts[key], f"?state={key}") for key in STATES],
        "ready": counts["new"] + counts["existing"],
        "last": last,
        "lines": (last.result.get("why") or [])[:50] if last else [],
        "busy": (last is not None and last.state in OPEN) or selectors.is_open(reading),
        "may_refresh": sbc.secret_id is not None and sbc.link != Link.REFUSED,
        "may_add": actor_of(request).may(Ability.ADD_TENANT),
        "bulk_actions": [{"label": "Preview", "url": f"/sbcs/{sbc.uid}/import/preview/", "icon": "eye"}],
    }
    return render(request, "sites/import.html", context)


def _fits(one: Proposal, request: HttpRequest) -> bool:
    search = tables.search_of(request.GET).lower()
    return not search or any(search in text.lower() for text in (one.customer, one.site, one.key, *one.names))


def _last(sbc: Sbc) -> Command | None:
    """The newest import of this SBC."""
    found = Command.objects.filter(tenant=None, kind=import_services.IMPORT)
    return found.filter(target__startswith=f"{sbc.id}/").order_by("-id").first()


@provider_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def preview(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """What taking over those that were ticked would do, or all that are ready; asks before it is done."""
    return _asked(request, selectors.sbc(sbc_id))


def _asked(request: HttpRequest, sbc: Sbc) -> HttpResponse:
    with scope.every(WHY):
        found = importing.proposals(sbc)
        whole = _given(request, "all") != ""
        choices = importing.ready(found) if whole else _ticked(request, found)
        context = _of_all(choices) if whole else _of_each(sbc, choices)
    makes: int = context["makes"]
    left = licences.pools().available_customers
    context |= {
        "title": f"Import Customers from {sbc.name}",
        "sbc": sbc,
        "whole": whole,
        "choices": [] if whole else choices,
        "plans": Plan.choices,
        "short": makes - max(0, left),
        "licences": left,
        "submit": "Import",
        "form_action": f"/sbcs/{sbc.uid}/import/apply/",
        "cancel_url": f"/sbcs/{sbc.uid}/import/",
    }
    return render(request, "sites/import_preview.html", context)


def _ticked(request: HttpRequest, found: list[Proposal]) -> list[Choice]:
    sent = request.POST.getlist("id") if request.method == "POST" else again.ticked(request)
    refs = sent[: import_services.MOST]
    wanted = {ref: (_given(request, f"customer-{ref}"), _given(request, f"site-{ref}")) for ref in refs}
    return importing.chosen(found, wanted)


def _given(request: HttpRequest, field: str) -> str:
    """What was sent, or what had been when the sign-in turned out to be too old."""
    sent: Mapping[str, str] = request.POST if request.method == "POST" else again.typed(request)
    return str(sent.get(field, "")).replace("\0", "").strip()[:200]


def _of_each(sbc: Sbc, choices: list[Choice]) -> dict[str, Any]:
    examined = importing.examine(sbc, choices)
    good = [one for one in examined if one.good]
    new = {one.choice.customer.lower() for one in good if one.tenant_id is None}
    return {
        "examined": examined,
        "good": len(good),
        "makes": len(new),
        "prefixes": sum(len(one.take) for one in good),
        "left": sum(len(one.left) for one in examined),
    }


def _of_all(choices: list[Choice]) -> dict[str, Any]:
    new = {one.customer.lower() for one in choices if one.proposal.tenant_id is None}
    rules = sum(one.proposal.rules - one.proposal.known for one in choices)
    return {"examined": [], "good": len(choices), "makes": len(new), "prefixes": rules, "left": None}


@provider_view(needs=Ability.MANAGE_SBC, methods=("GET", "HEAD", "POST"), fresh=True)
def apply(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """Queue what was previewed; after a late sign-in, show it once more."""
    sbc = selectors.sbc(sbc_id)
    if request.method == "GET":
        return _asked(request, sbc) if again.typed(request) else SeeOther(f"/sbcs/{sbc.uid}/import/")
    choices: list[Choice] = []
    if "all" not in request.POST:
        with scope.every(WHY):
            choices = _ticked(request, importing.proposals(sbc))
        if not choices:
            return SeeOther(f"/sbcs/{sbc.uid}/import/")
    plan = Plan(tables.choice_of(request.POST, "plan", Plan.values) or Plan.ESSENTIALS)
    command = import_services.request(actor_of(request), sbc, request.POST.get("digest", ""), choices, plan)
    return SeeOther(f"/queue/{command.id}/")
