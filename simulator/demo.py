"""Two dozen invented customers, each with a story, for the product's demo.

The portal cannot import this: it fetches `GET /_sim/demo`. Ids, secrets and even the certificate follow from
names, so a restarted simulator knows the same customers and what the portal has stored keeps working.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from typing import TYPE_CHECKING, Any

from simulator.keys import certificate_for, certificate_pem, private_key_pem, repeatable_key
from simulator.objects import guid_of, stamp
from simulator.registrations import b64_secret
from simulator.tenant import DEFAULT_ROLES

if TYPE_CHECKING:  # the world's control API hands this out, so this may not need it to load
    from simulator.world import World

DAY = 86_400


@dataclasses.dataclass(frozen=True, slots=True)
class Customer:
    """One customer of the demo, as data."""

    name: str
    label: str
    users: int
    story: str = "healthy"
    cloud: str = "global"
    kind: str = "directRouting"  # of its numbers

    @property
    def domain(self) -> str:
        return f"{self.label}.example"

    @property
    def tenant_id(self) -> str:
        return guid_of("demo tenant", self.label)

    @property
    def client_id(self) -> str:
        return guid_of("demo app", self.label)

    @property
    def secret(self) -> str:
        return b64_secret(self.label, self.client_id)

    @property
    def groups(self) -> int:
        return max(4, self.users // (16 if self.users > 5_000 else 10))


CUSTOMERS = (
    Customer("Contoso Manufacturing", "contoso", 820),
    Customer("Fabrikam Clinics", "fabrikam", 460),
    Customer("Alder & Finch Logistics", "alderfinch", 240),
    Customer("Brightwater Foods", "brightwater", 1_150),
    Customer("Calder Bay Shipping", "calderbay", 620),
    Customer("Duvall Instruments", "duvall", 75),
    Customer("Elm Street Legal", "elmstreet", 40),
    Customer("Fernhill Housing", "fernhill", 310),
    Customer("Gotland Timber", "gotlandtimber", 190, kind="callingPlan"),
    Customer("Harrow Lane Schools", "harrowlane", 2_000, kind="operatorConnect"),
    Customer("Northfield Dairies", "northfield", 130, kind="operatorConnect"),
    Customer("Isar Precision", "isarprecision", 540, "certificate"),
    Customer("Juniper Health", "juniperhealth", 280, "secret_expires_soon"),
    Customer("Kestrel Aviation", "kestrelaviation", 350, "expired_secret"),
    Customer("Lindqvist Energy", "lindqvistenergy", 420, "consent_withdrawn"),
    Customer("Meridian Retail", "meridianretail", 900, "throttled"),
    Customer("Nordhaven Bank", "nordhaven", 260, "conditional_access"),
    Customer("Orchard Media", "orchardmedia", 85, "wrong_secret"),
    Customer("Pinewood Federal Services", "pinewoodfederal", 150, "gcc_high", "gcc_high"),
    Customer("Quarry Stone Group", "quarrystone", 20_000, "large"),
    Customer("Redwater Insurance", "redwater", 230, "permission_missing"),
    Customer("Silverdale Hotels", "silverdale", 110, "never_touched"),
    Customer("Tamarind Travel", "tamarind", 60, "never_touched"),
    Customer("Umber Studios", "umberstudios", 45, "never_touched"),
)

# What the demo's customers have granted: reading, and writing users and numbers.
_ROLES = (
    *DEFAULT_ROLES,
    "TeamsTelephoneNumber.ReadWrite.All",
    "TeamsPolicyUserAssign.ReadWrite.All",
    "User.ReadWrite.All",
    "GroupMember.ReadWrite.All",
    "LicenseAssignment.ReadWrite.All",
)
# What a story changes in a tenant that would otherwise be healthy; times are days from now.
_APP: dict[str, dict[str, Any]] = {
    "expired_secret": {"secret_expires": -3},
    "secret_expires_soon": {"secret_expires": 12},
    "consent_withdrawn": {"roles": []},
    "conditional_access": {"ca_block": True},
    "permission_missing": {"roles": ["Organization.Read.All", "User.Read.All"]},
}
# Numbers that the demo's SBCs have rules for: all of Contoso's but two, and the first hundred of Fabrikam's.
_TELEPHONY: dict[str, dict[str, Any]] = {
    "contoso": {"head": "+41589061", "digits": 3, "extra": ["+41445550101", "+41445550102"]},
    "fabrikam": {"head": "+4420366669", "digits": 3, "first": 700},
}
# A first sync of 20,000 users reads 21 pages in one chain: four seconds a request make it a minute and a half.
_SETTINGS: dict[str, dict[str, Any]] = {"large": {"latency_ms": 4_000.0}, "throttled": {"ru_per_10s": 40}}
_TROUBLE: dict[str, dict[str, Any]] = {
    "throttled": {
        "kind": "throttle",
        "host": "graph",
        "path": r"/members|/\$batch|/delta",
        "retry_after": "45",
    }
}


@functools.cache
def _certificate(label: str) -> tuple[str, str]:
    """(certificate, private key) of a customer that signs in with one."""
    key = repeatable_key(f"demo/{label}")
    return certificate_pem(certificate_for(key, f"Voice portal for {label}")), private_key_pem(key)


def _days_left(customer: Customer) -> float:
    """Of the secret: by the story, or some plausible number of days that follows from the name."""
    days: float = _APP.get(customer.story, {}).get("secret_expires", 60 + sum(map(ord, customer.label)) % 640)
    return days


def plant(world: World) -> None:
    """Create the customers and put each into the state of its story."""
    for customer in CUSTOMERS:
        tenant = world.add_tenant(_spec(customer, world.now()))
        tenant.default_roles = _ROLES
        if customer.story in _TROUBLE:
            world.troubles.add(_TROUBLE[customer.story], tenant=tenant.id, now=world.now())


def _spec(customer: Customer, now: float) -> dict[str, Any]:
    app: dict[str, Any] = {
        "client_id": customer.client_id,
        "roles": list(_ROLES),
        **_APP.get(customer.story, {}),
    }
    if customer.story == "certificate":
        app["certificate_pem"] = _certificate(customer.label)[0]
    else:
        app["secret"] = customer.secret
    app["secret_expires"] = stamp(now + _days_left(customer) * DAY)
    return {
        "name": customer.name,
        "domain": customer.domain,
        "tenant_id": customer.tenant_id,
        "cloud": customer.cloud,
        "seed": customer.label,
        "users": customer.users,
        "groups": customer.groups,
        "memberships_per_user": 3 if customer.users > 5_000 else 4,
        "nested_groups": 2,
        "story": customer.story,
        "settings": _SETTINGS.get(customer.story, {}),
        "telephony": {"kind": customer.kind, **_TELEPHONY.get(customer.label, {})},
        "app": app,
    }


def handout() -> list[dict[str, Any]]:
    """What the portal is told of each customer: one credential each, and the story."""
    return [_told(customer) for customer in CUSTOMERS]


def _told(customer: Customer) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": customer.name,
        "domain": customer.domain,
        "tenant_id": customer.tenant_id,
        "cloud": customer.cloud,
        "client_id": customer.client_id,
        "users": customer.users,
        "groups": customer.groups,
        "story": customer.story,
        "service": "operator_connect" if customer.kind == "operatorConnect" else "direct_routing",
        "secret": customer.secret,
        "certificate_pem": None,
        "private_key_pem": None,
    }
    told["secret_expires"] = stamp(time.time() + _days_left(customer) * DAY)
    if customer.story == "certificate":
        certificate, key = _certificate(customer.label)
        told.update(secret=None, certificate_pem=certificate, private_key_pem=key)
    if customer.story == "wrong_secret":
        # One that was replaced since; a portal refuses the commoner mistake, a Secret ID, before it asks anybody.
        told["secret"] = b64_secret(f"{customer.label} before", customer.client_id)
    return told
