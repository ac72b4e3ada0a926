"""The Graph client: what it sends, when it waits, what it repeats, and where it refuses to go."""

from __future__ import annotations

import json
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
import responses

from core.errors import (
    Conflict,
    DeltaExpired,
    LeaseLost,
    NotFound,
    OutcomeUnknown,
    PermissionMissing,
    Throttled,
    UmpError,
    WriteRefused,
)
from core.http import Outbound
from m365.clouds import CLOUDS
from m365.graph import BatchRequest, Written, segment, template
from m365.pacing import Cost
from m365.replies import Page
from tests.m365.desk import GLOBAL, ROOT, answer_with, desk, graph_error

USER = "11111111-0000-4000-8000-000000000001"
GROUP = "22222222-0000-4000-8000-000000000002"
OK = (200, {}, {"value": []})


def test_a_call_carries_what_graph_wants(wire: responses.RequestsMock) -> None:
    wire.get(f"{ROOT}/users", json={"value": [{"id": USER}]})
    assert desk().client.get("/users", {"$select": "id,displayName", "$top": 999})["value"] == [{"id": USER}]
    request = wire.calls[0].request
    assert request.url == f"{ROOT}/users?$select=id,displayName&$top=999"
    assert request.headers["Authorization"] == "Bearer eyJkept.token.value"
    assert request.headers["x-ms-throttle-priority"] == "low"
    assert len(request.headers["client-request-id"]) == 36


def test_what_was_done_is_told_without_ids(wire: responses.RequestsMock) -> None:
    headers = {"request-id": "r-1", "x-ms-resource-unit": "2"}
    wire.get(f"{ROOT}/users/{USER}", json={"id": USER}, headers=headers)
    place = desk()
    place.client.get(f"/users/{USER}", {"$select": "displayName"})
    record = place.calls[0]
    assert (record.method, record.path, record.status) == ("GET", "/v1.0/users/{id}", 200)
    assert (record.request_id, record.resource_units, record.attempt, record.error) == ("r-1", 2, 1, "")
    assert record.size == len(json.dumps({"id": USER}))
    assert USER not in repr(record)


@pytest.mark.parametrize(
    ("header", "waits"),
    [({"Retry-After": "3"}, [3.0]), ({"Retry-After": "2.128"}, [3.0]), ({"Retry-After": "0"}, [0.5]),
     ({"Retry-After": "Fri, 20 Nov 2026 20:00:04 GMT", "Date": "Fri, 20 Nov 2026 20:00:00 GMT"}, [4.0])],
)  # fmt: skip
def test_a_short_wait_is_waited(
    header: dict[str, str], waits: list[float], wire: responses.RequestsMock
) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (429, header, graph_error("TooManyRequests")), OK)
    place = desk()
    assert place.client.get("/users") == {"value": []}
    assert sum(place.clock.waits) == pytest.approx(sum(waits), abs=0.6)
    assert [(call.status, call.error) for call in place.calls] == [(429, "throttled"), (200, "")]


def test_a_long_wait_is_left_to_the_queue(wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (429, {"Retry-After": "120"}, graph_error("TooManyRequests")))
    place = desk()
    with pytest.raises(Throttled) as caught:
        place.client.get("/users")
    assert caught.value.retry_after == 120.0
    assert place.clock.waits == []


def test_throttling_without_a_word_backs_off_within_the_budget(wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (429, {}, {}))
    place = desk(budget=20.0)
    with pytest.raises(Throttled):
        place.client.get("/users")
    assert 1 < len(place.calls) <= 6
    assert sum(place.clock.waits) <= 20.0


def test_a_stopped_wait_interrupts(wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (503, {"Retry-After": "3"}, {}))
    place = desk()
    place.clock.stop_after = 0
    with pytest.raises(UmpError) as caught:
        place.client.get("/users")
    assert caught.value.code == "interrupted"
    assert len(place.calls) == 1
    cause = caught.value.__cause__
    assert isinstance(cause, UmpError)
    assert cause.code == "graph_unavailable"


