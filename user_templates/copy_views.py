"""Copying a template to other customers: who has it already, what a copy would lack there, and then the copy."""

import uuid
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from directory.browse import as_uuid
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.models import Tenant
from tenants.selectors import tenants
from tenants.web import actor_of, tenant_view
from user_templates import copying, selectors
from user_templates.copying import Fit
from user_templates.models import UserTemplate
from user_templates.views import WRITES, chip_of, url_of


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def copy(request: HttpRequest, tenant: Tenant, user_template_id: uuid.UUID) -> HttpResponse:
    """The customers to tick; those that were ticked with what a copy lacks there; and, confirmed, the copies."""
    row = selectors.get(tenant, user_template_id)
    if request.method != "POST":
        return _customers(request, tenant, row)
    ids = [found for text in request.POST.getlist("id")[: copying.MOST + 1] if (found := as_uuid(text))]
    if not ids:
        messages.info(request, "Nobody was chosen: tick some customers.")
        return SeeOther(request.path)
    fits = copying.copy(actor_of(request), row, ids, dry_run="confirm" not in request.POST)
    if "confirm" in request.POST:
        _tell(request, fits)
        return SeeOther(request.path)
    good = [each for each in fits if not each.refused]
    number = f"{len(good)} customer{'' if len(good) == 1 else 's'}"
    context = {
        "title": f"Copy {row.name} to {number}?",
        "fits": fits,
        "good": good,
        "form_action": request.path,
        "cancel_url": request.path,
        "submit": f"Copy to {number}",
    }
    return render(request, "user_templates/copy.html", context)


def _tell(request: HttpRequest, fits: list[Fit]) -> None:
    made = sum(each.made is not None for each in fits)
    if made:
        messages.success(
            request, f"{made} copied. A copy is off until somebody has seen what it would do there."
        )
    for each in fits:
        if each.refused:
            messages.warning(request, f"{each.tenant.name}: {each.refused}")


def _customers(request: HttpRequest, tenant: Tenant, row: UserTemplate) -> HttpResponse:
    with copying.reach(actor_of(request)):
        found = tenants(search=tables.search_of(request.GET)).exclude(id=tenant.id).order_by("name", "id")
        page = tables.page_of(request.GET, found)
        listed: list[Any] = list(page)
        twins = UserTemplate.objects.filter(tenant__in=[each.id for each in listed], name__iexact=row.name)
        by_customer = {each.tenant_id: each for each in twins.select_related("tenant")}
    context = {
        "tenant": tenant,
        "row": row,
        "url": url_of(row),
        "page": page,
        "noun": tables.noun(page, "customers"),
        "rows": [(each, _twin(by_customer.get(each.id))) for each in listed],
        "bulk_actions": [{"label": "Copy to these", "url": request.path, "icon": "copy"}],
    }
    return render(request, "user_templates/customers.html", context)


def _twin(row: UserTemplate | None) -> dict[str, Any] | None:
    return {"url": url_of(row), "chip": chip_of(row)} if row else None
