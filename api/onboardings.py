"""/onboardings and /tenants/{id}/onboarding: taking on a customer, all choices at once; and the licence."""

from typing import Any

import django_filters
from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from api import examples
from api.connections import CredentialIn, TroubleOut, trouble
from api.filters import Flag, search
from api.idempotency import idempotent
from api.links import link
from api.permissions import every, provider, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.tenants import TenantFields
from api.views import ApiView, ListView, accepted
from core.errors import Forbidden
from onboarding import selectors, services, standing
from onboarding.models import Onboarding, Step, Way
from tenants import licences, scope
from tenants.abilities import Ability
from tenants.models import Cloud

ACCESS = [(each.value, each.value) for each in standing.Access]


class OnboardingRow(Out):
    """How far an onboarding is; a customer has one open one at most."""

    tenant_id = serializers.UUIDField()
    customer = serializers.CharField(source="tenant.name")
    step = serializers.ChoiceField(choices=Step.choices, help_text="The furthest that was reached.")
    step_since = serializers.DateTimeField()
    deadline = serializers.DateTimeField(
        help_text="When the step should be done; nothing ends by itself then."
    )
    late = serializers.BooleanField()
    way = serializers.ChoiceField(choices=Way.choices, allow_blank=True, help_text="Empty: not chosen yet.")
    cloud = serializers.ChoiceField(choices=Cloud.choices)
    automatic_dns = serializers.BooleanField()
    dns_name = serializers.CharField(allow_blank=True)
    dns_problem = serializers.SerializerMethodField(help_text="Why the automatic DNS did not begin.")
    started_at = serializers.DateTimeField()
    started_by = serializers.CharField()
    finished_at = serializers.DateTimeField(allow_null=True)
    cancelled_at = serializers.DateTimeField(allow_null=True)
    ended_by = serializers.CharField(allow_blank=True)
    url = serializers.SerializerMethodField()

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_dns_problem(self, row: Onboarding) -> dict[str, Any] | None:
        return trouble(row.problem)

    def get_url(self, row: Onboarding) -> str:
        return link(self.context["request"], "onboarding", uid=row.tenant_id)


class AccessOut(Out):
    """Where step 2 stands."""

    state = serializers.ChoiceField(choices=ACCESS, source="access")
    title = serializers.CharField()
    text = serializers.CharField(allow_blank=True)
    deadline = serializers.CharField(help_text="Until when, in words.")
    problem = serializers.SerializerMethodField()
    invitation = serializers.IntegerField(source="invitation.pk", allow_null=True, default=None)
    command = serializers.IntegerField(
        source="command.pk", allow_null=True, default=None, help_text="The check under way."
    )

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: standing.Standing) -> dict[str, Any] | None:
        return trouble(dict(row.error)) if row.error else None


@extend_schema_serializer(examples=[examples.ONBOARDING])
class OnboardingOut(OnboardingRow):
    access = serializers.SerializerMethodField()

    @extend_schema_field(AccessOut)
    def get_access(self, row: Onboarding) -> dict[str, Any]:
        return dict(AccessOut(standing.of(row)).data)


class InvitedIn(In):
    """Whom the link is sent to."""

    email = serializers.EmailField(max_length=254, help_text="Of the customer's administrator.")
    full_name = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="Whom the mail greets."
    )
    admin_email = serializers.EmailField(
        max_length=254, required=False, allow_blank=True, help_text="M365 Admin Email, where it is known."
    )
    portal_account = serializers.BooleanField(
        required=False, help_text="Give the invited person an account of the customer portal (default)."
    )


class AppIn(CredentialIn):
    """An app registration in the customer's tenant."""

    client_id = serializers.UUIDField(help_text="Of the app registration.")


@extend_schema_serializer(examples=[examples.ONBOARD])
class OnboardIn(TenantFields):
    """Every choice of the wizard at once. One of `invitation`, `connection` and `provider_app`, or none yet."""

    cloud = serializers.ChoiceField(
        choices=Cloud.choices, required=False, help_text="Where its tenant lives."
    )
    automatic_dns = serializers.BooleanField(
        required=False, help_text="Set up a sub-domain in the customer's tenant once access was proven."
    )
    dns_name = serializers.CharField(
        max_length=253, required=False, allow_blank=True, help_text="Its name; empty: the portal chooses one."
    )
    invitation = InvitedIn(required=False, help_text="Send link to IT administrator.")
    connection = AppIn(required=False, help_text="Enter an app registration.")
    provider_app = serializers.BooleanField(required=False, help_text="Use the provider's app.")


class DiscoverIn(In):
    domain = serializers.CharField(max_length=253, help_text="Such as contoso.com.")


class RetriedOut(Out):
    done = serializers.CharField(help_text="What was tried again, in words.")


class PoolOut(Out):
    """So many licences of a scheme."""

    scheme = serializers.CharField(source="scheme.name")
    size = serializers.IntegerField()
    held = serializers.IntegerField()
    available = serializers.IntegerField(
        help_text="Negative where the licence was made smaller than what is held."
    )
    short = serializers.CharField(allow_blank=True, help_text="What is short, in words.")
    unlocks = serializers.ListField(child=serializers.CharField(), source="scheme.unlocks")


