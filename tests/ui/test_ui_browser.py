"""The style guide in a real browser: axe finds nothing, nothing overflows, the content security policy holds."""

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser
WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}


class Watched:
    """A page that remembers what its console complained about."""

    def __init__(self, browser: Browser, **context: Any) -> None:
        self.context = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.complaints: list[str] = []
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type == "error" else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def guide(browser: Browser, server: str) -> Any:
    opened: list[Watched] = []

    def open_it(path: str = "/styleguide", **context: Any) -> Page:
        watched = Watched(browser, **({"viewport": WIDE} | context))
        opened.append(watched)
        watched.page.goto(server + path)
        return watched.page

    yield open_it
    for watched in opened:
        watched.context.close()
        assert watched.complaints == []


def violations(page: Page) -> list[str]:
    results = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    return [
        f"{found['id']}: {node['html'][:160]} {node['failureSummary']}"
        for found in results
        for node in found["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [WIDE, PHONE], ids=["wide", "phone"])
def test_axe_finds_nothing_and_nothing_overflows(guide: Any, theme: str, viewport: dict[str, int]) -> None:
    page = guide(color_scheme=theme, viewport=viewport)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 600, 768, 900, 1024, 1900])
def test_the_page_is_never_wider_than_the_window(guide: Any, width: int) -> None:
    page = guide(viewport={"width": width, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/accounts/login/",
        "/accounts/password/reset/",
        "/styleguide?dialog=check",
        "/errors/404",
        "/errors/500",
    ],
)
def test_axe_finds_nothing_outside_the_guide(guide: Any, theme: str, path: str) -> None:
    assert violations(guide(path, color_scheme=theme)) == []


def test_axe_finds_nothing_in_a_dialog_and_in_menus(guide: Any) -> None:
    page = guide(color_scheme="dark")
    page.get_by_label("Your account").click()
    assert violations(page) == []
    page.keyboard.press("Escape")
    page.get_by_text("Check all").click()
    expect(page.get_by_role("dialog", name="Check 22 tenants now?")).to_be_visible()
    assert violations(page) == []
    page.get_by_role("dialog").get_by_text("Cancel").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_theme_is_kept_and_served_without_a_flash(guide: Any) -> None:
    page = guide()
    page.get_by_label("Theme").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    answer = page.reload()
    assert 'data-theme="dark"' in answer.text()


def test_rows_are_walked_and_chosen_by_keyboard(guide: Any) -> None:
    page = guide()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_label("Select Northwind Traders")).to_be_checked()
    expect(page.locator("[data-bulk-count]")).to_have_text("1")
    page.get_by_label("Select all on this page").check()
    expect(page.locator("[data-bulk-count]")).to_have_text("8")
    page.get_by_role("button", name="Check Credentials").first.click()
    expect(page.get_by_role("dialog", name="Check 22 tenants now?")).to_be_visible()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Clear the selection").click()
    expect(page.locator(".bulk")).to_be_hidden()


def test_slash_searches_and_question_mark_helps(guide: Any) -> None:
    page = guide()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox", name="Search tenants", exact=True)).to_be_focused()
    page.keyboard.type("?")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()


def test_searching_and_paging_replace_only_the_list(guide: Any) -> None:
    page = guide()
    page.evaluate("window.stayed = true")
    page.get_by_role("link", name="Page 2", exact=True).click()
    expect(page.get_by_text("Showing 9 to 16 of 240 entries")).to_be_visible()
    page.get_by_role("searchbox", name="Search tenants", exact=True).fill("fab")
    page.wait_for_url("**q=fab**")
    assert "page=" not in page.url
    assert page.evaluate("window.stayed")


def test_live_parts_poll_while_visible_and_stop_at_the_end(guide: Any) -> None:
    page = guide()
    expect(page.locator("#ticking")).to_contain_text("Asked at")
    expect(page.locator("#ending")).to_contain_text("Asked at")
    expect(page.locator("#ending")).not_to_have_attribute("data-live", "")
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.wait_for_function("""() => new Promise((done) => {
        let refused = 0;
        document.addEventListener('htmx:beforeRequest', (event) => {
            if (event.defaultPrevented && ++refused === 2) done(true);
        });
    })""")
    assert asked == []
    with page.expect_request("**/styleguide?live=on"):
        page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")


def test_what_was_unfolded_stays_so_when_a_live_part_is_replaced(guide: Any) -> None:
    page = guide()
    fragment = "<details id='raw'><summary>Details</summary>{}</details>"
    answers = iter(range(1000))
    page.route("**/styleguide?live=on", lambda route: route.fulfill(body=fragment.format(next(answers))))
    page.locator("#raw summary").click()
    seen = page.locator("#raw").inner_text()
    expect(page.locator("#raw")).not_to_have_text(seen)
    expect(page.locator("#raw")).to_have_attribute("open", "")


def test_the_drawer_opens_on_a_phone(guide: Any) -> None:
    page = guide(viewport=PHONE, color_scheme="dark")
    expect(page.get_by_role("link", name="Dashboard")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Dashboard")).to_be_visible()
    assert violations(page) == []


def test_everything_can_be_reached_without_script(guide: Any) -> None:
    page = guide(java_script_enabled=False)
    page.get_by_text("Check all").click()
    expect(page.get_by_role("heading", name="Check 22 tenants now?")).to_be_visible()
    expect(page.get_by_role("button", name="Queue 22 checks")).to_be_visible()
