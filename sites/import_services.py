"""Taking customers over from an SBC: what a person asks for, and what the worker writes."""

import hashlib
import json
import uuid
from collections.abc import Sequence
from typing import Any

from django.db import IntegrityError, transaction

from audit.services import record
from core.errors import Conflict, Forbidden, InvalidInput, UmpError
from replication import services as queue
from replication.models import Command
from sbc.models import Sbc
from sites import services as sites
from sites.importing import Choice, Examined, Row, host_of
from sites.models import Configuration, Prefix, PrefixState, Site, SiteState, Trunk
from tenants import scope
from tenants import services as customers
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.models import Plan, Service, Tenant

IMPORT = "import_customers"
MOST = 500
"""Choices that one command names; all that are ready need no naming."""
BATCH = 1_000


@transaction.atomic
def request(
    actor: Actor, sbc: Sbc, digest: str, choices: Sequence[Choice] = (), plan: Plan = Plan.ESSENTIALS
) -> Command:
    """Import Customers: what was chosen or, without any choice, all that need no decision.

    `digest` is that of the rules that the person saw. New customers get this plan. Raises Forbidden; Conflict when
    the rules were read anew since; InvalidInput for too many.
    """
    if not actor.may(Ability.ADD_TENANT):
        raise Forbidden(action=Ability.ADD_TENANT.words)
    if not digest or digest != sbc.rules_digest:
        raise Conflict(thing=sbc.name, why="its rules were read anew since you looked")
    if len(choices) > MOST:
        raise InvalidInput(
            field="id", why=f"at most {MOST} at once; all that are ready can be taken together"
        )
    wanted = [[one.proposal.ref, one.customer, one.site] for one in choices]
    params: dict[str, Any] = {"digest": digest, "plan": plan, "choices": wanted}
    which = hashlib.sha256(json.dumps(params).encode()).hexdigest()[:12]
    with scope.every("work on a device is the provider's own"):
        return queue.submit(actor, IMPORT, None, target=f"{sbc.id}/import-{which}", params=params)


def take_over(actor: Actor, sbc: Sbc, one: Examined, plan: Plan) -> tuple[Tenant, bool]:
    """The customer with whatever was missing, and whether he was made; in a transaction, every customer's scope open.

    Raises UmpError: InvalidInput (no licence is left, a name), number_taken when somebody was faster.
    """
    tenant, made = _customer(actor, one, plan)
    with scope.one(tenant.id):
        site = _site(actor, tenant, sbc, one.choice)
        try:
            with transaction.atomic():
                rows = [_prefix(actor, site, sbc, row) for row in one.take]
                Prefix.objects.bulk_create(rows, batch_size=BATCH)
        except IntegrityError as error:
            raise Conflict(thing=site.name, why="somebody was given some of its numbers meanwhile") from error
        record(
            actor,
            "site.taken_over",
            tenant_id=tenant.id,
            object_kind="site",
            object_id=site.uid,
            object_label=site.name,
            changes={"SBC": (None, sbc.name), "prefixes": (None, len(one.take))},
        )
    return tenant, made


def _customer(actor: Actor, one: Examined, plan: Plan) -> tuple[Tenant, bool]:
    if one.tenant_id is not None:
        return Tenant.objects.get(id=one.tenant_id), False
    name = customers.clean_name(one.choice.customer)
    found = Tenant.objects.filter(name__iexact=name, deleted_at=None).first()
    entra: uuid.UUID | None = one.choice.proposal.entra_tenant_id
    if found is not None:  # an earlier choice of the same import has made him
        if entra and found.entra_tenant_id not in {None, entra}:
            raise Conflict(thing=found.name, why=f"{found.name} has another Azure Tenant Id")
        return found, False
    service = Service.OPERATOR_CONNECT if entra else Service.DIRECT_ROUTING
    made = customers.add_tenant(
        actor, name=name, entra_tenant_id=entra, plan=plan, service=service, deployed=True
    )
    return made, True


def _site(actor: Actor, tenant: Tenant, sbc: Sbc, choice: Choice) -> Site:
    """That of this gateway on this SBC, or a new one; somebody else has deployed it, and nothing of it is ours."""
    gateway = host_of(choice)
    found = Site.objects.filter(tenant=tenant, sbc=sbc, gateway=gateway).order_by("id").first()
    if found is not None:
        return found
    site = sites.add(
        actor, tenant, name=choice.site, sbc=sbc, configuration=Configuration.SIP_TRUNK,
        trunk=Trunk.DERIVED, gateway=gateway,
    )  # fmt: skip
    site.sbc_state, site.checked_at = SiteState.DEPLOYED, sbc.rules_read_at
    site.save(update_fields=["sbc_state", "checked_at"])
    return site


def _prefix(actor: Actor, site: Site, sbc: Sbc, row: Row) -> Prefix:
    return Prefix(
        tenant_id=site.tenant_id,
        site=site,
        sbc=sbc,
        plan=row.plan,
        name=row.name,
        prefix=row.prefix,
        tag=row.tag,
        plus=row.rule.plus,
        span=row.rule.span,
        numbers=row.rule.numbers,
        state=PrefixState.PRESENT,
        index=row.index,
        written_name=row.name,
        written_tag=row.tag,
        checked_at=sbc.rules_read_at,
        created_by=actor.label,
    )


def outcome(actor: Actor, sbc: Sbc, one: Examined, plan: Plan) -> tuple[str, str]:
    """Take one over for itself: ("made", "joined" or "skipped", why it was skipped)."""
    if not one.good:
        return "skipped", one.why
    try:
        with transaction.atomic():
            _, made = take_over(actor, sbc, one, plan)
    except UmpError as error:
        return "skipped", error.fields.get("why") or error.message
    return ("made" if made else "joined"), ""
