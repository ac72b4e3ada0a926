"""Deltas: what changed and nothing else, however Microsoft spreads, repeats or forgets it."""

import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from directory.models import DirectoryGroup, DirectoryUser, GroupMember, SyncStream
from directory.sync import delta
from directory.sync.reading import GROUPS, USERS
from replication.models import State, Step
from tenants import scope
from tests.cast import Cast
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
TABLES = ("directory_user", "directory_group", "directory_member", "directory_sku")


@pytest.fixture
def synced(customer: Customer, worker: Worker) -> Customer:
    worker.run(customer)
    return customer


def versions(customer: Customer) -> dict[str, list[str]]:
    """Where every row of the mirror lies: a row that is written moves, even if it stays the same."""
    found = {}
    with scope.one(customer.tenant.id), connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT ctid::text || xmin::text FROM {table} ORDER BY 1")
            found[table] = [row[0] for row in cursor.fetchall()]
    return found


def user_row(customer: Customer, index: int) -> dict[str, Any] | None:
    object_id = customer.directory.users.ids[index]
    return next((row for row in rows(DirectoryUser, customer) if str(row["object_id"]) == object_id), None)


# --- Nothing changed ----------------------------------------------------------------------------------------
def test_no_change_is_one_request_and_no_row_written(synced: Customer, worker: Worker) -> None:
    before, asked = versions(synced), set(synced.requests())
    command = worker.run(synced)
    assert command.message == "Nothing has changed at Microsoft since the last time."
    assert command.outcome == "unchanged"
    assert command.result["requests"] == 1
    new = {route for _, route, _ in set(synced.requests()) - asked}
    assert new == {"/$batch", "/users/delta", "/groups/delta", "/subscribedSkus"}
    assert versions(synced) == before
    assert stream(synced, "users").mode == "delta"


def test_a_cycle_without_news_costs_few_statements(
    synced: Customer, worker: Worker, django_assert_max_num_queries: Any
) -> None:
    """Ten thousand customers have one every five minutes; its own transaction and what becomes of it included."""
    worker.queue(synced)
    with django_assert_max_num_queries(22):
        worker.step()


def test_a_stream_that_was_put_off_is_asked_for_once_more(synced: Customer, worker: Worker) -> None:
    synced.change("users", 3, city="Ulm")
    synced.change("groups", 1, description="Of the lake")
    synced.trouble("error", status=503, path="/users/delta", count=1)
    command = worker.run(synced)
    assert (command.state, command.result["requests"]) == (State.SUCCEEDED, 2)
    assert_in_step(synced)


