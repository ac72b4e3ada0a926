"""The checker of runs under fire sees what is planted, and nothing where nothing is."""

from collections.abc import Callable
from typing import Any

import pytest

from bench import chaos_checker
from bench.chaos_history import Answer, Change, Effect, End, History, Move, Received, Sample, Write


class Story:
    """Writes a history down as the database would: each word is a row, one after another."""

    def __init__(self) -> None:
        self.history = History(seed=1, lease=3.0, sweep=5.0)
        self.rows: dict[int, Move] = {}

    def __call__(self, command: int, state: str, **more: Any) -> Move:
        old = self.rows.get(command)
        fence = (old.fence if old else 0) + (
            state == "executing" and (old is None or old.state != "executing")
        )
        n = len(self.history.moves) + len(self.history.writes) + 1
        values: dict[str, Any] = {"n": n, "at": float(n), "command": command, "state": state}
        values |= {"lane": 1, "tenant": "contoso", "kind": "sync", "target": "", "reason": "", "deaths": 0}
        values |= {"owner": "w1", "lease_until": n + 3.0, "not_before": 0.0, "fence": fence, "transaction": n}
        values |= {key: getattr(old, key) for key in ("lane", "target")} if old else {}
        move = Move(**{**values, **more})
        self.rows[command] = move
        self.history.moves.append(move)
        return move

    def wrote(self, version: int, transaction: int, thing: str = "adele", **more: Any) -> None:
        n = len(self.history.moves) + len(self.history.writes) + 1
        self.history.writes.append(Write(n, transaction, "contoso", thing, version, **more))


def change(
    version: int, state: str = "applied", *, what: str = "department", written: bool = False
) -> Change:
    return Change("contoso", "adele", what, version, state, written)


def order(version: int, identity: str, what: str = "department") -> Effect:
    """What Microsoft was told of a change."""
    return Effect("contoso", what, change(version).key, identity, version)


@pytest.fixture
def story() -> Story:
    """Two commands that went well: an answer for each, and everything that they did was seen."""
    tell = Story()
    for command, version in ((1, 1), (2, 2)):
        tell(command, "queued", target="")
        held = tell(command, "executing")
        tell.wrote(version, held.transaction, canary="contoso")
        tell(command, "succeeded")
    found = tell.history
    found.answers = [Answer(1.0, "replicate", 202, command=1), Answer(2.0, "replicate", 202, command=2)]
    found.answers.append(Answer(2.5, "replicate", 503, retry_after="5"))
    found.ends = [End("contoso", {"adele": 2}, {"adele": 2}, {"secret": ["k"]}, {"secret": ["k"]})]
    found.effects = [Effect("contoso", "mail", "7-1", "a@mail"), Effect("contoso", "mail", "7-1", "a@mail")]
    found.wanted = [Effect("contoso", "mail", "7-1", "")]
    found.changes = [change(3, "superseded"), change(5, written=True), change(6, what="number", written=True)]
    found.effects += [order(5, "s1"), order(6, "o1", "number")]
    found.events, found.received = [4, 5], [Received("t", 4), Received("t", 5), Received("t", 5)]
    found.samples = [Sample(3.0, {"open": 1}, {"open": 1})]
    found.audited = {1: 1, 2: 1}
    return tell


def bad(history: History) -> dict[str, int]:
    return {head: len(found) for head, found in chaos_checker.check(history).items() if found}


def test_a_good_run_is_good(story: Story) -> None:
    assert bad(story.history) == {}
    assert set(chaos_checker.check(story.history)) == set(chaos_checker.HEADS)


def _no_row(tell: Story) -> None:
    tell.history.answers.append(Answer(9.0, "check", 202, command=99))


def _no_mail(tell: Story) -> None:
    tell.history.wanted.append(Effect("contoso", "mail", "7-2", ""))


def _not_mirrored(tell: Story) -> None:
    tell.history.ends[0].far["grady"] = 1


def _secret_gone(tell: Story) -> None:
    tell.history.ends[0].outside["secret"].clear()


def _event_never_came(tell: Story) -> None:
    tell.history.events.append(6)


def _change_forgotten(tell: Story) -> None:
    tell.history.changes.append(change(7, ""))


def _change_never_written(tell: Story) -> None:
    tell.history.changes.append(change(7, written=True))


def _change_done_and_said_to_have_failed(tell: Story) -> None:
    tell.history.changes.append(change(7, "failed"))
    tell.history.effects.append(order(7, "s2"))


def _change_given_up_for_nothing(tell: Story) -> None:
    tell.history.changes.append(change(7, "superseded"))


def _change_waits_for_ever(tell: Story) -> None:
    tell.history.changes.append(change(7, "applying"))


