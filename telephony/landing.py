"""Pages of telephony into the mirror: only rows that differ are written (directory.sync.staging).

Everything here runs inside `Context.transaction()`, with the place to go on from saved in the same one, so that a
page that comes twice changes nothing and a reading that was killed goes on.
"""

import uuid
from collections.abc import Iterable, Sequence

from psycopg2.sql import SQL, Identifier

from audiocodes.dialplan import LINE
from directory.scoping import Sieve
from directory.sync import staging
from directory.sync.reading import NULL_MARK, Field, Row, Table, lines, text
from directory.sync.staging import Count, fetch, run
from m365 import teams
from replication.plans import Lines
from telephony.models import Stream
from tenants import scope

_MAY_BE_NULL = frozenset({"created_at", "modified_at", "group_id", "target_id"})
_MARK = uuid.UUID("8f1c4a52-6a0e-4c0e-9d6f-2b7a3c1d5e90")


def _fields(*columns: str, **longest: int) -> tuple[Field, ...]:
    """Columns whose values come ready for COPY; `longest` as in the models."""
    return tuple(
        Field(name, name, text, NULL_MARK if name in _MAY_BE_NULL else "", longest.get(name, 300))
        for name in columns
    )


USERS = Table(
    "telephony_user",
    _fields(
        *(
            "user_principal_name",
            "account_type",
            "voice",
            "features",
            "number",
            "numbers",
            "created_at",
            "modified_at",
        ),
        user_principal_name=1000,
        numbers=1000,
        account_type=40,
        number=40,
    ),
    search_from=("user_principal_name", "numbers"),
    select="",
)
POLICIES = Table(
    "telephony_policy",
    _fields("kind", "name", "policy_id", kind=100),
    search_from=("kind", "name"),
    select="",
)
USER_POLICIES = Table(
    "telephony_user_policy",
    _fields("user_id", "policy_id", "kind", "source", "group_id", kind=100, source=20),
    search_from=(),
    select="",
)
NUMBERS = Table(
    "telephony_number",
    _fields(
        *(
            "microsoft_id",
            "number",
            "place",
            "kind",
            "status",
            "activation",
            "target_id",
            "category",
            "operator_id",
        ),
        *("country", "city", "port_in", "source", "location_id", "capabilities", "actions"),
        number=40,
        kind=40,
        status=40,
        activation=40,
        category=40,
        country=10,
        port_in=60,
        source=40,
    ),
    search_from=("number", "city"),
    select="",
)
TABLES = {Stream.USERS: USERS, Stream.POLICIES: POLICIES, Stream.NUMBERS: NUMBERS}


def key(*parts: str) -> str:
    """The id of what Microsoft names by texts: the same for the same texts, for ever."""
    return str(uuid.uuid5(_MARK, "\x1f".join(parts)))


def place_of(number: str) -> int:
    """Where a number lies on the line of fifteen digits; an extension is not part of it."""
    digits = number.partition(";")[0].lstrip("+")[:LINE]
    return int(digits.ljust(LINE, "0"))


# --- Users --------------------------------------------------------------------------------------------------
def land_users(
    tenant_id: uuid.UUID, rows: Sequence[teams.TeamsUser], sieve: Sieve | None
) -> tuple[Count, int]:
    """What a page of users changed, and how many of it the CsOnlineUser Filter leaves out."""
    ids = [one.id for one in rows]
    taken = set(ids) if sieve is None else _taken(sieve, ids)
    kept = {one.id: _user_row(one) for one in rows if one.id in taken}
    count = _merge(tenant_id, USERS, kept, Stream.USERS)
    count.read = len(rows)
    left_out = [each for each in dict.fromkeys(ids) if each not in taken]
    count.removed += staging.remove(tenant_id, USERS, left_out, write=True)
    return count, len(left_out)


def _taken(sieve: Sieve, ids: Sequence[str]) -> set[str]:
    """Whom the filter takes. Users that are not in the copy of the directory yet cannot be judged, and wait."""
    found = sieve.users(taken=True).filter(object_id__in=ids).order_by()
    return {str(each) for each in found.values_list("object_id", flat=True)}


def _user_row(one: teams.TeamsUser) -> Row:
    return [
        one.user_principal_name,
        one.account_type,
        "t" if one.voice else "f",
        " ".join(one.features),
        one.numbers[0][0] if one.numbers else "",
        " ".join(number for number, _ in one.numbers),
        one.created_at or NULL_MARK,
        one.modified_at or NULL_MARK,
    ]


# --- Policies -----------------------------------------------------------------------------------------------
def land_policies(tenant_id: uuid.UUID, rows: Sequence[teams.Policies]) -> Count:
    """What a page of users' policies changed. Users without a row of their own are passed over."""
    known = _known_users(tenant_id, [one.user_id for one in rows])
    mine = [(one.user_id, held) for one in rows if one.user_id in known for held in one.held]
    policies = {key(held.kind, held.policy_id): [held.kind, held.name, held.policy_id] for _, held in mine}
    count = _merge(tenant_id, POLICIES, policies, Stream.POLICIES)
    count.read = len(rows)
    effective = {
        key(user, held.kind): [
            user, key(held.kind, held.policy_id), held.kind, held.source, held.group_id or NULL_MARK
        ]
        for user, held in mine
    }  # fmt: skip
    changed, _ = staging.merge(tenant_id, USER_POLICIES, lines(USER_POLICIES, effective), write=True)
    changed.removed = _no_longer(tenant_id, known, effective)
    count.add(changed)
    return count


def _known_users(tenant_id: uuid.UUID, ids: Sequence[str]) -> list[str]:
    statement = SQL(
        "SELECT object_id::text FROM telephony_user WHERE tenant_id = %s AND object_id = ANY(%s::uuid[])"
    )
    return [row[0] for row in fetch(statement, [tenant_id, list(ids)])]


