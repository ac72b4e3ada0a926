"""The form of the provider's own app."""

from typing import Any

from django import forms

from authstatus.forms import NO_MEMORY, CredentialForm
from tenants.forms import guid_field
from tenants.models import ProviderApp
from tenants.provider_app import CALLBACK, default_redirect_uri


class ProviderAppForm(CredentialForm):
    """Client Id, Client Secret and Redirect Uri (AUT-02..04); the rest is folded."""

    cloud = None  # type: ignore[assignment]  # Django's way to leave a field out: the app lives worldwide only
    redirect_uri = forms.CharField(
        label="Redirect Uri",
        max_length=300,
        help_text=f"https://, the portal's host name, and {CALLBACK}; letter by letter as on the app registration.",
        widget=forms.TextInput(attrs={**NO_MEMORY, "inputmode": "url"}),
    )
    home_tenant_id = guid_field(
        "Azure Tenant Id of your own organisation",
        "Where the app registration lives. With it the check tries the credential there, and may read its end date.",
        required=False,
    )

    def values(self) -> dict[str, Any]:
        """What authstatus.services.set_provider_app takes; of a valid form."""
        names = ("client_id", "redirect_uri", "home_tenant_id", "expires_at", *self.SECRETS)
        return {name: self.cleaned_data[name] for name in names}

    @staticmethod
    def stored(app: ProviderApp) -> dict[str, Any]:
        """The stored values, as `initial`; never a secret."""
        return {
            "client_id": app.client_id,
            "redirect_uri": app.redirect_uri or default_redirect_uri(),
            "home_tenant_id": app.home_tenant_id,
        }
