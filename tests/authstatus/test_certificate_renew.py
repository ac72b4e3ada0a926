"""A certificate is renewed as a secret is: a pair made here, sealed before Microsoft hears of it, proven, used."""

import datetime as dt
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from cryptography import x509
from django.conf import LazySettings
from django.utils import timezone

from accounts import installation
from authstatus import registration_keys, registrations
from core.errors import InvalidInput, UmpError
from m365 import identity
from m365 import registrations as far
from replication.models import Command, State
from simulator.apps import Certificate
from tenants import scope, secrets, services
from tenants.access import SYSTEM
from tenants.credentials import Given, new_certificate
from tenants.models import Cloud, Connection, Secret, SecretKind, Standby, StandbyRole
from tests.authstatus.renewing import (
    OLGA,
    OWNED,
    app_of,
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
OLD = new_certificate("the old one", timezone.now() + dt.timedelta(days=40))


@pytest.fixture(autouse=True)
def _no_overlap(settings: LazySettings) -> Iterator[None]:
    settings.SECRET_OVERLAP_SECONDS = 0
    identity.forget_everything()
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def certified(customer: Customer) -> Customer:
    """It signs in with a certificate that somebody uploaded, and its app may change its own registration."""
    registration = app_of(customer).registration
    registration.certificates, registration.secrets = [Certificate.from_pem(OLD.certificate)], []
    with scope.one(customer.tenant.id):
        services.set_connection(
            SYSTEM,
            customer.tenant,
            cloud=Cloud.GLOBAL,
            client_id=uuid.UUID(registration.client_id),
            certificate=OLD.certificate,
            private_key=OLD.value,
        )
    let_it_renew(customer)
    return customer


def at_microsoft(customer: Customer) -> list[str]:
    """Thumbprints."""
    return [str(one.shown()["customKeyIdentifier"]) for one in app_of(customer).registration.certificates]


def thumbprint(pem: str) -> str:
    return str(Certificate.from_pem(pem).shown()["customKeyIdentifier"])


def assert_renewed(customer: Customer) -> None:
    """One certificate at Microsoft, a new one, whose key is the one that is used; nothing waits any more."""
    row = connection(customer)
    assert at_microsoft(customer) == [thumbprint(row.certificate)]
    assert stored(customer) != OLD.value
    identity._check_pair(row.certificate, stored(customer), "the app")
    with scope.one(customer.tenant.id):
        assert not Standby.objects.exists()
        secret = Secret.objects.get()
    (far_end,) = app_of(customer).registration.certificates
    assert (secret.kind, str(secret.microsoft_id)) == (SecretKind.CERTIFICATE_KEY, far_end.key_id)
    assert secret.expires_at is not None
    assert abs(secret.expires_at.timestamp() - far_end.ends) < 1


def two_steps(worker: Worker) -> None:
    """The pair is made; its certificate is added."""
    worker.step()
    worker.step()


def test_a_pair_is_made_here_proven_and_used(certified: Customer, worker: Worker) -> None:
    command = renew(certified)
    two_steps(worker)
    assert len(at_microsoft(certified)) == 2
    assert stored(certified) == OLD.value, "not proven yet"
    finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert command.message == "The certificate was renewed, and the old one removed."
    assert_renewed(certified)
    public = x509.load_pem_x509_certificate(connection(certified).certificate.encode())
    assert 1090 < (public.not_valid_after_utc - timezone.now()).days < 1097, "36 months"
    assert stored(certified) not in " ".join(step["text"] for step in steps(command))
    run_everything(worker)
    assert worker.run(certified, "verify_credentials").state == State.SUCCEEDED


@pytest.mark.parametrize("at", range(1, 9))
def test_killed_at_any_checkpoint(
    certified: Customer, worker: Worker, dies: Callable[[int], None], at: int
) -> None:
    command = renew(certified)
    dies(at)
    try:
        finish(worker, command)
    except Killed:
        dies(0)
        worker.take_back()
        finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(certified)


@pytest.mark.parametrize("name", ["add_certificate", "remove_certificate"])
def test_killed_after_the_write_and_before_the_checkpoint(
    certified: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = getattr(far, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Killed

    command = renew(certified)
    monkeypatch.setattr(far, name, deadly)
    with pytest.raises(Killed):
        finish(worker, command)
    monkeypatch.setattr(far, name, real)
    worker.take_back()
    finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(certified)


def test_a_reply_that_was_lost_adds_no_second_one(certified: Customer, worker: Worker) -> None:
    certified.trouble("drop", when="after", path="addKey", count=1)
    command = finish(worker, renew(certified))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(certified)


def test_what_was_discarded_meanwhile_is_removed_by_the_next_run(certified: Customer, worker: Worker) -> None:
    first = renew(certified)
    two_steps(worker)
    worker.cancel(first)
    with scope.one(certified.tenant.id):
        registrations.forget_waiting(SYSTEM, certified.tenant)
    assert len(at_microsoft(certified)) == 2
    command = finish(worker, renew(certified))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(certified)


def test_what_is_left_of_an_earlier_renewal_is_no_renewal(certified: Customer, worker: Worker) -> None:
    first = renew(certified)
    two_steps(worker)
    worker.wait_is_over(first)
    worker.step()
    worker.cancel(first)
    leaked = stored(certified)
    assert leaked != OLD.value
    assert len(at_microsoft(certified)) == 2
    command = finish(worker, renew(certified))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert stored(certified) != leaked
    assert_renewed(certified)


def test_one_that_never_works_is_taken_away_again(
    certified: Customer, worker: Worker, settings: LazySettings
) -> None:
    certified.pretend.behaviour.secret_delay = 3600
    settings.SECRET_PROPAGATION_SECONDS = 0
    command = finish(worker, renew(certified))
    assert code_of(command) == "secret_not_in_force"
    assert "new certificate" in command.message
    assert at_microsoft(certified) == [thumbprint(OLD.certificate)]
    assert stored(certified) == OLD.value
    with scope.one(certified.tenant.id):
        assert not Standby.objects.exists()


def test_a_shorter_life_is_asked_for_where_the_rules_want_it(certified: Customer, worker: Worker) -> None:
    certified.pretend.behaviour.secret_max_days = 190
    command = finish(worker, renew(certified))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(certified)
    (far_end,) = app_of(certified).registration.certificates
    assert 180 <= (far_end.ends - certified.now()) / 86_400 <= 183, "six months"


def test_a_pair_that_could_not_be_sealed_never_reaches_microsoft(
    certified: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any, **kwargs: Any) -> Any:
        raise UmpError.of("key_unavailable")

    monkeypatch.setattr(secrets, "store", fails)
    command = finish(worker, renew(certified))
    assert code_of(command) == "key_unavailable"
    assert at_microsoft(certified) == [thumbprint(OLD.certificate)]


@pytest.mark.parametrize("steps", [1, 2])
def test_a_secret_entered_meanwhile_counts_and_the_new_certificate_goes(
    certified: Customer, worker: Worker, steps: int
) -> None:
    command = renew(certified)
    for _ in range(steps):
        worker.step()
    registration = app_of(certified).registration
    by_hand = registration.set_secret("abc8Q~entered~by~hand~and~long~enough", now=certified.now())
    with scope.one(certified.tenant.id):
        services.set_connection(
            SYSTEM,
            certified.tenant,
            cloud=Cloud.GLOBAL,
            client_id=uuid.UUID(registration.client_id),
            client_secret=by_hand.value,
        )
    finish(worker, command)
    assert stored(certified) == by_hand.value
    assert "changed meanwhile" in command.message
    assert at_microsoft(certified) == [thumbprint(OLD.certificate)]


def test_one_that_has_ended_is_refused_in_words(certified: Customer, worker: Worker) -> None:
    with scope.one(certified.tenant.id):
        Secret.objects.update(expires_at=timezone.now() - dt.timedelta(days=1))
        with pytest.raises(InvalidInput, match="only from who holds a valid one"):
            registrations.renew(SYSTEM, certified.tenant)


def test_an_app_that_may_not_is_told_what_is_missing(certified: Customer, worker: Worker) -> None:
    principal = app_of(certified).principal
    principal.grant([name for name in principal.granted() if name != OWNED], 0.0)
    command = finish(worker, renew(certified))
    assert code_of(command) == "registration_not_ours"
    assert at_microsoft(certified) == [thumbprint(OLD.certificate)]


def test_a_check_has_one_renewed_in_time_and_the_bad_day_takes_it_along(
    certified: Customer, worker: Worker
) -> None:
    installation.change(SYSTEM, "renew_before_days", 60)
    worker.queue(certified, "verify_credentials")
    run_everything(worker)
    assert_renewed(certified)
    with scope.every("a test looks"):
        assert registrations.count_renewable() == (1, 0)


def test_the_waiting_pair_is_sealed_and_its_row_says_so(certified: Customer, worker: Worker) -> None:
    renew(certified)
    worker.step()
    with scope.one(certified.tenant.id):
        candidate = Standby.objects.select_related("secret").get(role=StandbyRole.CANDIDATE)
        assert candidate.secret is not None
        assert Connection.objects.get().certificate == OLD.certificate.strip()
        assert Command.objects.get().state == State.QUEUED
    assert b"PRIVATE" not in bytes(candidate.secret.sealed)
    assert candidate.certificate.startswith("-----BEGIN CERTIFICATE")


def test_a_made_pair_belongs_together() -> None:
    ends = timezone.now() + dt.timedelta(days=1)
    made = new_certificate("ump 12345678", ends)
    assert Given.read("", made.certificate, made.value, None) == Given(
        SecretKind.CERTIFICATE_KEY, made.value, made.certificate.strip(), made.expires_at
    )
    assert made.expires_at is not None
    assert abs(made.expires_at - ends) < dt.timedelta(seconds=1)
    assert made.value not in repr(made)


def test_one_that_may_be_the_portals_own_is_not_removed(
    certified: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what identifies it at Microsoft nobody can tell, when somebody chose that himself."""
    shown = Certificate.shown
    monkeypatch.setattr(Certificate, "shown", lambda one: shown(one) | {"customKeyIdentifier": "0A0B"})
    other = Certificate.from_pem(
        new_certificate("another's", timezone.now() + dt.timedelta(days=90)).certificate
    )
    app_of(certified).registration.certificates.append(other)
    assert finish(worker, worker.queue(certified, "verify_credentials")).state == State.SUCCEEDED
    with scope.one(certified.tenant.id):
        listed = registration_keys.listed(certified.tenant)
        assert [(one.ours, one.removable, one.perhaps_ours) for one in listed] == 2 * [("", True, True)]
        commands = [registration_keys.remove(OLGA, certified.tenant, one.key.key_id) for one in listed]
    for command in commands:
        refused = finish(worker, command)
        assert code_of(refused) == "invalid_input"
        assert "may be the one that the portal signs in with; renew that first" in refused.message
    assert len(app_of(certified).registration.certificates) == 2
