"""Verify All: one run over everybody within reach, fair, cancellable, and never blaming others for our own faults."""

import re
import uuid
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from audit.models import Entry
from authstatus import runs
from authstatus.models import VerifyRow, VerifyRun
from authstatus.runs import Outcome
from core.errors import UmpError
from replication import services as queue
from replication import states, sweeper
from replication.models import Command, Lane, LaneName, State
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Connection, Tenant
from tests.cast import CANARY_FABRIKAM, Cast
from tests.pages.helpers import SignIn, add, change, commands, post, text_of

pytestmark = pytest.mark.django_db
PAGE = "/authentication-status/"


def press(client: Client) -> str:
    """Verify All; the address of the run."""
    found: str = post(client, f"{PAGE}verify-all/", {})["Location"]
    assert re.fullmatch(r"/authentication-status/verify-runs/[0-9a-f-]{36}/", found)
    return found


def end(tenant: Tenant, to: State = State.SUCCEEDED, code: str = "") -> None:
    """The check of this customer ends so."""
    with scope.one(tenant.id):
        command = Command.objects.get(tenant=tenant, state__in=[State.QUEUED, State.EXECUTING])
        error = dict(UmpError.of(code, tenant=tenant.name).to_dict()) if code else None
        if command.state == State.QUEUED:
            Command.objects.filter(id=command.id).update(
                state=State.EXECUTING, lease_until=timezone.now(), dedupe_key=None
            )
        message = error["message"] if error else "Signed in."
        states.move(command.id, from_=State.EXECUTING, to=to, error=error, message=message)


def tally(url: str) -> dict[Outcome, int]:
    with scope.every("a test looks at a run"):
        found = runs.run(uuid.UUID(url.rstrip("/").rsplit("/", 1)[1]))
        return {
            outcome: number for outcome, number in runs.progress([found])[found.id].counts.items() if number
        }


def connected(name: str, like: Tenant) -> Tenant:
    """Another customer with a connection."""
    tenant = add(name)
    with scope.one(like.id):
        row = Connection.objects.get(tenant=like)
    with scope.one(tenant.id):
        Connection.objects.create(
            tenant=tenant, client_id=row.client_id, account=f"it@{name.lower()}.example"
        )
    return tenant


# --- One run ------------------------------------------------------------------------------------------------
def test_a_run_checks_everybody_once_and_says_who_was_left_out(cast: Cast, client_of: SignIn) -> None:
    paused, off = connected("Paused", cast.contoso), connected("Off", cast.contoso)
    add("Unconnected")
    change(paused, paused_at=timezone.now())
    change(off, enabled=False)
    olga = client_of(cast.olga)
    url = press(olga)
    for tenant in (cast.contoso, cast.fabrikam):
        assert [(command.kind, command.state) for command in commands(tenant)] == [
            ("verify_credentials", State.QUEUED)
        ]
    assert commands(paused) == []
    assert tally(url) == {Outcome.WAITING: 2, Outcome.LEFT_OUT: 3}
    page = text_of(olga, url)
    for word in (
        "Verify All Tokens", "M365 Admin Email", "Token Status", "Paused: nothing starts", "Disabled: nothing",
        "Not connected: there are no credentials", "0 of 2 (0%)", 'hx-trigger="every 2s',
    ):  # fmt: skip
        assert word in page
    assert "Done!" not in page
    assert "Verify All is under way: 0 of 2 checked." in text_of(olga, PAGE)
    with scope.every("a test reads the trail of the provider as a whole"):
        assert Entry.objects.filter(action="verify_run.started", actor_label=str(cast.olga)).count() == 1


