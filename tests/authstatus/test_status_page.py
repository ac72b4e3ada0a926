"""Authentication Status through the door: columns, words, filters, CSV, row actions, and the provider's own app."""

import csv
import datetime as dt
import io
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import installation
from replication.models import Command, State
from simulator import server
from simulator.server import Simulator
from tenants import provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import (
    AppOwner,
    Cloud,
    Connection,
    Method,
    ProviderApp,
    ProviderSecret,
    SecretKind,
    Tenant,
    Verification,
)
from tests.cast import CANARY_FABRIKAM, Cast
from tests.directory.pretend import Worker
from tests.pages.helpers import SignIn, add, change, commands, connection, failed, post, text_of, verified

pytestmark = pytest.mark.django_db
PAGE = "/authentication-status/"
CALLBACK = "https://testserver/authenticate/OAuth2Callback"
CLIENT_ID = uuid.UUID("0f5dd0e1-64ac-4b51-a1ea-111111111111")
COLUMNS = [
    "Customer Id", "M365 Email", "Authentication method", "When Last Verified", "Last Verification Status",
    "Secret ends", "Actions",
]  # fmt: skip


@pytest.fixture(autouse=True)
def portal(settings: Any) -> Iterator[None]:
    settings.PORTAL_BASE_URL = "https://testserver"
    installation.forget()
    yield
    installation.forget()


@pytest.fixture
def microsoft(settings: Any) -> Iterator[Simulator]:
    with server.start(seed="empty") as simulator:
        settings.M365_GATEWAY_URL = simulator.url
        yield simulator


def row(page: str, name: str) -> str:
    start = page.index(f">{name}</a>")
    return page[start : page.index("</tr>", start)]


def names(page: str) -> list[str]:
    return re.findall(r'<th scope="row"[^>]*><a href="/tenants/[^"]+/">([^<]+)</a>', page)


def sign_in_as(tenant: Tenant, method: Method, account: str = "") -> None:
    with scope.one(tenant.id):
        Connection.objects.filter(tenant=tenant).update(method=method, account=account)


# --- The grid -----------------------------------------------------------------------------------------------
def test_the_columns_and_words_of_a_row(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso, days_left=12)
    sign_in_as(cast.contoso, Method.TOKEN, "it@contoso.example")
    with scope.one(cast.contoso.id):
        Connection.objects.update(verified_at=dt.datetime(2023, 3, 9, 15, 38, tzinfo=dt.UTC))
    failed(cast.fabrikam, "secret_expired")
    page = text_of(client_of(cast.olga), PAGE)
    heads = [
        re.sub(r"<[^>]+>", "", head).strip()
        for head in re.findall(r'<th scope="col"[^>]*>(.*?)</th>', page, re.DOTALL)
    ]
    assert heads == COLUMNS
    contoso = row(page, "Contoso")
    for word in ("it@contoso.example", "Token", "March 9th 2023, 15:38", "Successful", "12 days left"):
        assert word in contoso
    fabrikam = row(page, "Fabrikam")
    assert "App registration" in fabrikam
    assert "none: an app signs in" in fabrikam
    assert "The client secret of Sync app has expired" in fabrikam
    assert "Who can fix it: the customer&#x27;s administrator" in fabrikam
    for number in ("1 Update", "2 Verify All", "3 Reload All"):
        assert number in page


