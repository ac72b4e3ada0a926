"""The demo's onboardings: one that waits for the customer, and an organisation that is nobody's customer yet."""

from collections.abc import Callable
from typing import Any

from onboarding import services
from onboarding.models import Onboarding
from tenants import scope
from tenants.access import SYSTEM

BEGUN = "Wingtip Toys"
TO_TRY = {"name": "Zinnia Care", "domain": "zinnia.example", "users": 40}
"""Its domain can be looked up, and the simulator's page shows an app registration to connect it with."""


def plant(at_microsoft: Callable[[dict[str, Any]], None]) -> None:
    """Once; `at_microsoft` makes a tenant at the simulator, which forgets it when it ends."""
    at_microsoft(TO_TRY)
    with scope.every("the demo's onboardings are looked up"):
        if Onboarding.objects.exists():
            return
    services.onboard(
        SYSTEM,
        name=BEGUN,
        entra_tenant_id=None,
        domain="wingtip.example",
        licensed_users=20,
        invitation={"email": "admin@wingtip.example", "full_name": "Wanda Wing"},
    )
