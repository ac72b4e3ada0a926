"""/tokens: the keys of API clients."""

import datetime as dt
import uuid

import django_filters
from django.db.models import Q, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from accounts.models import ApiToken
from accounts.services import revoke_token
from api import examples
from api.authentication import token_of
from api.choices import ABILITIES, ROLES, TOKEN_STATES, TokenState
from api.filters import search
from api.idempotency import idempotent
from api.permissions import provider
from api.serializers import In, Out
from api.services import MOST_NETWORKS, issue_token
from api.views import ApiView, ListView
from core.errors import NotFound
from tenants.abilities import Ability, Role

SHOWN_ONCE = (
    "it made a token, whose value is shown only once; if you lost it, revoke that token and make another one "
    "with a new key"
)


class TokenOut(Out):
    """A token; its value is never shown again."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    role = serializers.ChoiceField(choices=ROLES)
    tenant_id = serializers.UUIDField(
        allow_null=True, help_text="Bound to this customer; null = the provider."
    )
    scopes = serializers.ListField(child=serializers.CharField())
    networks = serializers.ListField(child=serializers.CharField(), help_text="Empty = any allowed address.")
    state = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    expires_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(allow_null=True, help_text="To the minute.")
    last_used_from = serializers.CharField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field(serializers.ChoiceField(choices=TOKEN_STATES))
    def get_state(self, row: ApiToken) -> TokenState:
        if row.revoked_at:
            return TokenState.REVOKED
        return TokenState.EXPIRED if row.expires_at <= timezone.now() else TokenState.LIVING


@extend_schema_serializer(examples=[examples.TOKEN_MADE])
class TokenMade(TokenOut):
    token = serializers.CharField(help_text="The value, shown this one time.")


@extend_schema_serializer(examples=[examples.TOKEN_ADD])
class TokenIn(In):
    name = serializers.CharField(max_length=120, help_text="Which system uses it.")
    role = serializers.ChoiceField(choices=ROLES, help_text="What it may do at most.")
    tenant_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="The only customer it may see; null = the whole provider."
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=ABILITIES),
        required=False, min_length=1, max_length=len(Ability), help_text="Without any: all that the role has.",
    )  # fmt: skip
    networks = serializers.ListField(
        child=serializers.CharField(max_length=43),
        required=False,
        max_length=MOST_NETWORKS,
        help_text="Addresses or CIDR blocks that it may be used from, within ApiAllowedIps and its maker's. "
        "Without any: its maker's.",
    )
    days = serializers.IntegerField(
        min_value=1, max_value=730, required=False,
        help_text="Until it expires, no later than its maker. Without: 365, or as long as its maker has left.",
    )  # fmt: skip


class TokenFilters(django_filters.FilterSet):
    state = django_filters.ChoiceFilter(choices=TOKEN_STATES, method="in_state")
    tenant = django_filters.UUIDFilter(field_name="tenant_id")
    search = search("In the name.")

    def in_state(self, queryset: QuerySet[ApiToken], name: str, value: str) -> QuerySet[ApiToken]:
        if value == TokenState.REVOKED:
            return queryset.filter(revoked_at__isnull=False)
        over = Q(expires_at__lte=timezone.now())
        return queryset.filter(over if value == TokenState.EXPIRED else ~over, revoked_at=None)

    def look_for(self, queryset: QuerySet[ApiToken], name: str, value: str) -> QuerySet[ApiToken]:
        return queryset.filter(name__icontains=value)


class Tokens(ListView):
    doors = {"GET": provider(Ability.MANAGE_TOKENS), "POST": provider(Ability.MANAGE_TOKENS)}
    filters = TokenFilters
    orders = {"-created_at": "created_at", "name": "name", "expires_at": "expires_at"}
    out = TokenOut

    def rows(self) -> QuerySet[ApiToken]:
        return ApiToken.objects.all()

    @extend_schema(operation_id="tokens_list", responses=TokenOut(many=True))
    def get(self, request: Request) -> Response:
        """All tokens, newest first."""
        return self.page()

    @extend_schema(operation_id="tokens_add", request=TokenIn, responses={201: TokenMade})
    @idempotent(once=SHOWN_ONCE)
    def post(self, request: Request) -> Response:
        """Make a token. It can do no more than its maker, from no other networks, and for no longer."""
        values = self.body(TokenIn)
        scopes, days = values.get("scopes"), values.get("days")
        token, value = issue_token(
            self.actor,
            name=values["name"],
            role=Role(values["role"]),
            tenant_id=values.get("tenant_id"),
            scopes=None if scopes is None else [Ability(scope) for scope in scopes],
            networks=values.get("networks", []),
            lifetime=None if days is None else dt.timedelta(days=days),
            maker=token_of(request),
        )
        token.refresh_from_db()
        url = reverse("api:token", kwargs={"token_id": token.id}, request=request)
        return Response({**TokenOut(token).data, "token": value}, status=201, headers={"Location": url})


class OneToken(ApiView):
    doors = {"GET": provider(Ability.MANAGE_TOKENS), "DELETE": provider(Ability.MANAGE_TOKENS)}

    @extend_schema(operation_id="tokens_get", responses=TokenOut)
    def get(self, request: Request, token_id: uuid.UUID) -> Response:
        """One token, without its value."""
        return Response(TokenOut(self._token(token_id)).data)

    @extend_schema(operation_id="tokens_revoke", responses={204: None})
    def delete(self, request: Request, token_id: uuid.UUID) -> Response:
        """Revoke a token: it opens nothing from now on."""
        found = self._token(token_id)
        if found.revoked_at is None:
            revoke_token(self.actor, found)
        return Response(status=204)

    def _token(self, token_id: uuid.UUID) -> ApiToken:
        found = ApiToken.objects.filter(id=token_id).first()
        if found is None:
            raise NotFound(thing="token")
        return found
