"""The end: an invitation is done when a check has proven the way in, and not before (complaint B 1).

A room below cannot tell us that it has checked, so the sweeper asks: short, bounded, and safe to do twice.
"""

import uuid

from django.db import transaction
from django.utils import timezone

from authstatus import registrations
from authstatus.commands import VERIFY
from core.errors import UmpError
from events.models import Type as Told
from events.services import tell
from invitations import services, visits
from invitations.models import Invitation, Way
from invitations.welcome import WELCOME
from replication import services as queue
from replication.models import Command, State
from replication.registry import chore
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import AppOwner, Connection, Method, Tenant, Verification

BATCH = 100


@chore
def settle() -> int:
    """Look after every invitation whose administrator has let the portal in; how many went on."""
    with scope.every("the sweeper asks which invitations wait for a check"):
        waiting = Invitation.objects.filter(
            done_at=None, revoked_at=None, signed_in_at__isnull=False, found_tenant_id=None
        )
        found = list(waiting.order_by("signed_in_at").values_list("tenant_id", "id")[:BATCH])
    return sum(_settle(*one) for one in found)


def _settle(tenant_id: uuid.UUID, number: int) -> bool:
    with scope.one(tenant_id), transaction.atomic():
        # The order of who writes of a customer: the customer, his invitation, and last the turn of events.
        tenant: Tenant = Tenant.objects.select_for_update(no_key=True).get(id=tenant_id)
        invitation: Invitation = (
            Invitation.objects.select_for_update(no_key=True).select_related("tenant").get(id=number)
        )
        stored: Connection | None = Connection.objects.filter(tenant=tenant).first()
        if invitation.done_at or invitation.revoked_at or invitation.signed_in_at is None or stored is None:
            return False
        if stored.verification in {Verification.FAILED, Verification.NO_TOKEN}:
            error = UmpError.from_dict(stored.problem or {})
            visits.note_problem(invitation, error)
            return True
        if stored.verification != Verification.SUCCESSFUL:
            return _given_up(tenant, invitation)
        if invitation.way == Way.CREATE and stored.app_owner != AppOwner.CUSTOMER:
            return _create(tenant, invitation)
        _done(tenant, invitation, stored)
        return True


def _given_up(tenant: Tenant, invitation: Invitation) -> bool:
    """A check that was cancelled, or failed by itself too often, says nothing of the way in; nor will it go on."""
    last = (
        Command.objects.filter(tenant=tenant, kind=VERIFY, queued_at__gte=invitation.signed_in_at)
        .order_by("-id")
        .first()
    )
    if last is None or last.state not in {State.FAILED, State.CANCELLED}:
        return False
    visits.note_problem(invitation, UmpError.from_dict(last.error or {"message": last.message}))
    return True


def _create(tenant: Tenant, invitation: Invitation) -> bool:
    """The sign-in works: have the app registration made with it, once; or see what became of that."""
    kinds = (registrations.CREATE, registrations.MIGRATE)
    last = (
        Command.objects.filter(tenant=tenant, kind__in=kinds, queued_at__gte=invitation.signed_in_at)
        .order_by("-id")
        .first()
    )
    if last is None:
        try:
            with transaction.atomic():
                registrations.create(visits.actor_of(invitation), tenant)
        except UmpError as error:
            visits.note_problem(invitation, error)
        return True
    if last.state in {State.FAILED, State.CANCELLED}:
        visits.note_problem(invitation, UmpError.from_dict(last.error or {"message": last.message}))
        return True
    return False


def _done(tenant: Tenant, invitation: Invitation, stored: Connection) -> None:
    invitation.done_at, invitation.problem = timezone.now(), None
    invitation.save(update_fields=["done_at", "problem"])
    way = Method(stored.method).label
    services.note(visits.actor_of(invitation), "invitation.completed", invitation, {"method": (None, way)})
    if invitation.portal_account:
        queue.submit(SYSTEM, WELCOME, tenant, target=str(invitation.pk))
    told = {"invitation": invitation.pk, "method": stored.method}
    tell(Told.INVITATION_COMPLETED, tenant.id, told, once=f"invitation-completed-{invitation.pk}")
