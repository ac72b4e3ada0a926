"""Times that Python reads and PostgreSQL does not: the database must never be the first to refuse one."""

from collections.abc import Callable

import pytest
from django.db import connection

from core.errors import UmpError
from directory.sync import reading
from m365 import teams

READERS = {
    "Teams": lambda text: teams._moment({"at": text}, "at"),
    "directory": lambda text: reading.moment("at", text),
}


@pytest.mark.django_db
@pytest.mark.parametrize("read", READERS.values(), ids=list(READERS))
@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-W01-1", "2025-12-29 00:00:00+00"),
        ("20260101T000000", "2026-01-01 00:00:00+00"),
        ("2026-01-01T00:00:00.1234567Z", "2026-01-01 00:00:00.123456+00"),
        ("2026-01-02T00:00:00+23:59", "2026-01-01 00:01:00+00"),
        ("2026-01-01T00:00:00+01:00:30", "2025-12-31 22:59:30+00"),
        ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00+00"),
        ("0001-01-01T00:00:00+01:00", None),
        ("9999-12-31T23:59:59-01:00", None),
        ("2026-02-30T00:00:00Z", None),
    ],
)
def test_the_database_takes_each_time_that_we_take(
    read: Callable[[str], str], text: str, utc: str | None
) -> None:
    if utc is None:
        with pytest.raises(UmpError):
            read(text)
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT (%s::timestamptz AT TIME ZONE 'UTC')::text || '+00'", [read(text)])
        assert cursor.fetchone()[0] == utc
