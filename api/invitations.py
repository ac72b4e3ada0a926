"""/invitations and /tenants/{id}/invitations: whom the provider asks for access. /invitation-settings: the mail."""

import functools
import operator
from typing import Any

import django_filters
from django.db import transaction
from django.db.models import Q, QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field, extend_schema_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import installation
from api import etags, examples
from api.connections import TroubleOut, trouble
from api.filters import Flag, search
from api.idempotency import idempotent
from api.links import link
from api.permissions import every, provider, tenant
from api.serializers import CommandRef, In, Nothing, Out
from api.views import ApiView, ListView, accepted
from invitations import confirming, listing, selectors, services, template
from invitations.forms import TIMES
from invitations.models import Invitation, InvitationMail, Stage, Type, Way
from tenants.abilities import Ability

TEXTS = ("subject", "body", "portal_url")
LINK_ONCE = "it made a link, which is shown only once; if you lost it, make another one"


class InvitationRow(Out):
    """How far a customer's administrator came. No answer tells a link, but that of `auth-url`."""

    id = serializers.IntegerField(help_text="It opens nothing.")
    tenant_id = serializers.UUIDField()
    customer = serializers.CharField(source="tenant.name")
    type = serializers.ChoiceField(
        choices=Type.choices, help_text="`request`: of one that was connected before."
    )
    stage = serializers.ChoiceField(choices=Stage.choices)
    stage_text = serializers.CharField(source="stage.label")
    next = serializers.SerializerMethodField(help_text="What to do next, in words.")
    full_name = serializers.CharField(allow_blank=True)
    email = serializers.CharField()
    admin_email = serializers.CharField(allow_blank=True, help_text="M365 Admin Email.")
    portal_account = serializers.BooleanField(help_text="The invited person gets an account once connected.")
    sent_count = serializers.IntegerField(help_text="Mails that the mail server took.")
    sent_at = serializers.DateTimeField(allow_null=True)
    undelivered = serializers.SerializerMethodField(help_text="Why the last mail did not go out.")
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    expires_at = serializers.DateTimeField()
    opened_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    way = serializers.ChoiceField(choices=Way.choices, allow_blank=True)
    signed_in_at = serializers.DateTimeField(allow_null=True)
    found_tenant_id = serializers.UUIDField(
        allow_null=True, help_text="The organisation of whoever signed in, while you must confirm it."
    )
    found_account = serializers.CharField(allow_blank=True, help_text="Who signed in for it.")
    found_name = serializers.CharField(allow_blank=True)
    found_domains = serializers.ListField(child=serializers.CharField())
    problem = serializers.SerializerMethodField(help_text="What the customer met last.")
    done_at = serializers.DateTimeField(allow_null=True, help_text="Device Authenticated: proven by a check.")
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = serializers.CharField(allow_blank=True)
    tenant_installed = serializers.SerializerMethodField()
    row_version = serializers.SerializerMethodField(help_text="The number in the ETag.")
    url = serializers.SerializerMethodField()

    def get_next(self, row: Invitation) -> str:
        return listing.NEXT[row.stage]

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_undelivered(self, row: Invitation) -> dict[str, Any] | None:
        return trouble(row.undelivered)

    @extend_schema_field(TroubleOut(allow_null=True))
    def get_problem(self, row: Invitation) -> dict[str, Any] | None:
        return trouble(row.problem)

    def get_tenant_installed(self, row: Invitation) -> bool:
        return listing.Row(row, []).installed

    def get_row_version(self, row: Invitation) -> int:
        return services.version_of(row)

    def get_url(self, row: Invitation) -> str:
        return link(self.context["request"], "invitation", uid=row.tenant_id, invitation_id=row.pk)


@extend_schema_serializer(examples=[examples.INVITATION])
class InvitationOut(InvitationRow):
    pass


