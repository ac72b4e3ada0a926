"""Permissions and directory roles, given and taken through Graph (facts/microsoft.md 7 steps 6 to 8)."""

from __future__ import annotations

from typing import Any

from simulator.apps import PermissionGrant, ServicePrincipal
from simulator.graph.call import Call
from simulator.graph.errors import GraphError, bad_request, not_found
from simulator.graph.lists import answer
from simulator.graph.principals import (
    all_grants,
    app_with_principal,
    assignment_row,
    find_principal,
    grant_row,
    resource_app,
)
from simulator.graph.query import property_name
from simulator.graph.reads import entity
from simulator.graph.rights import require_role
from simulator.graph.roles import assignment_row as role_row
from simulator.graph.roles import find_assignment, principal_type
from simulator.http1 import Response
from simulator.objects import guid_of
from simulator.permissions import DIRECTORY_ROLES, GRANTERS, GRAPH_APP, REGISTRARS, role_name


def _fields(call: Call, kind: str, *needed: str) -> dict[str, Any]:
    """The body's properties, all of them known and the needed ones texts."""
    body = {
        property_name(kind, name): value
        for name, value in call.json().items()
        if not name.startswith("@odata")
    }
    for name in needed:
        if not isinstance(body.get(name), str) or not body[name]:
            raise bad_request(f"A value is required for property '{name}' of resource.")
    return body


# Application permissions.


def assign_app_role(call: Call) -> Response:
    """`POST .../appRoleAssignments` (the client's) or `.../appRoleAssignedTo` (the API's) -> 201."""
    require_role(call, GRANTERS)
    body = _fields(call, "appRoleAssignment", "principalId", "resourceId", "appRoleId")
    side = "principalId" if call.route.template.endswith("appRoleAssignments") else "resourceId"
    if find_principal(call)["id"] != body[side].lower():
        raise bad_request(f"Invalid value specified for property '{side}' of resource 'AppRoleAssignment'.")
    app, principal = app_with_principal(call, body["principalId"])
    resource = resource_app(call.tenant, body["resourceId"])
    if resource is None:
        raise not_found(body["resourceId"])
    permission = role_name(body["appRoleId"]) if resource == GRAPH_APP else None
    if permission is None:
        raise bad_request(f"Permission being assigned was not found on application '{body['resourceId']}'.")
    if permission in principal.granted():
        raise bad_request("Permission being assigned already exists on the object")
    _spread(call, principal, [*principal.granted(), permission])
    row = assignment_row(call.tenant, app, principal, permission)
    return answer({"@odata.context": call.context("appRoleAssignments/$entity"), **row}, 201)


def _spread(call: Call, principal: ServicePrincipal, roles: list[str]) -> None:
    principal.grant(roles, call.now + call.tenant.behaviour.consent_delay)


def unassign_app_role(call: Call) -> Response:
    """`DELETE .../{assignment}` -> 204."""
    require_role(call, GRANTERS)
    side = find_principal(call)["id"]
    for app in call.tenant.apps.values():
        principal = app.principal
        for permission in principal.granted() if principal is not None else ():
            if (
                principal is None
                or guid_of(principal.object_id, permission) != call.args["assignment"].lower()
            ):
                continue
            row = assignment_row(call.tenant, app, principal, permission)
            if side in {row["principalId"], row["resourceId"]}:
                _spread(call, principal, [one for one in principal.granted() if one != permission])
                return Response(204)
    raise not_found(call.args["assignment"])


# Delegated permissions.


