"""The credential of the provider's own app is renewed without a gap, while customers go on using it."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings

from accounts import installation
from audit.models import Entry
from authstatus import provider_check, registrations
from core.errors import InvalidInput
from m365 import identity
from m365 import registrations as far
from replication import services as queue
from replication.models import Command, State
from simulator.server import Simulator
from tenants import provider_app, scope, secrets
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import ProviderApp, ProviderSecret, ProviderStandby, SecretKind, StandbyRole, Verification
from tests.authstatus.renewing import OLGA, OWNED, call_off, finish, let_it_renew, run_everything
from tests.cast import Cast
from tests.directory.pretend import Customer, Killed, Worker, code_of
from tests.pages.helpers import SignIn, post, text_of

pytestmark = pytest.mark.django_db
CALLBACK = "https://testserver/authenticate/OAuth2Callback"
PAGE = "/authentication-status/"
MARK = "ump provider "


@pytest.fixture(autouse=True)
def _no_overlap(settings: LazySettings) -> Iterator[None]:
    settings.SECRET_OVERLAP_SECONDS = 0
    identity.forget_everything()
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def app(db: None, microsoft: Simulator) -> Any:
    """The provider's app at a pretend Microsoft: it may change itself, and owns itself."""
    pretend = microsoft.state.add_tenant({"name": "Provider", "users": 1, "groups": 0})
    app = next(iter(pretend.apps.values()))
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(app.client_id),
        redirect_uri=CALLBACK,
        home_tenant_id=uuid.UUID(pretend.id),
        given=Given(SecretKind.CLIENT_SECRET, app.secrets[0].value),
    )
    app.principal.grant([*app.principal.granted(), OWNED], 0.0)
    app.registration.owners.add(app.principal.object_id)
    return app


def stored() -> str:
    secret = provider_app.current().secret
    assert secret is not None
    return secrets.open_secret(secret)


def at_microsoft(app: Any) -> list[str]:
    return [secret.value for secret in app.registration.secrets]


def assert_renewed(app: Any, old: str) -> None:
    assert at_microsoft(app) == [stored()]
    assert stored() != old
    assert not ProviderStandby.objects.exists()
    secret = ProviderSecret.objects.get()
    assert str(secret.microsoft_id) == app.registration.secrets[0].key_id
    assert secret.ends_read_at is not None


def test_a_secret_is_added_proven_used_and_the_old_one_removed(app: Any, worker: Worker) -> None:
    old = stored()
    command = registrations.renew_app(OLGA)
    worker.step()
    assert len(at_microsoft(app)) == 2
    assert app.registration.secrets[1].name.startswith(MARK)
    assert stored() == old, "not proven yet"
    worker.wait_is_over(command)
    worker.step()
    assert stored() != old, "proven and in use, the old one still there for what is under way"
    finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(app, old)
    life = app.registration.secrets[0].ends - app.registration.secrets[0].starts
    assert 725 < life / 86_400 < 735, "24 months, the provider's setting"
    with scope.every("a test looks"):
        assert ("provider_app.secret_renewed", "Olga") in Entry.objects.values_list("action", "actor_label")
    run_everything(worker)
    assert provider_app.current().verification == Verification.SUCCESSFUL, "and checked by itself"


@pytest.mark.parametrize("name", ["add_secret", "remove_secret"])
def test_killed_after_the_write_and_before_the_checkpoint(
    app: Any, worker: Worker, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    old, real = stored(), getattr(far, name)

    def deadly(*args: Any, **kwargs: Any) -> Any:
        real(*args, **kwargs)
        raise Killed

    command = registrations.renew_app(OLGA)
    monkeypatch.setattr(far, name, deadly)
    with pytest.raises(Killed):
        finish(worker, command)
    monkeypatch.setattr(far, name, real)
    worker.take_back()
    finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(app, old)


@pytest.mark.parametrize("at", range(1, 8))
def test_killed_at_any_checkpoint(app: Any, worker: Worker, dies: Callable[[int], None], at: int) -> None:
    old = stored()
    command = registrations.renew_app(OLGA)
    dies(at)
    try:
        finish(worker, command)
    except Killed:
        dies(0)
        worker.take_back()
        finish(worker, command)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(app, old)


def test_what_is_left_of_an_earlier_renewal_is_no_renewal(app: Any, worker: Worker) -> None:
    first = registrations.renew_app(OLGA)
    worker.step()
    worker.wait_is_over(first)
    worker.step()
    with scope.every("a test cancels a command of the provider"):
        first.refresh_from_db()
        queue.cancel(SYSTEM, first)
    leaked = stored()
    assert len(at_microsoft(app)) == 2
    command = finish(worker, registrations.renew_app(OLGA), most=60)
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert_renewed(app, leaked)


def test_propagation_is_waited_for_and_one_that_never_works_is_taken_away(
    app: Any, worker: Worker, microsoft: Simulator, settings: LazySettings
) -> None:
    old = stored()
    microsoft.state.find(app.registration.home).behaviour.secret_delay = 3600
    command = registrations.renew_app(OLGA)
    for _ in range(2):
        worker.wait_is_over(command)
        worker.step()
    with scope.every("a test looks"):
        command.refresh_from_db()
    assert (command.state, command.attempts) == (State.QUEUED, 0)
    assert "everywhere yet" in command.message
    assert stored() == old
    settings.SECRET_PROPAGATION_SECONDS = 0
    finish(worker, command)
    assert code_of(command) == "secret_not_in_force"
    assert at_microsoft(app) == [old]
    assert not ProviderStandby.objects.exists()


def test_a_secret_entered_meanwhile_counts(app: Any, worker: Worker) -> None:
    command = registrations.renew_app(OLGA)
    worker.step()
    by_hand = type(app.secrets[0])("abc8Q~entered~by~hand", app.secrets[0].ends, 0.0, str(uuid.uuid4()))
    app.registration.secrets.append(by_hand)
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(app.client_id),
        redirect_uri=CALLBACK,
        home_tenant_id=provider_app.current().home_tenant_id,
        given=Given(SecretKind.CLIENT_SECRET, by_hand.value),
    )
    finish(worker, command)
    assert stored() == by_hand.value
    assert "changed meanwhile" in command.message
    assert not any(secret.name and secret.name.startswith(MARK) for secret in app.registration.secrets)


