"""One tenant's directory: users, groups, memberships, and the log of changes that feeds every delta."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import threading
from collections.abc import Iterable
from typing import Any, Literal

from simulator.members import GROUP_BIT, Members
from simulator.objects import Maker, guid_of, stamp
from simulator.shelf import Shelf

_SERIALS = itertools.count()

Event = Literal["created", "changed", "removed", "restored", "members"]


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One line of the log. `member` is a member code and `joined` tells which way; both only for "members"."""

    visible_at: float
    shelf: str
    index: int
    event: Event
    properties: frozenset[str] = frozenset()
    member: int = -1
    joined: bool = False


class Directory:
    """State and history of one tenant. Every method expects the caller to hold `lock`."""

    def __init__(self, maker: Maker, *, users: int, groups: int, per_user: int, nested: int) -> None:
        self.lock = threading.RLock()
        self.serial = next(_SERIALS)  # tells a rebuilt tenant from the one that had its id before
        self.maker = maker
        self.users = Shelf("users", users, maker.user, maker.user_id)
        self.groups = Shelf("groups", groups, maker.group, maker.group_id)
        self.members = Members(seed=maker.seed, users=users, groups=groups, per_user=per_user, nested=nested)
        self.log: list[Change] = []
        self.lag = 0.0
        self._made = 0

    def shelf(self, kind: str) -> Shelf:
        return self.users if kind == "users" else self.groups

    def visible(self, now: float) -> int:
        """How much of the log a reader sees at `now`."""
        return bisect.bisect_right(self.log, now, key=lambda change: change.visible_at)

    def settle(self) -> None:
        """End the lag: whatever was written is now seen by everyone."""
        self.users.settle()
        self.groups.settle()
        self.members.settle()
        self.log = [dataclasses.replace(change, visible_at=0.0) for change in self.log]

    def _note(self, now: float, change: Change) -> None:
        latest = self.log[-1].visible_at if self.log else 0.0
        self.log.append(dataclasses.replace(change, visible_at=max(latest, now + self.lag)))

    def _hold(self, shelf: Shelf, index: int, now: float) -> None:
        if self.lag:
            shelf.remember(index, now + self.lag)

    # Writes. Each shows to readers after the lag.

    def create(self, kind: str, properties: dict[str, Any], now: float) -> int:
        shelf = self.shelf(kind)
        self._made += 1
        object_id = guid_of(self.maker.seed, "made", kind, self._made)
        self._hold(shelf, shelf.size, now)
        index = shelf.add(object_id, {**properties, "createdDateTime": stamp(now)})
        self._note(now, Change(0, kind, index, "created"))
        return index

    def change(self, kind: str, index: int, properties: dict[str, Any], now: float) -> None:
        shelf = self.shelf(kind)
        before = shelf.view(index)
        differing = {key: value for key, value in properties.items() if before.get(key) != value}
        if not differing:
            return
        self._hold(shelf, index, now)
        shelf.change(index, differing)
        self._note(now, Change(0, kind, index, "changed", frozenset(differing)))

    def remove(self, kind: str, index: int, now: float, *, forever: bool = False) -> None:
        shelf = self.shelf(kind)
        if shelf.is_live(index):
            self._hold(shelf, index, now)
            self._leave_groups(kind, index, now)
        shelf.remove(index, "deleted" if forever else "changed", now)
        self._note(now, Change(0, kind, index, "removed"))

    def _leave_groups(self, kind: str, index: int, now: float) -> None:
        """Deltas report a deleted object as a member that left; the list keeps it, for a restore."""
        code = index if kind == "users" else GROUP_BIT | index
        for group in self.members.groups_of(code):
            if self.groups.is_live(group):
                self._note(now, Change(0, "groups", group, "members", member=code))

    def restore(self, kind: str, index: int, now: float) -> None:
        shelf = self.shelf(kind)
        self._hold(shelf, index, now)
        shelf.restore(index)
        self._note(now, Change(0, kind, index, "restored"))
        code = index if kind == "users" else GROUP_BIT | index
        for group in self.members.groups_of(code):
            self._note(now, Change(0, "groups", group, "members", member=code, joined=True))

    def join(self, group: int, codes: Iterable[int], now: float) -> list[int]:
        """Add members; returns those that were not members before."""
        members = self.members.of(group)
        fresh = [code for code in codes if code not in members]
        if fresh and self.lag:
            self.members.remember(group, now + self.lag)
        for code in fresh:
            members.append(code)
            self._note(now, Change(0, "groups", group, "members", member=code, joined=True))
        return fresh

    def leave(self, group: int, codes: Iterable[int], now: float) -> list[int]:
        """Remove members; returns those that were members."""
        members = self.members.of(group)
        present = [code for code in codes if code in members]
        if present and self.lag:
            self.members.remember(group, now + self.lag)
        for code in present:
            members.remove(code)
            self._note(now, Change(0, "groups", group, "members", member=code))
        return present

    # Reads shared by several routes.

    def find(self, kind: str, key: str) -> int | None:
        """The index of an id or, for users, of a user principal name."""
        shelf = self.shelf(kind)
        index = shelf.find(key)
        if index is None and kind == "users" and "@" in key:
            return shelf.by_name(key, "userPrincipalName")
        return index

    def member_exists(self, code: int) -> bool:
        if code & GROUP_BIT:
            return self.groups.is_live(code & ~GROUP_BIT)
        return self.users.is_live(code)

    def members_seen(self, group: int, now: float) -> list[int]:
        """Codes of the members a reader sees, without those that are deleted."""
        codes = self.members.seen(group, now)
        if not self.users.removed and not self.groups.removed:
            return list(codes)
        return [code for code in codes if self.member_exists(code)]

    def member_reference(self, code: int) -> tuple[str, str]:
        """(OData type, id) of a member."""
        if code & GROUP_BIT:
            return "#microsoft.graph.group", self.groups.ids[code & ~GROUP_BIT]
        return "#microsoft.graph.user", self.users.ids[code]
