"""The onboarding wizard: 1 M365 Tenant, 2 M365, 3 Voice Route (SPEC TEN-12). It can be left and resumed anywhere."""

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import conditional_page
from django_htmx.http import HttpResponseClientRedirect

from accounts.again import typed
from authstatus import shared_app, shown
from authstatus.forms import CredentialForm
from authstatus.views import needed, told
from core.errors import Conflict, InvalidInput, UmpError
from deployment import selectors as deployments
from deployment import services as deploying
from deployment.models import Act
from deployment.selectors import Shown as Deployment
from domains import services as domains
from domains.forms import DomainForm
from domains.selectors import current as current_domain
from domains.selectors import shown as shown_domain
from invitations.forms import InviteForm
from m365.permissions import PERMISSIONS, PROFILES
from onboarding import frame, selectors, services, standing
from onboarding.models import Onboarding, Step, Way, limit_of
from replication.models import Command
from tenants import offers, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther, leave_dialog
from tenants.forms import add_error
from tenants.models import AppOwner, Tenant
from tenants.web import actor_of, list_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
ENDED = 286
"""htmx's polite end of polling."""


# --- The list -----------------------------------------------------------------------------------------------
@list_view(needs=Ability.EDIT_TENANT)
def index(request: HttpRequest) -> HttpResponse:
    """Onboardings that are not finished, the one that waits longest first."""
    found = selectors.unfinished()
    search = tables.search_of(request.GET)
    if search:
        found = found.filter(tenant__name__icontains=search)
    context = {
        "page": tables.page_of(request.GET, found),
        "searched": search,
        "may_add": actor_of(request).may(Ability.ADD_TENANT),
    }
    return render(request, "onboarding/list.html", context)


