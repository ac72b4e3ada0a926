"""The service card: one service of a customer, how it stands, and what mends it (SYN-13..16, SYN-21, M36-31)."""

import dataclasses
import datetime as dt

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from authstatus import revoking
from authstatus.views import own_words
from breakers import services as breakers
from core.kinds import WHO_TO_CUSTOMERS, Who
from invitations import selectors as invited
from replication.models import Command
from tenants.abilities import Ability
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.models import AppOwner, Connection, Method, Tenant, Verification
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view
from ump_portal.pages.attention import Action, Item, who_in_words

GRANT = "Grant Access usually clears it: an administrator of the organisation signs in at Microsoft."
MIGRATE = " Migrate does too, to an app registration of the organisation's own."
THEN = " Users are then read anew, and what waits goes on."


@dataclasses.dataclass(frozen=True)
class Standing:
    """The card's state: tone and word, what it means, and what mends it."""

    tone: str
    word: str
    text: str
    mends: str = ""


@dataclasses.dataclass(frozen=True)
class ServiceCard:
    service: str
    with_sync: bool
    standing: Standing
    rule: breakers.Rule | None
    rule_is_own: bool
    counted: int
    verified_at: dt.datetime | None
    buttons: list[tuple[str, str, str]]
    """Label, address, icon."""
    revocable: bool
    may_change: bool


def service_card(
    actor: Actor, tenant: Tenant, connection: Connection | None, check: Command | None
) -> ServiceCard:
    """At most one query more, where Max Access Failures is on."""
    rule = breakers.rule_of(connection) if connection else None
    may = actor.may(Ability.MANAGE_CONNECTION, tenant.id)
    own = connection is not None and (
        connection.max_access_failures is not None or connection.access_failure_window is not None
    )
    return ServiceCard(
        service=tenant.get_service_display(),
        with_sync=tenant.with_sync,
        standing=_standing(tenant, connection, check),
        rule=rule,
        rule_is_own=own,
        counted=breakers.counted(connection) if connection and rule and rule.failures else 0,
        verified_at=connection.verified_at if connection else None,
        buttons=_buttons(tenant, connection) if may else [],
        revocable=connection is not None,
        may_change=may,
    )


def _migratable(connection: Connection | None) -> bool:
    """Whether it signs in otherwise than by an app registration of its own."""
    own = (Method.APP, AppOwner.CUSTOMER)
    return connection is not None and (connection.method, connection.app_owner) != own


def _buttons(tenant: Tenant, connection: Connection | None) -> list[tuple[str, str, str]]:
    here = f"/tenants/{tenant.id}"
    found = [("Grant Access", f"{here}/grant-access/", "user-check")]
    if _migratable(connection):
        found.append(("Migrate", f"{here}/registration/migrate/", "arrow-right-left"))
    return found


def _standing(tenant: Tenant, connection: Connection | None, check: Command | None) -> Standing:  # noqa: PLR0911  a ladder
    mends = GRANT + (MIGRATE if _migratable(connection) else "") + THEN
    if not tenant.enabled:
        return Standing("neutral", "Disabled", "The service provider has switched it off here.")
    if connection is None:
        text = "The portal has no access to the organisation at Microsoft."
        if tenant.with_sync:
            return Standing("bad", "Not connected", f"{text} Nothing is read or written.", mends)
        return Standing("neutral", "Not connected", f"{text} Without sync it needs none.")
    if connection.degraded_at:
        text = (
            "Microsoft refused the portal as often as Max Access Failures allows. Users are not read and changes "
            "wait until access is proven again; nothing was switched off, and nothing is lost."
        )
        return Standing("bad", "Degraded", text, mends)
    if check is not None:
        return Standing("busy", "Checking", "Validating credentials, please wait!")
    if connection.verification in {Verification.FAILED, Verification.NO_TOKEN}:
        text = f"The last check said: {connection.problem_message}" if connection.problem_message else ""
        return Standing("bad", "Access lost", f"{text} Users are not read and changes wait.".strip(), mends)
    if connection.verification == Verification.NEVER:
        return Standing(
            "neutral", "Never Performed", "Nobody has checked the access yet, so nothing is read."
        )
    if connection.held_at:
        text = (
            "Microsoft refused the portal since the last check, so changes wait until the next one succeeds."
        )
        return Standing("bad", "Access lost", text, mends)
    if tenant.paused_at:
        return Standing("info", "Paused", "The access works; the service provider has paused the work.")
    return Standing("ok", "Connected", "The access works, and every permission that is needed is there.")


URGENCY = {"bad": 0, "warn": 1}


def asked(actor: Actor, tenant: Tenant) -> list[Item]:
    """What stands open beside the troubles: an invitation that the customer's administrator has to follow."""
    invitation = invited.open_of(tenant)
    if invitation is None:
        return []
    may = actor.may(Ability.MANAGE_CONNECTION, tenant.id)
    here = f"/tenants/{tenant.id}/"
    action = (
        Action("Go on", f"{here}open-invitation/") if may else Action("See details", f"{here}connection/")
    )
    return [
        Item(
            "info",
            tenant,
            f"Tenant has open invitation. It was sent to {invitation.email}.",
            who_in_words(Who.CUSTOMER_ADMIN, actor),
            "Follow the link in that mail, or go on here: an administrator signs in at Microsoft and agrees.",
            invitation.created_at,
            action,
            "invitation_open",
            invitation.stage.label,
        )
    ]


def in_order(items: list[Item], actor: Actor) -> tuple[list[Item], list[Item]]:
    """(what is asked of the reader, what others look after); the provider's people have it all in one list.

    The most urgent first.
    """
    items = sorted(items, key=lambda item: URGENCY.get(item.tone, 2))
    if actor.is_provider:
        return items, []
    items = [
        dataclasses.replace(item, what=own_words(item.what), advice=own_words(item.advice)) for item in items
    ]
    mine = [item for item in items if item.who == WHO_TO_CUSTOMERS[Who.CUSTOMER_ADMIN]]
    return mine, [item for item in items if item not in mine]


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=("GET", "HEAD", "POST"), fresh=True)
def revoke(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Revoke access: what stops, what stays, and how to take the consent back at Microsoft too."""
    connection, base = connection_of(tenant), f"/tenants/{tenant.id}/"
    if request.method == "POST":
        if revoking.revoke(actor_of(request), tenant):
            messages.success(
                request, "Access was revoked here. Delete the enterprise application at Microsoft too."
            )
        return SeeOther(base)
    context = {
        "tenant": tenant,
        "connection": connection,
        "title": f"Revoke the access to {tenant.name}?",
        "danger": True,
        "submit": "Revoke access",
        "form_action": request.path,
        "cancel_url": base,
    }
    return render(request, "pages/revoke.html", context)
