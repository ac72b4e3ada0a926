"""Schemathesis against the WSGI application: requests made from the contract, answers held against it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.cache import cache
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings, strategies
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.parameters import ParameterLocation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from api import docs
from replication.models import Command
from tenants.abilities import Role
from tests.api.conftest import SKU, add_group, add_sku, add_user, make_token
from tests.cast import Cast

EXAMPLES = 25
KEEPS_ITS_WORD = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
OPERATIONS = [
    (path, method.upper()) for path, methods in docs.document()["paths"].items() for method in methods
]


@pytest.fixture
def places(cast: Cast, command: Command) -> dict[str, Any]:
    """Ids of things that are there, so that not every request ends in 404."""
    user = add_user(cast.contoso, "Lee Gu", sku_ids=[SKU])
    group = add_group(cast.contoso, "Sales", [user])
    add_sku(cast.contoso)
    return {
        "uid": str(cast.contoso.id),
        "number": command.id,
        "users": str(user.object_id),
        "groups": str(group.object_id),
        "user_id": str(cast.vera.id),
    }


@pytest.fixture
def one_connection() -> Iterator[None]:
    """The server would close its connection between requests, and with it the test's transaction."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


_read: list[Any] = []
"""The contract as read, kept: to read it and to prepare an operation takes 40 ms."""
WHOLE = get_wsgi_application()


@pytest.fixture
def contract(cast: Cast, settings: Any, one_connection: None) -> Any:
    """The contract as the application serves it, and the header that opens everything."""
    settings.API_REQUESTS_PER_MINUTE = 0
    cache.clear()
    headers = {"Authorization": f"Bearer {make_token(Role.PROVIDER_ADMIN)}"}
    if not _read:
        _read.append(
            schemathesis.openapi.from_wsgi("/api/schema/", near, headers=headers, base_url="http://localhost")
        )
        _read[0].config.checks.negative_data_rejection.expected_statuses = [400, 401, 404, 410, 412, 415, 422]
    return _read[0], headers


def near(environ: dict[str, Any], start: Any) -> Any:
    """A server would say who calls; the test client does not."""
    return WHOLE({**environ, "REMOTE_ADDR": "127.0.0.1"}, start)


def send(case: Any, headers: dict[str, str], places: dict[str, Any], there: bool, checks: Any) -> None:
    """With the ids of what is there, unless the id, or the lack of a token, is what is bad about it."""
    if there and case.path_parameters and not case.meta.is_negative_at(ParameterLocation.PATH):
        kind = "groups" if "/groups" in case.operation.path else "users"
        real = {**places, "object_id": places[kind]}
        for name in case.path_parameters:
            case.path_parameters[name] = real.get(name, case.path_parameters[name])
    bare = case.meta.is_negative_at(ParameterLocation.HEADER)
    case.call_and_validate(headers={} if bare else headers, checks=checks)


def drive(case_of: Any, run: Any) -> None:
    limits = settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate),
    )
    limits(given(case=case_of, there=strategies.booleans())(run))()


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_good_requests(contract: Any, places: dict[str, Any], path: str, method: str) -> None:
    schema, headers = contract

    def run(case: Any, there: bool) -> None:
        send(case, headers, places, there, [*KEEPS_ITS_WORD, unsupported_method, ignored_auth])

    drive(schema[path][method].as_strategy(), run)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_bad_requests(contract: Any, places: dict[str, Any], path: str, method: str) -> None:
    schema, headers = contract

    def run(case: Any, there: bool) -> None:
        send(case, headers, places, there, [*KEEPS_ITS_WORD, negative_data_rejection])

    drive(schema[path][method].as_strategy(generation_mode=GenerationMode.NEGATIVE), run)


def test_the_application_serves_the_document_itself(contract: Any) -> None:
    schema, _ = contract
    assert schema.raw_schema == json.loads(json.dumps(docs.document()))
