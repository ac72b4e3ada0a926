"""Graph's error answers (facts/microsoft.md 5.1)."""

from __future__ import annotations

import datetime
from typing import Any

import orjson

from simulator.http1 import Response


class GraphError(Exception):
    """An answer that is an error; raised anywhere in a route, written by the dispatcher."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        headers: dict[str, str] | None = None,
        details: list[dict[str, str]] | None = None,
        inner: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.details, self.inner = headers or {}, details, inner or {}

    def body(self, request_id: str, client_request_id: str, now: float) -> dict[str, Any]:
        moment = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S")
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        error["innerError"] = {
            **self.inner,
            "date": moment,
            "request-id": request_id,
            "client-request-id": client_request_id,
        }
        return {"error": error}

    def response(self, request_id: str, client_request_id: str, now: float) -> Response:
        return Response(
            self.status,
            orjson.dumps(self.body(request_id, client_request_id, now)),
            {"Content-Type": "application/json", **self.headers},
        )


def bad_request(message: str, code: str = "Request_BadRequest") -> GraphError:
    return GraphError(400, code, message)


def unsupported(message: str) -> GraphError:
    return GraphError(400, "Request_UnsupportedQuery", message)


def not_found(key: str) -> GraphError:
    return GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{key}' does not exist or one of its queried reference-property objects are not present.",
    )


def denied() -> GraphError:
    return GraphError(
        403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
    )


def unauthenticated(message: str) -> GraphError:
    return GraphError(
        401,
        "InvalidAuthenticationToken",
        message,
        headers={
            "WWW-Authenticate": 'Bearer realm="", authorization_uri='
            '"https://login.microsoftonline.com/common/oauth2/authorize", '
            'client_id="00000003-0000-0000-c000-000000000000"'
        },
    )


def conflict(what: str, *, status: int = 400) -> GraphError:
    """A duplicate; creating users answers 400, directory links and others 409."""
    code = "Request_BadRequest" if status == 400 else "Request_MultipleObjectsWithSameKeyValue"
    return GraphError(
        status,
        code,
        f"Another object with the same value for property {what} already exists.",
        details=[
            {
                "code": "ConflictingObjects",
                "message": f"Another object with the same value for property {what} already exists.",
                "target": what,
            }
        ],
    )


def gone(code: str, status: int, location: str) -> GraphError:
    """The state behind a delta token is lost: start again from `location`."""
    return GraphError(
        status,
        code,
        "Resync required. Replace any local items with the server's version if they have changed since the "
        "last sync."
        if code.lower().startswith("resync")
        else "The sync state generation is not found; continuing from the provided sync state is not possible.",
        headers={"Location": location},
    )


def throttled(code: str, retry_after: str | None, headers: dict[str, str] | None = None) -> GraphError:
    wait = {} if retry_after is None else {"Retry-After": retry_after}
    return GraphError(
        429,
        code,
        "Please retry again later.",
        headers={**wait, **(headers or {})},
        inner={"code": "429", "message": "Please retry after", "status": "429"},
    )
