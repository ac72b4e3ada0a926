"""What lies behind a new customer's credentials, to compare before anything is copied (complaint B 23)."""

import threading
import uuid
from typing import Any

from django.db import transaction

from core.errors import Remedy
from m365.graph import BatchRequest
from replication import services as queue
from replication.models import Lane
from replication.registry import chore
from tenants import confirming, lines, scope
from tenants.access import SYSTEM, Actor
from tenants.confirming import UNCONFIRMED
from tenants.models import Connection, Tenant

FIRST_SYNC = "quick_replication"
MOST_DOMAINS = 100
LONGEST = 256
_COUNTED = {
    "users": "/users?$select=id&$top=1&$count=true",
    "groups": "/groups?$select=id&$top=1&$count=true",
}


def look(line: lines.Line, stop: threading.Event | None = None) -> dict[str, Any]:
    """Name, verified domains, and how many users and groups; None for a number that Microsoft did not say.

    Raises UmpError for trouble that passes.
    """
    steps = [BatchRequest("organization", "/organization?$select=id,displayName,verifiedDomains")]
    steps += [
        BatchRequest(name, url, headers={"ConsistencyLevel": "eventual"}) for name, url in _COUNTED.items()
    ]
    answers = {answer.id: answer for answer in line.graph(stop=stop).batch(steps)}
    for answer in answers.values():
        if answer.error is not None and answer.error.remedy == Remedy.LATER:
            raise answer.error
    body = answers["organization"].body
    rows = body.get("value") if isinstance(body, dict) else None
    row = rows[0] if isinstance(rows, list) and rows and isinstance(rows[0], dict) else {}
    domains = row.get("verifiedDomains")
    names = (
        [_text(one.get("name")) for one in domains if isinstance(one, dict)]
        if isinstance(domains, list)
        else []
    )
    return {
        "id": line.entra_tenant_id.lower(),
        "name": _text(row.get("displayName")),
        "domains": sorted(filter(None, names))[:MOST_DOMAINS],
        **{name: _number(answers[name].body) for name in _COUNTED},
    }


def _text(value: object) -> str:
    return str(value or "").replace("\0", "")[:LONGEST]


def _number(body: object) -> int | None:
    value = body.get("@odata.count") if isinstance(body, dict) else None
    return value if isinstance(value, int) and 0 <= value < 2**31 else None


def note(tenant_id: uuid.UUID, found: dict[str, Any] | None) -> None:
    """In the transaction that keeps the check."""
    if found is not None:
        Connection.objects.filter(tenant_id=tenant_id).update(organization=found)


@transaction.atomic
def confirm(actor: Actor, tenant: Tenant, organization_id: uuid.UUID) -> Connection:
    """The first replication may begin. Raises Conflict."""
    row = confirming.confirm(actor, tenant, organization_id)
    _go_on(tenant)
    return row


def _go_on(tenant: Tenant) -> None:
    if not queue.resume_for(tenant.id) and tenant.with_sync and tenant.last_replicated_at is None:
        queue.submit(SYSTEM, FIRST_SYNC, tenant)


@chore
def go_on_unasked() -> int:
    """Where nobody is asked any more, since the setting was switched off, the first replication begins; how many."""
    with scope.every("customers who wait for a confirmation are looked for"):
        held = Lane.objects.filter(suspended_code=UNCONFIRMED).values_list("tenant_id", flat=True)
        over = [each for each in held if not confirming.awaited(each)]
    for tenant_id in over:
        with scope.one(tenant_id), transaction.atomic():
            _go_on(Tenant.objects.get(id=tenant_id))
    return len(over)
