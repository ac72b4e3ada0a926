"""What bench/web.py measures, in a process of its own: `python -m bench.paging NAME JSON`."""

import json
import os
import random
import statistics
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
django.setup()

import datetime as dt  # noqa: E402  Django first

from django.conf import settings  # noqa: E402
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.db import connections  # noqa: E402
from django.test import Client  # noqa: E402

from accounts.models import User  # noqa: E402
from accounts.services import create_token  # noqa: E402
from bench import plain_list, rows  # noqa: E402
from bench.asking import Asker, Took, settled  # noqa: E402
from tenants import scope, services  # noqa: E402
from tenants.abilities import ABILITIES, Role  # noqa: E402
from tenants.access import SYSTEM  # noqa: E402
from tenants.models import Cloud, Membership, Tenant, Verification  # noqa: E402
from tests.cast import sign_in  # noqa: E402

Figures = dict[str, Any]
WORDS = [
    "Alder",
    "Birch",
    "Cedar",
    "Dogwood",
    "Elm",
    "Fir",
    "Ginkgo",
    "Hazel",
    "Ironwood",
    "Juniper",
    "Larch",
    "Maple",
    "Oak",
    "Pine",
    "Rowan",
    "Spruce",
]
PAGES = (
    "/",
    "/tenants/",
    "/tenants/?q=maple",
    "/tenants/?page=180",
    "/authentication-status/",
    "/queue/",
    "/queue/?state=succeeded",
    "/audit/",
    "/invitations/",
    "/sbcs/",
    "/sites/",
    "/prefixes/",
    "/settings/people/",
    "/tenants/{uid}/",
    "/tenants/{uid}/users/",
    "/tenants/{uid}/users/?q=maple",
    "/tenants/{uid}/groups/",
    "/tenants/{uid}/queue/",
    "/tenants/{uid}/history/",
)
LISTS = (
    "/api/v1/tenants",
    "/api/v1/commands",
    "/api/v1/tenants/{uid}/users",
    "/api/v1/tenants/{uid}/commands",
    "/api/v1/invitations",
    "/api/v1/audit",
)
SEARCHES = ("/search?q=maple+1234", "/search?q=c4711.example", "/search?q=%2B49305550100")


