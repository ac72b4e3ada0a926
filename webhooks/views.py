"""System > Webhooks: where events are sent, how it goes, and what can be done about it."""

import uuid
from collections.abc import Callable
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from accounts.again import typed
from accounts.models import User
from core.errors import Conflict, InvalidInput
from tenants import scope, tables
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, person_view, provider_view
from webhooks import digests, rotation, selectors, services
from webhooks.forms import EndpointForm, ReplayForm, RotateForm, names
from webhooks.models import Digest, Endpoint

WRITES = ("GET", "HEAD", "POST")
BASE = "/settings/webhooks/"


@provider_view(needs=Ability.MANAGE_WEBHOOKS)
def index(request: HttpRequest) -> HttpResponse:
    """The list, with how each is doing."""
    page = tables.page_of(request.GET, selectors.endpoints())
    rows = [(endpoint, state(endpoint), names(endpoint)) for endpoint in page]
    return render(request, "webhooks/index.html", {"page": page, "rows": rows})


@provider_view(needs=Ability.MANAGE_WEBHOOKS, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    """The form, and after it the signing secret, this one time."""
    form = EndpointForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            endpoint, secret = services.add(actor_of(request), **form.wish())
        except InvalidInput as error:
            add_error(form, error)
        else:
            return render(request, "webhooks/made.html", {"endpoint": endpoint, "value": secret}, status=201)
    return render(request, "webhooks/edit.html", {"form": form}, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_WEBHOOKS)
def one(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """One webhook: what it gets, and its last deliveries."""
    endpoint = selectors.endpoint(endpoint_id)
    with scope.every("how many events wait for a webhook"):
        waiting = selectors.waiting(endpoint).count()
    context = {
        "endpoint": endpoint,
        "state": state(endpoint),
        "customers": names(endpoint),
        "waiting": waiting,
        "page": tables.page_of(request.GET, selectors.deliveries(endpoint)),
    }
    return render(request, "webhooks/one.html", context)


@provider_view(needs=Ability.MANAGE_WEBHOOKS, methods=WRITES, fresh=True)
def edit(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    endpoint = selectors.endpoint(endpoint_id)
    initial = EndpointForm.values_of(endpoint) | typed(request)
    form = EndpointForm(request.POST or None, initial=initial, endpoint=endpoint)
    if request.method == "POST" and form.is_valid():
        try:
            services.change(actor_of(request), endpoint, **form.wish())
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved.")
            return SeeOther(f"{BASE}{endpoint.id}/")
    context = {"form": form, "endpoint": endpoint}
    return render(request, "webhooks/edit.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_WEBHOOKS, methods=WRITES)
def replay(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """Send again from a cursor."""
    endpoint = selectors.endpoint(endpoint_id)
    form = ReplayForm(request.POST or None, initial={"cursor": endpoint.cursor})
    if request.method == "POST" and form.is_valid():
        services.replay(actor_of(request), endpoint, form.cleaned_data["cursor"])
        messages.success(request, "The events are being sent again.")
        return SeeOther(f"{BASE}{endpoint.id}/")
    context = {"form": form, "endpoint": endpoint}
    return render(request, "webhooks/replay.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_WEBHOOKS, methods=WRITES, fresh=True)
def rotate(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
    """A new signing secret, shown this one time; the old one signs too for a while."""
    endpoint = selectors.endpoint(endpoint_id)
    form = RotateForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            changed, value = rotation.rotate(actor_of(request), endpoint, **form.cleaned_data)
        except Conflict as error:
            add_error(form, error)
        else:
            context = {"endpoint": changed, "value": value, "renewed": True}
            return render(request, "webhooks/made.html", context, status=201)
    context = {"form": form, "endpoint": endpoint}
    return render(request, "webhooks/rotate.html", context, status=422 if form.errors else 200)


def _act(
    path: str,
    title: str,
    said: str,
    explained: str,
    act: Callable[[Actor, Endpoint], Any],
    *,
    danger: bool = False,
) -> Callable[..., HttpResponseBase]:
    """A view that asks, and then does one thing to one webhook."""

    @provider_view(needs=Ability.MANAGE_WEBHOOKS, methods=WRITES)
    def view(request: HttpRequest, endpoint_id: uuid.UUID) -> HttpResponse:
        endpoint = selectors.endpoint(endpoint_id)
        if request.method == "POST":
            act(actor_of(request), endpoint)
            messages.success(request, said.format(name=endpoint.name))
            return SeeOther(BASE if danger else f"{BASE}{endpoint.id}/")
        context = {
            "endpoint": endpoint,
            "explained": explained,
            "title": f"{title}: {endpoint.name}?",
            "submit": title,
            "danger": danger,
            "form_action": f"{BASE}{endpoint.id}/{path}/",
            "cancel_url": f"{BASE}{endpoint.id}/",
        }
        return render(request, "webhooks/ask.html", context)

    return view


send_test = _act(
    "test",
    "Send test event",
    "A test event is on its way to {name}.",
    "An event of the type webhook.test goes to this webhook alone. It takes its turn behind what waits already.",
    services.send_test,
)
hold = _act(
    "hold",
    "Hold",
    "{name} is held; events wait.",
    "Nothing is sent until somebody resumes it. Events wait meanwhile for up to 90 days; older ones are forgotten.",
    lambda actor, endpoint: services.hold(actor, endpoint, f"Held by {actor.label}."),
)
resume = _act(
    "resume",
    "Resume",
    "{name} gets its events again.",
    "It goes on with the first event that was not taken.",
    services.resume,
)
remove = _act(
    "remove",
    "Remove",
    "{name} was removed.",
    "No event is sent there any more, and its signing secret is forgotten. This cannot be undone.",
    services.remove,
    danger=True,
)


drop_former = _act(
    "drop-old-secret",
    "End the old secret",
    "Calls to {name} are signed with the new secret alone.",
    "A receiver that still checks with the old signing secret refuses every call from now on. This cannot be undone.",
    rotation.drop_former,
)


def state(endpoint: Endpoint) -> tuple[str, str]:
    """Tone and word."""
    if endpoint.held_at:
        return "bad", "Held"
    if endpoint.failing_since:
        return "warn", "Failing"
    return ("ok", "Working") if endpoint.taken_at else ("neutral", "Nothing sent yet")


@person_view(methods=WRITES)
def digest(request: HttpRequest) -> HttpResponse:
    """A person's own wish for the daily mail, and what it would say now."""
    actor = actor_of(request)
    person = cast("User", request.user)
    if request.method == "POST":
        wanted = request.POST.get("wanted") == "yes"
        digests.wish(actor, person, wanted=wanted)
        messages.success(
            request, "You get the daily mail from tomorrow on." if wanted else "No daily mail any more."
        )
        return SeeOther("/settings/digest/")
    parts = digests.parts_for(actor)
    context = {
        "wanted": Digest.objects.filter(user=person).exists(),
        "text": digests.text_for(person, parts) if parts else "",
        "hour": digests.HOUR,
        "mail": bool(settings.EMAIL_URL),
    }
    return render(request, "webhooks/digest.html", context)
