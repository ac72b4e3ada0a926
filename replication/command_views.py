"""A command's own page, and what people do to commands: cancel, try again, pause, queue a replication."""

import dataclasses
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import conditional_page

from accounts import branding
from core.errors import Conflict, NotFound, UmpError
from replication import plans, selectors, services, views, watch, words
from replication.forms import ReplicateForm
from replication.models import OPEN, Command, LaneName, State
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Tenant
from tenants.selectors import connection_of, why_unread
from tenants.web import actor_of, list_view, provider_view, tenant_view

SECONDS = 2
ENDED = 286
"""htmx's polite end of polling."""
STEPS_SHOWN = 200
PLANNED_SHOWN = 5
BULK_MOST = 500
BULK_KEY = "queue_bulk"
WRITES = ("GET", "HEAD", "POST")


class SeeOther(HttpResponseRedirect):
    """After a POST: look there, with GET, whatever was sent here."""

    status_code = 303


# --- The page -----------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_QUEUE)
def command(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    return render(request, "replication/command.html", _page(request, selectors.command(tenant, number)))


@tenant_view(needs=Ability.VIEW_QUEUE)
def command_live(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    return _live(request, selectors.command(tenant, number))


@list_view(needs=Ability.VIEW_QUEUE)
def provider_command(request: HttpRequest, number: int) -> HttpResponse:
    """A command of the provider as a whole; a customer's number leads to the customer's page of it."""
    found = _any_command(number)
    if found.tenant_id:
        return HttpResponseRedirect(words.url(found))
    return render(request, "replication/command.html", _page(request, found))


@list_view(needs=Ability.VIEW_QUEUE)
def provider_command_live(request: HttpRequest, number: int) -> HttpResponse:
    return _live(request, selectors.command(None, number))


def _any_command(number: int) -> Command:
    """Of the scope in force, whosever it is. Raises NotFound."""
    found: Command | None = views.with_neighbours(Command.objects.filter(id=number)).first()
    if found is None:
        raise NotFound(thing="command")
    return found


def _live(request: HttpRequest, found: Command) -> HttpResponse:
    """The page's inside; the last answer says that it is the last."""
    if found.state not in OPEN:
        return render(request, "replication/_command.html", _page(request, found), status=ENDED)
    return conditional_page(_inside)(request, found)


def _inside(request: HttpRequest, found: Command) -> HttpResponse:
    return render(request, "replication/_command.html", _page(request, found))


def _page(request: HttpRequest, found: Command) -> dict[str, Any]:
    actor = actor_of(request)
    paused = selectors.is_paused() is not None
    url = words.url(found)
    plan = plans.of_command(found.id).first()
    return {
        "command": found,
        "tenant": found.tenant,
        "row": words.row(found, actor, paused=paused),
        "url": url,
        "live_url": f"{url}live/" if found.state in OPEN else "",
        "every": SECONDS,
        "error": words.error_box(found, actor, branding.current().provider),
        "brought": words.brought(found),
        "plan": words.planned(found, plan, actor) if plan else None,
        "planned_first": plans.lines_of(plan)[:PLANNED_SHOWN] if plan else [],
        "history": _history(found, actor),
        "facts": _facts(found, actor),
        "may_cancel": words.may_cancel(found, actor),
        "may_retry": words.may_retry(found, actor),
        "retry_word": words.retry_word(found),
        "overdue": words.overdue(found),
        "silent_since": watch.silent_since() if found.state == State.QUEUED and not paused else None,
        "for_provider": actor.is_provider,
        "queue_url": views.base(found.tenant),
        "names": views.names(actor, found.tenant),
    }


@dataclasses.dataclass(frozen=True)
class Line:
    """One line of the history as it is shown."""

    id: int
    at: Any
    attempt: int
    tone: str
    word: str
    text: str
    detail: dict[str, str]


def _history(found: Command, actor: Actor) -> list[Line]:
    """The last lines, oldest first."""
    last = list(selectors.steps(found).order_by("-id")[:STEPS_SHOWN])
    return [
        Line(
            step.id,
            step.at,
            step.attempt,
            *words.LEVELS[step.level],
            step.text,
            words.step_detail(step.detail, actor),
        )
        for step in reversed(last)
    ]


def _facts(found: Command, actor: Actor) -> list[tuple[str, Any, str]]:
    """What there is to know; the portal's own machines are the provider's business."""
    lane = LaneName(found.lane.name).label if found.lane.name in LaneName.values else found.lane.name
    facts = [
        ("Cmd Type", words.title(found), ""),
        (
            "About",
            found.target or "the whole customer" if found.tenant_id else found.target or "the provider",
            "",
        ),
        ("Queued by", found.actor_label, ""),
        (
            "Attempts used",
            f"{found.attempts} of {found.max_attempts}",
            "(a turn that got on uses none)",
        ),
        ("Lane", lane, "(its commands run one after another)"),
        ("Turns", f"{found.slices:,}", "(long work gives others a turn now and then)"),
    ]
    if actor.is_provider and found.state == State.EXECUTING:
        facts += [
            ("Worker", found.lease_owner, ""),
            ("Lease", _lease(found), "(renewed while the worker lives)"),
        ]
    if actor.is_provider and found.deaths:
        facts.append(("Workers lost", str(found.deaths), "(after three it is set aside)"))
    return facts


def _lease(found: Command) -> str:
    if found.lease_until is None:
        return "none"
    left = round((found.lease_until - timezone.now()).total_seconds())
    if left < 0:
        return f"ran out {-left} s ago; the command will be taken back"
    return "held"


# --- Cancel and try again -----------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_QUEUE, methods=WRITES)
def cancel(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    return _cancel(request, selectors.command(tenant, number))


@list_view(needs=Ability.MANAGE_QUEUE, methods=WRITES)
def provider_cancel(request: HttpRequest, number: int) -> HttpResponse:
    return _cancel(request, selectors.command(None, number))


@tenant_view(needs=Ability.MANAGE_QUEUE, methods=WRITES)
def retry(request: HttpRequest, tenant: Tenant, number: int) -> HttpResponse:
    return _retry(request, selectors.command(tenant, number))


@list_view(needs=Ability.MANAGE_QUEUE, methods=WRITES)
def provider_retry(request: HttpRequest, number: int) -> HttpResponse:
    return _retry(request, selectors.command(None, number))


def _cancel(request: HttpRequest, found: Command) -> HttpResponse:
    url = words.url(found)
    if request.method == "POST":
        try:
            services.cancel(actor_of(request), found)
            messages.success(request, f"Cancelling {words.title(found)} #{found.id} was asked for.")
        except Conflict as error:  # it ended while the person was reading
            messages.warning(request, error.message)
        return SeeOther(url)
    return render(
        request,
        "replication/confirm_cancel.html",
        {
            "title": f"Cancel {words.title(found)} #{found.id}?",
            "command": found,
            "running": found.state == State.EXECUTING,
            "names": [name_of(found)],
            "form_action": f"{url}cancel/",
            "cancel_url": url,
            "cancel_label": "Keep it",
            "danger": True,
            "submit": "Cancel the command",
        },
    )


def _retry(request: HttpRequest, found: Command) -> HttpResponse:
    url, word = words.url(found), words.retry_word(found)
    if request.method == "POST":
        try:
            again = services.retry(actor_of(request), found)
        except Conflict as error:
            messages.warning(request, error.message)
            return SeeOther(url)
        return SeeOther(words.url(again))
    return render(
        request,
        "replication/confirm_retry.html",
        {
            "title": f"{word} {words.title(found)} #{found.id}?",
            "command": found,
            "goes_on": found.state == State.SUSPENDED,
            "reads_anew": plans.awaited(found),
            "names": [name_of(found)],
            "form_action": f"{url}retry/",
            "cancel_url": url,
            "submit": word,
        },
    )


def name_of(found: Command) -> str:
    whose = found.tenant.name if found.tenant else "the provider"
    return f"#{found.id} {words.title(found)}, {whose}, {State(found.state).label}"


# --- Many at once -------------------------------------------------------------------------------------------
@list_view(needs=Ability.MANAGE_QUEUE, methods=WRITES)
def bulk(request: HttpRequest, action: str) -> HttpResponse:
    return _bulk(request, None, action)


@tenant_view(needs=Ability.MANAGE_QUEUE, methods=WRITES)
def tenant_bulk(request: HttpRequest, tenant: Tenant, action: str) -> HttpResponse:
    return _bulk(request, tenant, action)


def _bulk(request: HttpRequest, tenant: Tenant | None, action: str) -> HttpResponse:
    """First which and how many, then (`confirm`) each one by itself, then what became of each."""
    actor = actor_of(request)
    every = views.wanted(request, tenant)
    rest = _behind(every, request.GET.get("before", ""))
    found = _ticked(request, every) if request.method == "POST" else list(rest[:BULK_MOST])
    here = f"{views.base(tenant)}bulk/{action}/"
    if "confirm" in request.POST:
        left = _behind(every, str(found[-1].id)).count() if found and "all" in request.POST else 0
        if tenant is None:  # one transaction, as the scope of many customers is
            services.take_turn(found)
        request.session[BULK_KEY] = {
            "action": action,
            "results": [_apply(actor, action, each) for each in found],
            "next": {"url": f"{here}?{_beyond(request, found[-1])}", "left": left} if left else None,
        }
        return SeeOther(f"{views.base(tenant)}bulk/result/")
    fits = words.may_cancel if action == "cancel" else words.may_retry
    fitting = [each for each in found if fits(each, actor)]
    word = "Cancel" if action == "cancel" else "Try again"
    number = f"{len(fitting)} command{'' if len(fitting) == 1 else 's'}"
    total, left = every.order_by().count(), rest.order_by().count() - len(found)
    wants_all = request.method != "POST"
    return render(
        request,
        "replication/bulk.html",
        {
            "title": f"{word}: {number}?" if fitting else f"{word}: nothing fits",
            "action": action,
            "fitting": fitting,
            "skipped": len(found) - len(fitting),
            "names": [name_of(each) for each in fitting],
            "wants_all": wants_all,
            "part": f"Number {total - left - len(found) + 1:,} to {total - left:,} of {total:,} that match"
            if wants_all and total > len(found)
            else "",
            "next_url": f"{here}?{_beyond(request, found[-1])}" if wants_all and left > 0 else "",
            "form_action": f"{here}?{request.GET.urlencode()}" if request.GET else here,
            "cancel_url": views.base(tenant),
            "cancel_label": "Close",
            "danger": action == "cancel",
            "submit": f"{word}: {number}",
        },
    )


def _ticked(request: HttpRequest, every: QuerySet[Command]) -> list[Command]:
    """Those of the posted numbers that are in the list, newest first; `BULK_MOST` at most."""
    given = [
        int(text)
        for text in request.POST.getlist("id")
        if text.isascii() and text.isdecimal() and len(text) < 19
    ]
    return list(every.filter(id__in=given[:BULK_MOST]))


def _behind(every: QuerySet[Command], before: str) -> QuerySet[Command]:
    """Those behind this number in the list; all of them for one that is none."""
    is_number = before.isascii() and before.isdecimal() and len(before) < 19
    return every.filter(id__lt=int(before)) if is_number else every


def _beyond(request: HttpRequest, last: Command) -> str:
    asked = request.GET.copy()
    asked["before"] = str(last.id)
    return asked.urlencode()


def _apply(actor: Actor, action: str, found: Command) -> dict[str, Any]:
    """One of many: its failure is told, and is nobody else's."""
    try:
        if action == "cancel":
            services.cancel(actor, found)
            return _told(found, True, "Cancelled." if found.state != State.EXECUTING else "Asked to stop.")
        again = services.retry(actor, found)
        return _told(found, True, "Goes on." if again.id == found.id else f"Queued again as #{again.id}.")
    except UmpError as error:
        return _told(found, False, error.message)


def _told(found: Command, done: bool, text: str) -> dict[str, Any]:
    return {"id": found.id, "name": name_of(found), "url": words.url(found), "done": done, "text": text}


@list_view(needs=Ability.MANAGE_QUEUE)
def bulk_result(request: HttpRequest) -> HttpResponse:
    return _bulk_result(request, None)


@tenant_view(needs=Ability.MANAGE_QUEUE)
def tenant_bulk_result(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return _bulk_result(request, tenant)


def _bulk_result(request: HttpRequest, tenant: Tenant | None) -> HttpResponse:
    """Kept in the session until the next one, so that reloading does nothing again."""
    kept = request.session.get(BULK_KEY) or {"action": "", "results": []}
    numbers = [each["id"] for each in kept["results"]]
    mine = set(selectors.commands(tenant).filter(id__in=numbers).values_list("id", flat=True))
    results = [each for each in kept["results"] if each["id"] in mine]
    done = sum(each["done"] for each in results)
    context = {
        "tenant": tenant,
        "results": results,
        "done": done,
        "left": len(results) - done,
        "queue_url": views.base(tenant),
        "next": kept.get("next"),
    }
    return render(request, "replication/bulk_result.html", context)


# --- The switch of the whole queue --------------------------------------------------------------------------
@provider_view(needs=Ability.PAUSE_ALL, methods=WRITES)
def pause(request: HttpRequest) -> HttpResponse:
    return _switch(request, paused=True)


@provider_view(needs=Ability.PAUSE_ALL, methods=WRITES)
def resume(request: HttpRequest) -> HttpResponse:
    return _switch(request, paused=False)


def _switch(request: HttpRequest, *, paused: bool) -> HttpResponse:
    if request.method == "POST":
        services.pause_all(actor_of(request), paused=paused)
        told = "The whole queue is paused: nothing starts." if paused else "The queue goes on."
        messages.success(request, told)
        return SeeOther("/queue/")
    context = {
        "title": "Pause the whole queue?" if paused else "Let the queue go on?",
        "paused": paused,
        "form_action": "/queue/pause/" if paused else "/queue/resume/",
        "cancel_url": "/queue/",
        "danger": paused,
        "submit": "Pause all" if paused else "Resume",
    }
    return render(request, "replication/confirm_pause.html", context)


# --- Queue Replication and Process All ----------------------------------------------------------------------
@tenant_view(needs=Ability.REPLICATE, methods=WRITES)
def queue_replication(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Queue Replication (REP-14): quick, full, or a dry run; then to the command's page."""
    form = ReplicateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        kind, dry_run = form.wish()
        made = services.submit(actor_of(request), kind, tenant, dry_run=dry_run)
        return SeeOther(words.url(made))
    context = {
        "title": f"Queue Replication for {tenant.name}",
        "why_unread": why_unread(tenant, connection_of(tenant)),
        "tenant": tenant,
        "form": form,
        "form_action": f"/tenants/{tenant.id}/queue-replication/",
        "cancel_url": views.base(tenant),
        "submit": "Queue Replication",
    }
    return render(request, "replication/queue_replication.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.REPLICATE, methods=WRITES)
def process_all(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Process All (REP-13): what waits for further changes is due now."""
    waits = selectors.pending(tenant)
    if request.method == "POST":
        number = services.process_all(actor_of(request), tenant)
        if waits is None or not number:
            messages.info(request, "Nothing was waiting for further changes.")
            return SeeOther(views.base(tenant))
        return SeeOther(words.url(waits))
    names = [name_of(each) for each in views.with_neighbours(watch.debounced(tenant))[:BULK_MOST]]
    context = {
        "title": f"Process All for {tenant.name}?",
        "tenant": tenant,
        "names": names,
        "form_action": f"/tenants/{tenant.id}/process-all/",
        "cancel_url": views.base(tenant),
        "submit": f"Process {len(names)} now" if names else "Process All",
        "cancel_label": "Cancel" if names else "Close",
    }
    return render(request, "replication/process_all.html", context)
