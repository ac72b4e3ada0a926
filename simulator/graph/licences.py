"""The licences a tenant owns and how many are in use."""

from __future__ import annotations

import collections
from typing import Any

from simulator import skus
from simulator.objects import guid_of
from simulator.tenant import Tenant


def _consumed(tenant: Tenant) -> collections.Counter[str]:
    """Licences in use: untouched users by their profile, the others by what they hold now."""
    shelf = tenant.directory.users
    changed = shelf.changed()
    used: collections.Counter[str] = collections.Counter()
    for index in range(shelf.size):
        if not shelf.is_live(index):
            continue
        if index in changed or index >= shelf.generated:
            used.update(item["skuId"] for item in shelf.view(index).get("assignedLicenses") or ())
        else:
            used.update(sku.id for sku in tenant.maker.profile(index))
    return used


def sku_rows(tenant: Tenant) -> list[dict[str, Any]]:
    """`subscribedSkus`: the pool is fixed at first sight, a tenth above what was in use then."""
    cached = tenant.sku_cache
    version = tenant.directory.users.version
    if cached is None or cached[0] != version:
        cached = tenant.sku_cache = (version, _consumed(tenant))
    used = cached[1]
    if not tenant.pool:
        tenant.pool.update({key: used[key] + used[key] // 10 + 5 for key in skus.SKUS})
    return [_sku_row(tenant, sku, used[sku.id]) for sku in skus.SKUS.values()]


def _sku_row(tenant: Tenant, sku: skus.Sku, consumed: int) -> dict[str, Any]:
    return {
        "id": f"{tenant.id}_{sku.id}",
        "accountId": tenant.id,
        "accountName": tenant.domains[-1].split(".")[0],
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": consumed,
        "prepaidUnits": {"enabled": tenant.pool[sku.id], "lockedOut": 0, "suspended": 0, "warning": 0},
        "servicePlans": [
            {
                "appliesTo": "User",
                "provisioningStatus": "Success",
                "servicePlanId": plan.in_cloud(tenant.cloud.name).id,
                "servicePlanName": plan.in_cloud(tenant.cloud.name).name,
            }
            for plan in sku.plans
        ],
        "skuId": sku.id,
        "skuPartNumber": sku.part,
        "subscriptionIds": [guid_of(tenant.id, "subscription", sku.id)],
    }
