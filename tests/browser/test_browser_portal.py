"""The customer's own portal: Status, Microsoft 365 Settings and the filter of users, in every state."""

from collections.abc import Callable, Iterator

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from accounts import installation
from breakers import services as breakers
from invitations import services as invitations
from tenants import grants, scope
from tenants.access import SYSTEM
from tenants.models import AppOwner, Cloud, Connection, Method, Tenant
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.directorypages.test_directory_pages import person, read
from tests.pages.helpers import connection, verified

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def contoso(committed_cast: Cast) -> Tenant:
    verified(committed_cast.contoso)
    read(committed_cast.contoso)
    for name, department in (("Ann Archer", "Sales"), ("Bob Baker", "Support"), ("Cem Çelik", "")):
        person(committed_cast.contoso, name, department=department)
    return committed_cast.contoso


@pytest.fixture(autouse=True)
def _settings_of_this_test() -> Iterator[None]:
    """What a test allows is rolled back, and nobody remembers it."""
    installation.forget()
    yield
    installation.forget()


def by_account(tenant: Tenant, method: Method) -> None:
    client_id = connection(tenant).client_id
    with scope.one(tenant.id):
        grants.keep(
            SYSTEM, tenant, method, "a~pass~word", account="ann.archer@canary-heron.example", cloud=Cloud.GLOBAL,
            app_owner=AppOwner.CUSTOMER, client_id=client_id,
        )  # fmt: skip


def test_a_filter_is_tried_saved_and_seen_among_the_users(look: Look, contoso: Tenant) -> None:
    eyes = look("adam")
    eyes.expected = {422}
    page = eyes.page
    page.goto("/")
    page.get_by_role("link", name="Microsoft 365 Settings").first.click()
    assert faults(page, "settings") == []
    page.get_by_role("link", name="Change and preview").click()
    field = page.get_by_label("CsOnlineUser Filter")
    field.fill("Departmant -eq 'Sales'")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("main")).to_contain_text("There is no attribute Departmant, at position 1.")
    assert faults(page, "filter refused") == []
    field.fill("Department -eq 'Sales'")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("main")).to_contain_text("1 of 3 users is in scope, 2 are left out")
    page.get_by_role("link", name="Left out, and why (2)").click()
    expect(page.get_by_role("main")).to_contain_text("Excluded because Department is 'Support'")
    assert faults(page, "filter tried") == []
    page.get_by_role("button", name="Apply Changes: 1 of 3 users").click()
    expect(page.get_by_role("main")).to_contain_text("version 1, set by Adam")
    assert faults(page, "filter saved") == []
    page.goto(f"/tenants/{contoso.id}/users/")
    expect(page.get_by_role("table")).to_contain_text("Left out")
    assert faults(page, "users with a filter") == []


@pytest.mark.parametrize("method", [Method.PASSWORD, Method.TOKEN])
def test_settings_with_an_open_invitation(look: Look, contoso: Tenant, method: Method) -> None:
    by_account(contoso, method)
    installation.change(SYSTEM, "allow_password", True)
    with scope.one(contoso.id):
        invitations.invite(SYSTEM, contoso, email="it@contoso.example")
    page = look("adam").page
    page.goto(f"/tenants/{contoso.id}/connection/")
    expect(page.get_by_role("main")).to_contain_text("Tenant has open invitation.")
    assert faults(page, f"settings {method}") == []
    page.get_by_role("link", name="click here").click()
    expect(page.get_by_role("dialog")).to_contain_text("Go on yourself?")
    page.get_by_role("link", name="Cancel").click()
    page.goto("/")
    expect(page.get_by_role("main")).to_contain_text("What is asked of you")
    assert faults(page, f"status {method}") == []


def test_a_degraded_service_and_its_revoking(look: Look, contoso: Tenant) -> None:
    with scope.one(contoso.id):
        breakers.change_rule(SYSTEM, contoso, max_access_failures=3, access_failure_window=15)
        Connection.objects.filter(tenant=contoso).update(degraded_at=timezone.now(), app_owner="provider")
    page = look("adam").page
    page.goto("/")
    expect(page.get_by_role("region", name="Direct Routing")).to_contain_text("Degraded")
    assert faults(page, "status degraded") == []
    page.get_by_role("link", name="Revoke access").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("no longer read")
    dialog.get_by_role("button", name="Revoke access").click()
    expect(page.get_by_role("region", name="Direct Routing")).to_contain_text("Not connected")
    assert faults(page, "status revoked") == []
