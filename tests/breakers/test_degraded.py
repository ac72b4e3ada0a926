"""Max Access Failures within Access Failure Window: when a customer's work is held, and what ends it."""

import threading
from typing import Any

import pytest
from django.db import connection as database
from django.db.models.functions import Now

from accounts import installation
from breakers import services as breakers
from core.errors import UmpError
from events.models import Event
from replication import services
from replication.models import Command, LaneName, Reason, State
from tenants import census, deployment, health, scope
from tenants import services as tenants
from tenants.deployment import Status
from tenants.health import Health
from tenants.models import Connection, Tenant, Verification
from tests.breakers.hands import (
    claim,
    connection,
    failures,
    lane_code,
    make_due,
    minutes_later,
    proven,
    row,
    run_due,
    set_connection,
    settle,
    submit,
    told,
)
from tests.cast import Cast
from tests.pages.helpers import SignIn, post, text_of
from tests.replication.kinds import scripted

pytestmark = pytest.mark.django_db
REFUSED = UmpError.of("secret_expired")


def test_with_the_rule_off_the_first_refusal_holds_the_work_but_nothing_is_degraded() -> None:
    tenant = proven("Alder")
    with scripted(REFUSED), scripted(name="other"):
        command, other = submit(tenant), submit(tenant, "other")
        run_due()
    assert (row(command).state, row(command).reason) == (State.SUSPENDED, Reason.CONNECTION)
    assert row(other).state == State.SUSPENDED
    assert connection(tenant).degraded_at is None
    assert told(tenant) == ["connection.degraded"], "an event tells that access is gone, whatever the rule"
    with scope.one(tenant.id):
        assert health.with_health(Tenant.objects.all()).get().health == Health.FAILED
        assert deployment.status_of(Tenant.objects.get(), connection(tenant)) == Status.ERROR
        services.resume_for(tenant.id)
        assert health.with_health(Tenant.objects.all()).get().health == Health.HEALTHY


def test_a_refused_sign_in_holds_nothing_and_the_customer_stays_healthy() -> None:
    """Somebody's sign-in that was too late says nothing about the way in that is in use."""
    tenant = proven("Alder")
    with scripted(UmpError.of("signin_restart"), lane=LaneName.IDENTITY):
        submit(tenant)
        run_due()
    assert (connection(tenant).held_at, lane_code(tenant)) == (None, "")
    with scope.one(tenant.id):
        assert health.with_health(Tenant.objects.all()).get().health == Health.HEALTHY


def test_how_customers_are_is_counted_in_one_query(cast: Cast, django_assert_num_queries: Any) -> None:
    with scope.every("a test counts"):
        Connection.objects.update(verification=Verification.SUCCESSFUL)
        Connection.objects.filter(tenant=cast.contoso).update(held_at=Now())
        with django_assert_num_queries(1):
            counts = census.count(None).health
    assert (counts[Health.FAILED], counts[Health.HEALTHY]) == (1, 1)


def test_the_nth_failure_within_the_window_degrades_and_earlier_ones_are_tried_again() -> None:
    tenant = proven("Alder", max_access_failures=3, access_failure_window=10)
    with scripted(REFUSED, REFUSED, REFUSED), scripted(name="other"):
        command = submit(tenant)
        for number in (1, 2):
            run_due()
            waiting = row(command)
            assert (waiting.state, waiting.reason) == (State.QUEUED, Reason.BACKING_OFF), number
            assert waiting.message == REFUSED.message, "people see why it waits"
            assert lane_code(tenant) == ""
            assert told(tenant) == []
            make_due()
        run_due()
        assert row(command).state == State.SUSPENDED
        assert connection(tenant).degraded_at is not None
        assert connection(tenant).verification == "successful", "a check alone says how the check went"
        assert submit(tenant, "other").state == State.SUSPENDED
    with scope.one(tenant.id):
        (event,) = Event.objects.all()
    assert event.type == "connection.degraded"
    assert (event.data["code"], event.data["degraded"]) == ("secret_expired", True)


def test_the_window_slides() -> None:
    tenant = proven("Alder", max_access_failures=3, access_failure_window=10)
    with scripted(*[REFUSED] * 5):
        submit(tenant)
        run_due()
        minutes_later(6)
        make_due()
        run_due()
        minutes_later(6)  # the first is 12 minutes old now, the second 6
        make_due()
        run_due()
        assert connection(tenant).degraded_at is None
        assert len(failures(tenant)) == 3
        minutes_later(3)
        make_due()
        run_due()
        assert connection(tenant).degraded_at is not None, "three of the last ten minutes"


def test_without_a_window_every_failure_since_the_last_proof_counts() -> None:
    tenant = proven("Alder", max_access_failures=2)
    with scripted(REFUSED, REFUSED):
        submit(tenant)
        run_due()
        minutes_later(60 * 24 * 5)
        make_due()
        run_due()
    assert connection(tenant).degraded_at is not None


