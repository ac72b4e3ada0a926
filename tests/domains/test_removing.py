"""What the portal made goes again, and nothing else: the activation user, the record, the domain."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from core.errors import Conflict
from domains import selectors, services
from domains.models import CustomDomain, DnsZone, DomainState
from m365 import activation
from m365 import domains as far
from replication.models import Command, State
from simulator import skus
from tenants import scope
from tests.directory.pretend import Customer, Killed, Worker, code_of
from tests.domains.conftest import OLGA, finish, one_look, reread
from tests.domains.test_provision import NAME, USER, users_with_domain

pytestmark = pytest.mark.django_db
Begin = Callable[..., CustomDomain]


@pytest.fixture
def ready(able: Customer, begin: Begin, worker: Worker) -> CustomDomain:
    row = begin(able)
    finish(worker, able)
    row = reread(row)
    assert row.state == DomainState.READY, row.problem
    return row


def somebody(customer: Customer, *, phone: bool = True) -> int:
    """A real user of the domain."""
    held = [skus.SPE_E5] if phone else [skus.SPE_E3]
    return customer.create(
        "users",
        userPrincipalName=f"lee@{NAME}",
        displayName="Lee",
        usageLocation="DE",
        assignedLicenses=skus.licences(*held),
        assignedPlans=skus.plans([sku.id for sku in held], "global", "2026-01-01T00:00:00Z"),
    )


def release(customer: Customer, row: CustomDomain, worker: Worker) -> Command:
    with scope.one(customer.tenant.id):
        services.release_user(OLGA, row)
    return finish(worker, customer)[services.RELEASE]


@pytest.mark.parametrize("there", [False, True], ids=["nobody else", "somebody without Teams Phone"])
def test_a_user_that_is_needed_stays(
    able: Customer, ready: CustomDomain, worker: Worker, there: bool
) -> None:
    if there:
        somebody(able, phone=False)
    command = release(able, ready, worker)
    assert (command.state, code_of(command)) == (State.FAILED, "domain_needs_user")
    assert USER in [user["userPrincipalName"] for user in users_with_domain(able)]
    assert reread(ready).has_user


def test_a_user_that_is_not_needed_goes(able: Customer, ready: CustomDomain, worker: Worker) -> None:
    somebody(able)
    command = release(able, ready, worker)
    assert command.state == State.SUCCEEDED
    assert [user["userPrincipalName"] for user in users_with_domain(able)] == [f"lee@{NAME}"]
    row = reread(ready)
    assert (row.state, row.has_user) == (DomainState.READY, False)
    with scope.one(able.tenant.id), pytest.raises(Conflict):
        services.release_user(OLGA, row)


def test_a_removal_that_has_begun_is_not_taken_back(
    able: Customer, ready: CustomDomain, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request that takes the user away may be under way just now."""
    real, refused = activation.remove, []

    def remove(*args: Any) -> None:
        with scope.one(able.tenant.id), pytest.raises(Conflict):
            services.cancel(OLGA, ready)
        refused.append(1)
        real(*args)

    monkeypatch.setattr(activation, "remove", remove)
    with scope.one(able.tenant.id):
        services.remove(OLGA, ready)
    assert finish(worker, able)[services.REMOVE].state == State.SUCCEEDED
    assert refused
    assert reread(ready).state == DomainState.REMOVED


