"""The one way to write the trail."""

import json
import uuid
from collections.abc import Mapping
from typing import Protocol

from django.db import connection

from core.redaction import redact

Changes = Mapping[str, tuple[object, object]]


class Who(Protocol):
    """Whoever acts: a person, an API token or a worker (tenants.access.Actor has this shape)."""

    @property
    def kind(self) -> str: ...
    @property
    def id(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def address(self) -> str | None: ...
    @property
    def request_id(self) -> uuid.UUID: ...


def record(
    who: Who,
    action: str,
    *,
    tenant_id: uuid.UUID | None,
    object_kind: str,
    object_id: object,
    object_label: str = "",
    changes: Changes | None = None,
) -> None:
    """Add an entry. Call it in the transaction of the act itself, so that neither exists without the other."""
    with connection.cursor() as cursor:
        # Not by the ORM: its RETURNING would have to see the row, which a narrow scope may not.
        cursor.execute(
            "INSERT INTO audit_entry (tenant_id, actor_kind, actor_id, actor_label, address, request_id, action,"
            " object_kind, object_id, object_label, changes) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                tenant_id,
                who.kind,
                who.id,
                who.label[:254],
                who.address,
                who.request_id,
                action,
                object_kind,
                str(object_id),
                object_label[:254],
                json.dumps(_plain(changes or {})),
            ],
        )


def _plain(changes: Changes) -> dict[str, list[object]]:
    masked = redact({name: list(pair) for name, pair in changes.items()})
    return {
        name: [_json(value) for value in pair] for name, pair in masked.items() if isinstance(pair, list)
    } | {name: ["***", "***"] for name, pair in masked.items() if not isinstance(pair, list)}


def _json(value: object) -> object:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
