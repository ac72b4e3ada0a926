"""/tenants/{id}/numbers, teams-users, policies, and /numbers."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telephony.landing import place_of
from tenants.abilities import Role
from tests.api.conftest import Api, ApiMaker
from tests.cast import Cast
from tests.telephony.making import add_number, add_person, add_policy, add_rule, add_sbc


@pytest.fixture
def filled(cast: Cast) -> str:
    """Contoso: Ann with a number on the SBC, a free one; Fabrikam has the same free one."""
    low = place_of("+41589061000")
    add_rule(add_sbc(), str(cast.contoso.entra_tenant_id), (low, low + 10**4))
    ann = add_person(cast.contoso, "Ann Adler", "+41589061000")
    add_policy(cast.contoso, "OnlineVoiceRoutingPolicy", "Domestic", ann, source="group")
    add_person(cast.contoso, "Bea Bell", features="Teams")
    add_number(cast.contoso, "+41589061000", ann)
    add_number(cast.contoso, "+41589061001")
    add_number(cast.fabrikam, "+41589061001")
    return f"tenants/{cast.contoso.id}"


def rows(api: Api, path: str) -> list[dict[str, Any]]:
    answer = api.get(path)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json["results"]
    return found


def test_numbers_of_a_customer(api: Api, filled: str) -> None:
    one, two = rows(api, f"{filled}/numbers")
    assert (one["number"], one["state"], one["type"], one["on_sbc"]) == (
        "+41589061000",
        "assigned",
        "directRouting",
        True,
    )
    assert one["assigned_to"]["display_name"] == "Ann Adler"
    assert (two["state"], two["assigned_to"], two["on_sbc"]) == ("free", None, False)
    assert [row["number"] for row in rows(api, f"{filled}/numbers?state=free")] == ["+41589061001"]
    assert [row["number"] for row in rows(api, f"{filled}/numbers?search=adler")] == ["+41589061000"]
    assert api.get(f"{filled}/numbers?state=lost").status == 422


def test_users_with_their_policies(api: Api, filled: str) -> None:
    ann, bea = rows(api, f"{filled}/teams-users")
    assert (ann["number"], ann["teams_phone"], bea["teams_phone"]) == ("+41589061000", True, False)
    assert ann["policies"] == [
        {"type": "OnlineVoiceRoutingPolicy", "name": "Domestic", "assignment": "group", "group_id": None}
    ]
    assert api.get(f"{filled}/teams-users/{ann['object_id']}").json == ann
    (policy,) = rows(api, f"{filled}/policies")
    assert (policy["name"], policy["users"]) == ("Domestic", 1)


def test_whose_number_is_it(api: Api, api_of: ApiMaker, filled: str, cast: Cast) -> None:
    found = rows(api, "numbers?number=%2B41589061001&limit=10")
    assert {row["tenant"] for row in found} == {str(cast.contoso.id), str(cast.fabrikam.id)}
    own = api_of(Role.CUSTOMER_MONITOR, cast.contoso)
    assert {row["tenant"] for row in rows(own, "numbers")} == {str(cast.contoso.id)}
    assert own.get(f"tenants/{cast.fabrikam.id}/numbers").status == 404


@pytest.mark.parametrize("path", ["numbers", "teams-users", "policies"])
def test_as_many_queries_with_one_row_as_with_three(api: Api, filled: str, cast: Cast, path: str) -> None:

    def queries(limit: int) -> int:
        with CaptureQueriesContext(connection) as seen:
            rows(api, f"{filled}/{path}?limit={limit}")
        return len(seen)

    queries(1)
    one = queries(1)
    for number in ("+41589061002", "+41589061003"):
        user = add_person(cast.contoso, f"Cora {number[-1]}", number)
        add_number(cast.contoso, number, user)
        add_policy(cast.contoso, "TeamsCallingPolicy", number, user)
    assert queries(10) == one


def test_ranges_by_program(api: Api, api_of: ApiMaker, filled: str, cast: Cast) -> None:
    path = f"{filled}/number-ranges"
    given = {"name": "Zurich", "type": "directRouting", "first": "+415890610[00-09]"}
    added = api.post(path, given)
    assert (added.status, added.json["last"], added.json["figures"]["assigned"]) == (201, "+41589061009", 1)
    assert added.json["figures"]["free"] == 9
    one = f"{path}/{added.json['id']}"
    assert rows(api, path) == [api.get(one).json]
    assert api.get(f"{one}/free?count=3").json == {
        "numbers": ["+41589061002", "+41589061003", "+41589061004"]
    }
    assert api.get(f"{one}/free?count=0").status == 422
    changed = api.patch(one, {"last": "+41589061001"}, If_Match='"v1"')
    assert (changed.status, changed.json["numbers"], changed.json["row_version"]) == (200, 2, 2)
    assert api.patch(one, {"name": "Late"}, If_Match='"v1"').status == 412
    twin = api_of(Role.OPERATOR, cast.fabrikam).post(f"tenants/{cast.fabrikam.id}/number-ranges", given)
    assert (twin.status, twin.code) == (409, "number_range_taken")
    assert "another customer has numbers of it" in twin.text
    assert "Zurich" not in twin.text
    assert api_of(Role.CUSTOMER_ADMIN, cast.contoso).post(path, given).status == 403
    assert api.delete(one).status == 204


def test_holds_by_program(api_of: ApiMaker, filled: str, cast: Cast) -> None:
    api, path = api_of(Role.CUSTOMER_ADMIN, cast.contoso), f"{filled}/number-holds"
    wish = {
        "state": "reserved",
        "numbers": ["+41589061001"],
        "holder": "Bea",
        "until": "2099-01-01T00:00:00Z",
    }
    assert api.post(path, wish).json == {"held": ["+41589061001"], "numbers": 1}
    twice = api.post(path, wish)
    assert (twice.status, twice.code) == (409, "number_held")
    (number,) = rows(api, f"{filled}/numbers?state=reserved")
    assert (number["hold"]["holder"], number["hold"]["state"]) == ("Bea", "reserved")
    for change, field in (
        ({"state": "blocked", "holder": "Bea", "until": None, "note": "x"}, "holder"),
        ({"holder": ""}, "holder"),
        ({"numbers": ["+4158906"], "until": "2001-01-01T00:00:00Z"}, "until"),
        ({"numbers": ["41589061001"]}, "numbers"),
    ):
        answer = api.post(path, {**wish, **change})
        assert (answer.status, answer.fields) == (422, {field}), answer.text
    unsaid = api.post(path, {"state": "blocked", "numbers": wish["numbers"]})
    assert (unsaid.status, unsaid.fields) == (422, {"note"})
    (hold,) = rows(api, path)
    assert api.post(f"{path}/release", {"numbers": ["+41589061[000-999]"]}).json == {"numbers": 1}
    assert api.delete(f"{path}/{hold['id']}").status == 404
    assert api_of(Role.CUSTOMER_MONITOR, cast.contoso).post(path, wish).status == 403
