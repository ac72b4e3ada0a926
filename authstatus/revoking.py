"""Taking the portal's access back (M36-31): everything that it could sign in with is forgotten, and its work stops.

What Microsoft holds stays there: the customer's administrator deletes the enterprise application in Entra, and
the page that leads here says how. Letting the portal in again is Grant Access, as for a new customer.
"""

from django.db import transaction

from authstatus import registrations
from authstatus.trail import record_connection
from replication import services as queue
from tenants.access import Actor
from tenants.models import Connection, Secret, StandbyRole, Tenant


@transaction.atomic
def revoke(actor: Actor, tenant: Tenant) -> bool:
    """Forget every credential of the customer; False where there was none. Commands wait; none is lost."""
    connection: Connection | None = (
        Connection.objects.select_for_update(no_key=True).filter(tenant=tenant).first()
    )
    if connection is None:
        return False
    queue.suspend_for(tenant.id, "connection_missing")
    for role in StandbyRole:
        registrations.forget_row(registrations.standby_of(tenant.id, role))
    sealed = [one for one in (connection.secret_id, connection.granted_id) if one]
    client_id, method = connection.client_id, connection.get_method_display()
    connection.delete()
    Secret.objects.filter(tenant=tenant, id__in=sealed).delete()
    changes = {"client_id": (client_id, None), "Authentication method": (method, None)}
    record_connection(actor, "connection.revoked", tenant, changes)
    return True