def _ordered_twice(tell: Story) -> None:
    tell.history.effects.append(order(6, "o2", "number"))


def _older_change_written_later(tell: Story) -> None:
    tell.history.effects.append(order(3, "s2"))


def _two_mails(tell: Story) -> None:
    tell.history.effects.append(Effect("contoso", "mail", "7-1", "b@mail"))


def _secret_too_many(tell: Story) -> None:
    tell.history.ends[0].outside["secret"].append("orphan")


def _same_thing_twice(tell: Story) -> None:
    tell.history.ends[0].outside["secret"].append("k")


def _two_workers_in_a_lane(tell: Story) -> None:
    for command in (3, 4):
        tell(command, "queued")
        tell(command, "executing")
    for command in (3, 4):
        tell(command, "succeeded")


def _never_claimed(tell: Story) -> None:
    tell(3, "queued")


def _held_by_nobody(tell: Story) -> None:
    tell(3, "queued")
    tell(3, "executing", lease_until=0.0)


def _overtaken(tell: Story) -> None:
    tell(3, "queued", target="adele")
    tell(4, "queued", target="adele")
    tell(4, "executing")
    tell(4, "succeeded")
    tell(3, "executing")
    tell(3, "succeeded")


def _risen_from_the_dead(tell: Story) -> None:
    tell(2, "executing")
    tell(2, "succeeded")


def _event_too_late(tell: Story) -> None:
    tell.history.received.append(Received("t", 4))


def _older_value(tell: Story) -> None:
    held = tell(3, "executing")
    tell.wrote(1, held.transaction)
    tell.wrote(2, held.transaction)
    tell(3, "succeeded")


def _mirror_behind(tell: Story) -> None:
    tell.history.ends[0].mirror["adele"] = 1


def _written_after_the_fence(tell: Story) -> None:
    frozen = tell(3, "executing")
    tell(3, "queued", reason="worker_lost")
    tell(3, "executing", owner="w2")
    tell.wrote(3, frozen.transaction)
    tell(3, "succeeded")


def _counters(tell: Story) -> None:
    tell.history.samples.append(Sample(4.0, {"open": 1}, {"open": 2}))


def _anothers_contents(tell: Story) -> None:
    held = tell(3, "executing")
    tell.wrote(3, held.transaction, thing="zoe", canary="fabrikam")
    tell(3, "succeeded")


def _not_in_the_trail(tell: Story) -> None:
    tell.history.audited[2] = 0


def _heard(tell: Story) -> None:
    tell.history.leaks.append("a secret of contoso")


def _five_hundred(tell: Story) -> None:
    tell.history.answers.append(Answer(9.0, "check", 500))


def _no_retry_after(tell: Story) -> None:
    tell.history.answers.append(Answer(9.0, "check", 503))


PLANTED: list[tuple[str, Callable[[Story], None]]] = [
    ("lost", _no_row),
    ("lost", _no_mail),
    ("lost", _not_mirrored),
    ("lost", _secret_gone),
    ("lost", _event_never_came),
    ("lost", _change_forgotten),
    ("lost", _change_never_written),
    ("lost", _change_done_and_said_to_have_failed),
    ("lost", _change_given_up_for_nothing),
    ("stuck", _change_waits_for_ever),
    ("doubled", _ordered_twice),
    ("stale_overwrites", _older_change_written_later),
    ("doubled", _two_mails),
    ("doubled", _secret_too_many),
    ("doubled", _same_thing_twice),
    ("doubled", _two_workers_in_a_lane),
    ("stuck", _never_claimed),
    ("stuck", _held_by_nobody),
    ("out_of_order", _overtaken),
    ("out_of_order", _risen_from_the_dead),
    ("out_of_order", _event_too_late),
    ("stale_overwrites", _older_value),
    ("stale_overwrites", _mirror_behind),
    ("stale_overwrites", _written_after_the_fence),
    ("miscounted", _counters),
    ("foreign", _anothers_contents),
    ("unaudited", _not_in_the_trail),
    ("leaked", _heard),
    ("server_errors", _five_hundred),
    ("server_errors", _no_retry_after),
]


@pytest.mark.parametrize(("head", "plant"), PLANTED, ids=[f"{head}: {p.__name__[1:]}" for head, p in PLANTED])
def test_what_is_planted_is_found(story: Story, head: str, plant: Callable[[Story], None]) -> None:
    plant(story)
    found = chaos_checker.check(story.history)
    assert found[head], found
    assert bad(story.history) == {head: 1}, found


def test_every_head_has_something_planted() -> None:
    assert {head for head, _ in PLANTED} == set(chaos_checker.HEADS)
