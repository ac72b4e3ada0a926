"""Changes to users, groups and memberships, with the checks that Entra makes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from simulator import skus
from simulator.graph.call import TYPES, Call
from simulator.graph.errors import bad_request, conflict, not_found
from simulator.graph.licences import sku_rows
from simulator.graph.lists import TYPE_OF, answer, group_index
from simulator.graph.query import default_properties, pick, property_name
from simulator.http1 import Response
from simulator.members import GROUP_BIT
from simulator.objects import stamp

_NEEDED = {
    "users": ("accountEnabled", "displayName", "mailNickname", "userPrincipalName", "passwordProfile"),
    "groups": ("displayName", "mailEnabled", "mailNickname", "securityEnabled"),
}
_CHECKS: dict[str, type | tuple[type, ...]] = {"str": str, "bool": bool, "int": int, "datetime": str}
_REFERENCE = re.compile(r"/(?:directoryObjects|users|groups)/([0-9a-fA-F-]{36})\Z")


# What Microsoft lets change in the cloud of an object that comes from the organisation's own directory.
_OF_CLOUD = frozenset({"usageLocation", "passwordProfile"})


def _refuse_synced(row: dict[str, Any], names: Iterable[str]) -> None:
    if row.get("onPremisesSyncEnabled") and not _OF_CLOUD.issuperset(names):
        raise bad_request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects "
            "currently undergoing migration."
        )


def _no_content() -> Response:
    return Response(204)


def object_index(call: Call, kind: str, key: str | None = None) -> int:
    """The object named in the path as a reader sees it; 404 otherwise."""
    key = call.args["id"] if key is None else key
    directory = call.tenant.directory
    index = directory.find(kind, key)
    if index is None or not directory.shelf(kind).sees(index, call.now):
        raise not_found(key)
    return index


def _checked(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    """The body's properties by their proper names; 400 for unknown, read-only or ill-typed ones."""
    checked: dict[str, Any] = {}
    for name, value in body.items():
        if name.startswith("@odata") or name.endswith("@odata.bind"):
            continue
        proper = property_name(kind, name)
        about = TYPES[kind][proper]
        if about.get("read_only"):
            raise bad_request(f"Property '{proper}' is read-only and cannot be set.")
        _check_type(proper, about, value)
        checked[proper] = value
    return checked


def _check_type(name: str, about: dict[str, Any], value: Any) -> None:
    wanted = list if about["type"].startswith("[]") else _CHECKS.get(about["type"], object)
    if value is not None and (not isinstance(value, wanted) or (wanted is int and isinstance(value, bool))):
        raise bad_request(f"Invalid value specified for property '{name}' of resource.", "Request_BadRequest")
    if isinstance(value, str) and len(value) > about.get("max", 100_000):
        raise bad_request(f"Invalid value specified for property '{name}' of resource 'User'.")


def _check_user_name(call: Call, name: Any, own: int | None = None) -> None:
    """A user principal name must lie in a verified domain and be free."""
    if not isinstance(name, str) or name.count("@") != 1:
        raise bad_request("Invalid value specified for property 'userPrincipalName' of resource 'User'.")
    if name.split("@")[1].lower() not in call.tenant.domains:
        raise bad_request(
            "The domain portion of the userPrincipalName property is invalid. You must use one of the "
            "verified domain names in your organization."
        )
    taken = call.tenant.user_by_name(name)
    if taken is not None and taken != own:
        raise conflict("userPrincipalName")


def create(call: Call, kind: str) -> Response:
    """`POST /users` or `/groups` -> 201."""
    body = _checked(TYPE_OF[kind], call.json())
    missing = [name for name in _NEEDED[kind] if body.get(name) is None]
    if missing:
        raise bad_request(f"A value is required for property '{missing[0]}' of resource.")
    if kind == "users":
        _check_user_name(call, body["userPrincipalName"])
        body.pop("passwordProfile")
        body = {
            "userType": "Member",
            "assignedLicenses": [],
            "assignedPlans": [],
            "businessPhones": [],
            **body,
        }
    else:
        body = {"groupTypes": [], "proxyAddresses": [], **body}
    directory = call.tenant.directory
    index = directory.create(kind, body, call.now)
    row = directory.shelf(kind).view(index)
    shown = pick(row, default_properties(TYPE_OF[kind]))
    response = answer({"@odata.context": call.context(f"{kind}/$entity"), **shown}, 201)
    response.headers["Location"] = f"{call.base}/directoryObjects/{row['id']}/{TYPE_OF[kind]}"
    return response


def change(call: Call, kind: str) -> Response:
    """`PATCH /users/{id}` or `/groups/{id}` -> 204."""
    index = object_index(call, kind)
    body = _checked(TYPE_OF[kind], call.json())
    _refuse_synced(call.tenant.directory.shelf(kind).view(index), body)
    if kind == "users" and "userPrincipalName" in body:
        _check_user_name(call, body["userPrincipalName"], index)
    body.pop("passwordProfile", None)
    call.tenant.directory.change(kind, index, body, call.now)
    return _no_content()


