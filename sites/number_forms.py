"""What a person says about numbers of a site."""

from typing import Any

from django import forms

from audiocodes.dialplan import LONGEST
from sites.models import Prefix, Site
from sites.number_rules import DEFAULT_PLAN, LONGEST_NAME, WITHOUT_PLUS, Wish, tag_of

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
MOST_TYPED = 200
GRAMMAR = (
    "A number with its plus, such as +4455896552, or a range at its end with both bounds of one width, such as "
    "+44587996[01-20]. Each also takes every longer number."
)


class AddForm(forms.Form):
    """Add SBC Prefix."""

    prefixes = forms.CharField(
        label="Prefix",
        max_length=MOST_TYPED * (LONGEST + 2),
        widget=forms.Textarea(attrs={"rows": 4, "class": "mono", **PLAIN}),
        help_text=f"One a line. {GRAMMAR}",
    )
    plan = forms.ChoiceField(
        label="DialPlan", help_text=f"In {', '.join(sorted(WITHOUT_PLUS))} a number may have no plus."
    )
    name = forms.CharField(
        label="Name",
        max_length=LONGEST_NAME,
        help_text=f"Of the rules on the SBC; at most {LONGEST_NAME} characters.",
    )
    tag = forms.CharField(
        label="Tag",
        max_length=300,
        help_text="Where the SBC sends the calls: the site's PSTN gateway, a tenant id, or the name of an IP Group.",
        widget=forms.TextInput(attrs=PLAIN),
    )

    def __init__(self, *args: Any, site: Site, plans: list[str], **kwargs: Any) -> None:
        first = DEFAULT_PLAN if DEFAULT_PLAN in plans else next(iter(plans), "")
        kwargs["initial"] = {"plan": first, "name": site.name, "tag": tag_of(site)}
        super().__init__(*args, **kwargs)
        self.fields["plan"].choices = [(name, name) for name in plans]  # type: ignore[attr-defined]  # a ChoiceField

    def clean_prefixes(self) -> list[str]:
        lines = [line.strip(" \t\r") for line in self.cleaned_data["prefixes"].split("\n")]
        found = [line for line in lines if line]
        if len(found) > MOST_TYPED:
            raise forms.ValidationError(f"At most {MOST_TYPED} lines here. Import a CSV file instead.")
        return found

    def wishes(self) -> list[Wish]:
        given = self.cleaned_data
        return [Wish(prefix, given["plan"], given["name"], given["tag"]) for prefix in given["prefixes"]]


class ChangeForm(forms.Form):
    """Edit SBC Prefix."""

    prefix = forms.CharField(  # type: ignore[assignment]  # the form's own attribute is set later, and is not used
        label="Prefix",
        max_length=LONGEST,
        help_text=GRAMMAR,
        widget=forms.TextInput(attrs={"class": "mono", **PLAIN}),
    )
    name = forms.CharField(label="Name", max_length=LONGEST_NAME)
    tag = forms.CharField(label="Tag", max_length=300, widget=forms.TextInput(attrs=PLAIN))

    def __init__(self, *args: Any, row: Prefix, **kwargs: Any) -> None:
        kwargs["initial"] = {"prefix": row.prefix, "name": row.name, "tag": row.tag}
        super().__init__(*args, **kwargs)


class PartForm(forms.Form):
    """Which numbers of a range go."""

    part = forms.CharField(
        label="Only these numbers",
        max_length=LONGEST,
        required=False,
        help_text="Empty: the whole rule. Otherwise a number or a range within it; what is left stays, as one or two "
        "rules.",
        widget=forms.TextInput(attrs={"class": "mono", **PLAIN}),
    )


class MoveForm(forms.Form):
    """To which site of the same customer."""

    site = forms.ChoiceField(label="To site")
    tag = forms.CharField(
        label="Tag",
        max_length=300,
        required=False,
        help_text="Empty: that site's own.",
        widget=forms.TextInput(attrs=PLAIN),
    )

    def __init__(self, *args: Any, sites: list[Site], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(str(site.uid), f"{site.name} ({site.sbc.name})") for site in sites]
        self.fields["site"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField


class FileForm(forms.Form):
    file = forms.FileField(
        label="CSV file",
        help_text="Its first line names the columns DialPlanName, Name, Prefix, Tag; only Prefix is needed. Commas, "
        "semicolons or tabulators between them. At most 10,000 lines and 2 MB. Nothing is written before you have "
        "looked at it.",
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,text/csv"}),
    )
