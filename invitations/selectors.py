"""Reads about invitations, within the scope in force."""

from django.utils import timezone

from invitations.models import Invitation
from tenants.models import Tenant


def open_of(tenant: Tenant) -> Invitation | None:
    """The customer's open invitation ("Tenant has open invitation.")."""
    found: Invitation | None = Invitation.objects.filter(
        tenant=tenant, done_at=None, revoked_at=None, expires_at__gt=timezone.now()
    ).first()
    return found
