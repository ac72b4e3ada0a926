"""One customer at a glance: the provider's Overview and the customer's own Status are the same page."""

import datetime as dt
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import conditional_page

from authstatus import selectors as checks_read
from authstatus import shown
from authstatus.commands import VERIFY
from authstatus.views import own_words
from onboarding import selectors as onboarding
from replication import selectors as queue
from replication import services as queue_services
from replication import watch, words
from replication.models import Command, State
from tenants import deployment, grants, health, offers
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.models import Connection, SecretKind, Tenant, Verification
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view
from ump_portal.pages import attention, status
from ump_portal.pages.tenants import LICENCES, STATUS_TONES, STATUS_WORDS

QUICK_SECONDS = 2
CALM_SECONDS = 10
RECENT = 6
YOUNG = dt.timedelta(minutes=10)
"""So long the steps of setting up stay in view after they are done."""
REPLICATIONS = ("quick_replication", "sync")


@tenant_view(needs=Ability.VIEW_TENANT, deleted=True)
def overview(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The page; of a deleted customer only the way back is shown, to whom it may concern."""
    actor = actor_of(request)
    if tenant.deleted_at:
        return _gone(request, actor, tenant)
    context = _live(actor, tenant) | {"may": _may(actor, tenant), "live_url": f"/tenants/{tenant.id}/live/"}
    return render(request, "pages/overview.html", context)


@tenant_view(needs=Ability.VIEW_TENANT)
@conditional_page
def live(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The inside of the page, asked for while somebody looks."""
    return render(request, "pages/overview_live.html", _live(actor_of(request), tenant))


@tenant_view(needs=Ability.PAUSE_TENANT, methods=("GET", "HEAD", "POST"))
def pause(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Pause or Resume: the kill switch of one customer. The dialog says which, and for how many commands."""
    base = f"/tenants/{tenant.id}/"
    paused = tenant.paused_at is not None
    if request.method == "POST":
        wanted = request.POST.get("to", "resume" if paused else "pause") == "pause"
        queue_services.pause_tenant(actor_of(request), tenant, paused=wanted)
        messages.success(
            request, f"{tenant.name} is paused; its commands wait." if wanted else f"{tenant.name} goes on."
        )
        return SeeOther(base)
    word = "Resume" if paused else "Pause"
    context = {
        "tenant": tenant,
        "paused": paused,
        "waiting": queue.counts_of([tenant.id]).get(tenant.id, queue.TenantCounts()),
        "title": f"{word} {tenant.name}?",
        "submit": f"{word} {tenant.name}",
        "form_action": f"{base}pause/",
        "cancel_url": base,
    }
    return render(request, "pages/pause.html", context)


def _gone(request: HttpRequest, actor: Actor, tenant: Tenant) -> HttpResponse:
    may_restore = actor.may(Ability.DELETE_TENANT, tenant.id)
    return render(request, "pages/overview_deleted.html", {"tenant": tenant, "may_restore": may_restore})


# --- What the page shows ------------------------------------------------------------------------------------
def _live(actor: Actor, tenant: Tenant) -> dict[str, Any]:
    connection = connection_of(tenant)
    recent = list(queue.commands(tenant)[:RECENT])
    counts = queue.counts_of([tenant.id]).get(tenant.id, queue.TenantCounts())
    steps, progress = _setting_up(tenant, connection)
    check = checks_read.under_way([tenant.id]).get(tenant.id)
    items = attention.of_tenant(actor, tenant, connection, check)
    broken = next((item for item in items if item.tone == "bad" and item.of_connection), None)
    next_cycle = _next_cycle(tenant, connection)
    busy = counts.executing > 0 or any(step["state"] == "running" for step in steps)
    offered = offers.of_tenant(tenant)
    items = [item for item in items if item is not broken and not (steps and item.tone == "busy")]
    items += status.asked(actor, tenant)
    mine, others = status.in_order(items, actor)
    return {
        "tenant": tenant,
        "connection": connection,
        "for_provider": actor.is_provider,
        "status": _status(tenant, connection),
        "items": mine,
        "others": others,
        "calm": not (items or broken or steps),
        "card": status.service_card(actor, tenant, connection, check),
        "problem": _problem(actor, connection, broken),
        "method": _method(connection),
        **shown.about(tenant),
        "counts": counts,
        "pending": queue.pending(tenant),
        "recent": [words.row(command, actor) for command in recent],
        "switch": queue.is_paused(),
        "silent_since": watch.silent_since() if counts.queued else None,
        "steps": steps,
        "ready": bool(steps) and all(step["state"] == "done" for step in steps),
        "progress": progress,
        "facts": _facts(tenant),
        "offers": offered,
        "offered": offers.tally(offered),
        "standing": _standing(connection),
        "next_cycle": next_cycle,
        "overdue": next_cycle is not None and next_cycle <= timezone.now(),
        "every": QUICK_SECONDS if busy else CALM_SECONDS,
        "may_replicate": actor.may(Ability.REPLICATE, tenant.id),
    }


def _problem(
    actor: Actor, connection: Connection | None, item: attention.Item | None
) -> dict[str, Any] | None:
    """What broke the connection, in full, with the button of its item; for partials/error_box.html."""
    if item is None:
        return None
    told = (
        attention.problem_of(connection.problem, actor)
        if connection and connection.problem
        else {"message": item.what, "advice": item.advice, "who": item.who}
    )
    if not actor.is_provider:
        told |= {"message": own_words(told["message"]), "advice": own_words(told["advice"])}
    return told | {"action_url": item.action.url, "action_label": item.action.label}


def _may(actor: Actor, tenant: Tenant) -> dict[str, bool]:
    return {
        "check": actor.may(Ability.VERIFY_CONNECTION, tenant.id),
        "replicate": actor.may(Ability.REPLICATE, tenant.id),
        "pause": actor.may(Ability.PAUSE_TENANT, tenant.id),
        "delete": actor.may(Ability.DELETE_TENANT, tenant.id),
        "onboard": actor.may(Ability.EDIT_TENANT, tenant.id) and bool(onboarding.open_of([tenant.id])),
    }


def _status(tenant: Tenant, connection: Connection | None) -> dict[str, str]:
    status = deployment.status_of(tenant, connection)
    return {
        "tone": STATUS_TONES[status],
        "word": STATUS_WORDS[status],
        "sentence": deployment.sentence(tenant, connection),
    }


def _standing(connection: Connection | None) -> dict[str, str]:
    """Last Verification Status as tone, icon and word (decision 6)."""
    if connection is None:
        return {"tone": "neutral", "icon": "circle-dashed", "word": "Not connected"}
    tone, icon = {
        Verification.SUCCESSFUL: ("ok", "circle-check"),
        Verification.NEVER: ("neutral", "circle-dashed"),
    }.get(Verification(connection.verification), ("bad", "circle-x"))
    return {"tone": tone, "icon": icon, "word": Verification(connection.verification).label}


def _method(connection: Connection | None) -> dict[str, Any]:
    """How it signs in, in words; nothing secret."""
    if connection is None:
        return {}
    secret = connection.granted or connection.secret
    if secret is None:
        return {
            "kind": "The provider's app registration",
            "no_end": "Its end is told on Authentication Status.",
        }
    unused = grants.ends_if_unused(connection)
    soon = secret.expires_at is not None and secret.expires_at < timezone.now() + health.SOON
    return {
        "kind": SecretKind(secret.kind).label,
        "account": connection.account,
        "hint": secret.hint,
        "set_by": secret.set_by,
        "set_at": secret.set_at,
        "expires_at": secret.expires_at,
        "no_end": f"Kept alive by use; unused it would end on {unused:%d %b %Y}." if unused else "",
        "soon": soon,
    }


def _facts(tenant: Tenant) -> list[tuple[str, Any, str]]:
    return [
        ("Azure Tenant Id", tenant.entra_tenant_id, ""),
        ("Domain", tenant.domain, ""),
        ("Licence", f"M365 - {LICENCES[tenant.plan]} ({tenant.licensed_users})", tenant.get_plan_display()),  # type: ignore[index]  # a Plan is its text
        ("Service", tenant.get_service_display(), "with sync" if tenant.with_sync else "without sync"),
        ("Version", tenant.version, "of this customer's data"),
        ("Added", f"{tenant.created_at:%d %b %Y}", ""),
    ]


def _next_cycle(tenant: Tenant, connection: Connection | None) -> dt.datetime | None:
    """When the automatic cycle comes; none while it is held."""
    held = tenant.paused_at or not tenant.enabled or not tenant.with_sync
    if connection is None or not connection.usable or held:
        return None
    return tenant.next_cycle_at


# --- The first minutes of a customer, as steps --------------------------------------------------------------
def _setting_up(tenant: Tenant, connection: Connection | None) -> tuple[list[dict[str, Any]], Any]:
    """(steps, progress of the running one); no steps once the first replication is done and checks are."""
    if connection is None:
        return [], None
    check = _newest(tenant, (VERIFY,))
    first = _newest(tenant, REPLICATIONS)
    young = timezone.now() - tenant.created_at < YOUNG
    settled = tenant.last_replicated_at or (connection.usable and not tenant.with_sync)
    if settled and not _open(check) and not young:
        return [], None
    stored = {"title": "Credentials stored", "state": "done", "text": "Sealed; only workers can open them."}
    stored["at"] = connection.changed_at  # type: ignore[assignment]  # the other values are words
    steps = [stored, _checking(connection, check)]
    if tenant.with_sync and (young or not tenant.last_replicated_at):
        steps += [_replicating(tenant, connection, first), _finished(tenant)]
    running = first if first and first.state == State.EXECUTING else check
    return steps, words.progress(running) if running else None


def _checking(connection: Connection, check: Command | None) -> dict[str, Any]:
    title = "Check of the credentials"
    if check is not None and _open(check) and check.state != State.SUSPENDED:
        text = "Validating credentials, please wait!"
        return {
            "title": title,
            "state": "running",
            "text": (check.message and f"{text} {check.message}") or text,
        }
    if connection.verification == Verification.SUCCESSFUL:
        text = "Signed in, and every permission that is needed is there."
        return {"title": title, "state": "done", "text": text, "at": connection.verified_at}
    if connection.verification == Verification.NEVER:
        return {"title": title, "state": "waiting", "text": "Nobody has asked for it yet."}
    return {
        "title": title,
        "state": "failed",
        "text": connection.problem_message,
        "at": connection.verified_at,
    }


def _replicating(tenant: Tenant, connection: Connection, command: Command | None) -> dict[str, Any]:
    title = "First replication of users, groups and memberships"
    if tenant.last_replicated_at:
        text = f"{tenant.users_count or 0:,} users and {tenant.groups_count or 0:,} groups were read."
        return {"title": title, "state": "done", "text": text, "at": tenant.last_replicated_at}
    if command is None or not connection.usable:
        return {"title": title, "state": "waiting", "text": "Starts by itself when the check has succeeded."}
    state = {
        State.QUEUED: "running",
        State.EXECUTING: "running",
        State.SUSPENDED: "suspended",
        State.SUCCEEDED: "done",
        State.FAILED: "failed",
        State.CANCELLED: "skipped",
    }[State(command.state)]
    said = command.message or words.chip(command).hint
    return {"title": title, "state": state, "text": said, "at": command.started_at}


def _finished(tenant: Tenant) -> dict[str, Any]:
    state = "done" if tenant.last_replicated_at else "waiting"
    return {"title": "In step", "state": state, "text": "From then on, changes arrive by themselves."}


def _newest(tenant: Tenant, names: tuple[str, ...]) -> Command | None:
    found: Command | None = queue.commands(tenant).filter(kind__in=names).first()
    return found


def _open(command: Command | None) -> bool:
    return command is not None and command.finished_at is None
