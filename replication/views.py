"""The queue's lists: Queued Tasks for the provider, Queue Changes for a customer, live and as CSV."""

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import conditional_page

from accounts import branding
from replication import selectors, watch, words
from replication.models import OPEN, Command, State
from replication.registry import kinds
from tenants import tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Tenant
from tenants.selectors import access_of, why_unread
from tenants.web import actor_of, list_view, tenant_view

SECONDS = 3
"""How often a list asks for news while somebody looks at it."""
COLUMNS = {
    "id": ["id"],
    "customer": ["tenant__name", "id"],
    "kind": ["kind", "id"],
    "state": ["state", "id"],
    "retries": ["attempts", "id"],
    "executed": ["started_at", "id"],
    "result": ["message", "id"],
    "next": ["not_before", "id"],
}
STATES = [("open", "Open"), *State.choices]
HEAD = (
    "Id", "Customer", "Cmd Type", "State", "Retries", "When Executed", "Execution Result",
    "Next Execution Minutes", "Queued", "Ended", "Queued by",
)  # fmt: skip


@list_view(needs=Ability.VIEW_QUEUE)
def queue(request: HttpRequest) -> HttpResponse:
    """Queued Tasks: of all customers, or of those whom an operator looks after; a customer's people go home."""
    actor = actor_of(request)
    if not actor.is_provider and len(actor.tenant_roles) == 1:
        return redirect(f"/tenants/{next(iter(actor.tenant_roles))}/queue/")
    return render(request, "replication/queue.html", _list(request, None))


@tenant_view(needs=Ability.VIEW_QUEUE)
def tenant_queue(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "replication/queue.html", _list(request, tenant))


@list_view(needs=Ability.VIEW_QUEUE)
@conditional_page
def queue_live(request: HttpRequest) -> HttpResponse:
    return render(request, "replication/queue_live.html", _list(request, None))


@tenant_view(needs=Ability.VIEW_QUEUE)
@conditional_page
def tenant_queue_live(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "replication/queue_live.html", _list(request, tenant))


@list_view(needs=Ability.VIEW_QUEUE)
def queue_csv(request: HttpRequest) -> HttpResponseBase:
    return tables.csv_answer("queue", HEAD, _csv(request, None))


@tenant_view(needs=Ability.VIEW_QUEUE)
def tenant_queue_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    return tables.csv_answer("queue", HEAD, _csv(request, tenant))


# --- What a list is made of ---------------------------------------------------------------------------------
def wanted(request: HttpRequest, tenant: Tenant | None) -> QuerySet[Command]:
    """The commands that the address asks for, newest first."""
    params = request.GET
    state = tables.choice_of(params, "state", [value for value, _ in STATES])
    kind = tables.choice_of(params, "kind", kinds())
    found = selectors.commands(tenant, state=state, kind=kind, search=tables.search_of(params))
    return with_neighbours(found)


def with_neighbours(rows: QuerySet[Command]) -> QuerySet[Command]:
    """With the customer and the lane at hand, which `words` needs."""
    return rows.select_related("tenant", "lane")


def _list(request: HttpRequest, tenant: Tenant | None) -> dict[str, Any]:
    actor, params = actor_of(request), request.GET
    standing = watch.standing()
    page = tables.page_of(params, _ordered(request, tenant, standing.counters["open"]))
    selectors.beside(list(page), tenant)
    paused = selectors.is_paused()
    rows = [words.row(command, actor, paused=paused is not None) for command in page]
    shown = _filters(request)
    return {
        "base": base(tenant),
        "tenant": tenant,
        "names": names(actor, tenant),
        "live_url": f"{base(tenant)}live/?{params.urlencode()}",
        "every": SECONDS,
        "page": page,
        "noun": tables.noun(page, "commands"),
        "rows": rows,
        "filters": shown,
        "chips": tables.chips(params, shown),
        "bulk_actions": _bulk_actions(actor, tenant),
        **_state_of_things(actor, tenant, paused, standing),
    }


