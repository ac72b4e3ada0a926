"""The demo's scripts, and sites in four states: deployed, being deployed, failed, and not deployed yet."""

from collections.abc import Callable, Sequence
from typing import Any

from sbc.models import Sbc
from sites import services, templates
from sites.models import Configuration, ScriptTemplate, Site
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant

ZURICH, LONDON = "sbc1.zurich.provider.example", "sbc2.london.provider.example"
CARRIER = {"CarrierHostName": "sip.carrier.example:5060"}
WISHES: tuple[tuple[str, str, str, Configuration, str, dict[str, str], bool], ...] = (
    ("Contoso Manufacturing", "Zurich", ZURICH, Configuration.SIP_TRUNK, "SIP trunk", CARRIER, True),
    ("Contoso Manufacturing", "London", LONDON, Configuration.SIP_TRUNK, "SIP trunk", CARRIER, True),
    ("Duvall Instruments", "Basel", ZURICH, Configuration.IP_PBX, "IP-PBX",
     {"CustomVar.Variable1": "pbx.duvall.example:5060"}, True),
    ("Duvall Instruments", "Head office", ZURICH, Configuration.SIP_TRUNK, "SIP trunk, shared proxy set",
     {"ProxySet": "PS_Carrier"}, True),
    ("Fernhill Housing", "Leeds", ZURICH, Configuration.SIP_TRUNK, "SIP trunk", CARRIER, False),
)  # fmt: skip
"""Customer, site, SBC, configuration, script, values, and whether it is deployed. No SBC has the shared proxy set."""


def plant(known: Sequence[Tenant], ask: Callable[..., Any]) -> None:
    """Add what is not there yet. The pair in London is copying its configuration, so that its site has to wait.

    `ask(method, path, body)` is a call of the simulator's control API.
    """
    templates.add_defaults(SYSTEM)
    customers = {tenant.name: tenant for tenant in known}
    devices = {sbc.name: sbc for sbc in Sbc.objects.all()}
    if LONDON in devices:
        ask("PATCH", f"/sbcs/{LONDON}", {"trouble": "ha_sync"})
    for customer, name, device, configuration, script, values, deployed in WISHES:
        if customer not in customers or device not in devices:
            continue
        tenant = customers[customer]
        with scope.one(tenant.id):
            if Site.objects.filter(tenant=tenant, name=name).exists():
                continue
            site = services.add(
                SYSTEM,
                tenant,
                name=name,
                sbc=devices[device],
                configuration=configuration,
                gateway=f"{name.replace(' ', '-').lower()}.{tenant.domain}",
                template=ScriptTemplate.objects.get(name=script),
                values=values,
            )
            if deployed:
                services.deploy(SYSTEM, site)
