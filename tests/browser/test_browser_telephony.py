"""Numbers in a real browser: read from Microsoft, looked through, and a user's number on his own page."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from sbc.models import Sbc
from simulator.graph.teams_state import telephony_of
from simulator.server import Simulator
from telephony.landing import place_of
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import Cloud, Verification
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.telephony.making import add_rule, add_sbc

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def phones(committed_cast: Cast, microsoft: Simulator) -> Sbc:
    """Contoso with forty users and an SBC that takes all of its numbers but the first."""
    tenant = committed_cast.contoso
    pretend = microsoft.state.add_tenant(
        {
            "name": "Contoso",
            "tenant_id": str(tenant.entra_tenant_id),
            "users": 40,
            "groups": 2,
            "telephony": {"head": "+41589061", "digits": 3},
        }
    )
    app = pretend.app()
    with scope.one(tenant.id):
        services.set_connection(
            SYSTEM,
            tenant,
            cloud=Cloud.GLOBAL,
            client_id=app.client_id,
            client_secret=app.secrets[0].value,
        )
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    telephony_of(pretend)
    sbc = add_sbc()
    low = place_of("+41589061001")
    add_rule(sbc, str(tenant.entra_tenant_id), (low, low + 998 * 10**4))
    return sbc


def test_numbers_are_read_and_found(look: Look, phones: Sbc, committed_cast: Cast, worker: Worker) -> None:
    eyes = look("adam")
    page, base = eyes.page, f"/tenants/{committed_cast.contoso.id}"
    main = page.get_by_role("main")
    page.goto(f"{base}/numbers/")
    expect(main).to_contain_text("No numbers yet")
    assert faults(page, "numbers empty") == []
    page.get_by_role("button", name="Read from Microsoft").click()
    expect(main).to_contain_text("Number assignments")
    with worker.working():
        expect(main).to_contain_text("numbers read", timeout=30_000)
    page.goto(f"{base}/numbers/")
    expect(main).to_contain_text("1 number is assigned at Microsoft, but no rule")
    expect(main.get_by_role("row").nth(1)).to_contain_text("+41589061000")
    assert faults(page, "numbers") == []
    page.get_by_role("searchbox", name="Search a number").fill("58 906 10 02")
    expect(main.get_by_role("row")).to_have_count(2)
    page.goto(f"{base}/users/")
    assert faults(page, "users with numbers") == []
