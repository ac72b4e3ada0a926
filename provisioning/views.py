"""Changes: what is asked for a customer's users and not there yet, with the wait, and the way to a plan."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from core.errors import Conflict
from provisioning import selectors, services, words
from provisioning.models import Change, ChangeState, PlanState
from replication import words as queue_words
from tenants import offers, scope, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
SECONDS = 2
FEATURE = "user_changes"
STATES = [("all", "Everything ever asked"), *ChangeState.choices]
HEAD = (
    "User", "Object id", "What", "Before", "Wanted", "State", "Reason", "Asked by", "Asked", "How", "Title",
)  # fmt: skip


Choices = Mapping[str, tuple[str, Sequence[tuple[str, str]]]]


def base(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/changes/"


def may_edit(actor: Actor, tenant: Tenant) -> bool:
    """Whether this person may change users here, and the customer is offered it."""
    return actor.may(Ability.EDIT_USERS, tenant.id) and offers.offered(tenant, FEATURE)[0]


def listing(
    request: HttpRequest,
    tenant: Tenant | None,
    rows: Any,
    word: str,
    choices: Choices,
    *,
    bounded: bool = True,
) -> dict[str, Any]:
    """What the furniture of a list needs (tenants.tables), of one customer or of all; `word` is what it counts."""
    page = tables.page_of(request.GET, rows, bounded=bounded)
    shown = tables.filters(request.GET, choices)
    return {
        "tenant": tenant,
        "base": request.path,
        "page": page,
        "noun": tables.noun(page, word),
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
    }


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def changes(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "provisioning/changes.html", _list(request, tenant))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
@conditional_page
def changes_live(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "provisioning/changes_live.html", _list(request, tenant))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def changes_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    batches = tables.in_batches(_wanted(request, tenant), lambda last: Q(id__lt=last.id))
    return tables.csv_answer("changes", HEAD, (_cells(batch, tenant) for batch in batches))


def _wanted(request: HttpRequest, tenant: Tenant) -> QuerySet[Change]:
    state = tables.choice_of(request.GET, "state", dict(STATES))
    return selectors.changes(tenant, state=state, search=tables.search_of(request.GET))


def _list(request: HttpRequest, tenant: Tenant) -> dict[str, Any]:
    actor = actor_of(request)
    shown = listing(request, tenant, _wanted(request, tenant), "changes", {"state": ("State", STATES)})
    may, page = may_edit(actor, tenant), shown["page"]
    head = _head(actor, tenant, may)
    groups = selectors.groups_of(tenant, page)
    return shown | {
        "base": base(tenant),
        "live_url": f"{base(tenant)}live/?{request.GET.urlencode()}",
        "every": SECONDS,
        "rows": words.change_rows(page, groups, left_waiting=head["left_waiting"]),
        "bulk_actions": _bulk_actions(tenant) if may else [],
        "users_url": f"/tenants/{tenant.id}/users/",
        **head,
    }


def _head(actor: Actor, tenant: Tenant, may: bool) -> dict[str, Any]:
    """What stands above the rows: how much waits, for how long, and what is being done about it."""
    command, drawing = selectors.commands(tenant)
    newest, counts = selectors.plans(tenant).first(), selectors.counts(tenant)
    left_waiting = bool(counts["pending"] and command is None)
    return {
        "counts": counts,
        "left_waiting": left_waiting,
        "may_apply": may and left_waiting and newest is not None and services.applicable(newest),
        "command": queue_words.row(command, actor) if command else None,
        "soon": words.soon(command),
        "waits": command is not None and command.reason == "debounce",
        "drawing": queue_words.row(drawing, actor) if drawing else None,
        "newest": newest,
        "newest_chip": words.PLANS[PlanState(newest.state)] if newest else None,
        "newest_told": words.sentence(newest) if newest else "",
        "may": may,
        "may_process": may and not left_waiting and actor.may(Ability.REPLICATE, tenant.id),
        "why_not": offers.offered(tenant, FEATURE)[1],
    }


def _bulk_actions(tenant: Tenant) -> list[dict[str, Any]]:
    return [
        {"label": "Withdraw", "url": f"{base(tenant)}withdraw/", "icon": "undo-2", "danger": True},
        {"label": "Try again", "url": f"{base(tenant)}retry/", "icon": "rotate-cw"},
    ]


def _cells(batch: list[Change], tenant: Tenant) -> Iterable[list[object]]:
    with scope.one(tenant.id):  # the request's own has ended when this is sent
        rows = words.change_rows(batch, selectors.groups_of(tenant, batch))
    for row in rows:
        one = row.change
        yield [
            one.subject_name, one.subject_id, row.what, row.before, row.wanted, row.chip.word, row.why,
            one.edit.actor_label, one.edit.made_at, one.edit.get_source_display(), one.edit.title,
        ]  # fmt: skip


# --- Withdraw and Try again ---------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def withdraw(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Those that are ticked; with GET, all that wait."""
    waiting = services.waiting(tenant).order_by("-id")
    chosen = waiting if _all(request) else waiting.filter(id__in=_ids(request))
    if "confirm" in request.POST:
        gone = services.withdraw(actor_of(request), tenant, None if _all(request) else _ids(request))
        messages.success(request, f"{_many(gone)} withdrawn." if gone else "Nothing was waiting any more.")
        return SeeOther(base(tenant))
    return _ask(
        request,
        tenant,
        chosen,
        {
            "title": "Withdraw {}?",
            "told": "They are not written. Nothing changes at Microsoft, and they can be asked for again.",
            "none": "None of the changes you chose waits: what is being applied or was applied cannot be withdrawn.",
            "form_action": f"{base(tenant)}withdraw/",
            "submit": "Withdraw {}",
            "danger": True,
        },
    )


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def retry(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Ask again for those that are ticked; with GET, for all that failed."""
    failed = selectors.changes(tenant, state=ChangeState.FAILED).filter(selectors.unsettled())
    chosen = failed if _all(request) else failed.filter(id__in=_ids(request))
    if "confirm" in request.POST:
        asked = services.ask_again(
            actor_of(request), tenant, chosen.values_list("id", flat=True)[: services.MOST]
        )
        if asked.kept:
            messages.success(request, f"{_many(len(asked.kept))} asked for again.")
        for verdict in asked.refused[:5]:
            error = verdict.problem
            messages.warning(request, f"{verdict.name}: {error.message} {error.advice}" if error else "")
        if not asked.verdicts:
            messages.info(request, "Nothing had failed any more.")
        return SeeOther(base(tenant))
    return _ask(
        request,
        tenant,
        chosen,
        {
            "title": "Try {} again?",
            "told": "They are judged by what is there now, wait like new changes, and are written with them.",
            "none": "None of the changes you chose has failed.",
            "form_action": f"{base(tenant)}retry/",
            "submit": "Try {} again",
        },
    )


def _ask(request: HttpRequest, tenant: Tenant, chosen: QuerySet[Change], act: dict[str, Any]) -> HttpResponse:
    """How many and which, before anything is done."""
    number = chosen.order_by().count()
    listed = list(chosen[:100])
    rows = words.change_rows(listed, selectors.groups_of(tenant, listed))
    context = act | {
        "tenant": tenant,
        "title": act["title"].format(_many(number).lower()),
        "submit": act["submit"].format(_many(number).lower()),
        "number": number,
        "all": _all(request),
        "ids": [] if _all(request) else [one.id for one in listed],
        "names": [f"{row.change.subject_name}: {row.what}, {row.wanted or 'taken away'}" for row in rows],
        "more": max(0, number - len(listed)),
        "cancel_url": base(tenant),
        "cancel_label": "Close",
    }
    return render(request, "provisioning/ask.html", context)


def _all(request: HttpRequest) -> bool:
    return request.method != "POST" or "all" in request.POST


def _ids(request: HttpRequest) -> list[int]:
    """The posted numbers; what is no number is nobody's."""
    given = request.POST.getlist("id")[:500]
    return [int(text) for text in given if text.isascii() and text.isdecimal() and len(text) < 19]


def _many(number: int) -> str:
    return f"{number:,} change{'' if number == 1 else 's'}"


# --- Show plan ----------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_USERS, methods=("POST",))
def draw(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Work out what would be written; nothing is. Then to where the plan appears."""
    try:
        made = services.draw(actor_of(request), tenant)
    except Conflict as error:
        messages.info(request, f"{error.message} {error.advice}")
        return SeeOther(base(tenant))
    return SeeOther(f"{base(tenant)}drawing/{made.id}/")
