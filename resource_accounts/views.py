"""Resource accounts of a customer, the designs of them, their plans, and the provider's templates."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils.text import slugify
from django_htmx.http import HttpResponseClientRefresh

from core.errors import Conflict, InvalidInput, NotFound, UmpError
from m365 import resource_account_plan as planning
from m365.powershell.script import BOM
from replication import words as queue_words
from resource_accounts import selectors, services
from resource_accounts.forms import FORMS, PasteForm, TemplateForm, values_of
from resource_accounts.models import Design, DesignTemplate, Kind
from resource_accounts.selectors import BUILD, REMOVE, Shown
from telephony.models import Stream, TeamsUser
from telephony.views import freshness
from tenants import scope, tables
from tenants.abilities import Ability
from tenants.access import tenant_for
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, provider_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
TEMPLATES = "/resource-account-templates/"
EVERY = 3
ORDERS = {"name": ["search", "object_id"], "number": ["number", "object_id"]}
HEAD = ("Name", "User principal name", "Number", "Design", "Changed")
SCRIPTS = {"ready": "build", "remove": "remove", "verify": "verify"}
REMOVE_ASK = (
    "The portal takes away what it made of {name} at Microsoft, in reverse: the number first, the account last. What "
    "others made stays, and so does this design."
)


def address(tenant: Tenant, design: Design | None = None) -> str:
    return f"/tenants/{tenant.id}/resource-accounts/" + (f"{design.uid}/" if design else "")


# --- The read list --------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The accounts that Microsoft lists, and the designs of them."""
    sort, order = tables.order_of(request.GET, ORDERS, "name")
    found = selectors.accounts(tenant, tables.search_of(request.GET))
    page = tables.page_of(request.GET, found.order_by(*order))
    may = actor_of(request).may(Ability.BUILD_ACCOUNTS, tenant.id)
    context = {
        "tenant": tenant,
        "page": page,
        "rows": selectors.with_names(tenant, list(page)),
        "designs": [Shown(row) for row in selectors.designs(tenant)[: services.MOST]],
        "base": request.path,
        "sort": sort,
        "why_not": selectors.why_not(tenant),
        "may": may,
        **freshness(request, tenant, Stream.USERS),
    }
    return render(request, "resource_accounts/index.html", context)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def export(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    rows = selectors.accounts(tenant, tables.search_of(request.GET)).order_by("search", "object_id")
    batches = tables.in_batches(rows, _behind)
    return tables.csv_answer("resource-accounts", HEAD, (_lines(tenant, batch) for batch in batches))


def _behind(last: TeamsUser) -> Q:
    return Q(search__gt=last.search) | Q(search=last.search, object_id__gt=last.object_id)


def _lines(tenant: Tenant, batch: Iterable[TeamsUser]) -> list[list[object]]:
    """In a scope of its own: the answer outlives the request's."""
    with scope.one(tenant.id):
        named = selectors.with_names(tenant, list(batch))
    return [
        [one.name, one.row.user_principal_name, one.row.number, one.design or "", one.row.changed_at]
        for one in named
    ]


# --- Designs --------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=WRITES)
def add(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """First of which type, or from which template or design; then the form."""
    begin = _begin(request, tenant)
    if begin is None:
        templates = selectors.templates() if actor_of(request).is_provider else []
        context = {
            "tenant": tenant,
            "kinds": Kind.choices,
            "templates": templates,
            "designs": selectors.designs(tenant),
            "why_not": selectors.why_not(tenant),
        }
        return render(request, "resource_accounts/choose.html", context)
    kind, initial = begin
    form = FORMS[kind](request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            design = services.add(actor_of(request), tenant, kind=kind, **form.wish())
        except UmpError as error:
            add_error(form, error)
        else:
            messages.success(request, f"{design.name} is designed. Nothing at Microsoft has changed yet.")
            return SeeOther(address(tenant, design))
    return _form(request, tenant, None, form, Kind(kind).label)


def _begin(request: HttpRequest, tenant: Tenant) -> tuple[str, dict[str, Any]] | None:
    """(type, first values); None while nothing is chosen. Raises NotFound."""
    if uid := request.GET.get("template"):
        found = services.from_template(selectors.template(_uid(uid)), tenant)
        return found["kind"], {"name": found["name"], **found["spec"]}
    if uid := request.GET.get("copy"):
        design = selectors.design(tenant, _uid(uid))
        return design.kind, values_of(design) | {"name": f"{design.name} copy"[:64], "upn": "", "number": ""}
    kind = request.GET.get("kind", "")
    return (kind, {}) if kind in Kind.values else None


def _uid(text: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise NotFound(thing="design") from None


@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=WRITES)
def edit(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    design = selectors.design(tenant, design_id)
    form = FORMS[design.kind](request.POST or None, initial=values_of(design))
    if request.method == "POST" and form.is_valid():
        try:
            version = form.cleaned_data["version"]
            services.change(actor_of(request), design, version=version, **form.wish())
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Look at the plan: nothing at Microsoft has changed yet.")
            return SeeOther(address(tenant, design))
    return _form(request, tenant, design, form, design.name)


def _form(request: HttpRequest, tenant: Tenant, design: Design | None, form: Any, what: str) -> HttpResponse:
    context = {
        "tenant": tenant,
        "design": design,
        "form": form,
        "title": f"Edit {what}" if design else f"Design: {what}",
        "cancel_url": address(tenant, design),
    }
    return render(request, "resource_accounts/edit.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def one(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    """A design, what would be done, and what was."""
    return render(request, "resource_accounts/one.html", _page(request, tenant, design_id))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def live(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    """While it is worked on; the whole page comes again when that is over."""
    context = _page(request, tenant, design_id)
    if context["busy"] is None:
        return HttpResponseClientRefresh()
    return render(request, "resource_accounts/one_live.html", context)


def _page(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> dict[str, Any]:
    actor = actor_of(request)
    design = selectors.design(tenant, design_id)
    busy = selectors.open_command(design)
    if busy is not None and busy.state == "suspended":
        busy = None
    latest = selectors.commands(design).first()
    may = actor.may(Ability.BUILD_ACCOUNTS, tenant.id)
    try:
        steps, missing = selectors.to_build(design), ""
    except InvalidInput as error:
        steps, missing = (), error.message
    return {
        "tenant": tenant,
        "design": design,
        "shown": Shown(design),
        "url": address(tenant, design),
        "every": EVERY,
        "busy": busy,
        "latest": queue_words.row(latest, actor) if latest else None,
        "steps": steps,
        "plan": planning.fingerprint(steps),
        "left": planning.writing(steps),
        "blocked": planning.blocked(steps),
        "missing": missing,
        "writes": selectors.writes(design),
        "why_not": selectors.why_not(tenant),
        "powershell": selectors.powershell_is_there(),
        "may": may,
        "may_template": actor.may(Ability.ADD_TENANT),
        "template_url": f"{TEMPLATES}add/{tenant.id}/{design.uid}/",
        "at_microsoft": bool(design.owned),
    }


@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=WRITES)
def delete(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    design = selectors.design(tenant, design_id)
    if request.method == "POST":
        try:
            services.delete(actor_of(request), design)
        except Conflict as error:
            messages.error(request, f"{error.message} {error.advice}")
            return SeeOther(address(tenant, design))
        messages.success(request, f"{design.name} was deleted.")
        return SeeOther(address(tenant))
    ask = f"The portal forgets the design {design.name} and its history. Nothing at Microsoft changes."
    context = {
        "tenant": tenant,
        "title": f"Delete {design.name}?",
        "ask": f"{ask} This cannot be undone.",
        "submit": "Delete",
        "danger": True,
        "form_action": f"{address(tenant, design)}delete/",
        "cancel_url": address(tenant, design),
    }
    return render(request, "resource_accounts/ask.html", context)


# --- At Microsoft ---------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=("POST",))
def look(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    """Read what Teams has, and plan anew. Nothing is written."""
    design = selectors.design(tenant, design_id)
    try:
        services.look(actor_of(request), design)
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
    return SeeOther(address(tenant, design))


@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=("POST",))
def build(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    design = selectors.design(tenant, design_id)
    try:
        services.build(actor_of(request), design, request.POST.get("plan", "")[:64])
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
    else:
        messages.success(request, f"{design.name} is being built.")
    return SeeOther(address(tenant, design))


@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=WRITES)
def remove(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    """Undo: what would go, and the button."""
    design = selectors.design(tenant, design_id)
    if request.method == "POST":
        try:
            services.remove(actor_of(request), design, request.POST.get("plan", "")[:64])
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
        else:
            messages.success(request, f"{design.name} is being removed.")
        return SeeOther(address(tenant, design))
    steps = selectors.to_remove(design)
    context = {
        "tenant": tenant,
        "title": f"Remove {design.name} from Microsoft?",
        "ask": REMOVE_ASK.format(name=design.name),
        "names": [str(step) for step in planning.writing(steps)],
        "plan": planning.fingerprint(steps),
        "submit": "Remove",
        "danger": True,
        "form_action": f"{address(tenant, design)}remove/",
        "cancel_url": address(tenant, design),
    }
    return render(request, "resource_accounts/ask.html", context)


# --- By hand --------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.BUILD_ACCOUNTS)
def script(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID, which: str) -> HttpResponse:
    """A script for a person with the MicrosoftTeams module, as a file."""
    design = selectors.design(tenant, design_id)
    if which not in SCRIPTS:
        raise NotFound(thing="script")
    try:
        text = (
            services.verify_script(design)
            if which == "verify"
            else services.ready_script(design, REMOVE if which == "remove" else BUILD)
        )
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
        return SeeOther(address(tenant, design))
    name = f"{slugify(design.name) or 'resource-account'}-{SCRIPTS[which]}.ps1"
    return HttpResponse(
        text.removeprefix(BOM).encode("utf-8-sig"),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@tenant_view(needs=Ability.BUILD_ACCOUNTS, methods=WRITES)
def verify(request: HttpRequest, tenant: Tenant, design_id: uuid.UUID) -> HttpResponse:
    """Verify: what a person's run of the script printed."""
    design = selectors.design(tenant, design_id)
    form = PasteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            found = services.verify(actor_of(request), design, form.cleaned_data["result"])
        except UmpError as error:
            form.add_error("result", f"{error.message} {error.advice}")
        else:
            said = "It is built." if found.by_hand else "What is left to do is in the plan."
            messages.success(request, f"Read. {said}")
            return SeeOther(address(tenant, design))
    context = {
        "tenant": tenant,
        "design": design,
        "form": form,
        "url": address(tenant, design),
        "cancel_url": address(tenant, design),
    }
    return render(request, "resource_accounts/verify.html", context, status=422 if form.errors else 200)


# --- Templates ------------------------------------------------------------------------------------------------
@provider_view(needs=Ability.VIEW_PROVIDER)
def templates(request: HttpRequest) -> HttpResponse:
    page = tables.page_of(request.GET, selectors.templates())
    context = {"page": page, "rows": page, "may": actor_of(request).may(Ability.ADD_TENANT)}
    return render(request, "resource_accounts/templates.html", context)


@provider_view(needs=Ability.ADD_TENANT, methods=WRITES)
def add_template(request: HttpRequest, uid: uuid.UUID, design_id: uuid.UUID) -> HttpResponse:
    """A customer's design becomes a template."""
    tenant = tenant_for(actor_of(request), uid, needs=Ability.VIEW_DIRECTORY)
    design = selectors.design(tenant, design_id)
    form = TemplateForm(request.POST or None, initial={"name": design.name})
    if request.method == "POST" and form.is_valid():
        try:
            services.save_template(actor_of(request), design, form.cleaned_data["name"])
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Choose it where a customer's resource account is designed.")
            return SeeOther(TEMPLATES)
    context = {
        "title": f"Save {design.name} as a template",
        "ask": f"The design of {tenant.name} without its people, for other customers.",
        "form": form,
        "submit": "Save",
        "form_action": f"{TEMPLATES}add/{tenant.id}/{design.uid}/",
        "cancel_url": address(tenant, design),
    }
    return render(request, "resource_accounts/ask.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.ADD_TENANT, methods=WRITES)
def delete_template(request: HttpRequest, template_id: uuid.UUID) -> HttpResponse:
    row: DesignTemplate = selectors.template(template_id)
    if request.method == "POST":
        services.delete_template(actor_of(request), row)
        messages.success(request, f"{row.name} was deleted.")
        return SeeOther(TEMPLATES)
    context = {
        "title": f"Delete {row.name}?",
        "ask": "Designs that were made from this template stay as they are. This cannot be undone.",
        "submit": "Delete",
        "danger": True,
        "form_action": f"{TEMPLATES}{row.uid}/delete/",
        "cancel_url": TEMPLATES,
    }
    return render(request, "resource_accounts/ask.html", context)
