"""Search over everything that the person may see: customers, their users and groups, and commands by number."""

import dataclasses
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from directory.browse import matching
from directory.models import DirectoryGroup, DirectoryUser
from replication import selectors as queue
from replication import words
from replication.models import Command
from tenants import tables
from tenants.abilities import Ability
from tenants.access import Actor, tenants_for
from tenants.models import Tenant
from tenants.selectors import tenants
from tenants.web import actor_of, person_view
from ump_portal.pages import tenants as tenants_page

SHOWN = 20
SHORTEST = 2
PATIENCE_MS = 2_000
"""A search over all customers' users may have to look at millions of rows; nobody waits longer than this."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Hit:
    name: str
    detail: str
    url: str
    tenant: Tenant | None = None


@person_view()
def search(request: HttpRequest) -> HttpResponse:
    """The results by kind, some of each, with where to see all of them."""
    actor, asked = actor_of(request), tables.search_of(request.GET)
    context: dict[str, Any] = {"search_query": asked, "for_provider": actor.is_provider, "too_short": True}
    if len(asked) >= SHORTEST and (actor.provider_role or actor.tenant_roles):
        tenants_for(actor, needs=Ability.VIEW_TENANT)
        context |= _found(actor, asked)
    return render(request, "pages/search.html", context)


def _found(actor: Actor, asked: str) -> dict[str, Any]:
    people, gave_up = _patiently(lambda: _users(asked))
    groups, also = _patiently(lambda: _groups(asked))
    customers = _customers(asked)
    commands = _commands(actor, asked)
    nothing = not (people or groups or customers or commands)
    return {
        "too_short": False,
        "customers": customers,
        "users": people or [],
        "groups": groups or [],
        "commands": commands,
        "gave_up": gave_up or also,
        "nothing": nothing,
        "why_not": why_not(actor, asked) if nothing else [],
        "most": SHOWN,
    }


def _customers(asked: str) -> list[Hit]:
    return [
        Hit(found.name, found.domain or "no domain", f"/tenants/{found.id}/")
        for found in tenants(search=asked)[:SHOWN]
    ]


def _users(asked: str) -> list[Hit]:
    living = DirectoryUser.objects.filter(matching(asked), tenant__deleted_at=None)
    found = living.select_related("tenant").order_by()[:SHOWN]
    return sorted(
        (
            Hit(
                str(user),
                user.user_principal_name or user.mail,
                f"/tenants/{user.tenant_id}/users/{user.object_id}/",
                user.tenant,
            )
            for user in found
        ),
        key=lambda hit: hit.name,
    )


def _groups(asked: str) -> list[Hit]:
    living = DirectoryGroup.objects.filter(matching(asked), tenant__deleted_at=None)
    found = living.select_related("tenant").order_by()[:SHOWN]
    return sorted(
        (
            Hit(str(group), group.kind, f"/tenants/{group.tenant_id}/groups/{group.object_id}/", group.tenant)
            for group in found
        ),
        key=lambda hit: hit.name,
    )


def _commands(actor: Actor, asked: str) -> list[Hit]:
    number = asked.removeprefix("#")
    if not (number.isascii() and number.isdecimal()) or len(number) > 15:
        return []
    found: Command | None = queue.commands().filter(id=int(number)).first()
    if found is None or not actor.may(Ability.VIEW_QUEUE, found.tenant_id):
        return []
    return [Hit(f"{words.title(found)} #{found.id}", words.chip(found).word, words.url(found), found.tenant)]


def why_not(actor: Actor, asked: str) -> list[str]:
    """For a search without a hit: where it may be instead (complaint B 27)."""
    reasons = tenants_page.why_not({"q": asked}) if actor.is_provider else []
    unread = list(tenants().filter(last_replicated_at=None).values_list("name", flat=True)[:4])
    if unread:
        rest = "and others " if len(unread) > 3 else ""
        names = ", ".join(unread[:3])
        reasons.insert(0, f"Users of {names} {rest}are not known yet: they were not replicated so far.")
    reasons.append(
        "Users and groups are found by words of their name or address; the copy may be some minutes old."
    )
    return reasons


def _patiently(look: Callable[[], T]) -> tuple[T | None, bool]:
    """What the look finds, or (None, True) when it took too long."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [str(PATIENCE_MS)])
            found = look()
            cursor.execute("SELECT set_config('statement_timeout', '0', true)")
            return found, False
    except OperationalError as error:
        if "statement timeout" not in str(error):
            raise
        return None, True
