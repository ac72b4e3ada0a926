"""The states of a command, the table of legal moves, and the only code that writes `state`.

Every move is one conditional UPDATE that says which state, and for a worker which fence, it expects; the
count of changed rows says whether it happened. Times come from the database's clock alone, so a worker whose
clock is wrong harms nothing. All functions must be called in a scope that covers the command.
"""

import dataclasses
import datetime as dt
import functools
import json
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Greatest, Least, Now

from core.errors import Conflict, UmpError
from replication.models import FINAL, OPEN, Command, Lane, LaneName, Reason, State, Step
from tenants import scope

MOVES: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.EXECUTING, State.CANCELLED, State.SUSPENDED}),
    State.EXECUTING: frozenset(
        {State.SUCCEEDED, State.QUEUED, State.SUSPENDED, State.FAILED, State.CANCELLED}
    ),
    State.SUSPENDED: frozenset({State.QUEUED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}


@dataclasses.dataclass(frozen=True)
class Claimed:
    """A command that this worker now holds, under this fence."""

    id: int
    tenant_id: uuid.UUID | None
    lane_id: int
    lane: str
    kind: str
    target: str
    params: dict[str, Any]
    dry_run: bool
    attempts: int
    max_attempts: int
    fence: int
    checkpoint: dict[str, Any]
    progress: dict[str, Any]
    slices: int


OF_CONNECTION = (LaneName.DATA, LaneName.POWERSHELL)
"""Lanes of a customer whose work waits while its connection is not proven."""
_NEW_LANE = """
    INSERT INTO replication_lane (tenant_id, name, device, suspended_code)
    VALUES (%(tenant)s, %(name)s, %(device)s, coalesce((
        SELECT d.suspended_code FROM replication_lane d
        WHERE %(name)s = 'powershell' AND d.tenant_id = %(tenant)s AND d.name = 'data'), ''))
    ON CONFLICT (tenant_id, name, device) DO NOTHING
"""


def lane_for(tenant_id: uuid.UUID | None, name: LaneName, device: str = "") -> int:
    """The lane's id; it is made at its first use."""
    with connection.cursor() as cursor:
        cursor.execute(_NEW_LANE, {"tenant": tenant_id, "name": name, "device": device})
        cursor.execute(
            "SELECT id FROM replication_lane WHERE tenant_id IS NOT DISTINCT FROM %s AND name = %s AND device = %s",
            [tenant_id, name, device],
        )
        return int(cursor.fetchone()[0])


def insert(
    *,
    tenant_id: uuid.UUID | None,
    lane_id: int,
    kind: str,
    target: str,
    params: dict[str, Any],
    dry_run: bool,
    dedupe_key: str | None,
    delay: dt.timedelta,
    longest_wait: dt.timedelta,
    max_attempts: int,
    actor: tuple[str, str, str],
    retry_of: int | None = None,
) -> tuple[int, bool]:
    """Queue a wish; (id, whether it is a new row). A wish with the key of a waiting one joins it.

    Joining moves what waits for further changes: by the debounce's delay from now, but never past the longest wait
    since it was queued, or twice the delay where that is longer. What was made due stays due, and a wish without a
    delay makes it so.
    """
    sql = """
        INSERT INTO replication_command AS c (tenant_id, lane_id, kind, target, params, dry_run, dedupe_key,
            state, reason, not_before, max_attempts, actor_kind, actor_id, actor_label, retry_of_id,
            outcome, message, result, attempts, deaths, slices, checkpoint, progress, lease_owner, fence)
        VALUES (%(tenant)s, %(lane)s, %(kind)s, %(target)s, %(params)s, %(dry_run)s, %(key)s,
            'queued', %(reason)s, statement_timestamp() + %(delay)s, %(max)s, %(ak)s, %(ai)s, %(al)s, %(retry_of)s,
            '', '', '{}', 0, 0, 0, '{}', '{}', '', 0)
        ON CONFLICT (lane_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO UPDATE
            SET not_before = CASE WHEN %(delay)s = interval '0' THEN least(c.not_before, statement_timestamp())
                                  WHEN c.reason = 'debounce' AND c.not_before > statement_timestamp() THEN
                                      least(statement_timestamp() + %(delay)s, c.queued_at + %(longest)s)
                                  ELSE c.not_before END,
                reason = CASE WHEN %(delay)s = interval '0' AND c.reason = 'debounce' THEN '' ELSE c.reason END
        RETURNING c.id, c.fence = 0 AND c.xmax = 0
    """
    lock_lane(lane_id)
    with connection.cursor() as cursor:
        values: dict[str, Any] = {
            "tenant": tenant_id,
            "lane": lane_id,
            "kind": kind,
            "target": target,
            "params": json.dumps(params),
            "dry_run": dry_run,
            "key": dedupe_key,
            "reason": Reason.DEBOUNCE if delay else Reason.NONE,
            "delay": delay,
            "longest": max(longest_wait, 2 * delay),
            "max": max_attempts,
            "ak": actor[0],
            "ai": actor[1],
            "al": actor[2],
            "retry_of": retry_of,
        }
        cursor.execute(sql, values)
        command_id, created = cursor.fetchone()
    refresh_lanes([lane_id], yields=False)
    return int(command_id), bool(created)


HELD_BY_BREAKER = """EXISTS (SELECT FROM breakers_breaker b WHERE l.tenant_id IS NOT NULL AND (b.name = 'line'
        OR (b.name = 'provider_app' AND l.name IN ('data', 'powershell') AND EXISTS (
            SELECT FROM tenants_connection s WHERE s.tenant_id = l.tenant_id AND s.app_owner = 'provider'))))"""
"""A lane that waits for the provider's own line. Checks pass while only the provider's app is refused: they say so
at once, and they are how a customer moves to an app of its own."""


_MANY_LANES = """
    INSERT INTO replication_lane (tenant_id, name, suspended_code)
    SELECT t.id, %(lane)s, '' FROM unnest(%(tenants)s::uuid[]) AS t(id)
    ON CONFLICT (tenant_id, name, device) DO NOTHING
"""
_MANY_LOCKED = """
    SELECT id FROM replication_lane WHERE tenant_id = ANY(%(tenants)s::uuid[]) AND name = %(lane)s
    ORDER BY id FOR NO KEY UPDATE
"""
_MANY = """
    WITH wish AS (
        INSERT INTO replication_command AS c (tenant_id, lane_id, kind, target, params, dry_run, dedupe_key,
            state, reason, max_attempts, actor_kind, actor_id, actor_label,
            outcome, message, result, attempts, deaths, slices, checkpoint, progress, lease_owner, fence)
        SELECT l.tenant_id, l.id, %(kind)s, '', '{}', false, %(key)s,
            'queued', '', %(max)s, %(ak)s, %(ai)s, %(al)s,
            '', '', '{}', 0, 0, 0, '{}', '{}', '', 0
        FROM replication_lane l WHERE l.id = ANY(%(lanes)s) AND l.suspended_code = ''
        ON CONFLICT (lane_id, dedupe_key) WHERE dedupe_key IS NOT NULL DO UPDATE
            SET not_before = least(c.not_before, statement_timestamp()),
                reason = CASE WHEN c.reason = 'debounce' THEN '' ELSE c.reason END
        RETURNING c.id, c.tenant_id, c.lane_id, c.fence = 0 AND c.xmax = 0 AS created
    ), told AS (
        INSERT INTO replication_step (tenant_id, command_id, attempt, level, text, detail)
        SELECT tenant_id, id, 0, 'info', %(told)s, '{}' FROM wish WHERE created
    ), later AS (
        UPDATE replication_lane l SET yields_until = statement_timestamp() + %(yields)s::interval
        FROM wish WHERE l.id = wish.lane_id AND %(yields)s::interval > interval '0'
          AND NOT EXISTS (SELECT FROM replication_command q WHERE q.lane_id = l.id AND q.state = 'queued')
    )
    SELECT tenant_id, id FROM wish
"""


def insert_many(
    tenant_ids: Iterable[uuid.UUID],
    *,
    lane: LaneName,
    kind: str,
    max_attempts: int,
    actor: tuple[str, str, str],
    yields: dt.timedelta,
) -> dict[uuid.UUID, int]:
    """Queue the same wish for many customers at once; the command of each whose lane is not suspended, new or joined.

    Lanes that had nothing to do yield to all others for that long: what a person asks for meanwhile goes first.
    """
    values: dict[str, Any] = {
        "tenants": [str(each) for each in tenant_ids],
        "lane": lane,
        "kind": kind,
        "key": f"{kind}||",
        "max": max_attempts,
        "ak": actor[0],
        "ai": actor[1],
        "al": actor[2],
        "told": f"Queued by {actor[2]}.",
        "yields": yields,
    }
    with connection.cursor() as cursor:
        cursor.execute(_MANY_LANES, values)
        cursor.execute(_MANY_LOCKED, values)
        lanes = [row[0] for row in cursor.fetchall()]
        cursor.execute(_MANY, values | {"lanes": lanes})
        made = {uuid.UUID(str(tenant_id)): int(command_id) for tenant_id, command_id in cursor.fetchall()}
    refresh_lanes(lanes)
    return made


_DUE_LANES = f"""
    SELECT l.id, coalesce(l.yields_until > statement_timestamp(), false) AS yields
    FROM replication_lane l LEFT JOIN tenants_tenant t ON t.id = l.tenant_id
    WHERE l.due_at <= statement_timestamp() AND l.yields_until {{yields}}
      AND l.not_before <= statement_timestamp() AND l.suspended_code = '' AND l.name = ANY(%(serves)s)
      AND (l.tenant_id IS NULL OR (t.enabled AND t.paused_at IS NULL AND t.deleted_at IS NULL))
      AND NOT EXISTS (SELECT FROM replication_switch s WHERE s.name = 'pause' AND s."on")
      AND NOT {HELD_BY_BREAKER}
    ORDER BY l.due_at LIMIT %(limit)s FOR NO KEY UPDATE OF l SKIP LOCKED
"""  # noqa: S608  a constant of our own
_LANES, _YIELDING_LANES = _DUE_LANES.format(yields="IS NULL"), _DUE_LANES.format(yields="IS NOT NULL")
_UNBLOCKED = """(c.target = '' OR NOT EXISTS (
        SELECT FROM replication_command o WHERE o.lane_id = c.lane_id AND o.target = c.target
        AND o.id < c.id AND o.state IN ('queued', 'suspended')))"""
"""What waits for no older wish about the same thing, or an old one could overtake."""
_EXECUTING = "(SELECT e.id FROM replication_command e WHERE e.lane_id = l.id AND e.state = 'executing')"
"""A scalar, one lane at a time: the planner would make a join of EXISTS, over all that ever executed."""
_HEADS = f"""
    WITH head AS (
        SELECT h.id FROM replication_lane l CROSS JOIN LATERAL (
            SELECT c.id FROM replication_command c
            WHERE c.lane_id = l.id AND c.state = 'queued' AND c.not_before <= statement_timestamp() AND {_UNBLOCKED}
            ORDER BY c.id LIMIT 1) h
        WHERE l.id = ANY(%(lanes)s) AND {_EXECUTING} IS NULL
    ), free AS (
        SELECT id FROM replication_command WHERE id = ANY(ARRAY(SELECT id FROM head)) FOR NO KEY UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE replication_command c
           SET state = 'executing', reason = '', fence = c.fence + 1, slices = c.slices + 1, dedupe_key = NULL,
               lease_until = clock_timestamp() + %(lease)s, lease_owner = %(owner)s,
               started_at = coalesce(c.started_at, statement_timestamp())
         WHERE c.id = ANY(ARRAY(SELECT id FROM free)) AND c.state || '' = 'queued'
        RETURNING c.id, c.tenant_id, c.lane_id, c.kind, c.target, c.params, c.dry_run, c.attempts, c.max_attempts,
                  c.fence, c.checkpoint, c.progress, c.slices
    ), served AS (
        UPDATE replication_lane SET served_at = clock_timestamp(), due_at = NULL
         WHERE id = ANY(ARRAY(SELECT lane_id FROM taken)) RETURNING id, name
    )
    SELECT taken.id, tenant_id, lane_id, served.name, kind, target, params, dry_run, attempts, max_attempts, fence,
           checkpoint, progress, slices
      FROM taken JOIN served ON served.id = taken.lane_id
"""  # noqa: S608  as above
# A head that somebody locks waits for the next claim, and all others go on: a worker that was frozen in the midst
# of a statement about what it held may have it until the database cuts it off. Rows are found by their keys:
# `state = 'queued'` alone would let the planner read all of a small partial index.


def claim(owner: str, limit: int, spare: int = 0) -> list[Claimed]:
    """Take up to `limit` due commands, one a lane, from the lanes whose turn it has been for longest.

    Lanes that yield come after all others, and leave `spare` places of the limit free for them.

    The one place where work starts, and so the one place that keeps paused, disabled and deleted customers,
    suspended lanes and a paused queue from starting any. The lanes are locked by one statement and their heads
    taken by another, because what is decided under the lanes' locks must be decided on a snapshot taken after
    them: in one statement a second worker claimed a command again that the first had just taken and let go of
    the lock (docs/decisions/0003).
    """
    values: dict[str, Any] = {"limit": limit, "owner": owner, "lease": _lease()}
    values["serves"] = settings.WORKER_LANES
    with connection.cursor() as cursor:
        cursor.execute(_LANES, values)
        lanes = [row[0] for row in cursor.fetchall()]
        if len(lanes) < limit:
            cursor.execute(_YIELDING_LANES, values | {"limit": limit - len(lanes)})
            for lane_id, yields in cursor.fetchall():
                if not yields or len(lanes) < limit - spare:
                    lanes.append(lane_id)
        if not lanes:
            return []
        cursor.execute(_HEADS, values | {"lanes": lanes})
        rows = [Claimed(*_decoded(row)) for row in cursor.fetchall()]
    nothing = set(lanes) - {row.lane_id for row in rows}
    if nothing:
        refresh_lanes(nothing)  # they looked due and had nothing: or they would be looked at for ever
    return rows


def _decoded(row: tuple[Any, ...]) -> list[Any]:
    # Django turns off psycopg2's own reading of jsonb, so the columns arrive as text.
    return [
        json.loads(value) if index in {6, 11, 12} and isinstance(value, str) else value
        for index, value in enumerate(row)
    ]


@dataclasses.dataclass(frozen=True)
class Line:
    """A line of a command's history, written with the move that it tells of."""

    text: str
    attempt: int = 0
    level: str = "info"
    detail: dict[str, Any] = dataclasses.field(default_factory=dict)


_LOCK = "SELECT 1 FROM replication_lane WHERE id = %(lane)s FOR NO KEY UPDATE"
_ALWAYS = {
    State.QUEUED: "not_before = statement_timestamp() + %(delay)s, ",
    **dict.fromkeys(FINAL, "finished_at = statement_timestamp(), dedupe_key = NULL, "),
}
WAITING = frozenset({State.QUEUED, State.SUSPENDED})
"""Where a wish to cancel that was made of a running command would outlive it: nobody looks at it there."""
_JSON = {"error", "result", "progress"}


@functools.cache
def _moving(from_: State, to: State, columns: tuple[str, ...], told: bool) -> str:
    """Lock the lane and after it, on a younger snapshot, move and tell the history: one message to the database."""
    leaves = "lease_until = NULL, lease_owner = '', " if from_ == State.EXECUTING else ""
    given = "".join(f"{column} = %({column})s, " for column in columns)
    heeds = "AND cancel_requested_at IS NULL " if leaves and to in WAITING else ""
    line = """, told AS (
        INSERT INTO replication_step (tenant_id, command_id, attempt, level, text, detail)
        SELECT tenant_id, id, %(line_attempt)s, %(line_level)s, %(line_text)s, %(line_detail)s FROM moved)"""
    return f"""
    {_LOCK};
    WITH moved AS (
        UPDATE replication_command SET {_ALWAYS.get(to, "")}{leaves}{given}state = %(to)s
        WHERE id = %(id)s AND state = %(from)s AND fence = coalesce(%(fence)s, fence) {heeds}RETURNING tenant_id, id
    ){line if told else ""}
    SELECT count(*) FROM moved
    """  # noqa: S608  columns by the names of our own arguments


def move(
    command_id: int,
    *,
    from_: State,
    to: State,
    fence: int | None = None,
    lane_id: int | None = None,
    delay: dt.timedelta | None = None,
    told: Line | None = None,
    **fields: Any,
) -> bool:
    """Move one command; False when it was not in that state (or not under that fence) any more.

    False, too, when a running one would go back to waiting and somebody has asked meanwhile to cancel it.
    `lane_id` saves whoever knows it a look; `told` is written if it moved; `fields` are further columns. Raises
    ValueError for a move that is not in the table.
    """
    if to not in MOVES[from_]:
        raise ValueError(f"A command cannot go from {from_} to {to}.")
    scope.require()
    values: dict[str, Any] = {
        name: _as_json(value) if name in _JSON else value for name, value in fields.items()
    }
    values |= {"id": command_id, "from": from_, "to": to, "fence": fence, "delay": delay or dt.timedelta()}
    if told:
        values |= {"line_attempt": told.attempt, "line_level": told.level, "line_text": told.text[:500]}
        values["line_detail"] = json.dumps(told.detail)
    with connection.cursor() as cursor:
        values["lane"] = lane_id if lane_id is not None else _lane_of(command_id)
        cursor.execute(_moving(from_, to, tuple(fields), told is not None), values)
        moved = int(cursor.fetchone()[0]) == 1
    if moved:
        refresh_lanes([values["lane"]])
    return moved


def _as_json(value: object) -> str | None:
    return None if value is None else json.dumps(value)


def hold(command_id: int, fence: int) -> bool:
    """Lock the row while its lease is ours; False when somebody else has it. Ends with the transaction.

    The heartbeat passes by what is locked, and could miss a command for ever that writes all the time. So whoever
    finds half of the lease gone here renews it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT lease_until < clock_timestamp() + %s / 2 FROM replication_command"
            " WHERE id = %s AND fence = %s AND state = 'executing' FOR NO KEY UPDATE",
            [_lease(), command_id, fence],
        )
        found = cursor.fetchone()
        if found is not None and found[0]:
            cursor.execute(
                "UPDATE replication_command SET lease_until = clock_timestamp() + %s WHERE id = %s",
                [_lease(), command_id],
            )
    return found is not None


def save_checkpoint(command_id: int, fence: int, checkpoint: dict[str, Any]) -> bool:
    return _held(command_id, fence).update(checkpoint=checkpoint) == 1


def save_progress(command_id: int, fence: int, progress: dict[str, Any]) -> bool:
    return _held(command_id, fence).update(progress=progress) == 1


_RENEW = """
    WITH mine AS (
        SELECT id FROM replication_command WHERE (id, fence) IN %(pairs)s AND state = 'executing'
        FOR NO KEY UPDATE SKIP LOCKED
    ), renewed AS (
        UPDATE replication_command c SET lease_until = clock_timestamp() + %(lease)s FROM mine WHERE c.id = mine.id
    )
    SELECT id, fence FROM replication_command
    WHERE (id, fence) IN %(pairs)s AND state = 'executing' AND cancel_requested_at IS NULL
"""


def renew(held: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Push the leases of these (id, fence) pairs ahead; what is missing from the answer was lost, or is to stop.

    What somebody locks is left for the next beat, as a rule because it is just being settled; who writes under the
    fence renews its own (`hold`). Whoever waited for one row would hold the others meanwhile, and if it was frozen
    so, everybody's claims would wait for it.
    """
    pairs = tuple(held)
    if not pairs:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_RENEW, {"pairs": pairs, "lease": _lease()})
        return set(cursor.fetchall())


