"""What a route gets to work with, and Microsoft's table of calls, options, properties and permissions."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import orjson

from simulator.graph.errors import GraphError
from simulator.http1 import Request
from simulator.tenant import Tenant
from simulator.trouble import Trouble
from simulator.world import World


@dataclasses.dataclass(frozen=True, slots=True)
class Route:
    """One line of the table: who may call it and with which query options."""

    template: str
    method: str
    options: frozenset[str]
    application: frozenset[str]
    delegated: frozenset[str]
    pattern: re.Pattern[str]


def _freedom(template: str) -> tuple[int, int]:
    """How much a template leaves open; the tightest one that matches is meant."""
    return template.count("{"), -len(re.sub(r"{\w+}", "", template))


def _load() -> tuple[dict[tuple[str, int], list[Route]], dict[str, dict[str, dict[str, Any]]]]:
    raw = orjson.loads(pathlib.Path(__file__).with_name("contract.json").read_bytes())
    routes: dict[tuple[str, int], list[Route]] = {}
    for line in sorted(raw["routes"], key=lambda line: _freedom(line["path"])):
        template = line["path"]
        escaped = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+?)", re.escape(template))
        route = Route(
            template,
            line["method"],
            frozenset(line["query"]),
            frozenset(line["application"]),
            frozenset(line["delegated"]),
            re.compile(escaped + r"\Z", re.IGNORECASE),
        )
        routes.setdefault((route.method, template.count("/")), []).append(route)
    return routes, raw["types"]


ROUTES, TYPES = _load()


def match(method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The line of the table for a request, with the values of its placeholders."""
    for route in ROUTES.get((method, path.count("/")), ()):
        found = route.pattern.match(path)
        if found is not None:
            return route, found.groupdict()
    return None


class UnknownRequestError(GraphError):
    """A request that Microsoft's table does not have: answered 400 and remembered, so that a test can ask."""

    def __init__(self, message: str, code: str = "BadRequest") -> None:
        super().__init__(400, code, message)


def held(claims: dict[str, Any]) -> set[str]:
    """The permissions a token carries: application ones, or a person's delegated ones."""
    if claims.get("idtyp") == "app":
        return set(claims.get("roles", ()))
    return set(str(claims.get("scp", "")).split())


@dataclasses.dataclass(slots=True)
class Call:
    """One authorised request on its way to its route."""

    world: World
    tenant: Tenant
    claims: dict[str, Any]
    request: Request
    route: Route
    args: dict[str, str]
    query: dict[str, str]
    base: str
    now: float
    troubles: dict[str, Trouble]

    @property
    def app_only(self) -> bool:
        return self.claims.get("idtyp") == "app"

    @property
    def eventual(self) -> bool:
        """Whether the client asked for advanced queries, which need the header and `$count=true`."""
        return self.request.headers.get("consistencylevel", "").lower() == "eventual"

    def link(self, path: str, query: str) -> str:
        """An absolute link; to somewhere else when that trouble is on."""
        base = self.base
        if "foreign_next_link" in self.troubles:
            base = str(self.troubles["foreign_next_link"].options["url"]) + "/v1.0"
        return f"{base}{path}?{query}"

    def context(self, what: str) -> str:
        return f"{self.base}/$metadata#{what}"

    def json(self) -> dict[str, Any]:
        """The request's body; 400 unless it is a JSON object."""
        try:
            body = orjson.loads(self.request.body or b"null")
        except orjson.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            raise GraphError(400, "BadRequest", "Unable to read JSON request payload.")
        return body
