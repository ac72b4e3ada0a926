"""One customer tenant: who it is, its directory, its apps and how its services behave."""

from __future__ import annotations

import dataclasses
import secrets
from collections import Counter
from typing import Any

from simulator.apps import App, Certificate, ServicePrincipal, parse_time
from simulator.clouds import CLOUDS, Cloud
from simulator.directory import Directory
from simulator.objects import Maker, digest, guid_of, stamp
from simulator.throttle import Bucket

DEFAULT_ROLES = (
    "User.Read.All",
    "Group.Read.All",
    "GroupMember.Read.All",
    "Organization.Read.All",
    "LicenseAssignment.Read.All",
)


class BadRequestError(ValueError):
    """A control call that makes no sense; the text says why."""


@dataclasses.dataclass(slots=True)
class Behaviour:
    """Settings of a tenant's services; every one can be changed while it runs."""

    lag: float = 0.0  # seconds between a write and its being seen
    consent_delay: float = 0.0  # seconds until granted or removed permissions reach new tokens
    latency_ms: float = 0.0
    page_size: int = 100  # list page when the client does not say
    delta_page_size: int = 200
    delta_member_slice: int = 1000
    delta_token_days: float = 7.0
    groups_latest: bool = True  # whether groups/delta knows $deltatoken=latest
    spread_users: int = 0  # every n-th user of a delta comes in two parts; 0 = never
    throttling: bool = True
    ru_per_10s: int | None = None  # None = by the tenant's size
    token_seconds: int = 3599
    federated: bool = False
    mfa_required: bool = False


SETTINGS = frozenset(field.name for field in dataclasses.fields(Behaviour))


@dataclasses.dataclass(slots=True)
class Tenant:
    """Everything that belongs to one Entra tenant."""

    id: str
    name: str
    cloud: Cloud
    domains: list[str]
    directory: Directory
    created: float
    maker: Maker
    behaviour: Behaviour = dataclasses.field(default_factory=Behaviour)
    apps: dict[str, App] = dataclasses.field(default_factory=dict)
    buckets: dict[str, Bucket] = dataclasses.field(default_factory=dict)
    delta_tokens_from: float = 0.0  # delta tokens issued before this moment are expired
    pool: dict[str, int] = dataclasses.field(default_factory=dict)  # licences bought, by product
    sku_cache: tuple[int, Counter[str]] | None = None  # licences in use at a version of the users
    story: str = ""
    default_roles: tuple[str, ...] = DEFAULT_ROLES  # what healing grants again

    @property
    def canary(self) -> str:
        return self.maker.canary

    @property
    def domain(self) -> str:
        return self.domains[0]

    def app(self, client_id: str | None = None) -> App:
        """The named app, or the only one."""
        if client_id is None and len(self.apps) == 1:
            return next(iter(self.apps.values()))
        if client_id is None or client_id.lower() not in self.apps:
            raise BadRequestError(f"{self.name} has no app {client_id or '(name one by client_id)'}")
        return self.apps[client_id.lower()]

    def settings(self) -> dict[str, Any]:
        return dataclasses.asdict(self.behaviour)

    def set(self, changes: dict[str, Any]) -> None:
        """Change settings; unknown names and wrong types are refused before any is changed."""
        present = self.settings()
        for name, value in changes.items():
            if name not in SETTINGS:
                raise BadRequestError(f"no setting is called {name}; there are {', '.join(sorted(SETTINGS))}")
            if isinstance(present[name], bool) is not isinstance(value, bool):
                raise BadRequestError(
                    f"{name} takes {'true or false' if present[name] in {True, False} else 'a number'}"
                )
        for name, value in changes.items():
            setattr(self.behaviour, name, value)
        with self.directory.lock:
            if self.directory.lag and not self.behaviour.lag:
                self.directory.settle()
            self.directory.lag = float(self.behaviour.lag)
        if "ru_per_10s" in changes:
            self.buckets.clear()

    def user_by_name(self, name: str) -> int | None:
        return self.directory.users.by_name(name, "userPrincipalName")


def initial_domain(domain: str, cloud: Cloud) -> str:
    """The name every tenant is born with."""
    suffix = {"gcc_high": "us", "dod": "us", "china": "partner.onmschina.cn"}.get(cloud.name, "com")
    label = domain.partition(".")[0]
    return f"{label}.{suffix}" if "." in suffix else f"{label}.onmicrosoft.{suffix}"