_LOST_LANES = """
    SELECT id FROM replication_lane WHERE id IN (
        SELECT lane_id FROM replication_command WHERE state = 'executing' AND lease_until < statement_timestamp()
        ORDER BY lease_until LIMIT %(limit)s)
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
"""
_TAKE_BACK = """
    WITH lost AS (
        SELECT id, lease_owner AS worker,
               CASE WHEN cancel_requested_at IS NOT NULL THEN 'cancelled'
                    WHEN deaths + 1 >= %(deadly)s THEN 'suspended' ELSE 'queued' END AS becomes
          FROM replication_command
        WHERE lane_id = ANY(%(lanes)s) AND state = 'executing' AND lease_until < statement_timestamp()
        FOR NO KEY UPDATE SKIP LOCKED
    ), taken AS (
        UPDATE replication_command c
           SET state = becomes,
               reason = CASE becomes WHEN 'cancelled' THEN 'person' WHEN 'suspended' THEN 'poison'
                                     ELSE 'worker_lost' END,
               message = CASE becomes WHEN 'cancelled' THEN %(cancelled)s WHEN 'suspended' THEN %(poison)s
                                      ELSE %(lost)s END,
               error = CASE becomes WHEN 'suspended' THEN %(poison_error)s::jsonb
                                    WHEN 'queued' THEN %(lost_error)s::jsonb END,
               finished_at = CASE becomes WHEN 'cancelled' THEN statement_timestamp() END,
               deaths = deaths + 1, lease_until = NULL, lease_owner = ''
          FROM lost WHERE c.id = lost.id
        RETURNING c.id, c.tenant_id, c.attempts, c.message, lost.worker
    ), told AS (
        INSERT INTO replication_step (tenant_id, command_id, attempt, level, text, detail)
        SELECT tenant_id, id, attempts + 1, 'warning', message, jsonb_build_object('worker', worker) FROM taken
    )
    SELECT count(*) FROM taken
"""


