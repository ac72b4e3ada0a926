"""`$batch`: what makes a whole batch bad, and what happens to its steps."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.client import Visitor


def _step(
    key: str = "1", url: str = "/users?$top=1&$select=id", method: str = "GET", **more: Any
) -> dict[str, Any]:
    return {"id": key, "method": method, "url": url, **more}


def _batch(visitor: Visitor, *steps: dict[str, Any]) -> Any:
    return visitor.call("POST", "/$batch", json={"requests": list(steps)})


def test_twenty_steps_answer_each_on_its_own(contoso: Visitor) -> None:
    steps = [_step(str(n)) for n in range(18)] + [
        _step("a", "/users/nobody@contoso.example"),
        _step("b", "/domains"),
    ]
    answer = _batch(contoso, *steps)
    by_id = {item["id"]: item for item in answer.json()["responses"]}

    assert answer.status_code == 200
    assert len(by_id) == 20
    assert by_id["0"]["body"]["value"]
    assert by_id["0"]["headers"]["x-ms-resource-unit"] == "1"
    assert (by_id["a"]["status"], by_id["b"]["status"]) == (404, 403)


BAD = [
    ([_step(str(n)) for n in range(21)], "MaximumValueExceeded"),
    ([_step("a"), _step("A")], "BadRequest"),
    ([{"method": "GET", "url": "/users"}], "BadRequest"),
    ([_step("1", "https://graph.microsoft.com/v1.0/users")], "BadRequest"),
    ([_step("1", "/$batch", "POST")], "BadRequest"),
    ([_step("1", "/users/x", "PATCH", body={"jobTitle": "x"})], "BadRequest"),
    ([_step("1", dependsOn=["2"]), _step("2")], "BadRequest"),
    ([_step("1"), _step("2", dependsOn=["1"]), _step("3")], "BadRequest"),
    ([], "BadRequest"),
    ([_step("1", headers=["a"])], "BadRequest"),
    ([_step("1", dependsOn="2")], "BadRequest"),
]


@pytest.mark.parametrize(
    ("steps", "code"), BAD,
    ids=["21", "same id", "no id", "absolute", "nested", "no content type", "later step", "half a chain", "empty",
         "bad headers", "bad order"],
)  # fmt: skip
def test_bad_batches_are_refused_whole(contoso: Visitor, steps: list[dict[str, Any]], code: str) -> None:
    answer = _batch(contoso, *steps)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_a_failed_step_fails_those_behind_it(contoso: Visitor) -> None:
    user = contoso.rows("/users?$select=id")[0]["id"]
    patch = {
        "method": "PATCH",
        "headers": {"Content-Type": "application/json"},
        "body": {"jobTitle": "Captain"},
    }
    answer = _batch(
        contoso,
        _step("1", "/users/nobody@contoso.example"),
        {"id": "2", "url": f"/users/{user}", "dependsOn": ["1"], **patch},
        _step("3", dependsOn=["2"]),
    )

    assert [item["status"] for item in answer.json()["responses"]] == [404, 424, 424]
    assert contoso.control("GET", "/history?kind=write")["history"] == []


def test_steps_can_write(contoso: Visitor) -> None:
    user = contoso.rows("/users?$select=id")[0]["id"]
    headers = {"Content-Type": "application/json"}
    answer = _batch(
        contoso, _step("1", f"/users/{user}", "PATCH", headers=headers, body={"jobTitle": "Captain"})
    )

    assert answer.json()["responses"] == [
        {"id": "1", "status": 204, "headers": {"Cache-Control": "no-cache", "x-ms-resource-unit": "1"}}
    ]
    assert contoso.get(f"/users/{user}").json()["jobTitle"] == "Captain"


def test_steps_are_throttled_one_by_one(contoso: Visitor) -> None:
    contoso.tune(ru_per_10s=10)
    responses = _batch(contoso, *[_step(str(n)) for n in range(20)]).json()["responses"]

    statuses = [item["status"] for item in responses]
    assert statuses == [200] * 10 + [429] * 10
    assert int(responses[-1]["headers"]["Retry-After"]) >= 1
    assert responses[-1]["body"]["error"]["code"] == "TooManyRequests"


def test_links_in_a_step_work_outside_the_batch(contoso: Visitor) -> None:
    group = contoso.rows("/groups?$select=id")[0]["id"]
    item = _batch(contoso, _step("1", f"/groups/{group}/members?$select=id&$top=4")).json()["responses"][0]

    assert contoso.get(item["body"]["@odata.nextLink"]).status_code == 200


def test_trouble_can_hit_single_steps(contoso: Visitor) -> None:
    group = contoso.rows("/groups?$select=id")[0]["id"]
    contoso.trouble("throttle", path="/members", retry_after="2.128", count=1)
    responses = _batch(
        contoso, _step("1", f"/groups/{group}/members"), _step("2", f"/groups/{group}/members")
    ).json()["responses"]

    assert [item["status"] for item in responses] == [429, 200]
    assert responses[0]["headers"]["Retry-After"] == "2.128"
