"""What a person says about an SBC (SBC-06), and about OVOC."""

from typing import Any

from django import forms

from sbc.models import Ovoc, Reached, Sbc

PLAIN = {"autocomplete": "off", "spellcheck": "false"}


class _ReachedForm(forms.Form):
    """`version` is the state of the row that the person looked at."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    address = forms.CharField(
        label="Ip Address",
        max_length=60,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "ex: 1.2.3.4"}),
        help_text="With a port behind it where that is not the usual one: 1.2.3.4:8443.",
    )
    https = forms.BooleanField(label="Use https", required=False, initial=True)
    user = forms.CharField(label="Gateway User", max_length=64, widget=forms.TextInput(attrs=PLAIN))
    password = forms.CharField(
        label="Gateway Password",
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )
    fingerprint = forms.CharField(
        label="Certificate fingerprint",
        required=False,
        max_length=100,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="SHA-256, for a device whose certificate no authority has signed: only this one is accepted.",
    )

    def keep_password(self) -> None:
        """Of something that has one: empty leaves it."""
        self.fields["password"].required = False
        self.fields["password"].help_text = "Empty: the stored one stays. It is never shown."


class SbcForm(_ReachedForm):
    name = forms.CharField(
        label="Name",
        max_length=120,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "SBC Name"}),
    )
    fqdn = forms.CharField(
        label="Device Fqdn",
        required=False,
        max_length=253,
        widget=forms.TextInput(attrs={**PLAIN, "placeholder": "ex: sbc.contoso.com or contoso.com"}),
        help_text="With https and no fingerprint, the device's certificate must bear this name.",
    )
    field_order = ("name", "address", "https", "fqdn", "user", "password", "fingerprint")

    @staticmethod
    def values_of(sbc: Sbc) -> dict[str, Any]:
        return {"name": sbc.name, "fqdn": sbc.fqdn, **values_of(sbc)}


class OvocForm(_ReachedForm):
    field_order = ("address", "https", "user", "password", "fingerprint")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["user"].label = "Operator"
        self.fields[
            "user"
        ].help_text = "An OVOC operator of the level Operator, whose password does not expire."
        self.fields["password"].label = "Password"

    @staticmethod
    def values_of(ovoc: Ovoc | None) -> dict[str, Any]:
        return values_of(ovoc) if ovoc else {"version": 0}


def values_of(there: Reached) -> dict[str, Any]:
    return {
        "address": there.host,
        "https": there.https,
        "user": there.user,
        "fingerprint": there.fingerprint,
        "version": there.row_version,
    }
