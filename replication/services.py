"""Writes to the queue: submit, cancel, repeat, pause. Each in one transaction with its audit entry."""

import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from audit.services import Changes, record
from core.errors import Conflict, Forbidden, UmpError
from replication import doorbell, holds, plans, states
from replication.models import Command, LaneName, Reason, RemovalPlan, State, Switch
from replication.registry import kind_of, title_of
from tenants import scope
from tenants.abilities import Ability
from tenants.access import SYSTEM, Actor
from tenants.models import Tenant

RESYNC = "sync"
NOW = dt.timedelta()
YIELDS = dt.timedelta(hours=1)
"""How long a run over many customers lets everything else go first; then it is as good as the others."""


@transaction.atomic
def submit(
    actor: Actor,
    kind_name: str,
    tenant: Tenant | None,
    *,
    target: str = "",
    params: dict[str, Any] | None = None,
    dry_run: bool = False,
    delay: dt.timedelta = NOW,
    retry_of: int | None = None,
) -> Command:
    """Queue a command, or join the waiting one that wants the same; rings the worker after the commit.

    With a `delay` this is the debounce: each further wish moves the waiting command, up to the longest wait, unless
    it was made due meanwhile.
    Raises UmpError: unknown_kind, or invalid_input for a dry run of a kind that has none.
    """
    kind = kind_of(kind_name)
    if dry_run and not kind.may_dry_run:
        raise UmpError.of(
            "invalid_input", field="dry_run", why=f"{kind.title} cannot be tried without doing it"
        )
    tenant_id = tenant.id if tenant else None
    lane = kind.lane_of(tenant)
    lane_id = _lane(tenant_id, lane, target)
    command_id, created = states.insert(
        tenant_id=tenant_id,
        lane_id=lane_id,
        kind=kind_name,
        target=target,
        params=params or {},
        dry_run=dry_run,
        dedupe_key=f"{kind_name}|{target}|{'dry' if dry_run else ''}",
        delay=delay,
        longest_wait=dt.timedelta(seconds=settings.QUICK_REPLICATION_LONGEST_WAIT),
        max_attempts=kind.max_attempts,
        actor=(actor.kind, actor.id, actor.label),
        retry_of=retry_of,
    )
    if created:
        _created(actor, command_id, tenant_id, lane_id, kind.title)
    doorbell.ring_after_commit(lane)
    return Command.objects.get(id=command_id)


def _lane(tenant_id: uuid.UUID | None, name: LaneName, target: str) -> int:
    """The provider's checks wait for no other work of its own, and one device for no other."""
    if name == LaneName.DEVICE:
        return states.lane_for(None, name, device_of(target))
    if tenant_id is None and name != LaneName.IDENTITY:
        name = LaneName.PROVIDER
    return states.lane_for(tenant_id, name)


def device_of(target: str) -> str:
    """Whose lane: the part before the slash, where the target is one thing on a device."""
    return target.partition("/")[0]


@transaction.atomic
def submit_many(
    actor: Actor, kind_name: str, tenant_ids: Iterable[uuid.UUID], *, yields: dt.timedelta = YIELDS
) -> dict[uuid.UUID, int]:
    """Queue the same command for many customers, or join those that wait; the command of each.

    They yield to what people ask for meanwhile. Customers whose lane is suspended are left out; that of identity
    never is. Whoever calls it records the act as one. Raises UmpError (unknown_kind).
    """
    kind = kind_of(kind_name)
    made = states.insert_many(
        tenant_ids,
        lane=kind.lane,
        kind=kind_name,
        max_attempts=kind.max_attempts,
        actor=(actor.kind, actor.id, actor.label),
        yields=yields,
    )
    doorbell.ring_after_commit()
    return made


def cancel_many(actor: Actor, ids: Iterable[int]) -> int:
    """Take back what `submit_many` queued, as far as it still waits and nobody else has asked for it; how many.

    Whoever calls it records the act as one.
    """
    return states.cancel_yielding(ids, f"Cancelling was asked for by {actor.label}.")


def _created(actor: Actor, command_id: int, tenant_id: uuid.UUID | None, lane_id: int, title: str) -> None:
    states.add_step(command_id, tenant_id, f"Queued by {actor.label}.")
    code = states.lane_suspension(lane_id)
    if code:
        states.move(
            command_id,
            from_=State.QUEUED,
            to=State.SUSPENDED,
            reason=Reason.CONNECTION,
            error=dict(UmpError.of(holds.known(code)).to_dict()),
            message=UmpError.of(holds.known(code)).message,
        )
    if actor.kind != "system":  # the schedule's own commands are told by the queue itself
        record(
            actor,
            "command.queued",
            tenant_id=tenant_id,
            object_kind="command",
            object_id=command_id,
            object_label=title,
        )


@transaction.atomic
def cancel(actor: Actor, command: Command) -> None:
    """Raises Conflict (illegal_move) when it has ended already."""
    states.request_cancel(command)
    states.add_step(command.id, command.tenant_id, f"Cancelling was asked for by {actor.label}.")
    _audit(actor, "command.cancelled", command)


def take_turn(found: Iterable[Command]) -> None:
    """Before many are cancelled or tried again in one transaction: who queues for many customers takes turns with it.

    Otherwise each would hold lanes that the other wants next.
    """
    states.lock_lanes_of([command.id for command in found])


