"""Microsoft 365 Settings: one customer's way into Microsoft, with everything that may be done about it (A5).

The customer's own people have it in their tree, the provider's as the tab Connection. It shows several rooms at
once: connection and checks, the open invitation, the QOE application, and the filter of users.
"""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from accounts import installation
from accounts.again import is_fresh, typed
from authstatus import delegated, qoe, services, shared_app
from authstatus import selectors as checks_read
from authstatus.delegated_forms import PasswordForm, SwitchForm
from authstatus.forms import NO_MEMORY, CredentialForm
from authstatus.models import QoeIntegration
from authstatus.views import about_connection, initial_of, shown_secret, told
from core.errors import Conflict, InvalidInput
from directory import browse, scoping
from directory.models import DirectoryUser, Stream
from invitations import selectors as invited
from invitations import services as invitations
from invitations.models import Invitation
from replication.models import Command, State
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error, guid_field
from tenants.models import Connection, Method, Tenant, Verification
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
QUICK_SECONDS, CALM_SECONDS = 2, 10
PAGE = "pages/m365.html"
PASSWORD_NOT_SET = "(Password not set)"  # noqa: S105  MSG-09


class QoeForm(forms.Form):
    """Beside another form with a password, so its fields have ids of their own."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    application_id = guid_field(
        "Azure Application Id", "The Application (client) ID of the app registration."
    )
    password = forms.CharField(
        label="Azure Application Password",
        required=False,
        max_length=2000,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={**NO_MEMORY, "autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"auto_id": "id_qoe_%s"} | kwargs)


# --- The page -----------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_TENANT)
def m365(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    return render(request, PAGE, _page(request, tenant))


@tenant_view(needs=Ability.VIEW_TENANT)
@conditional_page
def live(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The state and its buttons, asked for while somebody looks."""
    actor, stored = actor_of(request), connection_of(tenant)
    context = about_connection(actor, tenant, stored) | _standing(actor, tenant, stored)
    return render(request, "pages/m365_live.html", context)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def set_connection(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Apply Changes: store the credentials of an app registration and have them checked at once."""
    if request.method != "POST":
        if not typed(request):
            return _back(tenant)
        form = CredentialForm(initial=initial_of(connection_of(tenant)) | typed(request))
        return render(request, PAGE, _page(request, tenant, form=form))
    form = CredentialForm(request.POST)
    if form.is_valid():
        try:
            services.connect(actor_of(request), tenant, **form.credential())
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Validating credentials, please wait!")
            return SeeOther(f"/tenants/{tenant.id}/")
    return render(request, PAGE, _page(request, tenant, form=form), status=422)


# --- QOE Integration with Microsoft Teams -------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def set_qoe(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Save QOE Integration settings, and have them tried."""
    if request.method != "POST":
        form = QoeForm(initial=_qoe_initial(qoe.of_tenant(tenant)) | typed(request))
        return render(request, PAGE, _page(request, tenant, qoe_form=form))
    form = QoeForm(request.POST)
    if form.is_valid():
        try:
            qoe.save(actor_of(request), tenant, **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. The application is being tried at Microsoft.")
            return _back(tenant, "#qoe")
    return render(request, PAGE, _page(request, tenant, qoe_form=form), status=422)


@tenant_view(needs=Ability.VIEW_TENANT)
@conditional_page
def live_qoe(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """What is known of the application, asked for while somebody looks."""
    return render(request, "pages/m365_qoe.html", _qoe(actor_of(request), tenant, qoe.of_tenant(tenant)))


@tenant_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
def check_qoe(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    if request.method == "POST":
        qoe.check(actor_of(request), tenant)
        messages.info(request, "The application is being tried at Microsoft.")
    return _back(tenant, "#qoe")


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def remove_qoe(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Asks first: the password cannot be had back."""
    if request.method == "POST":
        qoe.remove(actor_of(request), tenant)
        messages.success(request, "The QOE application was removed.")
        return _back(tenant, "#qoe")
    context = {
        "title": "Remove the QOE application?",
        "text": f"The portal forgets its id and its password for {tenant.name}. Nothing is changed at Microsoft.",
        "submit": "Remove",
        "danger": True,
        "form_action": request.path,
        "cancel_url": _address(tenant),
    }
    return render(request, "pages/m365_ask.html", context)


# --- Token, password, invitation ----------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def switch_to_token(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """M36-21, M36-22, AUT-31: whom to invite; then the page says that the invitation is on its way."""
    stored, is_open = connection_of(tenant), invited.open_of(tenant)
    proven = delegated.may_switch_to_token(tenant)
    initial = {"email": stored.account if stored else ""} | typed(request)
    form = SwitchForm(request.POST or None, initial=initial)
    ready = proven and is_open is None
    if request.method == "POST" and ready and form.is_valid():
        email = form.cleaned_data["email"]
        invitations.invite(
            actor_of(request), tenant, email=email, admin_email=stored.account if stored else ""
        )
        messages.success(request, f"The invitation goes to {email}. The mail is on its way.")
        return _back(tenant)
    context = {
        "tenant": tenant,
        "proven": proven,
        "is_open": is_open,
        "form": form if ready else None,
        "title": f"Switch {tenant.name} to auth token",
        "form_action": request.path,
        "cancel_url": _address(tenant),
    }
    return render(request, "pages/switch_token.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES)
def resend(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Resend invitation (M36-09): a fresh link; the earlier ones, and visits, are dead once that mail went out."""
    invitation = invited.open_of(tenant)
    if invitation is None:
        return _too_late(request, tenant)
    if request.method == "POST":
        invitations.resend(actor_of(request), tenant, invitation.pk)
        messages.success(request, f"A new mail goes to {invitation.email}.")
        return _back(tenant)
    context = {
        "title": "Resend invitation?",
        "text": f"{invitation.email} gets a new mail. Links of earlier mails stop working once it has gone out.",
        "submit": "Resend invitation",
        "form_action": request.path,
        "cancel_url": _address(tenant),
    }
    return render(request, "pages/m365_ask.html", context)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES)
def keep_password(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Switch to user/pwd while an invitation is open: it is taken back, and the password stays in use."""
    invitation = invited.open_of(tenant)
    if invitation is None:
        return _too_late(request, tenant)
    if request.method == "POST":
        invitations.revoke(actor_of(request), tenant, invitation.pk)
        messages.success(request, "The invitation was taken back. User name and password stay in use.")
        return _back(tenant)
    context = {
        "title": "Switch to user/pwd?",
        "text": f"The invitation to {invitation.email} is taken back and its links stop working. "
        "The user name and password that are stored stay in use.",
        "submit": "Switch to user/pwd",
        "form_action": request.path,
        "cancel_url": _address(tenant),
    }
    return render(request, "pages/m365_ask.html", context)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def open_invitation(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """ "or click here" of M36-10: the way that the mail leads, by a link of its own."""
    invitation = invited.open_of(tenant)
    if invitation is None:
        return _too_late(request, tenant)
    if request.method == "POST":
        address = invitations.mint(actor_of(request), tenant, invitation.pk, mailed=False)
        answer = render(request, "pages/m365_leave.html", {"tenant": tenant, "address": address})
        answer["Refresh"], answer["Referrer-Policy"] = f"0;url={address}", "no-referrer"
        return answer
    context = {
        "title": "Go on yourself?",
        "text": f"You go the way that the mail to {invitation.email} describes, with an administrator's account of "
        "your organisation at hand. The audit trail keeps that you did; the mail's link goes on working.",
        "submit": "Go on",
        "form_action": request.path,
        "cancel_url": _address(tenant),
    }
    return render(request, "pages/m365_ask.html", context)


def _too_late(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """It was used, taken back, or has expired meanwhile."""
    messages.info(request, "There is no open invitation any more.")
    return _back(tenant)


def _address(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/connection/"


def _back(tenant: Tenant, part: str = "") -> SeeOther:
    return SeeOther(_address(tenant) + part)


# --- What it shows ------------------------------------------------------------------------------------------
def _page(
    request: HttpRequest,
    tenant: Tenant,
    *,
    form: CredentialForm | None = None,
    qoe_form: QoeForm | None = None,
) -> dict[str, Any]:
    actor, stored, of_qoe = actor_of(request), connection_of(tenant), qoe.of_tenant(tenant)
    may = actor.may(Ability.MANAGE_CONNECTION, tenant.id)
    ready = may and is_fresh(request)
    return (
        about_connection(actor, tenant, stored)
        | _standing(actor, tenant, stored)
        | _password(stored, ready=ready)
        | _filter(tenant)
        | _qoe(actor, tenant, of_qoe)
        | {
            "form": form or (CredentialForm(initial=initial_of(stored)) if ready else None),
            "sync_user": _sync_user(tenant, stored),
            "at_qoe": qoe_form is not None,
            "qoe_secret": shown_secret(of_qoe),
            "qoe_form": qoe_form or (QoeForm(initial=_qoe_initial(of_qoe)) if ready else None),
            "qoe_needs": qoe.NEEDED,
            "live_url": f"{_address(tenant)}live/",
        }
    )


def _standing(actor: Actor, tenant: Tenant, stored: Connection | None) -> dict[str, Any]:
    """The upper part: what is so now, and the buttons for it."""
    check, invitation = checks_read.under_way([tenant.id]).get(tenant.id), invited.open_of(tenant)
    return {
        "checking": check,
        "invitation": invitation,
        "on_token": stored is not None and stored.method == Method.TOKEN,
        "buttons": _buttons(actor, tenant, stored, invitation),
        "every": QUICK_SECONDS if check else CALM_SECONDS,
    }


def _buttons(
    actor: Actor, tenant: Tenant, stored: Connection | None, invitation: Invitation | None
) -> list[tuple[str, str, str]]:
    """Label, address and icon of everything that may be done now, the check first (M36-04, M36-06..09)."""
    here, found = f"/tenants/{tenant.id}", []
    if stored is not None and actor.may(Ability.VERIFY_CONNECTION, tenant.id):
        found.append(("Validate Authentication", f"{here}/check/?back=connection", "shield-check"))
    if not actor.may(Ability.MANAGE_CONNECTION, tenant.id):
        return found
    by_password = stored is not None and stored.method == Method.PASSWORD
    if by_password and invitation is None:
        found.append(("Switch to auth token (recommended way)", f"{here}/switch-to-token/", "key-round"))
    found.append(("Grant Consent", f"{here}/grant-access/", "user-check"))
    if by_password and invitation:
        found.append(("Switch to user/pwd", f"{here}/keep-password/", "lock"))
    elif invitation or (stored and stored.method == Method.TOKEN):
        found.append(("Switch to user/pwd", f"{here}/switch-to-password/", "lock"))
    if invitation:
        found.append(("Resend invitation", f"{here}/resend-invitation/", "mail"))
    if not shared_app.in_use(stored):
        found.append(("Use the provider's app", f"{here}/provider-app/", "building-2"))
    return found


def _password(stored: Connection | None, *, ready: bool) -> dict[str, Any]:
    """User Name and Password (M36-02, M36-03): a form where the settings allow new ones (decision 12)."""
    kept = stored.granted if stored and stored.method == Method.PASSWORD else None
    allowed = bool(installation.get("allow_password"))
    account = stored.account if stored else ""
    return {
        "password_allowed": allowed,
        "password_kept": kept,
        "password_said": "stored; it can be replaced, never read again" if kept else PASSWORD_NOT_SET,
        "account": account,
        "password_form": PasswordForm(initial={"account": account}) if allowed and ready else None,
    }


def _sync_user(tenant: Tenant, stored: Connection | None) -> dict[str, Any] | None:
    """Who signs in for the sync app, as the copy knows him (M36-14); none for an app that speaks for itself."""
    if stored is None or stored.method == Method.APP or not stored.account:
        return None
    one: DirectoryUser | None = DirectoryUser.objects.filter(
        tenant=tenant, user_principal_name__iexact=stored.account
    ).first()
    return {
        "user": one,
        "facts": [
            ("User Name", stored.account, ""),
            ("Name", one.display_name if one else None, ""),
            ("Object id", one.object_id if one else None, ""),
            (
                "May sign in",
                ("yes" if one.account_enabled else "no, blocked at Microsoft") if one else None,
                "",
            ),
            ("Signed in", f"{stored.granted_at:%d %b %Y}" if stored.granted_at else None, ""),
        ],
    }


def _qoe_initial(row: QoeIntegration | None) -> dict[str, Any]:
    return {"application_id": row.application_id, "version": row.row_version} if row else {"version": 0}


def _qoe(actor: Actor, tenant: Tenant, row: QoeIntegration | None) -> dict[str, Any]:
    """How the application stands; who mends it is whoever entered it, whatever the catalogue says."""
    if row is None:
        return {"qoe": None}
    open_ones = Command.objects.filter(tenant=tenant, kind=qoe.VERIFY_QOE)
    trying = open_ones.filter(state__in=(State.QUEUED, State.EXECUTING)).exists()
    who = {"who": "whoever set up this application at Microsoft"}
    tones = {Verification.NEVER: "neutral", Verification.SUCCESSFUL: "ok"}
    return {
        "qoe": row,
        "qoe_trying": trying,
        "qoe_every": QUICK_SECONDS if trying else CALM_SECONDS,
        "qoe_tone": tones.get(Verification(row.verification), "bad"),
        "qoe_problem": told(row.problem, actor) | who if row.problem else None,
        "qoe_live_url": f"{_address(tenant)}qoe/live/",
    }


def _filter(tenant: Tenant) -> dict[str, Any]:
    sieve = scoping.sieve_of(tenant)
    return {
        "filter": scoping.in_force(tenant) if sieve else None,
        "filter_counts": sieve.counts() if sieve else None,
        "users_age": browse.age(tenant, Stream.USERS),
    }
