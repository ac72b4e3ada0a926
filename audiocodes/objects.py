"""What a script makes on an SBC: the rows it means, those that came into being, and how to take them away again.

Nothing says that a script is carried out whole or not at all, and the device's answer cannot be read as a table
(facts/audiocodes.md 1.2). So the tables are read before and after, and what counts is the difference. A row has a
key: its table and its index, or the index of the row it stands in and its own.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from audiocodes import inifile
from audiocodes.script import MASK
from audiocodes.script_tables import AREAS, BY_PATH, EXITS, LOOKS, SECRET_PARAMETERS, TABLES, Known

Key = tuple[str, tuple[int, ...]]
Values = dict[str, str]
"""By column of the ini file. What is secret there is HIDDEN, or empty."""
Rows = dict[Key, Values]

HIDDEN = "(hidden)"
BY_INI = {each.ini: each for each in TABLES}
_INSIDE = {"ProxyIp": ("ProxySetId", "ProxyIpIndex"), "DialPlanRule": ("DialPlanName", "RuleIndex")}
"""Of tables whose rows stand in others: which column names that row, and which is the place in it."""
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "CpMediaRealm": {"name": "MediaRealmName", "port-range-start": "PortRangeStart"},
    "ProxySet": {"proxy-name": "ProxyName", "name": "ProxyName"},
    "ProxyIp": {"proxy-address": "IpAddress"},
    "IpProfile": {"profile-name": "ProfileName"},
    "IPGroup": {
        "name": "Name",
        "proxy-set-name": "ProxySetName",
        "tags": "Tags",
        "call-setup-rules-set-id": "CallSetupRulesSetId",
        "cac-profile": "AdmProfile",
    },
    "Classification": {
        "classification-name": "ClassificationName",
        "src-ip-group-name": "SrcIPGroupName",
        "dst-host": "DestHost",
    },
    "DialPlan": {"name": "Name"},
    "DialPlanRule": {"name": "Name", "prefix": "Prefix", "tag": "Tag"},
    "Account": {
        "user-name": "Username",
        "password": "Password",
        "host-name": "HostName",
        "contact-user": "ContactUser",
        "served-ip-group-name": "ServedIPGroupName",
    },
}
"""Parameters of the command line by their columns (facts 5.2); what is not here can be set in new rows only."""
_POINTS: Mapping[str, Mapping[str, str]] = {
    "SIPInterface": {"MediaRealm": "CpMediaRealm"},
    "IPGroup": {"ProxySetName": "ProxySet", "IpProfileName": "IpProfile"},
    "Classification": {"SrcIPGroupName": "IPGroup"},
    "IP2IPRouting": {"SrcIPGroupName": "IPGroup", "DestIPGroupName": "IPGroup"},
    "Account": {"ServedIPGroupName": "IPGroup", "ServingIPGroupName": "IPGroup"},
}
"""Columns that hold the name of a row of another table."""


class NotMeantError(ValueError):
    """A script that must not be sent: its `line`, counted from 1, would do what could not be taken back."""

    def __init__(self, line: int, why: str) -> None:
        self.line, self.why = line, why
        super().__init__(f"line {line}: {why}")


@dataclass(frozen=True, slots=True)
class Meant:
    """What a script would do to these tables: rows that come into being, in its order, and rows that are there."""

    makes: Rows
    lines: Mapping[Key, int]
    """Where each was completed."""
    uses: tuple[Key, ...]


def read(text: str) -> Rows:
    """The tables of an ini file that scripts write to. Raises inifile.IniError."""
    found = inifile.read(text, list(BY_INI))
    rows: Rows = {}
    outer: dict[str, dict[str, int]] = {}
    for known in TABLES:
        table = found.get(known.ini)
        if table is None:
            continue
        for row in table.rows:
            values = dict(zip(table.columns, row[1:], strict=True))
            key = _key(known, row[0], values, outer)
            if key is not None:
                rows[key] = {name: _shown(name, value) for name, value in values.items()}
                if known.name:
                    outer.setdefault(known.ini, {})[values.get(known.name, "")] = key[1][0]
    return rows


def _key(known: Known, number: str, values: Values, outer: Mapping[str, Mapping[str, int]]) -> Key | None:
    """Of a row as it was read; it no longer has the columns that say where it stands."""
    if known.ini not in _INSIDE:
        return known.ini, (int(number),)
    holder, place = (values.pop(name, "") for name in _INSIDE[known.ini])
    at = _whole(holder)
    if at is None:
        at = outer.get(BY_PATH[known.inside].ini, {}).get(holder)
    where = _whole(place or number)
    return None if at is None or where is None else (known.ini, (at, where))


def _whole(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _shown(column: str, value: str) -> str:
    return HIDDEN if value and "password" in column.lower() else value


def name_of(key: Key, values: Mapping[str, str]) -> str:
    """For people: IPGroup 3 "IPG_Contoso", DialPlanRule 0/12 "+4158"."""
    name = values.get(BY_INI[key[0]].name, "") or values.get("Prefix", "") or values.get("IpAddress", "")
    return f"{key[0]} {'/'.join(map(str, key[1]))}" + (f' "{name}"' if name else "")


# --- What a script means --------------------------------------------------------------------------------------
def meant(lines: Sequence[str], now: Mapping[Key, Values]) -> Meant:
    """What these lines would do. Raises NotMeantError where they would change a row, or nobody can tell."""
    makes: Rows = {}
    at: dict[Key, int] = {}
    uses: dict[Key, None] = {}
    for line, key, values, untold in _Reader().acts(lines):
        there = now.get(key)
        if there is None:
            merged = {**makes.pop(key, {}), **values}
            _check_name(line, key, merged, now)
            makes[key], at[key] = merged, line
        elif odd := [*untold, *(column for column in values if column not in there)]:
            what = f"it would set {odd[0]} of {name_of(key, there)}, which is there already"
            raise NotMeantError(line, f"{what}, and nobody can read what it is now")
        elif fits(there, values):
            uses[key] = None
        else:
            raise NotMeantError(line, f"it would change {name_of(key, there)}, which is there already")
    return Meant(makes, at, tuple(uses))


def _check_name(line: int, key: Key, values: Values, now: Mapping[Key, Values]) -> None:
    column = BY_INI[key[0]].name
    name = values.get(column, "") if column else ""
    for other, each in now.items():
        if name and other[0] == key[0] != "Account" and other != key and each.get(column) == name:
            raise NotMeantError(line, f"{name_of(other, each)} has this name already")


def fits(there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a row that was read has what was asked for, as far as the device tells; secrets are not compared."""
    return all(_same(there.get(column, value), value) for column, value in wanted.items())


