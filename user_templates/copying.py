"""The same template at other customers. Only names travel: an id of one customer means nothing to another.

A group, a range or a policy of the same name is the other customer's own; a name that no group, or more than one, has
there is none. What is missing is kept with the copy, which is off, and starts only once somebody has mended it.
"""

import dataclasses
import uuid
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from django.db import transaction
from django.db.models.functions import Lower

from core.errors import InvalidInput, NotFound, UmpError
from directory.browse import as_uuid
from directory.models import DirectoryGroup
from provisioning.aspects import Value, policy_title
from telephony.models import NumberRange, TeamsPolicy
from tenants import offers, scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Tenant
from tenants.scope import Scope
from tenants.selectors import tenants
from user_templates import services
from user_templates.models import TAKE, UserTemplate
from user_templates.services import NOBODY

MOST = 100
"""Customers of one act."""
NAMELESS = "without a name"


@dataclasses.dataclass(frozen=True)
class Rule:
    """A template without any id: what is left of it outside of its customer."""

    name: str
    group: str
    except_groups: tuple[str, ...]
    excepted: int
    """Users who are excepted; who they are is nobody else's business."""
    range: str
    takes_numbers: bool
    replace: bool
    leaving: str
    values: tuple[tuple[str, Value], ...]
    joins: tuple[str, ...]
    """Groups that the members are put into."""


@dataclasses.dataclass(frozen=True)
class Fit:
    """What a rule becomes at a customer, and what it lacks there; `refused` says why there is no copy."""

    tenant: Tenant
    given: dict[str, Any] = dataclasses.field(default_factory=dict)
    lacks: tuple[str, ...] = ()
    refused: str = ""
    made: UserTemplate | None = None


def rule_of(template: UserTemplate) -> Rule:
    """In the scope of its customer."""
    members = [aspect.partition(":")[2] for aspect, value in template.values if aspect.startswith("member:")]
    wanted = [template.group_id, *template.except_groups, *map(uuid.UUID, members)]
    rows = DirectoryGroup.objects.filter(tenant=template.tenant_id, object_id__in=wanted)
    names = {row.object_id: row.display_name for row in rows}
    row = None
    if template.numbers not in {"", TAKE}:
        row = NumberRange.objects.filter(tenant=template.tenant_id, uid=template.numbers).first()
    others = [(aspect, value) for aspect, value in template.values if not aspect.startswith("member:")]
    return Rule(
        name=template.name,
        group=names.get(template.group_id) or _plain(template.group_name),
        except_groups=tuple(names.get(each, "") for each in template.except_groups),
        excepted=len(template.except_users),
        range=row.name if row else "" if template.numbers in {"", TAKE} else NAMELESS,
        takes_numbers=template.numbers == TAKE,
        replace=template.replace,
        leaving=template.leaving,
        values=tuple((aspect, _by_name(aspect, value)) for aspect, value in others),
        joins=tuple(names.get(uuid.UUID(each), "") for each in members),
    )


def _plain(name: str) -> str:
    """A name; an id that stood for one is none."""
    return "" if as_uuid(name) else name


def _by_name(aspect: str, value: Value) -> Value:
    """A policy's id is its customer's."""
    return {"name": value.get("name", "")} if aspect.startswith("policy:") and value else value


# --- At another customer --------------------------------------------------------------------------------------
def fit(tenant: Tenant, rule: Rule) -> Fit:
    """In the scope of the other customer; nothing is kept."""
    if refused := _refused(tenant, rule):
        return Fit(tenant, refused=refused)
    groups = _groups(tenant, {rule.group, *rule.except_groups, *rule.joins})
    pool = NumberRange.objects.filter(tenant=tenant, name=rule.range).first() if rule.range else None
    joined = sorted({groups[name] for name in rule.joins if name in groups})
    given = {
        "name": rule.name,
        "group_id": groups.get(rule.group, NOBODY),
        "group_name": rule.group or NAMELESS,
        "except_users": [],
        "except_groups": sorted({groups[name] for name in rule.except_groups if name in groups}),
        "numbers": TAKE if rule.takes_numbers else str(pool.uid) if pool else "",
        "replace": rule.replace,
        "leaving": rule.leaving,
        "values": [*rule.values, *((f"member:{group}", True) for group in joined)],
    }
    lacks = [
        *_missing_groups(rule, groups),
        *([f"Number range {rule.range}: there is none of this name"] if rule.range and not pool else []),
        *_unknown_policies(tenant, rule),
    ]
    return Fit(tenant, given, tuple(text[:500] for text in lacks))


