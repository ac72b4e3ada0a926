"""The customer's way, each way to its end, and everything that may happen on it."""

import datetime as dt
import html
import json
import re
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.models import Entry
from authstatus import delegated
from authstatus.commands import VERIFY
from core.errors import Conflict, UmpError
from events.models import Event
from events.models import Type as Told
from invitations import confirming, device, finishing, services, signing_in, visits
from invitations.models import Invitation, Link, Stage, Visit
from invitations.visit_web import COOKIE
from invitations.welcome import WELCOME
from m365 import identity_delegated
from replication import runner, states
from replication import services as queue
from replication.models import Command, State
from simulator.mailbox import MailServer
from simulator.registrations import add_app
from simulator.server import Simulator
from tenants import people, provider_app, scope
from tenants.abilities import Role
from tenants.access import SYSTEM, actor_of_user
from tenants.models import AppOwner, Cloud, Connection, Method, Plan, Secret, SecretKind, SignInFlow, Tenant
from tests.cast import CANARY_CONTOSO, CANARY_FABRIKAM, Cast
from tests.directory.pretend import Killed
from tests.invitations.stage import BACK, HUB, Way, build, visits_of, words
from tests.pages.helpers import SignIn

pytestmark = pytest.mark.django_db


@pytest.fixture
def way(cast: Cast, microsoft: Simulator, settings: Any) -> Way:
    return build(cast, microsoft, settings)


def unknown(way: Way) -> None:
    """Nobody knows Contoso's Azure Tenant Id."""
    with scope.one(way.tenant.id):
        Tenant.objects.filter(id=way.tenant.id).update(entra_tenant_id=None)
        way.tenant.refresh_from_db()


# --- The first way ------------------------------------------------------------------------------------------
def test_by_signing_in_to_the_end(way: Way) -> None:
    browser = way.enter(way.invite(portal_account=False))
    assert way.row().stage == Stage.OPENED
    assert "Start authentication" in way.hub(browser)
    address = way.start(browser)
    assert way.row().stage == Stage.STARTED
    assert f"/{way.tenant.entra_tenant_id}/oauth2/v2.0/authorize" in address
    answer = browser.get(way.sign_in(address))
    assert answer.headers["Location"] == HUB, "the code leaves the address bar"
    assert "This page goes on by itself" in way.hub(browser)
    assert way.row().done_at is None, "success comes from the check, not from the redirect"
    assert way.work() == [
        (signing_in.CLAIM, State.SUCCEEDED, ""),
        (VERIFY, State.SUCCEEDED, ""),
        ("quick_replication", State.SUCCEEDED, ""),
    ]
    row, stored = way.row(), way.connection()
    assert (row.stage, row.admin_email) == (Stage.DONE, way.admin())
    assert stored is not None
    assert (stored.method, stored.account, stored.usable) == (Method.TOKEN, way.admin(), True)
    page = way.hub(browser)
    assert "Your organisation is connected" in page
    assert "User.Read.All" in page
    assert browser.get(f"{HUB}live/").status_code == 286
    with scope.one(way.tenant.id):
        told = list(Event.objects.order_by("id").values_list("type", flat=True))
        actions = set(Entry.objects.filter(object_kind="invitation").values_list("action", flat=True))
    assert [one for one in told if one.startswith("invitation")] == [
        Told.INVITATION_OPENED,
        Told.INVITATION_COMPLETED,
    ]
    assert {"invitation.opened", "invitation.completed"} <= actions


def test_until_the_check_has_spoken_nothing_is_done(way: Way) -> None:
    """The check comes after the token, and what it finds missing is what the page says."""
    browser = way.enter()
    browser.get(way.sign_in(way.start(browser)))
    principal = way.pretend.apps[str(provider_app.current().client_id)].principal
    with scope.every("a test's worker"):
        claimed = states.claim("test", 1)
    runner._settle(claimed[0], runner.run_one(claimed[0]))
    assert finishing.settle() == 0
    assert way.row().stage == Stage.PROVING
    assert "Validating credentials, please wait!" in way.hub(browser)
    assert principal is not None
    principal.enabled = False
    with scope.every("a test is impatient"):
        Connection.objects.update(changed_at=timezone.now() - dt.timedelta(hours=1))
    way.work()
    row = way.row()
    assert (row.done_at, row.signed_in_at) == (None, None)
    assert row.problem is not None
    page = way.hub(browser)
    assert row.problem["message"] in page
    assert "Start authentication" in page, "and may be tried again"


def test_a_visit_is_resumed_in_this_browser_and_by_the_link_in_another(way: Way) -> None:
    path = way.invite()
    first = way.enter(path)
    back = way.sign_in(way.start(first))
    second = way.enter(path)
    assert "Start authentication" in way.hub(second)
    answer = second.get(back)
    assert "begun in another browser" in words(answer.content)
    assert first.get(back).headers["Location"] == HUB, "it still belongs to the one that began it"
    way.work()
    for browser in (first, second):
        assert "Your organisation is connected" in way.hub(browser)
    late = Client().get(path)
    assert late.status_code == 410
    assert "was used" in words(late.content)


# --- An organisation that nobody knew -----------------------------------------------------------------------
def decided(way: Way) -> confirming.Shown:
    """What waits, as somebody who decides on it has seen it."""
    row = way.row()
    return confirming.Shown(row.found_tenant_id or uuid.UUID(int=0), row.found_account)


def found(way: Way) -> Client:
    unknown(way)
    browser = way.enter()
    address = way.start(browser)
    assert "/organizations/oauth2/v2.0/authorize" in address
    browser.get(way.sign_in(address, way.admin()))
    assert way.work() == [(signing_in.CLAIM, State.SUCCEEDED, "")]
    return browser


