"""What many tests begin with is made once, and put back as it was for each of them.

The cast takes 180 statements to assemble; put back it is one. Every moment in it is moved by what has passed
since, so that it is as fresh as if it had just been made.
"""

import datetime as dt
import pickle
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone

from tests.cast import Cast

T = TypeVar("T")
PASSED = b"'@passed@'"
COLUMNS = """
    SELECT format('%I', relname), array_agg(format('%I', attname) ORDER BY attnum),
        array_agg(atttypid = 'timestamptz'::regtype ORDER BY attnum)
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND has_table_privilege(pg_class.oid, 'SELECT')
        AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
    GROUP BY relname
"""


class Photograph(Generic[T]):
    """Of what `make` makes of an empty database: a cast, and whatever else pickle takes, without moments.

    Keys are those of the first time; a sequence never gives them again, because it is not rolled back.
    """

    def __init__(self, make: Callable[[], tuple[Cast, T]]) -> None:
        with transaction.atomic():
            before = _rows()
            self._made = pickle.dumps(make())
            after = _rows()
            self._taken = timezone.now()
            transaction.set_rollback(True)
        assert all(after.get(table) == rows for table, rows in before.items()), "it changed what was there"
        new = b"".join(statement for table, statement in after.items() if table not in before)
        self._statement = b"SET LOCAL ROLE ump_every;" + new + b"SET LOCAL ROLE NONE"

    def restore(self) -> tuple[Cast, T]:
        """Put it back into the transaction that is open."""
        passed = timezone.now() - self._taken
        with connection.connection.cursor() as cursor:  # not Django's: a test counts its own queries
            cursor.execute(self._statement.replace(PASSED, cursor.mogrify("%s", [passed])))
        cast, rest = pickle.loads(self._made)
        for row in vars(cast).values():
            _move(row, passed)
        return cast, rest


def _move(row: Model, passed: dt.timedelta) -> None:
    for field in row._meta.concrete_fields:
        moment = getattr(row, field.attname)
        if isinstance(moment, dt.datetime):
            setattr(row, field.attname, moment + passed)


def _rows() -> dict[str, Any]:
    """Each table that has rows, with the statement that inserts them."""
    found = {}
    with transaction.atomic(), connection.connection.cursor() as cursor:
        cursor.execute("SET LOCAL ROLE ump_every")
        cursor.execute(COLUMNS)
        for table, names, moments in cursor.fetchall():
            cursor.execute(f"SELECT {', '.join(f'{name}::text' for name in names)} FROM {table}")
            if rows := cursor.fetchall():
                shape = b", ".join(b"%s::timestamptz + " + PASSED if moment else b"%s" for moment in moments)
                values = b", ".join(cursor.mogrify(b"(" + shape + b")", row) for row in rows)
                found[table] = f"INSERT INTO {table} ({', '.join(names)}) VALUES ".encode() + values + b";"
        cursor.execute("SET LOCAL ROLE NONE")
    return found
