"""The two places where django-allauth lets a project decide."""

import base64
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.http import HttpRequest

from accounts import again
from core import encryption

TOTP_AAD = b"ump|mfa"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up: an administrator adds people."""
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """allauth's own pages ask again as late as ours do; see accounts.again."""
        return not again.is_fresh(context.request)


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # allauth ships no types
    """TOTP seeds are among the few secrets that the web must open, so they lie under the web key (DESIGN 7)."""

    def encrypt(self, text: str) -> str:
        keys = encryption.Keyring.read(settings.WEB_KEY_FILE)
        sealed = encryption.encrypt(keys[keys.current], text.encode(), aad=TOTP_AAD)
        return f"{keys.current}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, encrypted_text: str) -> str:
        key_id, _, body = encrypted_text.partition(":")
        keys = encryption.Keyring.read(settings.WEB_KEY_FILE)
        return encryption.decrypt(keys[key_id], base64.b64decode(body), aad=TOTP_AAD).decode()
