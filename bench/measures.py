"""What is measured, one process a measurement: `python -m bench.measures NAME JSON`."""

import contextlib
import json
import os
import pickle
import resource
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import django
import orjson

# As in the image: Celery takes greenlet where it is, and here it is for the tests' browser alone.
sys.modules["greenlet"] = None  # type: ignore[assignment]
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
django.setup()

from django.db import connections, transaction  # noqa: E402  Django first

from core.http import session_of_thread  # noqa: E402
from directory.models import DirectoryGroup, DirectoryUser, GroupMember  # noqa: E402
from directory.sync import delta, jobs, staging  # noqa: E402
from directory.sync.reading import GROUPS, USERS, Table, listed, member_type  # noqa: E402
from directory.sync.reading import lines as copy_lines  # noqa: E402
from m365 import pacing  # noqa: E402
from m365.graph import CallRecord, GraphClient  # noqa: E402
from replication import runner  # noqa: E402
from replication.models import FINAL, Command  # noqa: E402
from replication.services import submit  # noqa: E402
from tenants import lines, scope, services  # noqa: E402
from tenants.access import SYSTEM  # noqa: E402
from tenants.models import Cloud, Tenant, Verification  # noqa: E402

CONNECTIONS = 10
"""As many as the product uses for a full read."""


class Work:
    """The customer under measurement, with counted calls and the token already at hand."""

    def __init__(self, tenant: str) -> None:
        self.id = uuid.UUID(tenant)
        self.requests = 0
        self._lock = threading.Lock()
        with scope.one(self.id):
            self.line = lines.open_line(self.id)
        self.line.token()

    def _count(self, _: CallRecord) -> None:
        with self._lock:
            self.requests += 1

    def client(self) -> GraphClient:
        return self.line.graph(on_call=self._count)

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        with scope.one(self.id), transaction.atomic():
            yield

    def rows(self) -> int:
        with scope.one(self.id):
            models = (DirectoryUser, DirectoryGroup, GroupMember)
            return sum(int(model.objects.filter(tenant_id=self.id).count()) for model in models)


def prepare(*, entra_tenant_id: str, client_id: str, secret: str) -> dict[str, Any]:
    """A customer whose credential has been checked."""
    tenant = services.add_tenant(
        SYSTEM, name=f"Bench {entra_tenant_id[:8]}", entra_tenant_id=uuid.UUID(entra_tenant_id)
    )
    with scope.one(tenant.id):
        services.set_connection(
            SYSTEM, tenant, cloud=Cloud.GLOBAL, client_id=uuid.UUID(client_id), client_secret=secret
        )
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
    return {"tenant": str(tenant.id)}


