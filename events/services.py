"""Telling what happened. Call it in the transaction of what it tells, so that neither exists without the other."""

import datetime as dt
import json
import uuid
from collections.abc import Mapping

from django.db import connection, transaction
from django.db.models.functions import Now

from core.redaction import redact
from events.models import Event, Type
from tenants import scope

KEPT = dt.timedelta(days=90)
BATCH = 5000
ORDER = 0x65_76_65_6E_74  # an advisory lock's number: "event"


def tell(
    type_: Type, tenant_id: uuid.UUID | None, data: Mapping[str, object], *, once: str | None = None
) -> bool:
    """Add an event; False when it was told before (`once` names what may be told one time only).

    Writers take turns until their commit. A number is given before the row can be seen: without turns a
    reader could pass a number whose row comes a moment later, and miss it for ever. Make it the last thing
    of a transaction, and tell of one customer in each: locks are taken customer, lane, turn.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM tenants_tenant WHERE id = %s FOR KEY SHARE", [tenant_id])
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ORDER])
        # Not by the ORM, which knows no ON CONFLICT for one constraint with the number given back.
        cursor.execute(
            "INSERT INTO events_event (tenant_id, uid, type, data, once) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT (once) DO NOTHING RETURNING id",
            [tenant_id, uuid.uuid4(), type_.value, json.dumps(redact(dict(data)), default=str), once],
        )
        return cursor.fetchone() is not None


def forget() -> int:
    """Delete events past their time, a bounded number a round; how many."""
    with scope.every("old events are forgotten"):
        old = Event.objects.filter(at__lt=Now() - KEPT).order_by("id").values_list("id", flat=True)[:BATCH]
        return Event.objects.filter(id__in=list(old)).delete()[0]
