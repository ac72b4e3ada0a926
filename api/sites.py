"""/tenants/{id}/sites: a customer's sites on SBCs, and what is done with them there. Secret values go in only."""

import uuid
from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.reverse import reverse

from api import etags, examples
from api.connections import TroubleOut, trouble
from api.idempotency import idempotent
from api.permissions import tenant
from api.serializers import CommandRef, In, Out
from api.views import ApiView, ListView, accepted
from core.errors import InvalidInput, NotFound
from sbc import selectors as devices
from sites import selectors, services, template_selectors
from sites.models import Configuration, Site, SiteState, Trunk
from tenants.abilities import Ability

STATES = [(state.value or "none", state.label) for state in SiteState]
LOOKS = {"deploy": services.DEPLOY, "remove": services.REMOVE}


class SiteChange(In):
    """What is left out keeps its value. Only while nothing of the site is on an SBC."""

    name = serializers.CharField(
        max_length=15, required=False, help_text="3 to 15 plain characters; the customer's only one."
    )
    sbc_id = serializers.UUIDField(required=False, help_text="On which SBC it lies.")
    configuration = serializers.ChoiceField(
        choices=Configuration.choices, required=False, help_text="What the site's other leg is."
    )
    trunk = serializers.ChoiceField(choices=Trunk.choices, required=False, help_text="Trunk model.")
    gateway = serializers.CharField(
        max_length=253, required=False, allow_blank=True, help_text="PSTN Gateway: an FQDN."
    )
    script_id = serializers.UUIDField(
        required=False, allow_null=True, help_text="Of the onboarding script template; null: none yet."
    )
    values = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True),
        required=False,
        help_text="The script's variables by their names, but for secret ones.",
    )
    secrets = serializers.DictField(
        child=serializers.CharField(max_length=200, allow_blank=True, trim_whitespace=False),
        required=False,
        help_text="Its secret variables, all of them or none; never given back.",
    )


class SiteIn(SiteChange):
    """A new site. Nothing on the SBC changes."""

    name = serializers.CharField(
        max_length=15, help_text="3 to 15 plain characters; the customer's only one."
    )
    sbc_id = serializers.UUIDField(help_text="On which SBC it lies.")
    configuration = serializers.ChoiceField(
        choices=Configuration.choices, help_text="What the site's other leg is."
    )
    trunk = serializers.ChoiceField(choices=Trunk.choices, default=Trunk.DERIVED, help_text="Trunk model.")
    gateway = serializers.CharField(
        max_length=253, default="", allow_blank=True, help_text="PSTN Gateway: an FQDN."
    )


class PlanIn(In):
    """With `plan`, only what a preview showed under that name is done, or nothing."""

    plan = serializers.CharField(
        max_length=64, required=False, allow_blank=True, help_text="Of the result of a preview."
    )


class LookIn(In):
    act = serializers.ChoiceField(
        choices=[(each, each) for each in LOOKS], default="deploy", help_text="What is looked at."
    )


@extend_schema_serializer(examples=[examples.SITE])
class SiteOut(Out):
    """To a customer's own callers what concerns the device is null or empty."""

    id = serializers.UUIDField(source="uid")
    name = serializers.CharField()
    configuration = serializers.ChoiceField(choices=Configuration.choices)
    trunk = serializers.ChoiceField(choices=Trunk.choices)
    gateway = serializers.CharField(allow_blank=True, help_text="PSTN Gateway.")
    sbc_state = serializers.SerializerMethodField(help_text="SbcDeploymentState.")
    m365_state = serializers.SerializerMethodField(help_text="M365DeploymentState.")
    deployed_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True, help_text="When the SBC was last read for it.")
    created_at = serializers.DateTimeField()
    sbc_id = serializers.SerializerMethodField()
    script_id = serializers.SerializerMethodField()
    values = serializers.SerializerMethodField()
    has_secrets = serializers.SerializerMethodField()
    problem = serializers.SerializerMethodField(help_text="Why the last work on the SBC stopped or waits.")
    rows = serializers.SerializerMethodField(help_text="What was found on the SBC of it, in words.")
    row_version = serializers.IntegerField(help_text="The number in the ETag.")

    @property
    def _whole(self) -> bool:
        return bool(self.context.get("whole"))

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_sbc_state(self, row: Site) -> str:
        return str(row.sbc_state) or "none"

    @extend_schema_field(serializers.ChoiceField(choices=STATES))
    def get_m365_state(self, row: Site) -> str:
        return str(row.m365_state) or "none"

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_sbc_id(self, row: Site) -> str | None:
        return str(row.sbc.uid) if self._whole else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_script_id(self, row: Site) -> str | None:
        return str(row.template.uid) if self._whole and row.template else None

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_values(self, row: Site) -> dict[str, str]:
        return dict(row.values) if self._whole else {}

    def get_has_secrets(self, row: Site) -> bool:
        return row.secret_id is not None

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Site) -> dict[str, Any] | None:
        return trouble(row.sbc_problem) if self._whole else None

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_rows(self, row: Site) -> list[str]:
        return selectors.Shown(row, self._whole).rows if self._whole else []


