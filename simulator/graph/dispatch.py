"""The way of a Graph request: trouble, token, throttling, permission, route, headers, history."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from typing import Any

import orjson

from simulator import effects
from simulator.clouds import CLOUDS
from simulator.graph import batch, lists
from simulator.graph.call import Call, Route, UnknownRequestError, held, match
from simulator.graph.errors import GraphError, denied, throttled, unauthenticated
from simulator.graph.routes import HANDLERS
from simulator.http1 import Request, Response
from simulator.tenant import Tenant
from simulator.throttle import Limit, Verdict, cost, judge, of_teams, quota
from simulator.trouble import Trouble
from simulator.world import World

# Inside a batch only what answers in JSON can happen to one step; the rest hits the batch as a whole.
_OUTER_KINDS = frozenset({"latency", "drop", "html", "truncated", "giant_field"})


@dataclasses.dataclass(slots=True)
class Visit:
    """One request while it is served, with what is known of it so far; headers and records need it at the end."""

    request: Request
    now: float
    cloud: str | None
    base: str
    inner: bool
    request_id: str
    tenant: Tenant | None = None
    claims: dict[str, Any] = dataclasses.field(default_factory=dict)
    template: str = "(unknown)"
    units: int = 0
    used: float = 0.0
    troubles: dict[str, Trouble] = dataclasses.field(default_factory=dict)
    outcome: int = 0  # the status before any trouble touched the answer

    @property
    def client_request_id(self) -> str:
        return self.request.headers.get("client-request-id", self.request_id)


class Graph:
    """Microsoft Graph for every tenant of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle(self, request: Request, cloud: str | None, base: str) -> Response:
        """Answer one request. `cloud` is None on the simulator's own address; `base` begins every link."""
        return self._serve(request, cloud, base, inner=False)

    def _serve(self, request: Request, cloud: str | None, base: str, *, inner: bool) -> Response:
        visit = Visit(request, self._world.now(), cloud, f"{base}/v1.0", inner, str(uuid.uuid4()))
        try:
            response = self._answer(visit)
        except UnknownRequestError as error:
            self._record_unknown(visit, error.message)
            response = self._error(visit, error)
        except GraphError as error:
            response = self._error(visit, error)
        visit.outcome = response.status
        if not inner or "error" in visit.troubles:
            response = effects.after(visit.troubles, response, visit.now, self._failure(visit))
        self._finish(visit, response)
        return response

    # The stations of a request, in Microsoft's order.

    def _answer(self, visit: Visit) -> Response:
        problem = self._authenticate(visit)
        self._meet_trouble(visit)
        early = effects.before(visit.troubles, visit.now, self._failure(visit))
        if early is not None:
            return early
        if problem is not None:
            raise problem
        path = visit.request.path
        if not path.startswith("/v1.0/"):
            raise UnknownRequestError(f"Resource not found for the segment '{path.split('/')[1]}'.")
        if path == "/v1.0/$batch":
            return self._batch(visit)
        route, args = self._route(visit, path.removeprefix("/v1.0"))
        self._throttle(visit, route)
        self._authorise(visit, route)
        return self._call(visit, route, args)

    def _meet_trouble(self, visit: Visit) -> None:
        met = self._world.troubles.hitting(
            tenant=visit.tenant.id if visit.tenant else None,
            host="graph",
            method=visit.request.method,
            path=visit.request.path,
            now=visit.now,
            without=_OUTER_KINDS if visit.inner else frozenset(),
        )
        visit.troubles = met
        if not visit.inner:
            standing = visit.tenant.behaviour.latency_ms if visit.tenant else 0.0
            wait = effects.latency(met, self._world.latency_ms, standing)
            if wait:
                self._world.pause(wait)

    def _authenticate(self, visit: Visit) -> GraphError | None:
        """Find the tenant behind the token, and say what is wrong with the token if something is."""
        scheme, _, token = visit.request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return unauthenticated("Access token is empty.")
        if token.count(".") != 2:
            return unauthenticated("IDX14100: JWT is not well formed, there are no dots (.).")
        claims = self._world.signer.claims(token)
        if claims is None:
            return unauthenticated("Access token validation failure. Invalid signature.")
        visit.claims = claims
        visit.tenant = self._world.tenants.get(str(claims.get("tid")))
        if visit.tenant is None or visit.tenant.unknown:
            return unauthenticated("Access token validation failure. Tenant not found.")
        expected = f"https://{CLOUDS[visit.cloud or visit.tenant.cloud.name].graph}"
        if str(claims.get("aud", "")).rstrip("/") != expected:
            return unauthenticated("Access token validation failure. Invalid audience.")
        if claims.get("exp", 0) <= visit.now:
            return unauthenticated("Lifetime validation failed, the token is expired.")
        return None

    def _route(self, visit: Visit, path: str) -> tuple[Route, dict[str, str]]:
        path = path.replace("/microsoft.graph.delta", "/delta").removesuffix("()")
        found = match(visit.request.method, path)
        if found is None:
            raise UnknownRequestError(f"Resource not found for the segment '{path.rsplit('/', 1)[-1]}'.")
        route, args = found
        visit.template = route.template
        if unknown := visit.request.query().keys() - route.options:
            raise UnknownRequestError(
                f"The query specified in the URI is not valid: {', '.join(sorted(unknown))}.",
                "Request_BadRequest",
            )
        return route, args

    def _throttle(self, visit: Visit, route: Route) -> None:
        tenant, app = _known(visit.tenant), str(visit.claims.get("appid"))
        teams = of_teams(route.template)
        visit.units = 0 if teams else cost(route.template, route.method, visit.request.query())
        self._world.stats.spend(tenant.id, visit.units)
        if not tenant.behaviour.throttling:
            return
        if teams:
            self._throttle_teams(visit, tenant, app)
            return
        share = tenant.behaviour.ru_per_10s or quota(tenant.directory.users.live_count())
        own = [
            Limit(
                f"Tenant_Application/ReadWrite/{app}/{tenant.id}",
                "ResourceUnitLimitExceeded",
                share,
                10,
                visit.units,
            )
        ]
        if route.method != "GET":
            own.append(
                Limit(f"Tenant_Application/Write/{app}/{tenant.id}", "WriteLimitExceeded", 3_000, 150, 1)
            )
            own.append(Limit(f"Tenant/Write/{tenant.id}", "WriteLimitExceeded", 18_000, 300, 1))
        shared = [
            Limit(f"Application/ReadWrite/{app}", "ResourceUnitLimitExceeded", 150_000, 20, visit.units)
        ]
        verdict = judge(tenant.buckets, own, visit.now)
        if not verdict.retry_after:
            verdict = max(
                verdict,
                judge(self._world.app_buckets[app], shared, visit.now),
                key=lambda one: (one.retry_after, one.used),
            )
        visit.used = verdict.used
        if verdict.retry_after:
            raise _too_many(verdict)

    def _throttle_teams(self, visit: Visit, tenant: Tenant, app: str) -> None:
        """Thirty requests a second of an app in a tenant, three hundred for all its tenants."""
        told = "RequestLimitExceeded"
        own = Limit(f"Tenant_Application/Teams/{app}/{tenant.id}", told, 30, 1, 1)
        shared = Limit(f"Application/Teams/{app}", told, 300, 1, 1)
        for buckets, limit in ((tenant.buckets, own), (self._world.app_buckets[app], shared)):
            verdict = judge(buckets, [limit], visit.now)
            if verdict.retry_after:
                raise _too_many(verdict)

    def _authorise(self, visit: Visit, route: Route) -> None:
        enough = route.application if visit.claims.get("idtyp") == "app" else route.delegated
        if held(visit.claims).isdisjoint(enough):
            raise denied()

    def _call(self, visit: Visit, route: Route, args: dict[str, str]) -> Response:
        tenant = _known(visit.tenant)
        call = Call(
            self._world,
            tenant,
            visit.claims,
            visit.request,
            route,
            args,
            visit.request.query(),
            visit.base,
            visit.now,
            visit.troubles,
        )
        with tenant.directory.lock:
            return HANDLERS[route.method, route.template](call)

    def _batch(self, visit: Visit) -> Response:
        visit.template = "/$batch"
        if visit.request.method != "POST" or visit.inner:
            raise UnknownRequestError("Only POST is supported on $batch.")
        base = visit.base.removesuffix("/v1.0")
        requests = batch.steps(visit.request.body)
        body = batch.run(
            visit.request, requests, lambda request: self._serve(request, visit.cloud, base, inner=True)
        )
        return lists.json_response(body)

    # Afterwards.

    def _error(self, visit: Visit, error: GraphError) -> Response:
        return error.response(visit.request_id, visit.client_request_id, visit.now)

    def _failure(self, visit: Visit) -> Callable[[int, str, dict[str, str]], Response]:
        def write(status: int, code: str, headers: dict[str, str]) -> Response:
            if status == 429:
                return self._error(visit, throttled(code, None, headers))
            return self._error(
                visit, GraphError(status, code or _CODES.get(status, "UnknownError"), _TEXT, headers=headers)
            )

        return write

    def _record_unknown(self, visit: Visit, reason: str) -> None:
        self._world.record(
            "unknown_request",
            tenant=visit.tenant.id if visit.tenant else None,
            method=visit.request.method,
            path=visit.request.path,
            query=visit.request.raw_query,
            reason=reason,
        )

    def _finish(self, visit: Visit, response: Response) -> None:
        headers = response.headers
        headers["request-id"] = visit.request_id
        headers["client-request-id"] = visit.client_request_id
        headers.setdefault("Cache-Control", "no-cache")
        if visit.units:
            headers["x-ms-resource-unit"] = str(visit.units)
        if visit.used >= 0.8:
            headers["x-ms-throttle-limit-percentage"] = f"{min(visit.used, 1.8):.2f}"
        if not visit.inner:
            headers["Strict-Transport-Security"] = "max-age=31536000"
            headers["x-ms-ags-diagnostic"] = _DIAGNOSTIC
        tenant = visit.tenant.id if visit.tenant else ""
        self._world.stats.count(
            tenant, visit.request.method, visit.template, response.status, len(response.body)
        )
        if visit.request.method != "GET" and visit.template not in {"/$batch", "(unknown)"}:
            self._record_write(visit, response)

    def _record_write(self, visit: Visit, response: Response) -> None:
        try:
            body = orjson.loads(visit.request.body or b"null")
        except orjson.JSONDecodeError:
            body = None
        self._world.record(
            "write",
            tenant=visit.tenant.id if visit.tenant else None,
            app=visit.claims.get("appid"),
            method=visit.request.method,
            path=visit.request.path,
            body=_without_secrets(body),
            status=visit.outcome,
            answered=None if response.drop else response.status,
        )


