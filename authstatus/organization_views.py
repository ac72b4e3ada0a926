"""Is this the right organisation? What was found, and the button that says so."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from authstatus import organization
from core.errors import UmpError
from tenants import confirming
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.models import Tenant
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=("GET", "HEAD", "POST"))
def confirm(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The confirmation is bound to what was on the page when somebody pressed the button."""
    if request.method == "POST":
        try:
            organization.confirm(actor_of(request), tenant, _guid(request.POST.get("organization", "")))
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
        else:
            messages.success(request, "Confirmed. The first replication begins.")
        return SeeOther(f"/tenants/{tenant.id}/")
    stored = connection_of(tenant)
    found = stored.organization if stored is not None and stored.usable else None
    context = {
        "tenant": tenant,
        "title": f"Is this {tenant.name}?",
        "found": found,
        "facts": _facts(tenant, found),
        "connection": stored,
        "awaited": confirming.awaited(tenant.id),
        "form_action": request.path,
        "cancel_url": f"/tenants/{tenant.id}/",
    }
    return render(request, "authstatus/organization.html", context)


def _facts(tenant: Tenant, found: dict[str, object] | None) -> list[tuple[str, object]]:
    if found is None:
        return []
    return [
        ("Entered here as", tenant.name),
        ("Its name at Microsoft", found["name"]),
        ("Verified domains", ", ".join(map(str, found["domains"]))),  # type: ignore[call-overload]  # a list of names
        ("Users", "-N/A-" if found["users"] is None else f"{found['users']:,}"),
        ("Groups", "-N/A-" if found["groups"] is None else f"{found['groups']:,}"),
        ("Azure Tenant Id", found["id"]),
    ]


def _guid(text: str) -> uuid.UUID:
    """What is none fits no organisation."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return uuid.UUID(int=0)
