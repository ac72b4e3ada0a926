"""Templates as people keep them, and a run of one. Each act in one transaction with its audit entry."""

import uuid
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F, Max
from django.db.models.functions import Now

from accounts.taken import once, still_there
from audit.services import Changes, record
from core.errors import Conflict, InvalidInput, UmpError
from directory.models import DirectoryGroup
from provisioning import services as provisioning
from provisioning.aspects import Thing, Value, aspect_of
from provisioning.models import Source
from replication import services as queue
from replication.models import OPEN, Command
from replication.registry import chore
from telephony import ranges
from tenants import offers, scope
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant
from user_templates import work
from user_templates.models import TAKE, Given, UserTemplate
from user_templates.work import Work

KIND = "apply_templates"
MOST = 100
"""Templates of one customer."""
A_SWEEP = 50
"""Customers whose templates are looked at in one round of the sweeper."""
RULES = ("group_id", "except_users", "except_groups", "numbers", "replace", "values", "leaving")
NOBODY = uuid.UUID(int=0)
TAKEN = "another template has this name"


@transaction.atomic
def add(actor: Actor, tenant: Tenant, **given: Any) -> UserTemplate:
    """At the end of the order, and off. Raises InvalidInput naming the field; not_offered."""
    offers.require(tenant, "templates")
    rows = UserTemplate.objects.filter(tenant=tenant)
    if rows.count() >= MOST:
        raise InvalidInput(field="name", why=f"the customer has {MOST} templates already")
    last = rows.aggregate(last=Max("rank"))["last"] or 0
    template = UserTemplate(tenant=tenant, rank=last + 1, created_by=actor.label)
    _fill(template, given)
    with once("name", TAKEN):
        template.save()
    _note(actor, "template.added", template)
    return template


@transaction.atomic
def change(actor: Actor, template: UserTemplate, *, version: int | None = None, **given: Any) -> UserTemplate:
    """Another rule stops it until a person has seen what it would do now; a name does not.

    Raises InvalidInput naming the field; Conflict (conflict_version) when somebody was faster; not_offered.
    """
    offers.require(template.tenant, "templates")
    row = still_there(UserTemplate.objects.filter(id=template.id), "template")
    if version is not None and row.row_version != version:
        raise Conflict("conflict_version", thing=row.name)
    before = {name: getattr(row, name) for name in ("name", "lacks", *RULES)}
    if given.keys() & set(RULES):  # whoever saves them has seen what a copy lacked
        row.lacks = []
    _fill(row, given)
    changes = {
        name: (str(old), str(getattr(row, name))) for name, old in before.items() if getattr(row, name) != old
    }
    if changes.keys() & set(RULES):
        row.on, row.confirmed_by, row.changed_at, row.told = False, "", Now(), {}
    row.row_version += 1
    with once("name", TAKEN):
        row.save()
    _note(actor, "template.changed", row, changes)
    return UserTemplate.objects.get(id=row.id)


def _fill(template: UserTemplate, given: dict[str, Any]) -> None:
    for name, value in given.items():
        setattr(template, name, value)
    tenant = template.tenant
    template.name = " ".join(template.name.split())
    if not template.name:
        raise InvalidInput(field="name", why="a template needs a name")
    same = UserTemplate.objects.filter(tenant=tenant, name__iexact=template.name).exclude(id=template.id)
    if same.exists():
        raise InvalidInput(field="name", why=TAKEN)
    group = DirectoryGroup.objects.filter(tenant=tenant, object_id=template.group_id).first()
    if group is not None:
        template.group_name = str(group)
    elif not template.lacks:
        raise InvalidInput(field="group", why="the copy of the directory has no such group")
    if template.numbers not in {"", TAKE}:
        ranges.get(tenant, uuid.UUID(template.numbers))
    template.values = [[aspect, _value(aspect, value)] for aspect, value in template.values]
    if len({aspect for aspect, _ in template.values}) < len(template.values):
        raise InvalidInput(field="values", why="the same thing is given twice")
    if not template.values and not template.numbers and not template.lacks:
        raise InvalidInput(field="numbers", why="say what the members get")


def _value(aspect: str, value: Value) -> Value:
    """Policies, attributes and memberships; a number comes from a range."""
    family = aspect_of(aspect)
    if family.family not in {"policy", "user", "member"}:
        raise InvalidInput(field="values", why=f"a template does not give {family.many}")
    return family.clean(Thing(NOBODY, aspect), value)


