"""From a wish to Microsoft and back: written once, seen afterwards, and taken back."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.errors import UmpError
from directory.models import DirectoryUser
from m365 import identity, pacing, permissions
from m365.graph import GraphClient
from provisioning import applying, aspects, commands, judging, planning, sending, services
from provisioning.aspects import Answers, Desk, Intent
from provisioning.models import Change, ChangeState, Line, LineState, PlanState
from replication import services as queue
from replication import states
from replication.context import Context
from replication.models import Command, Reason, RemovalPlan, State
from simulator.graph.teams_state import telephony_of
from tenants import scope
from tenants.access import SYSTEM
from tests.directory.pretend import Killed
from tests.provisioning.helpers import ANNA, Stage, allow, codes

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
    with CaptureQueriesContext(connection) as seen:
        _command, plan = stage.draw()
    assert not [one for one in seen if 'FROM "provisioning_edit"' in one["sql"]]  # they come with the changes
    assert stage.orders() == []
    assert (plan.state, plan.figures) == (PlanState.READY, {"give": 2})
    with scope.one(stage.tenant.id):
        applied = services.apply(ANNA, stage.tenant, plan, plan.digest)
    with stage.customer.directory.lock:  # somebody gives the first user a number at Microsoft meanwhile
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
    stage: Stage, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    users, given = stage.without_number(3), stage.free(3)
    stage.give(users, given)
    original, seen = Context.transaction, 0

    @contextlib.contextmanager
    def deadly(self: Context) -> Iterator[None]:
        nonlocal seen
        with original(self):
            yield
        seen += 1
        if seen == at:
            raise Killed

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


def sent(stage: Stage) -> list[tuple[str, str]]:
    """Every write that Microsoft took, in its order: whose, and what."""
    history = [entry for entry in stage.customer.microsoft.state.history if entry["kind"] == "write"]
    told = []
    for entry in history:
        body = entry["body"] or {}
        if entry["path"].endswith("Number"):
            told.append((body.get("assignmentTargetId", ""), body["telephoneNumber"]))
        elif entry["method"] == "PATCH":
            told += [(entry["path"].rpartition("/")[2], name) for name in body]
        else:
            told += [(one["userId"], one["policyType"]) for one in body["value"]]
    return told


@pytest.mark.parametrize("ahead", [100, 1])
def test_those_of_one_user_go_in_their_order_and_a_number_before_whoever_waits_for_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, ahead: int
) -> None:
    """Though the waiting one asked first, and everything fits into one batch; however few lines are looked at."""
    monkeypatch.setattr(applying, "LOOK_AHEAD", ahead)
    (old,) = stage.with_number(1)
    (new,) = stage.without_number(1)
    number = next(number for number, target in stage.held().items() if target == str(old))
    (fresh,) = stage.free(1)
    stage.ask([(old, "number", fresh)])
    stage.ask([(new, "user:city", "Ulm"), (new, "user:department", "Sales"), (new, "number", number)])
    with scope.one(stage.tenant.id):  # whoever waits stands first in the plan
        rows = Change.objects.filter(tenant=stage.tenant, subject_id=old)
        copies = list(rows.values())
        rows.delete()
        for row in copies:
            Change.objects.create(**{name: value for name, value in row.items() if name != "id"})
    done = stage.process()
    assert done.outcome == "complete", [(line.state, line.problem) for line in stage.lines(stage.plan())]
    assert sent(stage) == [
        (str(new), "city"),
        (str(new), "department"),
        (str(old), fresh),
        (str(new), number),
    ]
    assert (stage.held()[number], stage.held()[fresh]) == (str(new), str(old))


def test_many_lines_are_few_requests_and_never_more_than_a_hundred_under_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scope.one(stage.tenant.id):
        users = list(DirectoryUser.objects.filter(tenant=stage.tenant).values_list("object_id", flat=True))
    kept = stage.ask([(user, "user:usageLocation", "AT") for user in users]).kept
    posts, most, batch = 0, 0, GraphClient.write_all

    def watched(self: GraphClient, steps: Any) -> Any:
        nonlocal posts, most
        posts += 1
        rows = Line.objects.filter(tenant=stage.tenant, state__in=["sent", "accepted"])
        most = max(most, rows.count())
        noted = set(rows.filter(state="sent").values_list("request_id", flat=True))
        assert noted == {step.id for step in steps}, "each was noted before it was sent, and nothing else"
        return batch(self, steps)

    monkeypatch.setattr(GraphClient, "write_all", watched)
    assert stage.process().outcome == "complete"
    assert len(kept) > 100
    assert (posts, most) == (-(-len(kept) // 20), 100)
    assert sorted(who for who, _ in sent(stage)) == sorted(str(one.wish.thing.subject_id) for one in kept)


def test_one_that_is_put_off_slows_and_the_others_count(stage: Stage) -> None:
    users = stage.without_number(3)
    stage.ask([(user, "user:city", "Bern") for user in users])
    stage.customer.trouble("throttle", path=str(users[1]), method="PATCH", retry_after="1", count=1)
    assert stage.process().outcome == "complete"
    assert [who for who, _ in sent(stage)] == [str(users[0]), str(users[2]), str(users[1])]
    assert {line.sends for line in stage.lines(stage.plan())} == {1}


def test_what_a_lost_reply_hid_is_read_back_and_not_sent_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, given = stage.without_number(1), stage.free(1)
    stage.give(users, given)
    batch = GraphClient.write_all

    def lost(self: GraphClient, steps: Any) -> Any:
        stage.customer.trouble("drop", when="after", path=r"\$batch", count=1)
        return batch(self, steps)

    monkeypatch.setattr(GraphClient, "write_all", lost)
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + dt.timedelta(hours=1))  # the worker's clock is wrong
    with scope.one(stage.tenant.id):
        command = Command.objects.get(tenant=stage.tenant, kind="apply_changes")
    assert stage.finish(command, most=6).state == "queued"
    stage.pass_time(31)
    done = stage.finish(command)
    assert done.state == "succeeded", done.message
    assert stage.orders() == [(given[0], str(users[0]))]


def test_an_order_that_microsoft_takes_and_then_fails_is_told(stage: Stage) -> None:
    users, given = stage.without_number(2), stage.free(2)
    stage.give(users, given)
    stage.customer.pretend.behaviour.order_fails = "Something went wrong at our side."
    done = stage.process()
    assert (done.state, done.outcome) == ("succeeded", "partial")
    failed = stage.changes()
    assert {row.state for row in failed} == {ChangeState.FAILED}
    assert {row.problem["code"] for row in failed} == {"number_order_failed"}
    stage.customer.pretend.behaviour.order_fails = ""
    with scope.one(stage.tenant.id):
        again = services.ask_again(ANNA, stage.tenant, [row.id for row in failed])
    assert codes(again) == ["", ""]
    assert stage.process().outcome == "complete"


def test_a_write_that_shows_late_is_waited_for(stage: Stage) -> None:
    users, given = stage.without_number(1), stage.free(1)
    stage.give(users, given)
    with stage.customer.directory.lock:
        stage.customer.directory.lag = 30.0
    with scope.one(stage.tenant.id):
        command = Command.objects.get(tenant=stage.tenant, kind="apply_changes")
    stage.finish(command, most=6)
    assert command.state == "queued"
    stage.pass_time(31)
    assert stage.finish(command).outcome == "complete"
    assert stage.orders() == [(given[0], str(users[0]))]


def test_an_order_that_never_ends_keeps_nobody_waiting_for_ever(stage: Stage) -> None:
    """After some minutes it is looked at less often, and after an hour it counts as any that is not seen."""
    users, given = stage.without_number(1), stage.free(1)
    command = stage.give(users, given).command
    assert command is not None
    behaviour = stage.customer.pretend.behaviour
    behaviour.order_looks, behaviour.order_seconds = 10**9, 1e12
    stage.finish(command, most=3)
    assert _waits(command) <= applying.LOOK_AGAIN
    stage.pass_time(applying.SHOWS_SOON.total_seconds())
    assert stage.finish(command, most=1).state == "queued"
    assert applying.LOOK_AGAIN < _waits(command) <= applying.LOOK_LATER
    stage.pass_time(applying.LONGEST_RUN)
    done = stage.finish(command)
    assert (done.state, done.outcome, done.result["lines"]) == ("succeeded", "partial", {"unseen": 1})
    (line,) = stage.lines(stage.plan())
    assert (line.state, line.problem["code"]) == (LineState.UNSEEN, "write_unseen")


def _waits(command: Command) -> dt.timedelta:
    """How long from the last slice's end."""
    with scope.one(command.tenant_id):
        rows = Command.objects.annotate(waits=F("not_before") - Now())
        waits: dt.timedelta = rows.get(id=command.id).waits
    return waits


