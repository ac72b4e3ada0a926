"""Tenants out of a seed, the demo's customers, the control API, the page for people, and the server itself."""

from __future__ import annotations

import re
import socket
import ssl
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests

from simulator import words
from simulator.demo import CUSTOMERS
from simulator.hosts import write_certificate
from simulator.server import Simulator, start
from tests.simulator.client import LOGIN, Gateway, Visitor

Visit = Callable[..., Visitor]


# Out of a seed.


def test_the_same_seed_makes_the_same_tenant(simulator: Simulator, visit: Visit) -> None:
    spec: dict[str, Any] = {
        "users": 60,
        "groups": 8,
        "memberships_per_user": 3,
        "seed": "s",
        "tenant_id": "0" * 36,
    }

    def picture() -> list[Any]:
        visitor = visit(**spec)
        groups = visitor.rows("/groups")
        members = [visitor.rows(f"/groups/{group['id']}/members?$select=id&$top=999") for group in groups]
        return [
            visitor.rows("/users?$top=999&$select=id,userPrincipalName,assignedLicenses"),
            groups,
            members,
        ]

    first = picture()
    simulator.seed("empty")
    second = picture()
    simulator.seed("empty")
    spec["seed"] = "another"

    assert first == second
    assert picture() != first


def test_names_stay_unique_beyond_every_pair_of_words(simulator: Simulator) -> None:
    count = len(words.GIVEN_NAMES) * len(words.SURNAMES) + 100
    tenant = simulator.state.add_tenant({"name": "Big", "users": count, "groups": 0})
    make = tenant.maker.user

    picked = {make(index)["userPrincipalName"] for index in [*range(100), *range(count - 100, count)]}

    assert len(picked) == 200


def test_word_lists_have_no_two_that_look_alike_in_an_address() -> None:
    for names in (words.GIVEN_NAMES, words.SURNAMES):
        assert len({words.plain(name) for name in names}) == len(names)


def test_every_tenant_carries_its_own_canary(visit: Visit) -> None:
    contoso, fabrikam = visit(users=20, groups=4), visit(name="Fabrikam", users=20, groups=4)

    for visitor, other in ((contoso, fabrikam), (fabrikam, contoso)):
        users = visitor.get("/users?$select=companyName").text
        groups = visitor.get("/groups?$select=description").text
        assert users.count(visitor.tenant["canary"]) == 20
        assert groups.count(visitor.tenant["canary"]) == 4
        assert other.tenant["canary"] not in users + groups


def test_every_user_has_exactly_the_asked_memberships(visit: Visit) -> None:
    visitor = visit(users=100, groups=20, memberships_per_user=5)
    counted: dict[str, int] = {}
    for group in visitor.rows("/groups?$select=id"):
        for row in visitor.rows(f"/groups/{group['id']}/members?$select=id&$top=999"):
            counted[row["id"]] = counted.get(row["id"], 0) + 1

    assert set(counted.values()) == {5}
    assert len(counted) == 100


def test_fifty_thousand_users_are_quick_to_make_and_small(simulator: Simulator) -> None:
    tracemalloc.start()
    began = time.monotonic()
    tenant = simulator.state.add_tenant(
        {"name": "Large", "users": 50_000, "groups": 5_000, "memberships_per_user": 5}
    )
    total = sum(len(members) for members in tenant.directory.members.lists)
    ids = len(tenant.directory.users.ids)
    took, (_, peak) = time.monotonic() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert (total, ids) == (250_000, 50_000)
    assert took < 20  # under tracemalloc and on busy cores; about a second without
    assert peak < 40_000_000


# The demo.


@pytest.fixture(scope="module")
def demo() -> Any:
    with start(seed="demo") as simulator:
        gateway = Gateway(simulator)
        yield simulator, gateway, requests.get(f"{simulator.url}/_sim/demo", timeout=20).json()["tenants"]
        gateway.close()


def test_the_demo_has_two_dozen_customers_in_every_state(demo: Any) -> None:
    _, _, told = demo

    assert len(told) == 24
    assert len({tenant["tenant_id"] for tenant in told}) == 24
    assert {tenant["story"] for tenant in told} >= {
        "healthy", "expired_secret", "consent_withdrawn", "throttled", "conditional_access", "wrong_secret",
        "gcc_high", "certificate", "large", "never_touched",
    }  # fmt: skip
    assert [tenant["users"] for tenant in told if tenant["story"] == "large"] == [20_000]


STORIES = {"expired_secret": 7000222, "conditional_access": 53003, "wrong_secret": 7000215}


