"""A check is a real check: what Microsoft refuses turns red, that and nothing else, and nobody is blamed for ours."""

import argparse
import datetime as dt
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from django.utils import timezone

from audit.models import Entry
from authstatus import findings, runs
from authstatus.models import Check, Finding
from m365 import identity, pacing
from m365.permissions import PROFILES, ROLES
from replication import sweeper
from replication.models import Command, State
from tenants import lines, scope, services
from tenants.models import Connection, DeployState, Tenant, Verification
from tests.directory.pretend import Customer, Worker, code_of
from ump_portal import cli

pytestmark = pytest.mark.django_db
VERIFY = "verify_credentials"
LEAST = PROFILES["directory_read"].application
AddCustomer = Callable[..., Customer]


@pytest.fixture(autouse=True)
def _at_once(settings: Any) -> None:
    """A missing permission is missing; the tests of propagation set their own time."""
    settings.CONSENT_PROPAGATION_SECONDS = 0
    identity.forget_everything()


@pytest.fixture
def contoso(add_customer: AddCustomer) -> Customer:
    return replicated(
        add_customer(app={"roles": list(LEAST), "directory_roles": roles("Teams Administrator")})
    )


def replicated(customer: Customer) -> Customer:
    """It was replicated already, so that a check queues nothing further."""
    with scope.one(customer.tenant.id):
        Tenant.objects.filter(id=customer.tenant.id).update(last_replicated_at=timezone.now())
    return customer


def roles(*names: str) -> list[str]:
    return [ROLES[name].template_id for name in names]


def at_microsoft(customer: Customer, **changes: Any) -> None:
    """What the customer's administrator changes about the app: `roles` are permissions."""
    url = f"{customer.microsoft.url}/_sim/tenants/{customer.pretend.id}/app"
    answer = requests.patch(url, json=changes, timeout=30)
    assert answer.status_code == 200, answer.text


def check(worker: Worker, customer: Customer) -> Command:
    return worker.run(customer, VERIFY)


def connection(customer: Customer) -> Connection:
    with scope.one(customer.tenant.id):
        return Connection.objects.get(tenant=customer.tenant)


def found(customer: Customer, kind: str) -> dict[str, str]:
    with scope.one(customer.tenant.id):
        rows = Finding.objects.filter(tenant=customer.tenant, kind=kind)
        return {row.name: row.state for row in rows}


def history(customer: Customer) -> list[Check]:
    with scope.one(customer.tenant.id):
        return list(Check.objects.filter(tenant=customer.tenant).order_by("-id"))


def calls(*refused: str) -> dict[str, str]:
    names = ("organisation", "users", "groups", "licences", "teams_users", "numbers")
    return {name: "missing" if name in refused else "present" for name in names}


