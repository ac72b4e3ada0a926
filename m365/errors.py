"""What Microsoft's codes mean in our words: one table for sign-in, one for Graph.

`from_oauth` and `from_graph` never raise, whatever the body looks like; they return an error of `core.errors`
with Microsoft's own codes and ids in its detail. Sources: facts/microsoft.md 1.4, 2.4, 4 and 5.1.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any

from core.errors import UmpError, render_markdown
from m365.permissions import needed

LONGEST_WAIT = 3600.0
LONGEST_CLAIMS = 2000

_NUMBERS: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "secret_expired": (7000222,),
        "secret_wrong": (7000215, 70002),
        "secret_required": (7000218,),
        "secret_not_wanted": (700025,),
        "app_not_found": (700016, 70001),
        "app_not_installed": (7000229,),
        "app_disabled": (7000112,),
        "service_disabled": (500014,),
        "service_missing": (500011,),
        "certificate_refused": (700027, 700024, 50012, 1000502),
        "app_single_tenant": (50194,),
        "redirect_unknown": (50011,),
        "request_malformed": (70011, 28002, 900144, 90014, 9002313),
        "signin_restart": (54005, 501481, 700005),
        "consent_missing": (65001,),
        "consent_declined": (65004,),
        "app_misconfigured": (65005, 650056, 650057),
        "service_not_subscribed": (650052, 650051),
        "consent_needs_admin": (90094, 90095),
        "tenant_unknown": (90002, 900023),
        "wrong_cloud": (90038, 900382, 900432, 50049),
        "tenant_not_given": (50059, 50128, 90019, 9001023),
        "tenant_blocked": (5000224,),
        "account_foreign": (50020, 50177),
        "account_not_assigned": (50105,),
        "password_wrong": (50126,),
        "account_unknown": (50034,),
        "account_locked": (50053,),
        "password_expired": (50055, 50144),
        "password_missing": (50056,),
        "account_disabled": (50057,),
        "mfa_required": (50076, 50074),
        "mfa_not_set_up": (50079, 50072),
        "signin_too_old": (50078, 70043),
        "external_check_required": (50158,),
        "device_not_accepted": (50097, 53000, 53001, 53002),
        "conditional_access": (53003,),
        "security_policy": (530032, 530035, 53004, 53011, 50131),
        "partner_blocked": (530034,),
        "signin_revoked": (50173,),
        "signin_unused": (700082,),
        "signin_expired": (70008, 70000, 50132, 50133, 50089),
        "signin_short_lived": (700084,),
        "signin_confirm": (50199,),
        "token_loop": (50196,),
        "device_pending": (70016,),
        "device_code_wrong": (70018, 90119),
        "device_code_expired": (70019, 70020),
        "device_code_used": (90120,),
        "microsoft_busy": (50033, 50087, 50088, 50134, 90006, 90012, 90024, 90033, 90090),
        "throttled": (90055,),
        "customer_signin_down": (80001, 80002, 80005, 80014),
    }
)
AADSTS: Mapping[int, str] = MappingProxyType(
    {number: code for code, numbers in _NUMBERS.items() for number in numbers}
)

# What the `error` word alone says, for answers without a number that we know.
OAUTH: Mapping[str, str] = MappingProxyType(
    {
        "authorization_pending": "device_pending",
        "slow_down": "device_too_fast",
        "expired_token": "device_code_expired",
        "authorization_declined": "device_declined",
        "bad_verification_code": "device_code_wrong",
        "consent_required": "consent_missing",
        "access_denied": "consent_declined",
        "permission_denied": "consent_declined",
        "login_required": "signin_expired",
        "interaction_required": "signin_expired",
        "invalid_tenant": "tenant_unknown",
        "invalid_instance": "wrong_cloud",
        "invalid_resource": "service_missing",
        "invalid_scope": "request_malformed",
        "unsupported_grant_type": "request_malformed",
        "temporarily_unavailable": "microsoft_busy",
        "server_error": "microsoft_busy",
    }
)

# (status, error.code in lower case) -> ours; status 0 = whatever the status, code "" = any other code.
GRAPH: Mapping[tuple[int, str], str] = MappingProxyType(
    {
        (0, "activitylimitreached"): "throttled",
        (0, "toomanyrequests"): "throttled",
        (0, "request_throttledtemporarily"): "throttled",
        (0, "syncstatenotfound"): "delta_expired",
        (0, "resyncrequired"): "delta_expired",
        (400, "request_unsupportedquery"): "graph_unsupported",
        (400, "request_multipleobjectswithsamekeyvalue"): "remote_conflict",
        (400, "conflictingobjects"): "remote_conflict",
        (400, "request_resourcenotfound"): "remote_not_found",
        (400, ""): "graph_refused",
        (401, ""): "graph_unauthorized",
        (403, ""): "permission_missing",
        (404, ""): "remote_not_found",
        (405, ""): "graph_unsupported",
        (408, ""): "graph_unavailable",
        (409, ""): "remote_conflict",
        (410, ""): "delta_expired",
        (412, ""): "remote_changed",
        (413, ""): "graph_refused",
        (423, ""): "remote_locked",
        (424, ""): "dependency_failed",
        (429, ""): "throttled",
        (501, ""): "graph_unsupported",
    }
)
_DELTA_PREFIXES = ("syncstatenotfound", "resyncrequired")
_NUMBER_IN_TEXT = re.compile(r"AADSTS(\d{4,8})")


def parse_retry_after(value: object, date: object = None) -> float | None:
    """Seconds to wait by a Retry-After header, rounded up; None when it says nothing usable.

    Takes whole and fractional seconds and an HTTP date, which is compared with the answer's own `Date`, so
    that a wrong clock here does not matter (facts 5.7). Never negative, at most an hour.
    """
    text = str(value or "").strip()
    try:
        seconds = float(text)
    except ValueError:
        seconds = _seconds_until(text, str(date or ""))
    if not math.isfinite(seconds):
        return None
    return float(min(max(math.ceil(seconds), 0), LONGEST_WAIT))


def _seconds_until(text: str, date: str) -> float:
    then = _moment(text)
    now = _moment(date) or datetime.now(UTC)
    return (then - now).total_seconds() if then else math.nan


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def from_oauth(
    body: object, status: int, headers: Mapping[str, str] | None = None, **fields: object
) -> UmpError:
    """The error behind a failed answer of the sign-in service (token, device code, metadata).

    `fields` fill the sentences (`app`, `tenant`, `account`). An unknown number becomes `signin_refused`, so
    that its detail is read by a person instead of being guessed at.
    """
    told = body if isinstance(body, Mapping) else {}
    numbers = list(_numbers(told))
    wait = _wait(headers or {})
    code = next((AADSTS[number] for number in numbers if number in AADSTS), "")
    code = code or _oauth_code(_text(told.get("error")), status, bool(numbers))
    error = UmpError.of(code, detail=_oauth_detail(told, status, numbers), retry_after=wait, **fields)
    error.claims = _challenge(_text(told.get("claims")))
    return error


def _challenge(claims: str) -> str:
    """A claims challenge as Microsoft sent it, if it is one: a JSON object of no absurd length (facts 1.4)."""
    if len(claims) > LONGEST_CLAIMS:
        return ""
    try:
        return claims if isinstance(json.loads(claims), dict) else ""
    except (ValueError, RecursionError):
        return ""


def _oauth_code(error: str, status: int, numbered: bool) -> str:
    if status == 429:
        return "throttled"
    if status >= 500:
        return "microsoft_busy"
    if error in OAUTH:
        return OAUTH[error]
    if error == "invalid_client" and not numbered:
        return "secret_wrong"
    return "signin_refused"


def _numbers(body: Mapping[str, Any]) -> Iterator[int]:
    listed = body.get("error_codes")
    for item in listed if isinstance(listed, list) else ():
        if isinstance(item, int) or (isinstance(item, str) and item.isascii() and item.isdigit()):
            yield int(item)
    yield from (int(found) for found in _NUMBER_IN_TEXT.findall(_text(body.get("error_description"))))


def _oauth_detail(body: Mapping[str, Any], status: int, numbers: Sequence[int]) -> dict[str, object]:
    kept = {
        name: _text(body.get(name))
        for name in ("error", "suberror", "trace_id", "correlation_id", "timestamp")
    }
    description = _text(body.get("error_description")).split("\r\n")[0]
    code = f"AADSTS{numbers[0]}" if numbers else ""
    return {"microsoft_code": code, "http_status": status, **kept, "microsoft_says": description[:300]}


def from_graph(
    status: int, body: object, headers: Mapping[str, str] | None = None, **fields: object
) -> UmpError:
    """The error behind a failed answer of Graph, or of one item of a batch.

    Branches on the status and the codes, never on the message. `fields` fill the sentences (`thing`,
    `tenant`, `permission`, `app`).
    """
    headers = headers or {}
    told = body.get("error") if isinstance(body, Mapping) else None
    told = told if isinstance(told, Mapping) else {}
    codes = list(_graph_codes(told))
    detail = _graph_detail(told, status, headers)
    return UmpError.of(_graph_code(status, codes), detail=detail, retry_after=_wait(headers), **fields)


def renamed(error: UmpError, code: str = "", /, **fields: str) -> UmpError:
    """The same failure in other words: under a code that says more, with names that only the caller knows."""
    names: dict[str, Any] = {**error.fields, **{name: value for name, value in fields.items() if value}}
    return UmpError.of(code or error.code, detail=error.detail, retry_after=error.retry_after, **names)


def lacking(error: UmpError, feature: str) -> UmpError:
    """A refusal for want of a permission, naming what has to be granted for a feature."""
    return renamed(error, permission=", ".join(needed(feature)))


def _graph_code(status: int, codes: Sequence[str]) -> str:
    for code in codes:
        if code.startswith(_DELTA_PREFIXES):
            return "delta_expired"
        for key in ((0, code), (status, code)):
            if key in GRAPH:
                return GRAPH[key]
    if (status, "") in GRAPH:
        return GRAPH[(status, "")]
    if 300 <= status < 400:
        return "redirected"
    return "graph_unavailable" if status >= 500 else "graph_refused"


def _graph_codes(error: Mapping[str, Any]) -> Iterator[str]:
    """The code, those nested in it (more specific), and those of the details, in lower case."""
    node: object = error
    for _ in range(5):
        if not isinstance(node, Mapping):
            break
        if code := _text(node.get("code")):
            yield code.lower()
        node = node.get("innerError") or node.get("innererror")
    details = error.get("details")
    for item in details[:20] if isinstance(details, list) else ():
        if isinstance(item, Mapping) and _text(item.get("code")):
            yield _text(item.get("code")).lower()


def _graph_detail(error: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> dict[str, object]:
    inner = error.get("innerError") or error.get("innererror")
    inner = inner if isinstance(inner, Mapping) else {}
    return {
        "microsoft_code": _text(error.get("code")),
        "http_status": status,
        "microsoft_says": _text(error.get("message"))[:300],
        "inner_code": _text(inner.get("code")),
        "request_id": _header(headers, "request-id") or _text(inner.get("request-id")),
        "client_request_id": _header(headers, "client-request-id") or _text(inner.get("client-request-id")),
        "timestamp": _header(headers, "date") or _text(inner.get("date")),
        "throttle_scope": _header(headers, "x-ms-throttle-scope"),
        "throttle_reason": _header(headers, "x-ms-throttle-information"),
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _header(headers: Mapping[str, str], name: str) -> str:
    """A header by lower-case name, from a case-insensitive mapping or from a batch item's plain one."""
    found = headers.get(name)
    if found is None:
        found = next((value for key, value in headers.items() if key.lower() == name), "")
    return _text(found)


def _wait(headers: Mapping[str, str]) -> float | None:
    return parse_retry_after(_header(headers, "retry-after"), _header(headers, "date"))


def seen_as() -> dict[str, list[str]]:
    """Microsoft's own codes behind each of ours, for the documentation."""
    seen: dict[str, list[str]] = {}
    for number, code in AADSTS.items():
        seen.setdefault(code, []).append(f"AADSTS{number}")
    for word, code in OAUTH.items():
        seen.setdefault(code, []).append(f"`{word}`")
    for (status, word), code in GRAPH.items():
        said = " ".join(
            part for part in (f"HTTP {status}" if status else "", f"`{word}`" if word else "") if part
        )
        seen.setdefault(code, []).append(said)
    seen.setdefault("graph_unavailable", []).append("HTTP 500, 502, 503, 504")
    return seen


def render_document() -> str:
    """The whole of docs/errors.md."""
    return render_markdown(seen_as())


if __name__ == "__main__":
    sys.stdout.write(render_document())
