"""Registering an app by hand: the guide for one customer, its values filled in and what is done already ticked.

What each profile asks for is data (m365.permissions); the sentences are here.
"""

import dataclasses
import ipaddress
import re
import uuid
from collections.abc import Collection, Iterator
from urllib.parse import urlsplit

from accounts import installation
from core.errors import InvalidInput
from m365 import clouds
from m365.permissions import (
    BEYOND_THE_LIST,
    PERMISSIONS,
    PROFILES,
    TEAMS_ADMIN_USER_IMPERSONATION,
    Profile,
)
from tenants import provider_app
from tenants.models import AppOwner, Cloud, Connection, ProviderApp, Tenant

KINDS = {"own": "directory_read", "sync": "sync_delegated", "pbx": "pbx"}
"""The guides by the word in the address, with their profiles."""
TITLES = {"own": "Customer's own app", "sync": "Provider's sync app", "pbx": "PBX"}
"""On the tabs and above the guide."""
RENEWS_ITSELF = "Application.ReadWrite.OwnedBy"
BLADE = "#view/Microsoft_AAD_RegisteredApps/"
SERVER_NAME = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))+", re.IGNORECASE)
NO_IMPLICIT = (
    "Leave both boxes under Implicit grant and hybrid flows empty. Older guides ask for Access tokens and ID tokens; "
    "this portal needs neither."
)


@dataclasses.dataclass(frozen=True)
class Value:
    """Something to copy."""

    label: str
    value: str


@dataclasses.dataclass(frozen=True)
class Asked:
    """One permission to add; `there` when the last check found it."""

    name: str
    id: str
    kind: str
    purpose: str
    admin_consent: bool
    there: bool = False


@dataclasses.dataclass(frozen=True)
class Step:
    """`done` None: the portal cannot see it from here."""

    title: str
    text: str
    done: bool | None = None
    values: tuple[Value, ...] = ()
    permissions: tuple[Asked, ...] = ()
    link: tuple[str, str] | None = None
    optional: bool = False


@dataclasses.dataclass(frozen=True)
class Guide:
    kind: str
    title: str
    steps: tuple[Step, ...]
    notes: tuple[str, ...] = ()


def guide(
    kind: str,
    tenant: Tenant,
    connection: Connection | None,
    granted: Collection[str] = (),
    *,
    server: str = "",
) -> Guide:
    """The guide for this very customer. `granted` is what the last check found; `server` a PBX's host name.

    Raises InvalidInput (server), KeyError for an unknown kind.
    """
    cloud = clouds.CLOUDS[connection.cloud if connection else Cloud.GLOBAL]
    if kind == "own":
        steps = _own(tenant, connection, frozenset(granted), cloud)
    elif kind == "sync":
        steps = _sync(provider_app.current(), clouds.CLOUDS[Cloud.GLOBAL].azure_portal)
    else:
        steps = _pbx(tenant, cloud, server)
    return Guide(kind, TITLES[kind], tuple(steps), _notes(kind, cloud))


def redirect_uri() -> str:
    """Where Microsoft sends people back to: one address for all customers (decision 16)."""
    return provider_app.current().redirect_uri or provider_app.default_redirect_uri()


def _notes(kind: str, cloud: clouds.Cloud) -> tuple[str, ...]:
    if kind == "sync":
        elsewhere = (
            "This customer lives in a cloud that cannot know the provider's app: it needs one of its own."
        )
        beyond = (
            f"{' and '.join(BEYOND_THE_LIST)} are not in the vendor's list; Microsoft wants them for reading the "
            "organisation's name and licences. Add them to an older app; each customer then consents again."
        )
        return (beyond,) if cloud.key == Cloud.GLOBAL else (elsewhere, beyond)
    if kind == "pbx":
        return (
            "EWS.AccessAsUser.All is for Exchange Web Services, which Microsoft is retiring for Exchange Online.",
            "Older guides also list Mail.Read, Mail.ReadWrite and Mail.Send, which no public client can use.",
        )
    if kind == "own":
        return ("Hand the secret over safely: paste it here yourself, never into a mail or a chat.",)
    return ()