@pytest.mark.parametrize(
    "trouble",
    [(500, {}, graph_error("InternalServerError")), (502, {}, "<html>"), (503, {}, ""), (504, {}, {}),
     (0, {}, requests.exceptions.ConnectTimeout("slow")),
     (0, {}, requests.exceptions.ConnectionError("reset")),
     (0, {}, requests.exceptions.ReadTimeout("slow"))],
)  # fmt: skip
def test_reads_are_repeated_after_trouble(
    trouble: tuple[int, dict[str, str], object], wire: responses.RequestsMock
) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", trouble, trouble, OK)
    place = desk()
    assert place.client.get("/users") == {"value": []}
    assert len(place.clock.waits) == 2


def test_reads_do_not_go_on_for_ever(wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (503, {}, graph_error("ServiceNotAvailable")))
    place = desk(budget=10**6)
    with pytest.raises(UmpError) as caught:
        place.client.get("/users")
    assert caught.value.code == "graph_unavailable"
    assert len(place.calls) == 6


@pytest.mark.parametrize(
    "trouble",
    [(500, {}, {}), (504, {}, {}), (0, {}, requests.exceptions.ReadTimeout("slow")), (200, {}, "<html>")],
)
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_a_write_that_may_have_arrived_is_unknown(
    method: str, trouble: tuple[int, dict[str, str], object], wire: responses.RequestsMock
) -> None:
    answer_with(wire, method, f"{ROOT}/users/{USER}", trouble)
    place = desk()
    act = place.client.post if method == "POST" else place.client.patch
    with pytest.raises(OutcomeUnknown):
        act(f"/users/{USER}", {"city": "Oslo"})
    assert len(wire.calls) == 1


@pytest.mark.parametrize(
    "trouble", [(429, {"Retry-After": "1"}, {}), (0, {}, requests.exceptions.ConnectTimeout("x"))]
)
def test_a_write_that_did_not_arrive_is_repeated(
    trouble: tuple[int, dict[str, str], object], wire: responses.RequestsMock
) -> None:
    answer_with(wire, "PATCH", f"{ROOT}/users/{USER}", trouble, (204, {}, ""))
    assert desk().client.patch(f"/users/{USER}", {"city": "Oslo"}) is None
    assert len(wire.calls) == 2


def test_deleting_twice_is_as_good_as_once(wire: responses.RequestsMock) -> None:
    lost = (0, {}, requests.exceptions.ConnectionError("reset"))
    answer_with(
        wire, "DELETE", f"{ROOT}/groups/{GROUP}", lost, (404, {}, graph_error("Request_ResourceNotFound"))
    )
    assert desk().client.delete(f"/groups/{GROUP}") is False
    answer_with(wire, "DELETE", f"{ROOT}/users/{USER}", (204, {}, ""))
    assert desk().client.delete(f"/users/{USER}") is True


def test_a_web_page_is_not_a_refusal_of_graph(wire: responses.RequestsMock) -> None:
    answer_with(wire, "DELETE", f"{ROOT}/users/{USER}", (404, {}, "<html>blocked by proxy</html>"))
    with pytest.raises(OutcomeUnknown):
        desk().client.delete(f"/users/{USER}")
    answer_with(wire, "GET", f"{ROOT}/users", (403, {}, "<html>blocked by proxy</html>"))
    with pytest.raises(UmpError) as caught:
        desk().client.get("/users")
    assert caught.value.code == "bad_reply"


def test_an_old_token_is_renewed_once(wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (401, {}, graph_error("InvalidAuthenticationToken")), OK)
    place = desk()
    place.client.get("/users")
    assert place.tokens == [False, True]
    assert wire.calls[1].request.headers["Authorization"] == "Bearer eyJfresh.token.value"
    answer_with(wire, "GET", f"{ROOT}/groups", (401, {}, {}))
    with pytest.raises(UmpError) as caught:
        place.client.get("/groups")
    assert caught.value.code == "graph_unauthorized"
    assert len(place.calls) == 4


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, PermissionMissing), (404, NotFound), (409, Conflict), (412, Conflict), (410, DeltaExpired)],
)
def test_refusals_are_not_repeated(status: int, kind: type[UmpError], wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (status, {}, graph_error("x")))
    place = desk(names={"tenant": "Contoso"})
    with pytest.raises(kind):
        place.client.get("/users")
    assert len(place.calls) == 1