class SiteFilters(django_filters.FilterSet):
    sbc_state = django_filters.ChoiceFilter(
        choices=STATES, method="with_state", help_text="SbcDeploymentState."
    )
    configuration = django_filters.ChoiceFilter(
        choices=Configuration.choices, help_text="What the site's other leg is."
    )

    def with_state(self, rows: QuerySet[Site], name: str, value: str) -> QuerySet[Site]:
        return rows.filter(sbc_state="" if value == "none" else value)


class Sites(ListView):
    doors = {"GET": tenant(Ability.VIEW_TENANT), "POST": tenant(Ability.MANAGE_SBC)}
    filters = SiteFilters
    orders = {"name": "name"}
    out = SiteOut

    def rows(self) -> QuerySet[Site]:
        return selectors.sites_of(self.tenant).select_related("template")

    def context(self, page: list[Any]) -> dict[str, Any]:
        return {"whole": self.actor.is_provider}

    @extend_schema(operation_id="sites_list", responses=SiteOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """The customer's sites."""
        return self.page()

    @extend_schema(operation_id="sites_add", request=SiteIn, responses={201: SiteOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Add SBC Site. Nothing on the SBC changes until it is deployed."""
        found = services.add(self.actor, self.tenant, **_wish(self.body(SiteIn)))
        url = reverse("api:site", kwargs={"uid": self.tenant.id, "site_id": found.uid}, request=request)
        headers = {"Location": url, "ETag": etags.etag(found.row_version)}
        return Response(_shown(found, whole=True), status=201, headers=headers)


class OneSite(ApiView):
    doors = {
        "GET": tenant(Ability.VIEW_TENANT),
        "PATCH": tenant(Ability.MANAGE_SBC),
        "DELETE": tenant(Ability.MANAGE_SBC),
    }
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="site_get", responses=SiteOut)
    def get(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """One site, and how it stands on its SBC."""
        found = selectors.site(self.tenant, site_id)
        headers = {"ETag": etags.etag(found.row_version)}
        return Response(_shown(found, whole=self.actor.is_provider), headers=headers)

    @extend_schema(operation_id="site_change", request=SiteChange, responses=SiteOut)
    def patch(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Change it. Refused while something of it is on an SBC."""
        found = selectors.site(self.tenant, site_id)
        etags.check(request, found.row_version, thing="the site")
        changed = services.change(
            self.actor, found, version=found.row_version, **_wish(self.body(SiteChange))
        )
        return Response(_shown(changed, whole=True), headers={"ETag": etags.etag(changed.row_version)})

    @extend_schema(operation_id="site_delete", responses={204: None})
    def delete(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """The portal forgets it. Refused while something of it is on an SBC: remove it from there first."""
        services.delete(self.actor, selectors.site(self.tenant, site_id))
        return Response(status=204)


class Preview(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="site_preview", request=LookIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Look what deploying or removing it would do: the command's result has every line. Nothing is written."""
        kind = LOOKS[self.body(LookIn)["act"]]
        return accepted(request, services.preview(self.actor, selectors.site(self.tenant, site_id), kind))


class Deploy(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="site_deploy", request=PlanIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Carry its script out on the SBC, read back, and save."""
        plan = self.body(PlanIn).get("plan", "")
        return accepted(request, services.deploy(self.actor, selectors.site(self.tenant, site_id), plan))


class Remove(ApiView):
    doors = {"POST": tenant(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="site_remove", request=PlanIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Take what the portal made for it off the SBC. The site itself stays; its prefixes must be gone."""
        plan = self.body(PlanIn).get("plan", "")
        return accepted(request, services.remove(self.actor, selectors.site(self.tenant, site_id), plan))


def _wish(given: dict[str, Any]) -> dict[str, Any]:
    """What the service takes. Raises InvalidInput naming the field."""
    wish = {name: value for name, value in given.items() if name not in {"sbc_id", "script_id", "secrets"}}
    if "sbc_id" in given:
        wish["sbc"] = _found(devices.sbc, given["sbc_id"], "sbc_id")
    if "script_id" in given:
        script_id = given["script_id"]
        wish["template"] = _found(template_selectors.template, script_id, "script_id") if script_id else None
    if "secrets" in given:
        wish["secrets_"] = given["secrets"]
    return wish


def _found(look: Any, uid: uuid.UUID, field: str) -> Any:
    try:
        return look(uid)
    except NotFound as error:
        raise InvalidInput(field=field, why="there is none with this id") from error


def _shown(found: Site, *, whole: bool) -> dict[str, Any]:
    return dict(SiteOut(found, context={"whole": whole}).data)
