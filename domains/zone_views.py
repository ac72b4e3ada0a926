"""System > DNS zone: where customers' names are made, and the key that may write there."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import conditional_page

from accounts.again import typed
from core.errors import Conflict, InvalidInput, UmpError
from domains import selectors, services
from domains.forms import ZoneForm
from domains.models import DnsZone
from tenants import scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, provider_view

WRITES = ("GET", "HEAD", "POST")
BASE = "/settings/dns-zone/"
ENDED = 286


@provider_view(needs=Ability.VIEW_PROVIDER)
def zone(request: HttpRequest) -> HttpResponse:
    """What is known of it, and how its last test went."""
    return render(request, "domains/zone.html", _page(actor_of(request)))


@provider_view(needs=Ability.VIEW_PROVIDER)
@conditional_page
def live(request: HttpRequest) -> HttpResponse:
    context = _page(actor_of(request))
    return render(request, "domains/zone_live.html", context, status=200 if context["testing"] else ENDED)


def _page(actor: Actor) -> dict[str, object]:
    row = services.zone()
    with scope.every("a command of the provider as a whole"):
        testing = selectors.zone_test()
    return {
        "zone": row,
        "testing": testing,
        "facts": _facts(row) if row else [],
        "may_change": actor.may(Ability.CHANGE_SETTINGS),
    }


def _facts(row: DnsZone) -> list[tuple[str, object, str]]:
    secret = row.secret
    return [
        ("Zone", row.name, ""),
        ("Records are written", "by the portal" if row.writable else "by hand", ""),
        ("Name server", row.server or None, ""),
        ("TSIG key", row.key_name or None, row.algorithm if row.key_name else ""),
        (
            "TSIG secret",
            f"set by {secret.set_by}" if secret else None,
            f"{secret.set_at:%d %b %Y}" if secret else "",
        ),
        ("Name servers to look at", ", ".join(row.lookup_servers) or "whoever serves the name", ""),
        (
            "Activation users",
            "removed when no longer needed" if row.release_user else "stay until somebody removes them",
            "",
        ),
    ]


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=WRITES, fresh=True)
def change(request: HttpRequest) -> HttpResponse:
    row = services.zone()
    form = ZoneForm(request.POST or None, initial=ZoneForm.values_of(row) | typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            services.set_zone(actor_of(request), **form.wish())
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. Press Test to see whether the portal can write there.")
            return SeeOther(BASE)
    secret = row.secret if row else None
    context = {"form": form, "zone": row, "secret": secret, "cancel_url": BASE}
    return render(request, "domains/zone_change.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=("POST",))
def test(request: HttpRequest) -> HttpResponse:
    """Write, look up and remove a record."""
    try:
        services.try_zone(actor_of(request))
    except UmpError as error:
        messages.error(request, f"{error.message} {error.advice}")
    return SeeOther(BASE)
