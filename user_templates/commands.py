"""What the worker may do about templates: ask for what members lack."""

import contextlib
import uuid
from collections.abc import Iterator

from django.db import transaction

from core.errors import LeaseLost, UmpError
from replication import states
from replication.context import Again, Context, Done, Outcome
from replication.registry import Kind, register
from tenants import offers, scope
from tenants.abilities import Ability
from tenants.models import Tenant
from user_templates import services, work
from user_templates.models import UserTemplate


@contextlib.contextmanager
def _in_turn(ctx: Context) -> Iterator[None]:
    """The command's transaction. Locked in the order of everybody who starts templates, asks for changes or cancels
    this: the templates, the customer, its lanes, and last the command.
    """
    with scope.one(ctx.customer), transaction.atomic():
        templates = UserTemplate.objects.select_for_update(no_key=True).filter(tenant_id=ctx.customer)
        list(templates.order_by("rank", "id"))
        Tenant.objects.select_for_update(no_key=True).get(id=ctx.customer)
        states.lock_lanes_of_connection(ctx.customer)
        with ctx.transaction():
            yield


@register
class ApplyTemplates(Kind):
    """Each template that is on, in its order; nothing is written at Microsoft here, but asked for (Apply changes)."""

    name = services.KIND
    title = "Apply templates"
    ability = Ability.EDIT_USERS
    reconcile = (
        "Asks in the portal only. What a template asked for is kept in the same transaction as the request, so a run "
        "that was cut off asks for the rest."
    )

    def run(self, ctx: Context) -> Outcome:
        """One round of one template a slice. What there is to ask for is worked out first, while nobody waits."""
        with scope.one(ctx.customer):
            tenant: Tenant = Tenant.objects.get(id=ctx.customer)
            may, why = offers.offered(tenant, "templates")
            done: list[int] = ctx.state.get("done", [])
            left = [each for each in work.in_order(tenant) if each.id not in done]
        if not may:
            with _in_turn(ctx):
                UserTemplate.objects.filter(tenant=tenant).update(on=False)
            return Done(f"Templates are off. {why}", outcome="partial")
        if not left:
            asked = int(ctx.state.get("asked", 0))
            return Done(
                f"{asked:,} changes asked for." if asked else "Everybody has what the templates give."
            )
        try:
            self._round(ctx, left[0], done)
        except UmpError as error:  # such as a range that is gone: this one stops, the others go on
            if isinstance(error, LeaseLost):
                raise
            with _in_turn(ctx):
                UserTemplate.objects.filter(id=left[0].id).update(on=False, told={"error": error.message})
                ctx.checkpoint(done=[*done, left[0].id])
        return Again()

    @staticmethod
    def _round(ctx: Context, template: UserTemplate, done: list[int]) -> None:
        """Raises as `services.carry_out`, and NotFound for a range that is gone."""
        place = ctx.state.get("place") or {}
        after = (place["name"], uuid.UUID(place["user"])) if place.get("template") == template.id else None
        with scope.one(ctx.customer):
            found = work.of_template(template.tenant, template, after)
        with _in_turn(ctx):
            if not services.carry_out(found, begun=after is not None):
                return  # somebody has changed or stopped it meanwhile: it is looked at again, or no more
            asked = int(ctx.state.get("asked", 0)) + len(found.wishes) + len(found.leavers)
            if found.last is None:
                ctx.checkpoint(asked=asked, done=[*done, template.id])
            else:  # of those who are refused or left out nothing is kept, so the place says who had his turn
                name, user = found.last
                ctx.checkpoint(asked=asked, place={"template": template.id, "name": name, "user": str(user)})
