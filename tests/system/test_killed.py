"""Whatever is killed in the middle of a sync: nothing is lost, nothing is doubled, and it goes on by itself."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.kept import Kept, Row, add
from tests.system.microsoft import Microsoft
from tests.system.stage import Stage, Timer, processes, until

SLOW = {"latency_ms": 1200}
PATIENCE = 180.0
"""Seconds. Two cores are shared with other tests, and a worker takes a while to load."""
TRIES = 10


def started(stage: Stage, microsoft: Microsoft, name: str, *, users: int = 6000, groups: int = 60) -> Kept:
    """A customer in the middle of its slow first sync: some users are in the mirror, most are not."""
    kept = add(stage, microsoft.customer(name, users=users, groups=groups, settings=SLOW))
    until("the first sync is in its middle", lambda: users // 10 <= kept.count("user") and kept.executing())
    assert kept.count("user") < users * 0.8, "the simulator was too fast for this test"
    return kept


def struck(kept: Kept, held: Row) -> Row | None:
    """What became of the command when its worker was struck: `deaths` says whether it was in a slice.

    Between two slices nobody holds it, and on a busy machine that is long enough to strike a worker at rest.
    """
    row = kept.commands()[0]
    at_rest = row.state != "executing" or row.lease_owner != held.lease_owner
    return row if row.deaths or at_rest else None


def hurry(kept: Kept) -> Row:
    """Microsoft is quick again; the sync, once it has come to its end."""
    kept.customer.control("PATCH", "", {"latency_ms": 0})
    return kept.in_step(120)


def test_a_killed_workers_first_sync_goes_on(stage: Stage, microsoft: Microsoft) -> None:
    kept = started(stage, microsoft, "Killed", users=20_000, groups=200)
    for _ in range(TRIES):
        held = until("somebody works on it", kept.executing)
        before = kept.count("user")
        timer = Timer()
        victim = stage.kill("worker")
        row = until("it is taken back", lambda held=held: struck(kept, held), PATIENCE)
        taken = timer()
        stage.back("worker", victim)
        if row.deaths:
            break
    assert row.deaths == 1
    until("it goes on", lambda: kept.count("user") > before, PATIENCE)
    resumed = timer()
    ended = hurry(kept)
    print(f"taken back after {taken:.1f} s, going on after {resumed:.1f} s, in step after {timer():.1f} s")
    assert ended.id == held.id
    assert ended.fence > held.fence
    assert any("worker" in step.lower() for step in kept.steps(ended.id)), kept.steps(ended.id)
    kept.is_the_same()


@pytest.fixture
def second_worker(stage: Stage) -> Iterator[subprocess.Popen[bytes]]:
    popen = stage.another_worker()
    until("the second worker has its pool", lambda: len(group_of(popen.pid)) >= 3)
    yield popen
    stage.end_extra(popen, 30)


def group_of(group: int) -> list[int]:
    return [one.pid for one in processes() if one.group == group]


@contextlib.contextmanager
def frozen(group: int) -> Iterator[None]:
    os.killpg(group, signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(group, signal.SIGCONT)


@pytest.mark.usefixtures("second_worker")
def test_a_frozen_worker_that_wakes_up_too_late_writes_nothing(stage: Stage, microsoft: Microsoft) -> None:
    kept = started(stage, microsoft, "Frozen")
    for _ in range(TRIES):
        held = until("somebody works on it", kept.executing)
        said = len(stage.said())
        timer = Timer()
        with frozen(os.getpgid(int(held.lease_owner.rpartition(":")[2]))):
            other = until("the other worker has it", lambda held=held: taken_over(kept, held), PATIENCE)
            if not other.deaths:  # it was frozen between two slices
                continue
            taken = timer()
            rows = kept.count("user")
            until("the other worker goes on", lambda rows=rows: kept.count("user") > rows, PATIENCE)
            break
    assert other.deaths == 1
    until("the late write is refused", lambda: "taken over by another worker" in stage.said()[said:])
    ended = hurry(kept)
    print(f"taken over after {taken:.1f} s, in step after {timer():.1f} s")
    assert ended.id == held.id
    assert ended.fence >= other.fence
    kept.is_the_same()


def taken_over(kept: Kept, held: Row) -> Row | None:
    found = kept.executing()
    return found if found and found.lease_owner != held.lease_owner else None


def test_a_worker_that_is_asked_to_end_finishes_its_slices(stage: Stage, microsoft: Microsoft) -> None:
    kept = started(stage, microsoft, "Asked")
    worker = stage.running("worker")
    timer = Timer()
    os.kill(worker.pid, signal.SIGTERM)
    until("the worker has ended", lambda: not Path(f"/proc/{worker.pid}").exists(), 30)
    ended_after = timer()
    row = kept.commands()[0]
    assert row.state != "executing", "its slice was not finished"
    stage.back("worker", worker)
    ended = hurry(kept)
    print(f"ended after {ended_after:.1f} s, in step after {timer():.1f} s")
    assert ended.deaths == 0, "a worker that ends in order leaves nothing to be taken back"
    kept.is_the_same()


def test_a_worker_whose_process_is_frozen_ends_in_time_all_the_same(
    stage: Stage, microsoft: Microsoft
) -> None:
    kept = started(stage, microsoft, "Stiff")
    worker = stage.running("worker")
    held = until("its command runs", kept.executing)
    timer = Timer()
    os.kill(int(held.lease_owner.rpartition(":")[2]), signal.SIGSTOP)
    os.kill(worker.pid, signal.SIGTERM)
    until("the worker has ended", lambda: not Path(f"/proc/{worker.pid}").exists(), 30)
    ended_after = timer()
    assert "without waiting for its pool" in stage.said()
    stage.back("worker", worker)
    hurry(kept)
    print(f"ended after {ended_after:.1f} s, in step after {timer():.1f} s")
    kept.is_the_same()


def test_a_killed_database_comes_back_and_the_sync_goes_on(stage: Stage, microsoft: Microsoft) -> None:
    kept = started(stage, microsoft, "Shaken")
    postmaster = stage.postmaster()
    assert postmaster
    timer = Timer()
    os.kill(postmaster, signal.SIGKILL)
    until("the portal is not well", lambda: not stage.healthy())
    until("another database runs", lambda: stage.postmaster() not in (None, postmaster))
    until("the portal is well again", stage.healthy)
    back = timer()
    ended = hurry(kept)
    print(f"the portal was well again after {back:.1f} s, in step after {timer():.1f} s")
    assert len(kept.commands()) == 1
    assert ended.attempts == 0, "a database that was away is not Microsoft's failure"
    kept.is_the_same()


def test_a_killed_web_server_is_back_and_the_sync_does_not_notice(stage: Stage, microsoft: Microsoft) -> None:
    kept = started(stage, microsoft, "Unseen")
    timer = Timer()
    victim = stage.kill("web")
    stage.back("web", victim)
    until("the portal is well again", stage.healthy)
    print(f"the web server was back after {timer():.1f} s")
    ended = hurry(kept)
    assert (ended.deaths, ended.attempts) == (0, 0)
    kept.is_the_same()


def test_without_a_clock_the_worker_looks_by_itself(stage: Stage, microsoft: Microsoft) -> None:
    kept = add(stage, microsoft.customer("Clockless", users=20, groups=2))
    kept.in_step()
    with frozen(stage.running("clock").group):
        for message in (stage.home / "broker" / "messages").glob("*.msg"):  # the clock's last ring
            message.unlink(missing_ok=True)
        waited = cycle_starts(kept)
        print(f"started after {waited:.1f} s")
        kept.in_step()


def cycle_starts(kept: Kept) -> float:
    """Let its automatic cycle be due; after how many seconds it is started."""
    last = kept.in_step()
    timer = Timer()
    kept.stage.sql("UPDATE tenants_tenant SET next_cycle_at = now() WHERE id = %s", kept.id)
    until("its cycle is started", lambda: kept.commands()[0].id != last.id)
    return timer()


def test_a_killed_clock_is_back(stage: Stage) -> None:
    victim = stage.kill("clock")
    assert stage.back("clock", victim).pid != victim.pid
