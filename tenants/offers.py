"""What a customer's service, sync, licence and service level allow: the two matrices of SPEC SYN-03..12 and the
licence schemes of SHP-05..10, as data.

They decide what is offered; whatever is not offered says why. Whoever offers something asks `offered`, or `require`.
"""

import dataclasses
from collections.abc import Sequence

from core.errors import UmpError
from tenants.models import Plan, Service, Tenant

DIRECT, CONNECT = Service.DIRECT_ROUTING, Service.OPERATOR_CONNECT
BOTH = frozenset({DIRECT, CONNECT})
ONLY_DIRECT, ONLY_CONNECT = frozenset({DIRECT}), frozenset({CONNECT})
NONE: frozenset[Service] = frozenset()
TRUNK = "By a site and its prefixes on an SBC."
CALLER_ID = "With sync by each user's policy CallingLineIdentity; without it in the Teams admin center."
OPERATOR = "Not in this portal: the operator does it with Operator Connect's own tools."
BILLING = "Counted each day, with the resource accounts of the customer: System > License > Usage."
WITH_OWN_APP = frozenset({Plan.ESSENTIALS_PLUS, Plan.PRO})


@dataclasses.dataclass(frozen=True)
class Feature:
    """A line of a matrix: for which services it exists with sync, and for which without."""

    key: str
    title: str
    synced: frozenset[Service]
    unsynced: frozenset[Service]
    users_licence: bool = False
    """Whether a Users licence unlocks it (SHP-07, SHP-09)."""
    plans: frozenset[Plan] = frozenset(Plan)
    where: str = ""
    """Where it is done, in a sentence; empty for what has a page of its own."""


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
        (
            Feature(
                "service_configuration",
                "Tenant association, domain validation, voice policies, dial plans",
                BOTH,
                ONLY_CONNECT,
            ),
        ),
    ),
    (
        "Number management",
        (Feature("number_management", "Routing, usage types, release", BOTH, ONLY_CONNECT),),
    ),
    (
        "User management",
        (
            Feature("list_users", "Read the list of users", BOTH, NONE),
            Feature("user_numbers", "Assign and unassign numbers of users", BOTH, NONE, users_licence=True),
        ),
    ),
    (
        "Resource accounts",
        (Feature("resource_accounts", "Read the list, assign and unassign numbers", BOTH, NONE),),
    ),
    (
        "Resource Account Builder",
        (Feature("resource_account_builder", "Create accounts, queues and attendants", BOTH, NONE),),
    ),
    ("Billing", (Feature("billing", "Active users, per RSG", BOTH, NONE, where=BILLING),)),
)
"""Matrix 1: what runs here (SYN-03..08)."""

SET_UP: Matrix = (
    (
        "Service configuration and activation",
        (
            Feature("sbc_fqdns", "Create the SBCs' FQDNs in the customer's tenant", ONLY_DIRECT, NONE),
            Feature("dns_update", "TCAP DNS update", ONLY_DIRECT, NONE),
            Feature("validate_domains", "Validate domains", ONLY_DIRECT, NONE),
            Feature("activate_domains", "Activate domains", ONLY_DIRECT, NONE),
            Feature("dial_plans", "Create dial plans", ONLY_DIRECT, NONE),
            Feature("voice_routes", "Create voice routes", ONLY_DIRECT, NONE),
        ),
    ),
    (
        "Number management",
        (
            Feature("assign_trunk", "Assign a trunk", BOTH, BOTH, where=TRUNK),
            Feature("caller_id", "Caller ID", BOTH, BOTH, where=CALLER_ID),
            Feature("usage_type", "Usage type", ONLY_CONNECT, ONLY_CONNECT, where=OPERATOR),
            Feature(
                "upload_numbers",
                "Upload numbers to the Teams admin center",
                ONLY_CONNECT,
                ONLY_CONNECT,
                where=OPERATOR,
            ),
        ),
    ),
    (
        "User management",
        (
            Feature("teams_users", "Read Teams users", BOTH, NONE),
            Feature("assign_user_numbers", "Assign numbers to users", BOTH, NONE, users_licence=True),
        ),
    ),
    (
        "Resource account management",
        (
            Feature("create_resource_accounts", "Create resource accounts", BOTH, NONE),
            Feature("resource_account_templates", "Assign templates", BOTH, NONE),
            Feature("resource_account_numbers", "Assign numbers to resource accounts", BOTH, NONE),
        ),
    ),
)
"""Matrix 2: what setting up consists of (SYN-09..12)."""

