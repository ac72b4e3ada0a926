"""Verify All in a real browser: pressed, watched to its end, searched, and closed."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from simulator.server import Simulator
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes
from tests.cast import Cast
from tests.directory.pretend import make_customer

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


def test_verify_all_is_watched_to_its_end(
    look: Look, committed_cast: Cast, microsoft: Simulator, worker: Worker
) -> None:
    make_customer(microsoft, "Nordwind")
    page = look("olga").page
    page.goto("/authentication-status/")
    page.get_by_role("button", name="2 Verify All").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Verify All Tokens")
    main = page.get_by_role("main")
    expect(main).to_contain_text("0 of 3 (0%)")
    worker.work()
    expect(main).to_contain_text("Done!")
    expect(page.get_by_role("row", name=re.compile("Nordwind"))).to_contain_text("OK")
    expect(page.get_by_role("row", name=re.compile("Contoso"))).to_contain_text("Access failed")
    page.get_by_label("Search customers").fill("nord")
    expect(page.get_by_role("row", name=re.compile("Contoso"))).to_have_count(0)
    page.reload()
    expect(main).to_contain_text("Done!")
    expect(page.get_by_role("row", name=re.compile("Nordwind"))).to_have_count(1)
    page.get_by_role("link", name="Close").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Authentication Status")
    expect(page.get_by_role("row", name=re.compile("Nordwind"))).to_contain_text("Successful")
