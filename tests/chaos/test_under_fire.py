"""A short run of bench/chaos.py: every process real, one fault of each kind; nothing lost, doubled, stuck or stale.

Long runs are started by command (bench/README.md).
"""

from pathlib import Path

import pytest

from bench import chaos, chaos_checker, chaos_nemesis

SEED = 7


@pytest.mark.redis
@pytest.mark.slow
def test_a_short_run(tmp_path: Path) -> None:
    kinds = len(chaos_nemesis.KINDS)
    words = f"--seed {SEED} --commands 40 --faults {kinds} --tenants 4 --pause 0.4 --lag 1"
    history, told = chaos.run(chaos.options(words.split()), tmp_path)
    assert {fault.kind for fault in history.faults} == set(chaos_nemesis.KINDS)
    assert told["commands"] > 20
    assert {head: told["findings"].get(head, []) for head in chaos_checker.HEADS} == {
        head: [] for head in chaos_checker.HEADS
    }


def test_the_same_seed_strikes_the_same_faults() -> None:
    again = [chaos_nemesis.plan(SEED, 50, 1.0) for _ in range(2)]
    assert again[0] == again[1]
    assert again[0] != chaos_nemesis.plan(SEED + 1, 50, 1.0)
    assert {blow.kind for blow in again[0]} == set(chaos_nemesis.KINDS)
