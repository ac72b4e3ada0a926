"""Adding a customer with its app registration, its connection, and having it checked."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from accounts.again import typed
from authstatus import delegated, selectors, services, shared_app, shown
from authstatus.forms import OnboardForm
from authstatus.models import Check, QoeIntegration, Result
from core.errors import InvalidInput
from core.kinds import WHO_IN_WORDS, WHO_TO_CUSTOMERS, Who
from m365 import permissions
from tenants import confirming, grants, licences, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Connection, Method, ProviderApp, SecretKind, SignIn, Tenant, Verification
from tenants.web import actor_of, list_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
PROFILE = permissions.PROFILES["directory_read"]
OWN_WORDS = (
    ("The customer's administrator", "An administrator of your organisation"),
    ("the customer's administrator", "an administrator of your organisation"),
    ("Administrator of the customer", "Administrator of your organisation"),
)


@list_view(needs=Ability.ADD_TENANT, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    """One form; the check and the first replication are then watched on the customer's page."""
    form = OnboardForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            tenant, _ = services.onboard(actor_of(request), **form.customer(), **form.credential())
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, f"{tenant.name} was added. Its credentials are being checked.")
            return SeeOther(f"/tenants/{tenant.id}/")
    context = {"form": form, "needed": needed(), "pools": licences.pools()}
    return render(request, "authstatus/add.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
def check(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Check Credentials. Asking twice joins the check that waits already; `back` names the page that asked."""
    asked_at = tables.choice_of(request.GET, "back", ["connection"])
    back = f"/tenants/{tenant.id}/{asked_at and 'connection/'}"
    if request.method == "POST":
        services.check(actor_of(request), tenant)
        messages.info(request, "Validating credentials, please wait!")
        return SeeOther(back)
    context = {
        "tenant": tenant,
        "title": f"Check the credentials of {tenant.name}?",
        "submit": "Check Credentials",
        "form_action": request.get_full_path(),
        "cancel_url": back,
    }
    return render(request, "authstatus/check.html", context)


@tenant_view(needs=Ability.VIEW_TENANT)
def checks(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Every check that was kept, the newest first."""
    page = tables.page_of(request.GET, selectors.checks(tenant))
    context = {"tenant": tenant, "page": page, "plot": shown.plot(tenant)}
    return render(request, "authstatus/checks.html", context)


# --- What the pages show ------------------------------------------------------------------------------------
def about_connection(actor: Actor, tenant: Tenant, stored: Connection | None) -> dict[str, Any]:
    """What is stored, what the checks found, and what follows; for the page Microsoft 365 Settings."""
    latest = list(selectors.checks(tenant)[:5])
    return {
        "tenant": tenant,
        "connection": stored,
        "may_change": actor.may(Ability.MANAGE_CONNECTION, tenant.id),
        "may_check": actor.may(Ability.VERIFY_CONNECTION, tenant.id) and stored is not None,
        "facts": facts(tenant, stored),
        "secret": shown_secret(stored),
        "problem": problem(stored, actor),
        **shown.about(tenant),
        "standing": _standing(stored),
        "signs_in_as": _signs_in_as(stored),
        "propagating": _propagating(stored, latest),
        "checks": latest,
        "plot": shown.plot(tenant),
        "needed": needed(),
        "for_provider": actor.is_provider,
        "unconfirmed": bool(stored and stored.usable) and confirming.awaited(tenant.id),
        "consent_link": shared_app.consent_link(tenant, stored) if _by_app(stored) else "",
    }


def _by_app(stored: Connection | None) -> bool:
    return stored is not None and stored.method == Method.APP


def _standing(stored: Connection | None) -> tuple[str, str]:
    """MSG-04, with its tone."""
    result = Verification(stored.verification) if stored else Verification.NEVER
    tone = {Verification.SUCCESSFUL: "ok", Verification.NEVER: "neutral"}.get(result, "bad")
    return tone, f"Last Authentication Status: {result.label}."


def _signs_in_as(stored: Connection | None) -> str:
    """Whose directory roles count (decision 23)."""
    if stored is None or stored.method == Method.APP:
        return "the app registration itself, as an enterprise application"
    return stored.account or "the account that signed in"


def _propagating(stored: Connection | None, latest: list[Check]) -> dict[str, Any] | None:
    """What Microsoft has not put in force yet (complaint B 2), while the portal looks again by itself."""
    until = stored.propagating_until if stored else None
    if until is None or until < timezone.now() or not latest or latest[0].result != Result.PROPAGATING:
        return None
    return latest[0].problem


def initial_of(stored: Connection | None) -> dict[str, Any]:
    """For CredentialForm."""
    if stored is None:
        return {}
    return {"cloud": stored.cloud, "client_id": stored.client_id}


def facts(tenant: Tenant, stored: Connection | None) -> list[tuple[str, Any, str]]:
    """What is stored, without anything secret."""
    secret = stored.secret if stored else None
    ends = secret.expires_at if secret else None
    return [
        ("Azure Tenant Id", tenant.entra_tenant_id, ""),
        *_way_in(stored),
        ("Client Id", stored.client_id if stored else None, ""),
        ("Microsoft cloud", stored.get_cloud_display() if stored else None, ""),
        ("Signs in with", SecretKind(secret.kind).label if secret else None, ""),
        ("Set by", secret.set_by if secret else None, f"{secret.set_at:%d %b %Y}" if secret else ""),
        ("Ends", f"{ends:%d %b %Y}" if ends else None, _days(ends) if ends else ""),
    ]


def _way_in(stored: Connection | None) -> list[tuple[str, Any, str]]:
    """The method, and as whom; a stored sign-in lives on by being used."""
    if stored is None:
        return []
    found: list[tuple[str, Any, str]] = [("Authentication method", stored.get_method_display(), "")]
    if stored.method != Method.APP:
        since = f"since {stored.granted_at:%d %b %Y}" if stored.granted_at else ""
        found.append(("M365 Email", stored.account, since))
    ends = grants.ends_if_unused(stored)
    if ends is not None:
        note = f"{_days(ends)}, unless it is used; the daily check uses it"
        found.append(("Stored sign-in ends", f"{ends:%d %b %Y}", note))
    return found


def _days(ends: dt.datetime) -> str:
    days = int((ends - timezone.now()).total_seconds() / 86_400)
    return f"{-days} days ago" if ends < timezone.now() else f"in {days} days"


def shown_secret(stored: SignIn | ProviderApp | QoeIntegration | None) -> dict[str, Any] | None:
    """For partials/secret_field.html."""
    secret = stored.secret if stored else None
    if secret is None:
        return None
    return {
        "last_four": secret.hint, "set_by": secret.set_by, "set_at": secret.set_at, "expires_at": secret.expires_at,
        "kind": secret.kind,
    }  # fmt: skip


def problem(stored: Connection | None, actor: Actor) -> dict[str, Any] | None:
    """For partials/error_box.html, of the last check, with the button where one helps."""
    if stored is None or not stored.problem:
        return None
    found = told(stored.problem, actor)
    if delegated.mends(stored) and actor.may(Ability.MANAGE_CONNECTION, stored.tenant_id):
        found |= {"action_url": f"/tenants/{stored.tenant_id}/grant-access/", "action_label": "Grant Access"}
    return found


def told(error: Mapping[str, Any], actor: Actor) -> dict[str, Any]:
    """A core.errors.Rendered for this reader; Microsoft's own codes and ids are for the provider's people."""
    found: dict[str, Any] = dict(error)
    who = str(found.get("who", ""))
    words = WHO_IN_WORDS if actor.is_provider else WHO_TO_CUSTOMERS
    found["who"] = words[Who(who)] if who in set(Who) else ""
    if not actor.is_provider:
        found |= {"detail": {}, "message": own_words(found["message"]), "advice": own_words(found["advice"])}
    return found


def own_words(text: str) -> str:
    """A sentence of the catalogue as the customer's own people read it."""
    for theirs, ours in OWN_WORDS:
        text = text.replace(theirs, ours)
    return text


def needed() -> list[dict[str, str]]:
    """The permissions to ask for, with what they are for."""
    return [{"name": name, "purpose": permissions.PERMISSIONS[name].purpose} for name in PROFILE.application]
