"""What is on a customer's registration, which service uses it, and that a renewal leaves another service's alone."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.utils import timezone

from accounts import installation
from audit.models import Entry
from authstatus import registration_keys
from authstatus.models import QoeIntegration, RegistrationKey
from core.errors import InvalidInput, NotFound
from m365 import identity
from replication.models import Command, State
from tenants import scope, secrets
from tenants.models import Connection, SecretKind
from tests.authstatus.renewing import (
    OLGA,
    another,
    app_of,
    at_microsoft,
    connection,
    finish,
    let_it_renew,
    renew,
    stored,
)
from tests.cast import Cast
from tests.directory.pretend import Customer, Worker, code_of
from tests.pages.helpers import SignIn, post, text_of, url

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_overlap(settings: LazySettings) -> Iterator[None]:
    settings.SECRET_OVERLAP_SECONDS = 0
    identity.forget_everything()
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def two(customer: Customer, worker: Worker) -> Customer:
    """Its registration has the portal's secret and another service's, and a check has listed both."""
    let_it_renew(customer)
    another(app_of(customer).registration, "zzz8Q~somebody~elses").name = "Call recorder"
    check(customer, worker)
    return customer


def check(customer: Customer, worker: Worker) -> None:
    command = finish(worker, worker.queue(customer, "verify_credentials"))
    assert command.state == State.SUCCEEDED, (command.message, command.error)


def listed(customer: Customer) -> list[registration_keys.Listed]:
    with scope.one(customer.tenant.id):
        return registration_keys.listed(customer.tenant)


def test_a_check_lists_them_and_tells_ours_from_others(two: Customer) -> None:
    ours, other = listed(two)
    assert (ours.ours, ours.words, ours.removable) == ("in_use", "This portal, in use", False)
    assert (other.ours, other.words, other.removable) == ("", "", True)
    assert other.key.name == "Call recorder"
    assert other.key.expires_at is not None
    assert "zzz" not in str(vars(other.key)), "not even the first characters are kept"


def test_what_a_person_said_outlives_the_next_check(two: Customer, worker: Worker) -> None:
    key_id = listed(two)[1].key.key_id
    with scope.one(two.tenant.id):
        registration_keys.say_service(OLGA, two.tenant, key_id, " Voice   analytics ")
        with pytest.raises(InvalidInput):
            registration_keys.say_service(OLGA, two.tenant, key_id, "x" * 61)
        with pytest.raises(NotFound):
            registration_keys.say_service(OLGA, two.tenant, uuid.uuid4(), "Voice")
        assert Entry.objects.filter(action="registration.key_named", actor_label="Olga").exists()
    check(two, worker)
    assert listed(two)[1].words == "Voice analytics"
    app_of(two).registration.secrets.pop()
    check(two, worker)
    assert len(listed(two)) == 1, "what is gone at Microsoft is gone here"


def test_a_renewal_leaves_a_secret_that_another_service_uses_too(two: Customer, worker: Worker) -> None:
    old = stored(two)
    with scope.one(two.tenant.id):
        registration_keys.say_service(OLGA, two.tenant, listed(two)[0].key.key_id, "Voice")
    command = finish(worker, renew(two))
    assert command.state == State.SUCCEEDED
    assert "stays at Microsoft for Voice" in command.message
    assert stored(two) != old
    assert set(at_microsoft(two)) == {old, stored(two), "zzz8Q~somebody~elses"}


def test_a_renewal_does_not_take_the_qoe_integrations_secret_away(two: Customer, worker: Worker) -> None:
    old = stored(two)
    with scope.one(two.tenant.id):
        secret = secrets.store(two.tenant, SecretKind.CLIENT_SECRET, old, set_by="Olga")
        QoeIntegration(tenant=two.tenant, application_id=connection(two).client_id, secret=secret).save()
    command = finish(worker, renew(two))
    assert "stays at Microsoft for the QOE integration" in command.message
    assert old in at_microsoft(two)
    check(two, worker)
    assert {one.ours for one in listed(two)} == {"in_use", "qoe", ""}


def test_one_that_the_portal_does_not_use_is_removed(two: Customer, worker: Worker) -> None:
    ours, other = listed(two)
    with scope.one(two.tenant.id):
        with pytest.raises(InvalidInput, match="portal itself uses it"):
            registration_keys.remove(OLGA, two.tenant, ours.key.key_id)
        command = registration_keys.remove(OLGA, two.tenant, other.key.key_id)
        again = registration_keys.remove(OLGA, two.tenant, other.key.key_id)
    assert again.id == command.id, "a second click joins the first"
    finish(worker, command)
    assert command.message == "It was removed at Microsoft."
    assert at_microsoft(two) == [stored(two)]
    assert [one.ours for one in listed(two)] == ["in_use"]


def remove(customer: Customer, worker: Worker, value: str) -> Command:
    """Ask for its removal, and let that come to its end."""
    (far_end,) = [one for one in app_of(customer).registration.secrets if one.value == value]
    with scope.one(customer.tenant.id):
        command = registration_keys.remove(OLGA, customer.tenant, uuid.UUID(far_end.key_id))
    return finish(worker, command)


def test_what_may_be_the_portals_own_stays(customer: Customer, worker: Worker) -> None:
    """Of old secrets Microsoft does not even show the first characters, so nobody can tell which is whose."""
    let_it_renew(customer)
    registration, own = app_of(customer).registration, stored(customer)
    another(registration, "zzz8Q~somebody~elses")
    another(registration, "yyy8Q~as~old").hinted = registration.secrets[0].hinted = False
    check(customer, worker)
    assert {(one.ours, one.removable, one.perhaps_ours) for one in listed(customer)} == {("", True, True)}
    refused = remove(customer, worker, own)
    assert code_of(refused) == "invalid_input"
    assert "may be the one that the portal signs in with; renew that first" in refused.message
    assert code_of(remove(customer, worker, "yyy8Q~as~old")) == "invalid_input"
    assert remove(customer, worker, "zzz8Q~somebody~elses").state == State.SUCCEEDED
    assert set(at_microsoft(customer)) == {own, "yyy8Q~as~old"}
    assert "could not be told apart" in finish(worker, renew(customer)).message
    check(customer, worker)
    assert not any(one.perhaps_ours for one in listed(customer))
    for value in (own, "yyy8Q~as~old"):
        assert remove(customer, worker, value).state == State.SUCCEEDED
    assert at_microsoft(customer) == [stored(customer)]


def test_what_may_be_the_qoe_integrations_stays(two: Customer, worker: Worker) -> None:
    app_of(two).registration.secrets[1].hinted = False
    with scope.one(two.tenant.id):
        secret = secrets.store(two.tenant, SecretKind.CLIENT_SECRET, "zzz8Q~somebody~elses", set_by="Olga")
        QoeIntegration(tenant=two.tenant, application_id=connection(two).client_id, secret=secret).save()
    refused = remove(two, worker, "zzz8Q~somebody~elses")
    assert "may be the password of the QOE integration; enter another there first" in refused.message
    assert len(at_microsoft(two)) == 2
    with scope.one(two.tenant.id):
        QoeIntegration.objects.update(application_id=uuid.uuid4())  # then it is on another registration
    assert remove(two, worker, "zzz8Q~somebody~elses").state == State.SUCCEEDED


def test_one_that_came_into_use_meanwhile_stays(two: Customer, worker: Worker) -> None:
    _, other = listed(two)
    with scope.one(two.tenant.id):
        command = registration_keys.remove(OLGA, two.tenant, other.key.key_id)
        secret = connection(two).secret
        assert secret is not None
        type(secret).objects.filter(id=secret.id).update(microsoft_id=other.key.key_id)
    finish(worker, command)
    assert code_of(command) == "invalid_input"
    assert len(at_microsoft(two)) == 2


def test_an_app_that_may_not_change_itself_is_told(two: Customer, worker: Worker) -> None:
    app_of(two).registration.owners.clear()
    with scope.one(two.tenant.id):
        command = registration_keys.remove(OLGA, two.tenant, listed(two)[1].key.key_id)
    assert code_of(finish(worker, command)) == "registration_not_ours"
    assert len(at_microsoft(two)) == 2


def test_it_is_done_on_the_page(cast: Cast, client_of: SignIn) -> None:
    adam, home = client_of(cast.adam), url(cast.contoso, "registration/")
    assert "Microsoft has not listed them yet" in text_of(adam, home)
    with scope.one(cast.contoso.id):
        row = _key(cast.contoso, "Recorder")
    assert "nobody has said" in text_of(adam, home)
    path = f"{home}keys/{row.key_id}/"
    assert "Who uses Recorder?" in text_of(adam, path)
    post(adam, path, {"service": "Voice"})
    assert "Voice" in text_of(adam, home)
    asked = text_of(adam, f"{path}remove/")
    assert "Voice can not sign in" in asked
    assert "It is not known which one here" in asked
    post(adam, f"{path}remove/", {})
    with scope.one(cast.contoso.id):
        assert Command.objects.filter(kind=registration_keys.REMOVE, target=str(row.key_id)).count() == 1
    post(client_of(cast.vera), path, {"service": "x"}, status=403)
    assert client_of(cast.adam).get(f"{home}keys/{uuid.uuid4()}/").status_code == 404


def _key(tenant: Any, name: str) -> RegistrationKey:
    row = RegistrationKey(
        tenant=tenant,
        client_id=Connection.objects.get(tenant=tenant).client_id,
        key_id=uuid.uuid4(),
        kind=SecretKind.CLIENT_SECRET,
        name=name,
        seen_at=timezone.now(),
    )
    row.save()
    return row
