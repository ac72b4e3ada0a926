"""Users & roles: everybody who may sign in, for the provider; and one customer's people, for both sides.

The rules stand in tenants.people; a page offers only what they allow.
"""

import dataclasses
import uuid
from collections.abc import Callable
from typing import Any, TypeVar, cast

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from accounts.again import typed
from accounts.mail import send_sign_in_link
from accounts.models import User
from accounts.selectors import with_factor
from core.errors import Conflict, Forbidden, InvalidInput, NotFound
from tenants import people as rules
from tenants import scope, tables
from tenants.abilities import CUSTOMER_ROLES, Ability, Role
from tenants.access import Actor
from tenants.answers import SeeOther
from tenants.forms import add_error
from tenants.models import Tenant
from tenants.people import Place
from tenants.selectors import tenants
from tenants.web import actor_of, provider_view, tenant_view

T = TypeVar("T")
WRITES = ("GET", "HEAD", "POST")
BASE = "/settings/people/"
CHOICES = {
    "state": ("State", [("active", "Active"), ("deactivated", "Deactivated")]),
    "factor": ("Second factor", [("yes", "Has one"), ("no", "Has none")]),
}
MEANS = {
    Role.PROVIDER_ADMIN: "everything, people and settings included",
    Role.OPERATOR: "sets customers up and keeps them running",
    Role.MONITOR: "looks at everything and changes nothing",
    Role.CUSTOMER_ADMIN: "runs replication and the connection, and manages these people",
    Role.CUSTOMER_MONITOR: "looks at everything of this customer and changes nothing",
}


# --- Forms --------------------------------------------------------------------------------------------------
class RoleForm(forms.Form):
    """A role out of those that the actor may give here."""

    role = forms.ChoiceField(label="Role", widget=forms.RadioSelect)

    def __init__(self, data: Any = None, *, roles: list[Role], **more: Any) -> None:
        super().__init__(data, **more)
        field = cast("forms.ChoiceField", self.fields["role"])
        field.choices = [(role.value, f"{role.words}: {MEANS[role]}") for role in roles]

    def chosen(self) -> Role:
        return Role(self.cleaned_data["role"])


class PersonForm(forms.Form):
    email = forms.EmailField(label="Email", max_length=254, help_text="It is the sign-in name.")
    name = forms.CharField(label="Name", max_length=120, required=False, help_text="As colleagues know it.")


class AddForm(RoleForm, PersonForm):
    """A customer's people: the customer is the page's."""

    field_order = ["email", "name", "role"]


class WhereMixin(forms.Form):
    """For whom a role holds, when the page is nobody's."""

    tenant = forms.CharField(
        label="Customer",
        required=False,
        max_length=120,
        help_text="The name of the only customer it holds for. Empty: the whole provider.",
    )

    def place(self) -> Tenant | None:
        """Raises InvalidInput for an unknown customer, and for a customer's role without one."""
        found = _customer_named(self.cleaned_data["tenant"])
        if found is None and self.cleaned_data["role"] in CUSTOMER_ROLES:
            raise InvalidInput(field="tenant", why="a customer's role needs a customer")
        return found


class AddAnywhereForm(AddForm, WhereMixin):
    field_order = ["email", "name", "role", "tenant"]


class RoleAnywhereForm(RoleForm, WhereMixin):
    field_order = ["role", "tenant"]


class RevokeForm(forms.Form):
    revoke_tokens = forms.BooleanField(
        label="Revoke these API tokens too",
        required=False,
        initial=True,
        help_text="The systems that use them stop working. Otherwise whoever knows them can go on using them.",
    )


def _customer_named(name: str) -> Tenant | None:
    if not name.strip():
        return None
    with scope.every("the customer of a role is found by its name"):
        found: Tenant | None = tenants().filter(name__iexact=name.strip()).first()
    if found is None:
        raise InvalidInput(field="tenant", why="there is no customer with this name")
    return found


# --- Everybody, for the provider ----------------------------------------------------------------------------
@dataclasses.dataclass(frozen=True)
class Row:
    user: User
    places: list[Place]
    has_factor: bool
    itself: bool


@provider_view(needs=Ability.MANAGE_PEOPLE)
def index(request: HttpRequest) -> HttpResponse:
    """Who may sign in, as what, and how well the account is protected."""
    page = tables.page_of(request.GET, _matching(request))
    page.object_list = _rows(actor_of(request), list(page.object_list))
    shown = tables.filters(request.GET, CHOICES)
    context = {
        "page": page,
        "filters": shown,
        "chips": tables.chips(request.GET, shown),
        "filtered": any(request.GET.get(name) for name in ("q", *CHOICES)),
        "without_factor": rules.people(active=True, factor=False).count(),
        "required": settings.MFA_REQUIRED,
    }
    return render(request, "pages/people/index.html", context)


