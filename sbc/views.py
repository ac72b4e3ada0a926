"""SBC > Known SBCs: the list, one device, and what can be done with it."""

import dataclasses
import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.again import typed
from core.errors import InvalidInput
from replication.models import Command
from sbc import selectors, services, status
from sbc.forms import OvocForm, SbcForm, values_of
from sbc.models import Link, Sbc
from sbc.status import Derived, Grade
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, provider_view

WRITES = ("GET", "HEAD", "POST")
BASE = "/sbcs/"
EVERY = 3
TONES = {
    Link.CONNECTED: ("ok", "plug-zap"),
    Link.DISCONNECTED: ("bad", "unplug"),
    Link.REFUSED: ("bad", "lock"),
    Link.UNTRUSTED: ("bad", "shield-alert"),
    Link.UNKNOWN: ("neutral", ""),
}
ORDERS = {
    "id": ["id"],
    "name": ["name", "id"],
    "address": ["address", "id"],
    "fqdn": ["fqdn", "id"],
    "link": ["link", "name", "id"],
}


@dataclasses.dataclass(frozen=True)
class Row:
    """A device with what is worked out for the screen."""

    sbc: Sbc
    derived: Derived

    @property
    def url(self) -> str:
        return f"{BASE}{self.sbc.uid}/"

    @property
    def chip(self) -> tuple[str, str, str, str]:
        """Tone, word, tooltip and icon of Status."""
        tone, icon = TONES[Link(self.sbc.link)]
        hint = (self.sbc.problem or {}).get("message", "")
        if self.sbc.secret_id is None:
            hint = "Gateway User and Gateway Password are still to be entered"
        elif not hint and self.sbc.checked_at is None:
            hint = "It has not been asked yet"
        return tone, Link(self.sbc.link).label, hint, icon


def row_of(sbc: Sbc) -> Row:
    return Row(sbc, status.of_sbc(sbc))


@provider_view(needs=Ability.VIEW_PROVIDER)
def index(request: HttpRequest) -> HttpResponse:
    """Known SBCs."""
    link = tables.choice_of(request.GET, "link", Link.values)
    sort, order = tables.order_of(request.GET, ORDERS, "name")
    found = selectors.sbcs(tables.search_of(request.GET), link).order_by(*order)
    page = tables.page_of(request.GET, found)
    filters = tables.filters(request.GET, {"link": ("Status", Link.choices)})
    context = {
        "page": page,
        "rows": [row_of(sbc) for sbc in page],
        "sort": sort,
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "may_manage": actor_of(request).may(Ability.MANAGE_SBC),
        "may_set_ovoc": actor_of(request).may(Ability.CHANGE_SETTINGS),
        "ovoc": selectors.ovoc(),
        "reload": selectors.reload_of(),
    }
    return render(request, "sbc/index.html", context)


@provider_view(needs=Ability.MANAGE_SBC, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    """Add New SBC: saved, and its connection tried at once."""
    form = SbcForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            sbc, _ = services.add(actor_of(request), **form.cleaned_data)
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
            services.change(actor_of(request), sbc, **form.cleaned_data)
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved; the connection is being tried.")
            return SeeOther(f"{BASE}{sbc.uid}/")
    context = {"form": form, "title": f"Edit {sbc.name}", "cancel_url": f"{BASE}{sbc.uid}/"}
    return render(request, "sbc/edit.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.VIEW_PROVIDER)
def one(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """One device: derived status, what it said, its alarms."""
    return render(request, "sbc/one.html", _page(request, selectors.sbc(sbc_id)))


@provider_view(needs=Ability.VIEW_PROVIDER)
def live(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """What changes while the connection is tried; 286 when that is over."""
    context = _page(request, selectors.sbc(sbc_id))
    return render(request, "sbc/one_live.html", context, status=200 if context["busy"] else 286)


def _page(request: HttpRequest, sbc: Sbc) -> dict[str, Any]:
    command = selectors.check_of(sbc)
    derived = status.of_sbc(sbc)
    return {
        "sbc": sbc,
        "row": row_of(sbc),
        "url": f"{BASE}{sbc.uid}/",
        "busy": selectors.is_open(command),
        "every": EVERY,
        "command": command,
        "may_manage": actor_of(request).may(Ability.MANAGE_SBC),
        "refused": sbc.link == Link.REFUSED,
        "parts": _parts(derived),
        "facts": _facts(sbc),
        "shown": _shown_fingerprint(sbc),
        "alarms": [
            {
                **alarm,
                "tone": status.severity(alarm.get("severity", "")).tone,
                "word": alarm.get("severity", "").capitalize() or "Not told",
            }
            for alarm in sbc.alarms
        ],
    }


def _parts(derived: Derived) -> list[tuple[str, Grade]]:
    return [
        ("Management", derived.management),
        ("Voice quality", derived.voice_quality),
        ("License", derived.license),
    ]


def _facts(sbc: Sbc) -> list[tuple[str, object, str]]:
    told = sbc.told
    tls = "None: plain http"
    if sbc.https:
        tls = "Only the certificate with this fingerprint" if sbc.fingerprint else "A trusted certificate"
    return [
        ("Id", sbc.id, ""),
        ("Ovoc Sbc Id", sbc.ovoc_id, "not listed there any more" if sbc.ovoc_missing_since else ""),
        ("Ip Address", sbc.host, ""),
        ("Device Fqdn", sbc.fqdn, ""),
        ("NAT Ip Addresses", ", ".join(sbc.nat_addresses), ""),
        ("Product Type", told.get("product") or sbc.ovoc.get("product"), ""),
        ("Version", told.get("version") or sbc.ovoc.get("version"), ""),
        ("Serial Number", sbc.serial or sbc.ovoc.get("serial"), ""),
        ("HA", told.get("high_availability"), ""),
        ("Operational state", told.get("state"), ""),
        ("Encryption", tls, sbc.fingerprint),
        ("Gateway User", sbc.user, ""),
    ]


def _shown_fingerprint(sbc: Sbc) -> str:
    """What the device showed when its certificate was not trusted."""
    return str(((sbc.problem or {}).get("detail") or {}).get("fingerprint", ""))


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
    form = OvocForm(request.POST or None, initial=(values_of(found) if found else {}) | typed(request))
    if found is not None:
        form.keep_password()
    if request.method == "POST" and form.is_valid():
        try:
            services.set_ovoc(actor_of(request), **form.cleaned_data)
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Reload From Ovoc shows whether it works.")
            return SeeOther(BASE)
    context = {"form": form, "title": "OVOC", "cancel_url": BASE, "ovoc": True}
    return render(request, "sbc/edit.html", context, status=422 if form.errors else 200)
