"""Edit User, and Edit together. The forms check the shape; the services judge what is wanted."""

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from directory.models import DirectoryGroup
from provisioning.aspects import EDITABLE, TITLES, Thing, Value, policy_title
from provisioning.editing import Order, Profile, why_fixed
from provisioning.judging import Wish
from provisioning.leading import NOWHERE, Led
from sites.models import Site
from telephony.models import NumberKind, NumberRange

KEEP = ("", "Leave as it is")
TAKE = "take"
PLAIN = {"autocomplete": "off", "spellcheck": "false"}
ONE_VALUE = tuple(name for name in EDITABLE if name not in {"displayName", "givenName", "surname"})
"""Attributes that many users may share."""


class Suggest(forms.TextInput):
    """A text with suggestions, which need no script; anything else may be typed."""

    def __init__(self, words: Iterable[str], attrs: dict[str, Any] | None = None) -> None:
        super().__init__(PLAIN | (attrs or {}))
        self.words = list(words)

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        listed = f"{name}-words"
        shown = super().render(name, value, (attrs or {}) | {"list": listed}, renderer)
        options = format_html_join("", '<option value="{}"></option>', ((word,) for word in self.words))
        return format_html('{}<datalist id="{}">{}</datalist>', shown, listed, options)


def _range_choices(ranges: Iterable[NumberRange]) -> list[tuple[str, str]]:
    return [(str(row.uid), f"Next free of {row.name} ({row.first} to {row.last})") for row in ranges]


def _site_choices(sites: Iterable[Site]) -> list[tuple[str, str]]:
    return [(str(site.uid), f"Site {site.name}") for site in sites]


