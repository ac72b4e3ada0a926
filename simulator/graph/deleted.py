"""What was deleted in the last thirty days: registrations and service principals, and by the way users and groups."""

from __future__ import annotations

from typing import Any

from simulator.graph import reads, writes
from simulator.graph.call import Call
from simulator.graph.errors import conflict, not_found
from simulator.graph.lists import answer, list_rows
from simulator.graph.principals import application_row, full, principal_row
from simulator.graph.rights import require
from simulator.http1 import Response
from simulator.objects import stamp

_READ = (
    "Application.Read.All", "Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All",
    "Directory.ReadWrite.All",
)  # fmt: skip
_WRITE = ("Application.ReadWrite.All", "Application.ReadWrite.OwnedBy", "Directory.ReadWrite.All")
_KEPT_DAYS = 30 * 86_400


def _deleted_rows(call: Call, kind: str) -> list[dict[str, Any]]:
    oldest = call.now - _KEPT_DAYS
    if kind == "application":
        pairs = [(at, application_row(app.registration)) for at, app in call.tenant.deleted_apps.values()]
    else:
        pairs = [
            (at, full(kind, principal_row(app, principal)))
            for at, app, principal in call.tenant.deleted_principals.values()
        ]
    return [{**row, "deletedDateTime": stamp(at)} for at, row in pairs if at > oldest]


def deleted_list(call: Call, kind: str) -> Response:
    require(call, *_READ)
    return list_rows(call, "directoryObjects", _deleted_rows(call, kind), kind)


def _deleted_kind(call: Call, *permissions: str) -> str | None:
    """`application`, `servicePrincipal`, or None for another kind of object; 404 when it is too late."""
    key = call.args["id"] = call.args["id"].lower()
    for kind, kept in (
        ("application", call.tenant.deleted_apps),
        ("servicePrincipal", call.tenant.deleted_principals),
    ):
        if key in kept:
            require(call, *permissions)
            if not any(row["id"] == key for row in _deleted_rows(call, kind)):
                raise not_found(key)
            return kind
    return None


def _entity(call: Call, kind: str, row: dict[str, Any]) -> Response:
    context = call.context("directoryObjects/$entity")
    return answer({"@odata.context": context, "@odata.type": f"#microsoft.graph.{kind}", **row})


def deleted_item(call: Call) -> Response:
    kind = _deleted_kind(call, *_READ)
    if kind is None:
        return reads.deleted_object(call)
    row = next(row for row in _deleted_rows(call, kind) if row["id"] == call.args["id"])
    return _entity(call, kind, row)


def restore(call: Call) -> Response:
    """`POST /directory/deletedItems/{id}/restore`: an application comes back with its service principal."""
    kind, key, tenant = _deleted_kind(call, *_WRITE), call.args["id"], call.tenant
    if kind is None:
        return writes.restore(call)
    row = next(row for row in _deleted_rows(call, kind) if row["id"] == key)
    if kind == "application":
        _, app = tenant.deleted_apps.pop(key)
        app.registration.deleted = False
        tenant.apps[app.client_id] = app
        if app.principal is not None:
            tenant.deleted_principals.pop(app.principal.object_id, None)
    else:
        _, app, principal = tenant.deleted_principals[key]
        if app.registration.deleted or (app.principal is not None and app.principal is not principal):
            raise conflict("servicePrincipalNames", status=409)
        del tenant.deleted_principals[key]
        app.principal = principal
        tenant.apps[app.client_id] = app
    return _entity(call, kind, row)


def delete_forever(call: Call) -> Response:
    """`DELETE /directory/deletedItems/{id}` -> 204."""
    kind, key = _deleted_kind(call, *_WRITE), call.args["id"]
    if kind is None:
        return writes.delete_forever(call)
    if kind == "application":
        del call.tenant.deleted_apps[key]
    else:
        _, app, principal = call.tenant.deleted_principals.pop(key)
        call.tenant.directory_roles.pop(key, None)
        if app.principal is principal:
            app.principal = None
    return Response(204)
