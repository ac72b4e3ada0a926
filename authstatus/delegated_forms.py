"""Forms of the ways in on an account's behalf."""

from django import forms

from authstatus.forms import NO_MEMORY


class SwitchForm(forms.Form):
    """AUT-31."""

    email = forms.EmailField(
        label="Customer IT Administrator email:",
        max_length=254,
        help_text="Of the person who signs in at Microsoft; it is filled in there.",
        widget=forms.EmailInput(attrs={**NO_MEMORY, "autocomplete": "email"}),
    )


class PasswordForm(forms.Form):
    """A user name and a password, which goes in and never comes out again."""

    account = forms.EmailField(label="M365 Email", max_length=254, widget=forms.EmailInput(attrs=NO_MEMORY))
    password = forms.CharField(
        label="Password",
        max_length=256,
        strip=False,
        help_text="Of an account without a second factor. It is sealed at once and can never be shown again.",
        widget=forms.PasswordInput(render_value=False, attrs={**NO_MEMORY, "autocomplete": "new-password"}),
    )
