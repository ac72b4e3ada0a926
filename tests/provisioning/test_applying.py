"""From a wish to Microsoft and back: written once, seen afterwards, and taken back."""

from collections.abc import Callable

import pytest

from provisioning import services
from provisioning.models import ChangeState, LineState, PlanState
from tenants import scope
from tests.directory.pretend import Killed
from tests.provisioning.helpers import ANNA, Stage, codes

pytestmark = pytest.mark.django_db


def test_ten_numbers_are_given_once_and_taken_back(stage: Stage) -> None:
    before = stage.held()
    users, given = stage.without_number(10), stage.free(10)
    asked = stage.give(users, given)
    assert codes(asked) == [""] * 10
    done = stage.process()
    assert (done.state, done.outcome) == ("succeeded", "complete"), done.message
    assert stage.held() == before | {number: str(user) for user, number in zip(users, given, strict=True)}
    assert sorted(stage.orders()) == sorted((n, str(u)) for u, n in zip(users, given, strict=True))
    plan = stage.plan()
    assert plan.state == PlanState.APPLIED
    assert {line.state for line in stage.lines(plan)} == {LineState.DONE}
    assert all(line.request_id for line in stage.lines(plan))
    stage.replicate()
    with scope.one(stage.tenant.id):
        undone, left = services.undo(ANNA, stage.tenant, plan)
    assert (len(undone.kept), left) == (10, [])
    assert stage.process().state == "succeeded"
    assert stage.held() == before


def test_a_plan_is_looked_at_then_applied_and_refused_once_the_tenant_moved(stage: Stage) -> None:
    users, given = stage.without_number(2), stage.free(2)
    stage.give(users, given)
    command, plan = stage.draw()
    assert stage.orders() == []
    assert (plan.state, plan.figures) == (PlanState.READY, {"give": 2})
    with scope.one(stage.tenant.id):
        applied = services.apply(ANNA, stage.tenant, plan, plan.digest)
    with stage.customer.directory.lock:  # somebody gives the first user a number at Microsoft meanwhile
        from simulator.graph.teams_state import telephony_of

        telephony_of(stage.customer.pretend).set(stage.free(3)[2], str(users[0]), stage.customer.now())
    ended = stage.finish(applied)
    assert (ended.state, ended.error["code"]) == ("failed", "changes_moved")
    assert stage.orders() == []
    assert {row.state for row in stage.changes()} == {ChangeState.PENDING}
    _, again = stage.draw()
    assert again.figures == {"give": 1, "change": 1}
    with scope.one(stage.tenant.id):
        applied = services.apply(ANNA, stage.tenant, again, again.digest)
    assert stage.finish(applied).state == "succeeded"
    assert {stage.held()[number] for number in given} == {str(user) for user in users}


@pytest.mark.parametrize("at", range(1, 9))
def test_killed_at_any_commit_it_is_written_once(
    stage: Stage, dies: Callable[[int], None], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from replication.context import Context

    users, given = stage.without_number(3), stage.free(3)
    stage.give(users, given)
    original, seen = Context.transaction, 0

    def deadly(self: Context):  # type: ignore[no-untyped-def]
        import contextlib

        @contextlib.contextmanager
        def around():  # type: ignore[no-untyped-def]
            nonlocal seen
            with original(self):
                yield
            seen += 1
            if seen == at:
                raise Killed

        return around()

    monkeypatch.setattr(Context, "transaction", deadly)
    try:
        done = stage.process()
    except Killed:
        stage.pass_time()
        stage.worker.take_back()
        done = stage.process()
    assert done.state == "succeeded", (done.state, done.message, done.error)
    assert sorted(stage.orders()) == sorted((n, str(u)) for u, n in zip(users, given, strict=True))
    assert {stage.held()[number] for number in given} == {str(user) for user in users}