@pytest.mark.parametrize("place", range(len(CUSTOMERS)), ids=[customer.label for customer in CUSTOMERS])
def test_each_demo_customer_behaves_as_its_story_says(demo: Any, place: int) -> None:
    simulator, gateway, told = demo
    tenant = told[place]
    if tenant["story"] == "certificate":
        assert tenant["secret"] is None
        assert tenant["private_key_pem"].startswith("-----BEGIN PRIVATE KEY-----")
        return
    tenant_row = {"tenant_id": tenant["tenant_id"], "apps": [tenant]}
    visitor = Visitor(simulator, tenant_row, gateway)
    high = tenant["cloud"] == "gcc_high"
    host, scope = ("login.microsoftonline.us", "https://graph.microsoft.us/.default") if high else (LOGIN, "")
    simulator.state.tenants[tenant["tenant_id"]].behaviour.latency_ms = 0
    answer = visitor.ask_token(host, **({"scope": scope} if scope else {}))

    if tenant["story"] in STORIES:
        assert answer.json()["error_codes"] == [STORIES[tenant["story"]]]
        return
    visitor._token = answer.json()["access_token"]
    graph = "graph.microsoft.us" if high else "graph.microsoft.com"
    expected = {"consent_withdrawn": (403, 403), "permission_missing": (200, 403), "throttled": (200, 429)}
    statuses = (
        visitor.get("/users?$top=1", host=graph).status_code,
        visitor.get("/groups/delta", host=graph).status_code,
    )
    assert statuses == expected.get(tenant["story"], (200, 200))


# The control API.


def test_the_index_lists_every_call(contoso: Visitor) -> None:
    calls = contoso.control("GET", "/")["calls"]

    assert "POST /_sim/trouble" in calls
    assert len(calls) > 25


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/tenants", {}),
        ("POST", "/tenants", {"name": "Contoso"}),
        ("POST", "/tenants", {"name": "X", "cloud": "moon"}),
        ("POST", "/tenants", {"name": "X", "users": -1}),
        ("PATCH", "/tenants/contoso.example", {"colour": "red"}),
        ("PATCH", "/tenants/contoso.example", {"throttling": 1}),
        ("PATCH", "/tenants/contoso.example/app", {"colour": "red"}),
        ("PATCH", "/tenants/contoso.example/app", {"secret_expires": "soon"}),
        ("GET", "/tenants/nobody.example", None),
        ("POST", "/tenants/contoso.example/users", {"shoeSize": 43}),
        ("GET", "/tenants/contoso.example/users/%23999", None),
        ("POST", "/tenants/contoso.example/touch", {"percent": 0}),
        ("POST", "/reset", {"seed": "moon"}),
        ("POST", "/tenants", [1]),
        ("PATCH", "/tenants/contoso.example/app", {"roles": 5}),
    ],
)
def test_nonsense_is_refused_with_a_sentence(contoso: Visitor, method: str, path: str, body: Any) -> None:
    assert contoso.control(method, path, body, expect=400)["error"]


def test_a_call_that_does_not_exist_is_404(contoso: Visitor) -> None:
    assert contoso.control("GET", "/nonsense", expect=404)["error"]


def test_many_tenants_in_one_call(contoso: Visitor) -> None:
    made = contoso.control("POST", "/tenants", [{"name": f"Customer {n}", "users": 5} for n in range(200)])[
        "tenants"
    ]

    assert len({tenant["tenant_id"] for tenant in made}) == 200
    assert contoso.control("GET", "/tenants")["tenants"][-1]["name"] == "Customer 199"


def test_objects_are_added_changed_and_listed(contoso: Visitor) -> None:
    added = contoso.inside("POST", "/users", {"displayName": "Zoe Quick"})
    group = contoso.inside("POST", "/groups", {"displayName": "Front Desk"})
    contoso.inside("POST", f"/groups/{group['id']}/members", {"add": [added["id"]]})

    assert contoso.inside("GET", f"/groups/{group['id']}/members")["members"] == [added["id"]]
    assert contoso.inside("GET", "/users?offset=30")["users"][0]["displayName"] == "Zoe Quick"
    assert contoso.get(f"/users/{added['id']}").json()["displayName"] == "Zoe Quick"


def test_a_new_secret_replaces_the_old(contoso: Visitor) -> None:
    contoso.change_app(secret="a-new-one")

    assert contoso.ask_token().json()["error_codes"] == [7000215]
    assert contoso.ask_token(client_secret="a-new-one").status_code == 200


def test_the_clock_can_be_moved_and_set(contoso: Visitor) -> None:
    now = contoso.control("POST", "/clock", {"at": "2030-01-01T00:00:00Z"})["now"]
    contoso.control("POST", "/clock", {"offset": 0})

    assert abs(now - 1_893_456_000) < 5
    assert abs(contoso.control("GET", "/clock")["now"] - time.time()) < 5


