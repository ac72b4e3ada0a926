"""Single objects and the small collections: organisation, licences, roles, apps, domains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator import skus
from simulator.apps import App, ServicePrincipal
from simulator.graph.call import TYPES, Call
from simulator.graph.errors import GraphError, not_found
from simulator.graph.licences import sku_rows
from simulator.graph.lists import TYPE_OF, answer, list_rows
from simulator.graph.query import default_properties, filter_test, pick, selected
from simulator.graph.writes import deleted, object_index
from simulator.http1 import Response
from simulator.objects import guid_of, stamp
from simulator.tenant import Tenant

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
TEAMS_APP = "48ac35b8-9aa8-4d74-927d-1f4a14a0b239"
ROLE_NAMES = {
    "62e90394-69f5-4237-9190-012177145e10": "Global Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
    "e8611ab8-c189-46e8-94e1-60213ab1f814": "Privileged Role Administrator",
    "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3": "Application Administrator",
    "69091246-20e8-4a56-aa4d-066075b2a7a8": "Teams Administrator",
    "aa38014f-0993-46e9-9b45-30501a20909d": "Teams Telephony Administrator",
    "baf37b3a-610e-45da-9e62-d9d1e5e8914b": "Teams Communications Administrator",
    "fe930be7-5e62-47db-91af-98c3a49a38b1": "User Administrator",
    "4d6ac14f-3453-41d0-bef9-a3e0c569773a": "License Administrator",
    "88d8e3e3-8f55-4a1e-953a-9b9898b8876b": "Directory Readers",
}
# Activated in every pretend tenant; more appear when an app is given one.
_ACTIVATED = ("62e90394-69f5-4237-9190-012177145e10", "88d8e3e3-8f55-4a1e-953a-9b9898b8876b")

# Application permissions by the name the portal uses -> the id of the app role (facts 7.1).
APP_ROLE_IDS = {
    "User.ReadBasic.All": "97235f07-e226-4f63-ace3-39588e11d3a1",
    "User.Read.All": "df021288-bdef-4463-88db-98f22de89214",
    "User.ReadWrite.All": "741f803b-c850-494e-b5df-cde7c675a1ca",
    "Group.Read.All": "5b567255-7703-4780-807c-7be8301ae99b",
    "Group.ReadWrite.All": "62a82d76-70ea-41e2-9197-370581804d09",
    "GroupMember.Read.All": "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    "GroupMember.ReadWrite.All": "dbaae8cf-10b5-4b86-a4a1-f871c94c6695",
    "Directory.Read.All": "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    "Directory.ReadWrite.All": "19dbc75e-c2e2-444c-a770-ec69d8559fc7",
    "Domain.Read.All": "dbb9058a-0e50-45d7-ae91-66909b5d4664",
    "Domain.ReadWrite.All": "7e05723c-0bb0-42da-be95-ae9f08a6e53c",
    "Organization.Read.All": "498476ce-e0fe-48b0-b801-37ba7e2685c6",
    "Organization.ReadWrite.All": "292d869f-3427-49a8-9dab-8c70152b74e9",
    "LicenseAssignment.Read.All": "e2f98668-2877-4f38-a2f4-8202e0717aa1",
    "LicenseAssignment.ReadWrite.All": "5facf0c1-8979-4e95-abcf-ff3d079771c0",
    "RoleManagement.Read.All": "c7fbd983-d9aa-4fa7-84b8-17382c103bc4",
    "RoleManagement.Read.Directory": "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
    "RoleManagement.ReadWrite.Directory": "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
    "Application.Read.All": "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
}


def role_id(permission: str) -> str:
    """The app role's id; permissions we have no real id for get a stable invented one."""
    return APP_ROLE_IDS.get(permission) or guid_of("app role", permission)


def _entity(call: Call, kind: str, what: str, row: dict[str, Any]) -> Response:
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
    return _entity(call, "organization", "organization", organization_row(call.tenant))


def domains(call: Call) -> Response:
    rows = [
        {
            "id": domain,
            "authenticationType": "Federated" if call.tenant.behaviour.federated else "Managed",
            "isAdminManaged": True,
            "isDefault": domain == call.tenant.domains[0],
            "isInitial": domain == call.tenant.domains[-1],
            "isRoot": True,
            "isVerified": True,
            "supportedServices": ["Email", "OfficeCommunicationsOnline"],
        }
        for domain in call.tenant.domains
    ]
    return list_rows(call, "domains", rows, "domain")


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
    """`GET /users/{id}/memberOf`: groups, and directory roles of nobody."""
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


# Apps, service principals, roles.


def _principals(tenant: Tenant) -> Iterator[dict[str, Any]]:
    for app_id, name in ((GRAPH_APP, "Microsoft Graph"), (TEAMS_APP, "Skype and Teams Tenant Admin API")):
        roles = sorted(APP_ROLE_IDS.items()) if app_id == GRAPH_APP else []
        yield {
            "id": guid_of(tenant.id, "service principal", app_id),
            "appId": app_id,
            "displayName": name,
            "accountEnabled": True,
            "servicePrincipalType": "Application",
            "appRoles": [
                {
                    "id": key,
                    "value": value,
                    "allowedMemberTypes": ["Application"],
                    "isEnabled": True,
                    "displayName": value,
                }
                for value, key in roles
            ],
            "oauth2PermissionScopes": [],
        }
    for app in tenant.apps.values():
        if app.principal is not None:
            yield _principal_row(app, app.principal)