@transaction.atomic
def confirm(actor: Actor, template: UserTemplate, version: int) -> Command:
    """A person has seen what it would do as it stands: it is on from now, and he answers for what it asks for.

    Raises Conflict (conflict_version); UmpError (template_incomplete).
    """
    offers.require(template.tenant, "templates")
    if template.lacks:
        raise UmpError.of("template_incomplete", thing=template.name, why="; ".join(template.lacks))
    begun = UserTemplate.objects.filter(id=template.id, row_version=version).update(
        on=True,
        confirmed_by=actor.label,
        confirmed_kind=actor.kind,
        confirmed_id=actor.id,
        row_version=F("row_version") + 1,
    )
    if not begun:
        raise Conflict("conflict_version", thing=template.name)
    _note(actor, "template.started", template)
    return queue.submit(actor, KIND, template.tenant)


@transaction.atomic
def stop(actor: Actor, template: UserTemplate) -> None:
    """It gives nothing any more; what it gave stays."""
    UserTemplate.objects.filter(id=template.id).update(on=False, row_version=F("row_version") + 1)
    _note(actor, "template.stopped", template)


@transaction.atomic
def remove(actor: Actor, template: UserTemplate) -> None:
    """What it gave stays."""
    _note(actor, "template.removed", template)
    template.delete()


@transaction.atomic
def move(actor: Actor, template: UserTemplate, *, to: int) -> None:
    """To this place, from 1 on. What was seen of those that change places is out of date: a user may be another's."""
    rows = list(
        UserTemplate.objects.select_for_update(no_key=True)
        .filter(tenant=template.tenant)
        .order_by("rank", "id")
    )
    at = next(index for index, row in enumerate(rows) if row.id == template.id)
    rows.insert(max(to, 1) - 1, rows.pop(at))
    moved = [(place, row) for place, row in enumerate(rows, start=1) if row.rank != place]
    for place, row in moved:
        row.rank, row.row_version = place, row.row_version + 1
    if not moved:
        return
    UserTemplate.objects.bulk_update([row for _, row in moved], ["rank", "row_version"])
    _note(actor, "template.moved", template, {"order": (at + 1, rows.index(template) + 1)})


# --- A run ----------------------------------------------------------------------------------------------------
def carry_out(found: Work, *, begun: bool) -> bool:
    """Ask for what a round found that its members lack, and leavers have too much.

    In a transaction. False, and nothing is asked for, where the template is not any more what the round looked at;
    `begun` says that it had rounds before. Raises what `provisioning.ask` does.
    """
    template = found.template
    tenant = template.tenant
    same = UserTemplate.objects.filter(id=template.id, on=True, row_version=template.row_version)
    if not same.exists():
        return False
    wishes: Sequence[Any] = [*found.wishes, *found.leavers]
    if wishes:
        title = f"Template {template.name}"
        asked = provisioning.ask(_asker(template), tenant, wishes, source=Source.TEMPLATE, title=title)
        _keep(template, [each.wish for each in asked.kept])
    told = found.figures
    if begun:  # the rounds of a run are told as one; whom it covers each of them knows
        told |= {name: told[name] + template.told.get(name, 0) for name in told if name != "covered"}
    same.update(ran_at=Now(), told=told)
    return True


def _asker(template: UserTemplate) -> Actor:
    """Whoever started it, so that he is not the second person for what takes much away."""
    kind, who = template.confirmed_kind or SYSTEM.kind, template.confirmed_id or SYSTEM.id
    return Actor(
        kind=kind, id=who, label=f"Template {template.name}, started by {template.confirmed_by}"[:254]
    )


def _keep(template: UserTemplate, wishes: Sequence[Any]) -> None:
    rows = [
        Given(
            tenant_id=template.tenant_id,
            template=template,
            subject_id=wish.thing.subject_id,
            aspect=wish.thing.aspect,
            value=wish.wanted,
        )
        for wish in wishes
    ]
    Given.objects.bulk_create(
        rows,
        batch_size=work.BATCH,
        update_conflicts=True,
        unique_fields=["tenant", "subject_id", "aspect"],
        update_fields=["template", "value", "given_at"],
    )


@chore
def schedule() -> int:
    """After a replication the templates are looked at again; how many customers that were."""
    with scope.every("the sweeper looks whose templates are due"):
        due = UserTemplate.objects.filter(on=True, tenant__deleted_at=None, tenant__paused_at=None)
        late = due.filter(tenant__last_replicated_at__gt=F("ran_at")) | due.filter(
            ran_at=None, tenant__last_replicated_at__isnull=False
        )
        busy = Command.objects.filter(kind=KIND, state__in=OPEN).values("tenant_id")
        ids = late.exclude(tenant_id__in=busy).order_by().values_list("tenant_id", flat=True).distinct()
        customers = list(Tenant.objects.filter(id__in=list(ids[:A_SWEEP])))
        for tenant in customers:
            queue.submit(SYSTEM, KIND, tenant)
    return len(customers)


def _note(actor: Actor, action: str, template: UserTemplate, changes: Changes | None = None) -> None:
    record(
        actor,
        action,
        tenant_id=template.tenant_id,
        object_kind="template",
        object_id=template.uid,
        object_label=template.name,
        changes=changes,
    )
