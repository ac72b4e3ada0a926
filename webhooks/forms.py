"""What a person says about a webhook."""

import uuid
from typing import Any

from django import forms

from core.errors import InvalidInput
from events.models import Type
from tenants import scope
from tenants.models import Tenant
from webhooks.models import Endpoint
from webhooks.rotation import LONGEST_OVERLAP, OVERLAP_HOURS
from webhooks.services import TYPES


class EndpointForm(forms.Form):
    name = forms.CharField(label="Name", max_length=120, help_text="Which system it is.")
    url = forms.CharField(
        label="URL",
        max_length=500,
        help_text="Begins with https://. Redirects are not followed.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    types = forms.MultipleChoiceField(
        label="Events",
        required=False,
        choices=[(name, f"{name}: {Type(name).label}") for name in TYPES],
        widget=forms.CheckboxSelectMultiple,
        help_text="None ticked: all of them, also those that later versions add.",
    )
    tenants = forms.CharField(
        label="Customers",
        required=False,
        max_length=10_000,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Names, one a line: only their events are sent. Empty: everybody's, and the provider's own.",
    )

    def wish(self) -> dict[str, Any]:
        """What webhooks.services takes; of a valid form. Raises InvalidInput for an unknown customer."""
        return {**self.cleaned_data, "tenants": _ids(self.cleaned_data["tenants"])}

    @staticmethod
    def values_of(endpoint: Endpoint) -> dict[str, Any]:
        return {
            "name": endpoint.name,
            "url": endpoint.url,
            "types": endpoint.types,
            "tenants": "\n".join(names(endpoint)),
        }


class ReplayForm(forms.Form):
    cursor = forms.IntegerField(
        label="After event number",
        min_value=0,
        help_text="Everything after it is sent again, in order. 0: all events that are kept (90 days).",
    )


class RotateForm(forms.Form):
    overlap_hours = forms.IntegerField(
        label="Overlap, in hours",
        min_value=0,
        max_value=LONGEST_OVERLAP,
        initial=OVERLAP_HOURS,
        help_text="For so long the old secret signs too, unless somebody ends it earlier. 0: it ends at once.",
    )


def names(endpoint: Endpoint) -> list[str]:
    """Of the customers whose events it gets; none means all."""
    with scope.every("names of the customers that a webhook is about"):
        return list(
            Tenant.objects.filter(id__in=endpoint.tenants).order_by("name").values_list("name", flat=True)
        )


def _ids(text: str) -> list[uuid.UUID]:
    found = []
    with scope.every("customers of a webhook are found by their names"):
        for name in filter(None, (line.strip() for line in text.splitlines())):
            tenant: Tenant | None = Tenant.objects.filter(name__iexact=name, deleted_at=None).first()
            if tenant is None:
                raise InvalidInput(field="tenants", why=f"there is no customer called {name}")
            found.append(tenant.id)
    return found
