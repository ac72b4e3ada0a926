"""The full read: complete, resumable, and never removing what it cannot be sure of."""

from collections.abc import Callable
from typing import Any

import pytest

from directory.models import DirectoryGroup, DirectoryUser, GroupMember, SyncStream
from directory.sync import full
from m365 import pacing
from replication.models import State
from tenants import scope
from tenants.models import Connection, Tenant
from tests.directory.pretend import (
    FULL,
    Customer,
    Worker,
    assert_in_step,
    code_of,
    mirror,
    rows,
    stream,
)

AddCustomer = Callable[..., Customer]


def test_a_first_sync_reads_everything(customer: Customer, worker: Worker) -> None:
    command = worker.run(customer)
    assert command.state == State.SUCCEEDED
    assert command.message == "30 users, 4 groups and 120 memberships read; 154 added, 0 changed, 0 removed."
    assert command.outcome == "complete"
    assert_in_step(customer)
    with scope.one(customer.tenant.id):
        tenant = Tenant.objects.get(id=customer.tenant.id)
    assert (tenant.users_count, tenant.groups_count) == (30, 4)
    assert tenant.last_replicated_at is not None


def test_a_first_sync_takes_the_links_first_and_then_lists(customer: Customer, worker: Worker) -> None:
    worker.run(customer)
    users = stream(customer, "users")
    assert (users.mode, users.why, users.rows) == ("full", "first", 30)
    assert "/users/delta?" in users.delta_link
    assert users.delta_at is not None
    assert users.synced_at is not None
    assert users.delta_at <= users.synced_at
    groups = stream(customer, "groups")
    assert (groups.rows, groups.links) == (4, 120)


def test_what_changes_during_the_read_arrives_with_the_first_delta(
    customer: Customer, worker: Worker, short_slices: None
) -> None:
    command = worker.queue(customer)
    worker.step()
    customer.create("users", displayName="Late", userPrincipalName="late@contoso.example")
    customer.remove("users", 3)
    customer.join(2, 1)
    worker.finish(command)
    worker.run(customer)
    assert_in_step(customer)


def test_progress_counts_up_to_the_end(customer: Customer, worker: Worker) -> None:
    progress = worker.run(customer).progress
    assert progress["done"] == progress["total"] == 30 + 4 + 4
    assert progress["requests"] == 10  # each group alone while nobody knows how large they are
    assert progress["pages"] == 2
    assert progress["rows"] == 154


def test_a_second_full_read_changes_nothing_and_says_why_it_was(customer: Customer, worker: Worker) -> None:
    worker.run(customer)
    before = mirror(customer)
    command = worker.run(customer, FULL)
    assert "0 added, 0 changed, 0 removed. Read in full because a person asked for it." in command.message
    assert mirror(customer) == before
    assert_in_step(customer)


def test_a_full_read_mends_whatever_is_wrong(customer: Customer, worker: Worker) -> None:
    worker.run(customer)
    with scope.one(customer.tenant.id):
        DirectoryUser.objects.filter(tenant=customer.tenant).first().delete()
        DirectoryUser.objects.filter(tenant=customer.tenant).update(city="Atlantis")
        DirectoryGroup.objects.filter(tenant=customer.tenant).first().delete()
        left = DirectoryGroup.objects.filter(tenant=customer.tenant).first()
        GroupMember.objects.filter(tenant=customer.tenant, group_id=left.object_id).delete()
        GroupMember.objects.create(
            tenant=customer.tenant, group_id=left.object_id, member_id=customer.tenant.id, member_type="user"
        )
    command = worker.run(customer, FULL)
    assert command.result["users"] == {"read": 30, "added": 1, "changed": 29, "removed": 0}
    assert_in_step(customer)


def test_everything_happens_in_slices_as_well(customer: Customer, worker: Worker, short_slices: None) -> None:
    command = worker.run(customer)
    assert command.state == State.SUCCEEDED
    assert command.slices > 1
    assert_in_step(customer)


