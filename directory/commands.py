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


class MirrorKind(Kind):
    """What Microsoft says into a mirror. Nothing is ever written there."""

    ability = Ability.REPLICATE

    def line(self, ctx: Context) -> lines.Line:
        """Raises UmpError: sync_off, connection_unverified, or as `lines.open_line`.

        The hard gate (M36-25): nothing is read with a credential that no check has proven.
        """
        with scope.one(ctx.customer):
            connection = lines.connection_of(ctx.customer)
            if not connection.tenant.with_sync:
                raise UmpError.of("sync_off", tenant=connection.tenant.name)
            if not connection.usable:
                raise UmpError.of("connection_unverified")
            return lines.line_through(connection)


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

        def client(stop: threading.Event, on_call: Callable[[CallRecord], None]) -> GraphClient:
            return line.graph(read_only=True, on_call=on_call, stop=stop)

        with scope.one(ctx.customer):  # once, or the database would be told anew at each look
            line = self.line(ctx)
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
