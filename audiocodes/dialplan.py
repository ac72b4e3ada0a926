"""Dial plan rules: what a person may enter, and what a device may hold (facts/audiocodes.md 2).

A rule covers numbers by their first digits, and without `#` every longer number too. So each rule that a
person may enter is one interval on a line of fifteen digits, and nothing is ever expanded: a range of a
million numbers costs what one number costs.

Two grammars, one reader. `parse` takes what this portal writes: digits, a plus before them, one range at the
end. `parse_device` takes everything that a device understands, because others write on it too; where that is
no set of intervals it answers a wider one and says so, so that an overlap may be reported in vain but is never
missed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

LINE = 15
"""Digits of the line: the longest number of E.164."""
LONGEST = 50
"""Characters of a Prefix on the device (facts 1.5)."""
LONGEST_READ = 1_000
"""Characters of a Prefix that is read at all: nothing on the way measures a device's file."""
WIDEST = 6
"""Digits of a range's bounds."""
MOST_INTERVALS = 1_000
"""A device's rule of more intervals than this is answered by its outer bounds."""
SCALE = tuple(10 ** (LINE - digits) for digits in range(LINE + 1))
"""By number of digits: how many numbers of the line each one stands for."""

_RULE = re.compile(r"(\+?)([0-9]{1,15})(?:\[([0-9]{1,6})-([0-9]{1,6})\])?")


class GrammarError(ValueError):
    """A rule that cannot be read. `position` counts characters from 0; `hint` is what may have been meant."""

    def __init__(self, text: str, position: int, why: str, hint: str = "") -> None:
        self.text, self.position, self.why, self.hint = text, position, why, hint
        super().__init__(f"{why} (character {position + 1}){f': did you mean {hint}?' if hint else ''}")


class Rule(NamedTuple):
    """A rule of this portal: numbers of `length` digits from `low` to `high`, and every longer one."""

    plus: bool
    length: int
    low: int
    high: int

    @property
    def numbers(self) -> int:
        """How many it holds, without the longer ones."""
        return self.high - self.low + 1

    @property
    def span(self) -> tuple[int, int]:
        """On the line of fifteen digits, the end excluded, as PostgreSQL writes an int8range."""
        scale = SCALE[self.length]
        return self.low * scale, (self.high + 1) * scale

    def __str__(self) -> str:
        """As it is written on the device; a range of one number is that number."""
        sign = "+" if self.plus else ""
        low, high = f"{self.low:0{self.length}}", f"{self.high:0{self.length}}"
        if low == high:
            return f"{sign}{low}"
        same = next(at for at in range(self.length) if low[at] != high[at])
        return f"{sign}{low[:same]}[{low[same:]}-{high[same:]}]"


def parse(text: str, *, needs_plus: bool = True) -> Rule:
    """A rule as a person enters it: `+4455896552`, `+44587996[01-20]`; blanks around it do not matter.

    Raises GrammarError with the place and, where it can be guessed, what was meant.
    """
    text = text.strip(" \t")
    found = _RULE.fullmatch(text)
    if found is None:
        _explain(text)
    plus, digits, low, high = found.groups()
    if needs_plus and not plus:
        raise GrammarError(text, 0, "the number has no + before its country code", _with_plus(text))
    if low is None:
        number = int(digits)
        return Rule(bool(plus), len(digits), number, number)
    length = len(digits) + len(low)
    if len(low) != len(high) or low > high or length > LINE:
        _explain_range(text, digits, low, high)
    scale = 10 ** len(low)
    head = int(digits) * scale
    return Rule(bool(plus), length, head + int(low), head + int(high))


# --- Why not ------------------------------------------------------------------------------------------------
_WILD = {"x": ("0", "9"), "z": ("1", "9"), "n": ("2", "9")}
_EXCEL = re.compile(r"[0-9.,]+[eE]\+?[0-9]+")
_ALIKE = {ord("\uff0b"): "+", **{0xFF10 + digit: str(digit) for digit in range(10)}}
_WILD_TAIL = re.compile(r"(\+?[0-9]+)([xXzZnN]{1,6})")