def test_it_is_followed_live_to_its_end(cast: Cast, client_of: SignIn) -> None:
    olga = client_of(cast.olga)
    url = press(olga)
    end(cast.contoso)
    assert "1 of 2 (50%)" in text_of(olga, f"{url}live/")
    end(cast.fabrikam, State.FAILED, "secret_expired")
    last = text_of(olga, f"{url}live/", status=286)
    for word in ("Done!", ">OK<", "Access failed", "has expired", "Who can fix it: the customer"):
        assert word in last
    assert "Done!" in text_of(olga, url), "it survives a reload"
    assert "every 2s" not in text_of(olga, url)
    assert "under way" not in text_of(olga, PAGE)
    assert tally(url) == {Outcome.OK: 1, Outcome.ACCESS_FAILED: 1}


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("secret_expired", Outcome.ACCESS_FAILED),
        ("consent_missing", Outcome.ACCESS_FAILED),
        ("permission_missing", Outcome.ACCESS_FAILED),
        ("wrong_tenant", Outcome.ACCESS_FAILED),
        ("microsoft_busy", Outcome.CHECK_FAILED),
        ("throttled", Outcome.CHECK_FAILED),
        ("internal", Outcome.CHECK_FAILED),
        ("key_unavailable", Outcome.CHECK_FAILED),
        ("provider_app_refused", Outcome.CHECK_FAILED),
        ("provider_app_missing", Outcome.CHECK_FAILED),
    ],
)
def test_a_failed_check_is_not_failed_access(
    cast: Cast, client_of: SignIn, code: str, outcome: Outcome
) -> None:
    url = press(client_of(cast.otto))
    end(cast.contoso, State.FAILED, code)
    assert tally(url) == {outcome: 1}


def test_search_filter_and_pages_inside(cast: Cast, client_of: SignIn) -> None:
    for number in range(12):
        connected(f"Branch{number:02}", cast.contoso)
    olga = client_of(cast.olga)
    url = press(olga)
    end(cast.contoso, State.FAILED, "secret_expired")
    assert "Showing 1 to 10 of 14 entries" in text_of(olga, url)
    assert "Showing 11 to 14 of 14 entries" in text_of(olga, f"{url}?page=2")
    found = text_of(olga, f"{url}?q=it@branch07")
    assert "Branch07" in found
    assert "Branch08" not in found
    assert f"{url}live/?q=it%40branch07" in found
    assert "Showing 1 to 1 of 1 entries" in text_of(olga, f"{url}?outcome=access_failed")


def test_as_many_queries_for_twelve_rows_as_for_two(cast: Cast, client_of: SignIn) -> None:
    olga = client_of(cast.olga)

    def count(address: str) -> int:
        with CaptureQueriesContext(database) as seen:
            text_of(olga, address)
        return len(seen)

    first = press(olga)
    count(first)
    few, few_runs = count(first), count(f"{PAGE}verify-runs/")
    for number in range(10):
        connected(f"Branch{number}", cast.contoso)
    with CaptureQueriesContext(database) as pressed:
        second = press(olga)
    assert second != first, "it did not check everybody"
    assert count(second) == few
    assert count(f"{PAGE}verify-runs/") == few_runs
    for number in range(10):
        connected(f"Office{number}", cast.contoso)
    with CaptureQueriesContext(database) as again:
        press(olga)
    assert len(again) == len(pressed), "a run is made by sets, not row by row"


# --- Pressed twice, cancelled, and whose it is --------------------------------------------------------------
def test_pressed_twice_it_is_one_run(cast: Cast, client_of: SignIn) -> None:
    olga, otto = client_of(cast.olga), client_of(cast.otto)
    url = press(olga)
    assert press(olga) == url
    assert press(otto) == url, "it checks all of his customers already"
    assert len(commands(cast.contoso)) == 1
    end(cast.contoso)
    end(cast.fabrikam)
    assert press(olga) != url


def test_a_wider_reach_is_another_run_over_the_same_checks(cast: Cast, client_of: SignIn) -> None:
    narrow = press(client_of(cast.otto))
    wide = press(client_of(cast.olga))
    assert wide != narrow
    assert len(commands(cast.contoso)) == 1
    end(cast.contoso)
    assert tally(narrow) == {Outcome.OK: 1}
    assert tally(wide) == {Outcome.OK: 1, Outcome.WAITING: 1}


def test_cancelling_takes_back_what_waits_and_nothing_else(cast: Cast, client_of: SignIn) -> None:
    third = connected("Third", cast.contoso)
    olga = client_of(cast.olga)
    url = press(olga)
    with scope.every("a worker takes the first"):
        held = states.claim("test", 1)[0]
    others = [tenant for tenant in (cast.contoso, cast.fabrikam, third) if tenant.id != held.tenant_id]
    with scope.one(others[0].id):
        queue.submit(SYSTEM, "verify_credentials", others[0])  # asked for by hand: it is joined
    assert "2 of 3 checks still wait" in text_of(olga, f"{url}cancel/")
    post(olga, f"{url}cancel/", {})
    assert tally(url) == {Outcome.CHECKING: 1, Outcome.WAITING: 1, Outcome.CANCELLED: 1}
    assert commands(others[0])[0].state == State.QUEUED
    assert [(command.state, command.message) for command in commands(others[1])] == [
        (State.CANCELLED, "Cancelled.")
    ]
    with scope.one(others[1].id):
        assert Lane.objects.get(name=LaneName.IDENTITY).due_at is None
    assert "cancelled by" in text_of(olga, url)
    assert press(olga) != url, "a cancelled run is not joined"