def test_whoever_lost_the_right_to_write_sends_nothing(wire: responses.RequestsMock) -> None:
    def lost() -> None:
        raise LeaseLost

    client = desk(before_write=lost).client
    answer_with(wire, "GET", f"{ROOT}/users", OK)
    client.get("/users")
    steps = [BatchRequest("1", "/users", "PATCH", body={})]
    for write in (
        lambda: client.patch("/users/1", {}),
        lambda: client.post("/users", {}),
        lambda: client.delete("/users/1"),
        lambda: client.write("POST", "/users", {}),
        lambda: client.write_all(steps),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert [call.request.method for call in wire.calls] == ["GET"]


def test_the_right_to_write_is_asked_for_at_each_try(wire: responses.RequestsMock) -> None:
    asked: list[int] = []
    answer_with(wire, "DELETE", f"{ROOT}/users/1", (503, {}, graph_error("x")), (204, {}, b""))
    desk(before_write=lambda: asked.append(len(wire.calls))).client.delete("/users/1")
    assert asked == [0, 1]


def test_a_write_must_leave_by_the_moment_that_it_was_given(
    wire: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, request = list[object](), Outbound.request

    def watched(self: Outbound, *what: Any, **how: Any) -> requests.Response:
        given.append(how["sent_by"])
        return request(self, *what, **how)

    monkeypatch.setattr(Outbound, "request", watched)
    client = desk(before_write=lambda: 17.5).client
    answer_with(wire, "GET", f"{ROOT}/users", OK)
    answer_with(wire, "DELETE", f"{ROOT}/users/1", (204, {}, b""))
    client.get("/users")
    client.delete("/users/1")
    assert given == [None, 17.5]


# Pages


def _chain(wire: responses.RequestsMock, *pages: dict[str, object]) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", *[(200, {}, page) for page in pages])


def test_pages_are_followed_to_the_delta_link(wire: responses.RequestsMock) -> None:
    after, end = f"{ROOT}/users?$skiptoken=a%2Bb", f"{ROOT}/users?$deltatoken=z"
    _chain(wire, {"value": [{"id": "1"}], "@odata.nextLink": after}, {"value": [], "@odata.nextLink": after + "2"},
           {"value": [{"id": "2"}], "@odata.deltaLink": end})  # fmt: skip
    pages = list(desk().client.pages("/users", {"$select": "id"}))
    assert [page.value for page in pages] == [[{"id": "1"}], [], [{"id": "2"}]]
    assert pages[-1].delta_link == end
    assert wire.calls[1].request.url == after


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/v1.0/users?$skiptoken=1",
        "http://graph.microsoft.com/v1.0/users",
        "https://graph.microsoft.com@evil.example/v1.0/users",
        "https://graph.microsoft.com:8443/v1.0/users",
        "https://graph.microsoft.com.evil.example/v1.0/users",
        "https://graph.microsoft.us/v1.0/users",
        "https://graph.microsoft.com/v1.0/groups",
        "https://graph.microsoft.com/beta/users",
        "https://graph.microsoft.com/v1.0/users/../groups",
        "https://graph.microsoft.com/v1.0/users/%2e%2e/groups",
        "https://graph.microsoft.com\\@evil.example/v1.0/users",
        "https://graph.microsoft.com/v1.0/users\r\nX: y",
        "//evil.example/v1.0/users",
        "https://[broken",
        "/v1.0/users",
    ],
)
def test_a_link_elsewhere_is_not_followed(link: str, wire: responses.RequestsMock) -> None:
    _chain(wire, {"value": [], "@odata.nextLink": link})
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages("/users"))
    assert caught.value.code == "foreign_next_link"
    assert len(wire.calls) == 1


