"""/api/tenantui/api: calls in the shapes that OVOC-style callers know (facts/audiocodes.md 3.8, docs/decisions/0016).

The doors, tokens, addresses, services and the trail are those of /api/v1; only names and shapes differ.
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from django.db import transaction
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import ovoc_shapes as shapes
from api.idempotency import idempotent
from api.permissions import every, provider, tenant
from api.views import ApiView
from audiocodes import dialplan
from audiocodes.dialplan import GrammarError
from core.errors import InvalidInput, NotFound
from replication import selectors as queue
from replication.models import OPEN, Command
from sbc.models import Sbc
from sites import numbers, services, template_selectors
from sites.models import Configuration, Prefix, PrefixState, Purpose, ScriptTemplate, Site, Trunk
from sites.number_rules import Wish
from tenants import scope, selectors
from tenants import services as customers
from tenants.abilities import Ability
from tenants.access import Actor, provider_for
from tenants.models import Plan, Tenant

MOST = 1_000
"""Customers of one answer; `after` goes on behind the last of them."""
MOST_RULES = 10_000
MOST_MESSAGES = 100
FLAGS = {"": False, "false": False, "true": True}


class OvocView(ApiView):
    """Not in our own contract's document."""

    schema: Any = None

    @property
    def whole(self) -> bool:
        """Whether the caller is told about the provider's devices too."""
        return self.actor.is_provider

    def flag(self, name: str) -> bool:
        """Of the query. Raises InvalidInput."""
        given = self.request.query_params.get(name, "").lower()
        if given not in FLAGS:
            raise InvalidInput(field=name, why="it is neither true nor false")
        return FLAGS[given]


# --- Customers ----------------------------------------------------------------------------------------------------
class Customers(OvocView):
    doors = {"GET": every(Ability.VIEW_TENANT)}

    def get(self, request: Request) -> Response:
        """All customers of the caller, by id; at most MOST, then those `after` the last one's id."""
        found = selectors.tenants().order_by("id")
        if after := request.query_params.get("after"):
            found = found.filter(id__gt=_uuid(after, "after"))
        rows = list(found[:MOST])
        if not self.flag("allDetails"):
            return Response([shapes.customer(row, None, None, whole=self.whole) for row in rows])
        ids = [row.id for row in rows]
        connections, sites = selectors.connections_of(ids), _sites_of(ids)
        return Response(
            [shapes.customer(row, connections.get(row.id), sites[row.id], whole=self.whole) for row in rows]
        )


class Customer(OvocView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}

    def get(self, request: Request, uid: str) -> Response:
        """One customer; never a secret."""
        one = self.tenant
        if not self.flag("allDetails"):
            return Response(shapes.customer(one, None, None, whole=self.whole))
        connection = selectors.connections_of([one.id]).get(one.id)
        return Response(shapes.customer(one, connection, _sites_of([one.id])[one.id], whole=self.whole))


class ShortCustomer(OvocView):
    doors = {"GET": tenant(Ability.VIEW_TENANT)}

    def get(self, request: Request, uid: str) -> Response:
        return Response(
            shapes.short_customer(self.tenant, _sites_of([self.tenant.id])[self.tenant.id], whole=self.whole)
        )


class NewCustomer(OvocView):
    doors = {"POST": provider(Ability.ADD_TENANT)}

    @idempotent
    def post(self, request: Request) -> Response:
        """A Hosted Essentials customer, with its first site if one is given; the site is deployed."""
        given = self.body(shapes.CustomerIn)
        where = given.get("siteLocation")
        if where is not None:
            _may_build(self.actor)
        with transaction.atomic():
            made = customers.add_tenant(
                self.actor,
                name=given.get("fullName") or given["shortName"],
                entra_tenant_id=given.get("msTenantId"),
                plan=Plan.ESSENTIALS,
            )
            with scope.one(made.id):
                built = None
                if where is not None:
                    values = given.get("scriptParameters", {})
                    built = _build(self.actor, made, given["shortName"], where, values)
                sites = _sites_of([made.id])[made.id]
        body = {**shapes.short_customer(made, sites, whole=self.whole), "taskId": built[1] if built else None}
        url = reverse("api:ovoc-customer-short", kwargs={"uid": made.id}, request=request)
        return Response(body, status=201, headers={"Location": url})


