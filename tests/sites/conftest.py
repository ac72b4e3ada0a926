"""A customer, a pretend SBC with something of others on it, and a site for it."""

from collections.abc import Callable
from typing import Any

import pytest

from audiocodes import objects
from replication.models import Command
from sbc.models import Sbc
from simulator.sbc.cli import Session
from simulator.sbc.device import Device
from sites import services, templates
from sites.models import Configuration, Purpose, ScriptTemplate, Site
from sites.template_defaults import DEFAULTS, cleanup_name
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tests.cast import Cast
from tests.fences import fenced
from tests.sbc.conftest import boxes, boxes_server, device, known

__all__ = ["boxes", "boxes_server", "device", "fenced", "known"]
PASSWORD = "carrier pass!word; 1"
OTHERS = """configure voip
proxy-set 0
proxy-name PS_Teams
activate
exit
ip-group 0
name IPG_Teams
proxy-set-name PS_Teams
activate
exit
sbc dial-plan 0
name CustDialPlan
activate
exit"""
"""What somebody configured by hand, and saved."""


@pytest.fixture
def sbc(device: Device, known: Callable[..., Sbc]) -> Sbc:
    Session(device.running).run(OTHERS)
    device.plant("CustDialPlan", [("Fabrikam", "+44587996[01-20]", "fabrikam.example")])
    return known(device)


@pytest.fixture
def byoc(db: None) -> ScriptTemplate:
    """The template with everything: proxy set, IP group, classification, and an account with a password."""
    return pair("BYOC with registration")


def pair(name: str) -> ScriptTemplate:
    """One of the templates to begin with, and its clean-up."""
    given = next(each for each in DEFAULTS if each.name == name)
    cleanup = templates.add(SYSTEM, name=cleanup_name(name), purpose=Purpose.CLEANUP, script=given.cleanup)
    return templates.add(
        SYSTEM,
        name=name,
        purpose=Purpose.ONBOARDING,
        script=given.script,
        variables=given.variables,
        cleanup=cleanup,
    )


@pytest.fixture
def add_site(cast: Cast, sbc: Sbc, byoc: ScriptTemplate) -> Callable[..., Site]:
    """`add_site(name="Zurich")` for Contoso, on the SBC."""

    def add(tenant: Tenant | None = None, **changes: Any) -> Site:
        tenant = tenant or cast.contoso
        with scope.one(tenant.id):
            return services.add(SYSTEM, tenant, **(wish(sbc, byoc) | changes))

    return add


@pytest.fixture
def site(add_site: Callable[..., Site]) -> Site:
    return add_site()


def wish(sbc: Sbc, template: ScriptTemplate) -> dict[str, Any]:
    """What a person says of a site."""
    return {
        "name": "Zurich",
        "sbc": sbc,
        "configuration": Configuration.BYOC,
        "gateway": "zurich.contoso.example",
        "template": template,
        "values": {
            "CarrierHostName": "carrier.example:5060",
            "CarrierMainLine": "+41445550000",
            "CarrierUserName": "contoso",
        },
        "secrets_": {"CarrierUserPassword": PASSWORD},
    }


def again(site: Site) -> Site:
    """As it is in the database now."""
    with scope.one(site.tenant_id):
        found: Site = Site.objects.select_related("tenant", "sbc", "template").get(id=site.id)
    return found


def act(what: Callable[..., Command], site: Site, *args: Any) -> Command:
    with scope.one(site.tenant_id):
        return what(SYSTEM, again(site), *args)


def tables(device: Device) -> objects.Rows:
    return objects.read(device.running.ini())


def saved(device: Device) -> bool:
    return device.running.ini() == device.saved.ini()
