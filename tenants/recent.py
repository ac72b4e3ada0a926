"""What was worked out in the last seconds and is asked for again and again: kept by a process, some of it."""

import collections
import contextlib
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

FRESH_SECONDS = 10.0
MOST_KEPT = 256

T = TypeVar("T")


def age(at: float) -> str:
    """When a figure was counted, beside which it stands; `at` in monotonic seconds."""
    seconds = int(time.monotonic() - at)
    return f"Counted {seconds} s ago" if seconds else "Counted just now"


class Recent(Generic[T]):
    """By a key that names all that the answer depends on: whose data it is, above all."""

    def __init__(self) -> None:
        self._kept: collections.OrderedDict[Hashable, tuple[float, T]] = collections.OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept and fresh, or what `make` makes now."""
        at, found = self._kept.get(key, (float("-inf"), None))
        if found is None or time.monotonic() - at > FRESH_SECONDS:
            return self.put(key, make())
        return found

    def put(self, key: Hashable, made: T) -> T:
        self._kept[key] = (time.monotonic(), made)
        while len(self._kept) > MOST_KEPT:
            with contextlib.suppress(KeyError):  # another thread was quicker
                self._kept.popitem(last=False)
        return made

    def forget(self) -> None:
        self._kept.clear()
