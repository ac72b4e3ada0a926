"""Queue and directory in a real browser: what is live stays calm, and dialogs ask."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, Page, expect

from accounts.models import User
from core.errors import UmpError
from replication import runner, states
from replication.context import Done
from replication.models import Command, State
from tenants import scope
from tests.cast import Cast
from tests.directorypages.test_directory_pages import person
from tests.queuepages.test_lists import change, claim, submit
from tests.replication.kinds import scripted

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
WIDE = {"width": 1400, "height": 900}
WAKE = "document.querySelectorAll('[data-live]').forEach((part) => part.dispatchEvent(new Event('ump:wake')))"


@pytest.fixture(autouse=True)
def kinds() -> Iterator[None]:
    with scripted(name="scripted"):
        yield


@pytest.fixture
def olga(
    committed_cast: Cast, house: str, browser: Browser, client_of: Callable[[User], Client]
) -> Iterator[Page]:
    """Olga's browser, signed in; a complaint of its console fails the test."""
    context = browser.new_context(base_url=house, viewport=WIDE)
    session = client_of(committed_cast.olga).cookies["ump"].value
    context.add_cookies([{"name": "ump", "value": session, "url": house}])
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    for connection in connections.all():
        connection.close()
    assert complaints == []


def wake(page: Page, status: int) -> None:
    """Ask for news now instead of in a moment, and wait for the answer."""
    with page.expect_response(lambda answer: "/live/" in answer.url and answer.status == status):
        page.evaluate(WAKE)


def test_live_rows_keep_what_was_ticked_and_do_not_flicker(committed_cast: Cast, olga: Page) -> None:
    mine, theirs = submit(committed_cast.contoso), submit(committed_cast.fabrikam)
    olga.goto("/queue/")
    olga.get_by_label(f"Select command {theirs.id}").check()
    assert claim().id in {mine.id, theirs.id}
    wake(olga, 200)
    expect(olga.locator("#queue-head")).to_contain_text("Open Commands: 2, Executing: 1, Queued: 1")
    expect(olga.locator("#list tbody")).to_contain_text("Executing")
    box = olga.get_by_label(f"Select command {theirs.id}")
    expect(box).to_be_checked()
    expect(box).to_be_focused()
    expect(olga.locator("[data-bulk-count]")).to_have_text("1")
    olga.evaluate("document.querySelector('#list tbody').dataset.mark = 'same'")
    wake(olga, 304)
    assert olga.evaluate("document.querySelector('#list tbody').dataset.mark") == "same"


def test_a_commands_page_follows_it_to_the_end(committed_cast: Cast, olga: Page) -> None:
    command = submit(committed_cast.contoso)
    claimed = claim()
    busy = UmpError.of("graph_unavailable", detail={"microsoft_code": "serviceNotAvailable"})
    runner._settle(claimed, runner.verdict_on(claimed, busy))
    olga.goto(f"/tenants/{committed_cast.contoso.id}/commands/{command.id}/")
    olga.locator("tbody summary").click()
    expect(olga.locator("tbody details")).to_contain_text("serviceNotAvailable")
    change(command, not_before=command.queued_at)
    with scope.every("a test makes it due"):
        states.refresh_lanes([command.lane_id])
    claimed = claim()
    wake(olga, 200)
    expect(olga.locator("#command")).to_contain_text("Executing")
    expect(olga.locator("tbody details")).to_have_attribute("open", "")
    runner._settle(claimed, runner._after(Done("All is well.")))
    wake(olga, 286)
    expect(olga.locator("#command")).to_contain_text("All is well.")
    expect(olga.locator("[data-live]")).to_have_count(0)


def test_cancel_from_the_row_menu_asks_in_place(committed_cast: Cast, olga: Page) -> None:
    command = submit(committed_cast.contoso)
    olga.goto("/queue/")
    olga.get_by_label(f"Actions for Scripted {command.id}").click()
    olga.get_by_role("link", name="Cancel").click()
    dialog = olga.get_by_role("dialog")
    expect(dialog).to_contain_text(f"Cancel Scripted #{command.id}?")
    dialog.get_by_role("button", name="Cancel the command").click()
    expect(olga.get_by_role("heading", level=1)).to_have_text(f"Scripted #{command.id}")
    expect(olga.locator("#command")).to_contain_text("Cancelled")


def test_many_are_cancelled_with_a_preview_and_a_result(committed_cast: Cast, olga: Page) -> None:
    chosen = [submit(committed_cast.contoso, target=f"t{number}") for number in range(3)]
    olga.goto("/queue/")
    for each in chosen[:2]:
        olga.get_by_label(f"Select command {each.id}").check()
    olga.locator("#bulk").get_by_role("button", name="Cancel").click()
    dialog = olga.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Cancel: 2 commands?")
    dialog.get_by_role("button", name="Cancel: 2 commands").click()
    expect(olga.get_by_role("heading", level=1)).to_have_text("Done!")
    expect(olga.get_by_role("main")).to_contain_text("2 done, 0 not")
    with scope.every("a test looks"):
        assert Command.objects.filter(state=State.CANCELLED).count() == 2


def test_typing_filters_the_list_and_the_address(committed_cast: Cast, olga: Page) -> None:
    person(committed_cast.contoso, "Anna Zola")
    person(committed_cast.contoso, "Bert Smit")
    olga.goto(f"/tenants/{committed_cast.contoso.id}/users/")
    olga.get_by_label("Search name, address or object id").fill("zola")
    expect(olga.locator("#list")).to_contain_text("Showing 1 to 1 of 1 users")
    assert olga.url.endswith("?size=10&q=zola")