def test_a_delta_link_elsewhere_is_not_even_kept(wire: responses.RequestsMock) -> None:
    _chain(wire, {"value": [], "@odata.deltaLink": "https://evil.example/v1.0/users/delta?$deltatoken=1"})
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages("/users"))
    assert caught.value.code == "foreign_next_link"


def test_a_link_into_another_group_is_not_followed(wire: responses.RequestsMock) -> None:
    wire.get(
        f"{ROOT}/groups/{GROUP}/members",
        json={"value": [], "@odata.nextLink": f"{ROOT}/groups/{USER}/members?$s=1"},
    )
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages(f"/groups/{GROUP}/members"))
    assert caught.value.code == "foreign_next_link"


def test_pages_that_go_in_circles_end(wire: responses.RequestsMock) -> None:
    _chain(wire, {"value": [{"id": "1"}], "@odata.nextLink": f"{ROOT}/users?$skiptoken=same"})
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages("/users"))
    assert caught.value.code == "endless_pages"
    assert len(wire.calls) == 2


@pytest.mark.parametrize(("items", "most"), [([{"id": "1"}], 50), ([], 202)])
def test_pages_that_never_end_end(items: list[object], most: int, wire: responses.RequestsMock) -> None:
    count = 0

    def more(_request: object) -> tuple[int, dict[str, str], str]:
        nonlocal count
        count += 1
        return 200, {}, json.dumps({"value": items, "@odata.nextLink": f"{ROOT}/users?$skiptoken={count}"})

    wire.add_callback("GET", f"{ROOT}/users", more)
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages("/users", limit=50 if items else 1000))
    assert caught.value.code == "endless_pages"
    assert count <= most


@pytest.mark.parametrize(
    "body",
    [{}, {"value": None}, {"value": {"id": "1"}}, {"value": ["x"]}, {"value": [{}]}, {"value": [{"id": 7}]},
     {"value": [{"id": ""}]}, {"value": [], "@odata.nextLink": 7}, {"value": [], "@odata.deltaLink": ["x"]},
     {"value": [], "@odata.nextLink": ""}, {"value": [], "@odata.nextLink": "https://x" * 9000}, []],
)  # fmt: skip
def test_half_a_page_is_no_page(body: object, wire: responses.RequestsMock) -> None:
    answer_with(wire, "GET", f"{ROOT}/users", (200, {}, body))
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages("/users"))
    assert caught.value.code == "bad_reply"


def test_a_forgotten_delta_link(wire: responses.RequestsMock) -> None:
    link = f"{ROOT}/users/delta?$deltatoken=old"
    headers = {"Location": f"{ROOT}/users/delta?$deltatoken="}
    answer_with(wire, "GET", f"{ROOT}/users/delta", (410, headers, graph_error("resyncRequired")))
    with pytest.raises(DeltaExpired):
        desk().client.page(link, place="/users/delta")
    with pytest.raises(UmpError) as caught:
        desk().client.page(link, place="/groups/delta")
    assert caught.value.code == "foreign_next_link"


def _first_pages(wire: responses.RequestsMock, *answers: tuple[int, object]) -> dict[str, Page | UmpError]:
    """What `first_pages` makes of these statuses and bodies, for the names "1", "2" and so on."""
    told = [
        {"id": str(number), "status": status, "body": body}
        for number, (status, body) in enumerate(answers, start=1)
    ]
    answer_with(wire, "POST", f"{ROOT}/$batch", (200, {}, {"responses": told}))
    return desk(before_write=None).client.first_pages({str(one["id"]): f"{ROOT}/users?x=1" for one in told})


