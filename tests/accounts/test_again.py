"""A fresh sign-in before acts that could hand the house over: who is asked, and what becomes of what was typed."""

import json
import re
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django import forms
from django.test import Client
from django.urls import get_resolver

from accounts import again
from accounts.models import User
from core.redaction import is_secret_key
from tenants import scope
from tenants.models import Connection, Membership, Tenant
from tests.cast import Cast, sign_in, signed_in_at
from tests.walls.routes import Route, routes

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"
SECRET = "Tz~8Q~a-very-long-client-secret-of-microsoft"
CONFIRM = "/accounts/reauthenticate/"
FRESH = [route for route in routes() if any(door.fresh for door in route.doors.values())]
Late = Callable[..., Client]


@pytest.fixture
def late() -> Late:
    """A browser in which this person signed in eleven minutes ago, or so long ago as is said."""

    def open_browser(person: User, seconds: int = 660) -> Client:
        client = Client()
        sign_in(client, person)
        signed_in_at(client, person, time.time() - seconds)
        return client

    return open_browser


def address(route: Route, cast: Cast) -> str:
    """Of something that is there or, for what this file knows nothing of, that could be."""
    person = cast.vera if "uid" in route.takes else cast.olga
    could_be = {name: 1 if f"<int:{name}>" in route.pattern else uuid.uuid4() for name in route.takes}
    return route.address(**could_be | {"uid": cast.contoso.id, "user_id": person.id})


def confirm(client: Client, answer: Any) -> Any:
    """Give the password where the answer leads; the answer after that."""
    assert answer.headers["Location"].startswith(CONFIRM)
    page = client.get(answer.headers["Location"])
    assert page.status_code == 200
    back = re.findall(r'name="next" value="([^"]+)"', page.content.decode())
    return client.post(CONFIRM, {"password": PASSWORD, "next": back[0]}, follow=True)


def test_these_acts_need_a_fresh_sign_in() -> None:
    assert {route.name for route in FRESH} >= {
        *("tenant-add", "tenant-connection-set", "tenant-delete", "client-add", "settings-change"),
        *("person-add", "person-edit", "person-role", "person-take", "person-link", "person-factor"),
        *("person-deactivate", "person-reactivate", "tenant-person-add", "tenant-person-role", "tenant-person-take"),
    }  # fmt: skip


@pytest.mark.parametrize("route", FRESH, ids=lambda route: route.name)
def test_each_asks_again_before_anything_is_typed_or_done(route: Route, cast: Cast, late: Late) -> None:
    assert {"GET", "POST"} <= route.doors.keys(), "the form itself must ask"
    path = address(route, cast)
    client = late(cast.pia)
    for method in (client.get, client.post):
        answer = method(path)
        assert answer.status_code == 303
        assert answer.headers["Location"] == f"{CONFIRM}?next={path.replace('/', '%2F')}"
        answer = method(path, headers={"HX-Request": "true"})
        assert answer.headers["HX-Redirect"].startswith(CONFIRM)
        assert answer.content == b""
    assert CONFIRM not in late(cast.pia, 540).get(path).headers.get("Location", "")


@pytest.mark.parametrize("route", FRESH, ids=lambda route: route.name)
def test_nobody_is_asked_at_a_door_that_stays_shut(route: Route, cast: Cast, late: Late) -> None:
    answer = late(cast.nora).get(address(route, cast))
    assert answer.status_code == 404


def test_what_was_typed_is_there_again_but_for_secrets(cast: Cast, late: Late) -> None:
    client = late(cast.pia)
    form = {"name": "Northwind", "client_id": "5" * 36, "client_secret": SECRET, "domain": "northwind.example",
            "private_key": "-----BEGIN PRIVATE KEY-----\nMII",
            "certificate": "-----BEGIN CERTIFICATE-----\nMII"}  # fmt: skip
    answer = client.post("/tenants/add/", form)
    kept = json.dumps(dict(client.session.items()))
    assert "northwind.example" in kept
    assert SECRET not in kept
    assert "BEGIN" not in kept
    page = confirm(client, answer)
    text = page.content.decode()
    assert page.redirect_chain == [("/tenants/add/", 302)]
    assert 'value="Northwind"' in text
    assert "Nothing was done yet" in text
    assert SECRET not in text
    with scope.every("the test counts"):
        assert not Tenant.objects.filter(name="Northwind").exists()
    assert "Northwind" not in client.get("/tenants/add/").content.decode(), "once is enough"


def _forms(of: type[forms.BaseForm]) -> Iterator[type[forms.BaseForm]]:
    yield of
    for each in of.__subclasses__():
        yield from _forms(each)


