"""Max Access Failures of one customer, and what was refused lately (decision 7)."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.installation import LONGEST_WINDOW, MOST_FAILURES
from breakers import selectors, services
from core.errors import CATALOGUE, InvalidInput, NotFound, UmpError
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Connection, Tenant
from tenants.selectors import connection_of
from tenants.web import actor_of, tenant_view


class RuleForm(forms.Form):
    """Empty means: as the installation says."""

    max_access_failures = forms.IntegerField(
        label="Max Access Failures",
        required=False,
        min_value=0,
        max_value=MOST_FAILURES,
        help_text="So many mark the connection Degraded, and its work waits. 0 turns the rule off. "
        "Empty: as the installation says.",
    )
    access_failure_window = forms.IntegerField(
        label="Access Failure Window, in minutes",
        required=False,
        min_value=0,
        max_value=LONGEST_WINDOW,
        help_text="They count within this time; 0 counts all since the last successful check.",
    )


@tenant_view(needs=Ability.VIEW_TENANT)
def failures(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The rule in force and the newest failures."""
    return _page(request, tenant, None)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=("GET", "HEAD", "POST"))
def change_rule(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Apply Changes of the rule."""
    if request.method != "POST":
        return SeeOther(f"/tenants/{tenant.id}/access-failures/")
    form = RuleForm(request.POST)
    if form.is_valid():
        try:
            services.change_rule(actor_of(request), tenant, **form.cleaned_data)
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. It counts from the next failure on.")
            return SeeOther(f"/tenants/{tenant.id}/access-failures/")
    return _page(request, tenant, form)


def _page(request: HttpRequest, tenant: Tenant, form: RuleForm | None) -> HttpResponse:
    stored: Connection | None = connection_of(tenant)
    if stored is None:
        raise NotFound(thing="connection")
    may = actor_of(request).may(Ability.MANAGE_CONNECTION, tenant.id)
    initial = {name: getattr(stored, name) for name in RuleForm.base_fields}
    page = tables.page_of(request.GET, selectors.failures_of(tenant))
    context: dict[str, Any] = {
        "tenant": tenant,
        "connection": stored,
        "rule": services.rule_of(stored),
        "counted": services.counted(stored),
        "rule_url": f"/tenants/{tenant.id}/access-failures/rule/",
        "page": page,
        "rows": [(row, _words(row.code, tenant)) for row in page],
        "form": form or (RuleForm(initial=initial) if may else None),
    }
    status = 422 if form is not None and form.errors else 200
    return render(request, "authstatus/access_failures.html", context, status=status)


def _words(code: str, tenant: Tenant) -> str:
    return UmpError.of(code, tenant=tenant.name).message if code in CATALOGUE else code
