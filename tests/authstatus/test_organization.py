"""Before the first replication a person may have to say that the right organisation was connected."""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from accounts import installation
from audit.models import Entry
from authstatus import organization, services
from core.errors import Conflict
from events.models import Event
from replication.models import Command, State
from tenants import confirming, health, scope
from tenants.abilities import Role
from tenants.access import SYSTEM, Actor
from tenants.health import Health
from tenants.models import Connection, Tenant
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.directory.pretend import Customer, Worker
from tests.pages.helpers import text_of
from ump_portal import cli

pytestmark = pytest.mark.django_db
OLGA = Actor(kind="person", id="o", label="Olga")
SENTENCE = "The first replication waits until somebody confirms that the right organisation was connected."


@pytest.fixture(autouse=True)
def asked(settings: LazySettings, db: None) -> Iterator[None]:
    settings.CONSENT_PROPAGATION_SECONDS = 0
    installation.change(SYSTEM, confirming.ASKED, True)
    yield
    installation.forget()


@pytest.fixture
def checked(customer: Customer, worker: Worker) -> Customer:
    """A new customer, whose first check succeeded."""
    with scope.one(customer.tenant.id):
        worker.finish(services.check(SYSTEM, customer.tenant))
    return customer


def first_sync(customer: Customer) -> Command:
    with scope.one(customer.tenant.id):
        return Command.objects.get(tenant=customer.tenant, kind=organization.FIRST_SYNC)


def row(customer: Customer) -> Connection:
    with scope.one(customer.tenant.id):
        found: Connection = Connection.objects.get(tenant=customer.tenant)
        return found


def confirm(customer: Customer, which: uuid.UUID | None = None) -> None:
    with scope.one(customer.tenant.id):
        tenant = Tenant.objects.get(id=customer.tenant.id)
        organization.confirm(OLGA, tenant, which or tenant.entra_tenant_id)


def test_the_first_sync_is_suspended_with_the_sentence_and_nothing_is_read(checked: Customer) -> None:
    waiting = first_sync(checked)
    assert (waiting.state, waiting.message) == (State.SUSPENDED, SENTENCE)
    found = row(checked).organization
    assert found is not None
    assert found["id"] == str(checked.tenant.entra_tenant_id)
    assert found["users"] == checked.directory.users.live_count()
    assert found["groups"] == checked.directory.groups.live_count()
    assert found["name"]
    assert found["domains"]
    assert not [path for _, path, _ in checked.requests() if "delta" in path]
    with scope.one(checked.tenant.id):
        assert health.with_health(Tenant.objects.all()).get().health == Health.ATTENTION
        assert not Event.objects.filter(type__startswith="connection.").exists(), "no access was lost"


def test_a_confirmation_lets_it_begin_and_is_recorded_once(checked: Customer, worker: Worker) -> None:
    confirm(checked)
    confirm(checked)
    worker.finish(first_sync(checked))
    assert first_sync(checked).state == State.SUCCEEDED
    with scope.one(checked.tenant.id):
        entry = Entry.objects.get(action="organization.confirmed")
        assert entry.actor_label == "Olga"
        worker_check = services.check(SYSTEM, checked.tenant)
    worker.finish(worker_check)
    with scope.one(checked.tenant.id):
        assert not confirming.awaited(checked.tenant.id), "it is asked before the first replication only"


def test_another_organisation_than_the_one_on_the_page_is_not_confirmed(checked: Customer) -> None:
    with pytest.raises(Conflict, match="another organisation"):
        confirm(checked, uuid.uuid5(uuid.NAMESPACE_DNS, "elsewhere"))
    with scope.one(checked.tenant.id):
        Tenant.objects.update(entra_tenant_id=uuid.uuid5(uuid.NAMESPACE_DNS, "moved"))
    with pytest.raises(Conflict):
        confirm(checked)
    assert first_sync(checked).state == State.SUSPENDED


def test_nothing_can_be_confirmed_before_a_check(customer: Customer) -> None:
    with pytest.raises(Conflict, match="no check has found it"):
        confirm(customer)


def test_where_nobody_is_asked_any_more_it_begins(checked: Customer) -> None:
    assert organization.go_on_unasked() == 0
    installation.change(SYSTEM, confirming.ASKED, False)
    assert organization.go_on_unasked() == 1
    assert first_sync(checked).state == State.QUEUED


def test_by_default_nobody_is_asked(customer: Customer, worker: Worker) -> None:
    installation.change(SYSTEM, confirming.ASKED, False)
    with scope.one(customer.tenant.id):
        worker.finish(services.check(SYSTEM, customer.tenant))
    assert first_sync(customer).state == State.QUEUED
    assert row(customer).organization is None


FOUND = {"name": "Contoso Ltd", "domains": ["contoso.example"], "users": 1234, "groups": None}


@pytest.fixture
def found(cast: Cast) -> dict[str, Any]:
    """What a check found of Contoso, and its first replication waits."""
    given = {"id": str(cast.contoso.entra_tenant_id), **FOUND}
    with scope.one(cast.contoso.id):
        Connection.objects.filter(tenant=cast.contoso).update(verification="successful", organization=given)
    return given


def test_people_compare_and_confirm_on_a_page(
    found: dict[str, Any], cast: Cast, client_of: Callable[..., Client]
) -> None:
    olga, address = client_of(cast.olga), f"/tenants/{cast.contoso.id}/organization/"
    assert address in text_of(olga, f"/tenants/{cast.contoso.id}/connection/")
    page = text_of(olga, address)
    for words in ("Contoso Ltd", "contoso.example", "1,234", "-N/A-", "This is the right organisation"):
        assert words in page, words
    olga.post(address, {"organization": "nonsense"})
    with scope.one(cast.contoso.id):
        assert confirming.awaited(cast.contoso.id)
    olga.post(address, {"organization": found["id"]})
    with scope.one(cast.contoso.id):
        assert not confirming.awaited(cast.contoso.id)
    assert "Confirmed by" in text_of(olga, address)
    assert "Nothing was found yet" in text_of(olga, f"/tenants/{cast.fabrikam.id}/organization/")


def test_over_the_api(found: dict[str, Any], cast: Cast) -> None:
    api, place = Api(make_token(Role.OPERATOR)), f"tenants/{cast.contoso.id}/organization"
    assert api.get(place).json == found | {"awaited": True, "confirmed_by": "", "confirmed_at": None}
    assert api.post(f"{place}/confirm", {"id": str(cast.fabrikam.entra_tenant_id)}).code == "conflict"
    assert api.post(f"{place}/confirm", {"id": found["id"]}).json["awaited"] is False
    assert Api(make_token(Role.MONITOR)).post(f"{place}/confirm", {"id": found["id"]}).status == 403


def test_at_the_command_line(
    found: dict[str, Any], cast: Cast, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    assert cli.main(["tenants", "confirm", "Contoso", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["awaited"] is True
    assert cli.main(["tenants", "confirm", "Contoso", "--yes", found["id"]]) == 0
    assert "Contoso Ltd" in capsys.readouterr().out
