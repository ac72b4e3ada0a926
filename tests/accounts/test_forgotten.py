"""Forgotten passwords: the link goes by mail or nowhere, and no page tells whose address has an account."""

import logging
import re
from typing import Any

import pytest
from django.test import Client

from simulator.mailbox import MailServer
from tests.cast import Cast
from tests.invitations.conftest import mailbox
from tests.pages.helpers import SignIn, text_of

__all__ = ["mailbox"]

pytestmark = pytest.mark.django_db
ASK, DONE = "/accounts/password/reset/", "/accounts/password/reset/done/"
KEY = re.compile(r"/accounts/password/reset/key/\S+")
EVERYBODY = pytest.mark.parametrize("address", ["olga@example.test", "nobody@example.test"])


def ask(address: str) -> str:
    """The page that a person meets then."""
    client = Client()
    answer = client.post(ASK, {"email": address})
    assert (answer.status_code, answer.headers["Location"]) == (302, DONE)
    return text_of(client, DONE)


def nowhere(settings: Any) -> None:
    """A mail server that is down."""
    settings.EMAIL_URL = "smtp://127.0.0.1:1"
    settings.EMAIL_BACKEND = "accounts.delivery.Smtp"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1


def test_the_link_comes_by_mail_and_works(cast: Cast, mailbox: MailServer) -> None:
    assert "is on its way" in ask("olga@example.test")
    (mail,) = mailbox.mails("olga@example.test")
    found = KEY.search(mail.message.get_content())
    assert found is not None
    client = Client()
    assert "Set a new password" in text_of(client, client.get(found[0]).headers["Location"])


@EVERYBODY
def test_without_a_mail_server_nothing_is_written_and_the_page_says_who_can_help(
    cast: Cast,
    settings: Any,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    address: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    settings.EMAIL_URL = ""
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    page = text_of(Client(), ASK)
    assert "Send the link" not in page
    assert "make you a sign-in link" in page
    told = ask(address)
    assert "is on its way" not in told
    assert "make you a sign-in link" in told
    written = capfd.readouterr()
    assert not KEY.search(written.out + written.err + caplog.text)


@EVERYBODY
def test_a_mail_server_that_is_down_tells_nothing_of_the_address(
    cast: Cast, settings: Any, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.set_level(logging.DEBUG)
    nowhere(settings)
    assert "If there is an account for that address" in ask(address)
    assert "mail_unreachable" in str([vars(record) for record in caplog.records])
    assert not KEY.search(caplog.text)
    assert address not in caplog.text


def test_a_verification_that_did_not_go_out_is_not_told_as_sent(
    cast: Cast, client_of: SignIn, settings: Any
) -> None:
    nowhere(settings)
    client = client_of(cast.olga)
    answer = client.post("/accounts/email/", {"action_add": "", "email": "else@example.test"}, follow=True)
    page = answer.content.decode()
    assert "The mail to else@example.test did not go out" in page
    assert "A mail with a link went" not in page
