"""Changes where Graph has no telephony: numbers and policies by PowerShell, the rest by Graph."""

import uuid
from collections.abc import Callable

import pytest

from directory.models import DirectoryUser
from provisioning import services
from provisioning.models import ChangeState, Edit, LineState, Plan, PlanState
from replication import services as queue
from replication.models import Command
from tenants import scope
from tenants.access import SYSTEM
from tests.directory.pretend import Customer, Killed, Worker
from tests.provisioning.helpers import ANNA, Stage, allow, codes
from tests.telephony import helpers as telephony
from tests.telephony.cmdlets import PretendCmdlets, with_powershell

pytestmark = pytest.mark.django_db
SET, REMOVE, CALLING = (
    "Set-CsPhoneNumberAssignment",
    "Remove-CsPhoneNumberAssignment",
    "policy:TeamsCallingPolicy",
)
GRANT = "Grant-CsTeamsCallingPolicy"


@pytest.fixture
def bare(add_customer: Callable[..., Customer], worker: Worker) -> Stage:
    """A customer in GCC High whose directory is in the copy; no worker has PowerShell."""
    customer = add_customer(
        users=80, cloud="gcc_high", telephony={"head": "+12065550", "digits": 3, "free": 20}
    )
    allow(customer)
    worker.run(customer, "sync")
    return Stage(customer, worker)


@pytest.fixture
def teams(bare: Stage, monkeypatch: pytest.MonkeyPatch) -> PretendCmdlets:
    found = with_powershell(monkeypatch, bare.customer)
    telephony.read(bare.worker, bare.customer)
    return found


@pytest.fixture
def stage(bare: Stage, teams: PretendCmdlets) -> Stage:
    return bare


def somebody(stage: Stage) -> uuid.UUID:
    """A user of the cloud."""
    with scope.one(stage.tenant.id):
        found: uuid.UUID = DirectoryUser.objects.filter(tenant=stage.tenant, on_premises=False)[0].object_id
        return found


def lanes(stage: Stage) -> set[str]:
    with scope.one(stage.tenant.id):
        rows = Command.objects.filter(tenant=stage.tenant, kind="apply_changes")
        return set(rows.values_list("lane__name", flat=True))


def test_everything_is_written_once_each_by_its_way_and_taken_back(
    stage: Stage, teams: PretendCmdlets
) -> None:
    held = stage.held()
    (new, other), (has,), (number,) = stage.without_number(2), stage.with_number(1), stage.free(1)
    policy = {"id": "No forwarding", "name": "No forwarding"}
    asked = stage.ask(
        [
            (new, "number", number),
            (has, "number", None),
            (other, CALLING, policy),
            (other, "user:department", "Ops"),
        ]
    )
    assert codes(asked) == [""] * 4
    done = stage.process()
    assert (done.state, done.outcome) == ("succeeded", "complete"), done.message
    freed = next(key for key, user in held.items() if user == str(has))
    wrote = [(REMOVE, str(has), freed), (GRANT, str(other), "No forwarding"), (SET, str(new), number)]
    assert sorted(teams.writes) == sorted(wrote)
    assert teams.writes[0][0] == REMOVE, "what is freed goes first"
    assert lanes(stage) == {"powershell"}
    lines = stage.lines(stage.plan())
    assert {line.state for line in lines} == {LineState.DONE}
    assert {line.aspect: line.where for line in lines} == {
        "number": "Teams PowerShell",
        CALLING: "Teams PowerShell",
        "user:department": "Microsoft Graph",
    }
    stage.replicate()
    with scope.one(stage.tenant.id):
        undone, left = services.undo(ANNA, stage.tenant, stage.plan())
    assert (len(undone.kept), left) == (4, [])
    assert stage.process().outcome == "complete"
    assert stage.held() == held


@pytest.mark.parametrize("at", [1, 2, 5])
def test_killed_at_any_write_it_is_written_once(stage: Stage, teams: PretendCmdlets, at: int) -> None:
    users, numbers = stage.without_number(3), stage.free(3)
    stage.give(users, numbers)
    seen = 0

    def deadly() -> None:
        nonlocal seen
        seen += 1
        if seen == at:
            raise Killed

    teams.struck = deadly
    with pytest.raises(Killed):
        stage.process()
    stage.pass_time()
    stage.worker.take_back()
    done = stage.process()
    assert (done.state, done.outcome) == ("succeeded", "complete"), done.message
    wanted = sorted((SET, str(user), number) for user, number in zip(users, numbers, strict=True))
    assert sorted(teams.writes) == wanted


