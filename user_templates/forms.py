"""The form of a template. It checks the shape and finds whom it names; the services check the rules."""

import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms

from core.errors import InvalidInput
from provisioning import editing, people
from provisioning.aspects import TITLES, policy_title
from provisioning.editing import VOICE
from provisioning.forms import ONE_VALUE, PLAIN, Suggest
from telephony.models import NumberRange
from tenants.models import Tenant
from user_templates.models import TAKE, Leaving, UserTemplate
from user_templates.services import NOBODY

MANY = {"rows": 3, "autocomplete": "off", "spellcheck": "false"}


class TemplateForm(forms.Form):
    """Whom it covers, and what they get. What is empty is not given."""

    name = forms.CharField(label="Name", max_length=80)
    group = forms.CharField(
        label="Group",
        max_length=300,
        help_text="Its members are covered, and those of groups inside it. Name, address or object id.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    except_users = forms.CharField(
        label="Except these users",
        required=False,
        max_length=20_000,
        help_text="User principal names or object ids, one a line.",
        widget=forms.Textarea(attrs=MANY),
    )
    except_groups = forms.CharField(
        label="Except members of these groups",
        required=False,
        max_length=5_000,
        help_text="Names or object ids, one a line.",
        widget=forms.Textarea(attrs=MANY),
    )
    numbers = forms.ChoiceField(label="Phone number", required=False)
    replace = forms.BooleanField(
        label="Also replace numbers from outside of the range",
        required=False,
        help_text="Otherwise who has a number keeps it.",
    )
    leaving = forms.ChoiceField(
        label="When somebody leaves the group",
        choices=Leaving,
        help_text="Taken back are the number, policies and memberships that the template gave; details stay.",
    )
    version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    def __init__(
        self,
        *args: Any,
        tenant: Tenant,
        ranges: Iterable[NumberRange],
        policies: dict[str, list[str]],
        row: UserTemplate | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.tenant = tenant
        self.before = row.values if row else []
        choices = [("", "None"), *((str(one.uid), f"Next free of {one.name}") for one in ranges)]
        fields: Any = self.fields
        fields["numbers"].choices = [*choices, (TAKE, "Take their numbers away")]
        for kind in (*VOICE, *(kind for kind in policies if kind not in VOICE)):
            fields[f"policy:{kind}"] = forms.CharField(
                label=policy_title(kind),
                required=False,
                max_length=300,
                widget=Suggest(policies.get(kind, [])),
            )
        for name in ONE_VALUE:
            fields[f"user:{name}"] = forms.CharField(label=TITLES[name], required=False, max_length=300)
        if row is not None:
            self.initial.update(_initial(row))

    def given(self) -> dict[str, Any]:
        """What the services take. Raises InvalidInput naming the field."""
        found = {name: self.cleaned_data[name] for name in ("name", "numbers", "replace", "leaving")}
        values = [
            [name, {"name": text} if name.startswith("policy:") else text]
            for name, text in self.cleaned_data.items()
            if ":" in name and text
        ]
        values += [[name, value] for name, value in self.before if not self._shows(name, value)]
        return found | {
            "group_id": editing.group_named(self.tenant, self.cleaned_data["group"]).object_id,
            "except_users": self._users(),
            "except_groups": self._groups(),
            "values": values,
        }

    def _shows(self, name: str, value: Any) -> bool:
        """Whether the form can say it: memberships, and what is taken away, come by the API only."""
        return name in self.fields and (value is not None or bool(self.cleaned_data[name]))

    def _lines(self, name: str) -> list[str]:
        return list(
            dict.fromkeys(
                " ".join(line.split()) for line in self.cleaned_data[name].splitlines() if line.strip()
            )
        )

    def _users(self) -> list[uuid.UUID]:
        words = self._lines("except_users")
        found = people.users_named(self.tenant, words)
        _refuse("except_users", "no user of the copy is", [word for word in words if word not in found])
        return sorted(found.values())

    def _groups(self) -> list[uuid.UUID]:
        words = self._lines("except_groups")
        found = people.groups_named(self.tenant, words)
        _refuse(
            "except_groups",
            "no group, or more than one, is",
            [w for w in words if len(found.get(w, [])) != 1],
        )
        return sorted(uuid.UUID(found[word][0]) for word in words)


def _refuse(field: str, what: str, words: Sequence[str]) -> None:
    if words:
        raise InvalidInput(field=field, why=f"{what} called {', '.join(words[:5])}")


def _initial(row: UserTemplate) -> dict[str, Any]:
    values = {
        aspect: (value or {}).get("name", "") if aspect.startswith("policy:") else value
        for aspect, value in row.values
    }
    return values | {
        "name": row.name,
        "group": row.group_name if row.group_id == NOBODY else str(row.group_id),
        "except_users": "\n".join(map(str, row.except_users)),
        "except_groups": "\n".join(map(str, row.except_groups)),
        "numbers": row.numbers,
        "replace": row.replace,
        "leaving": row.leaving,
        "version": row.row_version,
    }
