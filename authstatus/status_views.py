"""Authentication Status: the provider's own app, and every customer with how the portal signs in (NAV-02)."""

import functools
import uuid
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import conditional_page

from accounts import branding
from accounts.again import typed
from authstatus import registrations, runs, services, status
from authstatus.provider_check import VERIFY_APP
from authstatus.status_forms import ProviderAppForm
from authstatus.views import shown_secret
from core.errors import InvalidInput, NotFound
from replication import words
from replication.models import OPEN, Command, State
from replication.selectors import listed
from tenants import provider_app, scope, selectors, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import ProviderApp, Tenant
from tenants.web import actor_of, list_view, provider_view, tenant_view
from tenants.written import Written

WRITES = ("GET", "HEAD", "POST")
PAGE = "/authentication-status/"
View = Callable[..., HttpResponseBase]


def of_provider(view: View) -> View:
    """Behind a list's door: customers' own people are told nothing about this page, not even that it is there."""

    @functools.wraps(view)
    def through(request: HttpRequest, **kwargs: Any) -> HttpResponseBase:
        if not actor_of(request).is_provider:
            raise NotFound(thing="page")
        return view(request, **kwargs)

    return through


def may_verify(actor: Actor) -> bool:
    """Anybody's credentials at all."""
    return any(actor.may(Ability.VERIFY_CONNECTION, each) for each in (None, *actor.tenant_roles))


# --- The page -----------------------------------------------------------------------------------------------
@list_view(needs=Ability.VIEW_TENANT)
@of_provider
def index(request: HttpRequest) -> HttpResponse:
    return _page(request)


def _page(request: HttpRequest, form: ProviderAppForm | None = None) -> HttpResponse:
    """The whole page; with `form`, the provider's app is being changed."""
    actor = actor_of(request)
    sort, order = tables.order_of(request.GET, status.COLUMNS, "name")
    app = provider_app.current()
    page = tables.page_of(request.GET, status.ordered(request.GET, app, sort, order))
    page.object_list = status.rows(
        actor, page.object_list, app, tables.without(request.GET) if request.GET else ""
    )
    shown = tables.filters(request.GET, status.CHOICES)
    running = runs.running()
    context = {
        "page": page,
        "noun": tables.noun(page),
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": any(request.GET.get(name) for name in (*status.CHOICES, "q")),
        "summary": status.summary(),
        "live_url": f"{PAGE}live/?{'&'.join(f'id={row.tenant.id}' for row in page.object_list)}",
        "running": running,
        "progress": runs.progress([running])[running.id] if running else None,
        "may_verify": may_verify(actor),
        "broken": words.broken_lines(actor, branding.current().provider),
        "page_url": PAGE,
    }
    if actor.may(Ability.VIEW_PROVIDER):
        context |= _card(request, app, form)
    return render(request, "authstatus/status.html", context, status=422 if form and form.errors else 200)


@list_view(needs=Ability.VIEW_TENANT)
@of_provider
@conditional_page
def live(request: HttpRequest) -> HttpResponse:
    """Status of the rows on somebody's screen, to be swapped in place."""
    ids = list(_ids(request.GET.getlist("id")))[: tables.SIZES[-1]]
    rows = status.rows(actor_of(request), selectors.tenants().filter(id__in=ids), provider_app.current())
    return render(request, "authstatus/status_live.html", {"rows": rows})


def _ids(given: Iterable[str]) -> Iterator[uuid.UUID]:
    for text in given:
        try:
            yield uuid.UUID(text)
        except ValueError:
            continue


@list_view(needs=Ability.VIEW_TENANT)
@of_provider
def export(request: HttpRequest) -> HttpResponseBase:
    """What the filters let through, as CSV (AUT-18); sent while it is read."""
    found = status.matching(request.GET).order_by("name", "id")
    batches = tables.in_batches(found, lambda last: Q(name__gt=last.name) | Q(name=last.name, id__gt=last.id))
    lines = ([status.csv_row(tenant) for tenant in batch] for batch in batches)
    return tables.csv_answer("authentication-status", status.CSV_HEAD, lines)


@list_view(needs=Ability.VIEW_TENANT)
@of_provider
def update(request: HttpRequest) -> HttpResponse:
    """1 Update: what is stored now, new customers included (AUT-20, AUT-21). It changes nothing."""
    page = tables.page_of(request.GET, status.matching(request.GET).order_by("name", "id"))
    return render(request, "authstatus/status_update.html", {"page": page, "page_url": PAGE})