# --- Step 2: M365 -------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_TENANT)
def resume(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """To the step where the onboarding stands."""
    onboarding = selectors.the_newest_of(tenant)
    if not onboarding.is_open:
        return render(request, "onboarding/ended.html", {"tenant": tenant, "onboarding": onboarding})
    return SeeOther(frame.address(tenant, frame.reached(onboarding)))


@tenant_view(needs=Ability.EDIT_TENANT)
def connect_step(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    onboarding = frame.open_one(tenant)
    context = frame.wizard(onboarding, Step.CONNECT) | _connecting(onboarding, actor_of(request))
    return render(request, "onboarding/connect.html", context)


@tenant_view(needs=Ability.EDIT_TENANT)
def connect_live(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The inside of step 2, asked for while somebody waits there; once access is proven, the wizard continues."""
    onboarding = selectors.the_newest_of(tenant)
    context = _connecting(onboarding, actor_of(request))
    if not onboarding.is_open or context["standing"].continues:
        return HttpResponseClientRedirect(f"/tenants/{tenant.id}/onboarding/")
    return conditional_page(lambda asked: render(asked, "onboarding/connect_live.html", context))(request)


def _connecting(onboarding: Onboarding, actor: Actor) -> dict[str, Any]:
    tenant = onboarding.tenant
    now = standing.of(onboarding)
    return {
        "tenant": tenant,
        "standing": now,
        "error": told(now.error, actor) if now.error else None,
        "ways": [
            {"way": way, "icon": icon, "text": text, "why": services.why_not(onboarding, way)}
            for way, icon, text in WAYS
        ],
        "may_connect": actor.may(Ability.MANAGE_CONNECTION, tenant.id),
        "base": f"/tenants/{tenant.id}/onboarding/",
        "live_url": f"/tenants/{tenant.id}/onboarding/m365/live/",
    }


WAYS = (
    (
        Way.INVITE,
        "mail",
        "The customer's administrator gets a mail, reads what is asked for, and signs in.",
    ),
    (Way.APP, "key-round", "The customer made an app registration and told you its client id and secret."),
    (
        Way.PROVIDER,
        "building-2",
        "The customer's administrator consents to the provider's own app registration.",
    ),
)


@tenant_view(needs=Ability.INVITE, methods=WRITES)
def invite(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Send link to IT administrator."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            made = services.invite(actor_of(request), tenant, **form.cleaned_data)
        except Conflict as error:
            add_error(form, error)
        else:
            messages.success(request, f"The invitation goes to {made.email}. The mail is on its way.")
            return leave_dialog(request, frame.address(tenant, Step.CONNECT))
    context = frame.dialog(tenant, "invite/", "Send link to IT administrator", "Send link") | {
        "form": form,
        "in_place": True,
    }
    return render(request, "onboarding/invite.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def enter_app(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Enter an app registration."""
    onboarding = frame.open_one(tenant)
    form = CredentialForm(request.POST or None, initial={"cloud": onboarding.cloud} | typed(request))
    error = services.why_not(onboarding, Way.APP)
    if request.method == "POST" and error is None and form.is_valid():
        try:
            services.enter_app(actor_of(request), tenant, **form.credential())
        except InvalidInput as refused:
            add_error(form, refused)
        else:
            return SeeOther(frame.address(tenant, Step.CONNECT))
    context = frame.wizard(onboarding, Step.CONNECT) | {
        "form": form,
        "error": told(error.to_dict(), actor_of(request)) if error else None,
        "needed": needed(),
    }
    return render(
        request, "onboarding/app.html", context, status=422 if form.errors else 409 if error else 200
    )


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def use_provider_app(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Use the provider's app, with the same words as on the connection's page."""
    onboarding = frame.open_one(tenant)
    error = services.why_not(onboarding, Way.PROVIDER)
    if request.method == "POST" and error is None:
        try:
            services.use_provider_app(actor_of(request), tenant)
        except UmpError as late:  # somebody was faster
            error = late
        else:
            return SeeOther(frame.address(tenant, Step.CONNECT))
    link = shared_app.consent_link(tenant, None, owner=AppOwner.PROVIDER) if error is None else ""
    context = frame.dialog(
        tenant, "provider-app/", f"Onboard {tenant.name} with the provider's app?", "Use the provider's app"
    ) | {
        "connection": None,
        "error": told(error.to_dict(), actor_of(request)) if error else None,
        "link": link,
        "asked_for": [PERMISSIONS[each] for each in PROFILES["directory_read"].application],
    }
    return render(request, "authstatus/use_provider_app.html", context, status=409 if error else 200)


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def retry(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Try the step again; the dialog says what that does."""
    onboarding = frame.open_one(tenant)
    if request.method == "POST":
        messages.success(request, services.retry(actor_of(request), tenant))
        return SeeOther(frame.address(tenant, Step.CONNECT))
    context = frame.dialog(tenant, "retry/", "Retry?", "Retry") | {"standing": standing.of(onboarding)}
    return render(request, "onboarding/retry.html", context)


# --- Step 3: Voice Route ------------------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_TENANT)
def route_step(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, "onboarding/route.html", _route_page(request, tenant, _domain_form(tenant)))


@tenant_view(needs=Ability.EDIT_TENANT)
def route_live(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The domain and the first replication, asked for while somebody looks."""
    onboarding = selectors.the_newest_of(tenant)
    if not onboarding.is_open:
        return HttpResponseClientRedirect(f"/tenants/{tenant.id}/")
    context = _routing(onboarding, actor_of(request))
    return conditional_page(lambda asked: render(asked, "onboarding/route_live.html", context))(request)


def _route_page(request: HttpRequest, tenant: Tenant, form: DomainForm) -> dict[str, Any]:
    onboarding, found = frame.open_one(tenant), offers.of_tenant(tenant)
    return {
        **frame.wizard(onboarding, Step.ROUTE),
        **_routing(onboarding, actor_of(request)),
        **shown.about(tenant),
        "signs_in_as": "whoever the portal signs in as",
        "form": form,
        "offers": found,
        "offered": offers.tally(found),
        "until": _until(onboarding),
    }


def _domain_form(tenant: Tenant, data: Any = None) -> DomainForm:
    """With the name that the portal would choose, where it has a zone to choose from."""
    try:
        name = "" if domains.why_not(tenant) else domains.planned_name(tenant)
    except UmpError:  # without a zone, or with a name of signs only, a person enters one
        name = ""
    return DomainForm(data, initial={"name": name, "with_user": True})


def _until(onboarding: Onboarding) -> dt.datetime:
    """When step 3 should be done, also in the seconds before the sweeper has noted that it was reached."""
    return onboarding.deadline if onboarding.step == Step.ROUTE else timezone.now() + limit_of(Step.ROUTE)


def _routing(onboarding: Onboarding, actor: Actor) -> dict[str, Any]:
    tenant = onboarding.tenant
    domain = current_domain(tenant)
    first = Command.objects.filter(tenant=tenant, kind__in=services.FIRST).order_by("-id").first()
    return {
        "tenant": tenant,
        "standing": standing.of(onboarding),
        "no_dns": domains.why_not(tenant),
        "domain": shown_domain(domain) if domain else None,
        "dns_problem": told(onboarding.problem, actor) if onboarding.problem else None,
        "first": first,
        "deploy": Deployment(run) if (run := deployments.newest_of(tenant, Act.DEPLOY)) else None,
        "deploy_url": f"/tenants/{tenant.id}/deploy/" if actor.may(Ability.MANAGE_SBC) else "",
        "deploy_refused": deploying.why_not(tenant, Act.DEPLOY),
        "live_url": f"/tenants/{tenant.id}/onboarding/voice-route/live/",
    }


@tenant_view(needs=Ability.EDIT_TENANT, methods=("POST",))
def begin_dns(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Begin the automatic DNS; a name that cannot be used is said beside its field."""
    form = _domain_form(tenant, request.POST)
    if form.is_valid():
        try:
            services.begin_dns(actor_of(request), tenant, **form.wish())
        except UmpError as error:
            add_error(form, error)
        else:
            return SeeOther(frame.address(tenant, Step.ROUTE))
    return render(request, "onboarding/route.html", _route_page(request, tenant, form), status=422)


@tenant_view(needs=Ability.EDIT_TENANT, methods=("POST",))
def finish(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    services.finish(actor_of(request), tenant)
    messages.success(request, f"The onboarding of {tenant.name} is finished.")
    return SeeOther(f"/tenants/{tenant.id}/")


# --- Ending and beginning again -----------------------------------------------------------------------------
@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def cancel(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Says what stays, and stops."""
    onboarding = frame.open_one(tenant)
    if request.method == "POST":
        services.cancel(actor_of(request), tenant)
        messages.info(request, f"The onboarding of {tenant.name} was cancelled.")
        return SeeOther(f"/tenants/{tenant.id}/onboarding/")
    context = frame.dialog(tenant, "cancel/", f"Cancel the onboarding of {tenant.name}?", "Cancel onboarding")
    context |= {"danger": True, "cancel_label": "Go on", "letter": standing.letter_of(onboarding)}
    return render(request, "onboarding/cancel.html", context)


@tenant_view(needs=Ability.EDIT_TENANT, methods=("POST",))
def again(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Another attempt, for a customer that is there already."""
    services.start_again(actor_of(request), tenant)
    return SeeOther(f"/tenants/{tenant.id}/onboarding/")