def measured(work: Work, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Wall and CPU seconds of this process, and the most memory it ever held, in megabytes."""
    begun, cpu = time.perf_counter(), time.process_time()
    more = act()
    wall, cpu = time.perf_counter() - begun, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"wall": wall, "cpu": cpu, "peak_mb": peak, "requests": work.requests, **more}


def finish(command: Command) -> Command:
    """Carried out by the worker's own runner, to its end."""
    while True:
        runner.drain(longest=600)
        with scope.every("a benchmark looks at its command"):
            command.refresh_from_db()
        if command.state in FINAL:
            break
        time.sleep(0.02)  # it waits for a moment of its own choice
    if command.state != "succeeded":
        raise SystemExit(f"{command.state}: {command.message} {command.error}")
    return command


def sync(*, tenant: str, kind: str) -> dict[str, Any]:
    """The product as it is: a command in the queue, carried out by the worker's own runner."""
    work = Work(tenant)
    with scope.one(work.id):
        command = submit(SYSTEM, kind, Tenant.objects.get(id=work.id))
    refusals = _Refusals()

    def act() -> dict[str, Any]:
        with refusals:
            finish(command)
        return {"message": command.message, "slices": command.slices, "result": command.result}

    figures = measured(work, act)
    result = figures.pop("result")
    figures["requests"] = result["requests"]
    figures["rows"] = sum(result[name]["read"] for name in ("users", "groups", "members"))
    figures["refused_again"] = refusals.again
    return figures


class _Refusals:
    """Hears of each request while it looks; `again` are those that Microsoft refused although it had refused
    an earlier one before they were sent, less than a window ago."""

    def __init__(self) -> None:
        self.again = 0
        self._heard: list[float] = []
        self._sent = threading.local()

    def __enter__(self) -> None:
        ask, hold = pacing.Pacer.ask, pacing.Pacer.hold

        def asking(pacer: pacing.Pacer, cost: pacing.Cost) -> float:
            wait = ask(pacer, cost)
            self._sent.at = time.monotonic()
            return wait

        def holding(pacer: pacing.Pacer, *refusal: Any) -> None:
            sent = self._sent.at
            self.again += any(heard < sent < heard + pacing.WINDOW for heard in self._heard)
            self._heard.append(time.monotonic())
            hold(pacer, *refusal)

        self._kept = ask, hold
        pacing.Pacer.ask, pacing.Pacer.hold = asking, holding

    def __exit__(self, *_: object) -> None:
        pacing.Pacer.ask, pacing.Pacer.hold = self._kept


def delta_only(*, tenant: str, share: float) -> dict[str, Any]:
    """A loop over users/delta and groups/delta from their beginnings, with the product's own set-based writes.

    Only pages with the first `share` of users and of groups are read: a delta comes in small pages, one by one.
    """
    work = Work(tenant)

    def act() -> dict[str, Any]:
        client = work.client()
        for stream, table in jobs.TABLES.items():
            left = _some(client, stream, share)
            for page in client.pages(f"/{stream}/delta", {"$select": jobs.delta_select(stream)}):
                with work.transaction():
                    delta.apply(work.id, table, page.value, write=True)
                left -= len(page.value)
                if left <= 0:
                    break
        return {}

    return {**measured(work, act), "rows": work.rows(), "share": share}


def loop(*, tenant: str, share: float) -> dict[str, Any]:
    """What one would write first: page after page, object after object, update_or_create.

    Only the first `share` of users and of groups is done, since all of it takes very long.
    """
    work = Work(tenant)

    def act() -> dict[str, Any]:
        client = work.client()
        for stream, table, model in (("users", USERS, DirectoryUser), ("groups", GROUPS, DirectoryGroup)):
            for one in _first_share(client, stream, table, share):
                with work.transaction():
                    _update_or_create(model, table, work.id, one)
                if table is GROUPS:
                    _members_one_by_one(client, work, one["id"])
        return {}

    return {**measured(work, act), "rows": work.rows(), "share": share}


def _some(client: GraphClient, stream: str, share: float) -> int:
    """That share of the stream's objects, but one at least."""
    counted = client.get(f"/{stream}", {"$select": "id", "$top": 1, "$count": "true"}, headers=jobs.COUNTING)
    return max(1, round(counted["@odata.count"] * share))


def _first_share(client: GraphClient, stream: str, table: Table, share: float) -> Iterator[dict[str, Any]]:
    left = _some(client, stream, share)
    for page in client.pages(f"/{stream}", {"$select": table.select, "$top": min(999, left)}):
        yield from page.value[:left]
        left -= len(page.value)
        if left <= 0:
            return


def _update_or_create(model: Any, table: Table, tenant_id: uuid.UUID, one: dict[str, Any]) -> None:
    values: dict[str, Any] = {"search": ""}
    for field in table.fields:
        text = field.read(field.name, one.get(field.name))
        values[field.column] = {"t": True, "f": False, "\x01": None}.get(text, text)
    if "sku_ids" in values:
        values["sku_ids"] = [item["skuId"] for item in one.get("assignedLicenses") or ()]
    model.objects.update_or_create(tenant_id=tenant_id, object_id=one["id"], defaults=values)


def _members_one_by_one(client: GraphClient, work: Work, group: str) -> None:
    for page in client.pages(f"/groups/{group}/members", {"$select": "id", "$top": 999}):
        for member in page.value:
            with work.transaction():
                GroupMember.objects.update_or_create(
                    tenant_id=work.id,
                    group_id=group,
                    member_id=member["id"],
                    defaults={"member_type": member_type(member)},
                )


def rehearse(*, tenant: str, file: str) -> dict[str, Any]:
    """What `floor` knows beforehand, into a file."""
    work = Work(tenant)

    def act() -> dict[str, Any]:
        with Path(file).open("wb") as kept:
            pickle.dump(_rehearse(work), kept)
        return {}

    return measured(work, act)


def floor(*, tenant: str, file: str) -> dict[str, Any]:
    """No first read can do less: the same pages over parallel connections, then the same rows COPYed.

    The addresses of all pages and the rows as text are known beforehand, and what arrives is thrown away. The
    tables have the mirror's columns and indexes, but nothing of its walls, foreign keys and comparisons.
    """
    work = Work(tenant)
    with Path(file).open("rb") as kept:
        pages, content = pickle.load(kept)
    for name in content:
        with connections["owner"].cursor() as cursor:
            cursor.execute(f"DROP TABLE IF EXISTS floor_{name}")
            cursor.execute(f"CREATE TABLE floor_{name} (LIKE {name} INCLUDING INDEXES INCLUDING DEFAULTS)")
    took = {}

    def act() -> dict[str, Any]:
        begun = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            for future in [pool.submit(_download, work, *page) for page in pages]:
                future.result()
        took["download"] = time.perf_counter() - begun
        with transaction.atomic():
            for name, (columns, text) in content.items():
                staging._copy(f"floor_{name}", columns, text.encode())
        return {}

    figures = measured(work, act)
    took["copy"] = figures["wall"] - took["download"]
    rows = sum(text.count("\n") for _, text in content.values())
    return {**figures, **took, "requests": len(pages), "rows": rows}


def _rehearse(work: Work) -> tuple[list[tuple[str, bytes | None]], dict[str, tuple[tuple[str, ...], str]]]:
    """All requests of a first read (address, body), and all rows by table (columns, text for COPY)."""
    client = work.client()
    pages: list[tuple[str, bytes | None]] = []
    content: dict[str, tuple[tuple[str, ...], str]] = {}
    groups: list[str] = []
    prefix = f"{work.id}\t"
    for stream, table in jobs.TABLES.items():
        address: str | None = client._address(f"/{stream}", {"$select": table.select, "$top": jobs.PAGE_SIZE})
        texts = []
        while address:
            pages.append((address, None))
            page = client.page(address)
            rows = listed(table, page.value)
            groups += list(rows) if table is GROUPS else []
            texts += [prefix + line for line in copy_lines(table, rows).decode().split("\n") if line]
            address = page.next_link
        content[table.name] = (("tenant_id", *table.columns), "\n".join(texts) + "\n")
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        twenties = [groups[start : start + 20] for start in range(0, len(groups), 20)]
        found = list(pool.map(lambda some: _rehearse_members(work.client(), some), twenties))
    pages += [page for some, _ in found for page in some]
    text = "".join(prefix + line for _, some in found for line in some)
    content["directory_member"] = (("tenant_id", "group_id", "member_id", "member_type"), text)
    return pages, content


def _rehearse_members(
    client: GraphClient, groups: list[str]
) -> tuple[list[tuple[str, bytes | None]], list[str]]:
    """The requests for all members of at most 20 groups, and the rows as lines."""
    batch = [jobs.ToRead(number, group, "") for number, group in enumerate(groups)]
    steps = [{"id": str(one.todo), "method": "GET", "url": jobs._members_url(one.group)} for one in batch]
    pages: list[tuple[str, bytes | None]] = [(client._address("/$batch"), orjson.dumps({"requests": steps}))]
    members: list[str] = []
    found: list[Any] = []
    jobs.read_members(batch, threading.Event())(client, found.append)
    for page in found[0].pages:
        members += page.members.decode().splitlines(keepends=True)
        link = page.at
        while link:
            pages.append((link, None))
            more = client.page(link)
            members += jobs.members_of(page.group, more.value).decode().splitlines(keepends=True)
            link = more.next_link or ""
    return pages, members


def _download(work: Work, address: str, body: bytes | None) -> int:
    session = session_of_thread(lines.outbound_config())
    headers = {"Authorization": f"Bearer {work.line.token().value}", "Content-Type": "application/json"}
    answer = session.request("POST" if body else "GET", address, data=body, headers=headers)
    answer.raise_for_status()
    return len(answer.content)


MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    one.__name__: one for one in (prepare, sync, delta_only, loop, rehearse, floor)
}


if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](**json.loads(sys.argv[2]))))
