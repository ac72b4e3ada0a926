"""The pacer: it learns the limit from warnings, shares refusals, and forgets both."""

from __future__ import annotations

import heapq
import threading

import pytest

from m365.pacing import SLOWED, TEAMS, WRITES, Cost, Pacer, cost_of, expected_units, pacer_for
from simulator.throttle import Bucket
from tests.m365.desk import Clock


def _spend(pacer: Pacer, units: float) -> None:
    assert pacer.ask(Cost(units)) == 0.0


def test_without_a_warning_nobody_waits() -> None:
    pacer = Pacer(Clock())
    for _ in range(1000):
        _spend(pacer, 5)


def _answered(pacer: Pacer, share: float | None, units: float = 100) -> None:
    headers = {"x-ms-resource-unit": str(units)}
    if share is not None:
        headers["x-ms-throttle-limit-percentage"] = f"{share:.2f}"
    pacer.learn(headers, units, pacer.asked)


def test_a_warning_teaches_what_the_bucket_holds() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    clock.now += 1.0
    for _ in range(40):
        _spend(pacer, 100)
    _answered(pacer, 0.8)
    _spend(pacer, 500)
    assert pacer.ask(Cost(100)) == pytest.approx(0.2)  # a bucket of 5,000 gives a hundred in so much time
    clock.now += 0.2
    _spend(pacer, 100)


def test_what_others_spend_is_not_taken_for_a_small_bucket() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    _spend(pacer, 100)
    _answered(pacer, 0.9)
    wait = pacer.ask(Cost(100))
    assert wait == pytest.approx(100 / 350, rel=0.1)
    clock.now += wait
    _spend(pacer, 100)
    _answered(pacer, None)
    _spend(pacer, 300)


class _Microsoft:
    """Answers ten connections that each ask for a batch of forty units every tenth of a second."""

    def __init__(self, quota: float) -> None:
        self.clock = Clock()
        self.pacer = Pacer(self.clock)
        self.bucket = Bucket.full(quota, 10.0, self.clock.now)
        self.refused: list[float] = []
        self.again = 0
        """Refusals of what was sent within ten seconds of hearing of an earlier one."""
        self.spent = 0.0

    def serve(self, wanted: float) -> float:
        """Seconds until that many units were given."""
        begun = self.clock.now
        due = [(begun, number) for number in range(10)]
        sent: dict[int, tuple[float, bool, float | None, float]] = {}
        while self.spent < wanted:
            self.clock.now, number = heapq.heappop(due)
            if number in sent:
                self._hear(*sent.pop(number))
            pause = self.pacer.ask(Cost(40))
            if not pause:
                wait, used = self.bucket.take(40, self.clock.now)
                self.spent += 0.0 if wait else 40
                warned = bool(self.refused) and self.clock.now - self.refused[-1] < 10
                sent[number] = (wait, warned, used if used >= 0.8 else None, self.pacer.asked)
            heapq.heappush(due, (self.clock.now + (pause or 0.1), number))
        return self.clock.now - begun

    def _hear(self, wait: float, warned: bool, used: float | None, asked: float) -> None:
        headers = {} if used is None else {"x-ms-throttle-limit-percentage": f"{used:.2f}"}
        self.pacer.learn({"x-ms-resource-unit": "40", **headers}, 40, asked)
        if wait:
            self.pacer.hold(wait, Cost(40))
            self.refused.append(self.clock.now)
            self.again += warned


@pytest.mark.parametrize("quota", [3_500, 5_000, 8_000])
@pytest.mark.parametrize("times", [2.5, 3.1, 6.0])
def test_of_what_microsoft_allows_nine_tenths_are_used_and_nothing_is_refused(
    quota: float, times: float
) -> None:
    far_end = _Microsoft(quota)
    seconds = far_end.serve(times * quota)
    assert far_end.spent >= 0.9 * (quota + seconds * quota / 10)
    assert not far_end.refused


def test_a_bucket_that_is_smaller_than_any_refuses_once() -> None:
    far_end = _Microsoft(1_000)
    seconds = far_end.serve(8_000)
    assert far_end.spent >= 0.9 * (1_000 + seconds * 100)
    assert far_end.refused
    assert far_end.again == 0


