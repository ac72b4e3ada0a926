"""The rows of Authentication Status: every customer, how the portal signs in, and what the last check said."""

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import (
    Case,
    DateTimeField,
    F,
    Q,
    QuerySet,
    Value,
    When,
)
from django.http import QueryDict
from django.utils import timezone

from accounts import installation
from authstatus import selectors as checks_read
from core.errors import UmpError, Who
from core.kinds import WHO_IN_WORDS
from replication.models import Command
from tenants import census, provider_app, scope, selectors, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.health import SOON, end_of_access
from tenants.models import AppOwner, Connection, Method, ProviderApp, Tenant, Verification
from tenants.recent import age
from tenants.written import Written

NO_CONNECTION = "none"
DEGRADED = "degraded"
METHODS = [*Method.choices, (NO_CONNECTION, "Not connected")]
STATES = [*Verification.choices, (DEGRADED, "Degraded"), (NO_CONNECTION, "Not connected")]
CHOICES: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "method": ("Auth Method", METHODS),
    "status": ("Status", STATES),
}
COLUMNS = {
    "name": ("name", "id"),
    "email": ("account", "name", "id"),
    "method": ("method", "name", "id"),
    "verified": ("verified_at", "name", "id"),
    "status": ("verification", "name", "id"),
    "ends": ("ends_at", "name", "id"),
}
METHOD_TONES = {Method.TOKEN: "ok", Method.APP: "info", Method.PASSWORD: "warn"}
CSV_HEAD = (
    "Customer Id", "M365 Email", "Authentication method", "App registration", "When Last Verified",
    "Last Verification Status", "Cause", "Who can fix it", "Secret ends",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One customer as the grid shows it."""

    tenant: Tenant
    connection: Connection | None
    check: Command | None
    """The check that is under way."""
    ends_at: dt.datetime | None
    may_check: bool
    menu: list[dict[str, Any]]

    @property
    def whose_app(self) -> str:
        """Beside App registration: the customer's own, or the provider's."""
        return str(AppOwner(self.connection.app_owner).label) if self.connection else ""

    @property
    def method(self) -> str:
        """In words, as each of these: Django's own way to a word makes a table of all choices for each."""
        return str(Method(self.connection.method).label) if self.connection else ""

    @property
    def days_left(self) -> int | None:
        return None if self.ends_at is None else (self.ends_at - timezone.now()).days

    @property
    def ends_tone(self) -> str:
        """Empty while there is plenty of time."""
        if self.ends_at is None or self.ends_at > timezone.now() + SOON:
            return ""
        return "bad" if self.ends_at <= timezone.now() else "warn"

    @property
    def cause(self) -> str:
        return self.connection.problem_message if self.connection else ""

    @property
    def who(self) -> str:
        return who_in_words(self.connection.problem) if self.connection else ""


def who_in_words(problem: dict[str, Any] | None) -> str:
    """Who can fix a stored problem; empty for none, or for a word that this version does not know."""
    who = str((problem or {}).get("who", ""))
    return WHO_IN_WORDS[Who(who)] if who in set(Who) else ""


# --- Which customers ----------------------------------------------------------------------------------------
def ordered(params: QueryDict, app: ProviderApp, sort: str, order: Sequence[str]) -> Any:
    """For a page: the customers that the address asks for. All of them by name need no columns to sort by."""
    if sort.removeprefix("-") == "name" and not tables.narrows(params):
        return selectors.in_order(order)
    return matching(params, app).order_by(*order)


def matching(params: QueryDict, app: ProviderApp | None = None) -> QuerySet[Any]:
    """The customers of the scope that the address asks for, with the columns to sort by.

    `app` is the provider's own, where it is at hand already.
    """
    search = tables.search_of(params)
    found = _with_connection(selectors.tenants(), app or provider_app.current())
    if search:
        found = found.filter(
            Q(name__icontains=search) | Q(domain__icontains=search) | Q(account__icontains=search)
        )
    method = tables.choice_of(params, "method", [value for value, _ in METHODS])
    status = tables.choice_of(params, "status", [value for value, _ in STATES])
    if method:
        found = found.filter(method=None if method == NO_CONNECTION else method)
    if status == DEGRADED:
        found = found.filter(degraded_at__isnull=False)
    elif status:
        found = found.filter(verification=None if status == NO_CONNECTION else status)
    return found


def _with_connection(found: QuerySet[Tenant], app: ProviderApp) -> QuerySet[Any]:
    shared = When(
        connection__app_owner=AppOwner.PROVIDER, connection__method=Method.APP, then=Value(_end_of(app))
    )
    names = ("account", "method", "app_owner", "verification", "verified_at", "degraded_at", "problem")
    return found.annotate(
        **{name: F(f"connection__{name}") for name in names},
        ends_at=Case(shared, default=end_of_access("connection__"), output_field=DateTimeField()),
    )


def _by_ours(connection: Connection) -> bool:
    """Whether it signs in by the provider's own app."""
    return connection.app_owner == AppOwner.PROVIDER and connection.method == Method.APP


def _end_of(app: ProviderApp) -> dt.datetime | None:
    return app.secret.expires_at if app.secret else None


@dataclasses.dataclass(frozen=True)
class Summary:
    """How many customers each method connects (AUT-28), for {% health_bar %}, and when they were counted."""

    shares: list[dict[str, Any]]
    age: str


def summary() -> Summary:
    """Over the scope in force, as of the last seconds."""
    counted = census.recent(scope.require().tenants)
    numbers = {method or NO_CONNECTION: number for method, number in counted.methods.items()}
    return Summary(
        [
            {
                "label": label,
                "tone": METHOD_TONES.get(Method(value), "") if value != NO_CONNECTION else "neutral",
                "count": numbers.get(value, 0),
                "url": f"/authentication-status/?method={value}",
            }
            for value, label in METHODS
        ],
        age(counted.at),
    )


# --- Their rows ---------------------------------------------------------------------------------------------
def rows(actor: Actor, found: Iterable[Tenant], app: ProviderApp, asked: str = "") -> list[Row]:
    """The rows of one page; two more queries, however many rows there are. `asked` is the page's query."""
    listed = list(found)
    ids = [tenant.id for tenant in listed]
    connections = {each.tenant_id: each for each in _CONNECTIONS.rows(ids)}
    checks = checks_read.under_way(ids)
    return [
        _row(actor, tenant, connections.get(tenant.id), checks.get(tenant.id), app, asked)
        for tenant in listed
    ]


_CONNECTIONS: Written[Any] = Written(
    lambda ids: (
        Connection.objects.filter(tenant_id__in=ids)
        .only(
            "tenant_id", "account", "method", "app_owner", "verification", "verified_at", "held_at", "problem"
        )
        .annotate(ends_at=end_of_access())
    )
)


def _row(
    actor: Actor, tenant: Tenant, connection: Any, check: Command | None, app: ProviderApp, asked: str
) -> Row:
    may_check = connection is not None and actor.may(Ability.VERIFY_CONNECTION, tenant.id)
    return Row(
        tenant=tenant,
        connection=connection,
        check=check,
        ends_at=connection and (_end_of(app) if _by_ours(connection) else connection.ends_at),
        may_check=may_check,
        menu=_menu(actor, tenant, connection, may_check, asked),
    )


def _menu(
    actor: Actor, tenant: Tenant, connection: Connection | None, may_check: bool, asked: str
) -> list[dict[str, Any]]:
    """What may be done to this customer's access, by this person, with its method (AUT-15..17)."""
    found: list[dict[str, Any]] = []
    base = f"/tenants/{tenant.id}/"
    if may_check:
        url = f"/authentication-status/{tenant.id}/check/{asked}"
        found.append({"label": "Check Credentials", "url": url, "icon": "shield-check", "post": True})
    if actor.may(Ability.MANAGE_CONNECTION, tenant.id):
        found += [
            {"label": label, "url": f"{base}{path}", "icon": icon, "modal": modal}
            for label, path, icon, modal, fits in WAYS
            if fits(connection)
        ]
    found.append({"label": "Connection", "url": f"{base}connection/", "icon": "plug"})
    return found


WAYS: tuple[tuple[str, str, str, bool, Callable[[Connection | None], bool]], ...] = (
    (
        "Switch to token",
        "switch-to-token/",
        "key-round",
        True,
        lambda stored: stored is not None and stored.method == Method.PASSWORD,
    ),
    (
        "Switch to password",
        "switch-to-password/",
        "lock",
        True,
        lambda stored: (
            stored is not None and stored.method == Method.TOKEN and bool(installation.get("allow_password"))
        ),
    ),
    ("Grant Access", "grant-access/", "user-check", True, lambda stored: True),
    (
        "Migrate",
        "registration/migrate/",
        "arrow-right-left",
        False,
        lambda stored: stored is not None and stored.app_owner == AppOwner.PROVIDER,
    ),
)
"""Further ways: label, page of the customer, icon, whether it opens in place, and for which connection."""


def csv_row(tenant: Any) -> list[object]:
    """One line of the export, of a customer from `matching`."""
    problem = tenant.problem or {}
    return [
        tenant.name,
        tenant.account or "none",
        Method(tenant.method).label if tenant.method else "Not connected",
        AppOwner(tenant.app_owner).label if tenant.app_owner else "none",
        tenant.verified_at or "never",
        Verification(tenant.verification).label if tenant.verification else "Not connected",
        UmpError.from_dict(problem).message if problem else "none",
        who_in_words(problem) or "nobody needs to",
        tenant.ends_at or "unknown",
    ]
