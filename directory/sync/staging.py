"""Set-based writes: COPY into a temporary table, then write only what differs by a join (DESIGN 5).

Rows that did not change are neither written nor locked. Each look-up goes from the page to the mirror by
primary key (`OFFSET 0` keeps the planner from turning the join round on statistics that do not know a new
customer yet), so a page costs the same in a mirror of ten users and of a million. Everything here must run
inside `Context.transaction()`: in the customer's scope, fenced, and all of it or nothing.
"""

import dataclasses
import io
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import connection
from psycopg2.sql import SQL, Composed, Identifier

from directory.sync.reading import NULL_MARK, Table

Statement = SQL | Composed


@dataclasses.dataclass
class Count:
    """What was read of one kind of thing, and what that changed (or would change, in a dry run)."""

    read: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0

    def add(self, other: "Count") -> None:
        self.read += other.read
        self.added += other.added
        self.changed += other.changed
        self.removed += other.removed

    @property
    def differences(self) -> int:
        return self.added + self.changed + self.removed


def run(statement: Statement, params: Sequence[Any] | Mapping[str, Any] = ()) -> int:
    """Execute; how many rows it concerned."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return int(cursor.rowcount)


def fetch(statement: Statement, params: Sequence[Any] | Mapping[str, Any] = ()) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found


def may_be_lost() -> None:
    """Do not wait for the disk at this commit: after a power cut the page is read once more.

    Rows and the place to go on from are lost together or not at all, and nothing at Microsoft depends on them.
    """
    run(SQL("SET LOCAL synchronous_commit = off"))


def _copy(target: str, columns: Sequence[str], content: bytes) -> int:
    statement = SQL("COPY {} ({}) FROM STDIN WITH (NULL {})").format(
        Identifier(target), _names(columns), SQL(f"'{NULL_MARK}'")
    )
    with connection.cursor() as cursor, connection.wrap_database_errors:  # as Django does for all but COPY
        cursor.copy_expert(statement, io.BytesIO(content))
        return int(cursor.rowcount)


def _names(columns: Iterable[str], prefix: str = "") -> Composed:
    parts = [Identifier(prefix, column) if prefix else Identifier(column) for column in columns]
    return SQL(", ").join(parts)


class Stage:
    """A page of users or groups in a temporary table, ready to be compared with the mirror."""

    def __init__(self, tenant_id: uuid.UUID, table: Table, content: bytes) -> None:
        self.tenant_id = tenant_id
        self.name = f"stage_{table.name}"
        columns = table.columns
        data = columns[1:]
        self._parts: dict[str, Composed | Identifier] = {
            "stage": Identifier(self.name),
            "table": Identifier(table.name),
            "columns": _names(columns),
            "data": _names(data),
            "s_all": _names(columns, "s"),
            "s": _names(data, "s"),
            "m": _names(data, "m"),
        }
        run(self._sql("DROP TABLE IF EXISTS {stage}"))
        run(
            self._sql(
                "CREATE TEMPORARY TABLE {stage} ON COMMIT DROP AS SELECT {columns} FROM {table} WITH NO DATA"
            )
        )
        self.rows = _copy(self.name, columns, content)

    def _sql(self, text: str) -> Composed:
        return SQL(text).format(**self._parts)

    def compare(self) -> tuple[int, list[str]]:
        """How many rows the mirror lacks, and the ids of those that it has otherwise."""
        statement = self._sql(
            "SELECT count(*) FILTER (WHERE m.object_id IS NULL),"
            " coalesce(array_agg(s.object_id::text) FILTER"
            " (WHERE m.object_id IS NOT NULL AND ({m}) IS DISTINCT FROM ({s})), '{{}}')"
            " FROM {stage} s LEFT JOIN LATERAL (SELECT * FROM {table} t"
            " WHERE t.tenant_id = %s AND t.object_id = s.object_id OFFSET 0) m ON true"
        )
        missing, differing = fetch(statement, [self.tenant_id])[0]
        return int(missing), list(differing)

    def insert_missing(self) -> int:
        statement = self._sql(
            "INSERT INTO {table} (tenant_id, {columns}) SELECT %s, {s_all}"
            " FROM {stage} s LEFT JOIN LATERAL (SELECT 1 AS there FROM {table} t"
            " WHERE t.tenant_id = %s AND t.object_id = s.object_id OFFSET 0) m ON true WHERE m.there IS NULL"
        )
        return run(statement, [self.tenant_id, self.tenant_id])

    def update(self, ids: Sequence[str]) -> int:
        statement = self._sql(
            "UPDATE {table} m SET ({data}, changed_at) = ROW ({s}, now()) FROM {stage} s"
            " WHERE m.tenant_id = %s AND m.object_id = ANY(%s::uuid[]) AND s.object_id = m.object_id"
        )
        return run(statement, [self.tenant_id, list(ids)])

    def mark_seen(self, kind: str) -> int:
        """Note the page's ids for the end of a full read; how many were not noted before."""
        statement = self._sql(
            "INSERT INTO directory_seen (tenant_id, kind, parent, object_id)"
            " SELECT %s, %s, object_id, object_id FROM {stage} ON CONFLICT DO NOTHING"
        )
        return run(statement, [self.tenant_id, kind])