# --- The customer's own app (APP-14, APP-15) ------------------------------------------------------------------
def _own(
    tenant: Tenant, stored: Connection | None, granted: frozenset[str], cloud: clouds.Cloud
) -> Iterator[Step]:
    portal = cloud.azure_portal
    own = stored if stored is not None and stored.app_owner == AppOwner.CUSTOMER else None
    secret = own.secret if own else None
    least = _asked(PROFILES[KINDS["own"]], granted)
    ids = (Value("Application (client) ID", str(own.client_id)),) if own else ()
    yield Step(
        "Register the app",
        "An administrator of the customer opens App registrations, chooses New registration and enters these values.",
        own is not None,
        (
            Value("Name", f"Voice portal for {tenant.name}"),
            Value(
                "Supported account types", "Accounts in this organizational directory only (single tenant)"
            ),
            Value("Redirect URI, platform Web", redirect_uri()),
        ),
        link=_link(portal, "ApplicationsListBlade", "App registrations"),
    )
    yield _ids(tenant, ids)
    yield from _own_permissions(least, granted, there=own is not None)
    yield Step(
        "Grant admin consent",
        "Choose Grant admin consent and confirm with Yes. Without it the permissions are asked for, but not given.",
        _all_there(least) if own else False,
        link=_permissions_link(portal, own),
    )
    months = installation.get("own_secret_months")
    yield Step(
        "Create a client secret, or upload a certificate",
        "Copy the column Value at once: it is shown this one time, and the Secret ID beside it is of no use. "
        "Where the organisation's rules forbid so long a life, choose a shorter one.",
        secret is not None,
        (Value("Description", f"Voice portal for {tenant.name}"), Value("Expires", f"{months} months")),
        link=_credentials_link(portal, own),
    )
    yield _renews_itself(granted, own, cloud)
    yield Step(
        "Give the app a directory role",
        "Deploy needs Teams Administrator on the app, under Roles and administrators; so do users and numbers in the "
        "clouds of the US government and of China.",
        optional=True,
    )
    yield Step(
        "Enter it here",
        "Choose Migrate on this page and enter client ID and secret; the portal proves them before it uses them.",
        own is not None and own.usable,
    )


def _own_permissions(least: tuple[Asked, ...], granted: frozenset[str], *, there: bool) -> Iterator[Step]:
    yield Step(
        "Add the permissions",
        "Under API permissions choose Microsoft Graph, Application permissions. The portal uses these and no others.",
        there and _all_there(least),
        permissions=least,
    )
    writing = _asked(PROFILES["changes"], granted)
    yield Step(
        "Let the portal write",
        "For changes of users, numbers, policies and memberships made here. Without these the portal only reads.",
        there and _all_there(writing),
        permissions=writing,
        optional=True,
    )
    yield Step(
        "Add the longer list",
        "The vendor's list for voice features. Add it only when those are to be used; it lets the app change users.",
        permissions=tuple(
            one for one in _asked(PROFILES["custom_app"], granted) if one not in (*least, *writing)
        ),
        optional=True,
    )


def _renews_itself(granted: frozenset[str], own: Connection | None, cloud: clouds.Cloud) -> Step:
    """What lets the portal renew the secret without anybody's help."""
    app = str(own.client_id) if own else "CLIENT-ID"
    commands = (
        f"$a = Get-MgApplication -Filter \"appId eq '{app}'\"; "
        f"$p = Get-MgServicePrincipal -Filter \"appId eq '{app}'\"; "
        "New-MgApplicationOwnerByRef -ApplicationId $a.Id -BodyParameter "
        f"@{{'@odata.id'=\"{cloud.graph_root}/v1.0/directoryObjects/$($p.Id)\"}}"
    )
    return Step(
        "Let the portal renew the secret",
        "With this permission, and the app as an owner of its own registration, the portal renews the secret before "
        "it ends. The owner is set in PowerShell (module Microsoft.Graph).",
        RENEWS_ITSELF in granted if own else False,
        (Value("PowerShell", commands),),
        _ask((RENEWS_ITSELF,), "Application", granted),
        optional=True,
    )


