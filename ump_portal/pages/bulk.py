"""Acts on many customers: first how many and which, then each by itself, then what became of each (B 25)."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.again import ticked
from authstatus import services as authstatus
from core.errors import UmpError
from replication import services as queue
from replication import words
from replication.models import Command
from tenants import scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.models import Connection, Tenant
from tenants.selectors import connections_of, tenants
from tenants.web import actor_of, list_view
from ump_portal.pages.tenants import matching, parse_ids

MOST = 500
"""As many at a time as an answer can still be waited for; the result leads to the next ones."""
KEPT = "tenants_bulk"
WRITES = ("GET", "HEAD", "POST")


@dataclasses.dataclass(frozen=True)
class Act:
    """What is done to each, in words, and for whom it makes no sense."""

    word: str
    explains: str
    does: Callable[[Actor, Tenant], Command | None]
    not_for: Callable[[Tenant, Connection | None], str]


def _replicate(actor: Actor, tenant: Tenant) -> Command | None:
    return queue.submit(actor, "quick_replication", tenant)


def _check(actor: Actor, tenant: Tenant) -> Command | None:
    return authstatus.check(actor, tenant)


def _pause(actor: Actor, tenant: Tenant) -> Command | None:
    queue.pause_tenant(actor, tenant, paused=True)
    return None


def _not_replicated(tenant: Tenant, connection: Connection | None) -> str:
    if connection is None or not connection.usable:
        return "its credentials are not verified"
    if tenant.paused_at:
        return "it is paused"
    return "" if tenant.enabled else "it is disabled"


def _not_checked(tenant: Tenant, connection: Connection | None) -> str:
    if connection is None:
        return "it is not connected"
    return "" if tenant.enabled else "it is disabled"


def _not_paused(tenant: Tenant, connection: Connection | None) -> str:
    return "it is paused already" if tenant.paused_at else ""


ACTS: Mapping[str, Act] = MappingProxyType(
    {
        "replicate": Act(
            "Queue Replication",
            "One quick replication joins the queue for each. One that waits already is joined, not doubled.",
            _replicate,
            _not_replicated,
        ),
        "check": Act(
            "Check Credentials",
            "One check joins the queue for each: a fresh token, one harmless look. Nothing is changed at Microsoft.",
            _check,
            _not_checked,
        ),
        "pause": Act(
            "Pause",
            "None of their commands starts until somebody resumes them. It can be undone at any time.",
            _pause,
            _not_paused,
        ),
    }
)


@list_view(needs=Ability.REPLICATE, methods=WRITES)
def replicate(request: HttpRequest) -> HttpResponse:
    return _bulk(request, "replicate")


@list_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
def check(request: HttpRequest) -> HttpResponse:
    return _bulk(request, "check")


@list_view(needs=Ability.PAUSE_TENANT, methods=WRITES, fresh=True)
def pause(request: HttpRequest) -> HttpResponse:
    return _bulk(request, "pause")


@list_view(needs=Ability.VIEW_TENANT)
def result(request: HttpRequest) -> HttpResponse:
    """What became of each; kept in the session, so that reloading does nothing again."""
    kept: dict[str, Any] = request.session.get(KEPT) or {"word": "", "results": []}
    visible = {
        str(found)
        for found in tenants()
        .filter(id__in=[row["id"] for row in kept["results"]])
        .values_list("id", flat=True)
    }
    results = [row for row in kept["results"] if row["id"] in visible]
    done = sum(row["done"] for row in results)
    context = {"word": kept["word"], "results": results, "done": done, "left": len(results) - done}
    context["next"] = kept.get("next")
    return render(request, "pages/bulk_result.html", context)


def _bulk(request: HttpRequest, name: str) -> HttpResponse:
    act, actor = ACTS[name], actor_of(request)
    every = matching(request.GET).order_by("name", "id")
    wants_all = request.method != "POST" and not ticked(request)
    rest = _behind(every, request.GET.get("after", "")) if wants_all else every
    chosen = list(rest[:MOST]) if wants_all else _ticked(request)
    fitting, skipped = _sorted_out(act, chosen)
    if "confirm" in request.POST:
        results = [_apply(actor, act, tenant) for tenant in fitting]
        results += [_told(tenant, False, f"Skipped, because {why}.") for tenant, why in skipped]
        last = chosen[-1] if chosen and "all" in request.POST else None
        request.session[KEPT] = {
            "word": act.word,
            "results": results,
            "next": _next(request, name, every, last),
        }
        return SeeOther("/tenants/bulk/result/")
    asked = _asked(request)
    number = f"{len(fitting)} customer{'' if len(fitting) == 1 else 's'}"
    total, left = every.count(), rest.count() - len(chosen)
    context = {
        "title": f"{act.word}: {number}?",
        "act": act,
        "fitting": fitting,
        "chosen": chosen,
        "skipped": [{"name": tenant.name, "why": why} for tenant, why in skipped],
        "names": [tenant.name for tenant in fitting],
        "matching": total,
        "part": f"Number {total - left - len(chosen) + 1:,} to {total - left:,} of {total:,} that match, by name",
        "wants_all": wants_all,
        "next": _next(request, name, every, chosen[-1]) if wants_all and chosen else None,
        "form_action": f"/tenants/bulk/{name}/" + (f"?{asked}" if asked else ""),
        "cancel_url": "/tenants/" + (f"?{asked}" if asked else ""),
        "submit": f"{act.word}: {number}",
    }
    return render(request, "pages/bulk.html", context)


def _asked(request: HttpRequest) -> str:
    """The list's filters, without the place where a long one goes on."""
    left = request.GET.copy()
    left.pop("after", None)
    return left.urlencode()


