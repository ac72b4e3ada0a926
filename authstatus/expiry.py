"""What ends soon is told in time: once at each threshold, for customers and for the provider's own app.

That is the credential in use, one that waits beside it, and the forecast for a stored sign-in that nobody uses.
"""

import time
import uuid
from typing import Any

from django.db import connection

from events.models import Type
from events.services import tell
from m365.identity_delegated import UNUSED_DAYS
from replication.registry import chore
from tenants import scope
from tenants.models import SecretKind

THRESHOLDS = (90, 60, 30, 14, 7, 1)
"""Days before the end. A secret that is first seen with 10 days left is told once, as 14."""
OF_UNUSED = 30
"""The first threshold of a stored sign-in, which each use lets live 90 days on: by then none was for two months."""
EVERY = 600.0
MOST = 500

_DUE = """
    WITH living AS (
        SELECT id FROM tenants_tenant WHERE enabled AND deleted_at IS NULL
    ), used AS (
        SELECT c.tenant_id, s.id, s.kind, s.expires_at, 'in use' AS use, %(most_days)s AS longest
          FROM tenants_connection c JOIN living t ON t.id = c.tenant_id
          JOIN tenants_secret s ON s.id = c.secret_id
        UNION ALL
        SELECT b.tenant_id, s.id, s.kind, s.expires_at, b.role, %(most_days)s
          FROM tenants_standby b JOIN living t ON t.id = b.tenant_id
          JOIN tenants_secret s ON s.id = b.secret_id
        UNION ALL
        SELECT c.tenant_id, c.granted_id, %(token)s, c.refreshed_at + %(unused)s * interval '1 day', 'in use',
               %(of_unused)s
          FROM tenants_connection c JOIN living t ON t.id = c.tenant_id WHERE c.method = 'token'
        UNION ALL
        SELECT NULL, s.id, s.kind, s.expires_at, 'in use', %(most_days)s FROM tenants_providerapp a
          JOIN tenants_providersecret s ON s.id = a.secret_id
    ), due AS (
        SELECT used.*, (SELECT min(days) FROM unnest(%(thresholds)s) AS days
                         WHERE days <= used.longest
                           AND used.expires_at <= statement_timestamp() + days * interval '1 day') AS days
          FROM used WHERE used.expires_at > statement_timestamp()
    ), keyed AS (
        SELECT due.*, due.id::text || ':' || to_char(due.expires_at AT TIME ZONE 'UTC', 'YYYYMMDD')
                      || ':' || due.days AS key
          FROM due WHERE due.days IS NOT NULL
    )
    SELECT k.tenant_id, k.kind, k.use, k.expires_at, k.days, k.key FROM keyed k
     WHERE NOT EXISTS (SELECT FROM events_event e WHERE e.once = k.key)
     ORDER BY k.expires_at LIMIT %(most)s
"""


class _Clock:
    """When this process looked last; the database says what was told, so looking too often harms nothing."""

    looked = float("-inf")


@chore
def look_now_and_then() -> None:
    if time.monotonic() - _Clock.looked >= EVERY:
        _Clock.looked = time.monotonic()
        tell_expiring()


def tell_expiring() -> int:
    """Tell what has come under a threshold since the last time; how many."""
    with scope.every("secrets of all customers are looked at for their end"), connection.cursor() as cursor:
        values: dict[str, Any] = {"thresholds": list(THRESHOLDS), "most_days": max(THRESHOLDS), "most": MOST}
        values |= {"token": SecretKind.TOKEN_CACHE, "unused": UNUSED_DAYS, "of_unused": OF_UNUSED}
        cursor.execute(_DUE, values)
        due = cursor.fetchall()
    return sum(_tell(*row) for row in due)


def _tell(tenant_id: uuid.UUID | None, kind: str, use: str, expires_at: Any, days: int, key: str) -> bool:
    with scope.every("an end that comes near is told"):
        data = {
            "what": SecretKind(kind).label,
            "use": use,
            "expires_at": expires_at.isoformat(),
            "threshold_days": days,
            "of": "customer" if tenant_id else "provider's app registration",
        }
        return tell(Type.EXPIRING, tenant_id, data, once=key)
