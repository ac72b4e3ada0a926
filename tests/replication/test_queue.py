"""The queue: one row, one move at a time, whatever happens around it."""

import contextlib
import datetime as dt
import random
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import psycopg2
import pytest
import time_machine
from django.conf import settings
from django.db import DatabaseError, IntegrityError, InternalError, OperationalError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Now

from core.errors import Conflict, Forbidden, LeaseLost, UmpError
from replication import context, doorbell, runner, selectors, services, states, sweeper, tasks
from replication.context import Again, Context, Done
from replication.models import Command, Lane, LaneName, Reason, State, Step
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Connection, Tenant, Verification
from tests.cast import Cast
from tests.overlap import another_session
from tests.replication.kinds import scripted

pytestmark = pytest.mark.django_db


@pytest.fixture
def contoso(cast: Cast) -> Tenant:
    return cast.contoso


@pytest.fixture
def rung(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """For which lanes somebody was woken."""
    lanes: list[str] = []
    monkeypatch.setattr(doorbell, "ring", lambda lane="": not lanes.append(lane))
    return lanes


def submit(tenant: Tenant, kind: str = "scripted", **more: Any) -> Command:
    with scope.one(tenant.id):
        return services.submit(SYSTEM, kind, tenant, **more)


def claim(limit: int = 10) -> list[states.Claimed]:
    with scope.every("a test claims"):
        return states.claim("test", limit)


def settle(claimed: states.Claimed) -> None:
    runner._settle(claimed, runner.run_one(claimed))


def run_due() -> int:
    """Carry out what is due, here and now; how many slices that took."""
    count = 0
    while found := claim(1):
        settle(found[0])
        count += 1
    return count


def row(command: Command) -> Command:
    with scope.every("a test looks"):
        return Command.objects.get(id=command.id)


def later(command: Command, **shift: float) -> None:
    """Move the command's time into the past, as if that long had gone by."""
    with scope.every("a test turns the clock"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE replication_command SET not_before = not_before - %s WHERE id = %s",
            [dt.timedelta(**shift), command.id],
        )
        cursor.execute("UPDATE replication_lane SET not_before = not_before - %s", [dt.timedelta(**shift)])
        states.refresh_lanes([command.lane_id])


def test_a_command_runs_once_and_ends(contoso: Tenant) -> None:
    with scripted(Done("All is well.", result={"rows": 3})) as seen:
        command = submit(contoso)
        assert (command.state, command.attempts) == (State.QUEUED, 0)
        assert run_due() == 1
        assert claim() == []
    done = row(command)
    assert (done.state, done.message, done.result, done.outcome) == (
        State.SUCCEEDED,
        "All is well.",
        {"rows": 3},
        "complete",
    )
    assert done.finished_at
    assert done.lease_until is None
    assert len(seen) == 1
    with scope.one(contoso.id):
        assert [step.text for step in Step.objects.filter(command=command)] == [
            "Queued by UMP Portal.",
            "All is well.",
        ]


def test_a_double_click_is_one_command(contoso: Tenant) -> None:
    with scripted():
        first, second = submit(contoso), submit(contoso)
        assert first.id == second.id
        claim()
        third = submit(contoso)
        assert third.id != first.id, "what runs already may have missed the change, so the wish is a new one"


def test_a_slice_goes_back_without_using_an_attempt(contoso: Tenant) -> None:
    def first(ctx: Context) -> Again:
        with ctx.transaction():
            ctx.checkpoint(page=2)
        return Again()

    with scripted(first, lambda ctx: Done(f"Went on at page {ctx.state['page']}.")):
        command = submit(contoso)
        assert run_due() == 2
    done = row(command)
    assert (done.message, done.attempts, done.slices) == ("Went on at page 2.", 0, 2)


def test_lanes_take_turns(cast: Cast) -> None:
    with scripted(name="a"), scripted(name="b"), scripted(name="c"):
        for kind in "abc":
            submit(cast.contoso, kind)
        submit(cast.fabrikam, "a")
        order = []
        while found := claim(1):
            order.append(found[0].tenant_id)
            settle(found[0])
    assert order[:2] in ([cast.contoso.id, cast.fabrikam.id], [cast.fabrikam.id, cast.contoso.id])
    assert order[2:] == [cast.contoso.id] * 2


def test_a_lane_waits_for_its_turn_from_when_it_was_served(cast: Cast) -> None:
    """Whoever was there before is served before, and whoever was served goes to the end of the row."""
    with scripted(name="a"), scripted(name="b"):
        submit(cast.contoso, "a")
        submit(cast.contoso, "b")
        settle(claim(1)[0])
        submit(cast.fabrikam, "a")
        assert [found.tenant_id for found in claim(1)] == [cast.contoso.id], (
            "it waited again before the other came"
        )
        with scope.every("a test looks"):
            lanes = dict(Lane.objects.values_list("tenant_id", "due_at"))
    assert lanes[cast.contoso.id] is None, "it executes"
    assert lanes[cast.fabrikam.id] is not None


def test_a_lane_runs_one_at_a_time(contoso: Tenant) -> None:
    with scripted(name="a"), scripted(name="b"):
        submit(contoso, "a")
        submit(contoso, "b")
        assert len(claim()) == 1
        assert claim() == []


def test_the_database_itself_forbids_two_in_a_lane_and_a_lease_without_execution(contoso: Tenant) -> None:
    with scripted(name="a"), scripted(name="b"):
        submit(contoso, "a")
        other = submit(contoso, "b")
        claim()
        with scope.one(contoso.id):
            with pytest.raises(IntegrityError, match="a_lease_exactly"), transaction.atomic():
                Command.objects.filter(id=other.id).update(lease_until=dt.datetime.now(dt.UTC))
            with pytest.raises(IntegrityError, match="one_executing"), transaction.atomic():
                Command.objects.filter(id=other.id).update(
                    state=State.EXECUTING, lease_until=dt.datetime.now(dt.UTC)
                )


def test_a_check_does_not_wait_behind_a_first_sync(contoso: Tenant) -> None:
    with scripted(name="long"), scripted(name="check", lane=LaneName.IDENTITY):
        submit(contoso, "long")
        submit(contoso, "check")
        assert {found.kind for found in claim()} == {"long", "check"}


def test_each_device_has_a_lane_of_its_own(cast: Cast) -> None:
    with scripted(name="touch", lane=LaneName.DEVICE), scope.every("two devices"):
        one, two, again = (
            services.submit(SYSTEM, "touch", None, target=device, params={"n": n})
            for n, device in enumerate(("1", "2", "1"))
        )
        assert one.id == again.id  # the same wish
        assert one.lane_id != two.lane_id
        claimed = claim()
        assert {each.target for each in claimed} == {"1", "2"}
        services.submit(SYSTEM, "touch", None, target="1")
        assert claim() == []  # one writer a device
        for each in claimed:
            settle(each)
        assert [each.target for each in claim()] == ["1"]


def test_throttling_is_patience_and_no_attempt(contoso: Tenant) -> None:
    with scripted(UmpError.of("throttled", retry_after=120)), scripted(name="other"):
        command = submit(contoso)
        assert run_due() == 1
        waiting = row(command)
        assert (waiting.state, waiting.reason, waiting.attempts) == (State.QUEUED, Reason.THROTTLED, 0)
        submit(contoso, "other")
        assert claim() == [], "the whole lane sleeps, not only this command"
        later(command, seconds=119)
        assert claim() == []
        later(command, seconds=2)
        assert run_due() == 2


def test_trouble_that_passes_backs_off_and_ends(contoso: Tenant) -> None:
    trouble = [UmpError.of("graph_unavailable") for _ in range(3)]
    with scripted(*trouble, attempts=3):
        command = submit(contoso)
        for used in (1, 2):
            run_due()
            waiting = row(command)
            assert (waiting.state, waiting.reason, waiting.attempts) == (
                State.QUEUED,
                Reason.BACKING_OFF,
                used,
            )
            later(command, hours=1)
        run_due()
    ended = row(command)
    assert (ended.state, ended.attempts) == (State.FAILED, 3)
    assert ended.error
    assert ended.error["code"] == "graph_unavailable"


def test_a_fault_of_the_connection_suspends_the_lane_until_it_is_proven(contoso: Tenant) -> None:
    with scripted(UmpError.of("secret_expired")), scripted(name="other"), scripted(name="third"):
        command = submit(contoso)
        other = submit(contoso, "other")
        run_due()
        assert (row(command).state, row(command).reason) == (State.SUSPENDED, Reason.CONNECTION)
        assert row(other).state == State.SUSPENDED, "what waits in the lane is shown as waiting for a person"
        third = submit(contoso, "third")
        assert third.state == State.SUSPENDED
        assert claim() == []
        with scope.one(contoso.id):
            assert services.resume_for(contoso.id) == 3
        assert run_due() == 3
    assert {row(each).state for each in (command, other, third)} == {State.SUCCEEDED}


def test_a_fault_of_one_thing_lets_the_others_pass(contoso: Tenant) -> None:
    with scripted(UmpError.of("teams_phone_missing")), scripted(name="other"):
        command = submit(contoso, target="anna")
        follows = submit(contoso, "other", target="anna")
        passes = submit(contoso, "other", target="ben")
        run_due()
    assert (row(command).state, row(command).reason) == (State.SUSPENDED, Reason.TARGET)
    assert row(passes).state == State.SUCCEEDED
    assert row(follows).state == State.QUEUED, "the same target waits, or an old wish could overtake"
    with scope.one(contoso.id):
        lane = Lane.objects.get(name=LaneName.DATA)
        assert lane.due_at is None, "no claim looks at a lane that has nothing to start"
        services.cancel(SYSTEM, row(command))
    assert [found.id for found in claim()] == [follows.id]


def test_a_fault_of_ours_is_caught_and_named(contoso: Tenant) -> None:
    with scripted(RuntimeError("secret detail")):
        command = submit(contoso)
        run_due()
    waiting = row(command)
    assert waiting.error
    assert waiting.error["code"] == "internal"
    assert "secret detail" not in str(waiting.error)


@pytest.mark.parametrize(
    "result", [{"at": dt.timedelta(1)}, {"name": "a\0b"}], ids=["no JSON", "no text of the database's"]
)
def test_an_outcome_that_cannot_be_written_is_a_fault_of_ours_and_no_lost_worker(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, result: dict[str, Any]
) -> None:
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own
    with scripted(Done("Done.", result=result)):
        command = submit(contoso)
        (found,) = claim()
        runner._carry_out(found)
    aside = row(command)
    assert (aside.state, (aside.error or {}).get("code"), aside.deaths) == (State.SUSPENDED, "internal", 0)
    assert "an outcome cannot be written down" in caplog.text


def test_a_name_with_a_sign_that_the_database_refuses_harms_nothing(contoso: Tenant) -> None:
    with scripted(Again("A\0B waits."), Done("A\0B is done.")):
        command = submit(contoso)
        run_due()
    assert (row(command).state, row(command).message) == (State.SUCCEEDED, "AB is done.")


def test_what_nobody_expected_of_a_thread_is_in_the_log(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(command: states.Claimed) -> None:
        raise RuntimeError("of ours")

    monkeypatch.setattr(runner, "run_one", breaks)
    with scripted():
        submit(contoso)
        runner._carry_out(claim()[0])
    assert "a command is left to the sweeper" in caplog.text


def test_a_step_of_the_sweeper_that_fails_keeps_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def breaks() -> None:
        raise KeyError("of ours")

    def away() -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(sweeper, "schedule", breaks)
    monkeypatch.setattr(sweeper, "chores", lambda: (breaks, lambda: ran.append("after it")))
    sweeper.sweep()
    assert ran == ["after it"]
    assert caplog.text.count("a step of the sweeper stopped") == 2
    monkeypatch.setattr(sweeper, "schedule", away)
    with pytest.raises(OperationalError):
        sweeper.sweep()
    assert ran == ["after it"]


def test_a_lane_that_a_newer_version_suspended_takes_wishes_and_says_why(contoso: Tenant) -> None:
    with scripted(UmpError.of("teams_phone_missing")):
        aside = submit(contoso)
        run_due()
        with scope.one(contoso.id):
            states.suspend_lane(contoso.id, "of_a_newer_version")
            waiting = submit(contoso)
            assert (waiting.state, (waiting.error or {}).get("code")) == (
                State.SUSPENDED,
                "connection_unverified",
            )
            with pytest.raises(UmpError) as error:
                services.retry(SYSTEM, row(aside))
    assert error.value.code == "connection_unverified"


def test_a_dead_worker_loses_nothing(contoso: Tenant) -> None:
    with scripted() as seen:
        command = submit(contoso)
        (lost,) = claim()
        with scope.every("the lease runs out"):
            Command.objects.update(lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        assert sweeper.take_back() == 1
        back = row(command)
        assert (back.state, back.reason, back.deaths) == (State.QUEUED, Reason.WORKER_LOST, 1)
        run_due()
        with pytest.raises(LeaseLost):  # the old worker wakes up
            runner._settle(lost, runner.Verdict(State.FAILED))
    assert row(command).state == State.SUCCEEDED
    assert len(seen) == 1


def test_what_was_lost_comes_before_whoever_was_served_since(cast: Cast) -> None:
    with scripted():
        lost = submit(cast.contoso)
        assert [one.id for one in claim(1)] == [lost.id]
        for target in "ab":
            submit(cast.fabrikam, target=target)
        settle(claim(1)[0])
        with scope.every("the lease runs out"):
            Command.objects.filter(id=lost.id).update(lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        assert sweeper.take_back() == 1
        assert [one.id for one in claim(1)] == [lost.id]


@contextlib.contextmanager
def locked(command: Command, *, lane: bool = False) -> Iterator[None]:
    """A worker that was frozen in the midst of a transaction has the command's row, or its lane's."""
    table, found = ("lane", command.lane_id) if lane else ("command", command.id)
    with contextlib.closing(another_session()) as frozen, frozen.cursor() as cursor:
        cursor.execute("SELECT set_config('app.tenant', %s, false)", [str(command.tenant_id)])
        cursor.execute(f"SELECT 1 FROM replication_{table} WHERE id = %s FOR UPDATE", [found])
        assert cursor.rowcount == 1
        with connection.cursor() as own:
            own.execute("SET lock_timeout = '5s'")  # whoever waits for it fails
            yield
            own.execute("RESET lock_timeout")
        frozen.rollback()  # waits until the database has let go of it, as closing does not


@pytest.mark.django_db(transaction=True)
def test_what_a_frozen_worker_still_locks_holds_no_other_up(committed_cast: Cast) -> None:
    with scripted():
        stuck, other = submit(committed_cast.contoso), submit(committed_cast.fabrikam)
        with locked(stuck):
            (held,) = claim()
            assert held.id == other.id, "nobody waits for the other's head"
        (late,) = claim()
        assert late.id == stuck.id, "as soon as the database has cut it off"
        pairs = {(held.id, held.fence), (late.id, late.fence)}
        with locked(stuck), scope.every("a worker renews its leases"):
            lease = row(other).lease_until
            assert states.renew(pairs) == pairs, "what is just locked is not lost"
            assert row(other).lease_until > lease
        with scope.every("the leases run out"):
            Command.objects.update(lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        with locked(stuck):
            assert sweeper.take_back() == 1
            assert (row(stuck).state, row(other).state) == (State.EXECUTING, State.QUEUED)
        assert sweeper.take_back() == 1
        assert row(stuck).state == State.QUEUED


def runs_out(share: float) -> None:
    """That much of each lease goes by."""
    with scope.every("a test turns the clock"), connection.cursor() as cursor:
        cursor.execute(
            "UPDATE replication_command SET lease_until = lease_until - %s",
            [dt.timedelta(seconds=settings.COMMAND_LEASE_SECONDS * share)],
        )


def test_who_writes_all_the_time_renews_its_own_lease(contoso: Tenant) -> None:
    """The heartbeat passes by what is locked, and that may be each time."""
    with scripted():
        command = submit(contoso)
        (held,) = claim()
        whole = row(command).lease_until
        assert whole is not None
        with runner._context(held).transaction():
            assert row(command).lease_until == whole, "nothing is written while most of it is left"
        runs_out(0.6)
        with runner._context(held).transaction():
            pass
        renewed = row(command).lease_until
        assert renewed is not None
        assert renewed >= whole


def test_a_long_transaction_renews_the_lease_in_the_end(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody else can while it goes on, and as soon as it is over it would be taken for lost."""
    hours = iter((0.0, 3600.0))
    with scripted():
        submit(contoso)
        (held,) = claim()
        running = runner._context(held)
        monkeypatch.setattr(context, "time", SimpleNamespace(monotonic=lambda: next(hours)))
        with running.transaction():
            runs_out(1.5)
        assert sweeper.take_back() == 0, "it is ours"


def test_leases_are_renewed_from_the_claim_until_the_outcome_is_written(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that has just started, or whose database has, takes seconds to begin a slice, and to end it."""
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own
    monkeypatch.setattr(runner, "_process", runner._Process())
    settle_really, at_the_end = runner._settle, []

    def renewed() -> bool:
        before, beats = row(command).lease_until, iter((False, True))
        with monkeypatch.context() as once:
            once.setattr(runner._process.stopping, "wait", lambda _seconds: next(beats))
            runner._heartbeat()
        after = row(command).lease_until
        assert before is not None
        assert after is not None
        return after > before

    def settle_late(*given: Any) -> None:
        at_the_end.append(renewed())
        settle_really(*given)

    monkeypatch.setattr(runner, "_settle", settle_late)
    with scripted():
        command = submit(contoso)
        (held,) = runner._claim(1)
        assert renewed(), "claimed, and not begun yet"
        runner._carry_out(held)
    assert at_the_end == [True]
    assert runner._process.held == set(), "and no longer"


@pytest.mark.django_db(transaction=True)
def test_one_frozen_worker_keeps_nobody_else_asleep(committed_cast: Cast) -> None:
    busy = UmpError.of("graph_unavailable")
    with scripted(busy, busy):
        stuck, other = submit(committed_cast.contoso), submit(committed_cast.fabrikam)
        assert run_due() == 2
        with locked(stuck, lane=True), scope.every("the line works again"):
            assert states.wake(busy.code) == 1
        assert (row(stuck).reason, row(other).reason) == (Reason.BACKING_OFF, Reason.NONE)
        with scope.every("the next look"):
            assert states.wake(busy.code) == 1
        assert {held.id for held in claim()} == {stuck.id, other.id}


@pytest.mark.parametrize("skew", [dt.timedelta(days=-1), dt.timedelta(days=1)], ids=["behind", "ahead"])
def test_a_worker_whose_clock_is_wrong_takes_and_leaves_the_same(contoso: Tenant, skew: dt.timedelta) -> None:
    """The database's clock decides what is due, and whose lease is over."""
    with scripted(name="soon"), scripted(name="later"), time_machine.travel(dt.datetime.now(dt.UTC) + skew):
        submit(contoso, "later", delay=dt.timedelta(hours=1))
        soon = submit(contoso, "soon")
        (held,) = claim()
        assert held.id == soon.id
        assert sweeper.take_back() == 0, "nobody's lease is over"
        with scope.every("a worker renews its lease"):
            assert states.renew([(held.id, held.fence)]) == {(held.id, held.fence)}
        assert sweeper.take_back() == 0
        settle(held)
        assert row(soon).state == State.SUCCEEDED
        assert claim() == [], "the other is not due for an hour"


def test_a_stale_worker_writes_nothing(contoso: Tenant) -> None:
    with scripted():
        submit(contoso)
        (lost,) = claim()
        with scope.every("somebody else claimed it"):
            Command.objects.update(fence=lost.fence + 1)
        ctx = runner._context(lost)
        with pytest.raises(LeaseLost), ctx.transaction():
            pytest.fail("the body must not run")
        with pytest.raises(LeaseLost):
            ctx.report(force=True, done=1)
        with scope.one(contoso.id), pytest.raises(LeaseLost):
            ctx.checkpoint(at=1)


def test_who_may_not_ask_for_the_work_neither_repeats_nor_confirms_it(cast: Cast, contoso: Tenant) -> None:
    with scripted():
        command = submit(contoso)
        for act in (services.retry, lambda actor, row: services.approve(actor, row, 1)):
            with scope.one(contoso.id), pytest.raises(Forbidden):
                act(cast.actor("vera"), command)


def test_a_command_that_stops_workers_is_set_aside(contoso: Tenant) -> None:
    with scripted(), scripted(name="other"):
        command = submit(contoso)
        for _ in range(sweeper.DEADLY):
            assert [found.id for found in claim()] == [command.id]
            with scope.every("the lease runs out"):
                Command.objects.filter(id=command.id).update(
                    lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
                )
            sweeper.take_back()
        aside = row(command)
        assert (aside.state, aside.reason) == (State.SUSPENDED, Reason.POISON)
        submit(contoso, "other")
        assert run_due() == 1, "the lane goes on without it"
        with scope.one(contoso.id):
            services.retry(SYSTEM, aside)
        assert run_due() == 1


def test_a_slice_may_ask_for_time_without_using_an_attempt(contoso: Tenant) -> None:
    with scripted(Again("Microsoft is spreading it.", dt.timedelta(minutes=1))):
        command = submit(contoso)
        assert run_due() == 1
        waiting = row(command)
        assert (waiting.state, waiting.reason, waiting.attempts) == (State.QUEUED, Reason.BACKING_OFF, 0)
        assert waiting.message == "Microsoft is spreading it."
        assert run_due() == 0, "its time has not come"
        with scope.one(contoso.id):
            states.make_due(Q(id=command.id))
        assert run_due() == 1
    assert row(command).state == State.SUCCEEDED


def test_cancelling(contoso: Tenant) -> None:
    with scripted(Again()):
        waiting = submit(contoso)
        with scope.one(contoso.id):
            services.cancel(SYSTEM, waiting)
        assert row(waiting).state == State.CANCELLED
        with scope.one(contoso.id), pytest.raises(Conflict):
            services.cancel(SYSTEM, row(waiting))
        running = submit(contoso)
        (held,) = claim()
        with scope.one(contoso.id):
            services.cancel(SYSTEM, running)
        assert row(running).state == State.EXECUTING, "it is asked, not torn"
        settle(held)
    assert row(running).state == State.CANCELLED


def lose() -> None:
    """Whoever holds a command dies, and the lease runs out."""
    with scope.every("the lease runs out"):
        Command.objects.filter(state=State.EXECUTING).update(
            lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
        )
    assert sweeper.take_back() == 1


@pytest.mark.parametrize("deaths", [0, sweeper.DEADLY - 1], ids=["lost", "deadly"])
def test_what_is_to_be_cancelled_runs_no_further_slice_after_its_worker_was_lost(
    contoso: Tenant, deaths: int
) -> None:
    with scripted() as seen, scripted(name="other"):
        command, other = submit(contoso), submit(contoso, "other")
        for _ in range(deaths):
            claim()
            lose()
        claim()
        with scope.one(contoso.id):
            services.cancel(SYSTEM, command)
        lose()
        ended = row(command)
        assert (ended.state, ended.reason, ended.error) == (State.CANCELLED, Reason.PERSON, None)
        assert (ended.message, ended.deaths) == (states.CANCELLED_LOST, deaths + 1)
        assert ended.finished_at
        assert [found.id for found in claim()] == [other.id], "its lane goes on"
    assert seen == []


@pytest.mark.parametrize(
    "after", [Again(), UmpError.of("teams_phone_missing")], ids=["waits", "is set aside"]
)
def test_a_wish_to_cancel_that_comes_while_a_slice_is_settled_is_honoured(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch, after: Any
) -> None:
    real = states.cancel_wanted
    asks: list[bool] = []

    def wanted(command_id: int) -> bool:
        asks.append(real(command_id))
        if len(asks) == 1:
            with scope.one(contoso.id):
                services.cancel(SYSTEM, command)
        return asks[-1]

    monkeypatch.setattr(states, "cancel_wanted", wanted)
    with scripted(after):
        command = submit(contoso)
        run_due()
    assert (row(command).state, asks) == (State.CANCELLED, [False, True])


def test_who_tries_again_does_not_want_it_cancelled_any_more(contoso: Tenant) -> None:
    """Rows of an earlier version were set aside with a wish that nobody had looked at."""
    with scripted(UmpError.of("teams_phone_missing"), Again()):
        command = submit(contoso)
        run_due()
        with scope.one(contoso.id):
            Command.objects.filter(id=command.id).update(cancel_requested_at=Now())
            services.retry(SYSTEM, row(command))
        assert row(command).cancel_requested_at is None
        run_due()
    assert row(command).state == State.SUCCEEDED


def test_a_failed_one_is_repeated_as_a_new_one(contoso: Tenant) -> None:
    with scripted(UmpError.of("graph_unsupported")):
        command = submit(contoso)
        run_due()
        assert row(command).state == State.FAILED
        with scope.one(contoso.id):
            again = services.retry(SYSTEM, row(command))
        assert again.id != command.id
        assert again.retry_of_id == command.id
        run_due()
    assert row(again).state == State.SUCCEEDED
    assert row(command).state == State.FAILED


def test_debounce_waits_for_quiet_but_not_for_ever(contoso: Tenant, settings: Any) -> None:
    delay = dt.timedelta(minutes=5)
    with scripted() as seen:
        first = submit(contoso, delay=delay)
        assert first.reason == Reason.DEBOUNCE
        assert claim() == []
        later(first, minutes=3)
        moved = submit(contoso, delay=delay)
        assert moved.id == first.id
        assert moved.not_before - moved.queued_at >= dt.timedelta(minutes=4, seconds=59)
        with scope.every("it was queued half an hour ago"), connection.cursor() as cursor:
            cursor.execute("UPDATE replication_command SET queued_at = queued_at - interval '30 minutes'")
        due = submit(contoso, delay=delay)
        assert due.id == first.id
        assert run_due() == 1, "constant editing cannot starve it"
    assert len(seen) == 1


def test_a_delay_longer_than_the_longest_wait_starts_anew(contoso: Tenant) -> None:
    """A customer whose changes are to be collected for a day has them collected for a day, and for two at most."""
    delay = dt.timedelta(days=1)
    with scripted():
        first = submit(contoso, delay=delay)
        waits = []
        for hours in (1, 20, 20):
            with scope.every("hours go by"), connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE replication_command SET queued_at = queued_at - %s", [dt.timedelta(hours=hours)]
                )
            later(first, hours=hours)
            moved = submit(contoso, delay=delay)
            assert moved.id == first.id
            waits.append(moved.not_before - moved.queued_at)
        assert dt.timedelta(hours=25) <= waits[0] < dt.timedelta(hours=26)
        assert waits[2] == 2 * delay
        assert claim() == []


def test_what_process_all_made_due_is_not_put_off_again(contoso: Tenant) -> None:
    """It may stand behind long work in its lane while somebody makes another change."""
    delay = dt.timedelta(minutes=5)
    with scripted(name="long"), scripted():
        submit(contoso, "long")
        (held,) = claim()
        waiting = submit(contoso, delay=delay)
        with scope.one(contoso.id):
            assert services.process_all(SYSTEM, contoso) == 1
        joined = submit(contoso, delay=delay)
        assert (joined.id, joined.reason) == (waiting.id, Reason.NONE)
        settle(held)
        assert [found.id for found in claim()] == [waiting.id]


def test_what_the_connection_let_go_is_not_put_off_again(contoso: Tenant) -> None:
    delay = dt.timedelta(minutes=5)
    with scripted():
        waiting = submit(contoso, delay=delay)
        with scope.one(contoso.id):
            services.suspend_for(contoso.id, "consent_missing")
            assert submit(contoso).reason == Reason.CONNECTION, "whoever joins does not hide why it waits"
            services.resume_for(contoso.id)
        joined = submit(contoso, delay=delay)
        assert (joined.id, joined.reason) == (waiting.id, Reason.NONE)
        assert [found.id for found in claim()] == [waiting.id]


def test_a_wish_without_delay_ends_the_wait_and_its_reason(cast: Cast) -> None:
    delay = dt.timedelta(minutes=5)
    with scripted():
        for tenant in (cast.contoso, cast.fabrikam):
            assert submit(tenant, delay=delay).reason == Reason.DEBOUNCE
        assert submit(cast.contoso).reason == Reason.NONE
        with scope.every("many at once"):
            assert len(services.submit_many(SYSTEM, "scripted", [cast.fabrikam.id])) == 1
            assert not Command.objects.filter(reason=Reason.DEBOUNCE).exists()
        assert len(claim()) == 2


def test_process_all_makes_the_waiting_one_due(contoso: Tenant) -> None:
    with scripted():
        submit(contoso, delay=dt.timedelta(minutes=5))
        with scope.one(contoso.id):
            assert services.process_all(SYSTEM, contoso) == 1
        assert run_due() == 1


def test_pausing_one_customer_or_all(cast: Cast) -> None:
    with scripted():
        submit(cast.contoso)
        submit(cast.fabrikam)
        with scope.one(cast.contoso.id):
            services.pause_tenant(SYSTEM, cast.contoso, paused=True)
        assert [found.tenant_id for found in claim()] == [cast.fabrikam.id]
        with scope.one(cast.contoso.id):
            services.pause_tenant(SYSTEM, cast.contoso, paused=False)
        services.pause_all(SYSTEM, paused=True)
        assert claim() == []
        services.pause_all(SYSTEM, paused=False)
        assert [found.tenant_id for found in claim()] == [cast.contoso.id]


@pytest.mark.parametrize("change", [{"enabled": False}, {"deleted_at": dt.datetime.now(dt.UTC)}])
def test_no_command_of_a_disabled_or_deleted_customer_starts(contoso: Tenant, change: dict[str, Any]) -> None:
    with scripted():
        submit(contoso)
        with scope.one(contoso.id):
            Tenant.objects.update(**change)
        assert claim() == []


def test_counters_are_those_of_the_rows(cast: Cast) -> None:
    with scripted(name="a"), scripted(name="b"):
        submit(cast.contoso, "a")
        submit(cast.contoso, "b")
        submit(cast.fabrikam, "a")
        claim(1)
        with scope.every("the page"):
            assert selectors.counters() == {"open": 3, "executing": 1, "queued": 2, "suspended": 0}
        with scope.one(cast.fabrikam.id):
            assert selectors.counters()["open"] == 1


def test_an_unknown_kind_waits_for_a_newer_worker(contoso: Tenant) -> None:
    with scripted():
        command = submit(contoso)
    run_due()
    assert row(command).error["code"] == "unknown_kind"  # type: ignore[index]  # just written
    assert row(command).state == State.SUSPENDED


def test_a_move_that_is_not_in_the_table_is_refused(contoso: Tenant) -> None:
    with scripted():
        command = submit(contoso)
        with scope.one(contoso.id), pytest.raises(ValueError, match="cannot go"):
            states.move(command.id, from_=State.SUCCEEDED, to=State.QUEUED)


def test_every_kind_says_how_it_reconciles() -> None:
    from replication.registry import kinds

    for kind in kinds().values():
        assert kind.reconcile.strip(), kind.name


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_take_the_same_command(committed_cast: Cast) -> None:
    with scripted(name="a"), scripted(name="b"), scripted(name="c"):
        for kind in "abc":
            submit(committed_cast.contoso, kind)
            submit(committed_cast.fabrikam, kind)
        taken: list[int] = []
        gate = threading.Barrier(4)

        def worker() -> None:
            gate.wait()
            for _ in range(20):
                for found in claim(1):
                    taken.append(found.id)
                    settle(found)
            connection.close()

        threads = [threading.Thread(target=worker) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run_due()
    with scope.every("a test counts"):
        assert Command.objects.filter(state=State.SUCCEEDED).count() == 6
    assert len(taken) == len(set(taken))


@pytest.mark.django_db(transaction=True)
def test_wishes_claims_and_cancels_at_once_neither_double_nor_deadlock(committed_cast: Cast) -> None:
    ran: list[tuple[int, int]] = []
    faults: list[BaseException] = []

    def storm(seed: int) -> None:
        dice = random.Random(seed)
        try:
            for _ in range(40):
                act = dice.randrange(4)
                tenant = dice.choice([committed_cast.contoso, committed_cast.fabrikam])
                if act == 0:
                    submit(tenant, dice.choice("ab"))
                elif act == 1:
                    with scope.one(tenant.id):
                        waiting = Command.objects.filter(state=State.QUEUED).first()
                        if waiting:
                            with contextlib.suppress(Conflict):
                                services.cancel(SYSTEM, waiting)
                else:
                    for found in claim(2):
                        ran.append((found.id, found.fence))
                        settle(found)
        except BaseException as error:  # noqa: BLE001  whatever it is, the test must see it
            faults.append(error)
        finally:
            connection.close()

    with scripted(name="a"), scripted(name="b"):
        threads = [threading.Thread(target=storm, args=[seed]) for seed in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        run_due()
    assert faults == []
    assert len(ran) == len({command for command, _ in ran})
    with scope.every("a test counts"):
        assert not Command.objects.exclude(state__in=[State.SUCCEEDED, State.CANCELLED]).exists()


@pytest.mark.django_db(transaction=True)
def test_a_wish_made_during_a_move_is_never_forgotten(committed_cast: Cast) -> None:
    """The lane's due time is computed after its lock, so a wish committed meanwhile is in it."""
    with scripted(name="a"), scripted(name="b"):
        submit(committed_cast.contoso, "a")
        (held,) = claim()
        inserted, finish = threading.Event(), threading.Event()

        def wish() -> None:
            with transaction.atomic():
                submit(committed_cast.contoso, "b")
                inserted.set()
                finish.wait(30)
            connection.close()

        thread = threading.Thread(target=wish)
        thread.start()
        assert inserted.wait(30)
        threading.Timer(0.2, finish.set).start()
        settle(held)  # waits for the lane that the wish has locked
        thread.join()
        with scope.every("a test looks"):
            assert Lane.objects.get(tenant=committed_cast.contoso, name=LaneName.DATA).due_at is not None
        assert run_due() == 1


class Looks:
    """Stands for the event that ends a worker: so many looks are made before it."""

    def __init__(self, number: int) -> None:
        self.waits: list[float] = []
        self.number = number

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        return len(self.waits) > self.number


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """What draining says, each time that a look-out does it; it has nothing left to do when this is empty."""
    said: list[bool] = []
    monkeypatch.setattr(runner, "_process", runner._Process())
    monkeypatch.setattr(runner, "_drain", lambda longest: said.pop(0))
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own
    return said


def test_a_living_worker_takes_back_what_a_lost_one_held_and_goes_on_with_it(
    contoso: Tenant, drained: list[bool], rung: list[str]
) -> None:
    """Within five seconds of the lease's end, whatever becomes of the sweeper, of rings and of the broker."""
    drained += [True, False, False, True]
    with scripted():
        left = submit(contoso)
        assert len(claim()) == 1
        rung.clear()
        runner._look_out(looks := Looks(1))  # type: ignore[arg-type]
        assert row(left).state == State.EXECUTING, "its lease has not run out"
        with scope.every("its worker dies, and the lease runs out"):
            Command.objects.update(lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        runner._look_out(Looks(1))  # type: ignore[arg-type]
    assert (row(left).state, row(left).reason) == (State.QUEUED, Reason.WORKER_LOST)
    assert (drained, rung) == ([], []), "until nothing is due, by itself"
    assert max(looks.waits) < 5


def test_who_looks_out_leaves_to_a_tick_what_that_is_about_to_take(drained: list[bool]) -> None:
    drained.append(True)
    with runner._process.draining:
        runner._look()
    assert drained == [True]
    runner._look()
    assert drained == []


def test_a_look_that_fails_is_not_the_last(drained: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    drained.append(True)
    troubles: list[Exception] = [OperationalError("gone"), ValueError("of ours")]

    def take_back() -> None:
        if troubles:
            raise troubles.pop()

    monkeypatch.setattr(sweeper, "take_back", take_back)
    runner._look_out(looks := Looks(3))  # type: ignore[arg-type]
    assert (troubles, drained, len(looks.waits)) == ([], [], 4)


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[runner._Process]:
    """A worker's process of two threads, whose connections to the test database end with the test."""
    settings.WORKER_THREADS = 2
    made = runner._Process()
    monkeypatch.setattr(runner, "_process", made)
    yield made
    made.stopping.set()
    assert made.pool is not None
    made.pool.shutdown()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("process")
def test_a_long_call_at_the_end_of_a_tick_keeps_nobody_from_beginning(committed_cast: Cast) -> None:
    """A tick that waited for what it had begun, and took nothing new meanwhile, cost others as long as a call."""
    over = threading.Event()

    def long(ctx: Context) -> Done:
        assert over.wait(20), "the other did not begin before this one's end"
        return Done("Done.")

    def other(ctx: Context) -> Done:
        over.set()
        return Done("Done.")

    with scripted(long, name="long"), scripted(other, name="other"):
        first = submit(committed_cast.contoso, "long")
        assert not runner.drain(longest=0)
        second = submit(committed_cast.fabrikam, "other")
        assert runner.drain(longest=20)
    assert [row(one).state for one in (first, second)] == [State.SUCCEEDED] * 2


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("process")
def test_a_worker_with_its_hands_full_wakes_another(committed_cast: Cast, rung: list[str]) -> None:
    """One ring may stand for hundreds of commands: those that the sweeper queues at once."""
    with scripted(name="a"), scripted(name="b"):
        submit(committed_cast.contoso, "a")
        rung.clear()
        assert runner.drain(longest=20)
        assert rung == []
        submit(committed_cast.contoso, "a")
        submit(committed_cast.fabrikam, "b")
        rung.clear()
        assert runner.drain(longest=20)
        assert rung == [""]


def test_a_tick_goes_on_while_there_is_no_broker_to_ask_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Redis may be away for as long as it likes: what has begun comes to its end."""
    drains, rings = [False, False, False, True], [False, False, True]
    swept: list[bool] = []
    monkeypatch.setattr(runner, "drain", lambda: drains.pop(0))
    monkeypatch.setattr(sweeper, "sweep", lambda: swept.append(True))
    monkeypatch.setattr(doorbell, "ring", lambda lane="": rings.pop(0))
    tasks.tick()
    assert (drains, rings, len(swept)) == ([True], [], 3)


def test_what_a_slice_said_last_comes_with_its_end(contoso: Tenant) -> None:
    """A short one writes its progress once, not each time that it says it."""

    def run(ctx: Context) -> Done:
        ctx.report(label="One", done=1)
        ctx.report(label="Two")
        assert row(command).progress == {}
        return Done("Done.")

    with scripted(run):
        command = submit(contoso)
        run_due()
    assert row(command).progress == {"label": "Two", "done": 1}


def test_cycles_are_queued_at_once(cast: Cast) -> None:
    """Thirty-three customers a second come due at a large provider. A suspended lane says why its command waits."""
    with scope.every("three customers are due"):
        Tenant.objects.update(next_cycle_at=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
        Connection.objects.update(verification=Verification.SUCCESSFUL)
    with scope.one(cast.contoso.id):
        states.suspend_lane(cast.contoso.id, "consent_missing")
    due = sweeper.schedule()
    with scope.every("a test looks"):
        found = {one.tenant_id: one for one in Command.objects.filter(kind=sweeper.CYCLE)}
    assert len(found) == due > 1
    assert found.pop(cast.contoso.id).state == State.SUSPENDED
    assert {(one.state, one.reason, one.dedupe_key) for one in found.values()} == {
        (State.QUEUED, "", f"{sweeper.CYCLE}||")
    }
    assert sweeper.schedule() == 0


def test_deaths_count_in_a_row(contoso: Tenant) -> None:
    """A long command outlives many workers in its time; only one that comes to no end at all is set aside."""
    with scripted(Again(), Again(), Again()):
        command = submit(contoso)
        for _ in range(sweeper.DEADLY):
            claim()
            with scope.every("the lease runs out"):
                Command.objects.update(lease_until=dt.datetime(2000, 1, 1, tzinfo=dt.UTC))
            sweeper.take_back()
            assert row(command).deaths == 1
            (found,) = claim()
            settle(found)
        assert row(command).state == State.QUEUED


def _away() -> InternalError:
    """As psycopg2 tells that PostgreSQL ended a session whose line was silent: an internal error."""
    error = InternalError("terminating connection due to idle-in-transaction timeout")
    error.__cause__ = psycopg2.errors.IdleInTransactionSessionTimeout()
    return error


def _broken() -> DatabaseError:
    """As psycopg2 tells of a session that was lost with its process: without a code, and of no class of its own."""
    error = DatabaseError("server closed the connection unexpectedly")
    error.__cause__ = psycopg2.DatabaseError("server closed the connection unexpectedly")
    return error


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("gone"),
        _away(),
        _broken(),
        psycopg2.OperationalError("gone"),  # as a cursor on the server tells it when it is closed
        psycopg2.InterfaceError("gone"),
        psycopg2.errors.IdleInTransactionSessionTimeout("silent"),
    ],
    ids=[
        "gone",
        "silent line",
        "broken line",
        "gone, psycopg2's own",
        "closed, psycopg2's own",
        "silent line, psycopg2's own",
    ],
)
def test_a_database_that_was_away_costs_no_attempt(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own
    with scripted(error):
        command = submit(contoso)
        run_due()
    found = row(command)
    assert (found.state, found.reason, found.attempts) == (State.QUEUED, Reason.BACKING_OFF, 0)


def test_an_outcome_is_written_down_once_the_database_is_back(
    contoso: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SETTLE_AGAIN", 0.0)
    monkeypatch.setattr(connection, "close", lambda: None)  # it is the test's own
    real, trouble = runner._settle, [OperationalError("gone"), _away()]

    def settles(*args: Any) -> None:
        if trouble:
            raise trouble.pop()
        real(*args)

    monkeypatch.setattr(runner, "_settle", settles)
    with scripted() as seen:
        command = submit(contoso)
        (found,) = claim()
        runner._carry_out(found)
    assert (row(command).state, len(seen)) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize(
    ("outcome", "asked_by", "age", "there"),
    [
        ("unchanged", "system", dt.timedelta(days=2, hours=1), False),
        ("unchanged", "system", dt.timedelta(days=1, hours=23), True),
        ("unchanged", "user", dt.timedelta(days=29), True),
        ("complete", "system", dt.timedelta(days=29), True),
        ("complete", "user", dt.timedelta(days=30, hours=1), False),
    ],
)
def test_what_changed_nothing_and_nobody_asked_for_is_forgotten_sooner(
    contoso: Tenant, outcome: str, asked_by: str, age: dt.timedelta, there: bool
) -> None:
    with scripted(Done("Over.", outcome)):
        command = submit(contoso)
        run_due()
    with scope.every("a test turns the clock"):
        Command.objects.filter(id=command.id).update(actor_kind=asked_by, finished_at=Now() - age)
    sweeper.forget()
    with scope.every("a test looks"):
        assert Command.objects.filter(id=command.id).exists() is there


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("process")
def test_drain_runs_everything_on_its_threads(committed_cast: Cast) -> None:
    with scripted(name="a"), scripted(name="b"):
        for kind in "ab":
            submit(committed_cast.contoso, kind)
            submit(committed_cast.fabrikam, kind)
        assert runner.drain(longest=20)
    with scope.every("a test counts"):
        assert Command.objects.filter(state=State.SUCCEEDED).count() == 4
