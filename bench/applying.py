"""What bench/apply.py measures, in a process of its own: `python -m bench.applying NAME JSON`."""

import contextlib
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
django.setup()

from django.conf import settings  # noqa: E402  Django first

from bench import measures  # noqa: E402
from m365 import pacing, writing  # noqa: E402
from m365.graph import GraphClient, Written  # noqa: E402
from m365.writing import Write  # noqa: E402
from provisioning import applying, services  # noqa: E402
from provisioning.aspects import Intent, Number, Progress, Thing  # noqa: E402
from provisioning.judging import Wish  # noqa: E402
from provisioning.models import Plan, Source  # noqa: E402
from replication.services import submit  # noqa: E402
from telephony import numbers  # noqa: E402
from telephony.models import TeamsUser  # noqa: E402
from tenants import lines, scope  # noqa: E402
from tenants.access import SYSTEM  # noqa: E402
from tenants.models import Tenant  # noqa: E402

CONNECTIONS = 4
FIRST = ("quick_replication", "teams_users", "teams_policies", "number_assignments")


def prepare(*, entra_tenant_id: str, client_id: str, secret: str) -> dict[str, Any]:
    """A customer whose app may write, and whose directory and telephony are in the copy."""
    made = measures.prepare(entra_tenant_id=entra_tenant_id, client_id=client_id, secret=secret)
    for kind in FIRST:
        with scope.one(uuid.UUID(made["tenant"])):
            command = submit(SYSTEM, kind, Tenant.objects.get(id=made["tenant"]))
        measures.finish(command)
    return made


def apply(
    *, tenant: str, way: str, turn: int, limits: bool, number: int, policy: int, user: int
) -> dict[str, Any]:
    """A plan that was drawn before, carried out in one of the ways; seconds from its first line to its last.

    Without `limits` nobody counts requests, neither Microsoft nor we.
    """
    key = uuid.UUID(tenant)
    if not limits:
        pacing.TEAMS = pacing.WRITES = (1e9, 1.0)
    settings.REMOVAL_FLOOR = 10**9  # who gets another number loses one: no second person is asked here
    settings.QUICK_REPLICATION_CYCLE_DELAY = 86_400  # or a plan of its own would be drawn after five minutes
    with scope.one(key):
        customer = Tenant.objects.get(id=key)
        services.ask(SYSTEM, customer, _wishes(customer, turn, number, policy, user), source=Source.API)
        drawing = services.draw(SYSTEM, customer)
    drawn = measures.finish(drawing)
    with scope.one(key):
        plan = Plan.objects.get(uid=(drawn.result or {})["plan"])
        command = services.apply(SYSTEM, customer, plan, plan.digest)
    counted = _Counted()
    begun = time.process_time()
    with counted, WAYS[way]():
        measures.finish(command)
    cpu = time.process_time() - begun
    with scope.one(key):
        plan.refresh_from_db()
    if plan.state != "applied" or plan.started_at is None or plan.finished_at is None:
        raise SystemExit(f"{plan.state}: {plan.figures}")
    wall = (plan.finished_at - plan.started_at).total_seconds()
    return {
        "wall": wall,
        "cpu": cpu,
        "lines": number + policy + user,
        "requests": counted.since(plan.started_at),
    }


def _wishes(customer: Tenant, turn: int, number: int, policy: int, user: int) -> list[Wish]:
    """Numbers, policies and cities of a user each; of another value each turn."""
    rows = list(TeamsUser.objects.filter(tenant=customer).order_by("object_id"))
    phones = [row.object_id for row in rows if row.licensed]
    every = [row.object_id for row in rows]
    free = numbers.of(customer).filter(state="free").order_by("number")[:number]
    given = [Wish(Thing(who, "number"), row.number) for who, row in zip(phones, free, strict=False)]
    if len(given) < number or len(every) < policy + user:
        raise SystemExit(f"there are {len(phones)} users for {len(free)} numbers, and {len(every)} users")
    name = ("AllowCalling", "No forwarding")[turn % 2]
    given += [Wish(Thing(who, "policy:TeamsCallingPolicy"), {"name": name}) for who in every[:policy]]
    return given + [
        Wish(Thing(who, "user:usageLocation"), ("AT", "CH", "DE", "FR")[turn]) for who in every[-user:]
    ]


class _Counted:
    """When each request to Graph was sent."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._patch = mock.patch.object(GraphClient, "_record", self._heard(GraphClient._record))

    def _heard(self, real: Callable[..., None]) -> Callable[..., None]:
        def heard(client: GraphClient, *args: Any) -> None:
            self.times.append(time.time())
            real(client, *args)

        return heard

    def __enter__(self) -> None:
        self._patch.start()

    def __exit__(self, *_: object) -> None:
        self._patch.stop()

    def since(self, moment: Any) -> int:
        return sum(one >= moment.timestamp() for one in self.times)


# --- The ways -----------------------------------------------------------------------------------------------
def _one_by_one(graph: GraphClient, writes: Sequence[Write]) -> list[Written | Any]:
    return [_alone(graph, one) for one in writes]


def _alone(graph: GraphClient, one: Write) -> Written | Any:
    try:
        return writing.send(graph, one)
    except writing.UmpError as error:
        return error


def _over_connections(share: int) -> Callable[..., Any]:
    """Over four connections, `share` writes a request."""
    pool, own, real = ThreadPoolExecutor(CONNECTIONS), threading.local(), writing.send_all

    def mine(graph: GraphClient) -> GraphClient:
        if not hasattr(own, "graph"):
            own.session = lines.session_of_thread(lines.outbound_config())
            own.graph = GraphClient(
                own.session,
                graph.cloud,
                graph._token_source,
                pacer=graph._pacer,
                before_write=graph._before_write,
            )
        client: GraphClient = own.graph
        return client

    def part(graph: GraphClient, writes: Sequence[Write]) -> list[Any]:
        return real(mine(graph), writes) if share > 1 else [_alone(mine(graph), one) for one in writes]

    def send_all(graph: GraphClient, writes: Sequence[Write]) -> list[Any]:
        begins = range(0, len(writes), share)
        told = [pool.submit(part, graph, writes[begin : begin + share]) for begin in begins]
        return [answer for each in told for answer in each.result()]

    return send_all


def _looks_one_by_one(
    self: Number, graph: GraphClient, asked: Mapping[int, tuple[Intent, str]]
) -> dict[int, Progress]:
    return {key: _LOOK(self, graph, {key: one})[key] for key, one in asked.items()}


_LOOK = Number.progress


@contextlib.contextmanager
def _way(send_all: Callable[..., Any] | None = None, *, chunk: int = 20, looks_alone: bool = False) -> Any:
    with contextlib.ExitStack() as patched:
        if send_all is not None:
            patched.enter_context(mock.patch.object(writing, "send_all", send_all))
        if looks_alone:
            patched.enter_context(mock.patch.object(Number, "progress", _looks_one_by_one))
        patched.enter_context(mock.patch.object(applying, "CHUNK", chunk))
        yield


WAYS: dict[str, Callable[[], Any]] = {
    "batches": _way,
    "four connections": lambda: _way(_over_connections(1)),
    "four times batches": lambda: _way(_over_connections(20), chunk=80),
    "one by one": lambda: _way(_one_by_one, looks_alone=True),
}
MEASURES: dict[str, Callable[..., dict[str, Any]]] = {one.__name__: one for one in (prepare, apply)}


if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](**json.loads(sys.argv[2]))))
