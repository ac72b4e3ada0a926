"""What billing is told: counted once a day, the most of a month, of everybody who was there."""

import csv
import datetime as dt
import io
from collections.abc import Callable

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from replication.registry import chores
from telephony import usage
from telephony.models import Stream, Usage
from tenants import scope
from tenants.abilities import Role
from tenants.models import Service, Tenant
from tests.api.conftest import Api, make_token
from tests.cast import Cast
from tests.pages.helpers import change, text_of
from tests.telephony.making import add_person, keep_stream

SignIn = Callable[[User], Client]
PAGE = "/settings/license/usage/"
pytestmark = pytest.mark.django_db


@pytest.fixture
def counted(cast: Cast) -> Cast:
    """Contoso with two active users and a resource account; Fabrikam was never read."""
    add_person(cast.contoso, "Ann", "+41589061000")
    add_person(cast.contoso, "Bea", "+41589061001")
    add_person(cast.contoso, "Without a number", voice=True)
    add_person(cast.contoso, "Without voice", "+41589061002", voice=False)
    add_person(cast.contoso, "Reception", "+41589061003", account_type="resourceAccount")
    keep_stream(cast.contoso, Stream.USERS, synced_at=timezone.now())
    keep_stream(cast.fabrikam, Stream.USERS)
    assert usage.count_today() == 1
    return cast


def days(tenant: Tenant) -> list[tuple[int, int]]:
    with scope.one(tenant.id):
        return list(Usage.objects.order_by("day").values_list("active_users", "resource_accounts"))


def remember(tenant: Tenant, day: dt.date, users: int, accounts: int = 0) -> None:
    with scope.one(tenant.id):
        Usage.objects.create(tenant=tenant, day=day, active_users=users, resource_accounts=accounts)


def test_each_customer_is_counted_once_a_day(counted: Cast) -> None:
    assert days(counted.contoso) == [(2, 1)]
    add_person(counted.contoso, "Cem", "+41589061004")
    assert usage.count_today() == 0, "today is counted"
    with scope.one(counted.contoso.id):
        Usage.objects.update(day=timezone.now().date() - dt.timedelta(days=1))
    assert usage.count_today() == 1
    assert days(counted.contoso) == [(2, 1), (3, 1)]
    assert days(counted.fabrikam) == []


def test_who_has_counted_everybody_rests(counted: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage._Clock, "again", float("-inf"))
    asked: list[int] = []
    monkeypatch.setattr(usage, "count_today", lambda: asked.append(1) or (1 if len(asked) == 1 else 0))
    for _ in range(4):
        usage.count_after_a_rest()
    assert len(asked) == 2, "again while somebody was due, and then not for a while"
    assert usage.count_after_a_rest in chores()


def test_a_month_is_told_by_its_highest_day(counted: Cast) -> None:
    month = dt.date(2026, 2, 1)
    change(counted.contoso, created_at=dt.datetime(2026, 1, 5, tzinfo=dt.UTC))
    for day, users in (
        (dt.date(2026, 1, 31), 99),
        (month, 4),
        (dt.date(2026, 2, 28), 7),
        (dt.date(2026, 3, 1), 98),
    ):
        remember(counted.contoso, day, users)
    with scope.every("a test"):
        row = usage.of_month(month).get()
        assert (row.name, row.active_users, row.days, row.last_day) == ("Contoso", 7, 2, dt.date(2026, 2, 28))
        change(counted.contoso, deleted_at=dt.datetime(2026, 2, 10, tzinfo=dt.UTC))
        assert usage.of_month(month).count() == 1, "it was there, and is billed"
        assert usage.of_month(dt.date(2026, 3, 1)).count() == 0
        assert usage.of_month(dt.date(2025, 12, 1)).count() == 0


def test_the_page_and_its_file_say_who_was_not_counted_and_why(counted: Cast, client_of: SignIn) -> None:
    change(counted.contoso, licensed_users=1)
    client = client_of(counted.mona)
    page = text_of(client, PAGE)
    assert "More than licensed" in page
    assert "Teams users were not read" in page
    change(counted.fabrikam, service=Service.OPERATOR_CONNECT, with_sync=False)
    assert "Without sync nothing is read" in text_of(client, f"{PAGE}?sort=-users")
    assert f'href="{PAGE}"' in text_of(client, "/settings/license/")
    assert "No customer matches" in text_of(client, f"{PAGE}?q=nobody&month=nonsense")
    raw = b"".join(client.get(f"{PAGE}export.csv").streaming_content)  # type: ignore[attr-defined]  # streamed
    lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
    assert [line[1] for line in lines[1:]] == ["Contoso", "Fabrikam"]
    assert lines[1][5:9] == ["1", "2", "1", "1"]
    assert lines[2][-1] == "Without sync nothing is read"
    assert "+41589061000" not in raw.decode()
    text_of(client_of(counted.otto), PAGE, 403)
    text_of(client_of(counted.adam), PAGE, 404)


def test_as_many_queries_with_one_row_as_with_three(counted: Cast, client_of: SignIn) -> None:
    client = client_of(counted.olga)

    def queries(search: str) -> int:
        with CaptureQueriesContext(connection) as asked:
            text_of(client, f"{PAGE}?q={search}")
        return len(asked)

    queries("")
    assert queries("Contoso") == queries("o")


def test_the_api_tells_of_those_who_may_be_seen(counted: Cast) -> None:
    rows = Api(make_token()).get("usage").json["results"]
    assert [(row["customer"], row["active_users"], row["resource_accounts"]) for row in rows] == [
        ("Contoso", 2, 1), ("Fabrikam", None, None),
    ]  # fmt: skip
    own = Api(make_token(Role.CUSTOMER_ADMIN, counted.contoso)).get("usage").json["results"]
    assert [row["customer"] for row in own] == ["Contoso"]
    wrong = Api(make_token()).get("usage?month=2026-13")
    assert (wrong.status, wrong.fields) == (422, {"month"})
