r"""Tables out of a device's ini file (facts/audiocodes.md 1.3). Python's configparser mis-reads their ends.

    [ DialPlanRule ]
    FORMAT Index = DialPlanName, RuleIndex, Name, Prefix, Tag;
    DialPlanRule 0 = "CustDialPlan", 0, "Contoso", "+41589061[000-999]", "sbc.contoso.com";
    [ \DialPlanRule ]

Columns are found by their names in FORMAT, in any order and with strangers among them; older firmware writes the
table's name before each. Only the tables that are asked for are read. A whole table goes through one regular
expression; when that leaves a line over, the table is read again line by line, to read what is merely unusual and
to say which line is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter

_SECTION = re.compile(r"\n\[[ \t]*(\\?)[ \t]*([A-Za-z][A-Za-z0-9_]*)[ \t]*\][ \t]*(?=\n)")
_FORMAT = re.compile(r"\nFORMAT[ \t]+\w+[ \t]*=([^;\n]*);[ \t]*(?=\n)")
_CELL = re.compile(r'\s*("[^"]*"|(?:\[[^\]"]*\]|[^",;\[])*?)\s*([,;])')
_INDEX = "[0-9]{1,9}"
_QUOTED, _NUMBER, _BARE = '"([^"]*)"', "([0-9]+)", r"([\w.+-]*)"
"""A quoted value that runs over the end of its line leaves a line over: `at_once` has too few rows then."""


class IniError(ValueError):
    """A file that cannot be read; `line` counts from 1."""

    def __init__(self, line: int, why: str) -> None:
        self.line, self.why = line, why
        super().__init__(f"line {line}: {why}")


@dataclass(frozen=True, slots=True)
class Table:
    """One table. Each row begins with its index; values are without their quotes."""

    name: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def pick(self, *names: str) -> Iterator[tuple[str, ...]]:
        """Of each row its index and the values of these columns; empty ones where the table has no such column."""
        if names == self.columns:
            return iter(self.rows)
        places = [self.columns.index(name) + 1 if name in self.columns else -1 for name in names]
        if -1 in places:
            return ((row[0], *(row[place] if place > 0 else "" for place in places)) for row in self.rows)
        return map(itemgetter(0, *places), self.rows)


def read(text: str, names: Collection[str]) -> Mapping[str, Table]:
    """The tables of these names that the file has. Raises IniError; for a file that was cut off too."""
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        text = text.replace("\r\n", "\n")
    if not text.startswith("\n"):
        text = "\n" + text
    if "\0" in text:
        raise IniError(_line(text, text.index("\0")), "there is a character that no ini file has")
    found: dict[str, Table] = {}
    open_name, begins, first_line = "", 0, 0
    for mark in _SECTION.finditer(text):
        closes, name = bool(mark[1]), mark[2]
        if open_name and not (closes and name == open_name):
            raise IniError(
                first_line, f"the table {open_name} is not closed before line {_line(text, mark.end())}"
            )
        if closes and open_name:
            found[name] = _Body(name, text, begins, mark.start() + 1).table()
            open_name = ""
        elif not closes and name in names:
            if name in found:
                raise IniError(_line(text, mark.end()), f"the table {name} is there twice")
            open_name, begins, first_line = name, mark.end(), _line(text, mark.end())
    if open_name:
        last = _line(text, len(text.rstrip()))
        raise IniError(last, f"the file ends inside the table {open_name}: it was cut off")
    return found


def _line(text: str, at: int) -> int:
    """The number of the line that ends at or after this place; the text begins with a break of ours."""
    return text.count("\n", 0, at)


@dataclass(frozen=True, slots=True)
class _Body:
    """A table between its marks, as it stands in the whole text, which is not copied."""

    name: str
    text: str
    begins: int
    ends: int

    def table(self) -> Table:
        form = _FORMAT.search(self.text, self.begins, self.ends)
        if form is None:
            if self.text[self.begins : self.ends].strip():
                raise self.error(self.begins, f"the table {self.name} does not name its columns")
            return Table(self.name, (), [])
        columns = tuple(column.strip().removeprefix(f"{self.name}_") for column in form[1].split(","))
        if not all(columns) or len(set(columns)) != len(columns):
            raise self.error(
                form.end(), f"the table {self.name} has a column without a name, or two of one name"
            )
        rows = self.at_once(form.end())
        if len(rows) + 1 != self.most_lines() or (rows and len(rows[0]) != len(columns) + 1):
            rows = self.slowly(len(columns))
        return Table(self.name, columns, rows)

    def error(self, at: int, why: str) -> IniError:
        return IniError(_line(self.text, at), why)

    def most_lines(self) -> int:
        """How many lines are not empty; too many rather than too few where three breaks follow each other."""
        place = (self.begins, self.ends)
        ends_so = self.text.endswith("\n", *place)
        return self.text.count("\n", *place) - self.text.count("\n\n", *place) - ends_so

    def at_once(self, begins: int) -> list[tuple[str, ...]]:
        """The rows that look like the first one: quotes where it has quotes, and nothing unusual."""
        first = re.compile(rf"\n{self.name} {_INDEX} = ([^\n]*;)(?=\n)").search(self.text, begins, self.ends)
        if first is None:
            return []
        shapes = (_shape(cell[1]) for cell in _CELL.finditer(first[1]))
        row = re.compile(rf"\n{self.name} ({_INDEX}) = {', '.join(shapes)};(?=\n)")
        return row.findall(self.text, begins, self.ends)

    def slowly(self, width: int) -> list[tuple[str, ...]]:
        head = re.compile(rf"\s*{self.name}\s+({_INDEX})\s*=")
        rows, formats = [], 0
        lines = self.text[self.begins : self.ends].split("\n")
        for number, line in enumerate(lines, _line(self.text, self.begins)):
            if not line.strip() or line.lstrip().startswith(";"):
                continue
            if line.startswith("FORMAT"):
                formats += 1
                continue
            begun = head.match(line)
            if begun is None or formats != 1:
                raise IniError(number, f"this is no row of the table {self.name}")
            values = _cells(line, begun.end(), number)
            if len(values) != width:
                raise IniError(
                    number, f"the row has {len(values)} values, and the table {self.name} {width} columns"
                )
            rows.append((begun[1], *values))
        return rows


def _shape(value: str) -> str:
    """What a column looks like that has this value."""
    if value.startswith('"'):
        return _QUOTED
    return _NUMBER if value.isascii() and value.isdecimal() else _BARE


def _cells(line: str, at: int, number: int) -> list[str]:
    values: list[str] = []
    while (cell := _CELL.match(line, at)) is not None:
        values.append(cell[1][1:-1] if cell[1].startswith('"') else cell[1])
        at = cell.end()
        if cell[2] == ";":
            if line[at:].strip():
                raise IniError(number, f"something follows the end of the row at character {at + 1}")
            return values
    raise IniError(number, f"the value at character {at + 1} cannot be read; a quote or the ; may be missing")
