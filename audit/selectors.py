"""Reads of the trail. Row-level security shows a customer's people their own entries only."""

import uuid

from django.db.models import QuerySet

from audit.models import Entry


def entries(tenant_id: uuid.UUID | None = None) -> QuerySet[Entry]:
    """Newest first; of one customer, or of everything that the scope shows."""
    found = Entry.objects.order_by("-id")
    return found if tenant_id is None else found.filter(tenant_id=tenant_id)


def of_object(kind: str, object_id: object) -> QuerySet[Entry]:
    return entries().filter(object_kind=kind, object_id=str(object_id))
