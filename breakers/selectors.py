"""Reads about what is broken for many at once."""

from breakers.models import Breaker, Name
from tenants.models import AppOwner, Connection, Tenant


def open_breakers(tenant: Tenant | None = None) -> list[Breaker]:
    """Those that are open; with a customer, those that hold its work. The longest open first."""
    found = list(Breaker.objects.order_by("opened_at"))
    if tenant is None or not found:
        return found
    shared = Connection.objects.filter(tenant=tenant, app_owner=AppOwner.PROVIDER).exists()
    return [each for each in found if shared or each.name == Name.LINE]
