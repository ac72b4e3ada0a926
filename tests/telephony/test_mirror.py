"""Telephony into the mirror: whole, once, and whatever happens on the way."""

from collections.abc import Callable
from typing import Any

import pytest

from directory.scoping import set_filter
from m365 import identity, pacing
from replication import plans
from replication import services as queue
from replication.models import Command, State
from telephony import landing, reading
from telephony.models import PhoneNumber, Stream, TeamsUser
from tenants import scope
from tenants.access import SYSTEM
from tests.directory.pretend import Customer, Worker, code_of
from tests.directory.test_crash import run_with_a_kill
from tests.telephony.helpers import (
    ALL,
    NUMBERS,
    POLICIES,
    USERS,
    assert_in_step,
    mirror,
    pretend,
    read,
    stamps,
    stream,
    there,
)

AddCustomer = Callable[..., Customer]


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    identity.forget_everything()
    monkeypatch.setattr("m365.teams.USERS_A_PAGE", 20)
    monkeypatch.setattr("m365.teams.NUMBERS_A_PAGE", 7)


def look_again(command: Command) -> None:
    with scope.one(command.tenant_id):
        command.refresh_from_db()


def test_everything_is_read_and_the_second_time_writes_nothing(phones: Customer, worker: Worker) -> None:
    first = read(worker, phones)
    assert [one.state for one in first] == [State.SUCCEEDED] * 3
    assert_in_step(phones)
    before, written = mirror(phones), stamps(phones)
    assert all(before[name] for name in ("TeamsUser", "TeamsPolicy", "UserPolicy", "PhoneNumber"))
    again = read(worker, phones)
    assert [one.message.partition(" read; ")[2] for one in again] == ["nothing has changed."] * 3
    assert (mirror(phones), stamps(phones)) == (before, written)
    assert stream(phones, Stream.NUMBERS).rows == len(there(phones))
    assert [row for row in phones.requests() if row[0] != "GET" and "admin" in row[1]] == []


def test_what_changes_at_microsoft_changes_here(phones: Customer, worker: Worker) -> None:
    read(worker, phones)
    state = pretend(phones)
    taken, free = there(phones, "userAssigned")[0], there(phones, "unassigned")[0]
    user = str(taken.target)
    with phones.directory.lock:
        state._take(taken.number, phones.now())
        state.granted[user, "TeamsCallingPolicy"] = "No forwarding"
        state.granted[user, "OnlineVoiceRoutingPolicy"] = None
        del state.numbers[free.number]
    done = read(worker, phones)
    assert done[0].result["changed"] == 1
    assert done[2].result["removed"] == 1
    assert_in_step(phones)
    with scope.one(phones.tenant.id):
        freed = PhoneNumber.objects.get(number=taken.number)
        assert freed.freed_at is not None
        assert PhoneNumber.objects.exclude(freed_at=None).count() == 1
        assert TeamsUser.objects.get(object_id=user).number == ""
    with phones.directory.lock:
        taken.target, taken.status = user, "userAssigned"
        state._by_target.setdefault(user, []).append(taken.number)
    read(worker, phones, NUMBERS)
    with scope.one(phones.tenant.id):
        assert not PhoneNumber.objects.exclude(freed_at=None).exists(), "in use again, it no longer cools"


@pytest.mark.parametrize("at", [1, 3, 5])
def test_killed_anywhere_and_run_again_ends_the_same(
    phones: Customer, worker: Worker, dies: Callable[[int], None], short_slices: None, at: int
) -> None:
    read(worker, phones)
    with phones.directory.lock:
        for one in there(phones, "unassigned")[:3]:
            del pretend(phones).numbers[one.number]
        for one in there(phones, "userAssigned")[:3]:
            pretend(phones)._take(one.number, phones.now())
    killed = [run_with_a_kill(phones, worker, dies, kind, at) for kind in ALL]
    assert any(killed)
    assert_in_step(phones)


def test_a_forgotten_page_link_begins_anew(phones: Customer, worker: Worker, short_slices: None) -> None:
    command = worker.queue(phones, NUMBERS)
    worker.step()
    phones.trouble("error", status=400, path="numberAssignments", count=1)
    done = worker.finish(command)
    assert done.state == State.SUCCEEDED
    assert len(mirror(phones)["PhoneNumber"]) == len(there(phones))


def test_throttled_is_patience(phones: Customer, worker: Worker) -> None:
    phones.trouble("throttle", path="numberAssignments", retry_after="90", count=1)
    command = worker.queue(phones, NUMBERS)
    assert worker.step() == State.QUEUED
    look_again(command)
    assert (command.reason, command.attempts) == ("throttled", 0)
    pacing._pacers.clear()  # the test turns the clock
    worker.wait_is_over(command)
    assert worker.finish(command).state == State.SUCCEEDED


