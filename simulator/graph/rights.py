"""What a permission alone does not say: ownership, and the roles of the person behind a delegated token."""

from __future__ import annotations

from simulator.apps import Registration
from simulator.graph.call import Call, held
from simulator.graph.errors import denied
from simulator.permissions import REGISTRARS

_OWNED = "Application.ReadWrite.OwnedBy"


def require(call: Call, *permissions: str) -> None:
    """One of these, where one line of the table stands for several kinds of object."""
    if held(call.claims).isdisjoint(permissions):
        raise denied()


def require_role(call: Call, roles: frozenset[str]) -> None:
    """A person needs one of these directory roles beside the permission (facts 7)."""
    if not call.app_only and roles.isdisjoint(call.tenant.roles_of(str(call.claims.get("oid")))):
        raise denied()


def require_owner(call: Call, registration: Registration) -> None:
    """With nothing but the right to what it owns, an app may touch only that; a person who owns it may, too."""
    oid = str(call.claims.get("oid"))
    if oid in registration.owners:
        return
    if call.app_only:
        if held(call.claims).isdisjoint(call.route.application - {_OWNED}):
            raise denied()
    else:
        require_role(call, REGISTRARS)