class InvitationFields(In):
    full_name = serializers.CharField(
        max_length=120, required=False, allow_blank=True, help_text="Of whoever is invited."
    )
    admin_email = serializers.EmailField(
        max_length=254, required=False, allow_blank=True, help_text="M365 Admin Email, where it is known."
    )
    portal_account = serializers.BooleanField(
        required=False, help_text="Once connected, the invited person may sign in here. Default: true."
    )


@extend_schema_serializer(examples=[examples.INVITE])
class InvitationIn(InvitationFields):
    email = serializers.EmailField(max_length=254, help_text="Of the customer's administrator.")


class InvitationChange(InvitationFields):
    """What is left out stays. Another address gets a new mail; what the former got is dead at once."""

    email = serializers.EmailField(
        max_length=254, required=False, help_text="Of the customer's administrator."
    )


@extend_schema_serializer(examples=[examples.AUTH_URL])
class AuthUrl(Out):
    url = serializers.URLField(help_text="Shown this one time: whoever has it can go the customer's way.")
    expires_at = serializers.DateTimeField()


@extend_schema_serializer(examples=[examples.ORGANISATION_SHOWN])
class OrganisationShown(In):
    """What you looked at. If somebody else signed in meanwhile, nothing is decided: 409, and you look again."""

    found_tenant_id = serializers.UUIDField(help_text="As the invitation told it.")
    found_account = serializers.CharField(
        max_length=254, allow_blank=True, trim_whitespace=False, help_text="As the invitation told it."
    )


class InvitationFilters(django_filters.FilterSet):
    stage = django_filters.ChoiceFilter(choices=Stage.choices, method="in_stage", help_text="How far it is.")
    open = Flag(method="is_open", help_text="Whether its links lead anywhere.")
    type = django_filters.ChoiceFilter(
        choices=Type.choices, help_text="Of a new customer, or one connected before."
    )
    tenant = django_filters.UUIDFilter(field_name="tenant_id", help_text="Of this customer only.")
    search = search("In customer, full name and both email addresses.")

    def look_for(self, rows: QuerySet[Invitation], name: str, value: str) -> QuerySet[Invitation]:
        columns = ("tenant__name", "full_name", "email", "admin_email")
        return rows.filter(
            functools.reduce(operator.or_, (Q(**{f"{each}__icontains": value}) for each in columns))
        )

    def in_stage(self, rows: QuerySet[Invitation], name: str, value: str) -> QuerySet[Invitation]:
        return rows.filter(listing.in_stage(Stage(value)))

    def is_open(self, rows: QuerySet[Invitation], name: str, value: bool) -> QuerySet[Invitation]:
        return rows.filter(listing.OPEN) if value else rows.exclude(listing.OPEN)


class Invitations(ListView):
    doors = {"GET": every(Ability.VIEW_INVITATIONS)}
    filters = InvitationFilters
    orders = {"id": "id", "expires_at": "expires_at"}
    out = InvitationOut

    def rows(self) -> QuerySet[Invitation]:
        found: QuerySet[Invitation] = Invitation.objects.select_related("tenant").filter(
            tenant__deleted_at=None
        )
        return found

    @extend_schema(operation_id="invitations_list", responses=InvitationOut(many=True))
    def get(self, request: Request) -> Response:
        """Invitations of the customers you may see, with how far each came."""
        return self.page()


class TenantInvitations(ListView):
    doors = {"GET": tenant(Ability.VIEW_INVITATIONS), "POST": tenant(Ability.INVITE)}
    filters = InvitationFilters
    orders = {"id": "id", "expires_at": "expires_at"}
    out = InvitationOut

    def rows(self) -> QuerySet[Invitation]:
        found: QuerySet[Invitation] = Invitation.objects.select_related("tenant").filter(tenant=self.tenant)
        return found

    @extend_schema(operation_id="tenant_invitations_list", responses=InvitationOut(many=True))
    def get(self, request: Request, uid: str) -> Response:
        """One customer's invitations."""
        return self.page()

    @extend_schema(
        operation_id="tenant_invitations_add", request=InvitationIn, responses={201: InvitationOut}
    )
    @idempotent
    def post(self, request: Request, uid: str) -> Response:
        """Invite the customer's administrator; the mail is queued. 409 while another invitation is open."""
        made = services.invite(self.actor, self.tenant, **self.body(InvitationIn))
        answer = _shown(request, selectors.one_of(self.tenant, made.pk), status=201)
        answer["Location"] = answer.data["url"]
        return answer


