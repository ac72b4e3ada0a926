"""Everything the simulator knows: tenants, the clock, standing troubles, and what was asked of it."""

from __future__ import annotations

import collections
import dataclasses
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from simulator.apps import Registration
from simulator.breaks import break_tenant
from simulator.keys import Seal, Signer
from simulator.making import make_tenant
from simulator.objects import stamp
from simulator.tenant import BadRequestError, Tenant
from simulator.throttle import Bucket
from simulator.trouble import Troubles

_PAGE_CACHE_BYTES = 160 * 1024 * 1024


class PageCache:
    """Encoded pages by what they show, the least recently used going first."""

    def __init__(self, limit: int = _PAGE_CACHE_BYTES) -> None:
        self._limit, self._size = limit, 0
        self._pages: collections.OrderedDict[Any, tuple[bytes, Any]] = collections.OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Any) -> tuple[bytes, Any] | None:
        with self._lock:
            page = self._pages.get(key)
            if page is not None:
                self._pages.move_to_end(key)
            return page

    def put(self, key: Any, page: tuple[bytes, Any]) -> None:
        with self._lock:
            if key not in self._pages:
                self._pages[key] = page
                self._size += len(page[0])
            while self._size > self._limit:
                _, (gone, _) = self._pages.popitem(last=False)
                self._size -= len(gone)

    def clear(self) -> None:
        with self._lock:
            self._pages.clear()
            self._size = 0


@dataclasses.dataclass(slots=True)
class Stats:
    """Counts since the start or the last reset; `lock` guards them."""

    requests: collections.Counter[tuple[str, str, str, int]] = dataclasses.field(
        default_factory=collections.Counter
    )
    units: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    bytes_sent: int = 0
    cookies_received: int = 0
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    def count(self, tenant: str, method: str, route: str, status: int, size: int) -> None:
        with self.lock:
            self.requests[tenant, method, route, status] += 1
            self.bytes_sent += size

    def spend(self, tenant: str, units: int) -> None:
        with self.lock:
            self.units[tenant] += units

    def describe(self, tenant: str | None = None) -> dict[str, Any]:
        with self.lock:
            rows = [
                {"tenant": t, "method": m, "route": r, "status": s, "requests": n}
                for (t, m, r, s), n in sorted(self.requests.items())
                if tenant is None or t == tenant
            ]
            units = {t: n for t, n in self.units.items() if tenant is None or t == tenant}
            return {
                "requests": sum(int(str(row["requests"])) for row in rows),
                "by_route": rows,
                "resource_units": units,
                "bytes_sent": self.bytes_sent,
                "cookies_received": self.cookies_received,
            }


class World:
    """The state behind one running simulator."""

    def __init__(self, *, pause: Callable[[float], None] = time.sleep) -> None:
        self.pause = pause
        self.offset = 0.0
        self.latency_ms = 0.0
        self.seal = Seal()
        self.signer = Signer()
        self.troubles = Troubles()
        self.stats = Stats()
        self.pages = PageCache()
        self.tenants: dict[str, Tenant] = {}
        self.domains: dict[str, Tenant] = {}
        self.dns_address: tuple[str, int] | None = None  # where Microsoft looks records up
        self.app_buckets: dict[str, dict[str, Bucket]] = collections.defaultdict(dict)
        self.history: list[dict[str, Any]] = []
        self.grants: dict[str, dict[str, Any]] = {}  # authorization codes, device codes, refresh tokens
        self.lock = threading.RLock()

    def now(self) -> float:
        """The simulator's clock in Unix seconds: the machine's, moved by the offset."""
        return time.time() + self.offset

    def add_tenant(self, spec: dict[str, Any]) -> Tenant:
        """A tenant as a control call describes it, broken from the start if it says so."""
        spec = dict(spec)
        way = spec.pop("break", None)
        tenant = make_tenant(spec, self.now())
        with self.lock:
            if tenant.id in self.tenants or any(domain in self.domains for domain in tenant.domains):
                raise BadRequestError(f"a tenant {tenant.id} or a domain of {tenant.domains} exists already")
            self.tenants[tenant.id] = tenant
            self.domains.update(dict.fromkeys(tenant.domains, tenant))
        if way is not None:
            break_tenant(self, tenant, str(way))
        return tenant

    def remove_tenant(self, tenant: Tenant) -> None:
        with self.lock:
            self.tenants.pop(tenant.id, None)
            for domain in tenant.domains:
                self.domains.pop(domain, None)
            self.troubles.clear(tenant.id)

    def find(self, key: str, *, unknown: bool = False) -> Tenant | None:
        """A tenant by id or domain; one that Microsoft no longer knows only for the control API."""
        key = key.lower()
        found = self.tenants.get(key) or self.domains.get(key)
        return found if found is not None and (unknown or not found.unknown) else None

    def registration(self, client_id: str, cloud: str | None = None) -> Registration | None:
        """The app with this id in its home tenant, in this cloud or any: no cloud knows another's apps."""
        for tenant in list(self.tenants.values()):
            app = tenant.apps.get(client_id.lower())
            if app is not None and app.registration.home == tenant.id and cloud in {None, tenant.cloud.name}:
                return app.registration
        return None

    def keep_grant(self, kind: str, content: dict[str, Any]) -> str:
        """Remember a grant (authorization code, device code, refresh token) under a fresh unguessable key."""
        key = f"{kind}.{secrets.token_urlsafe(48)}"
        self.grants[key] = {"kind": kind, "issued": self.now(), **content}
        return key

    def record(self, kind: str, **fields: Any) -> None:
        """Append to the history; nothing there is ever changed or removed but by a reset."""
        with self.lock:
            entry = {"seq": len(self.history) + 1, "time": stamp(self.now()), "kind": kind, **fields}
            self.history.append(entry)

    def reset(self) -> None:
        """Forget everything; tokens and links issued so far stay signed but point to nothing."""
        with self.lock:
            self.tenants.clear()
            self.domains.clear()
            self.app_buckets.clear()
            self.history.clear()
            self.grants.clear()
            self.offset = 0.0
            self.latency_ms = 0.0
        self.troubles.clear()
        self.pages.clear()
        self.seal = Seal()
        self.stats = Stats()
