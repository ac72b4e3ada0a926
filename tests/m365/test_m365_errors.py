"""The two tables: every number and row of the facts has its code, whatever surrounds it."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import CATALOGUE, DeltaExpired, PermissionMissing, Remedy, Throttled, UmpError
from m365.errors import AADSTS, GRAPH, OAUTH, from_graph, from_oauth, parse_retry_after, render_document
from tests.m365.desk import graph_error, refused

# Every number of facts/microsoft.md 4 and 2.4, and the one of a wrong clock, apart from the table under test.
NUMBERS = """
7000222 7000215 70002 7000218 700025 700016 7000229 7000112 70001 500014 500011 700027 50012 1000502 50194 50011
70011 28002 900144 90014 9002313 54005 70008 501481 700005 65001 65004 65005 650056 650057 650052 650051 90094 90095
90002 90038 900382 900432 50059 50128 90019 5000224 900023 50020 50177 50105 50126 50034 50053 50055 50144 50056 50057
50076 50074 50079 50072 50078 70043 50158 50097 53000 53001 53002 53003 530032 530035 53004 53011 50131 530034 50173
700082 70000 700084 50132 50133 50089 50196 70016 70018 70019 70020 90119 90120 50134 50033 50087 50088 90006 90012
90024 90033 90055 90090 80001 80002 80005 80014 50199 9001023 50049 700024
"""
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("number", [int(word) for word in NUMBERS.split()])
def test_every_number_has_its_words(number: int) -> None:
    error = from_oauth(refused(number), 400, app="Acme sync", tenant="Contoso")
    assert error.code == AADSTS[number] != "signin_refused"
    assert error.detail["microsoft_code"] == f"AADSTS{number}"
    assert (error.detail["trace_id"], error.detail["correlation_id"]) == ("t-1", "c-1")


def test_no_number_is_listed_twice_or_left_over() -> None:
    assert sorted(AADSTS) == sorted(int(word) for word in NUMBERS.split())
    assert {*AADSTS.values(), *OAUTH.values(), *GRAPH.values()} <= set(CATALOGUE)


@pytest.mark.parametrize(
    ("number", "code", "who"),
    [
        (7000222, "secret_expired", "customer_admin"),
        (7000215, "secret_wrong", "provider"),
        (700016, "app_not_found", "provider"),
        (65001, "consent_missing", "customer_admin"),
        (53003, "conditional_access", "customer_admin"),
        (90002, "tenant_unknown", "provider"),
        (50196, "token_loop", "portal"),
        (90033, "microsoft_busy", "microsoft"),
    ],
)
def test_the_ones_met_most(number: int, code: str, who: str) -> None:
    error = from_oauth(refused(number), 400)
    assert (error.code, error.who) == (code, who)


def test_the_wrong_secret_explains_the_usual_mistake() -> None:
    advice = from_oauth(refused(7000215), 401).advice
    assert "Value" in advice
    assert "Secret ID" in advice


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (refused(4711), 400, "signin_refused"),
        ({"error": "invalid_grant"}, 400, "signin_refused"),
        ({"error": "invalid_client"}, 401, "secret_wrong"),
        ({"error": "authorization_pending"}, 400, "device_pending"),
        ({"error": "slow_down"}, 400, "device_too_fast"),
        ({"error": "authorization_declined"}, 400, "device_declined"),
        ({"error": "temporarily_unavailable"}, 400, "microsoft_busy"),
        ({"error": "x", "error_description": "AADSTS53003: Blocked"}, 400, "conditional_access"),
        ({"error_codes": ["7000222"]}, 401, "secret_expired"),
        ({"error_codes": [1, 7000222]}, 401, "secret_expired"),
        ({}, 429, "throttled"),
        ({}, 503, "microsoft_busy"),
        ("<html>", 400, "signin_refused"),
        (None, 200, "signin_refused"),
    ],
)
def test_incomplete_answers(body: object, status: int, code: str) -> None:
    assert from_oauth(body, status).code == code


@pytest.mark.parametrize(
    ("status", "word", "code"),
    [
        (400, "Request_BadRequest", "graph_refused"),
        (400, "Request_UnsupportedQuery", "graph_unsupported"),
        (400, "syncStateNotFound", "delta_expired"),
        (401, "InvalidAuthenticationToken", "graph_unauthorized"),
        (403, "Authorization_RequestDenied", "permission_missing"),
        (403, "Forbidden", "permission_missing"),
        (404, "Request_ResourceNotFound", "remote_not_found"),
        (404, "SyncStateNotFound", "delta_expired"),
        (409, "Request_MultipleObjectsWithSameKeyValue", "remote_conflict"),
        (400, "Request_MultipleObjectsWithSameKeyValue", "remote_conflict"),
        (410, "resyncRequired", "delta_expired"),
        (410, "resyncRequiredUploadDifferences", "delta_expired"),
        (410, "", "delta_expired"),
        (412, "", "remote_changed"),
        (423, "", "remote_locked"),
        (424, "", "dependency_failed"),
        (429, "TooManyRequests", "throttled"),
        (503, "activityLimitReached", "throttled"),
        (400, "Request_ThrottledTemporarily", "throttled"),
        (500, "InternalServerError", "graph_unavailable"),
        (502, "UnknownError", "graph_unavailable"),
        (503, "ServiceNotAvailable", "graph_unavailable"),
        (504, "gatewayTimeout", "graph_unavailable"),
        (501, "NotImplemented", "graph_unsupported"),
        (302, "", "redirected"),
        (418, "", "graph_refused"),
    ],
)
def test_every_row_of_graph(status: int, word: str, code: str) -> None:
    assert from_graph(status, graph_error(word)).code == code


def test_graphs_answer_is_kept_for_the_operator() -> None:
    headers = {"Request-Id": "r-1", "Date": "now", "x-ms-throttle-scope": "Tenant_Application/Read/a/t"}
    error = from_graph(403, graph_error("Authorization_RequestDenied"), headers, permission="User.Read.All")
    assert isinstance(error, PermissionMissing)
    assert "Missing: User.Read.All" in error.message
    assert error.detail["request_id"] == "r-1"
    assert error.detail["throttle_scope"] == "Tenant_Application/Read/a/t"


def test_nested_and_listed_codes_count() -> None:
    nested = {"error": {"code": "BadRequest", "innererror": {"code": "resyncRequired"}}}
    assert isinstance(from_graph(400, nested), DeltaExpired)
    listed = graph_error("Request_BadRequest", details=[{"code": "ConflictingObjects"}])
    assert from_graph(400, listed).code == "remote_conflict"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("10", None, 10.0),
        ("2.128", None, 3.0),
        (" 7 ", None, 7.0),
        ("0", None, 0.0),
        ("-5", None, 0.0),
        ("999999", None, 3600.0),
        ("Fri, 20 Nov 2026 20:00:30 GMT", "Fri, 20 Nov 2026 20:00:00 GMT", 30.0),
        ("Fri, 20 Nov 2026 19:00:00 GMT", "Fri, 20 Nov 2026 20:00:00 GMT", 0.0),
        ("", None, None),
        (None, None, None),
        ("soon", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("Fri, 99 Nov 2026", None, None),
    ],
)
def test_retry_after(value: str | None, date: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, date) == seconds


def test_throttling_carries_its_wait() -> None:
    error = from_graph(429, {}, {"Retry-After": "2.128"})
    assert isinstance(error, Throttled)
    assert (error.retry_after, error.remedy) == (3.0, Remedy.LATER)


@given(
    JSON,
    st.integers(100, 599),
    st.dictionaries(st.sampled_from(["retry-after", "date", "request-id"]), st.text()),
)
def test_no_body_can_break_the_translation(body: object, status: int, headers: dict[str, str]) -> None:
    for wrapped in (body, {"error": body}, {"error_codes": body, "error_description": body}):
        assert isinstance(from_graph(status, wrapped, headers), UmpError)
        assert isinstance(from_oauth(wrapped, status, headers), UmpError)


def test_the_documentation_is_up_to_date() -> None:
    """Regenerate it with `python -m m365.errors > docs/errors.md`."""
    page = Path(__file__).parents[2].joinpath("docs", "errors.md").read_text(encoding="utf-8")
    assert page == render_document()
    assert all(f"AADSTS{number}" in page for number in random.sample(sorted(AADSTS), 20))
    assert not re.search(r"\{\w+\}", page)
