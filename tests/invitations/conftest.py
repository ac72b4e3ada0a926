"""A mail server that takes everything and delivers nothing, and an invitation to be mailed."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from invitations import services
from invitations.models import Invitation
from simulator.mailbox import MailServer
from tenants import scope
from tests.cast import Cast
from tests.directory.conftest import dies, microsoft, microsoft_server
from tests.fences import fenced

__all__ = ["dies", "fenced", "microsoft", "microsoft_server"]


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    """The product sends there, over real SMTP."""
    server = MailServer("127.0.0.1", 0, clock=time.time, pause=time.sleep)
    settings.EMAIL_URL = f"smtp://127.0.0.1:{server.port}"
    settings.EMAIL_BACKEND = "accounts.delivery.Smtp"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", server.port
    settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    yield server
    server.close()


@pytest.fixture
def invitation(cast: Cast) -> Invitation:
    with scope.one(cast.contoso.id):
        return services.invite(
            cast.actor("olga"), cast.contoso, email="admin@contoso.example", full_name="Adele Vance"
        )


def again(invitation: Invitation) -> Invitation:
    with scope.every("a test looks"):
        found: Invitation = Invitation.objects.get(id=invitation.pk)
        return found


def token_in(text: str) -> str:
    """The secret of the link in a mail."""
    return text.split("/authenticate/")[1].split(maxsplit=1)[0]
