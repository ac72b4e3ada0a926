"""Turns of phrase that several rooms need."""

from collections.abc import Iterable


def first_of(names: Iterable[str], most: int, between: str = ", ") -> str:
    """The first of these, and how many more there are: `Ann, Bea and 3 more`."""
    every = list(names)
    more = f" and {len(every) - most:,} more" if len(every) > most else ""
    return between.join(every[:most]) + more
