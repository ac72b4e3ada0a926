"""The order of locks in which a command changes what the portal signs in with."""

import contextlib
from collections.abc import Iterator

from django.db import transaction

from replication import states
from replication.context import Context
from tenants import scope
from tenants.models import Connection, ProviderApp, Tenant


@contextlib.contextmanager
def in_turn(ctx: Context) -> Iterator[None]:
    """The command's transaction where credentials change, or where something is queued for them. Raises LeaseLost.

    The order of everybody's locks: the customer, what is signed in with, the lanes of data, the command's own, and
    last the command. Whoever cancels it has its lane and waits for its row; who took the lane last would meet him
    half-way.
    """
    of_provider = "a command changes the provider's own app"
    with scope.one(ctx.tenant_id) if ctx.tenant_id else scope.every(of_provider), transaction.atomic():
        if ctx.tenant_id:
            Tenant.objects.select_for_update(no_key=True).get(id=ctx.tenant_id)
            list(Connection.objects.select_for_update(no_key=True).filter(tenant_id=ctx.tenant_id))
            states.lock_lanes_of_connection(ctx.tenant_id)
        else:
            list(ProviderApp.objects.select_for_update(no_key=True))
        states.lock_lane_of(ctx.command_id)
        with ctx.transaction():
            yield
