"""Every write of every kind of command is fenced: seen while it runs (tests.fences), and tried with a fence that has
moved on."""

import ast
import contextlib
import importlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from core.errors import LeaseLost
from replication import runner, states
from replication.registry import kinds
from tenants import scope
from tests.chaos import killing
from tests.chaos.killing import Blow, carry_out
from tests.chaos.scenarios import SCENARIOS, World
from tests.chaos.test_killed_anywhere import fresh, hook, mailbox, microsoft, microsoft_server, world
from tests.fences import fenced

__all__ = ["fenced", "hook", "mailbox", "microsoft", "microsoft_server", "world"]
pytestmark = pytest.mark.django_db


class _Over(BaseException):
    """Nothing more is to be seen."""


@contextlib.contextmanager
def running(run_one: Callable[..., Any]) -> Iterator[None]:
    """Every slice goes through `run_one(real, claimed)`."""
    real = runner.run_one
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "run_one", lambda claimed: run_one(real, claimed))
        yield


def begin(world: World, kind: str) -> None:
    fresh(world)
    SCENARIOS[kind].prepare(world)


ROOT = Path(__file__).resolve().parents[2]
ROOMS = {type(kind).__module__.partition(".")[0] for kind in kinds().values()} - {"tests"}


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_with_commands_looks_at_its_runs(room: str) -> None:
    assert importlib.import_module(f"tests.{room}.conftest").fenced is fenced


def test_every_line_that_writes_asks_for_the_lease() -> None:
    """Also where it was asked just before, for a note: a write is repeated after a pause, and then asks again."""
    asked = [
        f"{path.relative_to(ROOT)}:{node.value.lineno} {ast.unparse(node.value)}"
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.keyword) and node.arg == "before_write"
    ]
    assert len(asked) > 10
    right = re.compile(r".* ((None if (self\.)?ctx\.dry_run else )?(self\.)?ctx\.still_ours|before_write)")
    assert [one for one in asked if not right.fullmatch(one)] == []


@pytest.mark.parametrize("kind", sorted(SCENARIOS))
def test_what_a_run_writes_is_fenced(world: World, kind: str, fenced: set[str]) -> None:
    begin(world, kind)
    carry_out(Blow(""), world.meanwhile)
    assert kind in fenced, "tests.fences has not looked at it"


@pytest.mark.parametrize("kind", sorted(SCENARIOS))
def test_who_lost_the_lease_writes_nothing(world: World, kind: str) -> None:
    def robbed(real: Callable[..., Any], claimed: states.Claimed) -> Any:
        if claimed.kind != kind:
            return real(claimed)
        with scope.every("another worker takes over"), connection.cursor() as cursor:
            cursor.execute("UPDATE replication_command SET fence = fence + 1 WHERE id = %s", [claimed.id])
        before = contents()
        with contextlib.suppress(LeaseLost):
            runner._settle(claimed, real(claimed))
        assert _changed(before, contents()) == set()
        raise _Over

    begin(world, kind)
    with running(robbed), pytest.raises(_Over), transaction.atomic():
        carry_out(Blow(""), world.meanwhile)


def contents() -> dict[str, str]:
    """A digest of each table; equal exactly when nothing in it has changed."""
    with scope.every("a test looks"), connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        names = [row[0] for row in cursor.fetchall() if row[0] not in killing.NOTES]
        parts = (
            f"SELECT '{name}', md5(string_agg(one::text, ' ' ORDER BY one::text)) FROM {name} AS one"
            for name in names
        )
        cursor.execute(" UNION ALL ".join(parts))
        return dict(cursor.fetchall())


def _changed(before: dict[str, str], now: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != now[name]}
