"""What a customer's service and sync allow: the two matrices of SPEC SYN-03..12, as data.

They decide what is offered; whatever is not offered says why.
"""

import dataclasses
from collections.abc import Sequence

from tenants.models import Service, Tenant

DIRECT, CONNECT = Service.DIRECT_ROUTING, Service.OPERATOR_CONNECT
BOTH = frozenset({DIRECT, CONNECT})
ONLY_DIRECT, ONLY_CONNECT = frozenset({DIRECT}), frozenset({CONNECT})
NONE: frozenset[Service] = frozenset()


@dataclasses.dataclass(frozen=True)
class Feature:
    """A line of a matrix: for which services it exists with sync, and for which without."""

    title: str
    synced: frozenset[Service]
    unsynced: frozenset[Service]
    users_licence: bool = False
    """Whether it is part of User MACD, which a Users licence unlocks (SHP-07, SHP-09)."""


@dataclasses.dataclass(frozen=True)
class Offer:
    """A feature for one customer; `why` it is not offered, empty when it is."""

    feature: Feature
    why: str

    @property
    def title(self) -> str:
        return self.feature.title


Matrix = tuple[tuple[str, tuple[Feature, ...]], ...]

RUN: Matrix = (
    (
        "Service configuration",
        (Feature("Tenant association, domain validation, voice policies, dial plans", BOTH, ONLY_CONNECT),),
    ),
    ("Number management", (Feature("Routing, usage types, release", BOTH, ONLY_CONNECT),)),
    (
        "User management",
        (
            Feature("Read the list of users", BOTH, NONE),
            Feature("Assign and unassign numbers of users", BOTH, NONE, users_licence=True),
        ),
    ),
    ("Resource accounts", (Feature("Read the list, assign and unassign numbers", BOTH, NONE),)),
    ("Resource Account Builder", (Feature("Create accounts, queues and attendants", BOTH, NONE),)),
    ("Billing", (Feature("Active users, per RSG", BOTH, NONE),)),
)
"""Matrix 1: what runs here (SYN-03..08)."""

SET_UP: Matrix = (
    (
        "Service configuration and activation",
        (
            Feature("Create the SBCs' FQDNs in the customer's tenant", ONLY_DIRECT, NONE),
            Feature("TCAP DNS update", ONLY_DIRECT, NONE),
            Feature("Validate domains", ONLY_DIRECT, NONE),
            Feature("Activate domains", ONLY_DIRECT, NONE),
            Feature("Create dial plans", ONLY_DIRECT, NONE),
            Feature("Create voice routes", ONLY_DIRECT, NONE),
        ),
    ),
    (
        "Number management",
        (
            Feature("Assign a trunk", BOTH, BOTH),
            Feature("Caller ID", BOTH, BOTH),
            Feature("Usage type", ONLY_CONNECT, ONLY_CONNECT),
            Feature("Upload numbers to the Teams admin center", ONLY_CONNECT, ONLY_CONNECT),
        ),
    ),
    (
        "User management",
        (
            Feature("Read Teams users", BOTH, NONE),
            Feature("Assign numbers to users", BOTH, NONE, users_licence=True),
        ),
    ),
    (
        "Resource account management",
        (
            Feature("Create resource accounts", BOTH, NONE),
            Feature("Assign templates", BOTH, NONE),
            Feature("Assign numbers to resource accounts", BOTH, NONE),
        ),
    ),
)
"""Matrix 2: what setting up consists of (SYN-09..12)."""


def offers(
    matrix: Matrix, service: Service, *, with_sync: bool, licensed_users: int
) -> list[tuple[str, list[Offer]]]:
    """The matrix for these choices, group by group."""
    return [
        (
            group,
            [Offer(feature, why_not(feature, service, with_sync, licensed_users)) for feature in features],
        )
        for group, features in matrix
    ]


def of_tenant(tenant: Tenant) -> list[tuple[str, list[Offer]]]:
    """Both matrices for a customer."""
    service = Service(tenant.service)
    return [
        group
        for matrix in (RUN, SET_UP)
        for group in offers(matrix, service, with_sync=tenant.with_sync, licensed_users=tenant.licensed_users)
    ]


def tally(groups: Sequence[tuple[str, Sequence[Offer]]]) -> tuple[int, int]:
    """(how many are offered, how many there are)."""
    every = [offer for _, found in groups for offer in found]
    return sum(not offer.why for offer in every), len(every)


def why_not(feature: Feature, service: Service, with_sync: bool, licensed_users: int) -> str:
    """Why it is not offered, in a sentence; empty when it is."""
    allowed = feature.synced if with_sync else feature.unsynced
    if service not in feature.synced | feature.unsynced:
        (other,) = BOTH - {service}
        return f"Part of {other.label} only."
    if service not in allowed:
        return "Needs sync: without it a Teams Administrator of the customer does this at Microsoft."
    if feature.users_licence and not licensed_users:
        return "Needs a Users licence: a Tenants licence alone lets users be looked at only."
    return ""
