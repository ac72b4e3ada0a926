"""Throttling by resource units, and every kind of trouble that can be ordered."""

from __future__ import annotations

import email.utils
import pathlib
import threading
import time
from collections.abc import Callable

import pytest
import requests

from simulator.throttle import Bucket, cost, quota
from simulator.trouble import KINDS
from tests.simulator.client import LOGIN, Visitor

Visit = Callable[..., Visitor]


# Resource units.


@pytest.mark.parametrize(
    ("template", "method", "query", "units"),
    [
        ("/users", "GET", {}, 2),
        ("/users", "GET", {"$select": "id"}, 1),
        ("/users", "GET", {"$select": "id", "$top": "5"}, 1),
        ("/groups/{id}/members", "GET", {}, 3),
        ("/groups/{id}/members", "GET", {"$select": "id", "$top": "999"}, 2),
        ("/groups/{id}/members", "GET", {"$select": "id", "$top": "10"}, 1),
        ("/groups/delta", "GET", {"$expand": "members"}, 2),
        ("/subscribedSkus", "GET", {}, 3),
        ("/users", "POST", {}, 1),
    ],
)
def test_requests_cost_what_microsoft_says(
    template: str, method: str, query: dict[str, str], units: int
) -> None:
    assert cost(template, method, query) == units


def test_quota_grows_with_the_tenant() -> None:
    assert [quota(users) for users in (10, 50, 500, 501)] == [3_500, 5_000, 5_000, 8_000]


def test_a_full_bucket_answers_429_and_refills(contoso: Visitor) -> None:
    contoso.tune(ru_per_10s=10)
    answers = [contoso.get("/users?$select=id") for _ in range(11)]
    refused = answers[-1]
    contoso.advance(int(refused.headers["Retry-After"]))

    assert [answer.status_code for answer in answers] == [200] * 10 + [429]
    assert refused.headers["x-ms-throttle-information"] == "ResourceUnitLimitExceeded"
    scope = f"Tenant_Application/ReadWrite/{contoso.app['client_id']}/{contoso.tenant['tenant_id']}"
    assert refused.headers["x-ms-throttle-scope"] == scope
    assert refused.json()["error"]["innerError"]["status"] == "429"
    assert contoso.get("/users?$select=id").status_code == 200


def test_a_bucket_gives_no_more_when_requests_come_out_of_order() -> None:
    bucket = Bucket.full(10, 10.0, 0.0)
    bucket.take(10, 0.0)
    allowed = [bucket.take(1, at)[0] == 0.0 for at in (2.0, 1.0, 2.0)]

    assert allowed == [True, True, False]


def test_the_share_in_use_shows_above_eighty_percent(contoso: Visitor) -> None:
    contoso.tune(ru_per_10s=10)
    shares = [
        contoso.get("/users?$select=id").headers.get("x-ms-throttle-limit-percentage") for _ in range(10)
    ]

    assert shares[:7] == [None] * 7
    assert float(shares[-1] or 0) == pytest.approx(1.0, abs=0.05)


def test_throttling_can_be_switched_off(contoso: Visitor) -> None:
    contoso.tune(ru_per_10s=1, throttling=False)

    assert {contoso.get("/users").status_code for _ in range(5)} == {200}


def test_units_and_requests_are_counted(contoso: Visitor) -> None:
    for _ in range(3):
        contoso.get("/users")
    stats = contoso.control("GET", "/stats?tenant=contoso.example")

    assert stats["resource_units"] == {contoso.tenant["tenant_id"]: 6}
    assert {
        "tenant": contoso.tenant["tenant_id"],
        "method": "GET",
        "route": "/users",
        "status": 200,
        "requests": 3,
    } in stats["by_route"]


# Troubles.


def test_retry_after_comes_in_every_form(contoso: Visitor) -> None:
    seen = []
    for wanted in ("7", "2.128", "date:30", None):
        contoso.trouble("throttle", retry_after=wanted, count=1)
        seen.append(contoso.get("/users").headers.get("Retry-After"))

    assert seen[:2] == ["7", "2.128"]
    assert seen[3] is None
    assert 25 <= email.utils.parsedate_to_datetime(str(seen[2])).timestamp() - time.time() <= 31


def test_a_count_runs_out_and_a_time_runs_out(contoso: Visitor) -> None:
    contoso.trouble("error", count=2)
    by_count = [contoso.get("/users").status_code for _ in range(3)]
    contoso.trouble("error", status=500, seconds=60)
    during = contoso.get("/users").status_code
    contoso.advance(61)

    assert by_count == [503, 503, 200]
    assert (during, contoso.get("/users").status_code) == (500, 200)


def test_trouble_can_wait_for_a_later_request(contoso: Visitor) -> None:
    contoso.trouble("error", skip=2, count=1)

    assert [contoso.get("/users").status_code for _ in range(4)] == [200, 200, 503, 200]


def test_trouble_keeps_to_its_tenant_path_and_host(contoso: Visitor, visit: Visit) -> None:
    fabrikam = visit(name="Fabrikam", users=2)
    contoso.trouble("error", path="/groups", host="graph")

    assert contoso.get("/groups").status_code == 503
    assert contoso.get("/users").status_code == 200
    assert fabrikam.get("/groups").status_code == 200
    assert contoso.ask_token().status_code == 200


