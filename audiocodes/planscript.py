"""Dial plan rules as lines for the SBC's command line (facts/audiocodes.md 5.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from audiocodes.script_values import check_characters


class Values(NamedTuple):
    """What a rule says."""

    name: str
    prefix: str
    tag: str


class Change(NamedTuple):
    """A rule to be written at this index of a plan, or with `values` None to be taken away from it.

    `plan` is the number of the plan's row, not its name.
    """

    plan: str
    place: int
    values: Values | None


def script(changes: Iterable[Change]) -> str:
    """In the order given. Raises RefusedValueError for a value that could be more than a value."""
    return "\n".join(_lines(changes)) + "\n"


def _lines(changes: Iterable[Change]) -> Iterator[str]:
    yield "configure voip"
    inside = ""
    for plan, place, values in changes:
        if plan != inside:
            if inside:
                yield "exit"
            yield f"sbc dial-plan {int(plan)}"
            inside = plan
        if values is None:
            yield f"no dial-plan-rule {int(place)}"
            continue
        yield f"dial-plan-rule {int(place)}"
        for name, value in zip(values._fields, values, strict=True):
            check_characters(name, value)
            yield f'{name} "{value}"'
        yield "activate"
        yield "exit"
    if inside:
        yield "exit"
    yield "exit"
