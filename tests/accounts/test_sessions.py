"""One's own sessions: listed with where they come from, ended at once, and never anybody else's."""

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import installation
from accounts.models import Session, User
from accounts.services import end_sessions
from accounts.sessions import hashed, words_of
from audit.models import Entry
from tenants import scope
from tenants.access import SYSTEM
from tests.cast import Cast

pytestmark = pytest.mark.django_db
PAGE = "/accounts/sessions/"
PASSWORD = "correct horse battery"
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
    " Version/19.0 Mobile/15E148 Safari/604.1"
)
Opener = Callable[..., Client]


@pytest.fixture
def opened() -> Opener:
    """A browser that signed in through the form, and went on to the first page."""

    def open_browser(person: User, agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
        client = Client(REMOTE_ADDR=address, headers={"user-agent": agent})
        client.post("/accounts/login/", {"login": person.email, "password": PASSWORD}, follow=True)
        assert signed_in(client)
        return client

    return open_browser


def signed_in(client: Client) -> bool:
    return client.get(PAGE).status_code == 200


def rows(client: Client) -> list[str]:
    text = client.get(PAGE).content.decode()
    return [
        re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row))
        for row in re.findall(r"<tr>.*?</tr>", text, re.S)[1:]
    ]


def key_of(client: Client) -> str:
    return hashed(client.cookies["ump"].value)


def trail() -> list[dict[str, Any]]:
    with scope.every("the test reads the trail"):
        return list(Entry.objects.filter(action="session.ended").values_list("changes", flat=True))


def test_each_is_listed_with_where_it_is_and_this_one_says_so(cast: Cast, opened: Opener) -> None:
    here = opened(cast.adam)
    opened(cast.adam, IPHONE, "198.51.100.9")
    opened(cast.vera, "curl/8.1", "203.0.113.1")
    shown = rows(here)
    assert len(shown) == 2
    own, other = sorted(shown, key=lambda row: "This browser, now" not in row)
    assert "Firefox on Windows" in own
    assert "192.0.2.7" in own
    assert "Sign out" not in own
    assert "Safari on an iPhone" in other
    assert "198.51.100.9" in other
    assert "Sign out" in other


def test_ending_one_ends_it_at_once_and_leaves_the_rest(cast: Cast, opened: Opener) -> None:
    here, lost, third = opened(cast.adam), opened(cast.adam, IPHONE, "198.51.100.9"), opened(cast.adam)
    answer = here.post(f"{PAGE}end/", {"session": key_of(lost)}, follow=True)
    assert "Signed out: Safari on an iPhone, 198.51.100.9." in answer.content.decode()
    assert not signed_in(lost)
    assert signed_in(here)
    assert signed_in(third)
    assert trail() == [{"session": ["Safari on an iPhone, 198.51.100.9", None]}]
    again = here.post(f"{PAGE}end/", {"session": key_of(lost)}, follow=True)
    assert "had ended already" in again.content.decode()
    assert len(trail()) == 1


def test_ending_all_others(cast: Cast, opened: Opener) -> None:
    here, others = opened(cast.adam), [opened(cast.adam, IPHONE) for _ in range(2)]
    vera = opened(cast.vera)
    assert "2 other sessions of yours end at once" in here.get(f"{PAGE}end-others/").content.decode()
    here.post(f"{PAGE}end-others/")
    assert [signed_in(other) for other in others] == [False, False]
    assert signed_in(here)
    assert signed_in(vera)
    assert trail() == [{"sessions": [3, 1]}]


def test_nobody_ends_anothers(cast: Cast, opened: Opener) -> None:
    pia, vera = opened(cast.pia), opened(cast.vera)
    for key in (key_of(vera), key_of(pia), "", "x", "0" * 64):
        answer = pia.post(f"{PAGE}end/", {"session": key}, follow=True)
        assert "had ended already" in answer.content.decode()
    assert signed_in(vera)
    assert signed_in(pia)
    assert trail() == []


def test_a_session_that_a_new_role_or_password_has_ended_is_not_listed(cast: Cast, opened: Opener) -> None:
    old = opened(cast.adam)
    end_sessions(cast.adam.id)
    assert not signed_in(old)
    here = opened(cast.adam)
    assert len(rows(here)) == 1
    opened(cast.adam, IPHONE)
    new = "a wholly new battery staple"
    here.post("/accounts/password/change/", {"oldpassword": PASSWORD, "password1": new, "password2": new})
    assert len(rows(here)) == 1


