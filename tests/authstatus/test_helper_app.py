"""The provider's app is taken out of a customer's organisation, once the customer's own app is proven (APP-24)."""

import uuid
from typing import Any

import pytest

from audit.models import Entry
from authstatus import helper_app
from core.errors import Conflict
from m365 import identity
from m365 import registrations as far
from replication.models import Command, State
from simulator.registrations import install
from simulator.server import Simulator
from tenants import provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import AppOwner, Connection, SecretKind, Verification
from tests.authstatus.renewing import OLGA, app_of, finish
from tests.cast import Cast
from tests.directory.pretend import Customer, Killed, Worker, code_of
from tests.pages.helpers import SignIn, post, text_of, url

pytestmark = pytest.mark.django_db
CALLBACK = "https://testserver/authenticate/OAuth2Callback"
RIGHT = "Application.ReadWrite.All"


@pytest.fixture(autouse=True)
def _no_tokens() -> None:
    identity.forget_everything()


def enter(client_id: str, secret: str) -> None:
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(client_id),
        redirect_uri=CALLBACK,
        given=Given(SecretKind.CLIENT_SECRET, secret),
    )


@pytest.fixture
def helper(microsoft: Simulator, customer: Customer) -> Any:
    """The provider's app, as the customer's organisation has it; it may do what creating a registration took."""
    home = microsoft.state.add_tenant({"name": "Provider", "users": 1, "app": {"multi_tenant": True}})
    registration = next(iter(home.apps.values())).registration
    app, principal = install(customer.pretend, registration, customer.now())
    principal.grant([RIGHT], 0.0)
    enter(registration.client_id, registration.secrets[0].value)
    return app


def remove(customer: Customer) -> Command:
    with scope.one(customer.tenant.id):
        return helper_app.remove(OLGA, customer.tenant)


@pytest.mark.parametrize("who", ["itself", "the customer's own"])
def test_it_goes_by_whoever_may(helper: Any, customer: Customer, worker: Worker, who: str) -> None:
    if who != "itself":
        helper.principal.grant([], 0.0)
        own = app_of(customer).principal
        own.grant([*own.granted(), RIGHT], 0.0)
    command = finish(worker, remove(customer))
    assert command.state == State.SUCCEEDED, (command.message, command.error)
    assert helper.principal is None
    assert app_of(customer).principal is not None, "the customer's own app is not touched"
    with scope.one(customer.tenant.id):
        assert Entry.objects.filter(action="connection.helper_removing", actor_label="Olga").exists()
    again = finish(worker, remove(customer))
    assert again.state == State.SUCCEEDED, "what is gone counts as removed"


def test_killed_after_the_removal(
    helper: Any, customer: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = far.delete_principal

    def deadly(*args: Any) -> None:
        real(*args)
        raise Killed

    command = remove(customer)
    monkeypatch.setattr(far, "delete_principal", deadly)
    with pytest.raises(Killed):
        finish(worker, command)
    monkeypatch.setattr(far, "delete_principal", real)
    worker.take_back()
    assert finish(worker, command).state == State.SUCCEEDED
    assert helper.principal is None


@pytest.mark.parametrize("secret", ["", "wrong~but~long~enough~to~be~one"])
def test_where_nobody_may_the_customers_administrator_is_told_how(
    helper: Any, customer: Customer, worker: Worker, secret: str
) -> None:
    helper.principal.grant([], 0.0)
    if secret:
        enter(helper.client_id, secret)
    command = finish(worker, remove(customer))
    assert code_of(command) == "helper_not_removable"
    assert command.error is not None
    assert "Enterprise applications" in command.error["advice"]
    assert helper.principal is not None


def test_it_stays_while_it_is_needed(helper: Any, customer: Customer, worker: Worker) -> None:
    command = remove(customer)
    for change, why in (
        ({"verification": Verification.FAILED}, "not proven"),
        ({"app_owner": AppOwner.PROVIDER}, "uses it"),
        ({"cloud": "china"}, "cannot be in"),
    ):
        with scope.one(customer.tenant.id):
            before = Connection.objects.values(*change).get()
            Connection.objects.update(**change)
            with pytest.raises(Conflict, match=why):
                helper_app.remove(OLGA, customer.tenant)
            Connection.objects.update(**before)
    with scope.one(customer.tenant.id):
        Connection.objects.update(verification=Verification.NEVER)
    finish(worker, command)
    assert "Nothing was changed" in command.message
    assert helper.principal is not None


def test_it_is_asked_for_on_the_page(cast: Cast, client_of: SignIn) -> None:
    adam, home = client_of(cast.adam), url(cast.contoso, "registration/")
    assert "Remove the provider&#x27;s app" not in text_of(adam, home), "there is none"
    enter(str(uuid.uuid4()), "provider~s~secret~of~the~shared~app")
    with scope.one(cast.contoso.id):
        Connection.objects.update(verification=Verification.SUCCESSFUL)
    assert "remove-provider-app/" in text_of(adam, home)
    asked = text_of(adam, f"{home}remove-provider-app/")
    assert "can then no longer sign in" in asked
    assert "30 days" in asked
    post(adam, f"{home}remove-provider-app/", {})
    with scope.one(cast.contoso.id):
        assert Command.objects.filter(kind=helper_app.REMOVE).count() == 1