_SECRET_NAMES = frozenset({"passwordProfile", "password", "secretText", "proof"})


def _without_secrets(body: Any) -> Any:
    """A request's body for the history, which keeps no secret."""
    if isinstance(body, list):
        return [_without_secrets(item) for item in body]
    if not isinstance(body, dict):
        return body
    return {
        name: "(not kept)" if name in _SECRET_NAMES else _without_secrets(value)
        for name, value in body.items()
    }


_CODES = {500: "InternalServerError", 502: "UnknownError", 503: "ServiceNotAvailable", 504: "gatewayTimeout"}
_TEXT = "The service is temporarily unavailable. Please try again later."
_DIAGNOSTIC = orjson.dumps(
    {
        "ServerInfo": {
            "DataCenter": "West Europe",
            "Slice": "E",
            "Ring": "5",
            "ScaleUnit": "004",
            "RoleInstance": "AM2PEPF00000SIM",
        }
    }
).decode()


def _known(tenant: Tenant | None) -> Tenant:
    """Requests without a tenant were refused before this."""
    if tenant is None:
        raise unauthenticated("Access token is empty.")
    return tenant


def _too_many(verdict: Verdict) -> GraphError:
    return throttled(
        "TooManyRequests",
        str(int(verdict.retry_after)),
        {
            "x-ms-throttle-scope": verdict.scope,
            "x-ms-throttle-information": verdict.information,
            "x-ms-throttle-limit-percentage": f"{min(max(verdict.used, 1.0), 1.8):.2f}",
        },
    )
