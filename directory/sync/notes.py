"""The notebook of a full read: what it has seen and which groups it has still to read, safe from a crash.

It is empty when no full read is under way. A dry run keeps one too: it belongs to the run, not to the mirror.
While a command waits for Microsoft, another one may read the same customer: the notebook bears the name of the
run that began it last, and a run that finds another name there begins anew.
"""

import uuid
from collections.abc import Sequence

from psycopg2.sql import SQL, Identifier

from core.errors import UmpError
from directory.models import Stream
from directory.sync.jobs import TABLES, ToRead
from directory.sync.progress import DELTA, Part
from directory.sync.reading import Table
from directory.sync.staging import Count, fetch, run
from replication.plans import Lines
from tenants import scope

SHORTFALL, SHORTFALL_FLOOR = 0.05, 50
"""By how much a list may stay behind Microsoft's own count (which lags) and still be believed."""
NOUNS = {Stream.USERS.value: ("User", "Users"), Stream.GROUPS.value: ("Group", "Groups")}
OWNER = "run"
"""The kind of the one row that says whose notes these are."""
DETAIL = {Stream.USERS.value: "user_principal_name", Stream.GROUPS.value: "mail"}
"""What tells two objects of the same name apart."""


def clear(tenant_id: uuid.UUID) -> None:
    run(SQL("DELETE FROM directory_seen WHERE tenant_id = %s"), [tenant_id])
    forget_groups(tenant_id)


def begin(tenant_id: uuid.UUID, owner: str) -> None:
    """An empty notebook in the name of a run (`Run.id`), whatever others had noted."""
    clear(tenant_id)
    statement = SQL("INSERT INTO directory_seen (tenant_id, kind, parent, object_id) VALUES (%s, %s, %s, %s)")
    run(statement, [tenant_id, OWNER, owner, owner])


def are_of(tenant_id: uuid.UUID, owner: str) -> bool:
    statement = SQL("SELECT 1 FROM directory_seen WHERE tenant_id = %s AND kind = %s AND parent = %s")
    return bool(fetch(statement, [tenant_id, OWNER, owner]))


def disown(tenant_id: uuid.UUID) -> None:
    """The mirror gets what a full read under way has not seen, and would take out again at its end."""
    run(SQL("DELETE FROM directory_seen WHERE tenant_id = %s AND kind = %s"), [tenant_id, OWNER])


def is_empty(tenant_id: uuid.UUID, table: Table) -> bool:
    statement = SQL("SELECT 1 FROM {} WHERE tenant_id = %s LIMIT 1").format(Identifier(table.name))
    return not fetch(statement, [tenant_id])


# Groups whose members are still to be read


def add_groups_to_read(tenant_id: uuid.UUID) -> None:
    """All groups of the page that was just staged."""
    statement = SQL(
        "INSERT INTO directory_todo (tenant_id, group_id, next_link)"
        " SELECT %s, object_id, '' FROM stage_directory_group ON CONFLICT DO NOTHING"
    )
    run(statement, [tenant_id])


def forget_groups(tenant_id: uuid.UUID) -> None:
    """The list of groups is read anew, and brings them again."""
    run(SQL("DELETE FROM directory_todo WHERE tenant_id = %s"), [tenant_id])


def groups_to_read(tenant_id: uuid.UUID, *, after: int, limit: int) -> list[ToRead]:
    statement = SQL(
        "SELECT id, group_id::text, next_link FROM directory_todo"
        " WHERE tenant_id = %s AND id > %s ORDER BY id LIMIT %s"
    )
    with scope.one(tenant_id):
        return [ToRead(*row) for row in fetch(statement, [tenant_id, after, limit])]


def still_to_read(tenant_id: uuid.UUID, todos: Sequence[int]) -> set[int]:
    statement = SQL("SELECT id FROM directory_todo WHERE tenant_id = %s AND id = ANY(%s)")
    return {row[0] for row in fetch(statement, [tenant_id, list(todos)])}


def groups_went_on(tenant_id: uuid.UUID, places: Sequence[tuple[int, str]]) -> None:
    """(entry, link to the next page): remember where to go on, or forget the entry when there is no more."""
    over = [todo for todo, at in places if not at]
    if over:
        run(SQL("DELETE FROM directory_todo WHERE tenant_id = %s AND id = ANY(%s)"), [tenant_id, over])
    for todo, at in places:
        if at:
            _set_link(tenant_id, todo, at)


def read_anew(tenant_id: uuid.UUID, todo: int) -> None:
    _set_link(tenant_id, todo, "")


def _set_link(tenant_id: uuid.UUID, todo: int, at: str) -> None:
    run(
        SQL("UPDATE directory_todo SET next_link = %s WHERE tenant_id = %s AND id = %s"),
        [at, tenant_id, todo],
    )


# What was seen


