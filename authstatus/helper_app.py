"""Take the provider's app out of a customer's organisation, once the customer's own app is proven (APP-24).

What it was there for, signing in until the customer had an app of its own and making that one, is over then. It is
removed by whoever may: the customer's own app, or the provider's app itself.
"""

from collections.abc import Iterator

from django.db import transaction

from authstatus import registrations
from authstatus.trail import record_connection
from core.errors import Conflict, PermissionMissing, UmpError
from m365 import registrations as far
from replication import services as queue
from replication.context import Context, Done, Outcome
from replication.models import Command, LaneName
from replication.registry import Kind, register
from tenants import lines, provider_app, scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import AppOwner, Cloud, Connection, Tenant

REMOVE = "remove_helper_app"
NEEDED = "Application.ReadWrite.All"
NOT_THERE = frozenset({"app_not_found", "app_not_installed"})
"""What Microsoft answers to an app that is not in the organisation."""


def why_not(stored: Connection | None) -> str:
    """Nothing, or why the provider's app may not go from this customer now, in words."""
    app = provider_app.current()
    if app.client_id is None or app.secret is None:
        return "the provider has no app registration"
    if stored is None or stored.cloud != Cloud.GLOBAL:
        return "the provider's app cannot be in this customer's organisation"
    if stored.app_owner == AppOwner.PROVIDER or stored.client_id == app.client_id:
        return "this customer uses it"
    if not stored.usable:
        return "the customer's own app is not proven: check its credentials first"
    if registrations.in_the_way(stored.tenant_id):
        return "a migration or renewal is not finished yet"
    return ""


@transaction.atomic
def remove(actor: Actor, tenant: Tenant) -> Command:
    """Have it removed at Microsoft. Raises Conflict with the reason where it may not go now."""
    why = why_not(Connection.objects.select_for_update(no_key=True).filter(tenant=tenant).first())
    if why:
        raise Conflict(thing="the provider's app", why=why)
    record_connection(
        actor, "connection.helper_removing", tenant, {"app": (provider_app.current().client_id, None)}
    )
    return queue.submit(actor, REMOVE, tenant)


@register
class RemoveHelper(Kind):
    name = REMOVE
    title = "Remove the provider's app"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    reconcile = "Looks first; an app that is not in the organisation any more counts as removed."

    def run(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            stored: Connection | None = Connection.objects.filter(tenant=tenant).first()
            why = why_not(stored)
        if why:
            return Done(f"Nothing was changed: {why}.")
        app = provider_app.current()
        ctx.report(label="Removing the provider's app", force=True)
        for line in self._who_may(tenant):
            try:
                if self._removed_by(ctx, line, str(app.client_id)):
                    return Done("The provider's app is not in the organisation any more.")
            except UmpError as error:
                if line.shared and error.code in NOT_THERE:
                    return Done("The provider's app is not in the organisation any more.")
                if not (line.shared and error.code in lines.OF_PROVIDER_APP):
                    raise
        raise UmpError.of("helper_not_removable", tenant=tenant.name, permission=NEEDED)

    @staticmethod
    def _who_may(tenant: Tenant) -> Iterator[lines.Line]:
        """The customer's own way in, then the provider's app itself."""
        with scope.one(tenant.id):
            own = lines.open_line(tenant.id)
            helper = lines.line_of(tenant, provider_app.current(), Cloud.GLOBAL)
        yield own
        yield helper

    @staticmethod
    def _removed_by(ctx: Context, line: lines.Line, client_id: str) -> bool:
        """False where this one may not."""
        if line.token(fresh=True).granted.isdisjoint(far.CHANGES_OWN):
            return False
        graph = line.graph(stop=ctx.stop, before_write=ctx.still_ours)
        try:
            principal = far.principal_of(graph, client_id)
            if principal is not None:
                far.delete_principal(graph, principal)
        except PermissionMissing:
            return False
        return True
