"""A page that remembers every complaint, and what a careful person would check on any page."""

import os
import re
from pathlib import Path
from typing import Any

import axe_playwright_python
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, Response

from accounts.models import User
from tests.cast import sign_in

WIDE, PHONE = {"width": 1400, "height": 900}, {"width": 390, "height": 844}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
AXE = next(Path(axe_playwright_python.__file__).parent.glob("axe.min.js")).read_text(encoding="utf-8")
AXE_ALL = {"runOnly": TAGS, "resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}


def _rules(*names: str) -> dict[str, Any]:
    return {"runOnly": {"type": "rule", "values": names}, "resultTypes": ["violations"]}


COLOURS = ("color-contrast", "link-in-text-block")
# What another theme changes, and what another width does, which also shows buttons of its own: the rest is the same.
AXE_DARK = _rules(*COLOURS)
AXE_NARROW = _rules(
    *COLOURS,
    "target-size",
    "scrollable-region-focusable",
    "aria-hidden-focus",
    "region",
    "button-name",
    "link-name",
)
ANONYMOUS_PICTURES = """() => [...document.querySelectorAll('svg, img, [role=img]')].filter((picture) => {
    if (picture.closest('[aria-hidden=true]')) return false;
    if (picture.localName === 'img') return !picture.hasAttribute('alt');
    const named = picture.getAttribute('aria-label') || picture.getAttribute('aria-labelledby')
        || picture.querySelector(':scope > title');
    return !named;
}).map((picture) => picture.outerHTML.slice(0, 160))"""
TOO_WIDE = """() => document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
    [...document.querySelectorAll('body *')].filter((one) => one.checkVisibility()
        && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
    .map((one) => one.outerHTML.slice(0, 120))"""
NOT_STACKED = """() => [...document.querySelectorAll('table.cards')].filter((table) => table.checkVisibility()
    && innerWidth < 700 && getComputedStyle(table).display !== "block")
    .map((table) => table.outerHTML.slice(0, 99))"""

LOOKS = (("light", WIDE, AXE_ALL), ("dark", WIDE, AXE_DARK), ("light", PHONE, AXE_NARROW))


class Eyes:
    """A browser window in which somebody may be signed in; `complaints` is what went wrong in it."""

    def __init__(self, browser: Browser, address: str, person: User | None = None, **context: Any) -> None:
        # Still, because a colour that is on its way to another theme has neither's contrast.
        still = {"viewport": WIDE, "reduced_motion": "reduce"}
        self.context = browser.new_context(base_url=address, **(still | context))
        if person is not None:
            self.context.add_cookies([{"name": "ump", "value": session_of(person), "url": address}])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(15_000)
        self.complaints: list[str] = []
        self.expected: set[int] = set()
        """Statuses of 400 and above that this window is to get; Chromium logs each as an error."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", self._answered)

    def _said(self, said: ConsoleMessage) -> None:
        if said.type == "error" and not any(f"status of {status}" in said.text for status in self.expected):
            self.complaints.append(said.text)

    def _failed(self, asked: Request) -> None:
        if "ERR_ABORTED" not in (asked.failure or ""):  # a poll that was under way when we went elsewhere
            self.complaints.append(f"{asked.failure} {asked.url}")

    def _answered(self, answer: Response) -> None:
        if answer.status >= 400 and answer.status not in self.expected:
            self.complaints.append(f"{answer.status} {answer.url}")

    def close(self) -> None:
        self.context.close()


def session_of(person: User) -> str:
    """The cookie of a new session of this person."""
    from django.test import Client

    client = Client()
    sign_in(client, person)
    return client.cookies["ump"].value


def axe(page: Page, options: dict[str, Any]) -> list[str]:
    """What axe finds, one line a place."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("(options) => axe.run(document, options)", options)["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary'][:200]}"
        for one in found
        for node in one["nodes"]
    ]


def faults(page: Page, name: str) -> list[str]:
    """What is wrong with the page as it stands, in each of the three looks; `name` is for its pictures."""
    found = [f"picture without a name: {one}" for one in page.evaluate(ANONYMOUS_PICTURES)]
    heads = page.locator("h1").all_inner_texts()
    if len(heads) != 1 or not heads[0].strip():
        found.append(f"it needs one h1 and has {heads}")
    for theme, size, rules in LOOKS:
        page.set_viewport_size(size)  # type: ignore[arg-type]  # a typed dictionary
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        where = f"{theme} {size['width']}"
        found += [f"{where}: {one}" for one in axe(page, rules)]
        found += [f"{where}: too wide: {one}" for one in page.evaluate(TOO_WIDE)]
        found += [f"{where}: not one below the other: {one}" for one in page.evaluate(NOT_STACKED)]
        keep(page, f"{name} {where}")
    return found


def keep(page: Page, name: str) -> None:
    """A picture for people, where UMP_SCREENSHOTS names a directory."""
    folder = os.environ.get("UMP_SCREENSHOTS")
    if folder:
        page.screenshot(
            path=str(Path(folder) / f"{re.sub(r'[^a-z0-9]+', '-', name).strip('-')}.png"), full_page=True
        )