def _matching(request: HttpRequest) -> Any:
    state = tables.choice_of(request.GET, "state", ("active", "deactivated"))
    factor = tables.choice_of(request.GET, "factor", ("yes", "no"))
    return rules.people(
        search=tables.search_of(request.GET),
        active=state == "active" if state else None,
        factor=factor == "yes" if factor else None,
    )


def _rows(actor: Actor, users: list[Any]) -> list[Row]:
    places = rules.places_of([user.id for user in users])
    return [Row(user, places[user.id], user.has_factor, rules.is_self(actor, user.id)) for user in users]


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def add(request: HttpRequest) -> HttpResponse:
    """The form, and after it the one-time link of a new person."""
    actor = actor_of(request)
    form = AddAnywhereForm(
        request.POST or None,
        roles=list(Role),
        initial={"role": Role.CUSTOMER_ADMIN.value} | typed(request),
    )
    if request.method == "POST" and form.is_valid():
        added = _try(form, lambda: _add(actor, form, form.place()))
        if added is not None:
            user, new = added
            if new:
                return _link_page(request, user, added=True)
            messages.success(request, f"{user} has the role now, and signs in as before.")
            return SeeOther(f"{BASE}{user.id}/")
    context = {"form": form, "cancel_url": BASE}
    return render(request, "pages/people/add.html", context, status=422 if form.errors else 200)


def _add(actor: Actor, form: AddForm, tenant: Tenant | None) -> tuple[User, bool]:
    given = form.cleaned_data
    return rules.add_person(
        actor, email=given["email"], name=given["name"], role=form.chosen(), tenant=tenant
    )


def _try(form: forms.Form, act: Callable[[], T]) -> T | None:
    """What the act gave, or None with its refusal beside the field that it concerns."""
    try:
        return act()
    except (InvalidInput, Conflict, Forbidden) as error:
        add_error(form, error)
    return None


