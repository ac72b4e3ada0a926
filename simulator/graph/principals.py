"""Applications, service principals and what was granted to them, as readers see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.apps import App, PermissionGrant, Registration, ServicePrincipal
from simulator.graph.call import TYPES, Call
from simulator.graph.errors import not_found
from simulator.graph.lists import list_rows
from simulator.graph.query import filter_test
from simulator.graph.reads import entity
from simulator.graph.roles import principal_type
from simulator.http1 import Response
from simulator.objects import guid_of, stamp
from simulator.permissions import APP_ROLES, GRAPH_APP, SCOPES, TEAMS_APP, TEAMS_SCOPE, role_id
from simulator.tenant import Tenant

RESOURCES = {GRAPH_APP: "Microsoft Graph", TEAMS_APP: "Skype and Teams Tenant Admin API"}
_NO_ROLE = "00000000-0000-0000-0000-000000000000"


def full(kind: str, row: dict[str, Any]) -> dict[str, Any]:
    """A row with every property of its type, null where it has none."""
    return {**dict.fromkeys(TYPES[kind]), **row}


# Applications.


def registrations(tenant: Tenant, now: float) -> Iterator[Registration]:
    """The registrations at home in this tenant that a reader finds by now."""
    for app in tenant.apps.values():
        registration = app.registration
        if registration.home == tenant.id and not registration.deleted and registration.seen_from <= now:
            yield registration


def find_registration(call: Call) -> Registration:
    """The registration that the path names by object id or app id; 404 otherwise."""
    key = call.args.get("appid") or call.args["id"]
    for registration in registrations(call.tenant, call.now):
        if key.lower() == (registration.client_id if "appid" in call.args else registration.object_id):
            return registration
    raise not_found(key)


def application_row(registration: Registration) -> dict[str, Any]:
    return full("application", registration.shown())


def applications(call: Call) -> Response:
    test = filter_test(call, "application")
    rows = [application_row(each) for each in registrations(call.tenant, call.now)]
    return list_rows(call, "applications", [r for r in rows if test is None or test(r)], "application")


def application(call: Call) -> Response:
    return entity(call, "application", "applications", application_row(find_registration(call)))


def owners(call: Call) -> Response:
    """`GET /applications/{id}/owners`: references only."""
    rows = [
        {"@odata.type": f"#microsoft.graph.{kind}", "id": key}
        for key in sorted(find_registration(call).owners)
        if (kind := principal_type(call.tenant, key)) is not None
    ]
    call.query.pop("$select", None)
    return list_rows(call, "directoryObjects", rows, "servicePrincipal")


# Service principals.


def resource_principal_id(tenant: Tenant, app_id: str) -> str:
    return guid_of(tenant.id, "service principal", app_id)


def resource_app(tenant: Tenant, principal_id: str) -> str | None:
    """The app id of Microsoft's own API behind a service principal of this tenant."""
    for app_id in RESOURCES:
        present = app_id != TEAMS_APP or tenant.behaviour.teams_principal
        if present and resource_principal_id(tenant, app_id) == principal_id.lower():
            return app_id
    return None


def resource_row(tenant: Tenant, app_id: str) -> dict[str, Any]:
    graph = app_id == GRAPH_APP
    scopes = SCOPES.items() if graph else [TEAMS_SCOPE]
    return {
        "id": resource_principal_id(tenant, app_id),
        "appId": app_id,
        "displayName": RESOURCES[app_id],
        "appDisplayName": RESOURCES[app_id],
        "accountEnabled": True,
        "servicePrincipalType": "Application",
        "servicePrincipalNames": [app_id],
        "appRoles": [
            {
                "id": key,
                "value": value,
                "allowedMemberTypes": ["Application"],
                "isEnabled": True,
                "displayName": value,
            }
            for value, key in (APP_ROLES.items() if graph else ())
        ],
        "oauth2PermissionScopes": [
            {"id": key, "value": value, "isEnabled": True, "adminConsentDisplayName": value}
            for value, key in scopes
        ],
    }


def principal_row(app: App, principal: ServicePrincipal) -> dict[str, Any]:
    registration = app.registration
    return {
        "id": principal.object_id,
        "appId": app.client_id,
        "displayName": app.name,
        "appDisplayName": app.name,
        "appOwnerOrganizationId": registration.home,
        "accountEnabled": principal.enabled and not registration.disabled,
        "servicePrincipalType": "Application",
        "servicePrincipalNames": [app.client_id],
        "signInAudience": "AzureADMultipleOrgs" if registration.multi_tenant else "AzureADMyOrg",
        "appRoles": [],
        "oauth2PermissionScopes": [],
        "keyCredentials": [],
        "passwordCredentials": [],
    }


