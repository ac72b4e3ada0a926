"""A client secret is renewed without a gap, and wherever a worker dies, Microsoft is left with no secret too many."""

import datetime as dt
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from accounts import installation
from audit.models import Entry
from authstatus import registrations, renewal
from core.errors import InvalidInput, UmpError
from m365 import identity
from m365 import registrations as far
from replication.models import Command, State
from simulator.registrations import add_app
from tenants import scope, secrets, services
from tenants.access import SYSTEM
from tenants.models import AppOwner, Cloud, Connection, Standby, StandbyRole
from tests.authstatus.renewing import (
    OLGA,
    OWNED,
    another,
    app_of,
    assert_renewed,
    at_microsoft,
    call_off,
    connection,
    finish,
    let_it_renew,
    renew,
    run_everything,
    steps,
    stored,
)
from tests.directory.pretend import Customer, Killed, Worker, code_of

pytestmark = pytest.mark.django_db
AddCustomer = Callable[..., Customer]


@pytest.fixture(autouse=True)
def _no_overlap(settings: LazySettings) -> Iterator[None]:
    settings.SECRET_OVERLAP_SECONDS = 0
    identity.forget_everything()  # pretend tenants have the same ids in every test
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def renewable(customer: Customer) -> Customer:
    """Its app may change its own registration, and is an owner of it."""
    let_it_renew(customer)
    return customer


def test_a_secret_is_added_proven_used_and_the_old_one_removed(renewable: Customer, worker: Worker) -> None:
    old = stored(renewable)
    command = renew(renewable)
    worker.step()
    assert len(at_microsoft(renewable)) == 2
    assert stored(renewable) == old, "not proven yet"
    with scope.one(renewable.tenant.id):
        candidate = Standby.objects.select_related("secret").get(role=StandbyRole.CANDIDATE)
    assert candidate.secret is not None
    assert candidate.secret.set_by == "Olga"
    worker.wait_is_over(command)
    worker.step()
    assert stored(renewable) != old, "proven and in use, the old one still there for what is under way"
    assert len(at_microsoft(renewable)) == 2
    finish(worker, command)
    assert command.state == State.SUCCEEDED
    assert_renewed(renewable, old)
    assert connection(renewable).usable, "nothing had to wait"
    secret = connection(renewable).secret
    assert secret is not None
    assert secret.expires_at is not None
    assert 1090 < (secret.expires_at - timezone.now()).days < 1097, "36 months"
    with scope.one(renewable.tenant.id):
        assert ("connection.secret_renewed", "Olga") in Entry.objects.values_list("action", "actor_label")
    told = " ".join(step["text"] for step in steps(command))
    assert stored(renewable) not in told


@pytest.mark.parametrize("name", ["add_secret", "remove_secret"])
def test_killed_after_the_write_and_before_the_checkpoint(
    renewable: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old = stored(renewable)
    real = getattr(far, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Killed

    command = renew(renewable)
    monkeypatch.setattr(far, name, deadly)
    with pytest.raises(Killed):
        finish(worker, command)
    monkeypatch.setattr(far, name, real)
    worker.take_back()
    finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, old)


@pytest.mark.parametrize("at", range(1, 8))
def test_killed_at_any_checkpoint(
    renewable: Customer, worker: Worker, dies: Callable[[int], None], at: int
) -> None:
    old = stored(renewable)
    command = renew(renewable)
    dies(at)
    try:
        finish(worker, command)
    except Killed:
        dies(0)
        worker.take_back()
        finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, old)