def test_whatever_is_typed_unseen_is_sent_under_a_name_that_is_never_kept() -> None:
    get_resolver().url_patterns  # noqa: B018  every page's forms are there once its room is
    hidden = {
        (each.__name__, name)
        for each in _forms(forms.BaseForm)
        for name, field in getattr(each, "base_fields", {}).items()
        if isinstance(field.widget, forms.PasswordInput)
    }
    assert len(hidden) > 8
    assert {(form, name) for form, name in hidden if not is_secret_key(name)} == set()


def test_what_was_typed_long_ago_is_not_brought_up_again(cast: Cast, late: Late) -> None:
    client = late(cast.pia)
    client.post("/tenants/add/", {"name": "Northwind"})
    session = client.session
    session[again.KEPT] = {**session[again.KEPT], "at": time.time() - 3600}
    session.save()
    signed_in_at(client, cast.pia, time.time())
    text = client.get("/tenants/add/").content.decode()
    assert "Northwind" not in text
    assert "Nothing was saved" not in text


def test_a_connection_is_replaced_after_it_was_confirmed(cast: Cast, late: Late) -> None:
    client, base = late(cast.adam), f"/tenants/{cast.contoso.id}/connection/"
    assert 'name="client_secret"' not in client.get(base).content.decode()
    form = {"cloud": "global", "client_id": "7f4a0b5e-0b0e-4c1b-9a43-2d3c6a1d7e10", "client_secret": SECRET}
    page = confirm(client, client.post(f"{base}set/", form))
    assert form["client_id"] in page.content.decode()
    assert 'name="client_secret"' in page.content.decode()
    with scope.one(cast.contoso.id):
        assert str(Connection.objects.get().client_id) != form["client_id"]
    assert client.post(f"{base}set/", form).status_code == 303
    with scope.one(cast.contoso.id):
        assert str(Connection.objects.get().client_id) == form["client_id"]


def test_a_role_is_not_given_by_a_session_that_was_left_open(cast: Cast, late: Late) -> None:
    client = late(cast.pia)
    path = f"/settings/people/{cast.nora.id}/role/"
    answer = client.post(path, {"role": "provider_admin", "tenant": ""})
    with scope.every("the test looks"):
        assert not Membership.objects.filter(user=cast.nora).exists()
    assert (
        'value="provider_admin" required id="id_role_0" checked' in confirm(client, answer).content.decode()
    )


def test_a_wrong_password_confirms_nothing(cast: Cast, late: Late) -> None:
    client = late(cast.pia)
    answer = client.post(CONFIRM, {"password": "guess", "next": "/settings/people/add/"})
    assert answer.status_code == 200
    assert "Incorrect password" in answer.content.decode()
    assert client.get("/settings/people/add/").status_code == 303


def test_the_app_confirms_it_too(cast: Cast, late: Late) -> None:
    secret = totp.generate_totp_secret()
    totp.TOTP.activate(cast.pia, secret)
    client = late(cast.pia)
    there = client.get(client.get("/settings/people/add/").headers["Location"])
    other = re.findall(r'href="(/accounts/2fa/reauthenticate/[^"]+)"', there.content.decode())
    assert client.get(other[0]).status_code == 200
    counter = next(iter(totp.yield_hotp_counters_from_time()))
    code = totp.format_hotp_value(totp.hotp_value(secret, counter))
    done = client.post(other[0], {"code": code, "next": "/settings/people/add/"})
    assert done.headers["Location"] == "/settings/people/add/"
    assert client.get("/settings/people/add/").status_code == 200


def test_recovery_codes_are_shown_and_made_after_a_fresh_sign_in_only(cast: Cast, late: Late) -> None:
    totp.TOTP.activate(cast.pia, totp.generate_totp_secret())
    code = RecoveryCodes.activate(cast.pia).get_unused_codes()[0]
    for path in ("", "download/", "generate/"):
        assert late(cast.pia).get(f"/accounts/2fa/recovery-codes/{path}").status_code == 303
    client = late(cast.pia)
    assert client.post("/accounts/2fa/recovery-codes/generate/").status_code == 303
    assert "request" not in client.session.get("account_reauthentication_state", {})
    own = Authenticator.objects.get(user=cast.pia, type="recovery_codes")
    assert own.wrap().get_unused_codes()[0] == code
    assert code in late(cast.pia, 60).get("/accounts/2fa/recovery-codes/").content.decode()


def test_somebody_without_any_way_to_confirm_is_told_so(cast: Cast, late: Late) -> None:
    cast.pia.set_unusable_password()
    cast.pia.save()
    answer = late(cast.pia).get("/settings/people/add/")
    assert answer.status_code == 403
    assert "sign out, and in again" in answer.content.decode()
