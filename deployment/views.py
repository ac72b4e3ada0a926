"""Deploy and Undo Deploy of a customer: the look, the plan, the decision, and a person's script where needed."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh

from core.errors import Conflict, InvalidInput, NotFound, UmpError
from deployment import selectors, services
from deployment.forms import SiteVoiceForm, VerifyForm
from deployment.models import Act, Run, WriteState
from deployment.selectors import SHOWN, Shown
from sites import selectors as sites
from tenants import deployment
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
EVERY = 3
PATHS = {Act.DEPLOY: "deploy", Act.UNDO: "undo-deploy"}
WORDS = {
    Act.DEPLOY: {
        "title": "Deploy {name}",
        "lead": "Its sites on their SBCs, then its voice routing in Microsoft 365.",
        "submit": "Deploy",
        "said": "{name} is being deployed.",
    },
    Act.UNDO: {
        "title": "Undo Deploy of {name}",
        "lead": "Takes away what the portal created: prefixes and rows of its sites on SBCs, then PSTN gateways, "
        "routes and policies in Teams. Users, domains and what others made stay, and the customer is Ready again.",
        "submit": "Undo Deploy",
        "said": "The deployment of {name} is being undone.",
    },
}


def address(tenant: Tenant, act: Act) -> str:
    return f"/tenants/{tenant.id}/{PATHS[act]}/"


@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES)
def page(request: HttpRequest, tenant: Tenant, act: Act) -> HttpResponse:
    """The plan and the button; while workers are at it, how far they are."""
    if request.method == "POST":
        try:
            services.decide(actor_of(request), tenant, act, request.POST.get("plan", "")[:64])
            messages.success(request, WORDS[act]["said"].format(name=tenant.name))
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
        return SeeOther(address(tenant, act))
    return render(request, "deployment/page.html", _page(tenant, act, VerifyForm()))


def _page(tenant: Tenant, act: Act, form: VerifyForm) -> dict[str, Any]:
    run = _run(tenant, act)
    refused = services.why_not(tenant, act)
    connection = connection_of(tenant)
    return {
        "tenant": tenant,
        "act": act.value,
        "words": {name: text.format(name=tenant.name) for name, text in WORDS[act].items()},
        "url": address(tenant, act),
        "other": next(
            (Shown(each) for each in [services.open_run(tenant)] if each and each.act != act), None
        ),
        "other_url": address(tenant, Act.UNDO if act == Act.DEPLOY else Act.DEPLOY),
        "run": run,
        "shown": Shown(run) if run else None,
        "refused": dict(refused.to_dict()) if refused else None,
        "undoable": act == Act.DEPLOY and services.why_not(tenant, Act.UNDO) is None,
        "sentence": deployment.sentence(tenant, connection),
        "form": form,
        "every": EVERY,
        "writes": [
            (row, selectors.WRITES[WriteState(row.state)]) for row in selectors.writes_of(tenant)[:SHOWN]
        ],
        "sites_url": f"/tenants/{tenant.id}/sites/",
    }


def _run(tenant: Tenant, act: Act) -> Run | None:
    """The newest of this act that was not set aside."""
    found = selectors.newest_of(tenant, act)
    return None if found is None or found.state == "set_aside" else found


@tenant_view(needs=Ability.MANAGE_SBC)
def live(request: HttpRequest, tenant: Tenant, act: Act) -> HttpResponse:
    """While workers are at it; the whole page comes again when that is over."""
    run = _run(tenant, act)
    if run is None or not Shown(run).busy:
        return HttpResponseClientRefresh()
    return render(request, "deployment/live.html", {"run": run, "shown": Shown(run), "tenant": tenant})


@tenant_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def look(request: HttpRequest, tenant: Tenant, act: Act) -> HttpResponse:
    """Have workers find out what would be done."""
    try:
        services.look(actor_of(request), tenant, act, take_over="take_over" in request.POST)
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
    return SeeOther(address(tenant, act))


@tenant_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def set_aside(request: HttpRequest, tenant: Tenant, act: Act) -> HttpResponse:
    """Nobody waits for this plan, or for its script, any more."""
    run = _run(tenant, act)
    try:
        if run is not None:
            services.set_aside(actor_of(request), run)
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
    return SeeOther(address(tenant, act))


# --- A person's script ----------------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_SBC)
def script(request: HttpRequest, tenant: Tenant, act: Act, verify: bool) -> HttpResponse:
    """The ready script, or the one that only reads, to be downloaded."""
    run = services.open_run(tenant)
    if run is None or run.act != act or not run.by_hand:
        raise NotFound(thing="script")
    text = services.script(run, verify=verify)
    name = f"{'verify' if verify else PATHS[act]}-{tenant.id}.ps1"
    answer = HttpResponse(text, content_type="text/plain; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


@tenant_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def verify(request: HttpRequest, tenant: Tenant, act: Act) -> HttpResponse:
    """What the Verify script printed."""
    form = VerifyForm(request.POST, request.FILES)
    if form.is_valid():
        try:
            services.verify(actor_of(request), tenant, form.cleaned_data["result"])
        except InvalidInput as error:
            form.add_error("result", error.fields["why"][0].upper() + error.fields["why"][1:] + ".")
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
            return SeeOther(address(tenant, act))
        else:
            return SeeOther(address(tenant, act))
    return render(request, "deployment/page.html", _page(tenant, act, form), status=422)


# --- What a site wants in Teams -------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES)
def site_voice(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """Number pattern, trunk and dial plan of one site; Deploy writes it."""
    site = sites.site(tenant, site_id)
    form = SiteVoiceForm(request.POST or None, initial=SiteVoiceForm.values_of(selectors.voice_of(site)))
    back = f"/tenants/{tenant.id}/sites/{site.uid}/"
    if request.method == "POST" and form.is_valid():
        try:
            services.set_voice(actor_of(request), site, **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Deploy writes it in Teams.")
            return SeeOther(back)
    context = {"tenant": tenant, "site": site, "form": form, "back_url": back}
    return render(request, "deployment/site_voice.html", context, status=422 if form.errors else 200)
