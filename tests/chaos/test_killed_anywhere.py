"""Every kind of command, killed at every kind of point and claimed anew, ends as if nothing had happened."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts import installation
from accounts.models import User
from replication.registry import kinds
from simulator.mailbox import MailServer
from simulator.server import Simulator
from tests.cast import Cast
from tests.chaos import killing
from tests.chaos.killing import POINTS, Blow, armed, carry_out, everything
from tests.chaos.scenarios import SCENARIOS, World
from tests.invitations.conftest import mailbox, microsoft, microsoft_server
from tests.webhooks.receiver import Receiver, listening

__all__ = ["mailbox", "microsoft", "microsoft_server"]
pytestmark = pytest.mark.django_db
EVERY = "CHAOS_EVERY_POINT" in os.environ
"""Strike each time that a point is reached. Otherwise once a point, in the middle: at a write where there is one."""


@pytest.fixture(scope="module")
def hook() -> Iterator[Receiver]:
    with listening() as found:
        yield found


@pytest.fixture
def world(
    cast: Cast,
    microsoft: Simulator,
    mailbox: MailServer,
    hook: Receiver,
    settings: Any,
    client_of: Callable[[User], Client],
    monkeypatch: pytest.MonkeyPatch,
) -> World:
    settings.SECRET_OVERLAP_SECONDS = settings.CONSENT_PROPAGATION_SECONDS = 0
    settings.BREAKER_LEAST_CUSTOMERS = 1000
    return World(
        cast, microsoft, mailbox, hook, settings, client_of, monkeypatch, lambda: carry_out(Blow("", ""))
    )


def fresh(world: World) -> None:
    """Without anything of what ran in it before, but for the database."""
    killing.forget()
    installation.forget()
    world.microsoft.state.reset()
    world.microsoft.sbcs.reset()
    world.microsoft.dns.reset()
    world.mailbox._mails.clear()
    world.receiver.got.clear()
    world.meanwhile = lambda: None


def run(world: World, blow: Blow) -> dict[str, Any]:
    """One life of the command in a world of its own, which is gone afterwards; what was there in the end."""
    fresh(world)
    with transaction.atomic():
        SCENARIOS[blow.kind].prepare(world)
        with armed(blow):
            carry_out(blow, world.meanwhile)
        heard = [headers["webhook-id"] for headers, _ in world.receiver.got]
        found = everything(world.microsoft, world.mailbox, [str(len(set(heard)))])
        transaction.set_rollback(True)
    return found


def numbers(calm: Blow, point: str) -> list[int]:
    """Which of the times that the point was reached are struck; a commit before it and after it."""
    reached = calm.times[point]
    if EVERY or reached <= 1:
        return list(range(1, reached + 1))
    if point == "in_commit":
        middle = reached // 4 * 2 + 1
        return [middle, middle + 1]
    writes = calm.writes if "send" in point else []
    return [writes[len(writes) // 2] if writes else reached // 2 + 1]


@pytest.mark.parametrize("kind", sorted(SCENARIOS))
def test_killed_anywhere_and_claimed_anew(world: World, kind: str) -> None:
    told, calm = SCENARIOS[kind], Blow(kind)
    undisturbed = run(world, calm)
    for point in POINTS:
        for number in numbers(calm, point):
            blow = Blow(kind, point, number)
            found = run(world, blow)
            assert blow.struck
            for name in told.loose:
                for part in ("rows", "audited"):
                    found[part].pop(name, None)
                    undisturbed[part].pop(name, None)
            same = found == undisturbed
            assert same or (told.once and refused(kind, found)), (
                f"killed {point}, time {number} of {calm.times[point]}: {difference(undisturbed, found)}"
            )


def refused(kind: str, found: dict[str, Any]) -> bool:
    """The one-time code was used up by the run that died: it says so, keeps nothing, and the person starts again."""
    return found["commands"][kind, "failed", ""] == 1 and found["rows"].get("tenants_signin", 0) == 0


def difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """{where: {what: (undisturbed, killed)}}, of what is not the same."""
    found: dict[str, Any] = {}
    for name, value in one.items():
        if value == other[name]:
            continue
        found[name] = value, other[name]
        if isinstance(value, dict):
            both = {key: (value.get(key), other[name].get(key)) for key in {*value, *other[name]}}
            found[name] = {key: pair for key, pair in both.items() if pair[0] != pair[1]}
    return found


def test_every_kind_has_its_scenario() -> None:
    """Whoever writes a kind says in tests/chaos/scenarios.py how one comes about, and it is killed here, too."""
    assert set(SCENARIOS) == set(kinds())
