"""Grant Access through the door: out to Microsoft, back, redeemed by a worker; and everything that may come back."""

import dataclasses
import datetime as dt
import html
import io
import json
import logging
import re
import time
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from django.apps import apps
from django.db import connection as database
from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts import installation
from audit.models import Entry
from authstatus import delegated
from authstatus.commands import VERIFY
from core.errors import UmpError
from invitations import selectors as invited
from m365 import identity, identity_delegated, pacing
from m365.errors import from_oauth
from replication import runner, states, sweeper
from replication import services as queue
from replication.models import Command, State
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import grants, provider_app, scope, secrets, services
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Connection, Method, Secret, SecretKind, SignInFlow, Tenant, Verification
from tests.cast import CANARY_CONTOSO, Cast
from tests.directory.pretend import Worker
from tests.pages.helpers import SignIn, post, text_of, url
from ump_portal import cli

pytestmark = pytest.mark.django_db
HOME = "http://testserver"
BACK = f"{HOME}/authenticate/OAuth2Callback"


@dataclasses.dataclass
class Stage:
    """Contoso signs in by its own app registration, Fabrikam by the provider's; both at a pretend Microsoft."""

    cast: Cast
    microsoft: Simulator
    contoso: Pretend
    fabrikam: Pretend

    def admin(self, pretend: Pretend) -> str:
        return str(pretend.directory.users.view(0)["userPrincipalName"])

    def leave(self, client: Client, tenant: Tenant, path: str = "grant-access/", **form: str) -> str:
        """Press the button; the address that the browser then goes to."""
        answer = post(client, url(tenant, path), form, 200)
        address = str(answer.headers["Refresh"]).removeprefix("0;url=")
        assert html.escape(address) in answer.content.decode(), "and a link for who is not taken there"
        return address

    def sign_in(self, address: str, account: str = "", decision: str = "accept") -> str:
        """What a person does at Microsoft; the address to which it sends the browser back."""
        pretend = self.contoso if self.contoso.id in address else self.fabrikam
        form = {"account": account or self.admin(pretend), "decision": decision}
        answer = requests.post(address, form, allow_redirects=False, timeout=20)
        assert answer.status_code in {302, 303}, answer.text
        back = answer.headers["Location"]
        assert back.startswith(BACK)
        return back.removeprefix(HOME)

    def work(self) -> list[tuple[str, State, str]]:
        """Everything that is due, in this thread: (kind, state, code of the error)."""
        done = []
        while True:
            with scope.every("a test's worker"):
                claimed = states.claim("test", 1)
            if not claimed:
                return done
            verdict = runner.run_one(claimed[0])
            runner._settle(claimed[0], verdict)
            done.append((claimed[0].kind, verdict.to, verdict.error.code if verdict.error else ""))

    def tokens(self, pretend: Pretend) -> int:
        """How often a token was asked for."""
        rows = self.microsoft.state.stats.describe(pretend.id)["by_route"]
        return sum(int(str(row["requests"])) for row in rows if row["route"] == "login:token")

    def row(self, tenant: Tenant) -> Connection:
        with scope.one(tenant.id):
            return Connection.objects.select_related("granted", "granted__key", "secret").get(tenant=tenant)

    def sealed(self, tenant: Tenant) -> set[str]:
        with scope.one(tenant.id):
            return set(Secret.objects.filter(tenant=tenant).values_list("kind", flat=True))

    def grant(self, client: Client, tenant: Tenant) -> str:
        """All of it; the page that followed."""
        back = client.get(self.sign_in(self.leave(client, tenant)))
        assert back.status_code == 303
        self.work()
        return str(back.headers["Location"])


