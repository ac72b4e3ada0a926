"""The two places where django-allauth lets a project decide."""

import base64
import dataclasses
import logging
import uuid
from typing import Any, Self

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.core import context
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.contrib.sites.shortcuts import get_current_site
from django.db import transaction
from django.http import HttpRequest

from accounts import again, services
from accounts.delivery import deliver
from accounts.models import User
from core import encryption
from core.errors import UmpError

log = logging.getLogger(__name__)
TOTP_AAD = b"ump|mfa"
FACTORS = {
    "mfa/email/totp_activated": ("authenticator app", True),
    "mfa/email/totp_deactivated": ("authenticator app", False),
    "mfa/email/webauthn_added": ("passkey or security key", True),
    "mfa/email/webauthn_removed": ("passkey or security key", False),
    "mfa/email/recovery_codes_generated": ("recovery codes", True),
}
"""What came (True) or went, by the mail in which allauth would tell the person."""


@dataclasses.dataclass(frozen=True)
class Oneself:
    """Whoever changes how he signs in, as the trail wants it; nobody may be signed in yet."""

    id: str
    label: str
    address: str | None
    request_id: uuid.UUID
    kind: str = "person"

    @classmethod
    def of(cls, user: User) -> Self:
        request = context.request
        return cls(str(user.id), str(user), request.client_address, request.request_id)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # allauth ships no types
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Nobody signs up: an administrator adds people."""
        return False

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """allauth's own pages ask again as late as ours do; see accounts.again."""
        return not again.is_fresh(context.request)

    def get_client_ip(self, request: HttpRequest) -> str:
        """By which allauth counts failed sign-ins: the address that all of the portal goes by, else the peer's.

        allauth would believe X-Forwarded-For from anybody, and takes one that is too short for a fault of ours.
        Raises PermissionDenied where there is no peer, either.
        """
        found: str = getattr(request, "client_address", None) or super().get_client_ip(request)
        return found

    def set_password(self, user: User, password: str) -> None:
        """On the page for it, or by the link of a forgotten one."""
        services.choose_password(Oneself.of(user), user, password=password)

    @transaction.atomic
    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """By the link in the mail: from now on the address is the person's, who signs in with it, too."""
        confirmed: bool = super().confirm_email(request, email_address)
        if confirmed:
            user, address = email_address.user, email_address.email
            services.note_address(Oneself.of(user), user, address=address, added=True)
        return confirmed

    def send_notification_mail(
        self,
        template_prefix: str,
        user: User,
        context: dict[str, Any] | None = None,
        email: str | None = None,
    ) -> None:
        """What allauth did to a second factor or an address, right after it did; the one place that hears of all."""
        said = context or {}
        if template_prefix in FACTORS:
            factor, added = FACTORS[template_prefix]
            services.note_factor(Oneself.of(user), user, factor=factor, added=added)
        elif template_prefix == "account/email/email_changed":
            services.note_primary(Oneself.of(user), user, before=said["from_email"])
        elif template_prefix == "account/email/email_deleted":
            services.note_address(Oneself.of(user), user, address=said["deleted_email"], added=False)
        super().send_notification_mail(template_prefix, user, context, email)

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
