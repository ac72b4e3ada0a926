"""Branding: how the provider shows itself to its customers (SHP-14, SHP-15), and the files that carry it."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from accounts import branding, colours, pictures
from accounts.again import typed
from core.errors import Conflict, InvalidInput
from tenants.abilities import Ability
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.web import actor_of, provider_view

PAGE = "/settings/branding/"
TEXTS = ("portal_name", "provider_name", "accent", "support_url", "security_contact", "feedback_url")
YEAR = 31_536_000


class BrandForm(forms.Form):
    """Empty fields mean what the installation says."""

    portal_name = forms.CharField(
        label="Name of the product",
        max_length=60,
        required=False,
        help_text="In the corner, in titles and in mails. Authenticator apps keep the name of PORTAL_NAME.",
    )
    provider_name = forms.CharField(
        label="Name of the provider", max_length=60, required=False, help_text="Who writes to your customers."
    )
    logo = forms.FileField(
        label="Logo",
        required=False,
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp"}),
        help_text=f"Square PNG, JPEG or WebP of at most {pictures.LARGEST // 1000} kilobytes. "
        "Leave it empty to keep the one that is there.",
    )
    no_logo = forms.BooleanField(label="Take the logo away", required=False)
    accent = forms.CharField(
        label="Accent colour",
        max_length=7,
        required=False,
        widget=forms.TextInput(attrs={"placeholder": "#0b5cad", "spellcheck": "false"}),
        help_text="Of buttons and links. It must be readable on white; the dark theme gets a lighter one by itself.",
    )
    support_url = forms.CharField(
        label="Support link", max_length=300, required=False, help_text="Where your customers find help."
    )
    security_contact = forms.CharField(
        label="Security contact",
        max_length=300,
        required=False,
        help_text="An email address or a page: who is told when somebody finds a weakness.",
    )
    feedback_url = forms.CharField(
        label="Documentation feedback link",
        max_length=300,
        required=False,
        help_text="Where people say what the documentation lacks.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    def wish(self) -> dict[str, Any]:
        """For branding.change."""
        given = self.cleaned_data
        wanted = {name: given[name] for name in TEXTS}
        if given["no_logo"]:
            return wanted | {"logo": None}
        return wanted | ({"logo": given["logo"].read(pictures.LARGEST + 1)} if given["logo"] else {})


@provider_view(needs=Ability.CHANGE_SETTINGS, methods=("GET", "HEAD", "POST"), fresh=True)
def edit(request: HttpRequest) -> HttpResponse:
    brand = branding.stored()
    initial = {name: getattr(brand, name) for name in TEXTS} | {"version": brand.row_version}
    form = BrandForm(request.POST or None, request.FILES or None, initial=initial | typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            branding.change(actor_of(request), form.wish(), version=form.cleaned_data["version"])
        except (InvalidInput, Conflict) as error:
            add_error(form, error)
        else:
            messages.success(request, "Saved. It is in force everywhere within a few seconds.")
            return SeeOther(PAGE)
    context = {"form": form, "look": branding.current(), "stored": brand}
    return render(request, "pages/branding.html", context, status=422 if form.errors else 200)


@require_safe
@cache_control(max_age=YEAR, immutable=True, public=True)
def stylesheet(request: HttpRequest, accent: str) -> HttpResponse:
    """The accent's few rules. The address holds the colour, so it never changes; only the one in force is there."""
    if f"#{accent}" != branding.current().accent:
        raise Http404
    return HttpResponse(colours.stylesheet(f"#{accent}"), content_type="text/css; charset=utf-8")


@require_safe
@cache_control(max_age=YEAR, immutable=True, public=True)
def logo(request: HttpRequest, version: int) -> HttpResponse:
    """The logo as what it was found to be when it was stored; nothing in it runs."""
    brand = branding.stored()
    if not brand.logo or brand.row_version != version:
        raise Http404
    answer = HttpResponse(bytes(brand.logo), content_type=brand.logo_type)
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