def test_sign_in_can_be_in_trouble_too(contoso: Visitor) -> None:
    contoso.trouble("error", host="login", status=503, retry_after="3", count=1)
    contoso.trouble("throttle", host="login", count=1)
    unavailable, throttled = contoso.ask_token(), contoso.ask_token()

    assert (throttled.status_code, throttled.headers["Retry-After"]) == (429, "10")
    assert (unavailable.status_code, unavailable.json()["error"]) == (503, "temporarily_unavailable")


@pytest.mark.parametrize(("when", "applied"), [("before", False), ("after", True), ("midway", True)])
def test_a_dropped_connection_may_or_may_not_have_worked(
    contoso: Visitor, when: str, *, applied: bool
) -> None:
    user = contoso.inside("GET", "/users/%230")["id"]
    _ = contoso.token
    contoso.trouble("drop", when=when, method="PATCH", count=1)

    with pytest.raises(requests.ConnectionError):
        contoso.call("PATCH", f"/users/{user}", json={"jobTitle": "Captain"})

    assert (contoso.get(f"/users/{user}").json()["jobTitle"] == "Captain") is applied


def test_a_body_can_end_in_the_middle(contoso: Visitor) -> None:
    _ = contoso.token
    contoso.trouble("drop", when="midway", count=1)

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        contoso.get("/users")


def test_html_and_broken_json_come_with_a_straight_face(contoso: Visitor) -> None:
    contoso.trouble("html", count=1)
    page = contoso.get("/users")
    contoso.trouble("truncated", count=1)
    cut = contoso.get("/users")

    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    assert cut.status_code == 200
    with pytest.raises(requests.JSONDecodeError):
        cut.json()


def test_a_field_can_be_ten_megabytes(contoso: Visitor) -> None:
    contoso.trouble("giant_field", field="jobTitle", count=1)

    assert len(contoso.get("/users").json()["value"][0]["jobTitle"]) == 10_000_000


@pytest.mark.parametrize("path", ["/users?$select=id", "/groups?$select=id", "/users/delta?$select=mail"])
def test_pages_can_go_on_for_ever(contoso: Visitor, path: str) -> None:
    contoso.trouble("endless_pages")
    link = path
    for _ in range(5):
        page = contoso.get(link).json()
        link = page["@odata.nextLink"]

    assert page["value"]
    assert "@odata.deltaLink" not in page


@pytest.mark.parametrize("path", ["/users?$top=5", "/users/delta?$select=mail"])
def test_links_can_point_elsewhere(contoso: Visitor, path: str) -> None:
    contoso.trouble("foreign_next_link", url="https://graph.attacker.example")
    page = contoso.get(path).json()

    link = page.get("@odata.nextLink") or page["@odata.deltaLink"]
    assert link.startswith("https://graph.attacker.example/v1.0/users")


def test_an_empty_page_still_leads_on(contoso: Visitor) -> None:
    contoso.trouble("empty_page", count=1)
    pages = list(contoso.pages("/users?$select=id"))

    assert [len(page["value"]) for page in pages] == [0, 30]


def test_slow_answers_do_not_hold_up_others(contoso: Visitor) -> None:
    _ = contoso.token
    contoso.trouble("latency", ms=400, path="/users")
    headers = {"Host": "graph.microsoft.com", "Authorization": f"Bearer {contoso.token}"}
    url = f"{contoso.simulator.url}/v1.0/users?$select=id&$top=1"

    def ask() -> None:
        statuses.append(requests.get(url, headers=headers, timeout=20).status_code)

    statuses: list[int] = []
    threads = [threading.Thread(target=ask) for _ in range(60)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert statuses == [200] * 60
    assert time.monotonic() - began < 20  # one after another it would be 24


def test_trouble_is_listed_and_removed(contoso: Visitor) -> None:
    first = contoso.trouble("error")
    contoso.trouble("html")
    listed = contoso.control("GET", "/trouble")["trouble"]
    contoso.control("DELETE", f"/trouble/{first['id']}")
    left = contoso.control("GET", "/trouble")["trouble"]
    contoso.control("DELETE", "/trouble?tenant=contoso.example")

    assert [entry["kind"] for entry in listed] == ["error", "html"]
    assert [entry["kind"] for entry in left] == ["html"]
    assert contoso.get("/users").status_code == 200


@pytest.mark.parametrize(
    "spec",
    [
        {"kind": "plague"},
        {"kind": "error", "colour": "red"},
        {"kind": "drop", "when": "never"},
        {"kind": "html", "path": "("},
    ],
)
def test_nonsense_trouble_is_refused_with_a_sentence(contoso: Visitor, spec: dict[str, str]) -> None:
    assert contoso.control("POST", "/trouble", spec, expect=400)["error"]


def test_every_kind_is_in_the_documentation() -> None:
    text = (pathlib.Path(__file__).parents[2] / "docs" / "simulator.md").read_text()

    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


def test_healing_ends_everything(contoso: Visitor) -> None:
    contoso.trouble("error")
    contoso.change_app(secret_expires="2020-01-01T00:00:00Z", roles=[], ca_block=True, disabled=True)
    contoso.inside("POST", "/heal")

    assert contoso.ask_token().status_code == 200
    assert contoso.get("/users").status_code == 200
    assert contoso.inside("GET", "")["state"] == "healthy"


def test_login_is_reached_under_its_own_name(contoso: Visitor) -> None:
    assert contoso.gateway.get(f"https://{LOGIN}/contoso.example/discovery/v2.0/keys").json()["keys"]
