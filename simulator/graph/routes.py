"""Which function answers which line of Microsoft's table."""

from __future__ import annotations

from collections.abc import Callable

from simulator.graph import (
    calls,
    credentials,
    deleted,
    delta,
    domains,
    granting,
    lists,
    principals,
    reads,
    registering,
    roles,
    writes,
)
from simulator.graph.call import Call
from simulator.http1 import Response

Handler = Callable[[Call], Response]

HANDLERS: dict[tuple[str, str], Handler] = {
    ("GET", "/organization"): reads.organization,
    ("GET", "/organization/{id}"): reads.one_organization,
    ("GET", "/users"): lambda call: lists.list_objects(call, "users"),
    ("POST", "/users"): lambda call: writes.create(call, "users"),
    ("GET", "/users/$count"): lambda call: lists.count_objects(call, "users"),
    ("GET", "/users/delta"): lambda call: delta.delta(call, "users"),
    ("GET", "/users/{id}"): lambda call: reads.get_object(call, "users"),
    ("PATCH", "/users/{id}"): lambda call: writes.change(call, "users"),
    ("DELETE", "/users/{id}"): lambda call: writes.delete(call, "users"),
    ("POST", "/users/{id}/assignLicense"): writes.assign_licence,
    ("GET", "/users/{id}/licenseDetails"): reads.licence_details,
    ("POST", "/users/{id}/revokeSignInSessions"): granting.revoke_sessions,
    ("GET", "/users/{id}/memberOf"): reads.member_of,
    ("GET", "/groups"): lambda call: lists.list_objects(call, "groups"),
    ("POST", "/groups"): lambda call: writes.create(call, "groups"),
    ("GET", "/groups/$count"): lambda call: lists.count_objects(call, "groups"),
    ("GET", "/groups/delta"): lambda call: delta.delta(call, "groups"),
    ("GET", "/groups/{id}"): lambda call: reads.get_object(call, "groups"),
    ("PATCH", "/groups/{id}"): lambda call: writes.change(call, "groups"),
    ("DELETE", "/groups/{id}"): lambda call: writes.delete(call, "groups"),
    ("GET", "/groups/{id}/members"): lists.list_members,
    ("GET", "/groups/{id}/members/$count"): lists.count_members,
    ("GET", "/groups/{id}/members/microsoft.graph.user"): lambda call: lists.list_members(
        call, users_only=True
    ),
    ("POST", "/groups/{id}/members/$ref"): writes.add_member,
    ("DELETE", "/groups/{id}/members/{member}/$ref"): writes.remove_member,
    ("GET", "/subscribedSkus"): reads.subscribed_skus,
    ("GET", "/communications/callRecords"): calls.call_records,
    ("POST", "/applications"): registering.create_application,
    ("PATCH", "/applications/{id}"): registering.change_application,
    ("DELETE", "/applications/{id}"): registering.delete_application,
    ("PATCH", "/applications(appId='{appid}')"): registering.change_application,
    ("DELETE", "/applications(appId='{appid}')"): registering.delete_application,
    ("POST", "/applications/{id}/addPassword"): credentials.add_password,
    ("POST", "/applications/{id}/removePassword"): credentials.remove_password,
    ("POST", "/applications/{id}/addKey"): credentials.add_key,
    ("POST", "/applications/{id}/removeKey"): credentials.remove_key,
    ("POST", "/applications/{id}/owners/$ref"): registering.add_owner,
    ("POST", "/servicePrincipals"): registering.create_principal,
    ("PATCH", "/servicePrincipals/{id}"): registering.change_principal,
    ("DELETE", "/servicePrincipals/{id}"): registering.delete_principal,
    ("PATCH", "/servicePrincipals(appId='{appid}')"): registering.change_principal,
    ("DELETE", "/servicePrincipals(appId='{appid}')"): registering.delete_principal,
    ("POST", "/servicePrincipals/{id}/appRoleAssignments"): granting.assign_app_role,
    ("DELETE", "/servicePrincipals/{id}/appRoleAssignments/{assignment}"): granting.unassign_app_role,
    ("POST", "/servicePrincipals/{id}/appRoleAssignedTo"): granting.assign_app_role,
    ("DELETE", "/servicePrincipals/{id}/appRoleAssignedTo/{assignment}"): granting.unassign_app_role,
    ("POST", "/oauth2PermissionGrants"): granting.create_grant,
    ("GET", "/oauth2PermissionGrants/{id}"): granting.one_grant,
    ("PATCH", "/oauth2PermissionGrants/{id}"): granting.change_grant,
    ("DELETE", "/oauth2PermissionGrants/{id}"): granting.delete_grant,
    ("POST", "/roleManagement/directory/roleAssignments"): granting.assign_role,
    ("DELETE", "/roleManagement/directory/roleAssignments/{id}"): granting.unassign_role,
    ("GET", "/servicePrincipals"): principals.service_principals,
    ("GET", "/servicePrincipals/{id}"): principals.service_principal,
    ("GET", "/servicePrincipals(appId='{appid}')"): principals.service_principal,
    ("GET", "/servicePrincipals/{id}/appRoleAssignments"): principals.app_role_assignments,
    ("GET", "/servicePrincipals(appId='{appid}')/appRoleAssignments"): principals.app_role_assignments,
    ("GET", "/servicePrincipals/{id}/appRoleAssignedTo"): principals.app_role_assigned_to,
    ("GET", "/servicePrincipals/{id}/oauth2PermissionGrants"): principals.permission_grants,
    ("GET", "/servicePrincipals(appId='{appid}')/oauth2PermissionGrants"): principals.permission_grants,
    ("GET", "/directoryRoleTemplates"): roles.role_templates,
    ("GET", "/directoryRoles"): roles.directory_roles,
    ("GET", "/directoryRoles/{id}/members"): roles.role_members,
    ("GET", "/directoryRoles/roleTemplateId={template}/members"): roles.role_members,
    ("GET", "/roleManagement/directory/roleAssignments"): roles.role_assignments,
    ("GET", "/roleManagement/directory/roleAssignments/{id}"): roles.role_assignment,
    ("GET", "/roleManagement/directory/roleDefinitions"): roles.role_definitions,
    ("GET", "/me/transitiveMemberOf/microsoft.graph.directoryRole"): roles.my_roles,
    ("GET", "/applications/{id}/owners"): principals.owners,
    ("GET", "/applications"): principals.applications,
    ("GET", "/applications/{id}"): principals.application,
    ("GET", "/applications(appId='{appid}')"): principals.application,
    ("GET", "/domains"): domains.domains,
    ("POST", "/domains"): domains.create,
    ("GET", "/domains/{id}"): domains.domain,
    ("DELETE", "/domains/{id}"): domains.delete,
    ("GET", "/domains/{id}/verificationDnsRecords"): domains.verification_records,
    ("GET", "/domains/{id}/domainNameReferences"): domains.references,
    ("POST", "/domains/{id}/verify"): domains.verify,
    ("GET", "/directory/deletedItems/microsoft.graph.user"): lambda call: reads.deleted_objects(
        call, "users"
    ),
    ("GET", "/directory/deletedItems/microsoft.graph.group"): lambda call: reads.deleted_objects(
        call, "groups"
    ),
    ("GET", "/directory/deletedItems/microsoft.graph.application"): lambda call: deleted.deleted_list(
        call, "application"
    ),
    ("GET", "/directory/deletedItems/microsoft.graph.servicePrincipal"): lambda call: deleted.deleted_list(
        call, "servicePrincipal"
    ),
    ("GET", "/directory/deletedItems/{id}"): deleted.deleted_item,
    ("DELETE", "/directory/deletedItems/{id}"): deleted.delete_forever,
    ("POST", "/directory/deletedItems/{id}/restore"): deleted.restore,
    ("GET", "/me"): reads.me,
    ("GET", "/oauth2PermissionGrants"): principals.permission_grants,
    (
        "GET",
        "/tenantRelationships/findTenantInformationByTenantId(tenantId='{key}')",
    ): reads.tenant_information,
    (
        "GET",
        "/tenantRelationships/findTenantInformationByDomainName(domainName='{key}')",
    ): reads.tenant_information,
}
