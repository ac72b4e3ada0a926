"""A customer's domains: the list, one with its steps, and what can be done about it."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from core.errors import Conflict, InvalidInput, NotFound, UmpError
from domains import selectors, services
from domains.forms import DomainForm
from domains.models import CustomDomain, DomainState
from domains.selectors import Shown
from m365.permissions import DOMAIN_NEEDS, FOR_NEW_SITE
from replication.models import OPEN
from tenants import tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
ENDED = 286
"""htmx's polite end of polling."""
EVERY = 3
ROLES = " and ".join(FOR_NEW_SITE)
PERMISSIONS = ", ".join(need.least for need in DOMAIN_NEEDS)


def address(tenant: Tenant, row: CustomDomain | None = None) -> str:
    return f"/tenants/{tenant.id}/domains/" + (f"{row.id}/" if row else "")


@tenant_view(needs=Ability.VIEW_TENANT)
def index(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Every domain that the portal set up or sets up for the customer."""
    page = tables.page_of(request.GET, selectors.domains_of(tenant))
    why_not = services.why_not(tenant)
    context = {
        "tenant": tenant,
        "page": page,
        "rows": [(one, address(tenant, one.row)) for one in selectors.all_shown(list(page.object_list))],
        "why_not": why_not,
        "may_add": not why_not and actor_of(request).may(Ability.EDIT_TENANT, tenant.id),
        "add_url": f"{address(tenant)}add/",
    }
    return render(request, "domains/index.html", context)


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def add(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Say which domain; the rest is a command."""
    form = DomainForm(request.POST or None, initial={"name": _planned(tenant), "with_user": True})
    if request.method == "POST" and form.is_valid():
        try:
            row = services.begin(actor_of(request), tenant, **form.wish())
        except InvalidInput as error:
            add_error(form, error)
        except Conflict as error:
            form.add_error("name", f"{error.message} {error.advice}")
        else:
            return SeeOther(address(tenant, row))
    there = services.zone()
    context = {
        "tenant": tenant,
        "form": form,
        "zone": there,
        "why_not": services.why_not(tenant),
        "cancel_url": address(tenant),
        "connected": connection_of(tenant) is not None,
        "roles": ROLES,
        "permissions": PERMISSIONS,
    }
    return render(request, "domains/add.html", context, status=422 if form.errors else 200)


def _planned(tenant: Tenant) -> str:
    try:
        return services.planned_name(tenant)
    except UmpError:  # without a zone, or with a name of signs only, a person enters one
        return ""


@tenant_view(needs=Ability.VIEW_TENANT)
def one(request: HttpRequest, tenant: Tenant, domain_id: uuid.UUID) -> HttpResponse:
    """How far it is, live; the record to write; what can be done."""
    return render(request, "domains/one.html", _page(request, tenant, domain_id))


@tenant_view(needs=Ability.VIEW_TENANT)
@conditional_page
def live(request: HttpRequest, tenant: Tenant, domain_id: uuid.UUID) -> HttpResponse:
    context = _page(request, tenant, domain_id)
    return render(request, "domains/one_live.html", context, status=200 if context["busy"] else ENDED)


def _page(request: HttpRequest, tenant: Tenant, domain_id: uuid.UUID) -> dict[str, Any]:
    row = _one(tenant, domain_id)
    shown, release = selectors.shown(row), selectors.user_release(row)
    url = address(tenant, row)
    releasing = release is not None and release.state in OPEN
    return {
        "tenant": tenant,
        "domain": row,
        "shown": shown,
        "url": url,
        "every": EVERY,
        "busy": shown.busy or releasing,
        "releasing": releasing,
        "release": release,
        "facts": _facts(row),
        "record": bool(row.by_hand and row.text and "see" not in row.done),
        "may": _may(actor_of(request), tenant, shown),
        "roles": ROLES,
    }


def _one(tenant: Tenant, domain_id: uuid.UUID) -> CustomDomain:
    row: CustomDomain | None = selectors.domains_of(tenant).filter(id=domain_id).first()
    if row is None:
        raise NotFound(thing="domain")
    return row


def _may(actor: Actor, tenant: Tenant, shown: Shown) -> dict[str, bool]:
    """The buttons that make sense now, for who may press them."""
    allowed, row = actor.may(Ability.EDIT_TENANT, tenant.id), shown.row
    setting_up = row.state == DomainState.SETTING_UP
    kept = row.state == DomainState.REMOVING and not services.begun_removing(row)
    return {
        "look": allowed and shown.busy,
        "retry": allowed and (shown.stopped or row.state == DomainState.CANCELLED),
        "cancel": allowed and (setting_up or kept),
        "remove": allowed and row.state in {DomainState.READY, DomainState.CANCELLED, DomainState.SETTING_UP},
        "release": allowed and row.state == DomainState.READY and row.has_user,
    }


def _facts(row: CustomDomain) -> list[tuple[str, Any, str]]:
    user = "not yet" if row.with_user else "not wanted"
    if row.user_id:
        user = "removed" if row.user_removed_at else "there" if row.user_made else "was there before"
    verified = f"{row.verified_at:%d %b %Y, %H:%M} UTC" if row.verified_at else "not yet"
    return [
        ("TXT record", "written by hand" if row.by_hand else "written by the portal", ""),
        ("Verified by Microsoft", verified, ""),
        ("Activation user", user, ""),
        (
            "Its licence",
            row.licence or "none yet",
            "free again" if row.user_removed_at and row.licence else "",
        ),
        ("Asked for by", row.set_by, f"{row.began_at:%d %b %Y}"),
    ]


# --- Acts ---------------------------------------------------------------------------------------------------
def _at_once(act: Callable[[Actor, CustomDomain], Any], said: str) -> Callable[..., HttpResponseBase]:
    """A view for a button without a question."""

    @tenant_view(needs=Ability.EDIT_TENANT, methods=("POST",))
    def view(request: HttpRequest, tenant: Tenant, domain_id: uuid.UUID) -> HttpResponse:
        return _done(request, tenant, _one(tenant, domain_id), act, said)

    return view


def _asked(
    act: Callable[[Actor, CustomDomain], Any],
    path: str,
    submit: str,
    ask: str,
    said: str,
    *,
    danger: bool = False,
) -> Callable[..., HttpResponseBase]:
    """A view that asks first."""

    @tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
    def view(request: HttpRequest, tenant: Tenant, domain_id: uuid.UUID) -> HttpResponse:
        row = _one(tenant, domain_id)
        if request.method == "POST":
            return _done(request, tenant, row, act, said)
        context = {
            "tenant": tenant,
            "title": f"{submit}: {row.name}?",
            "submit": submit,
            "ask": ask,
            "danger": danger,
            "form_action": f"{address(tenant, row)}{path}/",
            "cancel_url": address(tenant, row),
            "cancel_label": "Back",
        }
        return render(request, "domains/ask.html", context)

    return view


def _done(
    request: HttpRequest,
    tenant: Tenant,
    row: CustomDomain,
    act: Callable[[Actor, CustomDomain], Any],
    said: str,
) -> HttpResponse:
    try:
        act(actor_of(request), row)
        messages.success(request, said)
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
    return SeeOther(address(tenant, row))


look = _at_once(services.look_now, "The portal looks again now.")
retry = _at_once(services.retry, "It goes on with the step that stopped.")
cancel = _asked(
    services.cancel,
    "cancel",
    "Stop",
    "Nothing more is done. What was done so far stays, here and at Microsoft; it can be taken up again, or removed.",
    "It was stopped.",
)
remove = _asked(
    services.remove,
    "remove",
    "Remove the domain",
    "The portal takes away what it made: the TXT record, the activation user, and the domain in the customer's "
    "organisation. While other users still have the domain, nothing is touched. Sites with names in it stop working.",
    "The domain is being removed.",
    danger=True,
)
release = _asked(
    services.release_user,
    "release",
    "Remove the activation user",
    "The user goes, and its licence is free again, if another user with this domain has Teams Phone. Otherwise it "
    "stays, or Microsoft Teams would forget the domain. The customer's administrator can restore it for 30 days.",
    "The portal looks whether it is still needed.",
    danger=True,
)
