"""Registrations and service principals: creating, changing, deleting, restoring (facts/microsoft.md 7)."""

from __future__ import annotations

import re
import uuid
from typing import Any

from simulator.apps import App, Registration
from simulator.graph.call import TYPES, Call
from simulator.graph.credentials import replaced_keys
from simulator.graph.errors import GraphError, bad_request, conflict, not_found
from simulator.graph.lists import answer
from simulator.graph.principals import (
    RESOURCES,
    app_with_principal,
    application_row,
    find_principal,
    find_registration,
    full,
    principal_row,
    resource_row,
)
from simulator.graph.query import property_name
from simulator.graph.rights import require_owner, require_role
from simulator.graph.roles import principal_type
from simulator.http1 import Response
from simulator.permissions import REGISTRARS, TEAMS_APP
from simulator.registrations import new_principal

_AUDIENCES = {
    "AzureADMyOrg": False,
    "AzureADMultipleOrgs": True,
    "AzureADandPersonalMicrosoftAccount": True,
    "PersonalMicrosoftAccount": True,
}
_PLATFORMS = ("web", "publicClient", "spa")
_REFERENCE = re.compile(r"/(?:directoryObjects|servicePrincipals|users)/([0-9a-fA-F-]{36})\Z")
_SET_APART = {"displayName", "signInAudience", "isFallbackPublicClient", "isDisabled", "keyCredentials"}


def _invalid(name: str, resource: str = "Application") -> GraphError:
    return bad_request(f"Invalid value specified for property '{name}' of resource '{resource}'.")


# Applications.


def _checked(call: Call) -> dict[str, Any]:
    """The body by its properties' proper names; 400 for what an application cannot be told."""
    body: dict[str, Any] = {}
    for name, value in call.json().items():
        if not name.startswith("@odata"):
            body[property_name("application", name)] = value
    for name in body:
        if TYPES["application"][name].get("read_only") or name == "passwordCredentials":
            raise bad_request(f"Property '{name}' is read-only and cannot be set.")
    _check_plain(call, body)
    for platform in _PLATFORMS:
        _check_addresses(body.get(platform), platform)
    _check_required(body.get("requiredResourceAccess") or [])
    return body


def _check_plain(call: Call, body: dict[str, Any]) -> None:
    name, audience = body.get("displayName", "-"), body.get("signInAudience", "AzureADMyOrg")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 256:
        raise _invalid("displayName")
    if audience not in _AUDIENCES:
        raise _invalid("signInAudience")
    if call.tenant.behaviour.multi_tenant_forbidden and _AUDIENCES[audience]:
        raise bad_request(f"SignInAudience value '{audience}' not allowed as per assigned policy.")
    if not isinstance(body.get("tags") or [], list):
        raise _invalid("tags")
    if not isinstance(body.get("isFallbackPublicClient"), bool | None):
        raise _invalid("isFallbackPublicClient")


def _check_addresses(platform: Any, name: str) -> None:
    if platform is None:
        return
    addresses = platform.get("redirectUris") or [] if isinstance(platform, dict) else None
    if not isinstance(addresses, list):
        raise _invalid(name)
    for uri in addresses:
        local = str(uri).startswith(("http://localhost", "http://127.0.0.1"))
        own_scheme = name == "publicClient" and not str(uri).startswith("http://")
        if not (str(uri).startswith("https://") or local or own_scheme) or {"*", "#"} & set(str(uri)):
            raise _invalid("redirectUris")


def _check_required(blocks: Any) -> None:
    try:
        accesses = [access for block in blocks for access in block["resourceAccess"]]
        good = all(access["type"] in {"Role", "Scope"} and uuid.UUID(access["id"]) for access in accesses)
        good = good and all(uuid.UUID(block["resourceAppId"]) for block in blocks)
    except (TypeError, KeyError, ValueError, AttributeError):
        good = False
    if not good:
        raise _invalid("requiredResourceAccess")


def _apply(call: Call, registration: Registration, body: dict[str, Any]) -> None:
    if "keyCredentials" in body:
        registration.certificates = replaced_keys(call, registration, body["keyCredentials"])
    registration.name = body.get("displayName", registration.name)
    if "signInAudience" in body:
        registration.multi_tenant = _AUDIENCES[body["signInAudience"]]
    registration.public_client = bool(body.get("isFallbackPublicClient", registration.public_client))
    registration.disabled = bool(body.get("isDisabled", registration.disabled))
    told = {name: value for name, value in body.items() if name not in _SET_APART}
    registration.properties = {**registration.properties, **told}


