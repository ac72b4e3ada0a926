"""The CsOnlineUser Filter: writing it, whom it would take, and its versions (M36-13)."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import urlencode

from core.errors import Conflict, InvalidInput
from directory import browse, scoping
from directory.filter_language import ATTRIBUTES, LONGEST, OPERATORS
from directory.models import Stream
from tenants import tables
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.web import actor_of, tenant_view


class FilterForm(forms.Form):
    text = forms.CharField(
        label=scoping.TITLE,
        required=False,
        max_length=LONGEST,
        help_text="Such as Department -eq 'Sales' -and AccountEnabled -eq $true. Empty: everybody.",
        widget=forms.Textarea(
            attrs={"rows": 3, "spellcheck": "false", "autocomplete": "off", "class": "mono"}
        ),
    )


class SetForm(FilterForm):
    """`version` is the one that the person looked at."""

    version = forms.IntegerField(min_value=0, widget=forms.HiddenInput)


@tenant_view(needs=Ability.VIEW_DIRECTORY)
def user_filter(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """The filter in force or, with `text`, one that is being tried; nothing is saved by looking."""
    stored = scoping.in_force(tenant)
    form = FilterForm({"text": request.GET.get("text", stored.text if stored else "")})
    return _page(request, tenant, form)


@tenant_view(needs=Ability.MANAGE_CONNECTION, methods=("GET", "HEAD", "POST"))
def set_filter(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Apply Changes."""
    base = f"/tenants/{tenant.id}/user-filter/"
    if request.method != "POST":
        return SeeOther(base)
    form = SetForm(request.POST)
    if not form.is_valid():
        return _page(request, tenant, form)
    try:
        made = scoping.set_filter(actor_of(request), tenant, **form.cleaned_data)
    except InvalidInput as error:
        add_error(form, error)
    except Conflict:
        form.add_error(
            None, "Somebody saved another filter meanwhile; it stands below. Yours is not saved yet."
        )
        return _page(request, tenant, form, conflict=True)
    else:
        messages.success(request, f"The filter was saved as version {made.number}.")
        return SeeOther(base)
    return _page(request, tenant, form)


def _page(request: HttpRequest, tenant: Tenant, form: forms.Form, *, conflict: bool = False) -> HttpResponse:
    """A conflict is about the version: the text that was typed is previewed all the same."""
    stored, sieve = scoping.in_force(tenant), None
    text = str(form.data.get("text", "")).strip()
    readable = conflict or form.is_valid()
    if readable:
        try:
            node = scoping.read(text)
            sieve = scoping.Sieve(tenant, node) if node else None
        except InvalidInput as error:
            add_error(form, error)
            readable = False
    context = {
        "tenant": tenant,
        "form": form,
        "text": text,
        "stored": stored,
        "changed": text != (stored.text if stored else ""),
        "may_change": actor_of(request).may(Ability.MANAGE_CONNECTION, tenant.id),
        "versions": [
            {"one": one, "again": f"?{urlencode({'text': one.text})}"} for one in scoping.versions(tenant)
        ],
        "attributes": [(one.name, one.says, ", ".join(OPERATORS[one.shape])) for one in ATTRIBUTES],
        "age": browse.age(tenant, Stream.USERS),
        "base": f"/tenants/{tenant.id}/user-filter/",
    }
    context |= _preview(request, tenant, sieve) if readable else {}
    status = 409 if conflict else 200 if readable else 422
    return render(request, "directory/filter.html", context, status=status)


def _preview(request: HttpRequest, tenant: Tenant, sieve: scoping.Sieve | None) -> dict[str, Any]:
    """How many, and the names of a page of those taken or (`show=out`) left out, each of these with the reason."""
    if sieve is None:
        return {"everybody": browse.users(tenant).count()}
    counts, out = sieve.counts(), request.GET.get("show") == "out"
    page = tables.page_of(request.GET, sieve.users(taken=not out), bounded=False)
    why = sieve.why_left_out(page) if out else {}
    return {
        "counts": counts,
        "idle": [str(term) for term in counts.idle],
        "out": out,
        "page": page,
        "rows": [{"user": one, "why": why.get(one.object_id, "")} for one in page],
    }
