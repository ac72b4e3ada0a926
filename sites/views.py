"""Site Locations: of one SBC, over all of them, of one customer; one site, and what is done with it."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django_htmx.http import HttpResponseClientRefresh

from accounts.again import typed
from audiocodes.script import Variable
from core.errors import Conflict, InvalidInput, UmpError
from replication.models import Command
from sbc import selectors as devices
from sites import selectors, services, template_selectors
from sites.forms import SiteForm
from sites.models import Configuration, Purpose, ScriptTemplate, Site, SiteState
from sites.selectors import Shown
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, list_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
ENDED = 286
"""htmx's polite end of polling."""
EVERY = 3
ORDERS = {
    "site": ["name", "id"],
    "customer": ["tenant__name", "name", "id"],
    "configuration": ["configuration", "name", "id"],
    "gateway": ["gateway", "id"],
    "sbc": ["sbc__name", "name", "id"],
    "sbc_state": ["sbc_state", "name", "id"],
    "m365_state": ["m365_state", "name", "id"],
}
STATES = [("none", SiteState.NONE.label), *((state.value, state.label) for state in SiteState if state)]
CHOICES = {
    "sbc_state": ("SbcDeploymentState", STATES),
    "configuration": ("Configuration", list(Configuration.choices)),
}
NO_TEMPLATE = "none"


def address(tenant: Tenant, site: Site | None = None) -> str:
    return f"/tenants/{tenant.id}/sites/" + (f"{site.uid}/" if site else "")


# --- Lists ----------------------------------------------------------------------------------------------------
@list_view(needs=Ability.VIEW_PROVIDER)
def everywhere(request: HttpRequest) -> HttpResponse:
    """SBC > Site Locations: the sites of all devices."""
    context = _list(request, selectors.sites(**_asked(request)), for_provider=True)
    return render(
        request, "sites/index.html", context | {"with_sbc": True, "any_sbc": devices.sbcs().exists()}
    )


