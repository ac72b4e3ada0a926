"""Who may do what: one table, read by the browser, the API and the worker alike."""

import enum


class Role(enum.StrEnum):
    """Provider roles hold for every customer or, given with a customer, for that one only."""

    PROVIDER_ADMIN = "provider_admin"
    OPERATOR = "operator"
    MONITOR = "monitor"
    CUSTOMER_ADMIN = "customer_admin"
    CUSTOMER_MONITOR = "customer_monitor"

    @property
    def words(self) -> str:
        return TITLES[self]


TITLES = {
    Role.PROVIDER_ADMIN: "Admin",
    Role.OPERATOR: "Operator",
    Role.MONITOR: "Monitor",
    Role.CUSTOMER_ADMIN: "Customer Admin",
    Role.CUSTOMER_MONITOR: "Customer Monitor",
}
PROVIDER_ROLES = frozenset({Role.PROVIDER_ADMIN, Role.OPERATOR, Role.MONITOR})
CUSTOMER_ROLES = frozenset(Role) - PROVIDER_ROLES


class Ability(enum.StrEnum):
    """`noun:verb`; an API token's scopes are these words."""

    VIEW_TENANT = "tenant:view"
    ADD_TENANT = "tenant:add"
    EDIT_TENANT = "tenant:edit"
    DELETE_TENANT = "tenant:delete"
    PAUSE_TENANT = "tenant:pause"
    MANAGE_CONNECTION = "connection:manage"
    VERIFY_CONNECTION = "connection:verify"
    VIEW_INVITATIONS = "invitation:view"
    INVITE = "invitation:manage"
    VIEW_DIRECTORY = "directory:view"
    REPLICATE = "replication:queue"
    VIEW_QUEUE = "queue:view"
    MANAGE_QUEUE = "queue:manage"
    PAUSE_ALL = "queue:pause-all"
    APPROVE_PLAN = "plan:approve"
    VIEW_AUDIT = "audit:view"
    VIEW_PROVIDER = "provider:view"
    MANAGE_TOKENS = "tokens:manage"
    MANAGE_PEOPLE = "people:manage"
    ROTATE_KEYS = "keys:rotate"
    CHANGE_SETTINGS = "settings:change"
    MANAGE_WEBHOOKS = "webhooks:manage"
    MANAGE_SBC = "sbc:manage"
    BUILD_ACCOUNTS = "resource-accounts:build"
    MANAGE_NUMBERS = "numbers:manage"
    EDIT_USERS = "users:edit"

    @property
    def words(self) -> str:
        """For "You are not allowed to ...": verb first."""
        noun, _, verb = self.value.partition(":")
        return f"{verb.replace('-', ' ')} ({noun})"


_VIEW = frozenset({Ability.VIEW_TENANT, Ability.VIEW_DIRECTORY, Ability.VIEW_QUEUE, Ability.VIEW_AUDIT})
_RUN = frozenset({Ability.REPLICATE, Ability.MANAGE_QUEUE, Ability.VERIFY_CONNECTION})

ABILITIES: dict[Role, frozenset[Ability]] = {
    Role.PROVIDER_ADMIN: frozenset(Ability),
    Role.OPERATOR: _VIEW
    | _RUN
    | {Ability.VIEW_PROVIDER, Ability.ADD_TENANT, Ability.EDIT_TENANT, Ability.PAUSE_TENANT}
    | {Ability.MANAGE_CONNECTION, Ability.VIEW_INVITATIONS, Ability.INVITE, Ability.MANAGE_SBC}
    | {Ability.MANAGE_NUMBERS, Ability.EDIT_USERS, Ability.BUILD_ACCOUNTS},
    Role.MONITOR: _VIEW | {Ability.VIEW_PROVIDER, Ability.VIEW_INVITATIONS},
    Role.CUSTOMER_ADMIN: _VIEW
    | _RUN
    | {Ability.MANAGE_CONNECTION, Ability.MANAGE_PEOPLE, Ability.MANAGE_NUMBERS, Ability.EDIT_USERS}
    | {Ability.BUILD_ACCOUNTS},
    Role.CUSTOMER_MONITOR: _VIEW,
}
# Acts on the provider as a whole: a role that was given for one customer never grants them.
PROVIDER_WIDE = frozenset(
    {
        Ability.VIEW_PROVIDER,
        Ability.ADD_TENANT,
        Ability.PAUSE_ALL,
        Ability.MANAGE_TOKENS,
        Ability.ROTATE_KEYS,
        Ability.CHANGE_SETTINGS,
        Ability.MANAGE_WEBHOOKS,
        Ability.MANAGE_SBC,
    }
)
