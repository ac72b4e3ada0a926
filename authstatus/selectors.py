"""Reads of the checks."""

from django.db.models import QuerySet

from authstatus.models import Check
from tenants.models import Tenant


def checks(tenant: Tenant) -> QuerySet[Check]:
    """Newest first."""
    found: QuerySet[Check] = Check.objects.filter(tenant=tenant).order_by("-id")
    return found
