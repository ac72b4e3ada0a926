"""The line to telephony: what it makes of Microsoft's words, and what it refuses to believe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import responses
from responses.matchers import query_param_matcher

from core.errors import UmpError
from m365 import teams
from m365.clouds import CLOUDS
from tests.m365.desk import ROOT, desk

ID = "11111111-0000-4000-8000-000000000001"
USERS, NUMBERS = f"{ROOT}{teams.USERS}", f"{ROOT}{teams.NUMBERS}"


def number(**about: Any) -> dict[str, Any]:
    return {"id": "b3A=", "telephoneNumber": "+41589061000", "numberType": "directRouting", **about}


def user(**about: Any) -> dict[str, Any]:
    return {"id": ID, "userPrincipalName": "anna@contoso.example", "accountType": "user", **about}


def policy(**about: Any) -> dict[str, Any]:
    given = {"displayName": "Tag:Domestic", "assignmentType": "direct", "policyId": "p1", "groupId": None}
    return {"policyType": "OnlineVoiceRoutingPolicy", "policyAssignment": {**given, **about}}


def read(look: Callable[..., Any]) -> list[Any]:
    return [row for page in look(desk().client) for row in page.rows]


def test_what_microsoft_says_in_our_words(wire: responses.RequestsMock) -> None:
    held = [
        {"telephoneNumber": "tel:+41589061001", "assignmentCategory": "private"},
        {"telephoneNumber": "41589061000", "assignmentCategory": "primary"},
    ]
    wire.get(USERS, json={"value": [user(telephoneNumbers=held, featureTypes=["Teams", "PhoneSystem"])]})
    (one,) = read(teams.users)
    assert one.numbers == (("+41589061000", "primary"), ("+41589061001", "private"))
    assert (one.features, one.voice) == (("PhoneSystem", "Teams"), False)
    wire.get(USERS, json={"value": [user(effectivePolicyAssignments=[policy(groupId=ID)])]})
    (mine,) = read(teams.policies)
    assert mine.held == (teams.Held("OnlineVoiceRoutingPolicy", "Domestic", "p1", "direct", ID),)
    wire.get(NUMBERS, json={"value": [number(assignmentTargetId=ID.upper())]})
    (found,) = read(teams.numbers)
    assert (found.target_id, found.status, found.capabilities) == (ID, "", ())


def test_a_full_page_without_a_link_is_followed_by_skip(
    wire: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teams, "NUMBERS_A_PAGE", 2)
    for skip, count in ((None, 2), ("2", 2), ("4", 1)):
        asked = {"$top": "2"} | ({"$skip": skip} if skip else {})
        wire.get(NUMBERS, json={"value": [number()] * count}, match=[query_param_matcher(asked)])
    assert len(read(teams.numbers)) == 5
    monkeypatch.setattr(teams, "MOST_NUMBERS", 6)
    wire.remove("GET", NUMBERS)
    wire.get(NUMBERS, json={"value": [number()] * 2})
    with pytest.raises(UmpError) as endless:
        read(teams.numbers)
    assert endless.value.code == "endless_pages"


@pytest.mark.parametrize(
    ("look", "row"),
    [
        (teams.users, user(id="7")),
        (teams.users, user(telephoneNumbers="none")),
        (teams.users, user(telephoneNumbers=[{"telephoneNumber": "call me"}])),
        (teams.users, user(featureTypes=[1])),
        (teams.users, user(createdDateTime="yesterday")),
        (teams.policies, user(effectivePolicyAssignments=[{"policyType": "X", "policyAssignment": None}])),
        (teams.policies, user(effectivePolicyAssignments=[policy(policyId="")])),
        (teams.policies, user(effectivePolicyAssignments=[policy(groupId="everybody")])),
        (teams.numbers, number(telephoneNumber=None)),
        (teams.numbers, number(assignmentTargetId="anna")),
        (teams.numbers, number(numberType=3)),
    ],
)
def test_what_is_not_what_was_promised_is_not_believed(
    wire: responses.RequestsMock, look: Callable[..., Any], row: dict[str, Any]
) -> None:
    wire.get(USERS if look is not teams.numbers else NUMBERS, json={"value": [row]})
    with pytest.raises(UmpError) as refused:
        read(look)
    assert refused.value.code == "bad_reply"


@pytest.mark.parametrize("cloud", CLOUDS)
def test_only_the_worldwide_cloud_has_it(cloud: str) -> None:
    assert teams.in_cloud(cloud) == (cloud == "global")
    if cloud == "global":
        teams.require(CLOUDS[cloud], "numbers")
        return
    with pytest.raises(UmpError) as refused:
        teams.require(CLOUDS[cloud], "numbers")
    assert refused.value.code == "teams_needs_powershell"
    assert CLOUDS[cloud].name in refused.value.message
