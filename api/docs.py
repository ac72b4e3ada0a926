"""/api/schema/ and /api/docs/: the contract, as a document for programs and as a page for people.

The page is made from the document on the server, in the portal's own look: no script, no CDN, both themes, and
everything in it can be found by the browser's search. (Swagger UI and ReDoc need inline styles that our Content
Security Policy forbids, and fail the accessibility checks that every page here has to pass.)
"""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from drf_spectacular.generators import SchemaGenerator
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from api import problems
from api.authentication import REALM, BearerToken
from api.permissions import caller
from api.views import ApiView
from core.errors import CATALOGUE
from core.kinds import NOUNS, WHO_IN_WORDS

TONES = {"GET": "info", "POST": "ok", "PUT": "warn", "PATCH": "warn", "DELETE": "bad"}
ORDER = ("get", "post", "put", "patch", "delete")
TITLES = {
    "me": "Who am I",
    "tenants": "Customers",
    "onboardings": "Onboarding",
    "invitations": "Invitations",
    "invitation-settings": "The mail of invitations",
    "license": "The licence",
    "resource-account-templates": "Templates of resource accounts",
    "usage": "Usage, for billing",
    "commands": "Commands of all customers",
    "queue": "The queue",
    "provider-app": "The provider's app registration",
    "verify-runs": "Verify All",
    "dns-zone": "The provider's DNS zone",
    "audit": "The trail",
    "people": "People of all customers and the provider",
    "tokens": "Tokens",
    "events": "What happened",
    "webhooks": "Webhooks",
    "sbcs": "SBC devices",
    "prefixes": "Rules of all SBC devices",
    "numbers": "Numbers of all customers",
    "script-templates": "Scenario scripts",
}


class SignedIn(BaseAuthentication):
    """The session of a person; for these pages only, which show nobody's data."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        person: Any = request._request.user
        return (person, None) if person.is_authenticated and person.is_active else None

    def authenticate_header(self, request: Request) -> str:
        return REALM


class Contract(ApiView):
    """OpenAPI 3.1 as JSON, for whoever is signed in or has a token."""

    authentication_classes = (SignedIn, BearerToken)
    doors = {"GET": caller()}
    schema: Any = None

    def get(self, request: Request) -> Response:
        return Response(document())


class Docs(Contract):
    """The page; a stranger's browser is sent to sign in, and every other refusal is a page too."""

    authentication_classes = (SignedIn, BearerToken)

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[Any, str]:
        return JSONRenderer(), "application/json"

    def get(self, request: Request) -> HttpResponseBase:  # type: ignore[override]  # a page instead of JSON
        if request.auth is not None:  # by a token: the page is as for nobody
            request._request.user = AnonymousUser()
        context = {
            "groups": groups(),
            "errors": errors(),
            "base": settings.PORTAL_BASE_URL,
            "tabs": (),
            "crumbs": (),
        }
        return render(request._request, "api/docs.html", context)

    def handle_exception(self, exc: Exception) -> Any:
        if "text/html" not in self.request.META.get("HTTP_ACCEPT", ""):
            return super().handle_exception(exc)
        known, _ = problems.translate(exc)
        if known.status == 401:
            return redirect(f"{reverse(settings.LOGIN_URL)}?next={self.request.path}")
        if known.code == "internal":
            return super().handle_exception(exc)
        return render(self.request._request, "errors/problem.html", {"error": known}, status=known.status)


