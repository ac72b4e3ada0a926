"""Number ranges of a customer: how full they are, and adding, changing and removing them."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.errors import UmpError
from replication.words import Chip
from sites.models import Site
from telephony import ranges
from telephony.forms import RangeForm
from telephony.models import NumberRange
from telephony.ranges import Figures
from tenants import offers, tables
from tenants.abilities import Ability
from tenants.answers import leave_dialog
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

WRITES = ("GET", "HEAD", "POST")
ORDERS = {
    "number": ["span", "id"],
    "name": ["name", "id"],
    "kind": ["kind", "span", "id"],
    "numbers": ["numbers", "id"],
}
HEAD = (
    "Name", "From", "To", "Type", "Site", "Numbers", "Free", "Assigned", "Reserved", "Blocked", "Cooling",
    "Not at Microsoft", "Note",
)  # fmt: skip


def _base(tenant: Tenant) -> str:
    return f"/tenants/{tenant.id}/numbers/ranges/"


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    sort, order = tables.order_of(request.GET, ORDERS, "number")
    page = tables.page_of(
        request.GET, ranges.of_tenant(tenant, tables.search_of(request.GET)).order_by(*order)
    )
    why = offers.offered(tenant, "number_ranges")[1]
    may = actor_of(request).may(Ability.EDIT_TENANT, tenant.id)
    figures = ranges.figures(tenant, page)
    context = {
        "tenant": tenant,
        "page": page,
        "rows": [_row(tenant, row, figures[row.id], may=may) for row in page],
        "noun": tables.noun(page, "ranges"),
        "sort": sort,
        "chips": tables.chips(request.GET, []),
        "base": request.path,
        "may": may and not why,
        "may_act": may,
        "why_not": why,
    }
    return render(request, "telephony/ranges.html", context)


def _row(tenant: Tenant, row: NumberRange, told: Figures, *, may: bool) -> dict[str, Any]:
    url = f"{_base(tenant)}{row.uid}/"
    actions = [
        {"label": "Edit", "url": f"{url}change/", "icon": "pencil", "modal": True},
        {"label": "Remove", "url": f"{url}remove/", "icon": "trash-2", "danger": True, "modal": True},
    ]
    return {"row": row, "told": told, "chip": chip(told), "actions": actions if may else []}


def chip(told: Figures) -> Chip:
    """How full a range is."""
    left = f"{told.free:,} of {told.numbers:,} numbers are free"
    if told.used_up:
        return Chip("bad", "Used up", "None of its numbers is free")
    if told.few:
        return Chip("warn", "Nearly used up", left)
    return Chip("ok", "Numbers left", left)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def index_csv(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    rows = list(ranges.of_tenant(tenant, tables.search_of(request.GET)).order_by("span")[: ranges.MOST])
    figures = ranges.figures(tenant, rows)
    return tables.csv_answer("number-ranges", HEAD, iter([[_line(row, figures[row.id]) for row in rows]]))


def _line(row: NumberRange, told: Figures) -> list[object]:
    counts = [told.free, told.assigned, told.reserved, told.blocked, told.cooling, told.unknown]
    site = row.site.name if row.site else ""
    return [row.name, row.first, row.last, row.get_kind_display(), site, row.numbers, *counts, row.note]


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def add(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    form = RangeForm(request.POST or None, sites=_sites(tenant))
    if request.method == "POST" and form.is_valid():
        given = form.given()
        given.pop("version")
        try:
            made = ranges.add(actor_of(request), tenant, **given)
        except UmpError as error:
            add_error(form, error)
        else:
            messages.success(request, f"The range {made.name} has {made.numbers:,} numbers.")
            return leave_dialog(request, _base(tenant))
    return _ask(request, tenant, form, "Add number range", "add/")


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def change(request: HttpRequest, tenant: Tenant, range_id: uuid.UUID) -> HttpResponse:
    row = ranges.get(tenant, range_id)
    form = RangeForm(request.POST or None, sites=_sites(tenant), row=row)
    if request.method == "POST" and form.is_valid():
        try:
            ranges.change(actor_of(request), row, **form.given())
        except UmpError as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved.")
            return leave_dialog(request, _base(tenant))
    return _ask(request, tenant, form, f"Edit {row.name}", f"{row.uid}/change/")


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def remove(request: HttpRequest, tenant: Tenant, range_id: uuid.UUID) -> HttpResponse:
    row = ranges.get(tenant, range_id)
    if request.method == "POST":
        ranges.remove(actor_of(request), row)
        messages.success(request, f"The range {row.name} is removed.")
        return leave_dialog(request, _base(tenant))
    context = {
        "title": f"Remove {row.name}?",
        "row": row,
        "form_action": f"{_base(tenant)}{row.uid}/remove/",
        "cancel_url": _base(tenant),
        "submit": "Remove",
        "danger": True,
    }
    return render(request, "telephony/range_ask.html", context)


def _ask(request: HttpRequest, tenant: Tenant, form: RangeForm, title: str, path: str) -> HttpResponse:
    context = {
        "title": title,
        "form": form,
        "form_action": f"{_base(tenant)}{path}",
        "cancel_url": _base(tenant),
        "submit": "Save",
        "in_place": True,
    }
    return render(request, "telephony/range_ask.html", context, status=422 if form.errors else 200)


def _sites(tenant: Tenant) -> list[Site]:
    return list(Site.objects.filter(tenant=tenant).order_by("name"))
