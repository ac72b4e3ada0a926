"""Forms about customers. They check the shape; the services check the rules, and name the field they mean."""

from typing import Any

from django import forms

from core.errors import InvalidInput, UmpError
from tenants.models import Plan, Service, Tenant

GUID_WRONG = "Enter it as Microsoft shows it, such as 3f2b8c1e-6a0d-4a53-8f7c-2d1b9e0a4c77."


def guid_field(label: str, help_text: str, *, required: bool = True) -> forms.UUIDField:
    return forms.UUIDField(
        label=label,
        help_text=help_text,
        required=required,
        error_messages={"invalid": GUID_WRONG},
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false", "maxlength": "45"}),
    )


def add_error(form: forms.Form, error: UmpError) -> None:
    """Put what a service refused, in words, beside the field that it names, or above the form."""
    if not isinstance(error, InvalidInput):
        form.add_error(None, f"{error.message} {error.advice}")
        return
    why = error.fields.get("why", "")
    text = f"{why[:1].upper()}{why[1:]}." if why else f"{error.message} {error.advice}"
    form.add_error(error.field if error.field in form.fields else None, text)


class CustomerForm(forms.Form):
    """What the provider says of a customer, whoever asks: the wizard, Edit, or Add with app registration."""

    name = forms.CharField(label="Customer Name", max_length=120)
    domain = forms.CharField(
        label="Domain",
        required=False,
        max_length=253,
        help_text="The customer's main domain, such as contoso.com.",
    )
    entra_tenant_id = guid_field(
        "Azure Tenant Id",
        "The Directory (tenant) ID on the overview page of Microsoft Entra. Empty: the customer's administrator "
        "brings it when he signs in.",
        required=False,
    )
    plan = forms.ChoiceField(label="Service level", choices=Plan, initial=Plan.PRO)
    service = forms.ChoiceField(label="Service", choices=Service, initial=Service.DIRECT_ROUTING)
    licensed_users = forms.IntegerField(
        label="Licensed users",
        min_value=0,
        max_value=1_000_000,
        initial=0,
        help_text="Users licences for this customer; 0 for none. Its one Tenants licence is taken anyway.",
    )
    with_sync = forms.BooleanField(
        label="With sync",
        required=False,
        initial=True,
        help_text="Users and groups are read from Microsoft 365. Only Operator Connect can do without.",
    )


class EditForm(CustomerForm):
    """A customer's own data. `version` is the state the person looked at; see tenants.services.edit_tenant."""

    cycle_delay = forms.IntegerField(
        label="QuickReplicationCycleDelay, in seconds",
        required=False,
        min_value=0,
        max_value=86_400,
        help_text="How long a change waits for further ones before it is written. Empty: as the installation says.",
    )
    enabled = forms.BooleanField(
        label="Enabled", required=False, help_text="Commands run only for enabled customers."
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    @staticmethod
    def values_of(tenant: Tenant) -> dict[str, Any]:
        """The stored values, as `initial` and for comparing."""
        names = [name for name in EditForm.base_fields if name != "version"]
        return {name: getattr(tenant, name) for name in names}


class DeleteForm(forms.Form):
    typed_name = forms.CharField(
        label="Type the customer's name to confirm",
        max_length=120,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
