"""Whoever changes how he signs in leaves a line in the trail, whichever of allauth's pages he takes."""

import re
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.test import Client

from accounts import services
from accounts.adapters import FACTORS
from accounts.models import User
from audit.models import Entry
from simulator.mailbox import MailServer
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast
from tests.invitations.conftest import mailbox

__all__ = ["mailbox"]

pytestmark = pytest.mark.django_db
OLD, NEW = "correct horse battery", "a wholly new battery staple"
SignIn = Callable[[User], Client]


@pytest.fixture
def trail() -> Callable[[], list[tuple[str, str, str, dict[str, Any]]]]:
    """What was recorded since the test began."""
    with scope.every("the test reads the trail"):
        before = Entry.objects.count()

    def read() -> list[tuple[str, str, str, dict[str, Any]]]:
        with scope.every("the test reads the trail"):
            rows = Entry.objects.order_by("id")[before:]
            return [(row.action, row.actor_label, row.object_label, row.changes) for row in rows]

    return read


def test_a_new_password(cast: Cast, client_of: SignIn, trail: Any) -> None:
    adam = client_of(cast.adam)
    typed = {"oldpassword": "wrong", "password1": NEW, "password2": NEW}
    adam.post("/accounts/password/change/", typed)
    assert trail() == []
    adam.post("/accounts/password/change/", typed | {"oldpassword": OLD})
    assert trail() == [("user.password_changed", "Adam", "adam@example.test", {})]
    cast.adam.refresh_from_db()
    assert cast.adam.check_password(NEW)


def test_a_password_by_a_link(cast: Cast, trail: Any) -> None:
    address = services.sign_in_link(SYSTEM, cast.adam).partition("/accounts/")[2]
    browser = Client()
    form = browser.get(f"/accounts/{address}").headers["Location"]
    browser.post(form, {"password1": NEW, "password2": NEW})
    assert trail()[1:] == [("user.password_changed", "Adam", "adam@example.test", {})]


@pytest.mark.django_db(transaction=True)
def test_second_factors_come_and_go(committed_cast: Cast, client_of: SignIn, trail: Any) -> None:
    """allauth tells of some of it only after the commit."""
    adam = client_of(committed_cast.adam)
    adam.get("/accounts/2fa/totp/activate/")
    secret = adam.session["mfa.totp.secret"]
    adam.post("/accounts/2fa/totp/activate/", {"code": code_of(secret)})
    adam.post("/accounts/2fa/recovery-codes/generate/")
    adam.post("/accounts/2fa/totp/deactivate/")
    assert not Authenticator.objects.exists()
    found = [(action, changes["factor"]) for action, _, _, changes in trail()]
    assert found == [
        ("factor.added", [None, "authenticator app"]),
        ("factor.added", [None, "recovery codes"]),
        ("factor.removed", ["authenticator app", None]),
    ]
    assert secret not in str(trail())


def code_of(secret: str) -> str:
    counter = next(iter(auth.yield_hotp_counters_from_time()))
    return str(auth.format_hotp_value(auth.hotp_value(secret, counter)))


def test_everything_of_which_allauth_would_tell_the_person_is_known() -> None:
    mails = files("allauth") / "templates" / "mfa" / "email"
    names = {mail.name.removesuffix("_subject.txt") for mail in mails.iterdir() if "_subject" in mail.name}
    assert {f"mfa/email/{name}" for name in names} == set(FACTORS)


# --- E-mail addresses ---------------------------------------------------------------------------------------
ADDRESSES, OTHER = "/accounts/email/", "adam@home.test"


def follow_the_mail(mailbox: MailServer, address: str) -> None:
    """In a browser that nobody has signed in to."""
    (mail,) = mailbox.mails(address)
    found = re.search(r"/accounts/confirm-email/\S+", mail.message.get_content())
    assert found is not None
    Client().post(found[0])


def test_an_address_that_comes_becomes_the_first_and_goes(
    cast: Cast, client_of: SignIn, mailbox: MailServer, trail: Any
) -> None:
    EmailAddress.objects.create(user=cast.adam, email=cast.adam.email, verified=True, primary=True)
    adam = client_of(cast.adam)
    adam.post(ADDRESSES, {"action_add": "", "email": OTHER})
    adam.post(ADDRESSES, {"action_primary": "", "email": OTHER})
    assert trail() == [], "it counts for nothing before it is proven"
    follow_the_mail(mailbox, OTHER)
    adam.post(ADDRESSES, {"action_primary": "", "email": OTHER})
    adam.post(ADDRESSES, {"action_remove": "", "email": OTHER})
    adam.post(ADDRESSES, {"action_remove": "", "email": "adam@example.test"})
    assert trail() == [
        ("address.added", "Adam", "adam@example.test", {"address": [None, OTHER]}),
        ("user.edited", "Adam", OTHER, {"email": ["adam@example.test", OTHER]}),
        ("address.removed", "Adam", OTHER, {"address": ["adam@example.test", None]}),
    ]
    assert adam.get(ADDRESSES).status_code == 200, "his session goes on"


def test_an_address_that_cannot_go_leaves_no_line(cast: Cast, client_of: SignIn, trail: Any) -> None:
    EmailAddress.objects.create(user=cast.adam, email=cast.adam.email, verified=True, primary=True)
    adam = client_of(cast.adam)
    adam.post(ADDRESSES, {"action_remove": "", "email": "adam@example.test"})
    adam.post(ADDRESSES, {"action_remove": "", "email": "vera@example.test"})
    assert trail() == []
