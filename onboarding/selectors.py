"""Reads about onboardings, within the scope in force."""

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet

from core.errors import NotFound
from onboarding.models import Onboarding
from replication.models import Command
from tenants import scope
from tenants.models import Tenant


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


def open_ids(tenant_ids: Iterable[Any]) -> set[Any]:
    """Of these customers, those that are being onboarded."""
    return set(unfinished().filter(tenant_id__in=list(tenant_ids)).values_list("tenant_id", flat=True))


def discovery(number: int) -> Command:
    """A look-up of a tenant, which is about no customer. Raises NotFound."""
    with scope.every("the look-up of a tenant belongs to the provider as a whole"):
        found: Command | None = Command.objects.filter(
            id=number, kind="discover_tenant", tenant__isnull=True
        ).first()
    if found is None:
        raise NotFound(thing="look-up")
    return found
