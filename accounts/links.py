"""One-time links by which a person sets a password, for "forgotten password" and administrators alike."""

from typing import Any

from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.urls import reverse

from accounts.models import User


class LinkTokens(PasswordResetTokenGenerator):
    """allauth takes it by the settings. A token is bound to the address, the password and the last sign-in."""

    def check_token(self, user: Any, token: str | None) -> bool:
        """A link does nothing while its person is deactivated, whenever it was made."""
        return user is not None and user.is_active and bool(super().check_token(user, token))


def path_of(user: User) -> str:
    """The path of a fresh link."""
    key = LinkTokens().make_token(user)
    return reverse("account_reset_password_from_key", kwargs={"uidb36": user_pk_to_url_str(user), "key": key})
