"""/sbcs: the provider's SBC devices, and how they fare. Passwords go in only."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import etags, examples
from api.connections import TroubleOut, trouble
from api.idempotency import idempotent
from api.links import link
from api.permissions import provider
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted, queued
from sbc import selectors, services, status
from sbc.models import Link, Sbc
from tenants.abilities import Ability

GRADES = [(grade.word.lower(), grade.word) for grade in status.Grade]


class SbcChange(In):
    """What is left out keeps its value. The password is needed when it would go to another place."""

    name = serializers.CharField(max_length=120, required=False, help_text="No other SBC has it.")
    address = serializers.CharField(
        max_length=60,
        required=False,
        help_text="An IP address, with its port where that is not the usual one.",
    )
    https = serializers.BooleanField(required=False, help_text="Without it everything is sent in the clear.")
    fqdn = serializers.CharField(
        max_length=253, required=False, allow_blank=True, help_text="The name that its certificate bears."
    )
    user = serializers.CharField(max_length=64, required=False, help_text="Gateway User.")
    password = serializers.CharField(
        max_length=256, required=False, trim_whitespace=False, help_text="Gateway Password; never given back."
    )
    fingerprint = serializers.CharField(
        max_length=100, required=False, allow_blank=True,
        help_text="SHA-256 of the only certificate to accept; empty: an authority must have signed it.",
    )  # fmt: skip


@extend_schema_serializer(examples=[examples.SBC_ADD])
class SbcIn(SbcChange):
    """A new device. It is tried at once."""

    name = serializers.CharField(max_length=120, help_text="No other SBC has it.")
    address = serializers.CharField(max_length=60, help_text="As 1.2.3.4, or with a port: 1.2.3.4:8443.")
    https = serializers.BooleanField(default=True, help_text="Without it everything is sent in the clear.")
    user = serializers.CharField(max_length=64, help_text="Gateway User, of the level Administrator.")
    password = serializers.CharField(
        max_length=256, trim_whitespace=False, help_text="Gateway Password; never given back."
    )


class AlarmOut(Out):
    id = serializers.CharField()
    severity = serializers.CharField(allow_blank=True)
    description = serializers.CharField(allow_blank=True)
    source = serializers.CharField(allow_blank=True)  # type: ignore[assignment]  # DRF has another use for it
    date = serializers.CharField(allow_blank=True, help_text="As the device wrote it.")


class SbcOut(Out):
    id = serializers.UUIDField(source="uid")
    number = serializers.IntegerField(source="id", help_text="Id on the page Known SBCs.")
    ovoc_id = serializers.IntegerField(allow_null=True, help_text="Ovoc Sbc Id.")
    name = serializers.CharField()
    address = serializers.CharField(source="host")
    fqdn = serializers.CharField(allow_blank=True)
    nat_addresses = serializers.ListField(child=serializers.CharField())
    https = serializers.BooleanField()
    fingerprint = serializers.CharField(allow_blank=True)
    user = serializers.CharField(allow_blank=True)
    link = serializers.ChoiceField(choices=Link.choices, help_text="Status: whether the portal reaches it.")
    problem = serializers.SerializerMethodField(help_text="Why it is not Connected.")
    checked_at = serializers.DateTimeField(allow_null=True)
    reached_at = serializers.DateTimeField(allow_null=True, help_text="What is told below is from then.")
    device_status = serializers.SerializerMethodField(
        help_text="The worst of Management, Voice quality and License."
    )
    locked = serializers.SerializerMethodField()
    product = serializers.SerializerMethodField(help_text="Product Type.")
    version = serializers.SerializerMethodField()
    serial = serializers.CharField(allow_blank=True)
    alarms = AlarmOut(many=True)
    ovoc_missing_since = serializers.DateTimeField(allow_null=True)
    row_version = serializers.IntegerField(help_text="The number in the ETag.")
    url = serializers.SerializerMethodField()

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Sbc) -> dict[str, Any] | None:
        return trouble(row.problem)

    @extend_schema_field(serializers.ChoiceField(choices=GRADES))
    def get_device_status(self, row: Sbc) -> str:
        return status.of_sbc(row).device.word.lower()

    def get_locked(self, row: Sbc) -> bool:
        return status.of_sbc(row).locked

    def get_product(self, row: Sbc) -> str:
        return str(row.told.get("product") or row.ovoc.get("product") or "")

    def get_version(self, row: Sbc) -> str:
        return str(row.told.get("version") or row.ovoc.get("version") or "")

    @extend_schema_field(serializers.URLField())
    def get_url(self, row: Sbc) -> str:
        return link(self.context.get("request"), "sbc", sbc_id=row.uid)


class SbcKept(SbcOut):
    """The device, and the check that was queued for it."""

    check = CommandRef(allow_null=True)


class SbcFilters(django_filters.FilterSet):
    link = django_filters.ChoiceFilter(choices=Link.choices, help_text="Status.")
    ovoc_id = django_filters.NumberFilter(min_value=0, max_value=2**63 - 1, help_text="Ovoc Sbc Id.")


class Sbcs(ListView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER), "POST": provider(Ability.MANAGE_SBC)}
    filters = SbcFilters
    orders = {"name": "name"}
    out = SbcOut

    def rows(self) -> QuerySet[Sbc]:
        return selectors.sbcs()

    @extend_schema(operation_id="sbcs_list", responses=SbcOut(many=True))
    def get(self, request: Request) -> Response:
        """Known SBCs, without their passwords."""
        return self.page()

    @extend_schema(operation_id="sbcs_add", request=SbcIn, responses={201: SbcKept})
    @idempotent
    def post(self, request: Request) -> Response:
        """Add New SBC; its connection is tried at once."""
        found, command = services.add(self.actor, **self.body(SbcIn))
        body = _kept(request, found, command)
        return Response(body, status=201, headers={"Location": body["url"], "ETag": _tag(found)})


class OneSbc(ApiView):
    doors = {
        "GET": provider(Ability.VIEW_PROVIDER),
        "PATCH": provider(Ability.MANAGE_SBC),
        "DELETE": provider(Ability.MANAGE_SBC),
    }
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="sbcs_get", responses=SbcOut)
    def get(self, request: Request, sbc_id: uuid.UUID) -> Response:
        """One device, what it said last, and since when."""
        found = selectors.sbc(sbc_id)
        return Response(SbcOut(found, context={"request": request}).data, headers={"ETag": _tag(found)})

    @extend_schema(operation_id="sbcs_change", request=SbcChange, responses=SbcKept)
    def patch(self, request: Request, sbc_id: uuid.UUID) -> Response:
        """Change it; its connection is tried anew."""
        found = selectors.sbc(sbc_id)
        etags.check(request, found.row_version, thing="the SBC")
        names = ("name", "fqdn", "https", "user", "fingerprint")
        given = {name: getattr(found, name) for name in names} | self.body(SbcChange)
        changed, command = services.change(self.actor, found, version=found.row_version, **given)
        return Response(_kept(request, changed, command), headers={"ETag": _tag(changed)})

    @extend_schema(operation_id="sbcs_remove", responses={204: None})
    def delete(self, request: Request, sbc_id: uuid.UUID) -> Response:
        """The portal forgets it. Nothing on the device changes."""
        services.remove(self.actor, selectors.sbc(sbc_id))
        return Response(status=204)


class CheckSbc(ApiView):
    doors = {"POST": provider(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="sbcs_check", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, sbc_id: uuid.UUID) -> Response:
        """Test connection. Refused after a refused password, until it is entered again."""
        self.body(Nothing)
        return accepted(request, services.check(self.actor, selectors.sbc(sbc_id)))


class Reload(ApiView):
    doors = {"POST": provider(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="sbcs_reload", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request) -> Response:
        """Reload From Ovoc. The command's result names what was added, updated, missing and failed."""
        self.body(Nothing)
        return accepted(request, services.reload(self.actor))


def _kept(request: Request, found: Sbc, command: Any) -> dict[str, Any]:
    found.refresh_from_db()
    shown = dict(SbcOut(found, context={"request": request}).data)
    return {**shown, "check": queued(request, command) if command else None}


def _tag(found: Sbc) -> str:
    return etags.etag(found.row_version)
