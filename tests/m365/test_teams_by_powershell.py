"""Telephony by PowerShell: the calls as they cross and as text, and what rows and refusals come to."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.errors import OutcomeUnknown, UmpError
from m365 import teams
from m365.powershell import faults, script
from m365.powershell import telephony as cmdlets
from m365.powershell.calls import Call
from m365.teams_by_powershell import TeamsByPowerShell
from tests.m365 import powershell_reader as reader

ANNA, BEN, GROUP = (f"{number}1111111-2222-4333-8444-555555555555" for number in (1, 2, 3))
NAME = "It's \u2019 $(Get-Date)"
USER: dict[str, Any] = {
    "Identity": ANNA.upper(), "UserPrincipalName": "anna@contoso.us", "AccountType": "User",
    "EnterpriseVoiceEnabled": True, "FeatureTypes": ["Teams", "PhoneSystem"], "LineUri": "tel:+12065550100;ext=17",
    "SoftDeletionTimestamp": None, "WhenCreated": "2026-01-01T00:00:00.0000000Z", "WhenChanged": None,
    "TeamsCallingPolicy": {"Name": "AllowCalling", "Authority": "Host"}, "TeamsMeetingPolicy": "Tag:AllOn",
    "TenantDialPlan": None, "OnlineVoiceRoutingPolicy": "Global",
}  # fmt: skip
NUMBER: dict[str, Any] = {
    "TelephoneNumber": "+12065550100;ext=17", "NumberType": "DirectRouting", "PstnAssignmentStatus": "UserAssigned",
    "ActivationState": "Activated", "AssignedPstnTargetId": ANNA, "AssignmentCategory": "Primary",
    "OperatorId": GROUP, "IsoCountryCode": "US", "City": None, "PortInOrderStatus": None, "NumberSource": "Online",
    "LocationId": "00000000-0000-0000-0000-000000000000", "Capability": ["UserAssignment"],
}  # fmt: skip


class Said:
    """A session that answers by cmdlet; an error is raised."""

    def __init__(self, **answers: Any) -> None:
        self.answers = {name.replace("_", "-"): answer for name, answer in answers.items()}
        self.opened = 0
        self.over = False

    @contextlib.contextmanager
    def session(self) -> Iterator[Said]:
        self.opened += 1
        yield self

    def run(self, call: Call, thing: str = "") -> list[dict[str, Any]]:
        answer = self.answers.get(call.cmdlet, [])
        if isinstance(answer, UmpError):
            raise answer
        return [dict(row) for row in answer]

    def parts(self, call: Call, thing: str = "") -> Iterator[list[dict[str, Any]]]:
        yield self.run(call, thing)


def line(said: Said, *, before_write: Callable[[], None] | None = lambda: None) -> TeamsByPowerShell:
    return TeamsByPowerShell(
        said.session, cloud_name="GCC High", before_write=before_write, names={"tenant": "Contoso"}
    )


@pytest.mark.parametrize(
    "call",
    [
        cmdlets.assign_number(ANNA, "+12065550100;ext=17", "DirectRouting", GROUP),
        cmdlets.unassign_number(ANNA, NAME, "CallingPlan"),
        *(cmdlets.grant(ANNA, kind, NAME) for kind in cmdlets.POLICY_KINDS),
        cmdlets.grant(ANNA, "TenantDialPlan", ""),
    ],
)
def test_what_is_written_reads_back_as_the_same_call(call: Call) -> None:
    root = reader.parse("\n".join(script.lines(call)) + "\n")
    told = call.as_json()
    assert reader.writes(root) == [{"cmdlet": told["cmdlet"], "parameters": told["parameters"]}]
    assert reader.commands(root) == {call.cmdlet}
    assert call.writes


def test_a_type_that_is_none_is_never_a_cmdlet() -> None:
    with pytest.raises(ValueError, match="no type of policy"):
        cmdlets.grant(ANNA, "AsyncOperation", "x")
    with pytest.raises(UmpError) as raised:
        line(Said()).give_policy(ANNA, "AsyncOperation", "x", thing="Anna")
    assert raised.value.code == "policy_refused"


def test_rows_are_the_records_that_graph_gives() -> None:
    gone = [
        {**USER, "AccountType": "IneligibleUser"},
        {**USER, "SoftDeletionTimestamp": "2026-01-01T00:00:00Z"},
    ]
    groups = [{"PolicyType": "TeamsMeetingPolicy", "PolicyName": "allon", "GroupId": GROUP}]
    said = Said(
        Get_CsOnlineUser=[USER, *gone],
        Get_CsGroupPolicyAssignment=groups,
        Get_CsPhoneNumberAssignment=[NUMBER, {**NUMBER, "AssignedPstnTargetId": "Shared|Tag:SC1"}],
    )
    ((user,),) = (page.rows for page in line(said).users())
    assert user == teams.TeamsUser(
        ANNA, "anna@contoso.us", "user", True, ("PhoneSystem", "Teams"), (("+12065550100;ext=17", "primary"),),
        "2026-01-01T00:00:00Z", "",
    )  # fmt: skip
    ((held,),) = (page.rows for page in line(said).policies())
    assert held == teams.Policies(
        ANNA,
        (
            teams.Held("TeamsCallingPolicy", "AllowCalling", "AllowCalling", "direct", ""),
            teams.Held("TeamsMeetingPolicy", "AllOn", "AllOn", "group", GROUP),
        ),
    )
    ((number, shared),) = (page.rows for page in line(said).numbers())
    assert (number.kind, number.status, number.target_id, number.category, number.location_id) == (
        "directRouting", "userAssigned", ANNA, "primary", "",
    )  # fmt: skip
    assert (number.capabilities, shared.target_id) == (("userAssignment",), "")


def test_what_a_user_has_is_read_one_by_one() -> None:
    sources = [{"AssignmentType": "Direct", "PolicyName": "AllowCalling", "Reference": None}]
    inherited = [{"AssignmentType": "Group", "PolicyName": "AllOn", "Reference": GROUP}]
    said = Said(
        Get_CsOnlineUser=[USER],
        Get_CsPhoneNumberAssignment=[NUMBER],
        Get_CsUserPolicyAssignment=[
            {"PolicyType": "TeamsCallingPolicy", "PolicyName": "AllowCalling", "PolicySource": sources},
            {"PolicyType": "TeamsMeetingPolicy", "PolicyName": "AllOn", "PolicySource": inherited},
        ],
    )
    assert line(said).primary_numbers([ANNA, BEN]) == {ANNA: ("+12065550100;ext=17", "directRouting")}
    assert line(said).own_policies([ANNA]) == {ANNA: {"TeamsCallingPolicy": "AllowCalling"}}
    said.answers = dict.fromkeys(said.answers, UmpError.of("remote_not_found", thing="Anna"))
    assert (line(said).primary_numbers([ANNA]), line(said).own_policies([ANNA])) == ({}, {})


@pytest.mark.parametrize(
    ("cmdlet", "fault", "code"),
    [
        ("Set-CsPhoneNumberAssignment", "Number '+1' has already been assigned to another user", "number_in_use"),
        ("Set-CsPhoneNumberAssignment", "User is not licensed for Phone System", "teams_phone_missing"),
        ("Set-CsPhoneNumberAssignment", "Number +1 not found in the tenant", "number_unknown"),
        ("Set-CsPhoneNumberAssignment", "User x was not found", "remote_not_found"),
        ("Set-CsPhoneNumberAssignment", "Nobody has seen this", "teams_refused"),
        ("Set-CsPhoneNumberAssignment", "Too many requests", "throttled"),
        ("Grant-CsTenantDialPlan", "Policy x is not a user policy", "policy_unknown"),
        ("Grant-CsTenantDialPlan", "Nobody has seen this", "policy_refused"),
        ("Grant-CsTenantDialPlan", "Access denied", "role_missing"),
    ],
)  # fmt: skip
def test_each_refusal_has_the_sentence_that_graphs_has(cmdlet: str, fault: str, code: str) -> None:
    error = faults.of_call(
        {"id": "BadRequest,M", "message": fault}, writes=True, thing="Anna", tenant="Contoso"
    )
    far = line(Said(**{cmdlet.replace("-", "_"): error}))
    with pytest.raises(UmpError) as raised:
        if cmdlet.startswith("Grant"):
            far.give_policy(ANNA, "TenantDialPlan", "Branches", thing="Anna")
        else:
            far.assign_number(ANNA, "+1", "directRouting", thing="Anna")
    assert raised.value.code == code
    assert raised.value.detail["microsoft_says"] == fault


def test_a_session_is_opened_when_it_is_needed_and_anew_after_one_that_ended() -> None:
    said = Said(Set_CsPhoneNumberAssignment=UmpError.of("outcome_unknown", thing="Anna"))
    far = line(said)
    assert said.opened == 0
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            far.assign_number(ANNA, "+1", "directRouting")
    assert said.opened == 2
    assert line(said).own_policies([]) == {}
    with pytest.raises(UmpError) as raised:
        line(said, before_write=None).unassign_number(ANNA, "+1", "directRouting")
    assert raised.value.code == "dry_run_write_refused"
