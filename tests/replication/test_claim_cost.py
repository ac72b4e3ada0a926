"""What a claim looks at: as many rows as it takes, however many lanes are due and whatever the statistics say."""

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from django.db import connection, connections, transaction

from bench import rows
from replication import states
from replication.models import Command, Lane, State
from tenants import scope
from tests.cast import Cast
from tests.replication.kinds import scripted
from tests.replication.test_queue import submit

LIMIT = 20
BIG = {"replication_command", "replication_lane", "replication_step", "tenants_tenant"}


@pytest.fixture
def crowd(committed_cast: Cast) -> None:
    """Statistics of a quiet night, when all was finished, and then 1,500 customers and a large one with wishes.

    Among a million finished rows ten thousand new ones bring no new statistics, so this is how it usually is.
    """
    with scripted():
        submit(committed_cast.contoso)
    owner = connections["owner"].get_connection_params()
    owner.pop("cursor_factory", None)
    with psycopg2.connect(**owner) as raw, raw.cursor() as cursor:
        rows.customers(cursor, 1_500)
        cursor.execute("TRUNCATE replication_command, replication_step CASCADE")
        rows.commands(cursor, 20_000, **rows.FINISHED)
        cursor.execute("UPDATE replication_lane SET due_at = NULL")
        cursor.execute("ANALYZE replication_command, replication_lane, tenants_tenant")
        rows.commands(cursor, 3_000, target="'thing ' || n")
        large = f"tenant_id = '{committed_cast.contoso.id}'"
        rows.commands(cursor, 2_000, lanes=large, target="'more ' || n")
        rows.due(cursor)
    raw.close()


def visited(plan: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """(kind of scan, table, rows looked at) of each scan of a big table in the plan."""
    if plan.get("Relation Name") in BIG and "Scan" in plan["Node Type"]:
        seen = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        yield plan["Node Type"], plan["Relation Name"], seen * plan["Actual Loops"]
    for below in plan.get("Plans", ()):
        yield from visited(below)


def cost(statement: str, given: dict[str, Any]) -> list[tuple[str, str, float]]:
    """What the statement looked at; it is undone."""
    with scope.every("a test explains"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", given)
        found = cursor.fetchone()[0]
        transaction.set_rollback(True)
    plan = json.loads(found) if isinstance(found, str) else found
    return list(visited(plan[0]["Plan"]))


def values() -> dict[str, Any]:
    """For all statements of a claim and of a move."""
    with scope.every("a test looks"):
        lanes = Lane.objects.filter(due_at__isnull=False).order_by("id").values_list("id", flat=True)
        return {
            "limit": LIMIT,
            "serves": ["data", "identity"],
            "lanes": list(lanes[:LIMIT]),
            "owner": "test",
            "lease": dt.timedelta(seconds=30),
            "yields": True,
            "id": Command.objects.filter(state=State.QUEUED).order_by("-id").values_list("id", flat=True)[0],
            "from": State.QUEUED,
            "to": State.CANCELLED,
            "fence": 0,
        }


@pytest.mark.django_db(transaction=True)
def test_claims_and_moves_look_at_no_more_than_they_take(crowd: None) -> None:
    given = values()
    _, move = states._moving(State.QUEUED, State.CANCELLED, (), False).split(";")
    for statement in (states._LANES, states._YIELDING_LANES, states._HEADS, states._REFRESHED, move):
        seen = cost(statement, given)
        assert [one for one in seen if one[0] == "Seq Scan"] == [], statement
        assert max((number for _, _, number in seen), default=0) <= 2 * LIMIT, statement
