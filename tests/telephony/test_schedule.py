"""When telephony is read without anybody asking."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models.functions import Now

from replication.models import Command
from telephony import commands
from telephony.commands import schedule
from telephony.models import TeamsStream
from tenants import scope, services
from tenants.models import Cloud, Connection, Service, Tenant
from tests.directory.pretend import Customer, Worker
from tests.telephony.helpers import ALL, NUMBERS, read


@pytest.fixture
def replicated(phones: Customer) -> Customer:
    """Its directory was read once, by a quick replication."""
    with scope.one(phones.tenant.id):
        services.note_replication(phones.tenant.id, users=60, groups=4)
    return phones


def asked() -> list[str]:
    """What the clock asks for now, in the order of its commands."""
    with scope.every("a test looks at the queue"):
        before = set(Command.objects.values_list("id", flat=True))
        schedule()
        return [one.kind for one in Command.objects.exclude(id__in=before).order_by("id")]


def hours_ago(customer: Customer, **values: Any) -> None:
    with scope.one(customer.tenant.id):
        TeamsStream.objects.update(asked_at=Now(), next_at=Now(), **values)


def change(customer: Customer, **values: Any) -> None:
    with scope.one(customer.tenant.id):
        Tenant.objects.filter(id=customer.tenant.id).update(**values)


def test_telephony_follows_the_directory(replicated: Customer, worker: Worker) -> None:
    assert asked() == list(ALL)
    assert asked() == [], "what is asked for is not asked for twice"
    for _ in ALL:
        worker.step()
    assert asked() == [], "the directory was not read since"
    change(replicated, last_replicated_at=Now())
    assert asked() == [], "not every few minutes"
    hours_ago(replicated)
    change(replicated, last_replicated_at=Now())
    assert asked() == list(ALL)


def test_two_sweepers_ask_once(replicated: Customer) -> None:
    with scope.every("a test is a slower sweeper"):
        seen = commands._due()
    assert asked() == list(ALL)
    assert commands._ask(replicated.tenant.id, seen) == 0
    with scope.one(replicated.tenant.id):
        assert Command.objects.count() == len(ALL)


def test_numbers_of_operator_connect_every_five_minutes(replicated: Customer, worker: Worker) -> None:
    read(worker, replicated)
    assert asked() == list(ALL), "readings of people do not count"
    for _ in ALL:
        worker.step()
    hours_ago(replicated)
    assert asked() == []
    change(replicated, service=Service.OPERATOR_CONNECT)
    assert asked() == [NUMBERS]
    worker.step()
    with scope.one(replicated.tenant.id):
        row = TeamsStream.objects.get(stream="numbers")
        minutes = (row.next_at - row.asked_at).total_seconds() / 60
    assert 4.7 <= minutes <= 5.3


def test_a_full_sync_takes_telephony_along_at_once(phones: Customer, worker: Worker) -> None:
    worker.run(phones, "sync")
    assert asked() == list(ALL)
    for _ in ALL:
        worker.step()
    worker.run(phones, "sync")
    assert asked() == list(ALL)


def _off(customer: Customer) -> None:
    change(customer, with_sync=False)


def _paused(customer: Customer) -> None:
    change(customer, paused_at=Now())


def _elsewhere(customer: Customer) -> None:
    with scope.one(customer.tenant.id):
        Connection.objects.update(cloud=Cloud.GCC_HIGH)


def _unproven(customer: Customer) -> None:
    with scope.one(customer.tenant.id):
        Connection.objects.update(verification="failed")


@pytest.mark.parametrize("unfit", [_off, _paused, _elsewhere, _unproven])
def test_who_is_left_alone(replicated: Customer, unfit: Callable[[Customer], None]) -> None:
    unfit(replicated)
    assert asked() == []


def test_looking_rests(replicated: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ten thousand customers a look takes a tenth of a second, and a sweep comes every five."""
    began = time.monotonic()
    monkeypatch.setattr(commands._Clock, "again", began + 1000)
    commands.look_after_a_rest()
    assert commands._Clock.again == began + 1000, "it did not look"
    assert asked() == list(ALL), "so everything is still to be asked for"
    assert began < commands._Clock.again < began + 1000, "and whoever looks rests as long as that took"
