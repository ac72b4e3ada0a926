"""The main job from end to end in a real browser, against a pretend Microsoft 365."""

import re
from collections.abc import Callable
from contextlib import closing

import pytest
from allauth.account.models import EmailAddress
from django.db import connections
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import scope
from tenants.abilities import Role
from tenants.access import SYSTEM
from tenants.models import Tenant
from tenants.services import give_role
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.pages.helpers import verified

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]
NEW = ("/", "/tenants/", "/tenants/deleted/", "/queue/", "/audit/", "/settings/api-clients/", "/search?q=abc")
SECRET = "Zx8Q~a-secret-of-the-wrong-app-registration"


@pytest.fixture
def nordwind(microsoft: Simulator) -> Pretend:
    """A customer's Microsoft 365 with an app registration that has what the portal needs."""
    pretend: Pretend = microsoft.state.add_tenant({"name": "Nordwind Logistik", "users": 30, "groups": 4})
    return pretend


def sign_in(page: Page, cast: Cast) -> None:
    olga = cast.olga
    EmailAddress.objects.create(user=olga, email=olga.email, verified=True, primary=True)
    page.goto("/")
    page.get_by_label("Email").fill(olga.email)
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dashboard")


def add(page: Page, pretend: Pretend, secret: str = "") -> None:
    """Fill in the form for this customer and send it."""
    app = pretend.app()
    page.goto("/tenants/")
    page.get_by_role("link", name="Onboard customer").first.click()
    page.get_by_role("link", name="Add with app registration").click()
    page.get_by_label("Customer Name").fill("Nordwind Logistik")
    page.get_by_label("Azure Tenant Id").fill(pretend.id)
    page.get_by_label("Client Id").fill(app.client_id)
    page.get_by_label("Client Secret").fill(secret or app.secrets[0].value)
    page.get_by_role("button", name="Add customer").click()


def soon(page: Page, text: str | re.Pattern[str]) -> None:
    """The page comes to say this by itself."""
    expect(page.get_by_role("main")).to_contain_text(text)


def rename(microsoft: Simulator, pretend: Pretend, name: str) -> None:
    directory = pretend.directory
    with directory.lock:
        directory.change("users", 3, {"displayName": name}, microsoft.state.now())


def tenant_of(name: str) -> Tenant:
    with scope.every("a test looks a customer up"):
        return Tenant.objects.get(name=name)


def test_a_customer_from_adding_to_a_changed_name(
    look: Look, committed_cast: Cast, microsoft: Simulator, nordwind: Pretend, worker: Worker
) -> None:
    page = look().page
    sign_in(page, committed_cast)
    add(page, nordwind)
    expect(page.get_by_role("heading", level=1)).to_have_text("Nordwind Logistik")
    soon(page, "Getting ready")
    soon(page, "Check of the credentials")

    page.evaluate("window.stayed = true")
    microsoft.state.latency_ms = 2_500
    with worker.working():
        soon(page, "Executing commands: 1")
    microsoft.state.latency_ms = 0
    soon(page, "Replication in progress: no")
    soon(page, re.compile(r"Connection\s*Successful"))
    soon(page, "30 users and 4 groups")
    assert page.evaluate("window.stayed"), "the page followed by itself"

    page.get_by_role("link", name="Users", exact=True).click()
    soon(page, "Showing 1 to 10 of 30 users")

    rename(microsoft, nordwind, "Änne Ōtsuka-Łuczak")
    page.get_by_role("link", name="Queue Replication").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Queue Replication for Nordwind Logistik")
    dialog.get_by_role("button", name="Queue Replication").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"Quick replication #\d+"))
    soon(page, "Queued")
    with page.expect_response(lambda answer: "/live/" in answer.url and answer.status == 286):
        worker.work()
    soon(page, "Succeeded")
    soon(page, "0 added, 1 changed, 0 removed")
    expect(page.locator("[data-live]")).to_have_count(0)

    page.get_by_role("link", name="Users", exact=True).click()
    page.get_by_label("Search name, address or object id").fill("otsuka")
    soon(page, "Showing 1 to 1 of 1 users")
    soon(page, "Änne Ōtsuka-Łuczak")