def test_whoever_takes_it_back_before_keeps_everything(
    able: Customer, ready: CustomDomain, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = activation.find

    def find(*args: Any) -> Any:
        with scope.one(able.tenant.id):
            services.cancel(OLGA, ready)
        return real(*args)

    with scope.one(able.tenant.id):
        services.remove(OLGA, ready)
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(activation, "find", find)
        assert finish(worker, able)[services.REMOVE].state == State.CANCELLED
    assert (reread(ready).state, reread(ready).has_user) == (DomainState.READY, True)
    assert USER in [user["userPrincipalName"] for user in users_with_domain(able)]


def due(row: CustomDomain) -> None:
    with scope.one(row.tenant_id):
        CustomDomain.objects.filter(id=row.id).update(next_look_at=timezone.now() - dt.timedelta(seconds=1))


def test_once_a_day_it_is_looked_at_by_itself(able: Customer, ready: CustomDomain, worker: Worker) -> None:
    assert services.release_due() == 0, "not on the first day"
    due(ready)
    assert (services.release_due(), services.release_due()) == (1, 0)
    command = finish(worker, able)[services.RELEASE]
    assert (command.state, command.outcome) == (State.SUCCEEDED, "complete")
    assert "still needed" in command.message
    somebody(able)
    due(ready)
    assert services.release_due() == 1
    finish(worker, able)
    assert not reread(ready).has_user
    due(ready)
    assert services.release_due() == 0


def test_it_can_be_switched_off(zone: DnsZone, ready: CustomDomain) -> None:
    DnsZone.objects.update(release_user=False)
    due(ready)
    assert services.release_due() == 0


def remove(customer: Customer, row: CustomDomain) -> None:
    with scope.one(customer.tenant.id):
        services.remove(OLGA, row)


def assert_gone(customer: Customer, row: CustomDomain) -> None:
    row = reread(row)
    assert (row.state, row.problem) == (DomainState.REMOVED, None)
    assert users_with_domain(customer) == []
    assert NAME not in customer.pretend.domains
    assert customer.microsoft.dns.describe()["records"] == {}


def test_everything_goes(able: Customer, ready: CustomDomain, worker: Worker, begin: Begin) -> None:
    remove(able, ready)
    assert finish(worker, able)[services.REMOVE].state == State.SUCCEEDED
    assert_gone(able, ready)
    again = begin(able)
    assert (again.name, again.id != ready.id) == (NAME, True), "the name is free again"


@pytest.mark.parametrize(
    ("module", "name"), [(activation, "remove"), (far, "remove")], ids=["user", "domain"]
)
def test_killed_after_the_removal(
    able: Customer,
    ready: CustomDomain,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
) -> None:
    real = module.remove

    def deadly(*args: Any) -> None:
        real(*args)
        raise Killed

    remove(able, ready)
    monkeypatch.setattr(module, name, deadly)
    with pytest.raises(Killed):
        finish(worker, able)
    monkeypatch.setattr(module, name, real)
    worker.take_back()
    finish(worker, able)
    assert_gone(able, ready)


def test_a_user_that_microsoft_did_not_show_yet_goes_too(
    able: Customer, ready: CustomDomain, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made just before the removal: at first a reading does not have it, and then it keeps the domain."""
    real, looks = activation.find, iter([None])
    monkeypatch.setattr(activation, "find", lambda *args: next(looks, True) and real(*args))
    remove(able, ready)
    finish(worker, able)
    assert_gone(able, ready)


def test_while_others_have_it_nothing_is_touched(able: Customer, ready: CustomDomain, worker: Worker) -> None:
    index = somebody(able)
    remove(able, ready)
    command = finish(worker, able)[services.REMOVE]
    assert code_of(command) == "domain_in_use"
    assert f"lee@{NAME}" in command.message
    assert len(users_with_domain(able)) == 2
    with scope.one(able.tenant.id):
        services.cancel(OLGA, ready)
    row = reread(ready)
    assert (row.state, row.problem, row.step) == (DomainState.READY, None, ""), "as if nobody had asked"
    remove(able, ready)
    finish(worker, able)
    able.change("users", index, userPrincipalName=f"lee@{able.pretend.domain}")
    with scope.one(able.tenant.id):
        assert selectors.shown(reread(ready)).stopped
        services.retry(OLGA, ready)
    finish(worker, able)
    assert_gone(able, ready)
    with scope.one(able.tenant.id), pytest.raises(Conflict):
        services.cancel(OLGA, ready)


def test_half_way_it_can_be_removed_too(able: Customer, begin: Begin, worker: Worker) -> None:
    able.microsoft.dns.set({"lag": 36_000})
    row = begin(able)
    one_look(worker, able)
    row = reread(row)
    assert row.text_written
    remove(able, row)
    commands = finish(worker, able)
    assert commands[services.PROVISION].state == State.CANCELLED
    assert_gone(able, row)


def test_a_domain_that_was_there_before_stays(able: Customer, begin: Begin, worker: Worker) -> None:
    own = f"voice.{able.pretend.domain}"
    able.pretend.domains.insert(1, own)
    able.microsoft.state.domains[own] = able.pretend
    row = begin(able, name=own, by_hand=True)
    finish(worker, able)
    row = reread(row)
    assert (row.state, row.domain_made, row.text) == (DomainState.READY, False, "")
    remove(able, row)
    command = finish(worker, able)[services.REMOVE]
    assert command.outcome == "partial"
    assert own in able.pretend.domains
    assert reread(row).state == DomainState.REMOVED
