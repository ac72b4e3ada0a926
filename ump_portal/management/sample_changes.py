"""The demo's samples of changes: a template in use and the plan that it led to, one that is faulty and off; and at
another customer a plan that waits.

They need the copy, which the first sync makes minutes after the start: a chore looks whether it is there.
"""

import logging
from collections.abc import Callable

from django.db import transaction

from accounts.models import User
from core.errors import UmpError
from directory.models import DirectoryGroup, DirectoryUser
from provisioning import services
from provisioning.aspects import Thing
from provisioning.judging import Wish
from provisioning.models import Edit, Plan, Source
from replication import services as queue
from telephony import ranges
from telephony.models import Stream, TeamsStream, TeamsUser
from tenants import scope
from tenants import services as tenants
from tenants.access import Actor, actor_of_user
from tenants.models import Tenant
from user_templates import services as templates
from user_templates import work
from user_templates.models import TAKE, Leaving, UserTemplate

WITH_TEMPLATES, RANGE = "Fabrikam Clinics", "London"
WAITS = "Alder & Finch Logistics"
ASKER = "operator@demo.example"
A_DAY = 86_400
FEW, SMALL, MOVED = 3, 60, 6
"""Users who get a number at least, members of their group at most, and users who change their department."""

log = logging.getLogger(__name__)
_left: dict[str, Callable[[Actor, Tenant], bool]] = {}
"""By customer, what is still to be done; each step says whether it was the last one."""


def advance() -> None:
    """The next step at each customer whose copy is there. Any number of sweepers may do this at once."""
    for name, step in list(_left.items()):
        with scope.every("the demo's samples are looked up"):
            tenant = Tenant.objects.filter(name=name, deleted_at=None).first()
            asker = User.objects.filter(email=ASKER).first()
        try:
            if tenant is None or asker is None or _step(tenant, asker, step):
                del _left[name]
        except UmpError:
            log.warning("the demo goes on without the sample changes of %s", name, exc_info=True)
            del _left[name]


def _step(tenant: Tenant, asker: User, step: Callable[[Actor, Tenant], bool]) -> bool:
    with scope.one(tenant.id), transaction.atomic():
        tenant = Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
        read = TeamsStream.objects.filter(tenant=tenant, synced_at__isnull=False).count()
        return read == len(Stream) and step(actor_of_user(asker.id, str(asker)), tenant)


def _templates(actor: Actor, tenant: Tenant) -> bool:
    """Two templates; what the first asks for is applied at once, by Process All."""
    if Plan.objects.filter(tenant=tenant).exists():
        return True
    if Edit.objects.filter(tenant=tenant).exists():
        queue.process_all(actor, tenant)
        return False
    made = UserTemplate.objects.filter(tenant=tenant).exists()
    waits = UserTemplate.objects.filter(tenant=tenant, on=True, ran_at=None).exists()
    return not waits if made else _add(actor, tenant)


def _add(actor: Actor, tenant: Tenant) -> bool:
    ids = DirectoryGroup.objects.filter(tenant=tenant).values_list("object_id", flat=True)
    members = {each: work.members(tenant, [each]) for each in ids}
    ready = {row.object_id for row in TeamsUser.objects.filter(tenant=tenant, number="") if row.licensed}
    fitting = {each: len(users & ready) for each, users in members.items() if len(users) <= SMALL}
    small = max(fitting, key=lambda each: (fitting[each], each), default=None)
    pool = ranges.of_tenant(tenant).filter(name=RANGE).first()
    if small is None or fitting[small] < FEW or pool is None:
        return True
    wards = templates.add(
        actor,
        tenant,
        name="Ward phones",
        group_id=small,
        numbers=str(pool.uid),
        values=[["user:officeLocation", "London clinic"]],
        leaving=Leaving.TAKE,
    )
    templates.confirm(actor, wards, wards.row_version)
    largest = max(members, key=lambda each: (len(members[each]), each))
    templates.add(actor, tenant, name="Leavers (faulty)", group_id=largest, numbers=TAKE)
    return False


def _waiting(actor: Actor, tenant: Tenant) -> bool:
    """Changes of a customer who wants a day to look at them; a dry run draws their plan."""
    if Edit.objects.filter(tenant=tenant).exists():
        return True
    tenant = tenants.edit_tenant(actor, tenant, {"cycle_delay": A_DAY})
    users = DirectoryUser.objects.filter(tenant=tenant, on_premises=False, account_enabled=True)
    wishes = [Wish(Thing(user.object_id, "user:department"), "Night shift") for user in users[:MOVED]]
    asked = services.ask(actor, tenant, wishes, source=Source.BULK, title="Night shift from January")
    if asked.edit:
        services.draw(actor, tenant)
    return True


_left |= {WITH_TEMPLATES: _templates, WAITS: _waiting}
