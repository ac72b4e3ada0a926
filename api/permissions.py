"""The doors of the API: each view declares, as data, what each of its methods needs (DESIGN 6)."""

from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from api.authentication import actor_of
from tenants.abilities import Ability
from tenants.access import provider_for, tenant_for, tenants_for
from tenants.web import Door as Guard


def tenant(needs: Ability) -> Guard:
    """One customer, named in the address; its scope is open inside, and the view has it as `self.tenant`."""
    return Guard("tenant", needs, ())


def every(needs: Ability) -> Guard:
    """All customers for whom the caller may do this; that scope is open inside."""
    return Guard("list", needs, ())


def provider(needs: Ability) -> Guard:
    """The provider as a whole; no scope is open inside."""
    return Guard("provider", needs, ())


def caller() -> Guard:
    """Anybody with a living token; no scope is open inside."""
    return Guard("person", None, ())


class Door(BasePermission):
    """Opens the door that the view declares for this method: `doors = {"GET": tenant(Ability.X)}`.

    Raises NotFound, Forbidden, and tenant_deleted (410) for a customer that was removed, except where the
    view says `deleted_too`.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        doors: Mapping[str, Guard] = getattr(view, "doors", {})
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method not in doors:
            raise MethodNotAllowed(method)
        self._open(doors[method], request, view, deleted=method in getattr(view, "deleted_too", ()))
        return True

    def _open(self, guard: Guard, request: Request, view: Any, *, deleted: bool) -> None:
        actor = actor_of(request)
        if guard.kind == "person":
            return
        assert guard.needs is not None  # noqa: S101  only a `caller` door needs nothing
        if guard.kind == "provider":
            provider_for(actor, needs=guard.needs)
        elif guard.kind == "list":
            tenants_for(actor, needs=guard.needs)
        else:
            view.tenant = tenant_for(actor, view.kwargs["uid"], needs=guard.needs, deleted=deleted)
