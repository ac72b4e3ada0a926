"""A sign-in that grew old: the question, the answer, and the way back. And one's own sessions."""

import re
import time
from collections.abc import Callable

import pytest
from allauth.account.internal.flows.login import AUTHENTICATION_METHODS_SESSION_KEY
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Page, expect

from accounts.sessions import SessionStore
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.ui.test_ui_account_journey import PASSKEY

pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


def grow_old(eyes: Eyes) -> None:
    """The sign-in of this window was eleven minutes ago."""
    cookie = next(one for one in eyes.context.cookies() if one["name"] == "ump")
    session = SessionStore(cookie["value"])
    session[AUTHENTICATION_METHODS_SESSION_KEY] = [{"method": "password", "at": time.time() - 660}]
    session.save()


def confirm(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Confirm").click()


def test_a_dialog_asks_first_and_then_goes_on(look: Look, committed_cast: Cast) -> None:
    eyes = look("pia")
    page = eyes.page
    page.goto(f"/settings/people/{committed_cast.olga.id}/")
    grow_old(eyes)
    page.get_by_role("link", name="Give a role").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm that it is you")
    assert faults(page, "again confirm") == []
    confirm(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Give Olga a role")
    page.get_by_role("radio").nth(2).check()
    page.get_by_role("button", name="Give the role").click()
    expect(page.get_by_text("Olga is Monitor now")).to_be_visible()


def test_an_app_or_a_passkey_confirms_as_well(look: Look, committed_cast: Cast) -> None:
    EmailAddress.objects.create(
        user=committed_cast.pia, email=committed_cast.pia.email, verified=True, primary=True
    )
    totp.TOTP.activate(committed_cast.pia, totp.generate_totp_secret())
    eyes = look("pia")
    page = eyes.page
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": PASSKEY})
    page.goto("/accounts/2fa/webauthn/add/")
    page.get_by_label("Name").fill("Pia's laptop")
    page.get_by_role("button", name="Add the key").click()
    page.wait_for_url(re.compile(r"/accounts/2fa/(webauthn/|recovery-codes/)?$"))
    grow_old(eyes)
    page.goto("/settings/people/add/")
    page.get_by_role("link", name="Use authenticator app or code").click()
    expect(page.get_by_text("the code that your authenticator app shows")).to_be_visible()
    assert faults(page, "again app") == []
    page.get_by_role("link", name="Use a security key").click()
    expect(page.get_by_text("use your passkey or security key once more")).to_be_visible()
    assert faults(page, "again passkey") == []
    page.get_by_role("button", name="Use the key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Add a person")


def test_what_was_typed_for_a_new_customer_is_there_again(look: Look) -> None:
    eyes = look("olga")
    page = eyes.page
    page.goto("/tenants/add/")
    page.get_by_label("Customer Name").fill("Nordwind Logistik")
    page.get_by_label("Client Secret").fill("Tz~8Q~a-very-long-client-secret-of-microsoft")
    grow_old(eyes)
    page.get_by_role("button", name="Add customer").click()
    confirm(page)
    expect(page.get_by_label("Customer Name")).to_have_value("Nordwind Logistik")
    expect(page.get_by_label("Client Secret")).to_have_value("")
    expect(page.get_by_text("Nothing was done yet")).to_be_visible()
    assert faults(page, "again typed") == []


def test_pages_that_hold_a_form_say_why_it_is_not_there(look: Look, committed_cast: Cast) -> None:
    eyes = look("pia")
    page = eyes.page
    grow_old(eyes)
    for path, name in ((f"/tenants/{committed_cast.contoso.id}/connection/", "Enter credentials"),
                       ("/settings/", "Change settings")):  # fmt: skip
        page.goto(path)
        assert faults(page, f"again {name}") == []
        page.get_by_role("link", name=name).click()
        confirm(page)
        page.wait_for_url(f"**{path}")
        expect(page.get_by_role("button", name="Apply Changes")).to_be_visible()
        grow_old(eyes)


def test_a_person_ends_the_sessions_of_other_browsers(look: Look) -> None:
    here, there = look("adam"), look("adam", user_agent="Mozilla/5.0 (iPhone) Version/19.0 Safari/604.1")
    look("adam")
    there.page.goto("/")
    page = here.page
    page.goto("/accounts/sessions/")
    expect(page.get_by_role("row")).to_have_count(4)
    assert faults(page, "again sessions") == []
    page.get_by_role("button", name="Sign out Safari on an iPhone").click()
    expect(page.get_by_text("Signed out: Safari on an iPhone, 127.0.0.1.")).to_be_visible()
    there.page.goto("/")
    expect(there.page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_role("link", name="Sign out everywhere else").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 other session of yours ends at once")
    dialog.get_by_role("button", name="Sign out everywhere else").click()
    expect(page.get_by_text("1 other session ended.")).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(2)