def test_first_pages_come_by_one_request(wire: responses.RequestsMock) -> None:
    end = f"{ROOT}/users/delta?$deltatoken=z"
    found = _first_pages(
        wire,
        (200, {"value": [{"id": "1"}], "@odata.deltaLink": end}),
        (410, graph_error("resyncRequired")),
        (429, graph_error("TooManyRequests")),
        (503, graph_error("ServiceUnavailable")),
    )
    assert found["1"] == Page([{"id": "1"}], None, end)
    assert isinstance(found["2"], DeltaExpired)
    assert set(found) == {"1", "2"}, "what should be waited out is asked for by itself"
    [step, *_] = json.loads(wire.calls[0].request.body)["requests"]
    assert step == {"id": "1", "method": "GET", "url": "/users?x=1"}


def test_a_first_page_is_read_as_sharply_as_any(wire: responses.RequestsMock) -> None:
    with pytest.raises(UmpError) as caught:
        _first_pages(wire, (200, {"value": [], "@odata.deltaLink": "https://evil.example/v1.0/users/delta"}))
    assert caught.value.code == "foreign_next_link"
    with pytest.raises(UmpError) as caught:
        _first_pages(wire, (200, {"value": {}}))
    assert caught.value.code == "bad_reply"


def test_a_link_of_another_host_is_not_asked_for_in_a_batch(wire: responses.RequestsMock) -> None:
    assert desk().client.first_pages({"1": "https://evil.example/v1.0/users"}) == {}
    assert not wire.calls


def test_pages_go_on_from_a_first_one(wire: responses.RequestsMock) -> None:
    after = f"{ROOT}/users?$skiptoken=2"
    _chain(wire, {"value": [{"id": "2"}]})
    pages = list(desk().client.pages("/users", first=Page([{"id": "1"}], after)))
    assert [page.value for page in pages] == [[{"id": "1"}], [{"id": "2"}]]
    assert wire.calls[0].request.url == after


def test_another_cloud_is_another_host(wire: responses.RequestsMock) -> None:
    wire.get("https://dod-graph.microsoft.us/v1.0/organization", json={"value": []})
    assert desk(cloud=CLOUDS["dod"]).client.get("/organization") == {"value": []}


def test_control_characters_that_the_database_refuses_are_left_out(wire: responses.RequestsMock) -> None:
    answer_with(
        wire,
        "GET",
        f"{ROOT}/users",
        (200, {}, '{"value":[{"id":"1","n":"a\\u0000b","l":["\\u0000",{"x":1}]}]}'),
    )
    page = next(iter(desk().client.pages("/users")))
    assert page.value == [{"id": "1", "n": "ab", "l": ["", {"x": 1}]}]


def test_one_monstrous_field_is_refused(wire: responses.RequestsMock) -> None:
    answer_with(
        wire, "GET", f"{ROOT}/users", (200, {}, {"value": [{"id": "1", "displayName": "x" * 10_000_000}]})
    )
    with pytest.raises(UmpError) as caught:
        list(desk().client.pages("/users"))
    assert "far too long" in caught.value.message


# Writing


@pytest.mark.parametrize("method", ["post", "patch", "delete"])
def test_a_read_only_client_sends_no_write(method: str, wire: responses.RequestsMock) -> None:
    client = desk(before_write=None).client
    args = (f"/users/{USER}",) if method == "delete" else (f"/users/{USER}", {"city": "Oslo"})
    with pytest.raises(WriteRefused) as caught:
        getattr(client, method)(*args)
    assert caught.value.detail["path"] == "/v1.0/users/{id}"
    assert not wire.calls


def test_a_read_only_client_may_ask_by_post(wire: responses.RequestsMock) -> None:
    wire.post(f"{ROOT}/directoryObjects/getByIds", json={"value": []})
    client = desk(before_write=None).client
    assert client.post("/directoryObjects/getByIds", {"ids": []}, reads=True) == {"value": []}


def test_a_change_of_one_version_only(wire: responses.RequestsMock) -> None:
    answer_with(wire, "PATCH", f"{ROOT}/users/{USER}", (412, {}, graph_error("x")))
    with pytest.raises(Conflict) as caught:
        desk().client.patch(f"/users/{USER}", {"a": 1}, if_match='W/"1"')
    assert caught.value.code == "remote_changed"
    assert wire.calls[0].request.headers["If-Match"] == 'W/"1"'


