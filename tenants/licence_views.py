"""System > License: the pools, what each scheme unlocks, and which customer holds how much (SHP-07..13, CHK-05)."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from tenants import licences, selectors, tables
from tenants.abilities import Ability
from tenants.web import actor_of, list_view

COLUMNS = {
    "name": ("name", "id"),
    "users": ("licensed_users", "name", "id"),
    "plan": ("plan", "name", "id"),
}


@list_view(needs=Ability.VIEW_PROVIDER)
def index(request: HttpRequest) -> HttpResponse:
    sort, order = tables.order_of(request.GET, COLUMNS, "name")
    search = tables.search_of(request.GET)
    page = tables.page_of(request.GET, selectors.tenants(search=search).order_by(*order))
    found = licences.pools()
    behind = selectors.tenants().exclude(version=settings.VERSION).count()
    context = {
        "page": page,
        "noun": tables.noun(page, "customers"),
        "sort": sort,
        "searched": search,
        "pools": found,
        "both": [found.tenants, found.users],
        "behind": behind,
        "multitenant": settings.VERSION,
        "may_edit": actor_of(request).may(Ability.EDIT_TENANT),
    }
    return render(request, "tenants/license.html", context)
