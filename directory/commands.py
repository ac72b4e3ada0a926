"""What the worker may do about the directory: read all of it, or what changed."""

import threading
from collections.abc import Callable

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
        """Raises UmpError as `lines.open_proven_line`."""
        with scope.one(ctx.customer):
            return lines.open_proven_line(ctx.customer)


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
            return line.graph(on_call=on_call, stop=stop)

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