def _principal_row(app: App, principal: ServicePrincipal) -> dict[str, Any]:
    return {
        "id": principal.object_id,
        "appId": app.client_id,
        "displayName": app.name,
        "accountEnabled": principal.enabled and not app.disabled,
        "servicePrincipalType": "Application",
        "appRoles": [],
        "oauth2PermissionScopes": [],
    }


def _full(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    return {**dict.fromkeys(TYPES[kind]), **row}


def service_principals(call: Call) -> Response:
    test = filter_test(call, "servicePrincipal")
    rows = [_full("servicePrincipal", row) for row in _principals(call.tenant)]
    return list_rows(
        call, "servicePrincipals", [r for r in rows if test is None or test(r)], "servicePrincipal"
    )


def _principal(call: Call) -> dict[str, Any]:
    key, name = (call.args["appid"], "appId") if "appid" in call.args else (call.args["id"], "id")
    for row in _principals(call.tenant):
        if row[name] == key.lower():
            return row
    raise not_found(key)


def service_principal(call: Call) -> Response:
    row = _full("servicePrincipal", _principal(call))
    return _entity(call, "servicePrincipal", "servicePrincipals", row)


def app_role_assignments(call: Call) -> Response:
    """What the administrator granted, whether or not tokens carry it already."""
    row = _principal(call)
    app = call.tenant.apps.get(row["appId"])
    granted = app.principal.granted() if app is not None and app.principal is not None else ()
    graph_principal = guid_of(call.tenant.id, "service principal", GRAPH_APP)
    rows = [
        {
            "id": guid_of(row["id"], permission),
            "deletedDateTime": None,
            "appRoleId": role_id(permission),
            "createdDateTime": stamp(app.created) if app else None,
            "principalDisplayName": row["displayName"],
            "principalId": row["id"],
            "principalType": "ServicePrincipal",
            "resourceDisplayName": "Microsoft Graph",
            "resourceId": graph_principal,
        }
        for permission in granted
    ]
    return list_rows(call, "appRoleAssignments", rows, "appRoleAssignment")


def applications(call: Call) -> Response:
    test = filter_test(call, "application")
    rows = [_full("application", app.shown()) for app in call.tenant.apps.values()]
    return list_rows(call, "applications", [r for r in rows if test is None or test(r)], "application")


def application(call: Call) -> Response:
    key, name = (call.args["appid"], "appId") if "appid" in call.args else (call.args["id"], "id")
    for app in call.tenant.apps.values():
        row = app.shown()
        if row[name] == key.lower():
            return _entity(call, "application", "applications", _full("application", row))
    raise not_found(key)


def permission_grants(call: Call) -> Response:
    rows = [
        {
            "id": guid_of(app.principal.object_id, "delegated"),
            "clientId": app.principal.object_id,
            "consentType": "AllPrincipals",
            "principalId": None,
            "resourceId": guid_of(call.tenant.id, "service principal", GRAPH_APP),
            "scope": app.principal.delegated,
        }
        for app in call.tenant.apps.values()
        if app.principal is not None and app.principal.delegated
    ]
    return answer({"@odata.context": call.context("oauth2PermissionGrants"), "value": rows})


def _holders(tenant: Tenant, template: str) -> list[dict[str, str]]:
    """Who holds a role: the first enabled user is the global administrator, apps what they were given."""
    found = [
        {"@odata.type": "#microsoft.graph.servicePrincipal", "id": app.principal.object_id}
        for app in tenant.apps.values()
        if app.principal is not None and template in app.principal.directory_roles
    ]
    users = tenant.directory.users
    if template == _ACTIVATED[0] and users.size and users.is_live(0):
        found.append({"@odata.type": "#microsoft.graph.user", "id": users.ids[0]})
    return found


def _activated(tenant: Tenant) -> list[str]:
    given = [r for app in tenant.apps.values() if app.principal for r in app.principal.directory_roles]
    return list(dict.fromkeys([*_ACTIVATED, *given]))


def directory_roles(call: Call) -> Response:
    test = filter_test(call, "directoryRole")
    rows = [
        {
            "id": guid_of(call.tenant.id, "role", template),
            "deletedDateTime": None,
            "description": f"Can do what {ROLE_NAMES.get(template, 'this role')} may do.",
            "displayName": ROLE_NAMES.get(template, "Custom role"),
            "roleTemplateId": template,
        }
        for template in _activated(call.tenant)
    ]
    return list_rows(call, "directoryRoles", [r for r in rows if test is None or test(r)], "directoryRole")


def role_members(call: Call) -> Response:
    wanted = call.args.get("template")
    for template in _activated(call.tenant):
        if template == wanted or guid_of(call.tenant.id, "role", template) == call.args.get("id"):
            rows = _holders(call.tenant, template)
            return answer({"@odata.context": call.context("directoryObjects"), "value": rows})
    raise not_found(wanted or call.args.get("id", ""))


def role_assignments(call: Call) -> Response:
    test = filter_test(call, "unifiedRoleAssignment")
    rows = [
        {
            "id": guid_of(holder["id"], template),
            "principalId": holder["id"],
            "roleDefinitionId": template,
            "directoryScopeId": "/",
        }
        for template in _activated(call.tenant)
        for holder in _holders(call.tenant, template)
    ]
    what = "roleManagement/directory/roleAssignments"
    return list_rows(call, what, [r for r in rows if test is None or test(r)], "unifiedRoleAssignment")


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
