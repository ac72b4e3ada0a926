"""Pages of lists: the rows and how many there are, by one query where that can be."""

import pytest
from django.db import connection
from django.http import QueryDict
from django.test.utils import CaptureQueriesContext

from accounts.models import User
from tenants import tables
from tenants.tables import Chain

pytestmark = pytest.mark.django_db


@pytest.fixture
def people() -> None:
    User.objects.bulk_create(User(email=f"{number:02}@example.test", name="x") for number in range(25))


@pytest.mark.parametrize(
    ("asked", "number", "first", "shown", "queries"),
    [
        ("", 1, "00", 10, 1),
        ("page=3", 3, "20", 5, 1),
        ("page=nonsense", 1, "00", 10, 1),
        ("page=4", 3, "20", 5, 3),  # none there: then the last one, which takes a count first
        ("page=0", 3, "20", 5, 2),
        ("page=99999999999", 1, "00", 10, 1),
    ],
)
def test_a_page_brings_its_count(
    people: None, asked: str, number: int, first: str, shown: int, queries: int
) -> None:
    kept = tables.Kept(lambda name, *, order: User.objects.filter(name=name).order_by(order))
    for rows in (User.objects.order_by("email"), kept("x", order="email")):
        with CaptureQueriesContext(connection) as seen:
            page = tables.page_of(QueryDict(asked), rows)
            found = [one.email[:2] for one in page]
        assert (page.number, found[0], len(found), page.paginator.count) == (number, first, shown, 25)
        assert len(seen) == queries


def test_the_query_of_a_kept_list_is_written_once(people: None) -> None:
    made: list[str] = []
    kept = tables.Kept(lambda name: made.append(name) or User.objects.filter(name=name).order_by("email"))
    pages = [
        [one.email[:2] for one in tables.page_of(QueryDict(f"page={at}"), kept(name))]
        for at, name in ((1, "x"), (3, "x"), (2, "nobody"), (2, "x"))
    ]
    assert [len(page) for page in pages] == [10, 5, 0, 10]
    assert (pages[1][0], pages[3][0]) == ("20", "10")
    assert len(made) == 2, (
        "one for pages, and one where a page has no rows: these are counted in the ordinary way"
    )


def test_nothing_is_one_empty_page(people: None) -> None:
    with CaptureQueriesContext(connection) as seen:
        page = tables.page_of(QueryDict(), User.objects.filter(name="nobody").order_by("email"))
    assert (list(page), page.paginator.count, len(seen)) == ([], 0, 1)


def test_counting_stops_at_its_bound(people: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables.Bounded, "most", 20)
    rows = User.objects.order_by("email")
    assert tables.page_of(QueryDict(), rows).paginator.count == 20
    assert next(one.email[:2] for one in tables.page_of(QueryDict("page=3"), rows)) == "10", (
        "no page behind it"
    )


@pytest.mark.parametrize("at", [1, 2, 3])
def test_two_lists_are_one(people: None, at: int) -> None:
    """Page by page the rows of both, and the count of both."""
    first, last = User.objects.filter(email__lt="03"), User.objects.filter(email__gte="03")
    page = tables.page_of(QueryDict(f"page={at}"), Chain(first.order_by("email"), last.order_by("email")))
    assert page.paginator.count == 25
    assert [one.email[:2] for one in page] == [f"{one:02}" for one in range((at - 1) * 10, min(at * 10, 25))]
