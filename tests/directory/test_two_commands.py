"""Two commands that read the same customer: while one waits for Microsoft, the other has its turn."""

from collections.abc import Callable

import pytest
from django.db.models import Q

from directory.models import DirectoryUser, GroupMember
from replication import states
from replication.models import Command, State
from tenants import scope
from tests.directory.pretend import FULL, QUICK, Customer, Worker, assert_in_step, rows

AddCustomer = Callable[..., Customer]
SPEC = {"users": 40, "groups": 5, "settings": {"delta_page_size": 5}}

pytestmark = pytest.mark.usefixtures("short_slices")


@pytest.fixture(autouse=True)
def _small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("directory.sync.jobs.PAGE_SIZE", 3)


def meets_trouble(customer: Customer, worker: Worker, kind: str, after: int, **options: object) -> Command:
    """A command that waits for Microsoft, in the midst of its work: after so many slices."""
    command = worker.queue(customer, kind, **options)
    for _ in range(after):
        assert worker.step() == State.QUEUED
    customer.trouble("error", status=503, retry_after="600")
    while look(command).reason == "slice":
        worker.step()
    customer.heal()
    assert (command.state, command.reason) == (State.QUEUED, "backing_off"), command.message
    return command


def look(command: Command) -> Command:
    with scope.every("a test looks at its command"):
        command.refresh_from_db()
    return command


def goes_on(worker: Worker, command: Command) -> Command:
    with scope.every("a test turns the clock"):
        states.make_due(Q(id=command.id))
    worker.finish(command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    return command


@pytest.mark.parametrize("other", [FULL, QUICK])
@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_full_read_that_waited_removes_nobody_whom_another_found(
    add_customer: AddCustomer, worker: Worker, after: int, other: str
) -> None:
    customer = add_customer(**SPEC)
    worker.run(customer)
    users = rows(DirectoryUser, customer)
    waiting = meets_trouble(customer, worker, FULL, after)
    customer.create("users", displayName="New Here", userPrincipalName="new@contoso.example")
    customer.join(0, 39)
    worker.run(customer, other)
    found = rows(DirectoryUser, customer), rows(GroupMember, customer)
    assert len(found[0]) == len(users) + 1
    result = goes_on(worker, waiting).result
    assert (rows(DirectoryUser, customer), rows(GroupMember, customer)) == found
    assert [result[name]["removed"] for name in ("users", "groups", "members")] == [0, 0, 0]
    assert_in_step(customer)


@pytest.mark.parametrize("after", [2, 4, 6])
def test_a_first_sync_that_waited_misses_no_membership(
    add_customer: AddCustomer, worker: Worker, after: int
) -> None:
    customer = add_customer(**SPEC)
    waiting = meets_trouble(customer, worker, QUICK, after)
    second = worker.queue(customer)
    worker.step()
    worker.step()
    goes_on(worker, waiting)  # the older one first; the newer one is in the midst of its own
    assert_in_lists(customer)
    worker.finish(second)
    assert second.state == State.SUCCEEDED
    assert_in_step(customer)


def assert_in_lists(customer: Customer) -> None:
    members = {(str(row["group_id"]), str(row["member_id"])) for row in rows(GroupMember, customer)}
    assert members == customer.memberships()
    assert {str(row["object_id"]) for row in rows(DirectoryUser, customer)} == customer.ids("users")


def test_it_says_why_it_begins_anew(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(**SPEC)
    worker.run(customer)
    waiting = meets_trouble(customer, worker, FULL, 4)
    worker.run(customer, FULL)
    goes_on(worker, waiting)
    with scope.one(customer.tenant.id):
        told = list(waiting.steps.values_list("text", flat=True))
    assert any("so this one begins anew" in text for text in told), told


def test_a_dry_run_between_does_no_harm(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(**SPEC)
    worker.run(customer)
    waiting = meets_trouble(customer, worker, FULL, 4)
    worker.run(customer, FULL, dry_run=True)
    result = goes_on(worker, waiting).result
    assert result["users"]["removed"] == 0
    assert_in_step(customer)
