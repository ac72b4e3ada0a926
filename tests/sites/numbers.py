"""What the tests of numbers do again and again."""

from collections.abc import Iterable
from typing import Any

import pytest

from replication import sweeper
from replication.models import Command
from sbc.models import Sbc
from simulator.sbc.device import Device
from sites import numbers
from sites.models import Configuration, Prefix, PrefixState, Site, SiteState
from sites.number_rules import Wish
from tenants import scope
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant
from tests.breakers.hands import claim, make_due, run_due, settle

TAG = "contoso.example"
FOREIGN = [
    ("manual", "+44xx[0-4]", "carrier"),
    ("manual", "+3120[10-19]", "carrier"),
    ("default", "*", "carrier"),
    ("Old", "+3160", TAG),
]


class KilledError(BaseException):
    """The worker is gone at once."""


def place(tenant: Tenant, sbc: Sbc, name: str = "Zurich", gateway: str = TAG, **more: Any) -> Site:
    """A deployed site."""
    values = {"configuration": Configuration.SIP_TRUNK, "sbc_state": SiteState.DEPLOYED, **more}
    with scope.one(tenant.id):
        return Site.objects.create(
            tenant=tenant, sbc=sbc, name=name, gateway=gateway, created_by="x", **values
        )


def add(site: Site, *prefixes: str, actor: Actor = SYSTEM, **more: Any) -> numbers.Added:
    with scope.one(site.tenant_id):
        return numbers.add(actor, site, [Wish(prefix, **more) for prefix in prefixes])


def written(site: Site, *prefixes: str, **more: Any) -> None:
    """Added, and on the device."""
    add(site, *prefixes, **more)
    run_due()


def rows(site: Site) -> dict[str, Prefix]:
    with scope.one(site.tenant_id):
        return {row.prefix: row for row in Prefix.objects.filter(site=site).select_related("site")}


def states(site: Site) -> dict[str, str]:
    return {prefix: row.state for prefix, row in rows(site).items()}


def act(site: Site, what: Any, *args: Any, **more: Any) -> Any:
    """A service in the site's scope."""
    with scope.one(site.tenant_id):
        return what(SYSTEM, *args, **more)


def rules(device: Device, *, saved: bool = False) -> list[tuple[int, int, str, str, str]]:
    """(plan, index, name, prefix, tag) as they are on it."""
    there = (device.saved if saved else device.running).rows["dial-plan-rule"]
    return sorted((plan, at, row["Name"], row["Prefix"], row["Tag"]) for (plan, at), row in there.items())


def prefixes(device: Device) -> list[str]:
    return [rule[3] for rule in rules(device)]


def dies(what: Any = run_due) -> None:
    """A worker that does this is killed on its way; the sweeper notices, and the command is due again."""
    (lost,) = claim(1)
    with pytest.raises(KilledError):
        settle(lost)
    with scope.every("the lease runs out"):
        Command.objects.filter(id=lost.id).update(lease_until="2000-01-01T00:00:00Z")
    assert sweeper.take_back() == 1
    make_due()


def on_device(site: Site, expected: Iterable[str]) -> bool:
    return states(site) == dict.fromkeys(expected, PrefixState.PRESENT)
