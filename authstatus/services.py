"""Connecting a customer, and having the connection checked."""

import datetime as dt
import uuid

from django.db import transaction

from authstatus.commands import ROTATE, VERIFY
from authstatus.provider_check import VERIFY_APP
from replication import services as queue
from replication.models import Command
from tenants import provider_app, scope, services
from tenants.access import Actor
from tenants.credentials import Given
from tenants.models import Cloud, Connection, Plan, ProviderApp, Service, Tenant


@transaction.atomic
def onboard(
    actor: Actor,
    *,
    name: str,
    entra_tenant_id: uuid.UUID,
    client_id: uuid.UUID,
    client_secret: str = "",
    certificate: str = "",
    private_key: str = "",
    cloud: Cloud = Cloud.GLOBAL,
    domain: str = "",
    plan: Plan = Plan.PRO,
    service: Service = Service.DIRECT_ROUTING,
    licensed_users: int = 0,
    with_sync: bool = True,
    deployed: bool = False,
    expires_at: dt.datetime | None = None,
) -> tuple[Tenant, Command]:
    """Add a customer with an app registration and queue its first check; a proven one is replicated at once.

    Raises InvalidInput naming the field; nothing is kept then.
    """
    tenant = services.add_tenant(
        actor,
        name=name,
        entra_tenant_id=entra_tenant_id,
        domain=domain,
        plan=plan,
        service=service,
        licensed_users=licensed_users,
        with_sync=with_sync,
        deployed=deployed,
    )
    with scope.one(tenant.id):
        _, command = connect(
            actor,
            tenant,
            cloud=cloud,
            client_id=client_id,
            client_secret=client_secret,
            certificate=certificate,
            private_key=private_key,
            expires_at=expires_at,
        )
    return tenant, command


@transaction.atomic
def connect(
    actor: Actor,
    tenant: Tenant,
    *,
    cloud: Cloud,
    client_id: uuid.UUID,
    client_secret: str = "",
    certificate: str = "",
    private_key: str = "",
    expires_at: dt.datetime | None = None,
) -> tuple[Connection, Command]:
    """Store a credential and queue its check; the customer's data work is held until it is proven."""
    connection = services.set_connection(
        actor,
        tenant,
        cloud=cloud,
        client_id=client_id,
        client_secret=client_secret,
        certificate=certificate,
        private_key=private_key,
        expires_at=expires_at,
    )
    queue.suspend_for(tenant.id, "connection_unverified")
    return connection, check(actor, tenant)


def check(actor: Actor, tenant: Tenant) -> Command:
    """Queue a check of the credentials; it has a lane of its own and waits for no replication."""
    return queue.submit(actor, VERIFY, tenant)


@transaction.atomic
def set_provider_app(
    actor: Actor,
    *,
    client_id: uuid.UUID,
    redirect_uri: str,
    home_tenant_id: uuid.UUID | None = None,
    client_secret: str = "",
    certificate: str = "",
    private_key: str = "",
    expires_at: dt.datetime | None = None,
) -> tuple[ProviderApp, Command]:
    """Apply Changes on Authentication Status, and the check of what was entered. Raises InvalidInput."""
    app = provider_app.change(
        actor,
        client_id=client_id,
        redirect_uri=redirect_uri,
        home_tenant_id=home_tenant_id,
        given=Given.read(client_secret, certificate, private_key, expires_at),
    )
    return app, check_provider_app(actor)


def check_provider_app(actor: Actor) -> Command:
    """Queue a check of the provider's own app; asking twice joins the one that waits."""
    with scope.every("a command of the provider as a whole"):
        return queue.submit(actor, VERIFY_APP, None)


def rotate_keys(actor: Actor) -> Command:
    """Queue the re-wrapping of all keys (provider-wide); asking twice joins the one that waits."""
    with scope.every("a command of the provider as a whole"):
        return queue.submit(actor, ROTATE, None)
