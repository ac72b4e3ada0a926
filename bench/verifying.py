"""What bench/verify_all.py measures, in a process of its own: `python -m bench.verifying NAME JSON`."""

import base64
import json
import os
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import django
import msal

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "ump_portal.settings")
django.setup()

from django.conf import settings  # noqa: E402  Django first

from authstatus import runs  # noqa: E402
from authstatus.models import VerifyRun  # noqa: E402
from authstatus.runs import Outcome  # noqa: E402
from m365.clouds import CLOUDS  # noqa: E402
from replication import runner  # noqa: E402
from replication.models import Command, State  # noqa: E402
from tenants import grants, provider_app, scope, services  # noqa: E402
from tenants.access import SYSTEM  # noqa: E402
from tenants.credentials import Given  # noqa: E402
from tenants.models import (  # noqa: E402
    AppOwner,
    Cloud,
    Connection,
    Method,
    SecretKind,
    Tenant,
    Verification,
)


def plant(*, file: str) -> dict[str, Any]:
    """The simulator's customers in the portal, each proven once before it broke."""
    planted = json.loads(Path(file).read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = planted["tenants"]
    if home := planted["provider"]:
        provider_app.change(
            SYSTEM,
            client_id=uuid.UUID(home["client_id"]),
            redirect_uri=f"https://portal.example{provider_app.CALLBACK}",
            home_tenant_id=uuid.UUID(home["tenant_id"]),
            given=Given(SecretKind.CLIENT_SECRET, home["secret"]),
        )
    for row in rows:
        tenant = services.add_tenant(SYSTEM, name=row["name"], entra_tenant_id=uuid.UUID(row["tenant_id"]))
        with scope.one(tenant.id):
            CONNECT[row["connection"]](tenant, row)
            services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
            services.note_replication(tenant.id, users=3, groups=1)
    return {"customers": len(rows)}


def _by_own_app(tenant: Tenant, row: dict[str, Any]) -> None:
    services.set_connection(
        SYSTEM,
        tenant,
        cloud=Cloud.GLOBAL,
        client_id=uuid.UUID(row["client_id"]),
        client_secret=row["secret"],
    )


def _by_shared_app(tenant: Tenant, row: dict[str, Any]) -> None:
    services.use_provider_app(SYSTEM, tenant)


def _by_token(tenant: Tenant, row: dict[str, Any]) -> None:
    """As if the person had signed in through the portal, and the access token had ended since."""
    ids = {"uid": row["user_id"], "utid": row["tenant_id"]}
    cache = msal.SerializableTokenCache()
    cache.add(
        {
            "client_id": row["client_id"],
            "scope": [CLOUDS["global"].graph_scope],
            "token_endpoint": f"{CLOUDS['global'].authority(row['tenant_id'])}/oauth2/v2.0/token",
            "response": {
                "token_type": "Bearer",
                "expires_in": 0,
                "access_token": "ended",
                "refresh_token": row["refresh_token"],
                "client_info": base64.urlsafe_b64encode(json.dumps(ids).encode()).decode().rstrip("="),
                "username": row["user"],
            },
        }
    )
    grants.keep(
        SYSTEM,
        tenant,
        Method.TOKEN,
        cache.serialize(),
        account=row["user"],
        cloud=Cloud.GLOBAL,
        app_owner=AppOwner.PROVIDER,
        client_id=uuid.UUID(row["client_id"]),
    )


CONNECT = {"secret": _by_own_app, "shared": _by_shared_app, "delegated": _by_token}


def start() -> dict[str, Any]:
    """One press of the button; how long that took."""
    begun = time.perf_counter()
    with scope.every("a benchmark verifies all"):
        made, _ = runs.start(SYSTEM)
    return {"run": str(made.id), "wall": time.perf_counter() - begun}


def work(*, run: str) -> dict[str, Any]:
    """A worker process as Celery has two: it drains until nothing of the run is due."""
    begun, cpu = time.time(), time.process_time()
    while not runner.drain(longest=600):
        pass
    return {"begun": begun, "ended": time.time(), "cpu": time.process_time() - cpu}


def result(*, run: str, file: str) -> dict[str, Any]:
    """What the run says of each customer beside what was broken."""
    planted = json.loads(Path(file).read_text(encoding="utf-8"))["tenants"]
    broken = {row["tenant_id"]: row["break"] for row in planted}
    with scope.every("a benchmark reads what came out"):
        found = VerifyRun.objects.get(id=uuid.UUID(run))
        rows = list(runs.rows(found))
        counts = {
            outcome.value: number for outcome, number in runs.progress([found])[found.id].counts.items()
        }
        blamed = set(
            Connection.objects.exclude(verification=Verification.SUCCESSFUL).values_list(
                "tenant_id", flat=True
            )
        )
        ends = [row.command.finished_at for row in rows if row.command and row.command.finished_at]
        starts = [row.command.started_at for row in rows if row.command and row.command.started_at]
    said: Counter[tuple[str, str, str]] = Counter()
    wrongly = 0
    for row in rows:
        way = broken[str(row.tenant.entra_tenant_id)] or ""
        code = (row.command.error or {}).get("code", "") if row.command else ""
        said[way, row.outcome, code] += 1
        excused = way in {"", "throttled", "unavailable"}
        wrongly += (row.outcome == Outcome.ACCESS_FAILED or row.tenant_id in blamed) if excused else 0
    return {
        "counts": counts,
        "said": [[*key, number] for key, number in sorted(said.items())],
        "wrongly_blamed": wrongly,
        "span": (max(ends) - min(starts)).total_seconds(),
        "threads": settings.WORKER_THREADS,
    }


def newcomer() -> dict[str, Any]:
    """In the middle of the run a person checks one customer that it has not reached: how long until the answer."""
    with scope.every("a benchmark looks for somebody who still waits"):
        waiting = Command.objects.filter(state=State.QUEUED).order_by("-id").first()
        assert waiting is not None, "the run was over too soon: take more customers"
        tenant = Tenant.objects.get(id=waiting.tenant_id)
    from authstatus.services import check

    begun = time.perf_counter()
    with scope.one(tenant.id):
        command = check(SYSTEM, tenant)
    while True:
        with scope.one(tenant.id):
            command.refresh_from_db()
        if command.state not in {State.QUEUED, State.EXECUTING}:
            return {"wall": time.perf_counter() - begun, "state": command.state}
        time.sleep(0.01)


if __name__ == "__main__":
    act = {"plant": plant, "start": start, "work": work, "result": result, "newcomer": newcomer}[sys.argv[1]]
    print(json.dumps(act(**json.loads(sys.argv[2]))))
