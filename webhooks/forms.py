"""What a person says about a webhook."""

import uuid
from collections.abc import Sequence
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
    """`version` is what the person looked at; a new one has none."""

    version = forms.IntegerField(widget=forms.HiddenInput)
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

    everybody = forms.BooleanField(
        label="All customers",
        required=False,
        help_text="From now on it gets everybody's events and the provider's own, no longer those of some customers.",
    )

    def __init__(self, *args: Any, endpoint: Endpoint | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._limited_to = list(endpoint.tenants) if endpoint else []
        if not self._limited_to:
            del self.fields["everybody"]
        if endpoint is None:
            del self.fields["version"]

    def clean(self) -> dict[str, Any]:
        """An empty list makes a webhook of some customers everybody's only where somebody says so."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        everybody, named = given.get("everybody", False), bool(given.get("tenants"))
        if self._limited_to and "tenants" in given and everybody == named:
            self.add_error(
                "tenants",
                "Empty this, or leave All customers unticked."
                if named
                else "It gets the events of some customers only: name them, or tick All customers.",
            )
        return given

    def wish(self) -> dict[str, Any]:
        """What webhooks.services takes; of a valid form. Raises InvalidInput for an unknown customer."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "everybody"}
        return {**given, "tenants": _ids(given["tenants"], kept=self._limited_to)}

    @staticmethod
    def values_of(endpoint: Endpoint) -> dict[str, Any]:
        return {
            "name": endpoint.name,
            "url": endpoint.url,
            "types": endpoint.types,
            "tenants": "\n".join(names(endpoint)),
            "version": endpoint.row_version,
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
    """Of the customers whose events it gets; none means all. Of those that left the id, since others may have
    their names by now."""
    with scope.every("names of the customers that a webhook is about"):
        known = {tenant.id: tenant for tenant in Tenant.objects.filter(id__in=endpoint.tenants)}
    here = sorted(tenant.name for tenant in known.values() if not tenant.deleted_at)
    deleted = [f"{tenant.id} ({tenant.name}, deleted)" for tenant in known.values() if tenant.deleted_at]
    return here + sorted(deleted) + [f"{each} (gone)" for each in endpoint.tenants if each not in known]


def _ids(text: str, *, kept: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """By the lines that `names` gives, or a person types. Raises InvalidInput."""
    by_id = {str(each): each for each in kept}
    found = []
    with scope.every("customers of a webhook are found by their names"):
        for name in filter(None, (line.strip() for line in text.splitlines())):
            first = name.split()[0]
            if first in by_id:
                found.append(by_id[first])
                continue
            tenant: Tenant | None = Tenant.objects.filter(name__iexact=name, deleted_at=None).first()
            if tenant is None:
                raise InvalidInput(field="tenants", why=f"there is no customer called {name}")
            found.append(tenant.id)
    return found