def test_what_one_command_left_another_finishes(
    renewable: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = stored(renewable)
    first = renew(renewable)
    worker.step()
    worker.cancel(first)
    second = finish(worker, renew(renewable))
    assert second.state == State.SUCCEEDED
    assert_renewed(renewable, old)


def left_at_the_overlap(customer: Customer, worker: Worker) -> None:
    """A renewal that is cancelled after the switch: the new secret is in use, and the old one still there."""
    first = renew(customer)
    worker.step()
    worker.wait_is_over(first)
    worker.step()
    worker.cancel(first)


def test_what_is_left_of_an_earlier_renewal_is_no_renewal(renewable: Customer, worker: Worker) -> None:
    left_at_the_overlap(renewable, worker)
    leaked = stored(renewable)
    assert len(at_microsoft(renewable)) == 2
    second = finish(worker, renew(renewable))
    assert second.state == State.SUCCEEDED, (second.message, second.error)
    assert second.message == "The client secret was renewed, and the old one removed."
    assert_renewed(renewable, leaked)


def test_a_renewal_goes_on_after_a_removal_that_failed(
    renewable: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Repeated by a person, the one that switched is another command: it begins anew, and says what is true."""
    real = far.remove_secret

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise UmpError.of("registration_not_ours", app="it", permission="x", tenant="Contoso")

    monkeypatch.setattr(far, "remove_secret", fails)
    first = finish(worker, renew(renewable))
    assert code_of(first) == "registration_not_ours"
    middle = stored(renewable)
    monkeypatch.setattr(far, "remove_secret", real)
    second = finish(worker, renew(renewable))
    assert second.state == State.SUCCEEDED, (second.message, second.error)
    assert_renewed(renewable, middle)


def enter(customer: Customer, client_id: str, value: str) -> None:
    """Somebody enters a secret by hand."""
    with scope.one(customer.tenant.id):
        services.set_connection(
            SYSTEM,
            customer.tenant,
            cloud=Cloud.GLOBAL,
            client_id=uuid.UUID(client_id),
            client_secret=value,
        )
    identity.forget_everything()


def other_app(customer: Customer, worker: Worker) -> Any:
    """Beside what a renewal left lies another app now, which somebody entered by hand; the old one is given back."""
    left_at_the_overlap(customer, worker)
    old = app_of(customer)
    other = add_app(customer.pretend, {"name": "Another"}, customer.now())
    enter(customer, other.client_id, other.secrets[0].value)
    let_it_renew(customer)
    return old


def test_an_app_that_is_gone_does_not_keep_the_one_in_use_from_being_renewed(
    renewable: Customer, worker: Worker
) -> None:
    old = other_app(renewable, worker)
    del renewable.pretend.apps[old.client_id]
    entered = stored(renewable)
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, entered)
    assert any("does not let the portal in any more" in step["text"] for step in steps(command))


def test_an_app_that_may_no_more_does_not_either(renewable: Customer, worker: Worker) -> None:
    old = other_app(renewable, worker)
    old.principal.grant([], 0.0)
    entered = stored(renewable)
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, entered)


def test_at_an_app_that_still_works_the_old_secret_is_removed(renewable: Customer, worker: Worker) -> None:
    first = stored(renewable)
    old = other_app(renewable, worker)
    entered = stored(renewable)
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, entered)
    assert first not in [secret.value for secret in old.secrets]


def test_a_candidate_that_nobody_wants_any_more_is_no_renewal(renewable: Customer, worker: Worker) -> None:
    """Left by an earlier command, before somebody entered a secret by hand: that one is to be renewed."""
    first = renew(renewable)
    worker.step()
    worker.cancel(first)
    registration = app_of(renewable).registration
    by_hand = another(registration, "abc8Q~entered~by~hand")
    enter(renewable, registration.client_id, by_hand.value)
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert stored(renewable) != by_hand.value
    assert by_hand.value not in at_microsoft(renewable)
    assert sum(1 for secret in registration.secrets if (secret.name or "").startswith("ump ")) == 1


def test_the_old_secret_stays_where_it_was_entered_again(renewable: Customer, worker: Worker) -> None:
    old = stored(renewable)
    left_at_the_overlap(renewable, worker)
    enter(renewable, app_of(renewable).client_id, old)
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, old)


def test_a_renewal_that_somebody_discarded_does_not_begin_again(renewable: Customer, worker: Worker) -> None:
    old, command = stored(renewable), renew(renewable)
    worker.step()
    with scope.one(renewable.tenant.id):
        registrations.forget_waiting(OLGA, renewable.tenant)
    finish(worker, command)
    assert "discarded meanwhile" in command.message
    assert stored(renewable) == old
    finish(worker, renew(renewable))
    assert_renewed(renewable, old)


def test_a_secret_that_could_not_be_stored_is_removed_again(
    renewable: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = stored(renewable)

    def fails(*args: Any, **kwargs: Any) -> Any:
        raise UmpError.of("key_unavailable")

    monkeypatch.setattr(secrets, "store", fails)
    command = finish(worker, renew(renewable))
    assert code_of(command) == "key_unavailable"
    assert at_microsoft(renewable) == [old]
    assert stored(renewable) == old


def test_a_reply_that_was_lost_leaves_no_secret_behind(renewable: Customer, worker: Worker) -> None:
    old = stored(renewable)
    trouble = renewable.trouble("drop", when="after", path="addPassword", count=1)
    command = finish(worker, renew(renewable))
    assert trouble is not None
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(renewable, old)


def test_propagation_is_waited_for(renewable: Customer, worker: Worker) -> None:
    renewable.pretend.behaviour.secret_delay = 3600
    old = stored(renewable)
    command = renew(renewable)
    for _ in range(3):
        worker.wait_is_over(command)
        worker.step()
    with scope.every("a test looks"):
        command.refresh_from_db()
    assert (command.state, command.attempts) == (State.QUEUED, 0)
    assert "does not accept the new client secret everywhere yet" in command.message
    assert stored(renewable) == old
    for secret in app_of(renewable).registration.secrets:
        secret.works_from = 0.0
    finish(worker, command)
    assert_renewed(renewable, old)


def test_a_worker_whose_clock_is_ahead_waits_as_long_as_others(
    renewable: Customer, worker: Worker, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How old something is says the database: until Microsoft knows the new one, and while the old one stays."""
    ahead = timezone.now() + dt.timedelta(days=1)
    monkeypatch.setattr(renewal, "timezone", types.SimpleNamespace(now=lambda: ahead))
    settings.SECRET_OVERLAP_SECONDS, old = 600, stored(renewable)
    renewable.pretend.behaviour.secret_delay = 3600
    command = renew(renewable)
    for _ in range(2):
        worker.wait_is_over(command)
        assert worker.step() == State.QUEUED
    for secret in app_of(renewable).registration.secrets:
        secret.works_from = 0.0
    for _ in range(2):
        worker.wait_is_over(command)
        assert worker.step() == State.QUEUED
    assert at_microsoft(renewable) == [old, stored(renewable)]
    settings.SECRET_OVERLAP_SECONDS = 0
    finish(worker, command)
    assert_renewed(renewable, old)


def test_one_that_never_works_is_taken_away_again(
    renewable: Customer, worker: Worker, settings: LazySettings
) -> None:
    renewable.pretend.behaviour.secret_delay = 3600
    settings.SECRET_PROPAGATION_SECONDS = 0
    old = stored(renewable)
    command = finish(worker, renew(renewable))
    assert code_of(command) == "secret_not_in_force"
    assert at_microsoft(renewable) == [old]
    assert stored(renewable) == old
    with scope.one(renewable.tenant.id):
        assert not Standby.objects.exists()


def test_the_longest_life_that_the_rules_allow(renewable: Customer, worker: Worker) -> None:
    renewable.pretend.behaviour.secret_max_days = 190
    old = stored(renewable)
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED
    assert_renewed(renewable, old)
    secret = connection(renewable).secret
    assert secret is not None
    assert secret.expires_at is not None
    assert 180 <= (secret.expires_at - timezone.now()).days <= 183, "six months"
    assert any("do not allow a secret to live 36 months" in step["text"] for step in steps(command))


def test_where_secrets_are_forbidden_a_certificate_is_offered(renewable: Customer, worker: Worker) -> None:
    renewable.pretend.behaviour.secrets_forbidden = True
    old = stored(renewable)
    command = finish(worker, renew(renewable))
    assert code_of(command) == "secret_type_refused"
    assert command.error is not None
    assert "certificate" in command.error["advice"]
    assert at_microsoft(renewable) == [old]


def test_an_app_that_may_not_is_told_what_is_missing(customer: Customer, worker: Worker) -> None:
    command = finish(worker, renew(customer))
    assert code_of(command) == "registration_not_ours"
    assert "Application.ReadWrite.OwnedBy" in command.message
    app = app_of(customer)
    app.principal.grant([*app.principal.granted(), OWNED], 0.0)
    identity.forget_everything()
    command = finish(worker, renew(customer))
    assert code_of(command) == "registration_not_ours"
    assert "owner" in command.message


def test_an_old_secret_among_others_is_known_by_its_first_characters(
    renewable: Customer, worker: Worker
) -> None:
    registration = app_of(renewable).registration
    foreign = another(registration, "zzz8Q~somebody~elses")
    command = finish(worker, renew(renewable))
    assert command.state == State.SUCCEEDED
    assert set(at_microsoft(renewable)) == {foreign.value, stored(renewable)}


def test_an_old_secret_that_cannot_be_told_apart_is_left_and_said_so(
    renewable: Customer, worker: Worker
) -> None:
    registration = app_of(renewable).registration
    another(registration, f"{registration.secrets[0].value[:3]}~of~somebody~else")
    command = finish(worker, renew(renewable))
    assert (command.state, command.outcome) == (State.SUCCEEDED, "partial")
    assert "could not be told apart" in command.message
    assert len(at_microsoft(renewable)) == 3


def test_a_secret_entered_meanwhile_counts(renewable: Customer, worker: Worker) -> None:
    registration = app_of(renewable).registration
    command = renew(renewable)
    worker.step()
    by_hand = another(registration, "abc8Q~entered~by~hand")
    with scope.one(renewable.tenant.id):
        client_id = Connection.objects.get().client_id
        services.set_connection(
            SYSTEM, renewable.tenant, cloud=Cloud.GLOBAL, client_id=client_id, client_secret=by_hand.value
        )
    finish(worker, command)
    assert stored(renewable) == by_hand.value
    assert "changed meanwhile" in command.message
    assert not any(secret.name and secret.name.startswith("ump ") for secret in registration.secrets)


def test_what_the_portal_cannot_renew_is_refused(customer: Customer) -> None:
    with scope.one(customer.tenant.id):
        Connection.objects.filter(tenant=customer.tenant).update(app_owner=AppOwner.PROVIDER)
        with pytest.raises(InvalidInput, match="provider"):
            registrations.renew(OLGA, customer.tenant)


# --- The bad day --------------------------------------------------------------------------------------------
def test_everybodys_secret_is_renewed(add_customer: AddCustomer, worker: Worker) -> None:
    customers = [add_customer(name) for name in ("Contoso", "Fabrikam", "Northwind")]
    for one in customers[:2]:
        let_it_renew(one)
    old = {one.tenant.name: stored(one) for one in customers}
    run = registrations.renew_all(OLGA)
    run_everything(worker)
    with scope.every("a test looks"):
        run.refresh_from_db()
    assert (run.state, run.outcome) == (State.SUCCEEDED, "partial")
    assert run.result == {"renewed": 2, "not renewed": 1}
    for one in customers[:2]:
        assert_renewed(one, old[one.tenant.name])
    assert stored(customers[2]) == old["Northwind"]


def test_cancelling_the_run_stops_those_that_have_not_begun(
    add_customer: AddCustomer, worker: Worker
) -> None:
    customers = [add_customer(name) for name in ("Contoso", "Fabrikam")]
    old = [stored(one) for one in customers]
    run = registrations.renew_all(OLGA)
    worker.step()
    call_off(run)
    run_everything(worker)
    assert [stored(one) for one in customers] == old
    with scope.every("a test looks"):
        told = set(Command.objects.filter(kind=registrations.RENEW).values_list("message", flat=True))
    assert len(told) == 1
    assert "was cancelled before it came to this one" in told.pop()


def test_cancelling_the_run_leaves_what_an_earlier_renewal_left(renewable: Customer, worker: Worker) -> None:
    left_at_the_overlap(renewable, worker)
    before = at_microsoft(renewable)
    run = registrations.renew_all(OLGA)
    worker.step()
    call_off(run)
    run_everything(worker)
    assert at_microsoft(renewable) == before
    with scope.every("a test looks"):
        told = Command.objects.filter(kind=registrations.RENEW).latest("id").message
    assert told.startswith("Nothing was changed")


def test_a_check_reads_when_the_secret_really_ends(renewable: Customer, worker: Worker) -> None:
    (far_end,) = app_of(renewable).registration.secrets
    command = worker.run(renewable, "verify_credentials")
    assert command.state == State.SUCCEEDED
    secret = connection(renewable).secret
    assert secret is not None
    assert secret.expires_at is not None
    assert secret.ends_read_at is not None
    assert abs(secret.expires_at.timestamp() - far_end.ends) < 1
    assert str(secret.microsoft_id) == far_end.key_id
    with scope.one(renewable.tenant.id):
        assert not Command.objects.filter(kind=registrations.RENEW).exists(), "it has years to live"


@pytest.mark.parametrize(("days", "renewed"), [(20, True), (40, False)])
def test_a_check_has_a_secret_renewed_in_time(
    renewable: Customer, worker: Worker, days: int, renewed: bool
) -> None:
    (far_end,) = app_of(renewable).registration.secrets
    far_end.ends = renewable.now() + days * 86_400
    old = stored(renewable)
    worker.queue(renewable, "verify_credentials")
    run_everything(worker)
    if renewed:
        assert_renewed(renewable, old)
    assert (stored(renewable) != old) == renewed