def _principals(call: Call) -> Iterator[dict[str, Any]]:
    tenant = call.tenant
    for app_id in RESOURCES:
        if app_id != TEAMS_APP or tenant.behaviour.teams_principal:
            yield resource_row(tenant, app_id)
    for app in tenant.apps.values():
        if app.principal is not None and app.principal.seen_from <= call.now and not app.registration.deleted:
            yield principal_row(app, app.principal)


def service_principals(call: Call) -> Response:
    test = filter_test(call, "servicePrincipal")
    rows = [full("servicePrincipal", row) for row in _principals(call)]
    return list_rows(
        call, "servicePrincipals", [r for r in rows if test is None or test(r)], "servicePrincipal"
    )


def find_principal(call: Call) -> dict[str, Any]:
    """The service principal that the path names by object id or app id; 404 otherwise."""
    key, name = (call.args["appid"], "appId") if "appid" in call.args else (call.args["id"], "id")
    for row in _principals(call):
        if row[name] == key.lower():
            return row
    raise not_found(key)


def service_principal(call: Call) -> Response:
    row = full("servicePrincipal", find_principal(call))
    return entity(call, "servicePrincipal", "servicePrincipals", row)


def app_with_principal(call: Call, principal_id: str) -> tuple[App, ServicePrincipal]:
    """The app of this tenant behind a service principal's id; 404 otherwise."""
    for app in call.tenant.apps.values():
        principal = app.principal
        if (
            principal is not None
            and principal.object_id == principal_id.lower()
            and principal.seen_from <= call.now
        ):
            return app, principal
    raise not_found(principal_id)


# Grants.


def assignment_row(tenant: Tenant, app: App, principal: ServicePrincipal, permission: str) -> dict[str, Any]:
    return {
        "id": guid_of(principal.object_id, permission),
        "deletedDateTime": None,
        "appRoleId": role_id(permission) if permission else _NO_ROLE,
        "createdDateTime": stamp(principal.created),
        "principalDisplayName": app.name,
        "principalId": principal.object_id,
        "principalType": "ServicePrincipal",
        "resourceDisplayName": RESOURCES[GRAPH_APP],
        "resourceId": resource_principal_id(tenant, GRAPH_APP),
    }


def app_role_assignments(call: Call) -> Response:
    """What the administrator granted to this one, whether or not tokens carry it already."""
    wanted = find_principal(call)["id"]
    return _assignments(call, "appRoleAssignments", lambda row: bool(row["principalId"] == wanted))


def app_role_assigned_to(call: Call) -> Response:
    """Who was granted permissions of this API."""
    wanted = find_principal(call)["id"]
    return _assignments(call, "appRoleAssignedTo", lambda row: bool(row["resourceId"] == wanted))


def _assignments(call: Call, what: str, test: Any) -> Response:
    rows = [
        assignment_row(call.tenant, app, app.principal, permission)
        for app in call.tenant.apps.values()
        if app.principal is not None
        for permission in app.principal.granted()
    ]
    return list_rows(call, what, [row for row in rows if test(row)], "appRoleAssignment")


def grant_row(tenant: Tenant, principal: ServicePrincipal, grant: PermissionGrant) -> dict[str, Any]:
    return {
        "id": grant.id,
        "clientId": principal.object_id,
        "consentType": "AllPrincipals" if grant.principal_id is None else "Principal",
        "principalId": grant.principal_id,
        "resourceId": resource_principal_id(tenant, grant.resource),
        "scope": " ".join(grant.scopes),
    }


def all_grants(tenant: Tenant) -> Iterator[tuple[ServicePrincipal, PermissionGrant]]:
    for app in tenant.apps.values():
        if app.principal is not None:
            for grant in app.principal.grants.values():
                yield app.principal, grant


def permission_grants(call: Call) -> Response:
    """`GET /oauth2PermissionGrants`, or those of one service principal."""
    client = find_principal(call)["id"] if call.args else None
    test = filter_test(call, "oAuth2PermissionGrant")
    rows = [grant_row(call.tenant, principal, grant) for principal, grant in all_grants(call.tenant)]
    found = [row for row in rows if client in {None, row["clientId"]} and (test is None or test(row))]
    return list_rows(call, "oauth2PermissionGrants", found, "oAuth2PermissionGrant")
