"""An SBC in a real browser: added, not trusted, pinned by its fingerprint, its rules read and a number found."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import expect

from simulator.sbc.device import Device
from simulator.server import Simulator
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def device(microsoft: Simulator) -> Iterator[Device]:
    made = microsoft.sbcs.add("sbc1.example", https=True)
    made.plant("CustDialPlan", [("Contoso", "+41589061[000-999]", "contoso.example")])
    yield made
    microsoft.sbcs.reset()


def test_a_device_is_added_trusted_and_read(look: Look, device: Device, worker: Worker) -> None:
    page = look("olga").page
    main = page.get_by_role("main")
    page.goto("/sbcs/")
    main.get_by_role("link", name="Add New SBC").first.click()
    expect(page.get_by_label("Use https")).to_be_checked()
    page.get_by_label("Name").fill("Zurich")
    page.get_by_label("Ip Address").fill(f"127.0.0.1:{device.port}")
    page.get_by_label("Gateway User").fill(device.user)
    page.get_by_label("Gateway Password").fill(device.password)
    assert faults(page, "sbc add") == []
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Zurich")
    with worker.working():
        expect(main).to_contain_text("shows a certificate that the portal does not trust")
    shown = page.get_by_role("button", name="Copy fingerprint").get_attribute("data-copy")
    assert shown == device.fingerprint
    assert faults(page, "sbc untrusted") == []

    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Certificate fingerprint").fill(shown)
    page.get_by_label("Gateway Password").fill(device.password)
    page.get_by_role("button", name="Save").click()
    with worker.working():
        expect(main).to_contain_text("Mediant VE SBC")
    expect(main.get_by_text("Connected", exact=True).first).to_be_visible()

    page.get_by_role("link", name="Show Prefixes").click()
    page.get_by_role("button", name="Refresh From Sbc").click()
    with worker.working():
        expect(main).to_contain_text("As they were on the device")
    assert faults(page, "sbc prefixes") == []
    page.goto("/prefixes/")
    page.get_by_role("searchbox", name="Search a number").fill("+41 58 906 15 00")
    expect(main.get_by_role("row", name="Zurich")).to_contain_text("Takes it")

    page.goto("/sbcs/")
    main.get_by_role("link", name="Import Customers from Zurich").click()
    expect(main.get_by_role("heading", level=1)).to_have_text("Import Customers")
    assert faults(page, "sbc import") == []
    main.get_by_role("checkbox", name="Select Contoso").check()
    page.get_by_role("button", name="Preview").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 site, 1 prefix.")
    dialog.get_by_role("button", name="Import").click()
    expect(main).to_contain_text("Queued")
    with worker.working():
        expect(main).to_contain_text("1 prefix taken over")
    page.goto("/topology/")
    main.get_by_role("link", name="SBC Zurich: ").press("Enter")
    expect(main.get_by_role("heading", level=1)).to_have_text("Topology of Zurich")
    expect(main.get_by_role("link", name="Site Contoso: Deployed")).to_be_visible()
    assert faults(page, "topology") == []
