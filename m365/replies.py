"""Reading what Microsoft answers, without trusting it: JSON of the expected shape, or a named error."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import orjson

from core.errors import UmpError
from core.measure import WORTH_A_LOOK, too_many_values
from m365.clouds import Cloud

LONGEST_FIELD = 256 * 1024
PART = 16 * 1024
"""Bytes of an answer that are read at once: as objects they are eight times as many."""
MOST_WRONG_CUTS = 20
LONGEST_LINK = 32 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a collection. Exactly one of the links is set, or none at the end of a plain list.

    `value` holds Microsoft's objects, or what whoever asked for the page made of them.
    """

    value: list[Any]
    next_link: str | None = None
    delta_link: str | None = None


def json_object(content: bytes, host: str) -> dict[str, Any]:
    """The JSON object in a body. Raises `bad_reply` for HTML, broken or truncated JSON, or another type."""
    parsed = json_value(content, host)
    if not isinstance(parsed, dict):
        raise UmpError.of("bad_reply", host=host, why="it is not a JSON object")
    return parsed


def json_value(content: bytes, host: str) -> Any:
    """Any JSON value; NUL characters, which PostgreSQL cannot store, are left out of its texts."""
    if too_many_values(content):
        raise _too_many(host)
    try:
        parsed = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UmpError.of("bad_reply", host=host, why=_why_unreadable(content)) from error
    return _checked(parsed, content, host)


def _loads(content: bytes) -> Any:
    """The value, None for what is no JSON."""
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError:
        return None


def _checked(parsed: Any, content: bytes, host: str) -> Any:
    if len(content) > WORTH_A_LOOK and any(len(text) > LONGEST_FIELD for text in _texts(parsed)):
        raise UmpError.of("bad_reply", host=host, why="one field of it is far too long")
    return _without_nul(parsed) if b"\\u0000" in content else parsed


def _too_many(host: str) -> UmpError:
    return UmpError.of("bad_reply", host=host, why="it holds far too many values")


def _why_unreadable(content: bytes) -> str:
    start = content[:200].lstrip().lower()
    if not start:
        return "it is empty"
    if start.startswith(b"<"):
        return "it is a web page instead of data"
    return "it is broken or was cut off"