class LicenseOut(Out):
    multitenant_version = serializers.CharField()
    tenants = PoolOut()
    users = PoolOut()


class OnboardingFilters(django_filters.FilterSet):
    search = search("In the customer's name.")
    open = Flag(method="is_open", help_text="Those that are not finished; without it, all.")

    def is_open(self, queryset: QuerySet[Onboarding], name: str, value: bool) -> QuerySet[Onboarding]:
        over = queryset.exclude(finished_at=None, cancelled_at=None)
        return queryset.filter(finished_at=None, cancelled_at=None) if value else over

    def look_for(self, queryset: QuerySet[Onboarding], name: str, value: str) -> QuerySet[Onboarding]:
        return queryset.filter(tenant__name__icontains=value)


def shown(request: Request, row: Onboarding) -> dict[str, Any]:
    """The onboarding as it is now, in its scope."""
    with scope.one(row.tenant_id):
        return dict(OnboardingOut(row, context={"request": request}).data)


class Onboardings(ListView):
    doors = {"GET": every(Ability.EDIT_TENANT), "POST": provider(Ability.ADD_TENANT)}
    filters = OnboardingFilters
    orders = {"id": "id", "step_since": "step_since"}
    out = OnboardingRow

    def rows(self) -> QuerySet[Onboarding]:
        found: QuerySet[Onboarding] = Onboarding.objects.select_related("tenant").filter(
            tenant__deleted_at=None
        )
        return found

    @extend_schema(operation_id="onboardings_list", responses=OnboardingRow(many=True))
    def get(self, request: Request) -> Response:
        """Customers that are being taken on, and those that were."""
        return self.page()

    @extend_schema(operation_id="onboardings_start", request=OnboardIn, responses={201: OnboardingOut})
    @idempotent
    def post(self, request: Request) -> Response:
        """Add a customer and go on as far as the choices lead; a way in needs its own ability too."""
        values = self.body(OnboardIn)
        if "invitation" in values:
            self._may(Ability.INVITE)
        if "connection" in values or values.get("provider_app"):
            self._may(Ability.MANAGE_CONNECTION)
        made = services.onboard(self.actor, **{"entra_tenant_id": None, **values})
        found = shown(request, made)
        return Response(found, status=201, headers={"Location": found["url"]})

    def _may(self, ability: Ability) -> None:
        if not self.actor.may(ability):
            raise Forbidden(action=ability.words)


class Discover(ApiView):
    doors = {"POST": provider(Ability.ADD_TENANT)}

    @extend_schema(operation_id="onboardings_discover", request=DiscoverIn, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request) -> Response:
        """Look up whose tenant a domain is: `tenant_id` and `cloud` in the `result` of the command."""
        return accepted(request, services.discover(self.actor, self.body(DiscoverIn)["domain"]))


class OneOnboarding(ApiView):
    doors = {"GET": tenant(Ability.EDIT_TENANT), "POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="onboarding_get", responses=OnboardingOut)
    def get(self, request: Request, uid: str) -> Response:
        """The newest onboarding of a customer."""
        return Response(shown(request, selectors.the_newest_of(self.tenant)))

    @extend_schema(operation_id="onboarding_again", request=Nothing, responses={201: OnboardingOut})
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Onboard a customer that is there already; refused while an onboarding is open."""
        self.body(Nothing)
        found = shown(request, services.start_again(self.actor, self.tenant))
        return Response(found, status=201, headers={"Location": found["url"]})


class Retry(ApiView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="onboarding_retry", request=Nothing, responses=RetriedOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Try the step again: check the credentials (`connection:verify`), or send the mail or invite again
        (`invitation:manage`)."""
        self.body(Nothing)
        return Response({"done": services.retry(self.actor, self.tenant)})


class Finish(ApiView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="onboarding_finish", request=Nothing, responses=OnboardingOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """The customer is taken on; refused before access was proven."""
        self.body(Nothing)
        return Response(shown(request, services.finish(self.actor, self.tenant)))


class Cancel(ApiView):
    doors = {"POST": tenant(Ability.EDIT_TENANT)}

    @extend_schema(operation_id="onboarding_cancel", request=Nothing, responses=OnboardingOut)
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Stop: an open invitation is withdrawn, the customer stays."""
        self.body(Nothing)
        return Response(shown(request, services.cancel(self.actor, self.tenant)))


class License(ApiView):
    doors = {"GET": provider(Ability.VIEW_PROVIDER)}

    @extend_schema(operation_id="license_get", responses=LicenseOut)
    def get(self, request: Request) -> Response:
        """The pools of the licence, what each unlocks, and what is left."""
        pools = licences.pools()
        found = {"multitenant_version": settings.VERSION, "tenants": pools.tenants, "users": pools.users}
        return Response(LicenseOut(found).data)
