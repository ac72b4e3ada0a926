"""What a person gives back of the Verify script, and how a site's voice routing differs from the usual."""

from typing import Any

from django import forms

from deployment.models import MOST_SESSIONS, SiteVoice
from m365.powershell.handout import LONGEST_PASTE
from m365.voice import LONGEST_PATTERN, MOST_RULES, Rule

PLAIN = {"autocomplete": "off", "spellcheck": "false", "autocapitalize": "none"}


class VerifyForm(forms.Form):
    """Pasted, or as a file; `given` is the text."""

    result = forms.CharField(
        label="Result of the Verify script",
        required=False,
        max_length=LONGEST_PASTE,
        help_text="Its last line, as a whole: it begins with UMP-VERIFY.",
        widget=forms.Textarea(attrs={**PLAIN, "rows": 3, "class": "mono"}),
    )
    file = forms.FileField(
        label="or a file with it", required=False, help_text="What the script printed, as a text file."
    )

    def clean(self) -> dict[str, Any]:
        found = dict(super().clean() or {})
        upload = found.get("file")
        if upload is not None and upload.size > LONGEST_PASTE:
            self.add_error("file", "It is too long.")
        elif upload is not None:
            found["result"] = _text(upload.read())
        if not found.get("result") and not self.errors:
            self.add_error("result", "Paste the last line, or choose a file.")
        return found


def _text(given: bytes) -> str:
    """PowerShell on Windows writes files with two bytes a letter."""
    name = "utf-16" if given[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    return given.decode(name, errors="replace")


class SiteVoiceForm(forms.Form):
    """Each site has its own route, policy and, where there are rules, dial plan. `version`: what was looked at."""

    version = forms.CharField(widget=forms.HiddenInput, required=False)
    pattern = forms.CharField(
        label="Number pattern",
        max_length=LONGEST_PATTERN,
        help_text="Numbers that this regular expression finds leave by this site; .* is every number.",
        widget=forms.TextInput(attrs=PLAIN),
    )
    port = forms.IntegerField(
        label="SIP signalling port",
        min_value=1,
        max_value=65535,
        help_text="Of an own PSTN gateway; a derived trunk takes the provider's.",
    )
    max_sessions = forms.IntegerField(
        label="Concurrent sessions",
        required=False,
        min_value=1,
        max_value=MOST_SESSIONS,
        help_text="Empty: Teams does not limit them.",
    )
    media_bypass = forms.BooleanField(label="Media bypass", required=False)
    rules = forms.CharField(
        label="Normalization rules of the dial plan",
        required=False,
        help_text=f"One a line, the first that fits counts: name; pattern; translation. At most {MOST_RULES}. "
        "Such as: Swiss national; ^0(\\d{9})$; +41$1",
        widget=forms.Textarea(attrs={**PLAIN, "rows": 5, "class": "mono"}),
    )

    def clean_rules(self) -> list[Rule]:
        found = []
        for line in self.cleaned_data["rules"].splitlines():
            if not line.strip():
                continue
            parts = [part.strip() for part in line.split(";")]
            if len(parts) != 3:
                raise forms.ValidationError(f"“{line[:60]}” is not: name; pattern; translation")
            found.append(Rule(*parts))
        return found

    @staticmethod
    def values_of(row: SiteVoice) -> dict[str, Any]:
        """The stored values, as `initial`."""
        lines = (f"{each['name']}; {each['pattern']}; {each['translation']}" for each in row.rules)
        return {
            "pattern": row.pattern,
            "port": row.port,
            "max_sessions": row.max_sessions,
            "media_bypass": row.media_bypass,
            "rules": "\n".join(lines),
            "version": row.version,
        }
