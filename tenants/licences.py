"""The provider's licence: two pools, what a licence of each unlocks, and taking some out (SPEC SHP-07..13).

Each customer takes one Tenants licence; Users licences are optional, and as many as the customer's licensed users.
Deleted customers hold none.
"""

import dataclasses
import time

from django.conf import settings
from django.db import connection

from accounts.taken import take_turn
from core.errors import UmpError
from tenants import scope
from tenants.recent import Recent, age

TURN = 0x6C_69_63
"""An advisory lock's number: "lic"."""


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A kind of licence as it is sold."""

    name: str
    each: str
    unlocks: tuple[str, ...]


TENANTS = Scheme(
    "Tenants",
    "One for each customer: without it no Microsoft 365 tenant is onboarded and no voice routing managed.",
    ("Quick Connect", "Tenant Online voice routing", "User view only"),
)
USERS = Scheme(
    "Users",
    "Optional, as many as a customer has licensed users.",
    (
        "User MACD (Teams and voice policies)",
        "Lifecycle management",
        "Create and Edit Templates",
        "DID management",
        "Support Microsoft Teams",
        "Support OneDrive policies (future)",
        "Manage emergency call routing (future)",
    ),
)


@dataclasses.dataclass(frozen=True)
class Pool:
    """So many licences of a scheme, and how many of them customers hold."""

    scheme: Scheme
    size: int
    held: int

    @property
    def available(self) -> int:
        """Negative where the licence was made smaller than what customers hold."""
        return self.size - self.held

    @property
    def short(self) -> str:
        """What is short, in a sentence; empty while something is left."""
        if self.available > 0:
            return ""
        if self.available == 0:
            return f"All {self.size:,} {self.scheme.name} licences are in use."
        return f"Customers hold {-self.available:,} more {self.scheme.name} licences than the licence has."


@dataclasses.dataclass(frozen=True)
class Pools:
    """Both pools; the header of Tenants shows what is left of them (SHP-12)."""

    tenants: Pool
    users: Pool
    at: float = dataclasses.field(default_factory=time.monotonic, compare=False)

    @property
    def age(self) -> str:
        return age(self.at)

    @property
    def available_users(self) -> int:
        return self.users.available

    @property
    def available_customers(self) -> int:
        return self.tenants.available


def pools() -> Pools:
    """What customers hold now, whoever asks."""
    with scope.every_in_sight("licences are counted over all customers"), connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(sum(licensed_users), 0) FROM tenants_tenant WHERE deleted_at IS NULL"
        )
        customers, users = cursor.fetchone()
    return Pools(
        Pool(TENANTS, settings.LICENSE_CUSTOMERS, customers), Pool(USERS, settings.LICENSE_USERS, users)
    )


_pools: Recent[Pools] = Recent()


def lately() -> Pools:
    """As `pools` said in the last seconds, with its age: for the list of customers, where nothing depends on it."""
    return _pools.get((settings.LICENSE_CUSTOMERS, settings.LICENSE_USERS), pools)


def take(*, customers: int = 0, users: int = 0) -> None:
    """Make sure that so many more can be had; call it in the transaction that then writes the customer.

    Takers wait for each other until their commit: of two who want the last one, the second sees that it is gone.
    The lock comes after a customer's row and before its lanes. Giving back, or taking nothing, is always possible.
    Raises InvalidInput (licence_customers_used, licence_users_short), naming the field.
    """
    take_turn(TURN)
    found = pools()
    if customers > 0 and customers > found.tenants.available:
        raise UmpError.of("licence_customers_used", field="name", limit=f"{found.tenants.size:,}")
    if users > 0 and users > found.users.available:
        left = max(0, found.users.available)
        raise UmpError.of(
            "licence_users_short", field="licensed_users", limit=f"{left:,}", count=f"{users:,}"
        )
