"""Who is in which group: flat arrays of indices, made on first use (250,000 memberships are 1 MB)."""

from __future__ import annotations

import random
from array import array
from collections.abc import Iterable

GROUP_BIT = 0x8000_0000  # a member that is itself a group; the rest of the number is its index


class Members:
    """The member lists of one tenant's groups, in the order in which members joined."""

    def __init__(self, *, seed: str, users: int, groups: int, per_user: int, nested: int) -> None:
        self._plan = (seed, users, groups, min(per_user, groups), nested)
        self._lists: list[array[int]] | None = None
        self._past: dict[int, list[tuple[float, array[int]]]] = {}

    @property
    def lists(self) -> list[array[int]]:
        if self._lists is None:
            self._lists = _generate(*self._plan)
        return self._lists

    def of(self, group: int) -> array[int]:
        """True members of a group; empty for a group that never had any."""
        lists = self.lists
        while len(lists) <= group:
            lists.append(array("I"))
        return lists[group]

    def seen(self, group: int, now: float) -> array[int]:
        """The members as a reader finds them at `now`."""
        for until, members in self._past.get(group, ()):
            if until > now:
                return members
        self._past.pop(group, None)
        return self.of(group)

    def remember(self, group: int, until: float) -> None:
        self._past.setdefault(group, []).append((until, array("I", self.of(group))))

    def settle(self) -> None:
        self._past.clear()

    def groups_of(self, code: int) -> list[int]:
        """Every group that lists this member; a scan of a flat array each, so milliseconds for thousands."""
        return [group for group, members in enumerate(self.lists) if code in members]


def _generate(seed: str, users: int, groups: int, per_user: int, nested: int) -> list[array[int]]:
    """`per_user` different groups for every user; low-numbered groups are large, most are small."""
    source = random.Random(f"{seed}/members")
    lists = [array("I") for _ in range(groups)]
    appenders = [members.append for members in lists]
    draw = source.random
    for user in range(users if groups else 0):
        chosen: set[int] = set()
        for _ in range(per_user):
            group = int(groups * draw() ** 2)
            while group in chosen:
                group = (group + 1) % groups
            chosen.add(group)
            appenders[group](user)
    for inner in range(1, min(nested, groups - 1) + 1):
        lists[inner - 1].append(GROUP_BIT | inner)
    return lists


def split(codes: Iterable[int]) -> tuple[list[int], list[int]]:
    """Member codes as (user indices, group indices)."""
    users: list[int] = []
    groups: list[int] = []
    for code in codes:
        if code & GROUP_BIT:
            groups.append(code & ~GROUP_BIT)
        else:
            users.append(code)
    return users, groups
