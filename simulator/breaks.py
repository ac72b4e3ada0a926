"""Ways for one tenant to be broken, each real: what a remedy puts right at Microsoft is right afterwards.

Every way remembers how to undo itself; `actions.heal` does that. The numbers are those of facts/microsoft.md 4.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.apps import App
from simulator.clouds import CLOUDS
from simulator.tenant import BadRequestError, Tenant

if TYPE_CHECKING:  # the world breaks tenants as it makes them, so this may not need it to load
    from simulator.world import World

Undo = Callable[[], object]
_DAY = 86_400


@dataclasses.dataclass(frozen=True, slots=True)
class Breaking:
    """One tenant to break, and the options of the call."""

    world: World
    tenant: Tenant
    options: dict[str, Any]

    @property
    def app(self) -> App:
        return self.tenant.app(self.options.get("client_id"))

    @property
    def own(self) -> App:
        """The app, if its registration is this tenant's own."""
        app = self.app
        if app.registration.home != self.tenant.id:
            raise BadRequestError(f"the credentials of {app.name} are its home tenant's")
        return app

    @property
    def user(self) -> int:
        """The person whose sign-in breaks: the first one unless said."""
        key, directory = str(self.options.get("user", "#0")), self.tenant.directory
        found = int(key[1:]) if key.startswith("#") else directory.find("users", key)
        if found is None or not 0 <= found < directory.users.size:
            raise BadRequestError(f"{self.tenant.name} has no user {key}")
        return found

    @property
    def user_id(self) -> str:
        return self.tenant.directory.users.ids[self.user]


@dataclasses.dataclass(frozen=True, slots=True)
class Way:
    """One way of being broken: who notices (an app's token, a person's refresh), and with which number."""

    side: str  # "app" or "user"
    code: int | None  # of the token answer; None when there is a token and Graph refuses it
    status: int
    apply: Callable[[Breaking], Undo]


def _expired_secret(at: Breaking) -> Undo:
    registration = at.own.registration
    if not registration.secrets:
        raise BadRequestError(f"{at.tenant.name} has a certificate and no secret")
    before = [(secret, secret.ends) for secret in registration.secrets]
    for secret in registration.secrets:
        secret.ends = at.world.now() - _DAY

    def undo() -> None:
        for secret, ends in before:
            secret.ends = ends

    return undo


def _wrong_secret(at: Breaking) -> Undo:
    registration = at.own.registration
    before = registration.secrets
    other = registration.set_secret(secrets.token_urlsafe(30), now=at.world.now())

    def undo() -> None:
        added = [secret for secret in registration.secrets if secret is not other]
        registration.secrets = [*before, *added]

    return undo


def _app_not_found(at: Breaking) -> Undo:
    tenant, app = at.tenant, at.app
    if app.registration.home == tenant.id:
        app.registration.deleted = True
        return lambda: setattr(app.registration, "deleted", False)
    del tenant.apps[app.client_id]
    return lambda: tenant.apps.update({app.client_id: app})


def _principal_missing(at: Breaking) -> Undo:
    app = at.app
    before, app.principal = app.principal, None
    return lambda: setattr(app, "principal", app.principal or before)


def _app_disabled(at: Breaking) -> Undo:
    app = at.app
    if app.registration.home == at.tenant.id:
        app.registration.disabled = True
        return lambda: setattr(app.registration, "disabled", False)
    principal = app.principal
    if principal is None:
        raise BadRequestError(f"{app.name} has no service principal to switch off")
    principal.enabled = False
    return lambda: setattr(principal, "enabled", True)


def _withdraw(at: Breaking, left: Callable[[tuple[str, ...]], list[str]]) -> Undo:
    principal = at.app.principal
    if principal is None:
        raise BadRequestError(f"{at.app.name} has no service principal to take consent from")
    before = principal.granted()
    principal.grant(left(before), 0.0)
    return lambda: principal.grant([*principal.granted(), *before], 0.0)


def _consent_withdrawn(at: Breaking) -> Undo:
    principal = at.app.principal
    undo_roles = _withdraw(at, lambda _: [])
    grants = dict(principal.grants) if principal is not None else {}
    if principal is not None:
        principal.grants.clear()

    def undo() -> None:
        undo_roles()
        if principal is not None:
            principal.grants.update(grants)

    return undo


def _permission_missing(at: Breaking) -> Undo:
    def left(granted: tuple[str, ...]) -> list[str]:
        gone = str(at.options.get("permission") or (granted or ("",))[-1])
        if gone not in granted:
            raise BadRequestError(f"{at.app.name} was not granted {gone or 'anything'}")
        return [name for name in granted if name != gone]

    return _withdraw(at, left)


def _tenant_unknown(at: Breaking) -> Undo:
    at.tenant.unknown = True
    return lambda: setattr(at.tenant, "unknown", False)


