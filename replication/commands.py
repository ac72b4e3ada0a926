"""What the queue itself asks of a worker: whether the provider's line works again."""

import contextlib
import uuid
from collections.abc import Callable

from breakers import services as breakers
from breakers.models import Name
from breakers.services import ON_THE_LINE
from core.errors import UmpError
from replication import doorbell, services, states
from replication.context import Context, Done, Outcome
from replication.models import Lane, LaneName
from replication.registry import Kind, register
from tenants import lines, scope
from tenants.abilities import Ability
from tenants.access import SYSTEM
from tenants.lines import OF_PROVIDER_APP
from tenants.models import AppOwner, Connection, Tenant

PROBE, CHECK = "probe", "verify_credentials"
MOST_WAKES = 100
"""Of five hundred lanes each; what is left after that comes by its own clock."""


@register
class Probe(Kind):
    """One harmless try with any one customer, while the work of all others waits."""

    name = PROBE
    title = "Probe Microsoft"
    ability = Ability.PAUSE_ALL
    lane = LaneName.PROVIDER
    max_attempts = 1
    reconcile = "Reads only; another probe simply asks again."

    def run(self, ctx: Context) -> Outcome:
        name = Name(ctx.target)
        tenant_id = breakers.someone_to_try(name)
        if tenant_id is not None:
            with scope.one(tenant_id):
                trouble = self._trouble(ctx, name, tenant_id)
            if trouble is not None:
                return Done(f"Not yet: {trouble.message}", outcome="partial")
        freed = close(name, ctx.transaction)
        return Done(f"{name.label} works; work goes on.", result={"customers set free": freed})

    @staticmethod
    def _trouble(ctx: Context, name: Name, tenant_id: object) -> UmpError | None:
        """What still stands in the way of everybody. Whatever else is wrong is this customer's own."""
        blamed = OF_PROVIDER_APP if name == Name.PROVIDER_APP else ON_THE_LINE
        try:
            line = lines.open_line(tenant_id)  # type: ignore[arg-type]  # a customer's id
            line.token(fresh=True)
            if name == Name.LINE:
                line.graph(stop=ctx.stop).get("/organization", params={"$select": "id"})
        except UmpError as error:
            return error if error.code in blamed else None
        return None


def close(name: Name, fenced: Callable[[], contextlib.AbstractContextManager[None]]) -> int:
    """Let go what was held because of it, then close the breaker; how many customers' lanes had been suspended.

    A transaction for each customer, then one for some hundreds of lanes that nobody else holds: this may be called
    while others hold their own lanes and wait for a turn. A command closes it under its fence: it may have opened
    again since somebody else took the command over.
    """
    code = breakers.cause_of(name)
    held = _taken_for_their_own(code) if name == Name.PROVIDER_APP else []
    for tenant_id in held:
        with scope.every("the work of a customer of the provider's app goes on"):
            services.resume_for(tenant_id)
            services.submit(SYSTEM, CHECK, Tenant.objects.get(id=tenant_id))
    for _ in range(MOST_WAKES):
        with scope.every("the work of many customers goes on"):
            if not states.wake(code):
                break
    with fenced(), scope.every("the work of many customers goes on"):
        breakers.close_breaker(name)
    doorbell.ring()
    return len(held)


def _taken_for_their_own(code: str) -> list[uuid.UUID]:
    """Customers of the provider's app who were held for this fault before there were many of them."""
    with scope.every("customers who were held for the provider's fault"):
        shared = Connection.objects.filter(app_owner=AppOwner.PROVIDER).values("tenant_id")
        held = Lane.objects.filter(suspended_code=code, tenant_id__in=shared).order_by("tenant_id")
        return list(held.values_list("tenant_id", flat=True))
