"""What pages of the rooms below show of changes: the card of a user, the actions of the list of users."""

from typing import Any

from django import template
from django.http import HttpRequest

from directory.models import DirectoryUser
from provisioning import selectors, words
from provisioning.views import FEATURE, base, may_edit
from tenants import offers
from tenants.abilities import Ability
from tenants.models import Tenant
from tenants.web import actor_of

register = template.Library()


@register.simple_tag
def user_actions(request: HttpRequest, tenant: Tenant) -> list[dict[str, Any]]:
    """For partials/bulk_bar.html: none for people who may not change users here."""
    if not may_edit(actor_of(request), tenant):
        return []
    return [{"label": "Edit together", "url": f"/tenants/{tenant.id}/users/edit-together/", "icon": "pencil"}]


@register.inclusion_tag("provisioning/_user.html")
def changes_card(request: HttpRequest, tenant: Tenant, one: DirectoryUser) -> dict[str, Any]:
    """What is wanted of a user and not there yet, and why nothing can be changed where that is so."""
    found = list(selectors.unsettled_of(tenant, one.object_id).values())
    left_waiting = bool(found) and selectors.commands(tenant)[0] is None
    actor = actor_of(request)
    return {
        "tenant": tenant,
        "user_shown": one,
        "rows": words.change_rows(found, selectors.groups_of(tenant, found), left_waiting=left_waiting),
        "base": base(tenant),
        "may": may_edit(actor, tenant),
        "why_not": offers.offered(tenant, FEATURE)[1] if actor.may(Ability.EDIT_USERS, tenant.id) else "",
    }


@register.simple_tag
def may_edit_users(request: HttpRequest, tenant: Tenant) -> bool:
    return may_edit(actor_of(request), tenant)
