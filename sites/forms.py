"""What a person says about a site. The template's variables become fields by their own names."""

from collections.abc import Sequence
from typing import Any

from django import forms

from audiocodes.script import Kind, Variable
from sbc import selectors as devices
from sbc.models import Sbc
from sites.models import Configuration, Site, Trunk

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
_BASIC = ("name", "sbc", "configuration", "trunk", "gateway")


class SiteForm(forms.Form):
    """`keep_secrets`: the site has some, so that empty ones leave them. `version` is what the person looked at."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(
        label="Site",
        max_length=15,
        help_text="3 to 15 letters, digits, blanks, dots, hyphens or underscores.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    sbc = forms.ChoiceField(label="SBC")
    configuration = forms.ChoiceField(label="Configuration", choices=Configuration)
    trunk = forms.ChoiceField(
        label="Trunk model",
        choices=Trunk,
        initial=Trunk.DERIVED,
        help_text="A derived trunk lies behind the provider's own; one gateway for all its customers.",
    )
    gateway = forms.CharField(
        label="PSTN Gateway", required=False, max_length=253, widget=forms.TextInput(attrs=PLAIN)
    )

    def __init__(
        self,
        *args: Any,
        variables: Sequence[Variable],
        gateways: Sequence[str],
        keep_secrets: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.sbcs = {str(sbc.uid): sbc for sbc in devices.sbcs()}
        choices = [(uid, _words(sbc)) for uid, sbc in self.sbcs.items()]
        self.fields["sbc"].choices = choices  # type: ignore[attr-defined]  # it is a ChoiceField
        known = f" Verified for this customer: {', '.join(gateways)}." if gateways else ""
        self.fields[
            "gateway"
        ].help_text = f"The FQDN by which Microsoft knows it, in a domain of the customer.{known}"
        self.variables = variables
        for variable in variables:
            self.fields[variable.name] = _field(variable, keep_secrets=keep_secrets)

    def add_prefix(self, field_name: str) -> str:
        """Secrets are sent under a name that says so: of what is typed too late, accounts.again keeps the rest."""
        name = super().add_prefix(field_name)
        hidden = {each.name for each in self.variables if each.is_secret}
        return f"secret.{name}" if field_name in hidden else name

    @staticmethod
    def values_of(site: Site) -> dict[str, Any]:
        """Secret values never come out."""
        basic = {name: getattr(site, name) for name in _BASIC}
        return {**site.values, **basic, "sbc": str(site.sbc.uid), "version": site.row_version}

    def wish(self) -> dict[str, Any]:
        """What sites.services takes; of a valid form."""
        given = self.cleaned_data
        plain = {each.name: given[each.name] for each in self.variables if not each.is_secret}
        hidden = {each.name: given[each.name] for each in self.variables if each.is_secret}
        basic = {name: given[name] for name in _BASIC}
        return {**basic, "sbc": self.sbcs[given["sbc"]], "values": plain, "secrets_": hidden}


def _words(sbc: Sbc) -> str:
    return f"{sbc.name} [{sbc.host}], {sbc.get_link_display()}"


def _field(variable: Variable, *, keep_secrets: bool) -> forms.Field:
    common: dict[str, Any] = {
        "label": variable.title,
        "required": variable.required and not variable.default,
        "help_text": variable.help,
    }
    if variable.kind is Kind.CHOICE:
        empty = [] if common["required"] else [("", variable.default or "none")]
        options = [*empty, *((each, each) for each in variable.options)]
        return forms.ChoiceField(choices=options, initial=variable.default, **common)
    if variable.is_secret:
        if keep_secrets:
            stays = "Empty: the stored one stays; with several, enter all of them or none."
            common |= {"required": False, "help_text": f"{variable.help} {stays}".strip()}
        widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
        return forms.CharField(strip=False, max_length=200, widget=widget, **common)
    return forms.CharField(
        max_length=200, initial=variable.default, widget=forms.TextInput(attrs=PLAIN), **common
    )