def _explain(text: str) -> NoReturn:
    """Say what is wrong with a text that is no rule, at its first wrong character."""
    if not text or text == "+":
        raise GrammarError(text, len(text), "there is no number")
    if len(text) > LONGEST:
        raise GrammarError(text, LONGEST, f"a rule has {LONGEST} characters at most")
    if _EXCEL.fullmatch(text):
        raise GrammarError(
            text, text.upper().index("E"), "a spreadsheet has rounded this number; format it as text"
        )
    if (wild := _WILD_TAIL.fullmatch(text)) is not None:
        low, high = ("".join(_WILD[letter.lower()][end] for letter in wild[2]) for end in (0, 1))
        raise GrammarError(
            text, len(wild[1]), f"{wild[2][0]} is not allowed here", f"{wild[1]}[{low}-{high}]"
        )
    for position, character in enumerate(text):
        if character not in "+0123456789[]-" or (character == "+" and position):
            raise GrammarError(text, position, _stranger(character), _without(text, character))
    _explain_brackets(text)


def _stranger(character: str) -> str:
    if character in "#*.()\\,xznXZN":
        return f"{character} is not allowed here; write each range as a rule of its own"
    if character.isspace():
        return "there is a blank inside the number"
    if character.isprintable() and character.isascii():
        return f"{character} does not belong into a number"
    return f"this character (U+{ord(character):04X}) does not belong into a number, though it may look as if it did"


def _without(text: str, character: str) -> str:
    """The text with what looks like digits made digits, and without this one if it only adorns; "" if no rule."""
    meant = text.translate(_ALIKE)
    if character.isspace() or character in "+-#]":
        meant = meant.replace(character, "")
    return meant if _RULE.fullmatch(meant) else ""


def _with_plus(text: str) -> str:
    return f"+{text[2:]}" if text.startswith("00") and _RULE.fullmatch(text[2:]) else f"+{text}"


def _explain_brackets(text: str) -> NoReturn:
    """Only the right characters, and still no rule: too many digits, or brackets that are no range at the end."""
    opened, closed = text.find("["), text.find("]")
    if opened < 0:
        stray = next((at for at, character in enumerate(text) if character in "]-"), None)
        if stray is not None:
            raise GrammarError(
                text, stray, f"{text[stray]} stands outside of brackets", _without(text, text[stray])
            )
        raise GrammarError(text, LINE + text.count("+"), f"a number has {LINE} digits at most")
    if opened <= text.count("+"):
        raise GrammarError(text, opened, "a range needs at least one digit before it")
    if text.find("[", opened + 1) > 0:
        raise GrammarError(text, text.find("[", opened + 1), "only one range is allowed; write several rules")
    if closed < 0:
        raise GrammarError(text, len(text), "the bracket is not closed", f"{text}]")
    if closed != len(text) - 1:
        raise GrammarError(text, closed + 1, "a range stands at the end; write several rules")
    inside = text[opened + 1 : closed]
    low, dash, high = inside.partition("-")
    if not dash or not low or not high or "-" in high:
        raise GrammarError(text, opened + 1, "a range has two numbers with - between them, such as [01-20]")
    if max(len(low), len(high)) > WIDEST:
        raise GrammarError(text, opened + 1, f"the numbers of a range have {WIDEST} digits at most")
    raise GrammarError(text, LINE + text.count("+"), f"a number has {LINE} digits at most")


def _explain_range(text: str, digits: str, low: str, high: str) -> NoReturn:
    at = text.index("[") + 1
    head = text[: at - 1]
    if len(low) != len(high):
        width = max(len(low), len(high))
        hint = f"[{low:0>{width}}-{high:0>{width}}]"
        raise GrammarError(text, at, "both numbers of a range have the same width", f"{head}{hint}")
    if low > high:
        raise GrammarError(text, at, "the range ends before it begins", f"{head}[{high}-{low}]")
    raise GrammarError(text, at, f"{len(digits)} digits and a range of {len(low)} are more than {LINE}")


