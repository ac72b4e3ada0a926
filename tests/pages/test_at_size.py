"""Lists at a large provider's size: few queries each, and none that reads a big table from its first row to its last.

Times are measured by bench/web.py; here stands what must not depend on the machine.
"""

import datetime as dt
import gc
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.services import create_token
from bench import rows
from bench.asking import Asker
from directory.models import DirectoryGroup, DirectoryUser
from replication import services as queue
from tenants import recent, scope
from tenants.abilities import ABILITIES, Role
from tenants.access import SYSTEM
from tests.cast import Cast
from tests.pages.helpers import SignIn
from tests.walls.routes import routes

pytestmark = pytest.mark.django_db

MOST_QUERIES = 12
READ_ALL = {"Sort", "Aggregate", "Hash"}
"""What takes all that is below it before it gives its first row."""
BIG = {"directory_user", "directory_group", "replication_command", "replication_step", "audit_entry"}
"""Tables with a row a user, a command or an act."""
LISTS = (
    "/queue/",
    "/queue/?state=succeeded",
    "/queue/?kind=sync",
    "/audit/",
    "/tenants/{uid}/users/",
    "/tenants/{uid}/users/?q=maple",
    "/tenants/{uid}/groups/",
    "/tenants/{uid}/queue/",
    "/tenants/{uid}/queue/?state=failed",
    "/tenants/{uid}/history/",
    "/search?q=maple+1234",
    "/search?q=%2B49305550100",
    "/api/v1/commands",
    "/api/v1/audit",
    "/api/v1/tenants/{uid}/users",
    "/api/v1/tenants/{uid}/groups",
    "/api/v1/tenants/{uid}/commands",
)
FREE = re.compile(r"\s*(SAVEPOINT|RELEASE|SET |SELECT set_config)")
"""What opens and closes scopes asks nothing."""


@pytest.fixture
def filled(cast: Cast) -> Cast:
    """Some rows in each of the big tables."""
    with scope.one(cast.contoso.id):
        for number in range(30):
            people = {"tenant": cast.contoso, "search": f"maple {number}", "display_name": f"Maple {number}"}
            DirectoryUser.objects.create(object_id=f"00000000-0000-4000-8000-{number:012}", **people)
            DirectoryGroup.objects.create(object_id=f"00000000-0000-4000-8000-{number:012}", **people)
        queue.submit(SYSTEM, "quick_replication", cast.contoso)
        with connection.cursor() as cursor:  # so many that no plan of any statistics takes them for a handful
            rows.commands(cursor, 3_000, **rows.FINISHED)
    return cast


def pages() -> Iterator[str]:
    """Every page of one customer or of all, as the resolver knows them; a list is one that has a pager."""
    for route in routes():
        door = route.doors.get("GET")
        if (
            not route.api
            and door
            and route.takes <= {"uid"}
            and not route.pattern.endswith(("live/", ".csv"))
        ):
            yield "/" + re.sub(r"<[^>]+>", "{uid}", route.pattern)


def test_a_list_asks_twelve_queries_at_most(
    filled: Cast, client_of: SignIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "FRESH_SECONDS", 3_600.0)
    client, found = client_of(filled.pia), {}
    client.get("/audit/")  # counts what stands beside the tree
    for path in pages():
        with (
            CaptureQueriesContext(connection) as seen,
            transaction.atomic(),
        ):  # which an error page rolls back
            answer = client.get(path.format(uid=filled.contoso.id))
        if answer.status_code == 200 and 'class="pager"' in answer.text:
            found[path] = sum(1 for one in seen.captured_queries if not FREE.match(one["sql"]))
    assert {"/tenants/", "/queue/", "/audit/", "/tenants/{uid}/users/"} <= set(found)
    over = {path: number for path, number in found.items() if number > MOST_QUERIES}
    assert over == {}


@pytest.mark.parametrize("path", LISTS)
def test_no_list_reads_a_big_table_from_end_to_end(filled: Cast, client_of: SignIn, path: str) -> None:
    """Where only an index will do, one is there: PostgreSQL is told to take whole tables in greatest need only."""
    client, headers = client_of(filled.pia), {}
    if path.startswith("/api/"):
        client, headers = Client(), bearer()
    plans: list[tuple[str, Any]] = []
    walks = "off" if "q=" in path else "on"  # what is found by its parts is found by bits, not along an order

    def explained(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if sql.lstrip().startswith(("SELECT", "WITH")) and "set_config" not in sql:
            with connection.connection.cursor() as raw:
                raw.execute(
                    f"SET enable_seqscan = off; SET enable_indexscan = {walks}; EXPLAIN (FORMAT JSON) {sql}",
                    params,
                )
                (told,) = raw.fetchone()
                raw.execute("SET enable_seqscan = on; SET enable_indexscan = on")
            plans.append((sql, (told if isinstance(told, list) else json.loads(told))[0]["Plan"]))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(explained):
        answer = client.get(path.format(uid=filled.contoso.id), **headers)
    assert answer.status_code == 200
    small = of_a_few()
    bad = [(sql, why) for sql, plan in plans for why in whole_reads(plan, small)]
    assert bad == []
    assert any(name in sql for sql, _ in plans for name in BIG), "the list does read one of them"


def whole_reads(node: dict[str, Any], small: set[str], limited: bool = False) -> Iterator[str]:
    """Scans of big tables that nothing bounds: neither an index's condition, nor a LIMIT, nor an index of a few."""
    kind = node["Node Type"]
    limited = kind == "Limit" or (limited and kind not in READ_ALL)
    by_index = "Index Cond" in node or kind == "Bitmap Heap Scan" or node.get("Index Name") in small
    if node.get("Relation Name") in BIG and (kind == "Seq Scan" or not (limited or by_index)):
        yield f"{kind} on {node['Relation Name']} {node.get('Filter', '')}"
    for child in node.get("Plans", ()):
        yield from whole_reads(child, small, limited)


def of_a_few() -> set[str]:
    """Indexes of what is open, running or waiting only; `search >= ''` (directory.models.by_name) holds for all."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE pg_get_expr(indpred, indrelid) NOT LIKE '%search%'"
        )
        return {name for (name,) in cursor.fetchall()}


def bearer() -> dict[str, str]:
    _, token = create_token(
        SYSTEM, name="a test", role=Role.PROVIDER_ADMIN, tenant_id=None, networks=[], lifetime=dt.timedelta(hours=1),
        scopes=sorted(ABILITIES[Role.PROVIDER_ADMIN]),
    )  # fmt: skip
    return {"HTTP_AUTHORIZATION": f"Bearer {token}", "REMOTE_ADDR": "169.254.0.1"}


@pytest.mark.usefixtures("one_connection")
@pytest.mark.parametrize(
    "path", [*LISTS, "/tenants/", "/authentication-status/", "/sbcs/", "/api/v1/tenants"]
)
def test_a_list_leaves_nothing_to_be_collected(filled: Cast, client_of: SignIn, path: str) -> None:
    """Python's collector comes by in the middle of somebody's request; it has nothing to do where all was let go."""
    by, headers = (Client(), bearer()) if path.startswith("/api/") else (client_of(filled.pia), {})
    asker = Asker(WSGIHandler(), by, path.format(uid=filled.contoso.id), headers)
    assert {asker.answer()[0] for _ in range(3)} == {"200 OK"}, "what a process keeps is there now"
    gc.collect()
    gc.disable()
    try:
        asker.answer()
        assert gc.collect() < 20
    finally:
        gc.enable()
