"""How many customers there are, by how they are doing and by how they are connected.

Every customer is looked at for it, so a process keeps what was counted for some seconds, by the customers that were
counted: two people share a number only where they see the same customers. It is told with its age.
"""

import dataclasses
import time
import uuid
from collections import Counter
from typing import Any

from django.db.models import Count

from tenants import scope
from tenants.health import Health, with_health
from tenants.models import Tenant
from tenants.recent import Recent
from tenants.written import Written

Seen = frozenset[uuid.UUID] | None
"""Which customers are counted; None: all."""


@dataclasses.dataclass(frozen=True)
class Census:
    health: dict[Health, int]
    methods: dict[str | None, int]
    """By how they sign in; None: not connected."""
    at: float = dataclasses.field(default_factory=time.monotonic)
    """When they were counted, in monotonic seconds."""


def recent(seen: Seen) -> Census:
    """What was counted in the last seconds, or is counted now."""
    return _kept.get(seen, lambda: _count(seen))


def count(seen: Seen) -> Census:
    """Count now, by one query, and keep it."""
    return _kept.put(seen, _count(seen))


def forget() -> None:
    """Count anew at the next question."""
    _kept.forget()


_kept: Recent[Census] = Recent()


def _count(seen: Seen) -> Census:
    health: Counter[Health] = Counter(dict.fromkeys(Health, 0))
    methods: Counter[str | None] = Counter()
    with scope.every_in_sight("customers are counted") if seen is None else scope.some(seen):
        for how, method, number in _BOTH.rows():
            health[Health(how)] += number
            methods[method] += number
    return Census(dict(health), dict(methods))


_BOTH: Written[Any] = Written(
    lambda: (
        with_health(Tenant.objects.filter(deleted_at=None))
        .order_by()
        .values_list("health", "connection__method")
        .annotate(number=Count("id"))
    )
)
