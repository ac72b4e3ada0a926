"""The demo's designs of resource accounts: a reception that is not built yet, and a template for other customers."""

from collections.abc import Sequence

from resource_accounts import selectors, services
from resource_accounts.models import DesignTemplate, Kind
from tenants import scope
from tenants.access import SYSTEM
from tenants.models import Tenant

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
RECEPTION = {
    "language": "en-GB",
    "time_zone": "W. Europe Standard Time",
    "greeting": "Welcome to Contoso Manufacturing.",
    "menu": "For orders, press 1. For everything else, press 0.",
    "key_1": "number",
    "key_1_target": "+41 58 906 10 00",
    "key_0": "number",
    "key_0_target": "+41 58 906 10 01",
    **dict.fromkeys(WEEKDAYS, "08:00-12:00, 13:00-17:30"),
    "closed_greeting": "Contoso Manufacturing is closed. Please call again on a weekday.",
    "holidays": "2026-12-24 to 2026-12-27 Christmas\n2027-01-01 New Year",
    "holiday_greeting": "We are on holiday.",
}


def plant(known: Sequence[Tenant]) -> None:
    """Add what is not there yet."""
    tenant = next((one for one in known if one.name == "Contoso Manufacturing"), None)
    if tenant is None or selectors.why_not(tenant) or DesignTemplate.objects.exists():
        return
    with scope.one(tenant.id):
        design = services.add(
            SYSTEM,
            tenant,
            kind=Kind.AUTO_ATTENDANT,
            name="Contoso Manufacturing reception",
            upn="reception@contoso-manufacturing.example",
            number="+41589061099",
            spec=RECEPTION,
        )
        services.save_template(SYSTEM, design, "Small office, weekdays")
