"""Acts on many customers: first how many and which, then each by itself, then what became of each (B 25)."""

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

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
"""As many at a time as an answer can still be waited for; the rest is the next time."""
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
            "Check credentials",
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


@list_view(needs=Ability.PAUSE_TENANT, methods=WRITES)
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
    return render(request, "pages/bulk_result.html", context)


def _bulk(request: HttpRequest, name: str) -> HttpResponse:
    act, actor = ACTS[name], actor_of(request)
    ticked, every = _ticked(request), _all_that_match(request)
    wants_all = request.method != "POST"
    chosen = every if wants_all else ticked
    fitting, skipped = _sorted_out(act, chosen)
    if "confirm" in request.POST:
        results = [_apply(actor, act, tenant) for tenant in fitting]
        results += [_told(tenant, False, f"Skipped, because {why}.") for tenant, why in skipped]
        request.session[KEPT] = {"word": act.word, "results": results}
        return SeeOther("/tenants/bulk/result/")
    asked = request.GET.urlencode()
    number = f"{len(fitting)} customer{'' if len(fitting) == 1 else 's'}"
    context = {
        "title": f"{act.word}: {number}?",
        "act": act,
        "fitting": fitting,
        "chosen": chosen,
        "skipped": [{"name": tenant.name, "why": why} for tenant, why in skipped],
        "names": [tenant.name for tenant in fitting],
        "matching": len(every),
        "most": MOST,
        "wants_all": wants_all,
        "form_action": f"/tenants/bulk/{name}/" + (f"?{asked}" if asked else ""),
        "cancel_url": "/tenants/" + (f"?{asked}" if asked else ""),
        "submit": f"{act.word}: {number}",
    }
    return render(request, "pages/bulk.html", context)


def _ticked(request: HttpRequest) -> list[Tenant]:
    """Those of the posted ids that are in the scope of this act."""
    ids = list(parse_ids(request.POST.getlist("id")))[:MOST]
    return list(tenants().filter(id__in=ids)) if ids else []


def _all_that_match(request: HttpRequest) -> list[Tenant]:
    """Everything that the list's filters let through, `MOST` at most."""
    return list(matching(request.GET).order_by("name", "id")[:MOST])


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
