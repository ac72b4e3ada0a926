"""Changes from a CSV file: first what would become of each line, then the right ones are asked for.

The file goes to the browser and comes back; nothing of it is kept here in between.
"""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from core.errors import InvalidInput
from directory import browse
from provisioning import leading, sheet
from provisioning.views import FEATURE, WRITES, base
from tenants import offers, scope, sheets, tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view

MOST_SHOWN = 100
"""Lines of a file that its preview shows of each kind."""
BATCH = 500
"""Users of one step of an export."""
ACTS = ("apply", "refused", "result")


class FileForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="The template has every column; only User is needed. An empty cell leaves a thing as it is, "
        "- takes it away. SBC site names the site whose SBC leads the number to it, by a dial plan rule. Join and "
        "Leave name groups, with semicolons between them. At most "
        f"{sheets.MOST_LINES:,} lines and {sheets.MOST_BYTES // 1_000_000} MB.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )


@tenant_view(needs=Ability.EDIT_USERS, methods=WRITES)
def import_file(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    """Import CSV."""
    offers.require(tenant, FEATURE)
    act = tables.choice_of(request.POST, "act", ACTS)
    form = FileForm(request.POST or None, request.FILES or None)
    try:
        if request.method == "POST" and act:
            return _carry_out(request, tenant, act)
        if request.method == "POST" and form.is_valid():
            file = form.cleaned_data["file"]
            if file.size > sheets.MOST_BYTES:
                raise sheets.bad(f"it is larger than {sheets.MOST_BYTES // 1_000_000} MB; send it in parts")
            return _preview(request, tenant, file.name or "", sheets.text_of(file.read()))
    except InvalidInput as error:
        add_error(form, error)
    context = {"tenant": tenant, "form": form, "base": base(tenant), "cancel_url": base(tenant)}
    return render(request, "provisioning/import.html", context, status=422 if form.errors else 200)


def _preview(request: HttpRequest, tenant: Tenant, name: str, text: str) -> HttpResponse:
    found = sheet.read(tenant, text, by=actor_of(request))
    context: dict[str, Any] = {
        "tenant": tenant,
        "name": name,
        "text": text,
        "good": len(found.good),
        "changes": found.changes,
        "same": found.same,
        "wrong": len(found.wrong),
        "told": [
            (row, column, *sheet.explained(error))
            for row in found.wrong[:MOST_SHOWN]
            for column, error in row.trouble
        ],
        "rows": [(row, _asked(row)) for row in found.good[:MOST_SHOWN]],
        "most": MOST_SHOWN,
        "cancel_url": base(tenant),
    }
    return render(request, "provisioning/import_preview.html", context)


def _asked(row: sheet.Row) -> list[str]:
    """What the cells of a line say, for people."""
    cells = {column: cell for column, cell in row.cells.items() if cell and column != sheet.USER}
    return [f"{sheet.title_of(column)}: {cell}" for column, cell in cells.items()]


def _carry_out(request: HttpRequest, tenant: Tenant, act: str) -> HttpResponseBase:
    found = sheet.read(tenant, request.POST.get("text", ""), by=actor_of(request))
    if act != "apply":
        batches = sheet.result(found, wrong_only=act == "refused")
        return tables.csv_answer(f"{act}-{tenant.name}", sheet.result_head(found), batches)
    title = request.POST.get("name", "")
    asked = sheet.ask(actor_of(request), tenant, found, title=title)
    if asked.kept and asked.edit:
        messages.success(
            request, f"{len(asked.kept):,} changes of {len(found.good):,} users wait to be written."
        )
    if found.wrong:
        messages.warning(request, f"{len(found.wrong):,} lines were left out.")
    for verdict in asked.refused[:5]:
        error = verdict.problem
        messages.warning(request, f"{verdict.name}: {error.message} {error.advice}" if error else "")
    return SeeOther(base(tenant))


# --- Out ------------------------------------------------------------------------------------------------------
@tenant_view(needs=Ability.VIEW_DIRECTORY)
def template(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    """Every column, and no line."""
    head = sheet.head_of(sheet.kinds_of(tenant), led=bool(leading.sites_of(tenant)))
    return tables.csv_answer(f"changes-{tenant.name}", head, iter(()))


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def present(request: HttpRequest, tenant: Tenant) -> HttpResponseBase:
    """What the copy says of all users, in the form that is imported."""
    kinds, led = sheet.kinds_of(tenant), bool(leading.sites_of(tenant))
    users = browse.users(tenant).order_by("search", "object_id")
    batches = tables.in_batches(
        users,
        lambda last: Q(search__gt=last.search) | Q(search=last.search, object_id__gt=last.object_id),
        BATCH,
    )

    def lines() -> Iterator[list[list[str]]]:
        for batch in batches:
            with scope.one(tenant.id):  # the request's own has ended when this is sent
                part = sheet.present(tenant, batch, kinds, led=led)
            yield part

    return tables.csv_answer(f"users-{tenant.name}", sheet.head_of(kinds, led=led), lines())