def _texts(value: Any) -> Iterator[str]:
    """Every text in a parsed value, keys included, without recursion (the nesting is the sender's choice)."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            waiting.extend(one.keys())
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _without_nul(value: Any) -> Any:
    """The value with NULs taken out of its texts, in place and without recursion."""
    whole = [value]
    waiting: list[Any] = [whole]
    while waiting:
        box = waiting.pop()
        for key, item in list(box.items() if isinstance(box, dict) else enumerate(box)):
            name = key.replace("\0", "") if isinstance(key, str) else key
            if name != key:
                box[name] = box.pop(key)
            if isinstance(item, str):
                box[name] = item.replace("\0", "")
            elif isinstance(item, (dict, list)):
                waiting.append(item)
    return whole[0]


def read_page(body: Mapping[str, Any], host: str, *, ids: bool = True) -> Page:
    """A collection's page out of its body. With `ids`, every item must have a text `id`.

    Raises `bad_reply` where the shape is another one: half a page must never look like a whole one.
    """
    value = body.get("value")
    if not isinstance(value, list) or not set(map(type, value)) <= {dict}:
        raise UmpError.of("bad_reply", host=host, why="it holds no list of objects")
    if ids and not _all_texts([item.get("id") for item in value]):
        raise UmpError.of("bad_reply", host=host, why="an object in it has no id")
    next_link, delta_link = _link(body, "@odata.nextLink", host), _link(body, "@odata.deltaLink", host)
    return Page(value, next_link, None if next_link else delta_link)


def _all_texts(values: list[Any]) -> bool:
    """And none of them empty. A page has a thousand, so they are not looked at one by one."""
    return set(map(type, values)) <= {str} and all(values)


def read_in_parts(
    content: bytes, host: str, turn: Callable[[list[dict[str, Any]]], Iterable[Any]], *, ids: bool = True
) -> Page:
    """`read_page` of the bytes of a body, whose objects are turned into something smaller part by part."""
    value: list[Any] = []
    for body in in_parts(content, host, "value"):
        part = read_page(body, host, ids=ids)
        value += turn(part.value)
    return Page(value, part.next_link, part.delta_link)


def in_parts(content: bytes, host: str, name: str) -> Iterator[dict[str, Any]]:
    """An object with a long list of objects under that name as several with shorter ones.

    The last, which may be the only one, has all that is beside the list. Where to cut is guessed. A cut is right if
    what is before it can be read with the list closed there: then no text, no object and no inner list was open.
    """
    if too_many_values(content):
        raise _too_many(host)
    mark = f'"{name}":['.encode()
    begin = content.find(mark) + len(mark)
    head, rest = content[:begin], begin
    if begin >= len(mark) and len(content) > PART and _loads(head + b"]}") is not None:
        # Each object begins like the first one.
        between = b"}," + content[begin : content.find(b":", begin) + 1]
        cut = wrong = 0
        while wrong < MOST_WRONG_CUTS and (cut := content.find(between, max(cut, rest + PART)) + 1):
            part = b"{" + mark + content[rest:cut] + b"]}"
            body = _loads(part)
            if body is None:
                wrong += 1
                continue
            yield _checked(body, part, host)
            rest = cut + 1
    yield json_object(head + content[rest:], host)


def _link(body: Mapping[str, Any], name: str, host: str) -> str | None:
    link = body.get(name)
    if link is None:
        return None
    if not isinstance(link, str) or not 0 < len(link) <= LONGEST_LINK:
        raise UmpError.of("bad_reply", host=host, why="it does not say properly how to go on")
    return link


def check_link(link: str, cloud: Cloud, place: str = "") -> str:
    """The link, if it leads to this cloud's Graph and stays in the same collection as `place`.

    A link is opaque and comes from outside; following one elsewhere would hand over the access token. Raises
    `foreign_next_link`.
    """
    try:
        parts = urlsplit(link)
        ours = parts.scheme == "https" and parts.netloc.lower() in (
            cloud.graph_host,
            f"{cloud.graph_host}:443",
        )
    except ValueError:
        ours = False
    if not ours or not _plain_path(link) or not _same_place(parts.path, place):
        raise UmpError.of("foreign_next_link", detail={"link_host": _host_of(link)})
    return link


def _host_of(link: str) -> str:
    try:
        return (urlsplit(link).hostname or "")[:200]
    except ValueError:
        return "unreadable"


def _plain_path(address: str) -> bool:
    """No dot segments, backslashes, blanks or control characters, which the two ends may read differently."""
    path = address.partition("?")[0]
    plain = address.isascii() and address.isprintable() and not any(sign in address for sign in " \\#")
    return plain and "/.." not in path and "/./" not in path and "%2e" not in path.lower()


def check_path(path: str) -> str:
    """A path of ours below the version, such as `/users?$top=5`. Raises `internal`: our own mistake."""
    if not path.startswith("/") or path.startswith("//") or not _plain_path(path):
        raise UmpError.of("internal", detail={"cause": "not a path of Graph"})
    return path


def _same_place(path: str, place: str) -> bool:
    """Version and collection are equal, and the object where `place` names one."""
    found = [part.lower() for part in path.split("/") if part]
    wanted = [part.lower() for part in place.partition("?")[0].split("/") if part]
    if len(found) < 2 or found[0] not in ("v1.0", "beta"):
        return False
    if not wanted:
        return True
    head = 2 if len(wanted) < 4 else 3
    return found[:head] == wanted[:head]


def moment(text: str) -> str:
    """A time of Microsoft's in UTC, in the one form that PostgreSQL takes as well; one without a zone is in UTC.

    Python reads more than PostgreSQL does: days of weeks, and zones that no place on Earth has.
    Raises ValueError, and TypeError for what is no text.
    """
    parsed = dt.datetime.fromisoformat(text)
    try:
        there = parsed.astimezone(dt.UTC) if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)
    except OverflowError as error:
        raise ValueError(text) from error
    return there.isoformat().replace("+00:00", "Z")
