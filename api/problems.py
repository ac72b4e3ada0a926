"""The API's translator: every error becomes a problem document (RFC 9457, DESIGN 9).

This is one of the three places that may catch everything: what nobody foresaw leaves as `internal` with the
request's id, never as a traceback.
"""

import logging
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import connection, transaction
from django.http import Http404
from rest_framework import exceptions
from rest_framework.response import Response

from core.errors import UmpError
from tenants.outage import is_away

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
DOCS = "/api/docs/"
RETRY_LATER = 5
"""Seconds, where nothing better is known."""

Field = dict[str, str]


def handler(error: Exception, context: dict[str, Any]) -> Response:
    """DRF's exception handler. Whatever the view wrote in an open transaction is rolled back first."""
    request = context["request"]
    roll_back(getattr(request, "began_at", (False, 0)))
    known, errors = translate(error)
    if known.code == "internal":
        log.error("An API request failed", exc_info=error, extra={"request_id": request_id(request)})
    response = Response(document(known, request, errors), status=known.status, content_type=MEDIA_TYPE)
    for name, value in headers(known, error).items():
        response[name] = value
    return response


def depth() -> tuple[bool, int]:
    """How deep in transactions this connection is; asked at a request's beginning and at its failure."""
    return connection.in_atomic_block, len(connection.savepoint_ids)


def roll_back(began_at: tuple[bool, int]) -> None:
    """Keep nothing of a transaction that the request itself opened, which a scope may have left open."""
    if depth() > began_at:
        transaction.set_rollback(True)


def translate(error: Exception) -> tuple[UmpError, list[Field]]:
    """The error of the family, and which fields it is about."""
    if isinstance(error, UmpError):
        return error, _own_fields(error)
    if isinstance(error, exceptions.ValidationError):
        words: dict[str, Any] = dict(_first(fields := flatten(error.detail)))
        return UmpError.of("invalid_input", **words), fields
    if is_away(error):
        return UmpError.of("database_unavailable", retry_after=RETRY_LATER), []
    return _of_framework(error), []


def _of_framework(error: Exception) -> UmpError:
    """Errors that Django and DRF raise before any of our code, or instead of it."""
    for kinds, code in FRAMEWORK:
        if isinstance(error, kinds):
            return UmpError.of(code, detail=None, retry_after=getattr(error, "wait", None), **_words(error))
    return UmpError.of("internal")


FRAMEWORK: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((Http404, exceptions.NotFound), "not_found"),
    ((exceptions.MethodNotAllowed,), "method_not_allowed"),
    ((exceptions.NotAcceptable,), "not_acceptable"),
    ((exceptions.UnsupportedMediaType,), "unsupported_media"),
    ((exceptions.Throttled,), "rate_limited"),
    ((exceptions.ParseError, RecursionError, UnicodeError), "malformed_request"),
    ((RequestDataTooBig,), "request_too_large"),
    ((exceptions.NotAuthenticated, exceptions.AuthenticationFailed), "not_signed_in"),
    ((PermissionDenied, exceptions.PermissionDenied), "not_allowed"),
)


def _words(error: Exception) -> dict[str, str]:
    """What the sentence needs to know."""
    match error:
        case exceptions.MethodNotAllowed():
            return {"action": str(error.detail).split('"')[1]}
        case exceptions.ParseError():
            return {"why": str(error.detail).rstrip(".")}
        case RecursionError():
            return {"why": "it is nested too deeply"}
        case RequestDataTooBig():
            return {"limit": _limit()}
        case _:
            return {"thing": "address"}


def document(error: UmpError, request: Any, errors: list[Field]) -> dict[str, Any]:
    """RFC 9457's members, and ours: advice, who, code, request_id, errors by field."""
    problem: dict[str, Any] = {
        "type": f"{settings.PORTAL_BASE_URL}{DOCS}#{error.code}",
        "title": error.code.replace("_", " ").capitalize(),
        "status": error.status,
        "detail": error.message,
        "advice": error.advice,
        "code": error.code,
        "who": error.who.value,
        "request_id": request_id(request),
    }
    if errors:
        problem["errors"] = errors
    if "address" in error.detail and error.code == "address_not_allowed":
        problem["address"] = error.detail["address"]
    return problem


def headers(error: UmpError, cause: Exception) -> dict[str, str]:
    found = {"Cache-Control": "no-store"}
    if error.retry_after is not None:
        found["Retry-After"] = str(max(1, round(error.retry_after)))
    if error.status == 401:
        found["WWW-Authenticate"] = 'Bearer realm="UMP Portal API"'
    return found


def request_id(request: Any) -> str:
    return str(getattr(request, "request_id", ""))


def flatten(detail: Any, path: str = "") -> list[Field]:
    """DRF's nested lists and mappings of messages as rows; a field within another is `outer.inner`."""
    if isinstance(detail, dict):
        return [row for name, inner in detail.items() for row in flatten(inner, _join(path, str(name)))]
    if isinstance(detail, list):
        return [row for inner in detail for row in flatten(inner, path)]
    return [{"field": path, "message": str(detail)}]


def _join(path: str, name: str) -> str:
    if name == "non_field_errors":
        return path
    return f"{path}.{name}" if path else name


def _own_fields(error: UmpError) -> list[Field]:
    field = error.fields.get("field", "")
    return [{"field": field, "message": error.fields.get("why") or error.message}] if field else []


def _first(fields: list[Field]) -> dict[str, str]:
    row = fields[0] if fields else {"field": "", "message": ""}
    return {"field": row["field"], "why": row["message"].rstrip(".")}


def _limit() -> str:
    return f"{(settings.DATA_UPLOAD_MAX_MEMORY_SIZE or 0) // 1024} kB"
