"""Failed sign-ins are counted by address and by name, and nobody can wash the count away or lie about the address."""

import datetime as dt
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts import limits
from replication import sweeper
from tests.cast import Cast

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _nothing_counted() -> None:
    cache.clear()


def sign_in(email: str, password: str, *, peer: str = "192.0.2.9", forwarded: str = "") -> Any:
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    typed = {"login": email, "password": password}
    return Client(REMOTE_ADDR=peer).post("/accounts/login/", typed, headers=headers)


def counters() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM ump_cache")
        return int(cursor.fetchone()[0])


def test_a_limit_outlives_hundreds_of_other_counters(cast: Cast) -> None:
    for _ in range(5):
        sign_in("adam@example.test", "wrong")
    assert sign_in("adam@example.test", PASSWORD).status_code == 200, "the limit is reached"
    for number in range(400):
        cache.set(f"guess-{number}", 1, 600)
    assert sign_in("adam@example.test", PASSWORD).status_code == 200
    assert sign_in("vera@example.test", PASSWORD).status_code == 302


def test_counters_whose_time_is_over_go_a_bounded_number_a_round(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        cache.set(f"guess-{number}", 1, 600)
    with connection.cursor() as cursor:
        past = timezone.now() - dt.timedelta(seconds=1)
        cursor.execute("UPDATE ump_cache SET expires = %s WHERE cache_key <> ':1:guess-4'", [past])
    monkeypatch.setattr(limits, "FORGOTTEN_AT_ONCE", 3)
    sweeper.forget()
    assert counters() == 2
    sweeper.forget()
    assert counters() == 1
    assert cache.get("guess-4") == 1


def test_an_address_that_anybody_may_write_is_not_counted(cast: Cast, settings: Any) -> None:
    """The peer is no proxy of ours: with another address each time he would try as often as he likes."""
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXY_COUNT = ["10.9.0.1"], 1
    for number in range(10):
        sign_in(f"nobody{number}@example.test", "wrong", forwarded=f"203.0.113.{number}")
    assert sign_in("adam@example.test", PASSWORD, forwarded="203.0.113.99").status_code == 200
    assert sign_in("adam@example.test", PASSWORD, peer="192.0.2.10").status_code == 302


def test_whoever_comes_by_a_proxy_is_counted_by_himself(cast: Cast, settings: Any) -> None:
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXY_COUNT = ["10.9.0.1"], 1
    for number in range(10):
        sign_in(f"nobody{number}@example.test", "wrong", peer="10.9.0.1", forwarded="203.0.113.1")
    refused = sign_in("adam@example.test", PASSWORD, peer="10.9.0.1", forwarded="203.0.113.1")
    assert refused.status_code == 200
    let_in = sign_in("adam@example.test", PASSWORD, peer="10.9.0.1", forwarded="203.0.113.2")
    assert let_in.status_code == 302


@pytest.mark.parametrize("forwarded", ["", "203.0.113.1", "a", ","])
def test_a_header_that_says_too_little_is_no_error(cast: Cast, settings: Any, forwarded: str) -> None:
    settings.TRUSTED_PROXIES, settings.TRUSTED_PROXY_COUNT = ["10.9.0.1", "10.9.0.2"], 2
    for peer in ("10.9.0.1", "192.0.2.9"):
        answer = sign_in("adam@example.test", "wrong", peer=peer, forwarded=forwarded)
        assert answer.status_code == 200
