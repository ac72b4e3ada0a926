"""Reads of the checks, and of what they found."""

import datetime as dt

from django.db.models import QuerySet
from django.utils import timezone

from authstatus.models import Check, Finding, FindingKind, FindingState
from tenants.models import DeployState, Tenant

DRIFT_TOLD = dt.timedelta(days=7)
"""So long the lists say what came or went."""


def checks(tenant: Tenant) -> QuerySet[Check]:
    """Newest first."""
    found: QuerySet[Check] = Check.objects.filter(tenant=tenant).order_by("-id")
    return found


def findings(tenant: Tenant) -> QuerySet[Finding]:
    """What the last check that got so far found, by kind and name."""
    found: QuerySet[Finding] = Finding.objects.filter(tenant=tenant).order_by("kind", "name")
    return found


def drifted(limit: int, tenant: Tenant | None = None) -> list[Check]:
    """Checks of the last days that noticed something come or go, the newest of each customer; in the scope."""
    recent = Check.objects.filter(at__gte=timezone.now() - DRIFT_TOLD).exclude(drift=[])
    recent = recent.filter(tenant__deleted_at=None, tenant__enabled=True)
    if tenant is not None:
        recent = recent.filter(tenant=tenant)
    newest = recent.order_by("tenant_id", "-id").distinct("tenant_id").values("id")
    found = Check.objects.filter(id__in=newest).select_related("tenant").order_by("-at")
    return list(found[:limit])


def roles_missing(limit: int, tenant: Tenant | None = None) -> list[Finding]:
    """Roles that deployed customers need and lack; in the scope."""
    lacking = Finding.objects.filter(kind=FindingKind.ROLE, state=FindingState.MISSING)
    lacking = lacking.filter(
        tenant__deleted_at=None, tenant__enabled=True, tenant__deploy_state=DeployState.DEPLOYED
    )
    if tenant is not None:
        lacking = lacking.filter(tenant=tenant)
    return list(lacking.select_related("tenant").order_by("-since", "name")[:limit])