CANCELLED_LOST = "Cancelled. Its worker had stopped in the midst of it, so what it had begun may be done."


def take_back(deadly: int, lost: UmpError, poison: UmpError, limit: int = 500) -> int:
    """Commands whose worker let the lease run out are queued again, or suspended at that many deaths; how many.

    Those that somebody asked to cancel end here: another slice would write what nobody wants any more. It is as if
    they had been cancelled while they waited; what they left behind is found as it is then, by whoever comes next.
    Their lanes keep the place that they had when they were claimed: whoever was served since then comes after them.
    What somebody locks is left for the next look: a worker that was frozen may hold a row until the database cuts it
    off, and another look-out may be at the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(_LOST_LANES, {"limit": limit})
        lanes = [row[0] for row in cursor.fetchall()]
        if not lanes:
            return 0
        values: dict[str, Any] = {"lanes": lanes, "deadly": deadly, "cancelled": CANCELLED_LOST}
        for name, error in (("lost", lost), ("poison", poison)):
            values |= {name: error.message, f"{name}_error": json.dumps(error.to_dict())}
        cursor.execute(_TAKE_BACK, values)
        taken = int(cursor.fetchone()[0])
    refresh_lanes(lanes)
    return taken


def request_cancel(command: Command) -> None:
    """Cancel at once what waits; ask what runs to stop at its next safe point. Raises Conflict when final."""
    for waiting in (State.QUEUED, State.SUSPENDED):
        if move(command.id, from_=waiting, to=State.CANCELLED, reason=Reason.PERSON, message="Cancelled."):
            return
    asked = Command.objects.filter(id=command.id, state=State.EXECUTING).update(cancel_requested_at=Now())
    if not asked:
        raise Conflict("illegal_move", action="be cancelled", state="finished")


_CANCEL_YIELDING = """
    WITH gone AS (
        UPDATE replication_command c
           SET state = 'cancelled', reason = 'person', message = 'Cancelled.', dedupe_key = NULL,
               finished_at = statement_timestamp()
          FROM replication_lane l
         WHERE c.id = ANY(%(ids)s) AND c.state = 'queued' AND l.id = c.lane_id AND l.id = ANY(%(lanes)s)
           AND l.yields_until IS NOT NULL
        RETURNING c.id, c.tenant_id
    ), told AS (
        INSERT INTO replication_step (tenant_id, command_id, attempt, level, text, detail)
        SELECT tenant_id, id, 0, 'info', %(told)s, '{}' FROM gone
    )
    SELECT count(*) FROM gone