def _refused(tenant: Tenant, rule: Rule) -> str:
    """Why there is no copy at all; empty where there is one."""
    may, why = offers.offered(tenant, "templates")
    rows = UserTemplate.objects.filter(tenant=tenant)
    if may and rows.filter(name__iexact=rule.name).exists():
        return "It has a template of this name."
    return why


def _missing_groups(rule: Rule, groups: Collection[str]) -> Iterator[str]:
    roles = [(rule.group, "whose members it covers")]
    roles += [(name, "whose members are left out") for name in rule.except_groups]
    roles += [(name, "which the members are put into") for name in rule.joins]
    for name, what in roles:
        if name not in groups:
            yield f"Group {name or NAMELESS}, {what}: none, or more than one, is called so"
    if rule.excepted:
        yield f"Users who are left out: {rule.excepted:,} were named at the other customer"


def _groups(tenant: Tenant, names: Iterable[str]) -> dict[str, uuid.UUID]:
    """By name, those of which there is just one."""
    wanted = {name.lower(): name for name in names if name}
    rows = DirectoryGroup.objects.filter(tenant=tenant).annotate(low=Lower("display_name"))
    found: dict[str, list[uuid.UUID]] = {}
    for low, group in rows.filter(low__in=list(wanted)).values_list("low", "object_id"):
        found.setdefault(low, []).append(group)
    return {name: found[low][0] for low, name in wanted.items() if len(found.get(low, ())) == 1}


def _unknown_policies(tenant: Tenant, rule: Rule) -> list[str]:
    """Policies that nobody has there; Microsoft may know them all the same."""
    wanted = {
        (aspect.partition(":")[2], value["name"])
        for aspect, value in rule.values
        if aspect.startswith("policy:") and value
    }
    kinds = {kind for kind, _ in wanted}
    rows = TeamsPolicy.objects.filter(tenant=tenant, kind__in=kinds).values_list("kind", "name")
    known = {(kind, name.casefold()) for kind, name in rows}
    return [
        f"{policy_title(kind)} {name}: nobody has it yet, so it may not exist"
        for kind, name in sorted(wanted)
        if (kind, name.casefold()) not in known
    ]


# --- Many customers -------------------------------------------------------------------------------------------
@contextmanager
def reach(actor: Actor) -> Iterator[None]:
    """The scope of every customer whom a template may be copied to."""
    wide: AbstractContextManager[Scope] = scope.every("somebody of the provider copies a template")
    if not actor.may(Ability.EDIT_TENANT):
        wide = scope.some([one for one in actor.tenant_roles if actor.may(Ability.EDIT_TENANT, one)])
    with wide:
        yield


def copy(
    actor: Actor, template: UserTemplate, ids: Sequence[uuid.UUID], *, dry_run: bool = False
) -> list[Fit]:
    """A copy for each of these customers, off; a dry run says what it would be. In the scope of the template's own.

    What stands against one is told, and is nobody else's. Raises NotFound for a customer whom the actor may not
    change, InvalidInput (customers) for too many and for the template's own.
    """
    if len(ids) > MOST:
        raise InvalidInput(field="customers", why=f"there are {len(ids):,}; {MOST} fit into one act")
    if template.tenant_id in ids:
        raise InvalidInput(field="customers", why="the template's own customer is among them")
    rule = rule_of(template)
    with reach(actor):
        found = {row.id: row for row in tenants().filter(id__in=ids)}
    if set(ids) - found.keys():
        raise NotFound(thing="customer")
    return [_copied(actor, rule, found[each], dry_run=dry_run) for each in dict.fromkeys(ids)]


def _copied(actor: Actor, rule: Rule, tenant: Tenant, *, dry_run: bool) -> Fit:
    try:
        with scope.one(tenant.id), transaction.atomic():
            wanted = fit(tenant, rule)
            if dry_run or wanted.refused:
                return wanted
            made = services.add(actor, tenant, lacks=list(wanted.lacks), **wanted.given)
            return dataclasses.replace(wanted, made=made)
    except UmpError as error:
        return Fit(tenant, refused=error.message)
