"""Reads about what is broken for many at once."""

from django.db.models import QuerySet

from breakers.models import AccessFailure, Breaker, Name
from tenants.models import AppOwner, Connection, Tenant
from tenants.written import Written


def open_breakers(tenant: Tenant | None = None) -> list[Breaker]:
    """Those that are open; with a customer, those that hold its work. The longest open first."""
    found = _OPEN.rows()
    if tenant is None or not found:
        return found
    shared = Connection.objects.filter(tenant=tenant, app_owner=AppOwner.PROVIDER).exists()
    return [each for each in found if shared or each.name == Name.LINE]


_OPEN = Written(lambda: Breaker.objects.order_by("opened_at"))


def failures_of(tenant: Tenant) -> QuerySet[AccessFailure]:
    """What Microsoft refused this customer, the newest first."""
    found: QuerySet[AccessFailure] = AccessFailure.objects.filter(tenant=tenant, of_line=False).order_by(
        "-id"
    )
    return found