def test_the_use_is_noted_once_a_minute(cast: Cast, opened: Opener, django_assert_num_queries: Any) -> None:
    client = opened(cast.adam)
    session = Session.objects.filter(session_key=key_of(client))
    before = session.get().last_used_at
    client.get(PAGE)
    assert session.get().last_used_at == before
    earlier = timezone.now() - dt.timedelta(minutes=2)
    session.update(last_used_at=earlier, started_at=earlier)
    client.get(PAGE)
    found = session.get()
    assert found.last_used_at > earlier
    assert found.started_at == earlier
    client.get(PAGE, REMOTE_ADDR="198.51.100.30")
    assert session.get().address == "198.51.100.30"


def test_a_session_ends_twelve_hours_after_the_sign_in_however_busy(cast: Cast, opened: Opener) -> None:
    client = opened(cast.adam)
    session = Session.objects.filter(session_key=key_of(client))
    end = timezone.now() + dt.timedelta(minutes=5)
    session.update(expire_date=end)
    busy = client.session
    busy["something"] = "new"
    busy.save()
    assert session.get().expire_date == end
    session.update(expire_date=timezone.now())
    assert not signed_in(client)


def test_the_table_opens_no_session(cast: Cast, opened: Opener) -> None:
    """The cookie's value is nowhere in it, and what is in it is no cookie."""
    client = opened(cast.adam)
    stored = Session.objects.get(user=cast.adam)
    value = client.cookies["ump"].value
    assert value not in str(vars(stored)) + str(stored.get_decoded())
    client.cookies["ump"] = stored.session_key
    assert not signed_in(client)


def test_sessions_that_ran_out_are_forgotten(cast: Cast, opened: Opener) -> None:
    opened(cast.adam)
    Session.objects.update(expire_date=timezone.now() - dt.timedelta(days=1))
    opened(cast.vera)
    assert set(Session.objects.values_list("user_id", flat=True)) == {cast.vera.id}


@pytest.mark.parametrize(
    ("agent", "words"),
    [
        (FIREFOX, "Firefox on Windows"),
        (IPHONE, "Safari on an iPhone"),
        (
            "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/141.0 Mobile Safari/537.36",
            "Chrome on Android",
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141 Safari/537.36 Edg/141.0",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 15_0) Version/19 Safari/605.1.15", "Safari on a Mac"),
        ("python-requests/2.32", "A Python program"),
        ("", "An unknown browser"),
        ("<script>alert(1)</script>", "An unknown browser"),
    ],
)
def test_browsers_in_words(agent: str, words: str) -> None:
    assert words_of(agent) == words


def left_alone(client: Client, minutes: int) -> None:
    """Nobody has used this browser for so long."""
    Session.objects.filter(session_key=key_of(client)).update(
        last_used_at=timezone.now() - dt.timedelta(minutes=minutes)
    )


def test_a_provider_person_who_was_away_is_signed_out_and_told(cast: Cast, opened: Opener) -> None:
    olga, adam = opened(cast.olga), opened(cast.adam)
    left_alone(olga, 29)
    assert signed_in(olga)
    for client in (olga, adam):
        left_alone(client, 31)
    answer = olga.get("/queue/", follow=True)
    assert answer.redirect_chain[-1][0] == "/accounts/login/?next=/queue/"
    assert "nothing was done for a while" in answer.content.decode()
    assert signed_in(adam), "a customer's own people are not concerned"
    with scope.every("the test reads the trail"):
        assert Entry.objects.filter(action="session.timed_out", actor_id=str(cast.olga.id)).count() == 1


def test_a_page_that_renews_itself_is_no_use_and_leads_to_the_sign_in(cast: Cast, opened: Opener) -> None:
    olga = opened(cast.olga)
    left_alone(olga, 20)
    polls = {"HX-Request": "true", "HX-Current-URL": "http://testserver/tenants/?q=x"}
    assert olga.get("/tenants/live/", headers=polls).status_code == 200
    (last,) = Session.objects.filter(user=cast.olga).values_list("last_used_at", flat=True)
    assert last < timezone.now() - dt.timedelta(minutes=19)
    left_alone(olga, 31)
    answer = olga.get("/tenants/live/", headers=polls)
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2Ftenants%2F%3Fq%3Dx"


@pytest.mark.parametrize(("minutes", "stays"), [(0, True), (5, False)])
def test_the_time_is_a_setting(cast: Cast, opened: Opener, minutes: int, stays: bool) -> None:
    installation.change(SYSTEM, "idle_minutes", minutes)
    olga = opened(cast.olga)
    left_alone(olga, 600 if stays else 6)
    assert signed_in(olga) is stays
    installation.forget()
