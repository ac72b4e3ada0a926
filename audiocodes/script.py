"""Scenario scripts: what is made of a template before it goes to an SBC (facts/audiocodes.md 5.3, 5.4).

    lint(script, variables, purpose)      what is wrong with a template, where, and what to do
    check_value(variable, value)          a value as a person entered it
    resolve(script, tables, values)       the numbers of rows, from what was read from the device
    render(script, values, secrets)       the lines to send, and the same for people, with secrets masked

A value is part of one quoted word and stays so: whatever it is, the rendered script has the template's lines, words
and commands. `tables` is what `inifile.read(text, script.INI)` answers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from audiocodes.inifile import Table
from audiocodes.script_lint import ERROR, WARNING, Finding, lint
from audiocodes.script_tables import BY_PATH, BY_WORD, EXITS, INI, LOOKS
from audiocodes.script_text import Part, Placeholder, ScriptLine, Word, parse
from audiocodes.script_values import (
    AUTOMATIC,
    KNOWN,
    Kind,
    RefusedValueError,
    Variable,
    check_characters,
    check_value,
    short_name,
)

__all__ = [
    "AUTOMATIC",
    "ERROR",
    "INI",
    "KNOWN",
    "WARNING",
    "Finding",
    "Kind",
    "Line",
    "Placeholder",
    "RefusedValueError",
    "ScriptError",
    "ScriptLine",
    "Variable",
    "Word",
    "as_script",
    "check_value",
    "lint",
    "parse",
    "render",
    "resolve",
    "short_name",
]

MASK = "••••••••"
FIRST_ROW = 1
"""Row 0 of some tables is the device's own default, and is not listed by each firmware."""
_COMMANDS = frozenset({"configure", "no", "do", "activate", *EXITS, *LOOKS})
_BARE = re.compile(r"[A-Za-z0-9_.:+/@-]+", re.ASCII)


class ScriptError(ValueError):
    """A line of a template from which nothing can be made for this device; `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        self.line, self.why = line, why
        super().__init__(f"line {line}: {why}")


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a rendered script: `text` is sent, `shown` is for people and has no secret in it.

    `text` is empty where nothing is to be sent: for a remark, a value that was left empty, a row that is not there
    to be removed; `shown` says which.
    """

    number: int
    text: str
    shown: str


def as_script(lines: Iterable[Line]) -> str:
    """What is sent: the same lines, so that the device's line numbers are those of the template."""
    return "\n".join(line.text for line in lines) + "\n"


def resolve(script: str, tables: Mapping[str, Table], values: Mapping[str, str]) -> dict[str, str]:
    """The numbers of the rows that a script names, by its placeholders' keys, to be rendered with the values.

    A row that is not there is empty where it is only to be removed. Raises ScriptError for any other row that is not
    there or that is there twice, and for a name with a value that is missing.
    """
    found: dict[str, str] = {}
    for line in parse(script):
        for place in line.places:
            if place.kind == "new":
                found[place.key] = _free(line, place, tables)
            elif place.kind == "row":
                number = _row(line, place, tables, values)
                if not number and line.says(0) != "no":
                    raise ScriptError(
                        line.number, f"{place.table} '{_name(line, place, values)}' is not on the SBC"
                    )
                found[place.key] = number
    return found


def render(script: str, values: Mapping[str, str], secrets: Mapping[str, str] | None = None) -> list[Line]:
    """One line for each of the template's. `values` are of variables, automatic ones and resolved rows.

    Values are as `check_value` answers them; a value that is not there is empty. Raises RefusedValueError for one
    that could be more than a value, ScriptError for a line that cannot be read or would lack a word.
    """
    secrets, lines = secrets or {}, parse(script)
    for name in dict.fromkeys(place.key for line in lines for place in line.places):
        check_characters(name, values.get(name, ""))
        check_characters(name, secrets.get(name, ""), secret=True)
    return [_line(line, values, secrets) for line in lines]


def _line(line: ScriptLine, values: Mapping[str, str], secrets: Mapping[str, str]) -> Line:
    if line.problems:
        column, what, _ = line.problems[0]
        raise ScriptError(line.number, f"character {column}: {what}")
    if not line.words:
        return Line(line.number, "", line.text)
    indent = line.text[: len(line.text) - len(line.text.lstrip(" \t"))]
    everything = {**values, **secrets}
    words = [_filled(word, everything) for word in line.words]
    masked = {**values, **{name: MASK for name, value in secrets.items() if value}}
    shown = indent + " ".join(_quoted(_filled(word, masked)) for word in line.words)
    for word, text in zip(line.words, words, strict=True):
        if text or not word.places:
            continue
        if line.says(0) == "no" and word.places[0].kind == "row":
            return Line(line.number, "", f"! {line.text.strip()}: not on the SBC, nothing to remove")
        if _may_be_left_out(line):
            return Line(line.number, "", f"! {line.text.strip()}: no value, left as it is")
        raise ScriptError(line.number, f"{{{{{word.places[0].key}}}}} has no value")
    return Line(line.number, indent + " ".join(map(_quoted, words)), shown)


def _filled(word: Word, values: Mapping[str, str]) -> str:
    return "".join(_put(part, values) for part in word.parts)


def _put(part: Part, values: Mapping[str, str]) -> str:
    return part if isinstance(part, str) else values.get(part.key, "")


def _quoted(text: str) -> str:
    """One word of a command line. Characters that could end it are refused before anything comes here."""
    return text if _BARE.fullmatch(text) else f'"{text}"'


def _may_be_left_out(line: ScriptLine) -> bool:
    """Whether it gives one value to one parameter of a row."""
    values = len(line.words) == 2 and all(place.kind == "value" for place in line.words[1].places)
    return values and line.says(0) not in {"", *_COMMANDS, *BY_PATH}


def _table(line: ScriptLine, place: Placeholder, tables: Mapping[str, Table]) -> tuple[Table | None, str]:
    """The device's table, and the column by which its rows are found."""
    known = BY_WORD.get(place.table)
    if known is None or known.inside or (place.kind == "row" and not known.name):
        raise ScriptError(line.number, f"no row of {place.table} can be looked up")
    return tables.get(known.ini), known.name


def _free(line: ScriptLine, place: Placeholder, tables: Mapping[str, Table]) -> str:
    table, _ = _table(line, place, tables)
    taken = {int(row[0]) for row in table.rows} if table else set()
    number, left = FIRST_ROW, place.which
    while True:
        left -= number not in taken
        if not left:
            return str(number)
        number += 1


def _row(line: ScriptLine, place: Placeholder, tables: Mapping[str, Table], values: Mapping[str, str]) -> str:
    table, column = _table(line, place, tables)
    name = _name(line, place, values)
    numbers = [number for number, value in table.pick(column) if value == name] if table and name else []
    if len(numbers) > 1:
        raise ScriptError(line.number, f"the SBC has {len(numbers)} rows {place.table} '{name}'")
    return numbers[0] if numbers else ""


def _name(line: ScriptLine, place: Placeholder, values: Mapping[str, str]) -> str:
    missing = [each for each in place.values if not values.get(each)]
    if missing:
        raise ScriptError(line.number, f"{{{{{place.key}}}}} needs a value for {missing[0]}")
    return place.name_with(dict(values))
