"""What is known of sites, in the scope of whoever asks."""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import Any

from django.db.models import Count, Q, QuerySet

from audiocodes import objects
from core.errors import NotFound
from domains.models import CustomDomain, DomainState
from replication.models import OPEN, Command
from sbc.models import Sbc
from sites.models import Site, SiteState
from sites.services import DEPLOY, REMOVE, on_sbc, target_of
from tenants import scope
from tenants.models import Tenant
from tenants.written import Written

TONES = {
    SiteState.DEPLOYING: "busy",
    SiteState.DEPLOYED: "ok",
    SiteState.UNSAVED: "warn",
    SiteState.FAILED: "bad",
    SiteState.REMOVING: "busy",
}
_DEVICE = "work on a device is the provider's own"


def sites(search: str = "", state: str = "", configuration: str = "") -> QuerySet[Site]:
    """By words in site, customer, gateway or SBC, by SbcDeploymentState and by Configuration."""
    found = Site.objects.select_related("tenant", "sbc")
    if state:
        found = found.filter(sbc_state="" if state == "none" else state)
    if configuration:
        found = found.filter(configuration=configuration)
    if search:
        found = found.filter(
            Q(name__icontains=search)
            | Q(tenant__name__icontains=search)
            | Q(gateway__icontains=search)
            | Q(sbc__name__icontains=search)
        )
    return found


def sites_of(tenant: Tenant) -> QuerySet[Site]:
    return sites().filter(tenant=tenant)


def site(tenant: Tenant, uid: uuid.UUID) -> Site:
    """Raises NotFound."""
    found = Site.objects.filter(tenant=tenant, uid=uid).select_related(
        "tenant", "sbc", "template__cleanup", "applied__template", "secret"
    )
    row: Site | None = found.first()
    if row is None:
        raise NotFound(thing="site")
    return row


def counts_of(sbcs: list[Sbc]) -> Mapping[int, int]:
    """Sites Count by the SBC's id, over all customers; those without one are left out."""
    with scope.every("sites of all customers lie on the provider's devices"):
        found = Site.objects.filter(sbc__in=sbcs).order_by().values_list("sbc_id").annotate(Count("id"))
        return dict(found)


def command_of(site: Site) -> Command | None:
    """The newest that deployed or removed it."""
    return _newest(site, kind__in=(DEPLOY, REMOVE), dry_run=False)


def preview_of(site: Site, kind: str) -> Command | None:
    """The newest look at what this would do."""
    return _newest(site, kind=kind, dry_run=True)


def _newest(site: Site, **which: Any) -> Command | None:
    with scope.every(_DEVICE):
        found: Command | None = (
            Command.objects.filter(tenant=None, target=target_of(site), **which).order_by("-id").first()
        )
    return found


def is_open(command: Command | None) -> bool:
    return command is not None and command.state in OPEN


def failed(limit: int, tenant: Tenant | None = None) -> list[Site]:
    """Sites whose work stopped and waits for a person, or that would not survive a restart of their SBC."""
    return _FAILED.rows(tenant and tenant.id, limit=limit)


def _failed(tenant_id: uuid.UUID | None, *, limit: int) -> QuerySet[Site]:
    found: QuerySet[Site] = Site.objects.filter(
        sbc_state__in=(SiteState.FAILED, SiteState.UNSAVED),
        sbc_problem__isnull=False,
        tenant__deleted_at=None,
        tenant__enabled=True,
    )
    found = found.filter(tenant_id=tenant_id) if tenant_id else found
    return found.select_related("tenant", "sbc").order_by("checked_at", "id")[:limit]


_FAILED = Written(_failed)


def gateways_for(tenant: Tenant) -> list[str]:
    """Names that the customer's site may have as its PSTN gateway: its domains that Microsoft has verified."""
    found = CustomDomain.objects.filter(tenant=tenant, state=DomainState.READY).order_by("began_at")
    return [row.name for row in found[:10]]


@dataclasses.dataclass(frozen=True)
class Shown:
    """A site as a page shows it; `for_provider` also what concerns the device."""

    site: Site
    for_provider: bool

    @property
    def url(self) -> str:
        return f"/tenants/{self.site.tenant_id}/sites/{self.site.uid}/"

    @property
    def sbc_chip(self) -> tuple[str, str, str] | None:
        """Tone, word and tooltip of SbcDeploymentState; None where nothing was done (SBC-14)."""
        if self.site.sbc_state == SiteState.NONE:
            return None
        state = SiteState(self.site.sbc_state)
        told = str((self.site.sbc_problem or {}).get("message", "")) if self.for_provider else ""
        return TONES[state], state.label, told

    @property
    def m365_chip(self) -> tuple[str, str, str] | None:
        """The same of M365DeploymentState."""
        if self.site.m365_state == SiteState.NONE:
            return None
        state = SiteState(self.site.m365_state)
        return TONES[state], state.label, ""

    @property
    def on_sbc(self) -> bool:
        return on_sbc(self.site)

    @property
    def rows(self) -> list[str]:
        """What was found on the SBC of it, in words."""
        return [objects.name_of(key, row) for key, row in objects.from_json(self.site.footprint).items()]
