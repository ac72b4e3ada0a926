"""How a customer's telephony is reached: by Graph, or where Graph has none by PowerShell, if a worker has it."""

from core.errors import UmpError
from m365 import teams
from m365.clouds import CLOUDS
from replication import states
from replication.models import LaneName
from tenants import scope
from tenants.models import Connection, Tenant


def by_powershell(tenant: Tenant) -> bool:
    """Whether Graph has no telephony in the customer's cloud; in its scope."""
    return not teams.in_cloud(cloud_of(tenant))


def cloud_of(tenant: Tenant) -> str:
    """The key of its cloud; the worldwide one while it has no connection."""
    key: str | None = Connection.objects.filter(tenant=tenant).values_list("cloud", flat=True).first()
    return key or "global"


def powershell_is_there() -> bool:
    """Whether a worker that has PowerShell showed itself lately."""
    with scope.every("whether PowerShell is there is the same for everybody"):
        return states.powershell_is_there()


def barrier(cloud: str) -> UmpError | None:
    """What keeps everybody from telephony in the cloud of this key (teams_needs_powershell), if anything does."""
    if teams.in_cloud(cloud) or powershell_is_there():
        return None
    return UmpError.of("teams_needs_powershell", thing=CLOUDS[cloud].name)


def lane_of(tenant: Tenant) -> LaneName:
    """Where the readings of its telephony lie."""
    return LaneName.POWERSHELL if by_powershell(tenant) else LaneName.DATA