def _ordered(request: HttpRequest, tenant: Tenant | None, opened: int) -> Any:
    """What the address asks for, in its order: newest first, and where it names no state, open ones before all."""
    params = request.GET
    if params.get("sort", "").removeprefix("-") in COLUMNS:
        return selectors.listed(wanted(request, tenant)).order_by(*tables.order_of(params, COLUMNS, "-id")[1])
    if tables.search_of(params):
        found = selectors.listed(wanted(request, tenant))
        return (
            found if params.get("state") else watch.open_first(lambda states: found.filter(state__in=states))
        )
    kind = tables.choice_of(params, "kind", kinds())
    newest = functools.partial(selectors.newest, tenant and tenant.id, kind or None)
    state = tables.choice_of(params, "state", [value for value, _ in STATES])
    if state:
        return newest(states=OPEN if state == "open" else (state,))
    return watch.open_first(lambda states: newest(states=states), None if kind else opened)


def _state_of_things(
    actor: Actor, tenant: Tenant | None, paused: object, standing: watch.Standing
) -> dict[str, Any]:
    """What stands above the rows: the counters, who waits how long, what keeps work from starting."""
    lane = selectors.lane_of(tenant) if tenant else None
    return {
        "counters": standing.counters,
        "waiting": standing.waiting,
        "paused": paused,
        "silent_since": None if paused else watch.silent_since(),
        "held": words.held(lane, actor, branding.current().provider) if lane else None,
        "broken": words.broken_lines(actor, branding.current().provider, tenant),
        "settles_at": standing.settles_at if tenant else None,
        "pace": words.pace(watch.pace()) if tenant is None and actor.is_provider else None,
        "may_pause_all": tenant is None and actor.may(Ability.PAUSE_ALL),
        **_replicating(actor, tenant),
        "may_pause": tenant is not None and actor.may(Ability.PAUSE_TENANT, tenant.id),
        "for_provider": actor.is_provider,
    }


def _replicating(actor: Actor, tenant: Tenant | None) -> dict[str, Any]:
    """Whether this person may queue a replication here, or why nobody can."""
    if tenant is None or not actor.may(Ability.REPLICATE, tenant.id):
        return {}
    why = why_unread(tenant, access_of(tenant))
    return {"may_replicate": not why, "why_unread": why}


def base(tenant: Tenant | None) -> str:
    return f"/tenants/{tenant.id}/queue/" if tenant else "/queue/"


def names(actor: Actor, tenant: Tenant | None) -> dict[str, str]:
    """What the page is called (decision 2) and its one line, for whoever looks at it."""
    if tenant is None:
        if not actor.is_provider:
            return {"title": "Queue Changes", "lead": "What was and will be done for your organisations."}
        return {
            "title": "Queued Tasks",
            "lead": "Everything the portal does in the background, for all your customers: open work first.",
        }
    if actor.is_provider:
        return {"title": "Queued Tasks", "lead": f"What the portal does in the background for {tenant.name}."}
    return {
        "title": "Queue Changes",
        "lead": "Changes that wait to be written to Microsoft 365, and everything that was done for you.",
    }


def _filters(request: HttpRequest) -> list[dict[str, Any]]:
    titles = sorted(((name, kind.title) for name, kind in kinds().items()), key=lambda pair: pair[1])
    return tables.filters(request.GET, {"state": ("State", STATES), "kind": ("Cmd Type", titles)})


def _bulk_actions(actor: Actor, tenant: Tenant | None) -> list[dict[str, Any]]:
    """None for people who may not do it for anybody here."""
    places = [tenant.id] if tenant else [None, *actor.tenant_roles]
    if not any(actor.may(Ability.MANAGE_QUEUE, place) for place in places):
        return []
    return [
        {"label": "Try again", "url": f"{base(tenant)}bulk/retry/", "icon": "rotate-cw"},
        {"label": "Cancel", "url": f"{base(tenant)}bulk/cancel/", "icon": "x", "danger": True},
    ]


def _csv(request: HttpRequest, tenant: Tenant | None) -> Iterator[Iterable[list[object]]]:
    batches = tables.in_batches(wanted(request, tenant), lambda last: Q(id__lt=last.id))
    paused = selectors.is_paused() is not None
    return ([_cells(command, paused) for command in batch] for batch in batches)


def _cells(command: Command, paused: bool) -> list[object]:
    return [
        command.id,
        command.tenant.name if command.tenant else "the provider",
        words.title(command),
        words.chip(command).word,
        f"{command.attempts} of {command.max_attempts}",  # spreadsheets take 1/10 for a date
        command.started_at,
        command.message,
        words.next_execution(command, paused=paused),
        command.queued_at,
        command.finished_at,
        command.actor_label,
    ]