def create_grant(call: Call) -> Response:
    """`POST /oauth2PermissionGrants` -> 201; 409 where this client, API and person have one."""
    require_role(call, REGISTRARS | GRANTERS)
    body = _fields(call, "oAuth2PermissionGrant", "clientId", "consentType", "resourceId")
    person = body.get("principalId")
    if body["consentType"] not in {"AllPrincipals", "Principal"} or (
        (body["consentType"] == "Principal") is not bool(person)
    ):
        raise bad_request("Invalid value specified for property 'consentType' or 'principalId' of resource.")
    _, principal = app_with_principal(call, body["clientId"])
    resource = resource_app(call.tenant, body["resourceId"])
    if resource is None:
        raise not_found(body["resourceId"])
    if person and call.tenant.directory.users.find(str(person)) is None:
        raise not_found(str(person))
    if principal.grant_of(resource, person) is not None:
        raise GraphError(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.")
    grant = principal.consent(resource, _scopes(body), person)
    row = grant_row(call.tenant, principal, grant)
    return answer({"@odata.context": call.context("oauth2PermissionGrants/$entity"), **row}, 201)


def _scopes(body: dict[str, Any]) -> list[str]:
    if not isinstance(body.get("scope") or "", str):
        raise bad_request("Invalid value specified for property 'scope' of resource 'OAuth2PermissionGrant'.")
    return list(dict.fromkeys((body.get("scope") or "").split()))


def _find_grant(call: Call) -> tuple[ServicePrincipal, PermissionGrant]:
    for principal, grant in all_grants(call.tenant):
        if grant.id == call.args["id"].lower():
            return principal, grant
    raise not_found(call.args["id"])


def one_grant(call: Call) -> Response:
    principal, grant = _find_grant(call)
    row = grant_row(call.tenant, principal, grant)
    return entity(call, "oAuth2PermissionGrant", "oauth2PermissionGrants", row)


def change_grant(call: Call) -> Response:
    """`PATCH /oauth2PermissionGrants/{id}` -> 204: the scopes, and nothing else."""
    require_role(call, REGISTRARS | GRANTERS)
    _, grant = _find_grant(call)
    body = _fields(call, "oAuth2PermissionGrant")
    if body.keys() != {"scope"}:
        raise bad_request("Only the property 'scope' of a permission grant can be changed.")
    grant.scopes = _scopes(body)
    return Response(204)


def delete_grant(call: Call) -> Response:
    """`DELETE /oauth2PermissionGrants/{id}` -> 204."""
    require_role(call, REGISTRARS | GRANTERS)
    principal, grant = _find_grant(call)
    del principal.grants[grant.id]
    return Response(204)


# Directory roles.


def assign_role(call: Call) -> Response:
    """`POST /roleManagement/directory/roleAssignments` -> 201; 400 with a conflict where it is held."""
    require_role(call, GRANTERS)
    body = _fields(call, "unifiedRoleAssignment", "roleDefinitionId", "principalId", "directoryScopeId")
    holder, template = body["principalId"].lower(), body["roleDefinitionId"].lower()
    if template not in DIRECTORY_ROLES:
        raise not_found(template)
    if principal_type(call.tenant, holder) is None:
        raise not_found(holder)
    if body["directoryScopeId"] != "/":
        raise bad_request("Only the directory scope '/' is supported here.")
    if template in call.tenant.roles_of(holder):
        text = "A conflicting object with one or more of the specified property values is present in the directory."
        raise GraphError(
            400,
            "Request_BadRequest",
            text,
            details=[{"code": "ConflictingObjects", "message": text, "target": "roleDefinitionId"}],
        )
    call.tenant.assign_role(holder, template)
    context = call.context("roleManagement/directory/roleAssignments/$entity")
    return answer({"@odata.context": context, **role_row(holder, template)}, 201)


def unassign_role(call: Call) -> Response:
    """`DELETE /roleManagement/directory/roleAssignments/{id}` -> 204."""
    require_role(call, GRANTERS)
    row = find_assignment(call)
    call.tenant.unassign_role(row["principalId"], row["roleDefinitionId"])
    return Response(204)


def revoke_sessions(call: Call) -> Response:
    """`POST /users/{id}/revokeSignInSessions`: refresh tokens from before are void."""
    index = call.tenant.directory.find("users", call.args["id"])
    if index is None:
        raise not_found(call.args["id"])
    call.tenant.people.revoked[call.tenant.directory.users.ids[index]] = call.now
    return answer({"@odata.context": call.context("Edm.Boolean"), "value": True})