def make_tenant(spec: dict[str, Any], now: float) -> Tenant:
    """A tenant from a control call; everything but the name has a default."""
    name = str(spec.get("name") or "")
    if not name:
        raise BadRequestError("a tenant needs a name")
    cloud_name = str(spec.get("cloud", "global"))
    if cloud_name not in CLOUDS:
        raise BadRequestError(f"no cloud is called {cloud_name}; there are {', '.join(CLOUDS)}")
    cloud = CLOUDS[cloud_name]
    domain = str(
        spec.get("domain") or f"{''.join(c for c in name.lower() if c.isascii() and c.isalnum())}.example"
    )
    seed = str(spec.get("seed", domain))
    tenant_id = str(spec.get("tenant_id") or guid_of("tenant", domain, seed)).lower()
    first = initial_domain(domain, cloud)
    canary = digest(tenant_id, "canary").hex()[:10].upper()
    maker = Maker(seed, name, domain, first, cloud_name, canary)
    directory = Directory(
        maker,
        users=_count(spec, "users", 50),
        groups=_count(spec, "groups", max(1, int(spec.get("users", 50)) // 10)),
        per_user=_count(spec, "memberships_per_user", 5),
        nested=_count(spec, "nested_groups", 0),
    )
    tenant = Tenant(tenant_id, name, cloud, [domain, first], directory, now, maker)
    tenant.story = str(spec.get("story", ""))
    tenant.set(dict(spec.get("settings", {})))
    if spec.get("app", {}) is not None:
        add_app(tenant, dict(spec.get("app", {})), now)
    return tenant


def _count(spec: dict[str, Any], name: str, default: int) -> int:
    value = spec.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise BadRequestError(f"{name} must be a whole number from 0 to 1,000,000")
    return value


def add_app(tenant: Tenant, spec: dict[str, Any], now: float) -> App:
    """Register an app with its service principal; secret, roles and ids are made up where not given."""
    client_id = str(spec.get("client_id") or guid_of(tenant.id, "app", len(tenant.apps))).lower()
    app = App(
        client_id,
        guid_of(tenant.id, "application", client_id),
        str(spec.get("name", "Voice portal")),
        now,
        principal=ServicePrincipal(guid_of(tenant.id, "service principal", client_id)),
    )
    tenant.apps[client_id] = app
    given = {"roles": list(DEFAULT_ROLES), **spec}
    if "secret" not in given and "certificate_pem" not in given:
        given["secret"] = b64_secret(tenant.maker.seed, client_id)
    change_app(tenant, app, given, now, at_once=True)
    tenant.default_roles = tuple(given["roles"]) or DEFAULT_ROLES
    return app


def b64_secret(seed: str, client_id: str) -> str:
    """A secret with the length and look of a real one, the same for the same seed."""
    raw = digest(seed, "secret", client_id).hex()
    return f"{raw[:3]}8Q~{raw[3:37]}"


def change_app(
    tenant: Tenant, app: App, changes: dict[str, Any], now: float, *, at_once: bool = False
) -> None:
    """Apply what a person could do to the app in the Entra admin centre. Times are ISO 8601."""
    known = {
        "client_id", "name", "secret", "secret_expires", "certificate_pem", "roles", "disabled", "ca_block",
        "service_principal", "directory_roles", "delegated", "redirect_uris", "public_client",
        "requested_roles",
    }  # fmt: skip
    if unknown := changes.keys() - known:
        raise BadRequestError(
            f"an app has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    _change_credentials(app, changes, now)
    if "service_principal" in changes:
        _set_principal(tenant, app, present=bool(changes["service_principal"]))
    app.disabled = bool(changes.get("disabled", app.disabled))
    app.blocked = bool(changes.get("ca_block", app.blocked))
    app.public_client = bool(changes.get("public_client", app.public_client))
    app.redirect_uris = list(changes.get("redirect_uris", app.redirect_uris))
    app.requested_roles = list(changes.get("requested_roles", app.requested_roles))
    if app.principal is not None:
        _change_grants(tenant, app.principal, changes, 0.0 if at_once else now)


def _change_credentials(app: App, changes: dict[str, Any], now: float) -> None:
    if "secret" in changes:
        if changes["secret"] is None:
            app.secrets = []
        else:
            app.set_secret(str(changes["secret"]), now=now)
    if "secret_expires" in changes:
        if not app.secrets:
            app.set_secret(secrets.token_urlsafe(30), now=now)
        app.secrets[0].ends = parse_time(str(changes["secret_expires"]))
        app.secrets[0].starts = min(app.secrets[0].starts, app.secrets[0].ends - 86400)
    if changes.get("certificate_pem"):
        app.certificates = [Certificate.from_pem(str(changes["certificate_pem"]))]
    elif "certificate_pem" in changes:
        app.certificates = []


def _set_principal(tenant: Tenant, app: App, *, present: bool) -> None:
    if present and app.principal is None:
        app.principal = ServicePrincipal(guid_of(tenant.id, "service principal", app.client_id))
    elif not present:
        app.principal = None


def _change_grants(tenant: Tenant, principal: ServicePrincipal, changes: dict[str, Any], now: float) -> None:
    if "roles" in changes:
        principal.grant([str(role) for role in changes["roles"]], now + tenant.behaviour.consent_delay)
    if "directory_roles" in changes:
        principal.directory_roles = [str(role) for role in changes["directory_roles"]]
    if "delegated" in changes:
        principal.delegated = str(changes["delegated"])


def describe(tenant: Tenant, now: float) -> dict[str, Any]:
    """A tenant as the control API lists it; secrets are shown, they are pretend ones."""
    return {
        "tenant_id": tenant.id,
        "name": tenant.name,
        "domain": tenant.domain,
        "domains": tenant.domains,
        "cloud": tenant.cloud.name,
        "canary": tenant.canary,
        "users": tenant.directory.users.live_count(),
        "groups": tenant.directory.groups.live_count(),
        "changes": len(tenant.directory.log),
        "settings": tenant.settings(),
        "apps": [_describe_app(app, now) for app in tenant.apps.values()],
        "story": tenant.story,
    }


def _describe_app(app: App, now: float) -> dict[str, Any]:
    principal = app.principal
    return {
        "client_id": app.client_id,
        "secret": app.secrets[0].value if app.secrets else None,
        "secret_expires": stamp(app.secrets[0].ends) if app.secrets else None,
        "secret_expired": bool(app.secrets) and app.secrets[0].ends <= now,
        "certificates": [certificate.key_id for certificate in app.certificates],
        "roles": list(principal.granted()) if principal else [],
        "disabled": app.disabled,
        "ca_block": app.blocked,
        "service_principal": principal is not None,
    }
