"""Every error is a problem document, whatever it was and whoever raised it first."""

from typing import Any

import psycopg2
import pytest
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection
from psycopg2.errors import IdleInTransactionSessionTimeout

from api import tenants
from core.catalogue import CATALOGUE
from tenants import scope
from tenants.models import Tenant
from tests.api.conftest import V1, Api
from tests.cast import Cast

SILENT = InternalError("terminating connection due to idle-in-transaction timeout")
SILENT.__cause__ = IdleInTransactionSessionTimeout()  # psycopg2 does not count it as operational
BROKEN = DatabaseError("server closed the connection unexpectedly")
BROKEN.__cause__ = psycopg2.DatabaseError("server closed the connection")  # of no class of its own
MEMBERS = {"type", "title", "status", "detail", "advice", "code", "who", "request_id"}


def is_problem(answer: Any, status: int, code: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer.text
    assert answer.json.keys() >= MEMBERS
    assert answer.json["type"].endswith(f"/api/docs/#{code}")
    assert code in CATALOGUE
    assert answer.headers["X-Request-Id"] == answer.json["request_id"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    "path", ["nothing", "tenants/", "/api/", "/api/v2/tenants", "/api/v1", "tenants/x/y/z"]
)
def test_unknown_addresses(api: Api, path: str) -> None:
    is_problem(api.get(path), 404, "not_found")


@pytest.mark.parametrize("path", ["nothing", "/api/"])
def test_unknown_addresses_tell_strangers_nothing(nobody: Api, path: str) -> None:
    is_problem(nobody.get(path), 401, "not_signed_in")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
def test_methods_that_are_not_there(api: Api, method: str) -> None:
    answer = api(method, "tenants")
    is_problem(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "GET, POST, HEAD"
    assert method in answer.json["detail"]


@pytest.mark.parametrize(
    "body", ["{", "", "nul", '{"name": NaN}', "\xff", '{"name": "\\ud800"}x', "[" * 100_000]
)
def test_bodies_that_cannot_be_read(api: Api, body: str) -> None:
    answer = api.post("tenants", body.encode("latin-1") or b" ")
    is_problem(answer, 400, "malformed_request")


def test_half_a_character(api: Api) -> None:
    answer = api.post("tenants", '{"name": "\\ud800"}')
    is_problem(answer, 422, "invalid_input")


@pytest.mark.parametrize(
    "kind",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
def test_other_forms_of_content(api: Api, kind: str) -> None:
    sent = api.client.post(
        f"{V1}/tenants", "name=x", content_type=kind, headers={"Authorization": f"Bearer {api.value}"}
    )
    assert (sent.status_code, sent.json()["code"]) == (415, "unsupported_media")


@pytest.mark.parametrize("accept", ["text/html", "image/png", "application/xml"])
def test_other_forms_of_answer(api: Api, accept: str) -> None:
    is_problem(api.get("tenants", Accept=accept), 406, "not_acceptable")


def test_ten_megabytes_in_one_field(api: Api) -> None:
    answer = api.post("tenants", {"name": "x" * 10_000_000})
    is_problem(answer, 413, "request_too_large")
    assert "2560 kB" in answer.json["detail"]


def test_a_field_that_is_too_long(api: Api) -> None:
    assert api.post("tenants", {"name": "x" * 1_000_000}).fields == {"name"}


def raises(error: Exception) -> Any:
    def handler(*args: Any, **kwargs: Any) -> None:
        raise error

    return handler


@pytest.mark.parametrize(
    "error", [OperationalError("server closed the connection"), InterfaceError("closed"), SILENT, BROKEN]
)
def test_a_database_that_does_not_answer(api: Api, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("accounts.services.token_of", raises(error))
    answer = api.get("me")
    is_problem(answer, 503, "database_unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "server closed" not in answer.text


def test_what_nobody_foresaw(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tenants.Tenants, "context", raises(ZeroDivisionError("the canary sings")))
    answer = api.get("tenants")
    is_problem(answer, 500, "internal")
    assert "canary" not in answer.text
    assert "the canary sings" in caplog.text


def test_a_view_that_raised_keeps_nothing_of_an_open_scope(
    api: Api, cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The door of a list opens a transaction; whatever a view wrote in it goes."""

    def write_and_fail(self: Any, page: object) -> Any:
        Tenant.objects.filter(id=cast.contoso.id).update(domain="half.example")
        raise ZeroDivisionError

    monkeypatch.setattr(tenants.Tenants, "context", write_and_fail)
    assert api.get("tenants").status == 500
    assert not connection.needs_rollback
    with scope.one(cast.contoso.id):
        assert Tenant.objects.get(id=cast.contoso.id).domain == cast.contoso.domain


def test_a_scope_never_outlives_its_request(api: Api, cast: Cast) -> None:
    for path in (
        "tenants",
        f"tenants/{cast.contoso.id}",
        "tenants?plan=x",
        f"tenants/{cast.contoso.id}/users/x",
    ):
        api.get(path)
        assert scope.current() is None
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('app.tenant', true), current_user")
            setting, user = cursor.fetchone()
        assert (setting or "", user) == ("", "ump_app")


def test_the_detail_is_for_people_and_the_code_for_programs(api: Api) -> None:
    answer = api.post("tenants", {"name": "Contoso"})
    assert answer.json["detail"].endswith(".")
    assert answer.json["errors"] == [
        {"field": "name", "message": "there is a customer with this name already"}
    ]


def test_answers_carry_the_headers_that_keep_them_private(api: Api) -> None:
    headers = api.get("tenants").headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Type"] == "application/json"
    assert "Set-Cookie" not in headers


def test_head_of_a_removed_customer(api: Api, cast: Cast) -> None:
    path = f"tenants/{cast.contoso.id}"
    api.delete(path, {"typed_name": "Contoso"})
    bearer = {"Authorization": f"Bearer {api.value}"}
    assert api.client.head(f"{V1}/{path}", headers=bearer).status_code == 200


def test_head_is_get_without_the_body(api: Api) -> None:
    answer = api.client.head(f"{V1}/tenants", headers={"Authorization": f"Bearer {api.value}"})
    assert answer.status_code == 200
    assert answer.content == b""