class OneInvitation(ApiView):
    doors = {"GET": tenant(Ability.VIEW_INVITATIONS), "PATCH": tenant(Ability.INVITE)}
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="invitations_get", responses=InvitationOut)
    def get(self, request: Request, uid: str, invitation_id: int) -> Response:
        """One invitation."""
        return _shown(request, selectors.one_of(self.tenant, invitation_id))

    @extend_schema(operation_id="invitations_change", request=InvitationChange, responses=InvitationOut)
    def patch(self, request: Request, uid: str, invitation_id: int) -> Response:
        """Correct whom it is for."""
        found = selectors.one_of(self.tenant, invitation_id)
        version = services.version_of(found)
        etags.check(request, version, thing="the invitation")
        names = ("email", "full_name", "admin_email", "portal_account")
        values = {name: getattr(found, name) for name in names} | self.body(InvitationChange)
        services.edit(self.actor, self.tenant, invitation_id, version=version, **values)
        return _shown(request, selectors.one_of(self.tenant, invitation_id))


class _Mail(ApiView):
    doors = {"POST": tenant(Ability.INVITE)}


class Remind(_Mail):
    @extend_schema(operation_id="invitations_remind", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, invitation_id: int) -> Response:
        """Send Reminder: another mail with a link of its own. Earlier links stay alive."""
        self.body(Nothing)
        return accepted(request, services.remind(self.actor, self.tenant, invitation_id))


class Resend(_Mail):
    @extend_schema(operation_id="invitations_resend", request=Nothing, responses={202: CommandRef})
    @idempotent
    def post(self, request: Request, uid: str, invitation_id: int) -> Response:
        """Send it anew: when the mail server has taken that mail, every earlier link and visit is dead."""
        self.body(Nothing)
        return accepted(request, services.resend(self.actor, self.tenant, invitation_id))


class Revoke(_Mail):
    @extend_schema(operation_id="invitations_revoke", request=Nothing, responses=InvitationOut)
    @idempotent
    def post(self, request: Request, uid: str, invitation_id: int) -> Response:
        """Revoke Request: every link of it is dead at once."""
        self.body(Nothing)
        services.revoke(self.actor, self.tenant, invitation_id)
        return _shown(request, selectors.one_of(self.tenant, invitation_id))


class MakeAuthUrl(_Mail):
    @extend_schema(operation_id="invitations_auth_url", request=Nothing, responses={201: AuthUrl})
    @idempotent(once=LINK_ONCE)
    def post(self, request: Request, uid: str, invitation_id: int) -> Response:
        """Auth URL: a fresh link to pass on in another way than by mail. The audit trail keeps who made it."""
        self.body(Nothing)
        url = services.mint(self.actor, self.tenant, invitation_id, mailed=False)
        ends = selectors.one_of(self.tenant, invitation_id).expires_at
        return Response(AuthUrl({"url": url, "expires_at": ends}).data, status=201)


class _Decision(_Mail):
    """Names what it is about (`confirming.Shown`)."""

    def shown(self, invitation_id: int) -> confirming.Shown:
        """Raises NotFound where there is no such invitation, whatever the body; InvalidInput naming the field."""
        selectors.one_of(self.tenant, invitation_id)
        given = self.body(OrganisationShown)
        return confirming.Shown(given["found_tenant_id"], given["found_account"])


class ConfirmOrganisation(_Decision):
    @extend_schema(
        operation_id="invitations_confirm_organisation", request=OrganisationShown, responses=InvitationOut
    )
    @idempotent
    def post(self, request: Request, uid: str, invitation_id: int) -> Response:
        """`found_tenant_id` is this customer's: connect it, and check the access."""
        confirming.confirm_organisation(self.actor, self.tenant, invitation_id, self.shown(invitation_id))
        return _shown(request, selectors.one_of(self.tenant, invitation_id))