def create_application(call: Call) -> Response:
    """`POST /applications` -> 201; readers find it after `create_delay`."""
    require_role(call, REGISTRARS)
    body = _checked(call)
    if body.get("displayName") is None:
        raise bad_request("A value is required for property 'displayName' of resource.")
    registration = Registration(
        str(uuid.uuid4()),
        str(uuid.uuid4()),
        body["displayName"],
        call.now,
        call.tenant.id,
        seen_from=call.now + call.tenant.behaviour.create_delay,
        owners={str(call.claims.get("oid"))},
    )
    _apply(call, registration, body)
    call.tenant.apps[registration.client_id] = App(registration)
    shown = application_row(registration)
    response = answer({"@odata.context": call.context("applications/$entity"), **shown}, 201)
    response.headers["Location"] = f"{call.base}/directoryObjects/{registration.object_id}/application"
    return response


def change_application(call: Call) -> Response:
    """`PATCH /applications/{id}` -> 204."""
    registration = find_registration(call)
    require_owner(call, registration)
    _apply(call, registration, _checked(call))
    return Response(204)


def delete_application(call: Call) -> Response:
    """`DELETE /applications/{id}` -> 204: for thirty days it can be restored; its service principal goes with it."""
    registration = find_registration(call)
    require_owner(call, registration)
    app = call.tenant.apps.pop(registration.client_id)
    registration.deleted = True
    call.tenant.deleted_apps[registration.object_id] = (call.now, app)
    if app.principal is not None:
        call.tenant.deleted_principals[app.principal.object_id] = (call.now, app, app.principal)
    return Response(204)


def add_owner(call: Call) -> Response:
    """`POST /applications/{id}/owners/$ref` -> 204."""
    registration = find_registration(call)
    require_role(call, REGISTRARS)
    reference = _REFERENCE.search(str(call.json().get("@odata.id", "")))
    if reference is None:
        raise bad_request("The value of '@odata.id' is not a reference to a directory object.")
    owner = reference.group(1).lower()
    if owner in registration.owners:
        raise bad_request(
            "One or more added object references already exist for the following modified properties: 'owners'."
        )
    if principal_type(call.tenant, owner) is None:
        raise not_found(owner)
    registration.owners.add(owner)
    return Response(204)


# Service principals.


def create_principal(call: Call) -> Response:
    """`POST /servicePrincipals` -> 201; 409 where there is one already."""
    require_role(call, REGISTRARS)
    body = call.json()
    app_id = str(body.get("appId") or "").lower()
    if not app_id:
        raise bad_request("A value is required for property 'appId' of resource.")
    if app_id in RESOURCES:
        return _create_resource(call, app_id)
    app = call.tenant.apps.get(app_id)
    if app is not None and app.principal is not None:
        raise conflict("servicePrincipalNames", status=409)
    found = call.world.registration(app_id, call.tenant.cloud.name)
    at_home = found is not None and found.home == call.tenant.id
    if found is None or found.deleted or found.seen_from > call.now or not (at_home or found.multi_tenant):
        raise bad_request(
            f"The appId '{app_id}' of the service principal does not reference a valid application object.",
            "NoBackingApplicationObject",
        )
    app = call.tenant.apps.setdefault(app_id, App(found))
    principal = app.principal = new_principal(call.tenant, app_id, call.now)
    principal.seen_from = call.now + call.tenant.behaviour.create_delay
    principal.enabled = body.get("accountEnabled") is not False
    return _created(call, principal_row(app, principal))


def _create_resource(call: Call, app_id: str) -> Response:
    if app_id != TEAMS_APP or call.tenant.behaviour.teams_principal:
        raise conflict("servicePrincipalNames", status=409)
    call.tenant.behaviour.teams_principal = True
    return _created(call, resource_row(call.tenant, app_id))


def _created(call: Call, row: dict[str, Any]) -> Response:
    content = {"@odata.context": call.context("servicePrincipals/$entity"), **full("servicePrincipal", row)}
    return answer(content, 201)


def change_principal(call: Call) -> Response:
    """`PATCH /servicePrincipals/{id}` -> 204: it can be switched off and on."""
    app, principal = app_with_principal(call, find_principal(call)["id"])
    require_owner(call, app.registration)
    body = {property_name("servicePrincipal", name): value for name, value in call.json().items()}
    if not body.keys() <= {"accountEnabled", "tags", "notes", "appRoleAssignmentRequired"}:
        raise bad_request(f"Property '{min(body)}' of a service principal cannot be set.")
    principal.enabled = body.get("accountEnabled", principal.enabled) is not False
    return Response(204)


def delete_principal(call: Call) -> Response:
    """`DELETE /servicePrincipals/{id}` -> 204: with it go its grants, until it is restored."""
    app, principal = app_with_principal(call, find_principal(call)["id"])
    require_owner(call, app.registration)
    app.principal = None
    call.tenant.deleted_principals[principal.object_id] = (call.now, app, principal)
    return Response(204)
