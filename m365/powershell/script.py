"""Writing calls down as PowerShell that a person reads and runs.

One function, `literal`, turns text into PowerShell. PowerShell ends a single-quoted string at five different quote
marks and may read a file without a mark at its beginning in the machine's own encoding, where harmless letters
turn into such quote marks. Therefore nothing but printable ASCII ever stands between quotes; every other character
is written as its number. The result means the same in Windows PowerShell 5.1 and in PowerShell 7.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator

from m365.powershell.calls import Call, Made, Table, Value

BOM = "\ufeff"
"""A file handed out begins with it: Windows PowerShell takes a file without one for another encoding."""
WIDTH = 100

_PLAIN = re.compile(r"[ -~]+")
_RUNS = re.compile(r"[ -~]+|[^ -~]")
_SPACES = re.compile(r"\s+")


def literal(text: str) -> str:
    """An expression that is exactly this text, to whatever length and of whatever characters."""
    if not text or _PLAIN.fullmatch(text):
        return _quoted(text)
    parts = [part for run in _RUNS.findall(text) for part in _parts(run)]
    # The first part must be a string, or PowerShell would add characters up as numbers.
    return "(" + " + ".join(parts if parts[0].startswith("'") else ["''", *parts]) + ")"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _parts(run: str) -> Iterator[str]:
    if _PLAIN.fullmatch(run):
        yield _quoted(run)
        return
    # PowerShell's characters are halves of UTF-16; half a character alone stays what it is.
    encoded = run.encode("utf-16-be", "surrogatepass")
    for start in range(0, len(encoded), 2):
        yield f"[char]0x{int.from_bytes(encoded[start : start + 2], 'big'):04X}"


def value(given: Value) -> str:
    """A value of a parameter as an expression."""
    if given is None:
        return "$null"
    if isinstance(given, bool):
        return "$true" if given else "$false"
    if isinstance(given, int):
        return str(given) if given >= 0 else f"({given})"
    if isinstance(given, str):
        return literal(given)
    if isinstance(given, Call):
        return f"({inline(given)})"
    if isinstance(given, Made):
        return f"${given.name}.{given.property}" if given.property else f"${given.name}"
    if isinstance(given, Table):
        return "@{ " + "; ".join(f"{name} = {value(inner)}" for name, inner in given.items) + " }"
    return f"@({', '.join(value(inner) for inner in given)})"


def inline(call: Call) -> str:
    """The call on one line."""
    words = [call.cmdlet]
    for name, given in call.parameters:
        # With a colon, because a switch takes its value no other way.
        words.append(f"-{name}:{value(given)}" if isinstance(given, bool) else f"-{name} {value(given)}")
    return " ".join(words)


def lines(call: Call) -> list[str]:
    """The call with one parameter a line, after those that make what it needs."""
    made = [f"${name} = {inline(each)}" for name, each in call.before]
    if len(call.parameters) < 2:
        return [*made, inline(call)]
    return [
        *made,
        "$parameters = @{",
        *(f"    {name} = {value(given)}" for name, given in call.parameters),
        "}",
        f"{call.cmdlet} @parameters",
    ]


def comment(text: str) -> list[str]:
    """The text as comment lines, wrapped; no text gets out of them, or pretends to be a signature block."""
    visible = "".join(_visible(character) for character in text)
    words = _SPACES.sub(" ", visible).strip()
    return [f"# {line}" for line in textwrap.wrap(words, WIDTH, break_on_hyphens=False)]


def _visible(character: str) -> str:
    """Itself, if a person sees it as what it is: no control, no change of direction, no half of a character."""
    if character == "#" or unicodedata.category(character) in {"Cf", "Cs", "Co", "Cn"}:
        return "-"
    return " " if unicodedata.category(character)[0] in "ZC" else character


def indented(block: Iterable[str]) -> list[str]:
    return [f"    {line}" if line else "" for line in block]


def document(parts: Iterable[str]) -> str:
    """The lines as a file: with a mark for its encoding, and the line ends that Windows expects."""
    return BOM + "\r\n".join([*parts, ""])
