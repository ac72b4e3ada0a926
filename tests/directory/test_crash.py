"""Killed anywhere, then run again: the same as if nothing had happened."""

from collections.abc import Callable

import pytest

from directory.models import DirectoryUser
from replication.models import State
from tests.directory.pretend import (
    FULL,
    QUICK,
    Customer,
    Killed,
    Worker,
    assert_in_step,
    code_of,
    mirror,
    rows,
    stream,
)

AddCustomer = Callable[..., Customer]
SPEC = {"users": 1100, "groups": 3, "settings": {"delta_page_size": 5, "delta_member_slice": 7}}
"""Two pages of users, a group of two pages of members, a delta of many pages."""


def run_with_a_kill(
    customer: Customer, worker: Worker, dies: Callable[[int], None], kind: str, at: int
) -> bool:
    """Whether the command was killed at its `at`-th checkpoint; it is carried to its end either way."""
    command = worker.queue(customer, kind)
    dies(at)
    killed = False
    try:
        worker.finish(command)
    except Killed:
        killed = True
        dies(0)
        worker.take_back()
        worker.finish(command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    return killed


@pytest.mark.parametrize("at", range(1, 16))
def test_a_first_sync_killed_at_any_checkpoint(
    add_customer: AddCustomer, worker: Worker, dies: Callable[[int], None], short_slices: None, at: int
) -> None:
    customer = add_customer(**SPEC)
    run_with_a_kill(customer, worker, dies, QUICK, at)
    assert_in_step(customer)
    assert stream(customer, "users").rows == 1100
    assert stream(customer, "groups").links == len(customer.memberships())


@pytest.mark.parametrize("at", range(1, 16, 2))
def test_a_full_read_over_an_old_copy_killed_at_any_checkpoint(
    add_customer: AddCustomer, worker: Worker, dies: Callable[[int], None], short_slices: None, at: int
) -> None:
    customer = add_customer(**SPEC)
    worker.run(customer)
    customer.leave(0, *range(30))
    for index in range(20):
        customer.remove("users", index)
    customer.remove("groups", 2)
    customer.expire_links()
    run_with_a_kill(customer, worker, dies, QUICK, at)
    assert_in_step(customer)


@pytest.mark.parametrize("at", range(1, 14, 2))
def test_a_delta_killed_at_any_checkpoint(
    add_customer: AddCustomer, worker: Worker, dies: Callable[[int], None], at: int
) -> None:
    customer = add_customer(**SPEC)
    worker.run(customer)
    for index in range(12):
        customer.change("users", index, city="Ulm")
        customer.leave(0, index)
    customer.remove("users", 5)
    customer.remove("groups", 2)
    run_with_a_kill(customer, worker, dies, QUICK, at)
    assert_in_step(customer)
    assert stream(customer, "groups").links == len(customer.memberships())


def test_a_new_command_does_not_trust_the_notes_of_one_that_was_given_up(
    add_customer: AddCustomer, worker: Worker, dies: Callable[[int], None], short_slices: None
) -> None:
    customer = add_customer(**SPEC)
    worker.run(customer)
    command = worker.queue(customer, FULL)
    dies(6)
    with pytest.raises(Killed):
        worker.finish(command)
    dies(0)
    worker.take_back()
    worker.cancel(command)
    customer.remove("users", 3)
    worker.run(customer, FULL)
    assert_in_step(customer)


def test_a_first_sync_that_was_given_up_is_not_taken_for_a_whole_one(
    add_customer: AddCustomer, worker: Worker, short_slices: None
) -> None:
    customer = add_customer(**SPEC)
    command = worker.queue(customer)
    while not rows(DirectoryUser, customer):
        worker.step()
    worker.cancel(command)
    customer.remove("users", 1, forever=True)
    customer.pretend.directory.log.clear()
    again = worker.run(customer)
    assert again.result["mode"] == "full"
    assert_in_step(customer)


def test_a_worker_that_lost_its_lease_writes_nothing(customer: Customer, worker: Worker) -> None:
    from core.errors import LeaseLost
    from replication import runner
    from replication.models import Command
    from tenants import scope

    command = worker.queue(customer)
    claimed = worker.claim()
    with scope.every("another worker took over"):
        Command.objects.filter(id=command.id).update(fence=99)
    with pytest.raises(LeaseLost):
        runner._settle(claimed, runner.run_one(claimed))
    assert mirror(customer) == {name: [] for name in mirror(customer)}


@pytest.mark.parametrize("at", range(1, 8))
def test_a_small_customer_is_not_emptied_by_a_second_end(
    customer: Customer, worker: Worker, dies: Callable[[int], None], at: int
) -> None:
    """Below the threshold nobody would be asked. Killed just after the end of the full read, too."""
    worker.run(customer)
    before = mirror(customer)
    run_with_a_kill(customer, worker, dies, FULL, at)
    assert mirror(customer) == before


def test_lost_notes_do_not_empty_the_mirror(
    customer: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker.run(customer)
    before = mirror(customer)
    monkeypatch.setattr("directory.sync.full.FullRead._notes", lambda *_: "")
    command = worker.run(customer, FULL)
    assert (command.state, code_of(command)) == (State.QUEUED, "incomplete_read")
    assert mirror(customer) == before
