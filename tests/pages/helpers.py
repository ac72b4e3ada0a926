"""Shortcuts of the tests of the main screens."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.db import transaction
from django.test import Client
from django.utils import timezone

from accounts.models import User
from authstatus import findings
from authstatus.checking import Examination, Found
from authstatus.models import Check, FindingKind, Result
from core.errors import UmpError
from m365.permissions import DIRECTORY_READ, PROFILES, Held
from replication import services as queue
from replication.models import Command
from tenants import scope, services
from tenants.access import SYSTEM
from tenants.models import Connection, Secret, Tenant, Verification

SignIn = Callable[[User], Client]


def text_of(client: Client, url: str, status: int = 200, **headers: Any) -> str:
    """The page's text; a refusal rolls back only to this point."""
    with transaction.atomic():
        answer = client.get(url, **headers)
    assert answer.status_code == status, f"{url}: {answer.status_code} {answer.content[:600]!r}"
    body = b"".join(answer) if answer.streaming else answer.content  # type: ignore[arg-type]  # bytes in tests
    return str(body, "utf-8")


def post(client: Client, url: str, values: dict[str, Any], status: int = 303) -> Any:
    with transaction.atomic():
        answer = client.post(url, values)
    assert answer.status_code == status, f"{url}: {answer.status_code} {answer.content[:1500]!r}"
    return answer


def verified(tenant: Tenant, *, days_left: int | None = 300, users: int = 12) -> None:
    """A customer whose check succeeded and who was replicated a moment ago."""
    with scope.one(tenant.id):
        findings.keep(tenant.id, well(tenant))
        services.note_check(tenant.id, verification=Verification.SUCCESSFUL, problem=None)
        services.note_replication(tenant.id, users=users, groups=3)
        queue.resume_for(tenant.id)
        if days_left is not None:
            Secret.objects.filter(tenant=tenant).update(
                expires_at=timezone.now() + dt.timedelta(days=days_left, hours=1)
            )


def well(tenant: Tenant) -> Examination:
    """Everything that is needed is there."""
    found = [Found(FindingKind.CALL, key, Held.PRESENT) for key in DIRECTORY_READ]
    granted = PROFILES["directory_read"].application
    found += [Found(FindingKind.PERMISSION, name, Held.PRESENT) for name in granted]
    return Examination(Verification.SUCCESSFUL, tuple(found), granted, tenant.name)


def failed(tenant: Tenant, code: str = "secret_expired", **detail: str) -> None:
    """A customer whose last check said this."""
    problem = dict(UmpError.of(code, app="Sync app", detail=detail).to_dict())
    with scope.one(tenant.id):
        Check.objects.create(tenant=tenant, result=Result.FAILED, problem=problem)
        services.note_check(tenant.id, verification=Verification.FAILED, problem=problem)
        queue.suspend_for(tenant.id, code)


def change(tenant: Tenant, **fields: Any) -> None:
    with scope.one(tenant.id):
        Tenant.objects.filter(id=tenant.id).update(**fields)


def fresh(tenant: Tenant) -> Tenant:
    with scope.one(tenant.id):
        return Tenant.objects.get(id=tenant.id)


def connection(tenant: Tenant) -> Connection:
    with scope.one(tenant.id):
        return Connection.objects.select_related("secret").get(tenant=tenant)


def commands(tenant: Tenant) -> list[Command]:
    with scope.one(tenant.id):
        return list(Command.objects.filter(tenant=tenant).order_by("id"))


def add(name: str, **more: Any) -> Tenant:
    return services.add_tenant(SYSTEM, name=name, entra_tenant_id=None, **more)


def url(tenant: Tenant, path: str = "") -> str:
    return f"/tenants/{tenant.id}/{path}"