def _wrong_cloud(at: Breaking) -> Undo:
    before = at.tenant.cloud
    at.tenant.cloud = CLOUDS["gcc_high" if before.name == "global" else "global"]
    return lambda: setattr(at.tenant, "cloud", before)


def _conditional_access(at: Breaking) -> Undo:
    app = at.app
    app.blocked = True
    return lambda: setattr(app, "blocked", False)


def _at_sign_in(**trouble: Any) -> Callable[[Breaking], Undo]:
    def apply(at: Breaking) -> Undo:
        spec = {"host": "login", "path": "/token$", "method": "POST", **trouble}
        added = at.world.troubles.add(spec, tenant=at.tenant.id, now=at.world.now())
        return lambda: at.world.troubles.remove([added.id])

    return apply


def _sign_in_revoked(at: Breaking) -> Undo:
    people, key = at.tenant.people, at.user_id
    people.revoked[key] = at.world.now()
    return lambda: people.revoked.pop(key, None)


def _sign_in_unused(at: Breaking) -> Undo:
    key = at.user_id
    mine = [one for one in list(at.world.grants.values()) if one["kind"] == "refresh" and one["oid"] == key]
    for grant in mine:
        grant["issued"] -= 91 * _DAY

    def undo() -> None:
        for grant in mine:
            grant["issued"] += 91 * _DAY

    return undo


def _mfa_required(at: Breaking) -> Undo:
    before = at.tenant.behaviour.mfa_required
    at.tenant.behaviour.mfa_required = True
    return lambda: setattr(at.tenant.behaviour, "mfa_required", before)


def _user_deleted(at: Breaking) -> Undo:
    directory, index = at.tenant.directory, at.user
    with directory.lock:
        if not directory.users.is_live(index):
            raise BadRequestError(f"user {index} of {at.tenant.name} is deleted already")
        directory.remove("users", index, at.world.now(), forever=False)

    def undo() -> None:
        with directory.lock:
            if not directory.users.is_live(index):
                directory.restore("users", index, at.world.now())

    return undo


def _user_disabled(at: Breaking) -> Undo:
    directory, index = at.tenant.directory, at.user

    def switch(*, on: bool) -> None:
        with directory.lock:
            directory.change("users", index, {"accountEnabled": on}, at.world.now())

    switch(on=False)
    return lambda: switch(on=True)


def _password_expired(at: Breaking) -> Undo:
    stale, key = at.tenant.people.stale_passwords, at.user_id
    stale.add(key)
    return lambda: stale.discard(key)


WAYS: dict[str, Way] = {
    "expired_secret": Way("app", 7000222, 401, _expired_secret),
    "wrong_secret": Way("app", 7000215, 401, _wrong_secret),
    "app_not_found": Way("app", 700016, 400, _app_not_found),
    "principal_missing": Way("app", 7000229, 401, _principal_missing),
    "app_disabled": Way("app", 7000112, 400, _app_disabled),
    "consent_withdrawn": Way("app", None, 200, _consent_withdrawn),
    "permission_missing": Way("app", None, 200, _permission_missing),
    "tenant_unknown": Way("app", 90002, 400, _tenant_unknown),
    "wrong_cloud": Way("app", 900382, 400, _wrong_cloud),
    "conditional_access": Way("app", 53003, 400, _conditional_access),
    "throttled": Way("app", 90055, 429, _at_sign_in(kind="throttle", retry_after="10")),
    "unavailable": Way("app", 90033, 503, _at_sign_in(kind="error", status=503)),
    "sign_in_revoked": Way("user", 50173, 400, _sign_in_revoked),
    "sign_in_unused": Way("user", 700082, 400, _sign_in_unused),
    "mfa_required": Way("user", 50076, 400, _mfa_required),
    "user_deleted": Way("user", 50034, 400, _user_deleted),
    "user_disabled": Way("user", 50057, 400, _user_disabled),
    "password_expired": Way("user", 50055, 400, _password_expired),
}
OPTIONS = frozenset({"client_id", "user", "permission"})


def break_tenant(world: World, tenant: Tenant, way: str, **options: Any) -> None:
    """Break a tenant in one more way; BadRequestError for one that is unknown or does not fit its app."""
    if way not in WAYS:
        raise BadRequestError(f"no way is called {way}; there are {', '.join(WAYS)}")
    if unknown := options.keys() - OPTIONS:
        raise BadRequestError(
            f"break has no {', '.join(sorted(unknown))}; it takes {', '.join(sorted(OPTIONS))}"
        )
    tenant.undo.append(WAYS[way].apply(Breaking(world, tenant, options)))
    tenant.broken.append(way)


def mend(tenant: Tenant) -> None:
    """Undo everything that broke it, the latest first."""
    while tenant.undo:
        tenant.undo.pop()()
    tenant.broken.clear()
