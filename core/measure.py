"""How much memory an answer would take once it is parsed, from its bytes alone."""

from __future__ import annotations

MOST_VALUES = 1_200_000
"""A page of Graph with 999 users and forty policies each has half a million; so many take some 150 MB."""
WORTH_A_LOOK = 1024 * 1024
"""Bytes; a shorter answer cannot hold too much, and looking costs time."""


def too_many_values(content: bytes) -> bool:
    """Whether this JSON holds more values than any honest answer: "[]," is three bytes, and seventy when parsed."""
    return (
        len(content) > WORTH_A_LOOK
        and sum(content.count(sign) for sign in (b",", b"[", b"{", b":")) > MOST_VALUES
    )
