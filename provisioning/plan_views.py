"""Plans: what would be written line by line, Apply bound to what was read, what became of it, and Undo."""

import dataclasses
import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import conditional_page
from django_htmx.http import HttpResponseClientRedirect

from core.errors import Conflict, UmpError
from provisioning import selectors, services, words
from provisioning.models import Act, Line, LineState, Plan, PlanState
from provisioning.views import SECONDS, WRITES, base, listing, may_edit
from replication import selectors as queue
from replication import words as queue_words
from replication.models import OPEN, Command
from tenants import scope, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.models import Tenant
from tenants.web import actor_of, list_view, tenant_view

ENDED = 286
"""The answer after which a live part asks no more."""
NAMED = 100
HEAD = (
    "User",
    "Object id",
    "Act",
    "What",
    "Where",
    "Before",
    "After",
    "Why",
    "State",
    "Problem",
    "Request id",
)
PLAN_HEAD = ("Plan", "Customer", "State", "Figures", "Drawn by", "Drawn", "Started", "Ended")


def url_of(plan: Plan) -> str:
    return f"/tenants/{plan.tenant_id}/changes/plans/{plan.uid}/"


# --- The lists ----------------------------------------------------------------------------------------------
@list_view(needs=Ability.VIEW_DIRECTORY)
def everywhere(request: HttpRequest) -> HttpResponse:
    return render(request, "provisioning/plans.html", _plans(request, None))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def of_tenant(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "provisioning/plans.html", _plans(request, tenant))


@list_view(needs=Ability.VIEW_DIRECTORY)
def everywhere_csv(request: HttpRequest) -> HttpResponseBase:
    return _plans_csv(request, None)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def of_tenant_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    return _plans_csv(request, tenant)


def _found(request: HttpRequest, tenant: Tenant | None) -> QuerySet[Plan]:
    state = tables.choice_of(request.GET, "state", PlanState.values)
    return selectors.plans(tenant, state=state, search=tables.search_of(request.GET))


def _plans(request: HttpRequest, tenant: Tenant | None) -> dict[str, Any]:
    shown = listing(
        request, tenant, _found(request, tenant), "plans", {"state": ("State", PlanState.choices)}
    )
    return shown | {
        "rows": [
            {
                "plan": one,
                "chip": words.PLANS[PlanState(one.state)],
                "told": words.sentence(one),
                "url": url_of(one),
            }
            for one in shown["page"]
        ],
    }


def _plans_csv(request: HttpRequest, tenant: Tenant | None) -> HttpResponseBase:
    batches = tables.in_batches(_found(request, tenant), lambda last: Q(id__lt=last.id))
    lines = (
        [
            [one.uid, (tenant or one.tenant).name, words.PLANS[PlanState(one.state)].word, words.sentence(one),
             one.actor_label, one.drawn_at, one.started_at, one.finished_at]
            for one in batch
        ]
        for batch in batches
    )  # fmt: skip
    return tables.csv_answer("plans", PLAN_HEAD, lines)


# --- A plan that is on its way ------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def drawing(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    """Where Show plan leads: on to the plan as soon as it is begun."""
    command = queue.command(tenant, number)
    row = selectors.plan_of_command(tenant, command)
    if row is not None:
        return SeeOther(url_of(row))
    return render(request, "provisioning/drawing.html", _drawing(request, tenant, command))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def drawing_live(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    command = queue.command(tenant, number)
    row = selectors.plan_of_command(tenant, command)
    if row is not None:
        return HttpResponseClientRedirect(url_of(row))
    status = 200 if command.state in OPEN else ENDED
    return render(request, "provisioning/_drawing.html", _drawing(request, tenant, command), status=status)


def _drawing(request: HttpRequest, tenant: Tenant, command: Command) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "base": base(tenant),
        "command": queue_words.row(command, actor_of(request)),
        "live_url": f"{base(tenant)}drawing/{command.id}/live/" if command.state in OPEN else "",
        "every": SECONDS,
    }


# --- One plan -----------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def plan(request: HttpRequest, tenant: Tenant, plan_id: uuid.UUID) -> HttpResponse:
    return render(request, "provisioning/plan.html", _page(request, tenant, selectors.plan(tenant, plan_id)))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def plan_live(request: HttpRequest, tenant: Tenant, plan_id: uuid.UUID) -> HttpResponse:
    context = _page(request, tenant, selectors.plan(tenant, plan_id))
    if not context["live_url"]:  # it has ended: the whole page once more, with what can be done now
        answer = HttpResponseClientRedirect(context["base"])
        answer.status_code = ENDED
        return answer
    return _inside(request, context)


