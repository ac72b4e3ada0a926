"""/tenants/{id}/sites/{id}/prefixes: the numbers that an SBC leads to a site. Writing them is a command."""

import uuid
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.connections import TroubleOut, trouble
from api.filters import search
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Out
from api.views import ApiView, ListView, accepted, queued
from audiocodes.dialplan import LONGEST
from core.errors import InvalidInput
from sites import number_selectors, numbers
from sites.models import Prefix, PrefixState, Site
from sites.number_rules import DEFAULT_PLAN, LONGEST_NAME, Verdict, Wish, rule_of
from tenants.abilities import Ability

MOST = 1_000
"""Rules of one request; a larger list comes in parts."""


class SitePrefixOut(Out):
    """A rule as it is wanted, and what is known of it on the SBC."""

    id = serializers.UUIDField(source="uid")
    dial_plan = serializers.CharField(source="plan")
    index = serializers.IntegerField(allow_null=True, help_text="Its place when it was read back last.")
    name = serializers.CharField()
    prefix = serializers.CharField()
    tag = serializers.CharField()
    numbers = serializers.IntegerField(help_text="How many it names; it takes every longer number, too.")
    state = serializers.ChoiceField(choices=PrefixState.choices)
    problem = serializers.SerializerMethodField(
        help_text="What stopped it, or what was found instead; for the provider's clients only."
    )
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When the SBC was last read for it.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Prefix) -> dict[str, Any] | None:
        return trouble(row.problem) if self.context.get("sees_devices") else None


class DialPlanRuleIn(In):
    prefix = serializers.CharField(
        max_length=LONGEST, help_text="+4455896552, or with a range at its end: +44587996[01-20]."
    )
    dial_plan = serializers.CharField(
        required=False, max_length=200, help_text=f"{DEFAULT_PLAN} if left out."
    )
    name = serializers.CharField(required=False, max_length=LONGEST_NAME, help_text="The site's if left out.")
    tag = serializers.CharField(
        required=False, max_length=300, help_text="The site's PSTN gateway if left out."
    )


@extend_schema_serializer(examples=[examples.PREFIXES_ADD])
class PrefixesIn(In):
    prefixes = serializers.ListField(
        child=DialPlanRuleIn(), min_length=1, max_length=MOST, help_text="Numbers and ranges to add."
    )


class DialPlanRuleGone(In):
    prefix = serializers.CharField(max_length=LONGEST, help_text="However its range is written.")
    dial_plan = serializers.CharField(
        required=False, max_length=200, help_text=f"{DEFAULT_PLAN} if left out."
    )


@extend_schema_serializer(examples=[examples.PREFIXES_CHANGE])
class PrefixesChange(In):
    """First what goes, then what comes; all of it or nothing."""

    add = serializers.ListField(
        child=DialPlanRuleIn(), required=False, max_length=MOST, help_text="Rules that are to be there."
    )
    remove = serializers.ListField(
        child=DialPlanRuleGone(), required=False, max_length=MOST, help_text="Rules that are to go."
    )


class OutcomeOut(Out):
    prefix = serializers.CharField(source="wish.prefix", help_text="As it is written.")
    dial_plan = serializers.CharField(source="wish.plan")
    outcome = serializers.SerializerMethodField(help_text="`adding`, or `there` already.")
    notes = serializers.ListField(
        child=serializers.CharField(), help_text="What somebody may want to know of it."
    )

    def get_outcome(self, one: Verdict) -> str:
        return "there" if one.there else "adding"


class PrefixesDone(Out):
    """What was asked for; `command` writes it, and is null where nothing had to be written."""

    command = CommandRef(allow_null=True)
    added = OutcomeOut(many=True)


class PrefixFilters(django_filters.FilterSet):
    search = search("A number or range that is taken; or words of name, prefix, tag or site.")
    dial_plan = django_filters.CharFilter(field_name="plan", max_length=200)
    state = django_filters.ChoiceFilter(choices=PrefixState.choices)

    def look_for(self, rows: QuerySet[Prefix], name: str, value: str) -> QuerySet[Prefix]:
        return rows.filter(number_selectors.matching(value))


class SitePrefixes(ListView):
    doors = {
        "GET": tenant(Ability.VIEW_TENANT),
        "POST": tenant(Ability.EDIT_TENANT),
        "PATCH": tenant(Ability.EDIT_TENANT),
    }
    filters = PrefixFilters
    out = SitePrefixOut

    def site(self) -> Site:
        return number_selectors.site_of(self.tenant, self.kwargs["site_id"])

    def rows(self) -> QuerySet[Prefix]:
        return number_selectors.prefixes(self.tenant, self.site())

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {"sees_devices": self.actor.may(Ability.VIEW_PROVIDER)}

    @extend_schema(operation_id="site_prefixes_list", responses=SitePrefixOut(many=True))
    def get(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """The numbers of a site, and what is known of each on its SBC."""
        return self.page()

    @extend_schema(operation_id="site_prefixes_add", request=PrefixesIn, responses={202: PrefixesDone})
    @idempotent
    def post(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Add numbers and ranges: all of them or none. What the site has already stays as it is."""
        site, given = self.site(), self.body(PrefixesIn)
        return self._done(request, numbers.add(self.actor, site, _wishes(given["prefixes"])))

    @extend_schema(operation_id="site_prefixes_change", request=PrefixesChange, responses={202: PrefixesDone})
    def patch(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Remove some and add others, all of it or nothing. Repeating it is harmless: what is gone stays gone."""
        site, given = self.site(), self.body(PrefixesChange)
        with transaction.atomic():
            gone = _found(site, given.get("remove", []))
            removal = numbers.remove(self.actor, site, gone) if gone else None
            added = numbers.add(self.actor, site, _wishes(given.get("add", [])))
        return self._done(request, numbers.Added(added.verdicts, added.command or removal))

    def _done(self, request: Request, added: numbers.Added) -> Response:
        command = queued(request, added.command) if added.command else None
        body = {"command": command, "added": OutcomeOut(added.verdicts, many=True).data}
        return Response(body, status=202, headers={"Location": command["url"]} if command else None)


class SitePrefix(ApiView):
    doors = {"DELETE": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="site_prefix_remove", responses={202: CommandRef})
    def delete(self, request: Request, uid: str, site_id: uuid.UUID, prefix_id: uuid.UUID) -> Response:
        """Take it from the SBC. Part of a range: PATCH the list, with the range to remove and what is left to add."""
        site = number_selectors.site_of(self.tenant, site_id)
        return accepted(
            request, numbers.remove(self.actor, site, [number_selectors.prefix_of(site, prefix_id)])
        )


def _wishes(given: list[dict[str, Any]]) -> list[Wish]:
    return [
        Wish(rule["prefix"], rule.get("dial_plan", ""), rule.get("name", ""), rule.get("tag", ""))
        for rule in given
    ]


def _found(site: Site, given: list[dict[str, Any]]) -> list[Prefix]:
    """Those of the site that are meant, however their range is written. Raises InvalidInput for what is no rule."""
    wanted = set()
    for each in given:
        rule = rule_of(each["prefix"])
        if rule is None:
            raise InvalidInput(field="remove", why=f"{each['prefix']} is no number or range")
        wanted.add((each.get("dial_plan") or DEFAULT_PLAN, rule))
    if not wanted:
        return []
    rows = Prefix.objects.filter(site=site, plan__in={plan for plan, _ in wanted})
    return [row for row in rows if (row.plan, rule_of(row.prefix)) in wanted]
