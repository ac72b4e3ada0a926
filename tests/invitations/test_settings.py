"""Invitation Settings: what is refused, the preview, the test mail, times, automatic reminders."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts import branding, delivery, installation
from audit.models import Entry
from core.errors import InvalidInput
from invitations import services, settings_views
from invitations.models import Invitation, InvitationMail
from invitations.template import LINK
from replication.models import Command
from simulator.mailbox import MailServer
from tenants import scope
from tenants.access import SYSTEM
from tests.accounts.test_branding import png
from tests.breakers.hands import run_due
from tests.cast import Cast, signed_in_at
from tests.invitations.conftest import again, token_in
from tests.pages.helpers import SignIn, post, text_of

pytestmark = pytest.mark.django_db
PAGE = "/settings/invitations/"
GOOD = {
    "subject": "Hello {{CustomerId}}",
    "body": f"Dear all,\r\n\r\n{LINK}\r\n",
    "portal_url": "http://localhost/authenticate/",
    "invitation_days": "7",
    "invitation_reminder_days": "3",
    "version": "1",
}


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    branding.forget()
    installation.forget()
    yield
    branding.forget()
    installation.forget()


def test_apply_changes_and_the_next_mail_says_it(
    mailbox: MailServer, invitation: Invitation, cast: Cast, client_of: SignIn
) -> None:
    pia = client_of(cast.pia)
    post(pia, f"{PAGE}change/", GOOD)
    assert installation.get("invitation_days") == 7
    assert installation.get("invitation_reminder_days") == 3
    run_due()
    [mail] = mailbox.mails()
    assert mail.message["Subject"] == "Hello Contoso"
    assert mail.part("plain").startswith("Dear all,\n\nhttp://localhost/authenticate/")
    with scope.every("a test reads the trail"):
        assert Entry.objects.filter(action="invitation_settings.changed", tenant_id=None).count() == 1
    answer = post(pia, f"{PAGE}change/", GOOD, 422).content.decode()
    assert "changed Invitation Settings" in answer or "Somebody changed" in answer


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"subject": "Hi {{Name}}"}, "{{Name}} is no placeholder"),
        ({"body": f"{LINK} {{{{settings.SECRET_KEY}}}}"}, "{{settings.SECRET_KEY}} is no placeholder"),
        ({"body": "No link"}, "must contain the link"),
        ({"body": LINK + "x" * 20_001}, "20000 characters"),
        ({"portal_url": "https://evil.example/authenticate"}, "not known by the name evil.example"),
        ({"portal_url": "https://localhost/elsewhere"}, "must end with /authenticate"),
        ({"portal_url": "ftp://localhost/authenticate"}, "must begin with https://"),
        ({"portal_url": "https://a@localhost/authenticate"}, "must look like"),
        ({"portal_url": "https://localhost/authenticate?x=1"}, "must look like"),
        ({"portal_url": "https://[::1/authenticate"}, "must look like"),
        ({"invitation_days": "0"}, "between 1 and 60"),
        ({"invitation_reminder_days": "31"}, "between 0 and 30"),
    ],
)
def test_what_is_refused_stands_beside_its_field_and_nothing_is_kept(
    changed: dict[str, str], words: str, cast: Cast, client_of: SignIn
) -> None:
    answer = post(client_of(cast.pia), f"{PAGE}change/", GOOD | changed, 422).content.decode()
    assert words in answer
    assert not InvitationMail.objects.exists()
    assert installation.get("invitation_days") == 5


def test_a_line_break_in_the_subject(cast: Cast) -> None:
    with pytest.raises(InvalidInput, match="one line"):
        services.set_mail(SYSTEM, subject="A\nBcc: x", body=LINK, portal_url="http://localhost/authenticate")


def test_a_secure_installation_wants_https(settings: Any) -> None:
    settings.SECURE = True
    with pytest.raises(InvalidInput, match="https"):
        services.clean_portal_url("http://localhost/authenticate")
    assert services.clean_portal_url(" https://localhost/authenticate/ ") == "https://localhost/authenticate"


def test_the_preview_shows_what_is_typed_escaped_and_keeps_nothing(cast: Cast, client_of: SignIn) -> None:
    pia = client_of(cast.pia)
    typed = {
        "subject": "S {{CustomerId}}",
        "body": f"<script>x</script>\n\n{LINK}",
        "portal_url": "https://p.example/authenticate",
    }
    page = post(pia, f"{PAGE}preview/", typed, 200).content.decode()
    assert "S Example Customer" in page
    assert "&amp;lt;script&amp;gt;x" in page, "escaped in the mail, and once more in srcdoc"
    assert "<script>x" not in page
    assert "sandbox" in page
    assert (
        "is no placeholder" in post(pia, f"{PAGE}preview/", typed | {"body": "{{X}}"}, 200).content.decode()
    )
    post(pia, f"{PAGE}preview/", typed | {"body": "{{" * 500_000}, 200)
    assert not InvitationMail.objects.exists()


def test_a_test_mail_goes_out_with_the_brand_and_a_link_that_leads_nowhere(
    mailbox: MailServer, cast: Cast, client_of: SignIn
) -> None:
    branding.change(SYSTEM, {"provider_name": 'Fine, "bäk"', "accent": "#5039a6", "logo": png()})
    pia = client_of(cast.pia)
    post(pia, f"{PAGE}test/", {"to": "me@provider.example"})
    [mail] = mailbox.mails()
    assert str(mail.message["Subject"]).strip().startswith("Test: Welcome, Example Customer")
    assert 'Fine, "bäk"' in mail.part("plain")
    assert str(mail.message["From"]) == '"Fine, \\"bäk\\"" <portal@localhost>'
    assert mail.sender == "portal@localhost"
    assert "#5039a6" in mail.part("html")
    assert 'src="cid:logo@ump"' in mail.part("html")
    assert [part.get_content_type() for part in mail.message.walk()][-1] == "image/png"
    assert token_in(mail.part("plain")) == "the-secret-of-the-link-stands-here"
    mailbox.set({"trouble": "refuse"})
    answer = post(pia, f"{PAGE}test/", {"to": "me@provider.example"}, 200).content.decode()
    assert "refused me@provider.example" in answer
    post(pia, f"{PAGE}test/", {"to": "a@b.example\nBcc: c@d.example"}, 422)


def test_who_sees_and_who_changes(cast: Cast, client_of: SignIn) -> None:
    mona, pia = client_of(cast.mona), client_of(cast.pia)
    assert "Apply Changes" not in text_of(mona, PAGE)
    post(mona, f"{PAGE}preview/", GOOD, 403)
    post(mona, f"{PAGE}test/", {"to": "a@b.example"}, 403)
    text_of(client_of(cast.adam), PAGE, 404)
    page = text_of(pia, PAGE)
    for label in (
        "Invitation Subject",
        "Invitation Email",
        "Customer Authentication Portal Url",
        "Apply Changes",
    ):
        assert label in page
    signed_in_at(pia, cast.pia, 0)
    assert "we ask once more" in text_of(pia, PAGE)


def test_the_check_of_the_address_in_words(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["portal.example", "10.0.0.1"]

    def fine(url: str) -> list[object]:
        return [check["fine"] for check in settings_views.checks(InvitationMail(portal_url=url))][:4]

    assert fine("https://portal.example/authenticate") == [True, True, True, None]
    assert fine("http://10.0.0.1/x") == [False, False, True, False]
    assert fine("https://other.internal/authenticate") == [True, True, False, False]


# --- Automatic reminders ---------------------------------------------------------------------------------------
def later(days: float) -> Any:
    return time_machine.travel(timezone.now() + dt.timedelta(days=days), tick=False)


def test_one_reminder_after_some_days_and_no_second(mailbox: MailServer, invitation: Invitation) -> None:
    run_due()
    assert services.remind_due() == 0
    with later(2.1):
        assert services.remind_due() == 1
        assert services.remind_due() == 0
    run_due()
    assert (len(mailbox.mails()), again(invitation).sent_count) == (2, 2)
    with later(4.5):
        assert services.remind_due() == 0


@pytest.mark.parametrize(
    "moments",
    [
        {"done_at": timezone.now()},
        {"revoked_at": timezone.now()},
        {"signed_in_at": timezone.now()},
        {"reminded_at": timezone.now()},
        {"sent_at": None},
        {"expires_at": timezone.now()},
    ],
)
def test_who_is_not_reminded(moments: dict[str, Any], mailbox: MailServer, invitation: Invitation) -> None:
    run_due()
    with scope.every("a test moves it on"):
        Invitation.objects.filter(id=invitation.pk).update(**moments)
    with later(2.1):
        assert services.remind_due() == 0


def test_reminders_can_be_turned_off(mailbox: MailServer, invitation: Invitation) -> None:
    run_due()
    installation.change(SYSTEM, "invitation_reminder_days", 0)
    with later(4):
        assert services.remind_due() == 0
    with scope.every("a test looks"):
        assert Command.objects.filter(params__why="reminder").count() == 0


def test_a_slow_server_is_given_up(
    mailbox: MailServer, cast: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "WHOLE_SECONDS", 0.2)
    mailbox.set({"slow_ms": 150})
    answer = post(client_of(cast.pia), f"{PAGE}test/", {"to": "me@provider.example"}, 200).content.decode()
    assert "could not be reached, or broke off" in answer
