"""The demo's number ranges: one that is well filled, one that is used up, one that is new; and numbers kept back."""

import datetime as dt
from collections.abc import Sequence

from django.utils import timezone

from sites.models import Site
from telephony import holds, intervals, ranges
from telephony.models import NumberKind, NumberRange
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant

RANGES = (
    ("Contoso Manufacturing", "Zurich, main building", "+41589061000", "+41589061999", "Zurich"),
    ("Contoso Manufacturing", "Zurich, old numbers", "+41445550101", "+41445550102", "Zurich"),
    ("Contoso Manufacturing", "Bern", "+41315550000", "+41315550099", ""),
    ("Fabrikam Clinics", "London", "+4420366669700", "+4420366669999", ""),
)
"""Customer, name, from, to, site."""


def plant(known: Sequence[Tenant]) -> None:
    """Add what is not there yet."""
    customers = {tenant.name: tenant for tenant in known}
    for customer, name, first, last, site in RANGES:
        tenant = customers.get(customer)
        if tenant is None:
            continue
        with scope.one(tenant.id):
            if NumberRange.objects.filter(tenant=tenant, name=name).exists():
                continue
            where = Site.objects.filter(tenant=tenant, name=site).first()
            ranges.add(
                SYSTEM, tenant, name=name, kind=NumberKind.DIRECT_ROUTING, first=first, last=last, site=where
            )
            if name == "Bern":
                _keep_back(tenant)


def _keep_back(tenant: Tenant) -> None:
    opening = timezone.now() + dt.timedelta(days=90)
    wanted = [intervals.between("+41315550010", "+41315550019")]
    holds.reserve(SYSTEM, tenant, wanted, holder="Contact centre", note="opens in spring", until=opening)
    fax = [intervals.between("+41315550099")]
    holds.block(SYSTEM, tenant, fax, reason="Printed on forms as a fax number; callers hear a tone")
