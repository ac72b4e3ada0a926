"""What the control API, the page for people and the demo can do to a tenant."""

from __future__ import annotations

from typing import Any

from simulator import words
from simulator.apps import App
from simulator.breaks import mend
from simulator.graph.call import TYPES
from simulator.members import GROUP_BIT
from simulator.objects import digest
from simulator.registrations import change_app
from simulator.shelf import Shelf
from simulator.tenant import BadRequestError, Tenant
from simulator.trouble import Trouble
from simulator.world import World

_KIND_OF = {"users": "user", "groups": "group"}
DAY = 86_400


def find_object(tenant: Tenant, kind: str, key: str) -> int:
    """An object by id, user principal name, or #index; live or removed."""
    directory = tenant.directory
    if key.startswith("#") and key[1:].isdigit():
        index: int | None = int(key[1:]) if int(key[1:]) < directory.shelf(kind).size else None
    else:
        index = directory.find(kind, key)
    if index is None:
        raise BadRequestError(f"{tenant.name} has no {_KIND_OF[kind]} {key}")
    return index


def show(tenant: Tenant, kind: str, index: int) -> dict[str, Any]:
    """An object with its index, whether it is there, and for groups its number of members."""
    shelf = tenant.directory.shelf(kind)
    shown: dict[str, Any] = {"index": index, **shelf.view(index), "state": shelf.removed.get(index, "live")}
    if kind == "groups":
        shown["members"] = len(tenant.directory.members_seen(index, float("inf")))
    return shown