# --- The provider's app (APP-01 to APP-13) ---------------------------------------------------------------------
def _sync(app: ProviderApp, portal: str) -> Iterator[Step]:
    known = app.client_id is not None
    ids = [Value("Application (client) ID", str(app.client_id))] if known else []
    months = installation.get("provider_secret_months")
    yield Step(
        "Register the app in the provider's own tenant",
        "Once for this installation; customers are connected through it. It needs no Microsoft 365 licence.",
        known,
        (
            Value("Name", "UMP Portal"),
            Value("Supported account types", "Accounts in any organizational directory (multitenant)"),
            Value("Redirect URI, platform Web", redirect_uri()),
            *ids,
        ),
        link=_link(portal, "ApplicationsListBlade", "App registrations"),
    )
    yield Step(
        "Add the permissions",
        "Under API permissions: Delegated permissions of Microsoft Graph, and of Skype and Teams Tenant Admin API.",
        permissions=_asked(PROFILES[KINDS["sync"]], frozenset()),
    )
    yield Step(
        "Let the app work without a person",
        "Only for customers who are to use the provider's app on nobody's behalf: these, as Application permissions. "
        "Their administrator consents by the consent link on the customer's connection page.",
        permissions=(
            *_asked(PROFILES["directory_read"], frozenset()),
            *_asked(PROFILES["changes"], frozenset()),
        ),
        optional=True,
    )
    yield Step("Leave implicit grant off", NO_IMPLICIT)
    yield Step(
        "Allow public client flows",
        "Under Authentication, Advanced settings, set the switch to Yes. Only the sign-in by a code needs it.",
        optional=True,
    )
    yield Step(
        "Verify the publisher",
        "Give your Microsoft partner number (MPN ID) under Branding & properties: the consent page then names you.",
        optional=True,
    )
    yield Step(
        "Create a client secret",
        "Copy the column Value at once: it is shown this one time.",
        app.secret is not None,
        (Value("Description", "UMP Portal"), Value("Expires", f"{months} months")),
    )
    yield Step(
        "Enter it on Authentication Status",
        "Client Id, Client Secret and Redirect Uri, then Apply Changes.",
        known and app.secret is not None,
        link=("/authentication-status/", "Authentication Status"),
    )
    yield Step(
        "Prepare the customer's administrator",
        "Whoever consents needs Teams Administrator, or Teams Telephony Administrator and Skype for Business "
        "Administrator; for the consent itself Global Administrator or Privileged Role Administrator.",
    )


# --- A PBX (APP-18 to APP-21) ----------------------------------------------------------------------------------
def _pbx(tenant: Tenant, cloud: clouds.Cloud, server: str) -> Iterator[Step]:
    host = check_server(server) if server else "SERVER"
    yield Step(
        "Register the app",
        "An administrator of the customer opens App registrations and chooses New registration.",
        values=(
            Value("Name", f"PBX of {tenant.name}"),
            Value(
                "Supported account types", "Accounts in this organizational directory only (single tenant)"
            ),
        ),
        link=_link(cloud.azure_portal, "ApplicationsListBlade", "App registrations"),
    )
    yield Step(
        "Add the redirect URIs",
        "Under Authentication add the platform Mobile and desktop applications, and one address for each server, by "
        "name or IP address. Microsoft and this guide take https only.",
        values=(
            Value("Of the server", f"https://{host}/ClientOAuth"),
            Value("For desktop clients", f"{cloud.authority('common')}/oauth2/nativeclient"),
            Value("For desktop clients, older", "https://login.live.com/oauth20_desktop.srf"),
            Value("For desktop clients, with the client ID put in", "msalCLIENT-ID://auth"),
        ),
    )
    yield Step("Leave implicit grant off", NO_IMPLICIT)
    yield Step(
        "Add the permissions",
        "Under API permissions choose Microsoft Graph, Delegated permissions.",
        permissions=_asked(PROFILES[KINDS["pbx"]], frozenset()),
    )
    yield Step(
        "Grant admin consent",
        "Choose Grant admin consent and confirm with Yes; the page then shows each permission as granted.",
    )
    yield Step(
        "Enter three values on the PBX's page Additional Parameters",
        "AppID and Redirect URI are those of this registration.",
        values=(
            Value("Tenant ID", str(tenant.entra_tenant_id or "the customer's Directory (tenant) ID")),
            Value("Redirect URI", f"https://{host}/ClientOAuth"),
        ),
    )


