"""Step 1 of the wizard, M365 Tenant, and what is looked up while somebody fills it in."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from core.errors import Conflict, InvalidInput
from onboarding import frame, selectors, services
from onboarding.forms import TenantForm
from onboarding.models import Step
from replication.models import Command, State
from tenants import licences, offers, tables
from tenants import services as customers
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Service, Tenant
from tenants.web import actor_of, list_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
ENDED = 286
"""htmx's polite end of polling."""


@list_view(needs=Ability.ADD_TENANT, methods=WRITES)
def start(request: HttpRequest) -> HttpResponse:
    """Step 1 of a new customer; with its end the customer is there."""
    form = TenantForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.start(actor_of(request), cloud=form.cleaned_data["cloud"], **form.customer())
        except InvalidInput as error:
            add_error(form, error)
        else:
            return SeeOther(frame.address(made.tenant, Step.CONNECT))
    context = _first(form, actor_of(request)) | {"steps": frame.steps(Step.TENANT, Step.TENANT)}
    return render(request, "onboarding/tenant.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def tenant_step(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Step 1, gone back to."""
    onboarding = frame.open_one(tenant)
    form = TenantForm(request.POST or None, initial=TenantForm.values_of(tenant, onboarding))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            services.change_customer(
                actor_of(request), tenant, form.customer(), cloud=values["cloud"], version=values["version"]
            )
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            return SeeOther(frame.address(tenant, Step.CONNECT))
    context = frame.wizard(onboarding, Step.TENANT) | _first(form, actor_of(request))
    return render(request, "onboarding/tenant.html", context, status=422 if form.errors else 200)


def _first(form: TenantForm, actor: Actor) -> dict[str, Any]:
    """What step 1 shows beside the form."""
    pools = licences.pools() if actor.may(Ability.VIEW_PROVIDER) else None
    return {"form": form, "pools": pools, "schemes": (licences.TENANTS, licences.USERS)}


@list_view(needs=Ability.EDIT_TENANT)
def name(request: HttpRequest) -> HttpResponse:
    """Whether a customer could have this name, said while it is typed."""
    given = request.GET.get("name", "")
    context = {"given": given.strip()}
    try:
        customers.check_name(given)
    except InvalidInput as error:
        context["why"] = error.fields["why"]
    return render(request, "onboarding/name.html", context)


@list_view(needs=Ability.EDIT_TENANT)
def offered(request: HttpRequest) -> HttpResponse:
    """What the choices of step 1 lead to, while they are made."""
    service = tables.choice_of(request.GET, "service", Service.values) or Service.DIRECT_ROUTING
    users = request.GET.get("licensed_users", "")
    licensed = int(users) if users.isdecimal() and len(users) < 9 else 0
    would = Tenant(service=service, with_sync="with_sync" in request.GET, licensed_users=licensed)
    found = offers.of_tenant(would)
    return render(request, "onboarding/offers.html", {"offers": found, "offered": offers.tally(found)})


@list_view(needs=Ability.EDIT_TENANT, methods=("POST",))
def discover(request: HttpRequest) -> HttpResponse:
    """Look up whose tenant the domain is; the answer is followed until it is there."""
    try:
        command = services.discover(actor_of(request), request.POST.get("domain", "").replace("\0", ""))
    except InvalidInput as error:
        return render(request, "onboarding/discovery.html", {"problem": f"{error.message} {error.advice}"})
    return render(request, "onboarding/discovery.html", _discovery(command) | {"first": True})


@list_view(needs=Ability.EDIT_TENANT)
def discovery(request: HttpRequest, number: int) -> HttpResponse:
    """What became of a look-up; with its end, the two fields are filled in."""
    context = _discovery(selectors.discovery(number))
    status = ENDED if context["ended"] else 200
    return render(request, "onboarding/discovery.html", context, status=status)


def _discovery(command: Command) -> dict[str, Any]:
    found = command.result.get("tenant_id")
    ended = command.state in {State.SUCCEEDED, State.FAILED, State.CANCELLED, State.SUSPENDED}
    context: dict[str, Any] = {
        "command": command,
        "ended": ended,
        "found": found,
        "live_url": f"/onboarding/discover/{command.id}/live/",
    }
    if found:
        form = TenantForm(initial={"entra_tenant_id": found, "cloud": command.result["cloud"]})
        for field in ("entra_tenant_id", "cloud"):
            form.fields[field].widget.attrs["hx-swap-oob"] = "true"
        known = Tenant.objects.filter(entra_tenant_id=found, deleted_at=None).first()
        context |= {"form": form, "known": known}
    return context
