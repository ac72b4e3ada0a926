"""/tenants/{id}/user-filter: the CsOnlineUser Filter, and whom one would take before it is saved."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import etags, examples
from api.permissions import tenant
from api.serializers import In, Out
from api.views import ApiView
from directory import browse, scoping
from directory.filter_language import LONGEST
from directory.models import Stream, UserFilter
from tenants.abilities import Ability
from tenants.models import Tenant

NAMED = 25
"""So many users of each side a preview names."""


@extend_schema_serializer(examples=[examples.USER_FILTER_SET])
class FilterIn(In):
    text = serializers.CharField(
        max_length=LONGEST,
        allow_blank=True,
        help_text="Comparisons of Get-CsOnlineUser -Filter, joined by -and, -or, -not; empty takes everybody.",
    )


@extend_schema_serializer(examples=[examples.USER_FILTER])
class FilterOut(Out):
    text = serializers.CharField(allow_blank=True)
    set_by = serializers.CharField(allow_blank=True)
    set_at = serializers.DateTimeField(allow_null=True)
    row_version = serializers.IntegerField(help_text="The number in the ETag; 0 while nobody has set one.")


class TakenOut(Out):
    object_id = serializers.UUIDField(help_text="Microsoft's.")
    user_principal_name = serializers.CharField(allow_blank=True)
    display_name = serializers.CharField(allow_blank=True)


class LeftOutOut(TakenOut):
    why = serializers.CharField(help_text="What the user has, and what the filter wants.")


class PreviewOut(Out):
    """Whom a filter takes of the copy; nothing is saved."""

    users = serializers.IntegerField(help_text="In the copy.")
    taken = serializers.IntegerField()
    left_out = serializers.IntegerField()
    fits_nobody = serializers.ListField(
        child=serializers.CharField(), help_text="Comparisons that no user fits; perhaps a name is misspelt."
    )
    first_taken = TakenOut(many=True, help_text=f"The first {NAMED}, by name.")
    first_left_out = LeftOutOut(many=True, help_text=f"The first {NAMED}, by name, each with the reason.")
    as_of = serializers.DateTimeField(allow_null=True, help_text="When users were read from Microsoft last.")


class OneFilter(ApiView):
    doors = {"GET": tenant(Ability.VIEW_DIRECTORY), "PUT": tenant(Ability.MANAGE_CONNECTION)}
    versioned = ("PUT",)
    tagged = True

    @extend_schema(operation_id="user_filter_get", responses=FilterOut)
    def get(self, request: Request, uid: str) -> Response:
        """Which users are in scope of the Teams user download."""
        return _answer(scoping.in_force(self.tenant))

    @extend_schema(operation_id="user_filter_set", request=FilterIn, responses=FilterOut)
    def put(self, request: Request, uid: str) -> Response:
        """Set it. Every version is kept; the same text again changes nothing."""
        text = self.body(FilterIn)["text"]
        with transaction.atomic():
            Tenant.objects.select_for_update(no_key=True).get(id=self.tenant.id)
            stored = scoping.in_force(self.tenant)
            etags.check(request, stored.number if stored else 0, thing=f"the {scoping.TITLE}")
            return _answer(scoping.set_filter(self.actor, self.tenant, text))


class Preview(ApiView):
    doors = {"POST": tenant(Ability.VIEW_DIRECTORY)}

    @extend_schema(operation_id="user_filter_preview", request=FilterIn, responses=PreviewOut)
    def post(self, request: Request, uid: str) -> Response:
        """Whom this filter would take. Nothing is saved."""
        node = scoping.read(self.body(FilterIn)["text"])
        as_of = browse.age(self.tenant, Stream.USERS).at
        if node is None:
            everybody = browse.users(self.tenant)
            number = everybody.count()
            found = scoping.Counts(number, number, ())
            return Response(_preview(found, as_of, list(everybody[:NAMED]), [], {}))
        sieve = scoping.Sieve(self.tenant, node)
        inside = list(sieve.users(taken=True)[:NAMED])
        outside = list(sieve.users(taken=False)[:NAMED])
        return Response(_preview(sieve.counts(), as_of, inside, outside, sieve.why_left_out(outside)))


def _answer(stored: UserFilter | None) -> Response:
    number = stored.number if stored else 0
    shown = {
        "text": stored.text if stored else "",
        "set_by": stored.set_by if stored else "",
        "set_at": stored.set_at if stored else None,
        "row_version": number,
    }
    return Response(FilterOut(shown).data, headers={"ETag": etags.etag(number)})


def _preview(counts: scoping.Counts, as_of: Any, inside: list[Any], outside: list[Any], why: Any) -> Any:
    for one in outside:
        one.why = why[one.object_id]
    return PreviewOut(
        {
            "users": counts.everybody,
            "taken": counts.taken,
            "left_out": counts.left_out,
            "fits_nobody": [str(term) for term in counts.idle],
            "first_taken": inside,
            "first_left_out": outside,
            "as_of": as_of,
        }
    ).data