def test_an_unknown_organisation_waits_for_the_providers_word(way: Way) -> None:
    browser = found(way)
    row = way.row()
    assert row.stage == Stage.UNCONFIRMED
    assert (str(row.found_tenant_id), row.found_name, row.found_account) == (
        way.pretend.id, "Contoso", way.admin(),
    )  # fmt: skip
    assert row.found_domains == list(way.pretend.domains)
    assert way.connection() is None, "nothing is in use"
    assert "that was your part" in way.hub(browser)
    with scope.one(way.tenant.id):
        confirming.confirm_organisation(way.cast.actor("olga"), way.tenant, way.number, decided(way))
    assert way.work()[0] == (VERIFY, State.SUCCEEDED, "")
    assert str(way.again().entra_tenant_id) == way.pretend.id
    assert (way.row().stage, way.row().admin_email) == (Stage.DONE, way.admin())
    assert "Your organisation is connected" in way.hub(browser)


def hidden(content: bytes) -> dict[str, str]:
    """What the page on which the provider decides says of itself."""
    fields = re.findall(r'<input type="hidden" name="(found_\w+)" value="([^"]*)">', content.decode())
    return {name: html.unescape(value) for name, value in fields}


def replaced(way: Way) -> str:
    """Somebody else with a link signs in meanwhile, of another organisation; the account."""
    account = way.admin(way.microsoft.state.add_tenant({"name": "Northwind", "users": 4, "app": None}))
    browser = way.enter(way.link())
    browser.get(way.sign_in(way.start(browser), account))
    assert way.work() == [(signing_in.CLAIM, State.SUCCEEDED, "")]
    return account


@pytest.mark.parametrize("answer", ["confirm", "refuse"])
def test_what_is_decided_holds_for_what_was_shown_and_nothing_else(
    way: Way, client_of: SignIn, answer: str
) -> None:
    found(way)
    olga, page = client_of(way.cast.olga), f"/tenants/{way.tenant.id}/invitations/{way.number}/organisation/"
    shown = hidden(olga.get(page).content)
    account = replaced(way)
    late = olga.post(page, {"answer": answer, **shown})
    assert way.again().entra_tenant_id is None, "it is not the organisation that was looked at"
    assert (way.row().stage, way.row().found_account) == (Stage.UNCONFIRMED, account)
    assert late.status_code == 409
    said = words(late.content)
    assert "somebody else signed in meanwhile" in said
    assert "Northwind" in said, "what is to be decided now"
    assert way.connection() is None
    assert olga.post(page, {"answer": answer, **hidden(late.content)}).status_code == 303
    taken = str(way.again().entra_tenant_id) if way.again().entra_tenant_id else ""
    assert (taken != "", taken != way.pretend.id) == (answer == "confirm", True)
    assert way.row().found_tenant_id is None


def test_a_decision_that_does_not_say_of_what_is_none(way: Way, client_of: SignIn) -> None:
    """A page from before this was asked, or a body that somebody made up."""
    found(way)
    olga, page = client_of(way.cast.olga), f"/tenants/{way.tenant.id}/invitations/{way.number}/organisation/"
    shown = hidden(olga.get(page).content)
    for made_up in ({}, {**shown, "found_tenant_id": "x"}, {"found_tenant_id": shown["found_tenant_id"]}):
        for answer in ("confirm", "refuse"):
            assert olga.post(page, {"answer": answer, **made_up}).status_code in {409, 422}
    assert olga.post(page, shown).status_code == 422, "neither yes nor no"
    assert (way.again().entra_tenant_id, way.row().stage) == (None, Stage.UNCONFIRMED)


def test_another_account_of_the_same_organisation_is_decided_on_anew(way: Way) -> None:
    found(way)
    was = decided(way)
    way.change(found_account="somebody.else@contoso.example")
    with scope.one(way.tenant.id), pytest.raises(Conflict):
        confirming.confirm_organisation(way.cast.actor("olga"), way.tenant, way.number, was)
    assert way.again().entra_tenant_id is None


def test_the_provider_may_say_no_and_nothing_is_left(way: Way) -> None:
    browser, shown = found(way), decided(way)
    with scope.one(way.tenant.id):
        confirming.refuse_organisation(way.cast.actor("olga"), way.tenant, way.number, shown)
        assert not Secret.objects.filter(kind=SecretKind.TOKEN_CACHE).exists()
        with pytest.raises(Conflict):
            confirming.confirm_organisation(way.cast.actor("olga"), way.tenant, way.number, shown)
    assert way.again().entra_tenant_id is None
    page = way.hub(browser)
    assert "is not the one that is invited" in page
    assert "Start authentication" in page


@pytest.mark.parametrize("over", ["expired", "revoked"])
def test_what_nobody_confirmed_is_forgotten(way: Way, over: str) -> None:
    found(way)
    assert confirming.forget_unconfirmed() == 0
    expire(way) if over == "expired" else revoke(way)
    with scope.one(way.tenant.id), pytest.raises(UmpError):
        confirming.confirm_organisation(way.cast.actor("olga"), way.tenant, way.number, decided(way))
    assert confirming.forget_unconfirmed() == 1
    with scope.one(way.tenant.id):
        assert not Secret.objects.filter(kind=SecretKind.TOKEN_CACHE).exists()
    assert confirming.forget_unconfirmed() == 0


def test_an_organisation_of_another_customer_is_not_available_and_not_named(way: Way) -> None:
    unknown(way)
    browser = way.enter()
    browser.get(way.sign_in(way.start(browser), way.admin(way.other)))
    assert way.work() == [(signing_in.CLAIM, State.FAILED, "organisation_unavailable")]
    page = way.hub(browser)
    assert "cannot be connected by this invitation" in page
    assert "Fabrikam" not in page
    assert (way.row().found_tenant_id, way.connection()) == (None, None)


