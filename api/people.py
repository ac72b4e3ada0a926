"""/people and /tenants/{id}/people: who may sign in, and what each may do. The rules stand in tenants.people."""

import uuid
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.selectors import with_factor
from api import examples
from api.choices import ROLES
from api.filters import Flag, search
from api.idempotency import idempotent
from api.links import link
from api.permissions import provider, tenant
from api.serializers import In, Out
from api.views import ApiView, ListView
from core.errors import InvalidInput, NotFound
from tenants import people as rules
from tenants import scope
from tenants.abilities import CUSTOMER_ROLES, Ability, Role
from tenants.models import Membership, Tenant
from tenants.people import Place


class PlaceOut(Out):
    """A role, and for whom it holds."""

    role = serializers.ChoiceField(choices=ROLES)
    tenant_id = serializers.UUIDField(allow_null=True, help_text="Null: for the whole provider.")
    tenant_name = serializers.CharField(allow_blank=True)


class AccountOut(Out):
    """What is told about everybody."""

    id = serializers.UUIDField()
    email = serializers.CharField(help_text="The sign-in name.")
    name = serializers.CharField(allow_blank=True)
    active = serializers.BooleanField(source="is_active", help_text="Whether the person may sign in.")
    second_factor = serializers.BooleanField(source="has_factor", help_text="Authenticator app or passkey.")
    last_sign_in_at = serializers.DateTimeField(source="last_login", allow_null=True)


@extend_schema_serializer(examples=[examples.PERSON])
class PersonOut(AccountOut):
    """Somebody with an account, and every role there is for it."""

    joined_at = serializers.DateTimeField(source="date_joined")
    roles = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    @extend_schema_field(PlaceOut(many=True))
    def get_roles(self, row: User) -> list[dict[str, Any]]:
        places: list[Place] = self.context["places"][row.id]
        return [dict(PlaceOut(place).data) for place in places]

    def get_url(self, row: User) -> str:
        return link(self.context["request"], "person", user_id=row.id)


@extend_schema_serializer(examples=[examples.TENANT_PERSON])
class TenantPersonOut(AccountOut):
    """Somebody with a role for this customer. Roles elsewhere are nobody's business here."""

    role = serializers.SerializerMethodField()
    url = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=ROLES))
    def get_role(self, row: User) -> Role:
        return Role(self.context["roles"][row.id])

    def get_url(self, row: User) -> str:
        uid = self.context["tenant"].id
        return link(self.context["request"], "tenant-person", uid=uid, user_id=row.id)


class Invited(Out):
    new = serializers.BooleanField(help_text="False: the account was there, and has the role now.")
    mailed = serializers.BooleanField(
        help_text=(
            "Whether a mail server was asked to send the link that sets a new person's password. If false, or if the "
            "mail does not come, make one on the pages."
        )
    )


@extend_schema_serializer(examples=[examples.PERSON_INVITED])
class PersonAdded(PersonOut, Invited):
    """The person, and what came of the invitation."""


@extend_schema_serializer(examples=[examples.TENANT_PERSON_INVITED])
class TenantPersonAdded(TenantPersonOut, Invited):
    """The person, and what came of the invitation."""


class AccountIn(In):
    email = serializers.CharField(max_length=254, help_text="The sign-in name; letter case does not matter.")
    name = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="As colleagues know it."
    )


@extend_schema_serializer(examples=[examples.ROLE_SET])
class RoleIn(In):
    role = serializers.ChoiceField(choices=ROLES, help_text="What the person may do.")


@extend_schema_serializer(examples=[examples.PERSON_ADD])
class PersonIn(AccountIn, RoleIn):
    """A new account, or one that is there, with a role."""

    tenant_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="The only customer it holds for; null = the provider."
    )


@extend_schema_serializer(examples=[examples.TENANT_PERSON_ADD])
class TenantPersonIn(AccountIn, RoleIn):
    """A new account, or one without a role anywhere else, with a role for this customer."""


@extend_schema_serializer(examples=[examples.PERSON_EDIT])
class PersonChange(AccountIn):
    """What is named is changed, the rest stays. Another e-mail address ends the person's sessions."""

    active = serializers.BooleanField(
        required=False, help_text="False: sign-in is refused and every session ends; roles are kept."
    )


