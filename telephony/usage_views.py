"""System > License > Usage: active users and resource accounts of each customer, by month, for billing."""

import datetime as dt
from typing import Any

from django.db.models import F, Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.errors import InvalidInput
from telephony import usage
from tenants import tables
from tenants.abilities import Ability
from tenants.models import Tenant
from tenants.web import list_view

ORDERS = {
    "name": ["name", "id"],
    "users": ["active_users", "name", "id"],
    "accounts": ["resource_accounts", "name", "id"],
    "licensed": ["licensed_users", "name", "id"],
}
HEAD = (
    "Month", "Customer", "Azure Tenant Id", "Service level", "Service", "Licensed users", "Active users",
    "Resource accounts", "Days counted", "Last counted", "Why not counted",
)  # fmt: skip


@list_view(needs=Ability.VIEW_PROVIDER)
def index(request: HttpRequest) -> HttpResponse:
    month = _month(request)
    choices = [(f"{each:%Y-%m}", f"{each:%B %Y}") for each in usage.months()]
    shown = tables.filters(request.GET, {"month": ("Month", choices)})
    sort, order = tables.order_of(request.GET, ORDERS, "name")
    by = [F(name[1:]).desc(nulls_last=True) if name.startswith("-") else name for name in order]
    page = tables.page_of(
        request.GET, usage.found(usage.of_month(month), tables.search_of(request.GET)).order_by(*by)
    )
    context = {
        "month": month,
        "page": page,
        "noun": tables.noun(page, "customers"),
        "sort": sort,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "base": request.path,
    }
    return render(request, "telephony/usage.html", context)


def _month(request: HttpRequest) -> dt.date:
    """The one that is asked for, or this one."""
    try:
        return usage.month_of(request.GET.get("month", ""))
    except InvalidInput:
        return usage.month_of("")


@list_view(needs=Ability.VIEW_PROVIDER)
def index_csv(request: HttpRequest) -> HttpResponseBase:
    month = _month(request)
    rows = usage.found(usage.of_month(month), tables.search_of(request.GET)).order_by("name", "id")
    batches = tables.in_batches(rows, lambda last: Q(name__gt=last.name) | Q(name=last.name, id__gt=last.id))
    lines = ([_line(month, one) for one in batch] for batch in batches)
    return tables.csv_answer(f"usage-{month:%Y-%m}", HEAD, lines)


def _line(month: dt.date, one: Tenant) -> list[object]:
    row: Any = one
    told = [row.active_users, row.resource_accounts, row.days, row.last_day, row.why]
    about = [one.name, one.entra_tenant_id, one.get_plan_display(), one.get_service_display()]
    return [f"{month:%Y-%m}", *about, one.licensed_users, *told]
