"""A domain in a real browser: begun, its record written by hand, watched to its end, taken away again."""

import uuid
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from m365 import identity
from simulator.nameserver import ZONE
from simulator.server import Simulator
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults
from tests.cast import CANARY_CONTOSO, Cast
from tests.domains.conftest import RIGHTS, enter_zone

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def dns(microsoft: Simulator, committed_cast: Cast) -> Simulator:
    """Contoso's app may set up domains, and the portal knows the zone."""
    identity.forget_everything()
    app = {
        "client_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, CANARY_CONTOSO)),
        "secret": f"{CANARY_CONTOSO}~secret~of~the~app~registration",
        "roles": list(RIGHTS),
    }
    tenant_id = str(committed_cast.contoso.entra_tenant_id)
    microsoft.state.add_tenant({"name": "Contoso", "tenant_id": tenant_id, "users": 3, "app": app})
    enter_zone(microsoft)
    return microsoft


def test_a_domain_by_hand_to_its_end_and_away(
    look: Look, committed_cast: Cast, dns: Simulator, worker: Worker
) -> None:
    page = look("olga").page
    main, name = page.get_by_role("main"), f"contoso.{ZONE}"
    page.goto(f"/tenants/{committed_cast.contoso.id}/domains/")
    page.get_by_role("link", name="Add a domain").first.click()
    expect(page.get_by_label("Domain")).to_have_value(name)
    page.get_by_label("I write the TXT record by hand").check()
    assert faults(page, "domain add") == []
    page.get_by_role("button", name="Set it up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    with worker.working():
        expect(main).to_contain_text("0 of 1 name servers")
    text = page.get_by_role("button", name="Copy value").get_attribute("data-copy") or ""
    assert text.startswith("MS=ms")
    assert faults(page, "domain by hand") == []
    dns.dns.put(name, text)
    page.get_by_role("button", name="Look again now").click()
    with worker.working():
        expect(main).to_contain_text("Ready")
    assert faults(page, "domain ready") == []
    page.get_by_role("link", name="Remove the domain").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("nothing is touched")
    dialog.get_by_role("button", name="Remove the domain").click()
    with worker.working():
        expect(main).to_contain_text("Removed")
    assert name not in dns.state.domains


def test_the_zone_is_entered_and_tried(look: Look, dns: Simulator, worker: Worker) -> None:
    page = look("pia").page
    main = page.get_by_role("main")
    page.goto("/settings/dns-zone/")
    page.get_by_role("button", name="Test").click()
    with worker.working():
        expect(main).to_contain_text("A record was written, seen and removed")
    dns.dns.set({"trouble": "key"})
    page.get_by_role("button", name="Test").click()
    with worker.working():
        expect(main).to_contain_text("did not accept the key")
    assert faults(page, "zone failed") == []