def test_a_user_who_was_deleted_in_between_stops_nobody_else(stage: Stage) -> None:
    users, given = stage.without_number(2), stage.free(2)
    stage.give(users, given)
    shelf = stage.customer.directory.users
    stage.customer.remove("users", shelf.find(str(users[0])))
    done = stage.process()
    assert (done.state, done.outcome) == ("succeeded", "partial")
    assert [row.state for row in stage.changes()] == [ChangeState.FAILED, ChangeState.APPLIED]
    assert stage.held()[given[1]] == str(users[1])


def test_a_policy_that_microsoft_refuses_spoils_none_that_was_sent_with_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The user was there when the line was looked at. Microsoft refuses both, and then the one alone."""
    gone, stays = stage.without_number(2)
    stage.ask([(user, "policy:TeamsCallingPolicy", {"name": "AllowCalling"}) for user in (gone, stays)])
    shelf, real = stage.customer.directory.users, sending.send_all

    def late(desk: Desk, intents: Sequence[Intent]) -> Answers:
        stage.customer.remove("users", shelf.find(str(gone)))
        return real(desk, intents)

    monkeypatch.setattr(sending, "send_all", late)
    assert stage.process().outcome == "partial"
    assert [row.state for row in stage.changes()] == [ChangeState.FAILED, ChangeState.APPLIED]
    history = stage.customer.microsoft.state.history
    assert [entry["status"] for entry in history if entry["kind"] == "write"] == [404, 404, 204]


@pytest.mark.parametrize(
    "code", ["unreachable", "name_not_resolved", "proxy_failed", "microsoft_busy", "bad_reply"]
)
def test_changes_wait_while_microsoft_is_out_of_reach(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """It happens between the reading and the writing: no change has failed, and none of the tries is its own."""
    monkeypatch.setattr(applying, "CHUNK", 2)
    users, given = stage.without_number(5), stage.free(5)
    asked = stage.give(users, given)
    with monkeypatch.context() as patched:
        for name in ("write", "write_all"):
            patched.setattr(GraphClient, name, _raises(code))
        for _ in range(applying.MOST_SENDS + 1):
            waits = stage.finish(_there(asked.command), most=1)
            assert (waits.state, waits.reason, _there(waits.error)["code"]) == (
                "queued",
                Reason.BACKING_OFF,
                code,
            )
    assert {(line.state, line.sends) for line in stage.lines(stage.plan())} == {(LineState.PLANNED, 0)}
    assert stage.finish(waits).outcome == "complete"
    assert sorted(stage.orders()) == sorted((n, str(u)) for u, n in zip(users, given, strict=True))


def test_changes_wait_for_a_person_where_the_line_itself_is_wrong(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stage.give(stage.without_number(2), stage.free(2))
    with monkeypatch.context() as patched:
        for name in ("write", "write_all"):
            patched.setattr(GraphClient, name, _raises("tls_failed"))
        lies = stage.finish(_there(asked.command))
    assert (lies.state, lies.reason) == ("suspended", Reason.TARGET)
    with scope.one(stage.tenant.id):
        queue.retry(SYSTEM, lies)
    assert stage.finish(lies).outcome == "complete"


@pytest.mark.parametrize("times", [applying.MOST_SENDS - 1, 99])
def test_a_reading_for_one_change_that_fails_is_tried_again_and_is_in_nobodys_way(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    """Before a policy is given its id is asked for; twenty lines go together, two in this test."""
    users, real = stage.without_number(7), aspects.Policy._ids
    failures = iter(range(times))

    def ids(desk: Desk, intents: Sequence[Intent]) -> dict[int, str | UmpError]:
        found: dict[int, str | UmpError] = dict(real(desk, intents))
        for one in intents:
            if one.thing.subject_id == users[0] and next(failures, None) is not None:
                found[one.id] = UmpError.of("connection_lost")
        return found

    monkeypatch.setattr(aspects.Policy, "_ids", staticmethod(ids))
    monkeypatch.setattr(applying, "CHUNK", 2)
    stage.ask([(user, "policy:TeamsCallingPolicy", {"name": "AllowCalling"}) for user in users])
    done = stage.process()
    assert (done.state, done.outcome) == (
        "succeeded",
        "partial" if times > applying.MOST_SENDS else "complete",
    )
    first, *others = [(row.state, (row.problem or {}).get("code")) for row in stage.changes()]
    applied = (ChangeState.APPLIED, None)
    assert others == [applied] * 6
    assert first == ((ChangeState.FAILED, "connection_lost") if times > applying.MOST_SENDS else applied)


def _there(thing: Any) -> Any:
    assert thing is not None
    return thing


def _raises(code: str) -> Callable[..., Any]:
    def raises(*_what: Any, **_how: Any) -> Any:
        raise UmpError.of(code)

    return raises


def test_details_policies_and_numbers_go_together_and_a_newer_wish_wins(stage: Stage) -> None:
    (user,) = stage.without_number(1)
    stage.ask([(user, "user:department", "Sales")])
    stage.ask(
        [(user, "user:usageLocation", "CH"), (user, "policy:TeamsCallingPolicy", {"name": "AllowCalling"})]
    )
    stage.ask([(user, "user:department", "Support"), (user, "number", stage.free(1)[0])])
    states = [row.state for row in stage.changes()]
    assert states == [ChangeState.SUPERSEDED, *[ChangeState.PENDING] * 4]
    done = stage.process()
    lines = {
        line.aspect: (line.state, (line.problem or {}).get("message")) for line in stage.lines(stage.plan())
    }
    assert done.outcome == "complete", lines
    stage.replicate()
    with scope.one(stage.tenant.id):
        row = DirectoryUser.objects.get(tenant=stage.tenant, object_id=user)
    assert (row.department, row.usage_location) == ("Support", "CH")


def test_what_is_asked_for_again_as_it_is_takes_the_waiting_wish_back(stage: Stage) -> None:
    (user,) = stage.without_number(1)
    stage.give([user], stage.free(1))
    assert stage.ask([(user, "number", None)]).kept == []
    assert [row.state for row in stage.changes()] == [ChangeState.WITHDRAWN]
    assert stage.process().message == "Nothing had to be written."


def test_many_removals_wait_for_a_second_person(stage: Stage, settings: Any) -> None:
    settings.REMOVAL_FLOOR, settings.REMOVAL_SHARE = 3, 0.05
    before = stage.held()
    users = stage.with_number(8)
    stage.ask([(user, "number", None) for user in users])
    command = stage.process()
    assert (command.state, command.error["code"]) == ("suspended", "plan_needs_approval")
    assert stage.held() == before
    with scope.one(stage.tenant.id):
        plan = RemovalPlan.objects.get(command_id=command.id)
        with pytest.raises(UmpError) as refused:
            queue.approve(dataclasses.replace(SYSTEM, id=ANNA.id, kind=ANNA.kind), command, plan.id)
        assert refused.value.code == "second_person_needed"
        queue.approve(SYSTEM, command, plan.id)
    assert stage.finish(command).outcome == "complete"
    assert not set(stage.held().values()) & {str(user) for user in users}


def test_a_permission_that_is_missing_holds_these_changes_and_nothing_else(stage: Stage) -> None:
    (app,) = stage.customer.pretend.apps.values()
    app.principal.grant(permissions.PROFILES["directory_read"].application, 0.0)
    identity.forget_everything()
    stage.give(stage.without_number(1), stage.free(1))
    command = stage.process()
    assert (command.state, command.reason, command.error["code"]) == (
        "suspended",
        "target",
        "write_not_allowed",
    )
    assert "TeamsTelephoneNumber.ReadWrite.All" in command.message
    allow(stage.customer)
    with scope.one(stage.tenant.id):
        queue.retry(SYSTEM, command)
    assert stage.finish(command).outcome == "complete"


def test_what_a_cancelled_command_left_is_read_back_and_the_rest_waits_again(stage: Stage) -> None:
    users, given = stage.without_number(2), stage.free(1)
    stage.ask([(users[0], "user:city", "Bern"), (users[1], "number", given[0])])
    with scope.one(stage.tenant.id):
        command = Command.objects.get(tenant=stage.tenant, kind="apply_changes")
    stage.customer.trouble("throttle", path="assignNumber", retry_after="60")
    stage.finish(command, most=1)
    assert {line.aspect: line.state for line in stage.lines(stage.plan())}["number"] == LineState.PLANNED
    with scope.one(stage.tenant.id):
        queue.cancel(SYSTEM, command)
        assert {row.state for row in stage.changes()} >= {ChangeState.APPLYING}
    stage.customer.heal()
    pacing._pacers.clear()  # the minute is over
    assert commands.look_after_left() == 1
    assert commands.look_after_left() == 0
    assert stage.process().state == "succeeded"
    states = {row.aspect: row.state for row in stage.changes()}
    assert states == {"user:city": ChangeState.APPLIED, "number": ChangeState.PENDING}
    assert (stage.plan().state, stage.orders()) == (PlanState.PARTIAL, [])
    _, plan = stage.draw()
    with scope.one(stage.tenant.id):
        assert stage.finish(services.apply(ANNA, stage.tenant, plan, plan.digest)).outcome == "complete"
    assert stage.orders() == [(given[0], str(users[1]))]


def test_a_command_that_lay_with_a_person_writes_nothing_old(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers died of it after it had drawn its plan; another command was done before somebody tried again."""
    users, given = stage.without_number(1), stage.free(1)
    stage.ask([(users[0], "user:city", "Bern"), (users[0], "number", given[0])])
    with scope.one(stage.tenant.id):
        first = Command.objects.get(tenant=stage.tenant, kind="apply_changes")

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(commands._Run, "_ask", dies)
        stage.finish(first)
    with scope.every("what the sweeper does after the third death"):
        states.move(first.id, from_=State.EXECUTING, to=State.SUSPENDED, reason=Reason.POISON)
        first.refresh_from_db()
    stage.ask([(users[0], "user:city", "Basel")])
    assert stage.process().outcome == "complete"
    with scope.one(stage.tenant.id):
        queue.retry(SYSTEM, first)
    done = stage.finish(first)
    assert (done.state, done.message) == ("succeeded", "Nothing had to be written.")
    assert stage.orders() == [(given[0], str(users[0]))]
    stage.replicate()
    with scope.one(stage.tenant.id):
        assert DirectoryUser.objects.get(tenant=stage.tenant, object_id=users[0]).city == "Basel"


