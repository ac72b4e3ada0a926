"""The second way: a code that the administrator enters at Microsoft, on whatever device he likes.

Phishers like such codes too: one is made only after a click in a visit, is shown in that visit only, names the
customer, and is looked after for ten minutes (facts/security.md 3).
"""

import datetime as dt
import secrets as chance
import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from authstatus import delegated
from core.errors import Remedy, UmpError
from invitations import services, visits, ways
from invitations.models import Visit, Way
from invitations.signing_in import accept, check_pace, note_failure
from m365.clouds import browser_address
from m365.identity_device import SLOWER
from replication import services as queue
from replication.context import Again, Context, Done, Outcome
from replication.models import LaneName
from replication.registry import Kind, register
from tenants import lines, provider_app, scope, secrets
from tenants.abilities import Ability
from tenants.models import AppOwner, Connection, ProviderApp, SecretKind, SignInFlow

DEVICE = "device_code"
PATIENCE = dt.timedelta(minutes=10)
WAITING = frozenset({"device_pending", "device_too_fast"})


@transaction.atomic
def begin(visit: Visit, cookie: str, *, address: str | None = None) -> None:
    """Have a code made. Raises as `visits.locked` and `ways.check`; rate_limited after too many."""
    invitation = visits.note_start(visit, Way.DEVICE)
    ways.check(invitation, Way.DEVICE)
    actor = visits.actor_of(invitation, address)
    check_pace(visit.tenant, actor)
    flow = delegated.flow_for(visit.tenant, anywhere=True)
    flow.state_hash = services.hash_of(chance.token_urlsafe(32))  # nobody knows it: no redirect fits
    flow.browser_hash, flow.actor_id = services.hash_of(cookie), actor.id
    flow.save(force_insert=True)
    visit.flow = flow
    visit.save(update_fields=["way", "device", "flow", "problem"])
    services.note(actor, "invitation.device_code", invitation)
    queue.submit(actor, DEVICE, visit.tenant, target=str(flow.id))


@register
class DeviceSignIn(Kind):
    """Ask for a code, show it, and look at Microsoft's pace whether somebody has signed in with it."""

    name = DEVICE
    title = "Device code"
    ability = Ability.MANAGE_CONNECTION
    lane = LaneName.IDENTITY
    max_attempts = 3
    reconcile = (
        "A code that was asked for and not kept is never shown. One that somebody used, and whose answer was lost, "
        "is refused by Microsoft as used: the person starts again."
    )

    def run(self, ctx: Context) -> Outcome:
        try:
            return self._slice(ctx)
        except UmpError as error:
            if error.remedy == Remedy.LATER:
                return Again(error.message, wait=self._pause(ctx, more=SLOWER))
            note_failure(ctx, error)
            self._forget(ctx)
            raise

    def _slice(self, ctx: Context) -> Outcome:
        with scope.one(ctx.customer):
            visit = _visit(ctx.target)
            if visit is None or visit.flow is None:
                return Done("Nobody waits for this code any more.", outcome="partial")
            flow = visit.flow
            if flow.granted_at:
                return Done("The tokens were kept already.")
            services.check_open(visit.invitation)
            if flow.began_at < timezone.now() - PATIENCE:
                raise UmpError.of("device_waited")
            line = _line(flow)
            kept = secrets.open_secret(flow.code) if flow.code else ""
        return self._look(ctx, flow, line, kept) if kept else self._ask(ctx, visit, flow, line)

    def _ask(self, ctx: Context, visit: Visit, flow: SignInFlow, line: lines.Line) -> Outcome:
        """A fresh code, shown once Microsoft has said that it waits for it: some apps may not use any."""
        ctx.report(label="Asking Microsoft for a code", force=True)
        code = line.ask_code()
        try:
            grant = line.look_for(code.device_code)
        except UmpError as error:
            if error.code not in WAITING:
                raise
        else:  # nobody can have been that quick
            return accept(ctx, flow, line, grant)
        with ctx.transaction():
            label = visits.actor_of(visit.invitation).label
            flow.code = secrets.store(flow.tenant, SecretKind.SIGN_IN, code.device_code, set_by=label)
            SignInFlow.objects.filter(id=flow.id).update(code=flow.code)
            shown = {
                "code": code.user_code,
                "page": code.page,
                "address": browser_address(code.page, settings.M365_GATEWAY_URL),
                "until": min(
                    flow.began_at + PATIENCE, timezone.now() + dt.timedelta(seconds=code.life)
                ).isoformat(),
            }
            Visit.objects.filter(id=visit.pk, flow=flow).update(device=shown)
            ctx.checkpoint(interval=code.interval)
        return Again("Waits until somebody has entered the code at Microsoft.", wait=self._pause(ctx))

    def _look(self, ctx: Context, flow: SignInFlow, line: lines.Line, kept: str) -> Outcome:
        try:
            grant = line.look_for(kept)
        except UmpError as error:
            if error.code not in WAITING:
                raise
            if error.code == "device_too_fast":
                with ctx.transaction():
                    ctx.checkpoint(interval=int(ctx.state["interval"]) + SLOWER)
            return Again("Waits until somebody has entered the code at Microsoft.", wait=self._pause(ctx))
        return accept(ctx, flow, line, grant)

    @staticmethod
    def _pause(ctx: Context, more: int = 0) -> dt.timedelta:
        return dt.timedelta(seconds=int(ctx.state.get("interval", SLOWER)) + more)

    @staticmethod
    def _forget(ctx: Context) -> None:
        with ctx.transaction():
            visit = _visit(ctx.target)
            if visit is not None and visit.flow is not None:
                delegated.close(visit.flow)
                Visit.objects.filter(id=visit.pk).update(device=None)


def _visit(target: str) -> Visit | None:
    found: Visit | None = (
        Visit.objects.filter(flow_id=uuid.UUID(target))
        .select_related("invitation", "flow", "flow__tenant", "flow__code", "flow__code__key")
        .first()
    )
    return found


def _line(flow: SignInFlow) -> lines.Line:
    """Raises UmpError (signin_restart) when the app registration was changed meanwhile."""
    row: Connection | ProviderApp | None = (
        provider_app.current()
        if flow.app_owner == AppOwner.PROVIDER
        else Connection.objects.filter(tenant_id=flow.tenant_id).first()
    )
    if row is None or row.client_id != flow.client_id:
        raise UmpError.of("signin_restart")
    return lines.line_of(flow.tenant, row, flow.cloud, anywhere=True)


def seen_from() -> dict[str, Any]:
    """What Microsoft shows of the machine that asked for the code, as far as this installation knows it."""
    return {"country": settings.OUTBOUND_COUNTRY, "address_seen": settings.OUTBOUND_ADDRESS}