def _properties(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    if unknown := given.keys() - TYPES[_KIND_OF[kind]].keys():
        raise BadRequestError(f"a {_KIND_OF[kind]} has no {', '.join(sorted(unknown))}")
    return given


def add_object(tenant: Tenant, kind: str, given: dict[str, Any], now: float) -> int:
    """A new user or group; what is left out is made up."""
    properties = dict(_properties(kind, given))
    number = tenant.directory.shelf(kind).size
    if kind == "groups":
        name = str(properties.setdefault("displayName", f"New team {number}"))
        properties.setdefault("mailNickname", f"{words.plain(name)}{number}")
        defaults = {"groupTypes": ["Unified"], "mailEnabled": True, "securityEnabled": False}
        return tenant.directory.create(kind, {**defaults, **properties}, now)
    alias = f"new.user{number}"
    properties.setdefault("userPrincipalName", f"{alias}@{tenant.domain}")
    if tenant.user_by_name(str(properties["userPrincipalName"])) is not None:
        raise BadRequestError(f"{properties['userPrincipalName']} exists already")
    defaults = {
        "displayName": f"New User {number}",
        "givenName": "New",
        "surname": f"User {number}",
        "mail": properties["userPrincipalName"],
        "mailNickname": alias,
        "accountEnabled": True,
        "userType": "Member",
        "companyName": f"{tenant.name} (reg. {tenant.canary})",
        "usageLocation": "DE",
        "businessPhones": [],
        "assignedLicenses": [],
        "assignedPlans": [],
    }
    return tenant.directory.create(kind, {**defaults, **properties}, now)


def change_object(tenant: Tenant, kind: str, index: int, given: dict[str, Any], now: float) -> None:
    tenant.directory.change(kind, index, _properties(kind, given), now)


def remove_object(tenant: Tenant, kind: str, index: int, now: float, *, forever: bool) -> None:
    if tenant.directory.shelf(kind).removed.get(index) == "deleted":
        raise BadRequestError("that one is gone for good already")
    if not forever and not tenant.directory.shelf(kind).is_live(index):
        raise BadRequestError("that one is deleted already")
    tenant.directory.remove(kind, index, now, forever=forever)


def restore_object(tenant: Tenant, kind: str, index: int, now: float) -> None:
    if tenant.directory.shelf(kind).removed.get(index) != "changed":
        raise BadRequestError("only a deleted object that is not gone for good can be restored")
    tenant.directory.restore(kind, index, now)


def change_members(tenant: Tenant, group: int, given: dict[str, Any], now: float) -> dict[str, int]:
    """`add` and `remove` list users by id or name, groups as `group:<id>`."""
    if unknown := given.keys() - {"add", "remove"}:
        raise BadRequestError(f"members takes add and remove, not {', '.join(sorted(unknown))}")
    joined = tenant.directory.join(group, [_code(tenant, key) for key in given.get("add", [])], now)
    left = tenant.directory.leave(group, [_code(tenant, key) for key in given.get("remove", [])], now)
    return {"added": len(joined), "removed": len(left)}


def _code(tenant: Tenant, key: str) -> int:
    if key.startswith("group:"):
        return GROUP_BIT | find_object(tenant, "groups", key.removeprefix("group:"))
    return find_object(tenant, "users", key)


def touch(tenant: Tenant, given: dict[str, Any], now: float) -> int:
    """Change a share of the users, groups or memberships at once; which ones follows from the seed and the log."""
    percent, kind = float(given.get("percent", 1)), str(given.get("kind", "users"))
    if not 0 < percent <= 100:
        raise BadRequestError("percent lies above 0 and up to 100")
    salt = len(tenant.directory.log)
    if kind == "memberships":
        return _move_members(tenant, percent, salt, now)
    if kind not in _KIND_OF:
        raise BadRequestError("kind is users, groups or memberships")
    names = [str(name) for name in given.get("properties", [_DEFAULT_TOUCH[kind]])]
    _properties(kind, dict.fromkeys(names))
    shelf = tenant.directory.shelf(kind)
    chosen = _chosen(tenant, shelf, percent, salt)
    for index in chosen:
        values = {name: _new_value(name, salt, index) for name in names}
        tenant.directory.change(kind, index, values, now)
    return len(chosen)


_DEFAULT_TOUCH = {"users": "jobTitle", "groups": "description"}


def _chosen(tenant: Tenant, shelf: Shelf, percent: float, salt: int) -> list[int]:
    """Exactly the asked share of the live objects, at least one, in an order that looks like chance."""
    live = [index for index in range(shelf.size) if shelf.is_live(index)]
    live.sort(key=lambda index: digest(tenant.maker.seed, "touch", salt, index)[:8])
    return sorted(live[: max(1, round(len(live) * percent / 100))]) if live else []


def _new_value(name: str, salt: int, index: int) -> Any:
    if name == "accountEnabled":
        return digest(salt, index)[0] % 2 == 0
    if name == "jobTitle":
        return f"{words.JOB_TITLES[digest(salt, index)[0] % len(words.JOB_TITLES)]} (since change {salt})"
    return f"{name} {salt}-{index}"


def _move_members(tenant: Tenant, percent: float, salt: int, now: float) -> int:
    """Take that share of all memberships away and give each to another group."""
    directory = tenant.directory
    groups = [index for index in range(directory.groups.size) if directory.groups.is_live(index)]
    if len(groups) < 2:
        raise BadRequestError("moving memberships takes two groups")
    every = max(1, round(100 / percent))
    moves = [
        (group, code)
        for group in groups
        for place, code in enumerate(directory.members.of(group))
        if (place + group + salt) % every == 0 and not code & GROUP_BIT
    ]
    step = 1 + salt % (len(groups) - 1)
    place_of = {group: place for place, group in enumerate(groups)}
    for group, code in moves:
        target = groups[(place_of[group] + step) % len(groups)]
        directory.leave(group, [code], now)
        directory.join(target, [code], now)
    return len(moves)


# One-click trouble, for the page and for stories.


def heal(world: World, tenant: Tenant) -> None:
    """End every trouble of a tenant: its apps work, nothing is slow, refused or late."""
    mend(tenant)
    world.troubles.clear(tenant.id)
    for app in tenant.apps.values():
        _heal_app(tenant, app, world.now())
    tenant.set({"ru_per_10s": None, "latency_ms": 0.0, "lag": 0.0})


def _heal_app(tenant: Tenant, app: App, now: float) -> None:
    change_app(tenant, app, {"service_principal": True, "enabled": True, "ca_block": False}, now)
    if app.registration.home == tenant.id:
        change_app(tenant, app, {"disabled": False}, now)
        if app.secrets and app.secrets[0].ends <= now:
            app.secrets[0].ends = now + 730 * DAY
    if app.principal is not None and not app.principal.granted() and not app.principal.grants:
        change_app(tenant, app, {"roles": list(tenant.default_roles)}, now)


def withdraw_consent(world: World, tenant: Tenant) -> None:
    change_app(tenant, tenant.app(), {"roles": []}, world.now())


def expire_secret(world: World, tenant: Tenant) -> None:
    app = tenant.app()
    if not app.secrets:
        raise BadRequestError(f"{tenant.name} has a certificate and no secret")
    app.secrets[0].ends = world.now() - DAY


def throttle(world: World, tenant: Tenant, *, seconds: float | None = None) -> Trouble:
    spec = {"kind": "throttle", "host": "graph", "retry_after": "10"}
    if seconds is not None:
        spec["seconds"] = str(seconds)
    return world.troubles.add(spec, tenant=tenant.id, now=world.now())


def change_somebody(world: World, tenant: Tenant) -> dict[str, Any]:
    """Give one user, never the same twice running, a new job title and department."""
    directory = tenant.directory
    live = [index for index in range(min(directory.users.size, 5_000)) if directory.users.is_live(index)]
    if not live:
        raise BadRequestError(f"{tenant.name} has no users")
    salt = len(directory.log)
    raw = digest(tenant.maker.seed, "somebody", salt)
    index = live[int.from_bytes(raw[:4], "big") % len(live)]
    title = words.JOB_TITLES[raw[4] % len(words.JOB_TITLES)]
    department = words.DEPARTMENTS[raw[5] % len(words.DEPARTMENTS)]
    directory.change("users", index, {"jobTitle": f"Acting {title}", "department": department}, world.now())
    return directory.users.view(index)


def state_word(world: World, tenant: Tenant) -> str:
    """A tenant's condition in a few words."""
    app, now = next(iter(tenant.apps.values()), None), world.now()
    if app is None:
        return "no app registered"
    found = [
        word
        for word, applies in (
            ("app disabled", app.disabled),
            ("service principal deleted", app.principal is None),
            ("unknown to Microsoft", tenant.unknown),
            ("app not found", app.registration.deleted),
            (
                "consent withdrawn",
                app.principal is not None and not app.principal.granted() and not app.principal.grants,
            ),
            ("secret expired", bool(app.secrets) and app.secrets[0].ends <= now),
            ("blocked by Conditional Access", app.blocked),
            ("slow", tenant.behaviour.latency_ms > 0),
            ("small quota", tenant.behaviour.ru_per_10s is not None),
        )
        if applies
    ]
    found += [
        f"trouble: {trouble.kind}" for trouble in world.troubles.listing(tenant.id) if trouble.left != 0
    ]
    found += [way.replace("_", " ") for way in tenant.broken if way.replace("_", " ") not in found]
    return ", ".join(found) or "healthy"
