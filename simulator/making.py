"""A tenant out of a control call, and a tenant as the control API describes it."""

from __future__ import annotations

from typing import Any

from simulator.clouds import CLOUDS, Cloud
from simulator.directory import Directory
from simulator.objects import Maker, digest, guid_of
from simulator.permissions import GLOBAL_ADMINISTRATOR
from simulator.registrations import add_app, describe_app
from simulator.tenant import BadRequestError, Tenant


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
    tenant.telephony_spec = _telephony(spec.get("telephony", {}))
    tenant.set(dict(spec.get("settings", {})))
    if directory.users.size:
        tenant.assign_role(maker.user_id(0), GLOBAL_ADMINISTRATOR)
    if spec.get("app", {}) is not None:
        add_app(tenant, dict(spec.get("app", {})), now)
    return tenant


def _count(spec: dict[str, Any], name: str, default: int) -> int:
    value = spec.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 1_000_000:
        raise BadRequestError(f"{name} must be a whole number from 0 to 1,000,000")
    return value


_TELEPHONY = frozenset({"kind", "head", "digits", "first", "free", "extra"})


def _telephony(spec: Any) -> dict[str, Any]:
    """Kind of numbers, how they begin and from which place on, how many free ones, and others in use by name."""
    if not isinstance(spec, dict) or spec.keys() - _TELEPHONY:
        raise BadRequestError(f"telephony takes {', '.join(sorted(_TELEPHONY))}")
    return spec


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
        "apps": [describe_app(tenant, app, now) for app in list(tenant.apps.values())],
        "story": tenant.story,
        "broken": tenant.broken,
    }