def test_the_installations_numbers_hold_where_the_customer_has_none(cast: Cast) -> None:
    try:
        installation.change(cast.actor("pia"), "max_access_failures", 1)
        ours, own = proven("Alder"), proven("Birch", max_access_failures=2)
        with scripted(REFUSED, REFUSED):
            submit(ours)
            submit(own)
            run_due()
        assert connection(ours).degraded_at is not None
        assert connection(own).degraded_at is None
    finally:
        installation.forget()


def test_proof_ends_it_frees_the_work_and_queues_a_resync() -> None:
    tenant = proven("Alder", max_access_failures=1)
    with scripted(REFUSED):
        command = submit(tenant)
        run_due()
        with scope.one(tenant.id):
            assert services.resume_for(tenant.id) == 1
            assert services.resume_for(tenant.id) == 0, "a second proof changes nothing"
            assert Command.objects.filter(kind="sync", state=State.QUEUED).count() == 1
        assert row(command).state == State.QUEUED
    assert connection(tenant).degraded_at is None
    assert failures(tenant) == []
    assert told(tenant) == ["connection.degraded", "connection.restored"]


def test_a_refusal_that_never_reached_microsoft_is_held_at_once_and_counts_nothing() -> None:
    tenant = proven("Alder", max_access_failures=3)
    with scripted(UmpError.of("connection_unverified")):
        command = submit(tenant)
        run_due()
    assert row(command).state == State.SUSPENDED
    assert failures(tenant) == []
    assert told(tenant) == [], "a new credential that waits for its check is no fault"


def test_a_service_account_of_its_own_neither_counts_nor_holds_the_others() -> None:
    tenant = proven("Alder", max_access_failures=1)
    with scripted(UmpError.of("account_disabled"), name="builder") as _, scripted(name="other"):
        from replication.registry import kind_of

        type(kind_of("builder")).own_account = True
        command, other = submit(tenant, "builder"), submit(tenant, "other")
        run_due()
    assert (row(command).state, row(command).reason) == (State.SUSPENDED, Reason.TARGET)
    assert (row(command).error or {})["code"] == "service_account_failed"
    assert row(other).state == State.SUCCEEDED
    assert failures(tenant) == []
    assert connection(tenant).degraded_at is None


def test_few_failures_are_kept() -> None:
    tenant = proven("Alder", max_access_failures=100, access_failure_window=1)
    with scope.every("a worker settles"):
        for number in range(120):
            breakers.weigh(tenant.id, number, REFUSED)
            minutes_later(2)
    assert len(failures(tenant)) == breakers.KEPT


@pytest.mark.django_db(transaction=True)
def test_two_workers_count_as_one() -> None:
    """A failed check and failed data work at the same moment: one of them is the second failure."""
    for attempt in range(5):
        tenant = proven(f"Customer {attempt}", max_access_failures=2, access_failure_window=10)
        with scripted(REFUSED, name="data"), scripted(REFUSED, name="check", lane=LaneName.IDENTITY):
            submit(tenant, "data")
            submit(tenant, "check")
            both = claim()
            assert len(both) == 2
            gate = threading.Barrier(2)

            def worker(number: int, both=both, gate=gate) -> None:  # type: ignore[no-untyped-def]
                gate.wait()
                settle(both[number])
                database.close()

            threads = [threading.Thread(target=worker, args=[number]) for number in (0, 1)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert connection(tenant).degraded_at is not None
        assert failures(tenant) == ["secret_expired"] * 2


def test_a_customer_without_a_connection_harms_nobody() -> None:
    tenant = proven("Alder")
    set_connection(tenant, max_access_failures=5)
    with scripted(UmpError.of("connection_missing")):
        command = submit(tenant)
        run_due()
    assert row(command).state == State.SUSPENDED


def test_people_set_the_rule_see_the_failures_and_what_to_do(cast: Cast, client_of: SignIn) -> None:
    tenant, olga, mona = cast.contoso, client_of(cast.olga), client_of(cast.mona)
    base = f"/tenants/{tenant.id}/access-failures/"
    post(olga, f"{base}rule/", {"max_access_failures": "1", "access_failure_window": ""})
    assert connection(tenant).max_access_failures == 1
    assert connection(tenant).access_failure_window is None
    post(olga, f"{base}rule/", {"max_access_failures": "101"}, status=422)
    post(mona, f"{base}rule/", {"max_access_failures": "5"}, status=403)
    with scope.one(tenant.id):
        tenants.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
        services.resume_for(tenant.id)
    with scripted(REFUSED):
        submit(tenant)
        run_due()
    page = text_of(mona, base)
    assert "Degraded, " in page
    assert "has expired" in page
    assert "Degraded since" in text_of(mona, f"/tenants/{tenant.id}/connection/")
    assert "Max Access Failures allows" in text_of(mona, "/")
    assert "Contoso" in text_of(mona, "/tenants/?health=failed")
