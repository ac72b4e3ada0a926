"""Trouble on demand: what may go wrong between a client and Microsoft, for one tenant or for all."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections.abc import Iterable
from typing import Any

from simulator.tenant import BadRequestError

# Kinds and the options each takes, with what happens when an option is left out.
KINDS: dict[str, dict[str, Any]] = {
    "latency": {"ms": 1000},
    "throttle": {"retry_after": "10", "code": "TooManyRequests"},
    "error": {"status": 503, "code": "", "when": "before", "retry_after": None},
    "drop": {"when": "before"},
    "html": {"status": 200},
    "truncated": {},
    "giant_field": {"bytes": 10_000_000, "field": "displayName"},
    "endless_pages": {},
    "empty_page": {},
    "foreign_next_link": {"url": "https://graph.attacker.example"},
    "gone": {"code": "resyncRequired", "status": 410},
    "replay": {"changes": 100},
    "repeat_objects": {"objects": 5},
}
# Each of these is the whole answer: a request meets the oldest one only, and the others keep their count.
_WHOLE_ANSWERS = frozenset({"throttle", "error", "drop", "html"})
WHEN = ("before", "after", "midway")


@dataclasses.dataclass(slots=True)
class Trouble:
    """One standing instruction: which requests it hits, how often, until when, and what it does."""

    id: int
    kind: str
    options: dict[str, Any]
    tenant: str | None = None
    host: str | None = None  # "login" or "graph"; None is both
    path: re.Pattern[str] | None = None
    method: str | None = None
    left: int | None = None
    until: float | None = None
    skip: int = 0
    hits: int = 0

    def applies(self, *, tenant: str | None, host: str, method: str, path: str, now: float) -> bool:
        return (
            (self.tenant is None or self.tenant == tenant)
            and (self.host is None or self.host == host)
            and (self.method is None or self.method == method)
            and (self.until is None or now < self.until)
            and self.left != 0
            and (self.path is None or self.path.search(path) is not None)
        )

    def describe(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "kind": self.kind,
            **self.options,
            "tenant": self.tenant,
            "host": self.host,
            "path": self.path.pattern if self.path else None,
            "method": self.method,
            "count": self.left,
            "until": self.until,
            "skip": self.skip,
            "hits": self.hits,
        }


class Troubles:
    """Every standing trouble. Matching uses up counts, so it happens once per request."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: list[Trouble] = []
        self._next = 1

    def add(self, spec: dict[str, Any], *, tenant: str | None, now: float) -> Trouble:
        kind = str(spec.get("kind", ""))
        if kind not in KINDS:
            raise BadRequestError(
                f"no trouble is called {kind or '(none)'}; there are {', '.join(sorted(KINDS))}"
            )
        known = KINDS[kind]
        common = {"kind", "tenant", "host", "path", "method", "count", "seconds", "skip"}
        if unknown := spec.keys() - common - known.keys():
            raise BadRequestError(
                f"{kind} has no {', '.join(sorted(unknown))}; it takes {', '.join(sorted(known))}"
            )
        options = {name: spec.get(name, default) for name, default in known.items()}
        if options.get("when", "before") not in WHEN:
            raise BadRequestError(f"when is one of {', '.join(WHEN)}")
        seconds, count = spec.get("seconds"), spec.get("count")
        with self._lock:
            trouble = Trouble(
                self._next,
                kind,
                options,
                tenant,
                spec.get("host"),
                re.compile(str(spec["path"])) if spec.get("path") else None,
                str(spec["method"]).upper() if spec.get("method") else None,
                None if count is None else int(count),
                None if seconds is None else now + float(seconds),
                int(spec.get("skip", 0)),
            )
            self._next += 1
            self._all = [*self._all, trouble]
        return trouble

    def listing(self, tenant: str | None = None) -> list[Trouble]:
        return [trouble for trouble in self._all if tenant is None or trouble.tenant == tenant]

    def remove(self, wanted: Iterable[int]) -> int:
        gone = set(wanted)
        with self._lock:
            before = len(self._all)
            self._all = [trouble for trouble in self._all if trouble.id not in gone]
            return before - len(self._all)

    def clear(self, tenant: str | None = None) -> int:
        return self.remove([trouble.id for trouble in self.listing(tenant)])

    def hitting(
        self,
        *,
        tenant: str | None,
        host: str,
        method: str,
        path: str,
        now: float,
        without: frozenset[str] = frozenset(),
    ) -> dict[str, Trouble]:
        """The troubles this request meets, at most one of a kind, each counted."""
        if not self._all:
            return {}
        met: dict[str, Trouble] = {}
        passed_by = set(without)
        with self._lock:
            for trouble in self._all:
                if trouble.kind in passed_by or not trouble.applies(
                    tenant=tenant, host=host, method=method, path=path, now=now
                ):
                    continue
                if trouble.skip:
                    trouble.skip -= 1
                    continue
                trouble.hits += 1
                if trouble.left is not None:
                    trouble.left -= 1
                met[trouble.kind] = trouble
                passed_by |= _WHOLE_ANSWERS if trouble.kind in _WHOLE_ANSWERS else {trouble.kind}
        return met
