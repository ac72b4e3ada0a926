"""Numbers of a site as a file: what spreadsheets make of it, in and out (facts: audiocodes.md 1.4, security.md 5.11).

The columns are those of the device's own table, so that a file can also come from there.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from core.errors import InvalidInput, UmpError
from sites.number_rules import Verdict, Wish
from sites.numbers import MOST

HEAD = ("DialPlanName", "Name", "Prefix", "Tag")
MOST_BYTES = 2_000_000
LONGEST_CELL = 1_000
_FIELDS = {
    "dialplanname": "plan",
    "dialplan": "plan",
    "plan": "plan",
    "name": "name",
    "prefix": "prefix",
    "number": "prefix",
    "tag": "tag",
}
_BOMS = (("\ufeff".encode(), "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ROUNDED = re.compile(r"[0-9][.,][0-9]+[eE]\+[0-9]+")


def text_of(content: bytes) -> str:
    """In UTF-8, UTF-16 or, as older spreadsheets save it, Windows-1252. Raises InvalidInput (file)."""
    if len(content) > MOST_BYTES:
        raise _bad(f"it is larger than {MOST_BYTES // 1_000_000} MB; send it in parts")
    if content.startswith(b"PK"):
        raise _bad("it is a workbook; save it as CSV first")
    encodings = [encoding for mark, encoding in _BOMS if content.startswith(mark)] or ["utf-8", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise _bad("it is no text file")


def read(text: str) -> list[Wish]:
    """One wish a line; empty lines are left out. Raises InvalidInput (file) when it cannot be read as a table."""
    text = re.sub(r"\A\ufeff?(?:sep=.(?=\r?\n))?", "", text)
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    wishes: list[Wish] = []
    fields: list[str] = []
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if not fields:
                fields = _fields(cells)
                continue
            if len(wishes) >= MOST:
                raise _bad(f"it has more than {MOST:,} lines; send it in parts")
            wishes.append(_wish(fields, cells, rows.line_num))
    except csv.Error as error:
        raise _bad(f"line {rows.line_num} cannot be read: {error}") from None
    if not fields:
        raise _bad("it is empty")
    return wishes


def _fields(cells: Sequence[str]) -> list[str]:
    fields = [_FIELDS.get(re.sub(r"[^a-z]", "", cell.lower()), "") for cell in cells]
    known = [name for name in fields if name]
    if "prefix" not in known:
        raise _bad(f"its first line has to name the columns {', '.join(HEAD)}; Prefix at least")
    if len(set(known)) < len(known):
        raise _bad("its first line names a column twice")
    return fields


def _wish(fields: Sequence[str], cells: Sequence[str], line: int) -> Wish:
    values = {name: _plain(cell) for name, cell in zip(fields, cells, strict=False) if name}
    trouble = ""
    if len(cells) > len(fields) and any(cell.strip() for cell in cells[len(fields) :]):
        trouble = f"it has {len(cells)} values, and the first line {len(fields)}; put a value with a comma in quotes"
    elif _ROUNDED.fullmatch(values.get("tag", "")):
        trouble = "a spreadsheet has rounded its tag; format the column as text"
    return Wish(values.pop("prefix", ""), **values, line=line, trouble=trouble)


def _plain(cell: str) -> str:
    """Without blanks around it, and without the ' by which an export keeps a cell from being a formula."""
    cell = cell.strip(" \t\r\n")[:LONGEST_CELL]
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {"=", "+", "-", "@"} else cell


def _bad(why: str) -> InvalidInput:
    return InvalidInput(field="file", why=why)


# --- Out --------------------------------------------------------------------------------------------------------
REFUSED_HEAD = (*HEAD, "Line", "Column", "Problem", "What to do")


def refused(verdicts: Iterable[Verdict]) -> Iterator[list[Sequence[object]]]:
    """The refused lines, to be mended and sent again: what they said, and why not."""
    yield [
        (one.wish.plan, one.wish.name, one.wish.prefix, one.wish.tag, one.wish.line, *explained(one.error))
        for one in verdicts
        if one.error is not None
    ]


def explained(error: UmpError) -> tuple[str, str, str]:
    """(column, what is wrong, what to do)."""
    column = {"plan": "DialPlanName", "name": "Name", "tag": "Tag", "line": ""}.get(
        error.fields.get("field", ""), "Prefix"
    )
    why = error.fields.get("why", error.message) if error.code == "invalid_input" else error.message
    hint = error.detail.get("hint")
    return column, f"{why[:1].upper()}{why[1:]}", f"Write {hint}" if hint else error.advice
