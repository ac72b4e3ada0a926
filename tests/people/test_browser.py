"""Users & roles in a real browser: dialogs in place, the same without script, axe in both themes, a phone."""

import datetime as dt
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from api.services import issue_token
from tenants import people
from tenants.abilities import Role
from tenants.access import SYSTEM
from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
Open = Callable[..., Page]


@pytest.fixture
def open_as(
    committed_cast: Cast, house: str, browser: Browser, client_of: Callable[[User], Client]
) -> Iterator[Open]:
    """A page in which this person is signed in; a complaint of its console fails the test."""
    contexts, complaints = [], []

    def opened(person: User, **more: Any) -> Page:
        context = browser.new_context(base_url=house, viewport=WIDE, **more)
        contexts.append(context)
        session = client_of(person).cookies["ump"].value
        context.add_cookies([{"name": "ump", "value": session, "url": house}])
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    for context in contexts:
        context.close()
    for connection in connections.all():
        connection.close()
    assert complaints == []


def clean(page: Page, url: str) -> None:
    """axe finds nothing in either theme, and nothing runs out of a phone."""
    page.goto(url)
    pictures = os.environ.get("UMP_PICTURES")
    name = url.strip("/").replace("/", "-").replace("?", "-")[-60:]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(url, one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []
        if pictures:
            page.screenshot(path=f"{pictures}/{name}-{scheme}.png", full_page=True)
    page.set_viewport_size(PHONE)
    too_wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert page.evaluate(too_wide) == 0, url
    if pictures:
        page.screenshot(path=f"{pictures}/{name}-phone.png", full_page=True)
    page.set_viewport_size(WIDE)


def test_every_page_of_the_provider_is_accessible(committed_cast: Cast, open_as: Open) -> None:
    cast = committed_cast
    people.give_role(SYSTEM, user_id=cast.nora.id, email="", role=Role.PROVIDER_ADMIN, tenant=None)
    issue_token(cast.actor("nora"), name="OVOC", role=Role.MONITOR, lifetime=dt.timedelta(days=9))
    people.deactivate(SYSTEM, cast.max)
    page = open_as(cast.pia)
    base = "/settings/people/"
    clean(page, base)
    clean(page, f"{base}?q=zzz")
    clean(page, f"{base}add/")
    clean(page, f"{base}{cast.pia.id}/")
    clean(page, f"{base}{cast.max.id}/")
    for path in ("", "edit/", "role/", "take/", "link/", "factor/", "deactivate/"):
        clean(page, f"{base}{cast.nora.id}/{path}")
    clean(page, f"{base}{cast.max.id}/reactivate/")
    clean(page, f"/tenants/{cast.contoso.id}/people/")


def test_every_page_of_a_customer_is_accessible(committed_cast: Cast, open_as: Open) -> None:
    cast, page = committed_cast, open_as(committed_cast.adam)
    base = f"/tenants/{cast.contoso.id}/people/"
    for path in ("", "?q=zzz", "add/", f"{cast.vera.id}/role/", f"{cast.vera.id}/take/"):
        clean(page, f"{base}{path}")


@pytest.mark.parametrize("script", [True, False], ids=["script", "without"])
def test_a_role_is_changed_and_a_person_deactivated(
    committed_cast: Cast, open_as: Open, script: bool
) -> None:
    cast = committed_cast
    page = open_as(cast.pia, java_script_enabled=script)
    vera = open_as(cast.vera, java_script_enabled=script)
    vera.goto(f"/tenants/{cast.contoso.id}/")
    page.goto("/settings/people/")
    page.get_by_role("link", name="Vera").click()
    page.get_by_role("link", name="Change the role for Contoso").click()
    place = page.get_by_role("dialog") if script else page.locator("#dialog")
    place.get_by_label("Customer Admin:").check()
    place.get_by_role("button", name="Change the role").click()
    expect(page.locator("main")).to_contain_text("Customer Admin")
    assert page.url.endswith(f"/settings/people/{cast.vera.id}/")
    vera.reload()
    expect(vera.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("link", name="Deactivate").click()
    place.get_by_role("button", name="Deactivate Vera").click()
    expect(page.locator("main")).to_contain_text("This person is deactivated")
    assert User.objects.get(pk=cast.vera.pk).is_active is False


def test_adding_a_person_shows_the_link_once(committed_cast: Cast, open_as: Open, house: str) -> None:
    page = open_as(committed_cast.pia)
    page.goto("/settings/people/")
    page.get_by_role("link", name="Add a person").first.click()
    page.get_by_label("Email").fill("ana@example.test")
    page.get_by_label("Name", exact=True).fill("Ana Ash")
    page.get_by_label("Customer Admin:").check()
    page.get_by_label("Customer", exact=True).fill("Contoso")
    page.get_by_role("button", name="Add the person").click()
    expect(page.get_by_role("heading", name="Ana Ash was added")).to_be_visible()
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert [one["id"] for one in found] == []
    if os.environ.get("UMP_PICTURES"):
        page.screenshot(path=f"{os.environ['UMP_PICTURES']}/link.png", full_page=True)
    address = page.locator("main code").first.inner_text()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("main")).to_contain_text("Customer Admin")
    fresh = open_as(committed_cast.nora)
    fresh.context.clear_cookies()
    fresh.goto(house + address[address.index("/accounts/") :])
    expect(fresh.get_by_role("heading", name="Set a new password")).to_be_visible()
