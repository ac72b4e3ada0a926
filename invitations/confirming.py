"""A customer whose Azure Tenant Id nobody knew: whose administrator it was is for the provider to confirm.

Until then what the account gave lies sealed beside the invitation, and nothing uses it. Whoever has a link may sign
in meanwhile and take the place of what waits, so a decision names what it is about.
"""

import dataclasses
import uuid

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from authstatus import delegated
from core.errors import Conflict, UmpError
from invitations import services
from invitations.models import Invitation
from replication.registry import chore
from tenants import grants, scope
from tenants.access import Actor
from tenants.models import AppOwner, Cloud, Connection, Method, Secret, Tenant
from tenants.services import edit_tenant

BATCH = 100


@dataclasses.dataclass(frozen=True)
class Shown:
    """What somebody looked at when he decided: `found_tenant_id` and `found_account` of that moment."""

    organisation: uuid.UUID
    account: str


@transaction.atomic
def confirm_organisation(actor: Actor, tenant: Tenant, number: int, shown: Shown) -> Invitation:
    """It is this customer's: take its id, sign in with what its administrator gave, and have that checked.

    Raises as `services.locked`; Conflict where nothing waits, or something else than was shown; InvalidInput when the
    id is not available any more; UmpError (wrong_tenant) when the customer has got another one meanwhile.
    """
    tenant = Tenant.objects.select_for_update(no_key=True).get(id=tenant.id)
    invitation = _waiting(tenant, number, shown)
    list(Connection.objects.select_for_update(no_key=True).filter(tenant=tenant))
    if tenant.entra_tenant_id is None:
        tenant = edit_tenant(actor, tenant, {"entra_tenant_id": invitation.found_tenant_id})
    elif tenant.entra_tenant_id != invitation.found_tenant_id:
        raise UmpError.of("wrong_tenant", tenant=tenant.name)
    flow = delegated.flow_for(tenant)
    assert invitation.found is not None  # noqa: S101  _waiting has refused it
    grants.keep(
        actor,
        tenant,
        Method.TOKEN,
        invitation.found,
        account=invitation.found_account,
        cloud=Cloud(flow.cloud),
        app_owner=AppOwner(flow.app_owner),
        client_id=flow.client_id,
    )
    invitation.found_tenant_id, invitation.found = None, None
    invitation.admin_email = invitation.found_account
    invitation.save(update_fields=["found_tenant_id", "found", "admin_email"])
    services.note(
        actor,
        "invitation.organisation_confirmed",
        invitation,
        {"Azure Tenant Id": (None, tenant.entra_tenant_id), "M365 Email": (None, invitation.found_account)},
    )
    delegated.have_checked(actor, tenant)
    return invitation


@transaction.atomic
def refuse_organisation(actor: Actor, tenant: Tenant, number: int, shown: Shown) -> Invitation:
    """It is somebody else's: forget what the account gave. The invitation stays open for the right one.

    Raises as `services.locked`, and Conflict where nothing waits, or something else than was shown.
    """
    invitation = _waiting(tenant, number, shown)
    services.note(
        actor,
        "invitation.organisation_refused",
        invitation,
        {"Azure Tenant Id": (invitation.found_tenant_id, None)},
    )
    invitation.signed_in_at = None
    invitation.problem = dict(UmpError.of("organisation_refused").to_dict())
    forget_found(invitation)
    return invitation


def forget_found(invitation: Invitation) -> None:
    """Save it without what waited to be confirmed, and delete what the account gave."""
    gone = invitation.found
    invitation.found = invitation.found_tenant_id = None
    invitation.found_name = invitation.found_account = ""
    invitation.found_domains = []
    invitation.save()
    if gone is not None:
        Secret.objects.filter(tenant_id=invitation.tenant_id, id=gone.pk).delete()


@chore
def forget_unconfirmed() -> int:
    """What nobody confirmed in time, or of an invitation that was withdrawn, is not kept; how many."""
    with scope.every("the sweeper forgets sign-ins that nobody confirmed"):
        over = Q(expires_at__lt=Now()) | Q(revoked_at__isnull=False) | Q(done_at__isnull=False)
        found = Invitation.objects.filter(over, found__isnull=False).values_list("tenant_id", "id")[:BATCH]
        waiting = list(found)
    for tenant_id, number in waiting:
        with scope.one(tenant_id), transaction.atomic():
            forget_found(Invitation.objects.select_for_update(no_key=True).get(id=number))
    return len(waiting)


def _waiting(tenant: Tenant, number: int, shown: Shown) -> Invitation:
    invitation = services.locked(tenant, number)
    if invitation.found_tenant_id is None or invitation.found is None:
        raise Conflict(thing="the invitation", why="no organisation waits to be confirmed")
    if Shown(invitation.found_tenant_id, invitation.found_account) != shown:
        raise Conflict(thing="the invitation", why="somebody else signed in meanwhile")
    return invitation