# --- Sites --------------------------------------------------------------------------------------------------------
class NewSite(OvocView):
    doors = {"POST": tenant(Ability.MANAGE_SBC)}

    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Another site of the customer; with a script it is deployed."""
        given = self.body(shapes.SiteIn)
        with transaction.atomic():
            site, task = _build(
                self.actor, self.tenant, given["siteLocationName"], given, given.get("scriptParameters", {})
            )
        url = reverse("api:ovoc-site", kwargs={"site_id": site.uid}, request=request)
        return Response(
            {**shapes.location(site, whole=self.whole), "taskId": task}, status=201, headers={"Location": url}
        )


class OneSite(OvocView):
    doors = {"GET": every(Ability.VIEW_TENANT)}

    def get(self, request: Request, site_id: uuid.UUID) -> Response:
        found = Site.objects.filter(uid=site_id, tenant__deleted_at=None).select_related("template", "tenant")
        site = found.first()
        if site is None:
            raise NotFound(thing="site")
        return Response(shapes.site_location(site, _open_tasks(site), whole=self.whole))


class DialPlan(OvocView):
    """A site's rules in one dial plan of its SBC."""

    doors = {"GET": tenant(Ability.VIEW_TENANT), "PATCH": tenant(Ability.EDIT_TENANT)}

    def get(self, request: Request, uid: str, site_id: uuid.UUID, plan: str) -> Response:
        """Those that were on the SBC when it was read last, and are this site's."""
        site = _site(self.tenant, site_id)
        _named(plan)
        rows = Prefix.objects.filter(site=site, plan=plan, state=PrefixState.PRESENT).order_by("prefix")
        told = [
            {"name": row.written_name or row.name, "prefix": row.prefix, "tag": row.written_tag or row.tag}
            for row in rows[:MOST_RULES]
        ]
        return Response({"dialPlanId": plan, "ruleDTO": told})

    def patch(self, request: Request, uid: str, site_id: uuid.UUID, plan: str) -> Response:
        """Add and remove rules: all of them or none. The task writes them on the SBC and reads them back."""
        given = self.body(shapes.DialPlanIn)
        if given.get("dialPlanId", plan) != plan:
            raise InvalidInput(field="dialPlanId", why="the address names another dial plan")
        site = _site(self.tenant, site_id)
        _named(plan)
        wishes = [
            Wish(rule["prefix"], plan, rule.get("name", ""), rule.get("tag", ""))
            for rule in given.get("add", ())
        ]
        command: Command | None = None
        with transaction.atomic():
            gone = [_rule_of(site, plan, rule["prefix"]) for rule in given.get("remove", ())]
            if gone:
                command = numbers.remove(self.actor, site, gone)
            if wishes:
                command = numbers.add(self.actor, site, wishes).command or command
        if command is None:
            return Response({"taskId": None})
        url = reverse("api:ovoc-task", kwargs={"number": command.id}, request=request)
        return Response({"taskId": command.id}, status=202, headers={"Location": url})


# --- Scripts and tasks ----------------------------------------------------------------------------------------------
class Scripts(OvocView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER)}

    def get(self, request: Request) -> Response:
        """`scriptType`: Any, SBC or M365. The portal needs no scripts for Microsoft 365, so there are none."""
        kind = request.query_params.get("scriptType", "Any")
        if kind not in {"Any", "SBC", "M365"}:
            raise InvalidInput(field="scriptType", why="it is one of Any, SBC, M365")
        found = [] if kind == "M365" else list(template_selectors.templates())
        versions = template_selectors.current(found) if self.flag("allDetails") else {}
        return Response([shapes.script(each, versions.get(each.id)) for each in found])


