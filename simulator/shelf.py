"""All users, or all groups, of one tenant: generated ones by index, with what was changed on top."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """What readers still see of an object while a write travels to their replica."""

    until: float
    exists: bool
    overrides: dict[str, Any] | None


class Shelf:
    """Objects of one kind, addressed by a small index; the index never changes and is never reused."""

    def __init__(
        self, kind: str, count: int, make: Callable[[int], dict[str, Any]], make_id: Callable[[int], str]
    ) -> None:
        self.kind = kind
        self.generated = count
        self.size = count
        self.version = 0
        self.removed: dict[int, str] = {}  # index -> "changed" (can be restored) or "deleted" (gone)
        self.deleted_at: dict[int, float] = {}
        self._make, self._make_id = make, make_id
        self._overrides: dict[int, dict[str, Any]] = {}
        self._past: dict[int, list[Past]] = {}
        self._ids: list[str] = []
        self._index: dict[str, int] = {}
        self._names: dict[str, int] | None = None

    # Reading what is true now.

    @property
    def ids(self) -> list[str]:
        """The id of every object by index, made on first use: a tenant that is never read costs nothing."""
        if len(self._ids) < self.generated:
            self._ids = [self._make_id(index) for index in range(self.generated)]
            self._index = {key: index for index, key in enumerate(self._ids)}
        return self._ids

    def find(self, key: str) -> int | None:
        """The index of an id, live or removed."""
        if len(self._ids) < self.generated:
            _ = self.ids
        return self._index.get(key.lower())

    def view(self, index: int) -> dict[str, Any]:
        """The object's true properties. A property never set is absent; one that was cleared is None."""
        return self._compose(index, self._overrides.get(index))

    def _compose(self, index: int, overrides: dict[str, Any] | None) -> dict[str, Any]:
        base = self._make(index) if index < self.generated else {"id": self.ids[index]}
        return base if overrides is None else {**base, **overrides}

    def is_live(self, index: int) -> bool:
        return index not in self.removed

    def changed(self) -> set[int]:
        """Indices that differ from how they were generated."""
        return set(self._overrides)

    def live_count(self) -> int:
        return self.size - len(self.removed)

    def by_name(self, name: str, key: str) -> int | None:
        """The live object whose property `key` equals `name`, whatever the case."""
        if self._names is None:
            self._names = {
                str(self.view(index).get(key, "")).lower(): index
                for index in range(self.size)
                if self.is_live(index)
            }
        return self._names.get(name.lower())

    # Reading what a replica shows while writes are on their way.

    def seen(self, index: int, now: float) -> dict[str, Any] | None:
        """The object as a reader finds it at `now`, or None when there is none to see."""
        past = self._hidden(index, now) if self._past else None
        if past is None:
            return self.view(index) if index not in self.removed else None
        return self._compose(index, past.overrides) if past.exists else None

    def sees(self, index: int, now: float) -> bool:
        past = self._hidden(index, now) if self._past else None
        return past.exists if past is not None else index not in self.removed

    def _hidden(self, index: int, now: float) -> Past | None:
        trail = self._past.get(index)
        if trail is None:
            return None
        for past in trail:
            if past.until > now:
                return past
        del self._past[index]
        return None

    def lagging(self) -> bool:
        """True while some reader may still see an older state: nothing may be cached then."""
        return bool(self._past)

    def settle(self) -> None:
        """Every write reaches every replica at once."""
        self._past.clear()
        self.version += 1

    # Writing.

    def remember(self, index: int, until: float) -> None:
        """Keep showing the present state until then."""
        exists = index < self.size and index not in self.removed
        past = Past(until, exists, self._overrides.get(index))
        self._past.setdefault(index, []).append(past)

    def add(self, object_id: str, properties: dict[str, Any]) -> int:
        _ = self.ids
        index = self.size
        self._ids.append(object_id)
        self._index[object_id] = index
        self.size += 1
        self._overrides[index] = properties
        self._touch()
        return index

    def change(self, index: int, properties: dict[str, Any]) -> None:
        # A new dictionary each time: a remembered past may still hold the old one.
        self._overrides[index] = {**self._overrides.get(index, {}), **properties}
        self._touch(names=not properties.keys().isdisjoint({"userPrincipalName", "displayName"}))

    def remove(self, index: int, reason: str, now: float) -> None:
        self.removed[index] = reason
        self.deleted_at[index] = now
        self._touch()

    def restore(self, index: int) -> None:
        del self.removed[index]
        self.deleted_at.pop(index, None)
        self._touch()

    def _touch(self, *, names: bool = True) -> None:
        self.version += 1
        if names:
            self._names = None

    def indices(self, now: float, start: int = 0) -> Iterator[int]:
        """Every index a reader sees at `now`, from `start` on, in order."""
        if not self.removed and not self._past:
            yield from range(start, self.size)
            return
        for index in range(start, self.size):
            if self.sees(index, now):
                yield index