# --- Who may not, and what may go wrong at Microsoft --------------------------------------------------------
@pytest.mark.parametrize(
    ("decision", "said"),
    [("decline", "declined"), ("blocked", "Conditional Access"), ("approval", "Only an administrator of")],
)
def test_what_microsoft_refuses_is_explained_and_uses_nothing_up(way: Way, decision: str, said: str) -> None:
    browser = way.enter()
    browser.get(way.sign_in(way.start(browser), decision=decision))
    page = way.hub(browser)
    assert said in page
    assert "Start authentication" in page
    assert "AADSTS" not in page
    assert way.work() == []
    assert way.row().stage == Stage.STARTED
    browser.get(way.sign_in(way.start(browser)))
    way.work()
    assert way.row().stage == Stage.DONE


def test_somebody_without_the_right_to_consent_is_told_who_has_it(way: Way) -> None:
    browser = way.enter()
    browser.get(way.sign_in(way.start(browser), way.admin(index=1)))
    assert "Only an administrator of Contoso may consent" in way.hub(browser)


def test_somebody_without_a_role_is_refused_where_consent_was_there_already(way: Way) -> None:
    first = way.enter()
    first.get(way.sign_in(way.start(first)))  # consents for all
    second = way.enter(way.link())
    second.get(way.sign_in(way.start(second), way.admin(index=1)))
    codes = [code for kind, _, code in way.work() if kind == signing_in.CLAIM]
    assert codes == ["", "account_not_admin"]
    stored = way.connection()
    assert stored is not None
    assert stored.account == way.admin()
    assert way.row().stage == Stage.DONE, "what the one may not is no matter of the other"
    with scope.one(way.tenant.id):
        assert Event.objects.filter(type=Told.INVITATION_COMPLETED).count() == 1


def fails_at_microsoft(way: Way, browser: Client) -> None:
    browser.get(way.sign_in(way.start(browser), decision="decline"))


def fails_in_the_worker(way: Way, browser: Client) -> None:
    browser.get(way.sign_in(way.start(browser), way.admin(index=1)))


def lets_a_code_run_out(way: Way, browser: Client) -> None:
    browser.post(f"{HUB}device/")
    way.work(sweep=False)
    with scope.one(way.tenant.id):
        SignInFlow.objects.filter(id=visits_of(browser).flow_id).update(
            began_at=timezone.now() - dt.timedelta(minutes=10, seconds=1)
        )
    way.hurry()


def asks_for_what_is_closed(way: Way, browser: Client) -> None:
    with scope.one(way.tenant.id):
        Tenant.objects.filter(id=way.tenant.id).update(plan=Plan.ESSENTIALS)
    assert browser.post(f"{HUB}sign-in/", {"way": "create"}).headers["Location"] == HUB


FAILURES: list[tuple[Callable[[Way, Client], None], str]] = [
    (fails_at_microsoft, "declined"),
    (fails_in_the_worker, "is no administrator of"),
    (lets_a_code_run_out, "ten minutes"),
    (asks_for_what_is_closed, "does not include app registrations"),
]


@pytest.mark.parametrize(("fails", "said"), FAILURES)
@pytest.mark.parametrize("known", [True, False])
def test_a_colleague_who_fails_undoes_nothing_and_reads_why(
    way: Way, fails: Callable[[Way, Client], None], said: str, known: bool
) -> None:
    if not known:
        unknown(way)
    first = way.enter()
    second = way.enter(way.link())
    first.get(way.sign_in(way.start(first)))
    way.work(sweep=False)
    stage = Stage.PROVING if known else Stage.UNCONFIRMED
    assert way.row().stage == stage
    fails(way, second)
    way.work(sweep=False)
    row = way.row()
    assert (row.stage, row.problem) == (stage, None)
    page = way.hub(second)
    assert said in page
    assert "another sign-in by this invitation worked" in page
    assert said not in way.hub(first), "it is no error of his"
    if not known:
        with scope.one(way.tenant.id):
            confirming.confirm_organisation(way.cast.actor("olga"), way.tenant, way.number, decided(way))
    way.hurry()
    way.work()
    assert way.row().stage == Stage.DONE
    assert "Your organisation is connected" in way.hub(second)


@pytest.mark.parametrize("tid", ["70000000-0000-4000-8000-000000000007", identity_delegated.PERSONAL_TENANT])
def test_tokens_of_another_organisation_are_not_kept(
    way: Way, monkeypatch: pytest.MonkeyPatch, tid: str
) -> None:
    """Should Microsoft ever let a foreigner in: his tokens say whose they are."""
    browser = way.enter()
    browser.get(way.sign_in(way.start(browser)))
    monkeypatch.setattr(
        identity_delegated, "_of_tenant", lambda *_: _raise(tid, str(way.tenant.entra_tenant_id))
    )
    kind, state, code = way.work()[0]
    assert (kind, state) == (signing_in.CLAIM, State.FAILED)
    assert code in {"wrong_tenant", "account_personal"}
    assert way.connection() is None
    assert way.row().problem is not None


def _raise(tid: str, expected: str) -> None:
    identity_delegated._check_tid(tid, expected)
    raise AssertionError("the token was believed")


@pytest.mark.parametrize("what", ["code", "state"])
def test_a_parallel_flow_in_the_same_browser_opens_nothing(way: Way, what: str) -> None:
    browser = way.enter()
    first, second = (parse_qs(urlsplit(way.sign_in(way.start(browser))).query) for _ in range(2))
    mixed = {"code": first["code"][0], "state": second["state"][0]}
    if what == "state":
        mixed = {"code": second["code"][0], "state": first["state"][0]}
    browser.get("/authenticate/OAuth2Callback", mixed)
    assert way.work() == [(signing_in.CLAIM, State.FAILED, "signin_restart")]
    assert way.connection() is None


