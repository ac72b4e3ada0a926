"""The two places where django-allauth lets a project decide."""

import base64
import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.http import HttpRequest

from accounts import again
from accounts.delivery import deliver
from core import encryption
from core.errors import UmpError

log = logging.getLogger(__name__)
TOTP_AAD = b"ump|mfa"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up: an administrator adds people."""
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """allauth's own pages ask again as late as ours do; see accounts.again."""
        return not again.is_fresh(context.request)

    def send_mail(self, template_prefix: str, email: str, mail: dict[str, Any]) -> None:
        """allauth's own mails, the link of a forgotten password among them: over a protected line, or not at all.

        One that does not go out is no error of the page, which must not tell whether an address has an account. What
        is logged says neither link nor address; templates read `request.mail_failed`.
        """
        request = context.request
        around = {"request": request, "email": email, "current_site": get_current_site(request)}
        message = self.render_mail(template_prefix, email, around | mail)
        try:
            deliver(message)
        except UmpError as error:
            request.mail_failed = True
            extra = {"mail": template_prefix, "code": error.code, **error.detail}
            log.warning("a mail about an account did not go out", extra=extra)


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
