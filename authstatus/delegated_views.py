"""Grant Access, the way back from Microsoft, and switching between token and password."""

import uuid
from typing import Any
from urllib.parse import urlsplit

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import conditional_page, require_GET

from accounts import installation
from accounts.again import typed
from authstatus import delegated
from authstatus.delegated_forms import PasswordForm
from authstatus.shared_app_views import consented
from authstatus.views import problem as problem_of
from authstatus.views import told
from core.errors import InvalidInput, NotFound, UmpError
from m365 import consent, permissions
from replication.models import Command, State
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Method, SignInFlow, Tenant, Verification
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
ENDED = 286
"""htmx's polite end of polling."""


# --- Out ----------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def grant_access(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """What will happen at Microsoft, and the button that goes there."""
    context = _asking(request, tenant) | {"title": f"Grant Access to {tenant.name}"}
    if request.method == "POST" and not context["obstacle"]:
        return _leave(request, tenant)
    return render(request, "authstatus/grant_access.html", context)


def _asking(request: HttpRequest, tenant: Tenant) -> dict[str, Any]:
    """What it shows; `obstacle` is why nobody can leave yet, `elsewhere` the address to do it from."""
    stored, obstacle, elsewhere = connection_of(tenant), None, ""
    try:
        home = urlsplit(delegated.way_back(tenant))
    except UmpError as error:
        obstacle = told(error.to_dict(), actor_of(request))
    else:
        if home.netloc != request.get_host():
            elsewhere = f"{home.scheme}://{home.netloc}{request.path}"
    return {
        "tenant": tenant,
        "connection": stored,
        "obstacle": obstacle or elsewhere,
        "error": obstacle,
        "elsewhere": elsewhere,
        "demanded": bool(delegated.demanded(tenant)),
        "by_app": stored is not None and stored.method == Method.APP,
        "asked_for": [permissions.PERMISSIONS[name] for name in delegated.asked_for()],
        "form_action": request.path,  # for a dialog, which stands on another page
        "cancel_url": f"/tenants/{tenant.id}/connection/",
    }