def check_server(text: str) -> str:
    """The PBX's host name or IP address. Raises InvalidInput; an address with http is refused (APP-19)."""
    text = text.strip()
    if "://" in text:
        parts = urlsplit(text)
        if parts.scheme != "https":
            raise InvalidInput(field="server", why="the address must begin with https://; http is refused")
        text = parts.netloc
    bare, _, port = text.rpartition(":") if text.rpartition(":")[2].isdecimal() else (text, "", "")
    try:
        good = bool(ipaddress.ip_address(bare.strip("[]")))
    except ValueError:
        good = len(bare) <= 253 and SERVER_NAME.fullmatch(bare) is not None
    if not good or (port and not 0 < int(port) < 65_536):
        raise InvalidInput(
            field="server", why="it is not a host name such as pbx.contoso.com, or an IP address"
        )
    return text.lower()


# --- Parts ------------------------------------------------------------------------------------------------------
def _ids(tenant: Tenant, more: tuple[Value, ...]) -> Step:
    expected = (
        (Value("Directory (tenant) ID must read", str(tenant.entra_tenant_id)),)
        if tenant.entra_tenant_id
        else ()
    )
    return Step(
        "Compare the overview",
        "On the app's overview page compare the Directory (tenant) ID, and copy the Application (client) ID.",
        bool(more) or None,
        expected + more,
    )


def _asked(profile: Profile, granted: frozenset[str]) -> tuple[Asked, ...]:
    teams = Asked(
        "user_impersonation (Skype and Teams Tenant Admin API)",
        TEAMS_ADMIN_USER_IMPERSONATION,
        "Delegated",
        "administer Teams as the signed-in person",
        admin_consent=True,
    )
    return (
        *_ask(profile.application, "Application", granted),
        *_ask(profile.delegated, "Delegated", granted),
        *((teams,) if profile.teams_admin else ()),
    )


def _ask(names: Collection[str], kind: str, granted: frozenset[str]) -> tuple[Asked, ...]:
    return tuple(
        Asked(
            name,
            each.application if kind == "Application" else each.delegated,
            kind,
            each.purpose,
            each.admin_consent or kind == "Application",
            name in granted,
        )
        for name, each in ((name, PERMISSIONS[name]) for name in names)
    )


def _all_there(asked: Collection[Asked]) -> bool:
    return all(one.there for one in asked)


def _link(portal: str, blade: str, label: str) -> tuple[str, str]:
    return f"{portal}/{BLADE}{blade}", label


def _permissions_link(portal: str, own: Connection | None) -> tuple[str, str] | None:
    return _app_link(portal, "CallAnAPI", "API permissions", own.client_id) if own else None


def credentials_link(own: Connection | None) -> tuple[str, str] | None:
    """Where the customer's own app gets its secrets at Microsoft: address and label."""
    if own is None or own.app_owner == AppOwner.PROVIDER:
        return None
    return _credentials_link(clouds.CLOUDS[own.cloud].azure_portal, own)


def _credentials_link(portal: str, own: Connection | None) -> tuple[str, str] | None:
    return _app_link(portal, "Credentials", "Certificates & secrets", own.client_id) if own else None


def _app_link(portal: str, page: str, label: str, client_id: uuid.UUID) -> tuple[str, str]:
    return f"{portal}/{BLADE}ApplicationMenuBlade/~/{page}/appId/{client_id}", label
