"""Forms about ranges, reservations and blocks. They check the shape; the services check the rules."""

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django import forms

from sites.models import Site
from telephony.holds import LONGEST_HOLDER, LONGEST_NOTE
from telephony.models import NumberKind, NumberRange

PLAIN = {"class": "mono", "autocomplete": "off", "spellcheck": "false"}


def _from() -> forms.CharField:
    return forms.CharField(
        label="From",
        max_length=50,
        help_text="With the country code: +41589061000. Alone it is one number, or a range: +415890610[00-99].",
        widget=forms.TextInput(attrs=PLAIN),
    )


def _to() -> forms.CharField:
    return forms.CharField(label="To", max_length=50, required=False, widget=forms.TextInput(attrs=PLAIN))


def _note(label: str, *, required: bool = False) -> forms.CharField:
    return forms.CharField(label=label, max_length=LONGEST_NOTE, required=required)


class RangeForm(forms.Form):
    """Add or edit a number range."""

    name = forms.CharField(label="Name", max_length=60)
    kind = forms.ChoiceField(label="Type", choices=NumberKind)
    first, last = _from(), _to()
    site = forms.ChoiceField(label="Site", required=False)
    note = _note("Note")
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self, *args: Any, sites: Iterable[Site], row: NumberRange | None = None, **kwargs: Any
    ) -> None:
        if row is not None:
            kwargs["initial"] = {
                "name": row.name, "kind": row.kind, "first": row.first, "last": row.last, "note": row.note,
                "site": str(row.site.uid) if row.site else "", "version": row.row_version,
            }  # fmt: skip
        super().__init__(*args, **kwargs)
        self.sites = {str(site.uid): site for site in sites}
        choices = [("", "None")] + [(uid, site.name) for uid, site in self.sites.items()]
        self.fields["site"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def given(self) -> dict[str, Any]:
        """What the services take."""
        found = dict(self.cleaned_data)
        found["site"] = self.sites.get(found["site"])
        return found


class ReserveForm(forms.Form):
    """For whom, and until when."""

    holder = forms.CharField(label="For", max_length=LONGEST_HOLDER, help_text="A person, a team, a project.")
    until = forms.DateField(
        label="Until",
        required=False,
        help_text="The last day, in UTC; the reservation then ends by itself. Empty: until somebody releases it.",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    note = _note("Note")

    def clean_until(self) -> dt.datetime | None:
        """The end of that day."""
        day: dt.date | None = self.cleaned_data["until"]
        if day == dt.date.max:
            raise forms.ValidationError(
                "No day comes after it; leave this empty for a reservation without end."
            )
        return dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC) if day else None


class BlockForm(forms.Form):
    reason = _note("Reason", required=True)


class ReserveRangeForm(ReserveForm):
    """Numbers by hand: also such that Microsoft does not know."""

    first, last = _from(), _to()
    field_order = ("first", "last")


class BlockRangeForm(BlockForm):
    first, last = _from(), _to()
    field_order = ("first", "last")
