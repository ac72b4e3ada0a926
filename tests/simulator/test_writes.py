"""Writing: Entra's checks, read-after-write lag, and the history of what arrived."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.client import Visitor

Visit = Callable[..., Visitor]
NEW_USER = {
    "accountEnabled": True,
    "displayName": "Voice Resource",
    "mailNickname": "voice.resource",
    "userPrincipalName": "voice.resource@contoso.example",
    "usageLocation": "DE",
    "passwordProfile": {"password": "Extremely-Secret-1", "forceChangePasswordNextSignIn": False},
}


def _user(visitor: Visitor, index: int = 0) -> str:
    return str(visitor.inside("GET", f"/users/%23{index}")["id"])


def test_a_user_lives_from_creation_to_the_end(contoso: Visitor) -> None:
    created = contoso.call("POST", "/users", json=NEW_USER)
    path = f"/users/{created.json()['id']}"

    assert created.status_code == 201
    assert created.headers["Location"].endswith("/user")
    assert contoso.call("PATCH", path, json={"jobTitle": "Line"}).status_code == 204
    assert contoso.get(f"{path}?$select=jobTitle").json()["jobTitle"] == "Line"
    assert contoso.call("DELETE", path).status_code == 204
    assert contoso.get(path).status_code == 404
    deleted = f"/directory/deletedItems/{created.json()['id']}"
    assert contoso.get(deleted).json()["deletedDateTime"]
    assert [row["id"] for row in contoso.rows("/directory/deletedItems/microsoft.graph.user")] == [
        created.json()["id"]
    ]
    assert contoso.call("POST", f"{deleted}/restore").status_code == 200
    assert contoso.get(path).status_code == 200


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"userPrincipalName": "x@elsewhere.example"}, "domain portion"),
        ({"userPrincipalName": "not a name"}, "userPrincipalName"),
        ({"displayName": None}, "displayName"),
        ({"passwordProfile": None}, "passwordProfile"),
        ({"accountEnabled": "yes"}, "accountEnabled"),
        ({"shoeSize": 43}, "shoeSize"),
        ({"displayName": "x" * 300}, "displayName"),
    ],
)
def test_a_user_that_cannot_be_is_refused(contoso: Visitor, change: dict[str, Any], text: str) -> None:
    answer = contoso.call("POST", "/users", json={**NEW_USER, **change})

    assert answer.status_code == 400
    assert text in answer.json()["error"]["message"]


def test_a_name_can_be_had_once(contoso: Visitor) -> None:
    contoso.call("POST", "/users", json=NEW_USER)
    again = contoso.call(
        "POST", "/users", json={**NEW_USER, "userPrincipalName": "VOICE.resource@contoso.example"}
    )
    taken = contoso.call(
        "PATCH", f"/users/{_user(contoso)}", json={"userPrincipalName": NEW_USER["userPrincipalName"]}
    )

    for answer in (again, taken):
        assert answer.status_code == 400
        assert answer.json()["error"]["message"].endswith("userPrincipalName already exists.")
        assert answer.json()["error"]["details"][0]["code"] == "ConflictingObjects"


def test_broken_json_is_refused(contoso: Visitor) -> None:
    answer = contoso.call(
        "PATCH", f"/users/{_user(contoso)}", data=b"{", headers={"Content-Type": "application/json"}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadRequest")


def test_read_only_properties_stay(contoso: Visitor) -> None:
    answer = contoso.call(
        "PATCH", f"/users/{_user(contoso)}", json={"createdDateTime": "2020-01-01T00:00:00Z"}
    )

    assert answer.status_code == 400


def test_members_join_once_and_leave_once(contoso: Visitor) -> None:
    group = contoso.rows("/groups?$select=id")[0]["id"]
    member = contoso.rows(f"/groups/{group}/members?$select=id")[0]["id"]
    reference = {"@odata.id": f"https://graph.microsoft.com/v1.0/directoryObjects/{member}"}

    twice = contoso.call("POST", f"/groups/{group}/members/$ref", json=reference)
    out = contoso.call("DELETE", f"/groups/{group}/members/{member}/$ref")
    out_again = contoso.call("DELETE", f"/groups/{group}/members/{member}/$ref")
    back = contoso.call("POST", f"/groups/{group}/members/$ref", json=reference)

    assert [twice.status_code, out.status_code, out_again.status_code, back.status_code] == [
        400,
        204,
        404,
        204,
    ]


def test_security_groups_are_gone_at_once(contoso: Visitor) -> None:
    body = {
        "displayName": "Operators",
        "mailEnabled": False,
        "mailNickname": "operators",
        "securityEnabled": True,
    }
    group = contoso.call("POST", "/groups", json=body).json()["id"]

    assert contoso.call("DELETE", f"/groups/{group}").status_code == 204
    assert contoso.call("POST", f"/directory/deletedItems/{group}/restore").status_code == 404


def test_a_licence_needs_a_place_and_one_that_is_free(contoso: Visitor) -> None:
    phone = "e43b5b99-8dfb-405f-9987-dc307f34bcbd"
    user = contoso.call("POST", "/users", json={**NEW_USER, "usageLocation": None}).json()["id"]
    wish = {"addLicenses": [{"skuId": phone, "disabledPlans": []}], "removeLicenses": []}

    nowhere = contoso.call("POST", f"/users/{user}/assignLicense", json=wish)
    contoso.call("PATCH", f"/users/{user}", json={"usageLocation": "DE"})
    given = contoso.call("POST", f"/users/{user}/assignLicense", json=wish)
    details = contoso.rows(f"/users/{user}/licenseDetails")

    assert (nowhere.status_code, given.status_code) == (400, 200)
    assert [row["skuPartNumber"] for row in details] == ["MCOEV"]
    statuses = []
    for index in range(30):
        contoso.inside("PATCH", f"/users/%23{index}", {"usageLocation": "DE", "assignedLicenses": []})
        statuses.append(
            contoso.call("POST", f"/users/{_user(contoso, index)}/assignLicense", json=wish).status_code
        )
    assert statuses.count(400) > 0


# Lag.


def test_with_lag_a_change_is_seen_later(contoso: Visitor) -> None:
    path = f"/users/{_user(contoso)}?$select=jobTitle"
    old = contoso.get(path).json()["jobTitle"]
    contoso.tune(lag=60)
    contoso.call("PATCH", path.split("?", maxsplit=1)[0], json={"jobTitle": "Captain"})
    meanwhile = contoso.get(path).json()["jobTitle"]
    contoso.advance(61)

    assert meanwhile == old
    assert contoso.get(path).json()["jobTitle"] == "Captain"


def test_with_lag_a_new_user_is_404_for_a_while_but_its_name_is_taken(contoso: Visitor) -> None:
    contoso.tune(lag=60)
    created = contoso.call("POST", "/users", json=NEW_USER).json()["id"]
    early = contoso.get(f"/users/{created}")
    duplicate = contoso.call("POST", "/users", json=NEW_USER)
    listed = len(contoso.rows("/users?$select=id&$top=999"))
    contoso.advance(61)

    assert (early.status_code, duplicate.status_code, listed) == (404, 400, 30)
    assert contoso.get(f"/users/{created}").status_code == 200
    assert len(contoso.rows("/users?$select=id&$top=999")) == 31


def test_with_lag_deltas_come_late_and_lose_nothing(contoso: Visitor) -> None:
    _, link = contoso.delta("/users/delta?$select=jobTitle&$deltatoken=latest")
    contoso.tune(lag=60)
    contoso.call("PATCH", f"/users/{_user(contoso)}", json={"jobTitle": "Captain"})
    early, link = contoso.delta(link)
    contoso.advance(61)
    late, _ = contoso.delta(link)

    assert early == []
    assert [row["jobTitle"] for row in late] == ["Captain"]


def test_with_lag_members_arrive_late(contoso: Visitor) -> None:
    group = contoso.rows("/groups?$select=id")[0]["id"]
    member = contoso.rows(f"/groups/{group}/members?$select=id")[0]["id"]
    contoso.tune(lag=60)
    contoso.call("DELETE", f"/groups/{group}/members/{member}/$ref")

    def inside() -> bool:
        return member in {row["id"] for row in contoso.rows(f"/groups/{group}/members?$select=id")}

    early = inside()
    contoso.tune(lag=0)

    assert (early, inside()) == (True, False)


# History.


def test_history_keeps_every_write_and_no_password(contoso: Visitor) -> None:
    contoso.call("POST", "/users", json=NEW_USER)
    contoso.get("/users")
    history = contoso.control("GET", "/history?kind=write&tenant=contoso.example")["history"]

    assert [(entry["method"], entry["path"], entry["status"]) for entry in history] == [
        ("POST", "/v1.0/users", 201)
    ]
    assert history[0]["body"]["passwordProfile"] == "(not kept)"
    assert history[0]["app"] == contoso.app["client_id"]


def test_history_tells_a_lost_reply_from_a_refused_write(contoso: Visitor) -> None:
    path = f"/users/{_user(contoso)}"
    contoso.trouble("error", status=503, when="after", method="PATCH", count=1)
    lost = contoso.call("PATCH", path, json={"jobTitle": "Captain"})
    contoso.trouble("error", status=503, when="before", method="PATCH", count=1)
    refused = contoso.call("PATCH", path, json={"jobTitle": "Major"})
    writes = contoso.control("GET", "/history?kind=write")["history"]

    assert (lost.status_code, refused.status_code) == (503, 503)
    assert contoso.get(f"{path}?$select=jobTitle").json()["jobTitle"] == "Captain"
    assert [(entry["status"], entry["answered"]) for entry in writes] == [(204, 503)]


def test_who_comes_from_the_own_directory_is_changed_there(contoso: Visitor) -> None:
    """All but the usage location, and never the members of such a group; the next delta shows what was changed."""
    synced = next(
        row["id"]
        for row in contoso.rows("/users?$select=id,onPremisesSyncEnabled")
        if row["onPremisesSyncEnabled"]
    )
    _, mark = contoso.delta("/users/delta?$select=usageLocation,department&$deltatoken=latest")
    answer = contoso.call("PATCH", f"/users/{synced}", json={"department": "X", "usageLocation": "AT"})
    assert (answer.status_code, "on-premises mastered" in answer.text) == (400, True)
    assert contoso.call("PATCH", f"/users/{synced}", json={"usageLocation": "AT"}).status_code == 204
    rows, _ = contoso.delta(mark)
    assert [(row["id"], row["usageLocation"]) for row in rows] == [(synced, "AT")]
    group = contoso.rows("/groups?$select=id")[0]["id"]
    contoso.simulator.state.tenants[contoso.tenant["tenant_id"]].directory.groups.change(
        0, {"onPremisesSyncEnabled": True}
    )
    member = contoso.rows(f"/groups/{group}/members?$select=id")[0]["id"]
    assert contoso.call("DELETE", f"/groups/{group}/members/{member}/$ref").status_code == 400