class UserForm(forms.Form):
    """What is wanted of one user; it begins with what waits or is there."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        *args: Any,
        profile: Profile,
        ranges: Sequence[NumberRange],
        free: Sequence[str],
        groups: Sequence[DirectoryGroup],
        sites: Sequence[Site] = (),
        led: Led = NOWHERE,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.profile = profile
        self.initial["seen"] = profile.digest
        self.parts: list[tuple[str, list[str]]] = []
        self._number(ranges, free)
        if sites:
            self._lead(sites, led)
        self._policies()
        self._attributes()
        self._groups(groups)

    # --- The fields -----------------------------------------------------------------------------------------
    def _number(self, ranges: Sequence[NumberRange], free: Sequence[str]) -> None:
        held = self.profile.wanted("number") or {}
        self.fields["number"] = forms.CharField(
            label="Phone number", required=False, max_length=60, initial=held.get("number", ""),
            help_text="With the country code: +41589061000, or +41589061000;ext=17. Empty takes it away.",
            widget=Suggest(free, {"class": "mono"}),
        )  # fmt: skip
        self.fields["kind"] = forms.ChoiceField(
            label="Type of the number", choices=NumberKind, initial=held.get("kind", ""), required=False,
            help_text="Of a number that Microsoft does not list yet; of others it is known.",
        )  # fmt: skip
        self.parts.append(("Phone number", ["number", "kind"]))
        if ranges:
            self.fields["range"] = forms.ChoiceField(
                label="Or from a range",
                choices=[("", "No: the number above"), *_range_choices(ranges)],
                required=False,
            )
            self.parts[-1][1].insert(1, "range")

    def _lead(self, sites: Sequence[Site], led: Led) -> None:
        now = f"Now it leads to {led.site}." if led.site else "Now no rule of an SBC leads it to a site."
        taken = [(TAKE, "No site: take its rule away")] if led.own else []
        self.fields["lead"] = forms.ChoiceField(
            label="Lead this number to",
            choices=[KEEP, *_site_choices(sites), *taken],
            required=False,
            help_text=f"{now if self.profile.wanted('number') else ''} A dial plan rule on the SBC of the site "
            "lets calls to the number in; a rule for an earlier number stays.",
        )
        self.parts[-1][1].append("lead")

    def _policies(self) -> None:
        names = []
        for kind, known in self.profile.policies.items():
            names.append(f"policy_{kind}")
            held = self.profile.wanted(f"policy:{kind}") or {}
            self.fields[names[-1]] = forms.CharField(
                label=policy_title(kind), required=False, max_length=300,
                widget=Suggest(known, {"placeholder": "The default, or a group's"}),
                initial=held.get("name") or held.get("id", ""),
            )  # fmt: skip
        self.parts.append(("Policies and dial plan", names))

    def _attributes(self) -> None:
        for name in EDITABLE:
            why = self.profile.read_only(name)
            self.fields[f"user_{name}"] = forms.CharField(
                label=TITLES[name], required=False, max_length=300, disabled=bool(why), help_text=why,
                initial=self.profile.wanted(f"user:{name}") or "",
            )  # fmt: skip
        self.parts.append(("Details", [f"user_{name}" for name in EDITABLE]))

    def _groups(self, groups: Sequence[DirectoryGroup]) -> None:
        mine = [one for one in self.profile.groups if not why_fixed(one)]
        self.fields["join"] = forms.CharField(
            label="Join a group", required=False, max_length=300, widget=Suggest(str(one) for one in groups),
            help_text="By its name, address or object id.",
        )  # fmt: skip
        names = ["join"]
        if mine:
            self.fields["leave"] = forms.MultipleChoiceField(
                label="Leave groups", required=False, widget=forms.CheckboxSelectMultiple,
                choices=[(str(one.object_id), str(one)) for one in mine],
                initial=[
                    str(one.object_id) for one in mine if not self.profile.wanted(f"member:{one.object_id}")
                ],
            )  # fmt: skip
            names.append("leave")
        self.parts.append(("Groups", names))

    def sections(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(title, [self[name] for name in names]) for title, names in self.parts]

    # --- What comes of it -----------------------------------------------------------------------------------
    def wishes(self) -> list[Wish]:
        """For each field that was changed; labelled with the field."""
        user_id, given = self.profile.user.object_id, self.cleaned_data
        found: list[Wish] = []

        def wish(name: str, aspect: str, value: Value) -> None:
            found.append(Wish(Thing(user_id, aspect), value, name))

        for name in self.changed_data:
            family, _, key = name.partition("_")
            if name == "number":
                number = given["number"]
                wish(name, "number", {"number": number, "kind": given["kind"]} if number else None)
            elif family == "policy":
                wish(name, f"policy:{key}", {"name": given[name]} if given[name] else None)
            elif family == "user":
                wish(name, f"user:{key}", given[name])
            elif name == "leave":
                before, after = set(self["leave"].initial), set(given["leave"])
                for group in sorted(before ^ after):
                    wish(name, f"member:{group}", group not in after or None)
        return found


class TogetherForm(forms.Form):
    """What is done to each of many users."""

    numbers = forms.ChoiceField(label="Phone numbers", required=False)
    only_without = forms.BooleanField(label="Only to users who have none", required=False, initial=True)
    lead = forms.ChoiceField(
        label="Lead their numbers to",
        required=False,
        help_text="By a dial plan rule for each number on the SBC of the site.",
    )
    policy = forms.ChoiceField(label="Policy", required=False)
    policy_name = forms.CharField(
        label="Name of the policy",
        required=False,
        max_length=300,
        help_text="Empty: the organisation's default.",
    )
    detail = forms.ChoiceField(label="Detail", required=False)
    detail_value = forms.CharField(
        label="New value", required=False, max_length=300, help_text="Empty clears it."
    )
    group_act = forms.ChoiceField(
        label="Group",
        required=False,
        choices=[KEEP, ("join", "Add to the group"), ("leave", "Remove from the group")],
    )
    group = forms.CharField(
        label="Name of the group", required=False, max_length=300, help_text="Its name, address or object id."
    )

    def __init__(
        self,
        *args: Any,
        ranges: Sequence[NumberRange],
        policies: dict[str, list[str]],
        sites: Sequence[Site] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        fields: Any = self.fields
        fields["numbers"].choices = [KEEP, *_range_choices(ranges), (TAKE, "Take their numbers away")]
        fields["lead"].choices = [KEEP, *_site_choices(sites), (TAKE, "No site: take their rules away")]
        if not sites:
            del fields["lead"]
        fields["policy"].choices = [KEEP, *((kind, policy_title(kind)) for kind in policies)]
        fields["policy_name"].widget = Suggest(
            sorted({name for known in policies.values() for name in known})
        )
        fields["detail"].choices = [KEEP, *((name, TITLES[name]) for name in ONE_VALUE)]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if not any(given.get(name) for name in ("numbers", "lead", "policy", "detail", "group_act")):
            raise forms.ValidationError("Choose what is to be changed.")
        if given.get("numbers") == TAKE and given.get("lead") not in {None, "", TAKE}:
            self.add_error("lead", "Numbers that are taken away lead to no site.")
        if given.get("group_act") and not given.get("group"):
            self.add_error("group", "Name the group.")
        return given

    def order(self, group: DirectoryGroup | None) -> Order:
        given = self.cleaned_data
        values: list[tuple[str, Value]] = []
        if given["policy"]:
            name = given["policy_name"]
            values.append((f"policy:{given['policy']}", {"name": name} if name else None))
        if given["detail"]:
            values.append((f"user:{given['detail']}", given["detail_value"]))
        if group is not None:
            values.append((f"member:{group.object_id}", given["group_act"] == "join" or None))
        return Order(given["numbers"], given["only_without"], tuple(values), given.get("lead", ""))
