"""Users & roles in a real browser: dialogs in place, and the same without script."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE = {"width": 1400, "height": 900}
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
    address = page.locator("main code").first.inner_text()
    page.get_by_role("link", name="I have copied it").click()
    expect(page.locator("main")).to_contain_text("Customer Admin")
    fresh = open_as(committed_cast.nora)
    fresh.context.clear_cookies()
    fresh.goto(house + address[address.index("/accounts/") :])
    expect(fresh.get_by_role("heading", name="Set a new password")).to_be_visible()
