"""Verify All: starting a run, watching it, cancelling it, and the runs before it (AUT-23..27)."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from accounts import branding
from authstatus import runs, status
from authstatus.models import VerifyRun
from authstatus.status_views import PAGE, WRITES, may_verify, of_provider
from replication import selectors as queue
from replication import words
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.models import Connection
from tenants.selectors import connections_of
from tenants.web import actor_of, list_view

ENDED = 286
"""htmx's polite end of polling."""
EVERY = 2
CHOICES = {"outcome": ("Token Status", [(each.value, runs.WORDS[each][1]) for each in runs.Outcome])}


class Row:
    """One customer of a run as the dialog shows it."""

    def __init__(self, row: Any, connection: Connection | None) -> None:
        self.tenant, self.command, self.connection = row.tenant, row.command, connection
        outcome = runs.Outcome(row.outcome)  # annotated by runs.rows
        self.tone, self.word = runs.WORDS[outcome]
        self.text = row.get_left_out_display() if row.left_out else ""
        self.who = ""
        if row.command is not None and outcome not in {runs.Outcome.OK, runs.Outcome.WAITING}:
            self.text = row.command.message
        if outcome in {runs.Outcome.ACCESS_FAILED, runs.Outcome.CHECK_FAILED} and row.command is not None:
            self.who = status.who_in_words(row.command.error)


@list_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
@of_provider
def verify_all(request: HttpRequest) -> HttpResponse:
    """2 Verify All. Pressed twice, it leads to the run that is under way."""
    if request.method != "POST":
        return SeeOther(PAGE)
    made, is_new = runs.start(actor_of(request))
    if not is_new:
        messages.info(request, "Verify All is under way already; this is it.")
    return SeeOther(url_of(made))


@list_view(needs=Ability.VIEW_TENANT)
@of_provider
def history(request: HttpRequest) -> HttpResponse:
    """The runs before, with what came out."""
    page = tables.page_of(request.GET, runs.runs())
    found = list(page.object_list)
    progress = runs.progress(found)
    page.object_list = [{"run": each, "progress": progress[each.id], "url": url_of(each)} for each in found]
    return render(request, "authstatus/runs.html", {"page": page, "page_url": PAGE})


@list_view(needs=Ability.VIEW_TENANT)
@of_provider
def run(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    return render(request, "authstatus/run.html", _page(request, runs.run(run_id)))


@list_view(needs=Ability.VIEW_TENANT)
@of_provider
def live(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """The inside of the dialog; the last answer says that it is the last."""
    found = runs.run(run_id)
    if not runs.progress([found])[found.id].open:
        return render(request, "authstatus/run_inside.html", _page(request, found), status=ENDED)
    return conditional_page(_inside)(request, found)


def _inside(request: HttpRequest, found: VerifyRun) -> HttpResponse:
    return render(request, "authstatus/run_inside.html", _page(request, found))


@list_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
@of_provider
def cancel(request: HttpRequest, run_id: uuid.UUID) -> HttpResponse:
    """Ask, then take back what waits; what is at work finishes."""
    found = runs.run(run_id)
    if request.method == "POST":
        taken_back = runs.cancel(actor_of(request), found)
        messages.success(
            request, f"Cancelled: {taken_back:,} waiting check{'' if taken_back == 1 else 's'} taken back."
        )
        return SeeOther(url_of(found))
    context = {
        "title": "Cancel Verify All?",
        "run": found,
        "progress": runs.progress([found])[found.id],
        "form_action": f"{url_of(found)}cancel/",
        "cancel_url": url_of(found),
        "cancel_label": "Keep it",
        "danger": True,
        "submit": "Cancel the run",
    }
    return render(request, "authstatus/run_cancel.html", context)


def url_of(found: VerifyRun) -> str:
    return f"{PAGE}verify-runs/{found.id}/"


def _page(request: HttpRequest, found: VerifyRun) -> dict[str, object]:
    actor = actor_of(request)
    outcome = tables.choice_of(request.GET, "outcome", [each.value for each in runs.Outcome])
    page = tables.page_of(
        request.GET, runs.rows(found, search=tables.search_of(request.GET), outcome=outcome)
    )
    listed = list(page.object_list)
    connections = connections_of([row.tenant_id for row in listed])
    page.object_list = [Row(row, connections.get(row.tenant_id)) for row in listed]
    progress = runs.progress([found])[found.id]
    shown = tables.filters(request.GET, CHOICES)
    return {
        "run": found,
        "page": page,
        "progress": progress,
        "tally": [(*runs.WORDS[each], progress[each]) for each in runs.Outcome if progress[each]],
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "url": url_of(found),
        "live_url": f"{url_of(found)}live/" + (f"?{request.GET.urlencode()}" if request.GET else ""),
        "every": EVERY,
        "may_cancel": progress["waiting"] > 0 and may_verify(actor),
        "paused": queue.is_paused(),
        "broken": words.broken_lines(actor, branding.current().provider) if progress.open else [],
        "page_url": PAGE,
    }
