"""What a person says about an attendant or a queue. Names of fields: resource_accounts.shapes.FIELDS."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.forms import BoundField

from m365.powershell.handout import LONGEST_PASTE
from m365.resource_accounts import ACTS, DAYS, LONGEST_NAME, ROUTING, Act
from resource_accounts.models import Design, Kind
from resource_accounts.shapes import KEYS, LANGUAGES, TIME_ZONES, YES

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}
ACT_CHOICES = [(act.value, text[0].upper() + text[1:]) for act, text in ACTS.items()]
TARGET_HELP = (
    "A person's, queue's or attendant's address; a number with country code; the name or address of a group."
)
_BASIC = ("name", "upn", "number")
_NO_SPEC = {*_BASIC, "version"}


def _text(label: str, help_text: str = "", *, required: bool = False, longest: int = 1000) -> forms.CharField:
    widget = forms.TextInput(attrs=PLAIN)
    return forms.CharField(
        label=label, required=required, max_length=longest, widget=widget, help_text=help_text
    )


def _long(label: str, help_text: str = "", *, longest: int = 1000) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 3})
    return forms.CharField(
        label=label, required=False, max_length=longest, widget=widget, help_text=help_text
    )


def _act(label: str, *, none: str = "") -> forms.ChoiceField:
    choices = [("", none), *ACT_CHOICES] if none else ACT_CHOICES
    return forms.ChoiceField(
        label=label, choices=choices, required=not none, initial="" if none else Act.DISCONNECT
    )


@dataclasses.dataclass(frozen=True)
class Group:
    """Fields under one heading; `pairs` are shown side by side, a choice and whom it means."""

    title: str
    help: str
    fields: Sequence[BoundField] = ()
    pairs: Sequence[tuple[BoundField, BoundField]] = ()


class DesignForm(forms.Form):
    """What both types have. `version` is the state of the design that the person looked at."""

    version = forms.IntegerField(widget=forms.HiddenInput, required=False)
    name = forms.CharField(
        label="Name",
        max_length=LONGEST_NAME,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Of the attendant or queue in Teams, and the display name of its account.",
    )
    upn = _text(
        "Account",
        "The address of its resource account, such as reception@contoso.com, in a domain of the customer.",
        required=True,
        longest=113,
    )
    number = _text(
        "Number",
        "Empty: it is reached through others only. It needs a licence for resource accounts.",
        longest=30,
    )
    language = forms.ChoiceField(
        label="Language", choices=[(each, each) for each in LANGUAGES], initial="en-US"
    )
    time_zone = forms.ChoiceField(
        label="Time zone", choices=[(each, each) for each in TIME_ZONES], initial="UTC"
    )
    greeting = _long("Greeting", "Read aloud to every caller. Empty: none.")

    def wish(self) -> dict[str, Any]:
        """What resource_accounts.services takes; of a valid form."""
        given = self.cleaned_data
        spec = {name: _told(value) for name, value in given.items() if name not in _NO_SPEC}
        return {**{name: given[name] for name in _BASIC}, "spec": spec}

    @property
    def sections(self) -> list[Group]:
        names = [*_BASIC, "language", "time_zone", "greeting"]
        return [Group("What callers reach", "", [self[name] for name in names])]

    def _pair(self, name: str) -> tuple[BoundField, BoundField]:
        return self[name], self[f"{name}_target"]


def _told(value: object) -> str:
    return (YES if value else "") if isinstance(value, bool) else str(value or "") if value != 0 else "0"


class AttendantForm(DesignForm):
    menu = _long("Menu", "Read aloud after the greeting: which key does what.")
    straight = _act("Without keys, all callers go to", none="Nowhere: callers press a key")
    straight_target = _text("Who", longest=120)
    closed_greeting = _long("Greeting when closed")
    closed = _act("When closed")
    closed_target = _text("Who, when closed", longest=120)
    holidays = _long(
        "Holidays", "One a line, such as 2026-12-24 to 2026-12-26 Christmas, or 2027-01-01 New Year."
    )
    holiday_greeting = _long("Greeting on holidays")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for key, sign in KEYS.items():
            self.fields[f"key_{key}"] = _act(f"Key {sign}", none="Not used")
            self.fields[f"key_{key}_target"] = _text(f"Key {sign}: who", longest=120)
        for day in DAYS:
            self.fields[day] = _text(day.capitalize(), longest=120)

    @property
    def sections(self) -> list[Group]:
        days = [self[day] for day in DAYS]
        return [
            *super().sections,
            Group(
                "Keys",
                f"What callers may press. {TARGET_HELP}",
                [self["menu"]],
                [self._pair(f"key_{key}") for key in KEYS],
            ),
            Group("Or no menu at all", "", (), [self._pair("straight")]),
            Group("Opening hours", "Such as 09:00-12:00, 13:00-17:00. All empty: always open.", days),
            Group(
                "When closed, and on holidays",
                "",
                [self[name] for name in ("closed_greeting", "holidays", "holiday_greeting")],
                [self._pair("closed")],
            ),
        ]


class QueueForm(DesignForm):
    users = _long("People", "Their addresses, one a line; at most 20.", longest=4000)
    groups = _long("Groups", "Their names or addresses, one a line: all members answer.", longest=4000)
    routing = forms.ChoiceField(
        label="Routing method",
        choices=[
            (each, words)
            for each, words in zip(
                ROUTING,
                (
                    "All at once (attendant)",
                    "One after another (serial)",
                    "In turn (round robin)",
                    "Longest idle first",
                ),
                strict=True,
            )
        ],
    )
    alert = forms.IntegerField(label="Agent alert time", initial=30, help_text="Seconds, from 15 to 180.")
    opt_out = forms.BooleanField(label="Agents may opt out", required=False, initial=True)
    presence = forms.BooleanField(label="Presence-based routing", required=False, initial=True)
    most = forms.IntegerField(label="Most calls in the queue", initial=50, help_text="From 0 to 200.")
    overflow = _act("When it is full")
    overflow_target = _text("Who, when it is full", longest=120)
    timeout = forms.IntegerField(label="Longest wait", initial=1200, help_text="Seconds, from 0 to 2700.")
    timed_out = _act("After that")
    timed_out_target = _text("Who, after that", longest=120)
    voicemail_text = _long("Before voicemail", "Read aloud before somebody may leave a message.")

    @property
    def sections(self) -> list[Group]:
        who = [self[name] for name in ("users", "groups", "routing", "alert", "opt_out", "presence")]
        late = [self[name] for name in ("most", "timeout", "voicemail_text")]
        return [
            *super().sections,
            Group("Who answers", "", who),
            Group("When nobody does", TARGET_HELP, late, [self._pair("overflow"), self._pair("timed_out")]),
        ]


FORMS: Mapping[str, type[DesignForm]] = {Kind.AUTO_ATTENDANT: AttendantForm, Kind.CALL_QUEUE: QueueForm}


def values_of(design: Design) -> dict[str, Any]:
    basic = {name: getattr(design, name) for name in _BASIC}
    return {**design.spec, **basic, "version": design.row_version}


class TemplateForm(forms.Form):
    name = forms.CharField(
        label="Template",
        max_length=64,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="People and groups are left out; the customer's name in texts becomes {customer}.",
    )


class PasteForm(forms.Form):
    result = forms.CharField(
        label="Result of the Verify script",
        max_length=LONGEST_PASTE,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 6, "class": "mono"}),
        help_text="The last line that it printed, as a whole.",
    )