"""


def cancel_yielding(ids: Iterable[int], told: str) -> int:
    """Cancel those that still wait and that nobody else has asked for meanwhile; how many that were."""
    values: dict[str, Any] = {"ids": list(ids), "told": told}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id FROM replication_lane WHERE id IN (SELECT lane_id FROM replication_command"
            " WHERE id = ANY(%(ids)s) AND state = 'queued') ORDER BY id FOR NO KEY UPDATE",
            values,
        )
        lanes = [row[0] for row in cursor.fetchall()]
        cursor.execute(_CANCEL_YIELDING, values | {"lanes": lanes})
        gone = int(cursor.fetchone()[0])
    refresh_lanes(lanes)
    return gone


def yield_no_longer() -> None:
    """Lanes that yielded for their time are as good as the others."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE replication_lane SET yields_until = NULL WHERE id IN (SELECT id FROM replication_lane"
            " WHERE yields_until <= statement_timestamp() ORDER BY id FOR NO KEY UPDATE SKIP LOCKED)"
        )


def cancel_wanted(command_id: int) -> bool:
    return Command.objects.filter(id=command_id, cancel_requested_at__isnull=False).exists()


def sleep_lane(lane_id: int, delay: dt.timedelta) -> None:
    """Nothing of this lane starts before then: Microsoft asked for patience, and means all of us."""
    until = Now() + delay
    Lane.objects.filter(id=lane_id).update(not_before=until, due_at=Greatest("due_at", until))


