"""The broker is only a doorbell: emptied, killed or deleted, it costs seconds, never work; and it knows nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.system.kept import all_in_step, some
from tests.system.microsoft import Microsoft
from tests.system.redis_server import Redis
from tests.system.stage import Stage, Timer, until
from ump_portal.celery import OWN_SWEEP_SECONDS

SOON = OWN_SWEEP_SECONDS + 30  # nobody rings, so without the own look it would be never


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with Redis(tmp_path_factory.mktemp("redis"), listen=True) as found:
        yield found


@pytest.fixture(scope="module")
def redis_stage(make_stage: Callable[..., Any], microsoft: Microsoft, server: Redis) -> Iterator[Stage]:
    with make_stage("redis", {"M365_GATEWAY_URL": microsoft.url, "BROKER_URL": server.url}) as found:
        yield found


@pytest.mark.redis
def test_redis_emptied_in_the_middle(redis_stage: Stage, microsoft: Microsoft, server: Redis) -> None:
    timer = Timer()
    customers = some(redis_stage, microsoft, "Emptied", 4)
    until("work is under way", lambda: customers[0].count("user"))
    for kept in customers:
        server.say("FLUSHALL")
        assert kept.ended((("verify_credentials",)), 30).state == "succeeded"
        server.say("FLUSHALL")
    all_in_step(customers)
    print(f"four customers in step after {timer():.1f} s")
    said = server.messages()
    assert said
    assert server.leaks(set()) == []
    for message in said:
        assert message["headers"]["task"] in ("replication.tick", "replication.sweep")
        assert (message["headers"]["argsrepr"], message["headers"]["kwargsrepr"]) == ("()", "{}")
    heard = "".join(server.heard)
    for kept in customers:
        for word in (
            kept.customer.secret,
            kept.customer.client_id,
            kept.customer.tenant_id,
            kept.id,
            kept.customer.name,
        ):
            assert word not in heard


@pytest.mark.redis
def test_redis_killed_in_the_middle(redis_stage: Stage, microsoft: Microsoft, server: Redis) -> None:
    running = some(redis_stage, microsoft, "Running", 2)
    until("work is under way", lambda: running[0].count("user"))
    server.kill()
    all_in_step(running)
    timer = Timer()
    waiting = some(redis_stage, microsoft, "Unrung", 2)
    added = timer()
    assert added < 5, "who adds a customer waits for a broker that is away"
    server.start()
    timer = Timer()
    for kept in waiting:
        assert kept.ended(("verify_credentials",), SOON).state == "succeeded"
    resumed = timer()
    all_in_step(waiting)
    print(
        f"adding two without a broker took {added:.1f} s; their work began {resumed:.1f} s after it was back"
    )
    assert redis_stage.healthy()
