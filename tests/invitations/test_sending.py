"""Send invitation: one mail, one link, counted once the mail server took it."""

from typing import Any

import pytest
from django.core import mail

from audit.models import Entry
from events.models import Event
from invitations import services
from invitations.models import Invitation, Link, Stage
from replication.models import Command
from tenants import scope
from tests.breakers.hands import run_due
from tests.cast import Cast

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.EMAIL_URL = "smtp://localhost"


def invited(cast: Cast, **more: str) -> Invitation:
    with scope.one(cast.contoso.id):
        return services.invite(cast.actor("olga"), cast.contoso, email="admin@contoso.example", **more)


def again(invitation: Invitation) -> Invitation:
    with scope.every("a test looks"):
        return Invitation.objects.get(id=invitation.pk)


def test_an_invitation_goes_out_with_a_link_that_only_the_mail_knows(cast: Cast) -> None:
    invitation = invited(cast)
    assert invitation.stage == Stage.UNSENT
    run_due()
    [sent] = mail.outbox
    assert sent.to == ["admin@contoso.example"]
    assert sent.extra_headers["Message-ID"] == f"<invitation-{invitation.pk}-1@localhost>"
    token = str(sent.body).split("/authenticate/")[1].split()[0]
    assert again(invitation).sent_count == 1
    assert again(invitation).stage == Stage.OPEN
    with scope.every("a test looks for the secret"):
        assert Link.objects.get().token_hash == services.hash_of(token)
        kept = [*Command.objects.values(), *Event.objects.values(), *Entry.objects.values()]
        kept += [*Invitation.objects.values(), *Link.objects.values()]
        assert token not in repr(kept)
        assert [event.type for event in Event.objects.all()] == ["invitation.sent"]
