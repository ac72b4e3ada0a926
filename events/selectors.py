"""Reads of what happened, in the scope in force."""

import uuid
from collections.abc import Iterable

from django.db.models import QuerySet

from events.models import Event, Type


def events(types: Iterable[str] = ()) -> QuerySet[Event]:
    """In the order in which they happened."""
    found: QuerySet[Event] = Event.objects.order_by("id")
    wanted = list(types)
    return found.filter(type__in=wanted) if wanted else found


def last_of(tenant_id: uuid.UUID, *types: Type) -> Event | None:
    """The newest of these types about this customer."""
    found: Event | None = Event.objects.filter(tenant_id=tenant_id, type__in=types).order_by("-id").first()
    return found