def _leave(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Not by a redirect: our own pages let no form lead to another site, and that is worth keeping."""
    stored = connection_of(tenant)
    address, _ = delegated.begin(_browser(request), tenant, login_hint=stored.account if stored else "")
    context = {"tenant": tenant, "address": address, "host": urlsplit(address).netloc}
    answer = render(request, "authstatus/leave.html", context)
    answer.headers["Refresh"] = f"0;url={address}"
    return answer


def _browser(request: HttpRequest) -> delegated.Browser:
    return delegated.Browser(actor_of(request), request.session.session_key or "")


# --- Back ---------------------------------------------------------------------------------------------------
@never_cache
@require_GET
def callback(request: HttpRequest) -> HttpResponse:
    """/authenticate/OAuth2Callback. The code leaves the address bar at once."""
    if request.GET.get("state") == consent.STATE:
        return consented(request)
    if not request.user.is_authenticated:
        error = UmpError.of("signin_foreign")
        context: dict[str, Any] = {"error": error.to_dict() | {"who": ""}, "signed_out": True}
        return render(request, "authstatus/come_back.html", context, status=error.status)
    back = delegated.come_back(_browser(request), request.GET.dict())
    if back.flow is not None and back.problem is None:
        return SeeOther(f"/tenants/{back.flow.tenant_id}/sign-in/{back.flow.id}/")
    problem = back.problem or UmpError.of("signin_restart")
    context = {"error": told(problem.to_dict(), actor_of(request)), "tenant": back.tenant}
    return render(request, "authstatus/come_back.html", context, status=problem.status)


@tenant_view(needs=Ability.VIEW_TENANT)
def sign_in(request: HttpRequest, tenant: Tenant, flow_id: uuid.UUID) -> HttpResponse:
    """The page that follows a sign-in until its access was checked."""
    context = _following(request, tenant, flow_id)
    return render(request, "authstatus/sign_in.html", context)


@tenant_view(needs=Ability.VIEW_TENANT)
def sign_in_live(request: HttpRequest, tenant: Tenant, flow_id: uuid.UUID) -> HttpResponse:
    """The inside of the page, asked for while somebody looks."""
    context = _following(request, tenant, flow_id)
    if context["ended"]:
        return render(request, "authstatus/sign_in_live.html", context, status=ENDED)
    return conditional_page(lambda asked: render(asked, "authstatus/sign_in_live.html", context))(request)


def _following(request: HttpRequest, tenant: Tenant, flow_id: uuid.UUID) -> dict[str, Any]:
    flow = SignInFlow.objects.filter(tenant=tenant, id=flow_id).first()
    if flow is None:
        raise NotFound(thing="sign-in")
    actor, stored = actor_of(request), connection_of(tenant)
    redeeming = (
        Command.objects.filter(tenant=tenant, kind=delegated.REDEEM, target=str(flow_id))
        .order_by("-id")
        .first()
    )
    claimed, error = _claimed(flow, redeeming)
    checked = _checked(flow, stored)
    if checked["state"] == "failed":
        error = problem_of(stored, actor)
    elif error:
        error = told(error, actor)
    return {
        "tenant": tenant,
        "steps": [_left(flow), claimed, checked],
        "error": error,
        "done": checked["state"] == "done",
        "ended": bool(error) or checked["state"] in {"done", "failed"},
        "may": actor.may(Ability.MANAGE_CONNECTION, tenant.id),
        "live_url": f"/tenants/{tenant.id}/sign-in/{flow_id}/live/",
        "for_provider": actor.is_provider,
    }


def _left(flow: SignInFlow) -> dict[str, Any]:
    title = "Signed in at Microsoft"
    if flow.used_at is None:
        return {"title": title, "state": "waiting", "text": "Nobody has come back from Microsoft yet."}
    return {"title": title, "state": "done", "text": "", "at": flow.used_at}


def _claimed(flow: SignInFlow, command: Command | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The step, and what went wrong with it."""
    title = "Token claimed"
    if flow.granted_at:
        text = "Stored under seal: only the portal's workers can open it."
        return {"title": title, "state": "done", "text": text, "at": flow.granted_at}, None
    if command is None:
        lost = flow.used_at is not None or flow.began_at < timezone.now() - delegated.LIFE
        step = {"title": title, "state": "skipped" if lost else "waiting", "text": ""}
        return step, dict(UmpError.of("signin_restart").to_dict()) if lost else None
    if command.state in {State.FAILED, State.CANCELLED}:
        error = command.error or dict(UmpError.of("signin_restart").to_dict())  # who cancels leaves none
        return {"title": title, "state": "failed", "text": command.message}, error
    return {"title": title, "state": "running", "text": command.message}, None


def _checked(flow: SignInFlow, stored: Any) -> dict[str, Any]:
    title = "Validate Authentication"
    if flow.granted_at is None or stored is None:
        return {"title": title, "state": "waiting", "text": "Follows by itself."}
    if stored.verification == Verification.NEVER:
        return {"title": title, "state": "running", "text": "Validating credentials, please wait!"}
    state = "done" if stored.usable else "failed"
    text = "Every permission that is needed is there." if stored.usable else stored.problem_message
    return {"title": title, "state": state, "text": text, "at": stored.verified_at}


# --- Passwords (legacy) -------------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def switch_to_password(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """AUT-17, where the settings allow it; where not, the page says who can, and what is better."""
    actor, stored = actor_of(request), connection_of(tenant)
    allowed = bool(installation.get("allow_password"))
    form = PasswordForm(
        request.POST or None, initial={"account": stored.account if stored else ""} | typed(request)
    )
    context = {
        "tenant": tenant,
        "title": f"Switch {tenant.name} to password",
        "allowed": allowed,
        "form": form if allowed else None,
        "submit": "Switch to password",
        "form_action": request.path,
        "cancel_url": f"/tenants/{tenant.id}/connection/",
        "may_settings": actor.may(Ability.CHANGE_SETTINGS),
    }
    if request.method == "POST" and allowed and form.is_valid():
        try:
            delegated.keep_password(actor, tenant, **form.cleaned_data)
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Validating credentials, please wait!")
            return SeeOther(f"/tenants/{tenant.id}/connection/")
    status = 422 if form.errors else 200
    return render(request, "authstatus/switch_password.html", context, status=status)
