"""Templates of a customer: their order, what each would do now, starting and stopping them."""

import dataclasses
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.errors import Conflict, InvalidInput, NotFound, UmpError
from provisioning import editing
from provisioning.aspects import aspect_of, groups_named
from provisioning.judging import Verdict
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
from user_templates import services, work
from user_templates.forms import TemplateForm
from user_templates.models import UserTemplate

WRITES = ("GET", "HEAD", "POST")
FEATURE = "templates"
SHOWN = 100
ON = Chip("ok", "On", "It is looked at after each replication")
OFF = Chip("neutral", "Off", "It gives nothing until a person has seen what it would do", "circle-pause")
STOPPED = Chip("bad", "Stopped", "It could not go on", "ban")


def base(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/templates/"


def _url(row: UserTemplate) -> str:
    return f"{base(row.tenant)}{row.uid}/"


def _found(tenant: Tenant, user_template_id: uuid.UUID) -> UserTemplate:
    """Raises NotFound."""
    row = UserTemplate.objects.filter(tenant=tenant, uid=user_template_id).select_related("tenant").first()
    if row is None:
        raise NotFound(thing="template")
    return row


def _may(actor: Actor, tenant: Tenant) -> bool:
    return actor.may(Ability.EDIT_USERS, tenant.id) and offers.offered(tenant, FEATURE)[0]


def _chip(row: UserTemplate) -> Chip:
    if row.on:
        return ON
    return dataclasses.replace(STOPPED, hint=row.told["error"]) if "error" in row.told else OFF


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    rows = UserTemplate.objects.filter(tenant=tenant).select_related("tenant").order_by("rank", "id")
    page = tables.page_of(request.GET, rows)
    names = {str(each.uid): each.name for each in ranges.of_tenant(tenant)}
    may = _may(actor_of(request), tenant)
    context = {
        "tenant": tenant,
        "base": base(tenant),
        "page": page,
        "noun": tables.noun(page, "templates"),
        "rows": [
            {"row": row, "url": _url(row), "chip": _chip(row), "gives": gives(row, names),
             "actions": _actions(row) if may else []}
            for row in page
        ],
        "may": may,
        "why_not": offers.offered(tenant, FEATURE)[1],
    }  # fmt: skip
    return render(request, "user_templates/index.html", context)


def gives(row: UserTemplate, range_names: dict[str, str]) -> list[str]:
    """What it gives, in words."""
    found = []
    if row.numbers == "take":
        found.append("Phone number: taken away")
    elif row.numbers:
        found.append(f"Phone number: next free of {range_names.get(row.numbers, 'a range that is gone')}")
    for aspect, value in row.values:
        family = aspect_of(aspect)
        found.append(f"{family.title(aspect)}: {family.words(value)}")
    return found


def _actions(row: UserTemplate) -> list[dict[str, Any]]:
    url = _url(row)
    return [
        {"label": "Open", "url": url, "icon": "list-checks"},
        {"label": "Edit", "url": f"{url}edit/", "icon": "pencil"},
        {"label": "Move up", "url": f"{url}up/", "icon": "arrow-up", "modal": True},
        {"label": "Remove", "url": f"{url}remove/", "icon": "trash-2", "danger": True, "modal": True},
    ]


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def one(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    """What it would ask for now, user by user."""
    row, problem, found = _found(tenant, user_template_id), "", None
    try:
        found = work.of_template(tenant, row)
    except UmpError as error:
        problem = f"{error.message} {error.advice}"
    verdicts = sorted(found.verdicts if found else [], key=lambda each: each.problem is None)[:SHOWN]
    names = groups_named(tenant.id, {each.wish.thing.aspect for each in verdicts})
    context = {
        "tenant": tenant,
        "base": base(tenant),
        "url": _url(row),
        "row": row,
        "chip": _chip(row),
        "gives": gives(row, {str(each.uid): each.name for each in ranges.of_tenant(tenant)}),
        "found": found,
        "problem": problem,
        "rows": [_verdict(each, names) for each in verdicts if not each.same],
        "left_out": found.left_out[:SHOWN] if found else [],
        "may": _may(actor_of(request), tenant),
    }
    return render(request, "user_templates/one.html", context)


def _verdict(each: Verdict, names: dict[str, str]) -> dict[str, Any]:
    aspect = each.wish.thing.aspect
    family = aspect_of(aspect)
    return {
        "name": each.name or each.wish.label,
        "what": names.get(aspect, family.title(aspect)),
        "before": family.words(each.before),
        "wanted": "" if each.problem else family.words(each.wish.wanted),
        "problem": each.problem,
        "hint": each.hint,
    }


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def add(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    offers.require(tenant, FEATURE)
    return _edit(request, tenant, None)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def edit(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    offers.require(tenant, FEATURE)
    return _edit(request, tenant, _found(tenant, user_template_id))


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
        except InvalidInput as error:
            add_error(form, error)
        except Conflict as error:
            form.add_error(None, f"{error.message} {error.advice}")
        else:
            messages.success(
                request, "Saved. See below what it would do, then start it." if not kept.on else "Saved."
            )
            return SeeOther(_url(kept))
    context = {
        "tenant": tenant,
        "form": form,
        "title": f"Edit {row.name}" if row else "Add template",
        "cancel_url": _url(row) if row else base(tenant),
    }
    return render(request, "user_templates/edit.html", context, status=422 if form.errors else 200)


def _keep(actor: Actor, tenant: Tenant, form: TemplateForm, row: UserTemplate | None) -> UserTemplate:
    given = form.given()
    if row is None:
        return services.add(actor, tenant, **given)
    return services.change(actor, row, version=form.cleaned_data["version"], **given)


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def start(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    """The row's version in the form binds the answer to what was seen."""
    row = _found(tenant, user_template_id)
    if request.method == "POST":
        given = request.POST.get("version", "")
        try:
            command = services.confirm(actor_of(request), row, int(given) if given.isdecimal() else 0)
        except Conflict as error:
            messages.warning(request, f"{error.message} {error.advice}")
            return leave_dialog(request, _url(row))
        messages.success(request, "It is on. What it asks for waits under Changes, like anybody's.")
        return leave_dialog(request, queue_words.url(command))
    found = work.of_template(tenant, row)
    told = found.figures
    ask = (
        f"{told['covered']:,} users are covered. {told['changes']:,} changes are asked for now, "
        f"{told['refused']:,} are not possible, {told['left_out']:,} are left out. From then on new members of "
        f"{row.group_name} get the same after each replication."
    )
    return _ask(request, row, f"Start {row.name}?", ask, "start/", "Start")


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def stop(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    row = _found(tenant, user_template_id)
    if request.method == "POST":
        services.stop(actor_of(request), row)
        messages.success(request, f"{row.name} is off. What it gave stays.")
        return leave_dialog(request, _url(row))
    return _ask(
        request, row, f"Stop {row.name}?", "It gives nothing any more. What it gave stays.", "stop/", "Stop"
    )


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def up(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    row = _found(tenant, user_template_id)
    if request.method == "POST":
        services.move(actor_of(request), row, up=True)
        return leave_dialog(request, base(tenant))
    text = (
        "A user belongs to the first template in order that covers him: it takes over those that both cover."
    )
    return _ask(request, row, f"Move {row.name} up?", text, "up/", "Move up")


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def remove(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    row = _found(tenant, user_template_id)
    if request.method == "POST":
        services.remove(actor_of(request), row)
        messages.success(request, f"{row.name} is removed. What it gave stays.")
        return leave_dialog(request, base(tenant))
    text = "The template goes, and with it the memory of what it gave. Nothing changes at Microsoft."
    return _ask(request, row, f"Remove {row.name}?", text, "remove/", "Remove", danger=True)


def _ask(
    request: HttpRequest,
    row: UserTemplate,
    title: str,
    text: str,
    path: str,
    submit: str,
    *,
    danger: bool = False,
) -> HttpResponse:
    context = {
        "title": title,
        "text": text,
        "version": row.row_version,
        "form_action": f"{_url(row)}{path}",
        "cancel_url": base(row.tenant),
        "submit": submit,
        "danger": danger,
    }
    return render(request, "user_templates/ask.html", context)
