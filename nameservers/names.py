"""Names of hosts (RFC 1123) and how one is made from a customer's name."""

from __future__ import annotations

import re
import unicodedata

from core.errors import InvalidInput

LONGEST_LABEL, LONGEST_NAME = 63, 253
LONGEST_AT_MICROSOFT = 48
"""Of a domain in Microsoft Entra (facts/microsoft.md 8)."""
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_MICROSOFTS = ("onmicrosoft.com", "onmicrosoft.us", "partner.onmschina.cn")
# What decomposing a letter does not bring to plain ones.
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th"})


def label_of(text: str) -> str:
    """One label for whatever a customer is called: "Müller & Söhne" -> "muller-sohne"; empty when nothing is left."""
    plain = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    words = re.findall(r"[a-z0-9]+", "".join(one for one in plain if not unicodedata.combining(one)))
    return "-".join(words)[:LONGEST_LABEL].strip("-")


def checked(text: str, *, field: str = "name", longest: int = LONGEST_NAME) -> str:
    """The name in lower case, without the dot at its end. Raises InvalidInput for what is no host name."""
    name = text.strip().lower().removesuffix(".")
    labels = name.split(".")
    if len(labels) < 2:
        raise InvalidInput(field=field, why="it needs at least two parts with a dot between them")
    if len(name) > longest:
        raise InvalidInput(field=field, why=f"it has more than {longest} characters")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise InvalidInput(
                field=field,
                why=f"{label[:LONGEST_LABEL] or 'an empty part'} is no part of a host name: 1 to 63 letters a to z, "
                "digits and hyphens, no hyphen first or last",
            )
    if labels[-1].isdigit():
        raise InvalidInput(field=field, why="its last part must not be a number")
    return name


def for_microsoft(text: str, *, field: str = "name") -> str:
    """The same for a domain that is to be added to an organisation. Raises InvalidInput."""
    name = checked(text, field=field, longest=LONGEST_AT_MICROSOFT)
    if any(name == one or name.endswith(f".{one}") for one in _MICROSOFTS):
        raise InvalidInput(field=field, why="it belongs to Microsoft, who takes no calls for such names")
    return name


def lies_in(name: str, zone: str) -> bool:
    """Whether the name is below the zone."""
    return name.endswith(f".{zone}")


def numbered(label: str, number: int, room: int) -> str:
    """The label with "-2", "-3" and so on for a second wish, within `room` characters."""
    tail = f"-{number}" if number > 1 else ""
    return label[: max(1, min(room, LONGEST_LABEL) - len(tail))].rstrip("-") + tail
