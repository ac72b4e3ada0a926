"""The app registration of one customer: its guide, migrating to its own, renewing its secret."""

import uuid
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.again import typed
from authstatus import guide as guides
from authstatus import helper_app, registration_keys, registrations, renewal, selectors
from authstatus.forms import CreateRegistrationForm, CredentialForm, KeyServiceForm
from authstatus.models import Check
from authstatus.registration_creation import STEPS
from authstatus.views import shown_secret
from core.errors import InvalidInput, NotFound, UmpError
from m365.registrations import CREATES
from replication.models import FINAL, Command, State
from tenants import provider_app, scope
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import AppOwner, Connection, Purpose, Secret, SecretKind, Standby, StandbyRole, Tenant
from tenants.selectors import connection_of
from tenants.web import actor_of, provider_view, tenant_view

WRITES = ("GET", "HEAD", "POST")
NOT_KNOWN = (
    "It is not known which one here is the portal's own. If Microsoft does not show that this is another one, it "
    "stays, and the command says what to do first."
)
"""Beside the question: whether it may be this one only a worker can tell, who opens what is sealed."""


def address(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/registration/"


@tenant_view(needs=Ability.VIEW_TENANT)
def registration(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """What there is, what is under way, what can be done about it, and the guide for doing it by hand."""
    actor, stored = actor_of(request), connection_of(tenant)
    kind = request.GET.get("guide", "own")
    kinds = [one for one in guides.KINDS if one != "sync" or actor.is_provider]
    if kind not in kinds:
        raise NotFound(thing="guide")
    server, wrong = request.GET.get("server", "")[:300], ""
    try:
        guide = guides.guide(kind, tenant, stored, granted(tenant, stored), server=server)
    except InvalidInput as error:
        wrong = str(error.fields.get("why", ""))
        guide = guides.guide(kind, tenant, stored, granted(tenant, stored))
    context = {
        "tenant": tenant,
        "guide": guide,
        "guides": [
            {"label": guides.TITLES[one], "url": f"?guide={one}", "active": one == kind} for one in kinds
        ],
        "server": server,
        "server_wrong": wrong,
        **_state(actor, tenant, stored),
    }
    return render(request, "authstatus/registration.html", context)


def granted(tenant: Tenant, stored: Connection | None) -> list[str]:
    """What the last check found in the token, if it was of the customer's own app as it is now."""
    latest: Check | None = selectors.checks(tenant).first()
    if latest is None or stored is None or (latest.at < stored.changed_at and not stored.usable):
        return []
    return list(latest.granted)


def _state(actor: Actor, tenant: Tenant, stored: Connection | None) -> dict[str, Any]:
    """Who is in, who waits, and the buttons that make sense."""
    rows = {row.role: row for row in Standby.objects.filter(tenant=tenant).select_related("secret")}
    may = actor.may(Ability.MANAGE_CONNECTION, tenant.id)
    candidate, former = rows.get(StandbyRole.CANDIDATE), rows.get(StandbyRole.FORMER)
    why_not, command = registrations.why_not_renewable(stored), _newest(tenant)
    return {
        "connection": stored,
        "facts": _facts(stored),
        "may_remove_helper": may and not helper_app.why_not(stored),
        "helper_removed": _last_removed(tenant),
        "keys": registration_keys.listed(tenant),
        "keys_link": guides.credentials_link(stored),
        "may_change": may,
        "candidate": candidate,
        "former": former,
        "moving": _moving(stored, candidate, former),
        "moving_title": waiting.get_purpose_display() if (waiting := candidate or former) else "",
        "command": command,
        "making": _making(command),
        "why_not_renewable": why_not,
        "may_renew": may and not why_not,
        "renew_what": _what(stored.secret if stored else None),
        "may_migrate": may and stored is not None and former is None,
        "may_create": may and stored is not None and not rows,
        "may_go_back": may and former is not None and former.purpose == Purpose.MIGRATION,
    }


def _facts(stored: Connection | None) -> list[tuple[str, Any, str]]:
    secret = stored.secret if stored else None
    ends = secret.expires_at if secret else None
    read = secret.ends_read_at if secret else None
    return [
        ("App registration", AppOwner(stored.app_owner).label if stored else None, ""),
        ("Client Id", stored.client_id if stored else None, ""),
        ("Signs in with", SecretKind(secret.kind).label if secret else None, ""),
        (
            "Ends",
            f"{ends:%d %b %Y}" if ends else None,
            f"as Microsoft said on {read:%d %b %Y}" if read else "as it was entered" if ends else "",
        ),
    ]


def _what(secret: Secret | None) -> str:
    """The word for people."""
    is_certificate = secret is not None and secret.kind == SecretKind.CERTIFICATE_KEY
    return renewal.CERTIFICATE if is_certificate else renewal.SECRET


def _moving(
    stored: Connection | None, candidate: Standby | None, former: Standby | None
) -> list[dict[str, Any]]:
    """For {% steps %}: where a migration or a renewal stands, who asked for it and when."""
    waiting = candidate or former
    if waiting is None or stored is None:
        return []
    rotation = waiting.purpose == Purpose.ROTATION
    new = f"new {_what(waiting.secret)}" if rotation else "new app registration"
    asked = {
        "title": f"The {new} was {'added at Microsoft' if rotation else 'entered'}",
        "text": f"Asked for by {waiting.set_by}.",
        "state": "done",
        "at": waiting.since,
    }
    proof = {"title": f"Prove the {new}", "state": "done" if former else "running"}
    if candidate is not None and candidate.problem:
        proof |= {"state": "failed", "text": str(candidate.problem.get("message", ""))}
    switch = {"title": "Use it", "state": "done" if former else "waiting"}
    last = {"title": "Remove the old one at Microsoft", "text": "After a few minutes of overlap."}
    if not rotation:
        kept = f" {former.get_app_owner_display()}, {former.client_id}, is kept until then." if former else ""
        last = {"title": "Forget the old way in", "text": f"Once a replication has gone well.{kept}"}
    return [asked, proof, switch, {**last, "state": "running" if former else "waiting"}]


def _making(command: Command | None) -> list[dict[str, str]]:
    """For {% steps %}: how far the making of a registration is, until the migration takes over."""
    if command is None or command.kind != registrations.CREATE or command.state == State.SUCCEEDED:
        return []
    done = command.checkpoint.get("done", [])
    left = [name for name in STEPS if name not in done]
    over = command.state in FINAL
    shown = [{"title": STEPS[name], "state": "done"} for name in done]
    if left:
        state = "failed" if over else "running"
        shown.append({"title": STEPS[left[0]], "state": state, "text": command.message})
    return shown + [{"title": STEPS[name], "state": "waiting"} for name in left[1:]]


def _last_removed(tenant: Tenant) -> Command | None:
    """When the provider's app was taken out of the organisation."""
    found = Command.objects.filter(tenant=tenant, kind=helper_app.REMOVE, state=State.SUCCEEDED)
    last: Command | None = found.order_by("-id").first()
    return last


def _newest(tenant: Tenant) -> Command | None:
    kinds = (registrations.MIGRATE, registrations.RENEW, registrations.CREATE)
    found: Command | None = Command.objects.filter(tenant=tenant, kind__in=kinds).order_by("-id").first()
    return found


# --- What is on it, and for whom ------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def key_service(request: HttpRequest, tenant: Tenant, key_id: uuid.UUID) -> HttpResponse:
    """Say which service uses a secret."""
    found = registration_keys.one(tenant, key_id)
    form = KeyServiceForm(request.POST or None, initial={"service": found.key.service} | typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            registration_keys.say_service(actor_of(request), tenant, key_id, form.cleaned_data["service"])
        except InvalidInput as error:
            add_error(form, error)
        else:
            return SeeOther(f"{address(tenant)}#keys")
    context = {
        "tenant": tenant,
        "title": f"Who uses {found.key.name or 'this one'}?",
        "ask": "A renewal takes away only what the portal alone uses. What another service uses too stays for it, "
        "and the portal gets one of its own.",
        "submit": "Save",
        "form": form,
        "form_action": f"{address(tenant)}keys/{key_id}/",
        "cancel_url": f"{address(tenant)}#keys",
    }
    status = 422 if form.errors else 200
    return render(request, "authstatus/registration_confirm.html", context, status=status)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def remove_key(request: HttpRequest, tenant: Tenant, key_id: uuid.UUID) -> HttpResponse:
    """Remove a secret that the portal does not use from the registration at Microsoft."""
    found = registration_keys.one(tenant, key_id)
    who = found.key.service or "Whoever uses it"
    return _confirmed(
        request,
        tenant,
        f"keys/{key_id}/remove",
        title=f"Remove {found.key.name or 'this one'} at Microsoft?",
        submit="Remove",
        ask=f"{who} can not sign in with it any more, at once, and nothing brings it back: another one would have to "
        f"be made. {NOT_KNOWN if found.perhaps_ours else 'What the portal itself uses stays.'}",
        act=lambda: _of_command(tenant, registration_keys.remove(actor_of(request), tenant, key_id)),
        danger=True,
    )


# --- What can be done ---------------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def migrate(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Migrate: enter the customer's own app; it is proven before it is used."""
    candidate = registrations.standby_of(tenant.id, StandbyRole.CANDIDATE, Purpose.MIGRATION)
    start = {"client_id": candidate.client_id, "cloud": candidate.cloud} if candidate else typed(request)
    form = CredentialForm(request.POST or None, initial=start)
    if request.method == "POST" and form.is_valid():
        try:
            command = registrations.migrate(actor_of(request), tenant, **form.credential())
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(
                request, "The new app registration is being proven; until then the old way stays in use."
            )
            return SeeOther(_of_command(tenant, command))
    context = {"tenant": tenant, "form": form, "secret": shown_secret(candidate)}
    return render(
        request, "authstatus/registration_migrate.html", context, status=422 if form.errors else 200
    )


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def create(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Have the customer's own app made at Microsoft, and migrate to it."""
    form = CreateRegistrationForm(request.POST or None)
    voice = form.is_valid() and form.cleaned_data["voice"]
    return _confirmed(
        request,
        tenant,
        "create",
        title=f"Create an app registration for {tenant.name}?",
        submit="Create",
        ask="Through the way in that is used now, the portal registers an app in the customer's own tenant, gives it "
        "the permissions that it needs, proves it, and takes the customer over. It needs the permissions "
        f"{' and '.join(CREATES)}; without them nothing is changed.",
        act=lambda: _of_command(tenant, registrations.create(actor_of(request), tenant, voice=voice)),
        form=form,
    )


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def renew(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Renew the credential at Microsoft, without a gap."""
    stored = connection_of(tenant)
    what = _what(stored.secret if stored else None)
    return _confirmed(
        request,
        tenant,
        "renew",
        title=f"Renew the {what} of {tenant.name}?",
        submit="Renew",
        ask=f"The portal adds a new {what} at Microsoft, proves it, uses it, and then removes the old one. "
        "Replication goes on all the while.",
        act=lambda: _of_command(tenant, registrations.renew(actor_of(request), tenant)),
    )


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def go_back(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Use the old way in again."""
    return _confirmed(
        request,
        tenant,
        "back",
        title=f"Go back to the old way into {tenant.name}?",
        submit="Go back",
        ask="The old credentials are used again. They are checked first, and replication waits for that.",
        act=lambda: _of_command(tenant, registrations.go_back(actor_of(request), tenant)),
    )


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def forget(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Forget what waits: the old way in, or a candidate that did not work out."""

    def act() -> str:
        registrations.forget_waiting(actor_of(request), tenant)
        return address(tenant)

    return _confirmed(
        request,
        tenant,
        "forget",
        title="Forget what is kept beside the connection?",
        submit="Forget it",
        ask="The credential that is kept beside the one in use is deleted here and can not be used any more. "
        "At Microsoft nothing changes.",
        act=act,
        danger=True,
    )


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=WRITES, fresh=True)
def remove_helper(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Take the provider's app out of the customer's organisation (APP-24)."""
    return _confirmed(
        request,
        tenant,
        "remove-provider-app",
        title=f"Remove the provider's app from {tenant.name}?",
        submit="Remove",
        ask="The provider's app is taken out of the customer's organisation at Microsoft, with everything that it "
        "was granted there. It can then no longer sign in: going back to it, or creating a registration through it, "
        "needs the consent of the customer's administrator anew. The customer's own app, which is in use, is not "
        "touched. Microsoft lets an administrator restore what was removed for 30 days.",
        act=lambda: _of_command(tenant, helper_app.remove(actor_of(request), tenant)),
        danger=True,
    )


@provider_view(needs=Ability.ROTATE_KEYS, methods=WRITES, fresh=True)
def renew_all(request: HttpRequest) -> HttpResponse:
    """The bad day: renew every credential that can be renewed."""
    if request.method == "POST":
        command = registrations.renew_all(actor_of(request))
        messages.info(request, "The renewals are being queued, one for each customer.")
        return SeeOther(f"/queue/{command.id}/")
    with scope.every("the renewals of all customers are counted before somebody asks for them"):
        count, others = registrations.count_renewable()
    why_not_own = registrations.why_app_not_renewable(provider_app.current())
    context = {
        "title": "Renew all credentials?",
        "submit": f"Renew {count + (not why_not_own):,}",
        "count": count,
        "others": others,
        "why_not_own": why_not_own,
        "form_action": request.path,  # for a dialog, which stands on another page
        "cancel_url": "/settings/",
        "danger": True,
    }
    return render(request, "authstatus/registration_renew_all.html", context)


def _confirmed(
    request: HttpRequest, tenant: Tenant, name: str, *, act: Callable[[], str], ask: str, **words: Any
) -> HttpResponse:
    """A dialog that says what will happen, and the act itself."""
    if request.method == "POST":
        try:
            return SeeOther(act())
        except UmpError as error:
            messages.error(request, f"{error.message} {error.advice}")
            return SeeOther(address(tenant))
    context = {
        "tenant": tenant,
        "ask": ask,
        "form_action": f"{address(tenant)}{name}/",
        "cancel_url": address(tenant),
        **words,
    }
    return render(request, "authstatus/registration_confirm.html", context)


def _of_command(tenant: Tenant, command: Command) -> str:
    return f"/tenants/{tenant.id}/commands/{command.id}/"