# Batches


def _steps(count: int) -> list[BatchRequest]:
    return [BatchRequest(f"S{n}", f"/groups/{GROUP}/members?$select=id") for n in range(count)]


def test_a_batch_answers_in_the_order_asked(wire: responses.RequestsMock) -> None:
    answers = [
        {"id": "s1", "status": 429, "headers": {"Retry-After": "9"}, "body": graph_error("TooManyRequests")},
        {"id": "S2", "status": 404, "headers": {}, "body": graph_error("Request_ResourceNotFound")},
        {"id": "S0", "status": 200, "headers": {"x-ms-resource-unit": "3"}, "body": {"value": []}},
    ]
    wire.post(f"{ROOT}/$batch", json={"responses": answers})
    place = desk(before_write=None)
    first, second, third = place.client.batch(_steps(3))
    assert (first.status, first.body, first.error) == (200, {"value": []}, None)
    assert [first.id, second.id, third.id] == ["S0", "S1", "S2"]
    assert second.retry_after == 9.0
    assert isinstance(second.error, Throttled)
    assert isinstance(third.error, NotFound)
    assert json.loads(
        str(wire.calls[0].request.body, "utf-8") if isinstance(wire.calls[0].request.body, bytes) else ""
    )["requests"][0] == {"id": "S0", "method": "GET", "url": f"/groups/{GROUP}/members?$select=id"}
    assert place.pacer.ask(Cost(1)) == pytest.approx(9.0)


def test_steps_whose_token_ended_on_the_way_are_sent_once_more(wire: responses.RequestsMock) -> None:
    done = {"id": "S0", "status": 200, "headers": {}, "body": {"value": []}}
    old = {"id": "S1", "status": 401, "headers": {}, "body": graph_error("InvalidAuthenticationToken")}
    answers = [(200, {}, {"responses": [done, old]}), (200, {}, {"responses": [{**done, "id": "S1"}]})]
    answer_with(wire, "POST", f"{ROOT}/$batch", *answers)
    place = desk(before_write=None)
    assert [(one.id, one.status) for one in place.client.batch(_steps(2))] == [("S0", 200), ("S1", 200)]
    assert True in place.tokens
    sent = [json.loads(call.request.body or b"")["requests"] for call in wire.calls]
    assert [[step["id"] for step in steps] for steps in sent] == [["S0", "S1"], ["S1"]]


@pytest.mark.parametrize(
    ("second", "code"),
    [((429, {"Retry-After": "3000"}, graph_error("TooManyRequests")), "throttled"),
     ((503, {}, {}), "outcome_unknown")],
)  # fmt: skip
def test_what_was_written_is_told_though_the_rest_is_not_sent_once_more(
    wire: responses.RequestsMock, second: Any, code: str
) -> None:
    answer_with(wire, "POST", f"{ROOT}/$batch", (200, {}, _half_refused()), second)
    done, first, other = desk().client.write_all(_patches(3))
    assert isinstance(done, Written)
    assert (done.status, done.client_request_id) == (204, "S0")
    assert isinstance(first, UmpError)
    assert isinstance(other, UmpError)
    assert [(one.code, one.detail["client_request_id"]) for one in (first, other)] == [
        (code, "S1"),
        (code, "S2"),
    ]
    assert [one.retry_after for one in (first, other)] == [3000.0 if code == "throttled" else None] * 2


def test_what_was_written_is_told_though_there_is_no_other_token(wire: responses.RequestsMock) -> None:
    answer_with(wire, "POST", f"{ROOT}/$batch", (200, {}, _half_refused()))

    place = desk()

    def source(fresh: bool) -> str:
        if fresh:
            raise UmpError.of("secret_expired")
        return "eyJkept.token.value"

    place.client._token_source = source
    answers = place.client.write_all(_patches(3))
    assert [one.code if isinstance(one, UmpError) else one.status for one in answers] == [
        204,
        "secret_expired",
        "secret_expired",
    ]


