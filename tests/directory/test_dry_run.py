"""A dry run says what would change and changes nothing, here or at Microsoft."""

from collections.abc import Callable

from directory.models import SyncStream
from replication.models import State
from tenants import scope
from tenants.models import Tenant
from tests.directory.pretend import FULL, QUICK, Customer, Worker, assert_in_step, mirror, rows

AddCustomer = Callable[..., Customer]


def replicated_at(customer: Customer) -> object:
    with scope.one(customer.tenant.id):
        return Tenant.objects.get(id=customer.tenant.id).last_replicated_at


def test_a_first_one_only_counts(customer: Customer, worker: Worker) -> None:
    command = worker.run(customer, QUICK, dry_run=True)
    assert command.state == State.SUCCEEDED
    assert command.message == (
        "30 users, 4 groups and 120 memberships read; 154 would be added, 0 would be changed,"
        " 0 would be removed. Nothing was written."
    )
    assert mirror(customer) == {name: [] for name in mirror(customer)}
    assert rows(SyncStream, customer) == []
    assert replicated_at(customer) is None


def test_a_full_one_compares(add_customer: AddCustomer, worker: Worker, short_slices: None) -> None:
    customer = add_customer(users=1100, groups=1, memberships_per_user=1)
    worker.run(customer)
    before, streams, at = mirror(customer), rows(SyncStream, customer), replicated_at(customer)
    customer.change("users", 3, city="Ulm")
    customer.remove("users", 4)
    customer.leave(0, 7, 8)
    customer.create("users", displayName="New", userPrincipalName="new@contoso.example")
    command = worker.run(customer, FULL, dry_run=True)
    assert command.result["users"] == {"read": 1100, "added": 1, "changed": 1, "removed": 1}
    assert command.result["members"]["removed"] == 3
    assert mirror(customer) == before
    assert rows(SyncStream, customer) == streams
    assert replicated_at(customer) == at
    worker.run(customer)
    assert_in_step(customer)


def test_a_quick_one_leaves_the_link_where_it_was(customer: Customer, worker: Worker) -> None:
    worker.run(customer)
    before, streams = mirror(customer), rows(SyncStream, customer)
    customer.change("users", 3, city="Ulm")
    customer.remove("groups", 1)
    command = worker.run(customer, QUICK, dry_run=True)
    assert command.result["users"]["changed"] == 1
    assert command.result["groups"]["removed"] == 1
    assert mirror(customer) == before
    assert rows(SyncStream, customer) == streams
    assert worker.run(customer).result["users"]["changed"] == 1
    assert_in_step(customer)


def test_a_great_removal_is_told_and_not_asked_about(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(users=120)
    worker.run(customer)
    for index in range(80):
        customer.remove("users", index, forever=True)
    command = worker.run(customer, FULL, dry_run=True)
    assert command.result["users"]["removed"] == 80
    assert len(mirror(customer)["DirectoryUser"]) == 120


def test_no_write_leaves_for_microsoft(customer: Customer, worker: Worker) -> None:
    worker.run(customer, FULL, dry_run=True)
    worker.run(customer, FULL)
    worker.run(customer, QUICK)
    writes = [call for call in customer.requests() if call[0] != "GET" and call[1] != "/$batch"]
    assert writes == []
    assert not [entry for entry in customer.microsoft.state.history if entry["kind"] == "write"]