class RefuseOrganisation(_Decision):
    @extend_schema(
        operation_id="invitations_refuse_organisation", request=OrganisationShown, responses=InvitationOut
    )
    @idempotent
    def post(self, request: Request, uid: str, invitation_id: int) -> Response:
        """`found_tenant_id` is somebody else's: forget what that account gave. The invitation stays open."""
        confirming.refuse_organisation(self.actor, self.tenant, invitation_id, self.shown(invitation_id))
        return _shown(request, selectors.one_of(self.tenant, invitation_id))


# --- The mail -----------------------------------------------------------------------------------------------
class InvitationSettingsOut(Out):
    subject = serializers.CharField()
    body = serializers.CharField()
    portal_url = serializers.CharField(help_text="Customer Authentication Portal Url.")
    invitation_days = serializers.IntegerField(help_text="How long an invitation lives.")
    invitation_reminder_days = serializers.IntegerField(
        help_text="Days after the last mail; once; 0 = never."
    )
    changed_by = serializers.CharField(allow_blank=True, help_text="Empty: the text of the product.")
    row_version = serializers.IntegerField(help_text="The number in the ETag.")


@extend_schema_serializer(examples=[examples.INVITATION_SETTINGS])
class InvitationSettingsIn(In):
    """What is left out stays. A text with a placeholder that there is not is refused."""

    subject = serializers.CharField(
        max_length=template.SUBJECT_MOST, required=False, trim_whitespace=False, help_text="One line."
    )
    body = serializers.CharField(
        max_length=template.BODY_MOST,
        required=False,
        trim_whitespace=False,
        help_text=f"It must contain {template.LINK}.",
    )
    portal_url = serializers.CharField(
        max_length=300, required=False, help_text="https://<name of this portal>/authenticate."
    )
    invitation_days = serializers.IntegerField(
        required=False, min_value=1, max_value=60, help_text="Of invitations made from now on."
    )
    invitation_reminder_days = serializers.IntegerField(
        required=False, min_value=0, max_value=30, help_text="After the last mail; 0 = never."
    )


class InvitationSettings(ApiView):
    doors = {"GET": provider(Ability.VIEW_INVITATIONS), "PATCH": provider(Ability.CHANGE_SETTINGS)}
    versioned = ("PATCH",)
    tagged = True

    @extend_schema(operation_id="invitation_settings_get", responses=InvitationSettingsOut)
    def get(self, request: Request) -> Response:
        """What the mail says, and the times."""
        return self._answer(services.mail())

    @extend_schema(
        operation_id="invitation_settings_change",
        request=InvitationSettingsIn,
        responses=InvitationSettingsOut,
    )
    def patch(self, request: Request) -> Response:
        """Change it: all of it or nothing. An unknown placeholder is refused with its name."""
        stored = services.mail()
        etags.check(request, stored.row_version, thing="Invitation Settings")
        given = self.body(InvitationSettingsIn)
        times = {name: given.pop(name) for name in TIMES if name in given}
        with transaction.atomic():
            if given:
                values = {name: getattr(stored, name) for name in TEXTS} | given
                stored = services.set_mail(self.actor, version=stored.row_version, **values)
            for name, value in times.items():
                installation.change(self.actor, name, value)
        return self._answer(stored)

    @staticmethod
    def _answer(stored: InvitationMail) -> Response:
        values = {name: getattr(stored, name) for name in (*TEXTS, "changed_by", "row_version")}
        shown = InvitationSettingsOut(values | {name: installation.get(name) for name in TIMES}).data
        return Response(shown, headers={"ETag": etags.etag(stored.row_version)})


def _shown(request: Request, row: Invitation, status: int = 200) -> Response:
    shown = InvitationOut(row, context={"request": request}).data
    return Response(shown, status=status, headers={"ETag": etags.etag(services.version_of(row))})
