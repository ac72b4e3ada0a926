"""Tables that people made with spreadsheets, read: the other direction is tenants.tables (facts/security.md 5.11)."""

import csv
import io
import re
from collections.abc import Iterator

from core.errors import InvalidInput

MOST_BYTES = 2_000_000
MOST_LINES = 10_000
_BOMS = (("\ufeff".encode(), "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def text_of(content: bytes) -> str:
    """In UTF-8, UTF-16 or, as older spreadsheets save it, Windows-1252. Raises InvalidInput (file)."""
    if len(content) > MOST_BYTES:
        raise bad(f"it is larger than {MOST_BYTES // 1_000_000} MB; send it in parts")
    if content.startswith(b"PK"):
        raise bad("it is a workbook; save it as CSV first")
    encodings = [encoding for mark, encoding in _BOMS if content.startswith(mark)] or ["utf-8", "cp1252"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise bad("it is no text file")


def lines_of(text: str, most: int = MOST_LINES) -> Iterator[tuple[int, list[str]]]:
    """The number of each line and its cells, the head first; empty lines are left out.

    Commas, semicolons or tabulators, whichever the head has most of. Raises InvalidInput (file) for what is no table,
    for an empty one, and after `most` lines below the head.
    """
    text = re.sub(r"\A\ufeff?(?:sep=.(?=\r?\n))?", "", text)
    head = text.lstrip("\r\n").split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    given = 0
    try:
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            if given > most:
                raise bad(f"it has more than {most:,} lines; send it in parts")
            given += 1
            yield rows.line_num, cells
    except csv.Error as error:
        raise bad(f"line {rows.line_num} cannot be read: {error}") from None
    if not given:
        raise bad("it is empty")


def plain(cell: str) -> str:
    """Without blanks around it, and without the ' by which an export keeps a cell from being a formula."""
    cell = cell.strip(" \t\r\n")
    return cell[1:] if cell[:1] == "'" and cell[1:2] in {"=", "+", "-", "@"} else cell


def bad(why: str) -> InvalidInput:
    return InvalidInput(field="file", why=why)