def suspend_lane(tenant_id: uuid.UUID, code: str) -> int:
    """Hold all data work of a customer until its connection is proven again; how many commands wait now."""
    lanes = _lanes_of_connection(tenant_id)
    Lane.objects.filter(id__in=lanes).update(suspended_code=code)
    held = Command.objects.filter(lane_id__in=lanes, state=State.QUEUED).update(
        state=State.SUSPENDED, reason=Reason.CONNECTION
    )
    refresh_lanes(lanes)
    return held


def _lanes_of_connection(tenant_id: uuid.UUID) -> list[int]:
    """As `lock_lanes_of_connection`, and the one of data is made where there is none yet."""
    lane_for(tenant_id, LaneName.DATA)
    return lock_lanes_of_connection(tenant_id)


def lock_lanes_of_connection(tenant_id: uuid.UUID) -> list[int]:
    """Those whose work waits for the customer's connection, locked in the order in which everybody does; their ids.

    Whoever wants the lane of identity besides takes it after them.
    """
    found = Lane.objects.filter(tenant_id=tenant_id, name__in=OF_CONNECTION).order_by("id")
    return list(found.select_for_update(no_key=True).values_list("id", flat=True))


_IS_HELD = """
    SELECT EXISTS (SELECT FROM replication_lane l WHERE l.tenant_id = %s AND l.name IN ('data', 'powershell')
        AND (l.suspended_code <> '' OR l.not_before > statement_timestamp()
             OR EXISTS (SELECT FROM replication_command c
                        WHERE c.lane_id = l.id AND c.state = 'suspended' AND c.reason = 'connection')))
"""


