"""What the worker may do about the directory: read all of it, or what changed."""

import threading
from collections.abc import Callable

from core.errors import UmpError
from directory.sync.engine import Sync
from m365.graph import CallRecord, GraphClient
from replication.context import Context, Outcome
from replication.registry import Kind, register
from tenants import lines, scope
from tenants.abilities import Ability
from tenants.models import Connection, Tenant


class MirrorKind(Kind):
    """What Microsoft says into a mirror. Nothing is ever written there."""

    ability = Ability.REPLICATE

    def line(self, ctx: Context) -> lines.Line:
        """Raises UmpError: sync_off, connection_unverified, or what keeps the credential from being opened.

        The hard gate (M36-25): nothing is read with a credential that no check has proven.
        """
        with scope.one(ctx.customer):
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            if not tenant.with_sync:
                raise UmpError.of("sync_off", tenant=tenant.name)
            connection: Connection | None = Connection.objects.filter(tenant_id=ctx.customer).first()
            if connection is not None and not connection.usable:
                raise UmpError.of("connection_unverified")
            return lines.open_line(ctx.customer)


class DirectoryKind(MirrorKind):
    """Users, groups, memberships and licences."""

    may_dry_run = True
    reconcile = (
        "Reads only; every page is stored with the link to the next one in one transaction, so a run that was "
        "cut off goes on from there, and a page that comes twice changes nothing."
    )
    full = False

    def run(self, ctx: Context) -> Outcome:
        """Raises UmpError: sync_off, connection_unverified, or whatever Microsoft answers."""
        line = self.line(ctx)

        def client(stop: threading.Event, on_call: Callable[[CallRecord], None]) -> GraphClient:
            return line.graph(read_only=True, on_call=on_call, stop=stop)

        return Sync(ctx, client, full=self.full).slice()


@register
class FullSync(DirectoryKind):
    name = "sync"
    title = "Sync"
    full = True


@register
class QuickReplication(DirectoryKind):
    """By deltas; in full where there is no link to go on from, or when everything is due to be compared."""

    name = "quick_replication"
    title = "Quick replication"