def test_a_wrong_secret_is_explained_and_mended(
    look: Look, microsoft: Simulator, nordwind: Pretend, worker: Worker
) -> None:
    page = look("olga").page
    add(page, nordwind, SECRET)
    worker.work()
    soon(page, "Microsoft did not accept the client secret")
    soon(page, "Who can fix it: You, the service provider")
    page.get_by_text("Details", exact=True).click()
    soon(page, "AADSTS7000215")
    assert SECRET not in page.content()

    page.get_by_role("link", name="Enter a new secret").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Microsoft 365 Settings")
    expect(page.get_by_label("Client Id")).to_have_value(nordwind.app().client_id)
    page.get_by_label("Client Secret").fill(nordwind.app().secrets[0].value)
    page.get_by_role("button", name="Apply Changes").click()
    soon(page, "Getting ready")
    worker.work()
    soon(page, re.compile(r"Connection\s*Successful"))
    soon(page, "30 users and 4 groups")
    expect(page.get_by_role("main")).not_to_contain_text("Who can fix it")


def test_a_secret_id_is_refused_beside_its_field_and_nothing_is_lost(look: Look, nordwind: Pretend) -> None:
    eyes = look("olga")
    eyes.expected = {422}
    page, pasted = eyes.page, "1b4e28ba-2fa1-41d2-883f-0016d3cca427"
    add(page, nordwind, pasted)
    expect(page.get_by_role("main")).to_contain_text("Secret ID")
    field = page.get_by_label("Client Secret")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_have_accessible_description(re.compile("Value"))
    expect(field).to_have_value("")
    expect(page.get_by_label("Customer Name")).to_have_value("Nordwind Logistik")
    expect(page.get_by_label("Azure Tenant Id")).to_have_value(nordwind.id)
    expect(page.get_by_label("Client Id")).to_have_value(nordwind.app().client_id)
    assert pasted not in page.content()
    with scope.every("a test looks"):
        assert not Tenant.objects.filter(name="Nordwind Logistik").exists()

    field.fill(nordwind.app().secrets[0].value)
    page.get_by_role("button", name="Add customer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nordwind Logistik")


def test_pausing_many_queueing_and_cancelling(look: Look, committed_cast: Cast) -> None:
    for tenant in (committed_cast.contoso, committed_cast.fabrikam):
        verified(tenant)
    page = look("olga").page
    page.goto(f"/tenants/{committed_cast.contoso.id}/")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("link", name="Pause").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("No command of Contoso starts until somebody resumes it")
    dialog.get_by_role("button", name="Pause Contoso").click()
    soon(page, "Paused by Olga")

    page.goto("/tenants/")
    page.get_by_label("Select all on this page").check()
    expect(page.locator("[data-bulk-count]")).to_have_text("2")
    page.locator("#bulk").get_by_role("button", name="Queue Replication").click()
    expect(dialog.get_by_role("heading")).to_have_text("Queue Replication: 1 customer?")
    expect(dialog.get_by_label("Which")).to_have_text("Fabrikam")
    dialog.get_by_text("1 will be skipped").click()
    expect(dialog).to_contain_text("Contoso: it is paused")
    dialog.get_by_role("button", name="Queue Replication: 1 customer").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Done!")
    soon(page, "1 done, 1 not")

    page.get_by_role("link", name="Open the command of Fabrikam").click()
    soon(page, "Queued")
    page.get_by_role("link", name="Cancel").click()
    expect(dialog).to_contain_text("Quick replication")
    dialog.get_by_role("button", name="Cancel the command").click()
    soon(page, "Cancelled")
    expect(page.get_by_role("link", name="Cancel", exact=True)).to_have_count(0)


