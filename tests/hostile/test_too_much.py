"""Answers without end or measure: refused with a name, in bounded memory, after a bounded number of requests."""

from __future__ import annotations

import gc
import gzip
import itertools
import tracemalloc
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest

from audiocodes import objects
from audiocodes.inifile import IniError
from audiocodes.line import Line
from audiocodes.ovoc import Ovoc
from audiocodes.sbc import Sbc
from core.errors import UmpError
from core.http import MEBIBYTE
from tests.hostile.judge import judged
from tests.hostile.test_devices import ADDRESS, GUARD, TARGET
from tests.hostile.test_graph import ROOT, client
from tests.hostile.wire import FarEnd, far_end, reply

HEAD = b"HTTP/1.1 200 OK\r\n"
MIB = b"x" * MEBIBYTE


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with far_end() as far:
        yield far


@contextmanager
def at_most(mebibytes: float) -> Iterator[None]:
    """Inside, no more memory is in use at any moment."""
    gc.collect()
    tracemalloc.start(1)
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1] / MEBIBYTE
    finally:
        tracemalloc.stop()
    assert peak <= mebibytes, f"{peak:.0f} MiB"


def bomb(piece: bytes, times: int) -> Iterator[bytes]:
    """A gzip of `times` times the piece, packed as it is asked for."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    yield HEAD + b"Content-Encoding: gzip\r\n\r\n"
    for _ in range(times):
        yield packer.compress(piece)
    yield packer.flush()


def whole(body: bytes) -> list[bytes]:
    return [reply(body)]


def ever(piece: bytes) -> Iterator[bytes]:
    return itertools.chain([HEAD + b"\r\n"], itertools.repeat(piece))


def chunked() -> Iterator[bytes]:
    return itertools.chain(
        [HEAD + b"Transfer-Encoding: chunked\r\n\r\n"],
        itertools.repeat(b"10000\r\n" + b"x" * 65536 + b"\r\n"),
    )


LISTS = b'{"value": [' + b"[]," * (10 * MEBIBYTE) + b"[]]}"
BOMB = gzip.compress(gzip.compress(b"\0" * 64 * MEBIBYTE, 1), 1)
ANSWERS: dict[str, tuple[Callable[[], Iterable[bytes]], str]] = {
    "a text of 10 MB": (lambda: whole(b'{"value": [], "x": "' + MIB * 10 + b'"}'), "bad_reply"),
    "a key of 10 MB": (lambda: whole(b'{"value": [], "' + MIB * 10 + b'": 1}'), "bad_reply"),
    "a link of 10 MB": (lambda: whole(b'{"value": [], "@odata.nextLink": "' + MIB * 10 + b'"}'), "bad_reply"),
    "a number of 10 MB": (lambda: whole(b'{"value": ' + b"9" * 10 * MEBIBYTE + b"}"), "bad_reply"),
    "ten million lists": (lambda: whole(LISTS), "bad_reply"),
    "ten million objects": (lambda: whole(LISTS.replace(b"[],", b"{},")), "bad_reply"),
    "ten million texts": (lambda: whole(b'{"value": [' + b'"a",' * (7 * MEBIBYTE) + b'""]}'), "bad_reply"),
    "texts, just not too many": (lambda: whole(b'{"value": [' + b'"ab",' * 1_100_000 + b'""]}'), "bad_reply"),
    "a million depths": (lambda: whole(b"[" * MEBIBYTE), "bad_reply"),
    "a bomb of 4 GB": (lambda: bomb(b"\0" * MEBIBYTE, 4096), "reply_too_large"),
    "a bomb in a bomb": (lambda: [reply(BOMB, headers=[("Content-Encoding", "gzip, gzip")])], "reply_too_large"),
    "no end": (lambda: ever(MIB), "reply_too_large"),
    "chunks without end": (chunked, "reply_too_large"),
    "headers without end": (lambda: itertools.chain([HEAD], itertools.repeat(b"X: y\r\n")), "connection_lost"),
    "a header without end": (lambda: itertools.chain([HEAD, b"X: "], itertools.repeat(MIB)), "connection_lost"),
    "interim answers without end": (
        lambda: itertools.chain(itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n", 5000), whole(b'{"value": []}')), ""
    ),
}  # fmt: skip


def refused(act: Callable[[], object]) -> str:
    try:
        act()
    except UmpError as error:
        return error.code
    return ""


@pytest.mark.parametrize("what", ANSWERS)
def test_a_page_that_is_too_much(far: FarEnd, what: str) -> None:
    answer, code = ANSWERS[what]
    graph = client()
    made = list(answer()) if "without" not in what and "bomb of" not in what and what != "no end" else None
    far.answer = lambda _request: answer() if made is None else made
    with at_most(170):
        assert refused(lambda: graph.page(f"{ROOT}/users", place="/users")) == code


# --- Pages ----------------------------------------------------------------------------------------------------
def link(number: int) -> bytes:
    return f"{ROOT}/users?$skiptoken={number}".encode()


@pytest.mark.parametrize(
    ("nexts", "value", "most"),
    [
        (lambda number: link(0), b'{"id": "1"}', 2),
        (lambda number: link(number % 3), b'{"id": "1"}', 5),
        (lambda number: link(number), b"", 210),
        (lambda number: link(number), b'{"id": "1"}', 50),
    ],
    ids=["the same again", "a ring", "empty ones", "ever further"],
)
def test_pages_without_end(far: FarEnd, nexts: Callable[[int], bytes], value: bytes, most: int) -> None:
    far.answer = lambda _request: whole(
        b'{"value": [' + value + b'], "@odata.nextLink": "' + nexts(far.requests) + b'"}'
    )
    limit = 50 if value else 20_000
    assert refused(lambda: sum(1 for _ in client().pages("/users", limit=limit))) == "endless_pages"
    assert far.requests <= most


@pytest.mark.parametrize("name", ["@odata.nextLink", "@odata.deltaLink"])
@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/v1.0/users", "http://graph.microsoft.com/v1.0/users", "//evil.example/v1.0/users",
     "https://graph.microsoft.com@evil.example/v1.0/users", "https://graph.microsoft.com:8443/v1.0/users",
     "https://graph.microsoft.com.evil.example/v1.0/users", "https://graph.microsoft.com\\\\@evil.example/v1.0/users"],
)  # fmt: skip
def test_links_that_lead_elsewhere(far: FarEnd, name: str, elsewhere: str) -> None:
    far.answer = lambda _request: whole(f'{{"value": [{{"id": "1"}}], "{name}": "{elsewhere}"}}'.encode())
    assert refused(lambda: list(client().pages("/users"))) == "foreign_next_link"
    assert far.requests == 1
    assert far.called == {"gateway.example"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_followed(far: FarEnd, status: int) -> None:
    far.answer = lambda _request: [reply(b"", status, [("Location", "https://evil.example/v1.0/users")])]
    judged(lambda: client().page(f"{ROOT}/users", place="/users"))
    assert (far.requests, far.called) == (1, {"gateway.example"})
    with Line(TARGET, GUARD) as line:
        assert refused(Sbc(line).status) == "redirected"
    assert far.called == {"gateway.example", ADDRESS}


# --- Devices --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("what", "answer", "code"),
    [
        ("devices", lambda: whole(b'{"devices": [' + b"{}," * (8 * MEBIBYTE) + b"{}]}"), "bad_reply"),
        (
            "devices",
            lambda: whole(b'{"devices": [' + b'{"id": 1},' * 6000 + b'{"id": 1}]}'),
            "reply_too_large",
        ),
        ("devices", lambda: ever(MIB), "reply_too_large"),
        ("status", lambda: whole(b'{"x": "' + MIB * 10 + b'"}'), "reply_too_large"),
        ("status", lambda: bomb(b" " * MEBIBYTE, 4096), "reply_too_large"),
        ("alarms", lambda: whole(b'{"alarms": [{"id": "1"}], "cursor": {"after": 1}}'), ""),
        ("ini", lambda: ever(MIB), "reply_too_large"),
        ("ini", lambda: whole(b"<html>" * 100_000), "sbc_file_unreadable"),
    ],
    ids=[
        "objects",
        "devices",
        "no end",
        "a text",
        "a bomb",
        "alarms",
        "no end of a file",
        "a page for a file",
    ],
)
def test_a_device_that_says_too_much(
    far: FarEnd, what: str, answer: Callable[[], Iterable[bytes]], code: str
) -> None:
    made = answer()
    far.answer = lambda _request: made if isinstance(made, list) else answer()
    with Line(TARGET, GUARD) as line, at_most(230):
        ask = {
            "devices": Ovoc(line).devices,
            "status": Sbc(line).status,
            "alarms": Sbc(line).alarms,
            "ini": Sbc(line).ini,
        }
        assert refused(ask[what]) == code
    assert far.requests <= 121


def test_a_long_file_of_nothing_much() -> None:
    text = "[ IPGroup ]\nFORMAT Index = Name;\n" + "IPGroup 0 = x;\n" * 300_000
    with at_most(200), pytest.raises(IniError, match="cut off"):
        objects.read(text)
