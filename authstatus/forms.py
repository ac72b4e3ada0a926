"""Forms for connecting a customer. What is secret goes in and never comes out again."""

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone

from tenants.forms import CustomerForm, guid_field
from tenants.models import Cloud

NO_MEMORY = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class WriteOnlyText(forms.Textarea):
    """A private key: several lines, and never sent back to the browser."""

    def format_value(self, value: Any) -> str:
        return ""


def _secret_field() -> forms.CharField:
    return forms.CharField(
        label="Client Secret",
        required=False,
        max_length=1000,
        strip=True,
        help_text="Its Value, not its Secret ID. It is sealed at once and can never be shown again.",
        widget=forms.PasswordInput(render_value=False, attrs={**NO_MEMORY, "autocomplete": "new-password"}),
    )


def _certificate_field() -> forms.CharField:
    return forms.CharField(
        label="Certificate",
        required=False,
        max_length=20_000,
        help_text="In PEM form, as uploaded to the app registration; begins with -----BEGIN CERTIFICATE-----.",
        widget=forms.Textarea(attrs={**NO_MEMORY, "rows": 4, "class": "mono"}),
    )


def _key_field() -> forms.CharField:
    return forms.CharField(
        label="Private key",
        required=False,
        max_length=20_000,
        help_text="The certificate's key in PEM form, without a passphrase. It is sealed like a secret.",
        widget=WriteOnlyText(attrs={**NO_MEMORY, "rows": 4, "class": "mono"}),
    )


class CredentialForm(forms.Form):
    """An app registration in the customer's tenant, with a client secret or a certificate.

    Where credentials are stored already, empty secrets keep them.
    """

    cloud = forms.ChoiceField(
        label="Microsoft cloud",
        choices=Cloud,
        help_text="Where Microsoft keeps the customer's organisation; most are worldwide.",
    )
    client_id = guid_field(
        "Client Id", "The Application (client) ID on the app registration's overview page."
    )
    client_secret = _secret_field()
    certificate = _certificate_field()
    private_key = _key_field()
    expires_at = forms.DateTimeField(
        label="The secret's end date",
        required=False,
        help_text="As Microsoft shows it, so that you are warned in time. A certificate brings its own.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    SECRETS = ("client_secret", "certificate", "private_key")

    @property
    def with_certificate(self) -> bool:
        """Whether the certificate's fields should stand open."""
        touched = {"certificate", "private_key"} & set(self.errors if self.is_bound else ())
        return bool(touched) or bool(self.is_bound and self.data.get("certificate"))

    def clean_expires_at(self) -> dt.datetime | None:
        given: dt.datetime | None = self.cleaned_data["expires_at"]
        if given is not None and given <= timezone.now():
            raise forms.ValidationError("This date has passed: create a new secret at Microsoft first.")
        return given

    def credential(self) -> dict[str, Any]:
        """What tenants.services.set_connection takes; of a valid form."""
        return {name: self.cleaned_data[name] for name in ("cloud", "client_id", "expires_at", *self.SECRETS)}


class OnboardForm(CredentialForm, CustomerForm):
    """Everything needed to add a customer with its app registration at once, and to start its first replication."""

    entra_tenant_id = guid_field(
        "Azure Tenant Id", "The Directory (tenant) ID on the overview page of Microsoft Entra."
    )
    with_sync = None  # type: ignore[assignment]  # Django's way to leave a field out
    deployed = forms.BooleanField(
        label="Already deployed",
        required=False,
        help_text="The customer's voice routing is in place, for example because it comes from another portal.",
    )

    CUSTOMER = ("name", "entra_tenant_id", "domain", "plan", "service", "licensed_users", "deployed")

    def customer(self) -> dict[str, Any]:
        """What tenants.services.add_tenant takes; of a valid form."""
        return {name: self.cleaned_data[name] for name in self.CUSTOMER}


class KeyServiceForm(forms.Form):
    service = forms.CharField(
        label="Used by",
        required=False,
        max_length=60,
        help_text="Another service, such as a call recorder; empty when only this portal uses it, or nobody.",
    )


class CreateRegistrationForm(forms.Form):
    voice = forms.BooleanField(
        label="For voice features too",
        required=False,
        help_text="Also gives the app the directory role Teams Administrator, as Deploy needs it; and everything of "
        "telephony in the clouds of the US government and of China.",
    )