def test_deleting_asks_for_the_name_and_can_be_undone(look: Look, committed_cast: Cast) -> None:
    eyes = look("pia")
    eyes.expected = {422}
    page = eyes.page
    page.goto(f"/tenants/{committed_cast.fabrikam.id}/")
    page.get_by_role("button", name="More actions").click()
    page.get_by_role("link", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It can be restored for 30 days")
    dialog.get_by_role("textbox").fill("Fabricam")
    dialog.get_by_role("button", name="Delete Fabrikam").click()
    expect(dialog).to_contain_text("Type the customer's name exactly")
    expect(dialog.get_by_role("textbox")).to_have_value("Fabricam")
    dialog.get_by_role("textbox").fill("Fabrikam")
    dialog.get_by_role("button", name="Delete Fabrikam").click()
    expect(page.get_by_role("main").get_by_role("heading", level=1)).to_have_text("Deleted customers")

    page.get_by_role("link", name="Restore Fabrikam").click()
    dialog.get_by_role("button", name="Restore Fabrikam").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Fabrikam")
    assert tenant_of("Fabrikam").deleted_at is None


def test_a_customers_administrator_sees_his_own_tree_only(look: Look, committed_cast: Cast) -> None:
    verified(committed_cast.contoso)
    eyes = look("adam")
    eyes.expected = {404}
    page = eyes.page
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Contoso")
    tree = page.get_by_role("navigation", name="Main")
    for absent in ("Dashboard", "Tenants", "Audit", "Settings", "API clients"):
        expect(tree.get_by_role("link", name=absent, exact=True)).to_have_count(0)
    for address in tree.get_by_role("link").evaluate_all("(all) => all.map((one) => one.pathname)"):
        assert address == "/" or address.startswith(f"/tenants/{committed_cast.contoso.id}/"), address
        answer = page.goto(address)
        assert answer is not None
        assert answer.status == 200
        assert "Fabrikam" not in page.content()
    answer = page.goto(f"/tenants/{committed_cast.fabrikam.id}/")
    assert answer is not None
    assert answer.status == 404
    assert faults(page, "not found") == []
    expect(page.get_by_role("main")).to_contain_text("Who can fix it: Your service provider")


def test_the_main_job_without_script(
    look: Look, microsoft: Simulator, nordwind: Pretend, worker: Worker
) -> None:
    page = look("olga", java_script_enabled=False).page
    add(page, nordwind)
    worker.work()
    page.reload()
    soon(page, "30 users and 4 groups")
    rename(microsoft, nordwind, "Renamed Person")
    page.get_by_role("link", name="Queue Replication").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Queue Replication for Nordwind Logistik")
    page.get_by_role("button", name="Queue Replication").click()
    worker.work()
    page.reload()
    soon(page, "Succeeded")
    page.goto(f"/tenants/{tenant_of('Nordwind Logistik').id}/users/")
    page.get_by_label("Search name, address or object id").fill("renamed")
    page.get_by_role("button", name="Apply").click()
    soon(page, "Showing 1 to 1 of 1 users")

    page.goto("/tenants/")
    row = page.get_by_role("row", name=re.compile("Nordwind"))
    row.get_by_role("button", name="Actions for Nordwind Logistik").click()
    page.get_by_role("link", name="Pause").click()
    page.get_by_role("button", name="Pause Nordwind Logistik").click()
    soon(page, "Paused by Olga")


def test_a_new_installation_says_what_to_do_first(browser: Browser, house: str) -> None:
    pia = User.objects.create_user(email="pia@example.test", password="correct horse battery", name="Pia")
    give_role(SYSTEM, user_id=pia.id, email=pia.email, role=Role.PROVIDER_ADMIN, tenant=None)
    pia.refresh_from_db()  # a role ends the sessions that a person has
    eyes, found = Eyes(browser, house, pia), []
    with closing(eyes):
        for path in NEW:
            eyes.page.goto(path)
            found += faults(eyes.page, f"new {path}")
        eyes.page.goto("/")
        eyes.page.get_by_role("main").get_by_role("link", name="Onboard customer").last.click()
        expect(eyes.page.get_by_role("heading", level=1)).to_have_text("Onboard customer")
    connections.close_all()
    assert found + eyes.complaints == []


def test_the_theme_is_kept(look: Look) -> None:
    page = look("olga").page
    page.goto("/tenants/")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Dark").click()
    page.goto("/queue/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Theme").click()
    page.get_by_role("button", name="Light").click()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != dark
