"""Two scripts side by side: what is the same, and what differs (SBC-24, CHK-14)."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

AROUND = 3
"""So many lines that are the same stay around a difference; the rest is left out."""
WORDS = {
    "equal": ("Same", "neutral"),
    "replace": ("Changed", "warn"),
    "delete": ("Only left", "bad"),
    "insert": ("Only right", "ok"),
    "skip": ("Same, left out", "neutral"),
}


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that follow each other on both sides; `left` and `right` are where they begin, counted from 1."""

    kind: str
    left: int
    right: int
    left_lines: tuple[str, ...]
    right_lines: tuple[str, ...]

    @property
    def word(self) -> str:
        return WORDS[self.kind][0]

    @property
    def tone(self) -> str:
        return WORDS[self.kind][1]

    @property
    def differs(self) -> bool:
        return self.kind in {"replace", "delete", "insert"}

    @property
    def left_text(self) -> str:
        return "\n".join(self.left_lines)

    @property
    def right_text(self) -> str:
        return "\n".join(self.right_lines)

    @property
    def left_where(self) -> str:
        return _where(self.left, len(self.left_lines))

    @property
    def right_where(self) -> str:
        return _where(self.right, len(self.right_lines))


def blocks(left: str, right: str, *, whole: bool) -> list[Block]:
    """All of both scripts in order; unless `whole`, long stretches that are the same are one block `skip`."""
    one, two = left.splitlines(), right.splitlines()
    found: list[Block] = []
    matcher = difflib.SequenceMatcher(None, one, two)
    for kind, from_one, to_one, from_two, to_two in matcher.get_opcodes():
        block = Block(
            kind, from_one + 1, from_two + 1, tuple(one[from_one:to_one]), tuple(two[from_two:to_two])
        )
        if kind == "equal" and not whole:
            ends = to_one == len(one) and to_two == len(two)
            found += _shortened(block, first=not found, last=ends)
        else:
            found.append(block)
    return found


def _shortened(block: Block, *, first: bool, last: bool) -> Iterator[Block]:
    head, tail = (0 if first else AROUND), (0 if last else AROUND)
    number = len(block.left_lines)
    if number <= head + tail + AROUND:
        yield block
        return
    if head:
        yield _part(block, "equal", 0, head)
    yield _part(block, "skip", head, number - tail)
    if tail:
        yield _part(block, "equal", number - tail, number)


def _part(block: Block, kind: str, begins: int, ends: int) -> Block:
    return Block(
        kind,
        block.left + begins,
        block.right + begins,
        block.left_lines[begins:ends],
        block.right_lines[begins:ends],
    )


def _where(begins: int, number: int) -> str:
    """Which lines, in words; empty where there are none."""
    if not number:
        return ""
    return f"{begins}" if number == 1 else f"{begins} to {begins + number - 1}"
