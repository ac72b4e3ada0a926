"""Signing in with a password, a code and a passkey in a real browser, with axe on every page on the way."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal import auth as totp
from axe_playwright_python.sync_playwright import Axe
from django.db import connections
from playwright.sync_api import Browser, Page, expect

from tests.cast import Cast

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
PASSKEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture
def olga(committed_cast: Cast, house: str, browser: Browser) -> Iterator[Page]:
    """Olga's browser on the sign-in page; a complaint of its console fails the test."""
    EmailAddress.objects.create(
        user=committed_cast.olga, email=committed_cast.olga.email, verified=True, primary=True
    )
    context = browser.new_context(base_url=house, color_scheme="dark")
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto("/accounts/login/")
    yield page
    context.close()
    for connection in connections.all():
        connection.close()
    assert complaints == []


def sign_in(page: Page) -> None:
    page.goto("/accounts/login/")
    page.get_by_label("Email").fill("olga@example.test")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.goto("/accounts/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/accounts/login/**")


def clean(page: Page, heading: str) -> None:
    """This is the page with that heading, and axe finds nothing on it in either theme."""
    expect(page.get_by_role("heading", level=1)).to_have_text(heading)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []


def confirm(page: Page) -> None:
    """allauth asks for the password again before a change of what protects the account."""
    if "reauthenticate" in page.url:
        clean(page, "Confirm that it is you")
        page.get_by_label("Password").fill("correct horse battery")
        page.get_by_role("button", name="Confirm").click()


def test_a_wrong_password_is_said_in_words(olga: Page) -> None:
    olga.get_by_label("Email").fill("olga@example.test")
    olga.get_by_label("Password").fill("wrong")
    olga.get_by_role("button", name="Sign in", exact=True).click()
    expect(olga.get_by_role("alert")).to_contain_text("not correct")
    clean(olga, "Sign in")


def test_an_app_a_passkey_and_recovery_codes(olga: Page) -> None:
    sign_in(olga)
    olga.goto("/accounts/2fa/totp/activate/")
    confirm(olga)
    clean(olga, "Set up an authenticator app")
    secret = olga.locator(".copy code").inner_text()
    olga.get_by_label("Authenticator code").fill(code_of(secret))
    olga.get_by_role("button", name="Activate").click()
    clean(olga, "Recovery codes")
    recovery = olga.locator("#recovery_codes").input_value().split()
    assert len(recovery) == 10

    devtools = olga.context.new_cdp_session(olga)
    devtools.send("WebAuthn.enable")
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": PASSKEY})
    olga.goto("/accounts/2fa/webauthn/add/")
    clean(olga, "Add a passkey or security key")
    olga.get_by_label("Name").fill("Olga's laptop")
    olga.get_by_label("Passwordless").check()
    olga.get_by_role("button", name="Add the key").click()
    olga.wait_for_url(re.compile(r"/accounts/2fa/(webauthn/)?$"))
    olga.goto("/accounts/2fa/webauthn/")
    clean(olga, "Passkeys and security keys")
    expect(olga.get_by_role("rowheader", name="Olga's laptop")).to_be_visible()
    olga.goto("/accounts/2fa/")
    clean(olga, "Sign-in security")
    sign_out(olga)

    olga.get_by_role("button", name="Sign in with a passkey").click()
    expect(olga.get_by_role("button", name="Your account")).to_be_visible()
    sign_out(olga)

    sign_in(olga)
    clean(olga, "One more proof")
    olga.get_by_label("Code").fill(recovery[0])
    olga.get_by_role("button", name="Sign in", exact=True).click()
    expect(olga.get_by_role("button", name="Your account")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/accounts/2fa/", "Sign-in security"),
        ("/accounts/password/change/", "Password"),
        ("/accounts/email/", "Email addresses"),
        ("/accounts/logout/", "Sign out?"),
        ("/accounts/reauthenticate/", "Confirm that it is you"),
        ("/accounts/2fa/webauthn/", "Passkeys and security keys"),
    ],
)
def test_pages_of_ones_own_account(olga: Page, path: str, heading: str) -> None:
    sign_in(olga)
    expect(olga.get_by_role("button", name="Your account")).to_be_visible()
    olga.goto(path)
    clean(olga, heading)


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/accounts/password/reset/", "Forgotten your password?"),
        ("/accounts/password/reset/done/", "Look into your mailbox"),
        ("/accounts/password/reset/key/x-y/", "This link does not work any more"),
        ("/accounts/password/reset/key/done/", "Your password is changed"),
        ("/accounts/inactive/", "This account is closed"),
        ("/accounts/signup/", "By invitation only"),
        ("/accounts/confirm-email/nonsense/", "This link does not work"),
        ("/accounts/confirm-email/", "Look into your mailbox"),
    ],
)
def test_pages_for_people_who_are_not_signed_in(olga: Page, settings: Any, path: str, heading: str) -> None:
    settings.EMAIL_URL = "smtp://mail.example"
    olga.goto(path)
    clean(olga, heading)


def test_without_a_mail_server_nobody_is_sent_to_a_mailbox(olga: Page) -> None:
    olga.goto("/accounts/password/reset/done/")
    clean(olga, "No link was sent")


def code_of(secret: str) -> str:
    """What an authenticator app would show now."""
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    return str(totp.format_hotp_value(totp.hotp_value(secret, counter)))
