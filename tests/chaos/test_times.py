"""What a run under fire says of its waits: as they were, and without the seconds in which nobody could go on."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from bench import chaos_times
from bench.chaos_history import Fault, History, LaneRow, Life
from tests.chaos.test_checker import Story


@pytest.fixture
def story() -> Story:
    """Command 1 lost its worker, whose lease ended at 6; it was taken back at 8 and claimed at 14, 8 s late."""
    tell = Story()
    tell(1, "queued", at=1.0)
    tell(1, "executing", at=2.0, lease_until=5.0)
    tell(1, "executing", at=3.0, lease_until=6.0)
    tell(1, "queued", at=8.0, reason="worker_lost")
    tell(1, "executing", at=14.0)
    tell.history.lives = [Life(7, 0.0, 20.0)]
    return tell


def living(history: History) -> float:
    """Seconds that the checker counts against the product."""
    return float(chaos_times.times(history)["resumed"]["of_a_living_worker"])


def judged(history: History) -> bool | None:
    (found,) = [
        good
        for what, good in chaos_times.verdicts(chaos_times.times(history)).items()
        if "lost workers" in what
    ]
    return found


def test_a_late_one_is_found_and_said(story: Story) -> None:
    assert (living(story.history), judged(story.history)) == (8.0, False)
    (sentence,) = chaos_times.times(story.history)["late"]
    assert sentence == "command 1 (sync) went on 8.0 s after its lease: 8.0 s of a living worker"


def _nobody_lives(tell: Story) -> None:
    tell.history.lives = [Life(7, 0.0, 5.0), Life(8, 9.0, 20.0), Life(9, 10.0, 11.0)]


def _no_postgresql(tell: Story) -> None:
    tell.history.faults = [
        Fault(4.0, 6.5, "postgres restarted"),
        Fault(7.0, 8.0, "cut", "postgres"),
        Fault(7.5, 9.5, "silent", "postgres for 2.0 s"),
    ]


def _another_has_the_lane(tell: Story) -> None:
    last = tell.history.moves.pop()
    tell(2, "queued", at=8.5)
    tell(2, "executing", at=9.0)
    tell(2, "executing", at=10.0)
    tell(2, "succeeded", at=12.0)
    tell.history.moves.append(last)


def _told_to_sleep(tell: Story) -> None:
    tell.history.lanes = [LaneRow(5.0, 1, 9.0, ""), LaneRow(5.0, 2, 90.0, "")]


def _held_for_a_person(tell: Story) -> None:
    tell.history.lanes = [LaneRow(9.0, 1, 0.0, "consent_missing"), LaneRow(12.0, 1, 12.0, "")]


@pytest.mark.parametrize(
    "excuse", [_nobody_lives, _no_postgresql, _another_has_the_lane, _told_to_sleep, _held_for_a_person]
)
def test_what_keeps_everybody_from_going_on_is_taken_out(
    story: Story, excuse: Callable[[Story], None]
) -> None:
    excuse(story)
    assert (living(story.history), judged(story.history)) == (5.0, True)
    assert chaos_times.times(story.history)["resumed"]["slowest"] == 8.0


@pytest.mark.parametrize(
    "fault",
    [
        Fault(6.0, 14.0, "cut", "redis"),
        Fault(6.0, 14.0, "silent", "graph"),
        Fault(6.0, 14.0, "kill process", "7"),
    ],
    ids=lambda fault: fault.kind,
)
def test_other_faults_are_no_excuse(story: Story, fault: Fault) -> None:
    story.history.faults = [fault]
    assert living(story.history) == 8.0


def test_a_worker_that_lives_and_holds_its_command_has_not_lost_it(story: Story) -> None:
    """Nobody can take it back while its row is locked; from when the worker was stopped on it counts."""
    story.history.moves = [dataclasses.replace(move, owner="far:7") for move in story.history.moves]
    assert chaos_times.times(story.history)["resumed"]["from_living_workers"] == 1
    assert living(story.history) == 6.0, "from being taken back at 8"
    story.history.lives = [Life(7, 0.0, 7.0), Life(8, 0.0, 20.0), Life(7, 7.5, 20.0)]
    resumed = chaos_times.times(story.history)["resumed"]
    assert (resumed["from_living_workers"], resumed["of_a_living_worker"]) == (0, 7.0)


def test_no_second_is_taken_out_twice(story: Story) -> None:
    for excuse in (_nobody_lives, _no_postgresql, _told_to_sleep):
        excuse(story)
    assert living(story.history) == 4.5


def test_how_soon_after_an_outage() -> None:
    tell = Story()
    tell(1, "queued", at=1.0)
    tell.history.lives = [Life(7, 0.0, 5.0), Life(7, 9.0, 30.0)]
    tell.history.faults = [
        Fault(2.0, 3.0, "postgres restarted"),
        Fault(3.5, 4.0, "redis emptied"),
        Fault(4.0, 8.5, "terminate worker"),
    ]
    tell(1, "executing", at=20.0, lease_until=23.0)
    tell(1, "succeeded", at=21.0)
    tell.history.faults.append(Fault(24.0, 25.0, "postgres restarted"))  # nothing was due then
    found = chaos_times.times(tell.history)
    assert found["flowing_after_postgresql_was_back"] == {"slowest": 17.0, "of_a_living_worker": 13.0}
    assert found["flowing_after_redis_was_emptied"] == {"slowest": 16.0, "of_a_living_worker": 12.0}
    assert found["ended_after_sigterm"] == 4.5
    assert list(chaos_times.verdicts(found).values()) == [None, False, False, True, None]


def test_how_fast() -> None:
    tell = Story()
    wide = chaos_times.FULL + 1
    for command in range(wide):
        tell(command, "queued", at=0.5, lane=command)
    for command in range(wide):
        tell(command, "executing", at=1.5)
    for command in range(wide):
        tell(command, "succeeded" if command else "queued", at=2.5, reason="" if command else "slice")
    tell.history.faults = [Fault(0.0, 0.1, "kill web"), Fault(3.0, 4.0, "kill web")]
    tell.history.fair = (1.0, 3.0)
    both: dict[str, Any] = chaos_times.times(tell.history)["pace"]
    assert both["fair_weather"]["ended_a_second"] == round((wide - 1) / 2, 1)
    pace = both["under_fire"]
    assert pace["seconds"] == 4
    assert pace["ended_a_second"] == round((wide - 1) / 4, 1)
    assert pace["slices_a_second"] == round(wide / 4, 1)
    assert pace["seconds_with_more_due_than_threads"] == 1
    assert pace["ended_a_second_then"] == 0.0
    assert dataclasses.asdict(tell.history)["seed"] == 1


@pytest.mark.parametrize(("ended", "seconds", "good"), [(59.9, 20, False), (60.0, 20, True), (0.0, 19, None)])
def test_a_pace_is_judged_where_it_lasted(ended: float, seconds: int, good: bool | None) -> None:
    judged = chaos_times.times(Story().history)
    judged["pace"]["under_fire"] = {
        "ended_a_second_then": ended,
        "seconds_with_more_due_than_threads": seconds,
    }
    assert list(chaos_times.verdicts(judged).values()) == [None, None, None, None, good]
