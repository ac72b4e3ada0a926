"""What the tests of the Microsoft line share: a pretend Entra and a Graph client on a clock that only they move."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import responses

from core.http import Outbound, OutboundConfig
from m365.clouds import CLOUDS, Cloud
from m365.graph import CallRecord, GraphClient
from m365.pacing import Pacer

GLOBAL = CLOUDS["global"]
TENANT = "11111111-2222-4333-8444-555555555555"
OTHER = "99999999-2222-4333-8444-555555555555"
APP = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SECRET = "Zx8~not-a-real-secret.value"
ROOT = "https://graph.microsoft.com/v1.0"


def metadata_url(tenant: str = TENANT, cloud: Cloud = GLOBAL) -> str:
    return f"https://{cloud.authority_host}/{tenant}/v2.0/.well-known/openid-configuration"


def token_url(tenant: str = TENANT, cloud: Cloud = GLOBAL) -> str:
    return f"https://{cloud.authority_host}/{tenant}/oauth2/v2.0/token"


def metadata(tenant: str = TENANT, cloud: Cloud = GLOBAL, **more: object) -> dict[str, object]:
    return {
        "token_endpoint": token_url(tenant, cloud),
        "authorization_endpoint": f"https://{cloud.authority_host}/{tenant}/oauth2/v2.0/authorize",
        "issuer": f"https://{cloud.authority_host}/{tenant}/v2.0",
        "cloud_instance_name": cloud.instance_name,
        **more,
    }


def jwt(**claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"eyJhbGciOiJSUzI1NiJ9.{body}.c2lnbmF0dXJl"


def granted(
    tenant: str = TENANT, roles: tuple[str, ...] = ("User.Read.All",), life: object = 3599
) -> dict[str, object]:
    value = jwt(tid=tenant, appid=APP, roles=list(roles), wids=["w-1"])
    return {"token_type": "Bearer", "expires_in": life, "ext_expires_in": life, "access_token": value}


def refused(number: int, error: str = "invalid_client", **more: object) -> dict[str, object]:
    return {
        "error": error,
        "error_description": f"AADSTS{number}: Words.\r\nTrace ID: t-1\r\nCorrelation ID: c-1",
        "error_codes": [number],
        "timestamp": "2026-01-09 02:02:12Z",
        "trace_id": "t-1",
        "correlation_id": "c-1",
        **more,
    }


def graph_error(code: str, **more: object) -> dict[str, object]:
    return {"error": {"code": code, "message": "Words.", "innerError": {"request-id": "r-inner"}, **more}}


@dataclass
class Clock:
    """A clock that moves only when somebody waits; `waits` are the pauses asked for."""

    now: float = 1000.0
    waits: list[float] = field(default_factory=list)
    stop_after: int = 10**6

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.now += seconds
        return len(self.waits) > self.stop_after


@dataclass
class Desk:
    """A client over a mocked wire, with what it did."""

    client: GraphClient
    clock: Clock
    calls: list[CallRecord]
    tokens: list[bool]
    pacer: Pacer


def at_will() -> None:
    """Whom a client that may write asks before each write."""


def desk(**options: Any) -> Desk:
    clock, calls, tokens = Clock(), list[CallRecord](), list[bool]()
    pacer = Pacer(clock)

    def source(fresh: bool) -> str:
        tokens.append(fresh)
        return "eyJfresh.token.value" if fresh else "eyJkept.token.value"

    client = GraphClient(
        Outbound(OutboundConfig()),
        options.pop("cloud", GLOBAL),
        source,
        before_write=options.pop("before_write", at_will),
        on_call=calls.append,
        pacer=pacer,
        wait=clock.wait,
        **options,
    )
    return Desk(client, clock, calls, tokens, pacer)


def one_after_another(*answers: tuple[int, Mapping[str, str], object]) -> Callable[[Any], Any]:
    """A callback that gives the answers in turn and repeats the last; a body that is an exception is raised."""
    waiting = list(answers)

    def answer(_request: Any) -> tuple[int, Mapping[str, str], Any]:
        status, headers, body = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(body, BaseException):
            raise body
        return status, headers, body if isinstance(body, (str, bytes)) else json.dumps(body)

    return answer


def answer_with(
    mock: responses.RequestsMock, method: str, url: str, *answers: tuple[int, Mapping[str, str], object]
) -> None:
    mock.add_callback(method, url, one_after_another(*answers), content_type="application/json")
