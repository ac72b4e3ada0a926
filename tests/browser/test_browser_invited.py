"""The customer's way in a real browser: from the link to the end, each way, on a desk and on a phone."""

import dataclasses
import datetime as dt
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Q
from django.utils import timezone
from playwright.sync_api import Page, expect

from invitations import finishing, services
from invitations.models import Invitation, Type
from m365 import identity
from replication import states
from simulator.entra import device as microsofts_codes
from simulator.registrations import add_app
from simulator.server import Simulator
from simulator.tenant import Tenant as Pretend
from tenants import provider_app, scope
from tenants.access import SYSTEM
from tenants.credentials import Given
from tenants.models import AppOwner, Connection, Method, SecretKind, Tenant
from tests.browser.conftest import Worker
from tests.browser.eyes import PHONE, WIDE, Eyes, faults
from tests.cast import Cast

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]
CONNECTED = "Your organisation is connected"


@dataclasses.dataclass
class Invited:
    """Contoso, that nothing connects yet, at a pretend Microsoft; and a link for its administrator."""

    tenant: Tenant
    pretend: Pretend
    microsoft: Simulator
    path: str
    worker: Worker

    def connection(self) -> Connection:
        with scope.one(self.tenant.id):
            return Connection.objects.get(tenant=self.tenant)

    def until_done(self, page: Page) -> None:
        """The portal works as it does by itself, and the page follows."""
        main = page.get_by_role("main")
        for _ in range(12):
            self.worker.work()
            if not finishing.settle():
                with scope.every("a test is impatient"):
                    states.make_due(Q())
            with scope.one(self.tenant.id):
                if Invitation.objects.get(tenant=self.tenant).done_at:
                    break
        expect(main).to_contain_text(CONNECTED)


@pytest.fixture
def invited(
    microsoft: Simulator,
    committed_cast: Cast,
    house: str,
    settings: Any,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
) -> Invited:
    identity.forget_everything()
    monkeypatch.setattr(microsofts_codes, "DEVICE_INTERVAL", 1)
    settings.PORTAL_BASE_URL, settings.DEMO = house, True  # the demo alone may be sent back to http
    settings.CONSENT_PROPAGATION_SECONDS = settings.SECRET_PROPAGATION_SECONDS = 0
    settings.OUTBOUND_COUNTRY = "Iceland"
    back = f"{house}{provider_app.CALLBACK}"
    secret = "provider~s~secret~of~the~shared~app"
    app = {"redirect_uris": [back], "multi_tenant": True, "public_client": True, "secret": secret}
    home = microsoft.state.add_tenant({"name": "Provider", "users": 1, "app": app})
    provider_app.change(
        SYSTEM,
        client_id=home.app().client_id,
        redirect_uri=back,
        given=Given(SecretKind.CLIENT_SECRET, secret),
    )
    tenant = committed_cast.contoso
    with scope.one(tenant.id):
        Connection.objects.filter(tenant=tenant).delete()
        made = Invitation.objects.create(
            tenant=tenant,
            type=Type.INVITE,
            email="it@contoso.example",
            full_name="Ida Tall",
            created_by="olga",
            expires_at=timezone.now() + dt.timedelta(days=5),
        )
        link = services.mint(SYSTEM, tenant, made.pk, mailed=False)
    pretend = microsoft.state.add_tenant(
        {"name": "Contoso", "tenant_id": str(tenant.entra_tenant_id), "users": 4, "app": None}
    )
    return Invited(tenant, pretend, microsoft, "/authenticate/" + link.rpartition("/")[2], worker)


def enter(window: Eyes, invited: Invited) -> Page:
    """Open the link and press Continue; nobody is signed in to the portal."""
    window.expected |= {404}  # Microsoft's pretend pages have no icon
    page = window.page
    page.goto(invited.path)
    expect(page.get_by_role("heading", level=1)).to_contain_text(
        "asks for access to Microsoft 365 of Contoso"
    )
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_role("button", name="Start authentication")).to_be_visible()
    assert invited.path not in page.url, "the link has left the address bar"
    return page


