"""Database, roles and passwords: what must be there before the first migration."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection as Connection  # noqa: N812  a class under a lower-case name

from ump_portal.embedded.cluster import SUPERUSER
from ump_portal.embedded.errors import EmbeddedError
from ump_portal.embedded.layout import Layout

DATABASE = "ump"
LOGINS = (SUPERUSER, "ump_owner", "ump_app")
ROLES_SQL = Path(__file__).resolve().parent.parent / "roles.sql"


@dataclass(frozen=True)
class Passwords:
    """One random password for each login role, kept beside the data that knows them."""

    by_role: dict[str, str]

    def __repr__(self) -> str:
        return "Passwords(...)"

    def __getitem__(self, role: str) -> str:
        return self.by_role[role]


def load_passwords(layout: Layout) -> Passwords:
    """Read the passwords, or make them when there is no data yet (file mode 0600)."""
    with contextlib.suppress(FileNotFoundError):
        return Passwords(json.loads(layout.passwords.read_text()))
    if layout.data.exists():
        raise EmbeddedError(
            f"{layout.passwords} is gone, and without it {layout.data} cannot be opened. "
            f"Restore the file, or move {layout.home} away to start anew."
        )
    made = {role: secrets.token_urlsafe(24) for role in LOGINS}
    half = layout.passwords.with_suffix(".new")
    half.unlink(missing_ok=True)
    with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(made, file)
    half.rename(layout.passwords)
    return Passwords(made)


def url(layout: Layout, passwords: Passwords, role: str, database: str = DATABASE) -> str:
    """A connection URL that libpq, psycopg2 and django-environ all understand; the host is a directory."""
    place = urlencode({"host": str(layout.sockets)})
    return f"postgres://{role}:{quote(passwords[role], safe='')}@/{database}?{place}"


def prepare(layout: Layout, passwords: Passwords) -> None:
    """Create the database and apply roles.sql; may be run again at every start."""
    with _connected(layout, passwords, SUPERUSER) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if cursor.fetchone() is None:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))
    with _connected(layout, passwords, DATABASE) as connection, connection.cursor() as cursor:
        cursor.execute(ROLES_SQL.read_text())
        for role in LOGINS:
            cursor.execute(
                sql.SQL("ALTER ROLE {} PASSWORD %s").format(sql.Identifier(role)), [passwords[role]]
            )


@contextlib.contextmanager
def _connected(layout: Layout, passwords: Passwords, database: str) -> Iterator[Connection]:
    connection = psycopg2.connect(
        host=str(layout.sockets), dbname=database, user=SUPERUSER, password=passwords[SUPERUSER]
    )
    connection.autocommit = True  # CREATE DATABASE takes no transaction
    try:
        yield connection
    finally:
        connection.close()