def test_a_refusal_holds_everybody_who_shares_it() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    _spend(pacer, 10)
    pacer.hold(7.0)
    assert pacer.ask(Cost(1)) == 7.0
    pacer.hold(3.0)
    assert pacer.ask(Cost(1)) == 7.0
    clock.now += 7.0
    _spend(pacer, 1)


def test_a_refusal_slows_down_until_microsoft_says_that_there_is_room() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    _spend(pacer, 10)
    pacer.hold(1.0)
    clock.now += 1.1
    _spend(pacer, 1)
    assert pacer.ask(Cost(1000)) == pytest.approx(1000 / 350, rel=0.1)
    _answered(pacer, None, 1)
    _spend(pacer, 300)


@pytest.mark.parametrize("refused", [cost_of("/users/x", writes=True), cost_of("/admin/teams/policy/x")])
def test_what_is_counted_by_the_request_says_nothing_of_units(refused: Cost) -> None:
    clock = Clock()
    pacer = Pacer(clock)
    pacer.hold(1.0, refused)
    clock.now += 1.0
    _spend(pacer, 4000)


def test_a_refusal_without_a_word_holds_a_little() -> None:
    pacer = Pacer(Clock())
    pacer.hold(None)
    assert pacer.ask(Cost(1)) == 5.0


def test_a_single_big_request_is_never_held_for_good() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    pacer.hold(1.0)
    for _ in range(5):
        clock.now += max(pacer.ask(Cost(10_000)), 1.0)
    assert pacer.ask(Cost(10_000)) <= 10.0


def test_what_is_counted_by_the_request_is_known_beforehand() -> None:
    clock = Clock()
    pacer, write = Pacer(clock), cost_of("/users/x", writes=True)
    for _ in range(int(WRITES[0])):
        assert pacer.ask(write) == 0.0
    assert pacer.ask(write) == pytest.approx(WRITES[1] / WRITES[0], rel=0.1)
    assert pacer.ask(cost_of("/users/x")) == 0.0
    batch = sum([cost_of("/admin/teams/userConfigurations/x")] * 20, Cost())
    assert (batch.teams, batch.writes) == (20, 0)
    assert pacer.ask(batch) == 0.0
    assert pacer.ask(batch) == pytest.approx((2 * 20 - TEAMS[0]) / (SLOWED * TEAMS[0]))
    clock.now += 60
    begun = clock.now
    for _ in range(10):
        while wait := pacer.ask(batch):
            clock.now += wait
    assert clock.now - begun == pytest.approx((10 * 20 - TEAMS[0]) / TEAMS[0])


def test_a_refused_meter_is_slow_and_then_whole_again() -> None:
    clock = Clock()
    pacer, call = Pacer(clock), cost_of("/admin/teams/policy/x", writes=True)
    assert pacer.ask(call) == 0.0
    pacer.hold(1.0, call)
    assert pacer.ask(cost_of("/users/x", writes=True)) == 1.0
    clock.now += 1.0
    slow, whole = pacer.ask(Cost(teams=20)), 20 / TEAMS[0]
    assert slow > 3 * whole
    clock.now += 60
    assert pacer.ask(Cost(teams=25)) == 0.0
    assert pacer.ask(Cost(teams=20)) == pytest.approx((20 - TEAMS[0] + 25) / TEAMS[0])


@pytest.mark.parametrize("garbage", ["", "x", "nan", "inf", "-1", "1e9"])
def test_garbage_in_the_headers_teaches_nothing(garbage: str) -> None:
    pacer = Pacer(Clock())
    assert (
        pacer.learn({"x-ms-resource-unit": garbage, "x-ms-throttle-limit-percentage": garbage}, 1, 0) is None
    )
    _spend(pacer, 10_000)


@pytest.mark.parametrize(
    ("path", "units"),
    [("/users", 2), ("/users?$select=id", 1), ("/groups/x/members", 3), ("/groups/x/members?$select=id", 2),
     ("/subscribedSkus", 3), ("/users/delta", 1), ("/organization", 1), ("/", 1), ("", 1)],
)  # fmt: skip
def test_what_requests_cost(path: str, units: int) -> None:
    assert expected_units(path) == units


def test_one_pacer_for_each_app_and_tenant() -> None:
    found = [pacer_for("app", "tenant")]
    thread = threading.Thread(target=lambda: found.append(pacer_for("app", "tenant")))
    thread.start()
    thread.join()
    assert found[0] is found[1]
    assert pacer_for("app", "other") is not found[0]