# --- What a device may hold ---------------------------------------------------------------------------------
class Coverage(NamedTuple):
    """Which numbers a device's rule may match, on the line of fifteen digits, each interval's end excluded.

    `plus` None stands for both. `shortest` and `longest` are lengths in digits. `exact` is False when the true
    set is smaller than this.
    """

    plus: bool | None
    shortest: int
    longest: int
    intervals: tuple[tuple[int, int], ...]
    exact: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One place of a pattern, or several digits at once: numbers of `width` digits out of `ranges`, ends included."""

    width: int
    ranges: tuple[tuple[int, int], ...]

    @property
    def full(self) -> bool:
        return self.ranges == ((0, 10**self.width - 1),)

    @property
    def count(self) -> int:
        return sum(high - low + 1 for low, high in self.ranges)

    def holds(self, digits: str) -> bool:
        return any(low <= int(digits) <= high for low, high in self.ranges)


_ANY = Group(1, ((0, 9),))
_CLASSES = {"x": _ANY, ".": _ANY, "z": Group(1, ((1, 9),)), "n": Group(1, ((2, 9),))}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A device's rule, read: groups of digits from the left, groups of digits at the end, and whether it ends there.

    `plus` None is for the rule of any number. `text` is True for a rule with letters: no number ever matches it.
    """

    plus: bool | None
    groups: tuple[Group, ...]
    suffix: tuple[Group, ...] = ()
    ends: bool = False
    text: bool = False

    @property
    def width(self) -> int:
        return sum(group.width for group in self.groups)

    def matches(self, number: str) -> bool:
        """Whether a dialled number, with or without its plus, is one of this rule's."""
        plus, digits = number.startswith("+"), number.removeprefix("+")
        tail = sum(group.width for group in self.suffix)
        if self.text or self.plus not in {None, plus} or len(digits) < max(self.width, tail):
            return False
        if self.ends and len(digits) != self.width:
            return False
        return _holds(self.groups, digits) and _holds(self.suffix, digits[len(digits) - tail :])

    @property
    def weight(self) -> tuple[int, ...]:
        """Sorts the rules that match a number: the first one wins on the device (facts 2.1, best match)."""
        places = [choices for group in self.groups for choices in _choices(group)]
        tail = [choices for group in self.suffix for choices in _choices(group)]
        beyond = [11] * (LINE + 1 - len(places))
        return (*places, *beyond, -len(tail), *tail)


def _choices(group: Group) -> Iterator[int]:
    """How many digits are possible at each place of a group."""
    for place in range(group.width):
        scale = 10 ** (group.width - place - 1)
        found: set[int] = set()
        for low, high in group.ranges:
            first, last = low // scale, high // scale
            found |= {digit % 10 for digit in range(first, min(last, first + 9) + 1)}
        yield len(found)


def _holds(groups: tuple[Group, ...], digits: str) -> bool:
    at = 0
    for group in groups:
        if not group.holds(digits[at : at + group.width]):
            return False
        at += group.width
    return True


