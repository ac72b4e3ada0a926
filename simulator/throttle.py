"""Graph's throttling of identity calls by resource units (facts/microsoft.md 6.2)."""

from __future__ import annotations

import dataclasses
import math
import threading

# How far below empty refused calls may push a bucket: they cost quota too.
_DEBT = 0.2

READ_COSTS = {
    "/users": 2,
    "/applications": 2,
    "/oauth2PermissionGrants": 2,
    "/servicePrincipals/{id}/appRoleAssignments": 2,
    "/servicePrincipals(appId='{appid}')/appRoleAssignments": 2,
    "/users/{id}/memberOf": 2,
    "/users/{id}/licenseDetails": 2,
    "/groups/{id}/members": 3,
    "/groups/{id}/members/microsoft.graph.user": 3,
    "/subscribedSkus": 3,
}


def cost(template: str, method: str, query: dict[str, str]) -> int:
    """Resource units of one request: base cost, less for $select and a small $top, more for $expand."""
    units = READ_COSTS.get(template, 1) if method == "GET" else 1
    units -= "$select" in query
    units += "$expand" in query
    top = query.get("$top", "")
    units -= top.isdigit() and int(top) < 20
    return max(1, units)


def of_teams(template: str) -> bool:
    """Whether a call counts as one of the Teams service, which counts requests and not units (facts 6.3)."""
    return template.startswith("/admin/teams")


def quota(users: int) -> int:
    """Resource units in ten seconds for one app in a tenant of this size."""
    if users < 50:
        return 3_500
    return 5_000 if users <= 500 else 8_000


@dataclasses.dataclass(slots=True)
class Bucket:
    """A token bucket: full at first, refilled evenly over `window` seconds."""

    capacity: float
    window: float
    level: float
    at: float
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    @classmethod
    def full(cls, capacity: float, window: float, now: float) -> Bucket:
        return cls(capacity, window, capacity, now)

    def take(self, units: float, now: float) -> tuple[float, float]:
        """(seconds to wait, share of the limit in use): wait is 0 when the request may pass."""
        with self.lock:
            elapsed = max(0.0, now - self.at)
            self.at += elapsed  # never back: of requests side by side, the later one may come first
            self.level = min(self.capacity, self.level + elapsed * self.capacity / self.window)
            allowed = self.level >= units
            self.level = max(self.level - units, -_DEBT * self.capacity)
            used = 1.0 - self.level / self.capacity
            if allowed:
                return 0.0, used
            return max(1.0, math.ceil((units - self.level) * self.window / self.capacity)), used


@dataclasses.dataclass(frozen=True, slots=True)
class Limit:
    """One quota a request draws on, as response headers name it."""

    scope: str
    information: str
    capacity: float
    window: float
    units: float


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What throttling says to one request."""

    retry_after: float
    used: float
    scope: str = ""
    information: str = ""


def judge(buckets: dict[str, Bucket], limits: list[Limit], now: float) -> Verdict:
    """Draw on every limit; the first exhausted one refuses the request."""
    highest = 0.0
    for limit in limits:
        bucket = buckets.get(limit.scope + limit.information)
        if bucket is None:
            bucket = buckets.setdefault(
                limit.scope + limit.information, Bucket.full(limit.capacity, limit.window, now)
            )
        wait, used = bucket.take(limit.units, now)
        highest = max(highest, used)
        if wait:
            return Verdict(wait, used, limit.scope, limit.information)
    return Verdict(0.0, highest)