def is_held(tenant_id: uuid.UUID) -> bool:
    """Whether anything of the data lane waits for the connection, or the lane sleeps.

    Only certain under the connection's lock, with which everybody begins who holds or frees the lane.
    """
    with connection.cursor() as cursor:
        cursor.execute(_IS_HELD, [tenant_id])
        return bool(cursor.fetchone()[0])


def resume_lane(tenant_id: uuid.UUID) -> int:
    """The connection works (again): what waited for it is due now; how many that were."""
    lanes = _lanes_of_connection(tenant_id)
    Lane.objects.filter(id__in=lanes).update(suspended_code="", not_before=Now())
    waiting = Command.objects.filter(lane_id__in=lanes, state=State.SUSPENDED, reason=Reason.CONNECTION)
    freed = waiting.update(state=State.QUEUED, reason=Reason.NONE, error=None, message="", not_before=Now())
    refresh_lanes(lanes)
    return freed


_OF_ERROR = """
    SELECT id FROM replication_lane WHERE id IN (
        SELECT lane_id FROM replication_command
        WHERE state = 'queued' AND reason = 'backing_off' AND error ->> 'code' = %(code)s)
    ORDER BY id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""


def wake(code: str, limit: int = 500) -> int:
    """What backs off because of this error is due now, of so many lanes at a time; how many commands.

    Lanes that somebody locks are left for the next call, so that one frozen worker does not keep everybody asleep.
    """
    with connection.cursor() as cursor:
        cursor.execute(_OF_ERROR, {"code": code, "limit": limit})
        lanes = [row[0] for row in cursor.fetchall()]
    return _make_due(Q(lane_id__in=lanes, reason=Reason.BACKING_OFF, error__code=code), lanes)


def note_powershell() -> None:
    """A worker that has PowerShell looks for work: its sign of life is that the provider's lane was served."""
    lane_id = lane_for(None, LaneName.POWERSHELL)
    Lane.objects.filter(id=lane_id).update(served_at=Now())


