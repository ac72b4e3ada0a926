"""What other systems are told of plans and numbers: with what it tells of, and once."""

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from events.models import Event
from replication.context import Context
from tenants import scope
from tests.directory.pretend import Killed
from tests.provisioning.helpers import Stage

pytestmark = pytest.mark.django_db
OURS = ("plan.ready", "plan.applied", "number.assigned", "number.unassigned")


def told(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    with scope.one(stage.tenant.id):
        rows = Event.objects.filter(tenant=stage.tenant, type__in=OURS).order_by("id")
        return [(row.type, row.data) for row in rows]


def test_a_plan_and_its_numbers_are_told_in_their_order(stage: Stage) -> None:
    (taken,), (user, *_), (number,) = stage.with_number(1), stage.without_number(1), stage.free(1)
    held = {target: number for number, target in stage.held().items()}
    stage.ask([(taken, "number", None), (user, "number", number), (user, "user:department", "Sales")])
    _command, drawn = stage.draw()
    assert told(stage) == [("plan.ready", {
        "plan": str(drawn.uid), "command": drawn.command_id, "lines": drawn.figures, "needs_confirmation": False,
    })]  # fmt: skip
    done = stage.process()
    plan = stage.plan()
    _, *later = told(stage)
    assert [type_ for type_, _ in later] == ["number.unassigned", "number.assigned", "plan.applied"]
    lost, won, applied = (data for _, data in later)
    assert lost["numbers"] == [{"number": held[str(taken)], "user_id": str(taken)}]
    assert won["numbers"] == [{"number": number, "user_id": str(user)}]
    assert applied == {
        "plan": str(plan.uid), "command": done.id, "outcome": "complete", "lines": {"written": 3},
    }  # fmt: skip


def test_failures_and_second_persons_are_told_too(stage: Stage, settings: Any) -> None:
    settings.REMOVAL_FLOOR, settings.REMOVAL_SHARE = 0, 0.0
    stage.ask([(stage.with_number(1)[0], "number", None)])
    stage.process()
    ((type_, data),) = told(stage)
    assert (type_, data["needs_confirmation"], data["lines"]) == ("plan.ready", True, {"take": 1})


def test_an_order_that_failed_is_no_number_that_somebody_has(stage: Stage) -> None:
    stage.give(stage.without_number(1), stage.free(1))
    stage.customer.pretend.behaviour.order_fails = "The inventory service is not there."
    stage.process()
    ((type_, data),) = told(stage)
    assert (type_, data["outcome"], data["lines"]) == ("plan.applied", "partial", {"failed": 1})


@pytest.mark.parametrize("before", ["plan.applied", "number.assigned"])
def test_a_worker_that_dies_around_the_telling_tells_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    stage.give(stage.without_number(1), stage.free(1))
    original, died = Context.transaction, []

    @contextlib.contextmanager
    def deadly(self: Context) -> Iterator[None]:
        with original(self):
            yield
        if not died and before in {type_ for type_, _ in told(stage)}:
            died.append(True)
            raise Killed

    monkeypatch.setattr(Context, "transaction", deadly)
    with pytest.raises(Killed):
        stage.process()
    stage.pass_time()
    stage.worker.take_back()
    assert stage.process().state == "succeeded"
    assert [type_ for type_, _ in told(stage)] == ["number.assigned", "plan.applied"]
