"""Forms of the queue's pages."""

from typing import Any

from django import forms

from replication.registry import kinds


class ReplicateForm(forms.Form):
    """What to read: only what changed, everything, or everything without writing it down."""

    CHOICES = (
        ("quick", "quick_replication", False, "Quick: read what changed since the last time"),
        ("full", "sync", False, "Full: read everything again and compare"),
        ("dry", "sync", True, "Dry run: read everything, show what would change, write nothing"),
    )
    """Value, kind of command, whether it only tries, words."""

    mode = forms.ChoiceField(label="What to do", choices=(), widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known = kinds()
        self.offered = {
            value: (kind, dry_run, words)
            for value, kind, dry_run, words in self.CHOICES
            if kind in known and (known[kind].may_dry_run or not dry_run)
        }
        field = self.fields["mode"]
        field.choices = [(value, words) for value, (_, _, words) in self.offered.items()]  # type: ignore[attr-defined]  # a ChoiceField
        field.initial = next(iter(self.offered), None)

    def wish(self) -> tuple[str, bool]:
        """The kind of command, and whether it is a dry run; of a valid form."""
        kind, dry_run, _ = self.offered[self.cleaned_data["mode"]]
        return kind, dry_run
