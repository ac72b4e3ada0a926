"""One customer tenant: who it is, its directory, its apps and how its services behave."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from simulator.apps import App, ServicePrincipal
from simulator.clouds import Cloud
from simulator.directory import Directory
from simulator.objects import Maker
from simulator.throttle import Bucket

if TYPE_CHECKING:  # which needs a tenant to begin with
    from simulator.graph.teams_state import Telephony

DEFAULT_ROLES = (
    "User.Read.All",
    "Group.Read.All",
    "GroupMember.Read.All",
    "Organization.Read.All",
    "LicenseAssignment.Read.All",
    "TeamsUserConfiguration.Read.All",
    "TeamsTelephoneNumber.Read.All",
)


class BadRequestError(ValueError):
    """A control call that makes no sense; the text says why."""


@dataclasses.dataclass(slots=True)
class Behaviour:
    """Settings of a tenant's services; every one can be changed while it runs."""

    lag: float = 0.0  # seconds between a write and its being seen
    consent_delay: float = 0.0  # seconds until granted or removed permissions reach new tokens
    create_delay: float = 0.0  # seconds for which a new registration or service principal is not found
    secret_delay: float = 0.0  # seconds for which a new secret or certificate is refused
    latency_ms: float = 0.0
    page_size: int = 100  # list page when the client does not say
    delta_page_size: int = 200
    delta_member_slice: int = 1000
    delta_token_days: float = 7.0
    groups_latest: bool = True  # whether groups/delta knows $deltatoken=latest
    spread_users: int = 0  # every n-th user of a delta comes in two parts; 0 = never
    throttling: bool = True
    ru_per_10s: int | None = None  # None = by the tenant's size
    token_seconds: int = 3599
    refresh_overlap: float | None = (
        None  # life of a refresh token after its successor; None = its own ninety days
    )
    federated: bool = False
    mfa_required: bool = False
    claims_wanted: bool = False  # Conditional Access wants a sign-in that passes its claims back
    teams_principal: bool = True  # whether the Teams resource has its service principal here
    secrets_forbidden: bool = False  # by app management policy
    secret_max_days: float | None = None  # by app management policy, certificates included
    multi_tenant_forbidden: bool = False  # by app management policy
    order_looks: int = 2  # an order of a number ends at the look after so many
    order_seconds: float = 30.0  # or by itself, after so long
    order_fails: str = ""  # what orders fail with at their end; empty = by what they want


SETTINGS = frozenset(field.name for field in dataclasses.fields(Behaviour))


@dataclasses.dataclass(slots=True)
class Domain:
    """A domain that was added later; what proves that it is the tenant's, and from when readers see it."""

    name: str
    text: str
    seen_from: float


@dataclasses.dataclass(slots=True)
class People:
    """What a tenant knows of its users' sign-ins beside the directory."""

    revoked: dict[str, float] = dataclasses.field(default_factory=dict)  # refresh tokens from before are void
    stale_passwords: set[str] = dataclasses.field(default_factory=set)
    wrong_passwords: Counter[str] = dataclasses.field(default_factory=Counter)


@dataclasses.dataclass(slots=True)
class Tenant:
    """Everything that belongs to one Entra tenant."""

    id: str
    name: str
    cloud: Cloud
    domains: list[str]
    directory: Directory
    created: float
    maker: Maker
    behaviour: Behaviour = dataclasses.field(default_factory=Behaviour)
    apps: dict[str, App] = dataclasses.field(default_factory=dict)
    deleted_apps: dict[str, tuple[float, App]] = dataclasses.field(default_factory=dict)  # by object id
    deleted_principals: dict[str, tuple[float, App, ServicePrincipal]] = dataclasses.field(
        default_factory=dict
    )
    added: dict[str, Domain] = dataclasses.field(
        default_factory=dict
    )  # by name; verified ones also in `domains`
    directory_roles: dict[str, list[str]] = dataclasses.field(default_factory=dict)  # by user or principal
    people: People = dataclasses.field(default_factory=People)
    buckets: dict[str, Bucket] = dataclasses.field(default_factory=dict)
    delta_tokens_from: float = 0.0  # delta tokens issued before this moment are expired
    pool: dict[str, int] = dataclasses.field(default_factory=dict)  # licences bought, by product
    sku_cache: tuple[int, Counter[str]] | None = None  # licences in use at a version of the users
    telephony_spec: dict[str, Any] = dataclasses.field(default_factory=dict)
    telephony: Telephony | None = None  # made at first sight
    story: str = ""
    broken: list[str] = dataclasses.field(default_factory=list)  # what `break` did, and how to undo it
    undo: list[Callable[[], object]] = dataclasses.field(default_factory=list)
    unknown: bool = False  # deleted at Microsoft: nobody finds it but the control API
    default_roles: tuple[str, ...] = DEFAULT_ROLES  # what healing grants again

    @property
    def canary(self) -> str:
        return self.maker.canary

    @property
    def domain(self) -> str:
        return self.domains[0]

    def app(self, client_id: str | None = None) -> App:
        """The named app, or the only one."""
        if client_id is None and len(self.apps) == 1:
            return next(iter(self.apps.values()))
        if client_id is None or client_id.lower() not in self.apps:
            raise BadRequestError(f"{self.name} has no app {client_id or '(name one by client_id)'}")
        return self.apps[client_id.lower()]

    def settings(self) -> dict[str, Any]:
        return dataclasses.asdict(self.behaviour)

    def set(self, changes: dict[str, Any]) -> None:
        """Change settings; unknown names and wrong types are refused before any is changed."""
        present = self.settings()
        for name, value in changes.items():
            if name not in SETTINGS:
                raise BadRequestError(f"no setting is called {name}; there are {', '.join(sorted(SETTINGS))}")
            if isinstance(present[name], bool) is not isinstance(value, bool):
                raise BadRequestError(
                    f"{name} takes {'true or false' if present[name] in {True, False} else 'a number'}"
                )
        for name, value in changes.items():
            setattr(self.behaviour, name, value)
        with self.directory.lock:
            if self.directory.lag and not self.behaviour.lag:
                self.directory.settle()
                if self.telephony is not None:
                    self.telephony.end_lag()
            self.directory.lag = float(self.behaviour.lag)
        if "ru_per_10s" in changes:
            self.buckets.clear()

    def user_by_name(self, name: str) -> int | None:
        return self.directory.users.by_name(name, "userPrincipalName")

    def assign_role(self, principal_id: str, template: str) -> None:
        """Give a directory role to a user or service principal."""
        held = self.directory_roles.setdefault(principal_id, [])
        if template not in held:
            held.append(template)

    def unassign_role(self, principal_id: str, template: str) -> None:
        """Take a directory role away; BadRequestError when it was not held."""
        if template not in self.directory_roles.get(principal_id, ()):
            raise BadRequestError(f"{principal_id} does not hold the role {template}")
        self.directory_roles[principal_id].remove(template)

    def roles_of(self, principal_id: str) -> list[str]:
        return list(self.directory_roles.get(principal_id, ()))
