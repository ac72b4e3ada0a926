"""What the pages of the wizard share: where one is, and the frame of a dialog."""

from typing import Any

from core.errors import Conflict
from onboarding import selectors, standing
from onboarding.models import Onboarding, Step
from tenants.models import Tenant

STEPS = list(Step)


def open_one(tenant: Tenant) -> Onboarding:
    """Raises NotFound, or Conflict for one that has ended."""
    found = selectors.the_newest_of(tenant)
    if not found.is_open:
        raise Conflict(thing=f"the onboarding of {tenant.name}", why="it has ended")
    return found


def reached(onboarding: Onboarding) -> Step:
    return Step.ROUTE if standing.of(onboarding).continues else Step.CONNECT


def wizard(onboarding: Onboarding, at: Step) -> dict[str, Any]:
    """What surrounds each step of a customer."""
    tenant = onboarding.tenant
    return {
        "tenant": tenant,
        "onboarding": onboarding,
        "steps": steps(at, reached(onboarding)),
        "base": f"/tenants/{tenant.id}/onboarding/",
    }


def steps(at: Step, reached: Step) -> list[dict[str, str]]:
    """For {% wizard %}."""
    return [
        {
            "title": step.label,
            "state": "current"
            if step == at
            else "done"
            if STEPS.index(step) < STEPS.index(reached)
            else "waiting",
        }
        for step in STEPS
    ]


def dialog(tenant: Tenant, path: str, title: str, submit: str) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "title": title,
        "submit": submit,
        "form_action": f"/tenants/{tenant.id}/onboarding/{path}",
        "cancel_url": f"/tenants/{tenant.id}/onboarding/",
    }


def address(tenant: Tenant, step: Step) -> str:
    return f"/tenants/{tenant.id}/onboarding/{step.value}/"
