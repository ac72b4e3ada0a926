"""Whatever the other side answers: one of our errors or a sound result, and nothing sent anywhere else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import responses
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import UmpError
from core.http import outbound
from m365 import identity
from m365.graph import BatchRequest
from m365.identity import AppCredential, app_token
from tests.m365.desk import (
    APP,
    GLOBAL,
    ROOT,
    SECRET,
    TENANT,
    desk,
    granted,
    graph_error,
    metadata,
    metadata_url,
    refused,
    token_url,
)

ALLOWED = {GLOBAL.graph_host, GLOBAL.authority_host}
PAGE = {
    "@odata.nextLink": f"{ROOT}/users?$skiptoken=2",
    "value": [{"id": "1", "displayName": "A"}, {"id": "2"}],
}
BATCH = {"responses": [{"id": "1", "status": 200, "headers": {"Retry-After": "1"}, "body": {"value": []}}]}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=15),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
LINKS = st.sampled_from(
    ["https://evil.example/v1.0/users", "http://graph.microsoft.com/v1.0/users", "", "x", f"{ROOT}/users"]
)


@st.composite
def mangled(draw: st.DrawFn, good: list[Any]) -> bytes:
    """A good body, broken the way proxies, truncation and attackers break things."""
    document = draw(st.sampled_from(good))
    how = draw(st.sampled_from(["cut", "swap", "replace", "html", "noise", "other", "deep"]))
    text = json.dumps(_replaced(draw, document) if how == "replace" else document).encode()
    if how == "cut":
        return text[: draw(st.integers(0, len(text)))]
    if how == "swap":
        at = draw(st.integers(0, max(len(text) - 1, 0)))
        return text[:at] + draw(st.binary(min_size=1, max_size=3)) + text[at + 1 :]
    if how == "html":
        return b"<!DOCTYPE html><html><body>Sign in to the network</body></html>"
    if how == "noise":
        return draw(st.binary(max_size=200))
    if how == "deep":
        return b"[" * 5000 + b"]" * 5000
    return text if how == "replace" else json.dumps(draw(JSON)).encode()


def _replaced(draw: st.DrawFn, document: Any) -> Any:
    """The document with one value somewhere in it replaced by anything, or its link by a foreign one."""
    if isinstance(document, dict) and document:
        key = draw(st.sampled_from(sorted(document)))
        inner = draw(LINKS) if "Link" in key or "endpoint" in key else _replaced(draw, document[key])
        return {**document, key: inner}
    if isinstance(document, list) and document:
        at = draw(st.integers(0, len(document) - 1))
        return [*document[:at], _replaced(draw, document[at]), *document[at + 1 :]]
    return draw(JSON)


def _failure_of(act: Callable[[], object]) -> str:
    """What is stored of its failure, empty when it went well; anything but our own error comes through."""
    try:
        act()
    except UmpError as error:
        return json.dumps(error.to_dict())
    return ""


STATUS = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 410, 429, 500, 503])
HEADERS = st.dictionaries(
    st.sampled_from(
        ["Retry-After", "Location", "x-ms-resource-unit", "x-ms-throttle-limit-percentage", "Date"]
    ),
    st.sampled_from(["", "x", "-1", "1e99", "nan", "https://evil.example/", "Fri, 99 Nov"]),
    max_size=3,
)


def _only_allowed_hosts(mock: responses.RequestsMock) -> None:
    assert {str(call.request.url).split("/")[2] for call in mock.calls} <= ALLOWED


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(STATUS, HEADERS, mangled([PAGE, graph_error("x"), BATCH])), min_size=1, max_size=3))
def test_hostile_graph(answers: list[tuple[int, dict[str, str], bytes]]) -> None:
    place, waiting = desk(), list(answers)

    def answer(_request: object) -> tuple[int, dict[str, str], bytes]:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        for method, url in (
            ("GET", f"{ROOT}/users"),
            ("POST", f"{ROOT}/$batch"),
            ("PATCH", f"{ROOT}/users/1"),
        ):
            mock.add_callback(method, url, answer)
        for act in (
            lambda: list(place.client.pages("/users", limit=5)),
            lambda: place.client.batch([BatchRequest("1", "/users?$select=id")]),
            lambda: place.client.patch("/users/1", {"city": "Oslo"}),
        ):
            assert "eyJkept" not in _failure_of(act)
        _only_allowed_hosts(mock)


@settings(max_examples=150, deadline=None)
@given(
    STATUS, HEADERS, mangled([metadata(), refused(90002)]), STATUS, HEADERS, mangled([granted(), refused(7000222)]),
    st.booleans(),
)  # fmt: skip
def test_hostile_sign_in(
    status: int, headers: dict[str, str], document: bytes,
    token_status: int, token_headers: dict[str, str], token: bytes, good_metadata: bool,
) -> None:  # fmt: skip
    identity.forget_everything()
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock, outbound() as session:
        body = json.dumps(metadata()).encode() if good_metadata else document
        mock.get(metadata_url(), body=body, status=200 if good_metadata else status, headers=headers)
        mock.post(token_url(), body=token, status=token_status, headers=token_headers)
        credential = AppCredential(APP, secret=SECRET)
        assert SECRET not in _failure_of(lambda: app_token(session, GLOBAL, TENANT, credential))
        _only_allowed_hosts(mock)
