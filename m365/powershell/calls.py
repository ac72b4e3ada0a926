"""One call of a Teams cmdlet, as data.

On the wire it is JSON and the other side binds its values as parameters, so nothing in a value is ever parsed as
PowerShell. `m365.powershell.script` writes the same call down for a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, Union

_CMDLET = re.compile(r"(?:Get|New|Set|Remove|Grant)-Cs[A-Za-z]{1,60}")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,60}")

Value: TypeAlias = Union[str, bool, int, Sequence["Value"], "Table", "Call", "Made", None]


@dataclass(frozen=True, slots=True)
class Made:
    """What a call in `Call.before` of this name answered, or a property of that. Raises ValueError for odd names."""

    name: str
    property: str = ""

    def __post_init__(self) -> None:
        _check_names(((self.name, None),))
        if self.property:
            _check_names(((self.property, None),))


@dataclass(frozen=True, slots=True)
class Table:
    """A hash table, such as `@{Add=...}`. Raises ValueError for a key that is no plain word."""

    items: tuple[tuple[str, Value], ...]

    def __post_init__(self) -> None:
        _check_names(self.items)


@dataclass(frozen=True, slots=True)
class Call:
    """A cmdlet with its parameters, in order. `fields` are the properties wanted of each row that it answers.

    A parameter may be a call itself: its result is the value (`New-CsVoiceNormalizationRule -InMemory`). What is
    needed in two places, or of which only a property is, is made by the calls of `before`, in their order, each under
    a name; `Made` stands for it. Those only put things together: no call that writes belongs there.
    Raises ValueError for names that are none; values may be anything.
    """

    cmdlet: str
    parameters: tuple[tuple[str, Value], ...] = ()
    fields: tuple[str, ...] = ()
    before: tuple[tuple[str, Call], ...] = ()

    def __post_init__(self) -> None:
        if not _CMDLET.fullmatch(self.cmdlet):
            raise ValueError(f"{self.cmdlet!r} is not a cmdlet of Teams")
        _check_names(self.parameters)
        _check_names(tuple((field, None) for field in self.fields))
        _check_names(tuple((name, None) for name, _ in self.before))

    @property
    def writes(self) -> bool:
        """Whether it changes anything at Microsoft; a rule that is only made in memory does not."""
        return not self.cmdlet.startswith("Get-") and ("InMemory", True) not in self.parameters

    @property
    def about(self) -> str:
        """What it is about, for a sentence: its identity, or the cmdlet's noun."""
        named = dict(self.parameters)
        identity = named.get("Identity")
        return identity if isinstance(identity, str) else self.cmdlet.partition("-")[2]

    def as_json(self) -> dict[str, Any]:
        """As `session.ps1` reads it."""
        told: dict[str, Any] = {
            "cmdlet": self.cmdlet,
            "parameters": {name: _plain(value) for name, value in self.parameters},
            "fields": list(self.fields),
        }
        if self.before:
            told["before"] = [{"name": name, "call": call.as_json()} for name, call in self.before]
        return told


def _check_names(items: tuple[tuple[str, Value], ...]) -> None:
    names = [name for name, _ in items]
    # PowerShell's names know no case.
    if len({name.lower() for name in names}) != len(names):
        raise ValueError("a name is given twice")
    for name in names:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a name")


def _plain(value: Value) -> Any:
    if isinstance(value, Call):
        return {"call": value.as_json()}
    if isinstance(value, Table):
        return {"table": {name: _plain(inner) for name, inner in value.items}}
    if isinstance(value, Made):
        return {"made": {"name": value.name, "property": value.property}}
    if value is None or isinstance(value, (str, bool, int)):
        return value
    return [_plain(inner) for inner in value]
