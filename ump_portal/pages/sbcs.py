"""SBC > Known SBCs, Devices, and the page of one device: what the device says, OVOC says, and the portal did."""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from django.core.paginator import Page
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from audit import selectors as trail
from replication.models import Command
from sbc import selectors, status
from sbc.models import Link, Sbc
from sbc.status import Derived, Grade
from sbc.views import BASE, EVERY
from sites import selectors as sites_on
from sites import topology as lying
from tenants import scope, tables
from tenants.abilities import Ability
from tenants.web import actor_of, provider_view
from ump_portal.pages import audit, topology
from ump_portal.pages.navigation import Tab
from ump_portal.templatetags.topology import Picture

DEVICES = f"{BASE}devices/"
CHANGES = 10
"""So many entries of the trail stand on a device's page."""
DRAWN = 8
"""So many sites are drawn there; the page Topology has them all."""
SEVERITIES = ("critical", "major", "minor", "warning")
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
    sites: int

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

    @property
    def product(self) -> str:
        return str(self.sbc.told.get("product") or self.sbc.ovoc.get("product") or "")

    @property
    def version(self) -> str:
        return str(self.sbc.told.get("version") or self.sbc.ovoc.get("version") or "")


@provider_view(needs=Ability.VIEW_PROVIDER)
def index(request: HttpRequest) -> HttpResponse:
    """Known SBCs (SBC-01)."""
    context = {
        **_list(request, BASE),
        "may_manage": actor_of(request).may(Ability.MANAGE_SBC),
        "may_set_ovoc": actor_of(request).may(Ability.CHANGE_SETTINGS),
        "ovoc": selectors.ovoc(),
        "reload": selectors.reload_of(),
    }
    return render(request, "sbc/index.html", context)


@provider_view(needs=Ability.VIEW_PROVIDER)
def devices(request: HttpRequest) -> HttpResponse:
    """The same devices as OVOC's Devices table shows them (DEV-01)."""
    return render(request, "sbc/devices.html", _list(request, DEVICES))


def _list(request: HttpRequest, url: str) -> dict[str, Any]:
    link = tables.choice_of(request.GET, "link", Link.values)
    sort, order = tables.order_of(request.GET, ORDERS, "name")
    found = selectors.sbcs(tables.search_of(request.GET), link).order_by(*order)
    page: Page[Sbc] = tables.page_of(request.GET, found)
    filters = tables.filters(request.GET, {"link": ("Status", Link.choices)})
    return {
        "page": page,
        "rows": rows_of(page),
        "sort": sort,
        "filters": filters,
        "chips": tables.chips(request.GET, filters),
        "url": url,
        "tabs": [Tab("Known SBCs", BASE, url == BASE), Tab("Devices", DEVICES, url == DEVICES)],
    }


def rows_of(page: Page[Sbc]) -> list[Row]:
    """The devices of a page; one more query counts their sites."""
    sites = sites_on.counts_of(list(page))
    return [Row(sbc, status.of_sbc(sbc), sites.get(sbc.id, 0)) for sbc in page]


# --- One device -----------------------------------------------------------------------------------------------
@provider_view(needs=Ability.VIEW_PROVIDER)
def one(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """One device: derived status, what it said, its alarms, its sites, and what was changed here."""
    sbc = selectors.sbc(sbc_id)
    with scope.every("the provider's own entries of the trail"):
        changes = audit.rows(trail.of_object("sbc", sbc.uid)[:CHANGES])
    context = {**_page(request, sbc), "changes": changes, "picture": _picture(sbc)}
    return render(request, "sbc/one.html", context)


def _picture(sbc: Sbc) -> Picture | None:
    """The topology with the first sites; None while there is none."""
    with scope.every("sites of all customers lie on the provider's devices"):
        sites = list(lying.sites_on(sbc)[:DRAWN])
        load = lying.loads([sbc]).get(sbc.id, lying.Load())
        return topology.picture_of(sbc, load, sites, lying.standings(sites)) if sites else None


@provider_view(needs=Ability.VIEW_PROVIDER)
def live(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """What changes while the connection is tried; 286 when that is over."""
    context = _page(request, selectors.sbc(sbc_id))
    return render(request, "sbc/one_live.html", context, status=200 if context["busy"] else 286)


def _page(request: HttpRequest, sbc: Sbc) -> dict[str, Any]:
    command: Command | None = selectors.check_of(sbc)
    row = Row(sbc, status.of_sbc(sbc), sites_on.counts_of([sbc]).get(sbc.id, 0))
    return {
        "sbc": sbc,
        "row": row,
        "url": row.url,
        "busy": selectors.is_open(command),
        "every": EVERY,
        "command": command,
        "may_manage": actor_of(request).may(Ability.MANAGE_SBC),
        "refused": sbc.link == Link.REFUSED,
        "parts": _parts(row.derived),
        "facts": _facts(row),
        "ovoc_facts": _ovoc_facts(sbc),
        "shown": _shown_fingerprint(sbc),
        "counts": [(word.capitalize(), _count(sbc, word)) for word in SEVERITIES],
        "alarms": [
            {
                **alarm,
                "tone": status.severity(alarm.get("severity", "")).tone,
                "word": alarm.get("severity", "").capitalize() or "Not told",
            }
            for alarm in sbc.alarms
        ],
    }


def _count(sbc: Sbc, severity: str) -> int:
    return sum(alarm.get("severity", "") == severity for alarm in sbc.alarms)


def _parts(derived: Derived) -> list[tuple[str, Grade]]:
    return [
        ("Management", derived.management),
        ("Voice quality", derived.voice_quality),
        ("License", derived.license),
    ]


def _facts(row: Row) -> list[tuple[str, object, str]]:
    sbc, told = row.sbc, row.sbc.told
    tls = "None: plain http"
    if sbc.https:
        tls = "Only the certificate with this fingerprint" if sbc.fingerprint else "A trusted certificate"
    return [
        ("Id", sbc.id, ""),
        ("Ip Address", sbc.host, ""),
        ("Device Fqdn", sbc.fqdn, ""),
        ("NAT Ip Addresses", ", ".join(sbc.nat_addresses), ""),
        ("Product Type", row.product, ""),
        ("Version", row.version, ""),
        ("Serial Number", sbc.serial or sbc.ovoc.get("serial"), ""),
        ("HA", told.get("high_availability"), ""),
        ("Operational state", told.get("state"), ""),
        ("Encryption", tls, sbc.fingerprint),
        ("Gateway User", sbc.user, ""),
    ]


def _ovoc_facts(sbc: Sbc) -> list[tuple[str, object, str]]:
    """What OVOC said of it, in its own words; nothing for a device that it does not know."""
    if sbc.ovoc_id is None:
        return []
    said: Mapping[str, str] = sbc.ovoc
    return [
        ("Ovoc Sbc Id", sbc.ovoc_id, "not listed there any more" if sbc.ovoc_missing_since else ""),
        ("Tenant", said.get("tenant"), ""),
        ("Region", said.get("region"), ""),
        ("Management", said.get("management"), ""),
        ("Connection", said.get("connection"), ""),
        ("Administration", said.get("admin"), ""),
        ("Voice quality", said.get("voice_quality"), ""),
        ("License", said.get("license"), ""),
    ]


def _shown_fingerprint(sbc: Sbc) -> str:
    """What the device showed when its certificate was not trusted."""
    return str(((sbc.problem or {}).get("detail") or {}).get("fingerprint", ""))