def test_no_process_uses_a_token_from_before_the_last_check(
    contoso: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process kept what Microsoft gave while the consent was away; another finds that it is back."""

    def token() -> identity.Token:
        with scope.one(contoso.tenant.id):
            return lines.open_line(contoso.tenant.id).token()

    at_microsoft(contoso, roles=[])
    assert not token().roles
    at_microsoft(contoso, roles=list(LEAST))
    assert not token().roles, "it is kept"
    with monkeypatch.context() as other_process:
        other_process.setattr(identity, "_tokens", identity._Kept(10))
        assert check(worker, contoso).state == State.SUCCEEDED
    new = token()
    assert new.roles == set(LEAST)
    assert token() is new


def test_what_a_check_was_given_is_still_good_after_it_however_slow_its_end(
    contoso: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time is the database's at its beginning: reckoned at the end, each pause would make its token too old."""
    real = services.note_check

    def later(*args: Any, **kwargs: Any) -> Tenant | None:
        time.sleep(0.2)
        return real(*args, **kwargs)

    monkeypatch.setattr(services, "note_check", later)
    assert check(worker, contoso).state == State.SUCCEEDED
    [(_, _, given)] = identity._tokens._values.values()
    with scope.one(contoso.tenant.id):
        assert lines.open_line(contoso.tenant.id).token() is given


# --- Each thing on its own ----------------------------------------------------------------------------------
def test_everything_is_there(contoso: Customer, worker: Worker) -> None:
    command = check(worker, contoso)
    assert (command.state, connection(contoso).verification) == (State.SUCCEEDED, Verification.SUCCESSFUL)
    assert found(contoso, "permission") == dict.fromkeys(LEAST, "present")
    assert found(contoso, "call") == calls()
    assert found(contoso, "role") == {"Teams Administrator": "present"}
    assert [(row.result, row.organization, row.drift) for row in history(contoso)] == [
        ("successful", "Contoso", [])
    ]


def test_a_check_that_finds_what_was_found_before_asks_the_database_little(
    contoso: Customer, worker: Worker, django_assert_max_num_queries: Any
) -> None:
    """Verify All makes a thousand of them (docs/decisions/0012)."""
    check(worker, contoso)
    worker.queue(contoso, VERIFY)
    with django_assert_max_num_queries(40):
        assert worker.step() == State.SUCCEEDED
    assert len(history(contoso)) == 2


@pytest.mark.parametrize(
    ("lost", "feature"),
    [("User.Read.All", "users"), ("GroupMember.Read.All", "groups"), ("LicenseAssignment.Read.All", "")],
)
def test_one_permission_taken_away_turns_that_line_red(
    contoso: Customer, worker: Worker, lost: str, feature: str
) -> None:
    check(worker, contoso)
    at_microsoft(contoso, roles=[name for name in LEAST if name != lost])
    command = check(worker, contoso)
    if not feature:  # what reads the organisation reads its licences too
        assert command.state == State.SUCCEEDED
        assert lost not in found(contoso, "permission")
        return
    assert (command.state, code_of(command)) == (State.FAILED, "permission_missing")
    assert found(contoso, "permission") == dict.fromkeys(LEAST, "present") | {lost: "missing"}
    assert found(contoso, "call") == calls(feature)
    stored = connection(contoso)
    assert stored.verification == Verification.FAILED
    assert stored.problem is not None
    assert (stored.problem["code"], stored.problem["who"]) == ("permission_missing", "customer_admin")
    assert lost in stored.problem["message"]


def test_one_refused_call_leaves_the_others(contoso: Customer, worker: Worker) -> None:
    """All is granted, yet Microsoft refuses one call: each of the others was tried all the same."""
    contoso.trouble("error", path="/groups", status=403)
    command = check(worker, contoso)
    assert code_of(command) == "permission_missing"
    assert "GroupMember.Read.All" in command.message
    assert found(contoso, "call") == calls("groups")
    assert found(contoso, "permission") == dict.fromkeys(LEAST, "present")


def test_without_the_permissions_for_telephony_everything_else_goes_on(
    contoso: Customer, worker: Worker
) -> None:
    """Customers of before telephony was read: it is told what they lack, and their access stays proven."""
    lost = "TeamsTelephoneNumber.Read.All"
    at_microsoft(contoso, roles=[name for name in LEAST if name != lost])
    assert check(worker, contoso).state == State.SUCCEEDED
    assert connection(contoso).verification == Verification.SUCCESSFUL
    assert found(contoso, "call") == calls("numbers")
    assert found(contoso, "permission")[lost] == "missing"


def test_a_token_without_roles_is_no_consent(contoso: Customer, worker: Worker) -> None:
    at_microsoft(contoso, roles=[], directory_roles=[])
    assert code_of(check(worker, contoso)) == "permission_missing"
    assert set(found(contoso, "permission").values()) == {"missing"}
    assert connection(contoso).verification == Verification.FAILED


def test_more_than_needed(contoso: Customer, worker: Worker) -> None:
    at_microsoft(
        contoso,
        roles=[*LEAST, "Directory.ReadWrite.All", "Reports.Read.All", "Application.ReadWrite.OwnedBy"],
    )
    assert check(worker, contoso).state == State.SUCCEEDED
    states = found(contoso, "permission")
    assert states["Directory.ReadWrite.All"] == "extra"
    assert states["Reports.Read.All"] == "present", "our own guide asks for it"
    assert states["Application.ReadWrite.OwnedBy"] == "present", "the portal renews its secret by it"


def test_no_token_is_said_so(contoso: Customer, worker: Worker) -> None:
    check(worker, contoso)
    before = found(contoso, "permission")
    at_microsoft(contoso, secret_expires="2020-01-01T00:00:00Z")
    assert code_of(check(worker, contoso)) == "secret_expired"
    stored = connection(contoso)
    assert stored.get_verification_display() == "Token not generated"
    assert found(contoso, "permission") == before, "nobody looked, so nothing new is known"
    assert [row.result for row in history(contoso)] == ["no_token", "successful"]


# --- Check failed is not access failed ----------------------------------------------------------------------
@pytest.mark.parametrize("trouble", ["throttled", "broken", "no answer to the token"])
def test_a_check_that_fails_leaves_green_green(contoso: Customer, worker: Worker, trouble: str) -> None:
    check(worker, contoso)
    before = (connection(contoso).verified_at, found(contoso, "permission"))
    at_microsoft(contoso, roles=[])
    if trouble == "throttled":
        contoso.trouble("throttle", retry_after=60)
    elif trouble == "broken":
        contoso.trouble("error", path="/users", status=503)
    else:
        contoso.trouble("error", host="login", status=503)
    command = check(worker, contoso)
    assert command.state == State.QUEUED, "it is tried again"
    stored = connection(contoso)
    assert stored.verification == Verification.SUCCESSFUL
    assert (stored.verified_at, found(contoso, "permission")) == before
    newest = history(contoso)[0]
    assert newest.result == "check_failed"
    assert newest.problem is not None
    assert newest.problem["code"] in {"throttled", "graph_unavailable", "microsoft_busy"}
    contoso.heal()
    pacing._pacers.clear()  # the wait that Microsoft asked for is over too
    worker.wait_is_over(command)
    assert worker.step() == State.FAILED
    assert connection(contoso).verification == Verification.FAILED


def test_a_check_that_keeps_failing_is_one_entry(contoso: Customer, worker: Worker) -> None:
    contoso.trouble("error", host="login", status=503)
    command = check(worker, contoso)
    for _ in range(2):
        worker.wait_is_over(command)
        worker.step()
    assert [row.result for row in history(contoso)] == ["check_failed"]


def test_a_check_of_what_was_replaced_meanwhile_says_nothing(
    contoso: Customer, worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    from authstatus import checking

    real = checking.examine

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        said = real(*args, **kwargs)
        with scope.one(contoso.tenant.id):
            Connection.objects.filter(tenant=contoso.tenant).update(row_version=99)
        monkeypatch.setattr(checking, "examine", real)
        return said

    monkeypatch.setattr(checking, "examine", meanwhile)
    worker.queue(contoso, VERIFY)
    assert worker.step() == State.QUEUED
    assert history(contoso) == []
    assert worker.step() == State.SUCCEEDED


# --- Propagation --------------------------------------------------------------------------------------------
def test_right_after_a_change_it_may_be_microsoft_that_is_slow(
    contoso: Customer, worker: Worker, settings: Any
) -> None:
    settings.CONSENT_PROPAGATION_SECONDS = 300
    at_microsoft(contoso, roles=["User.Read.All"])
    command = check(worker, contoso)
    assert (command.state, command.attempts) == (State.QUEUED, 0)
    assert "has not put this in force yet" in command.message
    stored = connection(contoso)
    assert stored.verification == Verification.SUCCESSFUL, "as it was before"
    assert stored.propagating_until is not None
    assert history(contoso)[0].result == "propagating"
    at_microsoft(contoso, roles=list(LEAST))
    worker.wait_is_over(command)
    assert worker.step() == State.SUCCEEDED
    assert connection(contoso).propagating_until is None


def test_propagation_ends_as_missing(contoso: Customer, worker: Worker, settings: Any) -> None:
    settings.CONSENT_PROPAGATION_SECONDS = 300
    at_microsoft(contoso, roles=["User.Read.All"])
    command = check(worker, contoso)
    aged(contoso, minutes=6)
    worker.wait_is_over(command)
    assert worker.step() == State.FAILED
    assert connection(contoso).verification == Verification.FAILED


def aged(customer: Customer, **past: float) -> None:
    """As if the credential had been stored that long ago."""
    moment = timezone.now() - dt.timedelta(**past)
    with scope.one(customer.tenant.id):
        rows = Connection.objects.filter(tenant=customer.tenant)
        rows.update(changed_at=moment, propagating_until=None)


# --- Roles --------------------------------------------------------------------------------------------------
def deployed(customer: Customer) -> None:
    with scope.one(customer.tenant.id):
        Tenant.objects.filter(id=customer.tenant.id).update(deploy_state=DeployState.DEPLOYED)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ((), {"Teams Administrator": "missing"}),
        (("Teams Telephony Administrator", "Skype for Business Administrator"), {}),
        (("Teams Telephony Administrator",), {"Skype for Business Administrator": "missing"}),
        (
            ("Teams Administrator", "User Administrator", "Application Administrator"),
            {"User Administrator": "extra", "Application Administrator": "extra"},
        ),
        (("Teams Administrator", "Reports Reader"), {"Reports Reader": "extra"}),
    ],
)
def test_the_roles_of_a_deployed_customer(
    contoso: Customer, worker: Worker, held: tuple[str, ...], expected: dict[str, str]
) -> None:
    deployed(contoso)
    at_microsoft(contoso, directory_roles=roles(*held))
    command = check(worker, contoso)
    assert command.state == State.SUCCEEDED, "the directory is read without any role"
    assert found(contoso, "role") == dict.fromkeys(held, "present") | expected
    assert ("lacks a directory role" in command.message) == ("missing" in expected.values())


