"""The provider asks by mail: the text with its preview, an invitation, its mail, and what is done with it."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from accounts import branding, installation
from simulator.mailbox import MailServer
from tests.breakers.hands import run_due
from tests.browser.eyes import Eyes, faults
from tests.cast import Cast
from tests.invitations.conftest import mailbox

__all__ = ["mailbox"]
pytestmark = pytest.mark.django_db(transaction=True)
Look = Callable[..., Eyes]


@pytest.fixture(autouse=True)
def _read_anew(settings: Any) -> Iterator[None]:
    settings.ALLOWED_HOSTS = ["*"]
    yield
    branding.forget()
    installation.forget()


def test_the_text_is_seen_before_it_is_saved(look: Look, committed_cast: Cast, mailbox: MailServer) -> None:
    eyes = look("pia")
    page = eyes.page
    page.goto("/settings/invitations/")
    preview = page.locator("#preview")
    page.get_by_label("Invitation Subject").fill("Hello {{CustomerId}} and {{Nobody}}")
    expect(preview).to_contain_text("{{Nobody}} is no placeholder")
    page.get_by_role("button", name="Apply Changes").click()
    expect(page.locator("#id_subject_error")).to_contain_text("{{Nobody}} is no placeholder")
    eyes.complaints.clear()  # the refusal itself
    page.get_by_label("Invitation Subject").fill("Hello {{CustomerId}}")
    expect(preview).to_contain_text("Hello Example Customer")
    expect(page.frame_locator("#preview iframe").get_by_role("link")).to_have_text(
        re.compile("/authenticate/the-secret")
    )
    page.get_by_role("button", name="Apply Changes").click()
    expect(page.get_by_text("The next mail says it.")).to_be_visible()
    page.get_by_role("link", name="Send a test mail").click()
    page.get_by_label("Send it to").fill("pia@provider.example")
    page.get_by_role("button", name="Send it").click()
    expect(page.get_by_text("The mail server took a test mail")).to_be_visible()
    assert [str(mail.message["Subject"]) for mail in mailbox.mails()] == ["Test: Hello Example Customer"]


def test_from_the_invitation_to_its_end(look: Look, committed_cast: Cast, mailbox: MailServer) -> None:
    eyes = look("olga")
    page = eyes.page
    page.goto("/invitations/")
    page.get_by_role("link", name="Invite and Request").first.click()
    page.get_by_role("link", name="Request Contoso").click()
    page.get_by_label("Invitation Email").fill("refused@contoso.example")
    page.get_by_role("button", name="Request").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("Invitation \\d+"))
    run_due()
    page.reload()
    expect(page.get_by_text("Correct the address and send it again.")).to_be_visible()
    assert faults(page, "invitation undelivered") == []
    page.get_by_role("link", name="Edit", exact=True).last.click()
    dialog = page.locator("#modal")
    dialog.get_by_label("Invitation Email").fill("admin@contoso.example")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("A new mail is on its way.")).to_be_visible()
    run_due()
    page.goto("/invitations/?stage=open")
    expect(page.get_by_role("row", name=re.compile("Contoso"))).to_contain_text("admin@contoso.example")
    page.get_by_role("link", name="Contoso", exact=True).click()
    page.get_by_role("link", name="Auth URL").click()
    page.get_by_role("button", name="Make a link").click()
    expect(page.get_by_text(re.compile(r"/authenticate/[\w-]{43}"))).to_be_visible()
    assert faults(page, "auth url") == []
    page.get_by_role("link", name="I have copied it").click()
    page.get_by_role("link", name="Revoke Request").click()
    page.get_by_role("button", name="Revoke Request").click()
    expect(page.get_by_text("its links lead nowhere any more")).to_be_visible()
    assert [mail.recipients for mail in mailbox.mails()] == [("admin@contoso.example",)]
