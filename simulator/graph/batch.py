"""`POST /$batch` (facts/microsoft.md 5.6): up to twenty requests in one, each judged on its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from simulator.graph.errors import GraphError
from simulator.http1 import Request, Response

LIMIT = 20
_METHODS = frozenset({"GET", "POST", "PATCH", "PUT", "DELETE"})


def _bad(message: str, code: str = "BadRequest") -> GraphError:
    return GraphError(400, code, message)


def steps(body: bytes) -> list[dict[str, Any]]:
    """The batch's requests after every check that refuses the whole batch."""
    try:
        content = orjson.loads(body or b"null")
    except orjson.JSONDecodeError:
        content = None
    requests = content.get("requests") if isinstance(content, dict) else None
    if not isinstance(requests, list) or not all(isinstance(step, dict) for step in requests):
        raise _bad("Invalid batch payload format.")
    if not requests:
        raise _bad("Batch request must contain at least one step.")
    if len(requests) > LIMIT:
        raise _bad(
            f"Number of batch request steps exceeds the maximum value of {LIMIT}.", "MaximumValueExceeded"
        )
    _check_ids(requests)
    for step in requests:
        _check_step(step)
    _check_order(requests)
    return requests


def _check_ids(requests: list[dict[str, Any]]) -> None:
    ids = [step.get("id") for step in requests]
    if not all(isinstance(key, str) and key for key in ids):
        raise _bad("Every batch request step needs an id of type string.")
    if len({str(key).lower() for key in ids}) != len(ids):
        raise _bad("Batch request step ids must be unique (they are not case-sensitive).")


def _check_step(step: dict[str, Any]) -> None:
    url, method = step.get("url"), str(step.get("method", "")).upper()
    if method not in _METHODS:
        raise _bad(f"Batch request step {step['id']} has no valid method.")
    if not isinstance(url, str) or not url or "://" in url.split("?")[0]:
        raise _bad(f"Batch request step {step['id']} needs a relative url.")
    if url.lstrip("/").lower().startswith("$batch"):
        raise _bad("A batch cannot contain another batch.")
    if not isinstance(step.get("headers") or {}, dict) or not isinstance(step.get("dependsOn") or [], list):
        raise _bad(f"Batch request step {step['id']} is malformed.")
    headers = {name.lower() for name in step.get("headers") or {}}
    if step.get("body") is not None and "content-type" not in headers:
        raise _bad(f"Batch request step {step['id']} has a body but no Content-Type header.")


def _check_order(requests: list[dict[str, Any]]) -> None:
    """`dependsOn` may name earlier steps only; either nothing depends or everything is one chain."""
    seen: set[str] = set()
    depending = 0
    for step in requests:
        needed = step.get("dependsOn") or []
        if any(str(key).lower() not in seen for key in needed):
            raise _bad(f"Batch request step {step['id']} depends on a step that does not come before it.")
        depending += bool(needed)
        seen.add(str(step["id"]).lower())
    if depending not in {0, len(requests) - 1}:
        raise _bad("Batch request steps must be all parallel or all in one sequence.")


def run(outer: Request, requests: list[dict[str, Any]], serve: Callable[[Request], Response]) -> bytes:
    """Serve every step and write the batch's answer; a step after a failed one it depends on gets 424."""
    failed: set[str] = set()
    responses: list[dict[str, Any]] = []
    for step in requests:
        key = str(step["id"])
        if any(str(needed).lower() in failed for needed in step.get("dependsOn") or ()):
            failed.add(key.lower())
            responses.append(_dependency_failed(key))
            continue
        response = serve(_request(outer, step))
        if response.status >= 400:
            failed.add(key.lower())
        responses.append(_item(key, response))
    return orjson.dumps({"responses": responses})


def _request(outer: Request, step: dict[str, Any]) -> Request:
    path, _, query = str(step["url"]).partition("?")
    headers = {str(name).lower(): str(value) for name, value in (step.get("headers") or {}).items()}
    for name in ("authorization", "host", "client-request-id", "x-ms-throttle-priority"):
        if name in outer.headers:
            headers.setdefault(name, outer.headers[name])
    body = b"" if step.get("body") is None else orjson.dumps(step["body"])
    return Request(
        str(step["method"]).upper(), f"/v1.0/{path.lstrip('/')}", query, headers, body, outer.secure
    )


def _item(key: str, response: Response) -> dict[str, Any]:
    item: dict[str, Any] = {"id": key, "status": response.status}
    kept = {name: value for name, value in response.headers.items() if name not in _OUTER_ONLY}
    if kept:
        item["headers"] = kept
    if response.body:
        is_json = "json" in response.headers.get("Content-Type", "")
        item["body"] = orjson.Fragment(response.body) if is_json else response.body.decode()
    return item


_OUTER_ONLY = frozenset(
    {"request-id", "client-request-id", "x-ms-ags-diagnostic", "Strict-Transport-Security"}
)


def _dependency_failed(key: str) -> dict[str, Any]:
    error = {"code": "FailedDependency", "message": "A step that this one depends on has failed."}
    return {
        "id": key,
        "status": 424,
        "headers": {"Content-Type": "application/json"},
        "body": {"error": error},
    }
