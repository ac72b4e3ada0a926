"""What the errors of Teams cmdlets mean in our words.

The module's errors carry the name of an HTTP status at the beginning of their id (`NotFound,Microsoft.Teams...`),
or a status of their own; what a refusal is about stands in English text only. The few texts that matter are
recognised here; an unknown one becomes `teams_refused`, with Microsoft's words in its detail. Sources:
facts/microsoft.md 8 and 10, and errors as people reported them; the texts are not confirmed by a live tenant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from core.errors import OutcomeUnknown, UmpError
from core.redaction import redact_text
from m365.errors import parse_retry_after

ROLE = "Teams Administrator"
DOMAIN_WAIT = 1800.0
"""Seconds until a look at whether Teams knows a domain now; it may take a day."""

_TEXTS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"domain.{0,40}not configured for this tenant", re.I | re.S), "teams_domain_unknown"),
    (re.compile(r"too many requests|throttl", re.I), "throttled"),
    (re.compile(r"\b(?:is|are) (?:currently |still )?(?:in use|used|assigned|referenced)\b", re.I), "teams_in_use"),
    (re.compile(r"already (?:exists|in use|been added)", re.I), "remote_conflict"),
    (re.compile(r"access.{0,12}denied|not authori[sz]ed|insufficient privileges|forbidden", re.I), "role_missing"),
    (re.compile(r"was not found|does not exist|cannot find|could not find|can't find", re.I), "remote_not_found"),
)  # fmt: skip
_STATUSES: Mapping[str, int] = {
    "unauthorized": 401,
    "forbidden": 403,
    "accessdenied": 403,
    "notfound": 404,
    "conflict": 409,
    "toomanyrequests": 429,
    "internalservererror": 500,
    "badgateway": 502,
    "serviceunavailable": 503,
    "gatewaytimeout": 504,
}
_CODES: Mapping[int, str] = {
    401: "teams_session_refused",
    403: "role_missing",
    404: "remote_not_found",
    409: "remote_conflict",
    429: "throttled",
}


def of_call(fault: Mapping[str, Any], *, writes: bool, thing: str, tenant: str) -> UmpError:
    """The error behind a call that failed. A write that met trouble of the service itself may have been done."""
    status = _status(fault)
    code = _code(fault, status)
    if writes and status >= 500:
        return OutcomeUnknown(detail=_detail(fault, status), thing=thing)
    wait = parse_retry_after(fault.get("retry_after"))
    if code == "teams_domain_unknown":
        wait = DOMAIN_WAIT
    detail = _detail(fault, status)
    return UmpError.of(code, detail=detail, retry_after=wait, role=ROLE, thing=thing, tenant=tenant)


def of_start(stage: str, fault: Mapping[str, Any], *, tenant: str) -> UmpError:
    """The error behind a session that did not come to be."""
    if stage == "module":
        why = "it is not installed, or not whole"
        return UmpError.of("teams_module_missing", why=why, detail=_detail(fault, 0))
    if stage == "tenant":
        return UmpError.of("cross_tenant", detail=_detail(fault, 0))
    status = _status(fault)
    code = _code(fault, status)
    if code not in {"throttled", "graph_unavailable"}:
        code = "teams_session_refused"
    wait = parse_retry_after(fault.get("retry_after"))
    return UmpError.of(code, detail=_detail(fault, status), retry_after=wait, tenant=tenant)


def _status(fault: Mapping[str, Any]) -> int:
    told = fault.get("status")
    if isinstance(told, int) and told >= 400:
        return told
    return _STATUSES.get(_text(fault, "id").partition(",")[0].strip().lower(), 0)


def _code(fault: Mapping[str, Any], status: int) -> str:
    if _text(fault, "id").startswith("CommandNotFound") or "CommandNotFound" in _text(fault, "type"):
        return "teams_module_missing"
    if status in _CODES:
        return _CODES[status]
    if status >= 500:
        return "graph_unavailable"
    message = _text(fault, "message")
    # A text decides only where no status does.
    return next((code for pattern, code in _TEXTS if pattern.search(message)), "teams_refused")


def _detail(fault: Mapping[str, Any], status: int) -> dict[str, object]:
    return {
        "microsoft_code": _text(fault, "id")[:200],
        "http_status": status or "",
        "microsoft_says": redact_text(_text(fault, "message"))[:600],
    }


def _text(fault: Mapping[str, Any], name: str) -> str:
    value = fault.get(name)
    return value if isinstance(value, str) else ""
