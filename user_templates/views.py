"""Templates of a customer: their order, what each would do now, starting and stopping them."""

import dataclasses
import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.errors import Conflict, InvalidInput, UmpError
from provisioning import editing
from replication import words as queue_words
from replication.words import Chip
from telephony import ranges
from tenants import offers, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther, leave_dialog
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view
from user_templates import selectors, services, work
from user_templates.forms import TemplateForm
from user_templates.models import UserTemplate
from user_templates.selectors import Outcome, State

WRITES = ("GET", "HEAD", "POST")
FEATURE = "templates"
SHOWN = 100
CHIPS = {
    State.ON: Chip("ok", "On", "It is looked at after each replication"),
    State.OFF: Chip(
        "neutral", "Off", "It gives nothing until a person has seen what it would do", "circle-pause"
    ),
    State.STOPPED: Chip("bad", "Stopped", "It could not go on", "ban"),
}
OUTCOMES = {
    Outcome.REFUSED: Chip("bad", "Not possible", "", "ban"),
    Outcome.ASKED: Chip("ok", "Asked for", ""),
    Outcome.TAKEN_BACK: Chip("warn", "Taken back", "He has left the group", "minus"),
}


def base(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/templates/"


def url_of(row: UserTemplate) -> str:
    return f"{base(row.tenant)}{row.uid}/"


def _may(actor: Actor, tenant: Tenant, needs: Ability = Ability.EDIT_USERS) -> bool:
    return actor.may(needs, tenant.id) and offers.offered(tenant, FEATURE)[0]


def chip_of(row: UserTemplate) -> Chip:
    if row.lacks:
        return Chip("warn", "Incomplete", "A copy that lacks something here")
    found = selectors.state(row)
    chip = CHIPS[found]
    return dataclasses.replace(chip, hint=row.told["error"]) if found == State.STOPPED else chip


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    page = tables.page_of(request.GET, selectors.of_tenant(tenant))
    names = selectors.names(tenant, page)
    actor = actor_of(request)
    may, copies = _may(actor, tenant), _may(actor, tenant, Ability.EDIT_TENANT)
    context = {
        "tenant": tenant,
        "base": base(tenant),
        "page": page,
        "noun": tables.noun(page, "templates"),
        "rows": [
            {"row": row, "url": url_of(row), "chip": chip_of(row), "gives": selectors.gives(row, names),
             "actions": _actions(row, copies=copies) if may else []}
            for row in page
        ],
        "may": may,
        "why_not": offers.offered(tenant, FEATURE)[1],
    }  # fmt: skip
    return render(request, "user_templates/index.html", context)


def _actions(row: UserTemplate, *, copies: bool) -> list[dict[str, Any]]:
    url = url_of(row)
    copy = {"label": "Copy to another customer", "url": f"{url}copy/", "icon": "copy"}
    return [
        {"label": "Open", "url": url, "icon": "list-checks"},
        {"label": "Edit", "url": f"{url}edit/", "icon": "pencil"},
        {"label": "Move up", "url": f"{url}up/", "icon": "arrow-up", "modal": True},
        *([copy] if copies else []),
        {"label": "Remove", "url": f"{url}remove/", "icon": "trash-2", "danger": True, "modal": True},
    ]


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def one(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    """What it would ask for now, user by user."""
    row, problem, found = selectors.get(tenant, user_template_id), "", None
    try:
        found = work.of_template(tenant, row)
    except UmpError as error:
        problem = f"{error.message} {error.advice}"
    told = selectors.rows(tenant, found) if found else []
    acts = [each for each in told if each.outcome != Outcome.LEFT_OUT]
    actor = actor_of(request)
    context = {
        "tenant": tenant,
        "base": base(tenant),
        "url": url_of(row),
        "row": row,
        "chip": chip_of(row),
        "gives": selectors.gives(row, selectors.names(tenant, [row])),
        "found": found,
        "problem": problem,
        "rows": [(each, OUTCOMES[each.outcome]) for each in acts[:SHOWN]],
        "left_out": [each for each in told if each.outcome == Outcome.LEFT_OUT][:SHOWN],
        "may": _may(actor, tenant),
        "copies": _may(actor, tenant, Ability.EDIT_TENANT),
    }
    return render(request, "user_templates/one.html", context)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def add(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    offers.require(tenant, FEATURE)
    return _edit(request, tenant, None)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def edit(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    offers.require(tenant, FEATURE)
    return _edit(request, tenant, selectors.get(tenant, user_template_id))


def _edit(request: HttpRequest, tenant: Tenant, row: UserTemplate | None) -> HttpResponse:
    form = TemplateForm(
        request.POST or None,
        tenant=tenant,
        ranges=ranges.of_tenant(tenant),
        policies=editing.policies_of(tenant),
        row=row,
    )
    if request.method == "POST" and form.is_valid():
        try:
            kept = _keep(actor_of(request), tenant, form, row)
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(
                request, "Saved. See below what it would do, then start it." if not kept.on else "Saved."
            )
            return SeeOther(url_of(kept))
    context = {
        "tenant": tenant,
        "form": form,
        "title": f"Edit {row.name}" if row else "Add template",
        "lacks": row.lacks if row else [],
        "cancel_url": url_of(row) if row else base(tenant),
    }
    return render(request, "user_templates/edit.html", context, status=422 if form.errors else 200)


def _keep(actor: Actor, tenant: Tenant, form: TemplateForm, row: UserTemplate | None) -> UserTemplate:
    given = form.given()
    if row is None:
        return services.add(actor, tenant, **given)
    return services.change(actor, row, version=form.cleaned_data["version"], **given)


# --- What is asked first --------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def start(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    """The row's version in the form binds the answer to what was seen."""
    row = selectors.get(tenant, user_template_id)

    def does() -> str:
        given = request.POST.get("version", "")
        command = services.confirm(actor_of(request), row, int(given) if given.isdecimal() else 0)
        messages.success(request, "It is on. What it asks for waits under Changes, like anybody's.")
        return queue_words.url(command)

    def ask() -> str:
        found = work.of_template(tenant, row)
        told, rest = (
            found.figures,
            " These are the first; the others follow in the same run." if found.more else "",
        )
        return (
            f"{told['covered']:,} users are covered. {told['changes']:,} changes are asked for now, "
            f"{told['refused']:,} are not possible, {told['left_out']:,} are left out.{rest} From then on new "
            f"members of {row.group_name} get the same after each replication."
        )

    return _dialog(request, row, "Start", ask, does)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def stop(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    row = selectors.get(tenant, user_template_id)

    def does() -> str:
        services.stop(actor_of(request), row)
        messages.success(request, f"{row.name} is off. What it gave stays.")
        return url_of(row)

    return _dialog(request, row, "Stop", lambda: "It gives nothing any more. What it gave stays.", does)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def up(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    row = selectors.get(tenant, user_template_id)

    def does() -> str:
        before = selectors.of_tenant(tenant).filter(rank__lt=row.rank).count()
        services.move(actor_of(request), row, to=before)
        return base(tenant)

    text = (
        "A user belongs to the first template in order that covers him: it takes over those that both cover."
    )
    return _dialog(request, row, "Move up", lambda: text, does)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def remove(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    row = selectors.get(tenant, user_template_id)

    def does() -> str:
        services.remove(actor_of(request), row)
        messages.success(request, f"{row.name} is removed. What it gave stays.")
        return base(tenant)

    text = "The template goes, and with it the memory of what it gave. Nothing changes at Microsoft."
    return _dialog(request, row, "Remove", lambda: text, does, danger=True)


def _dialog(
    request: HttpRequest,
    row: UserTemplate,
    act: str,
    ask: Callable[[], str],
    does: Callable[[], str],
    *,
    danger: bool = False,
) -> HttpResponse:
    """The question of an act; its answer does it and says where one goes then. A refusal is told on the page."""
    if request.method == "POST":
        try:
            return leave_dialog(request, does())
        except UmpError as error:
            messages.warning(request, f"{error.message} {error.advice}")
            return leave_dialog(request, url_of(row))
    context = {
        "title": f"{act} {row.name}?",
        "text": ask(),
        "version": row.row_version,
        "form_action": f"{url_of(row)}{act.rpartition(' ')[2].lower()}/",
        "cancel_url": base(row.tenant),
        "submit": act,
        "danger": danger,
    }
    return render(request, "user_templates/ask.html", context)
