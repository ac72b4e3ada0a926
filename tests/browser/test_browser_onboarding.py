"""Onboarding in a real browser: three steps that continue by themselves, left, resumed and looked at."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from m365 import identity
from onboarding import services
from onboarding.models import Onboarding
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import scope
from tenants.models import DeployState, Tenant
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def nordwind(microsoft: Simulator) -> Pretend:
    identity.forget_everything()
    pretend: Pretend = microsoft.state.add_tenant({"name": "Nordwind Logistik", "users": 30, "groups": 4})
    return pretend


def first_step(page: Page, pretend: Pretend, worker: Worker) -> None:
    page.goto("/tenants/")
    page.get_by_role("link", name="Onboard customer").first.click()
    main = page.get_by_role("main")
    page.get_by_label("Customer Name").press_sequentially("Contoso")
    expect(page.locator("#name-check")).to_contain_text("There is a customer with this name already.")
    page.get_by_label("Customer Name").fill("Nordwind Logistik")
    expect(page.locator("#name-check")).to_contain_text("This name is free.")
    page.get_by_label("Domain").fill(pretend.domain)
    page.get_by_role("button", name="Look up the tenant").click()
    expect(page.locator("#discovery")).to_contain_text("Asking Microsoft")
    worker.work()
    expect(page.locator("#discovery")).to_contain_text("Microsoft knows this domain.")
    expect(page.get_by_label("Azure Tenant Id")).to_have_value(pretend.id)
    page.get_by_label("Licensed users").fill("40")
    page.locator("#id_service").select_option("operator_connect")
    expect(page.locator("#offers")).to_contain_text("Offered: 23 of 30 features.")
    page.locator("#id_service").select_option("direct_routing")
    expect(page.locator("#offers")).to_contain_text("Offered: 28 of 30 features.")
    assert faults(page, "onboarding step 1") == []
    page.get_by_role("button", name="Next").click()
    expect(main).to_contain_text("How do you get access?")


def enter_app(page: Page, pretend: Pretend, secret: str) -> None:
    page.get_by_role("link", name="Enter an app registration").click()
    page.get_by_label("Client Id").fill(pretend.app().client_id)
    page.get_by_label("Client Secret").fill(secret)
    page.get_by_role("button", name="Next").click()


def test_a_customer_is_onboarded_and_the_wizard_continues_by_itself(
    look: Look, committed_cast: Cast, nordwind: Pretend, worker: Worker
) -> None:
    page = look("olga").page
    main = page.get_by_role("main")
    first_step(page, nordwind, worker)
    assert faults(page, "onboarding step 2") == []
    enter_app(page, nordwind, "Zx8Q~a-secret-of-the-wrong-app-registration")
    expect(main).to_contain_text("Validating credentials, please wait!")
    worker.work()
    expect(main).to_contain_text("Something went wrong while verifying M365 credentials!")
    expect(main).to_contain_text("Microsoft did not accept the client secret")
    assert faults(page, "onboarding step 2 failed") == []

    page.get_by_role("link", name="Close").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Onboardings")
    assert faults(page, "onboardings") == []
    page.get_by_role("link", name="Resume Nordwind Logistik").click()
    enter_app(page, nordwind, nordwind.app().secrets[0].value)
    expect(main).to_contain_text("On successful authentication the wizard will continue.")
    worker.work()
    expect(main).to_contain_text("Fully Automatic DNS")
    services.follow()
    expect(main).to_contain_text("In step: 30 users and 4 groups")
    assert faults(page, "onboarding step 3") == []
    page.get_by_role("link", name="Back").click()
    expect(main).to_contain_text("Connected")
    page.get_by_role("link", name="Next").click()
    page.get_by_role("button", name="Finish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nordwind Logistik")
    expect(main).to_contain_text("Ready for deployment.")
    with scope.every("a test looks"):
        assert Tenant.objects.get(name="Nordwind Logistik").deploy_state == DeployState.READY
        assert Onboarding.objects.get().finished_at


def test_a_link_is_sent_and_the_onboarding_cancelled_on_a_phone(
    look: Look, committed_cast: Cast, nordwind: Pretend, worker: Worker
) -> None:
    page = look("olga", viewport={"width": 390, "height": 844}).page
    main = page.get_by_role("main")
    first_step(page, nordwind, worker)
    page.get_by_role("link", name="Send link to IT administrator").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Invitation Email").fill("admin@nordwind.example")
    dialog.get_by_role("button", name="Send link").click()
    expect(main).to_contain_text("Not sent yet: admin@nordwind.example")
    expect(main).to_contain_text("The link works until")
    assert faults(page, "onboarding invited") == []
    page.get_by_role("link", name="Cancel onboarding").click()
    expect(dialog).to_contain_text("its links lead nowhere then")
    dialog.get_by_role("button", name="Cancel onboarding").click()
    expect(main).to_contain_text("Cancelled")
    assert faults(page, "onboarding cancelled") == []
    page.get_by_role("button", name="Start again").click()
    expect(main).to_contain_text("How do you get access?")
