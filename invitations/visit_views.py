"""The customer's way: from the link of a mail to a proven connection."""

from typing import Any
from urllib.parse import urlsplit

from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import conditional_page, require_GET

from authstatus import delegated, delegated_views
from authstatus import guide as guides
from authstatus.forms import CredentialForm
from authstatus.services import connect
from core.errors import InvalidInput, UmpError
from invitations import device as device_codes
from invitations import progress, signing_in, visit_web, visits, ways
from invitations.models import Invitation, Visit, Way
from invitations.visit_web import address_of, cookie_of, link_view, visit_view
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import AppOwner, Connection, Tenant

HUB = "/authenticate/visit/"
POST = ("POST",)


# --- The link -----------------------------------------------------------------------------------------------
@link_view
def link(request: HttpRequest, invitation: Invitation, token: str) -> HttpResponseBase:
    """Who asks for what, and why. Mail scanners read it too: nothing happens before somebody presses a button."""
    if request.method == "POST":
        cookie = visits.begin(invitation, token, address=address_of(request))
        answer = SeeOther(HUB)
        visit_web.set_cookie(answer, cookie)
        return answer
    tenant: Tenant = invitation.tenant
    return render(
        request, "invitations/visit_link.html", _about(request, tenant) | {"invitation": invitation}
    )


def _about(request: HttpRequest, tenant: Tenant) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "asked": progress.asked(),
        "roles": progress.roles(tenant),
        "elsewhere": _elsewhere(request, tenant),
    }


def _elsewhere(request: HttpRequest, tenant: Tenant) -> str:
    """This very page on the host name that Microsoft sends people back to, if it is another one."""
    try:
        home = urlsplit(delegated.flow_for(tenant, anywhere=True).redirect_uri)
    except UmpError:
        return ""
    return "" if home.netloc == request.get_host() else f"{home.scheme}://{home.netloc}{request.path}"


# --- The visit ----------------------------------------------------------------------------------------------
@visit_view(over=True)
def visit(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Where the visitor stands, and what he can do next; `ways=all` while he waits, to go another way."""
    standing = progress.standing(visit)
    if "ways" in request.GET and standing.moves and standing.state != "unconfirmed":
        standing = progress.Standing("choose")
    return render(request, "invitations/visit.html", _context(visit, standing))


@visit_view(over=True)
def live(request: HttpRequest, visit: Visit) -> HttpResponse:
    """The inside of that page, asked for while somebody looks."""
    standing = progress.standing(visit)
    context = _context(visit, standing)
    if not standing.moves:
        return render(request, "invitations/visit_live.html", context, status=visit_web.ENDED)
    return conditional_page(lambda asked: render(asked, "invitations/visit_live.html", context))(request)


def _context(visit: Visit, standing: progress.Standing) -> dict[str, Any]:
    tenant: Tenant = visit.tenant
    error = visit_web.told(UmpError.from_dict(standing.error)) if standing.error else None
    context: dict[str, Any] = {
        "tenant": tenant,
        "invitation": visit.invitation,
        "standing": standing,
        "error": error,
        "live_url": f"{HUB}live/",
    }
    if standing.state == "done":
        return context | progress.connected(tenant)
    if standing.state == "choose":
        context |= {"offers": ways.offers(visit.invitation), "roles": progress.roles(tenant)}
        context["asked"] = progress.asked()
        context["creates"] = ways.TO_CREATE
    return context | {"device": progress.device_page(visit)}


# --- The first way, and making an app registration with it --------------------------------------------------
@visit_view(methods=POST)
def sign_in(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Start authentication: out to Microsoft. Not by a redirect: our pages let no form lead to another site."""
    way = Way.CREATE if request.POST.get("way") == Way.CREATE else Way.REDIRECT
    try:
        address = signing_in.begin(visit, way, cookie_of(request), address=address_of(request))
    except UmpError as error:
        return _told(visit, error)
    context = {"tenant": visit.tenant, "address": address, "host": urlsplit(address).netloc}
    answer = render(request, "invitations/visit_leave.html", context)
    answer.headers["Refresh"] = f"0;url={address}"
    return answer


@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponseBase:
    """/authenticate/OAuth2Callback, for visitors and for the portal's own people; the state says whose it is."""
    if not signing_in.is_visitors(request.GET.get("state", "")):
        return delegated_views.callback(request)
    return _came_back(request)


def _came_back(request: HttpRequest) -> HttpResponse:
    try:
        found = visits.visit_of(cookie_of(request))
    except UmpError as error:
        foreign = error.code == "visit_over" and not cookie_of(request)  # it never was in this visit
        return visit_web.refused(request, UmpError.of("signin_foreign") if foreign else error)
    try:
        problem = signing_in.come_back(
            found, cookie_of(request), request.GET.dict(), address=address_of(request)
        )
    except UmpError as error:
        return visit_web.refused(request, error)
    if problem is not None and problem.code in {"signin_foreign", "signin_restart"}:
        return visit_web.refused(request, problem)
    return SeeOther(HUB)


# --- The second way -----------------------------------------------------------------------------------------
@visit_view(methods=POST)
def device(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Have a code made; one that was shown before leads nowhere any more."""
    try:
        device_codes.begin(visit, cookie_of(request), address=address_of(request))
    except UmpError as error:
        return _told(visit, error)
    return SeeOther(HUB)


# --- The third way ------------------------------------------------------------------------------------------
@visit_view(methods=("GET", "HEAD", "POST"))
def use_app(request: HttpRequest, visit: Visit) -> HttpResponse:
    """Use App Registration: the guide for making one, and the form for what it ends in."""
    tenant: Tenant = visit.tenant
    stored: Connection | None = Connection.objects.filter(tenant=tenant).first()
    cloud = ways.cloud_of(visit.invitation, stored)
    form = CredentialForm(request.POST or None, initial={"cloud": cloud})
    why_not = ways.offers(visit.invitation)["use"].why_not
    if request.method == "POST" and not why_not and form.is_valid():
        try:
            with transaction.atomic():
                invitation = visits.note_start(visit, Way.USE)
                actor = visit_web.actor_of(request, invitation)
                visits.note_entered(visit, invitation)
                connect(actor, tenant, **form.credential())
        except InvalidInput as error:
            add_error(form, error)
        else:
            return SeeOther(HUB)
    # As for somebody who begins: whatever connects the customer now is no business of this page.
    guide = guides.guide("own", tenant, Connection(tenant=tenant, cloud=cloud, app_owner=AppOwner.PROVIDER))
    context = {
        "tenant": tenant,
        "form": form,
        "why_not": why_not,
        "guide": guide,
        "steps": guide.steps[:-1],  # the last one is this page
    }
    return render(request, "invitations/visit_app.html", context, status=422 if form.errors else 200)


def _told(visit: Visit, error: UmpError) -> HttpResponse:
    """Back to the page, which then says why; what the visit may not do at all is not a matter of this visit."""
    if error.code in {
        "invitation_expired",
        "invitation_revoked",
        "invitation_used",
        "invitation_unknown",
        "visit_over",
        "rate_limited",
    }:
        raise error
    visits.note_refusal(visit, error)
    return SeeOther(HUB)
