"""The demo's DNS zone, and domains in three states: ready, waiting for a record by hand, and stopped."""

from collections.abc import Callable, Sequence
from typing import Any

from domains import services
from domains.models import CustomDomain
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant

MAY = ("Contoso Manufacturing", "Duvall Instruments")
"""Customers whose app registration may set up domains, as its guide asks for."""
RIGHTS = ["Domain.ReadWrite.All", "User.ReadWrite.All"]
WISHES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("Contoso Manufacturing", {}),
    ("Duvall Instruments", {"by_hand": True}),
    ("Fernhill Housing", {}),
)


def plant(known: Sequence[Tenant], ask: Callable[..., Any]) -> None:
    """Enter the simulator's zone, where it is in this run, and begin what has not been begun.

    `ask(method, path, body)` is a call of the simulator's control API.
    """
    _enter_zone(ask("GET", "/dns"))
    there = {one["tenant_id"] for one in ask("GET", "/tenants")["tenants"]}
    by_name = {tenant.name: tenant for tenant in known if str(tenant.entra_tenant_id) in there}
    for name in MAY:
        if name in by_name:
            ask("PATCH", f"/tenants/{by_name[name].entra_tenant_id}/app", {"add_roles": RIGHTS})
    for name, wish in WISHES:
        tenant = by_name.get(name)
        if tenant is None:
            continue
        with scope.one(tenant.id):
            if not CustomDomain.objects.filter(tenant=tenant).exists():
                services.begin(SYSTEM, tenant, **wish)


def _enter_zone(told: dict[str, Any]) -> None:
    server = f"{told['host']}:{told['port']}"
    there = services.zone()
    if there is not None and there.server == server:
        return
    services.set_zone(
        SYSTEM,
        name=told["zone"],
        server=server,
        key_name=told["key_name"],
        algorithm=told["algorithm"],
        secret=told["secret"],
        lookup_servers=[server],
    )
