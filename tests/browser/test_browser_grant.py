"""Grant Access in a real browser: out to Microsoft's page, back, and watched until it was checked."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from m365 import identity
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import provider_app, scope, services
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import Connection, Method, SecretKind, Verification
from tests.browser.conftest import Worker
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture
def contoso(microsoft: Simulator, committed_cast: Cast, house: str, settings: Any) -> Pretend:
    """Contoso signs in by the provider's app, which knows this portal's address."""
    identity.forget_everything()
    settings.PORTAL_BASE_URL, settings.DEMO = house, True  # the demo alone may be sent back to http
    back = f"{house}{provider_app.CALLBACK}"
    ours = {"redirect_uris": [back], "multi_tenant": True, "secret": "provider~s~secret~of~the~shared~app"}
    home = microsoft.state.add_tenant({"name": "Provider", "users": 1, "app": ours})
    provider_app.change(
        SYSTEM,
        client_id=home.app().client_id,
        redirect_uri=back,
        given=Given(SecretKind.CLIENT_SECRET, ours["secret"]),
    )
    tenant = committed_cast.contoso
    with scope.one(tenant.id):
        services.use_provider_app(SYSTEM, tenant)
    pretend: Pretend = microsoft.state.add_tenant(
        {"name": "Contoso", "tenant_id": str(tenant.entra_tenant_id), "users": 4, "app": None}
    )
    return pretend


def leave(page: Page, tenant_id: object) -> None:
    """From the connection page by its dialog to Microsoft."""
    page.goto(f"/tenants/{tenant_id}/connection/")
    page.get_by_role("link", name="Grant Consent").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading", level=1)).to_have_text("Grant Access to Contoso")
    dialog.get_by_role("button", name="Continue to Microsoft").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_access_is_granted_and_proven(
    look: Look, committed_cast: Cast, contoso: Pretend, worker: Worker
) -> None:
    window = look("olga")
    window.expected.add(404)  # Microsoft's pretend pages have no icon
    page, tenant = window.page, committed_cast.contoso
    leave(page, tenant.id)
    page.get_by_label("Sign in as").select_option(index=0)
    page.get_by_role("button", name="Sign in and accept").click()
    main = page.get_by_role("main")
    expect(main).to_contain_text("Token claimed")
    assert "code=" not in page.url
    with worker.working():
        expect(main).to_contain_text("Done!")
    assert faults(page, "sign-in done") == []
    page.get_by_role("link", name="Connection").last.click()
    expect(main).to_contain_text("Last Authentication Status: Successful")
    expect(main).to_contain_text("Stored sign-in ends")
    with scope.one(tenant.id):
        row = Connection.objects.get()
    assert (row.method, row.verification) == (Method.TOKEN, Verification.SUCCESSFUL)


def test_who_declines_is_told_and_may_try_again(look: Look, committed_cast: Cast, contoso: Pretend) -> None:
    window = look("adam")
    window.expected |= {404, 422}
    page, tenant = window.page, committed_cast.contoso
    leave(page, tenant.id)
    page.get_by_role("button", name="Decline").click()
    expect(page.get_by_role("main")).to_contain_text("declined")
    assert faults(page, "sign-in declined") == []
    page.get_by_role("link", name="Try again").click()
    expect(page.get_by_role("button", name="Continue to Microsoft")).to_be_visible()
    assert faults(page, "grant access") == []