@transaction.atomic
def retry(actor: Actor, command: Command) -> Command:
    """A suspended command goes on; a final one is repeated as a new command.

    Raises Conflict for one that is open anyway, Forbidden for who may not ask for this kind of work himself.
    """
    kind = kind_of(command.kind)
    if not actor.may(kind.ability, command.tenant_id):
        raise Forbidden(action=kind.ability.words)
    if command.state == State.SUSPENDED:
        _go_on(command, f"Tried again by {actor.label}.")
        _audit(actor, "command.resumed", command)
        return Command.objects.get(id=command.id)
    if command.state in {State.QUEUED, State.EXECUTING}:
        raise Conflict("illegal_move", action="be repeated", state=State(command.state).label.lower())
    tenant = Tenant.objects.get(id=command.tenant_id) if command.tenant_id else None
    again = submit(
        actor,
        command.kind,
        tenant,
        target=command.target,
        params=command.params,
        dry_run=command.dry_run,
        retry_of=command.id,
    )
    _audit(actor, "command.repeated", command)
    return again


@transaction.atomic
def approve(actor: Actor, command: Command, plan_id: int) -> Command:
    """The command may remove what this plan lists: it reads anew, and removes what is in the plan and still gone.

    A second click changes nothing. Raises Forbidden; UmpError (plan_stale) when another plan was drawn since, what
    the kind has against this person, or what suspended the lane; Conflict (illegal_move) when it does not wait.
    """
    if not actor.may(Ability.APPROVE_PLAN, command.tenant_id):
        raise Forbidden(action=Ability.APPROVE_PLAN.words)
    states.lock_lane_of(command.id)
    command = Command.objects.get(id=command.id)
    plan: RemovalPlan | None = plans.of_command(command.id).first()
    if plan is not None and plan.id == plan_id and plan.approved_at:
        return command
    if plan is None or not plans.awaited(command):
        raise Conflict("illegal_move", action="be confirmed", state=State(command.state).label.lower())
    if plan.id != plan_id:
        raise UmpError.of("plan_stale")
    objection = kind_of(command.kind).objection(actor, command)
    if objection is not None:
        raise objection
    plans.of_command(command.id).update(approved_at=Now(), approved_by=actor.label)
    _go_on(command, f"{actor.label} confirmed plan {plan.id}: {plan.removals:,} objects may be removed.")
    _audit(actor, "plan.approved", command, {"objects to remove": (None, plan.removals)})
    return Command.objects.get(id=command.id)


def _go_on(command: Command, told: str) -> None:
    """A suspended command is queued again with all its attempts. Raises UmpError while its lane is suspended."""
    code = states.lane_suspension(command.lane_id)
    if code:
        raise UmpError.of(holds.known(code))
    states.move(
        command.id,
        from_=State.SUSPENDED,
        to=State.QUEUED,
        reason=Reason.PERSON,
        deaths=0,
        attempts=0,
        cancel_requested_at=None,  # whoever wants it to go on does not want that any more
    )
    states.add_step(command.id, command.tenant_id, told)
    doorbell.ring_after_commit()


@transaction.atomic
def process_all(actor: Actor, tenant: Tenant) -> int:
    """Process All: what waits for further changes is due now (REP-13). How many commands that was."""
    due = states.make_due(Q(tenant=tenant, reason=Reason.DEBOUNCE))
    record(
        actor,
        "queue.processed",
        tenant_id=tenant.id,
        object_kind="tenant",
        object_id=tenant.id,
        object_label=tenant.name,
        changes={"commands made due": (0, due)},
    )
    doorbell.ring_after_commit()
    return due


@transaction.atomic
def pause_tenant(actor: Actor, tenant: Tenant, *, paused: bool) -> None:
    """The kill switch of one customer: nothing starts; what runs ends with its slice."""
    Tenant.objects.filter(id=tenant.id).update(
        paused_at=timezone.now() if paused else None, paused_by=actor.label if paused else ""
    )
    record(
        actor,
        "tenant.paused" if paused else "tenant.resumed",
        tenant_id=tenant.id,
        object_kind="tenant",
        object_id=tenant.id,
        object_label=tenant.name,
    )
    doorbell.ring_after_commit()


@transaction.atomic
def pause_all(actor: Actor, *, paused: bool) -> None:
    """The kill switch of the whole queue."""
    Switch.objects.update_or_create(
        name="pause", defaults={"on": paused, "set_by": actor.label, "set_at": timezone.now()}
    )
    record(
        actor,
        "queue.paused" if paused else "queue.resumed",
        tenant_id=None,
        object_kind="queue",
        object_id="all",
    )
    doorbell.ring_after_commit()


def _audit(actor: Actor, action: str, command: Command, changes: Changes | None = None) -> None:
    record(
        actor,
        action,
        tenant_id=command.tenant_id,
        object_kind="command",
        object_id=command.id,
        object_label=title_of(command.kind),
        changes=changes,
    )


def suspend_for(tenant_id: uuid.UUID, code: str) -> int:
    """Hold a customer's data work because of its connection (decision 7). Call it in the tenant's scope."""
    scope.require()
    with transaction.atomic():
        return holds.hold(tenant_id, code)


def resume_for(tenant_id: uuid.UUID) -> int:
    """The connection was proven: let the held work go on. After Degraded everything is read anew (decision 7)."""
    with transaction.atomic(savepoint=False):
        freed, was_degraded = holds.release(tenant_id)
        if was_degraded:
            submit(SYSTEM, RESYNC, Tenant.objects.get(id=tenant_id))
        if freed:
            doorbell.ring_after_commit()
    return freed