class Task(OvocView):
    doors = {"GET": every(Ability.VIEW_QUEUE)}

    def get(self, request: Request, number: int) -> Response:
        """A command by its number; `status` is Queued, Executing, Suspended, Succeeded, Failed or Cancelled."""
        command = queue.commands().filter(id=number).first()
        if command is None:
            raise NotFound(thing="task")
        return Response(shapes.task(command, list(queue.steps(command)[:MOST_MESSAGES])))


# --- Parts ----------------------------------------------------------------------------------------------------------
def _uuid(text: str, field: str) -> uuid.UUID:
    try:
        return uuid.UUID(text)
    except ValueError:
        raise InvalidInput(field=field, why="it is no UUID") from None


def _sites_of(tenant_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Site]]:
    found: dict[uuid.UUID, list[Site]] = defaultdict(list)
    for site in Site.objects.filter(tenant_id__in=list(tenant_ids)).order_by("created_at", "id"):
        found[site.tenant_id].append(site)
    return found


def _site(of: Tenant, uid: uuid.UUID) -> Site:
    found: Site | None = Site.objects.filter(tenant=of, uid=uid).select_related("sbc", "tenant").first()
    if found is None:
        raise NotFound(thing="site")
    return found


def _named(plan: str) -> None:
    """No dial plan has such a name, and PostgreSQL takes no NUL. Raises NotFound."""
    if not plan.isprintable():
        raise NotFound(thing="dial plan")


def _may_build(actor: Actor) -> None:
    """A site is work on a device. Raises Forbidden."""
    provider_for(actor, needs=Ability.MANAGE_SBC)


def _build(
    actor: Actor, of: Tenant, name: str, where: dict[str, Any], parameters: dict[str, str]
) -> tuple[Site, int | None]:
    """A site and, with a script, the number of the command that deploys it; in the customer's scope."""
    sbc = Sbc.objects.filter(id=where["sbcId"]).first()
    if sbc is None:
        raise InvalidInput(field="sbcId", why="there is no such SBC")
    template = _template(where)
    gateway, values = shapes.values_of(parameters)
    hidden = {each.name for each in services.variables_of(template) if each.is_secret}
    site = services.add(
        actor,
        of,
        name=name,
        sbc=sbc,
        configuration=Configuration.SIP_TRUNK,
        trunk=Trunk.DERIVED,
        gateway=gateway,
        template=template,
        values={key: value for key, value in values.items() if key not in hidden},
        secrets_={key: value for key, value in values.items() if key in hidden},
    )
    return site, services.deploy(actor, site).id if template else None


def _template(where: dict[str, Any]) -> ScriptTemplate | None:
    wanted, cleanup = where.get("sbcOnboardingScript"), where.get("sbcCleanupScript")
    if wanted is None and cleanup is None:
        return None
    found = ScriptTemplate.objects.filter(id=wanted or 0, purpose=Purpose.ONBOARDING).first()
    if found is None:
        raise InvalidInput(field="sbcOnboardingScript", why="there is no such script")
    if cleanup is not None and found.cleanup_id != cleanup:
        raise InvalidInput(field="sbcCleanupScript", why="it is not the clean-up of the onboarding script")
    return found


def _rule_of(site: Site, plan: str, text: str) -> Prefix:
    """Raises InvalidInput (remove)."""
    try:
        prefix = str(dialplan.parse(text, needs_plus=False))
    except GrammarError as error:
        raise InvalidInput(field="remove", why=str(error)) from None
    found: Prefix | None = Prefix.objects.filter(site=site, plan=plan, prefix=prefix).first()
    if found is None:
        raise InvalidInput(field="remove", why=f"{prefix} is no rule of this site in {plan}")
    return found


def _open_tasks(site: Site) -> list[int]:
    with scope.every("commands on a device are the provider's own"):
        found = Command.objects.filter(tenant=None, target=services.target_of(site), state__in=OPEN)
        return list(found.order_by("id").values_list("id", flat=True)[:MOST_MESSAGES])