@provider_view(needs=Ability.MANAGE_PEOPLE)
def person(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    user = _user(user_id)
    row = _rows(actor_of(request), [user])[0]
    context = {"row": row, "person": user, "base": f"{BASE}{user.id}/", "tokens": rules.tokens_made_by(user)}
    return render(request, "pages/people/person.html", context)


def _user(user_id: uuid.UUID) -> Any:
    """The person with `has_factor`. Raises NotFound."""
    user = with_factor(User.objects.filter(id=user_id)).first()
    if user is None:
        raise NotFound(thing="person")
    return user


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def edit(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    user = _user(user_id)
    stored = {"email": user.email, "name": user.name}
    form = PersonForm(request.POST or None, initial=stored | typed(request))
    if request.method == "POST" and form.is_valid():
        actor, given = actor_of(request), form.cleaned_data
        if _try(form, lambda: rules.edit_person(actor, user, **given)) is not None:
            messages.success(request, f"{user} was saved.")
            return SeeOther(f"{BASE}{user.id}/")
    context = {"person": user, "form": form, "cancel_url": f"{BASE}{user.id}/"}
    return render(request, "pages/people/edit.html", context, status=422 if form.errors else 200)


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def role(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """Another role, or another one in place of that which the person has there."""
    user, actor = _user(user_id), actor_of(request)
    _others_only(actor, user)
    initial = {"role": Role.OPERATOR.value} | typed(request)
    form = RoleAnywhereForm(request.POST or None, roles=list(Role), initial=initial)
    if request.method == "POST" and form.is_valid() and _gave(actor, user, form, form.place):
        messages.success(request, f"{user} is {form.chosen().words} now, and signs in anew.")
        return SeeOther(f"{BASE}{user.id}/")
    base = f"{BASE}{user.id}/"
    context = _dialog(user, f"Give {user} a role", "Give the role", f"{base}role/", base) | {"form": form}
    return render(request, "pages/people/role.html", context, status=422 if form.errors else 200)


def _gave(actor: Actor, user: User, form: RoleForm, where: Callable[[], Tenant | None]) -> bool:
    def give() -> bool:
        rules.give_role(actor, user_id=user.id, email=user.email, role=form.chosen(), tenant=where())
        return True

    return _try(form, give) is not None


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def take(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """Take the provider-wide role; those for customers are taken on the customer's page."""
    user, actor = _user(user_id), actor_of(request)
    _others_only(actor, user)
    had = rules.role_at(actor, user.id, None)
    base = f"{BASE}{user.id}/"
    if request.method == "POST":
        rules.take_role(actor, user=user, tenant=None)
        messages.success(request, f"{user} is not {had.words} of the provider any more.")
        return SeeOther(base)
    context = _dialog(
        user, f"Take the role of {user} away?", "Take the role away", f"{base}take/", base, danger=True
    )
    return render(request, "pages/people/take.html", context | {"role": had})


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def deactivate(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """Asks first, and names the API tokens that the person made."""
    user, actor = _user(user_id), actor_of(request)
    _others_only(actor, user)
    base, tokens = f"{BASE}{user.id}/", rules.tokens_made_by(user)
    form = RevokeForm(request.POST or None) if tokens else None
    if request.method == "POST":
        revoke = form is not None and form.is_valid() and form.cleaned_data["revoke_tokens"]
        rules.deactivate(actor, user, revoke_tokens=revoke)
        messages.success(request, f"{user} cannot sign in any more, and is signed out everywhere.")
        return SeeOther(base)
    context = _dialog(
        user, f"Deactivate {user}?", f"Deactivate {user}", f"{base}deactivate/", base, danger=True
    )
    return render(request, "pages/people/deactivate.html", context | {"tokens": tokens, "form": form})


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def reactivate(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    user, actor = _user(user_id), actor_of(request)
    _others_only(actor, user)
    base = f"{BASE}{user.id}/"
    if request.method == "POST":
        rules.reactivate(actor, user)
        messages.success(request, f"{user} may sign in again.")
        return SeeOther(base)
    context = _dialog(user, f"Reactivate {user}?", f"Reactivate {user}", f"{base}reactivate/", base)
    return render(request, "pages/people/reactivate.html", context | {"places": _places(user)})


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def factor(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """Remove the second factor of somebody who lost it."""
    user, actor = _user(user_id), actor_of(request)
    _others_only(actor, user)
    base, title = f"{BASE}{user.id}/", f"Remove the second factor of {user}?"
    if request.method == "POST":
        rules.remove_factors(actor, user)
        messages.success(request, f"{user} has no second factor any more, and is signed out everywhere.")
        return SeeOther(base)
    context = _dialog(user, title, "Remove the second factor", f"{base}factor/", base, danger=True)
    return render(request, "pages/people/factor_remove.html", context)


def _places(user: User) -> list[Place]:
    return rules.places_of([user.id])[user.id]


@provider_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def link(request: HttpRequest, user_id: uuid.UUID) -> HttpResponse:
    """A fresh one-time link, for somebody who never signed in or lost the password; shown this one time."""
    user = _user(user_id)
    if request.method == "POST":
        return _link_page(request, user, added=False)
    base = f"{BASE}{user.id}/"
    context = _dialog(user, f"Make a sign-in link for {user}?", "Make the link", f"{base}link/", base)
    return render(request, "pages/people/link.html", context)


def _link_page(request: HttpRequest, user: User, *, added: bool) -> HttpResponse:
    address = rules.sign_in_link(actor_of(request), user)
    mailed = send_sign_in_link(user, address)
    context = {"person": user, "address": address, "mailed": mailed, "added": added, "days": _days()}
    return render(request, "pages/people/link_made.html", context, status=201)


def _days() -> int:
    return settings.PASSWORD_RESET_TIMEOUT // 86_400


def _others_only(actor: Actor, user: User) -> None:
    if rules.is_self(actor, user.id):
        raise Conflict(thing=user.email, why=rules.OWN_ROLE)


def _dialog(
    user: User, title: str, submit: str, form_action: str, cancel_url: str, *, danger: bool = False
) -> dict[str, Any]:
    return {
        "person": user,
        "title": title,
        "submit": submit,
        "form_action": form_action,
        "cancel_url": cancel_url,
        "danger": danger,
    }


# --- One customer's people ----------------------------------------------------------------------------------
@tenant_view(needs=Ability.MANAGE_PEOPLE)
def of_customer(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    """Who may act for this customer; its own people see only each other."""
    actor = actor_of(request)
    found = rules.people_here(actor, tenant, search=tables.search_of(request.GET))
    page = tables.page_of(request.GET, found)
    listed = list(page.object_list)
    users = {
        user.id: user for user in with_factor(User.objects.filter(id__in=[row.user_id for row in listed]))
    }
    page.object_list = [
        Row(row.user, [Place(Role(row.role), tenant.id, tenant.name)], users[row.user_id].has_factor,  # type: ignore[attr-defined]  # annotated
            rules.is_self(actor, row.user_id))
        for row in listed
    ]  # fmt: skip
    context = {
        "tenant": tenant,
        "page": page,
        "chips": tables.chips(request.GET, []),
        "filtered": bool(tables.search_of(request.GET)),
        "base": f"/tenants/{tenant.id}/people/",
        "for_provider": actor.is_provider,
        "everybody": rules.manages_everybody(actor),
    }
    return render(request, "pages/people/customer.html", context)


@tenant_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def add_to_customer(request: HttpRequest, tenant: Tenant) -> HttpResponse:
    actor = actor_of(request)
    form = AddForm(
        request.POST or None,
        roles=rules.grantable(actor, tenant.id),
        initial={"role": Role.CUSTOMER_MONITOR.value} | typed(request),
    )
    base = f"/tenants/{tenant.id}/people/"
    if request.method == "POST" and form.is_valid():
        added = _try(form, lambda: _add(actor, form, tenant))
        if added is not None:
            return _welcome(request, actor, *added, base)
    context = {"tenant": tenant, "form": form, "cancel_url": base}
    return render(request, "pages/people/add.html", context, status=422 if form.errors else 200)


def _welcome(request: HttpRequest, actor: Actor, user: User, new: bool, base: str) -> HttpResponse:
    """The link of a new person goes to whoever manages everybody, and else only into the person's own mailbox:
    an account whose password somebody else has set could be given more rights later."""
    if new and rules.manages_everybody(actor):
        return _link_page(request, user, added=True)
    if not new:
        messages.success(request, f"{user} has the role now, and signs in as before.")
    elif rules.mail_first_link(actor, user):
        messages.success(request, f"{user} was added; the sign-in link is in the mail to {user.email}.")
    else:
        messages.warning(
            request, f"{user} was added. No mail could be sent: ask your provider for the sign-in link."
        )
    return SeeOther(base)


@tenant_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def role_at_customer(request: HttpRequest, tenant: Tenant, user_id: uuid.UUID) -> HttpResponse:
    """Another role here."""
    user, actor = _user(user_id), actor_of(request)
    had = rules.role_at(actor, user.id, tenant)
    _others_only(actor, user)
    base, back = f"/tenants/{tenant.id}/people/", _back(request, actor, tenant, user)
    form = RoleForm(
        request.POST or None,
        roles=rules.grantable(actor, tenant.id),
        initial={"role": had.value} | typed(request),
    )
    if request.method == "POST" and form.is_valid() and _gave(actor, user, form, lambda: tenant):
        messages.success(request, f"{user} is {form.chosen().words} now, and signs in anew.")
        return SeeOther(back)
    title = f"Change the role of {user}"
    context = _dialog(user, title, "Change the role", f"{base}{user.id}/role/{_from(request)}", back)
    more = {"form": form, "tenant": tenant, "role": had}
    return render(request, "pages/people/role.html", context | more, status=422 if form.errors else 200)


@tenant_view(needs=Ability.MANAGE_PEOPLE, methods=WRITES, fresh=True)
def take_at_customer(request: HttpRequest, tenant: Tenant, user_id: uuid.UUID) -> HttpResponse:
    user, actor = _user(user_id), actor_of(request)
    had = rules.role_at(actor, user.id, tenant)
    _others_only(actor, user)
    base, back = f"/tenants/{tenant.id}/people/", _back(request, actor, tenant, user)
    if request.method == "POST":
        rules.take_role(actor, user=user, tenant=tenant)
        messages.success(request, f"{user} may not do anything for {tenant.name} any more.")
        return SeeOther(back)
    title, action = f"Remove {user} from {tenant.name}?", f"{base}{user.id}/take/{_from(request)}"
    context = _dialog(user, title, f"Remove {user}", action, back, danger=True)
    return render(request, "pages/people/take.html", context | {"role": had, "tenant": tenant})


def _from(request: HttpRequest) -> str:
    """Whether the dialog was opened on the person's page."""
    return "?from=person" if request.GET.get("from") == "person" else ""


def _back(request: HttpRequest, actor: Actor, tenant: Tenant, user: User) -> str:
    if _from(request) and rules.manages_everybody(actor):
        return f"{BASE}{user.id}/"
    return f"/tenants/{tenant.id}/people/"
