"""The topology: provider, SBCs, sites and customers with their states, a page of them at a time."""

import dataclasses
from collections.abc import Mapping, Sequence

from django.db.models import Count, Q, QuerySet

from sbc.models import Sbc
from sites.models import Site, SiteState
from tenants.deployment import Status, status_of
from tenants.models import Tenant
from tenants.selectors import connections_of

UNWELL = (SiteState.FAILED, SiteState.UNSAVED)


@dataclasses.dataclass(frozen=True)
class Load:
    """What lies on one SBC."""

    sites: int = 0
    customers: int = 0
    unwell: int = 0
    """Sites whose deployment failed, or would not survive a restart of the SBC."""

    @property
    def words(self) -> str:
        """ "12 sites of 9 customers, 1 in trouble\"."""
        if not self.sites:
            return "no sites"
        sites = f"{self.sites:,} site{'' if self.sites == 1 else 's'}"
        whose = f" of {self.customers:,} customer{'' if self.customers == 1 else 's'}"
        return sites + whose + (f", {self.unwell:,} in trouble" if self.unwell else "")


def loads(sbcs: Sequence[Sbc]) -> Mapping[int, Load]:
    """By the SBC's id, in one query; those without a site are left out."""
    found = Site.objects.filter(sbc__in=[sbc.id for sbc in sbcs]).order_by().values_list("sbc_id")
    counted = found.annotate(
        sites=Count("id"),
        customers=Count("tenant_id", distinct=True),
        unwell=Count("id", filter=Q(sbc_state__in=UNWELL)),
    )
    return {sbc_id: Load(sites, customers, unwell) for sbc_id, sites, customers, unwell in counted}


def sites_on(sbc: Sbc) -> QuerySet[Site]:
    """By customer, so that those of one stand together."""
    return Site.objects.filter(sbc=sbc).select_related("tenant").order_by("tenant__name", "name", "id")


def standings(sites: Sequence[Site]) -> Mapping[Tenant, Status]:
    """The customers of these sites in their order, with their Status; one more query."""
    tenants = {site.tenant_id: site.tenant for site in sites}
    connections = connections_of(list(tenants))
    return {tenant: status_of(tenant, connections.get(tenant.id)) for tenant in tenants.values()}
