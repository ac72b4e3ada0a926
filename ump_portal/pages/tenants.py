"""The Tenants page: every customer with its state, licence and queue, in the columns of SPEC A3."""

import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from onboarding import selectors as onboarding
from replication import selectors as queue
from replication.selectors import TenantCounts
from tenants import deployment, health, licences, scope, selectors, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.deployment import Status
from tenants.models import Connection, DeployState, Plan, Tenant, Verification
from tenants.web import actor_of, list_view

STATUS_TONES = {Status.OK: "ok", Status.WARNING: "warn", Status.ERROR: "bad", Status.UNMONITORED: "neutral"}
STATUS_WORDS = {
    Status.OK: "OK",
    Status.WARNING: "Warning",
    Status.ERROR: "Error",
    Status.UNMONITORED: "Unmonitored",
}
LICENCES = {Plan.ESSENTIALS: "Essentials", Plan.ESSENTIALS_PLUS: "Essentials Plus", Plan.PRO: "Pro"}
COLUMNS = {
    "name": ("name", "id"),
    "state": ("deploy_state", "name", "id"),
    "replicated": ("last_replicated_at", "name", "id"),
    "licence": ("plan", "licensed_users", "name", "id"),
}
CHOICES: dict[str, tuple[str, Sequence[tuple[str, str]]]] = {
    "health": ("Health", [(name.value, health.TITLES[name]) for name in health.Health]),
    "state": ("State", list(DeployState.choices)),
    "plan": ("Service level", list(Plan.choices)),
    "expires": ("Expires", [(name, label) for name, label, *_ in health.HORIZON]),
}
BULK_ACTIONS = (
    ("replicate", "Queue Replication", "refresh-cw"),
    ("check", "Check Credentials", "shield-check"),
    ("pause", "Pause", "circle-pause"),
)
CSV_HEAD = (
    "Customer Name", "Domain", "Azure Tenant Id", "Service level", "Service", "Licensed users", "Enabled", "Paused",
    "State", "Health", "Last Verification Status", "When Last Verified", "Credential expires", "Last replication",
    "Users", "Groups", "Version",
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Row:
    """One customer as the table shows it."""

    tenant: Tenant
    key: str
    """Its id as it stands in addresses, a dozen times."""
    connection: Connection | None
    counts: TenantCounts
    status: Status
    sentence: str
    may_edit: bool
    may_delete: bool
    may_replicate: bool
    menu: list[dict[str, Any]]

    @property
    def tone(self) -> str:
        return STATUS_TONES[self.status]

    @property
    def state(self) -> str:
        return str(DeployState(self.tenant.deploy_state).label)

    @property
    def word(self) -> str:
        return STATUS_WORDS[self.status]

    @property
    def licence(self) -> str:
        return f"M365 - {LICENCES[Plan(self.tenant.plan)]} ({self.tenant.licensed_users})"


@list_view(needs=Ability.VIEW_TENANT)
def index(request: HttpRequest) -> HttpResponse:
    """The page itself; `#list` of it is what htmx takes while somebody types or sorts."""
    actor = actor_of(request)
    sort, order = tables.order_of(request.GET, COLUMNS, "name")
    found: Any = selectors.in_order(order, search=tables.search_of(request.GET))
    if tables.narrows(request.GET, "q"):
        found = matching(request.GET).order_by(*order)
    page = tables.page_of(request.GET, found)
    page.object_list = rows(actor, page.object_list)
    shown = tables.filters(request.GET, CHOICES)
    context = {
        "page": page,
        "noun": tables.noun(page),
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": tables.narrows(request.GET),
        "pools": licences.lately() if actor.may(Ability.VIEW_PROVIDER) else None,
        "sysadminkit": settings.VERSION,
        "bulk_actions": bulk_actions(request),
        "live_url": f"/tenants/live/?{'&'.join(f'id={row.tenant.id}' for row in page.object_list)}",
        "may_add": actor.may(Ability.ADD_TENANT),
        "unfinished": onboarding.number_unfinished() if actor.may(Ability.ADD_TENANT) else 0,
        "may_restore": actor.may(Ability.DELETE_TENANT),
        "why_not": [] if page.object_list else why_not(request.GET),
    }
    return render(request, "pages/tenants.html", context)


@list_view(needs=Ability.VIEW_TENANT)
@conditional_page
def live(request: HttpRequest) -> HttpResponse:
    """State, last replication and counters of the rows on somebody's screen, to be swapped in place."""
    ids = list(parse_ids(request.GET.getlist("id")))[: tables.SIZES[-1]]
    found = selectors.tenants().filter(id__in=ids)
    return render(request, "pages/tenants_live.html", {"rows": rows(actor_of(request), found)})


@list_view(needs=Ability.VIEW_TENANT)
def export(request: HttpRequest) -> HttpResponseBase:
    """What the filters let through, as CSV; sent while it is read."""
    found = matching(request.GET, told=True).order_by("name", "id")
    batches = tables.in_batches(found, lambda last: Q(name__gt=last.name) | Q(name=last.name, id__gt=last.id))
    return tables.csv_answer("tenants", CSV_HEAD, ([_csv(row) for row in batch] for batch in batches))


def matching(params: QueryDict, *, told: bool = False) -> QuerySet[Any]:
    """The customers of the scope that the address asks for; `told`: each with its health."""
    found: QuerySet[Any] = selectors.tenants(search=tables.search_of(params))
    wanted = {
        name: tables.choice_of(params, name, [value for value, _ in CHOICES[name][1]]) for name in CHOICES
    }
    if told or wanted["health"] or wanted["expires"]:
        found = health.with_health(found)
    if wanted["health"]:
        found = found.filter(health=wanted["health"])
    if wanted["state"]:
        found = found.filter(deploy_state=wanted["state"])
    if wanted["plan"]:
        found = found.filter(plan=wanted["plan"])
    return health.expiring(found, wanted["expires"])


def rows(actor: Actor, tenants: Iterable[Tenant]) -> list[Row]:
    """The rows of one page; two more queries, however many rows there are."""
    listed = list(tenants)
    ids = [tenant.id for tenant in listed]
    connections, counts = selectors.accesses_of(ids), queue.counts_of(ids)
    return [
        row(actor, tenant, connections.get(tenant.id), counts.get(tenant.id, TenantCounts()))
        for tenant in listed
    ]


def row(actor: Actor, tenant: Tenant, connection: Connection | None, counts: TenantCounts) -> Row:
    may, status = actor.abilities(tenant.id), deployment.status_of(tenant, connection)
    return Row(
        tenant=tenant,
        key=str(tenant.id),
        connection=connection,
        counts=counts,
        status=status,
        sentence=deployment.meaning(tenant, status),
        may_edit=Ability.EDIT_TENANT in may,
        may_delete=Ability.DELETE_TENANT in may,
        may_replicate=Ability.REPLICATE in may and not selectors.why_unread(tenant, connection),
        menu=_menu(tenant, may),
    )


def _menu(tenant: Tenant, may: frozenset[Ability]) -> list[dict[str, Any]]:
    base = f"/tenants/{tenant.id}/"
    found: list[dict[str, Any]] = [{"label": "Open", "url": base, "icon": "building-2"}]
    found.append({"label": "Connection", "url": f"{base}connection/", "icon": "plug"})
    if Ability.VERIFY_CONNECTION in may:
        found.append(
            {"label": "Check Credentials", "url": f"{base}check/", "icon": "shield-check", "post": True}
        )
    if Ability.MANAGE_SBC in may:
        found.append({"label": "Add SBC Site", "url": f"{base}sites/add/", "icon": "plus"})
        undo = tenant.deploy_state == DeployState.DEPLOYED
        word, path = ("Undo Deploy", "undo-deploy/") if undo else ("Deploy", "deploy/")
        found.append({"label": word, "url": f"{base}{path}", "icon": "rotate-ccw" if undo else "rocket"})
    if Ability.PAUSE_TENANT in may:
        word, icon = ("Resume", "circle-play") if tenant.paused_at else ("Pause", "circle-pause")
        found.append({"label": word, "url": f"{base}pause/", "icon": icon, "modal": True})
    return found


def bulk_actions(request: HttpRequest) -> list[dict[str, str]]:
    """Their addresses carry the filters, so that the preview can offer "all that match"."""
    actor = actor_of(request)
    needs = {
        "replicate": Ability.REPLICATE,
        "check": Ability.VERIFY_CONNECTION,
        "pause": Ability.PAUSE_TENANT,
    }
    anywhere = actor.abilities().union(*(actor.abilities(tenant_id) for tenant_id in actor.tenant_roles))
    asked = request.GET.urlencode()
    return [
        {"label": label, "icon": icon, "url": f"/tenants/bulk/{name}/" + (f"?{asked}" if asked else "")}
        for name, label, icon in BULK_ACTIONS
        if needs[name] in anywhere
    ]


# --- Why is it not here (complaint B 27) --------------------------------------------------------------------
def why_not(params: Mapping[str, str]) -> list[str]:
    """For a search without a hit: where the customer may be instead, in sentences. Empty without a search."""
    search = params.get("q", "").replace("\0", "").strip()[: tables.LONGEST_SEARCH]
    if not search:
        return []
    reasons = []
    elsewhere = selectors.tenants(search=search)
    if any(params.get(name) for name in CHOICES) and elsewhere.exists():
        names = ", ".join(elsewhere.values_list("name", flat=True)[:3])
        reasons.append(f"It is hidden by the filters: {names} would be shown without them.")
    removed = selectors.tenants(search=search, deleted=True).order_by("-deleted_at")
    reasons += [
        f"{tenant.name} was deleted on {tenant.deleted_at:%d %B %Y}; see Deleted customers."
        for tenant in removed[:3]
        if tenant.deleted_at
    ]
    if scope.require().tenants is not None:
        reasons.append("You look after some customers only; those of your colleagues are not searched.")
    reasons.append("Searched are the name, the domain and the whole Azure Tenant Id, not parts of the id.")
    return reasons


def parse_ids(given: Iterable[str]) -> Iterator[uuid.UUID]:
    """Those that are ids at all, each once."""
    for text in dict.fromkeys(given):
        try:
            yield uuid.UUID(text)
        except ValueError:
            continue


def _csv(tenant: Any) -> list[object]:
    return [
        tenant.name, tenant.domain, tenant.entra_tenant_id, tenant.get_plan_display(), tenant.get_service_display(),
        tenant.licensed_users, "yes" if tenant.enabled else "no", tenant.paused_at or "no",
        tenant.get_deploy_state_display(), health.TITLES[health.Health(tenant.health)],
        Verification(tenant.verification or "never").label, tenant.verified_at, tenant.expires_at,
        tenant.last_replicated_at, tenant.users_count, tenant.groups_count, tenant.version,
    ]  # fmt: skip
