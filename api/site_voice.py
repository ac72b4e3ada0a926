"""/tenants/{id}/sites/{id}/voice: what a site wants in the customer's Teams. Deploy writes it there."""

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.permissions import tenant
from api.serializers import In, Out
from api.views import ApiView
from deployment import plans, selectors, services
from deployment.models import MOST_SESSIONS, SiteVoice
from m365.voice import ANY_NUMBER, LONGEST_PATTERN, MOST_RULES, SIP_PORT, Rule
from sites import selectors as sites
from sites.models import Trunk
from tenants.abilities import Ability

_RULES = "Normalization rules of its dial plan, the first that fits counts; without any it has no dial plan."
_PORT = "SIP signalling port of an own PSTN gateway; a derived trunk takes the provider's."
_PATTERN = "A regular expression; numbers that it finds leave by this site."


class DialRuleIn(In):
    name = serializers.CharField(max_length=47, help_text="The plan's only one.")
    pattern = serializers.CharField(max_length=LONGEST_PATTERN, help_text="A regular expression.")
    translation = serializers.CharField(max_length=LONGEST_PATTERN, help_text="Such as +41$1.")


@extend_schema_serializer(examples=[examples.SITE_VOICE_SET])
class SiteVoiceIn(In):
    """All of it: what is left out is as usual again."""

    pattern = serializers.CharField(max_length=LONGEST_PATTERN, default=ANY_NUMBER, help_text=_PATTERN)
    port = serializers.IntegerField(min_value=1, max_value=65535, default=SIP_PORT, help_text=_PORT)
    media_bypass = serializers.BooleanField(default=False, help_text="Of an own PSTN gateway.")
    max_sessions = serializers.IntegerField(
        min_value=1,
        max_value=MOST_SESSIONS,
        allow_null=True,
        default=None,
        help_text="Concurrent sessions; null: not limited.",
    )
    rules = serializers.ListField(child=DialRuleIn(), max_length=MOST_RULES, default=list, help_text=_RULES)


class DialRuleOut(Out):
    name = serializers.CharField()
    pattern = serializers.CharField()
    translation = serializers.CharField()


@extend_schema_serializer(examples=[examples.SITE_VOICE])
class SiteVoiceOut(Out):
    """As it should be in Teams; the deployment says what is there."""

    name = serializers.SerializerMethodField(
        help_text="Of its PSTN usage, voice route, voice routing policy and tenant dial plan."
    )
    gateway = serializers.CharField(
        source="site.gateway", allow_blank=True, help_text="PSTN gateway: an FQDN."
    )
    own_gateway = serializers.SerializerMethodField(
        help_text="Whether the gateway is made in the customer's Teams, and not derived from the provider's trunk."
    )
    pattern = serializers.CharField(help_text=_PATTERN)
    port = serializers.IntegerField(help_text=_PORT)
    media_bypass = serializers.BooleanField()
    max_sessions = serializers.IntegerField(allow_null=True, help_text="Concurrent sessions.")
    rules = DialRuleOut(many=True, help_text=_RULES)
    changed_at = serializers.DateTimeField(allow_null=True, help_text="Null: everything is as usual.")
    changed_by = serializers.CharField(allow_blank=True)

    def get_name(self, row: SiteVoice) -> str:
        return plans.name_of(row.site)

    def get_own_gateway(self, row: SiteVoice) -> bool:
        return bool(row.site.trunk == Trunk.OWN)


class Voice(ApiView):
    doors = {"GET": tenant(Ability.MANAGE_SBC), "PUT": tenant(Ability.MANAGE_SBC)}

    @extend_schema(operation_id="site_voice_get", responses=SiteVoiceOut)
    def get(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Its PSTN gateway, PSTN usage, voice route, voice routing policy and dial plan, as Deploy makes them."""
        found = selectors.voice_of(sites.site(self.tenant, site_id))
        return Response(SiteVoiceOut(found).data)

    @extend_schema(operation_id="site_voice_set", request=SiteVoiceIn, responses=SiteVoiceOut)
    def put(self, request: Request, uid: str, site_id: uuid.UUID) -> Response:
        """Keep how its voice routing differs from the usual. Nothing in Teams changes until Deploy."""
        given: dict[str, Any] = self.body(SiteVoiceIn)
        rules = [Rule(**rule) for rule in given.pop("rules")]
        found = services.set_voice(self.actor, sites.site(self.tenant, site_id), rules=rules, **given)
        return Response(SiteVoiceOut(found).data)
