"""The shell around every page: brand, tree, tabs and crumbs (SPEC decision 1).

An entry is there when its page exists and the person may use it; nothing is greyed out and nothing is dead.
Everything is worked out only when a template asks, because pages of an error must not query a broken database.
"""

import dataclasses
import functools
import uuid
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import Resolver404, resolve
from django.utils.functional import SimpleLazyObject

from accounts import branding
from tenants.abilities import TITLES, Ability
from tenants.access import Actor
from tenants.health import Health
from tenants.models import Tenant
from tenants.web import actor_of
from ump_portal.pages import tally


@dataclasses.dataclass(frozen=True)
class Entry:
    """A link of the tree or, with children, a group of links. `age` says when the count was made."""

    label: str
    url: str = ""
    icon: str = ""
    active: bool = False
    count: int = 0
    age: str = ""
    tone: str = ""
    children: tuple["Entry", ...] = ()
    open: bool = True


@dataclasses.dataclass(frozen=True)
class Tab:
    label: str
    url: str
    active: bool
    count: int = 0


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: brand, version, nav, tabs, what the search shows and more; a view's own wins."""
    return {
        "brand": SimpleLazyObject(branding.current),
        "version": settings.VERSION,
        "demo": settings.DEMO,
        "no_mail": not settings.EMAIL_URL,
        "nav": SimpleLazyObject(lambda: navigation(request)),
        "tabs": SimpleLazyObject(lambda: tabs(request)),
        "crumbs": SimpleLazyObject(lambda: crumbs(request)),
        "role_label": SimpleLazyObject(lambda: role_label(request)),
        "search_hint": SimpleLazyObject(lambda: search_hint(request)),
        "search_query": "",
    }


def navigation(request: HttpRequest) -> list[Entry]:
    """The tree for whoever is signed in; empty for nobody."""
    actor = signed_in(request)
    if actor is None:
        return []
    if actor.is_provider:
        return _provider_tree(request, actor)
    return _customer_tree(request, actor)


def signed_in(request: HttpRequest) -> Actor | None:
    user = getattr(request, "user", None)
    return actor_of(request) if user is not None and user.is_authenticated else None


# --- The provider's side ------------------------------------------------------------------------------------
def _provider_tree(request: HttpRequest, actor: Actor) -> list[Entry]:
    counted = tally.recent(actor)
    provider = actor.may(Ability.VIEW_PROVIDER)
    invites = any(actor.may(Ability.VIEW_INVITATIONS, each) for each in (None, *actor.tenant_roles))
    entries = [
        _entry(
            request,
            "Dashboard",
            "/",
            "layout-dashboard",
            exact=True,
            count=counted.health[Health.FAILED],
            age=counted.age,
            tone="bad",
        ),
        _entry(request, "Tenants", "/tenants/", "building-2", count=counted.total, age=counted.age),
        _entry(request, "Invitations", "/invitations/", "mail") if invites else None,
        _entry(request, "Authentication Status", "/authentication-status/", "shield-check"),
        _group(
            "Replication",
            "refresh-cw",
            _entry(request, "Queue", "/queue/", count=counted.commands["open"], age=counted.age),
            _entry(request, "Plans", "/replication/plans/"),
            _entry(request, "History", "/replication/history/"),
        ),
        _group(
            "SBC",
            "server",
            _entry(request, "Known SBCs", "/sbcs/") if provider else None,
            _entry(request, "Site Locations", "/sites/") if provider else None,
            _entry(request, "Prefixes", "/prefixes/") if provider else None,
            _entry(request, "Topology", "/topology/") if provider else None,
            _entry(request, "Scripts", "/scripts/") if provider else None,
        ),
        _entry(request, "Numbers", "/numbers/", "phone"),
        _entry(request, "Audit", "/audit/", "scroll-text"),
        _system(request, actor, provider=provider),
    ]
    return [entry for entry in entries if entry is not None]


def _system(request: HttpRequest, actor: Actor, *, provider: bool) -> Entry | None:
    return _group(
        "System",
        "settings",
        _entry(request, "Settings", "/settings/", exact=True) if provider else None,
        _entry(request, "Invitation Settings", "/settings/invitations/")
        if actor.may(Ability.VIEW_INVITATIONS)
        else None,
        _entry(request, "Branding", "/settings/branding/") if actor.may(Ability.CHANGE_SETTINGS) else None,
        _entry(request, "License", "/settings/license/") if provider else None,
        _entry(request, "DNS zone", "/settings/dns-zone/") if provider else None,
        _entry(request, "Resource account templates", "/resource-account-templates/") if provider else None,
        _entry(request, "Users & roles", "/settings/people/") if actor.may(Ability.MANAGE_PEOPLE) else None,
        _entry(request, "API clients", "/settings/api-clients/")
        if actor.may(Ability.MANAGE_TOKENS)
        else None,
        _entry(request, "Webhooks", "/settings/webhooks/") if actor.may(Ability.MANAGE_WEBHOOKS) else None,
    )


# --- A customer's side --------------------------------------------------------------------------------------
def _customer_tree(request: HttpRequest, actor: Actor) -> list[Entry]:
    own = own_tenant(request, actor)
    several = len(actor.tenant_roles) > 1
    chooser = _entry(request, "Your organisations", "/", "building-2", exact=True) if several else None
    if own is None:
        return [chooser] if chooser else []
    base = f"/tenants/{own}/"
    entries = [
        chooser,
        _entry(request, "Status", base, "activity", exact=True),
        _entry(request, "Microsoft 365 Settings", f"{base}connection/", "plug"),
        _entry(request, "Users", f"{base}users/", "users", also=(f"{base}changes/", f"{base}templates/")),
        _entry(request, "Numbers", f"{base}numbers/", "phone"),
        _entry(request, "Resource accounts", f"{base}resource-accounts/", "phone-forwarded"),
        _entry(request, "Groups", f"{base}groups/", "users-round"),
        _entry(request, "Sites", f"{base}sites/", "server"),
        _entry(request, "Prefixes", f"{base}prefixes/", "list-tree"),
        _entry(request, "Queue Changes", f"{base}queue/", "list-checks"),
        _entry(request, "History", f"{base}history/", "history"),
        _entry(request, "People", f"{base}people/", "id-card")
        if actor.may(Ability.MANAGE_PEOPLE, own)
        else None,
    ]
    return [entry for entry in entries if entry is not None]


