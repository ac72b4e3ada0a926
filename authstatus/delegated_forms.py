"""Forms of the ways in on an account's behalf."""

from typing import Any

from django import forms

from authstatus.forms import NO_MEMORY


class SwitchForm(forms.Form):
    """AUT-31."""

    email = forms.EmailField(
        label="Customer IT Administrator email:",
        max_length=254,
        help_text="Of the person who signs in at Microsoft; the invitation goes there.",
        widget=forms.EmailInput(attrs={**NO_MEMORY, "autocomplete": "email"}),
    )


class PasswordForm(forms.Form):
    """A user name and a password, which goes in and never comes out again."""

    account = forms.EmailField(
        label="User Name",
        max_length=254,
        help_text="The address with which the M365 administrator signs in.",
        widget=forms.EmailInput(attrs=NO_MEMORY),
    )
    password = forms.CharField(
        label="Password",
        max_length=256,
        strip=False,
        help_text="Of an account without a second factor. It is sealed at once and can never be shown again.",
        widget=forms.PasswordInput(render_value=False, attrs={**NO_MEMORY, "autocomplete": "new-password"}),
    )
    password_again = forms.CharField(
        label="Confirm password",
        max_length=256,
        strip=False,
        widget=forms.PasswordInput(render_value=False, attrs={**NO_MEMORY, "autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        found: dict[str, Any] = super().clean() or {}
        if "password" in found and found.pop("password_again", None) != found["password"]:
            self.add_error("password_again", "The two passwords differ.")
        return found