def _no_longer(tenant_id: uuid.UUID, users: Sequence[str], effective: Iterable[str]) -> int:
    """Policies that were in effect for these users and are not named any more."""
    statement = SQL(
        "DELETE FROM telephony_user_policy WHERE tenant_id = %s AND user_id = ANY(%s::uuid[])"
        " AND NOT object_id = ANY(%s::uuid[])"
    )
    return run(statement, [tenant_id, list(users), list(effective)])


# --- Numbers ------------------------------------------------------------------------------------------------
def land_numbers(tenant_id: uuid.UUID, rows: Sequence[teams.Number]) -> Count:
    """What a page of numbers changed."""
    free = [key(one.number) for one in rows if not one.target_id]
    used = [key(one.number) for one in rows if one.target_id]
    _note_freed(tenant_id, free, used)
    count = _merge(tenant_id, NUMBERS, {key(one.number): _number_row(one) for one in rows}, Stream.NUMBERS)
    count.read = len(rows)
    return count


def _note_freed(tenant_id: uuid.UUID, free: Sequence[str], used: Sequence[str]) -> None:
    """Before the rows change: since when a number that was in use is free (it cools before somebody else gets it)."""
    run(
        SQL(
            "UPDATE telephony_number SET freed_at = now() WHERE tenant_id = %s AND object_id = ANY(%s::uuid[])"
            " AND target_id IS NOT NULL"
        ),
        [tenant_id, list(free)],
    )
    run(
        SQL(
            "UPDATE telephony_number SET freed_at = NULL WHERE tenant_id = %s AND object_id = ANY(%s::uuid[])"
            " AND freed_at IS NOT NULL"
        ),
        [tenant_id, list(used)],
    )


def _number_row(one: teams.Number) -> Row:
    return [
        one.id,
        one.number,
        str(place_of(one.number)),
        one.kind,
        one.status,
        one.activation,
        one.target_id or NULL_MARK,
        one.category,
        one.operator_id,
        one.country,
        one.city,
        one.port_in,
        one.source,
        one.location_id,
        " ".join(one.capabilities),
        " ".join(one.actions),
    ]


# --- What was seen ------------------------------------------------------------------------------------------
def _merge(tenant_id: uuid.UUID, table: Table, rows: dict[str, Row], stream: Stream) -> Count:
    if not rows:
        return Count()
    count, _ = staging.merge(tenant_id, table, lines(table, rows), write=True)
    statement = SQL(
        "INSERT INTO telephony_seen (tenant_id, stream, object_id) SELECT %s, %s, object_id FROM {}"
        " ON CONFLICT DO NOTHING"
    ).format(Identifier(f"stage_{table.name}"))
    run(statement, [tenant_id, stream])
    return count


def begin_seen(tenant_id: uuid.UUID, stream: Stream, owner: uuid.UUID) -> None:
    """Empty notes in the name of a reading: whoever finds another's there, or none, begins anew."""
    forget_seen(tenant_id, stream)
    statement = SQL("INSERT INTO telephony_seen (tenant_id, stream, object_id) VALUES (%s, %s, %s)")
    run(statement, [tenant_id, stream, owner])


def seen_by(tenant_id: uuid.UUID, stream: Stream, owner: uuid.UUID) -> bool:
    statement = SQL("SELECT 1 FROM telephony_seen WHERE tenant_id = %s AND stream = %s AND object_id = %s")
    with scope.one(tenant_id):
        return bool(fetch(statement, [tenant_id, stream, owner]))


def forget_seen(tenant_id: uuid.UUID, stream: Stream) -> None:
    run(SQL("DELETE FROM telephony_seen WHERE tenant_id = %s AND stream = %s"), [tenant_id, stream])


_UNSEEN = (
    " FROM {} t WHERE t.tenant_id = %s AND NOT EXISTS (SELECT FROM telephony_seen s"
    " WHERE s.tenant_id = t.tenant_id AND s.stream = %s AND s.object_id = t.object_id)"
)


def unseen(tenant_id: uuid.UUID, stream: Stream) -> tuple[int, int]:
    """(rows that Microsoft did not list, rows in the mirror)."""
    table = Identifier(TABLES[stream].name)
    gone = fetch(SQL("SELECT count(*)" + _UNSEEN).format(table), [tenant_id, stream])[0][0]
    have = fetch(SQL("SELECT count(*) FROM {} WHERE tenant_id = %s").format(table), [tenant_id])[0][0]
    return int(gone), int(have)


def unseen_lines(tenant_id: uuid.UUID, stream: Stream, noun: str) -> Lines:
    """The same one by one, as lines of a plan."""
    names = {Stream.USERS: "user_principal_name", Stream.NUMBERS: "number"}
    detail = {Stream.USERS: "number", Stream.NUMBERS: "kind"}
    select = SQL(
        "SELECT %s AS noun, t.object_id::text AS key, t.{} AS name, t.{} AS detail" + _UNSEEN
    ).format(Identifier(names[stream]), Identifier(detail[stream]), Identifier(TABLES[stream].name))
    return select, [noun, tenant_id, stream]


def remove_unseen(tenant_id: uuid.UUID, stream: Stream) -> int:
    """Take out what Microsoft did not list. A policy that somebody's row still names goes with a later reading."""
    held = (
        " AND NOT EXISTS (SELECT FROM telephony_user_policy p WHERE p.tenant_id = t.tenant_id"
        " AND p.policy_id = t.object_id)"
    )
    statement = SQL("DELETE" + _UNSEEN + (held if stream == Stream.POLICIES else ""))
    return run(statement.format(Identifier(TABLES[stream].name)), [tenant_id, stream])
