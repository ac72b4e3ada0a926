"""What bench/sites.py measures, in a process of its own: `python -m bench.siting NAME JSON`."""

import json
import os
import sys
import time
import uuid
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
if len(sys.argv) > 2:
    os.environ["M365_GATEWAY_URL"] = json.loads(sys.argv[2])["url"]  # lets the portal call this machine
django.setup()

from django.db import connection  # noqa: E402  Django first
from django.test.utils import CaptureQueriesContext  # noqa: E402

from audiocodes import objects  # noqa: E402
from bench import ground  # noqa: E402
from replication import runner  # noqa: E402
from sbc import services as devices  # noqa: E402
from sbc.models import Sbc  # noqa: E402
from sites import selectors, services, templates  # noqa: E402
from sites.models import Configuration, ScriptTemplate, Site, SiteState  # noqa: E402
from tenants import scope  # noqa: E402
from tenants import services as customers  # noqa: E402
from tenants.access import SYSTEM  # noqa: E402
from tenants.models import Tenant  # noqa: E402

VALUES = {"CarrierHostName": "carrier.example:5060"}


def whole(
    *, url: str, devices: list[dict[str, Any]], ovoc: dict[str, Any], sites: int, customers: int
) -> dict[str, Any]:
    """All of it, in this process, with as many threads as a worker has."""
    known = _known(devices, ovoc)
    before = _tables(url, devices)
    asked = _requests(url, devices)
    made = _sites(known, sites, customers)
    deploying = _timed(made, services.deploy)
    requests = _requests(url, devices) - asked
    failed = _count(SiteState.FAILED) + sites - _count(SiteState.DEPLOYED)
    queries, page_ms = _page()
    removing = _timed(made, services.remove)
    return {
        "sites": sites,
        "deploying": deploying,
        "removing": removing,
        "requests": requests,
        "failed": failed + sites - _count(SiteState.NONE),
        "as_before": _tables(url, devices) == before,
        "queries": queries,
        "page_ms": page_ms,
    }


def _known(told: list[dict[str, Any]], ovoc: dict[str, Any]) -> list[Sbc]:
    for each in told:
        devices.add(SYSTEM, name=each["name"], **_reached(each))
    devices.set_ovoc(SYSTEM, **_reached(ovoc))
    devices.reload(SYSTEM)
    runner.drain()
    return list(Sbc.objects.all())


def _reached(told: dict[str, Any]) -> dict[str, Any]:
    where = {"address": f"{told['host']}:{told['port']}", "https": told["https"]}
    return {**where, "user": told["user"], "password": told["password"]}


def _sites(known: list[Sbc], number: int, of: int) -> list[Site]:
    templates.add_defaults(SYSTEM)
    template = ScriptTemplate.objects.get(name="SIP trunk")
    tenants = [_tenant(each) for each in range(of)]
    found = []
    for each in range(number):
        tenant = tenants[each % of]
        with scope.one(tenant.id):
            site = services.add(
                SYSTEM,
                tenant,
                name=f"Site {each}",
                sbc=known[each % len(known)],
                configuration=Configuration.SIP_TRUNK,
                gateway=f"site{each}.customer{each % of}.example",
                template=template,
                values=VALUES,
            )
        found.append(site)
    return found


def _tenant(number: int) -> Tenant:
    return customers.add_tenant(SYSTEM, name=f"Customer {number}", entra_tenant_id=uuid.uuid4())


def _timed(made: list[Site], act: Any) -> float:
    """Seconds until the last command has ended."""
    for site in made:
        with scope.one(site.tenant_id):
            act(SYSTEM, selectors.site(site.tenant, site.uid))
    began = time.monotonic()
    while not runner.drain(longest=600.0):
        pass
    return time.monotonic() - began


def _count(state: SiteState) -> int:
    with scope.every("a benchmark counts"):
        return int(Site.objects.filter(sbc_state=state).count())


def _page() -> tuple[int, float]:
    """Queries and milliseconds of the first page of Site Locations, without the template."""
    with scope.every("a benchmark looks"), CaptureQueriesContext(connection) as queries:
        began = time.monotonic()
        found = selectors.sites(search="site").order_by("name", "id")
        rows = [selectors.Shown(site, True) for site in found[:100]]
        assert found.count() >= len(rows)
        took = time.monotonic() - began
    return len(queries), took * 1000


def _tables(url: str, told: list[dict[str, Any]]) -> list[Any]:
    """What is on the devices, as rows."""
    found = [ground.control(url, "GET", f"/sbcs/{each['name']}/ini") for each in told]
    return [objects.to_json(objects.read(each["running"])) for each in found]


def _requests(url: str, told: list[dict[str, Any]]) -> int:
    return sum(int(ground.control(url, "GET", f"/sbcs/{each['name']}")["requests"]) for each in told)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](**json.loads(sys.argv[2]))))
