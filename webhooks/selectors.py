"""Reads about endpoints."""

import uuid
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

from core.errors import NotFound
from events.models import Event, Type
from tenants.models import ProviderSecret
from webhooks.models import Delivery, Endpoint


def endpoints() -> QuerySet[Endpoint]:
    return Endpoint.objects.select_related("secret").order_by("name", "id")


def endpoint(endpoint_id: uuid.UUID) -> Endpoint:
    """Raises NotFound."""
    found = endpoints().filter(id=endpoint_id).first()
    if found is None:
        raise NotFound(thing="webhook")
    return found


def deliveries(endpoint: Endpoint) -> QuerySet[Delivery]:
    """The newest first."""
    return Delivery.objects.filter(endpoint=endpoint).order_by("-id")


def waiting(endpoint: Endpoint) -> QuerySet[Event]:
    """What this endpoint has not taken yet, in order; in the scope of every tenant."""
    mine = ~Q(type=Type.TEST) | Q(data__endpoint=str(endpoint.id))
    wanted: dict[str, Any] = {}
    if endpoint.types:
        wanted["type__in"] = [*endpoint.types, Type.TEST]
    found: QuerySet[Event] = Event.objects.filter(mine, id__gt=endpoint.cursor, **wanted)
    if endpoint.tenants:
        found = found.filter(Q(tenant_id__in=endpoint.tenants) | Q(type=Type.TEST))
    return found.select_related("tenant").order_by("id")


def signing_secrets(endpoint: Endpoint) -> list[ProviderSecret]:
    """The one in use, and beside it the former one until its time is over."""
    overlaps = endpoint.former_until is not None and endpoint.former_until > timezone.now()
    return [each for each in (endpoint.secret, endpoint.former_secret if overlaps else None) if each]