def _ticked(request: HttpRequest) -> list[Tenant]:
    """Those of the posted ids that are in the scope of this act."""
    ids = list(parse_ids(request.POST.getlist("id") or ticked(request)))[:MOST]
    return list(tenants().filter(id__in=ids).order_by("name", "id")) if ids else []


def _behind(every: QuerySet[Tenant], after: str) -> QuerySet[Tenant]:
    """Those behind this customer in the list; all of them for one that is none."""
    place = next(parse_ids([after]), None)
    last = tenants().filter(id=place).first() if place else None
    if last is None:
        return every
    return every.filter(Q(name__gt=last.name) | Q(name=last.name, id__gt=last.id))


def _next(
    request: HttpRequest, name: str, every: QuerySet[Tenant], last: Tenant | None
) -> dict[str, Any] | None:
    """Of a list that is too long for one go: where the customers behind this one are asked about, and how many."""
    left = _behind(every, str(last.id)).count() if last else 0
    if last is None or not left:
        return None
    asked = request.GET.copy()
    asked["after"] = str(last.id)
    return {"url": f"/tenants/bulk/{name}/?{asked.urlencode()}", "left": left}


def _sorted_out(act: Act, chosen: list[Tenant]) -> tuple[list[Tenant], list[tuple[Tenant, str]]]:
    connections = connections_of([tenant.id for tenant in chosen])
    judged = [(tenant, act.not_for(tenant, connections.get(tenant.id))) for tenant in chosen]
    fitting = [tenant for tenant, why in judged if not why]
    return fitting, [(tenant, why) for tenant, why in judged if why]


def _apply(actor: Actor, act: Act, tenant: Tenant) -> dict[str, Any]:
    """One of many: its failure is told, and is nobody else's."""
    try:
        with scope.one(tenant.id), transaction.atomic():
            made = act.does(actor, tenant)
    except UmpError as error:
        return _told(tenant, False, error.message)
    return _told(tenant, True, "Queued." if made else "Paused.", words.url(made) if made else "")


def _told(tenant: Tenant, done: bool, text: str, url: str = "") -> dict[str, Any]:
    return {"id": str(tenant.id), "name": tenant.name, "done": done, "text": text, "url": url}
