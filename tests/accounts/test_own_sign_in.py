"""Whoever changes how he signs in leaves a line in the trail, whichever of allauth's pages he takes."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.test import Client

from accounts import services
from accounts.adapters import FACTORS
from accounts.models import User
from audit.models import Entry
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast

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
