"""Forms of the wizard's own; the ways in are entered with the forms of their rooms."""

from typing import Any

from django import forms

from onboarding.models import Onboarding
from tenants.forms import CustomerForm
from tenants.models import Cloud, Tenant


class TenantForm(CustomerForm):
    """Step 1: the customer, its licences and its service. `version` where somebody came back to it."""

    cloud = forms.ChoiceField(
        label="Microsoft cloud",
        choices=Cloud,
        initial=Cloud.GLOBAL,
        help_text="Where the customer's tenant lives; most are worldwide.",
    )
    version = forms.IntegerField(required=False, widget=forms.HiddenInput)

    CUSTOMER = tuple(CustomerForm.base_fields)

    @staticmethod
    def values_of(tenant: Tenant, onboarding: Onboarding) -> dict[str, Any]:
        """The stored values, as `initial`."""
        stored = {name: getattr(tenant, name) for name in TenantForm.CUSTOMER}
        return stored | {"cloud": onboarding.cloud, "version": tenant.row_version}

    def customer(self) -> dict[str, Any]:
        """What tenants.services.add_tenant takes; of a valid form."""
        return {name: self.cleaned_data[name] for name in self.CUSTOMER}
