"""Signing in as the provider's own app registration, and the link by which a customer consents to an app.

The app then speaks for itself, with the application permissions that it lists (APP-01). It knows worldwide
tenants only (SYN-19).
"""

from django.conf import settings
from django.db import transaction

from authstatus import registrations
from authstatus.commands import VERIFY
from core.errors import Conflict, UmpError
from m365 import clouds
from m365.consent import consent_url
from replication import services as queue
from replication.models import Command
from tenants import provider_app, services
from tenants.access import Actor
from tenants.models import AppOwner, Cloud, Connection, Method, Plan, Tenant


def in_use(stored: Connection | None) -> bool:
    return stored is not None and (stored.method, stored.app_owner) == (Method.APP, AppOwner.PROVIDER)


def obstacle(tenant: Tenant, stored: Connection | None) -> UmpError | None:
    """Why this customer cannot be taken over to the provider's app now; None when it can."""
    app = provider_app.current()
    if tenant.plan == Plan.ESSENTIALS:
        return UmpError.of("plan_without_app", tenant=tenant.name)
    if stored is not None and stored.cloud != Cloud.GLOBAL:
        return UmpError.of("provider_app_elsewhere", tenant=tenant.name, cloud=stored.get_cloud_display())
    if app.client_id is None or app.secret is None:
        return UmpError.of("provider_app_missing")
    if tenant.entra_tenant_id is None:
        return UmpError.of("tenant_not_given")
    if registrations.in_the_way(tenant.id):
        why = "a migration or renewal is under way: finish it, or discard it under App registration, first"
        return Conflict(thing="the connection", why=why)
    if in_use(stored):
        return Conflict(thing="the connection", why="it uses the provider's app registration already")
    return None


@transaction.atomic
def use(actor: Actor, tenant: Tenant) -> Command:
    """Take the customer over, forget what it signed in with, and have the app checked; data work waits for that.

    Raises the UmpError of `obstacle`.
    """
    stored = Connection.objects.select_for_update(no_key=True).filter(tenant=tenant).first()
    error = obstacle(tenant, stored)
    if error is not None:
        raise error
    services.use_provider_app(actor, tenant)
    queue.suspend_for(tenant.id, "connection_unverified")
    return queue.submit(actor, VERIFY, tenant)


def consent_link(tenant: Tenant, stored: Connection | None, *, owner: AppOwner | None = None) -> str:
    """What to send to the customer's administrator, so that the app gets what it lists. Empty where nothing can be.

    For the app in use, or that of `owner`: it must list this portal's sign-in address.
    """
    owner = owner or (AppOwner(stored.app_owner) if stored else None)
    app = provider_app.current() if owner == AppOwner.PROVIDER else stored
    if app is None or app.client_id is None or tenant.entra_tenant_id is None:
        return ""
    back = provider_app.default_redirect_uri()
    if owner == AppOwner.PROVIDER:
        back = provider_app.current().redirect_uri or back
    cloud = clouds.CLOUDS[stored.cloud if stored else Cloud.GLOBAL]
    address = consent_url(cloud, str(tenant.entra_tenant_id), str(app.client_id), back)
    return clouds.browser_address(address, settings.M365_GATEWAY_URL)