def test_another_app_ends_the_renewal_of_the_one_before(app: Any, worker: Worker) -> None:
    command = registrations.renew_app(OLGA)
    worker.step()
    other = Given(SecretKind.CLIENT_SECRET, "abc8Q~of~another~registration")
    provider_app.change(SYSTEM, client_id=uuid.uuid4(), redirect_uri=CALLBACK, given=other)
    assert not ProviderStandby.objects.exists()
    finish(worker, command)
    assert (command.state, stored()) == (State.SUCCEEDED, other.value)
    assert "discarded meanwhile" in command.message
    assert ProviderSecret.objects.count() == 1


@pytest.mark.parametrize("lacks", ["permission", "ownership"])
def test_an_app_that_may_not_change_itself_is_told_what_to_do_by_hand(
    app: Any, worker: Worker, lacks: str
) -> None:
    if lacks == "permission":
        app.principal.grant([], 0.0)
    else:
        app.registration.owners.clear()
    old = stored()
    command = finish(worker, registrations.renew_app(OLGA))
    assert code_of(command) == "provider_app_not_ours"
    assert command.error is not None
    assert "by hand under Certificates & secrets" in command.error["advice"]
    assert at_microsoft(app) == [old]


def test_without_a_home_it_cannot_be_renewed(app: Any) -> None:
    ProviderApp.objects.update(home_tenant_id=None)
    with pytest.raises(InvalidInput, match="Azure Tenant Id of your own organisation"):
        registrations.renew_app(OLGA)


def test_a_check_has_it_renewed_in_time_and_one_a_day_is_made_by_itself(app: Any, worker: Worker) -> None:
    old = stored()
    app.registration.secrets[0].ends = app.registration.secrets[0].starts + 20 * 86_400
    assert provider_check.check_daily() == 1
    assert provider_check.check_daily() == 0
    run_everything(worker)
    assert_renewed(app, old)


def test_the_bad_day_takes_the_providers_app_along(app: Any, customer: Customer, worker: Worker) -> None:
    let_it_renew(customer)
    old = stored()
    run = registrations.renew_all(OLGA)
    run_everything(worker)
    with scope.every("a test looks"):
        run.refresh_from_db()
    assert (run.state, run.result) == (State.SUCCEEDED, {"renewed": 2, "not renewed": 0})
    assert_renewed(app, old)


def test_cancelling_the_bad_day_spares_it(app: Any, worker: Worker) -> None:
    old = stored()
    run = registrations.renew_all(OLGA)
    worker.step()
    call_off(run)
    run_everything(worker)
    assert stored() == old
    with scope.every("a test looks"):
        assert "was cancelled" in Command.objects.get(kind=registrations.RENEW_APP).message


def test_it_is_asked_for_on_the_page(cast: Cast, client_of: SignIn, app: Any, worker: Worker) -> None:
    pia = client_of(cast.pia)
    assert f"{PAGE}app/renew/" in text_of(pia, PAGE)
    assert "notice nothing" in text_of(pia, f"{PAGE}app/renew/")
    post(client_of(cast.olga), f"{PAGE}app/renew/", {}, status=403)
    post(pia, f"{PAGE}app/renew/", {})
    assert "Renewing its credential" in text_of(pia, PAGE)
    app.registration.owners.clear()
    run_everything(worker)
    shown = text_of(pia, PAGE)
    assert "Renewal failed" in shown
    assert "being an owner of its own registration" in shown
    ProviderApp.objects.update(home_tenant_id=None)
    assert f"{PAGE}app/renew/" not in text_of(pia, PAGE)


def test_a_candidate_lies_sealed(app: Any, worker: Worker) -> None:
    registrations.renew_app(OLGA)
    worker.step()
    candidate = provider_app.standby(StandbyRole.CANDIDATE)
    assert candidate is not None
    assert candidate.set_by == "Olga"
    assert secrets.open_secret(candidate.secret) == at_microsoft(app)[1]
    assert at_microsoft(app)[1].encode() not in bytes(candidate.secret.sealed)
