"""Numbers of a site as a file: what spreadsheets make of it, in and out (facts: audiocodes.md 1.4, security.md 5.11).

The columns are those of the device's own table, so that a file can also come from there.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from core.errors import UmpError
from sites.number_rules import Verdict, Wish
from sites.numbers import MOST
from tenants.sheets import bad, lines_of, plain

HEAD = ("DialPlanName", "Name", "Prefix", "Tag")
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
_ROUNDED = re.compile(r"[0-9][.,][0-9]+[eE]\+[0-9]+")


def read(text: str) -> list[Wish]:
    """One wish a line; empty lines are left out. Raises InvalidInput (file) when it cannot be read as a table."""
    lines = lines_of(text, MOST)
    fields = _fields(next(lines)[1])
    return [_wish(fields, cells, line) for line, cells in lines]


def _fields(cells: Sequence[str]) -> list[str]:
    fields = [_FIELDS.get(re.sub(r"[^a-z]", "", cell.lower()), "") for cell in cells]
    known = [name for name in fields if name]
    if "prefix" not in known:
        raise bad(f"its first line has to name the columns {', '.join(HEAD)}; Prefix at least")
    if len(set(known)) < len(known):
        raise bad("its first line names a column twice")
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
    return plain(cell[:LONGEST_CELL])


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