def fill(*, tenants: int, users: int, commands: int, entries: int) -> Figures:
    """One customer by the portal's own services, and the others as copies of its rows."""
    first = services.add_tenant(SYSTEM, name="Customer", entra_tenant_id=uuid.uuid4(), domain="c0.example")
    with scope.one(first.id):
        services.set_connection(
            SYSTEM,
            first,
            cloud=Cloud.GLOBAL,
            client_id=uuid.uuid4(),
            client_secret="a-secret-of-nobody-at-all",
        )
        services.note_check(first.id, verification=Verification.SUCCESSFUL, problem=None)
        services.note_replication(first.id, users=users // tenants, groups=20)
    person = User.objects.create_user(email="pia@example.test", password="correct horse battery", name="Pia")
    with scope.every("a benchmark gives a person a role"):
        Membership.objects.create(user_id=person.id, role=Role.PROVIDER_ADMIN)
    words = "(ARRAY[" + ", ".join(f"'{word}'" for word in WORDS) + "])"
    with connections["owner"].cursor() as cursor, _without_indexes(cursor):
        _copies(
            cursor, "tenants_tenant", tenants - 1,
            id="gen_random_uuid()", entra_tenant_id="gen_random_uuid()", domain="'c' || n || '.example'",
            name=f"{words}[n % {len(WORDS)} + 1] || ' ' || n",
        )  # fmt: skip
        mine = "(SELECT id, row_number() OVER (ORDER BY id) n FROM tenants_tenant WHERE id <> t.tenant_id) x"
        _copies(
            cursor, "tenants_connection", mine, id="gen_random_uuid()", tenant_id="x.id", secret_id="NULL",
            client_id="gen_random_uuid()",
        )  # fmt: skip
        cursor.execute(
            "INSERT INTO replication_lane (tenant_id, name, suspended_code)"
            " SELECT t.id, v.name, '' FROM tenants_tenant t, (VALUES ('data'), ('identity')) v(name)"
            " ON CONFLICT DO NOTHING"
        )
        cursor.execute(
            f"""
            INSERT INTO directory_user (tenant_id, object_id, user_principal_name, display_name, given_name, surname,
                mail, department, job_title, company_name, office_location, city, country, usage_location,
                business_phones, mobile_phone, sku_ids, account_enabled, user_type, on_premises, search)
            SELECT t.id, gen_random_uuid(), 'u' || n || '@' || t.domain, initcap(w.word) || ' ' || n, '', '',
                'u' || n || '@' || t.domain, 'Sales', 'Clerk', '', '', 'Berlin', 'DE', 'DE', '', '', '{{}}', true,
                'Member', false, w.word || ' ' || n || ' u' || n || '@' || t.domain
            FROM tenants_tenant t, generate_series(1, %s) n,
                LATERAL (SELECT lower({words}[(n * 7) %% {len(WORDS)} + 1]) AS word) w
            """,
            [users // tenants],
        )
        rows.commands(
            cursor, commands, lanes="name = 'data'", at="now() - n * interval '2 seconds'",
            **rows.FINISHED | {"kind": "'quick_replication'", "message": "'Nothing changed.'",
                               "state": "CASE WHEN n %% 50 = 0 THEN 'failed' ELSE 'succeeded' END"},
        )  # fmt: skip
        _copies(
            cursor, "audit_entry", entries, request_id="gen_random_uuid()", at="now() - n * interval '3 seconds'",
            source="(SELECT * FROM audit_entry WHERE tenant_id IS NOT NULL ORDER BY id LIMIT 1)",
        )  # fmt: skip
        cursor.execute(plain_list.TABLE)
    with connections["owner"].cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return {}


@contextmanager
def _without_indexes(cursor: Any) -> Iterator[None]:
    """Indexes that no constraint needs are made once all rows are there: minutes less."""
    cursor.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
    cursor.execute(
        "SELECT indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
        " WHERE indrelid = ANY(%s::regclass[]) AND NOT indisunique",
        [["directory_user", "replication_command", "audit_entry"]],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f"DROP INDEX {name}")
    yield
    for _, made in indexes:
        cursor.execute(made)


def _copies(cursor: Any, table: str, what: int | str, *, source: str = "", **own: str) -> None:
    """Rows like the table's first one, `what` of them or one for each row of that query, with values of their own."""
    cursor.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND is_identity = 'NO'"
        " AND is_generated = 'NEVER'",
        [table],
    )
    columns = [row[0] for row in cursor.fetchall()]
    values = ", ".join(own.get(name, f't."{name}"') for name in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    many = f"generate_series(1, {what}) AS n" if isinstance(what, int) else f"LATERAL {what}"
    first = source or f"(SELECT * FROM {table} LIMIT 1)"
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {first} t, {many}")


def ask(*, rounds: int) -> Figures:
    """Each page and list behind a plain one; milliseconds, and the queries of one request."""
    settings.ALLOWED_HOSTS = ["*"]
    person = User.objects.get(email="pia@example.test")
    site, client, program = WSGIHandler(), Client(), Client()  # a program keeps no cookies
    sign_in(client, person)
    with scope.every("a benchmark picks a customer"):
        tenant = Tenant.objects.order_by("name")[5000 % Tenant.objects.count()]
    _, token = create_token(
        SYSTEM, name="bench", role=Role.PROVIDER_ADMIN, scopes=sorted(ABILITIES[Role.PROVIDER_ADMIN]),
        tenant_id=None, networks=[], lifetime=dt.timedelta(hours=1),
    )  # fmt: skip
    bearer = {"HTTP_AUTHORIZATION": f"Bearer {token}", "REMOTE_ADDR": "169.254.0.1"}
    with plain_list.Site(person.email) as plain:
        return {
            what: _in_turn(
                {path: Asker(site, by, path.format(uid=tenant.id), headers) for path in paths},
                plain,
                base,
                rounds,
            )
            for what, by, paths, headers, base in (
                ("pages", client, PAGES, {}, plain_list.PAGE_LIST),
                ("lists", program, LISTS, bearer, plain_list.API_LIST),
                ("search", client, SEARCHES, {}, plain_list.PAGE_LIST),
            )
        }


def _in_turn(askers: dict[str, Asker], plain: plain_list.Site, base: str, rounds: int) -> Figures:
    """A plain request stands before each of ours, so that both meet the same weather.

    Ours come in another order each round: in a fixed one Python's collector would meet the same pages each time.
    """
    times: dict[str, list[Took]] = {name: [] for name in ("plain", *askers)}
    queries = {"plain": plain.queries[base]} | dict(zip(askers, settled(list(askers.values())), strict=True))
    order, chance = list(askers), random.Random(1)
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            times["plain"].append(plain.took(base))
            times[name].append(askers[name].took())
    return {name: {"queries": queries[name], **_spread(each)} for name, each in times.items()}


def _spread(values: list[Took]) -> Figures:
    wall, cpu, both = zip(*values, strict=True)
    cuts = statistics.quantiles(wall, n=100)
    return {"cpu": statistics.median(cpu), "both": statistics.median(both), "p50": cuts[49], "p95": cuts[94]}


MEASURES = {one.__name__: one for one in (fill, ask)}

if __name__ == "__main__":
    print(json.dumps(MEASURES[sys.argv[1]](**json.loads(sys.argv[2]))))
