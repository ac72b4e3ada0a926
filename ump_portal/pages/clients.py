"""API clients: the keys of machines. A token is shown the one time it is made, and kept nowhere."""

import dataclasses
import datetime as dt
import uuid
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from accounts.again import typed
from accounts.models import ApiToken
from accounts.services import revoke_token
from api.services import issue_token
from core.errors import Forbidden, InvalidInput, NotFound
from tenants import scope, tables
from tenants.abilities import ABILITIES, TITLES, Ability, Role
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.selectors import tenants
from tenants.web import actor_of, provider_view

WRITES = ("GET", "HEAD", "POST")
CHOICES = {"state": ("State", [("living", "In use"), ("expired", "Expired"), ("revoked", "Revoked")])}
SOON = dt.timedelta(days=30)


class TokenForm(forms.Form):
    """What the client may do, for whom, from where and for how long; each narrows only."""

    name = forms.CharField(
        label="Name", max_length=120, help_text="Which system uses it, so that you know whom you cut off."
    )
    role = forms.ChoiceField(
        label="Role", choices=[(role.value, TITLES[role]) for role in Role], initial=Role.OPERATOR.value
    )
    tenant = forms.CharField(
        label="Customer",
        required=False,
        max_length=120,
        help_text="The name of the only customer it may see. Empty: the whole provider.",
    )
    read_only = forms.BooleanField(
        label="Read only",
        required=False,
        initial=True,
        help_text="It may look at things, and change nothing.",
    )
    networks = forms.CharField(
        label="Allowed addresses",
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="Addresses or CIDR blocks, one a line. Empty: every address of ApiAllowedIps.",
    )
    days = forms.IntegerField(label="Valid for, in days", min_value=1, max_value=730, initial=365)

    def wish(self) -> dict[str, Any]:
        """What api.services.issue_token takes; of a valid form. Raises InvalidInput for an unknown customer."""
        given = self.cleaned_data
        role = Role(given["role"])
        looks = {ability for ability in ABILITIES[role] if ability.endswith(":view")}
        tenant_id = _tenant_id(given["tenant"])
        if tenant_id is not None:
            looks -= {Ability.VIEW_PROVIDER}
        return {
            "name": given["name"],
            "role": role,
            "tenant_id": tenant_id,
            "scopes": looks if given["read_only"] else None,
            "networks": given["networks"].replace(",", " ").split(),
            "lifetime": dt.timedelta(days=given["days"]),
        }


def _tenant_id(name: str) -> uuid.UUID | None:
    if not name.strip():
        return None
    with scope.every("the customer of a token is found by its name"):
        found: Tenant | None = tenants().filter(name__iexact=name.strip()).first()
    if found is None:
        raise InvalidInput(field="tenant", why="there is no customer with this name")
    return found.id


@dataclasses.dataclass(frozen=True)
class Row:
    token: ApiToken
    may: str
    tone: str
    word: str
    tenant_name: str
    living: bool


@provider_view(needs=Ability.MANAGE_TOKENS)
def clients(request: HttpRequest) -> HttpResponse:
    """The list; what a client may do, until when, and when it was used last."""
    page = tables.page_of(request.GET, _matching(request))
    listed = list(page.object_list)
    with scope.every("names of the customers that tokens are bound to"):
        names = dict(
            Tenant.objects.filter(id__in=[row.tenant_id for row in listed]).values_list("id", "name")
        )
    page.object_list = [_row(token, names) for token in listed]
    shown = tables.filters(request.GET, CHOICES)
    context = {
        "page": page,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": bool(request.GET.get("q") or request.GET.get("state")),
        "docs_url": _docs_url(),
    }
    return render(request, "pages/clients.html", context)


@provider_view(needs=Ability.MANAGE_TOKENS, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    """The form, and after it the token itself, this one time."""
    form = TokenForm(request.POST or None, initial=typed(request))
    if request.method == "POST" and form.is_valid():
        try:
            token, value = issue_token(actor_of(request), **form.wish())
        except InvalidInput as error:
            add_error(form, error)
        except Forbidden as error:
            form.add_error("role", error.message)
        else:
            return render(request, "pages/client_made.html", {"token": token, "value": value}, status=201)
    return render(request, "pages/client_add.html", {"form": form}, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_TOKENS, methods=WRITES)
def revoke(request: HttpRequest, token_id: uuid.UUID) -> HttpResponse:
    """Cut a client off, for good."""
    token = ApiToken.objects.filter(id=token_id).first()
    if token is None:
        raise NotFound(thing="API client")
    if request.method == "POST":
        if token.revoked_at is None:
            revoke_token(actor_of(request), token)
        messages.success(request, f"{token.name} was revoked; its token opens nothing from now on.")
        return SeeOther("/settings/api-clients/")
    context = {
        "token": token,
        "title": f"Revoke {token.name}?",
        "submit": f"Revoke {token.name}",
        "danger": True,
        "form_action": f"/settings/api-clients/{token.id}/revoke/",
        "cancel_url": "/settings/api-clients/",
    }
    return render(request, "pages/client_revoke.html", context)


def _docs_url() -> str:
    try:
        return reverse("api:docs")
    except NoReverseMatch:
        return ""


def _matching(request: HttpRequest) -> QuerySet[ApiToken]:
    found = ApiToken.objects.order_by("-created_at", "id")
    search = tables.search_of(request.GET)
    if search:
        found = found.filter(Q(name__icontains=search) | Q(public_id=search))
    state = tables.choice_of(request.GET, "state", ("living", "expired", "revoked"))
    if state == "revoked":
        return found.filter(revoked_at__isnull=False)
    if state:
        over = Q(expires_at__lte=timezone.now())
        return found.filter(over if state == "expired" else ~over, revoked_at=None)
    return found


def _row(token: ApiToken, names: dict[Any, str]) -> Row:
    left = token.expires_at - timezone.now()
    if token.revoked_at:
        tone, word = "neutral", "Revoked"
    elif left <= dt.timedelta():
        tone, word = "bad", "Expired"
    else:
        tone, word = ("warn", "Expires soon") if left < SOON else ("ok", "In use")
    name = names.get(token.tenant_id, "a customer that is gone") if token.tenant_id else ""
    looks = all(each.endswith(":view") for each in token.scopes)
    may = f"{Role(token.role).words}, {'read only' if looks else 'reads and writes'}"
    return Row(token, may, tone, word, name, living=word in {"In use", "Expires soon"})