def delete(call: Call, kind: str) -> Response:
    """`DELETE` -> 204. Users and Microsoft 365 groups can be restored, security groups are gone at once."""
    index = object_index(call, kind)
    directory = call.tenant.directory
    forever = kind == "groups" and "Unified" not in directory.groups.view(index).get("groupTypes", ())
    directory.remove(kind, index, call.now, forever=forever)
    return _no_content()


def _member_code(call: Call, key: str) -> int:
    directory = call.tenant.directory
    user, group = directory.users.find(key), directory.groups.find(key)
    code = user if user is not None else (None if group is None else GROUP_BIT | group)
    if code is None or not directory.member_exists(code):
        raise not_found(key)
    return code


def _open_group(call: Call) -> int:
    """The group in the path; 400 for one whose members are not changed here."""
    group = group_index(call)
    row = call.tenant.directory.groups.view(group)
    if "DynamicMembership" in (row.get("groupTypes") or ()):
        raise bad_request(
            "Insufficient privileges to complete the operation: the group has dynamic membership."
        )
    _refuse_synced(row, ("members",))
    return group


def add_member(call: Call) -> Response:
    """`POST /groups/{id}/members/$ref` -> 204."""
    group = _open_group(call)
    reference = _REFERENCE.search(str(call.json().get("@odata.id", "")))
    if reference is None:
        raise bad_request("The value of '@odata.id' is not a reference to a directory object.")
    code = _member_code(call, reference.group(1))
    if not call.tenant.directory.join(group, [code], call.now):
        raise bad_request(
            "One or more added object references already exist for the following modified properties: 'members'."
        )
    return _no_content()


def remove_member(call: Call) -> Response:
    """`DELETE /groups/{id}/members/{member}/$ref` -> 204; 404 when it is no member."""
    group = _open_group(call)
    code = _member_code(call, call.args["member"])
    if not call.tenant.directory.leave(group, [code], call.now):
        raise not_found(call.args["member"])
    return _no_content()


def assign_licence(call: Call) -> Response:
    """`POST /users/{id}/assignLicense` -> 200 with the user; 400 without a usage location or a free licence."""
    index = object_index(call, "users")
    body = call.json()
    user = call.tenant.directory.users.view(index)
    if not user.get("usageLocation"):
        raise bad_request("License assignment cannot be done for user with invalid usage location.")
    added, removed = body.get("addLicenses"), body.get("removeLicenses")
    if not isinstance(added, list) or not isinstance(removed, list):
        raise bad_request("One or more parameters of the operation 'assignLicense' are missing.")
    held = {item["skuId"]: item for item in user.get("assignedLicenses") or ()}
    for key in map(str, removed):
        if key not in held:
            raise bad_request("User does not have a corresponding license.")
        del held[key]
    for item in added:
        held[_free_sku(call, item, held)] = {
            "skuId": item["skuId"],
            "disabledPlans": item.get("disabledPlans", []),
        }
    plans = skus.plans(list(held), call.tenant.cloud.name, stamp(call.now))
    changes = {"assignedLicenses": list(held.values()), "assignedPlans": plans}
    call.tenant.directory.change("users", index, changes, call.now)
    shown = pick(call.tenant.directory.users.view(index), default_properties("user"))
    return answer({"@odata.context": call.context("users/$entity"), **shown})


def _free_sku(call: Call, item: Any, held: dict[str, Any]) -> str:
    """The product to add, if the tenant owns it and has one left."""
    key = str(item.get("skuId", "")) if isinstance(item, dict) else ""
    row = next((row for row in sku_rows(call.tenant) if row["skuId"] == key), None)
    if row is None:
        raise bad_request("License assignment failed because the license does not exist in the company.")
    if key not in held and row["consumedUnits"] >= row["prepaidUnits"]["enabled"]:
        raise bad_request(f"Subscription with SKU {key} does not have any available licenses.")
    return key


# Deleted objects.


def deleted(call: Call) -> tuple[str, int]:
    """(kind, index) of a restorable object named in the path."""
    for kind in ("users", "groups"):
        shelf = call.tenant.directory.shelf(kind)
        index = shelf.find(call.args["id"])
        if index is not None and shelf.removed.get(index) == "changed":
            return kind, index
    raise not_found(call.args["id"])


def restore(call: Call) -> Response:
    """`POST /directory/deletedItems/{id}/restore` -> 200; 400 when the name was taken meanwhile."""
    kind, index = deleted(call)
    directory = call.tenant.directory
    row = directory.shelf(kind).view(index)
    if kind == "users" and call.tenant.user_by_name(str(row["userPrincipalName"])) is not None:
        raise conflict("userPrincipalName")
    directory.restore(kind, index, call.now)
    shown = pick(row, default_properties(TYPE_OF[kind]))
    return answer(
        {
            "@odata.context": call.context("directoryObjects/$entity"),
            "@odata.type": f"#microsoft.graph.{TYPE_OF[kind]}",
            **shown,
        }
    )


def delete_forever(call: Call) -> Response:
    """`DELETE /directory/deletedItems/{id}` -> 204."""
    kind, index = deleted(call)
    call.tenant.directory.remove(kind, index, call.now, forever=True)
    return _no_content()