class PeopleFilters(django_filters.FilterSet):
    search = search("In name and e-mail address, and in the names of their customers.")
    active = Flag()
    second_factor = Flag()

    def filter_queryset(self, queryset: QuerySet[User]) -> QuerySet[User]:
        """All of it is the selector's business."""
        given = self.form.cleaned_data
        return rules.people(search=given["search"], active=given["active"], factor=given["second_factor"])


class TenantPeopleFilters(django_filters.FilterSet):
    search = search("In name and e-mail address.")

    def filter_queryset(self, queryset: QuerySet[User]) -> QuerySet[User]:
        view = self.request.parser_context["view"]
        return here(view, search=self.form.cleaned_data["search"])


# --- Everybody, for the provider ----------------------------------------------------------------------------
class People(ListView):
    doors = {"GET": provider(Ability.MANAGE_PEOPLE), "POST": provider(Ability.MANAGE_PEOPLE)}
    filters = PeopleFilters
    orders = {"email": "email", "name": "name", "joined_at": "date_joined"}
    out = PersonOut

    def rows(self) -> QuerySet[User]:
        return rules.people()

    def context(self, page: list[User]) -> dict[str, Any]:
        return {"places": rules.places_of([user.id for user in page])}

    @extend_schema(operation_id="people_list", responses=PersonOut(many=True))
    def get(self, request: Request) -> Response:
        """Everybody who has an account."""
        return self.page()

    @extend_schema(operation_id="people_add", request=PersonIn, responses={201: PersonAdded})
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a person with a role; somebody new gets a link by mail, to set a password with."""
        values = self.body(PersonIn)
        user, invited = _add(self, values, _customer(values))
        found = {**person(request, user.id), **invited}
        return Response(found, status=201, headers={"Location": found["url"]})


class OnePerson(ApiView):
    doors = {"GET": provider(Ability.MANAGE_PEOPLE), "PATCH": provider(Ability.MANAGE_PEOPLE)}

    @extend_schema(operation_id="people_get", responses=PersonOut)
    def get(self, request: Request, user_id: uuid.UUID) -> Response:
        """One person with all roles."""
        return Response(person(request, user_id))

    @extend_schema(operation_id="people_edit", request=PersonChange, responses=PersonOut)
    def patch(self, request: Request, user_id: uuid.UUID) -> Response:
        """Change name or e-mail address, or whether the person may sign in."""
        user = _user(user_id)
        values = self.body(PersonChange, partial=True)
        with transaction.atomic():
            if "active" in values:
                (rules.reactivate if values["active"] else rules.deactivate)(self.actor, user)
            if values.keys() & {"email", "name"}:
                rules.edit_person(
                    self.actor,
                    user,
                    email=values.get("email", user.email),
                    name=values.get("name", user.name),
                )
        return Response(person(request, user_id))


class ProviderRole(ApiView):
    doors = {"PUT": provider(Ability.MANAGE_PEOPLE), "DELETE": provider(Ability.MANAGE_PEOPLE)}

    @extend_schema(operation_id="people_role_set", request=RoleIn, responses=PersonOut)
    def put(self, request: Request, user_id: uuid.UUID) -> Response:
        """Give a role for the whole provider, in place of the one that was there; ends the person's sessions."""
        user, values = _user(user_id), self.body(RoleIn)
        _customer(values)
        rules.give_role(self.actor, user_id=user.id, email=user.email, role=Role(values["role"]), tenant=None)
        return Response(person(request, user_id))

    @extend_schema(operation_id="people_role_take", responses={204: None})
    def delete(self, request: Request, user_id: uuid.UUID) -> Response:
        """Take the role for the whole provider; those for customers stay. The last active Admin keeps his."""
        rules.take_role(self.actor, user=_user(user_id), tenant=None)
        return Response(status=204)


