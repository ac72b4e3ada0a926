"""Changes, plans and lines as rows, for pages: without a worker and without Microsoft."""

import uuid
from typing import Any

from django.utils import timezone

from audiocodes import dialplan
from provisioning.models import Change, Edit, Line, Plan
from sbc.models import Sbc
from sites.models import Prefix, Site
from tenants import scope
from tenants.models import Tenant

WHO = {"actor_kind": "user", "actor_id": "7", "actor_label": "Adam"}


def add_plan(tenant: Tenant, **about: Any) -> Plan:
    with scope.one(tenant.id):
        return Plan.objects.create(
            tenant=tenant, **(WHO | {"state": "applied", "figures": {"give": 1}} | about)
        )


def add_line(
    plan: Plan, subject_id: uuid.UUID, name: str = "Ann Adler", aspect: str = "user:department", **about: Any
) -> Line:
    """Written a moment ago, with the change and the edit that asked for it."""
    before, after = about.pop("before", None), about.pop("after", "Sales")
    with scope.one(plan.tenant_id):
        change = add_change(
            plan.tenant_id, subject_id, name, aspect, before=before, wanted=after, plan=plan,
            state=about.pop("change_state", "applied"),
        )  # fmt: skip
        return Line.objects.create(
            tenant_id=plan.tenant_id, plan=plan, change=change, place=1, subject_id=subject_id, subject_name=name,
            aspect=aspect, before=before, after=after, why=change.edit.title,
            **{
                "where": "Microsoft Graph",
                "act": "give",
                "state": "done",
                "request_id": "req-1",
                "sent_at": timezone.now(),
                "done_at": timezone.now(),
                **about,
            },
        )  # fmt: skip


def add_change(
    tenant_id: uuid.UUID, subject_id: uuid.UUID, name: str, aspect: str = "user:department", **about: Any
) -> Change:
    with scope.one(tenant_id):
        edit = Edit.objects.create(tenant_id=tenant_id, source="edit", title=f"Department of {name}", **WHO)
        return Change.objects.create(
            tenant_id=tenant_id, edit=edit, subject_id=subject_id, subject_name=name, aspect=aspect,
            **{"wanted": "Sales", **about},
        )  # fmt: skip


def add_site(tenant: Tenant, name: str = "Zurich") -> Site:
    """Deployed on an SBC that nobody has read the rules of."""
    sbc = Sbc.objects.create(name=f"sbc of {name}", address="192.0.2.1", user="ump", created_by="x")
    with scope.one(tenant.id):
        return Site.objects.create(
            tenant=tenant, sbc=sbc, name=name, gateway="contoso.example", configuration="SipTrunk",
            sbc_state="deployed", created_by="x",
        )  # fmt: skip


def add_rule(site: Site, prefix: str) -> None:
    """As it was read back from the device."""
    rule = dialplan.parse(prefix)
    with scope.one(site.tenant_id):
        Prefix.objects.create(
            tenant_id=site.tenant_id, site=site, sbc=site.sbc, plan="CustDialPlan", name=site.name, prefix=prefix,
            tag=site.gateway, plus=rule.plus, span=rule.span, numbers=rule.numbers, state="present",
        )  # fmt: skip