def test_what_changed_since_the_last_check_is_never_performed(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    with scope.one(cast.contoso.id):
        Connection.objects.update(verification=Verification.NEVER)
    assert "Never Performed" in row(text_of(client_of(cast.olga), PAGE), "Contoso")


def test_filters_search_order_and_summary(cast: Cast, client_of: SignIn) -> None:
    verified(cast.contoso)
    sign_in_as(cast.contoso, Method.PASSWORD, "svc@contoso.example")
    add("Unconnected")
    olga = client_of(cast.olga)
    assert names(text_of(olga, f"{PAGE}?method=password")) == ["Contoso"]
    assert names(text_of(olga, f"{PAGE}?method=none")) == ["Unconnected"]
    assert names(text_of(olga, f"{PAGE}?status=successful")) == ["Contoso"]
    assert names(text_of(olga, f"{PAGE}?status=never")) == ["Fabrikam"]
    assert names(text_of(olga, f"{PAGE}?q=SVC@contoso")) == ["Contoso"]
    assert names(text_of(olga, f"{PAGE}?sort=-name")) == ["Unconnected", "Fabrikam", "Contoso"]
    for sort in ("email", "-method", "verified", "-status", "ends"):
        assert len(names(text_of(olga, f"{PAGE}?sort={sort}"))) == 3
    page = text_of(olga, PAGE)
    assert "Password 1, Not connected 1" in page
    assert "App registration 1" in page


def test_the_csv_is_the_filtered_list(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso, "secret_expired")
    sign_in_as(cast.contoso, Method.PASSWORD, "=cmd@contoso.example")
    text = text_of(client_of(cast.olga), f"{PAGE}export.csv?method=password")
    listed = list(csv.DictReader(io.StringIO(text.lstrip("\ufeff"))))
    assert [line["Customer Id"] for line in listed] == ["Contoso"]
    assert listed[0]["M365 Email"] == "'=cmd@contoso.example"
    assert listed[0]["Last Verification Status"] == "Failed"
    assert "has expired" in listed[0]["Cause"]
    assert "customer" in listed[0]["Who can fix it"]


def test_as_many_queries_for_three_rows_as_for_one(cast: Cast, client_of: SignIn) -> None:
    olga = client_of(cast.olga)

    def count(query: str) -> int:
        with CaptureQueriesContext(database) as seen:
            text_of(olga, f"{PAGE}{query}")
        return len(seen)

    count("")
    one = count("?q=Contoso")
    add("Third")
    assert count("?q=") == one


def test_everybody_sees_his_own_customers_and_customers_see_nothing(cast: Cast, client_of: SignIn) -> None:
    otto = text_of(client_of(cast.otto), PAGE)
    assert names(otto) == ["Contoso"]
    assert "Client Id" not in otto
    assert CANARY_FABRIKAM not in otto
    text_of(client_of(cast.adam), PAGE, status=404)
    mona = text_of(client_of(cast.mona), PAGE)
    assert "Verify All</button>" not in mona
    assert "Check Credentials" not in mona
    assert "Your role lets you look" in mona


def test_check_credentials_returns_to_the_list_and_shows_that_it_checks(
    cast: Cast, client_of: SignIn
) -> None:
    olga = client_of(cast.olga)
    answer = post(olga, f"{PAGE}{cast.contoso.id}/check/?method=app&q=Con", {})
    assert answer["Location"] == f"{PAGE}?method=app&q=Con"
    assert [command.kind for command in commands(cast.contoso)] == ["verify_credentials"]
    assert "Checking" in row(text_of(olga, PAGE), "Contoso")
    live = text_of(olga, f"{PAGE}live/?id={cast.contoso.id}&id=nonsense")
    assert f'id="status-{cast.contoso.id}" hx-swap-oob="true"' in live
    assert "Checking" in live


def test_each_method_has_its_ways_and_none_leads_nowhere(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    found = {}
    for method in Method:
        sign_in_as(cast.contoso, method)
        with scope.one(cast.contoso.id):
            Connection.objects.update(app_owner=AppOwner.PROVIDER)
        menu = re.compile(r'<a href="(/tenants/[^"]+)"[^>]*><svg.*?</svg> ([^<]+)</a>', re.DOTALL)
        ways = menu.findall(row(text_of(pia, PAGE), "Contoso"))
        found[method] = [label for _, label in ways]
        for address, _ in ways:
            text_of(pia, address)
    assert found == {
        Method.PASSWORD: ["Switch to token", "Grant Access", "Migrate", "Connection"],
        Method.TOKEN: ["Grant Access", "Migrate", "Connection"],
        Method.APP: ["Grant Access", "Migrate", "Connection"],
    }
    installation.change(SYSTEM, "allow_password", True)
    sign_in_as(cast.contoso, Method.TOKEN)
    assert "Switch to password" in row(text_of(pia, PAGE), "Contoso")


def test_update_lists_the_methods_now(cast: Cast, client_of: SignIn) -> None:
    sign_in_as(cast.contoso, Method.TOKEN)
    olga = client_of(cast.olga)
    page = text_of(olga, f"{PAGE}update/")
    for word in ("Update Authentication Method", "Done!", "Tenant", "Auth Type", "Token", "Close"):
        assert word in page
    add("Newcomer")
    assert names(text_of(olga, f"{PAGE}update/?q=newcomer")) == ["Newcomer"]


# --- The provider's own app ---------------------------------------------------------------------------------
GOOD = {
    "client_id": str(CLIENT_ID),
    "client_secret": "A8Q~a-secret-of-the-provider-1234567",
    "redirect_uri": CALLBACK,
}


def provider_commands() -> list[Command]:
    with scope.every("a test looks at the provider's commands"):
        return list(Command.objects.filter(tenant=None).order_by("id"))


def test_apply_changes_stores_seals_and_checks(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    assert CALLBACK in text_of(pia, PAGE), "the callback of this portal is suggested"
    post(pia, f"{PAGE}app/", GOOD)
    app = provider_app.current()
    assert (app.client_id, app.redirect_uri) == (CLIENT_ID, CALLBACK)
    assert [command.kind for command in provider_commands()] == ["verify_provider_app"]
    page = text_of(pia, PAGE)
    assert GOOD["client_secret"] not in page
    assert "4567" in page
    form = text_of(pia, f"{PAGE}app/")
    assert "Reset Changes" in form
    assert f'value="{CLIENT_ID}"' in form
    with scope.one(cast.contoso.id):
        assert Connection.objects.get().verification == Verification.NEVER


@pytest.mark.parametrize(
    ("wrong", "field", "told"),
    [
        ({"client_secret": str(CLIENT_ID)}, "client_secret", "Secret ID"),
        ({"redirect_uri": CALLBACK.replace("https", "http")}, "redirect_uri", "Microsoft refuses http"),
        ({"redirect_uri": "https://testserver/wrong"}, "redirect_uri", "/authenticate/OAuth2Callback"),
        ({"client_id": "my app"}, "client_id", "Enter it as Microsoft shows it"),
        ({"client_secret": ""}, "client_secret", "is needed"),
        ({"client_secret": "", "certificate": "x", "private_key": "y"}, "certificate", "not a certificate"),
    ],
)
def test_errors_name_the_field(
    cast: Cast, client_of: SignIn, wrong: dict[str, str], field: str, told: str
) -> None:
    answer = post(client_of(cast.pia), f"{PAGE}app/", GOOD | wrong, status=422)
    page = answer.content.decode()
    at = page.index(f'name="{field}"')
    assert told in page[at : at + 1500]
    assert GOOD["client_secret"] not in page
    assert not ProviderApp.objects.exists()


def test_only_administrators_change_the_app(cast: Cast, client_of: SignIn) -> None:
    post(client_of(cast.olga), f"{PAGE}app/", GOOD, status=403)
    post(client_of(cast.adam), f"{PAGE}app/", GOOD, status=404)


def registered(microsoft: Simulator, **more: Any) -> Any:
    """The provider's tenant with its app, and that app in the portal."""
    pretend = microsoft.state.add_tenant({"name": "Provider", "users": 1, "groups": 0})
    app = next(iter(pretend.apps.values()))
    provider_app.change(
        SYSTEM,
        client_id=uuid.UUID(app.client_id),
        redirect_uri=CALLBACK,
        home_tenant_id=uuid.UUID(pretend.id),
        given=Given(SecretKind.CLIENT_SECRET, app.secrets[0].value),
        **more,
    )
    return app


def check_app(cast: Cast, client_of: SignIn) -> Command:
    post(client_of(cast.olga), f"{PAGE}app/check/", {})
    return Worker().finish(provider_commands()[-1])


def test_the_check_of_our_own_app_reads_back_what_it_may(
    cast: Cast, client_of: SignIn, microsoft: Simulator
) -> None:
    app = registered(microsoft)
    app.principal.grant(["Application.Read.All"], 0)
    app.registration.properties["web"] = {"redirectUris": [CALLBACK]}
    done = check_app(cast, client_of)
    assert (done.state, done.result) == (
        State.SUCCEEDED,
        {"may_renew": False, "redirect_registered": True, "multi_tenant": False},
    )
    secret = ProviderSecret.objects.get()
    assert secret.expires_at is not None
    assert secret.ends_read_at is not None
    assert abs(secret.expires_at.timestamp() - app.secrets[0].ends) < 1
    page = text_of(client_of(cast.olga), PAGE)
    assert "Last Authentication Status:" in page
    assert "as Microsoft said" in page


def test_the_demo_has_an_app_as_it_should_be(
    cast: Cast, client_of: SignIn, microsoft: Simulator, settings: Any
) -> None:
    settings.DEMO = True
    for _ in range(2):
        call_command("seed_demo", stdout=io.StringIO())
    assert len(provider_commands()) == 1
    while provider_commands()[0].state == State.QUEUED:
        Worker().step()
    done = provider_commands()[0]
    assert (done.state, done.result) == (
        State.SUCCEEDED,
        {"may_renew": False, "redirect_registered": True, "multi_tenant": True},
    )


def test_an_app_that_may_not_read_itself_is_fine_and_says_so(
    cast: Cast, client_of: SignIn, microsoft: Simulator
) -> None:
    registered(microsoft)
    assert check_app(cast, client_of).state == State.SUCCEEDED
    assert provider_app.current().verification == Verification.SUCCESSFUL
    assert "may not read its own registration" in text_of(client_of(cast.olga), PAGE)


def test_an_expired_secret_of_ours_is_nobody_elses_fault(
    cast: Cast, client_of: SignIn, microsoft: Simulator
) -> None:
    app = registered(microsoft)
    verified(cast.contoso)
    app.secrets[0].ends = timezone.now().timestamp() - 60
    failed_check = check_app(cast, client_of)
    assert failed_check.state == State.FAILED, failed_check.error
    mine = provider_app.current()
    assert mine.verification == Verification.FAILED
    assert mine.problem is not None
    assert (mine.problem["code"], mine.problem["who"]) == ("provider_app_refused", "provider")
    assert connection(cast.contoso).verification == Verification.SUCCESSFUL
    assert "has expired" in text_of(client_of(cast.olga), PAGE)


def test_a_busy_microsoft_changes_nothing_on_the_card(
    cast: Cast, client_of: SignIn, microsoft: Simulator
) -> None:
    registered(microsoft)
    microsoft.state.troubles.add(
        {"kind": "error", "host": "login", "status": 503}, tenant=None, now=microsoft.state.now()
    )
    assert check_app(cast, client_of).state == State.QUEUED
    assert provider_app.current().verification == Verification.NEVER


def test_without_a_home_it_is_tried_where_it_worked_last(
    cast: Cast, client_of: SignIn, microsoft: Simulator
) -> None:
    registered(microsoft)
    home = provider_app.current().home_tenant_id
    ProviderApp.objects.update(home_tenant_id=None)
    untried = check_app(cast, client_of)
    assert untried.error is not None
    assert untried.error["code"] == "provider_app_untried"
    assert provider_app.current().verification == Verification.NEVER
    assert "no place is known where it could be tried" in text_of(client_of(cast.olga), PAGE)
    change(cast.contoso, entra_tenant_id=home)
    with scope.one(cast.contoso.id):
        Connection.objects.update(
            app_owner=AppOwner.PROVIDER, verification=Verification.SUCCESSFUL, cloud=Cloud.GLOBAL
        )
    assert check_app(cast, client_of).state == State.SUCCEEDED