def test_reset_forgets_everything(contoso: Visitor) -> None:
    contoso.trouble("error")
    contoso.control("POST", "/reset", {"seed": "empty"})

    assert contoso.control("GET", "/tenants")["tenants"] == []
    assert contoso.control("GET", "/trouble")["trouble"] == []
    assert contoso.control("GET", "/history")["history"] == []


# The page for people.


def test_the_page_lists_tenants_and_its_buttons_work(contoso: Visitor) -> None:
    home = contoso.simulator.url

    def press(action: str) -> str:
        answer = requests.post(
            f"{home}/act", data={"tenant": contoso.tenant["tenant_id"], "action": action}, timeout=20
        )
        assert answer.status_code == 200
        return answer.text

    _, link = contoso.delta("/users/delta?$select=jobTitle,department&$deltatoken=latest")
    assert "Contoso" in requests.get(home, timeout=20).text
    assert "is now Acting" in press("change")
    assert len(contoso.delta(link)[0]) == 1
    assert "secret expired" in press("expire")
    assert contoso.ask_token().json()["error_codes"] == [7000222]
    assert "consent withdrawn" in press("withdraw")
    assert "trouble: throttle" in press("throttle")
    assert contoso.get("/users").status_code == 429
    assert "healthy" in press("heal")
    assert contoso.get("/users").status_code == 200


def test_the_page_takes_no_orders_from_other_sites(contoso: Visitor) -> None:
    answer = requests.post(
        f"{contoso.simulator.url}/act",
        data={"tenant": contoso.tenant["tenant_id"], "action": "expire"},
        headers={"Sec-Fetch-Site": "cross-site"},
        timeout=20,
    )

    assert answer.status_code == 403
    assert contoso.ask_token().status_code == 200


def test_the_page_is_well_formed_and_labelled(contoso: Visitor) -> None:
    text = requests.get(contoso.simulator.url, timeout=20).text

    assert '<html lang="en">' in text
    assert text.count("<h1>") == 1
    assert len(re.findall(r"<button [^>]*aria-label=", text)) == 6
    assert "<script" not in text


# The server.


def _raw(simulator: Simulator, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", simulator.port), timeout=30) as connection:
        connection.sendall(data)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


def test_connections_are_kept_and_chunked_bodies_read(simulator: Simulator) -> None:
    request = b"GET /_sim/clock HTTP/1.1\r\nHost: x\r\n\r\n"
    chunked = (
        b"POST /_sim/clock HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b'6\r\n{"offs\r\n7\r\net":10}\r\n0\r\n\r\n'
    )

    received = _raw(simulator, request + chunked)

    assert received.count(b"HTTP/1.1 200 OK") == 2
    assert b'"offset":10.0' in received


@pytest.mark.parametrize("data", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nContent-Length: many\r\n\r\n"])
def test_what_is_no_http_gets_400(simulator: Simulator, data: bytes) -> None:
    assert _raw(simulator, data).startswith(b"HTTP/1.1 400")


def test_the_sign_in_pages_open_under_the_simulators_own_address(contoso: Visitor) -> None:
    own = f"{contoso.simulator.url}/{contoso.tenant['tenant_id']}/v2.0/.well-known/openid-configuration"
    prefixed = (
        f"{contoso.simulator.url}/{LOGIN}/{contoso.tenant['tenant_id']}/v2.0/.well-known/openid-configuration"
    )

    assert requests.get(own, timeout=20).json()["issuer"].startswith(contoso.simulator.url)
    assert requests.get(prefixed, timeout=20).json()["issuer"].startswith(f"https://{LOGIN}/")


def test_it_speaks_tls_under_microsofts_names(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    with start(tls_cert=certificate, tls_key=key) as simulator:
        context = ssl.create_default_context(cafile=str(certificate))
        with (
            socket.create_connection(("127.0.0.1", simulator.port), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="graph.microsoft.com") as connection,
        ):
            connection.sendall(
                b"GET /v1.0/users HTTP/1.1\r\nHost: graph.microsoft.com\r\nConnection: close\r\n\r\n"
            )
            received = connection.recv(65_536)

    assert simulator.url.startswith("https://")
    assert received.startswith(b"HTTP/1.1 401")


def test_closing_cuts_requests_that_sleep() -> None:
    simulator = start(latency_ms=60_000)
    connection = socket.create_connection(("127.0.0.1", simulator.port), timeout=30)
    connection.sendall(b"GET /v1.0/users HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n")
    began = time.monotonic()
    simulator.close()
    connection.close()

    assert time.monotonic() - began < 30  # they would sleep for a minute


def test_an_unknown_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed is one of"):
        start(seed="moon")