def test_whoever_lost_the_command_hears_of_nothing_else(wire: responses.RequestsMock) -> None:
    answer_with(wire, "POST", f"{ROOT}/$batch", (200, {}, _half_refused()))
    ours = iter([True])

    def before_write() -> None:
        if not next(ours, False):
            raise LeaseLost

    with pytest.raises(LeaseLost):
        desk(before_write=before_write).client.write_all(_patches(3))


def _patches(count: int) -> list[BatchRequest]:
    return [BatchRequest(f"S{n}", f"/users/{USER}", "PATCH", body={"city": "Oslo"}) for n in range(count)]


def _half_refused() -> dict[str, Any]:
    old = {"status": 401, "headers": {}, "body": graph_error("InvalidAuthenticationToken")}
    return {
        "responses": [{"id": "S0", "status": 204, "headers": {}}, {"id": "S1", **old}, {"id": "S2", **old}]
    }


def test_a_batch_with_a_write_is_a_write(wire: responses.RequestsMock) -> None:
    step = BatchRequest("1", f"/users/{USER}", "PATCH", body={"city": "Oslo"})
    assert step.as_json()["headers"] == {"Content-Type": "application/json"}
    with pytest.raises(WriteRefused):
        desk(before_write=None).client.batch([step])
    answer_with(wire, "POST", f"{ROOT}/$batch", (503, {}, {}))
    with pytest.raises(OutcomeUnknown):
        desk().client.batch([step])
    assert len(wire.calls) == 1


def test_a_batch_of_reads_is_repeated(wire: responses.RequestsMock) -> None:
    good = {"responses": [{"id": "s0", "status": 200, "body": {}}]}
    answer_with(wire, "POST", f"{ROOT}/$batch", (503, {}, {}), (200, {}, good))
    assert desk().client.batch(_steps(1))[0].status == 200


@pytest.mark.parametrize("count", [0, 21])
def test_batches_have_a_size(count: int) -> None:
    with pytest.raises(UmpError) as caught:
        desk().client.batch(_steps(count))
    assert caught.value.code == "internal"


@pytest.mark.parametrize(
    "listed",
    [[], None, [{"id": "s0"}], [{"id": "s0", "status": "200"}], [{"id": "x", "status": 200}], ["s0"],
     [{"id": "s0", "status": 200}, {"id": "s0", "status": 200}], [{"id": "s0", "status": 999}],
     [{"id": "s0", "status": True}]],
)  # fmt: skip
def test_a_batch_must_answer_each_step_once(listed: object, wire: responses.RequestsMock) -> None:
    answer_with(wire, "POST", f"{ROOT}/$batch", (200, {}, {"responses": listed}))
    with pytest.raises(UmpError) as caught:
        desk().client.batch(_steps(1))
    assert caught.value.code == "bad_reply"


# Paths


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (f"/v1.0/users/{USER}/manager", "/v1.0/users/{id}/manager"),
        ("/v1.0/users/adele@contoso.com", "/v1.0/users/{id}"),
        ("/v1.0/domains/contoso.com/verify", "/v1.0/domains/{id}/verify"),
        ("/v1.0/servicePrincipals(appId='x-1')", "/v1.0/servicePrincipals({id})"),
        (
            f"/v1.0/groups/{GROUP}/members/microsoft.graph.user/$count",
            "/v1.0/groups/{id}/members/microsoft.graph.user/$count",
        ),
        ("/v1.0/users/delta?$deltatoken=secret", "/v1.0/users/delta"),
        ("/v1.0/$batch", "/v1.0/$batch"),
    ],
)
def test_templates_name_nobody(path: str, shown: str) -> None:
    assert template(path) == shown


@pytest.mark.parametrize(
    "path", ["users", "//evil.example/x", "/users/../groups", "/users x", "/a\\b", "/users#x", "/ü"]
)
def test_our_own_paths_are_checked(path: str, wire: responses.RequestsMock) -> None:
    with pytest.raises(UmpError) as caught:
        desk().client.get(path)
    assert caught.value.code == "internal"
    assert not wire.calls


