"""A domain is set up from nothing to its end, over real HTTP and real DNS, wherever a worker dies."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from audit.models import Entry
from domains import selectors, services
from domains.models import CustomDomain, DnsZone, DomainState
from domains.steps import BY_HAND, SETTING_UP
from events.models import Event
from m365 import activation
from m365 import domains as far
from nameservers import records
from replication.models import Command, State
from simulator.nameserver import ZONE, zone_secret
from tenants import scope
from tests.directory.pretend import Customer, Killed, Worker, code_of
from tests.domains.conftest import OLGA, allow, finish, one_look, reread

pytestmark = pytest.mark.django_db
Begin = Callable[..., CustomDomain]
NAME = f"contoso.{ZONE}"
USER = f"ump-activation-user@{NAME}"


def users_with_domain(customer: Customer) -> list[dict[str, Any]]:
    shelf = customer.directory.users
    rows = [shelf.view(index) for index in range(shelf.size) if shelf.is_live(index)]
    return [row for row in rows if str(row["userPrincipalName"]).endswith(f"@{NAME}")]


def assert_ready(customer: Customer, row: CustomDomain) -> CustomDomain:
    """Verified once, one activation user with one licence, nothing left in the zone."""
    row = reread(row)
    assert (row.state, row.problem, row.waiting) == (DomainState.READY, None, "")
    assert customer.pretend.domains.count(NAME) == 1
    (user,) = users_with_domain(customer)
    assert (user["userPrincipalName"], user["accountEnabled"], user["id"]) == (USER, False, row.user_id)
    assert len(user["assignedLicenses"]) == 1
    assert (row.user_made, row.domain_made, row.text_written) == (True, True, False)
    assert customer.microsoft.dns.describe()["records"] == {}
    return row


def test_from_nothing_to_ready(able: Customer, begin: Begin, worker: Worker) -> None:
    row = begin(able)
    assert (row.name, row.by_hand) == (NAME, False)
    commands = finish(worker, able)
    assert commands[services.PROVISION].state == State.SUCCEEDED, commands[services.PROVISION].message
    row = assert_ready(able, row)
    assert set(row.done) == {step.key for step in SETTING_UP}
    assert row.licence == "SPE_E5"
    with scope.one(able.tenant.id):
        shown = selectors.shown(row)
        assert {step["state"] for step in shown.steps} == {"done"}
        assert shown.chip[:2] == ("ok", "Ready")
        actions = set(Entry.objects.filter(object_kind="domain").values_list("action", flat=True))
        assert actions == {"domain.begun", "domain.ready"}
        assert Event.objects.filter(type="domain.ready", data__domain=NAME).count() == 1
    writes = [entry for entry in able.microsoft.state.history if entry["kind"] == "write"]
    (made,) = [entry for entry in writes if entry["path"].endswith("/users")]
    assert made["body"]["passwordProfile"] == "(not kept)"


def test_no_password_is_kept_anywhere(
    able: Customer, begin: Begin, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation.secrets, "token_urlsafe", lambda size: "canary-password")
    begin(able)
    finish(worker, able)
    with scope.every("a test looks everywhere"):
        for model in (Command, CustomDomain, Event, Entry):
            assert "canary-password" not in str(list(model.objects.values()))


WRITES = (
    (far, "add"), (far, "verify"), (records, "add_text"), (records, "remove_text"),
    (activation, "create"), (activation, "assign"),
)  # fmt: skip


@pytest.mark.parametrize(("module", "name"), WRITES, ids=[name for _, name in WRITES])
def test_killed_after_the_write_and_before_the_checkpoint(
    able: Customer, begin: Begin, worker: Worker, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    real = getattr(module, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Killed

    row = begin(able)
    monkeypatch.setattr(module, name, deadly)
    with pytest.raises(Killed):
        finish(worker, able)
    monkeypatch.setattr(module, name, real)
    worker.take_back()
    finish(worker, able)
    assert_ready(able, row)


@pytest.mark.parametrize("at", range(1, 24, 2))
def test_killed_at_any_checkpoint(
    able: Customer, begin: Begin, worker: Worker, dies: Callable[[int], None], at: int
) -> None:
    row = begin(able)
    dies(at)
    try:
        finish(worker, able)
    except Killed:
        dies(0)
        worker.take_back()
        finish(worker, able)
    dies(0)
    assert_ready(able, row)


def test_slow_microsoft_and_slow_name_servers_are_waited_for(
    able: Customer, begin: Begin, worker: Worker
) -> None:
    able.pretend.behaviour.create_delay = 3600
    row = begin(able)
    for _ in range(3):
        one_look(worker, able)
    assert "does not know the new domain" in reread(row).waiting
    able.pretend.added[NAME].seen_from = 0.0
    able.microsoft.dns.set({"lag": 3600})
    for _ in range(3):
        one_look(worker, able)
    row = reread(row)
    assert (row.step, row.waiting[:22]) == ("see", "0 of 1 name servers (1")
    with scope.one(able.tenant.id):
        (running,) = [step for step in selectors.steps_of(able.tenant) if step["state"] == "running"]
    assert "The portal waits 2 hours at most." in running["text"]
    able.microsoft.dns.set({"lag": 0})
    able.microsoft.dns.put(NAME, row.text)
    commands = finish(worker, able)
    assert commands[services.PROVISION].attempts == 0, "waiting uses up no attempt"
    assert_ready(able, row)


def test_by_hand_nothing_is_written_and_the_text_is_told(
    able: Customer, begin: Begin, worker: Worker
) -> None:
    row = begin(able, by_hand=True)
    for _ in range(3):
        one_look(worker, able)
    row = reread(row)
    assert row.step == "see"
    assert row.text.startswith("MS=ms")
    able.microsoft.dns.put(NAME, row.text)
    with scope.one(able.tenant.id):
        services.look_now(OLGA, row)
    worker.step()
    finish(worker, able)
    row = reread(row)
    assert row.state == DomainState.READY
    assert set(row.done) == {step.key for step in BY_HAND}
    history = [entry["kind"] for entry in able.microsoft.state.history]
    assert "dns_update" not in history
    assert able.microsoft.dns.describe()["records"] == {NAME: [row.text]}, "what a person wrote is his"


def test_without_an_activation_user(able: Customer, begin: Begin, worker: Worker) -> None:
    row = begin(able, with_user=False)
    finish(worker, able)
    row = reread(row)
    assert (row.state, row.user_id, users_with_domain(able)) == (DomainState.READY, "", [])


def stopped(worker: Worker, customer: Customer, row: CustomDomain) -> dict[str, Any]:
    """The problem with which the set-up stopped."""
    command = finish(worker, customer)[services.PROVISION]
    assert command.state == State.FAILED
    row = reread(row)
    with scope.one(customer.tenant.id):
        shown = selectors.shown(row)
        assert shown.chip[1] == "Stopped"
        assert [step["state"] for step in shown.steps].count("failed") == 1
        assert Event.objects.filter(type="domain.stopped", data__domain=row.name).exists()
    assert shown.problem is not None
    assert shown.problem["code"] == code_of(command)
    return shown.problem


def retry(worker: Worker, customer: Customer, row: CustomDomain) -> None:
    with scope.one(customer.tenant.id):
        services.retry(OLGA, row)
    finish(worker, customer)


def test_without_the_rights_nothing_is_made(customer: Customer, begin: Begin, worker: Worker) -> None:
    row = begin(customer)
    problem = stopped(worker, customer, row)
    assert problem["code"] == "domain_rights_missing"
    assert "Domain.ReadWrite.All and User.ReadWrite.All" in problem["message"]
    assert customer.pretend.added == {}
    allow(customer)
    retry(worker, customer, row)
    assert_ready(customer, row)


def test_without_a_free_licence_nothing_is_made(able: Customer, begin: Begin, worker: Worker) -> None:
    row = begin(able)
    for sku in list(able.pretend.pool):
        able.pretend.pool[sku] = 0
    from simulator.graph.licences import sku_rows

    sku_rows(able.pretend)
    for sku in list(able.pretend.pool):
        able.pretend.pool[sku] = 0
    problem = stopped(worker, able, row)
    assert problem["code"] == "phone_licence_missing"
    assert "all are taken (SPE_E5" in problem["message"]
    assert able.pretend.added == {}
    for sku in able.pretend.pool:
        able.pretend.pool[sku] = 100
    retry(worker, able, row)
    assert_ready(able, row)


def test_a_name_of_another_organisation(
    able: Customer, add_customer: Callable[..., Customer], begin: Begin, worker: Worker
) -> None:
    other = add_customer("Somebody")
    able.microsoft.state.domains[NAME] = other.pretend
    row = begin(able)
    assert stopped(worker, able, row)["code"] == "domain_taken"
    assert reread(row).domain_made is False
    del able.microsoft.state.domains[NAME]
    retry(worker, able, row)
    assert_ready(able, row)


def test_proven_elsewhere_meanwhile(able: Customer, begin: Begin, worker: Worker) -> None:
    able.microsoft.dns.set({"lag": 3600})
    row = begin(able)
    for _ in range(2):
        one_look(worker, able)
    able.microsoft.dns.put(NAME, "x")
    able.microsoft.dns.set({"lag": 0})
    able.microsoft.dns.put(NAME, reread(row).text)
    able.microsoft.state.domains[NAME] = able.pretend
    assert stopped(worker, able, row)["code"] == "domain_taken"


@pytest.mark.parametrize(("trouble", "code"), [("refuse", "dns_refused"), ("key", "dns_key_refused")])
def test_a_name_server_that_says_no(
    able: Customer, begin: Begin, worker: Worker, trouble: str, code: str
) -> None:
    able.microsoft.dns.set({"trouble": trouble})
    row = begin(able)
    problem = stopped(worker, able, row)
    assert problem["code"] == code
    assert zone_secret() not in str(problem)
    able.microsoft.dns.set({"trouble": ""})
    retry(worker, able, row)
    assert_ready(able, row)


def test_a_silent_name_server_is_asked_again(
    able: Customer, begin: Begin, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "DEADLINE", 0.2)
    able.microsoft.dns.set({"trouble": "silent"})
    row = begin(able)
    one_look(worker, able)
    row = reread(row)
    assert (row.step, row.problem) == ("write", None)
    assert "does not answer" in row.waiting
    able.microsoft.dns.set({"trouble": ""})
    monkeypatch.setattr(records, "DEADLINE", 5.0)
    finish(worker, able)
    assert_ready(able, row)


def test_past_its_time_a_person_must_look(able: Customer, begin: Begin, worker: Worker) -> None:
    able.microsoft.dns.set({"lag": 360_000})
    row = begin(able)
    for _ in range(2):
        one_look(worker, able)
    with scope.one(able.tenant.id):
        CustomDomain.objects.filter(id=row.id).update(step_since=timezone.now() - dt.timedelta(hours=3))
    problem = stopped(worker, able, row)
    assert problem["code"] == "domain_late"
    assert "within 2 hours" in problem["message"]
    assert "0 of 1 name servers" in problem["message"]
    able.microsoft.dns.set({"lag": 0})
    able.microsoft.dns.put(NAME, reread(row).text)
    retry(worker, able, row)
    assert_ready(able, row)


def test_a_role_taken_away_half_way_does_not_blame_the_connection(
    able: Customer, begin: Begin, worker: Worker
) -> None:
    able.trouble("error", path="assignLicense", status=403, code="Authorization_RequestDenied", when="before")
    row = begin(able)
    problem = stopped(worker, able, row)
    assert (problem["code"], problem["scope"]) == ("domain_rights_missing", "target")
    able.heal()
    retry(worker, able, row)
    assert_ready(able, row)


def test_cancelled_it_stops_and_can_be_taken_up(able: Customer, begin: Begin, worker: Worker) -> None:
    able.microsoft.dns.set({"lag": 360_000})
    row = begin(able)
    one_look(worker, able)
    with scope.one(able.tenant.id):
        services.cancel(OLGA, row)
    command = finish(worker, able)[services.PROVISION]
    assert command.state == State.CANCELLED
    row = reread(row)
    assert row.state == DomainState.CANCELLED
    able.microsoft.dns.set({"lag": 0})
    able.microsoft.dns.put(NAME, row.text)
    retry(worker, able, row)
    assert_ready(able, row)


def test_cancelled_while_a_step_is_out(
    able: Customer, begin: Begin, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = far.add
    row = begin(able)

    def add(*args: Any) -> Any:
        with scope.one(able.tenant.id):
            services.cancel(OLGA, row)
        return real(*args)

    monkeypatch.setattr(far, "add", add)
    command = finish(worker, able)[services.PROVISION]
    assert command.state == State.CANCELLED
    assert reread(row).state == DomainState.CANCELLED


def test_a_zone_without_a_key_means_by_hand(zone: DnsZone, able: Customer, begin: Begin) -> None:
    services.set_zone(OLGA, name=ZONE, lookup_servers=zone.lookup_servers)
    assert begin(able).by_hand is True
