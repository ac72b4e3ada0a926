"""How good answers are broken: as proxies, truncation, other versions and attackers break them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st

from tests.hostile.wire import reply

LONG, SHORT = "hostile", "hostile-ci"
settings.register_profile(LONG, max_examples=20_000)
settings.register_profile(SHORT, max_examples=5_000)


def share(percent: float) -> settings:
    """So much of the profile's examples. In CI always the same ones: what fails there is somebody's change."""
    long = settings.get_current_profile_name() == LONG
    profile = settings.get_profile(LONG if long else SHORT)
    return settings(
        max_examples=round(profile.max_examples * percent / 100),
        deadline=None,
        derandomize=not long,
        database=None,
        print_blob=long,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )


# --- Values -------------------------------------------------------------------------------------------------
TEXTS = (
    "", " ", "x", "\0", "a\0b", "\x1b[2J", "\u202egnp.exe", "\ufeff", "\ud800", "\U0010ffff", "é" * 300, "A" * 5000,
    "<script>alert(1)</script>", "' OR 1=1--", "../../etc/passwd", "%00", "null", "{{7*7}}", "=1+1", "\r\nX: y",
    "0", "-1", "1e999", "9" * 400, "2026-W01-1", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.9999999Z",
    "2026-01-01T00:00:00", "11111111-2222-4333-8444-555555555555", "+4912345", "tel:+4912345;ext=1", "٣٤٥", "text",
)  # fmt: skip
NUMBERS = (
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**30,
    10**400,
    1e308,
    -0.0,
    float("inf"),
    float("nan"),
    0.1,
)
LINKS = (
    "https://evil.example/v1.0/users", "http://graph.microsoft.com/v1.0/users", "//evil.example/", "", "x",
    "https://graph.microsoft.com@evil.example/v1.0/users", "https://graph.microsoft.com:444/v1.0/users",
    "https://graph.microsoft.com/v1.0/users/../me", "https://graph.microsoft.com/v1.0/users?$skiptoken=1",
    "https://graph.microsoft.com/v1.0/users#x", "https://[", "https://graph.microsoft.com.evil.example/v1.0/users",
    "https://login.microsoftonline.com/x", "https://169.254.169.254/latest", "javascript:alert(1)", "https://\u2100/",
    "https://graph.microsoft.com/beta/users", "https://graph.microsoft.com\\@evil.example/v1.0/users",
)  # fmt: skip
LEAVES = st.sampled_from([None, True, False, *TEXTS, *NUMBERS, *LINKS])
VALUES = LEAVES | st.sampled_from(
    [[], {}, [[]], [None], [{}], {"": ""}, [1, "x", None], {"value": []}, {"id": {"id": {}}}, [[[[[]]]]] * 3]
) | st.text(max_size=12) | st.integers()  # fmt: skip


@st.composite
def documents(draw: st.DrawFn, good: list[Any]) -> Any:
    """A good document with up to three of its parts replaced, left out, doubled or renamed."""
    document = draw(st.sampled_from(good))
    for _ in range(draw(st.sampled_from((0, 1, 1, 1, 2, 3)))):
        document = _broken(draw, document)
    return document


def _broken(draw: st.DrawFn, part: Any) -> Any:
    if isinstance(part, dict) and part and draw(st.integers(0, 9)):
        key = draw(st.sampled_from(sorted(part)))
        how = draw(st.sampled_from(("deeper", "deeper", "deeper", "leave out", "rename", "link")))
        if how == "leave out":
            return {name: value for name, value in part.items() if name != key}
        if how == "rename":
            return {
                name if name != key else draw(st.sampled_from(TEXTS)): value for name, value in part.items()
            }
        return {**part, key: draw(st.sampled_from(LINKS)) if how == "link" else _broken(draw, part[key])}
    if isinstance(part, list) and part and draw(st.integers(0, 9)):
        at = draw(st.integers(0, len(part) - 1))
        how = draw(st.sampled_from(("deeper", "deeper", "deeper", "leave out", "double")))
        if how == "leave out":
            return part[:at] + part[at + 1 :]
        if how == "double":
            return part + [part[at]] * draw(st.sampled_from((1, 2, 50)))
        return [*part[:at], _broken(draw, part[at]), *part[at + 1 :]]
    return draw(VALUES)


@st.composite
def bodies(draw: st.DrawFn, good: list[Any]) -> bytes:
    """Such a document as bytes, in most cases whole and in UTF-8."""
    how = draw(st.sampled_from(HOW))
    if how in PAGES:
        return PAGES[how]
    text = json.dumps(draw(documents(good)))
    if how == "doubled keys":
        text = text.replace("{", '{"id": 1, "value": "x", ', 1)
        text = text.replace("}", ', "value": [], "error": {}}', 1) if "{}" not in text else text
    raw = text.encode("utf-8", "surrogatepass")
    if how == "cut":
        return raw[: draw(st.integers(0, len(raw)))]
    if how == "swapped":
        at = draw(st.integers(0, max(len(raw) - 1, 0)))
        return raw[:at] + draw(st.binary(min_size=1, max_size=3)) + raw[at + 1 :]
    if how == "after it":
        return raw + draw(st.sampled_from((b"\n", b"\0", b"{}", b"<!-- -->", raw)))
    if how in {"utf-16", "utf-8-sig", "utf-7"}:
        return text.encode(how, "replace")
    return draw(st.binary(max_size=120)) if how == "noise" else raw


PAGES = {
    "html": b"<!DOCTYPE html><html><body>Sign in to the network</body></html>",
    "empty": b"",
    "deep": b"[" * 50_000 + b"]" * 50_000,
    "deep objects": b'{"value":' * 20_000 + b"1" + b"}" * 20_000,
    "xml": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>',
    "digits": b'{"value": ' + b"9" * 20_000 + b"}",
}
HOW = (*["whole"] * 16, *PAGES, "doubled keys", "cut", "swapped", "swapped", "after it", "utf-16", "utf-8-sig",
       "utf-7", "noise")  # fmt: skip

STATUS = st.sampled_from((*[200] * 12, 201, 202, 204, 206, 302, 307, 400, 400, 401, 403, 404, 409, 410, 412, 418, 423,
                          429, 500, 502, 503, 504, 999))  # fmt: skip
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            (
                "Retry-After",
                "Location",
                "x-ms-resource-unit",
                "x-ms-throttle-limit-percentage",
                "Date",
                "request-id",
                "Set-Cookie",
                "WWW-Authenticate",
                "Content-Type",
                "ETag",
            )
        ),
        st.sampled_from(
            (
                "",
                "x",
                "-1",
                "1e99",
                "nan",
                "inf",
                "0",
                "30",
                "https://evil.example/",
                "Fri, 99 Nov",
                "Fri, 20 Nov 2026 20:00:04 GMT",
                "C1012213=1",
                "text/html; charset=bogus",
                "\x7f",
                "é",
                "9" * 3000,
                'Bearer error="insufficient_claims", claims="e30="',
            )
        ),
    ),
    max_size=3,
)


@st.composite
def answers(draw: st.DrawFn, good: list[Any]) -> bytes:
    """A whole HTTP answer with such a body, in most cases framed as it should be."""
    body, status, headers = draw(bodies(good)), draw(STATUS), draw(HEADERS)
    how = draw(st.sampled_from((*["proper"] * 12, *FRAMES)))
    if how == "proper":
        return reply(body, status, headers)
    if how == "gzip":
        return reply(gzip.compress(body, 1), status, [*headers, ("Content-Encoding", "gzip")])
    head = f"HTTP/1.1 {status} X\r\n".encode()
    return {
        "longer": head + f"Content-Length: {len(body) + 10}\r\n\r\n".encode() + body,
        "shorter": head + f"Content-Length: {len(body) // 2}\r\n\r\n".encode() + body,
        "endless": head + b"Content-Length: 999999999999999999999\r\n\r\n" + body,
        "no length": head + b"\r\n" + body,
        "negative": head + b"Content-Length: -5\r\n\r\n" + body,
        "chunks": head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body),
        "half a chunk": head + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n" + body,
        "no chunk": head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n" + body,
        "no gzip": reply(body, status, [("Content-Encoding", "gzip")]),
        "half a gzip": reply(gzip.compress(body)[:-6], status, [("Content-Encoding", "gzip")]),
        "gzips": reply(gzip.compress(gzip.compress(body)), status, [("Content-Encoding", "gzip, gzip")]),
        "many gzips": reply(body, status, [("Content-Encoding", "gzip, " * 20 + "gzip")]),
        "no http": body,
        "half a head": b"HTTP/1.1 200",
        "many headers": head + b"X: y\r\n" * 500 + b"\r\n" + body,
        "long header": head + b"X: " + b"y" * 100_000 + b"\r\n\r\n" + body,
        "nothing": b"",
        "continue": b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + reply(body, status),
        "other version": b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    }[how]


FRAMES = (
    "gzip", "longer", "shorter", "endless", "no length", "negative", "chunks", "half a chunk", "no chunk", "no gzip",
    "half a gzip", "gzips", "many gzips", "no http", "half a head", "many headers", "long header", "nothing",
    "continue", "other version",
)  # fmt: skip


def jwt(claims: bytes) -> str:
    return f"eyJhbGciOiJSUzI1NiJ9.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2lnbmF0dXJl"
