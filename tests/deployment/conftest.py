"""Contoso with proven access, a site for a pretend SBC, and a pretend Teams that a worker with PowerShell reaches."""

from collections.abc import Callable

import pytest

from replication import states
from sites.models import Site
from tenants import scope
from tenants.lines import Line
from tenants.models import Connection, DeployState, Tenant, Verification
from tests.cast import Cast
from tests.deployment.teams import PretendTeams
from tests.fences import fenced
from tests.sites.conftest import add_site, boxes, boxes_server, byoc, device, known, sbc, site

__all__ = ["add_site", "boxes", "boxes_server", "byoc", "device", "fenced", "known", "sbc", "site"]


@pytest.fixture
def contoso(cast: Cast) -> Tenant:
    """Ready for deployment (DEP-02)."""
    with scope.one(cast.contoso.id):
        Connection.objects.filter(tenant=cast.contoso).update(verification=Verification.SUCCESSFUL)
        Tenant.objects.filter(id=cast.contoso.id).update(deploy_state=DeployState.READY)
    return tenant_now(cast.contoso)


@pytest.fixture
def teams(monkeypatch: pytest.MonkeyPatch, db: None) -> PretendTeams:
    pretend = PretendTeams()
    monkeypatch.setattr(Line, "teams", lambda self, *, stop=None: pretend.session())
    return pretend


@pytest.fixture
def ready(contoso: Tenant, teams: PretendTeams, site: Site) -> Tenant:
    """With a worker that has PowerShell."""
    there()
    return contoso


def there() -> None:
    """A worker with PowerShell has just looked for work."""
    with scope.every("a test's worker with PowerShell"):
        states.note_powershell()


def tenant_now(tenant: Tenant) -> Tenant:
    with scope.one(tenant.id):
        return Tenant.objects.get(id=tenant.id)


Sites = Callable[..., Site]