@tenant_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
def check(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Check Credentials of one row; back to the list as it was."""
    if not actor_of(request).is_provider:
        raise NotFound(thing="page")
    if request.method == "POST":
        services.check(actor_of(request), tenant)
        messages.info(request, f"Validating credentials of {tenant.name}, please wait!")
    return SeeOther(PAGE + (f"?{request.GET.urlencode()}" if request.GET else ""))


# --- The provider's own app ---------------------------------------------------------------------------------
@provider_view(needs=Ability.CHANGE_SETTINGS, methods=WRITES, fresh=True)
def set_app(request: HttpRequest) -> HttpResponse:
    """Change, and Apply Changes: store what was entered and have it checked at once."""
    actor = actor_of(request)
    initial = ProviderAppForm.stored(provider_app.current()) | typed(request)
    form = ProviderAppForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            services.set_provider_app(actor, **form.values())
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Validating credentials, please wait!")
            return SeeOther(PAGE)
    with scope.every("Authentication Status of somebody who may see every customer"):
        return _page(request, form)


@provider_view(needs=Ability.VERIFY_CONNECTION, methods=WRITES)
def check_app(request: HttpRequest) -> HttpResponse:
    """Check the provider's own app; what comes out stands on its card and on no customer."""
    if request.method == "POST":
        services.check_provider_app(actor_of(request))
        messages.info(request, "Validating credentials, please wait!")
    return SeeOther(PAGE)


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=WRITES, fresh=True)
def renew_app(request: HttpRequest) -> HttpResponse:
    """Renew the credential of the provider's own app, without a gap."""
    if request.method == "POST":
        try:
            command = registrations.renew_app(actor_of(request))
        except InvalidInput as error:
            messages.error(request, f"{error.message} {error.advice}")
            return SeeOther(PAGE)
        return SeeOther(f"/queue/{command.id}/")
    context = {
        "title": "Renew the credential of the provider's app?",
        "submit": "Renew",
        "ask": "The portal adds a new one at Microsoft, proves it, uses it, and then removes the old one. The "
        "customers who use this app notice nothing. It needs the permission Application.ReadWrite.OwnedBy in your "
        "own organisation, and the app must be an owner of its own registration; without that nothing is changed.",
        "form_action": f"{PAGE}app/renew/",
        "cancel_url": PAGE,
    }
    return render(request, "authstatus/registration_confirm.html", context)


@provider_view(needs=Ability.VIEW_PROVIDER)
@conditional_page
def app_live(request: HttpRequest) -> HttpResponse:
    """What the check of the provider's app says, while it is under way."""
    with scope.every("the provider's own checks"):
        context = _checked(provider_app.current())
    return render(
        request, "authstatus/status_app.html", context, status=200 if context["app_check_open"] else 286
    )


def _card(request: HttpRequest, app: ProviderApp, form: ProviderAppForm | None) -> dict[str, Any]:
    actor = actor_of(request)
    may_change = actor.may(Ability.CHANGE_SETTINGS)
    return {
        "form": form,
        "may_change": may_change,
        "may_renew_app": may_change and not registrations.why_app_not_renewable(app),
        "may_check_app": actor.may(Ability.VERIFY_CONNECTION) and app.secret is not None,
        "secret": shown_secret(app),
        "app_live_url": f"{PAGE}app/live/",
        **_checked(app),
    }


def _checked(app: ProviderApp) -> dict[str, Any]:
    """The card's state. Call it in the scope of every tenant: the command is the provider's."""
    by_kind = {command.kind: command for command in _OF_APP.rows()}
    last = by_kind.get(VERIFY_APP)
    is_open = last is not None and last.state in OPEN
    current = last is not None and last.state == State.SUCCEEDED and last.queued_at >= app.changed_at
    return {
        "app": app,
        "app_check": last,
        "app_check_open": is_open,
        "app_problem": app.problem | {"who": status.who_in_words(app.problem)} if app.problem else None,
        "renewal": _renewal(app, by_kind.get(registrations.RENEW_APP)),
        "untried": last is not None and (last.error or {}).get("code") == "provider_app_untried",
        "checklist": _checklist(app, last.result if last is not None and current else {}, checked=current),
        "app_days": (app.secret.expires_at - timezone.now()).days
        if app.secret and app.secret.expires_at
        else None,
    }


_OF_APP = Written(
    lambda: (
        listed(Command.objects.filter(tenant=None, kind__in=[VERIFY_APP, registrations.RENEW_APP]))
        .order_by("kind", "-id")
        .distinct("kind")
    )
)


def _renewal(app: ProviderApp, last: Command | None) -> Command | None:
    """The last renewal when it is under way, or failed for the credential in use."""
    if last is None or last.state in OPEN:
        return last
    return last if last.state == State.FAILED and last.queued_at >= app.changed_at else None


def _checklist(app: ProviderApp, found: dict[str, Any], *, checked: bool) -> list[dict[str, Any]]:
    """CHK-07, CHK-08 and AUT-30, in sentences: `fine` is None for what nobody knows."""
    ours = provider_app.default_redirect_uri()
    unread = "The app may not read its own registration, so look it up there yourself"
    unread = unread if checked else "A check of the app finds out, where your own organisation is given"
    return [
        {"fine": bool(app.client_id and app.secret), "text": "Client id and secret are there."},
        {
            "fine": app.redirect_uri == ours if app.redirect_uri else False,
            "text": f"The redirect is {ours}.",
            "hint": "Another host name is fine where it leads to this portal as well"
            if app.redirect_uri
            else "",
        },
        {
            "fine": found.get("redirect_registered"),
            "text": "The same URI is registered on the app at Microsoft.",
            "hint": unread if "redirect_registered" not in found else "",
        },
        {
            "fine": found.get("multi_tenant"),
            "text": "The app is open to accounts in any organizational directory.",
            "hint": unread if "multi_tenant" not in found else "",
        },
        {
            "fine": found.get("may_renew"),
            "text": "The portal may renew its credential.",
            "hint": "It needs Application.ReadWrite.OwnedBy in your own organisation, and to be an owner of itself. "
            "Until then somebody creates the next one under Certificates & secrets at Microsoft, enters it here, and "
            "removes the old one",
        },
    ]