@list_view(needs=Ability.VIEW_PROVIDER)
def of_sbc(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """Show Sites: SBC Site Locations of one device (SBC-11)."""
    sbc = devices.sbc(sbc_id)
    found = selectors.sites(**_asked(request)).filter(sbc=sbc)
    return render(request, "sites/index.html", _list(request, found, for_provider=True) | {"sbc": sbc})


@tenant_view(needs=Ability.VIEW_TENANT)
def of_tenant(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """A customer's sites; its own people see them without what concerns the device."""
    actor = actor_of(request)
    found = selectors.sites(**_asked(request)).filter(tenant=tenant)
    may_add = actor.may(Ability.MANAGE_SBC, tenant.id)
    context = {
        "tenant": tenant,
        "with_sbc": actor.may(Ability.VIEW_PROVIDER),
        "may_add": may_add,
        "add_url": f"{address(tenant)}add/",
        "any_sbc": may_add and devices.sbcs().exists(),
    }
    return render(
        request, "sites/index.html", _list(request, found, for_provider=actor.is_provider) | context
    )


def _asked(request: HttpRequest) -> dict[str, str]:
    return {
        "search": tables.search_of(request.GET),
        "state": tables.choice_of(request.GET, "sbc_state", [value for value, _ in STATES]),
        "configuration": tables.choice_of(request.GET, "configuration", Configuration.values),
    }


def _list(request: HttpRequest, found: Any, *, for_provider: bool) -> dict[str, Any]:
    sort, order = tables.order_of(request.GET, ORDERS, "site")
    page = tables.page_of(request.GET, found.order_by(*order))
    filters = tables.filters(request.GET, CHOICES)
    tenant: Tenant | None = getattr(request, "tenant", None)
    return {
        "page": page,
        "rows": [Shown(site, for_provider) for site in page],
        "noun": tables.noun(page),
        "sort": sort,
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "may_edit": actor_of(request).may(Ability.EDIT_TENANT, tenant.id if tenant else None),
    }


# --- Add SBC Site, edit ---------------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def add(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Add SBC Site: first by which template, then what it needs (TEN-09)."""
    asked = request.GET.get("template", "")
    if not asked:
        return _choose(request, tenant, None)
    template = _template(asked)
    gateways = selectors.gateways_for(tenant)
    form = SiteForm(
        request.POST or None,
        initial={"gateway": gateways[0] if gateways else ""} | typed(request),
        variables=services.variables_of(template),
        gateways=gateways,
    )
    if request.method == "POST" and form.is_valid():
        try:
            site = services.add(actor_of(request), tenant, **form.wish(), template=template)
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, f"{site.name} was added. Nothing on the SBC has changed yet.")
            return SeeOther(address(tenant, site))
    return _form(request, tenant, None, template, form)


@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def edit(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """While nothing of it is on an SBC."""
    site = selectors.site(tenant, site_id)
    asked = request.GET.get("template", "")
    if "choose" in request.GET:
        return _choose(request, tenant, site)
    template = _template(asked) if asked else site.template
    form = SiteForm(
        request.POST or None,
        initial=SiteForm.values_of(site) | typed(request),
        variables=services.variables_of(template),
        gateways=selectors.gateways_for(tenant),
        keep_secrets=site.secret_id is not None and template == site.template,
    )
    if request.method == "POST" and form.is_valid():
        try:
            wish = form.wish() | {"template": template, "version": form.cleaned_data["version"]}
            services.change(actor_of(request), site, **wish)
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved.")
            return SeeOther(address(tenant, site))
    return _form(request, tenant, site, template, form)


def _form(
    request: HttpRequest, tenant: Tenant, site: Site | None, template: ScriptTemplate | None, form: SiteForm
) -> HttpResponse:
    context = {
        "tenant": tenant,
        "site": site,
        "template": template,
        "form": form,
        "title": f"Edit {site.name}" if site else "Add SBC Site",
        "choose_url": f"{address(tenant, site)}edit/?choose=1" if site else f"{address(tenant)}add/",
        "cancel_url": address(tenant, site),
        "any_sbc": bool(form.sbcs),
    }
    return render(request, "sites/edit.html", context, status=422 if form.errors else 200)


def _choose(request: HttpRequest, tenant: Tenant, site: Site | None) -> HttpResponse:
    context = {
        "tenant": tenant,
        "site": site,
        "templates": template_selectors.templates(purpose=Purpose.ONBOARDING),
        "none": NO_TEMPLATE,
        "title": f"Edit {site.name}" if site else "Add SBC Site",
        "action": f"{address(tenant, site)}edit/" if site else f"{address(tenant)}add/",
        "cancel_url": address(tenant, site),
        "any_sbc": devices.sbcs().exists(),
    }
    return render(request, "sites/choose.html", context)


def _template(asked: str) -> ScriptTemplate | None:
    """Raises NotFound."""
    if asked == NO_TEMPLATE:
        return None
    try:
        uid = uuid.UUID(asked)
    except ValueError:
        uid = uuid.UUID(int=0)
    return template_selectors.template(uid)


# --- One site -------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_TENANT)
def one(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    return render(request, "sites/one.html", _page(request, tenant, site_id))


@tenant_view(needs=Ability.VIEW_TENANT)
def live(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """What changes while it is worked on; 286 when that is over, and then the whole page comes again."""
    context = _page(request, tenant, site_id)
    if not context["busy"]:
        return HttpResponseClientRefresh()
    return render(request, "sites/one_live.html", context)


def _page(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> dict[str, Any]:
    actor = actor_of(request)
    site = selectors.site(tenant, site_id)
    shown = Shown(site, actor.is_provider)
    command = selectors.command_of(site)
    busy = site.sbc_state in services.BUSY and selectors.is_open(command)
    may = actor.may(Ability.MANAGE_SBC, tenant.id)
    return {
        "tenant": tenant,
        "site": site,
        "shown": shown,
        "url": address(tenant, site),
        "busy": busy,
        "every": EVERY,
        "for_provider": actor.is_provider,
        "command": command if actor.may(Ability.VIEW_PROVIDER) else None,
        "facts": _facts(site, for_provider=actor.is_provider),
        "may": {
            "edit": may and not busy and not shown.on_sbc,
            "deploy": may
            and not busy
            and site.sbc_state != SiteState.DEPLOYED
            and site.template_id is not None,
            "remove": may and not busy and shown.on_sbc,
            "numbers": actor.may(Ability.EDIT_TENANT, tenant.id),
            "voice": may,
        },
    }


def _titles(site: Site) -> dict[str, str]:
    """How the script calls its variables, by their names."""
    if site.template is None:
        return {}
    declared = template_selectors.variables_of(template_selectors.version(site.template))
    return {each.name: each.title for each in declared}


def _facts(site: Site, *, for_provider: bool) -> list[tuple[str, object, str]]:
    own: list[tuple[str, object, str]] = [
        ("Configuration", site.get_configuration_display(), ""),
        ("Trunk model", site.get_trunk_display(), ""),
        ("PSTN Gateway", site.gateway, ""),
    ]
    if not for_provider:
        return own
    used = f"version {site.applied.number} was carried out" if site.applied else ""
    called = _titles(site)
    values = [
        (called.get(name) or Variable(name).title, text, "") for name, text in sorted(site.values.items())
    ]
    secret = [("Secret values", "stored", f"by {site.secret.set_by}")] if site.secret else []
    script = ("Script", site.template.name if site.template else "", used)
    return [("SBC", f"{site.sbc.name} [{site.sbc.host}]", ""), *own, script, *values, *secret]


@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES)
def delete(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    site = selectors.site(tenant, site_id)
    if request.method == "POST":
        try:
            services.delete(actor_of(request), site)
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
            return SeeOther(address(tenant, site))
        messages.success(request, f"{site.name} was deleted.")
        return SeeOther(address(tenant))
    context = {
        "tenant": tenant,
        "title": f"Delete {site.name}?",
        "ask": f"The portal forgets the site {site.name} and what was entered for it. {_on_device(site)} "
        "This cannot be undone.",
        "submit": "Delete",
        "danger": True,
        "form_action": f"{address(tenant, site)}delete/",
        "cancel_url": address(tenant, site),
    }
    return render(request, "sites/ask.html", context)


def _on_device(site: Site) -> str:
    """What deleting a site means for its SBC."""
    if site.sbc_state == SiteState.DEPLOYED:  # it was taken over
        return f"What it has on {site.sbc.name} was not made by the portal, and stays there."
    return f"Nothing of it is on {site.sbc.name}, so nothing changes there."


# --- Deploying and removing: looked at first ------------------------------------------------------------------
WORDS = {
    services.DEPLOY: {
        "title": "Deploy {site}",
        "submit": "Deploy",
        "rows": "Rows that will come into being",
        "path": "deploy/",
        "said": "The site is being deployed.",
    },
    services.REMOVE: {
        "title": "Remove {site} from its SBC",
        "submit": "Remove from SBC",
        "rows": "Rows that will go",
        "path": "remove/",
        "said": "The site is being removed from its SBC.",
    },
}


@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES)
def deploy(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """Every line as it will be sent, and the button."""
    return _planned(request, tenant, site_id, services.DEPLOY)


@tenant_view(needs=Ability.MANAGE_SBC, methods=WRITES)
def remove(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    """What will be taken off the SBC, beside what the clean-up script says."""
    return _planned(request, tenant, site_id, services.REMOVE)


def _planned(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID, kind: str) -> HttpResponse:
    site = selectors.site(tenant, site_id)
    words = WORDS[kind]
    if request.method == "POST":
        act = services.deploy if kind == services.DEPLOY else services.remove
        try:
            act(actor_of(request), site, request.POST.get("plan", "")[:64])
            messages.success(request, words["said"])
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
        return SeeOther(address(tenant, site))
    command = selectors.preview_of(site, kind)
    told = command.result if command is not None else {}
    context = {
        "tenant": tenant,
        "site": site,
        "url": f"{address(tenant, site)}{words['path']}",
        "back_url": address(tenant, site),
        "title": words["title"].format(site=site.name),
        "words": words,
        "command": command,
        "busy": selectors.is_open(command),
        "every": EVERY,
        "told": told if "plan" in told else None,
        "problem": told.get("problem"),
        "removing": kind == services.REMOVE,
        "held": site.sbc_state in services.BUSY,
        "prefixes": services.in_the_way(site) if kind == services.REMOVE else None,
    }
    return render(request, "sites/plan.html", context)


@tenant_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def look_deploy(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    return _look(request, tenant, site_id, services.DEPLOY)


@tenant_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def look_remove(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    return _look(request, tenant, site_id, services.REMOVE)


def _look(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID, kind: str) -> HttpResponse:
    """A worker reads the device and says what it would do."""
    site = selectors.site(tenant, site_id)
    try:
        services.preview(actor_of(request), site, kind)
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
        return SeeOther(address(tenant, site))
    return SeeOther(f"{address(tenant, site)}{WORDS[kind]['path']}")


@tenant_view(needs=Ability.MANAGE_SBC)
def live_deploy(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    return _looking(request, selectors.preview_of(selectors.site(tenant, site_id), services.DEPLOY))


@tenant_view(needs=Ability.MANAGE_SBC)
def live_remove(request: HttpRequest, tenant: Tenant, site_id: uuid.UUID) -> HttpResponse:
    return _looking(request, selectors.preview_of(selectors.site(tenant, site_id), services.REMOVE))


def _looking(request: HttpRequest, command: Command | None) -> HttpResponse:
    """While a worker looks; the whole page comes again when it has."""
    if not selectors.is_open(command):
        return HttpResponseClientRefresh()
    return render(request, "sites/plan_live.html", {"command": command})
