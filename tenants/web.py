"""Doors for browser views: a decorator says what is needed, and the view gets a customer that it may touch.

Each decorated view carries `.door`, so that a test can list every route with what guards it.
"""

import dataclasses
import functools
import uuid
from collections.abc import Callable
from typing import Any, Literal

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import again
from tenants.abilities import Ability
from tenants.access import Actor, actor_of_user, provider_for, tenant_for, tenants_for

View = Callable[..., HttpResponseBase]


@dataclasses.dataclass(frozen=True)
class Door:
    """What guards a route: `tenant` one customer, `list` those of the actor, `provider` the whole.

    `visit`: who came by the link of an invitation, and has no account (invitations.visit_web).

    `fresh` routes want a sign-in of the last minutes too (accounts.again); their GET asks before anybody types.
    """

    kind: Literal["tenant", "list", "provider", "person", "visit"]
    needs: Ability | None
    methods: tuple[str, ...]
    fresh: bool = False

    def ask(self, request: HttpRequest) -> None:
        """After everything else: whoever may not pass at all is not asked for a password first."""
        if self.fresh:
            again.require(request)


def actor_of(request: HttpRequest) -> Actor:
    """The signed-in person with his roles, read once a request."""
    found: Actor | None = getattr(request, "actor", None)
    if found is None:
        user: Any = request.user
        found = actor_of_user(
            user.id,
            str(user),
            address=getattr(request, "client_address", None),
            request_id=getattr(request, "request_id", None) or uuid.uuid4(),
        )
        request.actor = found  # type: ignore[attr-defined]  # ours
    return found


def tenant_view(
    *,
    needs: Ability,
    methods: tuple[str, ...] = ("GET", "HEAD"),
    deleted: bool = False,
    fresh: bool = False,
) -> Callable[[View], View]:
    """`view(request, tenant, ...)` for a route with `<uuid:uid>`; the tenant's scope is open inside.

    `deleted` lets customers in that were deleted and can still be restored.
    """

    def decorate(view: View) -> View:
        door = Door("tenant", needs, methods, fresh)

        def through(request: HttpRequest, uid: uuid.UUID, **kwargs: Any) -> HttpResponseBase:
            tenant = tenant_for(actor_of(request), uid, needs=needs, deleted=deleted)
            request.tenant = tenant  # type: ignore[attr-defined]  # ours; the shell's navigation reads it
            door.ask(request)
            return view(request, tenant, **kwargs)

        return _guarded(view, through, door)

    return decorate


def list_view(
    *, needs: Ability, methods: tuple[str, ...] = ("GET", "HEAD"), fresh: bool = False
) -> Callable[[View], View]:
    """`view(request, ...)` over all customers for whom the actor may do this; that scope is open inside."""

    def decorate(view: View) -> View:
        door = Door("list", needs, methods, fresh)

        def through(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            tenants_for(actor_of(request), needs=needs)
            door.ask(request)
            return view(request, **kwargs)

        return _guarded(view, through, door)

    return decorate


def provider_view(
    *, needs: Ability, methods: tuple[str, ...] = ("GET", "HEAD"), fresh: bool = False
) -> Callable[[View], View]:
    """`view(request, ...)` about the provider as a whole; no scope is open inside."""

    def decorate(view: View) -> View:
        door = Door("provider", needs, methods, fresh)

        def through(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
            provider_for(actor_of(request), needs=needs)
            door.ask(request)
            return view(request, **kwargs)

        return _guarded(view, through, door)

    return decorate


def person_view(*, methods: tuple[str, ...] = ("GET", "HEAD")) -> Callable[[View], View]:
    """`view(request, ...)` for anybody who is signed in; no scope is open inside."""

    def decorate(view: View) -> View:
        return _guarded(view, view, Door("person", None, methods))

    return decorate


def _guarded(view: View, through: View, door: Door) -> View:
    guarded = never_cache(login_required(require_http_methods(list(door.methods))(through)))
    wrapped: View = functools.wraps(view)(guarded)
    wrapped.door = door  # type: ignore[attr-defined]  # read by tests/walls
    return wrapped
