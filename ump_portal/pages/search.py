"""Search over everything that the person may see: customers, users, groups, phone numbers, commands by number."""

import dataclasses
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import OperationalError, connection, transaction
from django.db.models import Case, Count, QuerySet, SmallIntegerField, When
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode

from directory.browse import matching
from directory.models import DirectoryGroup, DirectoryUser
from directory.sync.reading import fold
from replication import selectors as queue
from replication import words
from replication.models import Command
from telephony import numbers as phones
from tenants import tables
from tenants.abilities import Ability
from tenants.access import Actor, tenants_for
from tenants.models import Tenant
from tenants.selectors import tenants
from tenants.web import actor_of, person_view
from ump_portal.pages import tenants as tenants_page

SHOWN = 20
ALL = 1_000
"""Matches that are fetched to be counted here; of more, the database is asked how many each customer has."""
PLACES = 10
"""Customers that are named with how many matches they have."""
SHORTEST = 2
SHORTEST_NUMBER = 3
"""Digits of a phone number."""
PATIENCE_MS = 2_000
"""A search over all customers' users may have to look at millions of rows; nobody waits longer than this."""

T = TypeVar("T")


@dataclasses.dataclass(frozen=True)
class Hit:
    name: str
    detail: str
    url: str
    tenant: Tenant | None = None


@dataclasses.dataclass(frozen=True)
class Place:
    """How many matches one customer has."""

    id: uuid.UUID
    name: str
    number: int


@dataclasses.dataclass(frozen=True)
class Found:
    """The best hits and, when there are more, where all of them are."""

    hits: list[Hit]
    places: list[Place] = dataclasses.field(default_factory=list)

    @property
    def number(self) -> int:
        return sum(place.number for place in self.places) or len(self.hits)

    @property
    def elsewhere(self) -> int:
        """Customers with matches beyond those that are named."""
        return max(0, len(self.places) - PLACES)

    @property
    def named(self) -> list[Place]:
        return self.places[:PLACES]


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
    people, gave_up = _ranked(_users, asked)
    groups, also = _ranked(_groups, asked)
    customers = _customers(asked)
    commands, numbers = _commands(actor, asked), _numbers(asked)
    nothing = not (people.hits or groups.hits or customers or commands or numbers)
    return {
        "too_short": False,
        "customers": customers,
        "users": people,
        "groups": groups,
        "commands": commands,
        "numbers": numbers,
        "gave_up": gave_up or also,
        "nothing": nothing,
        "why_not": why_not(actor, asked) if nothing else [],
        "most": SHOWN,
    }


def _ranked(look: Callable[[str, bool], Found], asked: str) -> tuple[Found, bool]:
    """The best matches or, where ranking all of them takes too long, some of them (and True)."""
    found, gave_up = _patiently(lambda: look(asked, True))
    if found is None:
        found, _ = _patiently(lambda: look(asked, False))
    return found or Found([]), gave_up


def _customers(asked: str) -> list[Hit]:
    found = tenants(search=asked).order_by(_rank(asked, "name", "domain"), "name", "id")
    return [Hit(one.name, one.domain or "no domain", f"/tenants/{one.id}/") for one in found[:SHOWN]]


def _users(asked: str, ranked: bool) -> Found:
    living = DirectoryUser.objects.filter(matching(asked), tenant__deleted_at=None)
    order = _rank(asked, "display_name", "user_principal_name", "mail", words="search")
    rows, places = _best(living, order if ranked else None)
    hits = [
        Hit(
            str(user),
            user.user_principal_name or user.mail,
            f"/tenants/{user.tenant_id}/users/{user.object_id}/",
            user.tenant,
        )
        for user in rows
    ]
    return Found(hits, places)


def _groups(asked: str, ranked: bool) -> Found:
    living = DirectoryGroup.objects.filter(matching(asked), tenant__deleted_at=None)
    order = _rank(asked, "display_name", "mail", words="search")
    rows, places = _best(living, order if ranked else None)
    hits = [
        Hit(str(group), group.kind, f"/tenants/{group.tenant_id}/groups/{group.object_id}/", group.tenant)
        for group in rows
    ]
    return Found(hits, places)


def _rank(asked: str, *columns: str, words: str = "") -> Case:
    """The very thing first, then what begins so, then (where `words` is folded text) words that are or begin so."""
    tests = [
        [f"{column}__iexact" for column in columns],
        [f"{column}__istartswith" for column in columns],
    ]
    ranks = [When(**{test: asked}, then=rank) for rank, group in enumerate(tests) for test in group]
    if words:
        word = f" {fold(asked)}"
        ranks += [
            When(**{f"{words}__contains": f"{word} "}, then=2),
            When(**{f"{words}__endswith": word}, then=2),
        ]
        ranks.append(When(**{f"{words}__contains": word}, then=3))
    return Case(*ranks, default=4, output_field=SmallIntegerField())


def _best(matches: QuerySet[Any], order: Case | None) -> tuple[list[Any], list[Place]]:
    """The first of them and, if there are more, how many each customer has; None is the order they come in.

    To find them costs more than anything else, so they are found once, as long as they are not very many.
    """
    if order is None:
        return list(matches.select_related("tenant").order_by()[:SHOWN]), []
    ranked = matches.order_by(order, "search", "tenant_id", "object_id")
    keys = list(ranked.values_list("tenant_id", "object_id")[:ALL])
    whole = matches.model.objects.select_related("tenant").in_bulk(keys[:SHOWN])
    best = [whole[key] for key in keys[:SHOWN] if key in whole]
    return best, _places(matches, keys) if len(keys) > SHOWN else []


def _places(matches: QuerySet[Any], keys: list[tuple[uuid.UUID, uuid.UUID]]) -> list[Place]:
    if len(keys) == ALL:
        counted = (
            matches.order_by().values_list("tenant_id", "tenant__name").annotate(number=Count("object_id"))
        )
        return [Place(*each) for each in counted.order_by("-number", "tenant__name")]
    numbers = Counter(tenant_id for tenant_id, _ in keys)
    names = tenants().filter(id__in=numbers).order_by("name").values_list("id", "name")
    found = [Place(key, name, numbers[key]) for key, name in names]
    return sorted(found, key=lambda place: place.number, reverse=True)


def _commands(actor: Actor, asked: str) -> list[Hit]:
    number = asked.removeprefix("#")
    if not (number.isascii() and number.isdecimal()) or len(number) > 15:
        return []
    found: Command | None = queue.commands().filter(id=int(number)).first()
    if found is None or not actor.may(Ability.VIEW_QUEUE, found.tenant_id):
        return []
    return [Hit(f"{words.title(found)} #{found.id}", words.chip(found).word, words.url(found), found.tenant)]


def _numbers(asked: str) -> list[Hit]:
    """Phone numbers by their digits; whose name was typed is found among the users."""
    if sum(sign.isdigit() for sign in asked) < SHORTEST_NUMBER or any(sign.isalpha() for sign in asked):
        return []
    found, _ = _patiently(
        lambda: list(phones.found(phones.of(), search=asked).select_related("tenant")[:SHOWN])
    )
    return [
        Hit(
            one.number,
            phones.chip(one).word,
            f"/tenants/{one.tenant_id}/numbers/?{urlencode({'q': one.number})}",
            one.tenant,
        )
        for one in found or ()
    ]


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