def test_who_started_twice_may_finish_the_first(way: Way) -> None:
    browser = way.enter()
    first = way.sign_in(way.start(browser))
    way.start(browser)
    browser.get(first)
    assert "This page goes on by itself" in way.hub(browser)
    way.work()
    assert way.row().stage == Stage.DONE


def test_a_state_works_once_and_in_time(way: Way) -> None:
    browser = way.enter()
    back = way.sign_in(way.start(browser))
    assert browser.get(back).status_code == 303
    assert browser.get(back).status_code == 409
    late = way.sign_in(way.start(browser))
    with scope.one(way.tenant.id):
        SignInFlow.objects.update(began_at=timezone.now() - dt.timedelta(minutes=11))
    assert "took too long" in words(browser.get(late).content)


def test_the_way_of_whoever_let_the_portal_in_is_gone_to_its_end(way: Way) -> None:
    """A colleague who begins another way and leaves it changes nothing of that."""
    first, second = way.enter(), way.enter(way.link())
    first.get(way.sign_in(way.start(first)))
    way.work(sweep=False)
    second.get(way.sign_in(way.start(second, "create"), decision="decline"))
    assert way.row().way == "redirect"
    assert "create_registration" not in {kind for kind, _, _ in way.work()}
    assert way.row().stage == Stage.DONE


def test_the_way_is_that_of_the_sign_in_which_worked(way: Way) -> None:
    first, second = way.enter(), way.enter(way.link())
    back = way.sign_in(way.start(first, "create"))
    way.start(second)
    first.get(back)
    way.work(sweep=False)
    assert way.row().way == "create"


# --- Links that lead nowhere, at each step ------------------------------------------------------------------
def expire(way: Way) -> None:
    way.change(expires_at=timezone.now() - dt.timedelta(seconds=1))


def revoke(way: Way) -> None:
    with scope.one(way.tenant.id):
        services.revoke(way.cast.actor("olga"), way.tenant, way.number)


def use_up(way: Way) -> None:
    way.change(done_at=timezone.now())


def disable(way: Way) -> None:
    with scope.one(way.tenant.id):
        Tenant.objects.filter(id=way.tenant.id).update(enabled=False)


CLOSED: list[tuple[Callable[[Way], None], set[int]]] = [
    (expire, {410}),
    (revoke, {404, 410}),
    (use_up, {410}),
    (disable, {404}),
]


@pytest.mark.parametrize(("close", "status"), CLOSED)
@pytest.mark.parametrize("step", ["look", "continue", "start", "device", "app", "back", "claim"])
def test_a_closed_invitation_ends_every_step(
    way: Way, close: Callable[[Way], None], status: set[int], step: str
) -> None:
    path = way.invite()
    browser = Client() if step in {"look", "continue"} else way.enter(path)
    back = way.sign_in(way.start(browser)) if step in {"back", "claim"} else ""
    if step == "claim":
        browser.get(back)
    close(way)
    answers = {
        "look": lambda: browser.get(path),
        "continue": lambda: browser.post(path),
        "start": lambda: browser.post(f"{HUB}sign-in/"),
        "device": lambda: browser.post(f"{HUB}device/"),
        "app": lambda: browser.post(f"{HUB}app/", {"cloud": "global", "client_id": str(uuid.uuid4())}),
        "back": lambda: browser.get(back),
    }
    if step != "claim":
        answer = answers[step]()
        assert answer.status_code in status
        assert "Contoso" not in answer.content.decode(), "it does not say whose it was"
        assert CANARY_CONTOSO not in answer.content.decode()
    codes = {code for _, _, code in way.work()}
    assert "" not in codes or (step == "claim" and close is disable)
    assert way.connection() is None or (step == "claim" and close is disable)
    with scope.one(way.tenant.id):
        flows = SignInFlow.objects.filter(granted_at__isnull=False).count()
    assert flows == 0 or close is disable


def correct(way: Way) -> None:
    olga = way.cast.actor("olga")
    to = {"full_name": "", "admin_email": "", "portal_account": True}
    with scope.one(way.tenant.id):
        services.edit(olga, way.tenant, way.number, email="right@contoso.example", **to)


def mail_anew(way: Way, why: services.Why = services.Why.RESEND) -> None:
    with scope.one(way.tenant.id), transaction.atomic():
        link, _ = services.make_link(way.row(), "test", mailed=True)
        services.note_sent(way.tenant, way.number, link, why)


@pytest.mark.parametrize("end", [correct, mail_anew])
@pytest.mark.parametrize("step", ["look", "start", "device", "app", "back", "claim", "code"])
def test_who_came_by_an_earlier_link_is_out_at_every_step(
    way: Way, end: Callable[[Way], None], step: str
) -> None:
    browser = way.enter()
    back = way.sign_in(way.start(browser)) if step in {"back", "claim"} else ""
    if step == "claim":
        browser.get(back)
    code = shown(way, browser) if step == "code" else ""
    end(way)
    answers = {
        "look": lambda: browser.get(HUB),
        "start": lambda: browser.post(f"{HUB}sign-in/"),
        "device": lambda: browser.post(f"{HUB}device/"),
        "app": lambda: browser.post(f"{HUB}app/", own_app(way)),
        "back": lambda: browser.get(back),
    }
    if step in answers:
        answer = answers[step]()
        assert answer.status_code == 410
        assert "sends the invitation anew or corrects its address" in words(answer.content)
        assert "Contoso" not in answer.content.decode(), "it does not say whose it was"
    if step == "code":
        way.enter_code(code)
        way.hurry()
    done = way.work()
    assert (signing_in.CLAIM, State.FAILED, "visit_over") in done or step != "claim"
    assert way.connection() is None
    assert (way.row().signed_in_at, way.row().problem) == (None, None), "whoever is right begins afresh"


