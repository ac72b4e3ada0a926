"""Reads about invitations, within the scope in force."""

from django.utils import timezone

from core.errors import NotFound
from invitations.models import Invitation
from tenants.models import Tenant


def open_of(tenant: Tenant) -> Invitation | None:
    """The customer's open invitation ("Tenant has open invitation.")."""
    found: Invitation | None = Invitation.objects.filter(
        tenant=tenant, done_at=None, revoked_at=None, expires_at__gt=timezone.now()
    ).first()
    return found


def newest_of(tenant: Tenant) -> Invitation | None:
    found: Invitation | None = Invitation.objects.select_related("tenant").filter(tenant=tenant).first()
    return found


def one_of(tenant: Tenant, number: int) -> Invitation:
    """Raises NotFound."""
    found: Invitation | None = (
        Invitation.objects.select_related("tenant").filter(tenant=tenant, id=number).first()
    )
    if found is None:
        raise NotFound(thing="invitation")
    return found