def note_members(tenant_id: uuid.UUID, groups: Sequence[str]) -> int:
    """Note the staged members of these groups as seen; how many were not noted before."""
    statement = SQL(
        "INSERT INTO directory_seen (tenant_id, kind, parent, object_id)"
        " SELECT %s, 'member', group_id, member_id FROM stage_directory_member"
        " WHERE group_id = ANY(%s::uuid[]) ON CONFLICT DO NOTHING"
    )
    return run(statement, [tenant_id, list(groups)])


def remove_unseen_members(tenant_id: uuid.UUID, groups: Sequence[str] | None, *, write: bool) -> int:
    """Take out of these groups (None: of all) whoever was not seen; their notes are no longer needed."""
    if groups is not None and not groups:
        return 0
    which = "" if groups is None else " AND t.group_id = ANY(%(groups)s::uuid[])"
    params = {"tenant": tenant_id, "groups": list(groups or ())}
    what = "DELETE FROM" if write else "SELECT 1 FROM"
    statement = SQL(
        what + " directory_member t WHERE t.tenant_id = %(tenant)s" + which + " AND NOT EXISTS"
        " (SELECT FROM directory_seen s WHERE s.tenant_id = t.tenant_id AND s.kind = 'member'"
        " AND s.parent = t.group_id AND s.object_id = t.member_id)"
    )
    removed = run(statement, params)
    if groups is not None:
        run(
            SQL(
                "DELETE FROM directory_seen WHERE tenant_id = %(tenant)s AND kind = 'member'"
                " AND parent = ANY(%(groups)s::uuid[])"
            ),
            params,
        )
    return removed


def check_complete(stream: str, part: Part) -> None:
    """Raises UmpError (incomplete_read) when the list ended far before Microsoft's own count."""
    if part.total is None:
        return
    if part.count.read < part.total - max(SHORTFALL_FLOOR, part.total * SHORTFALL):
        detail = {"stream": stream, "read": part.count.read, "expected": part.total}
        raise UmpError.of("incomplete_read", detail=detail)


def unseen(tenant_id: uuid.UUID, stream: str, part: Part) -> tuple[int, int]:
    """(objects that the mirror has and this full read did not see, objects in the mirror).

    Raises UmpError (incomplete_read) when it saw none at all of what it read.
    """
    statement = SQL(
        "SELECT count(*) FILTER (WHERE s.object_id IS NULL), count(*) FROM {} t"
        " LEFT JOIN directory_seen s ON s.tenant_id = t.tenant_id AND s.kind = %s AND s.parent = t.object_id"
        " AND s.object_id = t.object_id WHERE t.tenant_id = %s"
    ).format(Identifier(TABLES[stream].name))
    gone, have = fetch(statement, [stream, tenant_id])[0]
    noted = SQL("SELECT 1 FROM directory_seen WHERE tenant_id = %s AND kind = %s LIMIT 1")
    if gone and part.count.read and not fetch(noted, [tenant_id, stream]):
        # It read objects and knows of none: the notes are lost, and must not empty the mirror.
        raise UmpError.of("incomplete_read", detail={"stream": stream, "read": part.count.read, "noted": 0})
    return int(gone), int(have)


def unseen_lines(tenant_id: uuid.UUID, streams: Sequence[str]) -> Lines:
    """The same objects one by one, as lines of a plan."""
    parts = [
        SQL(
            "SELECT %s AS noun, t.object_id::text AS key, coalesce(nullif(t.display_name, ''), t.object_id::text)"
            " AS name, t.{} AS detail FROM {} t WHERE t.tenant_id = %s AND NOT EXISTS (SELECT FROM directory_seen s"
            " WHERE s.tenant_id = t.tenant_id AND s.kind = %s AND s.parent = t.object_id"
            " AND s.object_id = t.object_id)"
        ).format(Identifier(DETAIL[stream]), Identifier(TABLES[stream].name))
        for stream in streams
    ]
    params = [value for stream in streams for value in (NOUNS[stream][0], tenant_id, stream)]
    return SQL(" UNION ALL ").join(parts), params


def remove_unseen(tenant_id: uuid.UUID, stream: str, part: Part, *, write: bool) -> Count:
    """The end of a complete full read: take out what it did not see. Returns the memberships that went."""
    members = Count()
    if stream == Stream.GROUPS and part.source == DELTA:
        members.removed = remove_unseen_members(tenant_id, None, write=write)
    if write:
        statement = SQL(
            "DELETE FROM {} t WHERE t.tenant_id = %s AND NOT EXISTS (SELECT FROM directory_seen s"
            " WHERE s.tenant_id = t.tenant_id AND s.kind = %s AND s.parent = t.object_id"
            " AND s.object_id = t.object_id)"
        ).format(Identifier(TABLES[stream].name))
        part.count.removed += run(statement, [tenant_id, stream])
    else:
        part.count.removed += unseen(tenant_id, stream, part)[0]
    return members
