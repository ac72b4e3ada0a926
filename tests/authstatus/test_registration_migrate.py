"""From the provider's app to the customer's own: proven first, switched, and back by itself when it fails."""

import uuid
from typing import Any

import pytest
from django.conf import LazySettings

from audit.models import Entry
from authstatus import registrations
from core.errors import Conflict, InvalidInput
from directory.commands import QuickReplication
from m365 import identity
from replication import runner
from replication.models import Command, Lane, LaneName, State
from simulator.registrations import add_app
from simulator.server import Simulator
from tenants import lines, provider_app, scope, services
from tenants.access import SYSTEM, Actor
from tenants.credentials import Given
from tenants.models import AppOwner, Cloud, Connection, Secret, SecretKind, Standby, StandbyRole, Verification
from tests.directory.pretend import Customer, Worker, code_of

pytestmark = pytest.mark.django_db
OLGA = Actor(kind="person", id="o", label="Olga")


@pytest.fixture(autouse=True)
def _at_once(settings: LazySettings) -> None:
    settings.CONSENT_PROPAGATION_SECONDS = 0


@pytest.fixture
def shared(customer: Customer) -> Customer:
    """The customer signs in with the provider's app, which is known in its tenant, and was proven."""
    old = connection(customer)
    given = Given(SecretKind.CLIENT_SECRET, customer.pretend.apps[str(old.client_id)].secrets[0].value)
    provider_app.change(
        SYSTEM,
        client_id=old.client_id,
        redirect_uri="https://ump.example/authenticate/OAuth2Callback",
        given=given,
    )
    with scope.one(customer.tenant.id):
        services.use_provider_app(SYSTEM, customer.tenant)
        services.note_check(customer.tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    return customer


def connection(customer: Customer) -> Connection:
    with scope.one(customer.tenant.id):
        found: Connection = Connection.objects.select_related("secret").get(tenant=customer.tenant)
        return found


def standbys(customer: Customer) -> dict[str, Standby]:
    with scope.one(customer.tenant.id):
        return {row.role: row for row in Standby.objects.filter(tenant=customer.tenant)}


def own_app(microsoft: Simulator, customer: Customer, **spec: Any) -> Any:
    """Another registration in the customer's tenant."""
    return add_app(
        customer.pretend, {"name": "Contoso's own", "client_id": str(uuid.uuid4()), **spec}, customer.now()
    )


def migrate(customer: Customer, app: Any, **more: Any) -> Command:
    with scope.one(customer.tenant.id):
        return registrations.migrate(
            OLGA,
            customer.tenant,
            cloud=Cloud.GLOBAL,
            client_id=uuid.UUID(app.client_id),
            **({"client_secret": app.secrets[0].value} | more),
        )


def run_until(worker: Worker, command: Command, state: State, most: int = 20) -> Command:
    """Everything that is due runs, and the command's waits are over at once, until it is in that state."""
    for _ in range(most):
        with scope.every("a test looks"):
            command.refresh_from_db()
        if command.state == state:
            return command
        worker.wait_is_over(command)
        worker.step()
    raise AssertionError((command.state, command.message, command.error))


def test_it_is_proven_switched_and_the_old_way_forgotten_after_a_replication(
    microsoft: Simulator, shared: Customer, worker: Worker
) -> None:
    app = own_app(microsoft, shared)
    command = migrate(shared, app)
    worker.step()
    now = connection(shared)
    assert (now.app_owner, str(now.client_id)) == (AppOwner.CUSTOMER, app.client_id)
    assert now.usable
    former = standbys(shared)[StandbyRole.FORMER]
    assert (former.app_owner, former.worked, former.set_by) == (AppOwner.PROVIDER, True, "Olga")
    run_until(worker, command, State.SUCCEEDED)
    assert standbys(shared) == {}
    assert "proven by a replication" in command.message
    with scope.one(shared.tenant.id):
        assert Secret.objects.count() == 1, "nothing of the way between is left over"
        told = set(Entry.objects.values_list("action", "actor_label"))
    assert {("connection.migrating", "Olga"), ("connection.migrated", "Olga")} <= told


def test_a_candidate_that_lacks_a_permission_changes_nothing(
    microsoft: Simulator, shared: Customer, worker: Worker
) -> None:
    before = connection(shared)
    app = own_app(microsoft, shared, roles=["User.Read.All"])
    command = run_until(worker, migrate(shared, app), State.FAILED)
    assert code_of(command) == "permission_missing"
    after, candidate = connection(shared), standbys(shared)[StandbyRole.CANDIDATE]
    assert (after.client_id, after.app_owner, after.usable) == (before.client_id, AppOwner.PROVIDER, True)
    assert (candidate.problem or {})["code"] == "permission_missing"
    app.principal.grant(own_app(microsoft, shared).principal.granted(), 0.0)
    again = migrate(shared, app, client_secret="")
    run_until(worker, again, State.SUCCEEDED)
    assert str(connection(shared).client_id) == app.client_id


def test_a_wrong_secret_is_told_at_once_and_may_be_discarded(
    microsoft: Simulator, shared: Customer, worker: Worker
) -> None:
    app = own_app(microsoft, shared)
    command = migrate(shared, app, client_secret="wrong~but~long~enough~to~be~one")
    worker.step()
    run_until(worker, command, State.FAILED)
    assert code_of(command) == "secret_wrong"
    with scope.one(shared.tenant.id):
        registrations.forget_waiting(OLGA, shared.tenant)
        assert Secret.objects.count() == 0
        with pytest.raises(Conflict):
            registrations.forget_waiting(OLGA, shared.tenant)


def test_it_goes_back_by_itself_when_the_first_replication_fails(
    microsoft: Simulator, shared: Customer, worker: Worker
) -> None:
    before = connection(shared)
    app = own_app(microsoft, shared)
    command = migrate(shared, app)
    worker.step()
    assert str(connection(shared).client_id) == app.client_id
    app.registration.disabled = True
    identity.forget_everything()  # an hour later
    run_until(worker, command, State.FAILED)
    assert code_of(command) == "migration_rolled_back"
    assert "switched off" in command.message
    back, waiting = connection(shared), standbys(shared)
    assert (back.client_id, back.app_owner) == (before.client_id, AppOwner.PROVIDER)
    assert set(waiting) == {StandbyRole.CANDIDATE}
    assert (waiting[StandbyRole.CANDIDATE].problem or {})["code"] == "app_disabled"
    for _ in range(4):  # the old way is checked, and the work that was held goes on with it
        with scope.every("a test's worker"):
            if not Command.objects.filter(state=State.QUEUED).exists():
                break
        worker.step()
    assert connection(shared).usable
    with scope.one(shared.tenant.id):
        shared.tenant.refresh_from_db()
    assert shared.tenant.last_replicated_at is not None


def test_it_goes_back_although_some_failures_are_allowed(
    microsoft: Simulator, shared: Customer, worker: Worker
) -> None:
    with scope.one(shared.tenant.id):
        Connection.objects.update(max_access_failures=5, access_failure_window=60)
    before, app = connection(shared), own_app(microsoft, shared)
    command = migrate(shared, app)
    worker.step()
    app.registration.disabled = True
    identity.forget_everything()
    run_until(worker, command, State.FAILED)
    assert connection(shared).client_id == before.client_id


def test_what_was_refused_before_the_switch_is_no_fault_of_the_new_way_in(
    microsoft: Simulator, customer: Customer, worker: Worker
) -> None:
    """Somebody migrates just because the old one fails, and its refused work still waits for its next attempt."""
    with scope.one(customer.tenant.id):
        Connection.objects.update(max_access_failures=5, access_failure_window=60)
    old = customer.pretend.apps[str(connection(customer).client_id)]
    identity.forget_everything()
    old.registration.disabled = True
    refused = worker.run(customer)
    assert (refused.state, code_of(refused)) == (State.QUEUED, "app_disabled")
    app = own_app(microsoft, customer)
    command = migrate(customer, app)
    worker.step()
    _put_off(customer, "2999-01-01T00:00Z")  # all workers are busy
    worker.wait_is_over(command)
    worker.step()
    assert str(connection(customer).client_id) == app.client_id
    assert set(standbys(customer)) == {StandbyRole.FORMER}
    _put_off(customer, "2020-01-01T00:00Z")
    run_until(worker, command, State.SUCCEEDED)
    assert "proven by a replication" in command.message


def _put_off(customer: Customer, until: str) -> None:
    with scope.one(customer.tenant.id):
        Lane.objects.filter(tenant=customer.tenant, name=LaneName.DATA).update(not_before=until)


def test_a_replication_that_began_with_the_old_way_in_proves_nothing(
    microsoft: Simulator, shared: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had opened its line before the switch, and ends well after it; by then the new app is refused."""
    before, app = connection(shared), own_app(microsoft, shared)
    worker.queue(shared)
    older = worker.claim()
    with scope.one(shared.tenant.id):
        line = lines.open_proven_line(shared.tenant.id)
    command = migrate(shared, app)
    worker.step()
    app.registration.disabled = True
    with monkeypatch.context() as patched:
        patched.setattr(QuickReplication, "line", lambda kind, ctx: line)
        verdict = runner.run_one(older)
    runner._settle(older, verdict)
    assert (verdict.to, set(standbys(shared))) == (State.SUCCEEDED, {StandbyRole.FORMER})
    identity.forget_everything()
    run_until(worker, command, State.FAILED)
    assert code_of(command) == "migration_rolled_back"
    assert connection(shared).client_id == before.client_id


def test_people_may_go_back_or_forget_the_old_way_themselves(
    microsoft: Simulator, shared: Customer, worker: Worker
) -> None:
    before = connection(shared)
    command = migrate(shared, own_app(microsoft, shared))
    worker.step()
    with scope.one(shared.tenant.id), pytest.raises(Conflict):
        registrations.migrate(OLGA, shared.tenant, cloud=Cloud.GLOBAL, client_id=uuid.uuid4())
    with scope.one(shared.tenant.id):
        registrations.go_back(OLGA, shared.tenant)
    assert connection(shared).client_id == before.client_id
    assert not connection(shared).usable, "it is proven anew"
    assert "by a person" in run_until(worker, command, State.SUCCEEDED).message


def test_what_cannot_be_meant_is_refused(shared: Customer) -> None:
    with scope.one(shared.tenant.id):
        with pytest.raises(InvalidInput) as caught:
            registrations.migrate(OLGA, shared.tenant, cloud=Cloud.GLOBAL, client_id=uuid.uuid4())
        assert caught.value.field == "client_secret"
        with pytest.raises(InvalidInput) as caught:
            registrations.migrate(
                OLGA,
                shared.tenant,
                cloud=Cloud.GLOBAL,
                client_id=uuid.uuid4(),
                client_secret=str(uuid.uuid4()),
            )
        assert caught.value.code == "secret_is_guid"
        assert Standby.objects.count() == 0


def test_a_renewal_that_was_queued_before_leaves_a_migration_alone(
    microsoft: Simulator, customer: Customer, worker: Worker
) -> None:
    with scope.one(customer.tenant.id):
        renewal = registrations.renew(OLGA, customer.tenant)
    command = migrate(customer, own_app(microsoft, customer))
    with scope.one(customer.tenant.id), pytest.raises(Conflict):
        registrations.renew(OLGA, customer.tenant)
    assert "a migration is under way" in run_until(worker, renewal, State.SUCCEEDED).message
    run_until(worker, command, State.SUCCEEDED)