def test_a_group_of_several_pages_of_members(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(users=2100, groups=1, memberships_per_user=1)
    command = worker.run(customer)
    assert command.result["members"]["added"] == 2100
    assert_in_step(customer)


def test_groups_that_may_be_large_are_asked_for_by_few(
    add_customer: AddCustomer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody knows how large they are before the first answer; small ones then come twenty at a time."""
    asked: list[int] = []

    def read(groups: Any, stop: Any) -> Any:
        asked.append(len(groups))
        return jobs_read_members(groups, stop)

    jobs_read_members = full.jobs.read_members
    monkeypatch.setattr(full.jobs, "read_members", read)
    worker.run(add_customer(users=30, groups=100, memberships_per_user=10))
    first = 2 * full.WIDTH
    assert asked[:first] == [1] * first
    assert max(asked[first:]) == full.BATCH


def test_members_of_a_large_group_who_left_are_taken_out_by_a_full_read(
    add_customer: AddCustomer, worker: Worker, short_slices: None
) -> None:
    customer = add_customer(users=2100, groups=1, memberships_per_user=1)
    worker.run(customer)
    customer.leave(0, 1, 1500, 2099)
    command = worker.run(customer, FULL)
    assert command.result["members"]["removed"] == 3
    assert_in_step(customer)


def test_a_group_in_a_group_is_a_member_of_its_own_kind(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(nested_groups=2)
    worker.run(customer)
    assert {row["member_type"] for row in rows(GroupMember, customer)} == {"user", "group"}
    assert_in_step(customer)


def test_groups_without_a_latest_link_are_read_over_their_delta(
    add_customer: AddCustomer, worker: Worker, short_slices: None
) -> None:
    settings = {"groups_latest": False, "delta_page_size": 3, "delta_member_slice": 20}
    customer = add_customer(groups=9, settings=settings)
    worker.run(customer)
    assert_in_step(customer)
    customer.leave(0, *range(10))
    worker.run(customer, FULL)
    assert_in_step(customer)
    assert worker.run(customer).result["mode"] == "delta"


def test_a_list_that_ends_early_is_not_believed(
    customer: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a page looks whole when its link to the rest is missing; Microsoft's own count gives it away."""
    monkeypatch.setattr("directory.sync.notes.SHORTFALL_FLOOR", 0)
    worker.run(customer)
    before = mirror(customer)
    monkeypatch.setattr("simulator.graph.lists._plain_page", lambda *_: (b"[]", None))
    command = worker.run(customer, FULL)
    assert (command.state, code_of(command)) == (State.QUEUED, "incomplete_read")
    assert mirror(customer) == before
    assert stream(customer, "users").error["code"] == "incomplete_read"
    monkeypatch.undo()
    worker.wait_is_over(command)
    worker.finish(command)
    assert_in_step(customer)


def test_a_small_removal_does_not(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(users=120)
    worker.run(customer)
    for index in range(40):
        customer.remove("users", index, forever=True)
    customer.expire_links()
    assert worker.run(customer).result["users"]["removed"] == 40
    assert_in_step(customer)


def test_a_page_link_that_was_forgotten_starts_the_list_anew(
    add_customer: AddCustomer, worker: Worker, short_slices: None
) -> None:
    customer = add_customer(users=2500)
    command = worker.queue(customer)
    while not rows(DirectoryUser, customer):
        worker.step()
    customer.trouble("error", status=400, code="Directory_ExpiredPageToken", path=r"/users\b", count=1)
    worker.finish(command)
    assert command.state == State.SUCCEEDED
    assert_in_step(customer)


def test_a_list_of_groups_that_starts_anew_cuts_no_large_group_short(
    add_customer: AddCustomer, worker: Worker, short_slices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Members that were read into a fresh mirror, without notes, are still there at the end."""
    monkeypatch.setattr("directory.sync.jobs.PAGE_SIZE", 3)
    customer = add_customer(users=60, groups=25)
    customer.join(0, *range(60))
    command = worker.queue(customer)
    while len(rows(GroupMember, customer)) < 6:
        worker.step()
    assert len(rows(DirectoryGroup, customer)) < 25
    customer.trouble("error", status=400, code="Directory_ExpiredPageToken", path=r"/groups$", count=1)
    worker.finish(command)
    assert command.state == State.SUCCEEDED
    assert_in_step(customer)


def test_a_list_without_end_is_noticed_and_leaves_nothing_removed(
    customer: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full, "MOST_IDLE", 5)
    worker.run(customer)
    before = mirror(customer)
    customer.trouble("endless_pages")
    command = worker.run(customer, FULL)
    assert (command.state, code_of(command)) == (State.QUEUED, "endless_pages")
    assert mirror(customer) == before
    customer.heal()
    worker.wait_is_over(command)
    assert worker.finish(command).state == State.SUCCEEDED
    assert_in_step(customer)


def test_empty_pages_with_a_link_are_followed(customer: Customer, worker: Worker) -> None:
    customer.trouble("empty_page", path=r"/users$", count=3)
    worker.run(customer)
    assert_in_step(customer)


@pytest.mark.parametrize(
    ("kind", "options", "code", "state"),
    [
        ("foreign_next_link", {}, "foreign_next_link", State.FAILED),
        ("html", {}, "bad_reply", State.QUEUED),
        ("truncated", {}, "bad_reply", State.QUEUED),
        ("giant_field", {}, "bad_reply", State.QUEUED),
        ("giant_field", {"bytes": 40_000_000}, "reply_too_large", State.FAILED),
        ("throttle", {"retry_after": "90"}, "throttled", State.QUEUED),
        (
            "error",
            {"status": 403, "code": "Authorization_RequestDenied"},
            "permission_missing",
            State.SUSPENDED,
        ),
    ],
)
def test_bad_answers_end_in_a_named_state(
    add_customer: AddCustomer, worker: Worker, kind: str, options: dict[str, Any], code: str, state: State
) -> None:
    customer = add_customer(users=1200)
    worker.run(customer)
    before = mirror(customer)
    customer.trouble(kind, path=r"/users", **options)
    command = worker.run(customer, FULL)
    assert (command.state, code_of(command)) == (state, code), command.message
    assert mirror(customer) == before
    customer.heal()
    if state == State.QUEUED:
        worker.wait_is_over(command)
        pacing._pacers.clear()  # as long as Microsoft asked for
        worker.finish(command)
        assert command.state == State.SUCCEEDED, command.message
        assert_in_step(customer)


def test_throttled_steps_of_a_batch_are_asked_again(customer: Customer, worker: Worker) -> None:
    customer.trouble("throttle", path=r"/members", count=2, retry_after="1")
    command = worker.run(customer)
    assert command.state == State.SUCCEEDED
    assert_in_step(customer)


def test_a_group_that_vanishes_during_the_read_is_no_trouble(customer: Customer, worker: Worker) -> None:
    customer.trouble("error", status=404, code="Request_ResourceNotFound", path="/members", count=1)
    assert worker.run(customer).state == State.SUCCEEDED
    groups = {row["group_id"] for row in rows(GroupMember, customer)}
    assert len(groups) == 3
    worker.run(customer, FULL)
    assert_in_step(customer)


def test_nothing_is_read_with_a_credential_that_was_not_proven(customer: Customer, worker: Worker) -> None:
    with scope.one(customer.tenant.id):
        Connection.objects.filter(tenant=customer.tenant).update(verification="never")
    command = worker.run(customer)
    assert (command.state, code_of(command)) == (State.SUSPENDED, "connection_unverified")
    assert customer.requests() == []


def test_without_the_permission_for_licences_the_rest_is_still_kept(
    customer: Customer, worker: Worker
) -> None:
    customer.trouble("error", status=403, code="Authorization_RequestDenied", path="/subscribedSkus")
    command = worker.run(customer)
    assert (command.state, command.outcome) == (State.SUCCEEDED, "partial")
    assert "Licences could not be read" in command.message
    assert_in_step(customer)
    assert stream(customer, "licences").error["code"] == "permission_missing"
    assert stream(customer, "licences").synced_at is None
    customer.heal()
    assert worker.run(customer).outcome == "complete"
    assert stream(customer, "licences").error is None


def test_two_customers_are_never_mixed(add_customer: AddCustomer, worker: Worker) -> None:
    contoso, fabrikam = add_customer("Contoso"), add_customer("Fabrikam", users=40)
    worker.run(contoso)
    before = mirror(contoso)
    worker.run(fabrikam)
    assert_in_step(fabrikam)
    assert mirror(contoso) == before
    for one, other in ((contoso, fabrikam), (fabrikam, contoso)):
        assert one.pretend.canary in str(mirror(one))
        assert other.pretend.canary not in str(mirror(one))
    customers = {row["tenant_id"] for row in rows(SyncStream, contoso)}
    assert customers == {contoso.tenant.id}


def test_the_same_object_ids_in_two_customers_stay_apart(add_customer: AddCustomer, worker: Worker) -> None:
    """A restored copy of a tenant, or a test, may hold the same ids; the key begins with the customer."""
    contoso = add_customer("Contoso", seed="same", domain="contoso.example")
    fabrikam = add_customer("Fabrikam", seed="same", domain="fabrikam.example")
    worker.run(contoso)
    worker.run(fabrikam)
    fabrikam.remove("users", 1)
    worker.run(fabrikam)
    assert contoso.ids("users") > fabrikam.ids("users")
    assert_in_step(contoso)
    assert_in_step(fabrikam)
