"""Directory roles: who holds which, and giving and taking them (facts/microsoft.md 5.5, 7 step 8)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.graph.call import Call
from simulator.graph.errors import not_found
from simulator.graph.lists import answer, list_rows
from simulator.graph.query import filter_test, selected
from simulator.graph.reads import entity
from simulator.http1 import Response
from simulator.objects import guid_of
from simulator.permissions import DIRECTORY_READERS, DIRECTORY_ROLES, GLOBAL_ADMINISTRATOR
from simulator.tenant import Tenant

_ASSIGNMENTS = "roleManagement/directory/roleAssignments"
# Activated in every pretend tenant; more appear when somebody is given one.
_ACTIVATED = (GLOBAL_ADMINISTRATOR, DIRECTORY_READERS)


def principal_type(tenant: Tenant, key: str) -> str | None:
    """What kind of object may hold a role: a live user, or a service principal of this tenant."""
    index = tenant.directory.users.find(key)
    if index is not None and tenant.directory.users.is_live(index):
        return "user"
    principals = (app.principal for app in tenant.apps.values() if app.principal is not None)
    return "servicePrincipal" if any(one.object_id == key.lower() for one in principals) else None


def _held(tenant: Tenant) -> Iterator[tuple[str, str, str]]:
    """(kind of holder, holder's id, role) of every assignment whose holder is still there."""
    for key, templates in list(tenant.directory_roles.items()):
        kind = principal_type(tenant, key) if templates else None
        if kind is not None:
            for template in templates:
                yield kind, key, template


def _activated(tenant: Tenant) -> list[str]:
    return list(dict.fromkeys([*_ACTIVATED, *(template for _, _, template in _held(tenant))]))


def _described(template: str) -> dict[str, Any]:
    name = DIRECTORY_ROLES.get(template, "Custom role")
    return {"displayName": name, "description": f"Can do what {name} may do."}


def _role_row(tenant: Tenant, template: str) -> dict[str, Any]:
    return {
        "id": guid_of(tenant.id, "role", template),
        "deletedDateTime": None,
        **_described(template),
        "roleTemplateId": template,
    }


def directory_roles(call: Call) -> Response:
    test = filter_test(call, "directoryRole")
    rows = [_role_row(call.tenant, template) for template in _activated(call.tenant)]
    return list_rows(call, "directoryRoles", [r for r in rows if test is None or test(r)], "directoryRole")


def role_templates(call: Call) -> Response:
    rows = [{"id": key, "deletedDateTime": None, **_described(key)} for key in DIRECTORY_ROLES]
    return list_rows(call, "directoryRoleTemplates", rows, "directoryRoleTemplate")


def role_definitions(call: Call) -> Response:
    test = filter_test(call, "unifiedRoleDefinition")
    rows = [
        {"id": key, **_described(key), "isBuiltIn": True, "isEnabled": True, "templateId": key}
        for key in DIRECTORY_ROLES
    ]
    what = "roleManagement/directory/roleDefinitions"
    return list_rows(call, what, [r for r in rows if test is None or test(r)], "unifiedRoleDefinition")


def role_members(call: Call) -> Response:
    wanted = call.args.get("template")
    for template in _activated(call.tenant):
        if template == wanted or guid_of(call.tenant.id, "role", template) == call.args.get("id"):
            rows = [
                {"@odata.type": f"#microsoft.graph.{kind}", "id": key}
                for kind, key, held in _held(call.tenant)
                if held == template
            ]
            return answer({"@odata.context": call.context("directoryObjects"), "value": rows})
    raise not_found(wanted or call.args.get("id", ""))


def my_roles(call: Call) -> Response:
    """`GET /me/transitiveMemberOf/microsoft.graph.directoryRole`."""
    names = selected(call, "directoryRole")
    held = call.tenant.roles_of(str(call.claims.get("oid")))
    rows = [_role_row(call.tenant, template) for template in held]
    return list_rows(call, "directoryRoles" if names is None else "directoryObjects", rows, "directoryRole")


def assignment_row(holder: str, template: str) -> dict[str, Any]:
    return {
        "id": guid_of(holder, template),
        "principalId": holder,
        "roleDefinitionId": template,
        "directoryScopeId": "/",
    }


def role_assignments(call: Call) -> Response:
    test = filter_test(call, "unifiedRoleAssignment")
    rows = [assignment_row(key, template) for _, key, template in _held(call.tenant)]
    return list_rows(
        call, _ASSIGNMENTS, [r for r in rows if test is None or test(r)], "unifiedRoleAssignment"
    )


def find_assignment(call: Call) -> dict[str, Any]:
    """The assignment that the path names; 404 otherwise."""
    for _, key, template in _held(call.tenant):
        row = assignment_row(key, template)
        if row["id"] == call.args["id"].lower():
            return row
    raise not_found(call.args["id"])


def role_assignment(call: Call) -> Response:
    return entity(call, "unifiedRoleAssignment", _ASSIGNMENTS, find_assignment(call))
