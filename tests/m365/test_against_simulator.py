"""Our line against the pretend Microsoft, started as a process: MSAL, Graph and trouble over real HTTP."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import DeltaExpired, NotFound, PermissionMissing, Throttled, UmpError, WriteRefused
from core.http import Outbound
from m365 import teams_powershell
from m365.clouds import CLOUDS, outbound_config
from m365.graph import BatchRequest, CallRecord, GraphClient
from m365.identity import AppCredential, Token, app_token, discover
from m365.pacing import Pacer
from m365.permissions import missing_for
from tests.m365.desk import Clock

HERE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """The address of a simulator of our own, with the demo's customers."""
    command = [sys.executable, "-m", "simulator", "--port", "0", "--seed", "demo"]
    with subprocess.Popen(
        command, cwd=HERE, stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert "http" in line
        yield line.split()[-1]
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def session(simulator: str) -> Iterator[Outbound]:
    with Outbound(outbound_config(simulator)) as session:
        yield session


class World:
    """The control API, and the demo's customers by the label of their domain."""

    def __init__(self, simulator: str, session: Outbound) -> None:
        self._url, self._session = f"{simulator}/_sim", session
        self.added: list[int] = []
        told = self.ask("GET", "/demo")
        customers = next(value for value in told.values() if isinstance(value, list))
        self.customers = {one["domain"].split(".")[0]: one for one in customers}

    def ask(self, method: str, path: str, body: object = None) -> Any:
        answer = self._session.request(method, self._url + path, json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def trouble(self, label: str, kind: str, **options: object) -> None:
        spec = {"kind": kind, "tenant": self.customers[label]["tenant_id"], **options}
        self.added.append(self.ask("POST", "/trouble", spec)["id"])


@pytest.fixture
def world(simulator: str, session: Outbound) -> Iterator[World]:
    world = World(simulator, session)
    yield world
    for number in world.added:
        world.ask("DELETE", f"/trouble/{number}")


def _credential(customer: dict[str, Any]) -> AppCredential:
    keys = ("certificate_pem", "private_key_pem")
    return AppCredential(customer["client_id"], customer.get("secret"), *(customer.get(key) for key in keys))


def _token(session: Outbound, customer: dict[str, Any], **options: bool) -> Token:
    return app_token(
        session, CLOUDS[customer["cloud"]], customer["tenant_id"], _credential(customer), **options
    )


Open = Callable[..., GraphClient]


@pytest.fixture
def client_of(session: Outbound, world: World) -> Open:
    def client_of(label: str, **options: Any) -> GraphClient:
        customer = world.customers[label]
        cloud = CLOUDS[customer["cloud"]]
        clock = Clock()

        def source(fresh: bool) -> str:
            return _token(session, customer, fresh=fresh).value

        return GraphClient(session, cloud, source, wait=clock.wait, pacer=Pacer(clock), **options)

    return client_of


def test_msal_signs_in_through_our_session(session: Outbound, world: World) -> None:
    customer = world.customers["contoso"]
    token = _token(session, customer)
    assert (token.tid, token.appid) == (customer["tenant_id"], customer["client_id"])
    assert missing_for(token.roles) == ()
    assert discover(session, CLOUDS["global"], customer["domain"]).tenant_id == customer["tenant_id"]


def test_the_tokens_for_powershell_are_of_one_organisation(session: Outbound, world: World) -> None:
    customer = world.customers["contoso"]
    graph = _token(session, customer)
    teams = app_token(
        session, CLOUDS["global"], customer["tenant_id"], _credential(customer), scope=teams_powershell.SCOPE
    )
    assert (teams.tid, teams.appid) == (graph.tid, graph.appid)
    assert teams.value != graph.value


def test_a_certificate_and_another_cloud_work_too(session: Outbound, world: World) -> None:
    for label in ("isarprecision", "pinewoodfederal"):
        customer = world.customers[label]
        assert _token(session, customer).tid == customer["tenant_id"]


@pytest.mark.parametrize(
    ("label", "code"),
    [
        ("kestrelaviation", "secret_expired"),
        ("nordhaven", "conditional_access"),
        ("orchardmedia", "secret_wrong"),
    ],
)
def test_each_story_has_its_sentence(label: str, code: str, session: Outbound, world: World) -> None:
    customer = world.customers[label]
    credential = _credential(customer)
    with pytest.raises(UmpError) as caught:
        app_token(session, CLOUDS["global"], customer["tenant_id"], credential)
    assert caught.value.code == code
    assert caught.value.detail["correlation_id"]


def test_withdrawn_consent_shows_in_the_token_and_at_graph(
    session: Outbound, world: World, client_of: Open
) -> None:
    assert "User.Read.All" in missing_for(_token(session, world.customers["lindqvistenergy"]).roles)
    with pytest.raises(PermissionMissing):
        client_of("lindqvistenergy").get("/organization")


def test_an_unknown_tenant_and_app(session: Outbound, world: World) -> None:
    customer = world.customers["contoso"]
    nobody = {**customer, "tenant_id": "00000000-0000-4000-8000-00000000dead"}
    with pytest.raises(UmpError) as caught:
        _token(session, nobody)
    assert caught.value.code == "tenant_unknown"
    with pytest.raises(UmpError) as caught:
        _token(session, {**customer, "client_id": "00000000-0000-4000-8000-00000000beef"})
    assert caught.value.code == "app_not_found"
    with pytest.raises(UmpError) as caught:
        _token(session, {**world.customers["pinewoodfederal"], "cloud": "global"})
    assert caught.value.code in {"wrong_cloud", "tenant_unknown"}


def test_users_groups_and_licences_are_read(world: World, client_of: Open) -> None:
    calls: list[CallRecord] = []
    client = client_of("contoso", on_call=calls.append)
    users = [
        user
        for page in client.pages("/users", {"$select": "id,displayName", "$top": 999})
        for user in page.value
    ]
    assert len(users) >= world.customers["contoso"]["users"]
    groups = next(iter(client.pages("/groups", {"$select": "id", "$top": 20}))).value
    steps = [BatchRequest(str(n), f"/groups/{g['id']}/members?$select=id") for n, g in enumerate(groups)]
    assert all(answer.error is None and "value" in answer.body for answer in client.batch(steps))
    assert client.get("/subscribedSkus")["value"]
    assert {call.path for call in calls} >= {
        "/v1.0/users",
        "/v1.0/groups",
        "/v1.0/$batch",
        "/v1.0/subscribedSkus",
    }
    assert all(call.request_id and call.status == 200 for call in calls)
    with pytest.raises(NotFound):
        client.get("/groups/00000000-0000-4000-8000-00000000dead/members", {"$select": "id"})
    with pytest.raises(WriteRefused):
        client.delete(f"/users/{users[0]['id']}")


def test_a_change_arrives_by_delta_and_an_old_link_expires(world: World, client_of: Open) -> None:
    client, tenant = client_of("duvall"), world.customers["duvall"]["tenant_id"]
    link = next(
        iter(client.pages("/users/delta", {"$deltatoken": "latest", "$select": "displayName,jobTitle"}))
    ).delta_link
    assert link is not None
    user = world.ask("GET", f"/tenants/{tenant}/users?limit=1")["users"][0]
    world.ask("PATCH", f"/tenants/{tenant}/users/{user['id']}", {"jobTitle": "Acting Plant Manager"})
    page = client.page(link, place="/users/delta")
    assert [(one["id"], one["jobTitle"]) for one in page.value] == [(user["id"], "Acting Plant Manager")]
    world.trouble("duvall", "gone", path="delta", count=1)
    with pytest.raises(DeltaExpired):
        client.page(link, place="/users/delta")


@pytest.mark.parametrize(
    ("kind", "options", "code"),
    [
        ("html", {}, "bad_reply"),
        ("truncated", {}, None),
        ("giant_field", {}, "bad_reply"),
        ("foreign_next_link", {}, "foreign_next_link"),
        ("endless_pages", {}, "endless_pages"),
        ("error", {"status": 503}, "graph_unavailable"),
        ("drop", {}, "connection_lost"),
        ("throttle", {"retry_after": "300"}, "throttled"),
    ],
)
def test_trouble_is_named(
    kind: str, options: dict[str, object], code: str | None, world: World, client_of: Open
) -> None:
    world.trouble("gotlandtimber", kind, host="graph", **options)
    with pytest.raises(UmpError) as caught:
        list(client_of("gotlandtimber").pages("/users", {"$select": "id,displayName"}, limit=300))
    assert caught.value.code == code or (
        code is None and caught.value.code in {"bad_reply", "connection_lost"}
    )


def test_a_short_trouble_is_sat_out(world: World, client_of: Open) -> None:
    world.trouble("gotlandtimber", "throttle", host="graph", retry_after="2.128", count=1)
    world.trouble("gotlandtimber", "drop", host="graph", when="after", count=1)
    calls: list[CallRecord] = []
    assert client_of("gotlandtimber", on_call=calls.append).get("/organization")["value"]
    assert len(calls) == 3


def test_a_throttled_customer_says_how_long(client_of: Open) -> None:
    with pytest.raises(Throttled) as caught:
        list(client_of("meridianretail").pages("/users/delta", {"$select": "displayName"}))
    assert caught.value.retry_after == 45.0