_POWERSHELL_THERE = """
    SELECT EXISTS (SELECT FROM replication_lane WHERE tenant_id IS NULL AND name = 'powershell'
                   AND served_at > statement_timestamp() - interval '2 minutes')
        OR EXISTS (SELECT FROM replication_command c JOIN replication_lane l ON l.id = c.lane_id
                   WHERE c.state = 'executing' AND c.lease_until > statement_timestamp() AND l.name = 'powershell')
"""


def powershell_is_there() -> bool:
    """Whether a worker that has PowerShell showed itself lately; whose work it does is no matter."""
    with connection.cursor() as cursor:
        cursor.execute(_POWERSHELL_THERE)
        return bool(cursor.fetchone()[0])


def lane_suspension(lane_id: int) -> str:
    """The code of the error that suspended the lane, or nothing."""
    return Lane.objects.values_list("suspended_code", flat=True).get(id=lane_id)


def make_due(query: Q) -> int:
    """Process All: what waits for further changes is due now."""
    ids = list(Command.objects.filter(query, state=State.QUEUED).values_list("id", "lane_id"))
    lanes = sorted({row[1] for row in ids})
    for lane_id in lanes:
        lock_lane(lane_id)
    return _make_due(Q(id__in=[row[0] for row in ids]), lanes)


