"""What a person says about a customer's domain, and about the provider's zone."""

from typing import Any

from django import forms

from domains.models import DnsZone
from nameservers.names import LONGEST_AT_MICROSOFT
from nameservers.zones import ALGORITHMS

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class DomainForm(forms.Form):
    name = forms.CharField(
        label="Domain",
        max_length=253,
        help_text=f"At most {LONGEST_AT_MICROSOFT} characters. A site's host name lies directly below it, such as "
        "sbc1.contoso.voice.example.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    by_hand = forms.BooleanField(
        label="I write the TXT record by hand",
        required=False,
        help_text="The portal says which record, and goes on by itself once it can be seen.",
    )
    with_user = forms.BooleanField(
        label="Make an activation user",
        required=False,
        help_text="Microsoft Teams knows a domain only while a user with a Teams Phone licence has it. The user "
        "cannot sign in, and goes again once another user has the domain.",
    )

    def wish(self) -> dict[str, Any]:
        """What domains.services.begin takes; of a valid form."""
        return {**self.cleaned_data, "by_hand": self.cleaned_data["by_hand"] or None}


class ZoneForm(forms.Form):
    """`version` is the state the person looked at; the secret goes in and never comes out."""

    name = forms.CharField(
        label="Zone",
        max_length=253,
        help_text="Customers get names below it, such as contoso.voice.example.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    server = forms.CharField(
        label="Name server",
        max_length=260,
        required=False,
        help_text="The zone's primary, as host or host:port. Empty: every record is written by hand.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    key_name = forms.CharField(
        label="TSIG key name",
        max_length=253,
        required=False,
        help_text="As in the name server's own settings.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    algorithm = forms.ChoiceField(label="TSIG algorithm", choices=[(one, one) for one in ALGORITHMS])
    secret = forms.CharField(
        label="TSIG secret",
        max_length=200,
        required=False,
        strip=True,
        help_text="In base64. With another server or key name it has to be entered again.",
        widget=forms.PasswordInput(render_value=False, attrs={**PLAIN, "autocomplete": "new-password"}),
    )
    lookup_servers = forms.CharField(
        label="Name servers to look at",
        max_length=1000,
        required=False,
        help_text="Whom the portal asks whether a record can be seen, one a line. Empty: whoever serves the name.",
        widget=forms.Textarea(attrs={"rows": 2, "class": "mono", **PLAIN}),
    )
    release_user = forms.BooleanField(
        label="Remove activation users that are no longer needed",
        required=False,
        help_text="Looked at once a day: the user goes when another user of its domain has Teams Phone.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput)

    def wish(self) -> dict[str, Any]:
        """What domains.services.set_zone takes; of a valid form."""
        given = dict(self.cleaned_data)
        given["lookup_servers"] = given["lookup_servers"].replace(",", " ").split()
        return given

    @staticmethod
    def values_of(row: DnsZone | None) -> dict[str, Any]:
        if row is None:
            return {"release_user": True, "version": 0}
        names = ("name", "server", "key_name", "algorithm", "release_user")
        return {name: getattr(row, name) for name in names} | {
            "lookup_servers": "\n".join(row.lookup_servers),
            "version": row.row_version,
        }
