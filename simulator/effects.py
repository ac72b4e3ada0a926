"""What standing troubles do to an answer, whichever service gives it."""

from __future__ import annotations

import email.utils
from collections.abc import Callable
from typing import Any

import orjson

from simulator.http1 import Response
from simulator.trouble import Trouble

_PAGE = b"""<!DOCTYPE html><html><head><title>Service Unavailable</title></head>
<body><h2>Our services aren't available right now</h2><p>We're working to restore all services as soon as possible.
Please check back soon.</p><p>Ref A: 0DEADBEEF0 Ref B: WAW01EDGE0815</p></body></html>"""


def latency(troubles: dict[str, Trouble], *base_ms: float) -> float:
    """Seconds this request has to wait: the standing latencies and the one in trouble, added up."""
    extra = float(troubles["latency"].options["ms"]) if "latency" in troubles else 0.0
    return (sum(base_ms) + extra) / 1000


def retry_after(value: Any, now: float) -> str | None:
    """A Retry-After as written in a trouble: seconds, a fraction, "date:SECONDS" for an HTTP date, or none."""
    if value is None:
        return None
    text = str(value)
    if text.startswith("date:"):
        return email.utils.formatdate(now + float(text[5:]), usegmt=True)
    return text


def before(
    troubles: dict[str, Trouble], now: float, failure: Callable[[int, str, dict[str, str]], Response]
) -> Response | None:
    """The answer that trouble gives without the request ever being looked at, or None."""
    if "drop" in troubles and troubles["drop"].options["when"] == "before":
        return Response(502, drop="before")
    if "throttle" in troubles:
        options = troubles["throttle"].options
        wait = retry_after(options["retry_after"], now)
        return failure(429, str(options["code"]), {} if wait is None else {"Retry-After": wait})
    if "error" in troubles and troubles["error"].options["when"] == "before":
        return _failure(troubles["error"], now, failure)
    if "html" in troubles:
        return Response(
            int(troubles["html"].options["status"]), _PAGE, {"Content-Type": "text/html; charset=utf-8"}
        )
    return None


def _failure(
    trouble: Trouble, now: float, failure: Callable[[int, str, dict[str, str]], Response]
) -> Response:
    wait = retry_after(trouble.options["retry_after"], now)
    headers = {} if wait is None else {"Retry-After": wait}
    return failure(int(trouble.options["status"]), str(trouble.options["code"]), headers)


def after(
    troubles: dict[str, Trouble],
    response: Response,
    now: float,
    failure: Callable[[int, str, dict[str, str]], Response],
) -> Response:
    """The answer as it leaves the house: lost, cut, replaced or bloated."""
    if "drop" in troubles and troubles["drop"].options["when"] != "before":
        # The request was carried out; only its answer is lost.
        response.drop = "before" if troubles["drop"].options["when"] == "after" else "midway"
        return response
    if "error" in troubles and troubles["error"].options["when"] != "before":
        return _failure(troubles["error"], now, failure)
    if "giant_field" in troubles and response.body.startswith(b"{"):
        response.body = _bloat(response.body, troubles["giant_field"].options)
    if "truncated" in troubles:
        response.body = response.body[: len(response.body) * 2 // 3]
    return response


def _bloat(body: bytes, options: dict[str, Any]) -> bytes:
    content = orjson.loads(body)
    rows = content.get("value")
    target = rows[0] if isinstance(rows, list) and rows else content
    target[str(options["field"])] = "x" * int(options["bytes"])
    return orjson.dumps(content)