def test_a_lost_answer_is_read_back_and_the_next_write_has_a_new_session(
    stage: Stage, teams: PretendCmdlets
) -> None:
    users, numbers = stage.without_number(2), stage.free(2)
    stage.give(users, numbers)
    teams.lost = [SET]
    before = teams.sessions
    done = stage.process()
    assert (done.state, done.outcome) == ("succeeded", "complete"), done.message
    assert len(teams.writes) == 2
    assert teams.sessions > before + 1


def test_what_teams_refuses_fails_alone_and_what_keeps_everybody_out_waits(
    stage: Stage, teams: PretendCmdlets
) -> None:
    (user,), (number,) = stage.without_number(1), stage.free(1)
    stage.ask([(user, "number", number), (user, CALLING, {"id": "", "name": "Nobody's"})])
    assert stage.process().outcome == "partial"
    told = {row.aspect: (row.problem or {}).get("code") for row in stage.changes()}
    assert told == {"number": None, CALLING: "policy_unknown"}
    teams.refuses[REMOVE] = ("Forbidden", "Access denied.")
    stage.ask([(user, "number", None)])
    done = stage.process()
    assert (done.state, done.error["code"]) == ("suspended", "role_missing")
    assert {line.state for line in stage.lines(stage.plan())} == {LineState.PLANNED}
    assert stage.held()[number] == str(user)


def test_what_stops_it_in_the_middle_leaves_what_was_written(stage: Stage, teams: PretendCmdlets) -> None:
    users, numbers = stage.without_number(3), stage.free(3)
    stage.give(users, numbers)
    struck = []

    def lock_out() -> None:
        struck.append(1)
        if len(struck) == 2:  # after the first write
            teams.refuses[SET] = ("Forbidden", "Access denied.")

    teams.struck = lock_out
    done = stage.process()
    assert (done.state, done.error["code"]) == ("suspended", "role_missing")
    assert sorted(line.state for line in stage.lines(stage.plan())) == ["accepted", "planned", "planned"]
    teams.refuses.clear()
    with scope.one(stage.tenant.id):
        queue.retry(SYSTEM, done)
    assert stage.finish(done).outcome == "complete"
    wanted = sorted((SET, str(user), number) for user, number in zip(users, numbers, strict=True))
    assert sorted(teams.writes) == wanted


def test_a_plan_is_drawn_and_nothing_written(stage: Stage, teams: PretendCmdlets) -> None:
    (user,), (number,) = stage.without_number(1), stage.free(1)
    stage.give([user], [number])
    command, plan = stage.draw()
    assert (plan.state, plan.figures) == (PlanState.READY, {"give": 1})
    assert (command.result["lines"], teams.writes) == ({"give": 1}, [])


def test_without_powershell_the_rest_is_written_and_the_wish_says_who_can_mend_it(bare: Stage) -> None:
    user = somebody(bare)
    asked = bare.ask([(user, "number", "+12065559999"), (user, "user:department", "Ops")])
    assert codes(asked) == ["teams_needs_powershell", ""]
    assert asked.refused[0].problem is not None
    assert "gives a worker PowerShell" in asked.refused[0].problem.advice
    done = bare.process()
    assert (done.outcome, lanes(bare)) == ("complete", {"data"}), done.message
    with scope.one(bare.tenant.id):
        assert Plan.objects.count() == Edit.objects.count() == 1
    assert [row.state for row in bare.changes()] == [ChangeState.APPLIED]


def test_all_that_is_open_lies_in_one_lane(bare: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """PowerShell came while something waited in the other lane: two lanes would run at once."""
    user = somebody(bare)
    bare.ask([(user, "user:department", "Ops")])
    with_powershell(monkeypatch, bare.customer)
    bare.ask([(user, "user:city", "Reston")])
    assert lanes(bare) == {"data"}
    assert bare.process().outcome == "complete"
    bare.ask([(user, "user:city", "Fairfax")])
    assert lanes(bare) == {"data", "powershell"}
