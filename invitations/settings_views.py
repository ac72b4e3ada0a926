"""Invitation Settings: what the mail says, how it will look, and a mail to oneself (NAV-03, INV-01..06, CHK-06)."""

import ipaddress
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.http.request import validate_host
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.html import format_html

from accounts import branding, delivery, installation
from accounts.again import is_fresh, typed
from audit.services import record
from core.errors import Conflict, InvalidInput, UmpError
from invitations import mailing, services, template
from invitations.forms import TIMES, MailForm, TestMailForm
from invitations.models import InvitationMail
from invitations.template import Values
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, provider_view

WRITES = ("GET", "HEAD", "POST")
PAGE = "/settings/invitations/"
LENGTHS = {"subject": template.SUBJECT_MOST, "body": template.BODY_MOST, "portal_url": 300}


@provider_view(needs=Ability.VIEW_INVITATIONS)
def show(request: HttpRequest) -> HttpResponse:
    """The page; whoever may change it and has just signed in gets the form."""
    actor = actor_of(request)
    may = actor.may(Ability.CHANGE_SETTINGS) and is_fresh(request)
    form = MailForm(initial=MailForm.values_of(services.mail())) if may else None
    return render(request, "invitations/settings.html", _page(actor, form))


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=WRITES, fresh=True)
def change(request: HttpRequest) -> HttpResponse:
    """Apply Changes: all of them or none."""
    actor = actor_of(request)
    if request.method != "POST":
        if not typed(request):
            return SeeOther(PAGE)
        form = MailForm(initial=MailForm.values_of(services.mail()) | typed(request))
        return render(request, "invitations/settings.html", _page(actor, form))
    form = MailForm(request.POST)
    if form.is_valid() and _store(actor, form):
        messages.success(request, "Saved. The next mail says it.")
        return SeeOther(PAGE)
    return render(request, "invitations/settings.html", _page(actor, form), status=422)


def _store(actor: Actor, form: MailForm) -> bool:
    """False when something was refused, which then stands beside its field."""
    given = dict(form.cleaned_data)
    times = {name: given.pop(name) for name in TIMES}
    try:
        with transaction.atomic():
            services.set_mail(actor, **given)
            for name, value in times.items():
                if value != installation.get(name):
                    installation.change(actor, name, value)
    except (InvalidInput, Conflict) as error:
        installation.forget()
        add_error(form, error)
    return not form.errors


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=("POST",))
def preview(request: HttpRequest) -> HttpResponse:
    """What is typed, as the customer would see it; nothing is stored. Its link is no link."""
    stored = services.mail()
    for name, most in LENGTHS.items():
        setattr(stored, name, request.POST.get(name, "").replace("\0", "")[:most])
    return render(request, "invitations/preview.html", _shown(stored))


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=WRITES)
def test_mail(request: HttpRequest) -> HttpResponse:
    """Send a test mail: what is stored, with invented values, to one address, here and now."""
    actor = actor_of(request)
    form = TestMailForm(request.POST or None, initial={"to": str(getattr(request.user, "email", ""))})
    context: dict[str, Any] = {"form": form, "cancel_url": PAGE}
    if request.method == "POST" and form.is_valid():
        stored = services.mail()
        to = form.cleaned_data["to"]
        made = mailing.message(stored, _example(stored), to)
        made.subject = f"Test: {made.subject}"
        try:
            delivery.deliver(made)
        except UmpError as error:
            context["problem"] = error
        else:
            record(actor, "invitation_settings.tested", tenant_id=None, object_kind="invitation_settings",
                   object_id="1", object_label=to)  # fmt: skip
            messages.success(request, f"The mail server took a test mail to {to}.")
            return SeeOther(PAGE)
    return render(request, "invitations/test_mail.html", context, status=422 if form.errors else 200)


def _page(actor: Actor, form: MailForm | None) -> dict[str, Any]:
    stored = services.mail()
    shown = stored
    if form is not None and form.is_bound:
        shown = InvitationMail(**{name: str(form.data.get(name, "")) for name in LENGTHS})
    return {
        "form": form,
        "stored": stored,
        "may_change": actor.may(Ability.CHANGE_SETTINGS),
        "days": installation.get("invitation_days"),
        "reminder_days": installation.get("invitation_reminder_days"),
        "checks": checks(stored),
        "placeholders": PLACEHOLDERS,
        **_shown(shown),
    }


IN_SUBJECTS = "the secret of the link; not for the subject, which mail servers write into their logs"
PLACEHOLDERS = (
    (f"{{{{{template.CUSTOMER}}}}}", "the customer's name, from the onboarding"),
    (f"{{{{{template.PORTAL}}}}}", "this portal's address for customers"),
    (f"{{{{{template.INVITATION}}}}}", IN_SUBJECTS),
)


def _example(stored: InvitationMail) -> Values:
    return Values(mailing.EXAMPLE.customer, stored.portal_url, mailing.EXAMPLE.invitation)


def _shown(mail: InvitationMail) -> dict[str, Any]:
    """Both parts as the customer will see them; what keeps the text from being saved, if anything."""
    values, look = _example(mail), branding.current()
    style = format_html('<link rel="stylesheet" href="{}">', static("mail.css"))
    problem = None
    try:
        template.check(mail.subject, mail.body)
    except InvalidInput as error:
        problem = error
    return {
        "subject_shown": template.subject_of(mail.subject, values),
        "text_shown": mailing.text_of(mail.body, values),
        "html_shown": mailing.html_of(mail.body, values, style=style, logo=look.logo),
        "mail_problem": problem,
    }


def checks(mail: InvitationMail) -> list[dict[str, Any]]:
    """CHK-06 and INV-03 in sentences: `fine` is None for what only a person can tell."""
    parts = urlsplit(mail.portal_url)
    host = parts.hostname or ""
    return [
        {"fine": parts.scheme == "https", "text": "The address begins with https://, so nobody on the way reads it."},
        {"fine": parts.path == services.WAY_IN, "text": f"It ends with {services.WAY_IN}, where customers begin."},
        {
            "fine": validate_host(host, settings.ALLOWED_HOSTS),
            "text": f"This portal answers to the name {host or '(none)'}.",
        },
        {"fine": _public(host), "text": "The name is one that customers can reach from the internet.",
         "hint": "Its DNS A record must point at this portal; ask from outside your network."},
        {"fine": bool(settings.EMAIL_URL), "text": "A mail server is set up (EMAIL_URL)."},
    ]  # fmt: skip


def _public(host: str) -> bool | None:
    """False for what certainly is not; None where only a look from outside can tell."""
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return (
            None
            if "." in host and not host.endswith((".local", ".internal", ".localhost", ".test"))
            else False
        )