def _same(there: str, wanted: str) -> bool:
    return bool(there) if wanted == HIDDEN else there == wanted


def without_secrets(there: Values, wanted: Mapping[str, str]) -> Values:
    """A row as it was read, fit to be kept: what was put in as a secret is hidden, whichever column it went to."""
    return {name: HIDDEN if wanted.get(name) == HIDDEN else value for name, value in there.items()}


def resembles(key: Key, there: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether it may be the wanted row, perhaps half made: nothing in it contradicts."""
    column = BY_INI[key[0]].name
    if column in wanted and not _same(there.get(column, ""), wanted[column]):
        return False
    return all(not there.get(name) or _same(there[name], value) for name, value in wanted.items())


class _Reader:
    """Goes through a script as the device would: where the cursor stands, and the row under construction."""

    def __init__(self) -> None:
        self.area = ""
        self.place: list[Key] = []
        self.values: Values = {}
        self.untold: list[str] = []
        """Parameters that were set and of which no reading tells what they were: unknown ones and secrets."""
        self.open_since = 0
        """The line that began what no `activate` has kept yet."""

    def acts(self, lines: Sequence[str]) -> Iterator[tuple[int, Key, Values, list[str]]]:
        for number, line in enumerate(lines, 1):
            try:
                words = shlex.split(line)
            except ValueError:
                raise NotMeantError(number, "a quote is not closed") from None
            if not words or words[0].startswith("!") or words[0] in LOOKS:
                continue
            if words == ["activate"]:
                if not self.place:
                    raise NotMeantError(number, "there is no row to activate")
                self.open_since = 0
                yield number, self.place[-1], dict(self.values), list(self.untold)
            else:
                self.step(number, words)
        self.leave()

    def step(self, number: int, words: list[str]) -> None:
        if words[0] == "no":
            raise NotMeantError(number, "it takes something away, and this script is to make something")
        if words[0] == "configure" and len(words) == 2 and words[1] in AREAS:
            self.leave()
            self.area, self.place = words[1], []
        elif words[0] in EXITS and len(words) == 1:
            self.leave()
            self.place = self.place[:-1]
        elif self.place and words[0] in BY_INI[self.place[-1][0]].parameters and len(words) == 2:
            self.set(number, words[0], words[1])
        elif (known := BY_PATH.get(" ".join(words[:-1]))) is not None and words[-1].isdecimal():
            self.leave()
            self.enter(number, known, int(words[-1]))
        elif self.place and len(words) == 2:
            self.set(number, words[0], words[1])
        else:
            raise NotMeantError(number, "the portal does not know what it makes, and could not take it back")

    def set(self, number: int, parameter: str, value: str) -> None:
        self.open_since = self.open_since or number
        column = _COLUMNS.get(self.place[-1][0], {}).get(parameter)
        hidden = parameter in SECRET_PARAMETERS or MASK in value
        if column is None or hidden:
            self.untold.append(parameter)
        if column is not None:
            self.values[column] = HIDDEN if hidden else value

    def enter(self, number: int, known: Known, index: int) -> None:
        if not known.inside:
            if known.area != self.area:
                raise NotMeantError(number, f"{known.path} belongs behind: configure {known.area}")
            self.place = [(known.ini, (index,))]
        else:
            holder = BY_PATH[known.inside].ini
            while self.place and self.place[-1][0] != holder:
                self.place.pop()
            if not self.place:
                raise NotMeantError(number, f"{known.path} belongs into a row of {known.inside}")
            self.place.append((known.ini, (self.place[-1][1][0], index)))
        self.values, self.untold, self.open_since = {}, [], 0

    def leave(self) -> None:
        if self.open_since:
            raise NotMeantError(
                self.open_since, "what is set here is never activated, so the device drops it"
            )
        self.values, self.untold = {}, []


# --- Taking away ----------------------------------------------------------------------------------------------
def undo(rows: Mapping[Key, Values]) -> list[str]:
    """The lines that remove these rows: in reverse order, each after those that point to it or stand in it."""
    left = list(rows)
    lines: list[str] = []
    area = ""
    while left:
        key = next((one for one in reversed(left) if not _held(one, left, rows)), left[-1])
        left.remove(key)
        known = BY_INI[key[0]]
        if known.area != area:
            area = known.area
            lines += ["exit", f"configure {area}"] if lines else [f"configure {area}"]
        if known.inside:
            lines += [f"{known.inside} {key[1][0]}", f"no {known.path} {key[1][1]}", "exit"]
        else:
            lines.append(f"no {known.path} {key[1][0]}")
    return [*lines, "exit"] if lines else []


def _held(key: Key, among: Iterable[Key], rows: Mapping[Key, Values]) -> bool:
    return any(_leans(other, rows[other], key, rows[key]) for other in among if other != key)


def _leans(other: Key, others: Mapping[str, str], key: Key, values: Mapping[str, str]) -> bool:
    """Whether the other row stands in this one or names it."""
    if other[0] in _INSIDE and BY_PATH[BY_INI[other[0]].inside].ini == key[0]:
        return other[1][0] == key[1][0]
    name = values.get(BY_INI[key[0]].name, "")
    points = _POINTS.get(other[0], {})
    return bool(name) and any(
        table == key[0] and others.get(column) == name for column, table in points.items()
    )


def leaning(rows: Mapping[Key, Values], now: Mapping[Key, Values]) -> list[str]:
    """Rows of others that stand in one of these or point to it, each in words: with them it cannot be removed."""
    return [
        f"{name_of(other, each)} needs {name_of(key, now[key])}"
        for key in rows
        if key in now
        for other, each in now.items()
        if other not in rows and _leans(other, each, key, now[key])
    ]


# --- In the database ------------------------------------------------------------------------------------------
def to_json(rows: Mapping[Key, Values]) -> list[dict[str, Any]]:
    return [{"table": key[0], "key": list(key[1]), "values": dict(values)} for key, values in rows.items()]


def from_json(rows: Iterable[Mapping[str, Any]]) -> Rows:
    return {(row["table"], tuple(row["key"])): dict(row["values"]) for row in rows}
