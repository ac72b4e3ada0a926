"""The contract: complete, valid, true; and its page."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.test import Client
from drf_spectacular.validation import validate_schema

from accounts.models import ApiToken
from api import docs
from api.examples import TENANT_ID
from api.urls import v1
from core.errors import CATALOGUE
from invitations import services as invitations
from invitations.models import Invitation
from sbc.models import Sbc
from tenants import scope, secrets
from tenants.access import SYSTEM
from tenants.models import SecretKind
from tests.api.conftest import Api
from tests.cast import Cast
from tests.sites.numbers import place
from tests.telephony.making import add_number
from webhooks.services import add as add_webhook

HTML = {"Accept": "text/html,application/xhtml+xml"}


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, told)
        for path, methods in docs.document()["paths"].items()
        for method, told in methods.items()
    ]


def test_no_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("spectacular", "--validate", "--fail-on-warn")
    assert "openapi: 3.1.0" in capsys.readouterr().out


def test_every_route_and_method_is_described() -> None:
    described = {(path, method.upper()) for path, method, _ in operations()}
    there = set()
    for route in v1:
        path = "/api/v1/" + str(route.pattern).replace("<uuid:", "{").replace("<int:", "{").replace(">", "}")
        there |= {(path, method) for method in route.callback.cls.doors}  # type: ignore[attr-defined]  # a DRF view
    assert described == there


def test_every_operation_says_what_it_needs_and_how_it_fails() -> None:
    for path, method, told in operations():
        where = f"{method} {path}"
        assert "Needs: " in told["description"], where
        assert told["security"] == [{"token": []}], where
        assert told["responses"].keys() >= {"401", "403", "429", "503", "default"}, where
        assert ("uid" in path) <= ("404" in told["responses"]), where
        for code, answer in told["responses"].items():
            if not code.startswith("2"):
                assert list(answer["content"]) == ["application/problem+json"], where
        names = {parameter["name"] for parameter in told.get("parameters", ())}
        assert ("Idempotency-Key" in names) == (method == "post"), where


def test_every_parameter_and_field_has_words() -> None:
    silent = [
        f"{one.id}: {field.name}"
        for group in docs.groups()
        for one in group.operations
        for field in (*one.parameters, *one.fields)
        if not field.text
    ]
    assert silent == []


def test_secrets_are_in_no_answer() -> None:
    schemas = docs.document()["components"]["schemas"]
    for name, schema in schemas.items():
        if not name.endswith("Request"):
            hidden = {"client_secret", "private_key", "certificate", "sealed", "digest"}
            assert not hidden & schema.get("properties", {}).keys(), name


def test_the_schema_is_for_tokens_and_for_people(
    api: Api, cast: Cast, client_of: Callable[..., Client], nobody: Api
) -> None:
    answer = api.get("/api/schema/")
    assert answer.status == 200
    validate_schema(answer.json)
    assert client_of(cast.vera).get("/api/schema/").json() == answer.json
    assert nobody.get("/api/schema/").status == 401
    assert api.post("/api/schema/", {}).code == "method_not_allowed"


def asked(cast: Cast, found: dict[str, str]) -> int:
    """The number of an invitation that waits until somebody confirms whose organisation was found."""
    with scope.one(cast.contoso.id):
        Invitation.objects.filter(done_at=None).update(revoked_at=Now())
        made = invitations.invite(SYSTEM, cast.contoso, email="it@contoso.example")
        sealed = secrets.store(cast.contoso, SecretKind.TOKEN_CACHE, "what the account gave", set_by="it")
        Invitation.objects.filter(id=made.pk).update(found=sealed, signed_in_at=Now(), **found)
    return int(made.pk)


def test_examples_of_requests_can_be_sent(api: Api, cast: Cast) -> None:
    webhook, _ = add_webhook(SYSTEM, name="Tickets", url="https://tickets.example/")
    sbc = Sbc.objects.create(name="sbc", address="169.254.4.9", user="ump", created_by="x")
    site = place(cast.contoso, sbc)
    add_number(cast.contoso, "+41589061500")
    for path, method, told in sorted(operations(), key=lambda one: one[1] == "delete"):
        content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            whole = (
                path.replace("{uid}", str(cast.contoso.id))
                .replace("{token_id}", str(ApiToken.objects.all()[0].id))
                .replace("{user_id}", str(cast.vera.id))
                .replace("{site_id}", str(site.uid))
                .replace("{endpoint_id}", str(webhook.id))
            )
            body = {**example["value"], **({"name": "Northwind"} if path.endswith("/tenants") else {})}
            if path.endswith("-organisation"):
                body["found_tenant_id"] = str(cast.contoso.entra_tenant_id)
                whole = whole.replace("{invitation_id}", str(asked(cast, body)))
            answer = api(method.upper(), whole, body)
            assert answer.status < 300, f"{method} {path}: {answer.text}"


def test_examples_of_answers_have_the_right_fields(api: Api, cast: Cast) -> None:
    schemas = docs.document()["components"]["schemas"]
    for path, method, told in operations():
        for code, answer in told["responses"].items():
            content = answer.get("content", {}).get("application/json", {})
            for example in content.get("examples", {}).values():
                schema = schemas[content["schema"]["$ref"].rsplit("/", 1)[1]]
                assert set(schema.get("required", ())) <= example["value"].keys(), f"{method} {path} {code}"


def test_the_paper_lists_every_route_with_what_it_needs() -> None:
    paper = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    for group in docs.groups():
        for one in group.operations:
            needs = f"`{one.ability}`" if one.ability else "a living token"
            assert f"| {one.method} | `{one.path}` | {needs} |" in paper


# --- The page -----------------------------------------------------------------------------------------------
def test_the_page_shows_every_operation_and_every_code(cast: Cast, client_of: Callable[..., Client]) -> None:
    text = client_of(cast.adam).get("/api/docs/", headers=HTML).content.decode()
    for path, _, told in operations():
        assert f'id="{told["operationId"]}"' in text
        assert path in text
    for code in CATALOGUE:
        assert f'<tr id="{code}">' in text
    assert TENANT_ID in text


def test_the_page_loads_nothing_from_elsewhere_and_nothing_inline(
    cast: Cast, client_of: Callable[..., Client]
) -> None:
    answer = client_of(cast.adam).get("/api/docs/", headers=HTML)
    text = answer.content.decode()
    assert "cdn" not in text.lower()
    assert "<style" not in text
    assert ' style="' not in text
    assert "onclick" not in text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_stranger_is_sent_to_sign_in(cast: Cast) -> None:
    answer = Client().get("/api/docs/", headers=HTML)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/accounts/login/?next=/api/docs/"


def test_a_person_at_a_foreign_address_sees_a_page_that_says_so(
    cast: Cast, client_of: Callable[..., Client]
) -> None:
    client = client_of(cast.adam)
    answer = client.get("/api/docs/", headers=HTML, REMOTE_ADDR="203.0.113.9")
    assert answer.status_code == 403
    assert "network address" in answer.content.decode()


def test_where_a_problem_leads_there_is_its_code(api: Api) -> None:
    kind = api.get("tenants/x").json["type"]
    assert kind == "http://localhost:8000/api/docs/#not_found"
    assert json.dumps(CATALOGUE["not_found"].code)
