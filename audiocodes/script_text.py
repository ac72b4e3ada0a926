"""Scenario scripts as text: lines, words, and the placeholders in them, each with its place.

A script is what would be typed at the SBC's command line, with placeholders:

    {{CarrierHostName}}                   a value of the site's, or one that each script gets
    {{new:ip-group}} {{new:ip-group:2}}   the first and the second free row of a table, each the same all through
    {{row:ip-group:IPG_<SiteName>}}       the row that has this name; <...> are values too

A line that begins with `!` or `#` is a remark for people and is never sent. Words are kept apart here, once and for
all: what is put in for a placeholder later is part of its word and can never become another one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

VALUE = r"[A-Za-z][A-Za-z0-9]*(?:\.[A-Za-z][A-Za-z0-9]*)?"
_PLACE = re.compile(r"\{\{([^{}]*)\}\}")
_KINDS = re.compile(
    rf"(?P<value>{VALUE})|new:(?P<new>[a-z0-9-]+)(?::(?P<which>[1-9]))?|row:(?P<row>[a-z0-9-]+):(?P<name>[^<>]*(?:<{VALUE}>[^<>]*)*)"
)
_INNER = re.compile(rf"<({VALUE})>")
_NEVER = {"\\": "a backslash", "'": "a single quote", "{": "a single brace", "}": "a single brace"}


@dataclass(frozen=True, slots=True)
class Placeholder:
    """`key` is what stands between its braces, in one form: the key of what is put in."""

    kind: Literal["value", "new", "row"]
    key: str
    column: int
    table: str = ""
    """For rows: the last word of the table's path."""
    which: int = 1
    name: str = ""
    """For `row`: the name that is looked for, with its <...>."""

    @property
    def values(self) -> tuple[str, ...]:
        """The values that are needed for it."""
        return (self.key,) if self.kind == "value" else tuple(_INNER.findall(self.name))

    def name_with(self, values: dict[str, str]) -> str:
        """The name that is looked for. Raises KeyError with the value that is missing."""
        return _INNER.sub(lambda found: values[found[1]], self.name)


Part = str | Placeholder


@dataclass(frozen=True, slots=True)
class Word:
    """One word, without the quotes it was written in; `column` counts from 1."""

    column: int
    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """Its text, if nothing is to be put in."""
        return "".join(map(str, self.parts)) if all(isinstance(part, str) for part in self.parts) else None

    @property
    def places(self) -> tuple[Placeholder, ...]:
        return tuple(part for part in self.parts if isinstance(part, Placeholder))


@dataclass(frozen=True, slots=True)
class ScriptLine:
    """A line of a script, also an empty one; `problems` are (column, what, remedy) of what cannot be read."""

    number: int
    text: str
    words: tuple[Word, ...] = ()
    problems: tuple[tuple[int, str, str], ...] = ()

    @property
    def places(self) -> tuple[Placeholder, ...]:
        return tuple(place for word in self.words for place in word.places)

    def says(self, at: int) -> str:
        """The literal word at this place; empty where there is none."""
        return (self.words[at].literal or "") if at < len(self.words) else ""


def parse(script: str) -> list[ScriptLine]:
    """Its lines. Nothing is raised: what cannot be read stands in the `problems` of its line."""
    lines = script.replace("\r\n", "\n").split("\n")
    return [_Reader(number, line).line() for number, line in enumerate(lines, 1)]


def character(one: str) -> str:
    """A character in words, for a person who may not see it."""
    known = {'"': "a double quote", "\n": "a line break", "\r": "a line break", "\t": "a tabulator", **_NEVER}
    if one in known:
        return known[one]
    name = unicodedata.name(one, "")
    shown = f" {one}" if one.isprintable() and one != " " else ""
    return f"the character{shown} (U+{ord(one):04X}{f', {name.lower()}' if name else ''})"


@dataclass(slots=True)
class _Reader:
    number: int
    text: str
    problems: list[tuple[int, str, str]] = field(default_factory=list)

    def line(self) -> ScriptLine:
        if self.text.lstrip().startswith(("!", "#")):
            return ScriptLine(self.number, self.text)
        words = tuple(self.words())
        return ScriptLine(self.number, self.text, words, tuple(self.problems))

    def words(self) -> Iterator[Word]:
        at = 0
        while at < len(self.text):
            if self.text[at] in " \t":
                at += 1
                continue
            begins, (parts, at) = at, self.word(at)
            yield Word(begins + 1, parts)

    def word(self, at: int) -> tuple[tuple[Part, ...], int]:
        """The parts of the word that begins here, and where it ends."""
        parts: list[Part] = []
        quote = -1
        while at < len(self.text) and (quote >= 0 or self.text[at] not in " \t"):
            place = _PLACE.match(self.text, at)
            if place is not None:
                made = self.placeholder(place[1], at)
                parts += [made] if made else []
                at = place.end()
                continue
            one = self.text[at]
            if one == '"':
                quote = -1 if quote >= 0 else at
            else:
                self.check(one, at)
                parts.append(one)
            at += 1
        if quote >= 0:
            self.complain(quote, "The quote is not closed.", 'Put a " behind the value.')
        return tuple(_joined(parts)), at

    def placeholder(self, inside: str, at: int) -> Placeholder | None:
        found = _KINDS.fullmatch(inside.strip())
        if found is None:
            self.complain(
                at,
                f"{{{{{inside}}}}} is no placeholder.",
                "Write the name of a variable, new:TABLE, or row:TABLE:NAME between the braces.",
            )
            return None
        column, key = at + 1, found[0]
        if found["value"]:
            return Placeholder("value", key, column)
        if found["new"]:
            which = int(found["which"] or 1)
            return Placeholder("new", f"new:{found['new']}:{which}", column, found["new"], which)
        return Placeholder("row", key, column, found["row"], name=found["name"])

    def check(self, one: str, at: int) -> None:
        if one in "{}":
            self.complain(
                at,
                "The braces are not balanced.",
                "A placeholder stands between two braces on each side: {{SiteName}}.",
            )
        elif one in _NEVER or not (one.isprintable() or one == "\t"):
            self.complain(at, f"There is {character(one)}.", "Take it out: it is not sent to an SBC.")

    def complain(self, at: int, what: str, remedy: str) -> None:
        self.problems.append((at + 1, what, remedy))


def _joined(parts: list[Part]) -> Iterator[Part]:
    """The same parts, with neighbouring characters as one text."""
    text = ""
    for part in parts:
        if isinstance(part, str):
            text += part
            continue
        if text:
            yield text
        text = ""
        yield part
    if text:
        yield text
