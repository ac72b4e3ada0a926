"""Reads about onboardings, within the scope in force."""

import uuid
from collections.abc import Iterable
from typing import Any

from django.db.models import Count, Q, QuerySet
from django.utils import timezone

from core.errors import NotFound
from onboarding.models import Onboarding, Step, limit_of
from replication.models import Command
from tenants import scope
from tenants.models import Tenant
from tenants.written import Written


def newest_of(tenant: Tenant) -> Onboarding | None:
    found: Onboarding | None = Onboarding.objects.select_related("tenant").filter(tenant=tenant).first()
    return found


def the_newest_of(tenant: Tenant) -> Onboarding:
    """Raises NotFound."""
    found = newest_of(tenant)
    if found is None:
        raise NotFound(thing="onboarding")
    return found


def unfinished() -> QuerySet[Onboarding]:
    """Those that still need somebody, the one that waits longest first."""
    found: QuerySet[Onboarding] = Onboarding.objects.select_related("tenant").filter(
        finished_at=None, cancelled_at=None, tenant__deleted_at=None
    )
    return found.order_by("step_since", "id")


def number_unfinished() -> int:
    """By group, of which there is one: a mere count is no query that could be kept."""
    return sum(number for _, number in _NUMBER.rows())


_NUMBER: Written[Any] = Written(
    lambda: unfinished().order_by().values_list("tenant__deleted_at").annotate(how_many=Count("id"))
)


def open_of(tenant_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Onboarding]:
    """The open onboarding of each of these customers that has one; one query."""
    return {row.tenant_id: row for row in _OPEN.rows(list(tenant_ids))}


_OPEN = Written(lambda tenant_ids: unfinished().filter(tenant_id__in=tenant_ids))


def late(limit: int) -> list[Onboarding]:
    """Those that nobody has finished in time, at whatever step."""
    now = timezone.now()
    connecting = Q(step=Step.CONNECT, step_since__lt=now - limit_of(Step.CONNECT))
    routing = Q(step=Step.ROUTE, step_since__lt=now - limit_of(Step.ROUTE))
    return list(unfinished().filter(connecting | routing, tenant__enabled=True)[:limit])


def discovery(number: int) -> Command:
    """A look-up of a tenant, which is about no customer. Raises NotFound."""
    with scope.every("the look-up of a tenant belongs to the provider as a whole"):
        found: Command | None = Command.objects.filter(
            id=number, kind="discover_tenant", tenant__isnull=True
        ).first()
    if found is None:
        raise NotFound(thing="look-up")
    return found