def merge(
    tenant_id: uuid.UUID, table: Table, text: bytes, *, write: bool, seen: str = "", first: bool = False
) -> tuple[Count, int]:
    """Bring the mirror to these rows (`reading.lines`); what that took, and how many this read saw first.

    `seen` names the stream for a full read that keeps notes; without notes, new is what the mirror lacked.
    `first` says that the mirror will lack nearly all. With `write` False it only counts.
    """
    if not text:
        return Count(), 0
    stage = Stage(tenant_id, table, text)
    added = stage.insert_missing() if first and write else 0
    if added == stage.rows and not seen:
        return Count(added=added), added
    missing, differing = stage.compare()
    if write and missing:
        added += stage.insert_missing()
    if write and differing:
        stage.update(differing)
    new = stage.mark_seen(seen) if seen else added
    if not write:
        added = min(missing, new) if seen else missing  # an object that comes twice is added once
    return Count(added=added, changed=len(differing)), new


def remove(tenant_id: uuid.UUID, table: Table, ids: Sequence[str], *, write: bool) -> int:
    """Take objects out of the mirror; ids it never had are no trouble. Memberships go with their group."""
    if not ids:
        return 0
    what = "DELETE FROM" if write else "SELECT 1 FROM"
    statement = SQL(what + " {} WHERE tenant_id = %s AND object_id = ANY(%s::uuid[])").format(
        Identifier(table.name)
    )
    return run(statement, [tenant_id, list(ids)])


def known_rows(tenant_id: uuid.UUID, table: Table, ids: Sequence[str]) -> dict[str, list[str]]:
    """The mirror's rows of these ids, as text in the order of the table's fields."""
    columns = SQL(", ").join(
        SQL("coalesce({}::text, {})").format(Identifier(field.column), SQL(f"'{NULL_MARK}'"))
        for field in table.fields
    )
    statement = SQL(
        "SELECT object_id::text, {} FROM {} WHERE tenant_id = %s AND object_id = ANY(%s::uuid[])"
    ).format(columns, Identifier(table.name))
    return {row[0]: list(row[1:]) for row in fetch(statement, [tenant_id, list(ids)])}


# Memberships

MEMBERS = "stage_directory_member"


def stage_members(members: bytes, *, keyed: bool = True) -> None:
    """Lines of `reading.member_lines`, each pair once. A key makes looking from the mirror into the stage cheap."""
    key = ", PRIMARY KEY (group_id, member_id)" if keyed else ""
    run(SQL("DROP TABLE IF EXISTS stage_directory_member"))
    run(
        SQL(
            "CREATE TEMPORARY TABLE stage_directory_member (group_id uuid, member_id uuid, member_type text"
            + key
            + ") ON COMMIT DROP"
        )
    )
    _copy(MEMBERS, ("group_id", "member_id", "member_type"), members)


def add_members(tenant_id: uuid.UUID, *, write: bool, new: bool = False) -> int:
    """Put the staged memberships into the mirror; those there already are left alone.

    `new` says that none can be there already, which saves a third of the time.
    """
    if write:
        text = (
            "INSERT INTO directory_member (tenant_id, group_id, member_id, member_type)"
            " SELECT %s, group_id, member_id, member_type FROM stage_directory_member"
        )
        return run(SQL(text if new else f"{text} ON CONFLICT DO NOTHING"), [tenant_id])
    statement = SQL(
        "SELECT 1 FROM stage_directory_member s LEFT JOIN LATERAL (SELECT 1 AS there FROM directory_member t"
        " WHERE t.tenant_id = %s AND t.group_id = s.group_id AND t.member_id = s.member_id OFFSET 0) m"
        " ON true WHERE m.there IS NULL"
    )
    return run(statement, [tenant_id])


def remove_other_members(tenant_id: uuid.UUID, groups: Sequence[str], *, write: bool) -> int:
    """Take out of these groups whoever is not staged: their members were read to the end."""
    if not groups:
        return 0
    what = "DELETE FROM" if write else "SELECT 1 FROM"
    statement = SQL(
        what + " directory_member t WHERE t.tenant_id = %s AND t.group_id = ANY(%s::uuid[])"
        " AND NOT EXISTS (SELECT FROM stage_directory_member s"
        " WHERE s.group_id = t.group_id AND s.member_id = t.member_id)"
    )
    return run(statement, [tenant_id, list(groups)])


def remove_members_of(tenant_id: uuid.UUID, groups: Sequence[str], *, write: bool) -> int:
    """Take all members out of groups that are gone (a trigger would, but without a count)."""
    if not groups:
        return 0
    what = "DELETE FROM" if write else "SELECT 1 FROM"
    statement = SQL(what + " directory_member WHERE tenant_id = %s AND group_id = ANY(%s::uuid[])")
    return run(statement, [tenant_id, list(groups)])


def remove_staged_members(tenant_id: uuid.UUID, *, write: bool) -> int:
    """Take the staged memberships out of the mirror."""
    if write:
        statement = SQL(
            "DELETE FROM directory_member t USING stage_directory_member s"
            " WHERE t.tenant_id = %s AND t.group_id = s.group_id AND t.member_id = s.member_id"
        )
        return run(statement, [tenant_id])
    statement = SQL(
        "SELECT 1 FROM stage_directory_member s JOIN directory_member t"
        " ON t.tenant_id = %s AND t.group_id = s.group_id AND t.member_id = s.member_id"
    )
    return run(statement, [tenant_id])
