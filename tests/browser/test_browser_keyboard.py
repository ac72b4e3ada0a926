"""Everything by keyboard alone: where it goes, that one sees where it is, and that it comes back."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.eyes import Eyes
from tests.cast import Cast
from tests.directorypages.test_directory_pages import person, read
from tests.pages.helpers import add, verified

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]
# What takes the focus and can be seen now, and how it is known: once marked, the walk can tell what it met.
MARK = """() => {
    const wanted = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]';
    const seen = [...document.querySelectorAll(wanted)].filter((one) => one.checkVisibility({
        visibilityProperty: true, opacityProperty: true, contentVisibilityAuto: true,
    }) && !one.disabled && !one.closest('[inert]') && one.tabIndex >= 0 && one.getClientRects().length);
    const shown = ['outlineStyle', 'outlineWidth', 'boxShadow'];
    const bare = (one) => shown.map((name) => getComputedStyle(one)[name]).join();
    window.bare = new Map(seen.map((one) => [one, bare(one)]));
    window.look = bare;
    return seen.map((one, at) => { one.dataset.stop = at; return one.outerHTML.slice(0, 120); });
}"""
HERE = """() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    return { stop: Number(one.dataset.stop ?? -1), shown: window.look(one) !== window.bare.get(one) };
}"""


def walk(page: Page) -> None:
    """Tab through the whole page: every control is met, and each shows that the focus is on it."""
    stops: list[str] = page.evaluate(MARK)
    met: dict[int, bool] = {}
    last = -1
    for _ in range(len(stops) + 20):
        page.keyboard.press("Tab")
        here: dict[str, Any] | None = page.evaluate(HERE)
        if here is None or (here["stop"] in met and here["stop"] != last):  # a date has several stops
            break
        last = here["stop"]
        met[last] = met.get(last, False) or here["shown"]
    missed = [html for at, html in enumerate(stops) if at not in met]
    assert missed == [], f"not reached by Tab on {page.url}"
    assert [stops[at] for at, shown in met.items() if at >= 0 and not shown] == [], "the focus is not seen"


def test_tab_reaches_everything_and_one_sees_where_it_is(look: Look, committed_cast: Cast) -> None:
    verified(committed_cast.contoso)
    read(committed_cast.contoso)
    person(committed_cast.contoso, "Anna Zola")
    home = f"/tenants/{committed_cast.contoso.id}/"
    page = look("pia").page
    for path in (
        "/",
        "/tenants/",
        "/tenants/add/",
        home,
        f"{home}users/",
        f"{home}connection/",
        "/queue/",
        "/audit/",
    ):
        page.goto(path)
        walk(page)


def test_the_first_tab_skips_to_the_content(look: Look) -> None:
    page = look("olga").page
    page.goto("/tenants/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(page.get_by_role("link", name="Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()


def test_rows_search_and_selection(look: Look, committed_cast: Cast) -> None:
    add("Adatum")
    page = look("olga").page
    page.goto("/tenants/")
    page.keyboard.press("/")
    box = page.get_by_role("searchbox", name="Search customers", exact=True)
    expect(box).to_be_focused()
    page.keyboard.type("o")
    page.wait_for_url("**q=o**")
    expect(page.get_by_role("row", name="Adatum")).to_have_count(0)
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("x")
    expect(page.get_by_label("Select Contoso")).to_be_checked()
    expect(page.locator("[data-bulk-count]")).to_have_text("1")
    page.keyboard.press("x")
    expect(page.locator("#bulk")).to_be_hidden()
    page.locator("tbody tr").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Contoso")


def test_dialogs_open_close_and_give_the_focus_back(look: Look, committed_cast: Cast) -> None:
    page = look("olga").page
    page.goto(f"/tenants/{committed_cast.contoso.id}/")
    page.locator("h1").click()
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()

    ask = page.get_by_role("link", name="Check Credentials").first
    ask.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert page.evaluate("document.querySelector('#modal').contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(ask).to_be_focused()

    more = page.get_by_role("button", name="More actions")
    more.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog).to_contain_text("Pause Contoso?")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(more).to_be_focused()
