"""What can be done with SBC devices. The list and the page of one are in ump_portal.pages.sbcs."""

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.again import typed
from core.errors import Conflict, InvalidInput
from replication.models import Command
from sbc import selectors, services
from sbc.forms import OvocForm, SbcForm
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, provider_view

WRITES = ("GET", "HEAD", "POST")
BASE = "/sbcs/"
EVERY = 3


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    """Add New SBC: saved, and its connection tried at once."""
    form = SbcForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            given = {name: value for name, value in form.cleaned_data.items() if name != "version"}
            sbc, _ = services.add(actor_of(request), **given)
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, f"{sbc.name} was added; its connection is being tried.")
            return SeeOther(f"{BASE}{sbc.uid}/")
    context = {"form": form, "title": "Add New SBC", "cancel_url": BASE}
    return render(request, "sbc/edit.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def edit(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    sbc = selectors.sbc(sbc_id)
    form = SbcForm(request.POST or None, initial=SbcForm.values_of(sbc) | typed(request))
    if sbc.secret_id is not None:
        form.keep_password()
    if request.method == "POST" and form.is_valid():
        try:
            _, tried = services.change(actor_of(request), sbc, **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved; the connection is being tried." if tried else "Saved.")
            return SeeOther(f"{BASE}{sbc.uid}/")
    context = {"form": form, "title": f"Edit {sbc.name}", "cancel_url": f"{BASE}{sbc.uid}/"}
    return render(request, "sbc/edit.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def check(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """Test connection."""
    sbc = selectors.sbc(sbc_id)
    services.check(actor_of(request), sbc)
    return SeeOther(f"{BASE}{sbc.uid}/")


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES)
def remove(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    sbc = selectors.sbc(sbc_id)
    if request.method == "POST":
        services.remove(actor_of(request), sbc)
        messages.success(request, f"{sbc.name} was removed.")
        return SeeOther(BASE)
    context = {
        "title": f"Remove {sbc.name}?",
        "ask": f"The portal forgets {sbc.name} ({sbc.host}) and its password, and looks at it no more. "
        "Nothing on the device changes. This cannot be undone.",
        "submit": "Remove",
        "danger": True,
        "form_action": f"{BASE}{sbc.uid}/remove/",
        "cancel_url": f"{BASE}{sbc.uid}/",
    }
    return render(request, "sbc/ask.html", context)


@provider_view(needs=Ability.MANAGE_SBC, methods=("POST",))
def reload(request: HttpRequest) -> HttpResponse:
    """Reload From Ovoc; the command says what came of it."""
    command: Command = services.reload(actor_of(request))
    return SeeOther(f"/queue/{command.id}/")


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=WRITES, fresh=True)
def ovoc(request: HttpRequest) -> HttpResponse:
    """Where OVOC is."""
    found = selectors.ovoc()
    form = OvocForm(request.POST or None, initial=OvocForm.values_of(found) | typed(request))
    if found is not None:
        form.keep_password()
    if request.method == "POST" and form.is_valid():
        try:
            services.set_ovoc(actor_of(request), **form.cleaned_data)
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Reload From Ovoc shows whether it works.")
            return SeeOther(BASE)
    context = {"form": form, "title": "OVOC", "cancel_url": BASE, "ovoc": True}
    return render(request, "sbc/edit.html", context, status=422 if form.errors else 200)
