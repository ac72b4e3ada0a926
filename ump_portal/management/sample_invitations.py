"""The demo's invitations: one in each stage, and a customer who was never connected, to go the whole way with."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from invitations import services
from invitations.models import Invitation, Way
from replication import services as queue
from replication.models import Command
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant
from tenants.services import add_tenant

NEW = "Yarrow & Sons"
DOMAIN = "yarrow.example"
DAY = dt.timedelta(days=1)


def plant(known: list[Tenant], at_microsoft: Callable[[dict[str, Any]], None]) -> None:
    """Once; `at_microsoft` makes a tenant at the simulator, which forgets it when it ends."""
    at_microsoft({"name": NEW, "domain": DOMAIN, "users": 25, "app": None})
    with scope.every("the demo's invitations are looked up"):
        if Invitation.objects.exists():
            return
    by_name = {tenant.name: tenant for tenant in known}
    by_name[NEW] = add_tenant(SYSTEM, name=NEW, entra_tenant_id=None, domain=DOMAIN, licensed_users=15)
    now = timezone.now()
    mailed = {"sent_count": 1, "sent_at": now - DAY, "created_at": now - DAY}
    opened = mailed | {"opened_at": now - DAY / 2}
    started = opened | {"started_at": now - DAY / 3, "way": Way.REDIRECT}
    for name, person, moments in (
        (NEW, "it", {}),
        ("Silverdale Hotels", "admin", {}),
        ("Tamarind Travel", "admin", opened),
        ("Umber Studios", "admin", started),
        ("Brightwater Foods", "admin", started | {"signed_in_at": now - DAY / 4, "done_at": now - DAY / 4}),
        ("Fernhill Housing", "admin", mailed | {"created_at": now - 6 * DAY, "expires_at": now - DAY}),
        ("Harrow Lane Schools", "refused", {}),
    ):
        if name in by_name:
            _invite(by_name[name], person, moments)


def _invite(tenant: Tenant, person: str, moments: dict[str, Any]) -> None:
    with scope.one(tenant.id):
        made = services.invite(
            SYSTEM, tenant, email=f"{person}@{tenant.domain}", full_name="Ada Admin", admin_email=""
        )
        if moments:
            Invitation.objects.filter(id=made.pk).update(**moments)
            waiting = Command.objects.filter(kind=services.SEND, target=str(made.pk)).get()
            queue.cancel(SYSTEM, waiting)  # that mail is long gone
