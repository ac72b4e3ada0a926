"""SBC > Topology: provider, SBCs, sites and customers with their states; one SBC at a time in detail."""

import uuid
from collections.abc import Mapping, Sequence

from django.core.paginator import Page
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts import branding
from sbc import selectors, status
from sbc.models import Link, Sbc
from sites import topology
from sites.models import Site, SiteState
from sites.selectors import TONES, Shown
from sites.topology import Load
from tenants import scope, tables
from tenants.abilities import Ability
from tenants.deployment import Status
from tenants.models import Tenant
from tenants.web import provider_view
from ump_portal.templatetags.topology import Box, Picture

BASE = "/topology/"
WHY = "the topology shows sites of all customers"
STATUS = {
    Status.OK: ("ok", "OK"),
    Status.WARNING: ("warn", "Warning"),
    Status.ERROR: ("bad", "Error"),
    Status.UNMONITORED: ("neutral", "Unmonitored"),
}


@provider_view(needs=Ability.VIEW_PROVIDER)
def index(request: HttpRequest) -> HttpResponse:
    """The provider and its SBCs, with how much lies on each."""
    page: Page[Sbc] = tables.page_of(request.GET, selectors.sbcs(tables.search_of(request.GET)))
    sbcs = list(page)
    with scope.every(WHY):
        loads = topology.loads(sbcs)
    boxes = [sbc_box(sbc, loads.get(sbc.id, Load()), f"{BASE}{sbc.uid}/") for sbc in sbcs]
    picture = Picture("Provider and SBCs", [[_provider()], boxes], [[range(len(boxes))]])
    rows = [{"sbc": sbc, "load": loads.get(sbc.id, Load()), "status": status.of_sbc(sbc)} for sbc in sbcs]
    context = {
        "page": page, "picture": picture, "rows": rows, "url": BASE, "chips": tables.chips(request.GET, []),
    }  # fmt: skip
    return render(request, "sites/topology.html", context)


@provider_view(needs=Ability.VIEW_PROVIDER)
def one(request: HttpRequest, sbc_id: uuid.UUID) -> HttpResponse:
    """One SBC with its sites and their customers."""
    sbc = selectors.sbc(sbc_id)
    with scope.every(WHY):
        page: Page[Site] = tables.page_of(request.GET, topology.sites_on(sbc))
        sites = list(page)
        standings = topology.standings(sites)
        load = topology.loads([sbc]).get(sbc.id, Load())
    picture = picture_of(sbc, load, sites, standings)
    shown = {tenant.id: STATUS[found] for tenant, found in standings.items()}
    rows = [{"site": site_box(site), "row": site, "customer": shown[site.tenant_id]} for site in sites]
    context = {"sbc": sbc, "page": page, "picture": picture, "rows": rows, "load": load, "url": BASE}
    return render(request, "sites/topology_sbc.html", context)


def picture_of(sbc: Sbc, load: Load, sites: Sequence[Site], standings: Mapping[Tenant, Status]) -> Picture:
    """Provider, this SBC, these sites and their customers."""
    tenants = list(standings)
    places = {tenant.id: at for at, tenant in enumerate(tenants)}
    return Picture(
        f"Topology of {sbc.name}",
        [
            [_provider()],
            [sbc_box(sbc, load, f"/sbcs/{sbc.uid}/")],
            [site_box(site) for site in sites],
            [_customer(tenant, standings[tenant]) for tenant in tenants],
        ],
        [[[0]], [range(len(sites))], [[places[site.tenant_id]] for site in sites]],
    )


def _provider() -> Box:
    look = branding.current()
    return Box("Provider", look.provider or look.name, "Provider", "neutral", BASE)


def sbc_box(sbc: Sbc, load: Load, url: str) -> Box:
    """Its derived status, and what lies on it."""
    derived = status.of_sbc(sbc)
    word = Link(sbc.link).label if sbc.link != Link.CONNECTED else derived.device.word
    tone = "neutral" if sbc.link == Link.UNKNOWN else derived.device.tone
    return Box("SBC", sbc.name, f"{word}, {load.words}", tone, url, locked=derived.locked)


def site_box(site: Site) -> Box:
    state = SiteState(site.sbc_state)
    url = Shown(site, for_provider=True).url
    return Box("Site", site.name, state.label, TONES.get(state, "neutral"), url)


def _customer(tenant: Tenant, found: Status) -> Box:
    tone, word = STATUS[found]
    return Box("Customer", tenant.name, word, tone, f"/tenants/{tenant.id}/")
