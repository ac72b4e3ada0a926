"""A plan that waits for a person: what would be removed, name by name, and the confirmation bound to it."""

from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.errors import Conflict, NotFound, UmpError
from replication import plans, selectors, services, words
from replication.models import Command, Removal, RemovalPlan
from replication.registry import kind_of
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

NAMED = 100
"""So many names stand in the question itself; the plan's page has all of them."""
COLUMNS = {"kind": ["noun", "name", "id"], "name": ["name", "id"], "address": ["detail", "id"]}


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def plan(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    found = selectors.command(tenant, number)
    drawn = plan_of(found)
    shown = tables.filters(request.GET, {"kind": ("Kind", _nouns(drawn))})
    sort, order = tables.order_of(request.GET, COLUMNS, "kind")
    page = tables.page_of(request.GET, _wanted(request, drawn).order_by(*order), bounded=False)
    context = {
        "tenant": tenant,
        "command": found,
        "plan": words.planned(found, drawn, actor_of(request)),
        "page": page,
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "command_url": words.url(found),
        "base": request.path,
    }
    return render(request, "replication/plan.html", context)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def plan_csv(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponseBase:
    rows = _wanted(request, plan_of(selectors.command(tenant, number))).order_by("id")
    batches = tables.in_batches(rows, lambda last: Q(id__gt=last.id))
    lines = ([[row.noun, row.name, row.detail, row.key] for row in batch] for batch in batches)
    return tables.csv_answer(f"plan-{number}", ("Kind", "Name", "Address", "Object id"), lines)


def plan_of(found: Command) -> RemovalPlan:
    """Raises NotFound."""
    drawn = plans.of_command(found.id).first()
    if drawn is None:
        raise NotFound(thing="plan")
    return drawn


def _nouns(drawn: RemovalPlan) -> list[tuple[str, str]]:
    return [(each["noun"], each["label"]) for each in drawn.figures]


def _wanted(request: HttpRequest, drawn: RemovalPlan) -> QuerySet[Removal]:
    noun = tables.choice_of(request.GET, "kind", dict(_nouns(drawn)))
    return plans.lines_of(drawn, noun=noun, search=tables.search_of(request.GET))


@tenant_view(needs=Ability.APPROVE_PLAN, methods=("GET", "HEAD", "POST"))
def approve(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    """Asks with how many and which; the plan's number in the form binds the answer to what was read."""
    found = selectors.command(tenant, number)
    url = words.url(found)
    if request.method == "POST":
        return _approved(request, found, url)
    drawn = plan_of(found)
    if not plans.awaited(found):
        messages.info(request, "This command does not wait for a confirmation any more.")
        return SeeOther(url)
    context: dict[str, Any] = {
        "title": f"Remove {drawn.removals:,} objects from {kind_of(found.kind).removes_from} {tenant.name}?",
        "plan": words.planned(found, drawn, actor_of(request)),
        "command": found,
        "names": [f"{line.name}, {line.noun.lower()}" for line in plans.lines_of(drawn)[:NAMED]],
        "more": max(0, drawn.removals - NAMED),
        "form_action": f"{url}approve/",
        "cancel_url": url,
        "cancel_label": "Not now",
        "danger": True,
        "submit": f"Remove {drawn.removals:,} objects",
    }
    return render(request, "replication/approve.html", context)


def _approved(request: HttpRequest, found: Command, url: str) -> HttpResponse:
    """What became of the answer is said on the command's page, which also has the newest plan."""
    given = request.POST.get("plan", "")
    number = int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else 0
    try:
        services.approve(actor_of(request), found, number)
    except Conflict as error:
        messages.warning(request, error.message)
    except UmpError as error:
        if error.code == "second_person_needed":
            messages.warning(request, f"{error.message} {error.advice}")
        elif error.code == "plan_stale":
            messages.warning(
                request, f"{error.message} The new plan stands below: look at it, then confirm it."
            )
        else:
            raise
    else:
        messages.success(
            request, "Confirmed. Everything is read once more, and what is still missing is removed."
        )
    return SeeOther(url)
