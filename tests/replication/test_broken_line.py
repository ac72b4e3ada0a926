"""The line to PostgreSQL breaks in the midst of what Django does not wrap: that is no fault of ours."""

import contextlib
from collections.abc import Callable, Iterator

import pytest
from django.db import connection, transaction

from directory.sync import staging
from sbc import prefixes
from tenants import scope
from tenants.outage import is_away
from tests.overlap import another_session

pytestmark = pytest.mark.django_db(transaction=True)


def copied_into_the_mirror() -> Iterator[None]:
    yield
    staging._copy("directory_user", ["object_id"], b"aaaaaaaa-0000-4000-8000-000000000001\n")


def copied_rules() -> Iterator[None]:
    yield
    prefixes._copy([["x"] * 3])


def closed_a_cursor_on_the_server() -> Iterator[None]:
    """As `QuerySet.iterator` does when a page of rows did not come."""
    cursor = connection.chunked_cursor()
    cursor.execute("SELECT id FROM tenants_tenant")
    yield
    cursor.close()


@pytest.mark.usefixtures("committed_cast")
@pytest.mark.parametrize("act", [copied_into_the_mirror, copied_rules, closed_a_cursor_on_the_server])
def test_it_breaks(act: Callable[[], Iterator[None]]) -> None:
    with pytest.raises(Exception) as raised, scope.every("a test writes"), transaction.atomic():
        going_on = act()
        next(going_on)
        end_own_session()
        next(going_on)
    assert is_away(raised.value), repr(raised.value)


def end_own_session() -> None:
    """As a restart of PostgreSQL does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()[0]
    with contextlib.closing(another_session()) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
