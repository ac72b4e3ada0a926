"""Editing, deleting and restoring a customer."""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.again import typed
from core.errors import Conflict, InvalidInput
from tenants import selectors, services, tables
from tenants.abilities import Ability
from tenants.answers import SeeOther, leave_dialog
from tenants.forms import DeleteForm, EditForm, add_error
from tenants.models import Tenant
from tenants.web import actor_of, list_view, tenant_view

WRITES = ("GET", "HEAD", "POST")


@tenant_view(needs=Ability.EDIT_TENANT, methods=WRITES)
def edit(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The form; when somebody was faster, what they stored and what was typed stand side by side."""
    if request.method != "POST":
        form = EditForm(initial=EditForm.values_of(tenant) | {"version": tenant.row_version})
        return render(request, "tenants/edit.html", {"tenant": tenant, "form": form})
    form = EditForm(request.POST)
    if form.is_valid():
        changes = {name: value for name, value in form.cleaned_data.items() if name != "version"}
        try:
            services.edit_tenant(actor_of(request), tenant, changes, version=form.cleaned_data["version"])
        except InvalidInput as error:
            add_error(form, error)
        except Conflict:
            return _overtaken(request, tenant, form)
        else:
            messages.success(request, f"{changes['name']} was saved.")
            return SeeOther(f"/tenants/{tenant.id}/")
    return render(request, "tenants/edit.html", {"tenant": tenant, "form": form}, status=422)


def _overtaken(request: HttpRequest, tenant: Tenant, form: EditForm) -> HttpResponse:
    """Nothing is lost: the typed values stay, and saving again is a decision made with open eyes."""
    now: Tenant = Tenant.objects.get(id=tenant.id)
    stored, typed = EditForm.values_of(now), form.cleaned_data
    differing = [
        {"label": form.fields[name].label, "stored": stored[name], "typed": typed[name]}
        for name in stored
        if stored[name] != typed[name]
    ]
    data = request.POST.copy()
    data["version"] = str(now.row_version)
    context = {"tenant": now, "form": EditForm(data), "differing": differing, "overtaken": True}
    return render(request, "tenants/edit.html", context, status=409)


@tenant_view(needs=Ability.DELETE_TENANT, methods=WRITES, fresh=True)
def delete(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Asks for the name, says what happens and how long it can be undone (decision 24)."""
    form = DeleteForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            services.delete_tenant(actor_of(request), tenant, typed_name=form.cleaned_data["typed_name"])
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, f"{tenant.name} was deleted. It can be restored for 30 days.")
            return leave_dialog(request, "/tenants/deleted/")
    context = {
        "tenant": tenant,
        "form": form,
        "in_place": True,
        "danger": True,
        "submit": f"Delete {tenant.name}",
        "title": f"Delete {tenant.name}?",
        "form_action": f"/tenants/{tenant.id}/delete/",
        "cancel_url": f"/tenants/{tenant.id}/",
        "days": services.RESTORABLE.days,
    }
    return render(request, "tenants/delete.html", context, status=422 if form.errors else 200)


@tenant_view(needs=Ability.DELETE_TENANT, methods=WRITES, deleted=True)
def restore(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Asks, while it can be restored; afterwards the customer's page says that it cannot."""
    if not tenant.deleted_at or (tenant.is_over and request.method != "POST"):
        return SeeOther(f"/tenants/{tenant.id}/")
    problem = ""
    if request.method == "POST":
        try:
            services.restore_tenant(actor_of(request), tenant)
        except InvalidInput as error:
            taken = error.code == "invalid_input"
            advice = "Rename or delete the other customer first." if taken else error.advice
            problem = f"{error.message} {advice}"
        else:
            messages.success(request, f"{tenant.name} is back, as it was. Its queue goes on.")
            return SeeOther(f"/tenants/{tenant.id}/")
    context: dict[str, Any] = {
        "tenant": tenant,
        "problem": problem,
        "submit": f"Restore {tenant.name}",
        "title": f"Restore {tenant.name}?",
        "form_action": f"/tenants/{tenant.id}/restore/",
        "cancel_url": "/tenants/deleted/",
    }
    return render(request, "tenants/restore.html", context, status=409 if problem else 200)


@list_view(needs=Ability.DELETE_TENANT)
def deleted(request: HttpRequest) -> HttpResponse:
    """Customers that can still be brought back, and those whose time is over, until the sweeper is through."""
    found = selectors.tenants(search=tables.search_of(request.GET), deleted=True).order_by(
        "-deleted_at", "id"
    )
    page = tables.page_of(request.GET, found)
    return render(request, "tenants/deleted.html", {"page": page, "searched": tables.search_of(request.GET)})
