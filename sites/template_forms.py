"""What a person says about a scenario script template, and about the variables of its script."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.forms import BaseFormSet, formset_factory

from audiocodes.script import KNOWN, Kind, Variable
from sites import template_selectors
from sites.models import Purpose, ScriptTemplate
from sites.templates import MOST_VARIABLES

PLAIN = {"autocomplete": "off", "spellcheck": "false"}
CUSTOM = 20
NAMES = [
    ("", "Not used"),
    *((each.name, f"{each.name}: {each.label}") for each in KNOWN.values()),
    *((name, name) for name in (f"CustomVar.Variable{number}" for number in range(1, CUSTOM + 1))),
]


class TemplateForm(forms.Form):
    name = forms.CharField(label="Name", max_length=80, widget=forms.TextInput(attrs=PLAIN))
    purpose = forms.ChoiceField(label="Script type", choices=Purpose, initial=Purpose.ONBOARDING)
    description = forms.CharField(
        label="Description", max_length=500, required=False, widget=forms.TextInput(attrs=PLAIN)
    )
    cleanup = forms.ChoiceField(
        label="Clean-up script",
        required=False,
        help_text="It takes away what this script makes. Each clean-up script belongs to one onboarding script.",
    )
    script = forms.CharField(
        label="Script",
        max_length=100_000,
        strip=False,
        widget=forms.Textarea(attrs={**PLAIN, "rows": 24, "class": "mono", "wrap": "off"}),
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, template: ScriptTemplate | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._cleanups = {str(each.uid): each for each in template_selectors.free_cleanups(template)}
        cleanup: Any = self.fields["cleanup"]
        cleanup.choices = [
            ("", "None"),
            *((uid, each.name) for uid, each in self._cleanups.items()),
        ]
        if template is not None:
            del self.fields["purpose"]
            if template.purpose == Purpose.CLEANUP:
                del self.fields["cleanup"]

    def wish(self) -> dict[str, Any]:
        """What sites.templates takes; of a valid form."""
        wish = dict(self.cleaned_data)
        if "cleanup" in wish:
            wish["cleanup"] = self._cleanups.get(wish["cleanup"])
        return wish

    @staticmethod
    def values_of(template: ScriptTemplate, script: str) -> dict[str, Any]:
        return {
            "name": template.name,
            "description": template.description,
            "cleanup": str(template.cleanup.uid) if template.cleanup else "",
            "script": script,
            "version": template.row_version,
        }


class VariableForm(forms.Form):
    """One variable; without a name it is none."""

    name = forms.ChoiceField(label="Variable", choices=NAMES, required=False)
    kind = forms.ChoiceField(
        label="Type", choices=[(kind.value, kind.label) for kind in Kind], initial=Kind.TEXT, required=False
    )
    label = forms.CharField(
        label="Label",
        max_length=60,
        required=False,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="How it is called where people enter it. Empty: as the portal calls it.",
    )
    required = forms.BooleanField(label="Needed", required=False, initial=True)
    default = forms.CharField(
        label="Default", max_length=200, required=False, widget=forms.TextInput(attrs=PLAIN)
    )
    low = forms.IntegerField(label="Lowest number", required=False, min_value=-(10**9), max_value=10**9)
    high = forms.IntegerField(label="Highest number", required=False, min_value=-(10**9), max_value=10**9)
    options = forms.CharField(
        label="Choices",
        max_length=1_000,
        required=False,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="With commas between them, for the type Choice.",
    )
    help = forms.CharField(label="Help", max_length=200, required=False, widget=forms.TextInput(attrs=PLAIN))

    @property
    def more(self) -> list[Any]:
        """The fields that are seldom needed."""
        return [self[name] for name in ("default", "low", "high", "options", "help")]

    def variable(self) -> Variable | None:
        """Of a valid form."""
        given = self.cleaned_data
        if not given.get("name"):
            return None
        options = tuple(each.strip() for each in given["options"].split(",") if each.strip())
        kind = Kind(given["kind"] or Kind.TEXT)
        return Variable(**{**given, "kind": kind, "options": options, "label": given["label"].strip()})

    @staticmethod
    def values_of(variable: Variable) -> dict[str, Any]:
        return {**variable.to_json(), "options": ", ".join(variable.options)}


VariableForms: "type[BaseFormSet[VariableForm]]" = formset_factory(
    VariableForm, extra=1, max_num=MOST_VARIABLES, absolute_max=MOST_VARIABLES
)
PREFIX = "variables"


def variables_in(rows: "BaseFormSet[VariableForm]") -> list[Variable]:
    """The variables of valid forms, in their order."""
    found: Sequence[Variable | None] = [each.variable() for each in rows.forms]
    return [each for each in found if each is not None]