def test_who_reaches_less_cancels_his_own_part(cast: Cast, client_of: SignIn) -> None:
    url = press(client_of(cast.olga))
    assert 'id="cancel"' not in text_of(client_of(cast.mona), url)
    post(client_of(cast.otto), f"{url}cancel/", {})
    assert tally(url) == {Outcome.CANCELLED: 1, Outcome.WAITING: 1}
    assert commands(cast.fabrikam)[0].state == State.QUEUED
    assert "cancelled by" not in text_of(client_of(cast.olga), url)


def test_nobody_sees_more_of_a_run_than_his_customers(cast: Cast, client_of: SignIn) -> None:
    url = press(client_of(cast.olga))
    with scope.one(cast.fabrikam.id):
        Connection.objects.update(account=f"it@{CANARY_FABRIKAM}.example")
    otto = text_of(client_of(cast.otto), url)
    assert "Contoso" in otto
    assert "Fabrikam" not in otto
    assert CANARY_FABRIKAM not in otto
    assert "0 of 1" in otto
    text_of(client_of(cast.adam), url, status=404)
    post(client_of(cast.adam), f"{PAGE}verify-all/", {}, status=404)
    post(client_of(cast.mona), f"{PAGE}verify-all/", {}, status=403)
    with scope.one(cast.fabrikam.id):
        only_fabrikam = VerifyRun.objects.create(started_by="olga")
        VerifyRow.objects.create(run=only_fabrikam, tenant=cast.fabrikam, left_out="paused")
    text_of(client_of(cast.otto), f"{PAGE}verify-runs/{only_fabrikam.id}/", status=404)
    history = text_of(client_of(cast.otto), f"{PAGE}verify-runs/")
    assert url in history
    assert str(only_fabrikam.id) not in history


# --- Fair to everything else --------------------------------------------------------------------------------
def claim(limit: int, spare: int = 0) -> list[Any]:
    with scope.every("a test claims"):
        return [(found.tenant_id, found.kind) for found in states.claim("test", limit, spare)]


def test_what_a_person_asks_for_goes_first(cast: Cast, client_of: SignIn) -> None:
    late = connected("Late", cast.contoso)
    press(client_of(cast.olga))
    newcomer = connected("Newcomer", cast.contoso)
    with scope.one(newcomer.id):
        queue.submit(SYSTEM, "verify_credentials", newcomer)
    with scope.one(late.id):
        queue.submit(SYSTEM, "verify_credentials", late)  # joins the run's, and takes it along to the front
    assert {tenant_id for tenant_id, _ in claim(2)} == {newcomer.id, late.id}
    assert {tenant_id for tenant_id, _ in claim(10)} == {cast.contoso.id, cast.fabrikam.id}


def test_a_run_leaves_places_for_others(cast: Cast, client_of: SignIn) -> None:
    third = connected("Third", cast.contoso)
    press(client_of(cast.olga))
    assert len(claim(3, spare=1)) == 2
    with scope.one(third.id):
        queue.submit(SYSTEM, "quick_replication", third)
    assert claim(1, spare=1) == [(third.id, "quick_replication")]
    assert claim(1, spare=1) == []
    assert len(claim(2, spare=1)) == 1


def test_after_an_hour_it_yields_no_longer(cast: Cast, client_of: SignIn) -> None:
    press(client_of(cast.olga))
    with scope.every("a test turns the clock"):
        Lane.objects.update(yields_until=timezone.now())
    assert len(claim(2, spare=1)) == 2
    with scope.every("a test looks"):
        assert Lane.objects.exclude(yields_until=None).count() == 2
        sweeper.sweep()
        assert not Lane.objects.exclude(yields_until=None).exists(), "nor does it come after all others"
