"""The main screens in a real browser: they live."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect

from accounts.models import User
from replication import services as queue
from replication.models import Command, State
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast, sign_in
from tests.pages.helpers import SignIn, change, failed, url, verified

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE = {"width": 1400, "height": 900}


@pytest.fixture
def stage(house: str, committed_cast: Cast) -> Cast:
    """Contoso is well and has something in its queue; Fabrikam's secret has expired."""
    verified(committed_cast.contoso, days_left=9)
    failed(committed_cast.fabrikam, microsoft_code="AADSTS7000222")
    with scope.one(committed_cast.contoso.id):
        queue.submit(SYSTEM, "verify_credentials", committed_cast.contoso)
    return committed_cast


class Door:
    """Opens a browser in which somebody is signed in; at the end nothing may have been complained about."""

    def __init__(self, browser: Browser, address: str) -> None:
        self.browser, self.address = browser, address
        self.contexts: list[BrowserContext] = []
        self.complaints: list[str] = []

    def open(self, person: User, *, js: bool = True) -> Page:
        client = Client()
        sign_in(client, person)
        context = self.browser.new_context(viewport=WIDE, base_url=self.address, java_script_enabled=js)
        name = settings.SESSION_COOKIE_NAME
        context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": self.address}])
        self.contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        return page


@pytest.fixture
def door(browser: Browser, house: str) -> Iterator[Door]:
    opened = Door(browser, house)
    yield opened
    for context in opened.contexts:
        context.close()
    assert [said for said in opened.complaints if "422" not in said] == []


def test_typing_narrows_the_list_and_the_address_keeps_it(stage: Cast, door: Door) -> None:
    page = door.open(stage.olga)
    page.goto("/tenants/")
    page.locator(".tools input[type=search]").fill("fabr")
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(f"{door.address}/tenants/?size=10&q=fabr")
    page.reload()
    expect(page.locator("tbody tr")).to_have_count(1)


def test_order_and_export_follow_what_was_chosen_since(stage: Cast, door: Door) -> None:
    page = door.open(stage.olga)
    page.goto("/tenants/")
    page.get_by_role("link", name="Customer Name").click()
    expect(page).to_have_url(f"{door.address}/tenants/?sort=-name")
    page.locator(".tools input[type=search]").fill("a")
    expect(page).to_have_url(f"{door.address}/tenants/?size=10&q=a&sort=-name")
    expect(page.locator("tbody th").first).to_contain_text("Fabrikam")
    export = page.get_by_role("link", name="Export CSV")
    expect(export).to_have_attribute("href", f"{door.address}/tenants/export.csv?size=10&q=a&sort=-name")


def test_ticked_customers_are_checked_after_a_look_at_which(stage: Cast, door: Door) -> None:
    page = door.open(stage.olga)
    page.goto("/tenants/")
    page.locator("thead .tick input").check()
    page.get_by_role("button", name="Check Credentials").first.click()
    dialog = page.locator("#modal")
    expect(dialog).to_contain_text("Check Credentials: 2 customers?")
    expect(dialog).to_contain_text("Fabrikam")
    dialog.get_by_role("button", name="Check Credentials: 2 customers").click()
    expect(page.locator("h1")).to_have_text("Done!")
    expect(page.locator("tbody tr")).to_have_count(2)


def test_a_customers_page_follows_what_happens(stage: Cast, door: Door) -> None:
    page = door.open(stage.olga)
    change(stage.contoso, last_replicated_at=None)
    page.goto(url(stage.contoso))
    expect(
        page.get_by_role("region", name="Setting up").get_by_text("Validating credentials")
    ).to_be_visible()
    with scope.one(stage.contoso.id):
        Command.objects.all().delete()
    verified(stage.contoso, users=4321)
    page.evaluate("document.querySelector('[data-live]').dispatchEvent(new Event('ump:wake'))")
    expect(page.get_by_text("4,321 users and 3 groups were read.")).to_be_visible()


def test_the_counters_of_the_list_follow_too(stage: Cast, door: Door) -> None:
    page = door.open(stage.olga)
    page.goto("/tenants/?q=contoso")
    cell = page.locator(f"#queue-{stage.contoso.id}")
    expect(cell).to_contain_text("Queued commands: 1")
    with scope.one(stage.contoso.id):
        Command.objects.update(state=State.CANCELLED, finished_at="2026-01-01T00:00:00Z", dedupe_key=None)
    page.evaluate("document.querySelector('[data-live]').dispatchEvent(new Event('ump:wake'))")
    expect(cell).to_contain_text("Queued commands: 0")


def test_everything_works_without_script(stage: Cast, door: Door) -> None:
    page = door.open(stage.pia, js=False)
    page.goto("/tenants/")
    page.locator("tbody tr").first.get_by_role("link", name="Delete Contoso").click()
    page.get_by_label("Type the customer's name to confirm").fill("Contoso")
    page.get_by_role("button", name="Delete Contoso").click()
    expect(page.locator("h1")).to_have_text("Deleted customers")
    page.get_by_role("link", name="Restore Contoso").click()
    page.get_by_role("button", name="Restore Contoso").click()
    expect(page.locator("h1")).to_have_text("Contoso")


def test_by_keyboard_alone(stage: Cast, door: Door, client_of: SignIn) -> None:
    page = door.open(stage.olga)
    page.goto("/tenants/")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.locator("td.tick input").first).to_be_checked()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Contoso")


def test_a_wrong_name_is_answered_in_the_dialog(stage: Cast, door: Door) -> None:
    page = door.open(stage.pia)
    page.goto("/tenants/")
    row = page.get_by_role("row").filter(has_text="Contoso")
    row.get_by_role("link", name="Delete Contoso").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Type the customer's name").fill("contoso")
    dialog.get_by_role("button", name="Delete Contoso").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    name = dialog.get_by_label("Type the customer's name")
    expect(name).to_have_value("contoso")
    expect(name).to_be_focused()
    assert page.url.endswith("/tenants/"), "the page stays where it was"
    name.fill("Contoso")
    dialog.get_by_role("button", name="Delete Contoso").click()
    page.wait_for_url("**/tenants/deleted/")
    expect(page.get_by_text("Contoso was deleted")).to_be_visible()


def test_a_filtered_list_is_kept_under_a_name(stage: Cast, door: Door) -> None:
    page = door.open(stage.olga)
    page.goto("/tenants/")
    expect(page.get_by_text("Save this view")).to_have_count(0)
    page.get_by_label("State").select_option("deployed")
    page.get_by_role("link", name="Save this view").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save the view").click()
    dialog.get_by_label("Name of the view").fill("Deployed ones")
    dialog.get_by_role("button", name="Save the view").click()
    expect(page.get_by_role("link", name="Deployed ones", exact=True)).to_have_attribute(
        "aria-current", "true"
    )
    page.goto("/tenants/")
    page.get_by_role("link", name="Deployed ones", exact=True).click()
    expect(page.get_by_text("State: Deployed")).to_be_visible()