@pytest.fixture
def stage(cast: Cast, microsoft: Simulator, settings: Any) -> Stage:
    settings.PORTAL_BASE_URL = HOME
    identity.forget_everything()
    pacing._pacers.clear()
    installation.forget()
    add = microsoft.state.add_tenant
    own = {
        "client_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, CANARY_CONTOSO)),
        "secret": f"{CANARY_CONTOSO}~secret~of~the~app~registration",
        "redirect_uris": [BACK],
    }
    shared = {"client_id": str(uuid.uuid4()), "secret": "provider~s~secret~of~the~shared~app"}
    add({"name": "Provider", "users": 1, "app": {**shared, "redirect_uris": [BACK], "multi_tenant": True}})
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(shared["client_id"]),
        redirect_uri=BACK.replace("http:", "https:"),
        given=Given(SecretKind.CLIENT_SECRET, shared["secret"]),
    )
    provider_app.ProviderApp.objects.update(redirect_uri=BACK)
    contoso = add({"name": "Contoso", "tenant_id": str(cast.contoso.entra_tenant_id), "users": 4, "app": own})
    fabrikam = add(
        {"name": "Fabrikam", "tenant_id": str(cast.fabrikam.entra_tenant_id), "users": 4, "app": None}
    )
    with scope.one(cast.fabrikam.id):
        services.use_provider_app(SYSTEM, cast.fabrikam)
    return Stage(cast, microsoft, contoso, fabrikam)


# --- The way it should go -----------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["contoso", "fabrikam", "unconnected"])
def test_access_is_granted_claimed_checked_and_used(stage: Stage, client_of: SignIn, name: str) -> None:
    tenant = getattr(stage.cast, name, stage.cast.fabrikam)
    pretend = getattr(stage, name, stage.fabrikam)
    with scope.one(tenant.id):
        if name == "unconnected":
            Connection.objects.all().delete()
        if name == "fabrikam":  # the provider took another app registration since it was connected
            Connection.objects.update(client_id=uuid.uuid4())
    client = client_of(stage.cast.olga)
    page = text_of(client, url(tenant, "grant-access/"))
    assert "Consent on behalf of your organization" in page
    assert "Directory.AccessAsUser.All" in page
    address = stage.leave(client, tenant)
    query = {key: values[0] for key, values in parse_qs(urlsplit(address).query).items()}
    assert f"/{tenant.entra_tenant_id}/oauth2/v2.0/authorize" in address
    assert "/organizations/" not in address
    assert query["code_challenge_method"] == "S256"
    assert query["response_mode"] == "query"
    back = client.get(stage.sign_in(address))
    following = back.headers["Location"]
    assert "code=" not in following
    assert "Signed in at Microsoft" in text_of(client, following)
    assert stage.work() == [
        (delegated.REDEEM, State.SUCCEEDED, ""),
        (VERIFY, State.SUCCEEDED, ""),
        ("quick_replication", State.SUCCEEDED, ""),
    ]
    row = stage.row(tenant)
    assert (row.method, row.account) == (Method.TOKEN, stage.admin(pretend))
    assert row.verification == Verification.SUCCESSFUL
    assert row.granted is not None
    assert row.granted_at is not None
    done = client.get(f"{following}live/")
    assert done.status_code == 286
    assert "Done!" in done.content.decode()
    assert SecretKind.SIGN_IN not in stage.sealed(tenant), "code and proof are gone"