def test_a_reminder_throws_nobody_out(way: Way) -> None:
    browser = way.enter()
    mail_anew(way, services.Why.REMINDER)
    assert "Start authentication" in way.hub(browser)


def test_a_copied_link_outlives_a_corrected_address_and_opens_another_visit(way: Way) -> None:
    path = way.invite()
    way.enter(path)
    correct(way)
    assert "Start authentication" in way.hub(way.enter(path))


def test_a_page_that_waits_says_why_it_waits_no_longer(way: Way) -> None:
    browser = way.enter()
    code = shown(way, browser)
    correct(way)
    answer = browser.get(f"{HUB}live/", headers={"HX-Request": "true"})
    assert answer.status_code == 286, "which htmx shows, and asks no more"
    assert "sends the invitation anew or corrects its address" in words(answer.content)
    assert code not in words(answer.content)


@pytest.mark.parametrize("end", [correct, mail_anew])
def test_a_visit_that_ends_while_a_step_is_under_way_changes_nothing(
    way: Way, end: Callable[[Way], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = way.enter()
    looked = visits.visit_of

    def overtaken(cookie: str, **more: Any) -> Visit:
        found = looked(cookie, **more)
        end(way)
        return found

    monkeypatch.setattr(visits, "visit_of", overtaken)
    assert browser.post(f"{HUB}app/", own_app(way)).status_code == 410
    assert way.connection() is None


def test_a_link_that_ends_while_it_is_followed_opens_no_visit(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Continue was pressed while the invitation was sent anew."""
    path, looked = way.invite(), visits.invitation_of

    def overtaken(token: str, address: str | None) -> Invitation:
        found = looked(token, address)
        mail_anew(way)
        return found

    monkeypatch.setattr(visits, "invitation_of", overtaken)
    assert Client().post(path).status_code == 404
    with scope.one(way.tenant.id):
        assert not Visit.objects.exists()


@pytest.mark.parametrize("bad", ["x", "a" * 43, "%00", "..%2f", "é", "a" * 5000, "visit"])
def test_a_guessed_link_leads_nowhere(way: Way, bad: str) -> None:
    way.invite()
    for method in ("get", "post"):
        answer = getattr(Client(), method)(f"/authenticate/{bad}")
        assert answer.status_code in {404, 301}
        assert "Contoso" not in answer.content.decode()


def test_what_no_page_of_a_visit_knows_is_refused_before_anything_is_looked_up(way: Way) -> None:
    for path in (way.invite(), HUB):
        assert [getattr(Client(), method)(path).status_code for method in ("put", "delete")] == [405, 405]


def test_guessing_is_slowed_down_and_others_are_not(way: Way) -> None:
    path = way.invite()
    guesser = Client(REMOTE_ADDR="203.0.113.9")
    statuses = [
        guesser.get(f"/authenticate/{number:043}").status_code for number in range(visits.GUESSES + 3)
    ]
    assert statuses == [404] * visits.GUESSES + [429] * 3
    assert guesser.get(path).status_code == 429
    assert Client(REMOTE_ADDR="203.0.113.10").get(path).status_code == 200


def test_scanners_change_nothing(way: Way) -> None:
    path, before = way.invite(), way.row().__dict__ | {"_state": None}
    for number in range(50):
        browser = Client(HTTP_USER_AGENT=f"Safelinks {number}", enforce_csrf_checks=True)
        answer = browser.get(path) if number % 2 else browser.head(path)
        assert answer.status_code == 200
        assert COOKIE not in answer.cookies
    assert Client(enforce_csrf_checks=True).post(path).status_code == 403
    assert way.row().__dict__ | {"_state": None} == before
    with scope.one(way.tenant.id):
        assert (Visit.objects.count(), Link.objects.count(), SignInFlow.objects.count()) == (0, 1, 0)
        assert not Event.objects.exists()


def test_the_page_behind_a_link_tells_no_one_of_it_and_says_what_it_is_about(way: Way) -> None:
    answer = Client().get(way.invite())
    assert answer.headers["Referrer-Policy"] == "strict-origin", "the host name at most, and never the link"
    assert "no-store" in answer.headers["Cache-Control"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    page = words(answer.content)
    for said in ("Your provider asks for access to Microsoft 365 of Contoso", "Read the full profiles of all users",
                 "Teams Administrator", "Application Administrator", "Global Administrator",
                 "Enterprise applications", "Continue"):  # fmt: skip
        assert said in page
    assert "//" not in " ".join(part.split('"')[0] for part in answer.content.decode().split('src="')[1:]), (
        "nothing from elsewhere"
    )


def test_the_cookie_is_the_visits_own(way: Way) -> None:
    browser = way.enter()
    cookie = browser.cookies[COOKIE]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    with scope.every("a dump, as a thief would have it"), database.cursor() as cursor:
        cursor.execute("SELECT v::text FROM invitations_visit v")
        assert cookie.value not in str(cursor.fetchall())
    with scope.one(way.tenant.id):
        Visit.objects.update(ends_at=timezone.now())
    answer = browser.get(HUB)
    assert answer.status_code == 410
    assert "Open the link in the newest mail again" in words(answer.content)


BIG = "x" * 1_000_000


@pytest.mark.parametrize(
    ("path", "body", "statuses"),
    [
        ("sign-in/", {"way": BIG}, {200}),
        ("device/", {"way": BIG}, {303}),
        ("app/", {"cloud": "global", "client_id": BIG, "client_secret": BIG}, {422}),
        ("app/", {"cloud": "moon", "client_id": "\0", "client_secret": "\0" * 50}, {422}),
    ],
)
def test_hostile_bodies_change_nothing(way: Way, path: str, body: dict[str, str], statuses: set[int]) -> None:
    browser = way.enter()
    assert browser.post(HUB + path, body).status_code in statuses
    assert way.connection() is None
    assert way.row().signed_in_at is None


def test_a_hostile_answer_in_microsofts_name_is_taken_for_text(way: Way) -> None:
    browser = way.enter()
    state = parse_qs(urlsplit(way.start(browser)).query)["state"][0]
    said = "<script>alert(1)</script>\0" * 2000
    query = {"state": state, "error": "access_denied", "error_description": said, "admin_consent": "True"}
    assert browser.get("/authenticate/OAuth2Callback", query).status_code == 303
    page = browser.get(HUB).content.decode()
    assert "<script>alert" not in page
    assert "declined" in page


# --- The walls ----------------------------------------------------------------------------------------------
def test_a_visitor_sees_nothing_else_of_the_portal(way: Way) -> None:
    from tests.walls.routes import routes

    browser = way.enter()
    values = {
        name: str(uuid.uuid4()) for name in ("flow_id", "run_id", "object_id", "token_id", "endpoint_id")
    }
    for route in routes():
        kinds = {door.kind for door in route.doors.values()}
        if not route.doors or "visit" in kinds or route.takes - {"uid", *values}:
            continue
        for tenant in (way.cast.contoso, way.cast.fabrikam):
            answer = browser.get(route.address(uid=tenant.id, **values))
            assert answer.status_code in ({401, 405} if route.api else {302, 405}), route.pattern
            assert CANARY_FABRIKAM not in answer.content.decode()


def test_a_visitor_is_nobody_for_another_customer(way: Way) -> None:
    browser = way.enter()
    visit = visits_of(browser)
    with scope.one(way.tenant.id):
        actor = visits.actor_of(Invitation.objects.get(id=visit.invitation_id))
    assert actor.abilities(way.tenant.id) == visits.MAY
    assert actor.abilities(way.cast.fabrikam.id) == actor.abilities() == frozenset()
    for page in (way.hub(browser), words(browser.get(f"{HUB}app/").content)):
        assert CANARY_FABRIKAM not in page
        assert "Fabrikam" not in page


def test_a_visit_and_a_sign_in_to_the_portal_in_one_browser_do_not_mix(way: Way, client_of: SignIn) -> None:
    max_browser = client_of(way.cast.max)  # Fabrikam's administrator follows Contoso's link
    assert max_browser.post(way.invite()).status_code == 303
    assert "Start authentication" in way.hub(max_browser)
    assert max_browser.get(f"/tenants/{way.cast.fabrikam.id}/").status_code == 200
    back = way.sign_in(way.start(max_browser))
    assert max_browser.get(back).headers["Location"] == HUB
    with scope.one(way.tenant.id):
        command = Command.objects.get(kind=signing_in.CLAIM)
    assert (command.actor_kind, command.actor_id) == ("invitation", f"invitation:{way.number}")
    assert max_browser.get(f"/tenants/{way.cast.contoso.id}/").status_code == 404


def test_a_portal_persons_own_sign_in_still_comes_back_to_him(way: Way, client_of: SignIn) -> None:
    from tests.pages.helpers import post, url

    olga = client_of(way.cast.olga)
    assert olga.post(way.invite()).status_code == 303
    answer = post(olga, url(way.tenant, "grant-access/"), {}, 200)
    back = olga.get(way.sign_in(str(answer.headers["Refresh"]).removeprefix("0;url=")))
    assert "/sign-in/" in back.headers["Location"]
    assert way.work()[0][0] == delegated.REDEEM
    assert way.row().signed_in_at is None


# --- The second way -----------------------------------------------------------------------------------------
def shown(way: Way, browser: Client) -> str:
    """The code on the page."""
    assert browser.post(f"{HUB}device/").status_code == 303
    way.work()
    visit = visits_of(browser)
    assert visit.device is not None
    assert visit.device["code"] in way.hub(browser)
    return str(visit.device["code"])


@pytest.mark.parametrize("known", [True, False])
def test_by_a_code_to_the_end(way: Way, settings: Any, known: bool) -> None:
    settings.OUTBOUND_COUNTRY = "Iceland"
    if not known:
        unknown(way)
    browser = way.enter()
    code = shown(way, browser)
    page = way.hub(browser)
    assert "Iceland" in page
    assert "microsoft.com/devicelogin" in page
    assert browser.get(f"{HUB}live/").status_code == 200
    way.enter_code(code)
    way.hurry()
    way.work()
    if not known:
        assert way.row().stage == Stage.UNCONFIRMED
        return
    assert way.row().stage == Stage.DONE
    stored = way.connection()
    assert stored is not None
    assert (stored.account, stored.usable) == (way.admin(), True)


def test_the_code_that_redeems_it_is_sealed_and_shown_nowhere(way: Way) -> None:
    browser = way.enter()
    shown(way, browser)
    grants = [grant for key, grant in way.microsoft.state.grants.items() if grant["kind"] == "device"]
    keys = [key for key, grant in way.microsoft.state.grants.items() if grant["kind"] == "device"]
    assert len(grants) == 1
    everything = way.hub(browser)
    with scope.every("a dump, as a thief would have it"), database.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f"SELECT t::text FROM {model._meta.db_table} t")
            everything += json.dumps(cursor.fetchall(), default=str)
    assert keys[0] not in everything


def test_a_code_of_one_visit_is_nothing_to_another(way: Way) -> None:
    path = way.invite()
    first, second = way.enter(path), way.enter(path)
    code = shown(way, first)
    assert code not in way.hub(second)
    assert "Start authentication" in words(first.get(f"{HUB}?ways=all").content)
    way.start(first)
    way.enter_code(code)
    way.hurry()
    way.work()
    assert way.connection() is None, "the code of who went another way gets nothing"
    assert "Get a code" in way.hub(first)


@pytest.mark.parametrize(
    ("happens", "code"),
    [("declined", "device_declined"), ("late", "device_waited"), ("expired", "invitation_expired")],
)
def test_a_code_that_leads_nowhere_says_why(way: Way, happens: str, code: str) -> None:
    browser = way.enter()
    entered = shown(way, browser)
    if happens == "declined":
        way.enter_code(entered, decision="decline")
    if happens == "late":
        with scope.one(way.tenant.id):
            SignInFlow.objects.update(began_at=timezone.now() - dt.timedelta(minutes=10, seconds=1))
    if happens == "expired":
        expire(way)
    way.hurry()
    assert way.work() == [(device.DEVICE, State.FAILED, code)]
    with scope.one(way.tenant.id):
        assert not Secret.objects.filter(kind=SecretKind.SIGN_IN).exists()
    if happens != "expired":
        assert "Start authentication" in way.hub(browser)


def test_the_pace_is_microsofts(way: Way) -> None:
    browser = way.enter()
    shown(way, browser)
    waits = []
    for _ in range(2):
        way.hurry()
        way.work()
        with scope.one(way.tenant.id):
            command = Command.objects.get(kind=device.DEVICE)
        waits.append(command.checkpoint["interval"])
    assert waits[0] < waits[-1], "slow_down is heeded"
    assert command.state == State.QUEUED
    assert command.attempts == 0, "waiting uses no attempt"


def test_a_worker_that_died_goes_on_where_it_was(way: Way) -> None:
    browser = way.enter()
    code = shown(way, browser)
    way.hurry()
    with scope.every("a test's worker"):
        claimed = states.claim("test", 1)
        states.move(claimed[0].id, from_=State.EXECUTING, to=State.QUEUED)  # it died
    way.enter_code(code)
    way.hurry()
    way.work()
    assert way.row().stage == Stage.DONE


def taken_back(way: Way) -> None:
    """The sweeper takes the command back from the dead worker."""
    with scope.every("the sweeper"):
        command = Command.objects.get(kind=device.DEVICE)
        states.move(command.id, from_=State.EXECUTING, to=State.QUEUED)
    way.hurry()


def test_a_worker_that_was_killed_before_it_kept_the_code_asks_for_another(
    way: Way, dies: Callable[[int], None]
) -> None:
    browser = way.enter()
    browser.post(f"{HUB}device/")
    dies(1)
    with pytest.raises(Killed):
        way.work()
    assert visits_of(browser).device is None, "a code that nobody can look for is not shown"
    dies(0)
    taken_back(way)
    way.work()
    shown_now = visits_of(browser).device
    assert shown_now is not None
    way.enter_code(shown_now["code"])
    way.hurry()
    way.work()
    assert way.row().stage == Stage.DONE


def test_a_worker_that_was_killed_with_the_tokens_in_its_hands_says_start_again(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = way.enter()
    way.enter_code(shown(way, browser))
    way.hurry()

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(delegated, "keep", killed)
        way.work()
    assert way.connection() is None
    assert way.row().signed_in_at is None
    taken_back(way)
    assert way.work() == [(device.DEVICE, State.FAILED, "signin_restart")]
    assert "Start authentication" in way.hub(browser)


def test_an_app_that_may_not_use_codes_says_so_before_one_is_shown(way: Way) -> None:
    home = way.microsoft.state.registration(str(provider_app.current().client_id), None)
    home.public_client = False
    browser = way.enter()
    browser.post(f"{HUB}device/")
    assert way.work() == [(device.DEVICE, State.FAILED, "device_not_allowed")]
    page = way.hub(browser)
    assert "does not allow sign-ins by a code" in page
    assert "Start authentication" in page


# --- The third way ------------------------------------------------------------------------------------------
def test_by_a_registration_that_the_portal_makes(way: Way, settings: Any) -> None:
    settings.CONSENT_PROPAGATION_SECONDS = settings.SECRET_PROPAGATION_SECONDS = 0
    browser = way.enter()
    address = way.start(browser, "create")
    assert "AppRoleAssignment.ReadWrite.All" in address
    browser.get(way.sign_in(address))
    # Microsoft registers no http address but localhost.
    provider_app.ProviderApp.objects.update(redirect_uri=BACK.replace("http:", "https:"))
    kinds = []
    for _ in range(6):
        kinds += [kind for kind, _, _ in way.work()]
        if way.row().done_at:
            break
        page = way.hub(browser)
        assert "Register the app" in page
        way.hurry()
    assert [one for one in kinds if one in {signing_in.CLAIM, "create_registration"}] [:2] == [
        signing_in.CLAIM, "create_registration",
    ]  # fmt: skip
    stored = way.connection()
    assert stored is not None
    assert (stored.method, stored.app_owner, stored.usable) == (Method.APP, AppOwner.CUSTOMER, True)
    assert way.row().stage == Stage.DONE
    assert "App registration" in way.hub(browser)


def own_app(way: Way) -> dict[str, str]:
    app = {"client_id": str(uuid.uuid4()), "secret": "a~secret~of~the~app~that~Contoso~made"}
    add_app(way.pretend, app, way.microsoft.state.now())
    return {"cloud": "global", "client_id": app["client_id"], "client_secret": app["secret"]}


def test_by_a_registration_of_ones_own(way: Way) -> None:
    browser = way.enter()
    guide = words(browser.get(f"{HUB}app/").content)
    for said in (
        "Register the app",
        "User.Read.All",
        "Grant admin consent",
        BACK,
    ):
        assert said in guide
    given = own_app(way)
    wrong = browser.post(f"{HUB}app/", {**given, "client_secret": str(uuid.uuid4())})
    assert wrong.status_code == 422
    assert "Secret ID" in words(wrong.content)
    assert browser.post(f"{HUB}app/", given).headers["Location"] == HUB
    assert "App registration entered" in way.hub(browser)
    way.work()
    assert way.row().stage == Stage.DONE
    assert given["client_secret"] not in way.hub(browser)


def test_a_wrong_secret_is_found_out_and_can_be_entered_again(way: Way, settings: Any) -> None:
    settings.CONSENT_PROPAGATION_SECONDS = 0
    browser, given = way.enter(), own_app(way)
    browser.post(f"{HUB}app/", {**given, "client_secret": "not~the~secret~of~the~app~that~was~made"})
    way.work()
    assert "did not accept the client secret" in way.hub(browser)
    browser.post(f"{HUB}app/", given)
    way.work()
    assert way.row().stage == Stage.DONE


@pytest.mark.parametrize("cloud", [Cloud.GCC_HIGH, Cloud.DOD, Cloud.CHINA])
def test_another_cloud_gets_the_third_way_only_and_hears_why(way: Way, cloud: Cloud) -> None:
    browser = way.enter(way.invite(cloud=cloud))
    page = way.hub(browser)
    assert page.count("Not possible here") == 2
    assert "Each of Microsoft's clouds" in page
    assert "Start authentication" not in page
    assert browser.post(f"{HUB}sign-in/").status_code == 303
    assert browser.post(f"{HUB}device/").status_code == 303
    with scope.one(way.tenant.id):
        assert not SignInFlow.objects.exists()
    guide = browser.get(f"{HUB}app/").content.decode()
    assert "https://portal.azure.com" not in guide, "each cloud has an admin centre of its own"


def test_what_a_service_level_or_an_empty_portal_rules_out_is_said(way: Way) -> None:
    with scope.one(way.tenant.id):
        Tenant.objects.filter(id=way.tenant.id).update(plan=Plan.ESSENTIALS)
    browser = way.enter()
    assert "app registrations belong to larger ones" in way.hub(browser)
    provider_app.ProviderApp.objects.all().delete()
    assert "has not entered its app registration" in way.hub(browser)


def test_so_many_sign_ins_and_no_more(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing_in, "MOST_STARTS", 2)
    browser = way.enter()
    statuses = [browser.post(f"{HUB}sign-in/").status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


def test_so_many_browsers_and_no_more(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visits, "MOST_VISITS", 2)
    path = way.invite()
    assert [Client().post(path).status_code for _ in range(3)] == [303, 303, 429]


def test_a_check_that_was_given_up_does_not_keep_the_page_waiting(way: Way) -> None:
    browser = way.enter()
    browser.get(way.sign_in(way.start(browser)))
    with scope.every("a test's worker"):
        claimed = states.claim("test", 1)
    runner._settle(claimed[0], runner.run_one(claimed[0]))
    with scope.one(way.tenant.id):
        queue.cancel(SYSTEM, Command.objects.get(kind=VERIFY))
    assert finishing.settle() == 1
    assert way.row().stage == Stage.STARTED
    assert "Start authentication" in way.hub(browser)


def test_old_visits_are_forgotten(way: Way) -> None:
    way.enter()
    assert visits.forget_visits() == 0
    with scope.one(way.tenant.id):
        Visit.objects.update(ends_at=timezone.now() - dt.timedelta(days=2))
    assert visits.forget_visits() == 1


def test_two_who_press_at_once_open_one_event(way: Way) -> None:
    path = way.invite()
    way.enter(path)
    way.enter(path)
    with scope.one(way.tenant.id):
        assert Event.objects.filter(type=Told.INVITATION_OPENED).count() == 1
        with pytest.raises(UmpError):
            services.locked(way.tenant, way.number + 1)


# --- An account of the customer's portal --------------------------------------------------------------------
def finished(way: Way, **more: Any) -> list[tuple[str, State, str]]:
    browser = way.enter(way.invite(**more))
    browser.get(way.sign_in(way.start(browser)))
    return way.work()


def test_who_has_connected_the_customer_may_sign_in_here(way: Way, mailbox: MailServer) -> None:
    assert (WELCOME, State.SUCCEEDED, "") in finished(way)
    user = User.objects.get(email="it@contoso.example")
    actor = actor_of_user(user.id, str(user))
    assert actor.tenant_roles == {way.tenant.id: Role.CUSTOMER_ADMIN}
    (mail,) = mailbox.mails("it@contoso.example")
    assert b"/accounts/password/reset/key/" in mail.raw


def test_nobody_gets_an_account_unless_it_was_ticked(way: Way, mailbox: MailServer) -> None:
    assert WELCOME not in {kind for kind, _, _ in finished(way, portal_account=False)}
    assert not User.objects.filter(email="it@contoso.example").exists()
    assert not mailbox.mails()


def test_somebody_who_has_an_account_keeps_it_and_gets_no_link(way: Way, mailbox: MailServer) -> None:
    with scope.one(way.cast.fabrikam.id):
        people.add_person(
            SYSTEM,
            email="it@contoso.example",
            name="Ida",
            role=Role.CUSTOMER_MONITOR,
            tenant=way.cast.fabrikam,
        )
    assert (WELCOME, State.SUCCEEDED, "") in finished(way)
    user = User.objects.get(email="it@contoso.example")
    roles = actor_of_user(user.id, str(user)).tenant_roles
    assert roles == {way.tenant.id: Role.CUSTOMER_ADMIN, way.cast.fabrikam.id: Role.CUSTOMER_MONITOR}
    assert not mailbox.mails()


def test_a_customer_is_told_connected_once(way: Way) -> None:
    finished(way)
    with scope.one(way.tenant.id):
        Tenant.objects.filter(id=way.tenant.id).update(last_replicated_at=None)
        queue.submit(SYSTEM, VERIFY, way.tenant)
    way.work()
    with scope.one(way.tenant.id):
        assert Event.objects.filter(type=Told.CONNECTED).count() == 1
