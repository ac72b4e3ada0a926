"""QOE integration: what is stored was tried for real, and its faults are nobody else's."""

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connections

from audit.models import Entry
from authstatus import qoe
from authstatus.models import QoeIntegration
from core.errors import InvalidInput, NotFound
from m365 import identity
from replication.models import State
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Connection, Secret, Tenant, Verification
from tests.cast import Cast
from tests.directory.pretend import Customer, Worker
from tests.overlap import somebody_waits

pytestmark = pytest.mark.django_db
MAY = {"roles": ["CallRecords.Read.All", "User.Read.All"]}


@pytest.fixture(autouse=True)
def _no_tokens_kept() -> None:
    identity.forget_everything()


def save(customer: Customer, **changes: Any) -> None:
    app = next(iter(customer.pretend.apps.values()))
    given = {"application_id": uuid.UUID(app.client_id), "password": app.secrets[0].value} | changes
    with scope.one(customer.tenant.id):
        qoe.save(SYSTEM, customer.tenant, **given)


def stored(customer: Customer) -> QoeIntegration:
    with scope.one(customer.tenant.id):
        found = qoe.of_tenant(customer.tenant)
    assert found is not None
    return found


def test_it_is_proven_by_a_token_and_a_call(add_customer: Callable[..., Customer], worker: Worker) -> None:
    customer = add_customer(app=MAY)
    save(customer)
    command = worker.run(customer, "verify_qoe")
    assert (command.state, command.message) == (State.SUCCEEDED, "Call records can be read.")
    assert stored(customer).verification == Verification.SUCCESSFUL
    assert stored(customer).verified_at is not None
    assert ("GET", "/communications/callRecords", 1) in customer.requests()


def test_a_token_is_no_permission(add_customer: Callable[..., Customer], worker: Worker) -> None:
    customer = add_customer(app={"roles": ["User.Read.All"]})
    save(customer)
    command = worker.run(customer, "verify_qoe")
    assert command.state == State.FAILED
    row = stored(customer)
    assert row.verification == Verification.FAILED
    assert row.problem is not None
    assert row.problem["message"] == (
        "Microsoft does not let the QOE application of Contoso do its work. Missing: CallRecords.Read.All."
    )
    assert not any(route == "/communications/callRecords" for _, route, _ in customer.requests())


def test_a_wrong_password_says_nothing_about_the_connection(
    add_customer: Callable[..., Customer], worker: Worker
) -> None:
    customer = add_customer(app=MAY)
    save(customer, password="wrong~but~it~looks~like~a~secret")
    worker.run(customer, "verify_qoe")
    assert stored(customer).verification == Verification.NO_TOKEN
    with scope.one(customer.tenant.id):
        assert Connection.objects.get(tenant=customer.tenant).usable
        assert Connection.objects.get(tenant=customer.tenant).held_at is None


def test_trouble_on_the_way_leaves_the_result_as_it_was(
    add_customer: Callable[..., Customer], worker: Worker
) -> None:
    customer = add_customer(app=MAY)
    save(customer)
    worker.run(customer, "verify_qoe")
    before = stored(customer).verified_at
    customer.trouble("error", status=503, retry_after="600", count=50)
    assert worker.run(customer, "verify_qoe").state == State.QUEUED
    assert stored(customer).verified_at == before
    assert stored(customer).verification == Verification.SUCCESSFUL


def test_an_empty_password_keeps_the_stored_one_of_the_same_application(
    add_customer: Callable[..., Customer],
) -> None:
    customer = add_customer(app=MAY)
    save(customer)
    before = stored(customer)
    save(customer, password="")
    assert stored(customer).secret_id == before.secret_id
    with pytest.raises(InvalidInput) as caught:
        save(customer, application_id=uuid.uuid4(), password="")
    assert caught.value.field == "password"
    with pytest.raises(InvalidInput) as caught:
        save(customer, password=str(uuid.uuid4()))
    assert (caught.value.code, caught.value.field) == ("secret_is_guid", "password")


def test_another_password_or_its_removal_leaves_no_old_one(add_customer: Callable[..., Customer]) -> None:
    customer = add_customer(app=MAY)
    with scope.one(customer.tenant.id):
        before = Secret.objects.filter(tenant=customer.tenant).count()
    save(customer)
    save(customer, password="another~one~that~is~long~enough")
    with scope.one(customer.tenant.id):
        assert Secret.objects.filter(tenant=customer.tenant).count() == before + 1
        qoe.remove(SYSTEM, customer.tenant)
        qoe.remove(SYSTEM, customer.tenant)
        assert Secret.objects.filter(tenant=customer.tenant).count() == before
        with pytest.raises(NotFound):
            qoe.check(SYSTEM, customer.tenant)
        told = list(Entry.objects.filter(action__startswith="qoe.").values_list("action", flat=True))
    assert sorted(told) == ["qoe.removed", "qoe.set", "qoe.set"]
    assert "another~one" not in str(list(Entry.objects.values_list("changes", flat=True)))


@pytest.mark.django_db(transaction=True)
def test_who_removes_it_while_somebody_saves_leaves_no_password_behind(
    committed_cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real locks: the password goes that is there by then, not the one that was read before."""
    tenant, olga, app = committed_cast.contoso, committed_cast.actor("olga"), uuid.uuid4()
    real, read, ended = qoe.of_tenant, threading.Event(), threading.Event()

    def apart(act: Callable[[], object]) -> None:
        try:
            with scope.one(tenant.id):
                act()
        finally:
            ended.set()
            connections.close_all()

    def of_tenant(tenant: Tenant) -> QoeIntegration | None:
        row, first = real(tenant), not read.is_set()
        read.set()
        while first and not somebody_waits("transactionid") and not ended.is_set():
            pass
        return row

    def save_another() -> None:
        assert read.wait(30)
        qoe.save(olga, tenant, application_id=app, password="another~one~that~is~long~enough")

    with scope.one(tenant.id):
        before = set(Secret.objects.values_list("id", flat=True))
        qoe.save(olga, tenant, application_id=app, password="the~first~one~that~is~long~enough")
    monkeypatch.setattr(qoe, "of_tenant", of_tenant)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(apart, act) for act in (lambda: qoe.remove(olga, tenant), save_another)]:
            done.result(60)
    with scope.one(tenant.id):
        held = set(QoeIntegration.objects.values_list("secret_id", flat=True))
        assert set(Secret.objects.values_list("id", flat=True)) - before == held
