"""What pages of the rooms below show of telephony: columns of the list of users, a card of one user's page."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import template

from directory.models import DirectoryUser
from telephony import numbers, selectors
from telephony.models import NumberKind, PhoneNumber, Stream, TeamsUser
from tenants.models import Tenant
from tenants.selectors import connection_of

register = template.Library()


@register.simple_tag
def voice_of(tenant: Tenant, rows: Iterable[Mapping[str, Any]]) -> dict[Any, TeamsUser]:
    """For a page of the list of users: what Teams says of each, in one query."""
    return selectors.of_users(tenant, [row["user"].object_id for row in rows])


@register.filter
def of_user(found: Mapping[Any, TeamsUser], one: DirectoryUser) -> TeamsUser | None:
    return found.get(one.object_id)


@register.inclusion_tag("telephony/_user.html")
def teams_card(tenant: Tenant, one: DirectoryUser) -> dict[str, Any]:
    """Number, licence and policies of one user, with their age, or why they are not known."""
    known = selectors.of_users(tenant, [one.object_id]).get(one.object_id)
    held = list(numbers.of(tenant).filter(target_id=one.object_id).order_by("category", "search")[:20])
    held_policies = selectors.policies_of(tenant, [one.object_id]).get(one.object_id, [])
    return {
        "tenant": tenant,
        "known": known,
        "numbers": [(each, numbers.chip(each), _kind(each)) for each in held],
        "policies": [(each.kind, each.name, each.via) for each in held_policies],
        "age": selectors.age(tenant, Stream.USERS, connection_of(tenant)),
    }


def _kind(one: PhoneNumber) -> str:
    return str(dict(NumberKind.choices).get(one.kind, one.kind))