def test_the_roles_of_onboarding_may_stay_until_it_is_over(contoso: Customer, worker: Worker) -> None:
    at_microsoft(contoso, directory_roles=roles("Teams Administrator", "Domain Name Administrator"))
    check(worker, contoso)
    assert found(contoso, "role")["Domain Name Administrator"] == "present"
    deployed(contoso)
    check(worker, contoso)
    assert found(contoso, "role")["Domain Name Administrator"] == "extra"


# --- Drift --------------------------------------------------------------------------------------------------
def test_what_came_and_went_is_told(contoso: Customer, worker: Worker) -> None:
    check(worker, contoso)
    with scope.one(contoso.tenant.id):
        since = Finding.objects.get(kind="permission", name="User.Read.All").since
    less = [name for name in LEAST if name != "GroupMember.Read.All"]
    at_microsoft(contoso, roles=[*less, "Mail.Send"], directory_roles=[])
    check(worker, contoso)
    drift = {(each["kind"], each["name"], each["now"]) for each in history(contoso)[0].drift}
    assert drift == {
        ("permission", "GroupMember.Read.All", "not there"),
        ("permission", "Mail.Send", "there"),
        ("directory role", "Teams Administrator", "not there"),
    }
    with scope.one(contoso.tenant.id):
        entry = Entry.objects.get(action="connection.drifted")
        assert entry.changes["permission Mail.Send"] == ["not there", "there"]
        assert Finding.objects.get(kind="permission", name="User.Read.All").since == since
    check(worker, contoso)
    assert history(contoso)[0].drift == [], "it is told once"


