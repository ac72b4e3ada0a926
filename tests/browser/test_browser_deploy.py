"""Step 3 of onboarding in a real browser: Deploy by a person's script, Verify, Deployed, and Undo Deploy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from deployment.models import Run
from onboarding import services as onboarding
from sbc.services import add as add_sbc
from simulator.sbc.cli import Session
from simulator.sbc.device import Device
from simulator.server import Simulator
from sites import services as sites
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import DeployState, Tenant
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.deployment.teams import PretendTeams
from tests.deployment.test_deploying import by_person, pasted, to_the_end
from tests.pages.helpers import change, verified
from tests.sbc.conftest import wish as sbc_wish
from tests.sites.conftest import OTHERS, pair, tables, wish

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def device(microsoft: Simulator) -> Iterator[Device]:
    yield microsoft.sbcs.add("sbc1.example")
    microsoft.sbcs.reset()


@pytest.fixture
def contoso(committed_cast: Cast, device: Device) -> Tenant:
    """At step 3, with proven access, and a site for an SBC of the simulator. No worker has PowerShell."""
    Session(device.running).run(OTHERS)
    sbc, _ = add_sbc(SYSTEM, **sbc_wish(device))
    to_the_end()
    tenant = committed_cast.contoso
    verified(tenant)
    change(tenant, deploy_state=DeployState.READY)
    with scope.one(tenant.id):
        onboarding.start_again(SYSTEM, tenant)
        sites.add(SYSTEM, tenant, **wish(sbc, pair("BYOC with registration")))
    onboarding.follow()
    return tenant


def newest(tenant: Tenant) -> Run:
    with scope.one(tenant.id):
        return Run.objects.select_related("tenant").order_by("-id")[0]


def downloaded(page: Page, name: str) -> str:
    with page.expect_download() as found:
        page.get_by_role("main").get_by_role("link", name=name).click()
    return Path(found.value.path()).read_text(encoding="utf-8-sig")


def by_hand(page: Page, tenant: Tenant, teams: PretendTeams, button: str) -> str:
    """Look, Verify, decide, run the ready script, Verify; the ready script."""
    main = page.get_by_role("main")
    page.get_by_role("button", name="Look").click()
    expect(main).to_contain_text("Reading SBCs and Teams")
    to_the_end()
    expect(main).to_contain_text("Run the Verify script. It changes nothing")
    assert "Get-CsOnlineVoiceRoute" in downloaded(page, "Verify script")
    give_back(page, tenant, teams)
    expect(main).to_contain_text("In Teams")
    assert faults(page, f"{button} by hand") == []
    page.get_by_role("button", name=button, exact=True).click()
    to_the_end()
    expect(main).to_contain_text("Teams waits for a person")
    script = downloaded(page, "ready script")
    by_person(newest(tenant), teams)
    give_back(page, tenant, teams)
    return script


def give_back(page: Page, tenant: Tenant, teams: PretendTeams) -> None:
    page.get_by_label("Result of the Verify script").fill(pasted(newest(tenant), teams))
    page.get_by_role("button", name="Verify").click()


def test_a_customer_is_deployed_and_undone_by_a_persons_scripts(
    look: Look, contoso: Tenant, device: Device
) -> None:
    teams, page = PretendTeams(), look("olga").page
    main, before = page.get_by_role("main"), tables(device)
    page.goto(f"/tenants/{contoso.id}/onboarding/voice-route/")
    main.get_by_role("link", name="Deploy", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Deploy Contoso")
    assert "New-CsOnlineVoiceRoute" in by_hand(page, contoso, teams, "Deploy")
    expect(main).to_contain_text("Contoso is deployed.")
    assert (tables(device) == before, teams.names()["OnlineVoiceRoute"]) == (False, ["ump-zurich"])
    onboarding.finish_deployed()
    page.goto("/tenants/?q=Contoso")
    expect(main).to_contain_text("Deployed successfully.")

    page.goto(f"/tenants/{contoso.id}/deploy/")
    main.get_by_role("link", name="Undo Deploy").click()
    assert "Remove-CsOnlineVoiceRoute" in by_hand(page, contoso, teams, "Undo Deploy")
    expect(main).to_contain_text("Contoso is no longer deployed.")
    assert (tables(device), teams.names()["OnlineVoiceRoute"]) == (before, [])
