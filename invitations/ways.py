"""Which ways the administrator can go for this customer, and why not the others (decision 13, M36-30)."""

import dataclasses

from authstatus import delegated, registrations
from core.errors import Conflict, UmpError
from invitations.models import Invitation, Way
from m365.registrations import CREATES
from tenants.models import AppOwner, Cloud, Connection, Plan, Tenant

TO_CREATE = (*CREATES, "DelegatedPermissionGrant.ReadWrite.All")
"""What a sign-in asks for beside the usual, where an app registration is to be made with it."""


_WORDS = {
    "provider_app_missing": "Your service provider has not entered its app registration here yet.",
    "provider_app_elsewhere": "Your organisation is in {cloud}. Each of Microsoft's clouds has app registrations of "
    "its own, so you need one there: choose Use App Registration.",
    "conflict": "{why}.",
    "plan_without_app": "Your service level works by a sign-in; app registrations belong to larger ones.",
    "tenant_not_given": "Your service provider does not know your Azure Tenant Id yet. Sign in at Microsoft instead, "
    "or tell it to your service provider.",
}
"""The same in words for the customer's administrator."""


@dataclasses.dataclass(frozen=True)
class Offer:
    way: Way
    error: UmpError | None = None

    @property
    def why_not(self) -> str:
        """Empty for a way that is open."""
        if self.error is None:
            return ""
        words = _WORDS.get(self.error.code, self.error.message).format_map(self.error.fields)
        return words[:1].upper() + words[1:]


def offers(invitation: Invitation) -> dict[str, Offer]:
    """By the names of `Way`, each with what stands in the way of it."""
    tenant: Tenant = invitation.tenant
    stored: Connection | None = Connection.objects.filter(tenant=tenant).first()
    by_person = _by_person(tenant, cloud_of(invitation, stored))
    return {
        "redirect": Offer(Way.REDIRECT, by_person),
        "device": Offer(Way.DEVICE, by_person),
        "create": Offer(Way.CREATE, by_person or _own_app(tenant) or _to_create(tenant, stored)),
        "use": Offer(Way.USE, _own_app(tenant) or _to_use(tenant)),
    }


def cloud_of(invitation: Invitation, stored: Connection | None) -> Cloud:
    """The cloud of what connects the customer, else the one that the provider named."""
    return Cloud(stored.cloud if stored else invitation.cloud)


def check(invitation: Invitation, way: Way) -> None:
    """Raises the UmpError that stands in the way."""
    error = offers(invitation)[way.value].error
    if error is not None:
        raise error


def _by_person(tenant: Tenant, cloud: Cloud) -> UmpError | None:
    """The provider's app knows worldwide organisations only (SYN-19)."""
    try:
        flow = delegated.flow_for(tenant, anywhere=True)
    except UmpError as error:
        return error
    if flow.app_owner == AppOwner.PROVIDER and cloud != Cloud.GLOBAL:
        return UmpError.of("provider_app_elsewhere", tenant=tenant.name, cloud=cloud.label)
    return None


def _own_app(tenant: Tenant) -> UmpError | None:
    if tenant.plan == Plan.ESSENTIALS:
        return UmpError.of("plan_without_app", tenant=tenant.name)
    return None


def _to_create(tenant: Tenant, stored: Connection | None) -> UmpError | None:
    if stored is not None and stored.app_owner == AppOwner.CUSTOMER:
        return Conflict(thing="the connection", why="there is an app registration of your own already")
    if registrations.in_the_way(tenant.id):
        return Conflict(thing="the connection", why="its credentials are being changed at this moment")
    return None


def _to_use(tenant: Tenant) -> UmpError | None:
    """Who owns an app in which organisation cannot be told from its secret: the provider has to know the id."""
    return UmpError.of("tenant_not_given") if tenant.entra_tenant_id is None else None