def at_microsoft(page: Page, button: str = "Sign in and accept") -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_role("button", name=button).click()


SIZES = pytest.mark.parametrize("size", [WIDE, PHONE], ids=["desk", "phone"])


@SIZES
def test_by_signing_in(look: Look, invited: Invited, size: dict[str, int]) -> None:
    page = enter(look(viewport=size), invited)
    page.get_by_role("button", name="Start authentication").click()
    at_microsoft(page, "Decline")
    expect(page.get_by_role("main")).to_contain_text("declined")
    page.get_by_role("button", name="Start authentication").click()
    at_microsoft(page)
    expect(page.get_by_role("main")).to_contain_text("This page goes on by itself")
    assert "code=" not in page.url
    invited.until_done(page)
    assert invited.connection().method == Method.TOKEN


@SIZES
def test_by_a_code(look: Look, invited: Invited, size: dict[str, int]) -> None:
    page = enter(look(viewport=size), invited)
    page.get_by_role("button", name="Get a code").click()
    invited.worker.work()
    code = page.locator(".stat code").inner_text()
    expect(page.get_by_role("main")).to_contain_text("Iceland")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open that page").click()
    there = opened.value
    expect(there.locator("body")).to_contain_text("located in Iceland")
    there.get_by_label("Code").fill(code)
    there.get_by_label("Sign in as").select_option(
        label=str(invited.pretend.directory.users.view(0)["userPrincipalName"])
    )
    there.get_by_role("button", name="Sign in and accept").click()
    expect(there.locator("body")).to_contain_text("You can close this page")
    there.close()
    invited.until_done(page)


@SIZES
def test_by_a_new_app_registration(look: Look, invited: Invited, size: dict[str, int]) -> None:
    page = enter(look(viewport=size), invited)
    page.get_by_role("button", name="Create New App Registration").click()
    at_microsoft(page)
    invited.until_done(page)
    stored = invited.connection()
    assert (stored.method, stored.app_owner) == (Method.APP, AppOwner.CUSTOMER)


@SIZES
def test_by_an_app_registration_of_ones_own(look: Look, invited: Invited, size: dict[str, int]) -> None:
    app = {"client_id": str(uuid.uuid4()), "secret": "a~secret~of~the~app~that~Contoso~made"}
    add_app(invited.pretend, app, invited.microsoft.state.now())
    page = enter(look(viewport=size), invited)
    page.get_by_role("link", name="Use App Registration").click()
    page.get_by_label("Client Id").fill(app["client_id"])
    page.get_by_label("Client Secret").fill(app["secret"])
    page.get_by_role("button", name="Validate and use it").click()
    expect(page.get_by_role("main")).to_contain_text("App registration entered")
    invited.until_done(page)


def test_every_page_of_the_way_is_sound(look: Look, invited: Invited) -> None:
    """In both themes and both widths, and for assistive technology."""
    window = look()
    window.expected |= {404, 410}
    page = window.page
    page.goto(invited.path)
    found = {"link": faults(page, "link")}
    page.get_by_role("button", name="Continue").click()
    found["ways"] = faults(page, "ways")
    page.get_by_role("link", name="Use App Registration").click()
    found["app"] = faults(page, "app")
    page.goto("/authenticate/visit/")
    page.get_by_role("button", name="Get a code").click()
    invited.worker.work()
    expect(page.locator(".stat code")).to_be_visible()
    found["code"] = faults(page, "code")
    link = page.get_by_role("link", name="Open that page")
    link.focus()
    with page.expect_response("**/visit/live/"), page.expect_response("**/visit/live/"):
        pass
    expect(link).to_be_focused()
    page.get_by_role("link", name="Choose another way").click()
    page.get_by_role("button", name="Start authentication").click()
    at_microsoft(page)
    expect(page.get_by_role("main")).to_contain_text("Token claimed")
    found["steps"] = faults(page, "steps")
    invited.until_done(page)
    found["done"] = faults(page, "done")
    page.goto("/authenticate/nothing-that-anybody-was-sent")
    found["refused"] = faults(page, "refused")
    assert {name: each for name, each in found.items() if each} == {}
