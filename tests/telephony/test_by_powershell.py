"""Customers in clouds whose Graph has no telephony: the same mirror, by PowerShell."""

from collections.abc import Callable

import pytest

from replication.models import Command, Lane, State
from telephony import commands, ways
from telephony.models import PhoneNumber, Stream, TeamsStream, TeamsUser
from tenants import scope
from tenants.models import Tenant
from tests.directory.pretend import Customer, Worker
from tests.directory.test_crash import run_with_a_kill
from tests.telephony.cmdlets import GROUP_POLICY, PretendCmdlets, with_powershell
from tests.telephony.helpers import (
    ALL,
    NUMBERS,
    POLICIES,
    USERS,
    mirror,
    pretend,
    read,
    stamps,
    stream,
    there,
)

SPEC = {"users": 60, "cloud": "gcc_high", "telephony": {"head": "+12065550", "digits": 3}}


@pytest.fixture
def phones(add_customer: Callable[..., Customer]) -> Customer:
    return add_customer(**SPEC)


@pytest.fixture
def teams(phones: Customer, monkeypatch: pytest.MonkeyPatch) -> PretendCmdlets:
    monkeypatch.setattr("m365.powershell.telephony.NUMBERS_A_CALL", 9)
    return with_powershell(monkeypatch, phones)


def assert_in_step(customer: Customer) -> None:
    held, state = mirror(customer), pretend(customer)
    assert {
        (row["number"], str(row["target_id"] or ""), row["kind"], row["status"])
        for row in held["PhoneNumber"]
    } == {(one.number, one.target or "", one.kind, one.status) for one in there(customer)}
    with customer.directory.lock:
        shelf = customer.directory.users
        people = [shelf.view(index) for index in shelf.indices(customer.now())]
        wanted = {one["id"]: state.user_row(one, customer.now()) for one in people if state.in_teams(one)}
    found = {str(row["object_id"]): row for row in held["TeamsUser"]}
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        assert found[key]["features"].split() == sorted(row["featureTypes"])
        assert found[key]["number"] == next((one["telephoneNumber"] for one in row["telephoneNumbers"]), "")
        assert found[key]["voice"] is row["isEnterpriseVoiceEnabled"]
    assert {(str(row["user_id"]), row["kind"]) for row in held["UserPolicy"]} == {
        (key, one["policyType"]) for key, row in wanted.items() for one in row["effectivePolicyAssignments"]
    }
    names = {row["object_id"]: (row["kind"], row["name"]) for row in held["TeamsPolicy"]}
    assert {names[row["policy_id"]] == GROUP_POLICY: row["source"] for row in held["UserPolicy"]} == {
        True: "group",
        False: "direct",
    }
    assert held["Seen"] == []


def test_the_mirror_is_the_same_and_the_second_time_writes_nothing(
    phones: Customer, worker: Worker, teams: PretendCmdlets
) -> None:
    first = read(worker, phones)
    assert [one.state for one in first] == [State.SUCCEEDED] * 3, [one.message for one in first]
    assert_in_step(phones)
    before, written = mirror(phones), stamps(phones)
    again = read(worker, phones)
    assert [one.message.partition(" read; ")[2] for one in again] == ["nothing has changed."] * 3
    assert (mirror(phones), stamps(phones)) == (before, written)
    with scope.one(phones.tenant.id):
        lanes = {Lane.objects.get(id=one.lane_id).name for one in first}
    assert (lanes, teams.sessions, teams.writes) == ({"powershell"}, 6, [])
    assert [row for row in phones.requests() if "admin" in row[1]] == []


@pytest.mark.parametrize("kind", ALL)
def test_killed_on_the_way_it_ends_the_same(
    phones: Customer, worker: Worker, teams: PretendCmdlets, dies: Callable[[int], None], kind: str
) -> None:
    if kind == POLICIES:
        read(worker, phones, USERS)
    assert run_with_a_kill(phones, worker, dies, kind, 3)
    with scope.one(phones.tenant.id):
        done = Command.objects.filter(kind=kind).latest("id")
        rows = PhoneNumber.objects.count() if kind == NUMBERS else TeamsUser.objects.count()
    assert done.result["read"] == rows
    read(worker, phones)
    assert_in_step(phones)


def test_the_clock_asks_where_powershell_is_and_not_elsewhere(
    phones: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scope.one(phones.tenant.id):
        Tenant.objects.filter(id=phones.tenant.id).update(last_replicated_at="2026-01-01T00:00Z")
        barrier = ways.barrier(ways.cloud_of(phones.tenant))
    assert barrier is not None
    assert "Whoever runs the portal gives a worker PowerShell" in barrier.advice
    assert commands.schedule() == 0
    with_powershell(monkeypatch, phones)
    assert commands.schedule() == 3
    with scope.one(phones.tenant.id):
        assert ways.barrier(ways.cloud_of(phones.tenant)) is None


@pytest.mark.parametrize(
    ("fault", "code"),
    [(("Forbidden", "Access denied."), "role_missing"), (("Unauthorized", "No."), "teams_session_refused")],
)
def test_what_keeps_it_out_is_told_and_holds_nothing_up(
    phones: Customer, worker: Worker, teams: PretendCmdlets, fault: tuple[str, str], code: str
) -> None:
    teams.refuses["Get-CsOnlineUser"] = fault
    (done,) = read(worker, phones, USERS)
    assert (done.state, done.outcome) == (State.SUCCEEDED, "partial")
    assert stream(phones, Stream.USERS).error["code"] == code


def test_a_worker_without_it_says_so(phones: Customer, worker: Worker) -> None:
    (done,) = read(worker, phones, NUMBERS)
    assert (done.outcome, stream(phones, Stream.NUMBERS).error["code"]) == (
        "partial",
        "teams_needs_powershell",
    )
    with scope.one(phones.tenant.id):
        assert not PhoneNumber.objects.exists()
        assert TeamsStream.objects.get(stream=Stream.NUMBERS).synced_at is None