def test_nothing_secret_shows_anywhere(
    stage: Stage, client_of: SignIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = client_of(stage.cast.olga)
    address = stage.leave(client, stage.cast.contoso)
    back = stage.sign_in(address)
    code = parse_qs(urlsplit(back).query)["code"][0]
    following = client.get(back).headers["Location"]
    stage.work()
    row = stage.row(stage.cast.contoso)
    assert row.granted is not None
    cache = json.loads(secrets.open_secret(row.granted))
    words = [
        code,
        *(entry["secret"] for kind in ("RefreshToken", "AccessToken") for entry in cache[kind].values()),
    ]
    shown = text_of(client, following) + text_of(client, url(stage.cast.contoso, "connection/"))
    with scope.every("a dump, as a thief would have it"), database.cursor() as cursor:
        for model in apps.get_models():
            cursor.execute(f"SELECT t::text FROM {model._meta.db_table} t")
            shown += str(cursor.fetchall())
    shown += "".join(line.getMessage() for line in caplog.records if not line.name.startswith("urllib3"))
    for word in words:
        assert word not in shown
    with scope.every("the trail"):
        actions = list(Entry.objects.filter(object_kind="connection").values_list("action", flat=True))
    assert {"connection.sign_in_begun", "connection.granted"} <= set(actions)


# --- What else may come back --------------------------------------------------------------------------------
def refused(client: Client, back: str, words: str) -> str:
    """The page that says why, after which nothing is queued."""
    answer = client.get(back)
    page = answer.content.decode()
    assert answer.status_code in {409, 422}, (answer.status_code, page[:400])
    assert words in page
    with scope.every("nothing was queued"):
        assert not Command.objects.filter(kind=delegated.REDEEM, state=State.QUEUED).exists()
    return page


def test_a_replayed_redirect_is_refused(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    back = stage.sign_in(stage.leave(client, stage.cast.contoso))
    assert client.get(back).status_code == 303
    stage.work()
    granted_id = stage.row(stage.cast.contoso).granted_id
    refused(client, back, "already used, took too long")
    assert stage.row(stage.cast.contoso).granted_id == granted_id


@pytest.mark.parametrize("who", ["another browser", "another person", "nobody"])
def test_the_redirect_of_somebody_else_is_refused_and_stays_good(
    stage: Stage, client_of: SignIn, who: str
) -> None:
    client = client_of(stage.cast.olga)
    back = stage.sign_in(stage.leave(client, stage.cast.contoso))
    other = {"another browser": stage.cast.olga, "another person": stage.cast.adam}.get(who)
    page = refused(client_of(other) if other else Client(), back, "another browser or by somebody else")
    assert CANARY_CONTOSO not in page
    assert client.get(back).status_code == 303, "whose it is can still finish"


def test_a_state_is_good_for_ten_minutes_and_its_own_customer(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    late = stage.sign_in(stage.leave(client, stage.cast.contoso))
    with scope.one(stage.cast.contoso.id):
        SignInFlow.objects.update(began_at=timezone.now() - dt.timedelta(minutes=11))
    refused(client, late, "already used, took too long")
    query = parse_qs(urlsplit(stage.sign_in(stage.leave(client, stage.cast.contoso))).query)
    theirs = parse_qs(urlsplit(stage.sign_in(stage.leave(client, stage.cast.fabrikam))).query)
    mixed = urlencode({"code": query["code"][0], "state": theirs["state"][0]})
    client.get(f"/authenticate/OAuth2Callback?{mixed}")
    assert (delegated.REDEEM, State.FAILED, "signin_restart") in stage.work()
    assert stage.row(stage.cast.fabrikam).granted is None, "Contoso's tokens are not kept for Fabrikam"
    assert stage.row(stage.cast.contoso).granted is None
    for nonsense in (
        "",
        "?state=x",
        "?code=x",
        f"?state={'x' * 5000}&code=%00",
        "?admin_consent=True&tenant=x",
    ):
        refused(client, f"/authenticate/OAuth2Callback{nonsense}", "already used, took too long")


def test_a_sign_in_that_nobody_finished_is_forgotten_with_its_proof(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    stage.leave(client, stage.cast.contoso)
    assert SecretKind.SIGN_IN in stage.sealed(stage.cast.contoso)
    assert delegated.forget_old() == 0
    with scope.one(stage.cast.contoso.id):
        SignInFlow.objects.update(began_at=timezone.now() - dt.timedelta(hours=2))
    sweeper.sweep()
    assert SecretKind.SIGN_IN not in stage.sealed(stage.cast.contoso)
    with scope.one(stage.cast.contoso.id):
        assert not SignInFlow.objects.exists()


def test_the_state_of_a_parallel_flow_opens_nothing(stage: Stage, client_of: SignIn) -> None:
    """Two sign-ins for one customer in one browser: the code of one with the state of the other."""
    client = client_of(stage.cast.olga)
    first, second = (
        parse_qs(urlsplit(stage.sign_in(stage.leave(client, stage.cast.contoso))).query) for _ in range(2)
    )
    mixed = urlencode({"code": first["code"][0], "state": second["state"][0]})
    following = client.get(f"/authenticate/OAuth2Callback?{mixed}").headers["Location"]
    assert stage.work() == [(delegated.REDEEM, State.FAILED, "signin_restart")]
    page = client.get(f"{following}live/")
    assert page.status_code == 286
    assert "Try again" in page.content.decode()
    assert stage.row(stage.cast.contoso).method == Method.APP, "it signs in as it did before"


@pytest.mark.parametrize(("decision", "words"), [("decline", "declined"), ("blocked", "Conditional Access")])
def test_an_error_is_explained_and_may_be_tried_again(
    stage: Stage, client_of: SignIn, decision: str, words: str
) -> None:
    client = client_of(stage.cast.adam)
    back = stage.sign_in(stage.leave(client, stage.cast.contoso), decision=decision)
    page = refused(client, f"{back}&admin_consent=True&code=abc", words)
    assert "Try again" in page
    assert url(stage.cast.contoso, "grant-access/") in page
    assert "AADSTS" not in page, "Microsoft's codes are for the provider's people"
    refused(client, back, "already used")
    assert SecretKind.SIGN_IN not in stage.sealed(stage.cast.contoso)
    with scope.one(stage.cast.contoso.id):
        flow = SignInFlow.objects.get()
    assert client.get(url(stage.cast.contoso, f"sign-in/{flow.id}/live/")).status_code == 286, (
        "nothing to follow"
    )


@pytest.mark.parametrize("name", ["olga", "adam"])
def test_a_claim_that_somebody_cancels_says_begin_again(stage: Stage, client_of: SignIn, name: str) -> None:
    client, tenant = client_of(getattr(stage.cast, name)), stage.cast.contoso
    page = client.get(stage.sign_in(stage.leave(client, tenant))).headers["Location"]
    with scope.one(tenant.id):
        queue.cancel(stage.cast.actor("olga"), Command.objects.get(kind=delegated.REDEEM))
    assert "Begin again under Grant Access" in text_of(client, page)
    assert client.get(f"{page}live/").status_code == 286


def test_what_conditional_access_demands_goes_along_with_the_next_sign_in(
    stage: Stage, client_of: SignIn
) -> None:
    client, contoso = client_of(stage.cast.olga), stage.cast.contoso
    stage.grant(client, contoso)
    assert "claims" not in parse_qs(urlsplit(stage.leave(client, contoso)).query)
    stage.contoso.behaviour.claims_wanted = True
    identity.forget_everything()
    with scope.one(contoso.id):
        queue.submit(SYSTEM, VERIFY, contoso)
    assert (VERIFY, State.FAILED, "mfa_required") in stage.work()
    claims = stage.row(contoso).claims
    assert "capolids" in json.loads(claims)["access_token"]
    page = text_of(client, url(contoso, "grant-access/"))
    assert "A rule of Conditional Access refused" in page
    assert "capolids" not in page, "a machine's language"
    address = stage.leave(client, contoso)
    assert parse_qs(urlsplit(address).query)["claims"] == [claims]
    client.get(stage.sign_in(address))
    assert [(kind, state) for kind, state, _ in stage.work()][:2] == [
        (delegated.REDEEM, State.SUCCEEDED),
        (VERIFY, State.SUCCEEDED),
    ]
    assert stage.row(contoso).claims == "", "what was demanded was given"


def test_a_demand_that_comes_with_the_code_is_kept_for_the_next_try(stage: Stage, client_of: SignIn) -> None:
    client, contoso = client_of(stage.cast.olga), stage.cast.contoso
    stage.contoso.behaviour.claims_wanted = True
    client.get(stage.sign_in(stage.leave(client, contoso)))
    assert stage.work() == [(delegated.REDEEM, State.FAILED, "mfa_required")]
    client.get(stage.sign_in(stage.leave(client, contoso)))
    assert (VERIFY, State.SUCCEEDED, "") in stage.work()


@pytest.mark.parametrize("claims", ["", "{", "[1]", '{"a":"' + "x" * 3000 + '"}'])
def test_nonsense_is_no_demand(claims: str) -> None:
    assert from_oauth({"error": "interaction_required", "claims": claims}, 400).claims == ""


def test_somebody_without_the_right_to_consent_is_told_who_has_it(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    guest = str(stage.contoso.directory.users.view(1)["userPrincipalName"])
    back = stage.sign_in(stage.leave(client, stage.cast.contoso), account=guest)
    refused(client, back, "Only an administrator of Contoso may consent")


@pytest.mark.parametrize("tid", ["70000000-0000-4000-8000-000000000007", identity_delegated.PERSONAL_TENANT])
def test_tokens_of_another_organisation_are_not_kept(
    stage: Stage, client_of: SignIn, monkeypatch: pytest.MonkeyPatch, tid: str
) -> None:
    client = client_of(stage.cast.olga)
    client.get(stage.sign_in(stage.leave(client, stage.cast.contoso)))
    read = identity_delegated.read_token
    monkeypatch.setattr(
        identity_delegated, "read_token", lambda *args: dataclasses.replace(read(*args), tid=tid)
    )
    code = "account_personal" if tid == identity_delegated.PERSONAL_TENANT else "wrong_tenant"
    assert stage.work() == [(delegated.REDEEM, State.FAILED, code)]
    row = stage.row(stage.cast.contoso)
    assert (row.method, row.granted, row.account) == (Method.APP, None, "")
    assert stage.sealed(stage.cast.contoso) == {SecretKind.CLIENT_SECRET}


def test_a_role_taken_away_meanwhile_counts(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    back = stage.sign_in(stage.leave(client, stage.cast.contoso))
    with scope.every("a role is taken"):
        services.Tenant.objects.filter(id=stage.cast.contoso.id).update(deleted_at=timezone.now())
    with transaction.atomic():
        assert client.get(back).status_code == 410
    with scope.every("nothing was queued"):
        assert not Command.objects.filter(kind=delegated.REDEEM).exists()


def test_an_app_registration_that_changed_meanwhile_keeps_nothing(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    client.get(stage.sign_in(stage.leave(client, stage.cast.contoso)))
    with scope.one(stage.cast.contoso.id):
        Connection.objects.update(client_id=uuid.uuid4())
    assert stage.work() == [(delegated.REDEEM, State.FAILED, "signin_restart")]


def test_a_worker_that_died_after_the_code_was_used_says_begin_again(
    stage: Stage, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(stage.cast.olga)
    client.get(stage.sign_in(stage.leave(client, stage.cast.contoso)))

    def killed(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(delegated.RedeemCode, "take", killed)
        stage.work()
    with scope.every("the sweeper"):
        command = Command.objects.get(kind=delegated.REDEEM)
        states.move(command.id, from_=State.EXECUTING, to=State.QUEUED)
    assert stage.work() == [(delegated.REDEEM, State.FAILED, "signin_restart")]
    assert stage.grant(client, stage.cast.contoso)
    assert stage.row(stage.cast.contoso).verification == Verification.SUCCESSFUL


# --- Keeping it ---------------------------------------------------------------------------------------------
def test_the_daily_check_keeps_the_sign_in_alive_and_the_page_says_until_when(
    stage: Stage, client_of: SignIn
) -> None:
    client = client_of(stage.cast.olga)
    stage.grant(client, stage.cast.contoso)
    old = timezone.now() - dt.timedelta(days=6)
    with scope.one(stage.cast.contoso.id):
        Connection.objects.update(refreshed_at=old, next_check_at=timezone.now() - dt.timedelta(minutes=1))
    assert "Kept alive by use; unused it would end on" in text_of(client, url(stage.cast.contoso))
    page = text_of(client, url(stage.cast.contoso, "connection/"))
    assert "Token" in page
    assert stage.admin(stage.contoso) in page
    assert "in 83 days" in page
    sweeper.schedule_checks()
    identity.forget_everything()
    stage.work()
    row = stage.row(stage.cast.contoso)
    assert row.refreshed_at is not None
    assert row.refreshed_at > old + dt.timedelta(days=5)
    ends = grants.ends_if_unused(row)
    assert ends is not None
    assert ends > timezone.now() + dt.timedelta(days=89)


def test_a_replication_that_meets_revoked_access_waits_for_a_person(stage: Stage, client_of: SignIn) -> None:
    client, tenant = client_of(stage.cast.olga), stage.cast.contoso
    stage.grant(client, tenant)
    oid = stage.contoso.directory.users.view(0)["id"]
    stage.contoso.people.revoked[oid] = stage.microsoft.state.now() + 1
    stage.microsoft.state.offset += 3600
    with scope.one(tenant.id):
        queue.submit(SYSTEM, "quick_replication", tenant)
    identity.forget_everything()
    assert stage.work()[0][1:] == (State.SUSPENDED, "signin_revoked")
    stage.microsoft.state.offset += 5
    stage.grant(client, tenant)
    with scope.one(tenant.id):
        assert not Command.objects.filter(state=State.SUSPENDED).exists(), "the proof lets it go on"


def test_revoked_access_turns_the_connection_red_with_a_way_out(stage: Stage, client_of: SignIn) -> None:
    client = client_of(stage.cast.olga)
    stage.grant(client, stage.cast.contoso)
    oid = stage.contoso.directory.users.view(0)["id"]
    stage.contoso.people.revoked[oid] = stage.microsoft.state.now() + 1
    identity.forget_everything()
    post(client, url(stage.cast.contoso, "check/"), {})
    stage.work()
    row = stage.row(stage.cast.contoso)
    assert row.verification == Verification.NO_TOKEN
    page = text_of(client, url(stage.cast.contoso, "connection/"))
    assert "was signed out everywhere" in page
    for place in (page, text_of(client, "/"), text_of(client, url(stage.cast.contoso))):
        box = place[place.index("was signed out everywhere") :]
        assert f'href="{url(stage.cast.contoso, "grant-access/")}">Grant Access' in box, (
            "the button that mends it"
        )
    stage.microsoft.state.offset += 5
    stage.grant(client, stage.cast.contoso)
    assert stage.row(stage.cast.contoso).verification == Verification.SUCCESSFUL


# --- Switching, and passwords -------------------------------------------------------------------------------
def test_switch_to_token_wants_a_proven_connection_and_an_address(stage: Stage, client_of: SignIn) -> None:
    client, tenant = client_of(stage.cast.olga), stage.cast.contoso
    page = text_of(client, url(tenant, "switch-to-token/"))
    assert "Validate Authentication must return Successful" in page
    post(client, url(tenant, "switch-to-token/"), {"email": "it@contoso.example"}, 200)
    with scope.one(tenant.id):
        assert invited.open_of(tenant) is None
    post(client, url(tenant, "check/?back=connection"), {})
    stage.work()
    page = text_of(client, url(tenant, "switch-to-token/"))
    assert "Customer IT Administrator email:" in page
    post(client, url(tenant, "switch-to-token/"), {"email": "nobody"}, 422)
    answer = post(client, url(tenant, "switch-to-token/"), {"email": "it@contoso.example"})
    page = text_of(client, answer.headers["Location"])
    assert "The invitation goes to it@contoso.example. The mail is on its way." in page
    assert "Tenant has open invitation." in page
    with scope.one(tenant.id):
        assert invited.open_of(tenant) is not None


def allow(yes: bool) -> None:
    installation.change(SYSTEM, "allow_password", yes)


def test_a_password_is_saved_only_where_the_settings_allow_it(stage: Stage, client_of: SignIn) -> None:
    client, tenant = client_of(stage.cast.olga), stage.cast.contoso
    stage.grant(client, tenant)
    form = {
        "account": stage.admin(stage.contoso),
        "password": "Her own~pass word",
        "password_again": "Her own~pass word",
    }
    assert "Not allowed here" in text_of(client, url(tenant, "switch-to-password/"))
    post(client, url(tenant, "switch-to-password/"), form, 200)
    assert stage.row(tenant).method == Method.TOKEN
    allow(True)
    post(client, url(tenant, "switch-to-password/"), form | {"password": " x", "password_again": " x"}, 422)
    differ = post(client, url(tenant, "switch-to-password/"), form | {"password_again": "Her own~pass"}, 422)
    assert "The two passwords differ." in differ.content.decode()
    refused_form = post(
        client, url(tenant, "switch-to-password/"), form | {"account": "x"}, 422
    ).content.decode()
    assert form["password"] not in refused_form
    post(client, url(tenant, "switch-to-password/"), form)
    row = stage.row(tenant)
    assert (row.method, row.verification) == (Method.PASSWORD, Verification.NEVER)
    assert SecretKind.TOKEN_CACHE not in stage.sealed(tenant)
    assert (VERIFY, State.SUCCEEDED, "") in stage.work()
    assert stage.row(tenant).usable
    page = text_of(client, url(tenant, "connection/"))
    assert form["password"] not in page
    assert "Switch to auth token (recommended way)" in page
    allow(False)
    stage.work()
    assert stage.row(tenant).usable, "one that is stored stays in use"


def test_a_password_that_needs_a_second_factor_holds_the_work_and_is_explained(
    stage: Stage, client_of: SignIn
) -> None:
    client, tenant = client_of(stage.cast.olga), stage.cast.contoso
    stage.grant(client, tenant)
    stage.contoso.set({"mfa_required": True})
    with scope.one(tenant.id):
        delegated.keep_password(
            SYSTEM, tenant, account=stage.admin(stage.contoso), password="imported one", imported=True
        )
    assert (VERIFY, State.FAILED, "mfa_required") in stage.work()
    row = stage.row(tenant)
    assert not row.usable
    with scope.every("decision 22: nothing is replicated before a token was obtained with it"):
        assert not Command.objects.filter(tenant_id=tenant.id, state=State.QUEUED).exists()
    page = text_of(client, url(tenant, "connection/"))
    assert "second factor" in page
    address = stage.leave(client, tenant)
    assert parse_qs(urlsplit(address).query)["login_hint"] == [stage.admin(stage.contoso)]
    assert client.get(stage.sign_in(address)).status_code == 303
    assert (VERIFY, State.SUCCEEDED, "") in stage.work(), "a token meets what a password cannot"


def test_a_password_from_an_older_portal_comes_in_at_the_command_line(
    stage: Stage, client_of: SignIn, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.grant(client_of(stage.cast.olga), stage.cast.contoso)
    monkeypatch.setattr(cli, "_set_up_django", lambda: None)
    monkeypatch.setattr("sys.stdin", io.StringIO("the old~pass word\n"))
    wanted = ["tenants", "import-password", "Contoso", stage.admin(stage.contoso), "--secret-stdin"]
    assert cli.main(wanted) == 0
    assert "the old~pass word" not in capsys.readouterr().out
    assert (VERIFY, State.SUCCEEDED, "") in stage.work()
    row = stage.row(stage.cast.contoso)
    assert (row.method, row.usable) == (Method.PASSWORD, True)


def test_a_wrong_password_is_tried_once_and_not_by_every_click(stage: Stage, client_of: SignIn) -> None:
    client, tenant = client_of(stage.cast.olga), stage.cast.contoso
    stage.grant(client, tenant)
    with scope.one(tenant.id):
        delegated.keep_password(
            SYSTEM, tenant, account=stage.admin(stage.contoso), password="wrong", imported=True
        )
    for _ in range(12):
        stage.work()
        post(client, url(tenant, "check/"), {})
    stage.work()
    oid = stage.contoso.directory.users.view(0)["id"]
    assert stage.contoso.people.wrong_passwords[oid] == 1
    assert "The portal does not retry, so that it is not locked" in html.unescape(
        re.sub(r"\s+", " ", text_of(client, url(tenant, "connection/")))
    )


def test_a_replication_sends_a_refused_password_once_however_often_it_is_tried(
    stage: Stage, client_of: SignIn
) -> None:
    tenant, oid = stage.cast.contoso, stage.contoso.directory.users.view(0)["id"]
    stage.grant(client_of(stage.cast.olga), tenant)
    with scope.one(tenant.id):
        account = stage.admin(stage.contoso)
        delegated.keep_password(SYSTEM, tenant, account=account, password="right", imported=True)
    stage.work()
    assert stage.row(tenant).usable
    stage.contoso.people.wrong_passwords[oid] = 10  # locked from now on
    identity.forget_everything()
    with scope.one(tenant.id):
        command = queue.submit(SYSTEM, "quick_replication", tenant)
    before = stage.tokens(stage.contoso)
    for _ in range(4):
        stage.work()
        with scope.one(tenant.id):
            command.refresh_from_db()
        if command.state == State.QUEUED:
            Worker().wait_is_over(command)
    assert (command.error or {})["code"] in {"account_locked", "password_wrong"}
    assert stage.tokens(stage.contoso) == before + 1


# --- Doors --------------------------------------------------------------------------------------------------
def test_who_may_only_look_cannot_grant(stage: Stage, client_of: SignIn) -> None:
    for path in ("grant-access/", "switch-to-token/", "switch-to-password/"):
        post(client_of(stage.cast.vera), url(stage.cast.contoso, path), {}, 403)
        post(client_of(stage.cast.max), url(stage.cast.contoso, path), {}, 404)


def test_an_old_sign_in_to_the_portal_is_confirmed_first(stage: Stage, client_of: SignIn) -> None:
    from tests.cast import signed_in_at

    client = client_of(stage.cast.olga)
    signed_in_at(client, stage.cast.olga, time.time() - 3600)
    answer = client.post(url(stage.cast.contoso, "grant-access/"))
    assert "/accounts/reauthenticate/" in answer.headers["Location"]


OBSTACLES: list[tuple[Callable[[Stage], Any], str]] = [
    (lambda stage: Tenant.objects.update(entra_tenant_id=None), "which organisation is meant"),
    (lambda stage: provider_app.ProviderApp.objects.update(client_id=None), "No ClientId was specified."),
    (
        lambda stage: provider_app.ProviderApp.objects.update(redirect_uri=BACK.replace("test", "other")),
        "http://otherserver/tenants/",
    ),
]


@pytest.mark.parametrize(("break_it", "words"), OBSTACLES)
def test_what_stands_in_the_way_is_said_instead_of_a_dead_button(
    stage: Stage, client_of: SignIn, break_it: Callable[[Stage], Any], words: str
) -> None:
    with scope.one(stage.cast.fabrikam.id):
        break_it(stage)
    client = client_of(stage.cast.olga)
    page = text_of(client, url(stage.cast.fabrikam, "grant-access/"))
    assert words in page
    assert "Continue to Microsoft" not in page
    post(client, url(stage.cast.fabrikam, "grant-access/"), {}, 200)
    with scope.one(stage.cast.fabrikam.id):
        assert not SignInFlow.objects.exists()


def test_a_refusal_at_the_service_names_its_reason(stage: Stage) -> None:
    with scope.one(stage.cast.contoso.id), pytest.raises(UmpError) as caught:
        delegated.keep_password(SYSTEM, stage.cast.contoso, account="a@b.example", password="x")
    assert "do not allow new passwords" in caught.value.message