LICENCE: Matrix = (
    (
        "Licence scheme Tenants",
        (
            Feature("quick_connect", "Quick Connect", BOTH, BOTH),
            Feature("voice_routing", "Tenant Online voice routing", ONLY_DIRECT, NONE),
            Feature("user_view", "User view only", BOTH, NONE),
        ),
    ),
    (
        "Licence scheme Users",
        (
            Feature("user_changes", "User MACD (Teams and voice policies)", BOTH, NONE, users_licence=True),
            Feature("lifecycle", "Lifecycle management", BOTH, NONE, users_licence=True),
            Feature("templates", "Create and Edit Templates", BOTH, NONE, users_licence=True),
            Feature("number_ranges", "DID management", BOTH, ONLY_CONNECT, users_licence=True),
        ),
    ),
    (
        "Service level",
        (Feature("own_app", "App registration of the customer's own", BOTH, BOTH, plans=WITH_OWN_APP),),
    ),
)
"""What the licence and the service level unlock (SHP-05, SHP-07..10); what is announced for later is not listed."""

FEATURES = {
    feature.key: feature
    for matrix in (RUN, SET_UP, LICENCE)
    for _, features in matrix
    for feature in features
}


def offered(tenant: Tenant, key: str) -> tuple[bool, str]:
    """(whether this customer can do it, why not in a sentence). Raises KeyError for a feature that there is not."""
    why = _why_not(tenant, FEATURES[key])
    return not why, why


def require(tenant: Tenant, key: str) -> None:
    """Raises UmpError (not_offered) where the customer cannot do it."""
    may, why = offered(tenant, key)
    if not may:
        raise UmpError.of("not_offered", thing=FEATURES[key].title, why=why.rstrip("."))


def _why_not(tenant: Tenant, feature: Feature) -> str:
    return why_not(
        feature, Service(tenant.service), tenant.with_sync, tenant.licensed_users, Plan(tenant.plan)
    )


def offers(
    matrix: Matrix, service: Service, *, with_sync: bool, licensed_users: int, plan: Plan = Plan.PRO
) -> list[tuple[str, list[Offer]]]:
    """The matrix for these choices, group by group."""
    return [
        (
            group,
            [
                Offer(feature, why_not(feature, service, with_sync, licensed_users, plan))
                for feature in features
            ],
        )
        for group, features in matrix
    ]


def of_tenant(tenant: Tenant) -> list[tuple[str, list[Offer]]]:
    """Both matrices for a customer, and what its licence and service level unlock."""
    return [
        (group, [Offer(feature, _why_not(tenant, feature)) for feature in features])
        for matrix in (RUN, SET_UP, LICENCE)
        for group, features in matrix
    ]


def tally(groups: Sequence[tuple[str, Sequence[Offer]]]) -> tuple[int, int]:
    """(how many are offered, how many there are)."""
    every = [offer for _, found in groups for offer in found]
    return sum(not offer.why for offer in every), len(every)


def why_not(
    feature: Feature, service: Service, with_sync: bool, licensed_users: int, plan: Plan = Plan.PRO
) -> str:
    """Why it is not offered, in a sentence; empty when it is."""
    allowed = feature.synced if with_sync else feature.unsynced
    if service not in feature.synced | feature.unsynced:
        (other,) = BOTH - {service}
        return f"Part of {other.label} only."
    if service not in allowed:
        return "Needs sync: without it a Teams Administrator of the customer does this at Microsoft."
    if feature.users_licence and not licensed_users:
        return "Needs a Users licence: a Tenants licence alone lets users be looked at only."
    if plan not in feature.plans:
        levels = " or ".join(each.label for each in Plan if each in feature.plans)
        return f"Needs the service level {levels}."
    return ""
