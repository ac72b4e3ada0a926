"""The daily mail: for whom, when, about whom, and once."""

import datetime as dt
import smtplib
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.db.models.functions import Now
from django.utils import timezone

from breakers.models import Breaker
from replication import services
from replication.models import Command, State
from tenants import scope
from tenants.models import Connection, Secret
from tests.breakers.hands import claim, make_due, proven, settle
from tests.cast import Cast
from tests.pages.helpers import SignIn, failed, post, text_of
from webhooks import digests
from webhooks.models import Digest

pytestmark = pytest.mark.django_db
MORNING = timezone.now().replace(hour=8, minute=0) + dt.timedelta(days=2)
"""A later day, whenever this runs: the first mail never comes on the day it was asked for."""


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://mail.example"


def go(on: dt.datetime = MORNING) -> list[mail.EmailMessage]:
    """A round of the sweeper and of the worker on that day; what went out."""
    mail.outbox.clear()
    with time_machine.travel(on, tick=False):
        digests.send_due()
        for claimed in claim():
            if claimed.kind == digests.SEND:
                settle(claimed)
    return list(mail.outbox)


def wants(cast: Cast, name: str) -> None:
    digests.wish(cast.actor(name), getattr(cast, name), wanted=True)
    Digest.objects.update(done_on=None)


def test_a_person_asks_for_it_and_gets_it_once_a_day(cast: Cast, client_of: SignIn) -> None:
    olga = client_of(cast.olga)
    failed(cast.contoso)
    assert "/settings/digest/" in text_of(olga, "/")
    post(olga, "/settings/digest/", {"wanted": "yes"})
    page = text_of(olga, "/settings/digest/")
    assert "You get it" in page
    assert "Contoso" in page
    (sent,) = go()
    assert sent.to == ["olga@example.test"]
    assert "Contoso: last checked" in sent.body
    assert f"/tenants/{cast.contoso.id}/" in sent.body
    assert go() == [], "once a day"
    (next_day,) = go(MORNING + dt.timedelta(days=1))
    assert next_day.extra_headers["Message-ID"] != sent.extra_headers["Message-ID"]
    post(olga, "/settings/digest/", {"wanted": "no"})
    assert go(MORNING + dt.timedelta(days=2)) == []


def test_it_tells_degraded_failed_and_ending_within_what_one_may_see(cast: Cast) -> None:
    alder = proven("Alder", degraded_at=timezone.now())
    birch = proven("Birch")
    with scope.one(birch.id):
        Secret.objects.update(expires_at=timezone.now() + dt.timedelta(days=9, hours=1))
        Connection.objects.update(verification="successful")
    proven("Cedar", held_at=timezone.now())
    failed(cast.contoso)
    failed(cast.fabrikam)
    told = [line[1] for part in digests.parts_for(cast.actor("pia")) for line in part.lines]
    assert [text for text in told if "Microsoft refused the portal" in text]
    everything = {
        part.title: [line[0] for line in part.lines] for part in digests.parts_for(cast.actor("pia"))
    }
    assert everything == {
        "Degraded: work waits": [alder.name],
        "Access failed": ["Cedar", "Contoso", "Fabrikam"],
        "Secrets and certificates that end within 30 days, or have ended": ["Birch"],
    }
    own = [line[0] for part in digests.parts_for(cast.actor("otto")) for line in part.lines]
    assert own == ["Contoso"], "Otto looks after Contoso only"


def test_a_quiet_day_and_early_hours_send_nothing(cast: Cast) -> None:
    wants(cast, "pia")
    with scope.every("a quiet day"):
        Connection.objects.update(verification="successful")
    assert go() == []
    assert Digest.objects.get().done_on == MORNING.date()
    failed(cast.contoso)
    assert go(MORNING + dt.timedelta(hours=21)) == [], "05:00 of the next day"


def test_whoever_left_gets_none(cast: Cast) -> None:
    wants(cast, "olga")
    failed(cast.contoso)
    cast.olga.is_active = False
    cast.olga.save()
    assert go() == []


def commands() -> list[Command]:
    with scope.every("a test looks"):
        return list(Command.objects.filter(kind=digests.SEND).order_by("id"))


def refuses(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def send(*_: object, **__: object) -> int:
        raise error

    monkeypatch.setattr(mail.EmailMessage, "send", send)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (smtplib.SMTPRecipientsRefused({"pia@example.test": (550, b"no such person")}), "mail_address"),
        (smtplib.SMTPAuthenticationError(535, b"wrong"), "mail_sign_in"),
    ],
)
def test_what_a_person_must_mend_is_one_command_that_waits_for_him(
    cast: Cast, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    wants(cast, "pia")
    failed(cast.contoso)
    with monkeypatch.context() as broken:
        refuses(broken, error)
        for hours in (0, 3, 24):
            assert go(MORNING + dt.timedelta(hours=hours)) == []
        (command,) = commands()
    assert (command.state, command.error["code"]) == (State.SUSPENDED, code)
    with scope.every("a person mends it"):
        services.retry(cast.actor("pia"), command)
    assert len(go()) == 1
    assert commands()[0].state == State.SUCCEEDED


def test_a_mail_server_that_is_away_is_asked_again_after_two_hours(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    wants(cast, "pia")
    failed(cast.contoso)
    with monkeypatch.context() as broken:
        refuses(broken, smtplib.SMTPServerDisconnected("away"))
        for _ in range(8):
            assert go() == []
            make_due()
        (command,) = commands()
    assert (command.state, command.attempts) == (State.FAILED, 5)
    with scope.every("two hours later"):
        Command.objects.update(finished_at=Now() - digests.REST)
    assert len(go()) == 1


def test_who_wants_none_any_more_gets_none_that_waited(cast: Cast) -> None:
    wants(cast, "pia")
    failed(cast.contoso)
    with time_machine.travel(MORNING, tick=False):
        assert digests.send_due() == 1
    digests.wish(cast.actor("pia"), cast.pia, wanted=False)
    assert go() == []
    assert commands()[0].state == State.SUCCEEDED


def test_a_customers_own_people_are_told_of_their_customer_only(cast: Cast, client_of: SignIn) -> None:
    failed(cast.contoso)
    failed(cast.fabrikam)
    Breaker.objects.create(name="line", problem={"message": "The line is down."}, probe_at=timezone.now())
    shown = text_of(client_of(cast.adam), "/settings/digest/")
    assert "Contoso: last checked" in shown
    assert "Fabrikam" not in shown
    assert "The line is down." not in shown
    assert "The line is down." in text_of(client_of(cast.pia), "/settings/digest/")