@conditional_page
def _inside(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    return render(request, "provisioning/plan_live.html", context)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def plan_csv(request: HttpRequest, tenant: Tenant, plan_id: uuid.UUID) -> HttpResponseBase:
    rows = _lines(request, selectors.plan(tenant, plan_id)).order_by("id")
    batches = tables.in_batches(rows, lambda last: Q(id__gt=last.id))
    actor = actor_of(request)
    return tables.csv_answer(f"plan-{plan_id}", HEAD, (_cells(batch, tenant, actor) for batch in batches))


def _cells(batch: list[Line], tenant: Tenant, actor: Actor) -> Iterable[list[object]]:
    with scope.one(tenant.id):  # the request's own has ended when this is sent
        rows = words.line_rows(batch, selectors.groups_of(tenant, batch), actor)
    for row in rows:
        one = row.line
        yield [
            one.subject_name, one.subject_id, row.act.word, row.what, one.where, row.before, row.after, one.why,
            row.chip.word, row.why_not, one.request_id if actor.is_provider else "",
        ]  # fmt: skip


def _lines(request: HttpRequest, row: Plan) -> QuerySet[Line]:
    return selectors.lines(
        row,
        act=tables.choice_of(request.GET, "act", Act.values),
        state=tables.choice_of(request.GET, "state", LineState.values),
        search=tables.search_of(request.GET),
    )


@dataclasses.dataclass(frozen=True)
class Standing:
    """What a plan's page knows beside its lines, and what this person may do now."""

    stale: bool
    command: Any
    removal_url: str
    live: bool
    may_apply: bool
    may_draw: bool
    may_undo: bool


def _standing(row: Plan, tenant: Tenant, actor: Actor) -> Standing:
    carrier = selectors.carrier(row)
    command = carrier.command if carrier else None
    under_way = command is not None and command.state in OPEN
    stale = row.state == PlanState.READY and not under_way and not services.still_wanted(row)
    may, ready = may_edit(actor, tenant), row.state == PlanState.READY and not under_way and not stale
    moving = row.state in {PlanState.DRAWING, PlanState.APPLYING} or (
        under_way and row.state in {PlanState.READY, PlanState.DRAWING}
    )
    return Standing(
        stale=stale,
        command=queue_words.row(command, actor) if command else None,
        removal_url=f"{queue_words.url(command)}plan/" if command and carrier and carrier.removal else "",
        live=moving and under_way,
        may_apply=may and ready and services.writes(row) > 0,
        may_draw=may and (stale or row.state == PlanState.STALE),
        may_undo=may and row.state in {PlanState.APPLIED, PlanState.PARTIAL},
    )


def _page(request: HttpRequest, tenant: Tenant, row: Plan) -> dict[str, Any]:
    actor = actor_of(request)
    choices = {"act": ("Act", Act.choices), "state": ("State", LineState.choices)}
    shown = listing(request, tenant, _lines(request, row), "lines", choices, bounded=False)
    standing, page = _standing(row, tenant, actor), shown["page"]
    return shown | {
        "plan": row,
        "base": url_of(row),
        "changes_url": base(tenant),
        "chip": words.PLANS[PlanState.STALE if standing.stale else PlanState(row.state)],
        "figures": words.figures(row),
        "standing": standing,
        "live_url": f"{url_of(row)}live/?{request.GET.urlencode()}" if standing.live else "",
        "every": SECONDS,
        "rows": words.line_rows(page, selectors.groups_of(tenant, page), actor),
        "for_provider": actor.is_provider,
    }


# --- Apply --------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def apply(request: HttpRequest, tenant: Tenant, plan_id: uuid.UUID) -> HttpResponse:
    """Asks with how many and which; the digest in the form binds the answer to what was read."""
    row = selectors.plan(tenant, plan_id)
    if request.method == "POST":
        return _applied(request, tenant, row)
    number = services.writes(row)
    writing = selectors.lines(row, state=LineState.PLANNED).exclude(act=Act.NOTHING)[:NAMED]
    listed = words.line_rows(writing, selectors.groups_of(tenant, writing), actor_of(request))
    taken = selectors.lines(row, state=LineState.PLANNED).filter(takes=True).order_by().count()
    context = {
        "title": f"Apply {_writes(number)} to {tenant.name}?",
        "plan": row,
        "taken": taken,
        "blocked": row.figures.get("blocked", 0),
        "names": [f"{one.line.subject_name}: {one.what}, {one.after or 'taken away'}" for one in listed],
        "more": max(0, number - len(listed)),
        "form_action": f"{url_of(row)}apply/",
        "cancel_url": url_of(row),
        "cancel_label": "Not now",
        "submit": f"Apply {_writes(number)}",
    }
    return render(request, "provisioning/apply.html", context)


def _applied(request: HttpRequest, tenant: Tenant, row: Plan) -> HttpResponse:
    try:
        services.apply(actor_of(request), tenant, row, request.POST.get("digest", ""))
    except UmpError as error:
        if error.code != "changes_moved":
            raise
        messages.warning(request, f"{error.message} {error.advice}")
    return SeeOther(url_of(row))


def _writes(number: int) -> str:
    return f"{number:,} write{'' if number == 1 else 's'}"


# --- Undo ---------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def undo(request: HttpRequest, tenant: Tenant, plan_id: uuid.UUID) -> HttpResponse:
    """What would be taken back, what is left and why; then the inverse changes wait like any other."""
    row = selectors.plan(tenant, plan_id)
    try:
        if request.method == "POST":
            return _undone(request, tenant, row)
        undoing = services.what_undo(tenant, row)
    except Conflict as error:
        messages.info(request, f"{error.message} {error.advice}")
        return SeeOther(url_of(row))
    return render(request, "provisioning/undo.html", _undoing(request, tenant, row, undoing))


@dataclasses.dataclass(frozen=True)
class Fate:
    """What an undo makes of a line of its plan, and why."""

    line: Line
    outcome: str
    why: str


def _fates(tenant: Tenant, actor: Actor, undoing: services.Undoing) -> list[Fate]:
    """What needs a look comes first: what stays, then what cannot be taken back."""
    found = [Fate(line, "left", undoing.why_left(line)) for line in undoing.left]
    verdicts = services.preview(tenant, undoing.wishes, by=actor).verdicts
    for line, verdict in zip(undoing.back, verdicts, strict=True):
        error = verdict.problem
        outcome = "refused" if error else "same" if verdict.same else "back"
        found.append(Fate(line, outcome, f"{error.message} {error.advice}" if error else ""))
    return sorted(found, key=lambda each: list(words.FATES).index(each.outcome))


def _undoing(request: HttpRequest, tenant: Tenant, row: Plan, undoing: services.Undoing) -> dict[str, Any]:
    actor, params = actor_of(request), request.GET
    every, search = _fates(tenant, actor, undoing), tables.search_of(params).casefold()
    outcome = tables.choice_of(params, "outcome", words.FATES)
    listed = [
        each
        for each in every
        if outcome in {"", each.outcome} and search in each.line.subject_name.casefold()
    ]
    choices = {"outcome": ("Outcome", [(name, chip.word) for name, chip in words.FATES.items()])}
    shown = listing(request, tenant, listed, "lines", choices, bounded=False)
    lines = [each.line for each in shown["page"]]
    rows = words.line_rows(lines, selectors.groups_of(tenant, lines), actor)
    return shown | {
        "plan": row,
        "plan_url": url_of(row),
        "counts": Counter(each.outcome for each in every),
        "unwritten": selectors.unwritten(row),
        "rows": [
            {
                "row": line,
                "chip": words.FATES[each.outcome],
                "why": each.why,
                "now": words.value(each.line.aspect, undoing.now.get(services.thing_of(each.line))),
            }
            for each, line in zip(shown["page"], rows, strict=True)
        ],
    }


def _undone(request: HttpRequest, tenant: Tenant, row: Plan) -> HttpResponse:
    asked, left = services.undo(actor_of(request), tenant, row)
    if asked.kept:
        messages.success(request, f"{len(asked.kept):,} changes wait to take it back.")
    else:
        messages.info(
            request, "By the portal's copy everything is as it was before. Nothing had to be asked for."
        )
    if asked.refused:
        messages.warning(
            request, f"{len(asked.refused):,} cannot be taken back; the page of the undo says why."
        )
    if left:
        messages.info(request, f"{len(left):,} are left as they are: somebody has changed them since.")
    return SeeOther(base(tenant))
