"""The pacer: it learns the limit from warnings, shares refusals, and forgets both."""

from __future__ import annotations

import threading

import pytest

from m365.pacing import SLOWED, TEAMS, WRITES, Cost, Pacer, cost_of, expected_units, pacer_for
from tests.m365.desk import Clock


def _spend(pacer: Pacer, units: float) -> None:
    assert pacer.ask(Cost(units)) == 0.0


def test_without_a_warning_nobody_waits() -> None:
    pacer = Pacer(Clock())
    for _ in range(1000):
        _spend(pacer, 5)


def test_a_warning_teaches_the_limit() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    for _ in range(8):
        _spend(pacer, 100)
        clock.now += 0.5
    pacer.learn({"x-ms-resource-unit": "100", "x-ms-throttle-limit-percentage": "0.8"}, 100)
    _spend(pacer, 50)
    wait = pacer.ask(Cost(100))
    assert 0 < wait <= 10
    clock.now += wait
    _spend(pacer, 100)


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


def test_a_refusal_after_much_reading_slows_it_down() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    _spend(pacer, 4000)
    pacer.hold(1.0)
    clock.now += 1.0
    assert pacer.ask(Cost(100)) == pytest.approx(9.0)


def test_a_refusal_after_little_reading_teaches_nothing() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    _spend(pacer, 10)
    pacer.hold(1.0)
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


def test_the_limit_is_forgotten_after_a_quiet_minute() -> None:
    clock = Clock()
    pacer = Pacer(clock)
    _spend(pacer, 60)
    pacer.learn({"x-ms-throttle-limit-percentage": "1.8"}, 60)
    assert pacer.ask(Cost(500)) > 0
    clock.now += 61
    _spend(pacer, 500)


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
    assert pacer.learn({"x-ms-resource-unit": garbage, "x-ms-throttle-limit-percentage": garbage}, 1) is None
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
