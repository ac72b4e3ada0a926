"""What tests of renewals do: ask for one, let it come to its end, and look at both ends."""

import uuid
from typing import Any

from authstatus import registrations
from replication import services as queue
from replication.models import Command, State
from tenants import scope, secrets
from tenants.access import SYSTEM, Actor
from tenants.models import Connection, Secret, Standby
from tests.directory.pretend import Customer, Worker

OLGA = Actor(kind="person", id="o", label="Olga")
OWNED = "Application.ReadWrite.OwnedBy"


def app_of(customer: Customer) -> Any:
    return customer.pretend.apps[str(connection(customer).client_id)]


def connection(customer: Customer) -> Connection:
    with scope.one(customer.tenant.id):
        found: Connection = Connection.objects.select_related("secret", "secret__key").get(
            tenant=customer.tenant
        )
        return found


def let_it_renew(customer: Customer) -> None:
    app = app_of(customer)
    app.principal.grant([*app.principal.granted(), OWNED], 0.0)
    app.registration.owners.add(app.principal.object_id)


def another(registration: Any, value: str) -> Any:
    """A secret that somebody else added."""
    old = registration.secrets[0]
    secret = type(old)(value, old.ends, old.starts, str(uuid.uuid4()))
    registration.secrets.append(secret)
    return secret


def renew(customer: Customer) -> Command:
    with scope.one(customer.tenant.id):
        return registrations.renew(OLGA, customer.tenant)


def call_off(run: Command) -> None:
    """Cancel a renewal of all."""
    with scope.every("a test cancels a command of the provider"):
        run.refresh_from_db()
        queue.cancel(SYSTEM, run)


def finish(worker: Worker, command: Command, most: int = 30) -> Command:
    """The command's waits are over at once, until it has ended."""
    for _ in range(most):
        with scope.every("a test looks"):
            command.refresh_from_db()
        if command.state not in (State.QUEUED, State.EXECUTING):
            return command
        worker.wait_is_over(command)
        worker.step()
    raise AssertionError((command.state, command.message, command.error))


def at_microsoft(customer: Customer) -> list[str]:
    return [secret.value for secret in app_of(customer).registration.secrets]


def stored(customer: Customer) -> str:
    with scope.one(customer.tenant.id):
        secret = connection(customer).secret
        assert secret is not None
        return secrets.open_secret(secret)


def assert_renewed(customer: Customer, old: str) -> None:
    """One secret at Microsoft, another than before, and it is the one that is used; nothing waits any more."""
    assert at_microsoft(customer) == [stored(customer)]
    assert stored(customer) != old
    with scope.one(customer.tenant.id):
        assert Secret.objects.count() == 1
        assert not Standby.objects.exists()
        secret = Secret.objects.get()
    (far_end,) = app_of(customer).registration.secrets
    assert str(secret.microsoft_id) == far_end.key_id
    assert secret.expires_at is not None
    assert abs(secret.expires_at.timestamp() - far_end.ends) < 1
    assert secret.ends_read_at is not None


def steps(command: Command) -> list[dict[str, Any]]:
    with scope.every("a test reads a history"):
        return [dict(step) for step in command.steps.values("text", "detail")]


def run_everything(worker: Worker, most: int = 60) -> None:
    for _ in range(most):
        with scope.every("a test's worker"):
            waiting = list(Command.objects.filter(state=State.QUEUED))
        if not waiting:
            return
        for command in waiting:
            worker.wait_is_over(command)
        worker.step()
    raise AssertionError("it does not come to an end")