def own_tenant(request: HttpRequest, actor: Actor) -> uuid.UUID | None:
    """The customer whose tree is shown: the page's, or the only one there is."""
    tenant: Tenant | None = getattr(request, "tenant", None)
    if tenant is not None:
        return tenant.id
    return next(iter(actor.tenant_roles)) if len(actor.tenant_roles) == 1 else None


# --- Tabs and crumbs of one customer ------------------------------------------------------------------------
TABS = (
    ("Overview", "", Ability.VIEW_TENANT),
    ("Users", "users/", Ability.VIEW_DIRECTORY),
    ("Numbers", "numbers/", Ability.VIEW_DIRECTORY),
    ("Resource accounts", "resource-accounts/", Ability.VIEW_DIRECTORY),
    ("Groups", "groups/", Ability.VIEW_DIRECTORY),
    ("Licences", "licences/", Ability.VIEW_DIRECTORY),
    ("Changes", "changes/", Ability.VIEW_DIRECTORY),
    ("Queue", "queue/", Ability.VIEW_QUEUE),
    ("History", "history/", Ability.VIEW_AUDIT),
    ("Connection", "connection/", Ability.VIEW_TENANT),
    ("Domains", "domains/", Ability.VIEW_TENANT),
    ("Sites", "sites/", Ability.VIEW_TENANT),
    ("Prefixes", "prefixes/", Ability.VIEW_TENANT),
    ("Deploy", "deploy/", Ability.MANAGE_SBC),
    ("Invitations", "invitations/", Ability.VIEW_INVITATIONS),
    ("People", "people/", Ability.MANAGE_PEOPLE),
    ("Edit", "edit/", Ability.EDIT_TENANT),
)
ANY_TENANT = f"/tenants/{uuid.UUID(int=0)}/"
"""Each customer has the same pages; looked up once a process."""


def tabs(request: HttpRequest) -> list[Tab]:
    """The tabs under a customer's header, on every page of that customer; none elsewhere.

    A customer's own people find the same pages in their tree.
    """
    actor, tenant = signed_in(request), getattr(request, "tenant", None)
    if actor is None or tenant is None or not actor.is_provider or tenant.deleted_at:
        return []
    base = f"/tenants/{tenant.id}/"
    rest = request.path.removeprefix(base)
    return [
        Tab(label, base + path, _covers(rest, path))
        for label, path, needs in TABS
        if actor.may(needs, tenant.id) and exists(ANY_TENANT + path)
    ]


def _covers(rest: str, path: str) -> bool:
    """A command's page belongs to the Queue, what Microsoft refused to the Connection."""
    if path == "queue/" and rest.startswith("commands/"):
        return True
    if path == "connection/" and rest.startswith("access-failures/"):
        return True
    if path == "invitations/" and rest == "invite/":
        return True
    return rest == path if path == "" else rest.startswith(path)


def crumbs(request: HttpRequest) -> list[dict[str, str]]:
    """Where one is: Tenants, then the customer, on a customer's pages."""
    actor, tenant = signed_in(request), getattr(request, "tenant", None)
    if actor is None or tenant is None or not actor.is_provider:
        return []
    trail = [{"label": "Tenants", "url": "/tenants/"}]
    base = f"/tenants/{tenant.id}/"
    return trail if request.path == base else [*trail, {"label": tenant.name, "url": base}]


def role_label(request: HttpRequest) -> str:
    """What the account menu says below the name."""
    actor = signed_in(request)
    if actor is None:
        return ""
    if actor.provider_role:
        return f"{TITLES[actor.provider_role]} of the provider"
    titles = sorted({TITLES[role] for role in actor.tenant_roles.values()})
    number = len(actor.tenant_roles)
    return (
        f"{', '.join(titles)} for {number} customer{'' if number == 1 else 's'}" if number else "No role yet"
    )


def search_hint(request: HttpRequest) -> str:
    """What may be looked for from every page."""
    actor = signed_in(request)
    if actor is not None and not actor.is_provider:
        return "Search users and groups"
    return "Search tenants, users, numbers"


# --- Parts --------------------------------------------------------------------------------------------------
@functools.lru_cache(maxsize=1024)
def exists(path: str) -> bool:
    """Whether this address has a page in this installation."""
    try:
        resolve(path)
    except Resolver404:
        return False
    return True


def _entry(
    request: HttpRequest,
    label: str,
    url: str,
    icon: str = "",
    *,
    exact: bool = False,
    count: int = 0,
    age: str = "",
    tone: str = "",
    also: tuple[str, ...] = (),
) -> Entry | None:
    """An entry for a page that is there; it stands out on that page, below it, and below what is `also` its."""
    if not exists(url):
        return None
    active = request.path == url if exact else request.path.startswith((url, *also))
    return Entry(label, url, icon, active=active, count=count, age=age, tone=tone)


def _group(label: str, icon: str, *children: Entry | None) -> Entry | None:
    there = tuple(child for child in children if child is not None)
    return Entry(label, icon=icon, children=there) if there else None
