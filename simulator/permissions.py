"""Microsoft's names and numbers for what may be granted: permissions of Graph, directory roles (facts 5.5, 7.1)."""

from __future__ import annotations

import pathlib

import orjson

from simulator.objects import guid_of

GRAPH_APP = "00000003-0000-0000-c000-000000000000"
TEAMS_APP = "48ac35b8-9aa8-4d74-927d-1f4a14a0b239"
TEAMS_SCOPE = ("user_impersonation", "e60370c1-e451-437e-aa6e-d76df38e5f15")
OPENID_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})

# name -> id of the application permission, id of the delegated one, and who may consent to the latter.
_TABLE: dict[str, tuple[str | None, str | None, str]] = orjson.loads(
    pathlib.Path(__file__).with_name("permissions.json").read_bytes()
)
APP_ROLES: dict[str, str] = {name: row[0] for name, row in _TABLE.items() if row[0]}
SCOPES: dict[str, str] = {name: row[1] for name, row in _TABLE.items() if row[1]}
USER_MAY_CONSENT = frozenset(name for name, row in _TABLE.items() if row[2] == "user") | {TEAMS_SCOPE[0]}
_APP_ROLE_NAMES = {key: name for name, key in APP_ROLES.items()}
_SCOPE_NAMES = {key: name for name, key in SCOPES.items()} | {TEAMS_SCOPE[1]: TEAMS_SCOPE[0]}

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
PRIVILEGED_ROLE_ADMINISTRATOR = "e8611ab8-c189-46e8-94e1-60213ab1f814"
APPLICATION_ADMINISTRATOR = "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3"
CLOUD_APPLICATION_ADMINISTRATOR = "158c047a-c907-4556-b7ef-446551a6b5f7"
DIRECTORY_READERS = "88d8e3e3-8f55-4a1e-953a-9b9898b8876b"
DIRECTORY_ROLES = {
    GLOBAL_ADMINISTRATOR: "Global Administrator",
    "f2ef992c-3afb-46b9-b7cf-a126ee74c451": "Global Reader",
    PRIVILEGED_ROLE_ADMINISTRATOR: "Privileged Role Administrator",
    APPLICATION_ADMINISTRATOR: "Application Administrator",
    CLOUD_APPLICATION_ADMINISTRATOR: "Cloud Application Administrator",
    "cf1c38e5-3621-4004-a7cb-879624dced7c": "Application Developer",
    "69091246-20e8-4a56-aa4d-066075b2a7a8": "Teams Administrator",
    "aa38014f-0993-46e9-9b45-30501a20909d": "Teams Telephony Administrator",
    "baf37b3a-610e-45da-9e62-d9d1e5e8914b": "Teams Communications Administrator",
    "f70938a0-fc10-4177-9e90-2178f8765737": "Teams Communications Support Engineer",
    "fcf91098-03e3-41a9-b5ba-6f0ec8188a12": "Teams Communications Support Specialist",
    "3d762c5a-1b6c-493f-843e-55a3b42923d4": "Teams Devices Administrator",
    "1076ac91-f3d9-41a7-a339-dcdf5f480acc": "Teams Reader",
    "75941009-915a-4869-abe7-691bff18279e": "Skype for Business Administrator",
    "8329153b-31d0-4727-b945-745eb3bc5f31": "Domain Name Administrator",
    "fe930be7-5e62-47db-91af-98c3a49a38b1": "User Administrator",
    "4d6ac14f-3453-41d0-bef9-a3e0c569773a": "License Administrator",
    "fdd7a751-b60b-444a-984c-02652fe8fa1c": "Groups Administrator",
    DIRECTORY_READERS: "Directory Readers",
    "4a5d8f65-41da-4de4-8968-e035b65339cf": "Reports Reader",
}
# Who may create registrations, and who may grant what needs an administrator (facts 7).
REGISTRARS = frozenset({GLOBAL_ADMINISTRATOR, APPLICATION_ADMINISTRATOR, CLOUD_APPLICATION_ADMINISTRATOR})
GRANTERS = frozenset({GLOBAL_ADMINISTRATOR, PRIVILEGED_ROLE_ADMINISTRATOR})
# What tokens always carry in `wids`: an app's and a member's own mark, which are no roles that anybody gave.
APP_WID = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
MEMBER_WID = "b79fbf4d-3ef9-4689-8143-76b194e85509"


def role_id(permission: str) -> str:
    """The app role's id; permissions without a real one here get a stable invented one."""
    return APP_ROLES.get(permission) or guid_of("app role", permission)


def role_name(key: str) -> str | None:
    """The application permission with this id."""
    return _APP_ROLE_NAMES.get(key.lower())


def scope_name(key: str) -> str | None:
    """The delegated permission with this id, of Graph or of the Teams resource."""
    return _SCOPE_NAMES.get(key.lower())