def test_a_malformed_reply_changes_nothing(phones: Customer, worker: Worker) -> None:
    read(worker, phones)
    before = mirror(phones)
    phones.trouble("truncated", path="numberAssignments")
    command = worker.queue(phones, NUMBERS)
    worker.step()
    look_again(command)
    assert code_of(command) == "bad_reply"
    assert mirror(phones)["PhoneNumber"] == before["PhoneNumber"]
    assert (stream(phones, Stream.NUMBERS).error or {})["code"] == "bad_reply"


def test_without_the_permission_it_is_told_and_nothing_is_held_up(
    add_customer: AddCustomer, worker: Worker
) -> None:
    customer = add_customer(app={"roles": ["User.Read.All", "TeamsUserConfiguration.Read.All"]})
    command = worker.run(customer, NUMBERS)
    assert (command.state, command.outcome) == (State.SUCCEEDED, "partial")
    assert "TeamsTelephoneNumber.Read.All" in command.message
    error = stream(customer, Stream.NUMBERS).error or {}
    assert (error["code"], error["who"]) == ("permission_missing", "customer_admin")
    assert worker.run(customer, USERS).outcome == "complete", "the lane is not held"


def test_many_that_vanish_wait_for_a_person(phones: Customer, worker: Worker, settings: Any) -> None:
    settings.REMOVAL_FLOOR = 3
    read(worker, phones)
    before = mirror(phones)["PhoneNumber"]
    with phones.directory.lock:
        for one in there(phones):
            del pretend(phones).numbers[one.number]
        pretend(phones)._by_target.clear()
    command = worker.run(phones, NUMBERS)
    assert (command.state, code_of(command)) == (State.SUSPENDED, "plan_needs_approval")
    assert mirror(phones)["PhoneNumber"] == before
    with scope.one(phones.tenant.id):
        plan = plans.of_command(command.id).get()
        assert (plan.removals, plan.figures[0]["label"]) == (len(before), "Numbers")
        queue.approve(SYSTEM, command, plan.id)
    assert worker.finish(command).state == State.SUCCEEDED
    assert mirror(phones)["PhoneNumber"] == []


def test_the_filter_leaves_out_and_says_how_many(phones: Customer, worker: Worker) -> None:
    worker.run(phones, "sync")
    read(worker, phones)
    everybody = mirror(phones)["TeamsUser"]
    with scope.one(phones.tenant.id):
        set_filter(SYSTEM, phones.tenant, "UserPrincipalName -like 'a*'")
    done = worker.run(phones, USERS)
    kept = mirror(phones)["TeamsUser"]
    assert {row["user_principal_name"][0] for row in kept} == {"a"}
    assert stream(phones, Stream.USERS).left_out == len(everybody) - len(kept)
    assert "leaves" in done.message
    read(worker, phones, POLICIES)
    mine = {row["object_id"] for row in kept}
    assert {row["user_id"] for row in mirror(phones)["UserPolicy"]} <= mine


def test_two_customers_have_the_same_number(add_customer: AddCustomer, worker: Worker) -> None:
    """Each keeps its own row; neither reading touches the other's."""
    one, two = (add_customer(name, users=60, telephony={"head": "+4930555"}) for name in ("One", "Two"))
    read(worker, one)
    before = mirror(one)
    read(worker, two)
    assert mirror(one) == before
    assert_in_step(two)


def test_where_a_number_lies() -> None:
    assert landing.place_of("+41589061000") == 415890610000000
    assert landing.place_of("+1206555000;ext=1234") == 120655500000000
    assert reading.WHAT[Stream.USERS].feature == "teams_users"


@pytest.mark.parametrize("kind", ALL)
def test_a_reading_that_waited_removes_nothing_that_another_found(
    phones: Customer, worker: Worker, short_slices: None, settings: Any, kind: str
) -> None:
    """While it waits for Microsoft another command may read the same, and leave no notes behind."""
    settings.REMOVAL_FLOOR = 1_000  # nobody would be asked
    read(worker, phones)
    before = mirror(phones)
    waiting = worker.queue(phones, kind)
    worker.step()
    phones.trouble("error", status=503, retry_after="600")
    while waiting.reason in {"", "slice"}:
        worker.step()
        look_again(waiting)
    phones.heal()
    assert waiting.reason == "backing_off", waiting.error
    worker.run(phones, kind)
    worker.wait_is_over(waiting)
    worker.finish(waiting)
    assert waiting.state == State.SUCCEEDED
    assert waiting.result["removed"] == 0
    assert mirror(phones) == before