@functools.cache
def document() -> dict[str, Any]:
    """The contract; the same for everybody, so made once a process."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


# --- The page -----------------------------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Field:
    """A parameter, or a field of a body; one within another is `outer.inner`."""

    name: str
    kind: str
    required: bool
    text: str


@dataclasses.dataclass(frozen=True)
class Operation:
    id: str
    method: str
    path: str
    tone: str
    title: str
    ability: str
    parameters: list[Field]
    fields: list[Field]
    curl: str
    answers: list[tuple[str, str]]
    example: str


@dataclasses.dataclass(frozen=True)
class Group:
    id: str
    title: str
    operations: list[Operation]


@functools.cache
def groups() -> list[Group]:
    """Operations by noun: what is below a customer comes right after the customers."""
    found: dict[str, list[Operation]] = {}
    for path, methods in document()["paths"].items():
        for method in ORDER:
            if method in methods:
                found.setdefault(_noun(path), []).append(_operation(path, method, methods[method]))
    order = sorted(found, key=lambda noun: (list(TITLES).index(_chapter(noun)), noun))
    return [Group(noun, _title(noun), found[noun]) for noun in order]


def _chapter(noun: str) -> str:
    return noun if noun in TITLES else noun.partition("-")[0]


def errors() -> list[dict[str, Any]]:
    """The catalogue: what `code` may say. The same words as docs/errors.md."""
    words = dict(NOUNS)
    return [
        {
            "code": kind.code,
            "status": kind.status,
            "message": kind.message.format_map(words),
            "advice": kind.advice.format_map(words),
            "who": WHO_IN_WORDS[kind.who],
        }
        for kind in CATALOGUE.values()
    ]


def _noun(path: str) -> str:
    """`/api/v1/tenants/{uid}/users/{object_id}` -> `tenants-users`."""
    parts = [part for part in path.removeprefix("/api/v1/").split("/") if not part.startswith("{")]
    of_tenant = (
        parts[0] == "tenants"
        and len(parts) > 1
        and parts[1]
        in {
            "changes",
            "commands",
            "connection",
            "domains",
            "groups",
            "invitations",
            "people",
            "plans",
            "sites",
            "users",
        }
    )
    return "-".join(parts[:2]) if of_tenant else parts[0]


def _title(noun: str) -> str:
    chapter = _chapter(noun)
    inner = noun.removeprefix(chapter).removeprefix("-")
    return f"{TITLES[chapter]}: {inner}" if inner else TITLES[chapter]


def _operation(path: str, method: str, told: Mapping[str, Any]) -> Operation:
    body = told.get("requestBody", {}).get("content", {}).get("application/json", {})
    sent = _example(body)
    good = next(answer for code, answer in told["responses"].items() if code.startswith("2"))
    got = _example(good.get("content", {}).get("application/json", {}))
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        tone=TONES[method.upper()],
        title=told["description"].split("\n")[0].replace("`", ""),
        ability=told.get("x-ability") or "",
        parameters=[_parameter(one) for one in told.get("parameters", ())],
        fields=list(_fields(body.get("schema", {}))),
        curl=_curl(method.upper(), path, sent),
        answers=[
            (code, answer["description"].replace("`", "")) for code, answer in told["responses"].items()
        ],
        example="" if got is None else json.dumps(got, indent=2),
    )


def _parameter(told: Mapping[str, Any]) -> Field:
    where = "" if told["in"] == "query" else f", in the {told['in']}"
    return Field(
        told["name"], _kind(told["schema"]) + where, bool(told.get("required")), told.get("description", "")
    )


def _fields(schema: Mapping[str, Any], outer: str = "") -> Iterator[Field]:
    schema = _resolved(schema)
    for name, inner in schema.get("properties", {}).items():
        whole = _resolved(inner)
        required = name in schema.get("required", ())
        yield Field(f"{outer}{name}", _kind(whole), required, _first_line(inner, whole))
        if whole.get("properties"):
            yield from _fields(whole, f"{outer}{name}.")


def _first_line(inner: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """A field's own words; the list of choices behind them is told by its kind."""
    text = str(inner.get("description") or whole.get("description") or "")
    return "" if text.startswith("* ") else text.split("\n", maxsplit=1)[0]


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema behind a reference, alone or as the one part of a union with null."""
    for part in (schema, *schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
        if "$ref" in part:
            found: Mapping[str, Any] = document()["components"]["schemas"][part["$ref"].rsplit("/", 1)[1]]
            return found
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    """A schema in words: `uuid`, `list of text`, `one of pro, essentials`."""
    schema = _resolved(schema)
    choices = [str(each) for each in schema.get("enum", ()) if each not in {None, ""}]
    if choices:
        return "one of " + ", ".join(choices)
    kinds = schema.get("type", "object")
    kind = next(each for each in kinds if each != "null") if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    word = schema.get("format") or {"string": "text", "integer": "number"}.get(kind, kind)
    return f"{word} or null" if isinstance(kinds, list) else str(word)


def _example(content: Mapping[str, Any]) -> Any:
    found = next(iter(content.get("examples", {}).values()), None)
    return found["value"] if found else None


def _curl(method: str, path: str, sent: Any) -> str:
    lines = [f"curl -X {method}" if method != "GET" else "curl"]
    lines.append(' -H "Authorization: Bearer $TOKEN"')
    if sent is not None:
        lines.append(f" --json '{json.dumps(sent)}'")
    lines.append(f' "{settings.PORTAL_BASE_URL}{path}"')
    return " \\\n ".join(lines)
