"""Telephony at Graph: users, numbers, orders that take their time, policies (facts/microsoft.md 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from simulator.server import Simulator
from tests.simulator.client import Visitor

Visit = Callable[..., Visitor]
ABLE = [
    "User.Read.All",
    "TeamsUserConfiguration.Read.All",
    "TeamsTelephoneNumber.ReadWrite.All",
    "TeamsPolicyUserAssign.ReadWrite.All",
]
USERS = "/admin/teams/userConfigurations"
NUMBERS = "/admin/teams/telephoneNumberManagement/numberAssignments"


@pytest.fixture
def able(visit: Visit) -> Visitor:
    return visit(users=60, app={"roles": ABLE}, telephony={"head": "+4930555", "digits": 3})


def numbers(visitor: Visitor, wanted: str) -> list[dict[str, Any]]:
    return visitor.rows(f"{NUMBERS}?$filter={quote(wanted)}")


def users(visitor: Visitor) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in visitor.rows(USERS)}


def order(visitor: Visitor, act: str, body: dict[str, Any], looks: int = 3) -> dict[str, Any]:
    """The operation after so many looks."""
    accepted = visitor.call("POST", f"{NUMBERS}/{act}", json=body)
    assert accepted.status_code == 202, accepted.text
    path = accepted.headers["Location"].partition("/v1.0")[2]
    assert "operations('" in path
    answers = [visitor.call("GET", path).json() for _ in range(looks)]
    assert [one["status"] for one in answers[:2]] == ["notStarted", "running"]
    return dict(answers[-1])


def wish(number: str, target: str, kind: str = "directRouting") -> dict[str, Any]:
    return {"telephoneNumber": number, "assignmentTargetId": target, "numberType": kind}


def test_users_and_numbers_tell_the_same(able: Visitor) -> None:
    """In pages, whatever their size."""
    listed = {row["id"]: row for row in able.rows(f"{USERS}?$top=7")}
    assert listed == users(able)
    held = {row["assignmentTargetId"]: row for row in numbers(able, "assignmentStatus eq 'userAssigned'")}
    with_number = {key: row for key, row in listed.items() if row["telephoneNumbers"]}
    assert set(held) == set(with_number)
    assert with_number
    for key, row in with_number.items():
        assert row["telephoneNumbers"][0]["telephoneNumber"] == held[key]["telephoneNumber"]
        assert row["isEnterpriseVoiceEnabled"]
        assert "PhoneSystem" in row["featureTypes"]
        kinds = {one["policyType"] for one in row["effectivePolicyAssignments"]}
        assert {"OnlineVoiceRoutingPolicy", "TenantDialPlan"} <= kinds
    assert {tuple(row["featureTypes"]) for row in listed.values()} >= {("Teams",)}
    (one,) = numbers(able, "telephoneNumber eq '+4930555000'")
    assert able.call("GET", f"{NUMBERS}/{one['id']}").json()["telephoneNumber"] == "+4930555000"
    free = "assignmentStatus eq 'unassigned' and capabilities/any(c:c eq 'userAssignment')"
    assert {row["assignmentTargetId"] for row in numbers(able, free)} == {None}


def test_pages_by_skip_and_the_limits(able: Visitor) -> None:
    whole = able.rows(NUMBERS)
    assert able.call("GET", f"{NUMBERS}?$top=5&$skip=5").json()["value"] == whole[5:10]
    assert able.call("GET", f"{NUMBERS}?$top=1001").status_code == 400
    assert able.call("GET", f"{USERS}?$top=1000").status_code == 400
    assert able.call("GET", f"{USERS}?$filter=accountType eq 'guest'").json()["value"] == []


def test_an_order_is_accepted_and_done_later(able: Visitor) -> None:
    free = numbers(able, "assignmentStatus eq 'unassigned'")[0]["telephoneNumber"]
    known = users(able)
    target = next(
        key
        for key, row in known.items()
        if "PhoneSystem" in row["featureTypes"] and not row["telephoneNumbers"]
    )
    assert order(able, "assignNumber", wish(free, target))["status"] == "succeeded"
    after = able.call("GET", f"{USERS}/{target}?$expand=user").json()
    assert after["telephoneNumbers"] == [{"telephoneNumber": free, "assignmentCategory": "primary"}]
    assert after["isEnterpriseVoiceEnabled"]
    assert after["user"]["id"] == target
    back = {"telephoneNumber": free, "numberType": "directRouting"}
    assert order(able, "unassignNumber", back)["status"] == "succeeded"
    assert not users(able)[target]["telephoneNumbers"]


def test_orders_that_fail_say_why(able: Visitor) -> None:
    free, taken = (
        numbers(able, f"assignmentStatus eq '{status}'")[0]["telephoneNumber"]
        for status in ("unassigned", "userAssigned")
    )
    known = users(able)
    plain = next(key for key, row in known.items() if "PhoneSystem" not in row["featureTypes"])
    voice = next(
        key
        for key, row in known.items()
        if "PhoneSystem" in row["featureTypes"] and not row["telephoneNumbers"]
    )
    for body, why in (
        (wish(free, plain), "not licensed"),
        (wish(taken, voice), "already assigned"),
        (wish("+493999", voice, "operatorConnect"), "not found in the inventory"),
        (wish(free, "00000000-0000-4000-8000-000000000001"), "target was not found"),
    ):
        ended = order(able, "assignNumber", body)
        assert ended["status"] == "failed"
        assert why in ended["numbers"][0]["statusDetail"]
    able.tune(order_fails="An internal error.")
    assert (
        order(able, "assignNumber", wish(free, voice))["numbers"][0]["statusDetail"] == "An internal error."
    )
    assert not users(able)[voice]["telephoneNumbers"]
    assert able.call("POST", f"{NUMBERS}/assignNumber", json={"telephoneNumber": free}).status_code == 400


def test_an_order_nobody_looks_at_ends_by_itself(able: Visitor) -> None:
    taken = numbers(able, "assignmentStatus eq 'userAssigned'")[0]
    body = {"telephoneNumber": taken["telephoneNumber"], "numberType": "directRouting"}
    assert able.call("POST", f"{NUMBERS}/unassignNumber", json=body).status_code == 202
    able.advance(60)
    assert not users(able)[taken["assignmentTargetId"]]["telephoneNumbers"]


def test_policies_are_found_by_name_and_assigned(able: Visitor) -> None:
    path = "/admin/teams/policy"
    found = able.call("GET", f"{path}/getPolicyId(type='TeamsCallingPolicy',name='AllowCalling')").json()
    (policy,) = found["value"]
    assert policy["name"] == "Tag:AllowCalling"
    assert able.call("GET", f"{path}/getPolicyId(type='TeamsCallingPolicy',name='X')").json()["value"] == []
    target = next(iter(users(able)))
    one = {"userId": target, "policyType": "TeamsCallingPolicy", "policyId": policy["policyId"]}
    assert able.call("POST", f"{path}/userAssignments/assign", json={"value": [one]}).status_code == 204

    def effective() -> dict[str, Any]:
        rows = users(able)[target]["effectivePolicyAssignments"]
        return {row["policyType"]: row["policyAssignment"] for row in rows}

    assert effective()["TeamsCallingPolicy"]["displayName"] == "AllowCalling"
    assert effective()["TeamsCallingPolicy"]["assignmentType"] == "direct"
    wrong = able.call("POST", f"{path}/userAssignments/assign", json={"value": [{**one, "policyId": "x"}]})
    assert wrong.status_code == 400
    assert able.call("POST", f"{path}/userAssignments/unassign", json={"value": [one]}).status_code == 204
    assert "TeamsCallingPolicy" not in effective()


def test_who_may_ask_and_which_cloud_has_it(visit: Visit) -> None:
    reader = visit(users=5, app={"roles": ["TeamsTelephoneNumber.Read.All"]})
    assert reader.get(NUMBERS).status_code == 200
    assert reader.get(USERS).status_code == 403
    assert reader.call("POST", f"{NUMBERS}/assignNumber", json={}).status_code == 403


def test_the_teams_service_counts_requests(able: Visitor, simulator: Simulator) -> None:
    answer = able.get(f"{NUMBERS}?$top=1")
    assert "x-ms-resource-unit" not in answer.headers
    tenant = simulator.state.tenants[able.tenant["tenant_id"]]
    for name, bucket in tenant.buckets.items():
        bucket.level = -1e6 if "/Teams/" in name else bucket.level
    refused = able.get(NUMBERS)
    assert (refused.status_code, refused.headers["x-ms-throttle-information"]) == (
        429,
        "RequestLimitExceeded",
    )
    assert able.get("/users?$top=1").status_code == 200


def test_somebody_else_gives_a_number_and_who_is_deleted_loses_it(able: Visitor) -> None:
    free = numbers(able, "assignmentStatus eq 'unassigned'")[0]["telephoneNumber"]
    target = able.inside("GET", "/users/%231")["id"]
    able.tune(lag=30)
    assert able.inside("POST", "/numbers", {"number": free, "user": "#1"})["assignmentTargetId"] == target
    mine = f"telephoneNumber eq '{free}'"
    assert numbers(able, mine)[0]["assignmentTargetId"] is None, "readers see it later"
    able.tune(lag=0)
    assert numbers(able, mine)[0]["assignmentTargetId"] == target
    able.inside("DELETE", "/users/%231")
    assert numbers(able, mine)[0]["assignmentStatus"] == "unassigned"
    assert able.inside("POST", "/numbers", {"number": "+4999", "user": None})["assignmentTargetId"] is None


def test_a_calling_plan_number_wants_a_location(visit: Visit) -> None:
    able = visit(users=60, app={"roles": ABLE}, telephony={"kind": "callingPlan"})
    free = numbers(able, "assignmentStatus eq 'unassigned'")[0]["telephoneNumber"]
    target = next(
        key
        for key, row in users(able).items()
        if "PhoneSystem" in row["featureTypes"] and not row["telephoneNumbers"]
    )
    body = wish(free, target, "callingPlan")
    assert "emergency location" in order(able, "assignNumber", body)["numbers"][0]["statusDetail"]
    assert order(able, "assignNumber", {**body, "locationId": "here"})["status"] == "succeeded"
    assert numbers(able, f"telephoneNumber eq '{free}'")[0]["locationId"] == "here"
