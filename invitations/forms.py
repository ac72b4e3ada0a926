"""Forms of invitations and of the mail. They check the shape; the services check the rules."""

from typing import Any

from django import forms

from accounts import installation
from invitations import services, template
from invitations.models import Invitation, InvitationMail

PLACEHOLDERS = f"{{{{{template.CUSTOMER}}}}}, {{{{{template.PORTAL}}}}} and {{{{{template.INVITATION}}}}}"


class InviteForm(forms.Form):
    """Whom an invitation is for."""

    email = forms.EmailField(
        label="Invitation Email",
        max_length=254,
        help_text="The customer's administrator. The mail with the link goes there, and nowhere else.",
    )
    full_name = forms.CharField(label="Full Name", max_length=120, required=False)
    admin_email = forms.EmailField(
        label="M365 Admin Email",
        max_length=254,
        required=False,
        help_text="The account that is expected to sign in at Microsoft, where it is known.",
    )
    portal_account = forms.BooleanField(
        label="Give an account of the customer portal",
        required=False,
        initial=True,
        help_text="Once connected, the invited person may sign in here as Customer Admin.",
    )


class EditForm(InviteForm):
    version = forms.IntegerField(widget=forms.HiddenInput)

    @staticmethod
    def values_of(invitation: Invitation) -> dict[str, Any]:
        names = ("email", "full_name", "admin_email", "portal_account")
        return {name: getattr(invitation, name) for name in names} | {
            "version": services.version_of(invitation)
        }


class OrganisationForm(forms.Form):
    """Whether an organisation is the customer's, and which one was looked at: the page says that back, unseen."""

    answer = forms.ChoiceField(choices=[("confirm", "Confirm"), ("refuse", "Refuse")])
    found_tenant_id = forms.UUIDField(widget=forms.HiddenInput)
    found_account = forms.CharField(required=False, strip=False, max_length=254, widget=forms.HiddenInput)


class MailForm(forms.Form):
    """Invitation Settings (INV-01..03), and the two times that go with them."""

    subject = forms.CharField(label="Invitation Subject", max_length=template.SUBJECT_MOST, strip=False)
    body = forms.CharField(
        label="Invitation Email",
        max_length=template.BODY_MOST,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18}),
        help_text=f"Placeholders: {PLACEHOLDERS}. The link is {template.LINK}. Lines that begin with a dash "
        "become a list.",
    )
    portal_url = forms.CharField(
        label="Customer Authentication Portal Url",
        max_length=300,
        widget=forms.URLInput(attrs={"spellcheck": "false"}),
        help_text="This portal's public address, followed by /authenticate.",
    )
    invitation_days = forms.IntegerField(
        label="Lifetime of an invitation, in days",
        help_text="Then its links lead nowhere. It holds for invitations made from now on.",
    )
    invitation_reminder_days = forms.IntegerField(
        label="Automatic reminder, days after the last mail",
        help_text="Once, while nobody has acted upon it; 0 = never.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    @staticmethod
    def values_of(mail: InvitationMail) -> dict[str, Any]:
        return {
            "subject": mail.subject,
            "body": mail.body,
            "portal_url": mail.portal_url,
            "version": mail.row_version,
            **{name: installation.get(name) for name in TIMES},
        }


TIMES = ("invitation_days", "invitation_reminder_days")


class TestMailForm(forms.Form):
    to = forms.EmailField(label="Send it to", max_length=254)
