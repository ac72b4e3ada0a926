"""What other systems are told: the first build, each later one that wrote something, what stopped, and the end."""

from typing import Any

import pytest

from core.errors import UmpError
from events.models import Event
from resource_accounts import services
from resource_accounts.models import Kind
from tenants import scope
from tenants.access import SYSTEM
from tests.resource_accounts.stage import Stage
from tests.resource_accounts.test_building import pasted

pytestmark = pytest.mark.django_db


def told(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    with scope.one(stage.tenant.id):
        rows = Event.objects.filter(type__regex="^(resource_account|call_flow)").order_by("id")
        return [(row.type, row.data) for row in rows]


def test_from_the_first_build_to_the_end(stage: Stage) -> None:
    design = stage.add()
    stage.teams.before_write = refuse
    stage.carried_out(stage.build(design))
    stage.teams.before_write = lambda cmdlet: None
    first = stage.carried_out(stage.build(design))
    stage.carried_out(stage.build(design))
    with scope.one(stage.tenant.id):
        services.change(SYSTEM, design, spec={**design.spec, "greeting": "Good day"})
    stage.carried_out(stage.build(design))
    stage.carried_out(stage.remove(design))
    found = told(stage)
    assert [type_ for type_, _ in found] == [
        "resource_account.failed",
        "resource_account.created",
        "call_flow.changed",
        "resource_account.removed",
    ], "a build with nothing to write tells nothing"
    assert found[0][1]["code"] == "service_account_failed", "as it was told to people (SYN-17)"
    assert found[1][1] == {
        "design": str(design.uid),
        "type": "auto_attendant",
        "name": "Reception",
        "account": "reception@contoso.test",
        "number": "+4930111",
        "by_hand": False,
        "command": first.id,
    }


def refuse(cmdlet: str) -> None:
    raise UmpError.of("account_disabled")


def test_what_a_person_built_and_took_away(stage: Stage) -> None:
    design = stage.add(Kind.CALL_QUEUE)
    stage.carried_out(stage.build(design))
    with scope.one(stage.tenant.id):
        type(design).objects.filter(pk=design.pk).update(owned={}, state="", built_at=None)
        Event.objects.all().delete()
        line = pasted(stage, design)
        for _ in range(2):
            services.verify(SYSTEM, design, line)
        stage.teams.accounts.clear()
        stage.teams.bodies.clear()
        stage.teams.numbers.clear()
        services.verify(SYSTEM, design, pasted(stage, design))
    found = told(stage)
    assert [type_ for type_, _ in found] == ["resource_account.created", "resource_account.removed"]
    assert found[0][1]["by_hand"], "and told once"
