"""Single objects and the small collections: organisation, licences, domains, deleted objects."""

from __future__ import annotations

from typing import Any

from simulator import skus
from simulator.graph.call import TYPES, Call
from simulator.graph.errors import GraphError, not_found
from simulator.graph.licences import sku_rows
from simulator.graph.lists import TYPE_OF, answer, list_rows
from simulator.graph.query import default_properties, pick, selected
from simulator.graph.writes import deleted, object_index
from simulator.http1 import Response
from simulator.objects import stamp
from simulator.tenant import Tenant


def entity(call: Call, kind: str, what: str, row: dict[str, Any]) -> Response:
    names = selected(call, kind)
    shown = row if names is None else pick(row, names)
    suffix = "" if names is None else f"({','.join(names)})"
    return answer({"@odata.context": call.context(f"{what}{suffix}/$entity"), **shown})


def get_object(call: Call, kind: str) -> Response:
    """`GET /users/{id or userPrincipalName}` or `/groups/{id}`."""
    row = call.tenant.directory.shelf(kind).seen(object_index(call, kind), call.now)
    if row is None:
        raise not_found(call.args["id"])
    names = selected(call, TYPE_OF[kind])
    shown = pick(row, names or default_properties(TYPE_OF[kind]))
    suffix = "" if names is None else f"({','.join(names)})"
    return answer({"@odata.context": call.context(f"{kind}{suffix}/$entity"), **shown})


def me(call: Call) -> Response:
    """`GET /me`: the user behind a delegated token."""
    call.args["id"] = str(call.claims.get("oid", ""))
    return get_object(call, "users")


# Organisation, domains, licences.


def organization_row(tenant: Tenant) -> dict[str, Any]:
    plans = [plan.in_cloud(tenant.cloud.name) for plan in skus.SPE_E5.plans]
    since = stamp(1_500_000_000)
    row: dict[str, Any] = {
        "id": tenant.id,
        "displayName": tenant.name,
        "countryLetterCode": "US" if tenant.cloud.name in {"gcc_high", "dod"} else "DE",
        "country": None,
        "createdDateTime": since,
        "defaultUsageLocation": None,
        "onPremisesSyncEnabled": True,
        "preferredLanguage": "en",
        "tenantType": "AAD",
        "businessPhones": [],
        "technicalNotificationMails": [f"it@{tenant.domain}"],
        "verifiedDomains": [_verified(tenant, domain) for domain in tenant.domains],
        "assignedPlans": [
            {
                "assignedDateTime": since,
                "capabilityStatus": "Enabled",
                "service": plan.service,
                "servicePlanId": plan.id,
            }
            for plan in plans
        ],
        "provisionedPlans": [
            {"capabilityStatus": "Enabled", "provisioningStatus": "Success", "service": plan.service}
            for plan in plans
        ],
    }
    return {**dict.fromkeys(TYPES["organization"]), **row}


def _verified(tenant: Tenant, domain: str) -> dict[str, Any]:
    return {
        "capabilities": "Email, OfficeCommunicationsOnline",
        "isDefault": domain == tenant.domains[0],
        "isInitial": domain == tenant.domains[-1],
        "name": domain,
        "type": "Managed",
    }


def organization(call: Call) -> Response:
    return list_rows(call, "organization", [organization_row(call.tenant)], "organization")


def one_organization(call: Call) -> Response:
    if call.args["id"].lower() != call.tenant.id:
        raise not_found(call.args["id"])
    return entity(call, "organization", "organization", organization_row(call.tenant))


def subscribed_skus(call: Call) -> Response:
    return list_rows(call, "subscribedSkus", sku_rows(call.tenant), "subscribedSku")


def licence_details(call: Call) -> Response:
    """`GET /users/{id}/licenseDetails`."""
    index = object_index(call, "users")
    held = call.tenant.directory.users.view(index).get("assignedLicenses") or ()
    rows = {row["skuId"]: row for row in sku_rows(call.tenant)}
    details = [
        {name: rows[item["skuId"]][name] for name in ("id", "servicePlans", "skuId", "skuPartNumber")}
        for item in held
        if item["skuId"] in rows
    ]
    return list_rows(call, "licenseDetails", details, "subscribedSku")


def member_of(call: Call) -> Response:
    """`GET /users/{id}/memberOf`: the groups."""
    index = object_index(call, "users")
    directory = call.tenant.directory
    groups = [g for g in directory.members.groups_of(index) if directory.groups.sees(g, call.now)]
    names = selected(call, "group")
    rows = [
        {
            "@odata.type": "#microsoft.graph.group",
            **pick(directory.groups.view(g), names or default_properties("group")),
        }
        for g in groups
    ]
    call.query.pop("$select", None)
    return list_rows(call, "directoryObjects", rows, "group")


# Deleted objects, other tenants.


def deleted_objects(call: Call, kind: str) -> Response:
    shelf = call.tenant.directory.shelf(kind)
    names = default_properties(TYPE_OF[kind])
    rows = [
        {**pick(shelf.view(i), names), "deletedDateTime": stamp(shelf.deleted_at[i])}
        for i, reason in sorted(shelf.removed.items())
        if reason == "changed"
    ]
    return list_rows(call, "directoryObjects", rows, TYPE_OF[kind])


def deleted_object(call: Call) -> Response:
    kind, index = deleted(call)
    shelf = call.tenant.directory.shelf(kind)
    row = {
        **pick(shelf.view(index), default_properties(TYPE_OF[kind])),
        "deletedDateTime": stamp(shelf.deleted_at[index]),
    }
    return answer(
        {
            "@odata.context": call.context("directoryObjects/$entity"),
            "@odata.type": f"#microsoft.graph.{TYPE_OF[kind]}",
            **row,
        }
    )


def tenant_information(call: Call) -> Response:
    """`findTenantInformationByTenantId` and `...ByDomainName`."""
    found = call.world.find(call.args["key"])
    if found is None:
        raise GraphError(
            404, "Directory_ObjectNotFound", f"Unable to read the company information: {call.args['key']}"
        )
    return answer(
        {
            "@odata.context": call.context("microsoft.graph.tenantInformation"),
            "tenantId": found.id,
            "federationBrandName": None,
            "displayName": found.name,
            "defaultDomainName": found.domains[0],
        }
    )
