"""Rows of the queue as a life of its own would have left them, put there by the tables' owner."""

from typing import Any

_NOW = {"queued_at": "at", "not_before": "at", "started_at": "NULL", "finished_at": "NULL"}
_COLUMNS = {
    "kind": "'bench_call'",
    "target": "''",
    "params": "'{}'",
    "dry_run": "false",
    "state": "'queued'",
    "reason": "''",
    "outcome": "''",
    "message": "''",
    "result": "'{}'",
    "attempts": "0",
    "max_attempts": "10",
    "deaths": "0",
    "slices": "0",
    "checkpoint": "'{}'",
    "progress": "'{}'",
    "lease_owner": "''",
    "fence": "0",
    "actor_kind": "'system'",
    "actor_id": "''",
    "actor_label": "'bench'",
}
FINISHED = {
    "state": "'succeeded'",
    "outcome": "'complete'",
    "message": "'Called.'",
    "slices": "1",
    "fence": "1",
    "started_at": "at",
    "finished_at": "at",
}
"""For `commands`: those that are over, as years leave them behind."""


def commands(cursor: Any, number: int, *, lanes: str = "true", at: str = "now()", **own: str) -> None:
    """That many commands, dealt out in turn to the lanes for which the condition `lanes` holds.

    `at` and `own` are expressions of SQL, where `n` counts the commands and `at` is that command's time. Lanes are
    not told: see `due`.
    """
    columns = _COLUMNS | _NOW | own
    cursor.execute(
        f"""
        INSERT INTO replication_command (tenant_id, lane_id, {", ".join(columns)})
        SELECT l.tenant_id, l.id, {", ".join(columns.values())}
        FROM (SELECT id, tenant_id, row_number() OVER (ORDER BY id) - 1 AS place
              FROM replication_lane WHERE {lanes}) l
        JOIN generate_series(1, %(number)s) AS n
          ON n %% (SELECT count(*) FROM replication_lane WHERE {lanes}) = l.place
        CROSS JOIN LATERAL (SELECT {at} AS at) moment
        """,
        {"number": number},
    )


def customers(cursor: Any, number: int) -> None:
    """That many customers like the first one; each has a lane for data, where nothing is due yet."""
    cursor.execute("SELECT column_name FROM information_schema.columns WHERE table_name = 'tenants_tenant'")
    columns = [row[0] for row in cursor.fetchall()]
    own = {"id": "gen_random_uuid()", "name": "'Lane ' || n", "entra_tenant_id": "NULL", "number": "NULL"}
    taken = ", ".join(own.get(name, f't."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    cursor.execute(
        f"""
        WITH made AS (
            INSERT INTO tenants_tenant ({names})
            SELECT {taken} FROM (SELECT * FROM tenants_tenant ORDER BY id LIMIT 1) t, generate_series(1, %s) AS n
            RETURNING id
        )
        INSERT INTO replication_lane (tenant_id, name, suspended_code) SELECT id, 'data', '' FROM made
        """,
        [number],
    )


def due(cursor: Any) -> None:
    """Every lane with something queued waits for its turn from now on."""
    cursor.execute(
        "UPDATE replication_lane SET due_at = now() WHERE id IN (SELECT lane_id FROM replication_command"
        " WHERE state = 'queued')"
    )