def _make_due(query: Q, lanes: list[int]) -> int:
    """Of these lanes, which this transaction has locked."""
    due = Command.objects.filter(query, state=State.QUEUED)
    changed = due.update(not_before=Least("not_before", Now()), reason=Reason.NONE)
    refresh_lanes(lanes)
    return changed


def add_step(
    command_id: int,
    tenant_id: uuid.UUID | None,
    text: str,
    *,
    attempt: int = 0,
    level: str = "info",
    detail: dict[str, Any] | None = None,
) -> None:
    Step.objects.bulk_create(
        [
            Step(
                command_id=command_id,
                tenant_id=tenant_id,
                text=text[:500],
                attempt=attempt,
                level=level,
                detail=detail or {},
            )
        ]
    )


def lock_lane_of(command_id: int) -> None:
    """Lock the command's lane until the transaction ends.

    The order of all locks here is lane, then command. The claim takes them so; whoever took a command first
    and then wanted its lane could meet a claim half-way, and neither would ever go on.
    """
    lane_id = _lane_of(command_id)
    if lane_id is not None:
        lock_lane(lane_id)


def lock_lanes_of(command_ids: Iterable[int]) -> None:
    """Lock the lanes of all these until the transaction ends, in the order in which everybody locks many.

    Those whose work waits for a connection come before those of identity, and among them each by its number.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM replication_lane WHERE id IN (SELECT lane_id FROM replication_command WHERE id = ANY(%s))"
            " ORDER BY name = 'identity', id FOR NO KEY UPDATE",
            [list(command_ids)],
        )


def _lane_of(command_id: int) -> int | None:
    """None when there is no such command in the scope in force."""
    return Command.objects.filter(id=command_id).values_list("lane_id", flat=True).first()


def lock_lane(lane_id: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_LOCK, {"lane": lane_id})


_REFRESHED = f"""
    UPDATE replication_lane l SET
        due_at = CASE WHEN {_EXECUTING} IS NULL THEN (
            SELECT greatest(c.not_before, l.not_before, l.served_at) FROM replication_command c
            WHERE c.lane_id = l.id AND c.state = 'queued' AND {_UNBLOCKED} ORDER BY c.not_before LIMIT 1) END,
        yields_until = CASE WHEN %(yields)s THEN l.yields_until END
    WHERE l.id = ANY(%(lanes)s)
"""  # noqa: S608  as above


def refresh_lanes(lanes: Iterable[int], *, yields: bool = True) -> None:
    """Keep `due_at`, by which the claim finds work without looking at commands, in step with the rows.

    It is also the lane's place in the row of those that wait: the moment from which it could have been served, or at
    which it was served last. Claims serve by it, so that each due lane is served once before any is served again, and
    the claim reads no more of the index than it takes.

    An earlier statement of this transaction has locked the lanes: one that waits for a lock goes on with the snapshot
    from before the wait, would miss a command that was queued meanwhile, and nobody would ever be woken for it.
    Without `yields` they wait behind others no more.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REFRESHED, {"lanes": list(lanes), "yields": yields})


def _lease() -> Any:
    """A timedelta; psycopg2 takes it, its stubs do not know."""
    return dt.timedelta(seconds=settings.COMMAND_LEASE_SECONDS)


def _held(command_id: int, fence: int) -> QuerySet[Command]:
    return Command.objects.filter(id=command_id, fence=fence, state=State.EXECUTING)


def count_open() -> dict[str, int]:
    """Open / Executing / Queued over the scope in force (REP-01)."""
    waiting = {State.EXECUTING: 0, State.QUEUED: 0, State.SUSPENDED: 0}
    rows = Command.objects.filter(state__in=OPEN).order_by().values_list("state").annotate(Count("id"))
    waiting |= {State(state): count for state, count in rows}
    return {"open": sum(waiting.values())} | {state.value: count for state, count in waiting.items()}
