"""Reads of the checks, and of what they found."""

import datetime as dt
import uuid
from collections.abc import Iterable

from django.db.models import QuerySet
from django.db.models.functions import Now

from authstatus.commands import VERIFY
from authstatus.models import Check, Finding, FindingKind, FindingState
from replication.models import Command, State
from replication.selectors import listed
from tenants.models import DeployState, Tenant
from tenants.written import Written

DRIFT_TOLD = dt.timedelta(days=7)
"""So long the lists say what came or went."""


def checks(tenant: Tenant) -> QuerySet[Check]:
    """Newest first."""
    found: QuerySet[Check] = Check.objects.filter(tenant=tenant).order_by("-id")
    return found


def under_way(tenant_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID | None, Command]:
    """The check that waits or runs, by customer; one query."""
    return {command.tenant_id: command for command in _UNDER_WAY.rows(list(tenant_ids))}


_UNDER_WAY: Written[Command] = Written(
    lambda ids: listed(
        Command.objects.filter(tenant_id__in=ids, kind=VERIFY, state__in=[State.QUEUED, State.EXECUTING])
    ).order_by("id")
)


def findings(tenant: Tenant) -> QuerySet[Finding]:
    """What the last check that got so far found, by kind and name."""
    found: QuerySet[Finding] = Finding.objects.filter(tenant=tenant).order_by("kind", "name")
    return found


def drifted(limit: int, tenant: Tenant | None = None) -> list[Check]:
    """Checks of the last days that noticed something come or go, the newest of each customer; in the scope."""
    return _DRIFTED.rows(tenant and tenant.id, limit=limit)


def _drifted(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Check]:
    recent = Check.objects.filter(at__gte=Now() - DRIFT_TOLD).exclude(drift=[])
    recent = recent.filter(tenant__deleted_at=None, tenant__enabled=True)
    recent = recent.filter(tenant_id=tenant_id) if tenant_id else recent
    newest = recent.order_by("tenant_id", "-id").distinct("tenant_id").values("id")
    found: QuerySet[Check] = Check.objects.filter(id__in=newest).select_related("tenant")
    return found.order_by("-at")[:limit]


_DRIFTED = Written(_drifted)


def roles_missing(limit: int, tenant: Tenant | None = None) -> list[Finding]:
    """Roles that deployed customers need and lack; in the scope."""
    return _LACKING.rows(tenant and tenant.id, limit=limit)


def _lacking(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Finding]:
    lacking: QuerySet[Finding] = Finding.objects.filter(kind=FindingKind.ROLE, state=FindingState.MISSING)
    lacking = lacking.filter(
        tenant__deleted_at=None, tenant__enabled=True, tenant__deploy_state=DeployState.DEPLOYED
    )
    lacking = lacking.filter(tenant_id=tenant_id) if tenant_id else lacking
    return lacking.select_related("tenant").order_by("-since", "name")[:limit]


_LACKING = Written(_lacking)
