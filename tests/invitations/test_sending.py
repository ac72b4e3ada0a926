"""Send invitation, against a real mail server: one mail, one link, counted once the server took it."""

import logging
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts import delivery
from audit.models import Entry
from core.errors import UmpError
from events.models import Event
from invitations import services
from invitations.models import Invitation, InvitationMail, Link, Stage
from replication.models import Command, State
from simulator.mailbox import MailServer
from tenants import scope
from tests.breakers.hands import make_due, run_due
from tests.cast import Cast
from tests.invitations.conftest import again, token_in
from tests.invitations.tls import certificate_for

pytestmark = pytest.mark.django_db


def links() -> list[Link]:
    with scope.every("a test looks"):
        return list(Link.objects.order_by("id"))


def newest_command() -> Command:
    with scope.every("a test looks"):
        return Command.objects.order_by("-id")[0]


def kept() -> str:
    """Everything that the database says about it."""
    with scope.every("a test looks for the secret"):
        tables = (Command, Event, Entry, Invitation, Link)
        return repr([list(table.objects.values()) for table in tables])


def test_it_goes_out_with_a_link_that_only_the_mail_knows(
    mailbox: MailServer, invitation: Invitation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert invitation.stage == Stage.UNSENT
    run_due()
    [sent] = mailbox.mails()
    message = sent.message
    assert sent.recipients == ("admin@contoso.example",)
    assert message["Message-ID"] == f"<invitation-{invitation.pk}-1@localhost>"
    assert message["Subject"].startswith("Welcome, Contoso")
    token = token_in(sent.part("plain"))
    assert sent.part("html").count(token) == 2
    assert "http" not in sent.part("html").replace(f"http://localhost:8000/authenticate/{token}", "")
    assert again(invitation).sent_count == 1
    assert again(invitation).stage == Stage.OPEN
    [link] = links()
    assert link.token_hash == services.hash_of(token)
    assert token not in kept() + caplog.text
    with scope.every("a test looks"):
        assert [event.type for event in Event.objects.all()] == ["invitation.sent"]


def test_a_reminder_counts_and_leaves_the_first_link_alive(
    mailbox: MailServer, invitation: Invitation, cast: Cast
) -> None:
    run_due()
    with scope.one(cast.contoso.id):
        services.remind(cast.actor("olga"), cast.contoso, invitation.pk)
    run_due()
    second, first = mailbox.mails()
    assert again(invitation).sent_count == 2
    assert again(invitation).reminded_at is not None
    assert token_in(first.part("plain")) != token_in(second.part("plain"))
    assert second.message["Message-ID"] == f"<invitation-{invitation.pk}-2@localhost>"
    assert len(links()) == 2


def test_sending_it_anew_puts_an_end_to_earlier_links_once_it_went_out(
    mailbox: MailServer, invitation: Invitation, cast: Cast
) -> None:
    run_due()
    with scope.one(cast.contoso.id):
        services.resend(cast.actor("olga"), cast.contoso, invitation.pk)
    mailbox.set({"trouble": "later"})
    run_due()
    assert links()[0].token_hash == services.hash_of(token_in(mailbox.mails()[0].part("plain")))
    mailbox.set({"trouble": ""})
    make_due()
    run_due()
    assert [link.token_hash for link in links()] == [
        services.hash_of(token_in(mailbox.mails()[0].part("plain")))
    ]


def test_sending_it_anew_is_no_reminder_though_one_still_waits(
    mailbox: MailServer, invitation: Invitation, cast: Cast
) -> None:
    run_due()
    with scope.one(cast.contoso.id):
        services.remind(cast.actor("olga"), cast.contoso, invitation.pk)
        services.resend(cast.actor("olga"), cast.contoso, invitation.pk)
    run_due()
    assert len(mailbox.mails()) == 2
    assert [link.token_hash for link in links()] == [
        services.hash_of(token_in(mailbox.mails()[0].part("plain")))
    ]


def test_another_address_ends_what_the_former_got_at_once(
    mailbox: MailServer, invitation: Invitation, cast: Cast
) -> None:
    run_due()
    with scope.one(cast.contoso.id):
        copied = services.mint(cast.actor("olga"), cast.contoso, invitation.pk, mailed=False)
        wanted = {"email": "new@contoso.example", "full_name": "", "admin_email": "", "portal_account": True}
        services.edit(cast.actor("olga"), cast.contoso, invitation.pk, **wanted)
    assert [link.token_hash for link in links()] == [services.hash_of(copied.rpartition("/")[2])]
    run_due()
    newest = mailbox.mails()[0]
    assert newest.recipients == ("new@contoso.example",)
    assert [link.token_hash for link in links()] == [services.hash_of(token_in(newest.part("plain")))]


@pytest.mark.parametrize(
    ("trouble", "code", "state"),
    [
        ("busy", "mail_refused", State.QUEUED),
        ("later", "mail_refused", State.QUEUED),
        ("refuse", "mail_address", State.FAILED),
        ("refuse_mail", "mail_refused", State.QUEUED),
        ("lost", "mail_unreachable", State.QUEUED),
        ("silent", "mail_unreachable", State.QUEUED),
    ],
)
def test_what_the_server_does_not_take_is_not_counted_but_told(
    mailbox: MailServer,
    invitation: Invitation,
    trouble: str,
    code: str,
    state: State,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(delivery, "STEP_SECONDS", 0.3)
    caplog.set_level(logging.DEBUG)
    mailbox.set({"trouble": trouble})
    run_due()
    now = again(invitation)
    assert (now.sent_count, now.stage) == (0, Stage.UNDELIVERED)
    assert now.undelivered["code"] == code
    assert newest_command().state == state
    for mail in mailbox.mails():
        assert token_in(mail.part("plain")) not in kept() + caplog.text
    assert "/authenticate/" not in kept() + caplog.text
    mailbox.set({"trouble": ""})
    if state == State.QUEUED:
        make_due()
        run_due()
        assert (again(invitation).sent_count, again(invitation).undelivered) == (1, None)
        assert {str(mail.message["Message-ID"]) for mail in mailbox.mails()} == {
            f"<invitation-{invitation.pk}-1@localhost>"
        }


@pytest.mark.parametrize("seconds", [0.3, 0.0], ids=["in the middle", "before it is connected"])
def test_a_server_that_drips_is_cut_off(
    mailbox: MailServer, invitation: Invitation, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    monkeypatch.setattr(delivery, "WHOLE_SECONDS", seconds)
    mailbox.set({"slow_ms": 200})
    run_due()
    assert again(invitation).undelivered["code"] == "mail_unreachable"


def test_nobody_at_the_port(mailbox: MailServer, invitation: Invitation) -> None:
    mailbox.close()
    run_due()
    assert again(invitation).undelivered["code"] == "mail_unreachable"


def test_no_mail_server_at_all(invitation: Invitation, settings: Any) -> None:
    settings.EMAIL_URL = ""
    run_due()
    assert again(invitation).undelivered["code"] == "mail_missing"


def test_one_that_was_revoked_or_has_expired_is_not_sent(
    mailbox: MailServer, invitation: Invitation, cast: Cast
) -> None:
    with scope.one(cast.contoso.id):
        services.revoke(cast.actor("olga"), cast.contoso, invitation.pk)
    run_due()
    assert mailbox.mails() == []
    assert newest_command().state == State.SUCCEEDED
    assert "nothing was sent" in newest_command().message


@pytest.mark.parametrize(
    "name", ["{{InvitationId}}", "<b>Con</b>", "Con\r\nBcc: x@evil.example", "\u202eCon", "ä" * 120]
)
def test_a_customer_s_name_stays_a_name(
    mailbox: MailServer, invitation: Invitation, cast: Cast, name: str
) -> None:
    with scope.one(cast.contoso.id):
        type(cast.contoso).objects.filter(id=cast.contoso.id).update(name=name)
    run_due()
    [mail] = mailbox.mails()
    assert mail.recipients == ("admin@contoso.example",)
    assert mail.message["Bcc"] is None
    assert token_in(mail.part("plain")) not in str(mail.message["Subject"])
    assert "<b>" not in mail.part("html")
    assert "\u202e" not in mail.raw.decode()


def test_settings_that_somebody_broke_behind_our_back_fail_with_a_reason(
    mailbox: MailServer, invitation: Invitation
) -> None:
    InvitationMail.objects.create(
        subject="Two\nlines {{Nobody}}", body="No link", portal_url="https://p.example/a"
    )
    run_due()
    [mail] = mailbox.mails()
    assert mail.message["Subject"] == "Two lines {{Nobody}}"


# --- Protection on the way -----------------------------------------------------------------------------------


@pytest.fixture
def tls_mailbox(tmp_path: Path, mailbox: MailServer, settings: Any) -> Iterator[MailServer]:
    """One that offers STARTTLS, with a certificate that nobody trusts yet."""
    certificate, key = certificate_for(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = MailServer("127.0.0.1", 0, clock=time.time, pause=time.sleep, tls=context)
    settings.EMAIL_PORT, settings.EMAIL_USE_TLS = server.port, True
    yield server
    server.close()


def test_starttls_with_a_trusted_certificate(
    tls_mailbox: MailServer, invitation: Invitation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    run_due()
    assert [mail.protected for mail in tls_mailbox.mails()] == [True]


def test_a_certificate_that_nobody_trusts(tls_mailbox: MailServer, invitation: Invitation) -> None:
    run_due()
    assert tls_mailbox.mails() == []
    assert again(invitation).undelivered["code"] == "mail_unprotected"
    assert newest_command().state == State.FAILED


def test_starttls_that_is_not_offered(mailbox: MailServer, invitation: Invitation, settings: Any) -> None:
    settings.EMAIL_USE_TLS = True
    run_due()
    assert mailbox.mails() == []
    assert again(invitation).undelivered["code"] == "mail_unprotected"


def test_a_relay_elsewhere_without_tls_needs_a_setting(settings: Any) -> None:
    settings.EMAIL_URL, settings.EMAIL_BACKEND = "smtp://mail.example", "accounts.delivery.Smtp"
    settings.EMAIL_HOST = "mail.example"
    with pytest.raises(UmpError) as caught:
        delivery.deliver(delivery.EmailMessage("Hi", "there", to=["x@example.test"]))
    assert caught.value.code == "mail_unprotected"
    assert not delivery.may_be_plain("127.0.0.1.evil.example")
    assert delivery.may_be_plain("127.0.0.2")
    settings.EMAIL_ALLOW_PLAIN = True
    assert delivery.may_be_plain("mail.example")