# --- One customer's people ----------------------------------------------------------------------------------
class TenantPeople(ListView):
    doors = {"GET": tenant(Ability.MANAGE_PEOPLE), "POST": tenant(Ability.MANAGE_PEOPLE)}
    filters = TenantPeopleFilters
    orders = {"email": "email", "name": "name"}
    out = TenantPersonOut

    def rows(self) -> QuerySet[User]:
        return here(self)

    def context(self, page: list[User]) -> dict[str, Any]:
        return _around(self, page)

    @extend_schema(operation_id="tenant_people_list", responses=TenantPersonOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """People with a role for this customer that you may decide about."""
        return self.page()

    @extend_schema(
        operation_id="tenant_people_add", request=TenantPersonIn, responses={201: TenantPersonAdded}
    )
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Add a person with a role for this customer; somebody new gets a link by mail, to set a password with."""
        user, invited = _add(self, self.body(TenantPersonIn), self.tenant)
        found = {**_person_here(self, user.id), **invited}
        return Response(found, status=201, headers={"Location": found["url"]})


class OneTenantPerson(ApiView):
    doors = {method: tenant(Ability.MANAGE_PEOPLE) for method in ("GET", "PUT", "DELETE")}

    @extend_schema(operation_id="tenant_people_get", responses=TenantPersonOut)
    def get(self, request: Request, uid: str, user_id: uuid.UUID) -> Response:
        """One person of this customer."""
        return Response(_person_here(self, user_id))

    @extend_schema(operation_id="tenant_people_role_set", request=RoleIn, responses=TenantPersonOut)
    def put(self, request: Request, uid: str, user_id: uuid.UUID) -> Response:
        """Give another role here; ends the person's sessions."""
        user = _one_here(self, user_id)
        role = Role(self.body(RoleIn)["role"])
        rules.give_role(self.actor, user_id=user.id, email=user.email, role=role, tenant=self.tenant)
        return Response(_person_here(self, user_id))

    @extend_schema(operation_id="tenant_people_remove", responses={204: None})
    def delete(self, request: Request, uid: str, user_id: uuid.UUID) -> Response:
        """Take the role here; the account stays."""
        rules.take_role(self.actor, user=_one_here(self, user_id), tenant=self.tenant)
        return Response(status=204)


# --- Parts --------------------------------------------------------------------------------------------------
def person(request: Request, user_id: uuid.UUID) -> dict[str, Any]:
    """As the person is now. Raises NotFound."""
    user = _user(user_id)
    context = {"request": request, "places": rules.places_of([user.id])}
    return dict(PersonOut(user, context=context).data)


def _user(user_id: uuid.UUID) -> User:
    found = with_factor(User.objects.filter(id=user_id)).first()
    if found is None:
        raise NotFound(thing="person")
    return found


def here(view: ApiView, *, search: str = "") -> QuerySet[User]:
    """This customer's people, as far as the caller may decide about their roles."""
    ids = rules.people_here(view.actor, view.tenant, search=search).order_by().values("user_id")
    return with_factor(User.objects.filter(id__in=ids))


def _one_here(view: ApiView, user_id: uuid.UUID) -> User:
    found = here(view).filter(id=user_id).first()
    if found is None:
        raise NotFound(thing="person")
    return found


def _person_here(view: ApiView, user_id: uuid.UUID) -> dict[str, Any]:
    user = _one_here(view, user_id)
    return dict(TenantPersonOut(user, context={"request": view.request, **_around(view, [user])}).data)


def _around(view: ApiView, page: list[User]) -> dict[str, Any]:
    rows = Membership.objects.filter(tenant=view.tenant, user_id__in=[user.id for user in page])
    return {"tenant": view.tenant, "roles": dict(rows.values_list("user_id", "role"))}


def _add(view: ApiView, values: dict[str, Any], place: Tenant | None) -> tuple[User, dict[str, bool]]:
    """The person, and what came of the invitation. The link itself is in the mail and nowhere else."""
    user, new = rules.add_person(
        view.actor,
        email=values["email"],
        name=values.get("name", ""),
        role=Role(values["role"]),
        tenant=place,
    )
    return user, {"new": new, "mailed": new and rules.mail_first_link_later(view.actor, user)}


def _customer(values: dict[str, Any]) -> Tenant | None:
    """For whom the role is to hold. Raises InvalidInput naming the field."""
    wanted = values.get("tenant_id")
    if wanted is None:
        if values["role"] in CUSTOMER_ROLES:
            raise InvalidInput(field="role", why="a customer's role needs a customer")
        return None
    with scope.one(wanted):
        found: Tenant | None = Tenant.objects.filter(id=wanted, deleted_at=None).first()
    if found is None:
        raise InvalidInput(field="tenant_id", why="there is no such customer")
    return found
