"""The portal's Celery application, with one more kind of command: a call to Microsoft, and nothing else."""

import django

django.setup()

from replication import registry  # noqa: E402  Django first
from replication.context import Context, Done, Outcome  # noqa: E402
from replication.registry import Kind  # noqa: E402
from tenants import lines, scope  # noqa: E402
from tenants.abilities import Ability  # noqa: E402
from ump_portal.celery import app  # noqa: E402

__all__ = ["app"]


@registry.register
class Call(Kind):
    """With the customer's own credential, in the customer's scope, like any other command."""

    name = "bench_call"
    title = "Call"
    ability = Ability.REPLICATE
    reconcile = "Reads only."

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            line = lines.open_line(ctx.customer)
        line.graph().get("/organization", {"$select": "id"})
        return Done("Called.")
