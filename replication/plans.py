"""Plans that wait for a person: what a run would take away, and whether somebody agreed (DESIGN 5).

A run that finds it would remove too much draws a plan in its own transaction and raises plan_needs_approval. When
it goes on, it reads anew and asks what of that nobody has agreed to; only when that is nothing does it remove.
"""

import uuid
from collections.abc import Callable, Sequence
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from psycopg2.sql import SQL, Composed

from core.errors import UmpError
from replication.models import Command, Removal, RemovalPlan, State

CODE = "plan_needs_approval"
Lines = tuple[Composed, Sequence[Any]]
"""A SELECT of (noun, key, name, detail) of what would be removed, with its parameters."""


def ask(
    tenant_id: uuid.UUID,
    command_id: int,
    lines: Lines,
    *,
    why: Callable[[int], str],
    figures: list[dict[str, Any]],
) -> UmpError | None:
    """plan_needs_approval with a plan drawn, unless a person has agreed to all of these lines.

    His word holds for what was in the plan that he saw: fewer may go, others may not. `why` is told how many those
    others are. Call it under the fence.
    """
    agreed = approved(command_id)
    new = not_in(agreed, lines) if agreed else 0
    if agreed and not new:
        return None
    plan = draw(tenant_id, command_id, lines, why=why(new), figures=figures)
    return UmpError.of(CODE, count=plan.removals, detail={"plan": plan.id})


def may_go_unseen(gone: int, have: int) -> bool:
    """Whether so few would go of those there are that nobody need look (complaint B 21)."""
    return bool(gone <= max(settings.REMOVAL_FLOOR, have * settings.REMOVAL_SHARE))


def draw(
    tenant_id: uuid.UUID, command_id: int, lines: Lines, *, why: str, figures: list[dict[str, Any]]
) -> RemovalPlan:
    """Write down what would go, in place of what this command planned before. Call it under the fence."""
    of_command(command_id).delete()
    plan: RemovalPlan = RemovalPlan.objects.create(
        tenant_id=tenant_id, command_id=command_id, why=why, figures=figures
    )
    select, params = lines
    statement = SQL(
        "INSERT INTO replication_removal (tenant_id, plan_id, noun, key, name, detail)"
        " SELECT %s, %s, l.noun, l.key, left(l.name, 300), left(l.detail, 300) FROM ({}) l"
    ).format(select)
    with connection.cursor() as cursor:
        cursor.execute(statement, [tenant_id, plan.id, *params])
    return plan


def approved(command_id: int) -> RemovalPlan | None:
    """The plan of this command that a person confirmed."""
    return of_command(command_id).filter(approved_at__isnull=False).first()


def not_in(plan: RemovalPlan, lines: Lines) -> int:
    """How many of these lines the plan does not hold, so that nobody has looked at them."""
    select, params = lines
    statement = SQL(
        "SELECT count(*) FROM ({}) l WHERE NOT EXISTS (SELECT FROM replication_removal p"
        " WHERE p.tenant_id = %s AND p.plan_id = %s AND p.noun = l.noun AND p.key = l.key)"
    ).format(select)
    with connection.cursor() as cursor:
        cursor.execute(statement, [*params, plan.tenant_id, plan.id])
        return int(cursor.fetchone()[0])


def of_command(command_id: int) -> QuerySet[RemovalPlan]:
    """Its plan, or none; the newest is the only one."""
    found: QuerySet[RemovalPlan] = RemovalPlan.objects.filter(command_id=command_id)
    return found


def lines_of(plan: RemovalPlan, *, noun: str = "", search: str = "") -> QuerySet[Removal]:
    """Kind by kind, by name. A search looks at names, addresses and whole ids."""
    found: QuerySet[Removal] = Removal.objects.filter(tenant_id=plan.tenant_id, plan=plan)
    if noun:
        found = found.filter(noun=noun)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(detail__icontains=search) | Q(key=search.lower()))
    return found


def awaited(command: Command) -> bool:
    """Whether the command stands still until somebody has looked at its plan."""
    return command.state == State.SUSPENDED and (command.error or {}).get("code") == CODE