def test_an_id_stays_one_segment() -> None:
    assert segment("a/../b?c#d") == "a%2F..%2Fb%3Fc%23d"
    for bad in ("", ".", ".."):
        with pytest.raises(UmpError):
            segment(bad)


def test_parameters_cannot_add_others(wire: responses.RequestsMock) -> None:
    wire.get(f"{ROOT}/users", json={"value": []})
    desk().client.get("/users", {"$filter": "displayName eq 'R&D #1+'"})
    query = parse_qs(urlsplit(str(wire.calls[0].request.url)).query)
    assert query == {"$filter": ["displayName eq 'R&D #1+'"]}


def test_nothing_of_a_body_is_logged(wire: responses.RequestsMock, caplog: pytest.LogCaptureFixture) -> None:
    wire.get(f"{ROOT}/users", json={"value": [{"id": "1", "displayName": "Canary of Contoso"}]})
    place = desk()
    with caplog.at_level(logging.DEBUG):
        list(place.client.pages("/users"))
    assert "Canary" not in caplog.text + repr(place.calls)
    assert "eyJkept" not in caplog.text + repr(place.calls)
    assert GLOBAL.graph_host


# Writes that somebody keeps books of

OURS, THEIRS = "0b5f7f0e-0000-4000-8000-000000000001", "0b5f7f0e-0000-4000-8000-0000000000ff"


def test_a_write_is_known_by_the_id_that_was_noted_before(wire: responses.RequestsMock) -> None:
    """The same one when it is sent again after a refusal, and both ids are told, whatever became of it."""
    told = {"request-id": THEIRS, "Location": "https://graph.microsoft.com/v1.0/x"}
    answer_with(
        wire,
        "POST",
        f"{ROOT}/x",
        (429, {"Retry-After": "1"}, graph_error("TooManyRequests")),
        (202, told, b""),
        (400, {"request-id": THEIRS}, graph_error("Request_BadRequest")),
        (200, {}, requests.ConnectionError("gone")),
    )
    one = desk()
    done = one.client.write("POST", "/x", {}, request_id=OURS)
    assert (done.status, done.request_id, done.client_request_id) == (202, THEIRS, OURS)
    assert done.location == told["Location"]
    with pytest.raises(UmpError) as refused:
        one.client.write("POST", "/x", {}, request_id=OURS)
    assert (refused.value.detail["request_id"], refused.value.detail["client_request_id"]) == (THEIRS, OURS)
    with pytest.raises(OutcomeUnknown) as lost:
        one.client.write("POST", "/x", {}, request_id=OURS)
    assert lost.value.detail["client_request_id"] == OURS
    assert {call.request.headers["client-request-id"] for call in wire.calls} == {OURS}


def test_any_number_of_reads_goes_in_batches_and_what_was_put_off_is_asked_again(
    wire: responses.RequestsMock,
) -> None:
    sizes: list[int] = []

    def answer(request: Any) -> tuple[int, dict[str, str], str]:
        steps = json.loads(request.body)["requests"]
        sizes.append(len(steps))
        late = {"status": 429, "headers": {"Retry-After": "2"}, "body": graph_error("TooManyRequests")}
        rows = [
            {
                "id": step["id"],
                **(late if step["id"] == "3" and len(sizes) == 1 else {"status": 200, "body": {}}),
            }
            for step in steps
        ]
        return 200, {}, json.dumps({"responses": rows})

    wire.add_callback("POST", f"{ROOT}/$batch", answer, content_type="application/json")
    one = desk()
    answers = one.client.each([BatchRequest(str(number), f"/users/{number}") for number in range(25)])
    assert [answer.id for answer in answers] == [str(number) for number in range(25)]
    assert all(answer.error is None for answer in answers)
    assert (sizes, one.clock.waits) == ([20, 1, 5], [2.0])
