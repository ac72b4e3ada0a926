"""Taking a customer over to the provider's own app registration, and the way back from a consent link."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from authstatus import shared_app
from authstatus.views import told
from core.errors import UmpError
from m365.errors import from_oauth
from m365.permissions import PERMISSIONS, PROFILES
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.models import AppOwner, Tenant
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=("GET", "HEAD", "POST"), fresh=True)
def use_provider_app(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """What it means, what stands in the way, and the button."""
    actor, stored = actor_of(request), connection_of(tenant)
    error = shared_app.obstacle(tenant, stored)
    if request.method == "POST" and error is None:
        try:
            shared_app.use(actor, tenant)
        except UmpError as late:  # somebody was faster
            error = late
        else:
            messages.success(request, "Saved. Validating credentials, please wait!")
            return SeeOther(f"/tenants/{tenant.id}/")
    context = {
        "tenant": tenant,
        "title": f"Use the provider's app for {tenant.name}?",
        "submit": "Use the provider's app",
        "form_action": request.path,
        "cancel_url": f"/tenants/{tenant.id}/connection/",
        "connection": stored,
        "error": told(error.to_dict(), actor) if error else None,
        "link": shared_app.consent_link(tenant, stored, owner=AppOwner.PROVIDER) if error is None else "",
        "asked_for": [PERMISSIONS[name] for name in PROFILES["directory_read"].application],
    }
    return render(request, "authstatus/use_provider_app.html", context, status=409 if error else 200)


def consented(request: HttpRequest) -> HttpResponse:
    """Somebody followed a consent link to its end. He may be nobody we know, and nothing he brings is believed."""
    query = request.GET
    if query.get("error"):
        answer = {name: query.get(name, "") for name in ("error", "error_description")}
        error = dict(from_oauth(answer, 400).to_dict()) | {"detail": {}, "who": ""}
        return render(request, "authstatus/come_back.html", {"error": error}, status=422)
    return render(request, "authstatus/consented.html", {"onward": _onward(request)})


def _onward(request: HttpRequest) -> tuple[str, str] | None:
    """Where whoever is signed in sees what becomes of it: address and words of a page that he may see."""
    if not request.user.is_authenticated:
        return None
    actor = actor_of(request)
    if actor.is_provider:
        return "/authentication-status/", "Authentication Status"
    if len(actor.tenant_roles) == 1:
        return f"/tenants/{next(iter(actor.tenant_roles))}/connection/", "Microsoft 365 Settings"
    return ("/", "Your organisations") if actor.tenant_roles else None