def test_a_first_page_with_more_behind_it_is_followed(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(settings={"delta_page_size": 2})
    worker.run(customer)
    for index in range(5):
        customer.change("users", index, city="Ulm")
    command = worker.run(customer)
    assert command.result["users"]["changed"] == 5
    assert command.result["requests"] == 3, "the first of three pages came with the look at all streams"


def test_licences_that_may_not_be_read_are_asked_for_once(synced: Customer, worker: Worker) -> None:
    synced.trouble("error", status=403, code="Authorization_RequestDenied", path="/subscribedSkus")
    command = worker.run(synced)
    assert (command.outcome, command.result["requests"]) == ("partial", 1)


def test_what_had_not_changed_is_kept_when_microsoft_then_asks_for_patience(
    synced: Customer, worker: Worker
) -> None:
    before = stream(synced, "users").delta_link
    synced.trouble("throttle", path="/subscribedSkus", count=9, retry_after="60")
    command = worker.run(synced)
    assert (command.state, command.reason) == (State.QUEUED, "throttled")
    assert stream(synced, "users").delta_link != before
    assert command.checkpoint["run"]["parts"]["users"]["done"]


def test_a_full_read_of_the_same_writes_no_row_either(synced: Customer, worker: Worker) -> None:
    before = versions(synced)
    worker.run(synced, FULL)
    assert versions(synced) == before


def test_only_the_row_that_changed_is_written(synced: Customer, worker: Worker) -> None:
    before = versions(synced)["directory_user"]
    synced.change("users", 3, city="Ulm")
    worker.run(synced)
    after = versions(synced)["directory_user"]
    assert len(set(after) - set(before)) == 1


# --- What may change ----------------------------------------------------------------------------------------
def test_a_renamed_user(synced: Customer, worker: Worker) -> None:
    synced.change("users", 3, userPrincipalName="new.name@contoso.example", displayName="New Name")
    command = worker.run(synced)
    assert "0 added, 1 changed, 0 removed" in command.message
    row = user_row(synced, 3)
    assert row is not None
    assert row["user_principal_name"] == "new.name@contoso.example"
    assert row["search"].startswith("new name new.name@contoso.example")


def test_a_cleared_property_is_emptied(synced: Customer, worker: Worker) -> None:
    synced.change("users", 3, department=None, assignedLicenses=[])
    worker.run(synced)
    row = user_row(synced, 3)
    assert row is not None
    assert (row["department"], row["sku_ids"]) == ("", [])
    assert row["display_name"]


@pytest.mark.parametrize("forever", [False, True])
def test_a_removed_user_goes_with_the_memberships(synced: Customer, worker: Worker, forever: bool) -> None:
    synced.remove("users", 3, forever=forever)
    worker.run(synced)
    assert user_row(synced, 3) is None
    assert_in_step(synced)


def test_a_restored_user_comes_back_with_the_memberships(synced: Customer, worker: Worker) -> None:
    synced.remove("users", 3)
    worker.run(synced)
    synced.restore("users", 3)
    worker.run(synced)
    assert user_row(synced, 3) is not None
    assert_in_step(synced)


def test_a_group_deleted_and_restored(synced: Customer, worker: Worker) -> None:
    synced.remove("groups", 1)
    command = worker.run(synced)
    assert command.result["groups"]["removed"] == 1
    assert_in_step(synced)
    assert stream(synced, "groups").links == len(synced.memberships())
    synced.restore("groups", 1)
    worker.run(synced)
    assert_in_step(synced)


def test_removed_and_restored_between_two_syncs(synced: Customer, worker: Worker) -> None:
    before = mirror(synced)
    synced.remove("groups", 1)
    synced.restore("groups", 1)
    synced.remove("users", 2)
    synced.restore("users", 2)
    worker.run(synced)
    assert {key: mirror(synced)[key] for key in before} == before


def test_created_and_removed_between_two_syncs(synced: Customer, worker: Worker) -> None:
    """A tombstone of an id that was never here."""
    index = synced.create("users", displayName="Brief", userPrincipalName="brief@contoso.example")
    synced.remove("users", index)
    assert worker.run(synced).state == State.SUCCEEDED
    assert_in_step(synced)


def test_members_who_join_and_leave(synced: Customer, worker: Worker) -> None:
    synced.leave(0, *synced.directory.members.of(0)[:5])
    fresh = synced.create("users", displayName="Fresh", userPrincipalName="fresh@contoso.example")
    synced.join(0, fresh)
    synced.join(1, fresh)
    command = worker.run(synced)
    assert command.result["members"] == {"read": 7, "added": 2, "changed": 0, "removed": 5}
    assert_in_step(synced)


def test_the_counts_of_the_streams_keep_up(synced: Customer, worker: Worker) -> None:
    synced.create("users", displayName="Fresh", userPrincipalName="fresh@contoso.example")
    synced.remove("groups", 3)
    worker.run(synced)
    assert stream(synced, "users").rows == 31
    assert stream(synced, "groups").rows == 3
    assert stream(synced, "groups").links == len(rows(GroupMember, synced))


# --- How it may come ----------------------------------------------------------------------------------------
def test_a_user_in_two_pieces_is_merged(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(settings={"spread_users": 1, "delta_page_size": 7})
    worker.run(customer)
    for index in range(20):
        customer.change("users", index, city=f"City {index}", jobTitle="Head")
    worker.run(customer)
    for index in range(20):
        row = user_row(customer, index)
        assert row is not None
        assert (row["city"], row["job_title"]) == (f"City {index}", "Head")
        assert row["display_name"]
    assert_in_step(customer)


def test_pieces_of_one_object_on_different_pages(cast: Cast) -> None:
    one = str(uuid.uuid4())
    with scope.one(cast.contoso.id):
        for piece in ({"displayName": "A", "city": "Bonn"}, {"mail": "a@x.example"}, {"city": None}):
            delta.apply(cast.contoso.id, USERS, [{"id": one, **piece}], write=True)
        row = DirectoryUser.objects.get(tenant=cast.contoso)
    assert (row.display_name, row.mail, row.city) == ("A", "a@x.example", "")
    assert row.search == "a a@x.example"


def test_members_sliced_over_pages(add_customer: AddCustomer, worker: Worker) -> None:
    customer = add_customer(settings={"delta_member_slice": 4, "delta_page_size": 2})
    worker.run(customer)
    for group in range(4):
        customer.leave(group, *customer.directory.members.of(group)[:9])
    command = worker.run(customer)
    assert command.result["members"]["removed"] == 36
    assert_in_step(customer)


def test_pages_one_slice_each(add_customer: AddCustomer, worker: Worker, short_slices: None) -> None:
    customer = add_customer(settings={"delta_member_slice": 4, "delta_page_size": 2})
    worker.run(customer)
    for index in range(10):
        customer.change("users", index, city="Ulm")
        customer.leave(0, index)
    command = worker.run(customer)
    assert command.slices > 5
    assert_in_step(customer)


def test_objects_that_come_twice_and_changes_that_are_replayed(synced: Customer, worker: Worker) -> None:
    synced.change("users", 3, city="Ulm")
    synced.leave(0, 1)
    synced.remove("users", 5)
    worker.run(synced)
    before = mirror(synced)
    synced.trouble("replay", changes=100)
    synced.trouble("repeat_objects", objects=5)
    command = worker.run(synced)
    assert command.result["users"]["read"] > 0
    assert "0 added, 0 changed, 0 removed" in command.message
    assert mirror(synced) == before


def test_empty_pages_in_a_delta(synced: Customer, worker: Worker) -> None:
    synced.change("users", 3, city="Ulm")
    synced.trouble("empty_page", path="/delta", count=4)
    worker.run(synced)
    row = user_row(synced, 3)
    assert row is not None
    assert row["city"] == "Ulm"


def test_a_member_who_is_not_known_yet(cast: Cast) -> None:
    """The membership is kept; the user's row arrives on its own, or never, if it is no user."""
    group, member = str(uuid.uuid4()), str(uuid.uuid4())
    joined = {
        "id": group,
        "displayName": "G",
        "members@delta": [{"id": member, "@odata.type": "#microsoft.graph.device"}],
    }
    with scope.one(cast.contoso.id):
        count, members = delta.apply(cast.contoso.id, GROUPS, [joined], write=True)
        row = GroupMember.objects.get(tenant=cast.contoso)
    assert (count.added, members.added) == (1, 1)
    assert (str(row.member_id), row.member_type) == (member, "device")


def test_a_slice_of_a_group_that_was_never_introduced_is_left_out(cast: Cast) -> None:
    stranger = {"id": str(uuid.uuid4()), "members@delta": [{"id": str(uuid.uuid4())}]}
    with scope.one(cast.contoso.id):
        count, members = delta.apply(cast.contoso.id, GROUPS, [stranger], write=True)
        assert not DirectoryGroup.objects.filter(tenant=cast.contoso).exists()
    assert (count.added, members.added) == (0, 0)


# --- When a link is of no use any more ----------------------------------------------------------------------
@pytest.mark.parametrize(
    ("code", "status"),
    [("resyncRequired", 410), ("syncStateNotFound", 410), ("SyncStateNotFound", 400), ("", 410)],
)
def test_a_forgotten_link_leads_to_a_full_read_of_that_stream(
    synced: Customer, worker: Worker, code: str, status: int
) -> None:
    synced.change("users", 3, city="Ulm")
    synced.remove("users", 4)
    synced.trouble("gone", code=code, status=status, path="/users/delta", count=1)
    command = worker.run(synced)
    assert command.state == State.SUCCEEDED
    assert "Read in full because the delta link had expired." in command.message
    assert_in_step(synced)
    users, groups = stream(synced, "users"), stream(synced, "groups")
    assert (users.mode, users.why, groups.mode) == ("full", "expired", "delta")
    with scope.one(synced.tenant.id):
        texts = list(Step.objects.filter(command_id=command.id).values_list("text", flat=True))
    assert any("read in full, because the delta link had expired" in text for text in texts)


def test_the_link_of_groups_forgotten_after_users_without_a_change(synced: Customer, worker: Worker) -> None:
    synced.leave(0, 1)
    synced.trouble("gone", path="/groups/delta", count=1)
    assert worker.run(synced).state == State.SUCCEEDED
    assert_in_step(synced)
    users, groups = stream(synced, "users"), stream(synced, "groups")
    assert (users.mode, groups.mode, groups.why) == ("delta", "full", "expired")


def test_both_links_forgotten(synced: Customer, worker: Worker) -> None:
    synced.expire_links()
    synced.leave(0, 1)
    worker.run(synced)
    assert_in_step(synced)
    assert stream(synced, "groups").why == "expired"


def test_a_link_older_than_seven_days_is_not_even_tried(synced: Customer, worker: Worker) -> None:
    with scope.one(synced.tenant.id):
        SyncStream.objects.filter(tenant=synced.tenant).update(delta_at=timezone.now() - dt.timedelta(days=7))
    tried = [row for row in synced.requests() if row[1] == "/users/delta"]
    worker.run(synced)
    assert stream(synced, "users").why == "expired"
    assert [row[2] for row in synced.requests() if row[1] == "/users/delta"] == [
        tried[0][2] + 1
    ]  # the new link


def test_a_link_that_microsoft_finds_malformed_is_dropped(synced: Customer, worker: Worker) -> None:
    with scope.one(synced.tenant.id):
        broken = stream(synced, "users").delta_link + "x"
        SyncStream.objects.filter(tenant=synced.tenant, stream="users").update(delta_link=broken)
    assert worker.run(synced).state == State.SUCCEEDED
    assert_in_step(synced)


def test_a_page_link_that_was_forgotten_goes_back_to_the_delta_link(
    add_customer: AddCustomer, worker: Worker, short_slices: None
) -> None:
    customer = add_customer(settings={"delta_page_size": 2})
    worker.run(customer)
    for index in range(10):
        customer.change("users", index, city="Ulm")
    command = worker.queue(customer)
    worker.step()
    customer.trouble("gone", path="/users/delta", count=1)
    worker.finish(command)
    assert command.result["mode"] == "delta"
    assert stream(customer, "users").mode == "delta"
    assert {row["city"] for row in rows(DirectoryUser, customer)[:10]}
    assert_in_step(customer)


def test_a_delta_that_fails_keeps_its_link_and_says_so(synced: Customer, worker: Worker) -> None:
    before = stream(synced, "users")
    synced.trouble("truncated", path=r"/\$batch|/users/delta")
    command = worker.run(synced)
    assert code_of(command) == "bad_reply"
    after = stream(synced, "users")
    assert (after.delta_link, after.synced_at) == (before.delta_link, before.synced_at)
    assert after.error["code"] == "bad_reply"
    synced.heal()
    worker.run(synced, FULL)
    assert stream(synced, "users").error is None


def test_an_endless_delta_is_noticed(
    synced: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("directory.sync.engine.MOST_PAGES", 5)
    synced.change("users", 3, city="Ulm")
    synced.trouble("endless_pages", path="/users/delta")
    command = worker.run(synced)
    assert (command.state, code_of(command)) == (State.QUEUED, "endless_pages")


# --- The proof ----------------------------------------------------------------------------------------------
def test_everything_is_compared_from_time_to_time(synced: Customer, worker: Worker) -> None:
    with scope.one(synced.tenant.id):
        old = timezone.now() - dt.timedelta(days=2)
        SyncStream.objects.filter(tenant=synced.tenant).update(last_full_at=old)
        missed = DirectoryUser.objects.filter(tenant=synced.tenant).first()
        DirectoryUser.objects.filter(tenant=synced.tenant, object_id=missed.object_id).update(city="Atlantis")
    synced.change("users", 7, city="Ulm")  # an honest change is no difference
    command = worker.run(synced)
    assert "1 difference was found and mended" in command.message
    assert_in_step(synced)
    users, groups = stream(synced, "users"), stream(synced, "groups")
    assert (users.proof_differences, groups.proof_differences) == (1, 0)
    assert users.last_proof_at is not None
    assert worker.run(synced).result["mode"] == "delta"


def test_no_proof_when_it_is_switched_off(synced: Customer, worker: Worker, settings: Any) -> None:
    settings.PROOF_READ_HOURS = 0
    with scope.one(synced.tenant.id):
        SyncStream.objects.filter(tenant=synced.tenant).update(
            last_full_at=timezone.now() - dt.timedelta(days=99)
        )
    assert worker.run(synced).result["mode"] == "delta"