def test_what_was_taken_back_after_the_plan_was_drawn_is_left_out(stage: Stage) -> None:
    users, given = stage.without_number(2), stage.free(2)
    stage.give(users, given)
    _command, plan = stage.draw()
    with scope.one(stage.tenant.id):
        services.withdraw(ANNA, stage.tenant, [stage.changes()[0].id])
        applying.start(plan)
    assert [line.state for line in stage.lines(plan)] == [LineState.SKIPPED, LineState.PLANNED]


@pytest.fixture
def paused(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Command:
    """A command that waits for Microsoft to show the first of its two numbers; the second is not sent yet."""
    monkeypatch.setattr(applying, "CHUNK", 1)
    monkeypatch.setattr(applying, "MOST_UNDER_WAY", 1)
    monkeypatch.setattr(applying, "LOOK_AGAIN", dt.timedelta(hours=1))
    stage.give(stage.without_number(2), stage.free(2))
    with stage.customer.directory.lock:
        stage.customer.directory.lag = 30.0
    with scope.one(stage.tenant.id):
        command = Command.objects.get(tenant=stage.tenant, kind="apply_changes")
    stage.finish(command, most=4)
    assert [line.state for line in stage.lines(stage.plan())] == [LineState.ACCEPTED, LineState.PLANNED]
    return command


def goes_on(stage: Stage, command: Command) -> Command:
    """Microsoft shows at once from now on."""
    with stage.customer.directory.lock:
        stage.customer.directory.lag = 0.0
    stage.pass_time(31)
    return stage.finish(command)


def test_another_command_waits_until_a_plan_is_carried_out(stage: Stage, paused: Command) -> None:
    plan, (other,) = stage.plan(), stage.with_number(1)
    asked = stage.ask([(other, "user:city", "Bern")])
    assert asked.command is not None
    assert asked.command.id != paused.id
    second = stage.finish(asked.command, most=2)
    assert (second.state, second.message) == ("queued", commands.WAITS)
    assert [line.state for line in stage.lines(plan)] == [LineState.ACCEPTED, LineState.PLANNED]
    first = goes_on(stage, paused)
    assert (first.outcome, first.result["lines"]) == ("complete", {"written": 2})
    second = stage.finish(second)
    assert (second.outcome, second.result["lines"]) == ("complete", {"written": 1})
    assert len(stage.orders()) == 2


def test_a_plan_may_be_looked_at_while_another_is_carried_out(stage: Stage, paused: Command) -> None:
    under_way, (other,) = stage.plan(), stage.with_number(1)
    stage.ask([(other, "user:city", "Bern")])
    _command, plan = stage.draw()
    assert (plan.state, plan.figures) == (PlanState.READY, {"change": 1})
    assert [line.state for line in stage.lines(under_way)] == [LineState.ACCEPTED, LineState.PLANNED]
    assert goes_on(stage, paused).outcome == "complete"


def test_a_worker_that_dies_after_all_was_written_leaves_it_to_the_next_to_say_so(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.give(stage.without_number(1), stage.free(1))

    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(commands._Run, "_ended", dies)
        stage.process()
    stage.worker.take_back()
    done = stage.process()
    assert (done.outcome, done.result) == (
        "complete",
        {"plan": str(stage.plan().uid), "lines": {"written": 1}},
    )


def test_what_a_suspended_command_was_at_goes_to_the_next_and_it_writes_nothing_more(
    stage: Stage, paused: Command
) -> None:
    plan, users = stage.plan(), [line.subject_id for line in stage.lines(stage.plan())]
    with scope.every("what the sweeper does after the third death"):
        states.move(paused.id, from_=State.QUEUED, to=State.SUSPENDED, reason=Reason.POISON)
    second = stage.ask([(users[0], "user:city", "Bern")]).command
    assert second is not None
    assert goes_on(stage, second).outcome == "complete"
    assert len(stage.orders()) == 2
    with scope.one(stage.tenant.id):
        paused.refresh_from_db()
        queue.retry(SYSTEM, paused)
    first = stage.finish(paused)
    assert (first.state, first.message) == ("succeeded", "Nothing had to be written.")
    with scope.one(stage.tenant.id):
        plan.refresh_from_db()
    assert plan.state == PlanState.PARTIAL
    assert len(stage.orders()) == 2


def test_one_that_had_not_begun_to_write_waits_for_whoever_has(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Microsoft was away when the first wanted to draw; the second came in between."""
    (user, other), given = stage.without_number(2), stage.free(2)
    first = stage.give([user], given[:1]).command
    assert first is not None
    with monkeypatch.context() as patched:
        patched.setattr(planning, "observe", _away)
        stage.finish(first, most=1)
    assert (first.state, first.reason) == ("queued", Reason.BACKING_OFF)
    monkeypatch.setattr(applying, "LOOK_AGAIN", dt.timedelta(hours=1))
    second = stage.give([other], given[1:]).command
    assert second is not None
    with stage.customer.directory.lock:
        stage.customer.directory.lag = 30.0
    stage.finish(second, most=2)
    under_way = stage.plan()
    assert [line.state for line in stage.lines(under_way)] == [LineState.ACCEPTED] * 2
    stage.ask([(user, "number", given[0] + "1")])
    assert stage.finish(first, most=2).message == commands.WAITS
    assert goes_on(stage, second).outcome == "complete"
    assert stage.finish(first).outcome == "complete"


def _away(*_: object) -> None:
    raise UmpError.of("graph_unavailable")


def test_what_is_being_written_just_now_is_not_asked_for_twice(stage: Stage, paused: Command) -> None:
    """The same file again; and with another number in between, which that takes back."""
    first, second = stage.lines(stage.plan())
    users, given = [first.subject_id, second.subject_id], [first.after["number"], second.after["number"]]
    stage.give(users[:1], stage.free(3)[2:])
    asked = stage.give(users, given)
    assert [(each.same, each.hint, each.problem) for each in asked.verdicts] == [
        (True, judging.UNDER_WAY, None)
    ] * 2
    assert [row.state for row in stage.changes()] == ["applying", "applying", "withdrawn"]
    other = stage.without_number(3)[2]
    assert codes(stage.give([other], given[:1])) == ["number_awaited"]
    assert goes_on(stage, paused).result["lines"] == {"written": 2}


def test_of_two_who_ask_for_a_number_at_one_moment_the_second_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another customer, whose act was not to be seen when this one was judged."""
    users, given, real = stage.without_number(3), stage.free(2), judging._awaited
    stage.give(users[:1], given[:1])
    blind = iter([True])

    def awaited(*about: Any) -> Any:
        return {} if next(blind, False) else real(*about)

    monkeypatch.setattr(judging, "_awaited", awaited)
    assert codes(stage.give(users[1:], given)) == ["number_awaited", ""]
    waits = [(row.subject_id, row.number) for row in stage.changes() if row.state == ChangeState.PENDING]
    assert waits == [(users[0], given[0]), (users[2], given[1])]