def parse_device(text: str) -> Pattern:
    """A rule in the device's own grammar (facts 2.1). Raises GrammarError for what the device would refuse too."""
    if len(text) > LONGEST_READ:
        raise GrammarError(text, LONGEST_READ, f"a rule has {LONGEST} characters at most")
    if text == "*":
        return Pattern(plus=None, groups=())
    reader = _Reader(text)
    plus = reader.take("+")
    groups, letters = reader.groups(until="(#")
    suffix: tuple[Group, ...] = ()
    if reader.take("("):
        suffix, more = reader.groups(until=")")
        letters = letters or more
        reader.expect(")")
    ends = reader.take("#")
    if not reader.at_end:
        raise GrammarError(text, reader.at, "nothing may follow the end of the rule")
    return Pattern(plus=plus, groups=groups, suffix=suffix, ends=ends, text=letters)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    @property
    def at_end(self) -> bool:
        return self.at >= len(self.text)

    def take(self, character: str) -> bool:
        found = self.text.startswith(character, self.at)
        self.at += found
        return found

    def expect(self, character: str) -> None:
        if not self.take(character):
            raise GrammarError(self.text, self.at, f"{character} is missing")

    def groups(self, until: str) -> tuple[tuple[Group, ...], bool]:
        """(groups, whether there are letters); a `#` that is not the last character is a character like another."""
        found: list[Group] = []
        letters = False
        while not self.at_end and not self._ends(until):
            group = self._one()
            letters = letters or group is None
            if group is not None:
                found.append(group)
        return tuple(found), letters

    def _ends(self, until: str) -> bool:
        character = self.text[self.at]
        return character in until and (character != "#" or self.at == len(self.text) - 1)

    def _one(self) -> Group | None:
        """The next group; None for a letter or a sign."""
        character = self.text[self.at]
        if character == "[":
            return self._range()
        self.at += 1
        if character == "\\":
            if self.at_end:
                raise GrammarError(self.text, self.at, "nothing follows the backslash")
            self.at += 1
            return None
        if character in _CLASSES:
            return _CLASSES[character]
        if "0" <= character <= "9":
            return Group(1, ((int(character), int(character)),))
        if character in "])":
            raise GrammarError(self.text, self.at - 1, f"{character} closes nothing")
        return None

    def _range(self) -> Group:
        opened = self.at
        closed = self.text.find("]", opened)
        if closed < 0:
            raise GrammarError(self.text, len(self.text), "the bracket is not closed")
        self.at = closed + 1
        members = self.text[opened + 1 : closed].split(",")
        bounds = [tuple(member.partition("-")[::2]) for member in members]
        pairs = [(low, high or low) for low, high in bounds]
        width = len(pairs[0][0])
        for low, high in pairs:
            if not (low.isascii() and low.isdecimal() and high.isascii() and high.isdecimal()):
                raise GrammarError(self.text, opened + 1, "there are digits only between brackets")
            if not len(low) == len(high) == width or low > high:
                raise GrammarError(
                    self.text, opened + 1, "the numbers of a range have one width, the lower first"
                )
        return Group(width, tuple(sorted((int(low), int(high)) for low, high in pairs)))


def coverage(pattern: Pattern) -> Coverage:
    """Which numbers a device's rule covers, never too few of them."""
    if pattern.text or pattern.width > LINE:
        return Coverage(pattern.plus, 1, 0, (), exact=not pattern.suffix)
    intervals, exact = _intervals(pattern.groups)
    scale = SCALE[pattern.width]
    return Coverage(
        pattern.plus,
        pattern.width,
        pattern.width if pattern.ends else LINE,
        tuple((low * scale, (high + 1) * scale) for low, high in intervals),
        exact and not pattern.suffix,
    )


def _intervals(groups: tuple[Group, ...]) -> tuple[list[tuple[int, int]], bool]:
    """The numbers of these groups written one after another, as intervals with their ends; built from the right."""
    found, width, exact = [(0, 0)], 0, True
    for group in reversed(groups):
        block = 10**width
        if found == [(0, block - 1)]:
            found = [(low * block, high * block + block - 1) for low, high in group.ranges]
        elif group.count * len(found) <= MOST_INTERVALS:
            found = [
                (value * block + low, value * block + high)
                for first, last in group.ranges
                for value in range(first, last + 1)
                for low, high in found
            ]
        else:
            exact = False
            found = [(low * block + found[0][0], high * block + found[-1][1]) for low, high in group.ranges]
        width += group.width
    return found, exact


def overlap(rule: Rule, other: Coverage) -> bool:
    """Whether some number matches both."""
    if other.plus not in {None, rule.plus} or max(rule.length, other.shortest) > other.longest:
        return False
    low, high = rule.span
    return any(first < high and low < last for first, last in other.intervals)


def covered(rule: Rule) -> Coverage:
    """A rule of this portal, seen as one of the device."""
    return Coverage(rule.plus, rule.length, LINE, (rule.span,), exact=True)


def without(rule: Rule, gone: Rule) -> list[Rule]:
    """What is left of a rule when numbers of the same length are taken out: none, one or two rules.

    Raises ValueError when the numbers are not all of this rule's.
    """
    same_kind = (rule.plus, rule.length) == (gone.plus, gone.length)
    if not (same_kind and rule.low <= gone.low and gone.high <= rule.high):
        raise ValueError(f"{gone} is no part of {rule}")
    left = [rule._replace(high=gone.low - 1), rule._replace(low=gone.high + 1)]
    return [part for part in left if part.low <= part.high]
