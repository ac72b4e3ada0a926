"""Saved views: a list's filters, order and page size under a name of one's own (DESIGN 10)."""

import uuid
from typing import cast

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import services
from accounts.models import SavedView, User
from core.errors import InvalidInput, NotFound
from tenants.answers import SeeOther, leave_dialog
from tenants.forms import add_error
from tenants.web import actor_of, person_view

WRITES = ("GET", "HEAD", "POST")


class ViewForm(forms.Form):
    """The list, its address and where to go back to come with the link; the name is typed."""

    name = forms.CharField(
        max_length=40, help_text="A view of yours with the same name is replaced.", label="Name of the view"
    )
    page = forms.ChoiceField(choices=list(SavedView.LISTS.items()), widget=forms.HiddenInput)
    query = forms.CharField(max_length=3000, widget=forms.HiddenInput)
    back = forms.CharField(max_length=200, widget=forms.HiddenInput)

    def clean_back(self) -> str:
        return inside(self.cleaned_data["back"])


def inside(address: str) -> str:
    """A path of this portal; the start page for anything else."""
    safe = address.startswith("/") and url_has_allowed_host_and_scheme(address, allowed_hosts=None)
    return address.partition("?")[0] if safe else "/"


@person_view(methods=WRITES)
def add(request: HttpRequest) -> HttpResponse:
    """Asks for the name; a wrong one is answered in the dialog."""
    form = ViewForm(request.POST) if request.method == "POST" else ViewForm(initial=request.GET.dict())
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            view = services.save_view(
                actor_of(request),
                _person(request),
                page=given["page"],
                name=given["name"],
                query=given["query"],
            )
        except InvalidInput as error:
            add_error(form, error)
        else:
            messages.success(request, f"The view {view.name} is kept; you find it above the list.")
            return leave_dialog(request, f"{given['back']}?{view.query}")
    context = {
        "title": "Save this view",
        "form": form,
        "in_place": True,
        "form_action": "/views/add/",
        "cancel_url": inside(str(form["back"].value() or "")),
        "submit": "Save the view",
    }
    return render(request, "pages/view_add.html", context, status=422 if form.errors else 200)


@person_view(methods=WRITES)
def delete(request: HttpRequest, view_id: uuid.UUID) -> HttpResponse:
    view = SavedView.objects.filter(user=_person(request), id=view_id).first()
    if view is None:
        raise NotFound(thing="view")
    back = inside(request.GET.get("back", ""))
    if request.method == "POST":
        services.delete_view(actor_of(request), _person(request), view.id)
        messages.success(request, f"The view {view.name} was deleted.")
        return SeeOther(back)
    context = {
        "title": f"Delete the view {view.name}?",
        "view": view,
        "list": SavedView.LISTS[view.page],
        "form_action": request.get_full_path(),
        "cancel_url": back,
        "danger": True,
        "submit": "Delete the view",
    }
    return render(request, "pages/view_delete.html", context)


def _person(request: HttpRequest) -> User:
    return cast("User", request.user)
