"""A registration is made in the customer's tenant and the customer taken over to it, wherever a worker dies."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from accounts import installation
from authstatus import keys_on_file, registrations
from authstatus.registration_creation import ASKED_FOR, TEAMS_ADMINISTRATOR
from m365 import identity
from m365 import registrations as far
from replication.models import Command, State
from simulator.permissions import GRAPH_APP
from tenants import scope, secrets
from tenants.access import Actor
from tenants.models import AppOwner, Connection, Method, ProviderApp, Secret, Standby
from tests.authstatus.test_delegated import Stage, stage
from tests.directory.pretend import Customer, Killed, Worker, code_of
from tests.pages.helpers import SignIn

__all__ = ["stage"]  # a fixture
pytestmark = pytest.mark.django_db
OLGA = Actor(kind="person", id="o", label="Olga")
RIGHTS = (
    "Application.ReadWrite.All",
    "AppRoleAssignment.ReadWrite.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
)


@pytest.fixture(autouse=True)
def _as_in_life(settings: LazySettings) -> Iterator[None]:
    settings.CONSENT_PROPAGATION_SECONDS = 0
    identity.forget_everything()
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def able(customer: Customer) -> Customer:
    """The way in that is used now may register apps."""
    allow(customer, RIGHTS)
    return customer


def allow(customer: Customer, rights: tuple[str, ...]) -> None:
    app = customer.pretend.apps[str(connection(customer).client_id)]
    assert app.principal is not None
    app.principal.grant([*app.principal.granted(), *rights], 0.0)


def connection(customer: Customer) -> Connection:
    with scope.one(customer.tenant.id):
        found: Connection = Connection.objects.select_related("secret", "secret__key").get(
            tenant=customer.tenant
        )
        return found


def create(customer: Customer, **more: Any) -> Command:
    with scope.one(customer.tenant.id):
        return registrations.create(OLGA, customer.tenant, **more)


def finish(worker: Worker, customer: Customer, most: int = 60) -> dict[str, Command]:
    """Everything that is due or waits is carried out; the commands by kind."""
    for _ in range(most):
        with scope.every("a test's worker"):
            waiting = list(Command.objects.filter(state=State.QUEUED))
        if not waiting:
            with scope.one(customer.tenant.id):
                return {command.kind: command for command in Command.objects.order_by("id")}
        for command in waiting:
            worker.wait_is_over(command)
        worker.step()
    raise AssertionError("it does not come to an end")


def made(customer: Customer) -> list[Any]:
    """The apps at Microsoft that the portal made."""
    mark = keys_on_file.marker(customer.tenant.id)
    return [
        app
        for app in customer.pretend.apps.values()
        if mark in app.registration.properties.get("tags", ()) and not app.registration.deleted
    ]


def assert_taken_over(customer: Customer) -> Any:
    """One registration, one principal, one secret, the permissions once; and it is what is used."""
    (app,) = made(customer)
    assert app.principal is not None
    assert sorted(app.principal.granted()) == sorted(ASKED_FOR)
    assert app.principal.object_id in app.registration.owners
    now = connection(customer)
    assert (str(now.client_id), now.app_owner, now.usable) == (app.client_id, AppOwner.CUSTOMER, True)
    assert now.secret is not None
    with scope.one(customer.tenant.id):
        assert [secret.value for secret in app.registration.secrets] == [secrets.open_secret(now.secret)]
        assert Secret.objects.count() == 1
        assert not Standby.objects.exists()
    assert str(now.secret.microsoft_id) == app.registration.secrets[0].key_id
    return app


def test_it_is_made_proven_and_used(able: Customer, worker: Worker) -> None:
    create(able)
    commands = finish(worker, able)
    assert commands[registrations.CREATE].state == State.SUCCEEDED, commands[registrations.CREATE].message
    assert commands[registrations.MIGRATE].state == State.SUCCEEDED, commands[registrations.MIGRATE].message
    app = assert_taken_over(able)
    shown = app.registration.shown()
    assert shown["signInAudience"] == "AzureADMyOrg"
    assert shown["web"]["redirectUris"] == ["http://localhost:8000/authenticate/OAuth2Callback"]
    assert not any(shown["web"].get("implicitGrantSettings", {}).values())
    assert TEAMS_ADMINISTRATOR not in able.pretend.directory_roles.get(app.principal.object_id, [])


def test_for_voice_it_gets_the_directory_role(able: Customer, worker: Worker) -> None:
    create(able, voice=True)
    finish(worker, able)
    app = assert_taken_over(able)
    assert able.pretend.directory_roles[app.principal.object_id] == [TEAMS_ADMINISTRATOR]


WRITES = (
    "create", "create_principal", "grant_role", "grant_scopes", "add_owner", "give_directory_role", "add_secret",
)  # fmt: skip


@pytest.mark.parametrize("name", WRITES)
def test_killed_after_the_write_and_before_the_checkpoint(
    able: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = getattr(far, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Killed

    create(able, voice=True)
    monkeypatch.setattr(far, name, deadly)
    with pytest.raises(Killed):
        finish(worker, able)
    monkeypatch.setattr(far, name, real)
    worker.take_back()
    commands = finish(worker, able)
    assert commands[registrations.CREATE].state == State.SUCCEEDED, commands[registrations.CREATE].message
    assert_taken_over(able)


@pytest.mark.parametrize("at", range(1, 14, 3))
def test_killed_at_any_checkpoint(
    able: Customer, worker: Worker, dies: Callable[[int], None], at: int
) -> None:
    create(able)
    dies(at)
    try:
        finish(worker, able)
    except Killed:
        dies(0)
        worker.take_back()
        finish(worker, able)
    assert_taken_over(able)


def test_a_command_that_ended_half_way_is_taken_up_by_the_next(able: Customer, worker: Worker) -> None:
    trouble = able.trouble("error", path="addPassword", status=400, code="Request_BadRequest")
    command = create(able)
    for _ in range(3):
        worker.wait_is_over(command)
        worker.step()
    worker.cancel(command)
    (app,) = made(able)
    app.registration.name = "Renamed by a person"
    assert trouble
    able.heal()
    create(able)
    finish(worker, able)
    assert_taken_over(able)


def test_slow_microsoft_is_waited_for(able: Customer, worker: Worker) -> None:
    able.pretend.behaviour.create_delay = 3600
    command = create(able)
    for _ in range(4):
        worker.wait_is_over(command)
        worker.step()
    with scope.every("a test looks"):
        command.refresh_from_db()
    assert (command.state, command.attempts) == (State.QUEUED, 0), command.message
    assert "everywhere yet" in command.message
    able.pretend.behaviour.create_delay = 0
    for app in able.pretend.apps.values():
        app.registration.seen_from = 0.0
        if app.principal is not None:
            app.principal.seen_from = 0.0
    finish(worker, able)
    assert_taken_over(able)


def test_without_the_rights_nothing_is_changed(customer: Customer, worker: Worker) -> None:
    create(customer)
    command = finish(worker, customer)[registrations.CREATE]
    assert code_of(command) == "permission_missing"
    assert "AppRoleAssignment.ReadWrite.All" in command.message
    assert made(customer) == []
    allow(customer, RIGHTS[:2])
    identity.forget_everything()
    create(customer, voice=True)
    command = finish(worker, customer)[registrations.CREATE]
    assert (command.state, command.outcome) == (State.SUCCEEDED, "partial"), "what is not vital is left out"
    (app,) = made(customer)
    assert str(connection(customer).client_id) == app.client_id


def test_through_an_administrator_who_signed_in(stage: Stage, client_of: SignIn, worker: Worker) -> None:
    """The provider's app speaks for the customer's administrator; the customer ends with an app of its own."""
    tenant, pretend = stage.cast.fabrikam, stage.fabrikam
    stage.grant(client_of(stage.cast.pia), tenant)
    (shared,) = pretend.apps.values()
    assert shared.principal is not None
    shared.principal.consent(GRAPH_APP, RIGHTS)
    ProviderApp.objects.update(redirect_uri="https://portal.example/authenticate/OAuth2Callback")
    customer = Customer(stage.microsoft, pretend, tenant)
    create(customer)
    commands = finish(worker, customer)
    assert commands[registrations.CREATE].state == State.SUCCEEDED, commands[registrations.CREATE].message
    assert connection(customer).method == Method.APP
    assert_taken_over(customer)