def test_another_credential_is_no_drift(contoso: Customer, worker: Worker) -> None:
    check(worker, contoso)
    with scope.one(contoso.tenant.id):
        Connection.objects.get(tenant=contoso.tenant).save()
    at_microsoft(contoso, roles=[*LEAST, "Mail.Send"])
    check(worker, contoso)
    assert history(contoso)[0].drift == []


def test_each_customer_is_checked_once_a_day(add_customer: AddCustomer, worker: Worker) -> None:
    customers = [add_customer(name) for name in ("Contoso", "Fabrikam", "Tailspin")]
    assert sweeper.schedule_checks() == 0, "not due yet"
    with scope.every("a test turns the clock"):
        Connection.objects.update(next_check_at=timezone.now() - dt.timedelta(minutes=1))
        Connection.objects.filter(tenant=customers[2].tenant).update(method="password", verification="failed")
    assert sweeper.schedule_checks() == 2, "a password that was refused is not tried again"
    assert sweeper.schedule_checks() == 0
    following = {connection(customer).next_check_at for customer in customers[:2]}
    assert len(following) == 2, "each has a time of its own"
    for moment in following:
        assert dt.timedelta(0) < moment - timezone.now() <= dt.timedelta(days=1, hours=6)
    assert worker.step() == State.SUCCEEDED


def test_the_history_is_bounded(contoso: Customer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(findings, "KEPT", 3)
    monkeypatch.setattr(findings, "FORGOTTEN_EVERY", 1)
    with scope.one(contoso.tenant.id):
        for number in range(5):
            problem = {"code": f"reason_{number}", "message": ""}
            findings.note(contoso.tenant.id, findings.Result.CHECK_FAILED, problem)
    assert [row.problem["code"] for row in history(contoso) if row.problem] == [
        "reason_4",
        "reason_3",
        "reason_2",
    ]


# --- All of them, from the command line (TEN-22) ------------------------------------------------------------
def test_the_data_check_names_who_cannot_be_reached(
    add_customer: AddCustomer, worker: Worker, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = replicated(add_customer("Contoso")), replicated(add_customer("Fabrikam"))
    at_microsoft(bad, secret_expires="2020-01-01T00:00:00Z")
    options = argparse.Namespace(wait=False, json=False)
    assert cli._tenants_check(options) == 0
    assert capsys.readouterr().out.count("Waiting") == 2
    for _ in range(2):
        worker.step()
    assert cli._tenants_check(argparse.Namespace(wait=False, json=True)) == 0, "a second run begins"
    capsys.readouterr()
    with scope.every("a test looks"):
        first = runs.runs().last()
        assert first is not None
        told = [cli._checked(row) for row in runs.rows(first)]
    assert [(row["name"], row["outcome"]) for row in told] == [
        ("Contoso", "OK"),
        ("Fabrikam", "Access failed"),
    ]
    assert told[0]["entra_tenant_id"] == good.pretend.id
    assert "has expired" in told[1]["message"]
